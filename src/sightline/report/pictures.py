"""Pictures of the page: crops with truth and prediction above them, score maps, filters.

A picture and its points are one SVG in pixels of the original file, so that they cannot shift
against each other, and truth and prediction can be shown and hidden.
Next: tables.py
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from sightline.geometry import Box, box_around, enlarge, fit_aspect
from sightline.images import ImageError, read_image
from sightline.members import member_of
from sightline.report.frame import jpeg_uri
from sightline.report.run_folder import Heatmaps
from sightline.report.values import Row, number
from sightline.report.words import Metric

_TILE_SIDE = 320
_MAP_SIDE = 48
_MOST_MAPS = 6
_MOST_FILTERS = 64


def tile(entry: Row, *, roots: Sequence[Path], metric: Metric, edges: Sequence[tuple[int, int]]) -> str:
    """One evaluated picture: a square crop around the object with truth, prediction and the gaps between them.

    Args:
        entry: of predictions.json.
        roots: folders in which a relative path is looked for.
        metric: what `error` of the entry is.
        edges: which points to join.
    """
    truth = np.asarray(entry["points_xy"], dtype=float).reshape(-1, 2)
    predicted = np.asarray(entry["predicted_xy"], dtype=float).reshape(-1, 2)
    visible = np.asarray(entry["visible"], dtype=bool)
    name = str(entry.get("image_id", "?"))
    picture, complaint, size_hw = picture_of(entry, roots=roots)
    x0, y0, x1, y1 = _crop_box(truth[visible], predicted, box_xyxy=entry.get("box_xyxy"), size_hw=size_hw)
    side = x1 - x0
    inner = _embedded(picture, box_xyxy=(x0, y0, x1, y1)) if picture is not None else ""
    inner += _overlay(
        truth, predicted, visible=visible, edges=edges, radius=side * (0.0085 if len(truth) > 20 else 0.016)
    )
    caption = metric.show(entry.get("error"))
    safe = escape(name, quote=True)
    note = f'<p class="missing">{escape(complaint)}</p>' if complaint else ""
    return (
        f'<figure class="tile"><button type="button" class="zoom" aria-label="Enlarge {safe}">'
        f'<svg viewBox="{x0:.2f} {y0:.2f} {side:.2f} {y1 - y0:.2f}" role="img" aria-label="{safe}">{inner}</svg>'
        f"</button>{note}<figcaption><b>{caption}</b>"
        f'<span title="{safe}"><bdi>{escape(name)}</bdi></span></figcaption></figure>'
    )


def picture_of(entry: Row, *, roots: Sequence[Path]) -> tuple[np.ndarray | None, str, tuple[int, int]]:
    """The picture of a row of predictions.json or None, what is wrong with it, and its size (1 x 1 if unknown)."""
    picture, complaint = _read(str(entry.get("path", "")), roots=roots)
    if picture is None:
        return None, complaint, _size_hw(entry)
    return picture, complaint, (picture.shape[0], picture.shape[1])


def embedded(picture: np.ndarray, *, most_pixels: int) -> str:
    """A whole picture as an SVG image at its own place in original pixels."""
    height, width = picture.shape[:2]
    part = _at_most(picture, side=max(height, width) * min(1.0, (most_pixels / (height * width)) ** 0.5))
    return f'<image width="{width}" height="{height}" preserveAspectRatio="none" href="{jpeg_uri(part)}"/>'


def heatmap_panel(heatmaps: Heatmaps, *, names: Sequence[str]) -> str:
    """The score maps of a few pictures: one sprite each, which the page's script decodes when it is opened."""
    count = heatmaps.maps.shape[1]
    labels = list(names) if len(names) == count else [f"point {k}" for k in range(count)]
    options = '<option value="-1">all points</option>' + "".join(
        f'<option value="{k}">{escape(label)}</option>' for k, label in enumerate(labels)
    )
    figures = ""
    for name, maps, picture in zip(heatmaps.image_ids[:_MOST_MAPS], heatmaps.maps, heatmaps.inputs, strict=False):
        small = [_at_most(np.ascontiguousarray(one), side=_MAP_SIDE) for one in maps]
        height, width = small[0].shape
        columns = int(np.ceil(np.sqrt(count)))
        sprite = mosaic(small, columns=columns)
        figures += (
            f'<figure class="heat" data-sprite="{_png_uri(sprite)}" data-columns="{columns}" data-count="{count}" '
            f'data-width="{width}" data-height="{height}"><div class="stack"><img alt="" '
            f'data-src="{jpeg_uri(_rgb(picture))}"><canvas></canvas></div>'
            f'<figcaption><span title="{escape(name, quote=True)}"><bdi>{escape(name)}</bdi></span></figcaption>'
            "</figure>"
        )
    return (
        f'<p><label>Show <select class="which-map">{options}</select></label></p><div class="tiles">{figures}</div>'
        "<noscript><p>The maps are decoded by a script, which is switched off here.</p></noscript>"
    )


