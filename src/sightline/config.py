"""`Experiment`: everything that decides a run, frozen and typed; and how a user changes it.

A recipe is a function that returns an Experiment. `--use neck=fpn` swaps a piece through
its folder's table, `--set train.lr=1e-3` overrides a value; the same models validate both, all
mistakes are told at once. A run stores its resolved Experiment as YAML and needs nothing else.
Next: transforms.py
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

import yaml
from pydantic import (
    BeforeValidator,
    Field,
    NonNegativeInt,
    PositiveInt,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from sightline.backbones import BACKBONES, BackboneConfig
from sightline.codecs import CODECS, CodecConfig
from sightline.context import CONTEXTS, ContextConfig
from sightline.context.none import NoContextConfig
from sightline.errors import UserError, unknown_name
from sightline.heads import HEADS, HeadConfig
from sightline.necks import NECKS, NeckConfig
from sightline.pieces import PieceConfig
from sightline.records import Skeleton
from sightline.settings import load_yaml, pair, scalar

PIECES: dict[str, Mapping[str, type[PieceConfig]]] = {
    "backbone": BACKBONES,
    "neck": NECKS,
    "context": CONTEXTS,
    "head": HEADS,
    "codec": CODECS,
}
MOST_QUOTED = 100  # letters of a wrong value in a message
Seed = Annotated[int, Field(ge=0, lt=2**63)]  # what NumPy and torch both take
Side = Annotated[int, Field(gt=0, le=2**14)]  # of the input, in pixels; a square of it is the largest picture read


class SkeletonConfig(PieceConfig):
    """The points of the model: names, mirror twins, lines to draw. Training takes them from the data."""

    names: tuple[str, ...]
    flip_pairs: tuple[tuple[int, int], ...] = ()
    edges: tuple[tuple[int, int], ...] = ()

    @field_validator("names")
    @classmethod
    def _names_differ(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"every point needs a name of its own, and {', '.join(twice)} stands there twice")
        return names

    @field_validator("flip_pairs", "edges")
    @classmethod
    def _pairs_join_points(
        cls, pairs: tuple[tuple[int, int], ...], info: ValidationInfo
    ) -> tuple[tuple[int, int], ...]:
        count = len(info.data.get("names", ()))  # names that are wrong themselves are not there, and told already
        outside = [pair for pair in pairs if not (0 <= pair[0] < count and 0 <= pair[1] < count)]
        if outside and "names" in info.data:
            raise ValueError(f"{outside[0]} joins no two of the {count} points, which count from 0")
        ends = [end for pair in pairs for end in pair]
        if info.field_name == "flip_pairs" and len(set(ends)) < len(ends):
            twice = next(end for end in ends if ends.count(end) > 1)
            raise ValueError(f"a point has one mirror twin, and point {twice} stands there twice")
        return pairs

    @staticmethod
    def of(skeleton: Skeleton) -> SkeletonConfig:
        """From the data set's skeleton."""
        return SkeletonConfig(names=skeleton.names, flip_pairs=skeleton.flip_pairs, edges=skeleton.edges)

    def skeleton(self) -> Skeleton:
        """As the rest of the program uses it."""
        return Skeleton(names=self.names, flip_pairs=self.flip_pairs, edges=self.edges)


