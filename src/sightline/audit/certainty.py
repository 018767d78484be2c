"""Whether scores are the share that is right, and which classes are taken for each other.

Both are read from what the task's own evaluation tells (its calibration bins and its confusion). An expected
calibration error is never 0, even of perfect scores, as ten bins of few boxes scatter; so it is held against what
perfect scores would give on as many. Needs no torch.
Next: ../cli/audit.py
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from sightline.audit.findings import Finding
from sightline.metrics.units import wilson_interval

LEAST_ECE = 0.05
OFTEN = 0.1  # share of a class's objects that are taken for one other
LEAST_OFTEN = 0.03  # that the interval must be above
LEAST_COUNT = 3
_TRIALS = 2000
_MOST_NAMED = 4


def find_miscalibration(details: Mapping[str, Any], *, part: str) -> list[Finding]:
    """Scores that are not the share that is right; nothing is said where the task's scores claim nothing (points).

    Args:
        details: further keys of metrics.json, perhaps with calibration bins.
        part: where they come from.
    """
    bins = _bins(details)
    if not bins:
        return []
    count = np.array([one["count"] for one in bins])
    score = np.array([one["mean_score"] for one in bins], dtype=float)
    right = np.array([one["right"] for one in bins], dtype=float)
    ece = float((np.abs(score - right) * count).sum() / count.sum())
    drawn = np.random.default_rng(0).binomial(count, score.clip(0, 1), size=(_TRIALS, len(count))) / count
    by_chance = float(np.quantile((np.abs(score - drawn) * count).sum(axis=1) / count.sum(), 0.95))
    if ece <= max(LEAST_ECE, by_chance):
        return []
    mean_score, share = float((score * count).sum() / count.sum()), float((right * count).sum() / count.sum())
    lean = "too sure" if mean_score > share else "not sure enough"
    return [
        Finding(
            id="miscalibrated",
            severity="warning",
            part=part,
            text=f"Scores are off by {ece:.3f} on average, where scores that mean what they say would be off by at "
            f"most {by_chance:.3f} on so few ({int(count.sum()):,}): the mean score is {mean_score:.2f}, and "
            f"{share:.1%} are right. The network is {lean}.",
            todo="Do not read the score as a probability, and choose thresholds on validation pictures of your own.",
            numbers={"ece": ece, "by_chance": by_chance, "mean_score": mean_score, "share_right": share, "bins": bins},
        )
    ]


def _bins(details: Mapping[str, Any]) -> list[dict[str, float]]:
    """Bins that hold anything, in the one form: count, mean_score, right."""
    told = details.get("calibration")
    bins = told.get("bins", []) if isinstance(told, Mapping) else told or []
    return [
        {
            "count": one["count"],
            "mean_score": one["mean_score"],
            "right": one.get("share_right", one.get("share_visible")),
        }
        for one in bins
        if one["count"]
    ]


def find_confusion(details: Mapping[str, Any], classes: Sequence[str], *, part: str) -> list[Finding]:
    """Classes of which a good part is taken for one other class; being missed is another matter.

    Args:
        details: further keys of metrics.json, perhaps with a confusion matrix (rows true, columns found).
        classes: what counts as a class: background does not.
        part: where they come from.
    """
    table = details.get("confusion")
    if not table:
        return []
    names, counts = list(table["names"]), np.asarray(table["counts"])
    found = []
    for true, name in enumerate(names):
        total = int(counts[true].sum())
        for told, other in enumerate(names):
            number = int(counts[true, told])
            if true == told or not number or name not in classes or other not in classes:
                continue
            between = wilson_interval(number / total, count=total, level=0.95)
            if number >= LEAST_COUNT and number / total >= OFTEN and (between.low or 0.0) >= LEAST_OFTEN:
                found.append((number / total, between.low, between.high, number, total, name, other))
    if not found:
        return []
    found.sort(reverse=True)
    listed = "; ".join(
        f"{number} of {total} '{name}' are called '{other}' ({share:.0%}, 95 % interval {low:.0%} to {high:.0%})"
        for share, low, high, number, total, name, other in found[:_MOST_NAMED]
    )
    return [
        Finding(
            id="class-confusion",
            severity="warning",
            part=part,
            text=f"Classes are taken for others: {listed}.",
            todo="Look at these classes in the report, check their labels, and label more of the rarer.",
            numbers={
                "pairs": [
                    {"true": name, "found": other, "count": number, "of": total, "share": share}
                    for share, _, _, number, total, name, other in found
                ]
            },
        )
    ]