def filter_panel(filters: np.ndarray) -> str:
    """The first layer's filters, [out, in, kh, kw], each stretched to its own range; colour where `in` is 3."""
    shown = filters[:_MOST_FILTERS]
    tiles = []
    for kernel in shown:
        one = kernel.transpose(1, 2, 0) if kernel.shape[0] == 3 else kernel.mean(axis=0)
        low, high = float(one.min()), float(one.max())
        grey = np.round((one - low) / max(high - low, 1e-12) * 255).astype(np.uint8)
        grey = np.repeat(np.repeat(grey, 4, axis=0), 4, axis=1)
        tiles.append(cv2.copyMakeBorder(grey, 2, 2, 2, 2, cv2.BORDER_CONSTANT, value=(128, 128, 128)))
    columns = min(len(tiles), 8 if len(tiles) <= 32 else 12)
    left_out = f" The first {len(shown)} of {len(filters)}." if len(shown) < len(filters) else ""
    return (
        f'<img class="filters" alt="First-layer filters" data-src="{_png_uri(mosaic(tiles, columns=columns))}">'
        f"<p>{len(filters)} filters of {filters.shape[2]} x {filters.shape[3]} over {filters.shape[1]} channels; "
        f"each is stretched to its own range.{left_out}</p>"
    )


