"""Charts as SVG text: axes with round ticks, lines, bars, points on a shape.

Colours come from the page's CSS classes, so that charts follow light and dark. All text is escaped
here. Sizes are for a 440 wide view box that the page scales.
Next: pictures.py
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import numpy as np

_WIDTH, _HEIGHT = 440, 280
_LEFT, _RIGHT, _TOP, _BOTTOM = 50, 12, 28, 42


@dataclass(frozen=True, kw_only=True)
class Series:
    """One line: `tone` picks its looks (a, b, c, or k0 to k6), `dots` marks the values, `ring` one place near it."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    tone: str = "a"
    dots: bool = False
    ring: tuple[float, float] | None = None


@dataclass(frozen=True, kw_only=True)
class Axis:
    """Where values lie along one side of a chart."""

    low: float
    high: float
    ticks: tuple[float, ...]
    is_log: bool = False

    def place(self, value: float, *, start: float, end: float) -> float:
        """A value's place between two ends, in view box units."""
        if self.is_log:
            part = (math.log(value) - math.log(self.low)) / (math.log(self.high) - math.log(self.low))
        else:
            part = (value - self.low) / (self.high - self.low)
        return start + part * (end - start)


def linear_axis(low: float, high: float, *, count: int = 5) -> Axis:
    """An axis that reaches from a round number to a round number, in steps of 1, 2 or 5 times a power of ten."""
    if high <= low:
        low, high = (low - 0.5, high + 0.5) if low == 0 else (low - abs(low) * 0.1, high + abs(low) * 0.1)
    step = _round_step((high - low) / count)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    ticks = tuple(round(i * step, 12) for i in range(first, last + 1))
    return Axis(low=ticks[0], high=ticks[-1], ticks=ticks)


