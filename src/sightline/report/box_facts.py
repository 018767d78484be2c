"""What evaluation/metrics.json says about boxes, in typed parts; a part may be missing, but not be wrong.

Next: box_words.py
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sightline.errors import UserError
from sightline.report.run_folder import RunFolder
from sightline.report.values import Row, is_count, number, rows, section

SIZES = ("small", "medium", "large")


@dataclass(frozen=True, kw_only=True)
class PrecisionRecall:
    """One class's curve, as far as it reaches: `precision` at `recall`, both [n]; n is 0 where nothing was found."""

    name: str
    recall: list[float]
    precision: list[float]


@dataclass(frozen=True, kw_only=True)
class Confusion:
    """Counts [n, n]: rows are what is there, columns what was found.

    `num_classes` is n, or n - 1 where the last row and column are background.
    """

    names: tuple[str, ...]
    counts: np.ndarray
    num_classes: int


def class_names(run: RunFolder) -> tuple[str, ...]:
    """The classes, by label: as evaluated, else as trained; empty where neither is known."""
    names = run.evaluation.get("classes", run.run.get("classes", []))
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise wrong(run, "classes is not a list of names")
    return tuple(names)


def class_rows(run: RunFolder, key: str) -> list[Row]:
    """A table of metrics.json with one row a class, each with its `name`: per_class or label_statistics."""
    found = rows(run.evaluation, key)
    if key in run.evaluation and (
        not isinstance(run.evaluation[key], list)
        or not all(isinstance(row, dict) and isinstance(row.get("name"), str) for row in found)
    ):
        raise wrong(run, f"{key} is not a list of rows with a name each")
    return found


def thresholds(run: RunFolder) -> dict[str, float]:
    """The operating point; empty where it is not known."""
    found = section(run.evaluation, "thresholds")
    known = {name: number(value) for name, value in found.items()}
    bad = next((name for name, value in known.items() if value is None or not 0 <= value <= 1), None)
    if bad is not None:
        raise wrong(run, f"thresholds: {bad!r} has {found[bad]!r}, expected a score from 0 to 1")
    missing = [name for name in class_names(run) if name not in known]
    if known and missing:
        raise wrong(run, f"thresholds lacks the class {missing[0]!r}")
    return {name: value for name, value in known.items() if value is not None}


def precision_recall(run: RunFolder) -> list[PrecisionRecall]:
    """A curve for each class that has labelled boxes."""
    curves = section(run.evaluation, "curves")
    recall = _fractions(run, rows(curves, "recall"), what="curves: recall")
    found = []
    for row in rows(curves, "classes"):
        if not isinstance(row, dict) or not isinstance(row.get("name"), str):
            raise wrong(run, "curves: classes is not a list of rows with a name each")
        if row.get("precision") is None:
            continue
        values = _fractions(run, row["precision"], what=f"curves: precision of {row['name']!r}")
        if len(values) != len(recall):
            raise wrong(run, f"curves: {row['name']!r} has {len(values)} values for {len(recall)} recalls")
        reached = next((place for place, value in enumerate(values) if value <= 0), len(values))
        found.append(PrecisionRecall(name=row["name"], recall=recall[:reached], precision=values[:reached]))
    return found


def iou_curve(run: RunFolder) -> tuple[list[float], list[float]]:
    """IoU and the share of pictures that reach it; empty where there is none."""
    curve = section(run.evaluation, "iou_curve")
    reached = _fractions(run, rows(curve, "thresholds"), what="iou_curve: thresholds")
    fraction = _fractions(run, rows(curve, "fraction"), what="iou_curve: fraction")
    if len(reached) != len(fraction):
        raise wrong(run, f"iou_curve has {len(fraction)} fractions for {len(reached)} thresholds")
    return reached, fraction


def confusion(run: RunFolder) -> Confusion | None:
    """The confusion matrix, None where there is none."""
    found = section(run.evaluation, "confusion")
    if not found:
        return None
    names, counts = rows(found, "names"), rows(found, "counts")
    is_square = len(counts) == len(names) and all(isinstance(row, list) and len(row) == len(names) for row in counts)
    if not names or not is_square or not all(is_count(value) for row in counts for value in row):
        raise wrong(run, f"confusion is not a table of {len(names)} x {len(names)} counts, one row and column a name")
    background = run.task == "boxes"
    return Confusion(
        names=tuple(str(name) for name in names), counts=np.array(counts), num_classes=len(names) - background
    )


def error_kinds(run: RunFolder) -> tuple[dict[str, int], dict[str, dict[str, int]]]:
    """Counts of mistakes by kind, and the same by size; empty where there are none."""
    found = section(run.evaluation, "error_kinds")
    tables = [section(found, "counts"), *(section(section(found, "by_size"), size) for size in SIZES)]
    for table in tables:
        bad = next((kind for kind, count in table.items() if not is_count(count)), None)
        if bad is not None:
            raise wrong(run, f"error_kinds: {bad!r} has {table[bad]!r}, expected a count")
    return tables[0], dict(zip(SIZES, tables[1:], strict=True))


def calibration(run: RunFolder) -> tuple[list[Row], float | None]:
    """The bins of score that hold boxes, and the expected calibration error."""
    found = section(run.evaluation, "calibration")
    bins = []
    for one in rows(found, "bins"):
        numbers = [number(one.get(key)) for key in ("low", "high")] if isinstance(one, dict) else [None]
        if None in numbers or not is_count(one.get("count")):
            raise wrong(run, "calibration: a bin lacks low, high or count")
        if one["count"]:
            _fractions(run, [one.get("mean_score"), one.get("share_right")], what="calibration: a bin's share")
            bins.append(one)
    return bins, number(found.get("ece"))


def size_limits(run: RunFolder) -> tuple[float, float] | None:
    """Sides in pixels that part small from medium and medium from large."""
    limits = [number(value) for value in rows(run.evaluation, "size_limits")]
    if len(limits) != 2 or limits[0] is None or limits[1] is None:
        return None
    return limits[0], limits[1]


def wrong(run: RunFolder, complaint: str, *, name: str = "evaluation/metrics.json") -> UserError:
    """The error for a part of an evaluation's file that cannot be understood."""
    return UserError(
        f"{run.path / name}: {complaint}. Evaluate the run again, or delete the file to report without it."
    )


def _fractions(run: RunFolder, values: Sequence[Any], *, what: str) -> list[float]:
    """Numbers from 0 to 1."""
    if not isinstance(values, list):
        raise wrong(run, f"{what} is not a list")
    found = [number(value) for value in values]
    known = [value for value in found if value is not None and -1e-9 <= value <= 1 + 1e-9]
    if len(known) < len(values):
        raise wrong(run, f"{what} holds something else than numbers from 0 to 1")
    return known
