"""`ZoomConfig`: mode, thresholds and stages of a tracker; named presets; tracker.yaml.

The published thresholds exist twice, as the engine's defaults and as the video script's, and once more for the
TensorRT build; each is a preset. Where the published text leaves a question open, the field says what is assumed.
Needs no torch. Next: rules.py
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from sightline.errors import UserError, unknown_name
from sightline.files import write_atomically
from sightline.settings import load_yaml, pair, scalar

TRACKER_FILE = "tracker.yaml"
Mode = Literal["calib", "fast", "smart", "stream"]


class ZoomConfig(BaseModel):
    """How the stages are used. Shares of the frame are of its width along x and of its height along y."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    mode: Mode = Field(
        default="smart",
        description="calib: coarse and fine on every frame; fast: coarse every few frames; smart: coarse when a rule "
        "says so; stream: our own, with kept features",
    )
    coarse: str = Field(default="coarse", description="folder of the run that sees whole frames, beside tracker.yaml")
    fine: str | None = Field(default="fine", description="of the run that sees windows; stream works without")
    support: str | None = Field(default=None, description="of a second run that sees windows, for agreement")

    zoom: Literal["triangle", "centre"] = Field(
        default="triangle", description="calibration looks at three windows around the coarse point, or at one on it"
    )
    zoom_radius: float = Field(default=0.06, gt=0, lt=0.5, description="the triangle's circumradius")
    metric: Literal["stretched", "square"] = Field(
        default="stretched",
        description="the unit of zoom_radius, jump and angle. stretched: shares of the frame, as published: 0.03 is 58 "
        "px across and 32 px down at 1920 x 1080, and the triangle is not equilateral. square: shares of the square "
        "root of the frame's area, alike in all directions",
    )

    agree: float = Field(
        default=0.05, gt=0, description="two models agree when their answers are so close, as a share of the window"
    )
    agree_px: float | None = Field(default=None, gt=0, description="the same in pixels of the frame, in its place")
    visible: float | None = Field(
        default=0.65, ge=0, le=1, description="fine stage: probability of a visible point; null: the run's threshold"
    )

    calibrate_every: int = Field(default=30, ge=1, description="fast: frames from one calibration to the next")
    unseen: int = Field(default=8, ge=1, le=30, description="smart: so many frames without the point: calibrate")
    top: float = Field(default=0.03, ge=0, lt=1, description="smart: seen three times and above this: it has left")
    jump: float = Field(default=0.03, gt=0, description="smart: a step as long as this: calibrate")
    angle: float = Field(default=math.pi / 12, gt=0, le=math.pi, description="smart: a turn by this (rad): calibrate")
    still_mean: float = Field(
        default=0.001, ge=0, le=1, description="a window whose mean change since the last frame is below is background"
    )
    still_max: float = Field(default=0.2, ge=0, le=1, description="likewise where no pixel changes by as much")

    look_ahead: int = Field(
        default=0,
        ge=0,
        description="rows held back: for the rules that take answers back, or, in stream, until the likeliest path "
        "through all answers is known; 0: neither",
    )
    flagged_window: int = Field(default=6, ge=1, description="smart: among so many rows ...")
    flagged_most: int = Field(default=4, ge=1, description="... so many doubtful ones: all are taken back")
    short_run: int = Field(default=5, ge=1, description="fewer visible rows than this in a row are taken back")

    coarse_every: int = Field(
        default=1,
        ge=1,
        description="stream: frames between coarse looks while the fine stage is sure, or nothing is found",
    )
    sure: float = Field(default=0.9, ge=0, le=1, description="stream: from this probability on it is sure")
    absent: float = Field(
        default=0.0, ge=0, le=1, description="stream: a look whose surest answer is below found nothing; 0: never"
    )
    coarse_look: float = Field(
        default=0.1, ge=0, le=1, description="stream: from this coarse probability on the fine stage looks there"
    )
    coarse_places: int = Field(
        default=1,
        ge=1,
        le=5,
        description="stream: so many places of a coarse look are looked at by the fine stage; an exported "
        "file knows as many as it was exported with",
    )
    coarse_visible: float | None = Field(
        default=None,
        ge=0,
        le=1,
        description="stream without a fine stage: probability of a visible point; null: the run's",
    )
    predict_for: int = Field(default=3, ge=0, description="stream: frames for which a lost point's motion is continued")
    link_doubt: float = Field(
        default=0.5,
        description="stream with look_ahead, as all link_*, costs in log-odds: an answer must be above `visible` by so "
        "much to stand alone",
    )
    link_step: float = Field(
        default=0.055, gt=0, description="steps up to this share of the root of the frame's area cost nothing"
    )
    link_turn: float = Field(
        default=0.0125, gt=0, description="a step that differs from the last by this share of it costs 1, twice it 4"
    )
    link_most: float = Field(default=3.0, ge=0, description="what a step or its change costs at most")
    link_switch: float = Field(default=1.0, ge=0, description="what going from seen to unseen costs, or back")
    resize: Literal["image", "planes"] = Field(
        default="image",
        description="whole frames shrink as in training (image), or in the decoder's planes: three times as fast, "
        "pixels differ by a few grey levels",
    )

    @model_validator(mode="after")
    def _goes_together(self) -> ZoomConfig:
        if self.mode != "stream" and self.fine is None:
            raise ValueError(f"mode {self.mode} needs a fine stage; only stream works without")
        if self.support is not None and self.fine is None:
            raise ValueError("a support stage stands beside a fine one, and there is none")
        held = max(self.flagged_window, self.short_run)
        if self.mode != "stream" and self.look_ahead and self.look_ahead < held:
            raise ValueError(
                f"look_ahead {self.look_ahead} is too short: the rules look at {held} rows (flagged_window, short_run)"
            )
        return self

    def to_yaml(self) -> str:
        """As it lies in tracker.yaml."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, width=110)


ENGINE = ZoomConfig()
VIDEO = ENGINE.model_copy(
    update={"jump": 0.04, "angle": math.pi / 2, "unseen": 5, "calibrate_every": 20, "look_ahead": 6}
)
PRESETS: dict[str, ZoomConfig] = {
    "engine": ENGINE,
    "video": VIDEO,
    "tensorrt": VIDEO.model_copy(update={"jump": 0.03}),
    # The published thresholds in units that are alike in all directions; 11.2 px are 0.05 of a window of 224.
    "mended": VIDEO.model_copy(update={"metric": "square", "agree_px": 11.2}),
    "track-ball": ENGINE.model_copy(
        update={
            "mode": "stream",
            "zoom": "centre",
            "metric": "square",
            "visible": None,
            "resize": "planes",
            "coarse_every": 2,
            "coarse_places": 2,
            "sure": 0.95,
            "absent": 0.3,
            "look_ahead": 20,
        }
    ),
}


def preset(name: str) -> ZoomConfig:
    """A preset by name.

    Raises:
        UserError: there is none of that name; did you mean.
    """
    if name not in PRESETS:
        raise unknown_name("preset", name, PRESETS)
    return PRESETS[name]


def changed(config: ZoomConfig, *, sets: Sequence[str] = (), updates: Mapping[str, Any] | None = None) -> ZoomConfig:
    """A config with `key=value` settings and plain updates applied, and checked as a whole.

    Raises:
        UserError: unknown keys or wrong values, all at once.
    """
    values = config.model_dump(mode="json") | dict(updates or {})
    for text in sets:
        key, value = pair(text, option="--set", example="jump=0.04")
        values[key] = scalar(value)
    return _validated(values, where="--set" if sets else "The tracker's settings")


def read_tracker(folder: Path) -> ZoomConfig:
    """The config in a tracker's folder.

    Raises:
        UserError: there is none, or it does not read.
    """
    path = folder / TRACKER_FILE
    if not path.is_file():
        raise UserError(f"{folder} is no tracker: it holds no {TRACKER_FILE}.")
    return parse_tracker(path.read_bytes(), where=str(path))


def parse_tracker(text: bytes | str, *, where: str) -> ZoomConfig:
    """The config in the text of a tracker.yaml.

    Raises:
        UserError: it does not read.
    """
    try:
        values = load_yaml(text)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise UserError(f"{where} is not YAML: {error}") from error
    if not isinstance(values, dict):
        raise UserError(f"{where} holds no settings. Expected keys such as mode, coarse, fine.")
    return _validated(values, where=where)


def write_tracker(folder: Path, config: ZoomConfig) -> Path:
    """Write tracker.yaml; the runs that it names lie beside it.

    Raises:
        UserError: it cannot be written.
    """
    path = folder / TRACKER_FILE
    write_atomically(path, config.to_yaml())
    return path


def _validated(values: dict[str, Any], *, where: str) -> ZoomConfig:
    try:
        return ZoomConfig.model_validate(values)
    except ValidationError as error:
        raise UserError(f"{where}: " + " ".join(_told(item) for item in error.errors())) from None


def _told(item: Any) -> str:  # noqa: ANN401 (pydantic's error dictionaries)
    name = ".".join(map(str, item["loc"]))
    if item["type"] == "extra_forbidden":
        return str(unknown_name("setting", name, ZoomConfig.model_fields))
    if not name:
        return f"{item['msg'].removeprefix('Value error, ')}."
    return f"{name} = {item.get('input')!r}: {item['msg']}."