class DataConfig(PieceConfig):
    """What the network sees of a picture, and which part of the data it never trains on."""

    input_hw: tuple[Side, Side] = Field(default=(128, 128), description="the network's input: height, width")
    channels: Literal[1, 3] = Field(default=3, description="1 = grey, 3 = colour")
    crop: Literal["auto", "points", "box", "image", "window"] = Field(
        default="auto",
        description="points: the box around the true points; box: the label file's box; image: the whole picture; "
        "window: clips: input_hw of the frame's own pixels around the point; auto: box where all records have one, "
        "image for clips and DeepLabCut projects, else points",
    )
    margin: float = Field(default=0.2, ge=0, description="the crop box is enlarged by this share of its size")
    keep_aspect: bool = Field(default=True, description="grow the box to the input's aspect instead of stretching it")
    match_aspect: bool = Field(
        default=False,
        description="whole pictures: input_hw takes their aspect, at the same area, in multiples of 32",
    )
    min_seen: float = Field(
        default=0.2, ge=0, le=1, description="boxes: left out where less than this share of one is in the input"
    )
    min_side_px: float = Field(default=2.0, ge=0, description="boxes: left out where a side is shorter in the input")
    points: tuple[Annotated[str, Field(coerce_numbers_to_str=True)], ...] | None = Field(
        default=None, description="train on these points only, by name or number"
    )
    classes: tuple[Annotated[str, Field(coerce_numbers_to_str=True)], ...] | None = Field(
        default=None, description="boxes: train on these classes only, by name; other boxes are background"
    )
    val_fraction: float = Field(default=0.1, gt=0, lt=1, description="share of the records kept for validation")
    split_by: Literal["auto", "given", "group", "random", "order"] = Field(
        default="auto", description="how it is chosen"
    )
    split_seed: Seed = 0
    train_only: str | None = Field(
        default=None,
        description="file with the names of the only records to train on, such as hard ones: a CSV with a column "
        "image_id, as per_image.csv of an evaluation, or a name a line; validation stays whole",
    )
    workers: NonNegativeInt | Literal["auto"] = Field(
        default="auto", description="loader processes; auto: one on 2 cores, at most 8"
    )
    cache_mb: int = Field(default=1024, ge=0, description="decoded pictures kept in memory up to this size")
    shard_window: PositiveInt | None = Field(
        default=None,
        description="shards: shuffle them, and the records of so many together; 8 where they are fetched "
        "(sightline remote), else all records of all shards",
    )


class AugmentConfig(PieceConfig):
    """One random affine map and one random colour change for every training sample."""

    rotate_deg: float = Field(default=0.0, ge=0, le=180)
    shear: float = Field(default=0.0, ge=0, lt=1, description="x-shear up to this fraction")
    shift: float = Field(default=0.0, ge=0, lt=1, description="shift up to this fraction of the crop")
    scale_min: float = Field(default=1.0, gt=0, description="zoom out to this factor")
    scale_max: float = Field(default=1.0, gt=0, description="zoom in to this factor")
    flip: float = Field(default=0.0, ge=0, le=1, description="probability of a mirror image, twins swapped")
    flip_swaps_twins: bool = Field(
        default=True, description="false rebuilds a published mistake: all points meet on the middle line"
    )
    brightness: float = Field(default=0.0, ge=0, lt=1)
    contrast: float = Field(default=0.0, ge=0, lt=1)
    saturation: float = Field(default=0.0, ge=0)
    hue: float = Field(default=0.0, ge=0, le=0.5)
    grey: float = Field(default=0.0, ge=0, le=1, description="probability of a grey picture")
    blur: float = Field(default=0.0, ge=0, le=1, description="probability of a Gaussian blur")
    noise_std: float = Field(default=0.0, ge=0, lt=1, description="Gaussian noise; see noise_draw")
    noise_draw: Literal["each-image", "constant"] = Field(
        default="each-image", description="std uniform in 0..noise_std, or always it"
    )
    occlude: float = Field(default=0.0, ge=0, le=1, description="probability of a random patch over the picture")
    window_jitter: float = Field(
        default=0.0, ge=0, lt=0.5, description="clips, crop=window: its centre is up to this share of it off the point"
    )
    window_elsewhere: float = Field(
        default=0.0, ge=0, lt=1, description="clips, crop=window: share of windows anywhere, mostly without the point"
    )
    window_moving: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="clips, crop=window: share of the windows elsewhere that lie where something moves, as what a "
        "tracker mistakes for its object does",
    )
    part_hw: tuple[PositiveInt, PositiveInt] | None = Field(
        default=None,
        description="clips, crop=image: train on parts of the input of this size at the input's own scale, which is as "
        "many times faster; for networks without a place of their own (no mlp)",
    )
    part_elsewhere: float = Field(
        default=0.3, ge=0, le=1, description="share of parts anywhere; the others show the point"
    )
    history_noise: float = Field(
        default=0.0, ge=0, lt=1, description="clips: past points are moved by up to this share of the input"
    )
    iou_crop: float = Field(
        default=0.0, ge=0, le=1, description="boxes: probability of SSD's random crop, which keeps some IoU with a box"
    )
    mosaic: float = Field(default=0.0, ge=0, le=1, description="boxes: probability of four pictures on one canvas")
    mosaic_off: float = Field(default=0.0, ge=0, le=1, description="last share of the epochs without mosaic")
    views: int | None = Field(
        default=None, ge=1, description="so many fixed draws of each picture, over and over; each epoch anew without"
    )
    leaving: Literal["mask", "retry"] = Field(
        default="mask",
        description="points that leave the input: mask them, or draw up to 5 times and then keep the plain crop",
    )

    def part_within(self, input_hw: tuple[int, int]) -> tuple[int, int] | None:
        """`part_hw`, but no larger than the input; None without parts."""
        if self.part_hw is None:
            return None
        return min(self.part_hw[0], input_hw[0]), min(self.part_hw[1], input_hw[1])

    @model_validator(mode="after")
    def _scales_in_order(self) -> AugmentConfig:
        if self.scale_min > self.scale_max:
            raise ValueError(f"scale_min {self.scale_min:g} is above scale_max {self.scale_max:g}")
        return self