def mosaic(tiles: Sequence[np.ndarray], *, columns: int) -> np.ndarray:
    """Tiles of one shape side by side, row by row; missing ones at the end are black."""
    height, width = tiles[0].shape[:2]
    rows = -(-len(tiles) // columns)
    sheet = np.zeros((rows * height, columns * width, *tiles[0].shape[2:]), dtype=np.uint8)
    for index, one in enumerate(tiles):
        row, column = divmod(index, columns)
        sheet[row * height : (row + 1) * height, column * width : (column + 1) * width] = one
    return sheet


def _read(path: str, *, roots: Sequence[Path]) -> tuple[np.ndarray | None, str]:
    """The picture, or what is wrong with it."""
    named = Path(path)
    candidates = [named] if named.is_absolute() else [*(root / named for root in roots)]
    found = next((candidate for candidate in candidates if candidate.is_file() or member_of(candidate)), None)
    if found is None:
        return None, "The picture file is no longer there."
    try:
        return read_image(found), ""
    except ImageError as error:
        return None, f"The picture cannot be read: {error}"


def _size_hw(entry: Row) -> tuple[int, int]:
    size = entry.get("size_hw")
    if isinstance(size, list) and len(size) == 2 and all(number(v) for v in size):
        return int(size[0]), int(size[1])
    return 1, 1


def _crop_box(truth: np.ndarray, predicted: np.ndarray, *, box_xyxy: Any, size_hw: tuple[int, int]) -> Box:  # noqa: ANN401
    """A square around the truth (else the box, else the prediction), grown towards far predictions up to a limit."""
    is_box = isinstance(box_xyxy, list) and len(box_xyxy) == 4 and None not in map(number, box_xyxy)
    if len(truth) > 1:
        core = box_around(truth)
    elif is_box:
        core = tuple(float(v) for v in box_xyxy)
    else:
        core = box_around(truth if len(truth) else predicted)
    least = max(24.0, 0.12 * max(size_hw))
    cx, cy = (core[0] + core[2]) / 2, (core[1] + core[3]) / 2
    half = max(core[2] - core[0], core[3] - core[1], least) / 2
    core = (cx - half, cy - half, cx + half, cy + half)
    limit = enlarge(core, 2.0)
    near = np.clip(predicted, limit[:2], limit[2:]) if len(predicted) else np.array([[cx, cy]])
    both = box_around(np.concatenate([np.array(core).reshape(2, 2), near]))
    return enlarge(fit_aspect(both, (1, 1)), 1.22)


def _embedded(picture: np.ndarray, *, box_xyxy: Box) -> str:
    """The part of a picture inside a box as an SVG image at its own place in original pixels."""
    height, width = picture.shape[:2]
    left, top = max(0, int(np.floor(box_xyxy[0]))), max(0, int(np.floor(box_xyxy[1])))
    right, bottom = min(width, int(np.ceil(box_xyxy[2]))), min(height, int(np.ceil(box_xyxy[3])))
    if right <= left or bottom <= top:
        return ""
    part = _at_most(np.ascontiguousarray(picture[top:bottom, left:right]), side=_TILE_SIDE)
    return (
        f'<image x="{left}" y="{top}" width="{right - left}" height="{bottom - top}" preserveAspectRatio="none" '
        f'href="{jpeg_uri(part)}"/>'
    )


def _overlay(
    truth: np.ndarray, predicted: np.ndarray, *, visible: np.ndarray, edges: Sequence[tuple[int, int]], radius: float
) -> str:
    def bones(points: np.ndarray, allowed: np.ndarray) -> str:
        lines = "".join(
            f"M{points[a, 0]:.2f} {points[a, 1]:.2f}L{points[b, 0]:.2f} {points[b, 1]:.2f}"
            for a, b in edges
            if allowed[a] and allowed[b]
        )
        return f'<path d="{lines}" stroke-width="{radius * 0.35:.3f}"/>' if lines else ""

    def circles(points: np.ndarray, size: float, stroke: float) -> str:
        return "".join(
            f'<circle cx="{x:.2f}" cy="{y:.2f}" r="{size:.3f}" stroke-width="{stroke:.3f}"/>' for x, y in points
        )

    gaps = "".join(
        f"M{a[0]:.2f} {a[1]:.2f}L{b[0]:.2f} {b[1]:.2f}"
        for a, b, seen in zip(truth, predicted, visible, strict=True)
        if seen
    )
    return (
        f'<g class="gap"><path d="{gaps}" stroke-width="{radius * 0.6:.3f}"/></g>'
        f'<g class="truth">{bones(truth, visible)}{circles(truth[visible], radius * 1.35, radius * 0.5)}</g>'
        f'<g class="guess">{bones(predicted, np.ones(len(predicted), dtype=bool))}'
        f"{circles(predicted[visible], radius * 0.8, radius * 0.25)}</g>"
    )


def _at_most(picture: np.ndarray, *, side: float) -> np.ndarray:
    height, width = picture.shape[:2]
    factor = side / max(height, width)
    if factor >= 1:
        return picture
    return cv2.resize(
        picture, (max(1, round(width * factor)), max(1, round(height * factor))), interpolation=cv2.INTER_AREA
    )


def _rgb(picture: np.ndarray) -> np.ndarray:
    return np.repeat(picture, 3, axis=2) if picture.shape[2] == 1 else picture


def _png_uri(picture: np.ndarray) -> str:
    stored = picture[..., ::-1] if picture.ndim == 3 else picture
    code = cv2.imencode(".png", stored, [cv2.IMWRITE_PNG_COMPRESSION, 9])[1]
    return "data:image/png;base64," + base64.b64encode(code.tobytes()).decode()
