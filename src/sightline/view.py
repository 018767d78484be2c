"""What the network sees of a picture: which area, and how its pixels become the input. Needs no torch.

Training, prediction and exported models share it. In: a picture, a record or a box, and settings of `data.*`. Out:
boxes in the picture's own pixels, and uint8 pictures of the input's size. Next: transforms.py
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Callable
from typing import Protocol

import cv2
import numpy as np

from sightline.errors import UserError
from sightline.geometry import Affine, Box, box_around, enlarge, fit_aspect, scaling, shift_box, translation
from sightline.records import Record


class ViewSettings(Protocol):
    """The settings that matter here, as `config.DataConfig` and an artefact's card have them."""

    @property
    def input_hw(self) -> tuple[int, int]:
        """The network's input."""
        ...

    @property
    def crop(self) -> str:
        """points, box or image; auto where a box or the whole picture is given anyway."""
        ...

    @property
    def margin(self) -> float:
        """A box is enlarged by this share."""
        ...

    @property
    def keep_aspect(self) -> bool:
        """Whether the area grows to the input's aspect."""
        ...


def asked_area(size_hw: tuple[int, int], box: Box | None, *, data: ViewSettings) -> Box:
    """The area to show for a box that a user gives: enlarged by the margin; the whole picture is not.

    Args:
        size_hw: of the picture.
        box: the object's box in the picture's pixels, or None for the whole picture.
        data: a crop of "image" shows the whole picture in any case.
    """
    height, width = size_hw
    area: Box = (0.0, 0.0, float(width), float(height))
    if box is not None and data.crop != "image":
        area = enlarge(box, 1 + data.margin)
    return fit_aspect(area, data.input_hw) if data.keep_aspect else area


def base_box(record: Record, size_hw: tuple[int, int], data: ViewSettings) -> Box:
    """The box of the original picture that the input shows, before jitter.

    Raises:
        UserError: the record lacks what `data.crop` asks for.
    """
    height, width = size_hw
    if data.crop == "image":
        box: Box = (0.0, 0.0, float(width), float(height))
    elif data.crop == "box":
        if record.box_xyxy is None:
            raise UserError(
                f"{record.source or record.image_id}: no box, but data.crop=box. Use data.crop=points or image."
            )
        box = enlarge(record.box_xyxy, 1 + data.margin)
    elif data.crop == "points":
        shown = record.points_xy[record.visible]
        extent = np.ptp(shown, axis=0) if len(shown) else np.zeros(2)
        if (extent.max() if data.keep_aspect else extent.min()) < 1:
            # One point, or points all in one place, have no extent; the whole picture is the only honest crop.
            box = (0.0, 0.0, float(width), float(height))
        else:
            box = enlarge(box_around(shown), 1 + data.margin)
    elif data.crop == "window":
        centre = record.points_xy[0] if record.visible[0] else np.array([width / 2, height / 2])
        return window_around(centre, size_hw, data.input_hw)
    else:
        raise AssertionError(f"data.crop={data.crop} must be resolved before samples are made")
    return fit_aspect(box, data.input_hw) if data.keep_aspect else box


def window_around(centre_xy: np.ndarray, size_hw: tuple[int, int], input_hw: tuple[int, int]) -> Box:
    """A window of `input_hw` whole pixels of the frame around a place, moved inside the frame where it can be."""
    sides = np.array(input_hw[::-1], dtype=np.float64)
    room = np.maximum(0.0, np.array(size_hw[::-1]) - sides)
    low = np.rint(np.clip(np.asarray(centre_xy) - sides / 2, 0.0, room))
    return float(low[0]), float(low[1]), float(low[0] + sides[0]), float(low[1] + sides[1])


def drawn_window(
    record: Record,
    data: ViewSettings,
    rng: np.random.Generator,
    *,
    jitter: float,
    elsewhere: float,
    place: Callable[[], np.ndarray | None] = lambda: None,
) -> Box:
    """A window with the point up to `jitter` of its size off the middle.

    With the probability `elsewhere`, and where the point is not visible, one around `place`, in shares of width and
    height; where that is None, any window of the frame.
    """
    assert record.size_hw is not None, f"{record.image_id}: scan the data set before samples are made"
    size_hw = record.size_hw
    if not record.visible[0] or rng.random() < elsewhere:
        share = place()
        return window_around((rng.random(2) if share is None else share) * size_hw[::-1], size_hw, data.input_hw)
    shift = rng.uniform(-jitter, jitter, 2) * data.input_hw[::-1]
    return window_around(record.points_xy[0] + shift, size_hw, data.input_hw)


def jittered_window(record: Record, data: ViewSettings, *, jitter: float, seed: int) -> Box:
    """A drawn window that is always the same for one frame and seed."""
    rng = np.random.default_rng([seed, zlib.crc32(record.image_id.encode())])
    return drawn_window(record, data, rng, jitter=jitter, elsewhere=0.0)


def jittered_box(box: Box, *, amount: float, seed: int, image_id: str) -> Box:
    """A box shifted and scaled by up to `amount`, always the same for one picture and seed."""
    rng = np.random.default_rng([seed, zlib.crc32(image_id.encode())])
    dx, dy, scale = rng.uniform(-amount, amount, 3)
    return enlarge(shift_box(box, dx, dy), 1 + scale)


def warp(image: np.ndarray, affine: Affine, size_hw: tuple[int, int]) -> np.ndarray:
    """Resample [H, W, C] uint8 through an affine map; outside is black.

    A shrink of more than 2x goes through area averaging first: bilinear alone would alias.
    """
    height, width = size_hw
    shrink = shrink_of(affine)
    if shrink > 1:
        (x0, y0, x1, y1) = needed(affine, image.shape[:2], size_hw, step=shrink)
        image, affine = image[y0:y1, x0:x1], affine @ translation(x0, y0)
        small_wh = (max(1, image.shape[1] // shrink), max(1, image.shape[0] // shrink))
        affine = affine @ scaling(image.shape[1] / small_wh[0], image.shape[0] / small_wh[1])
        image = cv2.resize(image, small_wh, interpolation=cv2.INTER_AREA)
    warped = cv2.warpAffine(image, affine.as_pixel_index(), (width, height), flags=cv2.INTER_LINEAR)
    return warped if warped.ndim == 3 else warped[:, :, None]


def shrink_of(affine: Affine) -> int:
    """Source pixels along each side of a cell that is averaged first; 1 where nothing is."""
    return int(1 / affine.scale) if affine.scale < 0.5 else 1


def needed(
    affine: Affine, source_hw: tuple[int, ...], size_hw: tuple[int, int], *, step: int
) -> tuple[int, int, int, int]:
    """The part of the source that a warp reads, in whole steps with two to spare; averaging the rest is for nothing.

    Returns:
        Left, top, right and bottom in whole source pixels; never empty.
    """
    box = affine.inverse().box((0.0, 0.0, float(size_hw[1]), float(size_hw[0])))
    low = [
        min(max(0, (math.floor(v / step) - 2) * step), side - 1)
        for v, side in zip(box[:2], source_hw[1::-1], strict=True)
    ]
    high = [
        max(start + 1, min(side, (math.ceil(v / step) + 2) * step))
        for v, side, start in zip(box[2:], source_hw[1::-1], low, strict=True)
    ]
    return low[0], low[1], high[0], high[1]
