"""The shuttle or ball itself: its picture at a size and orientation, smeared along its way during the exposure.

In: positions over the exposure. Out: a small patch of colour and cover, with the cover of the head apart.
Next: rally_court.py
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from sightline.drawn.rally_camera import Camera, Kind
from sightline.drawn.rally_paint import Region
from sightline.geometry import continuous_to_index

_SKIRT_RADIUS, _SKIRT_BACK, _HEAD_RADIUS = 0.034, 0.068, 0.0132  # metres; 8.3 cm long with the round of the cork
_BALL_RADIUS = 0.0335
_DETAIL_PX = 26  # a sprite is painted with at least so many pixels to its radius, then averaged
_MOST_STEPS = 240


@dataclass(frozen=True, kw_only=True, eq=False)
class Smear:
    """What the object adds to a frame.

    Attributes:
        region: the patch in whole pixels of the canvas; parts may lie outside.
        colour: [h, w, 3] float32, already weighted by the cover.
        cover: [h, w] float32 in 0..1.
        head: [h, w] float32, the cover of the head alone.
    """

    region: Region
    colour: np.ndarray
    cover: np.ndarray
    head: np.ndarray


@dataclass(frozen=True, kw_only=True)
class Paint:
    """Colours of the object, RGB: what is lit (feathers, felt) and the band of a cork."""

    lit: tuple[float, float, float]
    band: tuple[float, float, float]


def sample_paint(kind: Kind, *, rng: np.random.Generator) -> Paint:
    """Feathers are white, a nylon skirt is yellowish; a ball is yellow-green."""
    if kind == "ball":
        lit = np.array([226, 244, 112]) * rng.uniform(0.92, 1.04) + rng.normal(0, 5, 3)
    else:
        lit = np.array([246, 246, 242]) if rng.random() < 0.85 else np.array([236, 238, 130])
        lit = lit * rng.uniform(0.92, 1.0)
    band = [(40, 130, 60), (200, 40, 40), (40, 70, 170), (235, 235, 232)][int(rng.integers(4))]
    red, green, blue = np.clip(lit, 0, 255).tolist()
    return Paint(lit=(red, green, blue), band=band)


def reach_m(kind: Kind) -> float:
    """Half of the object's width, metres: what `radius_px` tells in pixels."""
    return _BALL_RADIUS if kind == "ball" else _SKIRT_RADIUS


def smear(
    kind: Kind, *, path_px: np.ndarray, px_per_m: float, pointing: np.ndarray, paint: Paint, light: float
) -> Smear:  # fmt: skip
    """Average the object over its way.

    Args:
        kind: shuttle or ball.
        path_px: [S, 2] continuous pixels of the head, evenly spaced in time over the exposure.
        px_per_m: scale at its depth.
        pointing: [3] unit vector of the head's direction in the camera's axes (right, down, forward).
        paint: colours.
        light: factor on the brightness.
    """
    colour, cover, head = _sprite(kind, px_per_m=px_per_m, pointing=pointing, paint=paint, light=light)
    half = cover.shape[0] // 2
    index = continuous_to_index(path_px)
    x0, y0 = (np.floor(index.min(axis=0)).astype(int) - half - 1).tolist()
    x1, y1 = (np.floor(index.max(axis=0)).astype(int) + half + 3).tolist()
    impulse = np.zeros((y1 - y0, x1 - x0), np.float32)
    local = index - [x0, y0]
    whole = np.floor(local).astype(int)
    part = local - whole
    for dx in (0, 1):
        for dy in (0, 1):
            share = np.abs(1 - dx - part[:, 0]) * np.abs(1 - dy - part[:, 1])
            np.add.at(impulse, (whole[:, 1] + dy, whole[:, 0] + dx), share / len(path_px))

    def spread(picture: np.ndarray) -> np.ndarray:
        kernel = np.ascontiguousarray(picture[::-1, ::-1])  # filter2D correlates
        return np.maximum(cv2.filter2D(impulse, -1, kernel, borderType=cv2.BORDER_CONSTANT), 0)

    return Smear(
        region=(x0, y0, x1, y1),
        colour=np.stack([spread(colour[..., channel]) for channel in range(3)], axis=-1),
        cover=np.minimum(spread(cover), 1),
        head=np.minimum(spread(head), 1),
    )


