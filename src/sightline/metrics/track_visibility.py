"""From which score on a point counts as visible, and whether the scores are the probabilities that they claim to be.

Next: track_baselines.py
"""

from __future__ import annotations

from typing import Any

import numpy as np

from sightline.metrics.tracks import TrackFrames

UNDECIDED = 0.5
_BINS = 10


def best_visible_threshold(frames: TrackFrames, *, threshold_px: float) -> float:
    """The score threshold with the highest F1 at t.

    Between two neighbouring scores every threshold does the same; the middle stands for all, so that rounding on
    another machine moves no frame across. Of places with equal F1 it is the one nearest to 0.5; where nothing is
    visible or no threshold finds anything, there is nothing to choose by, and it is 0.5.
    """
    near = frames.measured & (frames.error_px <= threshold_px)
    scores = np.unique(frames.score[frames.placed])[::-1]  # falling: at each, one more score is found
    num_visible = int(frames.visible.sum())
    if not len(scores) or not near.any():
        return UNDECIDED

    def reaching(which: np.ndarray) -> np.ndarray:
        """How many of some frames [N] bool reach each of `scores`."""
        ordered = np.sort(frames.score[which])
        return len(ordered) - np.searchsorted(ordered, scores, side="left")

    # 2 TP + FP1 + FP2 + FN is what is found, and what is visible and not FP1.
    misplaced = reaching(frames.measured & ~near)
    f1 = 2 * reaching(near) / (reaching(frames.placed) + num_visible - misplaced)
    below = np.append(scores[1:], 0.0)
    middles = (scores + below) / 2
    best = np.flatnonzero(f1 >= f1.max() - 1e-12)
    return float(middles[best[np.argmin(np.abs(middles[best] - UNDECIDED))]])


def visibility_calibration(frames: TrackFrames) -> dict[str, Any]:
    """Bins of the score with the share of frames where the point is visible, and their mean distance.

    Returns:
        `calibration`: low, high, count, mean_score, share_visible of each bin that has frames; `ece`: mean distance
        of score and share over frames (expected calibration error, Guo et al. 2017).
    """
    place = np.minimum((frames.score * _BINS).astype(int), _BINS - 1)
    bins, apart = [], 0.0
    for index in range(_BINS):
        inside = place == index
        if not (count := int(inside.sum())):
            continue
        mean_score, share = float(frames.score[inside].mean()), float(frames.visible[inside].mean())
        bins.append(
            {
                "low": index / _BINS,
                "high": (index + 1) / _BINS,
                "count": count,
                "mean_score": round(mean_score, 6),
                "share_visible": round(share, 6),
            }
        )
        apart += abs(mean_score - share) * count
    return {"calibration": bins, "ece": apart / len(frames)}
