"""How unsure a model is of one picture, from its scores alone: a number for ranking, and what to tell a person.

The numbers of two tasks, or of two models, do not compare; they are turned into ranks before anything is added.
In: what a model found. Out: `Doubt`. Next: disagreement.py
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sightline.records import Detections, FoundPoints

# A box is in doubt where its score lies between halfway up to the threshold and halfway from there to 1.
_DOUBTFUL = (0.25, 0.75)


@dataclass(frozen=True, kw_only=True)
class Doubt:
    """How unsure, from 0 up, and why in a few words; empty where the scores say nothing."""

    value: float
    words: str


def doubt_of_points(found: FoundPoints, *, names: Sequence[str], calibrated: bool = False) -> Doubt:
    """Low scores: 1 minus the middle between the mean and the least score.

    The mean alone would hide one lost point among many sure ones, the least alone every picture behind one point that
    is always hard.

    Args:
        found: the points.
        names: of them.
        calibrated: take the calibration's probabilities, which must be there, in place of the scores.
    """
    scores = _sureness(found, calibrated=calibrated)
    worst = int(np.argmin(scores))
    value = 1.0 - float(scores.mean() + scores[worst]) / 2
    return Doubt(value=value, words=f"'{names[worst]}' scores {_score(scores[worst])}")


def doubt_of_box(found: Detections, *, names: Sequence[str], calibrated: bool = False) -> Doubt:
    """Of the one box of a picture: 1 minus its score, the probability of its class; 1 without a box."""
    if len(found) == 0:
        return Doubt(value=1.0, words="no box in the picture")
    scores = _sureness(found, calibrated=calibrated)
    best = int(np.argmax(scores))
    return Doubt(value=1.0 - float(scores[best]), words=f"'{names[int(found.labels[best])]}' at {_score(scores[best])}")


def _score(value: float) -> str:
    """Two decimals; four where these would say that it is sure altogether."""
    return f"{value:.2f}" if value < 0.995 else f"{value:.4f}"


def _sureness(found: FoundPoints | Detections, *, calibrated: bool) -> np.ndarray:
    if not calibrated:
        return found.scores
    assert found.probability is not None
    return found.probability


def doubt_of_boxes(found: Detections, *, thresholds: np.ndarray, names: Sequence[str]) -> Doubt:
    """The entropies, in bits, of the boxes near the operating threshold, added up.

    Args:
        found: boxes of any score.
        thresholds: [classes], from which score on a box of the class counts.
        names: of the classes.
    """
    share = against_threshold(found.scores, thresholds[found.labels])
    near = (share >= _DOUBTFUL[0]) & (share <= _DOUBTFUL[1])
    value = float(entropy(share[near]).sum())
    if not near.any():
        return Doubt(value=value, words="no box near the threshold")
    first = int(np.flatnonzero(near)[np.argmin(np.abs(share[near] - 0.5))])
    boxes = "1 box" if near.sum() == 1 else f"{int(near.sum())} boxes"
    told = f"'{names[int(found.labels[first])]}' at {found.scores[first]:.2f}"
    return Doubt(value=value, words=f"{boxes} near the threshold, {told}")


def doubt_of_sight(score: float, *, threshold: float) -> Doubt:
    """Whether a point is visible at all: the entropy, in bits, of the probability against its threshold."""
    share = against_threshold(np.array([score]), np.array([threshold]))
    return Doubt(value=float(entropy(share)[0]), words=f"visible with {score:.2f}, threshold {threshold:.2f}")


def against_threshold(scores: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """Scores bent so that the threshold comes to 1/2, and 0 and 1 stay: [N] in 0..1."""
    scores = np.clip(np.asarray(scores, dtype=np.float64), 0.0, 1.0)
    below = scores / np.maximum(2 * thresholds, 1e-12)
    above = 1.0 - (1.0 - scores) / np.maximum(2 * (1.0 - thresholds), 1e-12)
    return np.where(scores <= thresholds, below, above).clip(0.0, 1.0)


def entropy(share: np.ndarray) -> np.ndarray:
    """Of a yes or no, in bits: 1 at 1/2, 0 at 0 and 1."""
    share = np.clip(share, 1e-12, 1 - 1e-12)
    return -(share * np.log2(share) + (1 - share) * np.log2(1 - share))
