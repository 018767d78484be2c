"""A sweep on the terminal: the best trials, the front, and what is to be thought of them.

Next: page.py
"""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from sightline.report.words import Metric
from sightline.sweep.result import Result, caution
from sightline.sweep.space import Value
from sightline.sweep.tried import Tried

MOST = 10  # trials in the table


def value_text(value: Value) -> str:
    """A drawn value, short enough to read."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def drawn_text(tried: Tried) -> str:
    """All drawn values in one line."""
    return ", ".join(f"{name}={value_text(value)}" for name, value in tried.drawn.items())


def score_text(tried: Tried, metric: Metric) -> str:
    """Mean and spread over the seeds."""
    if tried.score is None:
        return "-"
    return metric.show(tried.score) + ("" if tried.spread is None else f" \u00b1 {metric.show(tried.spread)}")


def trial_line(tried: Tried, found: Result, *, total: int) -> str:
    """What a trial came to, when it ends."""
    metric = found.metric
    done = sum(each.state not in ("running", "lost") for each in found.tried)
    if tried.score is not None:
        said = score_text(tried, metric) + (f" ({tried.error})" if tried.state == "over the limit" else "")
    elif tried.state == "pruned" and tried.means:
        percent = max(tried.means)
        said = f"pruned at {percent} % of the epochs: mean over {found.settings.seeds} seeds "
        said += metric.show(tried.means[percent])
    else:
        said = f"{tried.state}{': ' if tried.error else ''}{tried.error}"
    best = found.best
    beside = "" if best is None else f"; best so far: trial {best.number}, {score_text(best, metric)}"
    return f"trial {tried.number}: {said} [{drawn_text(tried)}] {done} of {total}{beside}"


def print_result(found: Result, *, to: Console) -> None:
    """The table, the front where there are several objectives, and what is known of the winner."""
    counts = ", ".join(f"{number} {state}" for state, number in found.counts().items())
    to.print(f"{len(found.tried)} trials: {counts}", highlight=False, markup=False, soft_wrap=True)
    if found.ranked:
        to.print(_table(found, found.ranked[:MOST], title="best trials"))
    if found.front:
        to.print(_table(found, found.front, title="front: no other trial is better in one and worse in none"))
    lines = [*caution(found)]
    if found.recheck is not None:
        lines.append(found.recheck.words())
    for line in lines:
        to.print(line, highlight=False, markup=False, soft_wrap=True)


def _table(found: Result, some: list[Tried], *, title: str) -> Table:
    metric = found.metric
    known = {
        "s a run": [each.seconds for each in some],
        "ms": [each.latency_ms for each in some],
        "parameters": [each.parameters for each in some],
    }
    columns = [name for name, values in known.items() if any(value is not None for value in values)]
    if len(set(known["parameters"])) == 1:
        columns.remove("parameters")  # nothing that is searched changes the model's size
    table = Table(title=title, title_justify="left")
    table.add_column("trial", justify="right")
    table.add_column(f"{metric.title}, mean \u00b1 sd of {found.settings.seeds} seeds", justify="right")
    for name in columns:
        table.add_column(name, justify="right")
    table.add_column("drawn", overflow="fold")
    own = found.own
    for place, each in enumerate(some):
        cells = ["-" if known[name][place] is None else _number(known[name][place]) for name in columns]
        note = " (the recipe)" if own is not None and own.number == each.number else ""
        over = f" [{each.error}]" if each.state == "over the limit" else ""
        drawn = (drawn_text(each) + note + over).replace("[", "\\[")
        table.add_row(str(each.number), score_text(each, metric), *cells, drawn)
    return table


def _number(value: float | None) -> str:
    assert value is not None, "dashes were told before"
    return f"{value:,}" if isinstance(value, int) else f"{value:.3g}" if value < 100 else f"{value:,.0f}"
