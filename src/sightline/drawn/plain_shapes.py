"""Circles, squares, triangles and the like on cluttered ground, with exact boxes: objects for demos and fast tests.

In: a seed and a number. Out: a picture, boxes and labels; or a folder in COCO layout. With `objects=1` each picture
has one, for what finds one box.
Next: readers/
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from sightline.drawn.canvas import Canvas, Colour
from sightline.drawn.coco_folder import write_coco_folder
from sightline.errors import UserError, unknown_name
from sightline.geometry import box_around, pairwise_iou

SHAPES = ("circle", "square", "triangle", "star", "cross", "bar")
_SMALLEST = 24
_LEAST_SIDE = 6.0
_MOST = 6
_CONTRAST = 70.0
_TRIES = 40


def draw_shapes(
    seed: int,
    index: int,
    *,
    size_hw: tuple[int, int] = (96, 96),
    classes: Sequence[str] = SHAPES[:3],
    objects: int | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """One picture.

    Args:
        seed: of the data set.
        index: of the picture; the same seed and index draw the same picture.
        size_hw: of the picture.
        classes: which of `SHAPES`; labels count through them.
        objects: how many at most (fewer where no room is left); none given: 1 to 6.

    Returns:
        RGB uint8 [H, W, 3], boxes [N, 4] float64 in continuous pixels, each the extent of a whole shape inside the
        picture, and labels [N] int64. Shapes hardly overlap.

    Raises:
        UserError: an unknown class or none, a negative number, or a picture too small.
    """
    _check(seed, index, size_hw=size_hw, classes=classes, objects=objects)
    rng = np.random.default_rng([seed, index])
    canvas = Canvas(size_hw)
    ground = _paint_ground(canvas, rng)
    count = int(rng.integers(1, _MOST + 1)) if objects is None else objects
    boxes, labels = np.zeros((0, 4)), []
    for _ in range(count):
        for _ in range(_TRIES):
            label = int(rng.integers(len(classes)))
            outline = _place(rng, shape_outline(rng, classes[label]), size_hw=size_hw, alone=count == 1)
            box = np.array([box_around(outline)])
            if pairwise_iou(box, boxes).max(initial=0.0) < 0.03:
                canvas.fill(outline, colour=_colour_unlike(rng, ground))
                boxes, labels = np.concatenate([boxes, box]), [*labels, label]
                break
    picture = canvas.finish().astype(np.float32)
    picture += rng.uniform(0, 6) * rng.standard_normal(picture.shape, dtype=np.float32)
    return np.clip(picture, 0, 255).astype(np.uint8), boxes, np.array(labels, dtype=np.int64)


def write_drawn_shapes(
    folder: Path | str,
    *,
    count: int,
    seed: int,
    val_count: int,
    size_hw: tuple[int, int] = (96, 96),
    classes: Sequence[str] = SHAPES[:3],
    objects: int | None = None,
) -> Path:
    """Write `count` pictures for training and `val_count` for validation, in the layout of `write_drawn_panoramas`.

    Returns:
        The folder.

    Raises:
        UserError: as `draw_shapes`, no picture to draw, or a folder that cannot be written.
    """
    return write_coco_folder(
        Path(folder),
        draw=lambda index: draw_shapes(seed, index, size_hw=size_hw, classes=classes, objects=objects),
        count=count,
        val_count=val_count,
        classes=classes,
    )


def shape_outline(rng: np.random.Generator, name: str) -> np.ndarray:
    """The corners of a shape about (0, 0), turned at random: [N, 2], of radius about 1."""
    if name == "circle":
        return _ring(np.ones(48))
    if name == "triangle":
        corners = _ring(np.ones(3))
    elif name == "star":
        corners = _ring(np.tile([1.0, 0.42], 5))
    elif name == "cross":
        arm = 0.3
        quarter = np.array([[arm, arm], [1.0, arm], [1.0, -arm]])
        corners = np.concatenate([_turned(quarter, -k * math.pi / 2) for k in range(4)])
    else:  # a square or a bar
        half = np.array([0.75, 0.75]) if name == "square" else np.array([1.0, 0.22])
        corners = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * half
    return _turned(corners, float(rng.uniform(0, 2 * math.pi)))


def _ring(radii: np.ndarray) -> np.ndarray:
    turns = np.linspace(0, 2 * math.pi, len(radii), endpoint=False)
    return np.stack([np.cos(turns), np.sin(turns)], axis=1) * radii[:, None]


def _turned(points: np.ndarray, angle: float) -> np.ndarray:
    c, s = math.cos(angle), math.sin(angle)
    return points @ np.array([[c, s], [-s, c]])


def _place(rng: np.random.Generator, outline: np.ndarray, *, size_hw: tuple[int, int], alone: bool) -> np.ndarray:
    """Of a random size, at a random place wholly inside the picture."""
    shorter = min(size_hw)
    side = max(_LEAST_SIDE, shorter * float(rng.uniform(0.2, 0.65) if alone else rng.uniform(0.12, 0.4)))
    low, extent = outline.min(axis=0), np.ptp(outline, axis=0)
    scaled = (outline - low) * (side / extent.max())
    room = np.array(size_hw[::-1]) - extent * (side / extent.max())
    return scaled + rng.random(2) * room


def _paint_ground(canvas: Canvas, rng: np.random.Generator) -> np.ndarray:
    """A slope of colour crossed by thin lines; its mean colour [3]. Nothing in it has the outline of a shape."""
    base, slope = rng.uniform(30, 225, 3), rng.normal(0, 18, (2, 3))
    height, width = canvas.pixels.shape[:2]
    y, x = np.linspace(-1, 1, height)[:, None, None], np.linspace(-1, 1, width)[None, :, None]
    canvas.pixels[:] = np.clip(base + slope[0] * x + slope[1] * y, 0, 255)
    for _ in range(int(rng.integers(2, 9))):
        ends = rng.uniform(-0.2, 1.2, (2, 2)) * canvas.size_hw[::-1]
        red, green, blue = np.clip(base + rng.normal(0, 45, 3), 0, 255).tolist()
        canvas.line(ends, colour=(red, green, blue), width_px=float(rng.uniform(0.5, 2.0)))
    return base


def _colour_unlike(rng: np.random.Generator, ground: np.ndarray) -> Colour:
    """A random colour that stands out."""
    while True:
        red, green, blue = rng.uniform(0, 255, 3).tolist()
        if math.dist((red, green, blue), ground.tolist()) > _CONTRAST:
            return red, green, blue


def _check(seed: int, index: int, *, size_hw: tuple[int, int], classes: Sequence[str], objects: int | None) -> None:
    if seed < 0 or index < 0:
        raise UserError(f"Cannot draw with seed {seed} and index {index}; both count from 0.")
    if min(size_hw) < _SMALLEST:
        raise UserError(f"Cannot draw shapes on {size_hw[0]} x {size_hw[1]} pixels; {_SMALLEST} a side is the least.")
    if objects is not None and objects < 0:
        raise UserError(f"Cannot draw {objects} objects; expected 0 or more.")
    if not classes:
        raise UserError(f"No shape is given. Choose from {', '.join(SHAPES)}.")
    for name in classes:
        if name not in SHAPES:
            raise unknown_name("shape", name, SHAPES)
