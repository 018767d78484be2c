"""Automatic anchors: shapes for the levels that a model has, found in the sizes of a data set's boxes.

`kmeans_anchors` clusters each level's boxes by the logarithms of their sides: the default. `peak_anchors`
is the driving write-up's way (its section 4.3): peaks of the size histogram become sizes, k-means finds
ratios; but its sizes go to the levels that are there, where the write-up resampled the levels to fit.
Next: coverage.py
"""

from __future__ import annotations

import math

import numpy as np

from sightline.anchors.generate import LevelsHw, ShapedAnchors
from sightline.anchors.signals import find_peaks, highpass
from sightline.errors import UserError

CELLS = 4.0  # a level is for boxes of about so many cells a side, as in RetinaNet
_BINS = np.logspace(0, 5, 103)  # of box areas, px2
_CUTOFF, _APART = 0.15, 10  # of the high-pass in half cycles a bin; bins between two peaks
_ROUNDS, _STARTS = 300, 5
_ENOUGH = 20_000  # points; of more, so many drawn at random say the same


def kmeans_anchors(
    boxes_wh: np.ndarray, *, per_level: int, levels_hw: LevelsHw, input_hw: tuple[int, int], seed: int = 0
) -> ShapedAnchors:
    """Shapes by k-means on (log width, log height), for each level from the boxes that suit it.

    A box suits the level on whose cells it is nearest to 4 x 4 in size (by the logarithm of the square root of
    its area). A level that too few different boxes suit is filled up with the ratios of all boxes, at the middle
    size of its own, or at the level's where it has none. No side is longer than the input's.

    Args:
        boxes_wh: [M, 2], in input pixels; what has no area is left out.
        per_level: anchors at each cell.
        levels_hw: (h, w) of each level.
        input_hw: the network's input.
        seed: of the first centres.

    Raises:
        UserError: there are no boxes.
    """
    boxes_wh = _with_area(boxes_wh)
    sizes = level_sizes(levels_hw, input_hw=input_hw)
    level_of = nearest_levels(boxes_wh, sizes=sizes)
    rng = np.random.default_rng(seed)
    levels = []
    for level, size in enumerate(sizes):
        own = np.log(boxes_wh[level_of == level])
        centres = kmeans(own, count=min(per_level, len(np.unique(own, axis=0))), rng=rng) if len(own) else own
        if len(centres) < per_level:
            middle = own.mean() if len(own) else math.log(size)
            ratios = np.log(boxes_wh[:, 1] / boxes_wh[:, 0])[:, None]
            half = kmeans(ratios, count=per_level - len(centres), rng=rng) / 2
            centres = np.concatenate([centres, middle + np.concatenate([-half, half], axis=1)])
        shapes = np.minimum(np.exp(centres), input_hw[::-1])
        levels.append(shapes[np.argsort(shapes.prod(axis=1), kind="stable")])
    return _written(levels)


def peak_anchors(
    boxes_wh: np.ndarray, *, levels_hw: LevelsHw, ratios_per_size: int = 5, seed: int = 0
) -> ShapedAnchors:
    """Shapes by the driving write-up's peak finder: for each level one size, two squares and some ratios.

    Areas are counted in 102 bins, equally wide in their logarithm; a high-pass takes away what is broad; of the
    peaks at least 10 bins apart, among boxes, the highest, one for each level, give the sizes (square roots of the
    bins' lower edges), and ascending they go to the levels. Each box goes to the nearest size; its group's ratios are
    clustered. A size's shapes are its square, the square sqrt 2 as long, and the ratios.

    Args:
        boxes_wh: [M, 2], in input pixels; what has no area is left out.
        levels_hw: (h, w) of each level, finest first; only their number matters.
        ratios_per_size: clusters of each size.
        seed: of the first centres.

    Raises:
        UserError: there are no boxes, or their sizes have fewer peaks than there are levels.
    """
    boxes_wh = _with_area(boxes_wh)
    areas = boxes_wh.prod(axis=1)
    counts = np.histogram(areas, bins=_BINS)[0].astype(float)
    smooth = highpass(counts, cutoff=_CUTOFF)
    peaks = find_peaks(smooth, distance=_APART)
    # The filter rings: where neither the bin nor its neighbours hold a box there is no size.
    peaks = peaks[np.convolve(counts, np.ones(3), mode="same")[peaks] > 0]
    if len(peaks) < len(levels_hw):
        raise UserError(
            f"The sizes of {len(boxes_wh)} boxes have {len(peaks)} peaks, but the model has {len(levels_hw)} levels, "
            "which need one each. Use anchors by k-means, which need no peaks."
        )
    highest = peaks[np.argsort(-smooth[peaks], kind="stable")[: len(levels_hw)]]
    sizes = np.sqrt(_BINS[np.sort(highest)])
    group = np.abs(np.sqrt(areas)[:, None] - sizes).argmin(axis=1)  # borders half-way, not in the logarithm
    rng = np.random.default_rng(seed)
    levels = []
    for index, size in enumerate(sizes):
        # A size whose neighbours have taken all boxes gets the ratios of all.
        own = boxes_wh[group == index] if (group == index).any() else boxes_wh
        unit = own / np.sqrt(own.prod(axis=1, keepdims=True))
        centres = kmeans(unit, count=ratios_per_size, rng=rng)
        root = np.sqrt(np.sort(centres[:, 1] / centres[:, 0]))
        squares = np.array([[size, size], [size * math.sqrt(2), size * math.sqrt(2)]])
        levels.append(np.concatenate([squares, np.stack([size / root, size * root], axis=1)]))
    return _written(levels)


