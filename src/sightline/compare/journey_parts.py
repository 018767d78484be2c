"""Parts of the journey page made of numbers: intervals side by side, the table, steps, costs, settings.

Next: journey.py
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from sightline.compare.arms import Arm, changes, flat
from sightline.compare.comparison import Comparison, Difference
from sightline.compare.table import cost_note
from sightline.compare.words import p_text, signed, span
from sightline.report.charts import linear_axis, tick_text
from sightline.report.tables import Line as TableLine
from sightline.report.tables import cell, number_table
from sightline.report.words import describe

_KINDS = {"better": "better", "worse": "worse", "cannot tell": "unclear"}
_MOST_LETTERS = 34  # of an arm's name in the drawing
_MOST_CHANGES = 14


def forest(made: Comparison) -> str:
    """The differences to the baseline with their intervals, below each other; empty without any."""
    lines = [(line.arm.name, line.difference) for line in made.lines if line.difference is not None]
    known = [(name, found) for name, found in lines if found.low is not None and found.high is not None]
    if not known:
        return ""
    metric = describe(made.metric)
    ends = [end * metric.factor for _, found in known for end in (found.low or 0.0, found.high or 0.0)]
    axis = linear_axis(min(0.0, *ends), max(0.0, *ends))
    width, row = 400, 44
    height = row * len(known) + 34

    def at(value: float) -> float:
        return axis.place(value * metric.factor, start=10, end=width - 10)

    drawn = f'<line class="zero" x1="{at(0):.1f}" x2="{at(0):.1f}" y1="4" y2="{height - 26}"/>'
    for place, (name, found) in enumerate(known):
        y = row * place + 30
        low, high, value = found.low or 0.0, found.high or 0.0, found.found.value
        short = name if len(name) <= _MOST_LETTERS else f"{name[: _MOST_LETTERS - 1]}\u2026"
        drawn += (
            f'<g class="{_KINDS[found.verdict]}"><text x="10" y="{y - 12}">{escape(short)}: {found.verdict}</text>'
            f'<line class="span" x1="{at(low):.1f}" x2="{at(high):.1f}" y1="{y}" y2="{y}"/>'
            f'<circle cx="{at(value):.1f}" cy="{y}" r="5"/></g>'
        )
    bottom = height - 24
    for tick in axis.ticks:
        x = axis.place(tick, start=10, end=width - 10)
        drawn += f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{bottom}" y2="{bottom + 5}"/>'
        drawn += f'<text class="tick" x="{x:.1f}" y="{bottom + 18}" text-anchor="middle">{tick_text(tick)}</text>'
    base = escape(made.lines[made.baseline].arm.name)
    unit = f", {metric.unit}" if metric.unit else ""
    return (
        f'<svg class="forest" viewBox="0 0 {width} {height}" role="img" aria-label="Differences to {base}">{drawn}'
        f'</svg><p class="fine">Difference of {escape(metric.title)} to {base}{unit}, with 95 % intervals.</p>'
    )


def score_table(made: Comparison) -> str:
    """Every arm with its score, its difference and the verdict."""
    metric = describe(made.metric)
    lines = []
    for line in made.lines:
        found = line.difference
        spread = "" if line.spread is None else f"<small>spread {escape(metric.show(line.spread))}</small>"
        cells = [
            _with_span(metric.show(line.found.value), span(line.low, line.high, metric)),
        ]
        said = "the baseline"
        if found is None:
            cells += [cell("\u2013"), cell("\u2013")]
        else:
            cells += [
                _with_span(signed(found.found.value, metric), span(found.low, found.high, metric)),
                cell(p_text(found.p_corrected)),
            ]
            said = f'<span class="verdict {_KINDS[found.verdict]}">{found.verdict}</span>'
        cells = [f"<td>{said}</td>", *cells, f"<td>{len(line.arm.runs)}{spread}</td>"]
        lines.append(TableLine(name=line.arm.name, cells=cells))
    return number_table(("Version", "Verdict", metric.title, "Difference", "p", "Seeds"), lines, kind="verdicts")


def step(after: Arm, before: Arm, found: Sequence[tuple[str, Difference]]) -> str:
    """What a version changed against the one before, and which metrics that moved."""
    changed = changes(before.runs[0], after.runs[0])
    listed = [escape(str(one)) for one in changed[:_MOST_CHANGES]]
    listed += [f"and {len(changed) - _MOST_CHANGES} more"] if len(changed) > _MOST_CHANGES else []
    of_recipe = all(one.found.seeds is not None for _, one in found)
    groups: dict[str, list[str]] = {"better": [], "worse": [], "cannot tell": []}
    for name, one in found:
        metric = describe(name)
        said = one.verdict if of_recipe else one.on_these_runs
        groups[said].append(
            f"{escape(metric.title)}: {escape(signed(one.found.value, metric))} "
            f"({escape(span(one.low, one.high, metric))})"
        )
    on = "" if of_recipe else ", these networks"
    unclear = groups["cannot tell"]
    parts = (
        _list(f"Changed against {escape(before.name)}", listed),
        _list(f"Improved{on}", groups["better"]),
        _list(f"Got worse{on}", groups["worse"]),
    )
    folded = f"<details><summary>No clear change ({len(unclear)})</summary>{_list('', unclear)}</details>"
    return f'<div class="steps">{"".join(parts)}</div>{folded if unclear else ""}'


def costs(made: Comparison) -> str:
    """What each version costs, where it was measured."""
    known = [(line, line.cost) for line in made.lines if line.cost is not None]
    if not known:
        return ""
    lines = [
        TableLine(
            name=line.arm.name,
            cells=[
                cell(f"{cost.parameters:,}"),
                cell(f"{cost.flops / 1e9:.3g}"),
                cell(f"{cost.latency_ms:.1f}"),
                cell(f"{cost.memory_mb:.0f}"),
                cell("yes" if line.on_front else "no"),
            ],
        )
        for line, cost in known
    ]
    table = number_table(("Version", "Parameters", "GFLOPs", "ms", "MB", "Pareto front"), lines)
    return f'{table}<p class="fine">{escape(cost_note(known[0][1].threads))}</p>'


def settings(made: Comparison) -> str:
    """Every setting that is not the same in all versions, key by key."""
    base = made.lines[made.baseline].arm.runs[0]
    keys = list(dict.fromkeys(one.key for line in made.lines for one in line.changes))
    if not keys:
        return "<p>All settings are the same.</p>" if len(made.lines) > 1 else ""
    values = []
    for line in made.lines:
        changed = {one.key: one.after for one in changes(base, line.arm.runs[0])}
        own = flat(base.config)
        values.append([changed[key] if key in changed else own.get(key) for key in keys])
    lines = [
        TableLine(name=key, cells=[cell(column[row] or "\u2013") for column in values]) for row, key in enumerate(keys)
    ]
    return number_table(("Setting", *(line.arm.name for line in made.lines)), lines)


def _with_span(value: str, between: str) -> str:
    return f"<td>{escape(value)}<small>{escape(between)}</small></td>"


def _list(title: str, items: Sequence[str]) -> str:
    """A titled list; its items are HTML."""
    head = f"<h4>{title}</h4>" if title else ""
    if not items:
        return f'<div>{head}<p class="none">nothing</p></div>'
    return f"<div>{head}<ul>{''.join(f'<li>{item}</li>' for item in items)}</ul></div>"
