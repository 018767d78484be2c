"""How well boxes are found: COCO's figures, one operating point, and the tables behind them.

    ap              average precision (average_precision.py), mean over IoU 0.5 to 0.95
    ap50, ap75      the same at one IoU
    ap_small, ...   the same for true boxes of one size range; _medium, _large
    ar_1, ...       recall with at most 1, 10, 100 boxes of a class in a picture, mean over IoU
    ar_small, ...   with at most 100, for one size range
    precision       share of kept boxes that are right: class right and IoU 0.5 or more
    recall          share of true boxes that were found so
    f1              2 x right / (kept + true)
    mean_iou        mean IoU of the right ones with what they found

The first twelve are equal to pycocotools'; where nothing is to be found (no large boxes), the
name is absent. The last four belong to the operating point: one score threshold for each class
(operating_point.py), pooled over classes. Crowds are neither found nor missed.

Intervals of the first twelve: whole pictures (or groups) are drawn again with replacement; the
2.5th and 97.5th percentile of what the resamples give, moved by the mean resample's distance from
the value: a resample holds pictures twice and rare classes not at all, which shifts all alike.
The others have bootstrap.py's.
In: boxes in pixels of the original files. Out: `BoxSummary`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sightline.metrics.average_precision import RECALLS, Accumulator, ApArrays, per_picture_ap50
from sightline.metrics.bootstrap import Interval
from sightline.metrics.box_errors import box_errors, confusion
from sightline.metrics.box_matches import SIZE_LIMITS, SIZES, BoxMatches, match_boxes
from sightline.metrics.operating_point import OperatingPoint, best_thresholds, calibration, operating_point
from sightline.metrics.picture_table import PictureTable
from sightline.metrics.units import drawn_counts, number_units, percentile_interval
from sightline.records import Detections, Objects

RESAMPLES = (100, 500)  # at least and at most, for the intervals of average precision
_WORK = 100_000_000  # numbers that all resamples together may go through, unless there are fewer than at least


@dataclass(frozen=True, kw_only=True)
class BoxSummary:
    """The numbers of one evaluation.

    Attributes:
        metrics: by name, see the head of this file.
        per_class: for each class: name, ap, ap50, ap_small, ap_medium, ap_large, objects, found (of them),
            false_alarms, precision, recall, f1, threshold; None where there is no value.
        per_image: for each picture: image_id, f1, errors (missed + false alarms), missed, false_alarms, objects,
            found, mean_iou, ap50 (of this picture alone), error (1 - f1; 0 where there is nothing and nothing was
            found); None where there is no value.
        curves: at IoU 0.5: recall [101], and for each class name, precision [101], score [101] (the lowest that
            is kept there); None for a class without true boxes, and a score of None where it is not reached.
        confusion: names and counts; rows are true, columns found classes, the last is background.
        calibration: bins of score and the expected calibration error, over all found boxes.
        error_kinds: counts by kind (box_errors.py), and by_size.
        thresholds: the operating point, by class.
        threshold_source: "given", or "these pictures" where it was chosen on them, which flatters precision,
            recall and f1.
        size_limits: sides in pixels.
        images: how many pictures there are.
        objects: true boxes that are not crowds.
        detections: found boxes, at most 100 of a class in a picture.
        resamples: how many the intervals of average precision and recall come from.
        table: what each picture adds to each metric.
    """

    metrics: dict[str, Interval]
    per_class: list[dict[str, Any]]
    per_image: list[dict[str, Any]]
    curves: dict[str, Any]
    confusion: dict[str, Any]
    calibration: dict[str, Any]
    error_kinds: dict[str, Any]
    thresholds: dict[str, float]
    threshold_source: str
    size_limits: tuple[float, float]
    images: int
    objects: int
    detections: int
    resamples: int
    table: PictureTable

    def to_json(self) -> dict[str, Any]:
        """Plain values for `evaluate --json`; the table of pictures is left to its own file."""
        return {
            "metrics": {name: found.to_json() for name, found in self.metrics.items()},
            "per_class": self.per_class,
            "curves": self.curves,
            "confusion": self.confusion,
            "calibration": self.calibration,
            "error_kinds": self.error_kinds,
            "thresholds": self.thresholds,
            "threshold_source": self.threshold_source,
            "size_limits": list(self.size_limits),
            "images": self.images,
            "objects": self.objects,
            "detections": self.detections,
            "resamples": self.resamples,
        }


def quick_boxes(
    found: Sequence[Detections],
    truth: Sequence[Objects],
    *,
    classes: Sequence[str],
    size_limits: tuple[float, float] = SIZE_LIMITS,
) -> dict[str, float]:
    """All metrics without intervals; the operating point is the best on these pictures. See `summarise_boxes`."""
    matches = match_boxes(found, truth, classes=classes, size_limits=size_limits)
    figures = {name: float(values[0]) for name, values in Accumulator(matches).once().figures().items()}
    known = {name: value for name, value in figures.items() if not np.isnan(value)}
    return known | operating_point(matches, best_thresholds(matches)).values()


def choose_thresholds(
    found: Sequence[Detections], truth: Sequence[Objects], *, classes: Sequence[str]
) -> dict[str, float]:
    """The score threshold of each class with the best F1 at IoU 0.5 on these pictures; see operating_point.py.

    Raises:
        UserError: as `match_boxes`.
    """
    return best_thresholds(match_boxes(found, truth, classes=classes))


def class_average_precision(
    found: Sequence[Detections],
    truth: Sequence[Objects],
    *,
    classes: Sequence[str],
    size_limits: tuple[float, float] = SIZE_LIMITS,
) -> dict[str, dict[str, float]]:
    """For each class with true boxes its ap, ap50, and ap_small, ... where it has true boxes of that size.

    Raises:
        UserError: as `match_boxes`.
    """
    ap = Accumulator(match_boxes(found, truth, classes=classes, size_limits=size_limits)).once().ap[0]
    rows = {name: _ap_of_class(ap[:, :, place]) for place, name in enumerate(classes)}
    known = {name: {key: value for key, value in row.items() if value is not None} for name, row in rows.items()}
    return {name: row for name, row in known.items() if row}


def summarise_boxes(
    found: Sequence[Detections],
    truth: Sequence[Objects],
    *,
    classes: Sequence[str],
    image_ids: Sequence[str],
    groups: Sequence[str | None] | None = None,
    size_limits: tuple[float, float] = SIZE_LIMITS,
    thresholds: Mapping[str, float] | None = None,
    level: float = 0.95,
    seed: int = 0,
) -> BoxSummary:
    """All numbers with their intervals, and the tables behind them.

    Args:
        found: one for each picture, in pixels of the original files.
        truth: one for each picture.
        classes: names; labels of both are positions in it.
        image_ids: names of the pictures.
        groups: identities or clips, to resample together; None for a picture on its own.
        size_limits: sides in pixels that part small from medium and medium from large.
        thresholds: the operating point by class; None chooses the best on these pictures.
        level: the share of repetitions that each interval should cover.
        seed: equal seeds give equal intervals.

    Raises:
        UserError: as `match_boxes` and `operating_point`.
    """
    matches = match_boxes(found, truth, classes=classes, size_limits=size_limits, image_ids=image_ids)
    chosen = best_thresholds(matches) if thresholds is None else dict(thresholds)
    point = operating_point(matches, chosen)
    units = number_units(image_ids, groups=groups)
    accumulator = Accumulator(matches)
    once = accumulator.once()
    resamples = int(np.clip(_WORK // max(1, accumulator.work), *RESAMPLES))
    errors = box_errors(point)
    judged = matches.is_judged
    return BoxSummary(
        metrics=_figures(once, accumulator, units=units, resamples=resamples, level=level, seed=seed)
        | point.metrics(units, level=level, seed=seed),
        per_class=_per_class(point, once.ap[0]),
        per_image=_per_image(point, image_ids),
        curves=_curves(matches, accumulator),
        confusion=confusion(point),
        calibration=calibration(matches.found.score[judged], matches.is_right[judged]),
        error_kinds={"counts": errors.counts(), "by_size": errors.counts_by_size()},
        thresholds={name: float(chosen[name]) for name in matches.classes},
        threshold_source="these pictures" if thresholds is None else "given",
        size_limits=matches.size_limits,
        images=matches.num_images,
        objects=int(point.counts.sum()),
        detections=len(matches.found),
        resamples=resamples,
        table=PictureTable(image_ids=tuple(image_ids), units=units, sums=point.picture_sums(), matches=matches),
    )


def _figures(
    once: ApArrays, accumulator: Accumulator, *, units: np.ndarray, resamples: int, level: float, seed: int
) -> dict[str, Interval]:
    values = {name: float(value[0]) for name, value in once.figures().items()}
    drawn = accumulator(drawn_counts(units, resamples=resamples, seed=seed)).figures()
    num_units = int(units.max()) + 1
    return {
        name: percentile_interval(value, drawn[name], level=level, num_units=num_units)
        for name, value in values.items()
        if not np.isnan(value)
    }


def _ap_of_class(ap: np.ndarray) -> dict[str, float | None]:
    """[sizes, thresholds] of one class to plain numbers."""
    found = {"ap": float(ap[0].mean()), "ap50": float(ap[0, 0])}
    found |= {f"ap_{name}": float(ap[place].mean()) for place, name in enumerate(SIZES) if place}
    return {name: None if np.isnan(value) else value for name, value in found.items()}


def _per_class(point: OperatingPoint, ap: np.ndarray) -> list[dict[str, Any]]:
    """A row for each class; `ap` is [sizes, thresholds, C]."""
    matches, size = point.matches, len(point.matches.classes)
    right = np.bincount(matches.found.label[point.right], minlength=size)
    wrong = np.bincount(matches.found.label[point.wrong], minlength=size)
    objects = np.bincount(matches.truth.label[point.counts], minlength=size)
    return [
        {
            "name": name,
            **_ap_of_class(ap[:, :, row]),
            "objects": int(objects[row]),
            "found": int(right[row]),
            "false_alarms": int(wrong[row]),
            "precision": _share(right[row], right[row] + wrong[row]),
            "recall": _share(right[row], objects[row]),
            "f1": _share(2 * right[row], right[row] + wrong[row] + objects[row]) if objects[row] else None,
            "threshold": float(point.thresholds[row]),
        }
        for row, name in enumerate(matches.classes)
    ]


def _per_image(point: OperatingPoint, image_ids: Sequence[str]) -> list[dict[str, Any]]:
    right, wrong, objects = point.per_picture(point.right), point.per_picture(point.wrong), point.objects()
    iou = point.per_picture(point.right, weights=point.matches.iou)
    ap50, has_ap50 = per_picture_ap50(point.matches)
    rows = []
    for row, image_id in enumerate(image_ids):
        f1 = _share(2 * right[row], right[row] + wrong[row] + objects[row])
        rows.append(
            {
                "image_id": image_id,
                "f1": f1,
                "error": 0.0 if f1 is None else 1 - f1,
                "errors": int(wrong[row] + objects[row] - right[row]),
                "missed": int(objects[row] - right[row]),
                "false_alarms": int(wrong[row]),
                "objects": int(objects[row]),
                "found": int(right[row]),
                "mean_iou": _share(iou[row], right[row]),
                "ap50": float(ap50[row]) if has_ap50[row] else None,
            }
        )
    return rows


def _curves(matches: BoxMatches, accumulator: Accumulator) -> dict[str, Any]:
    precision, score = accumulator.curves()
    has_truth = np.bincount(matches.truth.label[matches.truth_counts[0]], minlength=len(matches.classes)) > 0
    rows = []
    for row, name in enumerate(matches.classes):
        reached = precision[row] > 0
        scores = [float(value) if known else None for value, known in zip(score[row], reached, strict=True)]
        known = bool(has_truth[row])
        rows.append(
            {
                "name": name,
                "precision": precision[row].tolist() if known else None,
                "score": scores if known else None,
            }
        )
    return {"recall": RECALLS.tolist(), "classes": rows}


def _share(part: float, whole: float) -> float | None:
    return float(part / whole) if whole > 0 else None
