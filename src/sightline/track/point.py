"""What a tracker says of one frame. Next: config.py."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal, get_args

StepKind = Literal[
    "calibrate",  # coarse stage, then the fine one at windows around its answer
    "recalibrate",  # the same because a fast step looked wrong
    "fast",  # the fine stage at one window
    "coarse",  # the coarse stage alone
    "background",  # the window shows a still picture: not looked at
    "left",  # gone through the upper edge
    "lost",  # not visible before, and not looked for
    "removed",  # an answer that a rule or later frames took back
    "linked",  # another answer than the frame's surest, which goes with those of the frames around
    "filled",  # put between two answers by a fit
]
STEP_KINDS: tuple[StepKind, ...] = get_args(StepKind)


@dataclass(frozen=True, kw_only=True)
class TrackPoint:
    """Where the point is in one frame.

    Attributes:
        frame: its number, from 0.
        time_s: when it is shown, in seconds since the first frame; None where the frame came without a time.
        x: continuous pixels of the frame; 0 where not visible.
        y: likewise.
        visible: whether the point is said to be in the frame.
        score: the probability of that, as far as a network was asked; 0 where none was.
        radius_px: 90 % of such answers are at most so far off; None where no radius was fitted, or not visible.
        step: how the answer came about.
    """

    frame: int
    time_s: float | None = None
    x: float = 0.0
    y: float = 0.0
    visible: bool = False
    score: float = 0.0
    radius_px: float | None = None
    step: StepKind

    def removed(self) -> TrackPoint:
        """The same frame with its answer taken back."""
        return replace(self, x=0.0, y=0.0, visible=False, radius_px=None, step="removed")