def exposure_times(middle: float, exposure: float, *, length_px: float) -> np.ndarray:
    """Times [S] spread evenly around the middle, two for each pixel of the way; S is odd."""
    steps = min(max(int(2 * length_px), 1), _MOST_STEPS) | 1
    return middle + exposure * ((np.arange(steps) - steps // 2) / steps)


def lay(canvas: np.ndarray, layer: Smear) -> None:
    """Lay it over uint8 RGB [H, W, 3]."""
    cut = _cut(layer, canvas_hw=(canvas.shape[0], canvas.shape[1]))
    if cut is None:
        return
    rows, columns, inner = cut
    under = canvas[rows, columns].astype(np.float32)
    over = under * (1 - layer.cover[inner][..., None]) + layer.colour[inner]
    canvas[rows, columns] = np.clip(over + 0.5, 0, 255).astype(np.uint8)


def _cut(layer: Smear, *, canvas_hw: tuple[int, int]) -> tuple[slice, slice, tuple[slice, slice]] | None:
    x0, y0, x1, y1 = layer.region
    left, top, right, bottom = max(x0, 0), max(y0, 0), min(x1, canvas_hw[1]), min(y1, canvas_hw[0])
    if left >= right or top >= bottom:
        return None
    inner = (slice(top - y0, bottom - y0), slice(left - x0, right - x0))
    return slice(top, bottom), slice(left, right), inner


def _sprite(
    kind: Kind, *, px_per_m: float, pointing: np.ndarray, paint: Paint, light: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Colour (weighted by cover) [n, n, 3], cover [n, n] and head [n, n], n odd, the head's centre in the middle."""
    extent = _BALL_RADIUS if kind == "ball" else _SKIRT_BACK + _SKIRT_RADIUS
    side = 2 * (math.ceil(extent * px_per_m) + 1) + 1
    finer = int(np.clip(math.ceil(_DETAIL_PX / (reach_m(kind) * px_per_m)), 2, 16))
    big = side * finer
    colour = np.zeros((big, big, 3), np.float32)
    cover, head = np.zeros((big, big), np.float32), np.zeros((big, big), np.float32)
    centre = np.array([big / 2, big / 2])
    scale = px_per_m * finer
    if kind == "ball":
        _ball(colour, head, centre=centre, radius=_BALL_RADIUS * scale, paint=paint)
        cover[:] = head
    else:
        _shuttle(colour, cover, head, centre=centre, scale=scale, pointing=pointing, paint=paint)
        colour[cover == 0] = 0  # quills at the edge
    shrink = (side, side)
    pictures = [cv2.resize(picture, shrink, interpolation=cv2.INTER_AREA) for picture in (colour, cover, head)]
    return pictures[0] * light, pictures[1], pictures[2]


def _ball(colour: np.ndarray, cover: np.ndarray, *, centre: np.ndarray, radius: float, paint: Paint) -> None:
    _disc(cover, centre, radius, 1.0)
    rows, columns = np.mgrid[0 : len(cover), 0 : len(cover)].astype(np.float32)
    height = (continuous_to_index(centre[1]) - rows) / max(radius, 1e-3)
    aside = (continuous_to_index(centre[0]) - columns) / max(radius, 1e-3)
    shade = np.clip(0.93 + 0.20 * height + 0.06 * aside, 0.66, 1.1)
    colour[:] = (shade * cover)[..., None] * np.array(paint.lit, np.float32)


def _shuttle(
    colour: np.ndarray, cover: np.ndarray, head: np.ndarray, *, centre: np.ndarray, scale: float, pointing: np.ndarray,
    paint: Paint,
) -> None:  # fmt: skip
    """Skirt as the hull of two rings, its opening where it is turned to us, sixteen quills, the cork."""
    back = centre - pointing[:2] * _SKIRT_BACK * scale
    flat = float(np.linalg.norm(pointing[:2]))
    aside = np.array([-pointing[1], pointing[0]]) / flat if flat > 1e-3 else np.array([1.0, 0.0])
    turn = np.linspace(0, 2 * np.pi, 32, endpoint=False)[:, None]
    ahead = np.array([aside[1], -aside[0]])
    lean = abs(float(pointing[2]))
    unit = np.cos(turn) * aside + np.sin(turn) * ahead * lean
    rim, waist = back + unit * _SKIRT_RADIUS * scale, centre + unit * _HEAD_RADIUS * 0.95 * scale
    hull = cv2.convexHull(np.concatenate([rim, waist]).astype(np.float32))[:, 0]
    lit = np.array(paint.lit)
    _polygon(colour, cover, hull, lit * 0.98, 0.93)
    for quill in range(0, 32, 4):  # darker gaps between the feathers
        _line(colour, waist[quill], rim[quill], lit * 0.74, 0.004 * scale)
    middle = 0.55 * waist + 0.45 * rim
    _line(colour, middle[0], middle[16], np.array(paint.band) * 0.4 + lit * 0.4, 0.003 * scale)
    opening = pointing[2] > 0.05  # it flies away from us: we look into the skirt
    if opening:
        _polygon(colour, cover, rim.astype(np.float32), lit * 0.86, 0.90)
    _disc(head, centre, _HEAD_RADIUS * scale, 1.0)
    shown = head * (0.55 if opening and lean > 0.8 else 1.0)
    cork = np.clip(lit * 1.02, 0, 255)
    keep = 1 - shown[..., None]
    colour[:] = colour * keep + shown[..., None] * cork.astype(np.float32)
    cover[:] = cover * (1 - shown) + shown
    _line(colour, waist[0], waist[16], np.array(paint.band), 0.006 * scale)


def _polygon(colour: np.ndarray, cover: np.ndarray, corners: np.ndarray, tint: np.ndarray, opaque: float) -> None:
    mask = np.zeros(cover.shape, np.uint8)
    cv2.fillConvexPoly(mask, np.round(continuous_to_index(corners)).astype(np.int32), 1)
    inside = mask > 0
    colour[inside] = tint * opaque
    cover[inside] = opaque


def _line(colour: np.ndarray, a: np.ndarray, b: np.ndarray, tint: np.ndarray, width: float) -> None:
    ends = np.round(continuous_to_index(np.stack([a, b]))).astype(int).tolist()
    cv2.line(colour, ends[0], ends[1], [float(value) * 0.93 for value in tint], max(round(width), 1))


def _disc(mask: np.ndarray, centre: np.ndarray, radius: float, value: float) -> None:
    rows, columns = np.mgrid[0 : len(mask), 0 : len(mask)].astype(np.float32)
    at = continuous_to_index(centre)
    mask[(rows - at[1]) ** 2 + (columns - at[0]) ** 2 <= radius * radius] = value


def scale_at(camera: Camera, depth: float) -> float:
    """Pixels of a metre that faces the camera at a depth."""
    return camera.focal_px / depth
