"""The sizes of a data set's boxes and the anchors on top of them, as one SVG that needs nothing else.

Width and height are on logarithmic axes of one scale, so that equal ratios lie on diagonals and what
k-means sees as near is near. The ground is tinted where a box would overlap an anchor about the same
centre by more than 0.5. Next: look.py
"""

from __future__ import annotations

import math
from html import escape

import numpy as np

from sightline.anchors.generate import Shapes
from sightline.geometry import cell_centres

_SIDE, _LEFT, _TOP, _RIGHT, _BOTTOM = 560, 58, 74, 24, 50
_CELLS = 140  # of the ground and of the boxes' bins, along each axis
_COVERED = 0.5
_STYLE = """
.anchor-map{font:13px system-ui,sans-serif;background:#fff}
.anchor-map text{fill:#3b4252}.anchor-map .title{font-size:16px;font-weight:600;fill:#1d2433}
.anchor-map .ground{fill:#e3efe6}.anchor-map .grid{stroke:#d5dae3;stroke-width:.7;fill:none}
.anchor-map .ratio{stroke:#9aa3b5;stroke-width:.8;stroke-dasharray:4 4}.anchor-map .small{font-size:11px;fill:#68718a}
.anchor-map .box{fill:#2a62c9}.anchor-map .anchor{fill:#fff8ee;stroke:#b4480a;stroke-width:1.6}
.anchor-map .level{font-size:10px;font-weight:700;fill:#8c3503;text-anchor:middle}
@media (prefers-color-scheme:dark){.anchor-map{background:#151a24}.anchor-map text{fill:#c5ccda}
.anchor-map .title{fill:#eef1f7}.anchor-map .ground{fill:#1f3329}.anchor-map .grid{stroke:#333c4e}
.anchor-map .ratio{stroke:#5f6a80}.anchor-map .small{fill:#98a2b8}.anchor-map .box{fill:#7aa7ff}
.anchor-map .anchor{fill:#33200f;stroke:#ffab5e}.anchor-map .level{fill:#ffca96}}
"""


def anchor_picture(boxes_wh: np.ndarray, *, shapes: Shapes, title: str) -> str:
    """An SVG of box sizes [M, 2] (each with an area, M at least 1) and the shapes of each level, in input pixels.

    Boxes stand in bins: the more there are in one, the larger and darker its dot. An anchor bears its level's
    number, 1 for the finest.
    """
    sizes = np.concatenate([boxes_wh, *map(np.asarray, shapes)])
    low, high = float(sizes.min()) / 1.3, float(sizes.max()) * 1.3
    edges = np.geomspace(low, high, _CELLS + 1)
    body = _ground(edges, shapes) + _axes(low, high) + _dots(boxes_wh, edges)
    for number, level in reversed(list(enumerate(shapes, start=1))):  # the finest on top: they stand closest
        for width, height in level:
            x, y = _x(width, low, high), _y(height, low, high)
            body += (
                f'<circle class="anchor" cx="{x:.1f}" cy="{y:.1f}" r="7"><title>level {number}: {width:.4g} x '
                f'{height:.4g} px</title></circle><text class="level" x="{x:.1f}" y="{y + 3.5:.1f}">{number}</text>'
            )
    width, height = _LEFT + _SIDE + _RIGHT, _TOP + _SIDE + _BOTTOM
    return (
        f'<svg class="anchor-map" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img" '
        f'aria-label="{escape(title, quote=True)}"><style>{_STYLE}</style>'
        f'<text class="title" x="{_LEFT}" y="24">{escape(title)}</text>{_legend()}{body}</svg>\n'
    )


def _ground(edges: np.ndarray, shapes: Shapes) -> str:
    """Where some anchor fits: one rectangle for each run of cells in a row."""
    middles = np.sqrt(edges[:-1] * edges[1:])
    anchors = np.concatenate([np.asarray(level) for level in shapes])
    w, h = middles[None, :, None], middles[:, None, None]
    shared = np.minimum(w, anchors[:, 0]) * np.minimum(h, anchors[:, 1])
    fits = (shared / (w * h + anchors.prod(axis=1) - shared)).max(axis=2) > _COVERED  # [height, width]
    step = _SIDE / _CELLS
    found = ""
    for row, line in enumerate(fits):
        changes = np.flatnonzero(np.diff(np.concatenate([[0], line.astype(int), [0]])))
        for start, end in changes.reshape(-1, 2):
            found += (
                f"M{_LEFT + start * step:.1f} {_TOP + _SIDE - (row + 1) * step:.1f}h{(end - start) * step:.1f}"
                f"v{step + 0.3:.1f}h-{(end - start) * step:.1f}z"
            )
    return f'<path class="ground" d="{found}"/>'