def log_axis(low: float, high: float) -> Axis:
    """A logarithmic axis over positive values; 1, 2 and 5 of each power of ten where there is room, else powers."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    factors = (1, 2, 5) if high / low < 200 else (1,)
    ticks = tuple(
        f * 10.0**p for p in range(first, last + 1) for f in factors if low * 0.999 <= f * 10.0**p <= high * 1.001
    )
    return Axis(low=low, high=max(high, low * 1.01), ticks=ticks or (low, high), is_log=True)


def suits_log(values: Sequence[float]) -> bool:
    """Whether values spread so far, all above zero, that a linear axis would hide the small ones."""
    return len(values) > 0 and min(values) > 0 and max(values) / min(values) > 25


def line_chart(
    series: Sequence[Series], *, title: str, x_label: str, y_label: str, from_zero: bool = False,
    marks: Sequence[tuple[float, str]] = (), is_unit: bool = False,
) -> str:  # fmt: skip
    """A chart of one or more lines with a legend; `marks` are labelled vertical lines.

    With `is_unit` both axes go from 0 to 1.

    The values travel along as JSON, for the page's script to read out under the pointer.
    """
    xs = [x for line in series for x in line.x]
    ys = [y for line in series for y in line.y]
    start = 0.0 if 0 <= min(xs) < 0.1 * max(xs) else min(xs)
    x_axis = linear_axis(start, max(xs))
    x_axis = Axis(low=start, high=max(xs), ticks=x_axis.ticks) if max(xs) > start else x_axis
    if is_unit:
        x_axis = y_axis = linear_axis(0.0, 1.0)
    elif not from_zero and suits_log(ys):
        y_axis = log_axis(min(ys), max(ys))
    else:
        y_axis = linear_axis(0.0 if from_zero else min(ys), max(ys))
    lines = "".join(_line(line, x_axis=x_axis, y_axis=y_axis) for line in series)
    body = _frame(x_axis, y_axis, x_label=x_label, y_label=y_label + (" (log)" if y_axis.is_log else ""))
    lines += "".join(_mark(x, text, x_axis=x_axis) for x, text in marks if x_axis.low <= x <= x_axis.high)
    legend = "".join(f'<li class="tone-{line.tone}">{escape(line.name)}</li>' for line in series)
    data = {
        "x": x_label,
        "series": [
            {
                "name": line.name,
                "x": [float(f"{v:.6g}") for v in line.x],
                "y": [float(f"{v:.4g}") for v in line.y],
                "px": [round(_px(v, x_axis), 1) for v in line.x],
            }
            for line in series
        ],
    }
    return (
        f'<figure class="chart"><figcaption><h3>{escape(title)}</h3><ul class="legend">{legend}</ul></figcaption>'
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(title, quote=True)}">{body}{lines}'
        f'<line class="cursor" y1="{_TOP}" y2="{_HEIGHT - _BOTTOM}" x1="0" x2="0" visibility="hidden"/></svg>'
        f'<p class="readout" aria-live="polite"></p>'
        f'<script type="application/json">{script_json(data)}</script></figure>'
    )


def interval_ruler(*, value: float, low: float, high: float, label: str, end: float | None = None) -> str:
    """A value and its interval on a ruler, from 0 to `end`, or to a little above the interval."""
    axis = linear_axis(0.0, end or high * 1.25, count=6)
    width, y = 480, 20

    def at(v: float) -> float:
        return axis.place(v, start=8, end=width - 16)

    minor = np.linspace(axis.low, axis.high, (len(axis.ticks) - 1) * 5 + 1)
    ticks = "".join(f'<line class="minor" x1="{at(v):.1f}" x2="{at(v):.1f}" y1="{y}" y2="{y + 5}"/>' for v in minor)
    for tick in axis.ticks:
        x = at(tick)
        ticks += f'<line class="major" x1="{x:.1f}" x2="{x:.1f}" y1="{y}" y2="{y + 10}"/>'
        ticks += f'<text x="{x:.1f}" y="{y + 24}" text-anchor="middle">{tick_text(tick)}</text>'
    return (
        f'<svg class="ruler" viewBox="0 0 {width} 48" role="img" aria-label="{escape(label, quote=True)}">'
        f'<rect class="interval" x="{at(low):.1f}" width="{max(at(high) - at(low), 1.5):.1f}" y="4" height="{y - 4}"/>'
        f'<line class="needle" x1="{at(value):.1f}" x2="{at(value):.1f}" y1="0" y2="{y + 12}"/>'
        f'<line class="base" x1="{at(axis.low):.1f}" x2="{at(axis.high):.1f}" y1="{y}" y2="{y}"/>{ticks}</svg>'
    )


def shape_chart(
    shape_xy: Sequence[Sequence[float]], errors: Sequence[float | None], *, labels: Sequence[str],
    edges: Sequence[tuple[int, int]], title: str,
) -> str:  # fmt: skip
    """Points on a mean shape: a circle's area is its error, its colour goes from the least error to the largest."""
    xy = np.asarray(shape_xy, dtype=float)
    low, span = xy.min(axis=0), max(float(np.ptp(xy, axis=0).max()), 1e-9)
    placed = (xy - low) / span * 360 + 40
    width, height = placed.max(axis=0) + 40
    top = max((e for e in errors if e is not None), default=1.0) or 1.0
    steps = heat_steps(errors)
    bones = "".join(
        f'<line x1="{placed[a, 0]:.1f}" y1="{placed[a, 1]:.1f}" x2="{placed[b, 0]:.1f}" y2="{placed[b, 1]:.1f}"/>'
        for a, b in edges
    )
    crowd = min(1.0, 4.5 / math.sqrt(len(xy)))
    circles = ""
    for index in sorted(range(len(xy)), key=lambda k: errors[k] or 0.0, reverse=True):  # small ones above large ones
        (x, y), part = placed[index], (errors[index] or 0.0) / top
        radius = 17 * math.sqrt(part) * crowd + 1.5 if errors[index] is not None else 3.0
        text = escape(labels[index], quote=True)
        circles += (
            f'<circle class="heat-{steps[index]}" data-point="{index}" data-label="{text}" cx="{x:.1f}" cy="{y:.1f}" '
            f'r="{radius:.1f}"><title>{text}</title></circle>'
        )
    return (
        f'<svg class="shape" viewBox="0 0 {width:.0f} {height:.0f}" role="img" '
        f'aria-label="{escape(title, quote=True)}"><g class="bones">{bones}</g>{circles}</svg>'
    )


def heat_steps(errors: Sequence[float | None]) -> list[str]:
    """Colour steps "0" to "4" between the least and the largest error; "none" where there is no error."""
    known = [e for e in errors if e is not None]
    low, span = min(known, default=0.0), max(known, default=0.0) - min(known, default=0.0)
    return ["none" if e is None else str(min(4, int((e - low) / (span or 1.0) * 5))) for e in errors]


