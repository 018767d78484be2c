"""A picture to draw on with sub-pixel exactness: continuous coordinates in, supersampled pixels inside.

Everything goes through `Canvas`, so that what is drawn at (x, y) lies at (x, y) of the finished
picture in the convention of geometry.py.
Next: paint.py
"""

from __future__ import annotations

import cv2
import numpy as np

from sightline.geometry import continuous_to_index

Colour = tuple[float, float, float]
_SHIFT = 6  # OpenCV's fixed-point drawing: 1/64 of a supersampled pixel


class Canvas:
    """An RGB picture of `size_hw`, held at `fine` times its resolution until `finish`."""

    def __init__(self, size_hw: tuple[int, int], *, fine: int = 2) -> None:
        """A black picture."""
        self.size_hw = size_hw
        self.fine = fine
        self.pixels = np.zeros((size_hw[0] * fine, size_hw[1] * fine, 3), dtype=np.uint8)

    def fill(self, points_xy: np.ndarray, *, colour: Colour) -> None:
        """Fill a closed polygon [N, 2]."""
        cv2.fillPoly(self.pixels, [self._fixed(points_xy)], colour, cv2.LINE_AA, _SHIFT)

    def line(self, points_xy: np.ndarray, *, colour: Colour, width_px: float, closed: bool = False) -> None:
        """Draw an open or closed line through [N, 2]; `width_px` in pixels of the finished picture."""
        thickness = max(1, round(width_px * self.fine))
        cv2.polylines(self.pixels, [self._fixed(points_xy)], closed, colour, thickness, cv2.LINE_AA, _SHIFT)

    def dot(self, centre_xy: np.ndarray, *, radius_px: float, colour: Colour) -> None:
        """Fill a circle."""
        x, y = self._fixed(centre_xy)
        radius = round(radius_px * self.fine * (1 << _SHIFT))
        cv2.circle(self.pixels, (int(x), int(y)), radius, colour, -1, cv2.LINE_AA, _SHIFT)

    def mask(self, points_xy: np.ndarray) -> np.ndarray:
        """A fine-grained mask of a polygon, uint8 0..255."""
        mask = np.zeros(self.pixels.shape[:2], dtype=np.uint8)
        cv2.fillPoly(mask, [self._fixed(points_xy)], (255,), cv2.LINE_AA, _SHIFT)
        return mask

    def blend(self, layer: np.ndarray, *, mask: np.ndarray, opacity: float = 1.0) -> None:
        """Lay `layer` (a fine picture, or one colour [3]) over this one where `mask` is set, in the mask's box only."""
        x, y, width, height = cv2.boundingRect(mask)
        if not width or not height:
            return
        part = (slice(y, y + height), slice(x, x + width))
        weight = mask[part].astype(np.float32)[..., None] * (opacity / 255)
        below = self.pixels[part].astype(np.float32)
        above = layer[part].astype(np.float32) if layer.ndim == 3 else layer.astype(np.float32)
        self.pixels[part] = (below + (above - below) * weight).astype(np.uint8)

    def multiply(self, field: np.ndarray) -> None:
        """Scale brightness by a coarse float32 field [h, w] stretched over the picture."""
        height, width = self.pixels.shape[:2]
        wide = cv2.resize(field, (width, height), interpolation=cv2.INTER_LINEAR)
        gain = cv2.merge([wide, wide, wide])
        cv2.multiply(self.pixels, gain, dst=self.pixels, dtype=cv2.CV_8U)

    def finish(self) -> np.ndarray:
        """The picture at its own resolution: uint8 [H, W, 3]."""
        height, width = self.size_hw
        return cv2.resize(self.pixels, (width, height), interpolation=cv2.INTER_AREA)

    def _fixed(self, points_xy: np.ndarray) -> np.ndarray:
        fine = continuous_to_index(np.asarray(points_xy, dtype=np.float64) * self.fine)
        return np.round(fine * (1 << _SHIFT)).astype(np.int32)


def smooth_closed(points_xy: np.ndarray, *, steps: int = 6) -> np.ndarray:
    """A closed Catmull-Rom curve through [N, 2]: it passes through each point exactly."""
    before, after, beyond = (np.roll(points_xy, shift, axis=0) for shift in (1, -1, -2))
    return _catmull_rom(before, points_xy, after, beyond, steps=steps)


def smooth_open(points_xy: np.ndarray, *, steps: int = 6) -> np.ndarray:
    """An open Catmull-Rom curve through [N, 2], ends included."""
    padded = np.concatenate([points_xy[:1], points_xy, points_xy[-1:]])
    curve = _catmull_rom(padded[:-3], padded[1:-2], padded[2:-1], padded[3:], steps=steps)
    return np.concatenate([curve, points_xy[-1:]])


def _catmull_rom(
    before: np.ndarray, start: np.ndarray, end: np.ndarray, beyond: np.ndarray, *, steps: int
) -> np.ndarray:
    t = np.linspace(0, 1, steps, endpoint=False)
    basis = np.stack([-t + 2 * t**2 - t**3, 2 - 5 * t**2 + 3 * t**3, t + 4 * t**2 - 3 * t**3, -(t**2) + t**3]) / 2
    curve = np.einsum("bt,bnd->ntd", basis, np.stack([before, start, end, beyond]))
    return curve.reshape(-1, start.shape[-1])
