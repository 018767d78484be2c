"""Bootstrap intervals over pictures, or over groups of pictures that belong together.

Points of one picture err together, and so do pictures of one person or clip; resampling single
points would give intervals that are far too narrow. So whole units are resampled: the pictures
of one group (or one picture, where there are no groups) come and go together.

Two kinds of numbers: those that depend on sums over pictures (`interval`: means, ratios, roots
of means), where a resample is one row of a matrix product, and quantiles of all values pooled
(`quantile_intervals`). In: numbers for each picture. Out: `Interval`.
Next: normalisers.py
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np

# Takes sums over pictures, [..., S], and gives the number they stand for, [...].
Statistic = Callable[[np.ndarray], np.ndarray]
# One entry for each picture (or value); equal entries are one unit. All names or all numbers.
Groups = Sequence[str] | Sequence[int] | np.ndarray

_NORMAL = NormalDist()
_CHUNK_ENTRIES = 4_000_000  # of resamples x units in memory at a time: 32 MB
_QUANTILE_BLOCKS = 256


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A number and where it would lie were other pictures drawn from the same source.

    `low` and `high` are None where the data cannot tell: fewer than two units.
    """

    value: float
    low: float | None
    high: float | None

    def to_json(self) -> dict[str, float | None]:
        """The three numbers by their names."""
        return {"value": self.value, "low": self.low, "high": self.high}


def ratio(sums: np.ndarray) -> np.ndarray:
    """First column over second: the mean, where the columns are sum and count. NaN where there is no count."""
    numerator, denominator = sums[..., 0], sums[..., 1]
    return np.divide(numerator, denominator, out=np.full(np.shape(numerator), np.nan), where=denominator != 0)


def root_ratio(sums: np.ndarray) -> np.ndarray:
    """Square root of `ratio`: the root mean square, where the columns are sum of squares and count."""
    return np.sqrt(ratio(sums))


def interval(
    per_image: np.ndarray,
    statistic: Statistic,
    *,
    level: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
    groups: Groups | None = None,
) -> Interval:
    """The value and BCa bootstrap interval of a statistic of sums over pictures.

    Bias-corrected and accelerated (Efron 1987), with the jackknife over units for the
    acceleration. An event that never happens in the data (a failure rate of 0) gets an interval
    of no width: resampling cannot show what was never seen.

    Args:
        per_image: [N, S], what each picture adds to each of the S sums.
        statistic: from sums [..., S] to values [...]; see `ratio`.
        level: the share of repetitions that the interval should cover.
        resamples: how many times the units are drawn again.
        seed: equal seeds give equal intervals.
        groups: [N]; pictures with equal entries are one unit. None: each picture is one.
    """
    table = {"value": (per_image, statistic)}
    return intervals(table, level=level, resamples=resamples, seed=seed, groups=groups)["value"]


def mean_interval(
    values: np.ndarray,
    *,
    level: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
    groups: Groups | None = None,
) -> Interval:
    """`interval` of the plain mean of one value for each picture, [N]."""
    per_image = np.column_stack([values, np.ones(len(values))])
    return interval(per_image, ratio, level=level, resamples=resamples, seed=seed, groups=groups)


def intervals(
    table: Mapping[str, tuple[np.ndarray, Statistic]],
    *,
    level: float = 0.95,
    resamples: int = 2000,
    seed: int = 0,
    groups: Groups | None = None,
) -> dict[str, Interval]:
    """`interval` for several statistics of the same pictures, all from the same resamples.

    Units that add zero to every sum of a statistic tell nothing about it and are not counted as
    units. Resamples where a statistic is not finite (none of its pictures was drawn) are left out.
    """
    _check(level=level, resamples=resamples)
    if not table:
        return {}
    columns = np.hstack([per_image for per_image, _ in table.values()])
    assert len(columns) > 0, "no pictures"
    assert np.isfinite(columns).all(), "NaN is not a mask: add zeros to sum and count instead"
    unit_index, num_units = _units(groups, count=len(columns))
    per_unit = _sum_by_unit(columns, unit_index, num_units=num_units)
    drawn = np.concatenate([weights @ per_unit for weights in _weights(num_units, resamples=resamples, seed=seed)])
    found = {}
    start = 0
    for name, (per_image, statistic) in table.items():
        where = slice(start, start := start + per_image.shape[1])
        value = float(statistic(per_image.sum(axis=0)))
        found[name] = _bca(value, per_unit[:, where], drawn[:, where], statistic=statistic, level=level)
    return found


