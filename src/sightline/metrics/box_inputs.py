"""Boxes of all pictures, one row each: what a model found and what is there, checked.

In: a `Detections` and an `Objects` for each picture. Out: `FoundRows`, `TruthRows`.
Next: box_pairs.py
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from sightline.errors import UserError
from sightline.records import Detections, Objects

BoxesT = TypeVar("BoxesT", Detections, Objects)


@dataclass(frozen=True, kw_only=True, eq=False)
class FoundRows:
    """Found boxes [D].

    Attributes:
        image: [D] int64, position of the picture.
        label: [D] int64, position in the classes.
        boxes_xyxy: [D, 4] float64, pixels of the original files.
        score: [D] float64, 0..1.
    """

    image: np.ndarray
    label: np.ndarray
    boxes_xyxy: np.ndarray
    score: np.ndarray

    def __len__(self) -> int:
        """Number of boxes, D."""
        return len(self.label)

    def take(self, rows: np.ndarray) -> FoundRows:
        """Some of the rows, in the order given."""
        return FoundRows(
            image=self.image[rows],
            label=self.label[rows],
            boxes_xyxy=self.boxes_xyxy.take(rows, axis=0),
            score=self.score[rows],
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class TruthRows:
    """True boxes [G]; image, label and boxes_xyxy as in `FoundRows`, crowd and area as in `Objects`."""

    image: np.ndarray
    label: np.ndarray
    boxes_xyxy: np.ndarray
    crowd: np.ndarray
    area: np.ndarray

    def __len__(self) -> int:
        """Number of boxes, G."""
        return len(self.label)


def rows_of(
    found: Sequence[Detections],
    truth: Sequence[Objects],
    *,
    num_classes: int,
    image_ids: Sequence[str] | None = None,
) -> tuple[FoundRows, TruthRows]:
    """All boxes in the order of pictures.

    Args:
        found: one for each picture.
        truth: one for each picture.
        num_classes: labels must be below it.
        image_ids: names of the pictures, for messages.

    Raises:
        UserError: there are no pictures, the lengths differ, or a box, score or label is not a usable number.
    """
    if len(truth) == 0:
        raise UserError("There are 0 pictures to evaluate; at least 1 is needed. Choose another split or data folder.")
    _same_lengths(found, truth, image_ids=image_ids)
    found_rows = FoundRows(
        image=_image_of(found),
        label=_joined([one.labels for one in found], dtype=np.int64),
        boxes_xyxy=_joined([one.boxes_xyxy for one in found]).reshape(-1, 4),
        score=_joined([one.scores for one in found]),
    )
    truth_rows = TruthRows(
        image=_image_of(truth),
        label=_joined([one.labels for one in truth], dtype=np.int64),
        boxes_xyxy=_joined([one.boxes_xyxy for one in truth]).reshape(-1, 4),
        crowd=_joined([one.crowd for one in truth], dtype=np.bool_),
        area=_joined([one.areas for one in truth]),
    )
    names = _Names(image_ids)
    refuse_labels(found_rows.label, num_classes=num_classes, what="found boxes", where=names.of(found_rows.image))
    refuse_labels(truth_rows.label, num_classes=num_classes, what="labelled boxes", where=names.of(truth_rows.image))
    refuse_not_finite(found_rows.boxes_xyxy, what="found boxes", where=names.of(found_rows.image))
    refuse_scores(found_rows.score, where=names.of(found_rows.image))
    refuse_not_finite(truth_rows.area, what="areas of labelled boxes", where=names.of(truth_rows.image))
    return found_rows, truth_rows


class _Names:
    """The name of the picture of a row, made only where a message needs it."""

    def __init__(self, image_ids: Sequence[str] | None) -> None:
        self._image_ids = image_ids

    def of(self, image: np.ndarray) -> _NamesOfRows:
        return _NamesOfRows(self._image_ids, image)


class _NamesOfRows:
    def __init__(self, image_ids: Sequence[str] | None, image: np.ndarray) -> None:
        self._image_ids, self._image = image_ids, image

    def __getitem__(self, row: int) -> str:
        number = int(self._image[row])
        return f"picture {number + 1}" if self._image_ids is None else self._image_ids[number]


def refuse_labels(label: np.ndarray, *, num_classes: int, what: str, where: Sequence[str] | _NamesOfRows) -> None:
    """Raise a UserError where a label does not point at a class."""
    broken = (label < 0) | (label >= num_classes)
    if broken.any():
        row = int(broken.argmax())
        raise UserError(
            f"{int(broken.sum())} of the {what} have a class that is not one of the {num_classes} known ones (counted "
            f"from 0), the first is class {label[row]} in {where[row]}. Evaluate with the classes that the model and "
            "the labels count through."
        )


def refuse_not_finite(values: np.ndarray, *, what: str, where: Sequence[str] | _NamesOfRows) -> None:
    """Raise a UserError where a row has a NaN or an infinity."""
    # One sum first: it is finite only if all are, and costs a fraction of the search.
    with np.errstate(invalid="ignore", over="ignore"):
        if np.isfinite(values.sum()):
            return
    broken = ~np.isfinite(values.reshape(len(values), -1)).all(axis=1)
    if broken.any():
        row = int(broken.argmax())
        raise UserError(
            f"{int(broken.sum())} of the {what} are not finite numbers, the first in {where[row]}; all must be "
            "finite. Where a model gave them, the training has probably diverged: lower the learning rate."
        )


def refuse_scores(score: np.ndarray, *, where: Sequence[str] | _NamesOfRows) -> None:
    """Raise a UserError where a score is NaN or outside 0..1."""
    broken = ~((score >= 0) & (score <= 1))
    if broken.any():
        row = int(broken.argmax())
        raise UserError(
            f"{int(broken.sum())} scores are not between 0 and 1, the first is {score[row]:g} in {where[row]}. They "
            "are probabilities: put logits through a sigmoid or softmax; where they are nan, the training has "
            "probably diverged: lower the learning rate."
        )


def _same_lengths(found: Sequence[object], truth: Sequence[object], *, image_ids: Sequence[str] | None) -> None:
    if len(found) != len(truth):
        raise UserError(
            f"There are predictions for {len(found)} pictures and labels for {len(truth)}; there must be one of each "
            "for every picture, in the same order (an empty one where nothing was found)."
        )
    if image_ids is not None and len(image_ids) != len(truth):
        raise UserError(f"There are {len(image_ids)} picture names for {len(truth)} pictures; give one for each.")


def _image_of(boxes: Sequence[BoxesT]) -> np.ndarray:
    return np.repeat(np.arange(len(boxes)), [len(one.labels) for one in boxes])


def _joined(parts: list[np.ndarray], *, dtype: type = np.float64) -> np.ndarray:
    return np.concatenate(parts).astype(dtype, copy=False)
