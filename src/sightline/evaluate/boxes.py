"""Scoring many boxes: average precision over all scores, and what happens at one printed operating point.

The operating point, a score threshold for each class, is chosen on the validation part at the end of a
training and goes with the run; a run without one chooses it on the data scored, and says so. Next: run.py
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from sightline.errors import UserError
from sightline.evaluate.scoring import Evaluation, Row, Scored
from sightline.metrics.boxes import BoxSummary, choose_thresholds, class_average_precision, quick_boxes, summarise_boxes
from sightline.records import Detections, Objects, Record

if TYPE_CHECKING:
    from sightline.codecs.protocol import Codec
    from sightline.infer import Found, Inferred
    from sightline.loader import PlainSamples
    from sightline.model import Locator

MOST_KEPT = 100  # detections of a picture in predictions.json


class BoxesScoring:
    """Detections against labelled boxes."""

    metric = "ap"
    less_is_better = False

    def __init__(self, experiment: Scored, thresholds: Mapping[str, float]) -> None:
        """Score by the experiment's classes.

        Raises:
            UserError: `evaluate.flip_average`, which only points have.
        """
        _refuse_flip_average(experiment)
        self.experiment, self.thresholds = experiment, dict(thresholds)
        self.classes = experiment.classes

    def choose(self, values: Mapping[str, float]) -> str:
        """AP; there is always one, as a validation part without boxes is refused."""
        return self.metric

    def quick(self, found: Sequence[Found], records: Sequence[Record]) -> dict[str, float]:
        """See `metrics.boxes.quick_boxes`."""
        boxes, truth, limits = detections(found), truth_of(records), self.experiment.evaluate.size_limits
        by_class = class_average_precision(boxes, truth, classes=self.classes, size_limits=limits)
        return {
            **quick_boxes(boxes, truth, classes=self.classes, size_limits=limits),
            **{f"ap_class/{name}": values["ap"] for name, values in by_class.items() if "ap" in values},
        }

    def evaluate(
        self, model: Locator, codec: Codec, samples: PlainSamples, inferred: Inferred, *, device: str
    ) -> Evaluation:
        """As `score`: what was found tells all."""
        return self.score(inferred.found, samples.pictures.records)

    def score(self, found: Sequence[Found], records: Sequence[Record]) -> Evaluation:
        """Metrics and everything that follows from the one match table."""
        boxes, truth = detections(found), truth_of(records)
        thresholds = self.thresholds or choose_thresholds(boxes, truth, classes=self.classes)
        summary = summarise_boxes(
            boxes,
            truth,
            classes=self.classes,
            image_ids=[record.image_id for record in records],
            groups=groups_of(records),
            size_limits=self.experiment.evaluate.size_limits,
            thresholds=thresholds,
        )
        details = summary.to_json()
        del details["metrics"], details["images"], details["threshold_source"]
        details["classes"] = list(self.classes)
        details["thresholds_from"] = "the run" if self.thresholds else "the data scored"
        details["label_statistics"] = label_statistics(records, self.classes)
        return Evaluation(
            task="boxes",
            crop=self.experiment.data.crop,
            metrics=summary.metrics,
            details=details,
            per_image=summary.per_image,
            predictions=_predictions(records, boxes, summary),
            thresholds=thresholds,
            arrays={"pictures": summary.table.to_arrays()},
        )


def detections(found: Sequence[Found]) -> list[Detections]:
    """The same, known to be boxes."""
    assert all(isinstance(each, Detections) for each in found)
    return [each for each in found if isinstance(each, Detections)]


def truth_of(records: Sequence[Record]) -> list[Objects]:
    """The boxes of records, which all have some or know that there are none."""
    objects = [record.objects for record in records if record.objects is not None]
    assert len(objects) == len(records), "records without boxes"
    return objects


def groups_of(records: Sequence[Record]) -> list[str | None] | None:
    """Clips or identities to resample together; None where all pictures are of one."""
    groups = [record.group for record in records]
    return None if None not in groups and len(set(groups)) == 1 else groups


def label_statistics(records: Sequence[Record], classes: Sequence[str]) -> list[Row]:
    """For each class: boxes, pictures with one, mean width and height in pixels."""
    rows = []
    objects = truth_of(records)
    for label, name in enumerate(classes):
        chosen = [each.boxes_xyxy[(each.labels == label) & ~each.crowd] for each in objects]
        boxes = np.concatenate(chosen) if chosen else np.zeros((0, 4))
        sides = boxes[:, 2:] - boxes[:, :2]
        width, height = sides.mean(axis=0).round(2).tolist() if len(sides) else (None, None)
        pictures = sum(1 for each in chosen if len(each))
        rows.append({"name": name, "boxes": len(boxes), "pictures": pictures, "width_px": width, "height_px": height})
    return rows


def picture_row(record: Record, found: Detections) -> Row:
    """Truth and prediction of one picture, plain."""
    objects = truth_of([record])[0]
    kept = found.select(np.argsort(-found.scores, kind="stable")[:MOST_KEPT])
    return {
        "image_id": record.image_id,
        "path": str(record.path.resolve()),
        "size_hw": record.size_hw,
        "objects": [
            {"box_xyxy": box, "label": label, "crowd": crowd}
            for box, label, crowd in zip(
                objects.boxes_xyxy.round(2).tolist(), objects.labels.tolist(), objects.crowd.tolist(), strict=True
            )
        ],
        "detections": [
            {"box_xyxy": box, "label": label, "score": score}
            for box, label, score in zip(
                kept.boxes_xyxy.round(2).tolist(), kept.labels.tolist(), kept.scores.round(6).tolist(), strict=True
            )
        ],
    }


def _predictions(records: Sequence[Record], found: Sequence[Detections], summary: BoxSummary) -> list[Row]:
    rows = zip(records, found, summary.per_image, strict=True)
    return [picture_row(record, boxes) | {"error": row["error"]} for record, boxes, row in rows]


def _refuse_flip_average(experiment: Scored) -> None:
    if experiment.evaluate.flip_average:
        raise UserError("evaluate.flip_average averages points; boxes have none to average. Set it to false.")