def quantile_intervals(
    values: np.ndarray,
    *,
    units: Groups,
    quantiles: Sequence[float],
    level: float = 0.95,
    resamples: int = 500,
    seed: int = 0,
) -> list[Interval]:
    """Values and percentile bootstrap intervals of quantiles of values pooled over units.

    Quantiles are numpy's default (linear) ones. BCa is not used here because the jackknife does
    not work for quantiles.

    Args:
        values: [P].
        units: [P], the picture or group that each value belongs to.
        quantiles: each in 0..1.
        level: the share of repetitions that the interval should cover.
        resamples: how many times the units are drawn again.
        seed: equal seeds give equal intervals.
    """
    _check(level=level, resamples=resamples)
    assert len(values) == len(units) > 0, (len(values), len(units))
    order = np.argsort(values, kind="stable")
    ordered = np.asarray(values, dtype=np.float64)[order]
    unit_index, num_units = _units(units, count=len(values))
    points = [float(np.quantile(ordered, quantile)) for quantile in quantiles]
    if num_units < 2:
        return [Interval(value=point, low=None, high=None) for point in points]
    find = QuantileFinder(ordered, unit_index[order], num_units=num_units)
    drawn = np.concatenate([find(w, quantiles) for w in _weights(num_units, resamples=resamples, seed=seed)])
    tails = [(1 - level) / 2, (1 + level) / 2]
    ends = np.quantile(drawn, tails, axis=0)  # [2, Q]
    return [
        Interval(value=point, low=float(low), high=float(high))
        for point, low, high in zip(points, ends[0], ends[1], strict=True)
    ]


class QuantileFinder:
    """Quantiles of sorted values [P] whose weights are those of their units.

    Cumulating P weights for each resample would be slow for many points. So the weight of whole
    blocks of values is one matrix product, and only the block that holds the quantile is cumulated.
    """

    def __init__(self, ordered: np.ndarray, unit_of: np.ndarray, *, num_units: int) -> None:
        size = math.ceil(len(ordered) / _QUANTILE_BLOCKS)
        num_blocks = math.ceil(len(ordered) / size)
        padding = num_blocks * size - len(ordered)
        block_of = np.arange(len(ordered)) // size
        counts = np.bincount(unit_of * num_blocks + block_of, minlength=num_units * num_blocks)
        self._counts = counts.reshape(num_units, num_blocks).astype(np.float64)
        # What pads the last block is never reached: the weights before it reach the total.
        self._values = np.pad(ordered, (0, padding), mode="edge").reshape(num_blocks, size)
        self._units = np.pad(unit_of, (0, padding), mode="edge").reshape(num_blocks, size)

    def __call__(self, weights: np.ndarray, quantiles: Sequence[float]) -> np.ndarray:
        """Weights [R, G] of the units to quantiles [R, Q]."""
        cumulated = np.cumsum(weights @ self._counts, axis=1)  # [R, blocks]
        columns = []
        for quantile in quantiles:
            rank = (cumulated[:, -1] - 1) * quantile
            below = self._at_rank(weights, cumulated, np.floor(rank))
            above = self._at_rank(weights, cumulated, np.ceil(rank))
            columns.append(below + (above - below) * (rank - np.floor(rank)))
        return np.stack(columns, axis=1)

    def _at_rank(self, weights: np.ndarray, cumulated: np.ndarray, rank: np.ndarray) -> np.ndarray:
        """The value at that 0-based rank, were each value written down as often as its weight says."""
        block = (cumulated <= rank[:, None]).sum(axis=1)  # [R]
        row = np.arange(len(rank))
        before = np.where(block > 0, cumulated[row, block - 1], 0.0)
        inner = np.cumsum(weights[row[:, None], self._units[block]], axis=1)  # [R, size]
        return self._values[block, (inner <= (rank - before)[:, None]).sum(axis=1)]


