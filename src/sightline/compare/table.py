"""The comparison in a terminal: a table, verdicts in sentences, what differs, what it costs.

Next: journey.py
"""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.table import Table

from sightline.compare.comparison import Comparison, Line
from sightline.compare.words import notes, p_text, sentence, shortened, signed, span
from sightline.report.words import Metric, describe

_MOST_CHANGES = 12


def print_comparison(made: Comparison, *, to: Console) -> None:
    """Everything that a comparison says."""
    metric = describe(made.metric)
    better = "less is better" if made.less_is_better else "more is better"
    start, names = shortened([line.arm.name for line in made.lines])
    title = f"{metric.title} on {made.pictures} pictures ({better}), 95 % intervals"
    table = _table(title + (f"; names without {start}" if start else ""))
    for name in ("arm", "seeds (spread)", made.metric, "difference", "p", "verdict"):
        table.add_column(name, overflow="fold", justify="left" if name in ("arm", "verdict") else "right")
    for line, name in zip(made.lines, names, strict=True):
        table.add_row(name, *_cells(line, metric))
    to.print(table)
    for line, name in zip(made.lines, names, strict=True):
        if line.difference is not None:
            _say(f"{name}: {sentence(line, made)}.", to=to)
            shown = [str(one) for one in line.changes[:_MOST_CHANGES]]
            left = len(line.changes) - len(shown)
            for text in [*shown, *([f"and {left} more settings differ"] if left > 0 else [])]:
                _say(f"    {text}", to=to)
    for note in notes(made):
        _say(note, to=to)
    _print_costs(made, names, to=to)


def _print_costs(made: Comparison, names: Sequence[str], *, to: Console) -> None:
    costs = [(name, line, line.cost) for name, line in zip(names, made.lines, strict=True) if line.cost is not None]
    if not costs:
        return
    table = _table("Cost of one picture, measured here")
    for name in ("arm", "parameters", "GFLOPs", "ms", "MB", "Pareto front"):
        table.add_column(name, overflow="fold", justify="left" if name == "arm" else "right")
    for name, line, cost in costs:
        numbers = (f"{cost.parameters:,}", f"{cost.flops / 1e9:.3g}", f"{cost.latency_ms:.1f}", f"{cost.memory_mb:.0f}")
        table.add_row(name, *numbers, "yes" if line.on_front else "no")
    to.print(table)
    _say(cost_note(costs[0][2].threads), to=to)


def cost_note(threads: int) -> str:
    """What the columns of costs mean."""
    return (
        f"ms: median from decoded pixels to the answer with {threads} threads, all arms in turn. MB: peak of one "
        "training step of one picture. On the front: no other arm is as good in score and all costs and better in one."
    )


def _table(title: str) -> Table:
    return Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1))


def _cells(line: Line, metric: Metric) -> list[str]:
    found = line.difference
    spread = "" if line.spread is None else f"\n({metric.show(line.spread)})"
    cells = [
        f"{len(line.arm.runs)}{spread}",
        f"{metric.show(line.found.value)}\n{span(line.low, line.high, metric)}",
    ]
    if found is None:
        return [*cells, "", "", "baseline"]
    between = f"{signed(found.found.value, metric)}\n{span(found.low, found.high, metric)}"
    return [*cells, between, p_text(found.p_corrected), found.verdict]


def _say(text: str, *, to: Console) -> None:
    to.print(text, highlight=False, markup=False, soft_wrap=True)
