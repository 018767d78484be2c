"""Every answer of a model on labelled pictures in one table: its score, how far off it is, whether it is right.

In: what was found, in pixels of the original files, and records. Out: `Answers`. Next: coverage.py
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sightline.calibration.measure import Measure
from sightline.geometry import box_areas, pairwise_iou
from sightline.metrics.box_matches import match_boxes
from sightline.metrics.units import number_units
from sightline.records import Detections, FoundPoints, Objects, Record


@dataclass(frozen=True, kw_only=True, eq=False)
class Answers:
    """N answers: visible points, or found boxes that are right or wrong (those that lie on crowds are neither).

    Attributes:
        names: of the points or classes.
        pictures: how many were looked at.
        group: [N] int64, position in `names` of the point, or of the found class.
        unit: [N] int64, equal for answers about one picture, or about one clip or identity where there are several.
        score: [N] float64, 0..1.
        scale_px: [N] float64, see `Measure`.
        away_px: [N] float64, how far the true point lies off, or the furthest side of the true box; 0 if not measured.
        measured: [N] bool, whether there is something true to be away from: of many boxes those that are right.
        right: [N] bool.
    """

    names: tuple[str, ...]
    pictures: int
    group: np.ndarray
    unit: np.ndarray
    score: np.ndarray
    scale_px: np.ndarray
    away_px: np.ndarray
    measured: np.ndarray
    right: np.ndarray

    def __len__(self) -> int:
        """Number of answers, N."""
        return len(self.score)

    def take(self, rows: np.ndarray) -> Answers:
        """Some of the answers, by a mask or positions."""
        return Answers(
            names=self.names,
            pictures=self.pictures,
            group=self.group[rows],
            unit=self.unit[rows],
            score=self.score[rows],
            scale_px=self.scale_px[rows],
            away_px=self.away_px[rows],
            measured=self.measured[rows],
            right=self.right[rows],
        )


def answers_of(
    found: Sequence[FoundPoints | Detections], records: Sequence[Record], *, measure: Measure, names: Sequence[str]
) -> Answers:
    """Lay predictions beside the truth.

    Args:
        found: for each record, in pixels of the original files; boxes of any score.
        records: labelled.
        measure: what is away, and what is right.
        names: of the points or classes.
    """
    assert len(found) == len(records), (len(found), len(records))
    groups = [record.group for record in records]
    one_group = None not in groups and len(set(groups)) == 1  # then only pictures are left to tell apart
    units = number_units([record.image_id for record in records], groups=None if one_group else groups)
    if measure.task == "points":
        return _of_points(found, records, units=units, measure=measure, names=tuple(names))
    boxes = [each for each in found if isinstance(each, Detections)]
    truth = [record.objects for record in records if record.objects is not None]
    assert len(boxes) == len(truth) == len(records), "records without boxes"
    of_boxes = _of_one_box if measure.task == "one-box" else _of_boxes
    return of_boxes(boxes, truth, units=units, measure=measure, names=tuple(names))


def _of_points(
    found: Sequence[FoundPoints | Detections],
    records: Sequence[Record],
    *,
    units: np.ndarray,
    measure: Measure,
    names: tuple[str, ...],
) -> Answers:
    points = [each for each in found if isinstance(each, FoundPoints)]
    assert len(points) == len(records), "not all found are points"
    visible = np.array([record.visible for record in records], dtype=bool).reshape(-1, len(names))  # [pictures, K]
    rows, group = np.nonzero(visible)
    truth = np.array([record.points_xy for record in records]).reshape(-1, len(names), 2)
    placed = np.array([each.points_xy for each in points]).reshape(-1, len(names), 2)
    away = np.hypot(*(placed - truth)[visible].T)
    scale = np.array([measure.scale_px(each) for each in points]).reshape(-1, len(names))[visible]
    return Answers(
        names=names,
        pictures=len(records),
        group=group,
        unit=units[rows],
        score=np.array([each.scores for each in points], dtype=np.float64).reshape(-1, len(names))[visible],
        scale_px=scale,
        away_px=away,
        measured=np.ones(len(away), dtype=bool),
        right=away <= measure.limit * scale,
    )


def _of_boxes(
    found: Sequence[Detections],
    truth: Sequence[Objects],
    *,
    units: np.ndarray,
    measure: Measure,
    names: tuple[str, ...],
) -> Answers:
    assert measure.overlap == 0.5, measure  # what the match table calls right
    matches = match_boxes(found, truth, classes=names)
    judged = np.flatnonzero(matches.is_judged)
    rows, right = matches.found.take(judged), matches.is_right[judged]
    away = np.zeros(len(judged))
    partners = matches.truth.boxes_xyxy[matches.partner[judged][right]]
    away[right] = np.abs(rows.boxes_xyxy[right] - partners).max(axis=1, initial=0.0)
    return Answers(
        names=names,
        pictures=len(found),
        group=rows.label,
        unit=units[rows.image],
        score=rows.score,
        scale_px=np.sqrt(box_areas(rows.boxes_xyxy)),
        away_px=away,
        measured=right,
        right=right,
    )


def _of_one_box(
    found: Sequence[Detections],
    truth: Sequence[Objects],
    *,
    units: np.ndarray,
    measure: Measure,
    names: tuple[str, ...],
) -> Answers:
    there = [row for row, each in enumerate(found) if len(each)]  # a box outside of its picture was cut away
    boxes = np.array([found[row].boxes_xyxy[0] for row in there]).reshape(-1, 4)
    labels = np.array([found[row].labels[0] for row in there], dtype=np.int64)
    objects = [truth[row].select(~truth[row].crowd) for row in there]
    true_boxes = np.array([each.boxes_xyxy[0] for each in objects]).reshape(-1, 4)
    true_labels = np.array([each.labels[0] for each in objects], dtype=np.int64)
    overlap = np.array([pairwise_iou(boxes[[i]], true_boxes[[i]])[0, 0] for i in range(len(there))])
    return Answers(
        names=names,
        pictures=len(found),
        group=labels,
        unit=units[there],
        score=np.array([found[row].scores[0] for row in there], dtype=np.float64),
        scale_px=np.sqrt(box_areas(boxes)),
        away_px=np.abs(boxes - true_boxes).max(axis=1, initial=0.0),
        measured=np.ones(len(there), dtype=bool),
        right=(labels == true_labels) & (overlap >= measure.overlap),
    )
