"""How far several answers to one picture lie apart: those of several models, or of one model to changed pictures.

Query by committee (Seung, Opper, Sompolinsky 1992), with distances in place of votes. 0 where the answers are one.
 In: answers. Out: a number. Next: diversity.py
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations

import numpy as np
from scipy.optimize import linear_sum_assignment

from sightline.geometry import pairwise_iou
from sightline.records import Detections, FoundPoints
from sightline.track.point import TrackPoint

_LEAST_SHARE = 0.05  # of the picture's longer side: the least size that distances of points are told in
_FAR_SHARE = 0.05  # of the picture's longer side: so far off a point of a clip is somewhere else


def points_apart(answers: Sequence[FoundPoints], *, size_hw: tuple[int, int]) -> float:
    """The mean distance of a point in two answers, as a share of the object's size and at most 1.

    Args:
        answers: the same K points each; at least one.
        size_hw: of the picture. A lone point's distances are told as a share of the picture's longer side.
    """
    places = np.stack([one.points_xy for one in answers])  # [answers, K, 2]
    middle = places.mean(axis=0)
    longer = float(max(size_hw))
    side = longer if len(middle) == 1 else max(float(np.ptp(middle, axis=0).max()), _LEAST_SHARE * longer)
    pairs = [np.linalg.norm(a - b, axis=1) / side for a, b in combinations(places, 2)]
    return float(np.minimum(pairs, 1.0).mean()) if pairs else 0.0


def boxes_apart(answers: Sequence[Detections], *, least: np.ndarray | None = None) -> float:
    """1 minus how much of the boxes of two answers is shared, mean over the pairs of answers.

    Boxes of one class are matched so that most is shared. A match shares the smaller of its two scores times the
    overlap; twice the sum of these over the sum of all scores is Dice's coefficient of fuzzy sets.

    Args:
        answers: boxes of any score.
        least: [classes], boxes with lower scores are left out, since hundreds of them are in every picture. Without
            it every box counts fully, whatever its score (one box a picture).
    """
    kept = answers if least is None else [one.select(one.scores >= least[one.labels]) for one in answers]
    weights = [np.ones(len(one)) if least is None else one.scores for one in kept]
    pairs = list(combinations(range(len(kept)), 2))
    apart = [1.0 - _shared(kept[a], kept[b], weights[a], weights[b]) for a, b in pairs]
    return float(np.mean(apart)) if apart else 0.0


def _shared(first: Detections, second: Detections, first_weight: np.ndarray, second_weight: np.ndarray) -> float:
    total = float(first_weight.sum() + second_weight.sum())
    if total == 0:
        return 1.0  # both say that there is nothing
    shares = pairwise_iou(first.boxes_xyxy, second.boxes_xyxy) * np.minimum(first_weight[:, None], second_weight[None])
    shares = np.where(first.labels[:, None] == second.labels[None], shares, 0.0)
    rows, columns = linear_sum_assignment(shares, maximize=True)
    return 2.0 * float(shares[rows, columns].sum()) / total


def sights_apart(answers: Sequence[TrackPoint], *, size_hw: tuple[int, int]) -> float:
    """Of one point that may be hidden: different probabilities, and different places as far as both see it.

    Args:
        answers: of several trackers to one frame.
        size_hw: of the frame.
    """
    apart = [
        abs(a.score - b.score) + min(_seen(a), _seen(b)) * _off((a.x, a.y), (b.x, b.y), size_hw=size_hw)
        for a, b in combinations(answers, 2)
    ]
    return float(np.mean(apart)) if apart else 0.0


def out_of_step(
    before: TrackPoint | None, now: TrackPoint, after: TrackPoint | None, *, size_hw: tuple[int, int]
) -> float:
    """How badly one frame of a clip fits its two neighbours, for a single tracker: it jumps, or it blinks.

    Where the neighbours see the point, a steady motion puts it in the middle between them. 0 at the ends of a clip.
    """
    if before is None or after is None:
        return 0.0
    middle = ((before.x + after.x) / 2, (before.y + after.y) / 2)
    all_see = min(_seen(before), _seen(now), _seen(after))
    blink = abs(now.score - (before.score + after.score) / 2)
    return blink + all_see * _off((now.x, now.y), middle, size_hw=size_hw)


def _seen(point: TrackPoint) -> float:
    """The probability of the point's place; 0 where it has none."""
    return point.score if point.visible else 0.0


def _off(first: tuple[float, float], second: tuple[float, float], *, size_hw: tuple[int, int]) -> float:
    return min(1.0, math.dist(first, second) / (_FAR_SHARE * max(size_hw)))