class TrainConfig(PieceConfig):
    """The loop."""

    epochs: int = Field(default=10, ge=1)
    min_steps: int = Field(
        default=0, ge=0, description="small data: epochs grow until so many optimiser steps are made"
    )
    batch: int = Field(
        default=32, ge=1, description="samples an optimiser step, over all processes and accumulated parts"
    )
    accumulate: int = Field(default=1, ge=1, description="parts that a batch is computed in")
    optimizer: Literal["adamw", "adam", "sgd"] = "adamw"
    lr: float = Field(default=1e-3, gt=0)
    backbone_lr: float = Field(default=1.0, ge=0, description="times lr, for the backbone")
    neck_lr: float = Field(default=1.0, ge=0, description="times lr, for the neck")
    context_lr: float = Field(default=1.0, ge=0, description="times lr, for the context")
    head_lr: float = Field(default=1.0, ge=0, description="times lr, for the head")
    weight_decay: float = Field(default=0.01, ge=0)
    decay_norm_and_bias: bool = Field(default=False, description="also decay one-dimensional parameters")
    momentum: float = Field(default=0.9, ge=0, lt=1, description="SGD only")
    schedule: Literal["constant", "step", "cosine", "one-cycle", "linear"] = "cosine"
    step_epochs: int = Field(default=3, ge=1, description="step: epochs between drops")
    step_factor: float = Field(default=0.1, gt=0, le=1, description="step: factor of a drop")
    warmup_steps: int = Field(default=0, ge=0, description="linear warm-up; one-cycle has its own")
    clip_norm: float | None = Field(default=None, gt=0, description="largest gradient norm")
    ema: float | None = Field(
        default=None, gt=0, lt=1, description="decay of the averaged weights, which are then the ones used"
    )
    patience: int | None = Field(default=None, ge=1, description="stop after so many validations without a better one")
    validate_every: int = Field(default=1, ge=1, description="epochs between validations")
    # `--set train.precision=16` arrives as a number.
    precision: Annotated[Literal["32", "bf16", "16"], BeforeValidator(str)] = "32"
    cache_features: bool = Field(
        default=False,
        description="frozen backbone and augment.views: its features are computed once and kept on disk",
    )
    cache_mb: int = Field(default=4096, ge=1, description="cache_features: largest size on disk")
    seed: Seed = 0
    save_minutes: float = Field(
        default=5.0, ge=0, description="minutes between checkpoints inside an epoch; 0: every step"
    )
    init: Literal["default", "kaiming"] = Field(
        default="default", description="kaiming: re-initialise every new convolution and layer"
    )
    start_from: Annotated[str | None, Field(coerce_numbers_to_str=True)] = Field(
        default=None, description="folder of a run whose best weights are taken where they fit; the rest starts as ever"
    )
    start_sha256: str | None = Field(
        default=None, description="start_from: checksum of these weights, which a run notes down; others are refused"
    )

    @model_validator(mode="after")
    def _checksum_is_of_a_run(self) -> TrainConfig:
        if self.start_sha256 is not None and self.start_from is None:
            raise ValueError("start_sha256 is the checksum of start_from's weights; name that run, or leave both out")
        return self


