"""Stages that answer from a script, and frames made by code."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from sightline.geometry import Box
from sightline.track.rules import StagePoint
from sightline.video.frame import VideoFrame
from sightline.video.pixels import ArrayPixels

SIZE_HW = (1080, 1920)
NOTHING = StagePoint(x=0.0, y=0.0, visible=0.0)


def frame(number: int, size_hw: tuple[int, int] = SIZE_HW, *, grey: int | None = None) -> VideoFrame:
    """A frame of one grey that differs from the frame before, so that no window stands still."""
    value = grey if grey is not None else (number * 97) % 256
    return VideoFrame(
        number=number, time_s=number / 60, pixels=ArrayPixels(np.full((*size_hw, 3), value, dtype=np.uint8))
    )


def at(x: float, y: float, visible: float = 0.9) -> StagePoint:
    return StagePoint(x=x, y=y, visible=visible)


@dataclass
class Scripted:
    """Answers by frame number: one for all areas, or one an area; `asked` keeps what it was asked."""

    script: Mapping[int, StagePoint | Sequence[StagePoint]] | Callable[[int, Box], StagePoint]
    input_hw: tuple[int, int] = (224, 224)
    past_frames: int = 3
    history: int = 30
    threshold: float = 0.5
    asked: list[tuple[int, list[Box]]] = field(default_factory=list)
    given: list[tuple[list[int | None], np.ndarray, np.ndarray]] = field(default_factory=list)
    resets: int = 0

    def __call__(
        self,
        frames: Sequence[VideoFrame | None],
        areas: Sequence[Box],
        past_xy: np.ndarray,
        past_visible: np.ndarray,
    ) -> list[StagePoint]:
        assert len(frames) == 1 + self.past_frames
        now = frames[-1]
        assert now is not None
        self.asked.append((now.number, list(areas)))
        self.given.append(([f.number if f else None for f in frames], past_xy, past_visible))
        if callable(self.script):
            return [self.script(now.number, area) for area in areas]
        answer = self.script.get(now.number, NOTHING)
        return [answer] * len(areas) if isinstance(answer, StagePoint) else list(answer)

    def prepare(self, frame: VideoFrame) -> None:
        """A script needs nothing of a frame."""

    def reset(self) -> None:
        self.resets += 1

    @property
    def frames_asked(self) -> list[int]:
        return [number for number, _ in self.asked]
