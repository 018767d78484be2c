"""The trajectory plot: x and y of truth and prediction over the frames of a clip, bad stretches shaded.

Next: track_sections.py
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape

from sightline.report.charts import Axis, linear_axis, script_json, tick_text
from sightline.report.track_facts import FrameFacts

_WIDTH, _HEIGHT = 440, 210
_LEFT, _RIGHT, _TOP, _BOTTOM = 50, 12, 28, 38
_Points = list[tuple[int, float]]
_At = Callable[[float], float]  # a value's place along an axis, in view box units


def trajectory_charts(frames: Sequence[FrameFacts]) -> str:
    """Two charts, x and y, of consecutive labelled frames."""
    return "".join(_chart(frames, axis=axis) for axis in (0, 1))


def _chart(frames: Sequence[FrameFacts], *, axis: int) -> str:
    truth = [(frame.number, frame.truth[axis]) for frame in frames if frame.truth is not None]
    guess = [(frame.number, frame.guess[axis]) for frame in frames if frame.guess is not None]
    if not truth and not guess:
        return ""
    first, last = frames[0].number, max(frames[-1].number, frames[0].number + 1)
    x_axis = Axis(low=first, high=last, ticks=linear_axis(first, last).ticks)
    values = [value for _, value in (*truth, *guess)]
    y_axis = linear_axis(min(values), max(values), count=4)

    def at_x(value: float) -> float:
        return x_axis.place(value, start=_LEFT, end=_WIDTH - _RIGHT)

    def at_y(value: float) -> float:
        # y grows downwards, as in the frames.
        ends = (_TOP, _HEIGHT - _BOTTOM) if axis else (_HEIGHT - _BOTTOM, _TOP)
        return y_axis.place(value, start=ends[0], end=ends[1])

    name = "xy"[axis]
    body = _shades(frames, at_x=at_x) + _frame(x_axis, y_axis, at_x=at_x, at_y=at_y, label=f"{name}, px")
    body += _line(truth, kind="truth", at_x=at_x, at_y=at_y) + _line(guess, kind="guess", at_x=at_x, at_y=at_y)
    data = {
        "x": "frame",
        "series": [
            {
                "name": title,
                "x": [number for number, _ in points],
                "y": [round(value, 1) for _, value in points],
                "px": [round(at_x(number), 1) for number, _ in points],
            }
            for title, points in (("truth", truth), ("prediction", guess))
            if points
        ],
    }
    legend = '<li class="tone-truth">truth</li><li class="tone-guess">prediction</li>'
    title = f"{name} over frames"
    return (
        f'<figure class="chart"><figcaption><h3>{escape(title)}</h3><ul class="legend">{legend}</ul></figcaption>'
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" aria-label="{escape(title, quote=True)}">{body}'
        f'<line class="cursor" y1="{_TOP}" y2="{_HEIGHT - _BOTTOM}" x1="0" x2="0" visibility="hidden"/></svg>'
        f'<p class="readout" aria-live="polite"></p>'
        f'<script type="application/json">{script_json(data)}</script></figure>'
    )


def _shades(frames: Sequence[FrameFacts], *, at_x: _At) -> str:
    """A strip behind each run of frames that are wrong, or where the point is labelled as not visible."""
    strips: list[tuple[str, int, int]] = []
    for frame in frames:
        kind = "lost" if not frame.is_right else "hidden" if frame.truth is None else ""
        if kind and strips and strips[-1][0] == kind and strips[-1][2] + 1 == frame.number:
            strips[-1] = (kind, strips[-1][1], frame.number)
        elif kind:
            strips.append((kind, frame.number, frame.number))
    width = at_x(1) - at_x(0)
    out = ""
    for kind, start, end in strips:
        low, high = max(_LEFT, at_x(start) - width / 2), min(_WIDTH - _RIGHT, at_x(end) + width / 2)
        size = f'width="{high - low:.1f}" height="{_HEIGHT - _BOTTOM - _TOP}"'
        out += f'<rect class="shade {kind}" x="{low:.1f}" y="{_TOP}" {size}/>'
    return out


def _line(points: _Points, *, kind: str, at_x: _At, at_y: _At) -> str:
    """Lines through frames that follow each other, and a dot for each that stands alone."""
    pieces: list[_Points] = []
    for number, value in points:
        if pieces and pieces[-1][-1][0] + 1 == number:
            pieces[-1].append((number, value))
        else:
            pieces.append([(number, value)])
    path = "".join("M" + "L".join(f"{at_x(n):.1f} {at_y(v):.1f}" for n, v in piece) for piece in pieces)
    alone = "".join(
        f'<circle class="dot tone-{kind}" cx="{at_x(piece[0][0]):.1f}" cy="{at_y(piece[0][1]):.1f}" r="2.2"/>'
        for piece in pieces
        if len(piece) == 1
    )
    return f'<path class="line tone-{kind}" d="{path}"/>{alone}' if path else ""


def _frame(x_axis: Axis, y_axis: Axis, *, at_x: _At, at_y: _At, label: str) -> str:
    bottom, right = _HEIGHT - _BOTTOM, _WIDTH - _RIGHT
    out = ""
    for tick in y_axis.ticks:
        y = at_y(tick)
        out += f'<line class="grid" x1="{_LEFT}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}"/>'
        out += f'<text x="{_LEFT - 7}" y="{y + 4:.1f}" text-anchor="end">{tick_text(tick)}</text>'
    for tick in x_axis.ticks:
        if x_axis.low <= tick <= x_axis.high and tick == int(tick):
            x = at_x(tick)
            out += f'<line class="tick" x1="{x:.1f}" x2="{x:.1f}" y1="{bottom}" y2="{bottom + 4}"/>'
            out += f'<text x="{x:.1f}" y="{bottom + 17}" text-anchor="middle">{tick_text(tick)}</text>'
    out += f'<line class="base" x1="{_LEFT}" x2="{right}" y1="{bottom}" y2="{bottom}"/>'
    out += f'<text class="label" x="{right}" y="{_HEIGHT - 4}" text-anchor="end">frame</text>'
    return out + f'<text class="label" x="{_LEFT - 44}" y="{_TOP - 15}">{escape(label)}</text>'
