"""index -> the sample that a condition makes of a record, the same one every time.

Next: measure.py
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from sightline.audit.conditions import Condition
from sightline.config import EvaluateConfig
from sightline.geometry import Affine
from sightline.loader import Pictures
from sightline.records import Record
from sightline.transforms import Framing, changed_sample
from sightline.types import Sample


class ChangedSamples:
    """Samples of one condition."""

    def __init__(self, pictures: Pictures, condition: Condition, *, framing: Framing, evaluate: EvaluateConfig) -> None:
        self.pictures, self.condition, self.framing, self.evaluate = pictures, condition, framing, evaluate
        self.strangers = strangers(pictures.records) if condition.axis == "strangers" else None

    def __len__(self) -> int:
        """Number of records."""
        return len(self.pictures.records)

    def __getitem__(self, index: int) -> Sample:
        """The sample of a record; with another's pixels where the condition wants it so."""
        sample = self._own(index)
        if self.strangers is None:
            return sample
        other = self._own(self.strangers[index])
        return replace(sample, image=other.image, past_images=other.past_images)

    def _own(self, index: int) -> Sample:
        condition, record = self.condition, self.pictures.records[index]
        shift = condition.shift
        moved = Affine.identity() if shift is None else shift.move(record.image_id, input_hw=self.framing.data.input_hw)
        sample = changed_sample(
            record,
            self.pictures[index],
            framing=self.framing,
            evaluate=self.evaluate,
            augment=condition.augment,
            then=moved,
            # The same draws at both levels of an augmentation.
            rng=np.random.default_rng([self.evaluate.seed, zlib.crc32(record.image_id.encode())]),
            index=index,
            past=self.pictures.past(index),
        )
        if shift is None:
            return sample
        image, *past = shift.repaint([sample.image, *sample.past_images], record.image_id)
        return replace(sample, image=image, past_images=np.stack(past) if past else sample.past_images)


def strangers(records: Sequence[Record]) -> list[int]:
    """For each record the position of another one: of another picture and group wherever there is one; seeded.

    Records are put in groups, and each takes the one half of the list further on, so that no record is taken twice.
    """
    names = [record.group or str(record.path) for record in records]
    number = {name: place for place, name in enumerate(np.random.default_rng(0).permutation(sorted(set(names))))}
    order = sorted(range(len(records)), key=lambda index: (number[names[index]], index))
    half = len(order) // 2
    found = [0] * len(order)
    for place, index in enumerate(order):
        found[index] = order[(place + half) % len(order)]
    return found
