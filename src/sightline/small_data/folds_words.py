"""A cross-validation in words and in the terminal: a line a fold, then what they say together.

Next: folds_page.py
"""

from __future__ import annotations

from rich import box
from rich.console import Console
from rich.table import Table

from sightline.compare.words import span
from sightline.report.words import counted, describe
from sightline.small_data.folds_summary import FoldScore, FoldSummary


def print_folds(found: FoldSummary, *, to: Console) -> None:
    """The table and the sentences below it."""
    metric = describe(found.metric, task=found.made.first_run.task)
    better = "less is better" if metric.less_is_better else "more is better"
    table = Table(
        title=f"{metric.title} ({better}), 95 % intervals", title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1)
    )
    for name in ("fold", "train", "validate", found.metric, "interval over its pictures"):
        table.add_column(name, justify="left" if name == "fold" else "right")
    repeat = 0
    for fold in found.folds:
        if fold.repeat != repeat:
            repeat = fold.repeat
            table.add_section()
        table.add_row(fold.name, str(fold.train), str(fold.val), metric.show(fold.value), fold_span(fold, found))
    to.print(table)
    for line in sentences(found):
        to.print(line, highlight=False, markup=False, soft_wrap=True)


def fold_span(fold: FoldScore, found: FoldSummary) -> str:
    """Its interval, or why there is none."""
    if fold.value is None:
        return "no such picture"
    return span(fold.low, fold.high, describe(found.metric))


def sentences(found: FoldSummary) -> list[str]:
    """What the folds say together."""
    metric = describe(found.metric, task=found.made.first_run.task)
    line = found.made.lines[0]
    units = "" if found.made.units == found.made.pictures else f" in {found.made.units} groups"
    covers = "other pictures" if len(found.repeats) < 2 else "other pictures, divisions and seeds"
    told = [
        f"all {found.made.pictures} pictures{units}, each by networks that have not seen it: "
        f"{metric.show(line.found.value)} ({span(line.low, line.high, metric)} for {covers})"
    ]
    if found.mean is not None and found.fold_spread is not None:
        told.append(
            f"mean over {counted(len(found.folds), 'fold')}: {metric.show(found.mean)} "
            f"({span(found.low, found.high, metric)} for other training sets of this size); the folds spread by "
            f"{metric.show(found.fold_spread)}"
        )
    if found.repeat_spread is None:
        told.append("one repeat: what the division and the seed do is not known; --repeats 3 tells")
    else:
        told.append(f"{len(found.repeats)} repeats spread by {metric.show(found.repeat_spread)}")
    if found.metric.startswith("ap"):
        told.append(
            "the score over all pictures ranks boxes of different networks together, whose scores need not agree: it "
            "may be below the mean of the folds"
        )
    return told