def _check(*, level: float, resamples: int) -> None:
    assert 0 < level < 1, level
    assert resamples > 0, resamples


def _units(groups: Groups | None, *, count: int) -> tuple[np.ndarray, int]:
    """The unit that each of `count` entries belongs to, and how many units there are.

    Units are numbered in the order of their names, so that the order of pictures does not matter.
    """
    if groups is None:
        return np.arange(count), count
    assert len(groups) == count, (len(groups), count)
    names, index = np.unique(np.asarray(groups), return_inverse=True)
    return index, len(names)


def _sum_by_unit(per_image: np.ndarray, unit_index: np.ndarray, *, num_units: int) -> np.ndarray:
    """[N, S] to [G, S]."""
    columns = [np.bincount(unit_index, weights=column, minlength=num_units) for column in per_image.T]
    return np.stack(columns, axis=1)


def _weights(num_units: int, *, resamples: int, seed: int) -> Iterator[np.ndarray]:
    """How often each unit is drawn in each resample, as float64 [r, G] chunks of `resamples` rows in all."""
    rng = np.random.default_rng(seed)
    rows = max(1, _CHUNK_ENTRIES // num_units)
    for start in range(0, resamples, rows):
        count = min(rows, resamples - start)
        drawn = rng.integers(0, num_units, size=(count, num_units), dtype=np.int32)
        flat = (drawn + np.arange(count, dtype=np.int64)[:, None] * num_units).ravel()
        yield np.bincount(flat, minlength=count * num_units).reshape(count, num_units).astype(np.float64)


def _bca(value: float, per_unit: np.ndarray, drawn: np.ndarray, *, statistic: Statistic, level: float) -> Interval:
    """The interval from the value, what units add [G, S] and the sums of resamples [R, S]."""
    assert math.isfinite(value), "no picture adds to the sums"
    telling = per_unit[(per_unit != 0).any(axis=1)]
    values = statistic(drawn)
    values = values[np.isfinite(values)]
    if len(telling) < 2 or len(values) == 0:
        return Interval(value=value, low=None, high=None)
    # Of resamples equal to the value, half count as below it: counts and rates have many such.
    slack = 1e-12 * abs(value)
    below = (np.mean(values < value - slack) + np.mean(values <= value + slack)) / 2
    below = float(np.clip(below, 0.5 / len(values), 1 - 0.5 / len(values)))
    bias = _NORMAL.inv_cdf(below)
    acceleration = _acceleration(statistic(per_unit.sum(axis=0) - telling))
    tails = []
    for tail in ((1 - level) / 2, (1 + level) / 2):
        shifted = bias + _NORMAL.inv_cdf(tail)
        tails.append(_NORMAL.cdf(bias + shifted / (1 - acceleration * shifted)))
    low, high = np.quantile(values, tails)
    return Interval(value=value, low=float(low), high=float(high))


def _acceleration(left_out: np.ndarray) -> float:
    """A sixth of the skewness of the jackknife values [G]."""
    left_out = left_out[np.isfinite(left_out)]
    if len(left_out) == 0:
        return 0.0
    away = left_out.mean() - left_out
    spread = float(np.sum(away**2))
    scale = float(np.max(np.abs(left_out)))
    return float(np.sum(away**3) / (6 * spread**1.5)) if spread > (1e-12 * scale) ** 2 else 0.0
