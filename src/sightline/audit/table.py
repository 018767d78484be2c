"""The audit in a terminal: findings in words, then what every condition does, the most harmful first.

Next: plain.py
"""

from __future__ import annotations

from rich import box
from rich.console import Console
from rich.table import Table

from sightline.audit.differences import Effect
from sightline.audit.findings import CHECKS
from sightline.audit.run import Audit
from sightline.audit.skew import Row
from sightline.compare.words import p_text, signed, span
from sightline.report.words import Metric, counted, describe

_STYLE = {"error": "bold red", "warning": "yellow", "note": "cyan"}
_SURE = {"worse": "worse", "better": "better", "cannot tell": ""}


def print_audit(made: Audit, *, to: Console) -> None:
    """Everything that an audit says."""
    metric, loss = describe(made.metric.name, task=made.task), describe("loss")
    to.print(_table(made, metric, loss))
    for finding in made.findings:
        to.print(f"[{_STYLE[finding.severity]}]{finding.severity}[/] {finding.id} ({finding.part})", highlight=False)
        _say(f"    {finding.text}", to=to)
        _say(f"    {finding.todo}", to=to)
    seen = {finding.id for finding in made.findings}
    _say(f"looked for and not found: {', '.join(id for id in CHECKS if id not in seen)}", to=to)
    for note in [*reading(made), *made.notes]:
        _say(note, to=to)


def reading(made: Audit) -> list[str]:
    """How to read the numbers."""
    better = "less is better" if made.metric.less_is_better else "more is better"
    return [
        f"Changes are against the plain pictures, picture by picture, with 95 % intervals ({better} for "
        f"{made.metric.name}); worse and better are said where p, corrected for all {len(made.rows)} rows (Holm), is "
        "at most 0.05. Pixels are changed as the network gets them, behind crop and resize."
    ]


def _table(made: Audit, metric: Metric, loss: Metric) -> Table:
    others = [part.name for part in made.parts if part.name != made.main]
    told = ", ".join(_plain_text(made, part.name, metric, loss, len(part.records)) for part in made.parts)
    table = Table(title=f"Plain pictures: {told}", title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1))
    table.add_column(f"input ({made.main})", overflow="fold")
    for name in (metric.title, "p", "loss", "p"):
        table.add_column(name, justify="right", overflow="fold")
    for name in others:
        table.add_column(f"{metric.title}, {name}", justify="right", overflow="fold")
    elsewhere = {(row.part, row.key): row for row in made.rows}
    for row in made.rows_of(made.main):
        cells = [row.words, *_cells(row.metric, metric), *_cells(row.loss, loss)]
        for name in others:
            other = elsewhere.get((name, row.key))
            cells.append("" if other is None else _cells(other.metric, metric)[0])
        table.add_row(*cells, style=_row_style(row))
    return table


def _plain_text(made: Audit, part: str, metric: Metric, loss: Metric, count: int) -> str:
    value, lost = made.plain[part]
    return f"{part} {metric.show(value)}, loss {loss.show(lost)} ({counted(count, 'picture')})"


def _cells(effect: Effect | None, metric: Metric) -> tuple[str, str]:
    """The change with its interval, and p with the verdict."""
    if effect is None:
        return "\u2013", ""
    between = f"{signed(effect.difference, metric)}\n{span(effect.low, effect.high, metric)}"
    return between, f"{p_text(effect.p_corrected)}\n{_SURE[effect.verdict]}"


def _row_style(row: Row) -> str:
    return "dim" if row.axis == "strangers" else ""


def _say(text: str, *, to: Console) -> None:
    to.print(text, highlight=False, markup=False, soft_wrap=True)
