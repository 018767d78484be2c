"""A chart of single values: numbers or names along the bottom, one dot each, and perhaps a line through some.

As charts.py: SVG text in the page's colours, 440 wide, all text escaped here. Next: pictures.py
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from sightline.report.charts import Axis, linear_axis, log_axis, suits_log, tick_text

_WIDTH, _HEIGHT = 440, 280
_LEFT, _RIGHT, _TOP, _BOTTOM = 58, 14, 28, 44
_MOST_LETTERS = 12


@dataclass(frozen=True, kw_only=True)
class Dot:
    """One value: `kind` picks its looks (a, b or c, faint), `label` is told under the pointer."""

    x: float | str
    y: float
    label: str
    kind: str = "a"


def scatter_chart(
    dots: Sequence[Dot], *, title: str, x_label: str, y_label: str, is_log: bool = False, names: Sequence[str] = (),
    steps: Sequence[tuple[float, float]] = (), legend: Sequence[tuple[str, str]] = (),
    bounds: Sequence[tuple[float, str]] = (),
) -> str:  # fmt: skip
    """A chart of dots.

    Args:
        dots: at least one.
        title: above it.
        x_label: what lies along the bottom.
        y_label: what goes up.
        is_log: whether the bottom is logarithmic; numbers above 0 only.
        names: where the bottom has names and no numbers: all of them, in order.
        steps: (x, y) of a line in steps, as of a best value so far.
        legend: kind and words.
        bounds: y values with a word, drawn as lines across.
    """
    heights = [dot.y for dot in dots] + [y for y, _ in bounds]
    y_axis = log_axis(min(heights), max(heights)) if suits_log(heights) else linear_axis(min(heights), max(heights))
    if names:
        x_axis = Axis(low=-0.5, high=len(names) - 0.5, ticks=tuple(float(i) for i in range(len(names))))
        texts = [name if len(name) <= _MOST_LETTERS else f"{name[: _MOST_LETTERS - 1]}\u2026" for name in names]
    else:
        across = [float(dot.x) for dot in dots] + [x for x, _ in steps]
        x_axis = log_axis(min(across), max(across)) if is_log else linear_axis(min(across), max(across))
        texts = [tick_text(tick) for tick in x_axis.ticks]
    body = _frame(x_axis, y_axis, texts, x_label=x_label, y_label=y_label + (" (log)" if y_axis.is_log else ""))
    for value, word in bounds:
        y = _py(value, y_axis)
        body += f'<line class="mark" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        body += f'<text class="mark" x="{_WIDTH - _RIGHT}" y="{y - 5:.1f}" text-anchor="end">{escape(word)}</text>'
    body += _stairs(steps, x_axis, y_axis)
    for dot in sorted(dots, key=lambda dot: dot.kind == "b"):  # what stands out lies on top
        place = float(names.index(str(dot.x))) if names else float(dot.x)
        x, y, text = _px(place, x_axis), _py(dot.y, y_axis), escape(dot.label, quote=True)
        body += (
            f'<circle class="dot {"faint " if dot.kind == "faint" else ""}tone-{dot.kind[0]}" cx="{x:.1f}" '
            f'cy="{y:.1f}" r="{5 if dot.kind == "b" else 4}"><title>{text}</title></circle>'
        )
    words = "".join(f'<li class="tone-{kind[0]}">{escape(word)}</li>' for kind, word in legend)
    return (
        f'<figure class="chart"><figcaption><h3>{escape(title)}</h3><ul class="legend">{words}</ul></figcaption>'
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(title, quote=True)}">{body}</svg>'
        "</figure>"
    )


def _stairs(steps: Sequence[tuple[float, float]], x_axis: Axis, y_axis: Axis) -> str:
    if not steps:
        return ""
    places = [(_px(x, x_axis), _py(y, y_axis)) for x, y in steps]
    path = f"M{places[0][0]:.1f} {places[0][1]:.1f}" + "".join(f"H{x:.1f}V{y:.1f}" for x, y in places[1:])
    return f'<path class="line tone-b" d="{path}"/>'


def _frame(x_axis: Axis, y_axis: Axis, texts: Sequence[str], *, x_label: str, y_label: str) -> str:
    bottom, right = _HEIGHT - _BOTTOM, _WIDTH - _RIGHT
    out = ""
    for tick in y_axis.ticks:
        y = _py(tick, y_axis)
        out += f'<line class="grid" x1="{_LEFT}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}"/>'
        out += f'<text x="{_LEFT - 7}" y="{y + 4:.1f}" text-anchor="end">{tick_text(tick)}</text>'
    for tick, text in zip(x_axis.ticks, texts, strict=True):
        x = _px(tick, x_axis)
        out += f'<line class="tick" x1="{x:.1f}" x2="{x:.1f}" y1="{bottom}" y2="{bottom + 4}"/>'
        out += f'<text x="{x:.1f}" y="{bottom + 17}" text-anchor="middle">{escape(text)}</text>'
    out += f'<line class="base" x1="{_LEFT}" x2="{right}" y1="{bottom}" y2="{bottom}"/>'
    out += f'<text class="label" x="{right}" y="{_HEIGHT - 8}" text-anchor="end">{escape(x_label)}</text>'
    return out + f'<text class="label" x="2" y="{_TOP - 16}">{escape(y_label)}</text>'


def _px(value: float, axis: Axis) -> float:
    return axis.place(value, start=_LEFT, end=_WIDTH - _RIGHT)


def _py(value: float, axis: Axis) -> float:
    return axis.place(value, start=_HEIGHT - _BOTTOM, end=_TOP)
