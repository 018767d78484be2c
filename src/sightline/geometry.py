"""The pixel convention, and everything that moves points and pixels together.

THE CONVENTION. Coordinates are continuous. A picture of H x W pixels spans [0, W] x [0, H];
the centre of pixel (row i, column j) is (j + 0.5, i + 0.5). A feature cell of stride s has
its centre at (index + 0.5) * s. Resizing is `align_corners=False`. No other file adds or
subtracts a half.

An `Affine` maps source coordinates to target coordinates. Augmentations compose Affines;
the pixels are resampled once, with the composed one, and the points go through the same one.
Next: images.py
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

Box = tuple[float, float, float, float]
ArrayT = TypeVar("ArrayT", np.ndarray, "Tensor")


def index_to_continuous(index: ArrayT) -> ArrayT:
    """Pixel-index coordinates (centres at integers) to continuous ones."""
    return index + 0.5


def continuous_to_index(xy: ArrayT) -> ArrayT:
    """Continuous coordinates to pixel-index ones (centres at integers)."""
    return xy - 0.5


def cell_centres(count: int, stride: float) -> np.ndarray:
    """Centres of `count` feature cells along one axis, in input pixels: [count] float64."""
    return index_to_continuous(np.arange(count, dtype=np.float64)) * stride


@dataclass(frozen=True, eq=False)
class Affine:
    """A 2 x 3 matrix that maps source (x, y) to target (x, y), both continuous.

    `b @ a` is "first a, then b".
    """

    matrix: np.ndarray

    def __post_init__(self) -> None:
        """Check the shape."""
        assert self.matrix.shape == (2, 3), self.matrix.shape

    def __matmul__(self, first: Affine) -> Affine:
        """Compose: apply `first`, then this one."""
        product = self.matrix[:, :2] @ first.matrix
        product[:, 2] += self.matrix[:, 2]
        return Affine(product)

    @property
    def scale(self) -> float:
        """Target pixels per source pixel: the square root of the area ratio."""
        return math.sqrt(abs(self._determinant))

    @property
    def is_mirrored(self) -> bool:
        """Whether left and right change places."""
        return self._determinant < 0

    @property
    def _determinant(self) -> float:
        (a, b, _), (c, d, _) = self.matrix.tolist()
        return a * d - b * c

    def inverse(self) -> Affine:
        """The map back; raises `numpy.linalg.LinAlgError` where there is none."""
        linear = np.linalg.inv(self.matrix[:, :2])
        return Affine(np.column_stack([linear, -linear @ self.matrix[:, 2]]))

    def points(self, points_xy: np.ndarray) -> np.ndarray:
        """Map points [..., 2]."""
        return points_xy @ self.matrix[:, :2].T + self.matrix[:, 2]

    def box(self, box_xyxy: Box) -> Box:
        """The upright box around the mapped corners of a box."""
        x0, y0, x1, y1 = box_xyxy
        corners = self.points(np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]]))
        (left, top), (right, bottom) = corners.min(axis=0), corners.max(axis=0)
        return float(left), float(top), float(right), float(bottom)

    def boxes(self, boxes_xyxy: np.ndarray) -> np.ndarray:
        """The upright boxes around the mapped corners of boxes: [N, 4] -> [N, 4]."""
        corners = self.points(boxes_xyxy[:, [0, 1, 2, 1, 2, 3, 0, 3]].reshape(-1, 4, 2))
        return np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)

    def as_pixel_index(self) -> np.ndarray:
        """The same map between pixel-index coordinates, which `cv2.warpAffine` works in."""
        return (translation(-0.5, -0.5) @ self @ translation(0.5, 0.5)).matrix

    @staticmethod
    def identity() -> Affine:
        """The map that changes nothing."""
        return Affine(np.eye(3)[:2])


def translation(dx: float, dy: float) -> Affine:
    """Shift by (dx, dy) pixels."""
    return Affine(np.array([[1.0, 0.0, dx], [0.0, 1.0, dy]]))


def scaling(sx: float, sy: float) -> Affine:
    """Scale about the origin."""
    return Affine(np.array([[sx, 0.0, 0.0], [0.0, sy, 0.0]]))


def about(centre_xy: Sequence[float], linear: np.ndarray) -> Affine:
    """A linear 2 x 2 map about a centre that stays where it is."""
    centre = np.asarray(centre_xy, dtype=np.float64)
    return Affine(np.column_stack([linear, centre - linear @ centre]))


def rotation(degrees: float) -> np.ndarray:
    """2 x 2 rotation; positive turns x towards y (clockwise on the screen)."""
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return np.array([[c, -s], [s, c]])


def mirror(width: float) -> Affine:
    """Left-right flip of a picture `width` pixels wide: x -> width - x."""
    return Affine(np.array([[-1.0, 0.0, width], [0.0, 1.0, 0.0]]))


def box_around(points_xy: np.ndarray) -> Box:
    """The tight upright box of points [K, 2]; K must be at least 1."""
    (x0, y0), (x1, y1) = points_xy.min(axis=0), points_xy.max(axis=0)
    return float(x0), float(y0), float(x1), float(y1)


def enlarge(box_xyxy: Box, factor: float) -> Box:
    """Scale a box about its centre."""
    x0, y0, x1, y1 = box_xyxy
    cx, cy, w, h = (x0 + x1) / 2, (y0 + y1) / 2, (x1 - x0) * factor, (y1 - y0) * factor
    return cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2


def shift_box(box_xyxy: Box, dx: float, dy: float) -> Box:
    """Move a box by fractions of its own width and height."""
    x0, y0, x1, y1 = box_xyxy
    w, h = x1 - x0, y1 - y0
    return x0 + dx * w, y0 + dy * h, x1 + dx * w, y1 + dy * h


def fit_aspect(box_xyxy: Box, size_hw: tuple[int, int]) -> Box:
    """Grow the shorter side of a box, about its centre, to the aspect of `size_hw`."""
    x0, y0, x1, y1 = box_xyxy
    height, width = size_hw
    side = max((x1 - x0) / width, (y1 - y0) / height)
    cx, cy = (x0 + x1) / 2, (y0 + y1) / 2
    return cx - side * width / 2, cy - side * height / 2, cx + side * width / 2, cy + side * height / 2


def crop_to(box_xyxy: Box, size_hw: tuple[int, int]) -> Affine:
    """The map that stretches a box onto a picture of `size_hw`."""
    x0, y0, x1, y1 = box_xyxy
    height, width = size_hw
    return scaling(width / (x1 - x0), height / (y1 - y0)) @ translation(-x0, -y0)


def inside(points_xy: np.ndarray, size_hw: tuple[int, int]) -> np.ndarray:
    """Which points [K, 2] lie in the picture: [K] bool. The right and bottom edge lie outside."""
    height, width = size_hw
    x, y = points_xy[..., 0], points_xy[..., 1]
    return (x >= 0) & (y >= 0) & (x < width) & (y < height)


def apply_affines(matrices: Tensor, points_xy: Tensor) -> Tensor:
    """Map points [B, K, 2] with one 2 x 3 matrix for each picture, [B, 2, 3]."""
    return points_xy @ matrices[:, :, :2].transpose(1, 2) + matrices[:, None, :, 2]


def box_areas(boxes_xyxy: ArrayT) -> ArrayT:
    """Areas of boxes [..., 4] -> [...]; 0 where a side is not positive."""
    sides = (boxes_xyxy[..., 2:] - boxes_xyxy[..., :2]).clip(min=0)
    return sides[..., 0] * sides[..., 1]


def intersections(first_xyxy: ArrayT, second_xyxy: ArrayT) -> ArrayT:
    """Shared areas of all pairs: [..., N, 4] and [..., M, 4] -> [..., N, M]. NumPy arrays or tensors."""
    a, b = first_xyxy[..., :, None, :], second_xyxy[..., None, :, :]
    if isinstance(a, np.ndarray):
        sides = np.minimum(a[..., 2:], b[..., 2:]) - np.maximum(a[..., :2], b[..., :2])
    else:
        sides = a[..., 2:].minimum(b[..., 2:]) - a[..., :2].maximum(b[..., :2])  # type: ignore[arg-type]
    sides = sides.clip(min=0)
    return sides[..., 0] * sides[..., 1]


def pairwise_iou(first_xyxy: ArrayT, second_xyxy: ArrayT) -> ArrayT:
    """Intersection over union of all pairs: [..., N, 4] and [..., M, 4] -> [..., N, M]; 0 where the union is empty."""
    shared = intersections(first_xyxy, second_xyxy)
    union = box_areas(first_xyxy)[..., :, None] + box_areas(second_xyxy)[..., None, :] - shared
    return shared / union.clip(min=1e-12)


def iou(first: Box, second: Box) -> float:
    """Intersection over union of two boxes; 0 where the union is empty."""
    x0, y0 = max(first[0], second[0]), max(first[1], second[1])
    x1, y1 = min(first[2], second[2]), min(first[3], second[3])
    shared = max(0.0, x1 - x0) * max(0.0, y1 - y0)
    area = sum(max(0.0, b[2] - b[0]) * max(0.0, b[3] - b[1]) for b in (first, second))
    return shared / (area - shared) if area > shared else 0.0
