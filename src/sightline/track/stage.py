"""A stage: one network that looks at areas of the current frame and says where the point is.

`eager.py` makes one of a trained run; an exported model can be one too, and tests have stages that answer from a
script. Next: eager.py
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from sightline.geometry import Box
from sightline.track.rules import StagePoint
from sightline.video.frame import VideoFrame


class Stage(Protocol):
    """Looks at areas of one frame, with the frames and answers before it.

    Attributes:
        input_hw: of the network; the fine stage's windows have as many pixels of the frame.
        past_frames: how many frames before the current one it wants.
        history: how many answers before.
        threshold: from which probability on its own run says "visible".
    """

    input_hw: tuple[int, int]
    past_frames: int
    history: int
    threshold: float

    def __call__(
        self,
        frames: Sequence[VideoFrame | None],
        areas: Sequence[Box],
        past_xy: np.ndarray,
        past_visible: np.ndarray,
    ) -> list[StagePoint]:
        """One answer an area, computed together.

        Args:
            frames: `1 + past_frames`, oldest first, the current one last; None is black.
            areas: in pixels of the frame; they may reach over its edges.
            past_xy: [history, 2] pixels of the frame, oldest first; zeros where not visible.
            past_visible: [history] bool.
        """
        ...

    def prepare(self, frame: VideoFrame) -> None:
        """Do what can be done with a frame before its turn; called in the thread that reads."""
        ...

    def reset(self) -> None:
        """Forget what was kept of frames: another video begins."""
        ...


@dataclass(frozen=True, kw_only=True)
class Stages:
    """The networks of a tracker.

    Attributes:
        coarse: sees whole frames.
        fine: sees windows of native pixels; None where there is none.
        support: a second one, asked whether it agrees with the fine one.
    """

    coarse: Stage
    fine: Stage | None = None
    support: Stage | None = None

    @property
    def past_frames(self) -> int:
        """How many frames before the current one must be kept."""
        return max(stage.past_frames for stage in self.all())

    def all(self) -> list[Stage]:
        """Those that are there."""
        return [stage for stage in (self.coarse, self.fine, self.support) if stage is not None]
