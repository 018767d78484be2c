"""A learning curve in words and in the terminal.

Next: curve_page.py
"""

from __future__ import annotations

from rich import box
from rich.console import Console
from rich.table import Table

from sightline.report.words import Metric, describe
from sightline.small_data.curve import MORE, LearningCurve, mean_of, spread_of

_TIMES = {2: "twice"}


def print_curve(found: LearningCurve, *, to: Console) -> None:
    """The table of shares and the sentences below it."""
    metric = describe(found.metric, task=found.task)
    better = "less is better" if found.less_is_better else "more is better"
    table = Table(
        title=f"{metric.title} ({better}) on {found.val} validation records",
        title_justify="left",
        box=box.SIMPLE_HEAD,
        padding=(0, 1),
    )
    for name in ("share", "labels", "runs", f"mean {found.metric}", "spread over seeds", "law"):
        table.add_column(name, justify="right")
    for share, runs in found.shares:
        values = [run.value for run in runs]
        law = "" if found.curve.law is None else metric.show(found.curve.law.score(mean_of([r.labels for r in runs])))
        table.add_row(
            f"{share:g} %", labels_text([run.labels for run in runs]), str(len(runs)), metric.show(mean_of(values)),
            metric.show(spread_of(values)), law,
        )  # fmt: skip
    to.print(table)
    for line in sentences(found):
        to.print(line, highlight=False, markup=False, soft_wrap=True)


def labels_text(labels: list[int]) -> str:
    """How many labels the runs of a share had."""
    low, high = min(labels), max(labels)
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def forecast_text(found: LearningCurve) -> str:
    """The forecast in a sentence without its full stop; why there is none, where there is none."""
    if not found.curve.forecasts:
        return f"cannot tell what {_TIMES[MORE]} the labels would give"
    metric = describe(found.metric, task=found.task)
    one = found.curve.forecasts[0]
    half = metric.show(one.half)
    return (
        f"{_TIMES[MORE]} the labels ({one.labels // MORE:,} -> {one.labels:,}) would give {metric.show(one.value)} +- "
        f"{half} ({metric.show_range(one.low, one.high)}, 95 % for a single training, on these validation records)"
    )


def sentences(found: LearningCurve) -> list[str]:
    """What the curve says."""
    told = [forecast_text(found)]
    if found.curve.forecasts and found.curve.law is not None:
        one = found.curve.forecasts[0]
        now = found.curve.law.score(one.labels / MORE)
        if one.low <= now <= one.high:
            metric = describe(found.metric, task=found.task)
            told.append(f"that this is better than now ({metric.show(now)} by the law) is not certain")
        told.append(law_text(found, describe(found.metric, task=found.task)))
    return [*told, *found.curve.reasons]


def law_text(found: LearningCurve, metric: Metric) -> str:
    """The fitted law."""
    law = found.curve.law
    assert law is not None
    limit = metric.show(law.floor if law.best is None else law.best - law.floor)
    sign = "+" if law.best is None else "-"
    scatter = f"; single runs scatter by {100 * found.curve.scatter:.1f} % of the error" if found.curve.scatter else ""
    return f"law: {limit} {sign} {metric.show(law.gain)} x (labels / {law.scale:,.0f})^-{law.power:.2g}{scatter}"
