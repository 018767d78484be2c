"""What is resampled together, how often each of it is drawn, and intervals of shares that were never seen to fail.

bootstrap.py makes intervals of sums over pictures. What is no such sum (average precision) needs
the draws themselves: how often each picture counts in each resample.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist

import numpy as np

from sightline.metrics.bootstrap import Interval

_CHUNK_ENTRIES = 1_000_000


def number_units(image_ids: Sequence[str], *, groups: Sequence[str | None] | None = None) -> np.ndarray:
    """A number for each picture, [N] int64: that of its group, or of its own name where it has none.

    Numbers follow the names' order, so that the order of pictures is of no matter.
    """
    named = groups if groups is not None else [None] * len(image_ids)
    assert len(named) == len(image_ids), (len(named), len(image_ids))
    # Pairs, since a group may be called as a picture is.
    keys = [
        (group is None, image_id if group is None else group) for group, image_id in zip(named, image_ids, strict=True)
    ]
    number = {key: index for index, key in enumerate(sorted(set(keys)))}
    return np.array([number[key] for key in keys], dtype=np.int64)


def drawn_counts(units: np.ndarray, *, resamples: int, seed: int) -> np.ndarray:
    """How often each picture counts in each resample of units drawn with replacement: [R, N] float64.

    Args:
        units: [N], what `number_units` gives; pictures with equal entries come and go together.
        resamples: R.
        seed: equal seeds give equal draws.
    """
    num_units = int(units.max(initial=-1)) + 1
    rng = np.random.default_rng(seed)
    counts = np.empty((resamples, len(units)))
    rows = max(1, _CHUNK_ENTRIES // max(1, num_units))
    for start in range(0, resamples, rows):
        count = min(rows, resamples - start)
        drawn = rng.integers(0, num_units, size=(count, num_units)) + np.arange(count)[:, None] * num_units
        per_unit = np.bincount(drawn.ravel(), minlength=count * num_units).reshape(count, num_units)
        counts[start : start + count] = per_unit[:, units]
    return counts


def percentile_interval(value: float, drawn: np.ndarray, *, level: float, num_units: int) -> Interval:
    """The interval between percentiles of resampled values of a number in 0..1, about the value.

    The percentiles are moved by how far the mean of the resampled values lies from the value: what resampling
    itself shifts (pictures that occur twice) is no part of where other pictures would put the number. Resamples
    that have no value (NaN) are left out.
    """
    drawn = drawn[np.isfinite(drawn)]
    if num_units < 2 or len(drawn) == 0:
        return Interval(value=value, low=None, high=None)
    moved = drawn - (drawn.mean() - value)
    low, high = np.quantile(moved, [(1 - level) / 2, (1 + level) / 2])
    # A skewed handful of resamples must not leave the value outside.
    return Interval(value=value, low=float(np.clip(low, 0.0, value)), high=float(np.clip(high, value, 1.0)))


def wilson_interval(share: float, *, count: int, level: float) -> Interval:
    """The score interval of a share of `count` trials (Wilson 1927): it has a width where the share is 0 or 1."""
    assert 0 <= share <= 1 and count > 0, (share, count)
    z = NormalDist().inv_cdf((1 + level) / 2)
    middle = (share + z**2 / (2 * count)) / (1 + z**2 / count)
    half = z * math.sqrt(share * (1 - share) / count + z**2 / (4 * count**2)) / (1 + z**2 / count)
    # Rounding must not leave the exact ends outside of their own interval.
    low = 0.0 if share == 0 else max(0.0, middle - half)
    high = 1.0 if share == 1 else min(1.0, middle + half)
    return Interval(value=share, low=low, high=high)