def script_json(value: object) -> str:
    """JSON that may stand inside a script element: nothing in it can end the element."""
    text = json.dumps(value, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def thin_out(x: Sequence[float], y: Sequence[float], *, most: int = 300) -> tuple[list[float], list[float], int]:
    """Means of neighbouring values, so that at most `most` remain; also how many went into each."""
    share = -(-len(x) // most)
    if share <= 1:
        return list(x), list(y), 1
    starts = range(0, len(x), share)
    return (
        [float(np.mean(x[s : s + share])) for s in starts],
        [float(np.mean(y[s : s + share])) for s in starts],
        share,
    )


def _px(value: float, axis: Axis) -> float:
    return axis.place(value, start=_LEFT, end=_WIDTH - _RIGHT)


def _py(value: float, axis: Axis) -> float:
    return axis.place(value, start=_HEIGHT - _BOTTOM, end=_TOP)


def _line(series: Series, *, x_axis: Axis, y_axis: Axis) -> str:
    places = [(_px(x, x_axis), _py(y, y_axis)) for x, y in zip(series.x, series.y, strict=True)]
    path = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in places)
    drawn = f'<path class="line tone-{series.tone}" d="{path}"/>'
    if series.dots or len(places) == 1:
        drawn += "".join(
            f'<circle class="dot tone-{series.tone}" cx="{x:.1f}" cy="{y:.1f}" r="2.6"/>' for x, y in places
        )
    if series.ring is not None:
        x, y = _px(series.ring[0], x_axis), _py(series.ring[1], y_axis)
        drawn += f'<circle class="ring tone-{series.tone}" cx="{x:.1f}" cy="{y:.1f}" r="5"/>'
    return drawn


def _mark(x: float, text: str, *, x_axis: Axis) -> str:
    place = _px(x, x_axis)
    anchor, shift = ("end", -4) if place > _WIDTH * 0.6 else ("start", 4)
    return (
        f'<line class="mark" x1="{place:.1f}" x2="{place:.1f}" y1="{_TOP}" y2="{_HEIGHT - _BOTTOM}"/>'
        f'<text class="mark" x="{place + shift:.1f}" y="{_TOP + 9}" text-anchor="{anchor}">{escape(text)}</text>'
    )


def _frame(x_axis: Axis, y_axis: Axis, *, x_label: str, y_label: str) -> str:
    bottom, right = _HEIGHT - _BOTTOM, _WIDTH - _RIGHT
    out = ""
    for tick in y_axis.ticks:
        y = _py(tick, y_axis)
        out += f'<line class="grid" x1="{_LEFT}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}"/>'
        out += f'<text x="{_LEFT - 7}" y="{y + 4:.1f}" text-anchor="end">{tick_text(tick)}</text>'
    for tick in x_axis.ticks:
        if x_axis.low - 1e-9 <= tick <= x_axis.high + 1e-9:
            x = _px(tick, x_axis)
            out += f'<line class="tick" x1="{x:.1f}" x2="{x:.1f}" y1="{bottom}" y2="{bottom + 4}"/>'
            out += f'<text x="{x:.1f}" y="{bottom + 17}" text-anchor="middle">{tick_text(tick)}</text>'
    out += f'<line class="base" x1="{_LEFT}" x2="{right}" y1="{bottom}" y2="{bottom}"/>'
    out += f'<text class="label" x="{right}" y="{_HEIGHT - 6}" text-anchor="end">{escape(x_label)}</text>'
    out += f'<text class="label" x="{_LEFT - 44}" y="{_TOP - 16}">{escape(y_label)}</text>'
    return out


def tick_text(value: float) -> str:
    """A tick's value, short: 20k for 20,000."""
    if abs(value) >= 1e6:
        return f"{value / 1e6:g}M"
    if abs(value) >= 1e4:
        return f"{value / 1e3:g}k"
    return f"{value:.6g}"


def _round_step(step: float) -> float:
    power = 10.0 ** math.floor(math.log10(step))
    return next((f * power for f in (1, 2, 5) if f * power >= step * 0.999), 10 * power)
