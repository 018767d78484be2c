"""One score threshold for each class, and what is right, wrong and missed there at IoU 0.5.

A found box is kept when its score reaches the threshold of its class. `best_thresholds` chooses
the one with the highest F1; of thresholds with equal F1 the highest, which keeps the fewest
boxes. It is put halfway between the lowest score that it keeps and the next lower one (0 where
there is none), so that another machine's rounding does not move a box across. A class whose best
F1 is 0, or that has no true or no found boxes, gets the threshold that is best for all classes
pooled; where that too has an F1 of 0, there is nothing to choose by and it is 0.5.
Next: box_errors.py
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sightline.errors import UserError, unknown_name
from sightline.metrics.bootstrap import Interval, Statistic, intervals, ratio
from sightline.metrics.box_matches import BoxMatches

UNDECIDED = 0.5
CALIBRATION_BINS = 10


@dataclass(frozen=True, kw_only=True, eq=False)
class OperatingPoint:
    """What is kept at one threshold for each class.

    Attributes:
        matches: the match table, of D found and G true boxes in N pictures.
        thresholds: [C].
        right: [D] bool, kept and took a true box.
        wrong: [D] bool, kept and did not; what lies on a crowd is neither.
        counts: [G] bool, true boxes that are to be found (no crowds).
        taken: [G] bool, those that were.
    """

    matches: BoxMatches
    thresholds: np.ndarray
    right: np.ndarray
    wrong: np.ndarray
    counts: np.ndarray
    taken: np.ndarray

    def metrics(self, units: np.ndarray, *, level: float, seed: int) -> dict[str, Interval]:
        """precision, recall, f1 and mean_iou (of what is right), pooled over classes, with intervals over units [N].

        Left out is what has no value: precision where nothing is kept, recall and f1 where there is nothing to
        find, mean_iou where nothing is right.
        """
        table: dict[str, tuple[np.ndarray, Statistic]] = {
            name: (np.column_stack([above, below]), ratio)
            for name, (above, below) in self._sums().items()
            if below.sum() > 0 and (name != "f1" or self.counts.any())
        }
        return intervals(table, level=level, seed=seed, groups=units)

    def values(self) -> dict[str, float]:
        """The same without intervals."""
        sums = {name: (float(above.sum()), float(below.sum())) for name, (above, below) in self._sums().items()}
        return {
            name: above / below
            for name, (above, below) in sums.items()
            if below > 0 and (name != "f1" or self.counts.any())
        }

    def per_picture(self, which: np.ndarray, *, weights: np.ndarray | None = None) -> np.ndarray:
        """Sum of a flag (or weights) of found boxes [D] by picture: [N]."""
        image = self.matches.found.image[which]
        chosen = None if weights is None else weights[which]
        return np.bincount(image, weights=chosen, minlength=self.matches.num_images).astype(np.float64)

    def objects(self) -> np.ndarray:
        """True boxes that are to be found in each picture: [N]."""
        image = self.matches.truth.image[self.counts]
        return np.bincount(image, minlength=self.matches.num_images).astype(np.float64)

    def picture_sums(self) -> dict[str, tuple[np.ndarray, str]]:
        """What each picture adds to the two sums [N, 2] of each metric that has a value, all of them ratios."""
        known = self.values()
        sums = self._sums()
        return {name: (np.column_stack(sums[name]), "ratio") for name in known}

    def _sums(self) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Numerator and denominator of each metric, for each picture."""
        right, wrong, objects = self.per_picture(self.right), self.per_picture(self.wrong), self.objects()
        iou = self.per_picture(self.right, weights=self.matches.iou)
        return {
            "precision": (right, right + wrong),
            "recall": (right, objects),
            "f1": (2 * right, right + wrong + objects),
            "mean_iou": (iou, right),
        }


def operating_point(matches: BoxMatches, thresholds: Mapping[str, float]) -> OperatingPoint:
    """Keep what reaches the threshold of its class.

    Raises:
        UserError: a class has no threshold, there is one for an unknown class, or one is not in 0..1.
    """
    by_class = _in_order(thresholds, classes=matches.classes)
    kept = matches.found.score >= by_class[matches.found.label]
    right = kept & matches.is_right
    taken = np.zeros(len(matches.truth), dtype=bool)
    taken[matches.partner[right]] = True
    return OperatingPoint(
        matches=matches,
        thresholds=by_class,
        right=right,
        wrong=kept & matches.is_judged & ~matches.is_right,
        counts=matches.truth_counts[0],
        taken=taken,
    )


