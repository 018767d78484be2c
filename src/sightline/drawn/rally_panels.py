"""Flat textured panels in space, seen by a camera: what courts, nets, walls and stands are made of.

In: a texture on a parallelogram in metres. Out: its pixels on a canvas, cut at the near plane.
Next: rally_court.py
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from sightline.drawn.rally_camera import Camera
from sightline.drawn.rally_paint import Region, clip_region
from sightline.geometry import continuous_to_index, translation

_NEAR_M = 0.4


@dataclass(frozen=True, kw_only=True, eq=False)
class Panel:
    """A parallelogram with a picture.

    Attributes:
        corner: [3], where the texture's upper left corner lies.
        right: [3], the whole of its upper edge.
        down: [3], the whole of its left edge.
        texture: uint8 RGB [h, w, 3].
        cover: uint8 [h, w], 255 where it is opaque; None: everywhere.
        both_sides: whether it is seen from behind too. The front is where right x down points away.
    """

    corner: np.ndarray
    right: np.ndarray
    down: np.ndarray
    texture: np.ndarray
    cover: np.ndarray | None = None
    both_sides: bool = False


@dataclass(frozen=True, kw_only=True, eq=False)
class Layer:
    """A part of a canvas: colour [h, w, 3] uint8 and cover [h, w] uint8 in a region."""

    region: Region
    colour: np.ndarray
    cover: np.ndarray


def see(panel: Panel, camera: Camera) -> Layer | None:
    """The panel as pixels, or None where the camera does not see it."""
    normal = np.cross(panel.right, panel.down)
    if not panel.both_sides and float((camera.centre - panel.corner) @ normal) >= 0:
        return None
    corners = np.stack(
        [panel.corner, panel.corner + panel.right, panel.corner + panel.right + panel.down, panel.corner + panel.down]
    )
    polygon = _in_front(corners, camera)
    if len(polygon) < 3:
        return None
    pixels, _ = camera.project(polygon)
    region = clip_region(pixels, border=1, canvas_hw=camera.canvas_hw)
    if region is None:
        return None
    x0, y0, x1, y1 = region
    mask = np.zeros((y1 - y0, x1 - x0), np.uint8)
    # Corners far outside would overflow fixed-point numbers: cut them at a frame around the region.
    shown = _within(pixels - [x0, y0], width=x1 - x0, height=y1 - y0)
    if len(shown) < 3:
        return None
    cv2.fillConvexPoly(mask, np.round(continuous_to_index(shown) * 16).astype(np.int32), 255, cv2.LINE_AA, 4)
    texture, cover = _reduced(panel, pixels_wide=float(np.ptp(pixels[:, 0])))
    matrix = _homography(panel, camera, texture_hw=(texture.shape[0], texture.shape[1]), region=region)
    size = (x1 - x0, y1 - y0)
    colour = cv2.warpPerspective(texture, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    if cover is not None:
        seen = cv2.warpPerspective(cover, matrix, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        mask = cv2.multiply(mask, seen, scale=1 / 255)
    return Layer(region=region, colour=colour, cover=mask)


def blend(canvas: np.ndarray, layer: Layer) -> None:
    """Lay a layer over uint8 RGB [H, W, 3]."""
    x0, y0, x1, y1 = layer.region
    under = canvas[y0:y1, x0:x1]
    cover = cv2.merge([layer.cover] * 3)
    kept = cv2.multiply(under, cv2.bitwise_not(cover), scale=1 / 255)
    canvas[y0:y1, x0:x1] = cv2.add(kept, cv2.multiply(layer.colour, cover, scale=1 / 255))


def _in_front(corners: np.ndarray, camera: Camera) -> np.ndarray:
    """The part of a polygon [N, 3] beyond the near plane."""
    depth = (corners - camera.centre) @ camera.axes[2] - _NEAR_M
    return _cut(corners, depth)


def _within(polygon: np.ndarray, *, width: int, height: int) -> np.ndarray:
    """A polygon [N, 2] cut at 8 pixels outside a frame."""
    for axis, sign, limit in ((0, 1, 8), (0, -1, width + 8), (1, 1, 8), (1, -1, height + 8)):
        if len(polygon):
            polygon = _cut(polygon, sign * polygon[:, axis] + limit)
    return polygon


def _cut(polygon: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Keep where `inside` >= 0, interpolated along the edges (Sutherland and Hodgman)."""
    kept = []
    for index in range(len(polygon)):
        a, b, da, db = polygon[index - 1], polygon[index], inside[index - 1], inside[index]
        if (da >= 0) != (db >= 0):
            kept.append(a + da / (da - db) * (b - a))
        if db >= 0:
            kept.append(b)
    return np.array(kept).reshape(-1, polygon.shape[1])


def _reduced(panel: Panel, *, pixels_wide: float) -> tuple[np.ndarray, np.ndarray | None]:
    """Texture and cover, averaged down where the canvas is much coarser than they are."""
    height, width = panel.texture.shape[:2]
    factor = width / max(pixels_wide, 1)
    if factor < 1.6 or min(height, width) / factor < 8:
        return panel.texture, panel.cover
    size = (round(width / factor), round(height / factor))
    cover = None if panel.cover is None else cv2.resize(panel.cover, size, interpolation=cv2.INTER_AREA)
    return cv2.resize(panel.texture, size, interpolation=cv2.INTER_AREA), cover


def _homography(panel: Panel, camera: Camera, *, texture_hw: tuple[int, int], region: Region) -> np.ndarray:
    """[3, 3] from texels to pixels of the region, both with centres at integers, as OpenCV has them."""
    height, width = texture_hw
    plane = np.stack([panel.right / width, panel.down / height, panel.corner - camera.centre], axis=1)
    continuous = camera.intrinsics @ camera.axes @ plane
    shift = _square(translation(-region[0], -region[1]).matrix)
    return shift @ _square(_half(-1)) @ continuous @ _square(_half(1))


def _half(sign: int) -> np.ndarray:
    """Continuous to index coordinates (-1), or back (1), as a 2 x 3 matrix."""
    offset = continuous_to_index(np.zeros(2)) * -sign
    return translation(float(offset[0]), float(offset[1])).matrix


def _square(matrix: np.ndarray) -> np.ndarray:
    return np.vstack([matrix, [0.0, 0.0, 1.0]])
