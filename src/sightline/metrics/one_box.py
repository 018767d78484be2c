"""How well the one object of each picture is found: its box, its class, and both.

    mean_iou        mean IoU of the found box with the true one
    median_iou      its median
    accuracy        share of pictures with the right class
    score           (mean_iou + accuracy) / 2
    iou_at_0.5      share of pictures with an IoU of 0.5 or more; iou_at_0.75
    both_0.5        share of pictures with the right class and an IoU of 0.5 or more

Intervals are bootstrap.py's, over pictures or groups. A share that is 0 or 1 on these pictures
has a bootstrap interval of no width, so it gets Wilson's instead, with the pictures (or groups)
as its trials.
In: one box, class and score for each picture, boxes in pixels of the original files. Out: `OneBoxSummary`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sightline.errors import UserError
from sightline.geometry import box_areas, pairwise_iou
from sightline.metrics.bootstrap import Interval, Statistic, intervals, quantile_intervals, ratio
from sightline.metrics.box_inputs import refuse_labels, refuse_not_finite, refuse_scores
from sightline.metrics.operating_point import calibration
from sightline.metrics.picture_table import PictureTable, Pooled
from sightline.metrics.units import number_units, wilson_interval

SHARES = ("accuracy", "iou_at_0.5", "iou_at_0.75", "both_0.5")
_CURVE_STEPS = 100


@dataclass(frozen=True, kw_only=True)
class OneBoxSummary:
    """The numbers of one evaluation.

    Attributes:
        metrics: by name, see the head of this file.
        per_class: for each class: name, objects, mean_iou, accuracy, score, predicted (how often), precision;
            None where there is no value.
        per_image: for each picture: image_id, iou, correct, truth and predicted (class names), confidence,
            error: 1 - iou, and 1 more where the class is wrong, so that these rank worst.
        iou_curve: thresholds [101] from 0 to 1, fraction (of pictures with at least this IoU).
        confusion: names and counts; rows are true, columns found classes.
        calibration: bins of confidence in the class and the expected calibration error.
        images: how many pictures there are.
        table: what each picture adds to each metric.
    """

    metrics: dict[str, Interval]
    per_class: list[dict[str, Any]]
    per_image: list[dict[str, Any]]
    iou_curve: dict[str, Any]
    confusion: dict[str, Any]
    calibration: dict[str, Any]
    images: int
    table: PictureTable

    def to_json(self) -> dict[str, Any]:
        """Plain values for `evaluate --json`; the table of pictures is left to its own file."""
        return {
            "metrics": {name: found.to_json() for name, found in self.metrics.items()},
            "per_class": self.per_class,
            "iou_curve": self.iou_curve,
            "confusion": self.confusion,
            "calibration": self.calibration,
            "images": self.images,
        }


@dataclass(frozen=True, kw_only=True, eq=False)
class _Compared:
    """IoU [N] and classes [N] of checked pictures."""

    iou: np.ndarray
    predicted: np.ndarray
    truth: np.ndarray

    @property
    def correct(self) -> np.ndarray:
        return self.predicted == self.truth

    def values(self) -> dict[str, np.ndarray]:
        """What each picture adds to each mean: [N] by name."""
        correct = self.correct.astype(np.float64)
        return {
            "mean_iou": self.iou,
            "accuracy": correct,
            "score": (self.iou + correct) / 2,
            "iou_at_0.5": (self.iou >= 0.5).astype(np.float64),
            "iou_at_0.75": (self.iou >= 0.75).astype(np.float64),
            "both_0.5": (self.correct & (self.iou >= 0.5)).astype(np.float64),
        }


def quick_one_box(
    predicted_xyxy: np.ndarray,
    predicted_labels: np.ndarray,
    truth_xyxy: np.ndarray,
    truth_labels: np.ndarray,
    *,
    classes: Sequence[str],
) -> dict[str, float]:
    """All metrics without intervals; see `summarise_one_box`."""
    numbers = [str(number + 1) for number in range(len(truth_labels))]
    found = _compare(
        predicted_xyxy, predicted_labels, truth_xyxy, truth_labels, num_classes=len(classes), image_ids=numbers
    )
    means = {name: float(values.mean()) for name, values in found.values().items()}
    return means | {"median_iou": float(np.median(found.iou))}


def summarise_one_box(
    predicted_xyxy: np.ndarray,
    predicted_labels: np.ndarray,
    scores: np.ndarray,
    truth_xyxy: np.ndarray,
    truth_labels: np.ndarray,
    *,
    classes: Sequence[str],
    image_ids: Sequence[str],
    groups: Sequence[str | None] | None = None,
    level: float = 0.95,
    seed: int = 0,
) -> OneBoxSummary:
    """All numbers with their intervals, and the tables behind them.

    Args:
        predicted_xyxy: [N, 4], pixels of the original files.
        predicted_labels: [N], positions in `classes`.
        scores: [N], 0..1, the model's confidence in the class.
        truth_xyxy: [N, 4].
        truth_labels: [N].
        classes: names.
        image_ids: [N], names of the pictures.
        groups: [N], identities or clips, to resample together; None for a picture on its own.
        level: the share of repetitions that each interval should cover.
        seed: equal seeds give equal intervals.

    Raises:
        UserError: there are no pictures, the lengths differ, boxes or scores are not numbers, or labels are not
            positions in `classes`.
    """
    found = _compare(
        predicted_xyxy, predicted_labels, truth_xyxy, truth_labels, num_classes=len(classes), image_ids=image_ids
    )
    confidence = np.asarray(scores, dtype=np.float64)
    _refuse_lengths({"scores": len(confidence)}, count=len(found.iou))
    refuse_scores(confidence, where=image_ids)
    units = number_units(image_ids, groups=groups)
    return OneBoxSummary(
        metrics=_metrics(found, units, level=level, seed=seed),
        per_class=_per_class(found, classes),
        per_image=_per_image(found, confidence, classes=classes, image_ids=image_ids),
        iou_curve=_iou_curve(found.iou),
        confusion=_confusion(found, classes),
        calibration=calibration(confidence, found.correct),
        images=len(found.iou),
        table=PictureTable(image_ids=tuple(image_ids), units=units, sums=_sums(found), pooled=_pooled(found)),
    )


def _compare(
    predicted_xyxy: np.ndarray,
    predicted_labels: np.ndarray,
    truth_xyxy: np.ndarray,
    truth_labels: np.ndarray,
    *,
    num_classes: int,
    image_ids: Sequence[str],
) -> _Compared:
    if len(truth_labels) == 0:
        raise UserError("There are 0 pictures to evaluate; at least 1 is needed. Choose another split or data folder.")
    lengths = {
        "predicted boxes": len(predicted_xyxy),
        "predicted classes": len(predicted_labels),
        "true boxes": len(truth_xyxy),
        "picture names": len(image_ids),
    }
    _refuse_lengths(lengths, count=len(truth_labels))
    predicted = np.asarray(predicted_xyxy, dtype=np.float64)
    truth = np.asarray(truth_xyxy, dtype=np.float64)
    assert predicted.shape == truth.shape == (len(truth_labels), 4), (predicted.shape, truth.shape)
    refuse_not_finite(predicted, what="predicted boxes", where=image_ids)
    refuse_not_finite(truth, what="true boxes", where=image_ids)
    _refuse_empty(truth, image_ids=image_ids)
    labels = np.asarray(predicted_labels).astype(np.int64), np.asarray(truth_labels).astype(np.int64)
    refuse_labels(labels[0], num_classes=num_classes, what="predicted boxes", where=image_ids)
    refuse_labels(labels[1], num_classes=num_classes, what="labelled boxes", where=image_ids)
    iou = pairwise_iou(predicted[:, None], truth[:, None])[:, 0, 0]
    return _Compared(iou=iou, predicted=labels[0], truth=labels[1])


def _refuse_lengths(lengths: dict[str, int], *, count: int) -> None:
    for name, length in lengths.items():
        if length != count:
            raise UserError(f"There are {length} {name} for {count} labelled pictures; give one for each picture.")


def _refuse_empty(truth_xyxy: np.ndarray, *, image_ids: Sequence[str]) -> None:
    empty = box_areas(truth_xyxy) <= 0
    if empty.any():
        row = int(empty.argmax())
        raise UserError(
            f"{int(empty.sum())} true boxes have no area, the first is {truth_xyxy[row].tolist()} of "
            f"{image_ids[row]}; a box needs x0 < x1 and y0 < y1. Mend the label file (sightline check lists them)."
        )


def _metrics(found: _Compared, units: np.ndarray, *, level: float, seed: int) -> dict[str, Interval]:
    ones = np.ones(len(units))
    table: dict[str, tuple[np.ndarray, Statistic]] = {
        name: (np.column_stack([values, ones]), ratio) for name, values in found.values().items()
    }
    metrics = intervals(table, level=level, seed=seed, groups=units)
    num_units = int(units.max()) + 1
    for name in SHARES:
        if metrics[name].value in (0.0, 1.0) and num_units > 1:
            metrics[name] = wilson_interval(metrics[name].value, count=num_units, level=level)
    (median,) = quantile_intervals(found.iou, units=units, quantiles=[0.5], level=level, seed=seed)
    return metrics | {"median_iou": median}


def _pooled(found: _Compared) -> Pooled:
    return Pooled(values=found.iou, picture=np.arange(len(found.iou)), shares={"median_iou": 0.5})


def _sums(found: _Compared) -> dict[str, tuple[np.ndarray, str]]:
    """For each mean what a picture adds to sum and count."""
    ones = np.ones(len(found.iou))
    return {name: (np.column_stack([values, ones]), "ratio") for name, values in found.values().items()}


def _per_class(found: _Compared, classes: Sequence[str]) -> list[dict[str, Any]]:
    objects = np.bincount(found.truth, minlength=len(classes))
    predicted = np.bincount(found.predicted, minlength=len(classes))
    right = np.bincount(found.truth[found.correct], minlength=len(classes))
    iou = np.bincount(found.truth, weights=found.iou, minlength=len(classes))
    rows = []
    for row, name in enumerate(classes):
        count = int(objects[row])
        mean_iou, accuracy = (iou[row] / count, right[row] / count) if count else (None, None)
        rows.append(
            {
                "name": name,
                "objects": count,
                "mean_iou": None if mean_iou is None else float(mean_iou),
                "accuracy": None if accuracy is None else float(accuracy),
                "score": None if mean_iou is None or accuracy is None else float((mean_iou + accuracy) / 2),
                "predicted": int(predicted[row]),
                "precision": float(right[row] / predicted[row]) if predicted[row] else None,
            }
        )
    return rows


def _per_image(
    found: _Compared, confidence: np.ndarray, *, classes: Sequence[str], image_ids: Sequence[str]
) -> list[dict[str, Any]]:
    error = 1 - found.iou + ~found.correct
    return [
        {
            "image_id": image_id,
            "iou": float(found.iou[row]),
            "correct": bool(found.correct[row]),
            "truth": classes[found.truth[row]],
            "predicted": classes[found.predicted[row]],
            "confidence": float(confidence[row]),
            "error": float(error[row]),
        }
        for row, image_id in enumerate(image_ids)
    ]


def _iou_curve(iou: np.ndarray) -> dict[str, Any]:
    """Share of pictures over the IoU that they reach."""
    thresholds = np.linspace(0.0, 1.0, _CURVE_STEPS + 1)
    reached = len(iou) - np.searchsorted(np.sort(iou), thresholds)
    return {"thresholds": thresholds.tolist(), "fraction": (reached / len(iou)).tolist()}


def _confusion(found: _Compared, classes: Sequence[str]) -> dict[str, Any]:
    size = len(classes)
    counts = np.bincount(found.truth * size + found.predicted, minlength=size * size).reshape(size, size)
    return {"names": list(classes), "counts": counts.tolist()}