def _axes(low: float, high: float) -> str:
    """Frame, ticks at 1, 2 and 5, and diagonals of equal ratio."""
    found = f'<rect class="grid" x="{_LEFT}" y="{_TOP}" width="{_SIDE}" height="{_SIDE}"/>'
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    factors = (1, 2, 5) if high / low < 2000 else (1,)
    for tick in (f * 10.0**p for p in powers for f in factors):
        if low <= tick <= high:
            x, y = _x(tick, low, high), _y(tick, low, high)
            found += f'<path class="grid" d="M{x:.1f} {_TOP}v{_SIDE}M{_LEFT} {y:.1f}h{_SIDE}"/>'
            found += f'<text x="{x:.1f}" y="{_TOP + _SIDE + 18}" text-anchor="middle">{tick:g}</text>'
            found += f'<text x="{_LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{tick:g}</text>'
    for ratio, name in ((0.25, "4 : 1"), (0.5, "2 : 1"), (1, "1 : 1"), (2, "1 : 2"), (4, "1 : 4")):
        first, last = max(low, low / ratio), min(high, high / ratio)  # widths at which the height is on the axis
        if first < last:
            x0, y0, x1, y1 = (_x(first, low, high), _y(first * ratio, low, high),
                              _x(last, low, high), _y(last * ratio, low, high))  # fmt: skip
            found += f'<line class="ratio" x1="{x0:.1f}" y1="{y0:.1f}" x2="{x1:.1f}" y2="{y1:.1f}"/>'
            inside = 'text-anchor="end" dx="-6" dy="4"' if ratio <= 1 else 'text-anchor="middle" dy="14"'
            found += f'<text class="small" x="{x1:.1f}" y="{y1:.1f}" {inside}>{name}</text>'
    middle = _TOP + _SIDE / 2
    return found + (
        f'<text x="{_LEFT + _SIDE / 2}" y="{_TOP + _SIDE + 40}" text-anchor="middle">width, input px</text>'
        f'<text x="16" y="{middle}" text-anchor="middle" transform="rotate(-90 16 {middle})">height, input px</text>'
    )


def _dots(boxes_wh: np.ndarray, edges: np.ndarray) -> str:
    """One dot for each bin that holds boxes."""
    counts, _, _ = np.histogram2d(boxes_wh[:, 0], boxes_wh[:, 1], bins=[edges, edges])
    most, step = counts.max(), _SIDE / _CELLS
    centres = cell_centres(_CELLS, step)
    found = ""
    for column, row in np.argwhere(counts > 0):
        part = math.sqrt(counts[column, row] / most)
        x, y = _LEFT + centres[column], _TOP + _SIDE - centres[row]
        found += f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{1.4 + 1.6 * part:.1f}" fill-opacity="{0.3 + 0.6 * part:.2f}"/>'
    return f'<g class="box">{found}</g>'


def _legend() -> str:
    y, x = 50, _LEFT
    return (
        f'<circle class="box" cx="{x + 6}" cy="{y - 4}" r="3"/><text x="{x + 16}" y="{y}">boxes of the data</text>'
        f'<circle class="anchor" cx="{x + 156}" cy="{y - 4}" r="7"/><text class="level" x="{x + 156}" y="{y - 0.5}">1'
        f'</text><text x="{x + 170}" y="{y}">anchors, by level</text>'
        f'<rect class="ground" x="{x + 296}" y="{y - 11}" width="14" height="14"/>'
        f'<text x="{x + 316}" y="{y}">an anchor overlaps by more than 0.5</text>'
    )


def _x(value: float, low: float, high: float) -> float:
    return _LEFT + _SIDE * math.log(value / low) / math.log(high / low)


def _y(value: float, low: float, high: float) -> float:
    return _TOP + _SIDE - _SIDE * math.log(value / low) / math.log(high / low)
