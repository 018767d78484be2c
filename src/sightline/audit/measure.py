"""A model on one condition: what it found, and what each picture adds to the metrics and to the loss.

Next: differences.py
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from typing import Any, get_args

import numpy as np
import torch
from torch import Tensor

from sightline.audit.conditions import Condition
from sightline.audit.samples import ChangedSamples
from sightline.codecs.protocol import Codec
from sightline.config import Experiment
from sightline.evaluate.scoring import Evaluation, Scoring
from sightline.geometry import Affine
from sightline.infer import Found, infer
from sightline.loader import Pictures, collate
from sightline.metrics.picture_table import PictureTable
from sightline.model import Locator
from sightline.records import FoundPoints
from sightline.transforms import Framing
from sightline.types import Batch, Raw

LOSS = "loss"


@dataclass(frozen=True, kw_only=True, eq=False)
class Subject:
    """What is audited: a trained model and how it is scored."""

    model: Locator
    codec: Codec
    experiment: Experiment
    scoring: Scoring
    device: str


@dataclass(frozen=True, kw_only=True, eq=False)
class Measured:
    """One condition on N pictures.

    Attributes:
        condition: what was done to the input.
        table: what each picture adds to each metric, and to `loss`.
        evaluation: the task's own summary.
        found: in pixels of the originals; twins of mirrored pictures have been put back.
        to_input: [N, 2, 3], original pixels to those of the input.
    """

    condition: Condition
    table: PictureTable
    evaluation: Evaluation
    found: list[Found]
    to_input: np.ndarray


def measure(subject: Subject, pictures: Pictures, condition: Condition) -> Measured:
    """Run the model on every picture under one condition and score what it finds against the labels."""
    experiment = subject.experiment
    framing = Framing.of(experiment)
    samples = ChangedSamples(pictures, condition, framing=framing, evaluate=experiment.evaluate)
    losses = _Losses(subject.codec, can_slice=experiment.codec.takes in get_args(Raw))
    maps: list[np.ndarray] = []
    inferred = infer(
        subject.model,
        subject.codec,
        _batches(samples, size=experiment.evaluate.batch if losses.can_slice else 1, maps=maps),
        sizes_hw=[record.size_hw or (0, 0) for record in pictures.records],
        device=subject.device,
        twins=framing.skeleton.flip_index if experiment.evaluate.flip_average else None,
        watch=losses,
    )
    affines = [Affine(matrix) for matrix in maps]
    found = [
        _untwinned(each, framing.skeleton.flip_index) if affine.is_mirrored else each
        for each, affine in zip(inferred.found, affines, strict=True)
    ]
    evaluation = subject.scoring.score(found, pictures.records)
    table = PictureTable.from_arrays(evaluation.arrays["pictures"])
    return Measured(
        condition=condition,
        table=replace(table, sums={**table.sums, LOSS: (losses.sums(), "ratio")}),
        evaluation=evaluation,
        found=found,
        to_input=np.stack(maps),
    )


def _batches(samples: ChangedSamples, *, size: int, maps: list[np.ndarray]) -> Iterator[Batch]:
    """All samples in order; the map of each is put into `maps`."""
    for start in range(0, len(samples), size):
        made = [samples[index] for index in range(start, min(start + size, len(samples)))]
        maps += [sample.to_input for sample in made]
        yield collate(made)


def _untwinned(found: Found, flip_index: tuple[int, ...]) -> Found:
    """In a mirror image the right eye is found under the left one's name; boxes have no twins."""
    if not isinstance(found, FoundPoints):
        return found
    order = list(flip_index)
    return FoundPoints(points_xy=found.points_xy[order], scores=found.scores[order])


class _Losses:
    """The loss of each picture by itself: the codec's loss of a batch of one, with its weight."""

    def __init__(self, codec: Codec, *, can_slice: bool) -> None:
        self.codec = codec
        # The rows of a second stage are proposals, not pictures: such a model gets one picture at a time.
        self.can_slice = can_slice
        self.rows: list[tuple[float, float]] = []

    def __call__(self, raw: Any, batch: Batch) -> None:  # noqa: ANN401 (the codec's own type)
        """Take a batch's output."""
        for row in range(len(batch)):
            one = slice(row, row + 1)
            truth = batch.truth[one]
            with torch.random.fork_rng(devices=[]):  # a loss may sample places: the same ones for the same picture
                torch.manual_seed(int(batch.index[row]))
                loss = self.codec.loss(_row(raw, one) if self.can_slice else raw, self.codec.encode(truth))
            weight = float(self.codec.weight(truth))
            self.rows.append((float(loss) * weight, weight))

    def sums(self) -> np.ndarray:
        """[N, 2]: loss times weight, and weight."""
        return np.array(self.rows, dtype=np.float64).reshape(-1, 2)


def _row(raw: Any, one: slice) -> Any:  # noqa: ANN401
    """The output for one picture of a batch."""
    values = {f.name: getattr(raw, f.name) for f in fields(raw)}
    return type(raw)(**{name: value[one] if isinstance(value, Tensor) else value for name, value in values.items()})
