"""SSD's random crop: a rectangle of the picture that overlaps some object by at least a drawn limit.

In: boxes and picture size in original pixels. Out: the rectangle that the input is to show, and which boxes
stay. The warp is made elsewhere, so that crop, flip and scale remain one resampling.

Liu et al., SSD: Single Shot MultiBox Detector, 2016, section 2.2; the limits and the aspect relative to the
picture's own (instead of 1) are those of the `driving` write-up.
Next: mosaic.py
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sightline.geometry import Box, pairwise_iou

# None keeps the whole picture; a number is the least IoU of the crop with a box; 0 asks for no overlap.
CHOICES: tuple[float | None, ...] = (None, 0.1, 0.3, 0.7, 0.9, 0.0)
# The code that most rebuilds of SSD share says `and` where `or` was meant, so that no limit ever refuses a crop:
# five times out of six any crop with a box centre in it will do.
UNLIMITED: tuple[float | None, ...] = (None, 0.0, 0.0, 0.0, 0.0, 0.0)
TRIES = 50
SMALLEST_SIDE = 0.3
WIDEST_ASPECT = 2.0


def draw_iou_crop(
    rng: np.random.Generator,
    boxes_xyxy: np.ndarray,
    size_hw: tuple[int, int],
    *,
    choices: Sequence[float | None] = CHOICES,
) -> Box | None:
    """One random rectangle inside the picture.

    Each try draws a width and a height of 0.3 to 1 of the picture's and a place. It holds where the aspect is
    within a factor of 2 of the picture's, and where the centre of some box lies inside, and one of those boxes has
    the drawn IoU with the rectangle. After 50 tries another limit is drawn. Small objects cannot reach a high limit,
    so in pictures of small objects nearly all crops come from the choice without one.

    Args:
        rng: the only source of chance.
        boxes_xyxy: [N, 4] in original pixels, of the objects to be found (leave crowds out). With N = 0 there is
            nothing to keep, and every limit counts as met.
        size_hw: of the original picture.
        choices: limits, one of which is drawn with equal chances; None must be among them.

    Returns:
        (x0, y0, x1, y1) in original pixels, or None for the whole picture.
    """
    assert None in choices, f"without the whole picture among {choices} the draw may never end"
    while True:
        limit = choices[int(rng.integers(len(choices)))]
        if limit is None:
            return None
        crops = _draw_crops(rng, size_hw)
        good = crops[_meets(crops, boxes_xyxy, limit=limit)]
        if len(good):
            x0, y0, x1, y1 = good[0].tolist()
            return x0, y0, x1, y1


def centre_inside(boxes_xyxy: np.ndarray, box: Box) -> np.ndarray:
    """Which boxes [N, 4] have their centre strictly inside `box`: [N] bool. The crop keeps these."""
    return _centres_inside(np.asarray([box], dtype=np.float64), boxes_xyxy)[0]


def _draw_crops(rng: np.random.Generator, size_hw: tuple[int, int]) -> np.ndarray:
    """Up to `TRIES` rectangles [M, 4] inside the picture, those of a wrong aspect left out."""
    sides = rng.uniform(SMALLEST_SIDE, 1.0, (TRIES, 2))  # width and height, as shares of the picture's
    starts = rng.random((TRIES, 2)) * (1.0 - sides)
    aspect = sides[:, 0] / sides[:, 1]
    fits = (aspect >= 1 / WIDEST_ASPECT) & (aspect <= WIDEST_ASPECT)
    shares = np.concatenate([starts, starts + sides], axis=1).clip(max=1.0)[fits]
    return shares * np.array(size_hw[::-1] * 2, dtype=np.float64)


def _meets(crops: np.ndarray, boxes_xyxy: np.ndarray, *, limit: float) -> np.ndarray:
    """Which crops [M, 4] keep a box, one of the kept overlapping by `limit`: [M] bool."""
    if not len(boxes_xyxy):
        return np.ones(len(crops), dtype=bool)
    kept = _centres_inside(crops, boxes_xyxy)
    return np.any(kept & (pairwise_iou(crops, boxes_xyxy) >= limit), axis=1)


def _centres_inside(crops: np.ndarray, boxes_xyxy: np.ndarray) -> np.ndarray:
    """[M, N] bool."""
    centres = (boxes_xyxy[:, :2] + boxes_xyxy[:, 2:]) / 2
    above = centres[None] > crops[:, None, :2]
    below = centres[None] < crops[:, None, 2:]
    return np.all(above & below, axis=2)