class EvaluateConfig(PieceConfig):
    """How predictions are scored. Crops from true points are jittered: nobody gets perfect boxes."""

    jitter: float = Field(
        default=0.1, ge=0, lt=1, description="crop boxes are shifted and scaled by up to this, seeded"
    )
    window_jitter: float = Field(
        default=0.4, ge=0, lt=0.5, description="clips, crop=window: as augment.window_jitter, seeded"
    )
    seed: Seed = 0
    batch: int = Field(default=64, ge=1)
    flip_average: bool = Field(default=False, description="average with the prediction on the mirror image")
    size_limits: tuple[float, float] = Field(
        default=(32.0, 96.0), description="boxes: small is below the first side in pixels, large above the second"
    )
    pck: tuple[float, ...] = Field(default=(0.05, 0.1), description="thresholds of the share of correct points")
    threshold_px: float = Field(
        default=5.0, gt=0, description="clips: a point is found where it is at most so far off, in pixels of the frame"
    )


class Experiment(PieceConfig):
    """A recipe, resolved."""

    recipe: str
    skeleton: SkeletonConfig = SkeletonConfig(names=())
    classes: tuple[str, ...] = Field(default=(), description="of boxes, in the order of the labels; from the data")
    data: DataConfig = DataConfig()
    augment: AugmentConfig = AugmentConfig()
    backbone: BackboneConfig
    neck: NeckConfig
    context: ContextConfig = NoContextConfig()
    head: HeadConfig
    codec: CodecConfig
    train: TrainConfig = TrainConfig()
    evaluate: EvaluateConfig = EvaluateConfig()

    @model_validator(mode="after")
    def _names_and_augments_what_is_found(self) -> Experiment:
        finds, boxes = self.codec.finds, self.codec.finds in ("one-box", "boxes")
        if finds == "points" and not self.skeleton.names:
            raise ValueError("skeleton is missing: a codec of points needs their names")
        if finds == "track" and len(self.skeleton.names) != 1:
            raise ValueError("skeleton must name exactly one point: this codec follows one point through a clip")
        if boxes and not self.classes:
            raise ValueError("classes are missing: a codec of boxes needs at least one")
        if not boxes and (self.augment.mosaic or self.augment.iou_crop):
            raise ValueError("augment.mosaic and augment.iou_crop are for boxes; this recipe finds points")
        if finds != "track" and self.data.crop == "window":
            raise ValueError("data.crop=window is for clips; this recipe finds something in single pictures")
        sees_parts = finds == "track" and self.data.crop != "window" and not self.context.history
        if self.augment.part_hw is not None and not sees_parts:
            raise ValueError(
                "augment.part_hw is for clips seen as whole frames (data.crop=image), without past points "
                "(context.history=0)"
            )
        if finds != "track" and (self.context.past_frames or self.context.history):
            raise ValueError(
                f"context {self.context.kind} looks at the past; this recipe's codec is for single pictures"
            )
        return self

    def to_yaml(self) -> str:
        """The whole experiment as YAML that `from_yaml` reads back to an equal one."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, width=110)


def from_yaml(text: str, *, where: str) -> Experiment:
    """Read an experiment; raises UserError naming every unknown key and wrong value."""
    try:
        values = load_yaml(text)
    except yaml.YAMLError as error:
        raise UserError(f"{where} is not YAML: {error}") from error
    if not isinstance(values, dict):
        raise UserError(f"{where} holds no settings. Expected the keys {', '.join(Experiment.model_fields)}.")
    return _validated(values, where=where)


def override(experiment: Experiment, *, use: Sequence[str] = (), sets: Sequence[str] = ()) -> Experiment:
    """Apply `slot=piece` swaps, then `a.b=value` settings.

    Raises:
        UserError: unknown slots, pieces, keys or wrong values; all at once, with "did you mean".
    """
    values = experiment.model_dump(mode="json")
    for text in use:
        slot, piece = pair(text, option="--use", example="neck=fpn")
        if slot not in PIECES:
            raise unknown_name("piece slot", slot, PIECES)
        if piece not in PIECES[slot]:
            raise unknown_name(slot, piece, PIECES[slot])
        values[slot] = {"kind": piece}
    for text in sets:
        key, value = pair(text, option="--set", example="train.lr=1e-3")
        _assign(values, key.split("."), scalar(value), full=key)
    return _validated(values, where="--use/--set")


def _assign(values: dict[str, Any], path: Sequence[str], value: object, *, full: str) -> None:
    """Set a nested key that exists (or that its model will judge)."""
    node = values
    for part in path[:-1]:
        if not isinstance(node.get(part), dict):
            raise unknown_name("setting", full, _flat_keys(values))
        node = node[part]
    node[path[-1]] = value


def _flat_keys(values: Mapping[str, Any], prefix: str = "") -> list[str]:
    keys: list[str] = []
    for key, value in values.items():
        keys += _flat_keys(value, f"{prefix}{key}.") if isinstance(value, dict) else [f"{prefix}{key}"]
    return keys


def _validated(values: dict[str, Any], *, where: str) -> Experiment:
    try:
        return Experiment.model_validate(values)
    except ValidationError as error:
        lines = [_explain(item, values) for item in error.errors()]
        raise UserError(f"{where}: " + " ".join(lines)) from None


def _explain(item: Any, values: dict[str, Any]) -> str:  # noqa: ANN401 (pydantic's error dictionaries)
    """One pydantic error in words, with the nearest legal key for an unknown one."""
    path = [str(part) for part in item["loc"] if not (isinstance(part, str) and part in _kinds())]
    name = ".".join(path)
    if item["type"] == "extra_forbidden":
        section = _section_keys(path[:-1], values)
        return str(unknown_name("setting", name, [".".join([*path[:-1], key]) for key in section]))
    if item["type"] == "missing":
        return f"{name} is missing."
    if not path:  # the whole experiment: its parts do not go together
        return f"{item['msg'].removeprefix('Value error, ')}."
    return f"{name} = {_short(item.get('input'))}: {item['msg'].removeprefix('Value error, ')}."


def _short(value: object) -> str:
    """A value as it was given, or its beginning."""
    text = repr(value)
    return text if len(text) <= MOST_QUOTED else text[:MOST_QUOTED] + " ..."


def _kinds() -> set[str]:
    return {kind for table in PIECES.values() for kind in table} - set(PIECES)


def _section_keys(path: Sequence[str], values: dict[str, Any]) -> list[str]:
    """The legal keys of one section."""
    if not path:
        return list(Experiment.model_fields)
    section = path[0]
    if section in PIECES:
        kind = str(values[section].get("kind")) if len(path) == 1 else ""  # below a list nothing can be told
        return list(PIECES[section][kind].model_fields) if kind in PIECES[section] else []
    field = Experiment.model_fields[section].annotation
    return list(getattr(field, "model_fields", {}))
