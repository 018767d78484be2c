"""Pictures before and after a shift, with truth and prediction drawn on what the network saw.

Next: table.py
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sightline.audit.conditions import Condition
from sightline.audit.measure import Measured, Subject
from sightline.audit.samples import ChangedSamples
from sightline.geometry import Affine
from sightline.infer import Found
from sightline.loader import Pictures
from sightline.records import FoundPoints
from sightline.transforms import Framing
from sightline.types import Sample
from sightline.writers.overlay import draw_boxes, draw_overlay

MOST = 6
_LEAST_SCORE = 0.5  # of boxes that are drawn, where no threshold is known


@dataclass(frozen=True, kw_only=True, eq=False)
class Example:
    """One picture twice.

    Attributes:
        image_id: its name.
        words: what was done.
        before: [H, W, 3] uint8, the plain input with truth and prediction.
        after: likewise, under the shift.
        errors: the picture's error before and after, in the unit of the task's tables.
    """

    image_id: str
    words: str
    before: np.ndarray
    after: np.ndarray
    errors: tuple[float, float]


def examples(subject: Subject, pictures: Pictures, plain: Measured, shifted: Measured) -> list[Example]:
    """The pictures whose error grew most."""
    errors = [[row.get("error") for row in each.evaluation.predictions] for each in (plain, shifted)]
    known: dict[int, tuple[float, float]] = {}
    for index, (before, after) in enumerate(zip(*errors, strict=True)):
        if before is not None and after is not None:
            known[index] = (float(before), float(after))
    growth = {index: after - before for index, (before, after) in known.items()}
    order = sorted((index for index in growth if growth[index] > 0), key=lambda index: -growth[index])[:MOST]
    return [
        Example(
            image_id=pictures.records[index].image_id,
            words=shifted.condition.words,
            before=_drawn(subject, pictures, plain, index),
            after=_drawn(subject, pictures, shifted, index),
            errors=known[index],
        )
        for index in order
    ]


def _drawn(subject: Subject, pictures: Pictures, measured: Measured, index: int) -> np.ndarray:
    sample = _sample(subject, pictures, measured.condition, index)
    affine = Affine(sample.to_input)
    found = measured.found[index]
    if isinstance(found, FoundPoints):
        record = pictures.records[index]
        return draw_overlay(
            sample.image,
            points_xy=affine.points(found.points_xy),
            truth_xy=affine.points(record.points_xy),
            skeleton=subject.experiment.skeleton.skeleton(),
            visible=record.visible,
        )
    return _with_boxes(subject, sample, affine, found, measured)


def _with_boxes(subject: Subject, sample: Sample, affine: Affine, found: Found, measured: Measured) -> np.ndarray:
    assert not isinstance(found, FoundPoints)
    classes = subject.experiment.classes
    if subject.experiment.codec.finds == "boxes":
        limits = measured.evaluation.thresholds
        least = np.array([limits.get(classes[label], _LEAST_SCORE) for label in found.labels])
        found = found.select(found.scores >= least)
    return draw_boxes(
        sample.image,
        boxes_xyxy=affine.boxes(found.boxes_xyxy),
        labels=found.labels,
        classes=classes,
        scores=found.scores,
        truth_xyxy=sample.boxes_xyxy.astype(np.float64),
        truth_labels=sample.labels,
    )


def _sample(subject: Subject, pictures: Pictures, condition: Condition, index: int) -> Sample:
    framing = Framing.of(subject.experiment)
    return ChangedSamples(pictures, condition, framing=framing, evaluate=subject.experiment.evaluate)[index]