def level_sizes(levels_hw: LevelsHw, *, input_hw: tuple[int, int]) -> np.ndarray:
    """The size (square root of an area) that each level is for: 4 cells, in input pixels. [L]."""
    return np.array([CELLS * math.sqrt(input_hw[0] / h * input_hw[1] / w) for h, w in levels_hw])


def nearest_levels(boxes_wh: np.ndarray, *, sizes: np.ndarray) -> np.ndarray:
    """Which level's size is nearest to each box's, in the logarithm: [M, 2] -> [M]. Sides must be above 0."""
    return np.abs(np.log(boxes_wh).mean(axis=1)[:, None] - np.log(sizes)).argmin(axis=1)


def kmeans(points: np.ndarray, *, count: int, rng: np.random.Generator) -> np.ndarray:
    """Cluster centres [count, D] of points [M, D], M at least 1: Lloyd's rounds from k-means++ starts, the best of 5.

    Where there are fewer different points than centres, some centres are equal. Of more than 20,000 points
    so many are drawn.
    """
    if len(points) > _ENOUGH:
        points = points[rng.choice(len(points), size=_ENOUGH, replace=False)]
    best, least = points[:0], math.inf
    for _ in range(_STARTS):
        centres = _spread(points, count=count, rng=rng)
        for _ in range(_ROUNDS):
            nearest = _squared(points, centres).argmin(axis=1)
            sums = np.stack([np.bincount(nearest, weights=column, minlength=count) for column in points.T], axis=1)
            members = np.bincount(nearest, minlength=count)[:, None]
            moved = np.where(members > 0, sums / np.maximum(members, 1), centres)
            if np.array_equal(moved, centres):
                break
            centres = moved
        cost = float(_squared(points, centres).min(axis=1).sum())
        if cost < least:
            best, least = centres, cost
    return best


def _spread(points: np.ndarray, *, count: int, rng: np.random.Generator) -> np.ndarray:
    """First centres: each a point, drawn by its squared distance from those before (Arthur, Vassilvitskii 2007)."""
    chosen = [int(rng.integers(len(points)))]
    distance = _squared(points, points[chosen])[:, 0]
    for _ in range(count - 1):
        total = distance.sum()
        chosen.append(int(rng.choice(len(points), p=distance / total)) if total > 0 else chosen[0])
        distance = np.minimum(distance, _squared(points, points[chosen[-1:]])[:, 0])
    return points[chosen]


def _squared(points: np.ndarray, centres: np.ndarray) -> np.ndarray:
    return np.square(points[:, None] - centres).sum(axis=2)


def _with_area(boxes_wh: np.ndarray) -> np.ndarray:
    boxes_wh = np.asarray(boxes_wh, dtype=np.float64).reshape(-1, 2)
    kept = boxes_wh[(boxes_wh > 0).all(axis=1)]
    if not len(kept):
        raise UserError(
            f"There is nothing to find anchors in: {len(boxes_wh)} boxes, none with an area. "
            "Give a data set with boxes."
        )
    return kept


def _written(levels: list[np.ndarray]) -> ShapedAnchors:
    """As a rule, rounded to hundredths of a pixel so that it can be read and kept in a config."""
    rounded = [np.maximum(np.round(shapes, 2), 0.01).tolist() for shapes in levels]
    return ShapedAnchors(shapes_wh=tuple(tuple((w, h) for w, h in shapes) for shapes in rounded))
