"""What an exported artefact says of itself: task, names, view, thresholds, parity with the run, times.

A contract of its own, apart from the settings of a training: an artefact goes on to be understood when those
change. Read by pydantic, so that a damaged or foreign card is refused with every mistake. Next: artefact_file.py
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sightline.calibration.file import Calibration
from sightline.errors import UserError
from sightline.records import Skeleton

FORMAT = 1  # of the card and of the graph's inputs and outputs; another number is another contract
INPUTS = ("picture", "area_xyxy")
OUTPUTS = {"points": ("points_xy", "scores"), "boxes": ("boxes_xyxy", "scores", "labels")}
Task = Literal["points", "one-box", "boxes"]
Engine = Literal["onnx", "openvino"]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class ViewCard(_Part):
    """What the network sees of a picture; the names are those of `data.*`."""

    input_hw: tuple[int, int]
    channels: Literal[1, 3]
    crop: Literal["points", "box", "image", "auto"]
    margin: float
    keep_aspect: bool
    points: tuple[str, ...] | None = None
    classes: tuple[str, ...] | None = None


class EvaluateCard(_Part):
    """How `evaluate` scores; the names are those of `evaluate.*`."""

    jitter: float = Field(ge=0, lt=1)
    flip_average: Literal[False] = False  # an artefact looks at a picture once, as `predict` does
    seed: int
    pck: tuple[float, ...]
    size_limits: tuple[float, float]
    threshold_px: float = Field(default=5.0, gt=0)  # of points of clips, which no artefact of pictures finds


class SkeletonCard(_Part):
    """The points."""

    names: tuple[str, ...] = ()
    flip_pairs: tuple[tuple[int, int], ...] = ()
    edges: tuple[tuple[int, int], ...] = ()

    def skeleton(self) -> Skeleton:
        """As the rest of the program uses it."""
        return Skeleton(names=self.names, flip_pairs=self.flip_pairs, edges=self.edges)


class ParityCard(_Part):
    """How far the artefact is from the run that it was made of, on real pictures.

    Attributes:
        pictures: how many were compared.
        data: where they came from.
        largest_px: points: the largest distance in pixels of the pictures.
        mean_px: points: the mean distance.
        least_iou: boxes: the least overlap of two boxes that belong together.
        largest_score: the largest difference of two scores that belong together; of boxes that are not `apart`.
        boxes: how many the run gives.
        unmatched: boxes that only one of the two gives.
        apart: pairs of boxes of one object that are not the same box: suppression kept another one.
        metric: int8: which metric was compared on labelled data.
        metric_run: its value for the run.
        metric_artefact: its value for the artefact.
    """

    pictures: int
    data: str
    largest_px: float | None = None
    mean_px: float | None = None
    least_iou: float | None = None
    largest_score: float
    boxes: int = 0
    unmatched: int = 0
    apart: int = 0
    metric: str | None = None
    metric_run: float | None = None
    metric_artefact: float | None = None


class Int8Card(_Part):
    """What is int8.

    Attributes:
        convolutions: how many are.
        kept: how many stayed in single precision, since int8 there would move the network's outputs too far.
    """

    convolutions: int
    kept: int


class LatencyCard(_Part):
    """Times of one picture from pixels to answer, the run's measured in turn with the artefact's.

    Attributes:
        p50_ms: the artefact's median.
        p95_ms: 95 % of its times are at most this.
        run_p50_ms: the run's, in PyTorch.
        run_p95_ms: likewise.
        fp32_p50_ms: int8: of the same artefact in single precision, in turn with both.
        threads: that each of them had.
        cpu: measured on.
        batch: pictures at a time.
        pictures: different ones.
        repeats: times measured, of each.
    """

    p50_ms: float
    p95_ms: float
    run_p50_ms: float
    run_p95_ms: float
    fp32_p50_ms: float | None = None
    threads: int
    cpu: str
    batch: int = 1
    pictures: int
    repeats: int

    @property
    def times_faster(self) -> float:
        """The run's median over the artefact's."""
        return self.run_p50_ms / self.p50_ms


class Card(_Part):
    """Everything but the graph; `calibration` is the run's, for probabilities and radii."""

    format: Literal[1] = 1
    sightline: str
    engine: Engine
    precision: Literal["fp32", "int8"]
    recipe: str
    task: Task
    skeleton: SkeletonCard = SkeletonCard()
    classes: tuple[str, ...] = ()
    data: ViewCard
    evaluate: EvaluateCard
    thresholds: dict[str, float] = {}
    calibration: Calibration | None = None
    int8: Int8Card | None = None
    parity: ParityCard | None = None
    latency: LatencyCard | None = None
    made: str

    def to_json(self) -> str:
        """As it lies in the file."""
        return self.model_dump_json()


def read_card(text: str, *, where: str) -> Card:
    """A card from its JSON.

    Raises:
        UserError: it is damaged, or of another format version.
    """
    try:
        return Card.model_validate_json(text)
    except ValidationError as error:
        told = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()[:5])
        raise UserError(f"{where}: its card is damaged ({told}). Export the run again.") from error
