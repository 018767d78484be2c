"""Probability and bound of new answers, from a calibration. Fast: a few array operations a picture, whatever K.

In: what a model found. Out: the same with `probability`, and `radius_px` or `margin_px`. Next: fit.py
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import overload

import numpy as np

from sightline.calibration.file import Calibration
from sightline.calibration.probability import logit, sigmoid
from sightline.records import Detections, FoundPoints

_AT_ONCE = 2000  # answers of a picture


class Calibrator:
    """A calibration, laid out in arrays: `calibrator(found)` is found with probability and bound."""

    def __init__(self, calibration: Calibration) -> None:
        """Put what holds for each point or class into one table; that of all together where it has none of its own."""
        self.calibration = calibration
        pooled, groups = calibration.pooled, calibration.groups
        bounds = [group.bound or pooled.bound for group in groups]
        self._bounds = _Steps([None if one is None else (one.edges, one.values) for one in bounds])
        self._least = np.array([group.least_score for group in groups])
        self.has_probability = pooled.curve is not None
        curves = [group.curve or pooled.curve for group in groups]
        self._slope = np.array([0.0 if one is None else one.slope for one in curves])
        self._offset = np.array([0.0 if one is None else one.offset for one in curves])
        self._is_staircase = np.array([one is not None and one.kind == "isotonic" for one in curves], dtype=bool)
        self._stairs = _Steps([None if one is None or not one.values else (one.edges, one.values) for one in curves])

    @overload
    def __call__(self, found: FoundPoints) -> FoundPoints: ...
    @overload
    def __call__(self, found: Detections) -> Detections: ...
    def __call__(self, found: FoundPoints | Detections) -> FoundPoints | Detections:
        """The same answers with probability and bound."""
        is_points = isinstance(found, FoundPoints)
        group = np.arange(len(found.scores)) if is_points else found.labels
        probability = self.probability(group, found.scores) if self.has_probability else None
        bound = self.bound(group, found.scores) * self.calibration.measure.scale_px(found)
        if is_points:
            return replace(found, probability=probability, radius_px=bound)
        return replace(found, probability=probability, margin_px=bound)

    def probability(self, group: np.ndarray, scores: np.ndarray) -> np.ndarray:
        """Of answers of points or classes [N] int with scores [N]."""
        smooth = sigmoid(self._slope[group] * logit(scores) + self._offset[group])
        if not self._is_staircase.any():
            return smooth
        return np.where(self._is_staircase[group], self._stairs(group, scores), smooth)

    def bound(self, group: np.ndarray, scores: np.ndarray) -> np.ndarray:
        """Likewise, as shares of the scale; infinite where nothing can be said."""
        return np.where(scores >= self._least[group], self._bounds(group, scores), np.inf)


class _Steps:
    """Step functions of a score, one for each group, as two arrays."""

    def __init__(self, steps: Sequence[tuple[tuple[float, ...], tuple[float, ...]] | None]) -> None:
        longest = max((len(one[1]) for one in steps if one is not None), default=1)
        self.edges = np.full((len(steps), longest - 1), np.inf)
        self.values = np.full((len(steps), longest), np.inf)
        for row, one in enumerate(steps):
            if one is not None:
                self.edges[row, : len(one[0])], self.values[row, : len(one[1])] = one

    def __call__(self, group: np.ndarray, scores: np.ndarray) -> np.ndarray:
        if len(scores) <= _AT_ONCE:
            step = (scores[:, None] >= self.edges[group]).sum(axis=1)
            return self.values[group, step]
        found = np.empty(len(scores))  # a validation part as a whole: the array above would be too large
        for number in np.unique(group):
            rows = group == number
            found[rows] = self.values[number][np.searchsorted(self.edges[number], scores[rows], side="right")]
        return found
