"""Left and right: predictions that would be better with twins exchanged, and twins that are both put into the middle.

The first comes from labels that swap sides and from mirror images whose twins were not exchanged in half of the
training; the second from the same mistake in all of it, where the mean of both sides is the best answer. Both are
seen per pair of twins, and only where the two lie apart. Needs no torch.
Next: certainty.py
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sightline.audit.findings import Finding
from sightline.metrics.units import drawn_counts, percentile_interval, wilson_interval
from sightline.records import Skeleton

OFTEN = 0.02  # share of pairs from which on confusion is told,
MUCH = 0.2  # and from which on it is an error
MEET = 0.5  # predicted twins are this part as far apart as true ones, or less
LEAST_PAIRS = 20
LEAST_UNITS = 8
_RESAMPLES = 1000
_MOST_NAMED = 6


def find_twins(
    found_xy: np.ndarray,
    truth_xy: np.ndarray,
    visible: np.ndarray,
    *,
    skeleton: Skeleton,
    units: np.ndarray,
    part: str,
) -> list[Finding]:
    """Confused twins, and twins that meet.

    Args:
        found_xy: [N, K, 2], pixels of one unit for all pictures.
        truth_xy: [N, K, 2], likewise.
        visible: [N, K] bool.
        skeleton: of the K points.
        units: [N]; pictures with equal entries are drawn together.
        part: where this was measured.
    """
    if not skeleton.flip_pairs:
        return []
    left, right = (np.array(side) for side in zip(*skeleton.flip_pairs, strict=True))
    there = visible[:, left] & visible[:, right]  # [N, P]
    apart = np.linalg.norm(truth_xy[:, left] - truth_xy[:, right], axis=-1)
    there &= apart > 0
    if there.sum() < LEAST_PAIRS or int(units.max()) + 1 < LEAST_UNITS:
        return []
    meet = _meeting(found_xy[:, left] - found_xy[:, right], truth_xy[:, left] - truth_xy[:, right], there, units)
    names = [f"{skeleton.names[a]} / {skeleton.names[b]}" for a, b in skeleton.flip_pairs]
    if meet is not None:
        return [_meet_finding(*meet, part=part)]
    own = _distance(found_xy[:, left], truth_xy[:, left]) + _distance(found_xy[:, right], truth_xy[:, right])
    swapped = _distance(found_xy[:, left], truth_xy[:, right]) + _distance(found_xy[:, right], truth_xy[:, left])
    # A clean exchange saves twice the twins' distance; points in the middle save nothing.
    confused = there & (own - swapped > apart)
    return _confused_finding(confused, there, saved=own - swapped, own=own, names=names, units=units, part=part)


def _distance(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return np.linalg.norm(one - other, axis=-1)


def _meeting(
    found: np.ndarray, truth: np.ndarray, there: np.ndarray, units: np.ndarray
) -> tuple[float, float, float] | None:
    """How far apart twins are found, along the line from twin to twin and in parts of it: mean and interval.

    The size alone is taken, so that an exchange does not count as meeting.
    """
    length = np.where(there, (truth**2).sum(axis=-1), 1.0)
    along = np.abs((found * truth).sum(axis=-1)) / length
    sums = np.column_stack([np.where(there, along, 0.0).sum(axis=1), there.sum(axis=1)])
    weights = drawn_counts(units, resamples=_RESAMPLES, seed=0) @ sums
    share = float(sums[:, 0].sum() / sums[:, 1].sum())
    drawn = weights[:, 0] / np.maximum(weights[:, 1], 1)
    low, high = np.quantile(drawn, [0.025, 0.975])
    return (share, float(low), float(high)) if high < MEET else None


def _meet_finding(share: float, low: float, high: float, *, part: str) -> Finding:
    return Finding(
        id="twins-meet",
        severity="error",
        part=part,
        text=f"Left and right points are put together: twins are found {share:.0%} as far apart as they are (95 % "
        f"interval {low:.0%} to {high:.0%}).",
        todo="The network does not know left from right, and the middle is its best guess. See that mirror images "
        "exchange twins (augment.flip_swaps_twins) and that labels do not swap sides.",
        numbers={"share": share, "low": low, "high": high},
    )


def _confused_finding(
    confused: np.ndarray,
    there: np.ndarray,
    *,
    saved: np.ndarray,
    own: np.ndarray,
    names: Sequence[str],
    units: np.ndarray,
    part: str,
) -> list[Finding]:
    count = int(there.sum())
    share = float(confused.sum() / count)
    num_units = int(units.max()) + 1
    counts = np.column_stack([confused.sum(axis=1), there.sum(axis=1)])
    drawn = drawn_counts(units, resamples=_RESAMPLES, seed=0) @ counts
    between = percentile_interval(share, drawn[:, 0] / np.maximum(drawn[:, 1], 1), level=0.95, num_units=num_units)
    if 0 < share == between.low:  # every unit alike
        between = wilson_interval(share, count=num_units, level=0.95)
    if share < OFTEN or between.low is None or between.high is None or between.low < OFTEN / 4:
        return []
    rate = confused.sum(axis=0) / np.maximum(there.sum(axis=0), 1)
    worst = [pair for pair in np.argsort(-rate).tolist() if rate[pair] > 0][:_MOST_NAMED]
    gain = float(np.where(confused, saved, 0.0).sum() / np.where(there, own, 0.0).sum())
    listed = ", ".join(f"{names[pair]} ({rate[pair]:.0%})" for pair in worst)
    return [
        Finding(
            id="left-right",
            severity="error" if share >= MUCH else "warning",
            part=part,
            text=f"Left and right are taken for each other in {share:.1%} of the pairs (95 % interval "
            f"{between.low:.1%} to {between.high:.1%}), which is {gain:.0%} of these points' error. Most often: "
            f"{listed}.",
            todo="Look for labels that swap sides (sightline check), see that mirror images exchange twins "
            "(augment.flip_swaps_twins), and that the picture tells the sides apart at all.",
            numbers={
                "share": share,
                "low": between.low,
                "high": between.high,
                "share_of_error": gain,
                "pairs": [{"name": names[pair], "share": float(rate[pair])} for pair in worst],
            },
        )
    ]
