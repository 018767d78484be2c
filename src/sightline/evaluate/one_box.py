"""Scoring one object with its class and box: how well the box covers, and how often the class is right.

Next: boxes.py
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from sightline.errors import UserError
from sightline.evaluate.boxes import detections, groups_of, label_statistics, picture_row, truth_of
from sightline.evaluate.scoring import Evaluation, Scored
from sightline.metrics.one_box import quick_one_box, summarise_one_box
from sightline.records import Record

if TYPE_CHECKING:
    from sightline.codecs.protocol import Codec
    from sightline.infer import Found, Inferred
    from sightline.loader import PlainSamples
    from sightline.model import Locator


class OneBoxScoring:
    """The one predicted box against the one labelled box."""

    metric = "score"
    less_is_better = False

    def __init__(self, experiment: Scored, thresholds: Mapping[str, float]) -> None:
        """Score by the experiment's classes; there is always one box, so no thresholds.

        Raises:
            UserError: `evaluate.flip_average`, which only points have.
        """
        assert not thresholds, thresholds
        if experiment.evaluate.flip_average:
            raise UserError("evaluate.flip_average averages points; boxes have none to average. Set it to false.")
        self.experiment, self.classes = experiment, experiment.classes

    def choose(self, values: Mapping[str, float]) -> str:
        """Mean of IoU and accuracy, as the `aircraft` write-up ranks its models."""
        return self.metric

    def quick(self, found: Sequence[Found], records: Sequence[Record]) -> dict[str, float]:
        """See `metrics.one_box.quick_one_box`."""
        boxes, labels, _ = _predicted(found)
        return quick_one_box(boxes, labels, *_true(records), classes=self.classes)

    def evaluate(
        self, model: Locator, codec: Codec, samples: PlainSamples, inferred: Inferred, *, device: str
    ) -> Evaluation:
        """As `score`: what was found tells all."""
        return self.score(inferred.found, samples.pictures.records)

    def score(self, found: Sequence[Found], records: Sequence[Record]) -> Evaluation:
        """Metrics, curve and confusion."""
        summary = summarise_one_box(
            *_predicted(found),
            *_true(records),
            classes=self.classes,
            image_ids=[record.image_id for record in records],
            groups=groups_of(records),
        )
        details = summary.to_json()
        del details["metrics"], details["images"]
        details["classes"] = list(self.classes)
        details["label_statistics"] = label_statistics(records, self.classes)
        rows = zip(records, detections(found), summary.per_image, strict=True)
        return Evaluation(
            task="one-box",
            crop=self.experiment.data.crop,
            metrics=summary.metrics,
            details=details,
            per_image=summary.per_image,
            predictions=[picture_row(record, boxes) | {"error": row["error"]} for record, boxes, row in rows],
            arrays={"pictures": summary.table.to_arrays()},
        )


def _predicted(found: Sequence[Found]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Boxes [N, 4], labels [N] and scores [N]."""
    boxes = np.zeros((len(found), 4))
    labels, scores = np.zeros(len(found), dtype=np.int64), np.zeros(len(found))
    for row, each in enumerate(detections(found)):
        if len(each):  # a box that lies outside of the picture altogether was cut away: it covers nothing
            boxes[row], labels[row], scores[row] = each.boxes_xyxy[0], each.labels[0], each.scores[0]
    return boxes, labels, scores


def _true(records: Sequence[Record]) -> tuple[np.ndarray, np.ndarray]:
    """Boxes [N, 4] and labels [N]."""
    truth = [objects.select(~objects.crowd) for objects in truth_of(records)]
    assert all(len(objects) == 1 for objects in truth), "one-box needs one object a picture"
    return np.stack([objects.boxes_xyxy[0] for objects in truth]), np.array([objects.labels[0] for objects in truth])
