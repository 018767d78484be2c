"""Scoring a model on records: every metric with its interval, per-image table, pictures to look at. Next: train.py."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sightline.config import Experiment
from sightline.evaluate.boxes import BoxesScoring
from sightline.evaluate.one_box import OneBoxScoring
from sightline.evaluate.points import PointsScoring
from sightline.evaluate.scoring import Evaluation, Scoring
from sightline.pieces import Finds

__all__ = ["SCORINGS", "Evaluation", "Scoring", "scoring_for"]

SCORINGS: dict[Finds, Callable[[Experiment, Mapping[str, float]], Scoring]] = {
    "points": PointsScoring,
    "one-box": OneBoxScoring,
    "boxes": BoxesScoring,
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
