"""Mosaic: four pictures on one canvas of the input's size, with all their boxes, as one Sample.

A random point splits the canvas into four. Each picture gets a map of its own into its part: mirrored or not, of
a random size, at a random place. Its pixels are resampled once, straight into the part; its boxes go through the
same map and are cut at the part's border.

Bochkovskiy et al., YOLOv4, 2020, section 3.3. There, objects mostly keep the size they have in a plain sample and
much of a picture is cut off; here the size is drawn between that and the smallest that fills the part.
Next: loader.py
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from sightline.config import AugmentConfig, DataConfig
from sightline.geometry import Affine, Box, crop_to, mirror, scaling, translation
from sightline.images import shrink_factor
from sightline.records import Objects, Record
from sightline.transforms import Framing, base_box, placed_objects, recolour, warp
from sightline.types import Sample

NEAREST_SPLIT = 0.25  # the four parts meet no nearer to the canvas's edge than this share of its side

Part = tuple[int, int, int, int]  # x0, y0, x1, y1 in whole canvas pixels


def mosaic_sample(
    parts: Sequence[tuple[Record, np.ndarray]],
    *,
    framing: Framing,
    augment: AugmentConfig,
    rng: np.random.Generator,
    index: int,
) -> Sample:
    """Four pictures as one training sample; boxes only, points have no place in it.

    Of `augment`, size, mirroring and colours act: `scale_min` and `scale_max` on each picture, `flip` on each, and the
    colour change once on the whole canvas. Rotation, shear and shift do not: places are random anyway.

    Args:
        parts: four records, each with its decoded (perhaps shrunk) picture [H, W, C] uint8; the record that the sample
            is for comes first. One may occur more than once.
        framing: the input's size, and how little of a box may be left before it is dropped.
        augment: see above.
        rng: the only source of chance.
        index: of the first record.

    Returns:
        The sample; `to_input` is the map of the first picture.
    """
    assert len(parts) == 4, f"{len(parts)} pictures for a mosaic of 4"
    data = framing.data
    canvas = np.zeros((*data.input_hw, parts[0][1].shape[2]), dtype=np.uint8)
    maps: list[Affine] = []
    boxes: list[np.ndarray] = []
    placed: list[Objects] = []
    for (record, image), (x0, y0, x1, y1) in zip(parts, draw_parts(rng, data.input_hw), strict=True):
        size_hw = (y1 - y0, x1 - x0)
        to_part = _draw_map(rng, record, part_hw=size_hw, data=data, augment=augment)
        factor = shrink_factor(_size(record), decoded_hw=(image.shape[0], image.shape[1]))
        canvas[y0:y1, x0:x1] = warp(image, to_part @ scaling(factor, factor), size_hw)
        # The part is this picture's whole input: the rule for boxes cut at the input's edge holds at the part's.
        objects = placed_objects(record.objects, to_part, data.model_copy(update={"input_hw": size_hw}))
        corner = translation(x0, y0)
        placed.append(objects)
        boxes.append(corner.boxes(objects.boxes_xyxy))
        maps.append(corner @ to_part)
    points = len(framing.skeleton)
    return Sample(
        image=recolour(canvas, rng, augment),
        points_xy=np.zeros((points, 2), dtype=np.float32),
        visible=np.zeros(points, dtype=bool),
        boxes_xyxy=np.concatenate(boxes).astype(np.float32),
        labels=np.concatenate([objects.labels for objects in placed]),
        crowd=np.concatenate([objects.crowd for objects in placed]),
        past_images=np.zeros((0, *data.input_hw, data.channels), dtype=np.uint8),
        past_xy=np.zeros((0, 2), dtype=np.float32),
        past_visible=np.zeros(0, dtype=bool),
        to_input=maps[0].matrix,
        index=index,
    )


def draw_parts(rng: np.random.Generator, input_hw: tuple[int, int]) -> tuple[Part, Part, Part, Part]:
    """Split the canvas at a random point: upper left, upper right, lower left, lower right."""
    height, width = input_hw
    share_x, share_y = rng.uniform(NEAREST_SPLIT, 1 - NEAREST_SPLIT, 2)
    x, y = max(1, round(share_x * width)), max(1, round(share_y * height))
    return (0, 0, x, y), (x, 0, width, y), (0, y, x, height), (x, y, width, height)


def _draw_map(
    rng: np.random.Generator, record: Record, *, part_hw: tuple[int, int], data: DataConfig, augment: AugmentConfig
) -> Affine:
    """From original pixels to pixels of the part.

    The size lies between the smallest at which the picture fills the part and the one that a plain sample has, times
    the random scale. Where it fills the part, no border is left empty; a picture much longer than the input may.
    """
    shown = _shown(record, data)
    plain = crop_to(base_box(record, _size(record), data), data.input_hw)
    x0, y0, x1, y1 = plain.box(shown)
    sides = np.array([x1 - x0, y1 - y0])
    part_sides = np.array(part_hw[::-1], dtype=np.float64)
    fills = min(1.0, float((part_sides / sides).max()))
    jitter = _log_uniform(rng, augment.scale_min, augment.scale_max)
    scale = max(fills, jitter * _log_uniform(rng, fills, 1.0))
    slack = part_sides - sides * scale  # below 0 where the picture is larger than the part
    dx, dy = (rng.random(2) * slack).tolist()
    placed = translation(dx, dy) @ scaling(scale, scale) @ translation(-x0, -y0) @ plain
    return mirror(part_hw[1]) @ placed if rng.random() < augment.flip else placed


def _shown(record: Record, data: DataConfig) -> Box:
    """What a plain sample shows of the picture, without the black bars that keep an aspect."""
    height, width = _size(record)
    x0, y0, x1, y1 = base_box(record, (height, width), data)
    return max(0.0, x0), max(0.0, y0), min(float(width), x1), min(float(height), y1)


def _log_uniform(rng: np.random.Generator, low: float, high: float) -> float:
    return math.exp(rng.uniform(math.log(low), math.log(high)))


def _size(record: Record) -> tuple[int, int]:
    assert record.size_hw is not None, f"{record.image_id}: scan the data set before samples are made"
    return record.size_hw
