"""Panoramas of streets as a spinning range sensor sees them, with eight classes of objects and exact boxes.

Three channels as in the `driving` data: depth, ambience (daylight), intensity (of the laser's echo), over the full
circle and 45 degrees of height. A box bounds the pixels of an object that can be seen; the mount of a rider belongs
to the rider and has no box of its own. The picture is a circle cut open straight behind the sensor: an object that
lies across the seam is two boxes, one at each edge. What would be too small or too hidden to label is not drawn at
all, so nothing in a picture lacks its box.

In: a seed and a number. Out: a picture, boxes and labels; or a folder in COCO layout.
Next: readers/
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sightline.drawn.coco_folder import write_coco_folder
from sightline.drawn.panorama_channels import to_channels
from sightline.drawn.panorama_objects import CLASSES
from sightline.drawn.panorama_rays import Layer, Sensor, cast
from sightline.drawn.panorama_scenery import Echo, daylight, see_street
from sightline.drawn.panorama_street import lay_street, place_objects
from sightline.errors import UserError

__all__ = ["CLASSES", "draw_panorama", "write_drawn_panoramas"]

SIZE_HW = (128, 1024)
_SMALLEST_HW = (32, 256)
_LEAST_PIXELS = 12
_LEAST_SIDES = (2, 4)  # width and height of a box
_LEAST_SHARE = 0.3  # of the object's pixels that nothing hides


@dataclass(frozen=True, kw_only=True, eq=False)
class Scene:
    """One street, seen.

    Attributes:
        echo: what comes back, objects included, before noise.
        owner: [H, W] int32: the position of the box that a pixel belongs to, or -1.
        boxes_xyxy: [N, 4] float64.
        labels: [N] int64, positions in `CLASSES`.
    """

    echo: Echo
    owner: np.ndarray
    boxes_xyxy: np.ndarray
    labels: np.ndarray


def draw_panorama(
    seed: int, index: int, *, size_hw: tuple[int, int] = SIZE_HW
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """One street.

    Args:
        seed: of the data set.
        index: of the picture; the same seed and index draw the same picture, whatever else is drawn.
        size_hw: rows over 45 degrees and columns over the full circle; pixels are square where it is 8 times as wide
            as high.

    Returns:
        The picture uint8 [H, W, 3] (depth, ambience, intensity), boxes [N, 4] float64 in continuous pixels, and labels
        [N] int64, positions in `CLASSES`. N may be 0.

    Raises:
        UserError: a negative seed or index, or a size too small to show a person.
    """
    rng = _generator(seed, index, size_hw=size_hw)
    scene = build_scene(rng, size_hw=size_hw)
    return to_channels(scene.echo, rng=rng), scene.boxes_xyxy, scene.labels


def write_drawn_panoramas(
    folder: Path | str, *, count: int, seed: int, val_count: int, size_hw: tuple[int, int] = SIZE_HW
) -> Path:
    """Write `count` panoramas for training and `val_count` for validation, in COCO layout.

    `train/*.png`, `val/*.png`, and last `annotations/instances_train.json` and `instances_val.json`. Picture i for
    training has index i, for validation `coco_folder.VALIDATION_FROM` + i.

    Returns:
        The folder.

    Raises:
        UserError: a count out of range, a negative seed, a size too small, or a folder that cannot be written.
    """
    return write_coco_folder(
        Path(folder),
        draw=lambda index: draw_panorama(seed, index, size_hw=size_hw),
        count=count,
        val_count=val_count,
        classes=CLASSES,
    )


def build_scene(rng: np.random.Generator, *, size_hw: tuple[int, int]) -> Scene:
    """Draw a street with objects and look at it."""
    turned = 0.0 if rng.random() < 0.3 else float(rng.normal(0, 0.15))
    sensor = Sensor(size_hw=size_hw, height_m=float(rng.uniform(1.8, 2.2)), heading=turned)
    street = lay_street(rng, pixel_rad=sensor.pixel_rad)
    objects = place_objects(rng, street)
    layers: list[Layer] = []
    for solid, pose in street.crowns:
        layers += cast(solid, pose, sensor=sensor, label=-1, sun=street.sun)
    for placed in objects:
        layers += cast(placed.solid, placed.pose, sensor=sensor, label=placed.label, sun=street.sun)
    echo = see_street(street, sensor=sensor, objects=objects, rng=rng)
    layers = [layer for layer, fits in zip(layers, _fit_to_label(layers, echo), strict=True) if fits]
    owner = _owners(layers, echo)
    for position, layer in enumerate(layers):
        _lay(echo, layer, owner=owner, position=position, sun_share=street.sun_share)
    labelled = [position for position, layer in enumerate(layers) if layer.label >= 0]
    boxes = [_bounds(layers[position], owner, position=position) for position in labelled]
    return Scene(
        echo=echo,
        owner=_renumbered(owner, labelled),
        boxes_xyxy=np.array(boxes, dtype=np.float64).reshape(-1, 4),
        labels=np.array([layers[position].label for position in labelled], dtype=np.int64),
    )


def _fit_to_label(layers: list[Layer], echo: Echo) -> list[bool]:
    """Which layers may stay: scenery, and objects of which enough can be seen."""
    owner = _owners(layers, echo)
    return [
        layer.label < 0 or _is_seen(owner[layer.rows, layer.columns] == position, layer.mask)
        for position, layer in enumerate(layers)
    ]


def _is_seen(visible: np.ndarray, mask: np.ndarray) -> bool:
    pixels = np.count_nonzero(visible)
    if pixels < max(_LEAST_PIXELS, _LEAST_SHARE * np.count_nonzero(mask)):
        return False
    x0, y0, x1, y1 = _extent(visible)
    return x1 - x0 >= _LEAST_SIDES[0] and y1 - y0 >= _LEAST_SIDES[1]


def _owners(layers: list[Layer], echo: Echo) -> np.ndarray:
    """[H, W] int32: the position of the layer that is nearest, or -1 where the street is."""
    nearest = echo.range_m.copy()
    owner = np.full(nearest.shape, -1, dtype=np.int32)
    for position, layer in enumerate(layers):
        part = (layer.rows, layer.columns)
        closer = layer.range_m < nearest[part]
        nearest[part][closer] = layer.range_m[closer]
        owner[part][closer] = position
    return owner


def _lay(echo: Echo, layer: Layer, *, owner: np.ndarray, position: int, sun_share: float) -> None:
    """Write a layer into the echo where nothing hides it."""
    part = (layer.rows, layer.columns)
    seen = owner[part] == position
    reflect, albedo, loss = (layer.skin[..., i][seen] for i in range(3))
    echo.range_m[part][seen] = layer.range_m[seen]
    echo.laser[part][seen] = reflect * np.sqrt(layer.facing[seen])
    echo.daylight[part][seen] = daylight(albedo, layer.light[seen], sun_share=sun_share)
    echo.loss[part][seen] = loss


def _extent(mask: np.ndarray) -> tuple[int, int, int, int]:
    """Edges of the set pixels: x0, y0, x1, y1, the last two one past the last pixel."""
    columns, rows = np.flatnonzero(mask.any(axis=0)), np.flatnonzero(mask.any(axis=1))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1


def _bounds(layer: Layer, owner: np.ndarray, *, position: int) -> tuple[int, int, int, int]:
    """The box around the visible pixels of a layer, in pixels of the picture."""
    x0, y0, x1, y1 = _extent(owner[layer.rows, layer.columns] == position)
    left, top = layer.columns.start, layer.rows.start
    return left + x0, top + y0, left + x1, top + y1


def _renumbered(owner: np.ndarray, labelled: list[int]) -> np.ndarray:
    """Positions of layers to positions of boxes; scenery becomes -1."""
    table = np.full(owner.max(initial=-1) + 2, -1, dtype=np.int32)  # the last place is for -1
    for box, position in enumerate(labelled):
        if position < len(table) - 1:
            table[position] = box
    return table[owner]


def _generator(seed: int, index: int, *, size_hw: tuple[int, int]) -> np.random.Generator:
    if seed < 0 or index < 0:
        raise UserError(f"Cannot draw with seed {seed} and index {index}; both count from 0.")
    if size_hw[0] < _SMALLEST_HW[0] or size_hw[1] < _SMALLEST_HW[1]:
        least = " x ".join(map(str, _SMALLEST_HW))
        raise UserError(f"Cannot draw a panorama of {size_hw[0]} x {size_hw[1]} pixels; {least} is the least.")
    return np.random.default_rng([seed, index])
