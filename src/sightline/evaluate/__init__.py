"""Scoring a model on records: every metric with its interval, per-image table, pictures to look at. Next: train.py."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from sightline.evaluate.boxes import BoxesScoring
from sightline.evaluate.one_box import OneBoxScoring
from sightline.evaluate.points import PointsScoring
from sightline.evaluate.scoring import Evaluation, Scored, Scoring
from sightline.evaluate.track import TrackScoring

if TYPE_CHECKING:
    from sightline.config import Experiment

__all__ = ["SCORINGS", "Evaluation", "Scored", "Scoring", "scoring_for"]

SCORINGS: dict[str, Callable[[Scored, Mapping[str, float]], Scoring]] = {
    "points": PointsScoring,
    "one-box": OneBoxScoring,
    "boxes": BoxesScoring,
    "track": TrackScoring,
}


def scoring_for(experiment: Experiment, *, thresholds: Mapping[str, float] | None = None) -> Scoring:
    """The scoring of an experiment's task.

    Args:
        experiment: its codec says what is found.
        thresholds: score thresholds by class that a run chose earlier; without them they are chosen anew.

    Raises:
        UserError: `evaluate` asks for something that the task does not have.
    """
    return SCORINGS[experiment.codec.finds](experiment, thresholds or {})
