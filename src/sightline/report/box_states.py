"""What became of each box of a few pictures, by the same rules that the evaluation counts with.

In: rows of predictions.json. Out: a `Judged` for each.
Next: box_labels.py
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from sightline.geometry import pairwise_iou
from sightline.metrics.box_errors import ERROR_KINDS, ErrorKind, box_errors
from sightline.metrics.box_inputs import FoundRows
from sightline.metrics.box_matches import match_boxes
from sightline.metrics.operating_point import operating_point
from sightline.records import Detections, Objects
from sightline.report.values import Row

State = Literal["right", "crowd"] | ErrorKind


@dataclass(frozen=True, kw_only=True)
class FoundBox:
    """A kept box: `state` says what it is; `instead` is the label of the object that it lies on, where it matters."""

    box_xyxy: tuple[float, float, float, float]
    label: int
    score: float
    state: State
    instead: int | None


@dataclass(frozen=True, kw_only=True)
class TrueBox:
    """A labelled box; `is_missed` where no box took it, `is_unseen` where not even a wrong one stands for it."""

    box_xyxy: tuple[float, float, float, float]
    label: int
    is_crowd: bool
    is_missed: bool
    is_unseen: bool


@dataclass(frozen=True, kw_only=True)
class Judged:
    """One picture: what is kept, best first, and what is there."""

    entry: Row
    found: tuple[FoundBox, ...]
    truth: tuple[TrueBox, ...]

    @property
    def objects(self) -> int:
        """How many objects are to be found."""
        return sum(not one.is_crowd for one in self.truth)

    @property
    def right(self) -> int:
        """How many of them are."""
        return sum(one.state == "right" for one in self.found)

    @property
    def wrong(self) -> int:
        """How many kept boxes are wrong."""
        return sum(one.state not in ("right", "crowd") for one in self.found)


def judge(entries: Sequence[Row], *, classes: Sequence[str], thresholds: dict[str, float]) -> list[Judged]:
    """Keep what reaches its class's threshold, and say of each box what it is.

    Args:
        entries: checked rows of predictions.json; at least one.
        classes: names; every label is a position in it.
        thresholds: one for each class.
    """
    found = [_detections(entry) for entry in entries]
    truth = [_objects(entry) for entry in entries]
    point = operating_point(match_boxes(found, truth, classes=classes), thresholds)
    errors = box_errors(point)
    rows = point.matches.found
    state: list[State] = ["crowd"] * len(rows)
    for row in np.flatnonzero(point.right):
        state[row] = "right"
    for row, kind in zip(errors.wrong, errors.kind, strict=True):
        state[row] = ERROR_KINDS[kind]
    kept = rows.score >= point.thresholds[rows.label]
    missed = point.counts & ~point.taken
    starts = np.cumsum([0, *map(len, truth)])
    judged = []
    for image, entry in enumerate(entries):
        here = slice(starts[image], starts[image + 1])
        chosen = np.flatnonzero(kept & (rows.image == image))
        best_first = chosen[np.argsort(-rows.score[chosen], kind="stable")]
        boxes = tuple(_found(rows, row, state=state[row], truth=truth[image]) for row in best_first)
        there = _true(truth[image], missed=missed[here], unseen=errors.missed[here])
        judged.append(Judged(entry=entry, found=boxes, truth=there))
    return judged


def _found(rows: FoundRows, row: int, *, state: State, truth: Objects) -> FoundBox:
    box, label = rows.boxes_xyxy[row], int(rows.label[row])
    return FoundBox(
        box_xyxy=_plain(box),
        label=label,
        score=float(rows.score[row]),
        state=state,
        instead=_instead(box, label, state, truth),
    )


def _true(truth: Objects, *, missed: np.ndarray, unseen: np.ndarray) -> tuple[TrueBox, ...]:
    columns = (truth.boxes_xyxy, truth.labels, truth.crowd, missed, unseen)
    return tuple(
        TrueBox(
            box_xyxy=_plain(box),
            label=int(label),
            is_crowd=bool(crowd),
            is_missed=bool(lost),
            is_unseen=bool(alone),
        )
        for box, label, crowd, lost, alone in zip(*columns, strict=True)
    )


def _instead(box: np.ndarray, label: int, state: State, truth: Objects) -> int | None:
    """The label of the object of another class that a box of kind "class" or "both" overlaps most."""
    others = np.flatnonzero((truth.labels != label) & ~truth.crowd)
    if state not in ("class", "both") or len(others) == 0:
        return None
    overlap = pairwise_iou(box[None], truth.boxes_xyxy[others])[0]
    return int(truth.labels[others[overlap.argmax()]])


def _detections(entry: Row) -> Detections:
    boxes, labels = _boxes(entry["detections"])
    scores = np.array([one["score"] for one in entry["detections"]], dtype=np.float64)
    return Detections(boxes_xyxy=boxes, labels=labels, scores=scores)


def _objects(entry: Row) -> Objects:
    boxes, labels = _boxes(entry["objects"])
    crowd = np.array([bool(one.get("crowd")) for one in entry["objects"]], dtype=bool)
    plain = Objects.of(boxes, labels)
    return Objects(boxes_xyxy=plain.boxes_xyxy, labels=plain.labels, crowd=crowd, areas=plain.areas)


def _boxes(many: list[dict[str, Any]]) -> tuple[np.ndarray, np.ndarray]:
    boxes = np.array([one["box_xyxy"] for one in many], dtype=np.float64).reshape(-1, 4)
    return boxes, np.array([one["label"] for one in many], dtype=np.int64)


def _plain(box: np.ndarray) -> tuple[float, float, float, float]:
    x0, y0, x1, y1 = box.tolist()
    return x0, y0, x1, y1
