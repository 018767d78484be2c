"""Choosing a set that is worth much and holds nothing twice: farthest-first, weighted.

Gonzalez (1985): take again and again what lies farthest from all that was taken. The largest distance of anything to
what was chosen is then at most twice the best possible. With weights, the distance counts as many times: of two things
equally far the one worth more is taken. As a product it depends on no unit. Next: choose.py
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

_GRID = 8
_BINS = 8


@dataclass(frozen=True, kw_only=True, eq=False)
class Spread:
    """What was taken, in this order, and how far each lay from all taken before it (None for the first)."""

    taken: tuple[int, ...]
    distances: tuple[float | None, ...]


def farthest_first(
    features: np.ndarray,
    *,
    count: int,
    weights: np.ndarray | None = None,
    seed: int = 0,
    allowed: np.ndarray | None = None,
    excluded_by: Callable[[int], np.ndarray] | None = None,
) -> Spread:
    """Take up to `count` things; fewer where nothing is left that may be taken.

    Args:
        features: [N, D], finite.
        count: how many.
        weights: [N], above 0; all alike without them. The first thing taken is the one of the largest weight.
        seed: decides between equals.
        allowed: [N] bool; what may be taken at all.
        excluded_by: of what was taken, [N] bool: what may no longer be taken.
    """
    points = np.asarray(features, dtype=np.float64)
    number = len(points)
    worth = np.ones(number) if weights is None else np.asarray(weights, dtype=np.float64)
    free = np.ones(number, dtype=bool) if allowed is None else allowed.copy()
    order = np.random.default_rng(seed).permutation(number)
    nearest = np.full(number, np.inf)
    taken: list[int] = []
    distances: list[float | None] = []
    while len(taken) < count and free.any():
        gain = worth if not taken else worth * nearest
        best = free & (gain == gain[free].max())
        best &= worth == worth[best].max()
        chosen = int(order[np.argmax(best[order])])
        distances.append(float(nearest[chosen]) if taken else None)
        taken.append(chosen)
        nearest = np.minimum(nearest, np.linalg.norm(points - points[chosen], axis=1))
        free[chosen] = False
        if excluded_by is not None:
            free &= ~excluded_by(chosen)
    return Spread(taken=tuple(taken), distances=tuple(distances))


def in_typical_distances(features: np.ndarray) -> np.ndarray:
    """Features scaled so that two of them lie 1 apart in the root mean square: a distance that a table can show."""
    points = np.asarray(features, dtype=np.float64)
    typical = np.sqrt(2 * points.var(axis=0).sum())
    return points / typical if typical > 0 else points


def appearance(image_rgb: np.ndarray) -> np.ndarray:
    """What a picture looks like where no network says it: [88] float32.

    Args:
        image_rgb: [H, W, 3] uint8.

    Returns:
        64 grey levels of an 8 x 8 thumbnail and the square roots of three histograms of 8 bins in CIE Lab, both of
        about unit length (square roots make the Euclidean distance of histograms Hellinger's).
    """
    grey = cv2.cvtColor(image_rgb, cv2.COLOR_RGB2GRAY)
    small = cv2.resize(grey, (_GRID, _GRID), interpolation=cv2.INTER_AREA).astype(np.float32).ravel() / 255
    step = max(1, max(image_rgb.shape[:2]) // 256)
    lab = cv2.cvtColor(np.ascontiguousarray(image_rgb[::step, ::step]), cv2.COLOR_RGB2LAB).reshape(-1, 3)
    bins = [np.bincount(lab[:, k] // (256 // _BINS), minlength=_BINS) / len(lab) for k in range(3)]
    colours = np.sqrt(np.concatenate(bins) / 3).astype(np.float32)
    return np.concatenate([small / np.sqrt(_GRID * _GRID), colours]).astype(np.float32)