def best_thresholds(matches: BoxMatches) -> dict[str, float]:
    """The score threshold with the best F1 at IoU 0.5 for each class; see the head of this file for ties."""
    judged = np.flatnonzero(matches.is_judged)
    label, score, right = matches.found.label[judged], matches.found.score[judged], matches.is_right[judged]
    objects = np.bincount(matches.truth.label[matches.truth_counts[0]], minlength=len(matches.classes))
    by_score = np.argsort(-score, kind="stable")
    pooled, f1 = _best(score[by_score], right[by_score], objects=int(objects.sum()))
    pooled = pooled if f1 > 0 else UNDECIDED
    found = {}
    bounds = np.searchsorted(label, np.arange(len(matches.classes) + 1))
    for place, name in enumerate(matches.classes):
        where = slice(bounds[place], bounds[place + 1])
        threshold, f1 = _best(score[where], right[where], objects=int(objects[place]))
        found[name] = threshold if f1 > 0 else pooled
    return found


def calibration(score: np.ndarray, right: np.ndarray) -> dict[str, Any]:
    """Whether scores are shares: ten bins of score, and the expected calibration error.

    Args:
        score: [N], 0..1.
        right: [N] bool.

    Returns:
        "bins": low, high, count, mean_score and share_right (None in an empty bin); "ece": mean of
        |mean_score - share_right| over boxes (Guo et al. 2017), None without any.
    """
    edges = np.linspace(0.0, 1.0, CALIBRATION_BINS + 1)
    place = np.clip(np.searchsorted(edges, score, side="right") - 1, 0, CALIBRATION_BINS - 1)
    count = np.bincount(place, minlength=CALIBRATION_BINS)
    scores = np.bincount(place, weights=score, minlength=CALIBRATION_BINS)
    rights = np.bincount(place, weights=right.astype(np.float64), minlength=CALIBRATION_BINS)
    bins = [
        {
            "low": float(edges[row]),
            "high": float(edges[row + 1]),
            "count": int(count[row]),
            "mean_score": float(scores[row] / count[row]) if count[row] else None,
            "share_right": float(rights[row] / count[row]) if count[row] else None,
        }
        for row in range(CALIBRATION_BINS)
    ]
    return {"bins": bins, "ece": float(np.abs(scores - rights).sum() / len(score)) if len(score) else None}


def _best(score: np.ndarray, right: np.ndarray, *, objects: int) -> tuple[float, float]:
    """The threshold with the best F1 and that F1, for boxes from the best to the worst."""
    if len(score) == 0 or objects == 0:
        return UNDECIDED, 0.0
    f1 = 2 * np.cumsum(right) / (np.arange(1, len(score) + 1) + objects)
    # A threshold keeps all boxes of one score, so only the last of them is a choice.
    lasts = np.flatnonzero(np.diff(score, append=-1.0))
    best = int(f1[lasts].argmax())  # the first of equals: the highest threshold
    lowest = float(score[lasts[best]])
    lower = float(score[lasts[best + 1]]) if best + 1 < len(lasts) else 0.0
    middle = (lowest + lower) / 2
    return (middle if middle > lower else lowest), float(f1[lasts[best]])


def _in_order(thresholds: Mapping[str, float], *, classes: Sequence[str]) -> np.ndarray:
    for name, value in thresholds.items():
        if name not in classes:
            raise unknown_name("class", name, classes)
        if not 0 <= value <= 1:
            raise UserError(f"The score threshold of class '{name}' is {value:g}; it must be between 0 and 1.")
    missing = [name for name in classes if name not in thresholds]
    if missing:
        raise UserError(
            f"There is no score threshold for {len(missing)} of {len(classes)} classes, the first is '{missing[0]}'. "
            "Give one for each class, or none at all to choose them on these pictures."
        )
    return np.array([thresholds[name] for name in classes], dtype=np.float64).reshape(len(classes))
