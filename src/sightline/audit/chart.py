"""The chart of differences: every condition with its interval, one row each, on one axis.

Next: page.py
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from sightline.audit.differences import Effect
from sightline.report.charts import linear_axis, tick_text
from sightline.report.words import Metric

_KINDS = {"better": "better", "worse": "worse", "cannot tell": "unclear"}
_WIDTH, _ROW, _LEFT, _RIGHT = 430, 23, 196, 12
_MOST_LETTERS = 30


def differences(rows: Sequence[tuple[str, Effect]], *, metric: Metric, less_is_better: bool) -> str:
    """A chart of changes against the plain pictures; empty where none has an interval.

    Args:
        rows: names and effects, in the order to show.
        metric: how to write the numbers.
        less_is_better: which side is the bad one.
    """
    known = [(name, effect) for name, effect in rows if effect.low is not None and effect.high is not None]
    if not known:
        return ""
    ends = [end * metric.factor for _, effect in known for end in (effect.low or 0.0, effect.high or 0.0)]
    axis = linear_axis(min(0.0, *ends), max(0.0, *ends), count=4)
    bottom = _ROW * len(known) + 8

    def at(value: float) -> float:
        return axis.place(value, start=_LEFT, end=_WIDTH - _RIGHT)

    drawn = f'<line class="zero" x1="{at(0):.1f}" x2="{at(0):.1f}" y1="2" y2="{bottom}"/>'
    for place, (name, effect) in enumerate(known):
        y = _ROW * place + 16
        low, high, value = (metric.factor * v for v in (effect.low or 0.0, effect.high or 0.0, effect.difference))
        short = name if len(name) <= _MOST_LETTERS else f"{name[: _MOST_LETTERS - 1]}\u2026"
        drawn += (
            f'<g class="{_KINDS[effect.verdict]}"><text x="{_LEFT - 10}" y="{y + 4}" text-anchor="end">{escape(short)}'
            f'</text><line class="span" x1="{at(low):.1f}" x2="{at(high):.1f}" y1="{y}" y2="{y}"/>'
            f'<circle cx="{at(value):.1f}" cy="{y}" r="4"/></g>'
        )
    for tick in axis.ticks:
        drawn += f'<line x1="{at(tick):.1f}" x2="{at(tick):.1f}" y1="{bottom}" y2="{bottom + 5}"/>'
        drawn += (
            f'<text class="tick" x="{at(tick):.1f}" y="{bottom + 18}" text-anchor="middle">{tick_text(tick)}</text>'
        )
    unit = f", {metric.unit}" if metric.unit else ""
    side = "right" if less_is_better else "left"
    title = f"Change of {metric.title}{unit}"
    return (
        f'<figure class="changes"><h3>{escape(title)}</h3><svg class="forest" viewBox="0 0 {_WIDTH} {bottom + 24}" '
        f'role="img" aria-label="{escape(title, quote=True)}">{drawn}</svg>'
        f'<figcaption class="fine">95 % intervals against the plain pictures; worse is to the {side}.</figcaption>'
        "</figure>"
    )
