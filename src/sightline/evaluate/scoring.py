"""What scoring needs to know of a task: which metric rules, and how found things are compared with truth.

The loop, the report and the commands know only this; one file a task stands beside it.
Next: points.py, one_box.py, boxes.py, track.py
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from sightline.calibration.answers import Answers
from sightline.metrics.bootstrap import Interval
from sightline.records import Record, Skeleton

if TYPE_CHECKING:  # an exported model is scored without torch
    from sightline.codecs.protocol import Codec
    from sightline.infer import Found, Inferred
    from sightline.loader import PlainSamples
    from sightline.model import Locator

Row = dict[str, Any]


class _Points(Protocol):
    def skeleton(self) -> Skeleton:
        """The points that are found."""
        ...


class _Crop(Protocol):
    @property
    def crop(self) -> str:
        """What the network sees of a picture."""
        ...


class _How(Protocol):
    @property
    def jitter(self) -> float:
        """By how much crops are moved."""
        ...

    @property
    def flip_average(self) -> bool:
        """Whether the mirror image's prediction is averaged in."""
        ...

    @property
    def pck(self) -> tuple[float, ...]:
        """Thresholds of the share of correct points."""
        ...

    @property
    def size_limits(self) -> tuple[float, float]:
        """Sides of small and large boxes."""
        ...

    @property
    def threshold_px(self) -> float:
        """How far off the point of a clip may be found."""
        ...


class Scored(Protocol):
    """What scoring reads of an `Experiment`; an artefact's card has it too."""

    @property
    def skeleton(self) -> _Points:
        """The points, where points are found."""
        ...

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes, where boxes are found."""
        ...

    @property
    def data(self) -> _Crop:
        """Settings of the data."""
        ...

    @property
    def evaluate(self) -> _How:
        """Settings of the scoring."""
        ...


@dataclass(frozen=True, kw_only=True, eq=False)
class Evaluation:
    """What one evaluation found, in the form that every task has.

    Attributes:
        task: "points", "one-box", "boxes" or "track".
        crop: what the network saw of each picture, in words.
        metrics: value and interval of each.
        details: the further keys of metrics.json, plain values.
        per_image: one row a picture: `image_id`, and numbers or None.
        predictions: one row a picture, with truth, prediction and `error`, for report and comparison.
        thresholds: score thresholds by class, or that of visibility, where the task has such.
        arrays: by file name without ending, what npz files keep.
        answers: each answer with its score and error, for calibration; None where the task has none.
    """

    task: str
    crop: str
    metrics: dict[str, Interval]
    details: dict[str, Any]
    per_image: list[Row]
    predictions: list[Row]
    thresholds: dict[str, float] = field(default_factory=dict)
    arrays: dict[str, dict[str, np.ndarray]] = field(default_factory=dict)
    answers: Answers | None = None

    @property
    def images(self) -> int:
        """How many pictures were scored."""
        return len(self.per_image)

    def to_json(self) -> dict[str, Any]:
        """For `--json` and metrics.json; the tables of pictures have files of their own."""
        metrics = {name: found.to_json() for name, found in self.metrics.items()}
        return {"task": self.task, "metrics": metrics, "images": self.images, "crop": self.crop, **self.details}


class Scoring(Protocol):
    """How one task is scored. `metric` picks the best checkpoint."""

    metric: str
    less_is_better: bool

    def quick(self, found: Sequence[Found], records: Sequence[Record]) -> dict[str, float]:
        """Metrics without intervals, for use after each epoch; one that no picture can give is not there."""
        ...

    def choose(self, values: Mapping[str, float]) -> str:
        """The metric to pick the best checkpoint by, among those that the validation part can give."""
        ...

    def score(self, found: Sequence[Found], records: Sequence[Record]) -> Evaluation:
        """Everything that follows from what was found, with intervals."""
        ...

    def evaluate(
        self, model: Locator, codec: Codec, samples: PlainSamples, inferred: Inferred, *, device: str
    ) -> Evaluation:
        """The same, and what only the model itself can tell."""
        ...
