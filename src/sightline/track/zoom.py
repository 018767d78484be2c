"""The published engine: a calibration step, a fast step, and the modes calib, fast and smart that choose between them.

A calibration asks the coarse stage, and then the fine one at a triangle of windows around its answer, since three
windows that miss a little are better than one. A fast step asks the fine stage at one window around the last answer.
In each window the support model is asked too, where there is one. The coarse stage's own visibility is not used.

The text leaves open what "seen three times" means in the rule of the upper edge: here the frame in question is one of
the three. In: a frame that `Past` has seen. Out: an `Answer`. Next: follow.py
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sightline.geometry import Box
from sightline.track import rules
from sightline.track.config import ZoomConfig
from sightline.track.past import Past
from sightline.track.point import StepKind, TrackPoint
from sightline.track.rules import UNSEEN, Place, Ruler, StagePoint
from sightline.track.stage import Stage, Stages
from sightline.video.frame import VideoFrame
from sightline.view import window_around


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What a step says: a place, the probability behind it, which step it was, and all that was seen."""

    place: Place
    score: float = 0.0
    step: StepKind
    seen: tuple[StagePoint, ...] = ()  # mode stream; the place is one of them


def ask(stage: Stage, past: Past, areas: Sequence[Box]) -> list[StagePoint]:
    """A stage at areas of the current frame, with as much of the past as it wants."""
    return stage(past.frames(stage.past_frames), areas, *past.history(stage.history))


def whole(frame: VideoFrame) -> Box:
    """The area of a whole frame."""
    height, width = frame.size_hw
    return 0.0, 0.0, float(width), float(height)


def least_visible(config: ZoomConfig, fine: Stage) -> float:
    """From which probability on an answer of the fine stage is visible."""
    return fine.threshold if config.visible is None else config.visible


class Zoom:
    """The modes calib, fast and smart."""

    def __init__(self, stages: Stages, config: ZoomConfig, past: Past) -> None:
        """Begin; the first frame is calibrated in every mode."""
        assert config.mode in ("calib", "fast", "smart"), config.mode
        assert stages.fine is not None, f"mode {config.mode} needs a fine stage"
        self.stages, self.fine, self.config, self.past = stages, stages.fine, config, past
        self._since_unseen = config.unseen  # smart: frames since rule 1 held last
        self._since_calibrated = config.calibrate_every  # fast: frames since the last calibration

    def prime(self, point: TrackPoint) -> None:
        """Take over an answer that was given before: count on from it."""
        if point.step == "calibrate":
            self._since_unseen = self._since_calibrated = 1
        else:
            self._since_unseen += 1
            self._since_calibrated += 1

    def answer(self, frame: VideoFrame) -> Answer:
        """Where the point is in the current frame."""
        if self.config.mode == "calib":
            return self.calibrate(frame)
        return self.fast(frame) if self.config.mode == "fast" else self.smart(frame)

    def fast(self, frame: VideoFrame) -> Answer:
        """Calibrate every few frames; between, follow what was seen last."""
        if self._since_calibrated >= self.config.calibrate_every:
            self._since_calibrated = 1
            return self.calibrate(frame)
        self._since_calibrated += 1
        if rules.was_unseen(self.past.places()):
            return Answer(place=UNSEEN, step="lost")
        return self.fast_step(frame)

    def smart(self, frame: VideoFrame) -> Answer:
        """Follow what was seen last; calibrate when a rule finds something wrong with it."""
        config, seen = self.config, self.past.places()
        if rules.is_long_unseen(seen, frames=config.unseen, since=self._since_unseen):
            self._since_unseen = 1
            return self.calibrate(frame)
        self._since_unseen += 1
        if rules.was_unseen(seen):
            return Answer(place=UNSEEN, step="lost")
        now = self.fast_step(frame)
        last_three = [*seen[-2:], now.place]
        if now.step == "background":
            return now
        if rules.has_left(last_three, height=frame.size_hw[0], top=config.top):
            return Answer(place=UNSEEN, score=now.score, step="left")
        ruler = self._ruler(frame)
        if (
            rules.has_vanished(seen[-1], now.place)
            or rules.has_jumped(seen[-1], now.place, ruler=ruler, jump=config.jump)
            or rules.has_turned(last_three, ruler=ruler, angle=config.angle)
        ):
            return self.calibrate(frame, step="recalibrate")
        return now

    def calibrate(self, frame: VideoFrame, *, step: StepKind = "calibrate") -> Answer:
        """The coarse stage, then the fine one around its answer."""
        coarse = ask(self.stages.coarse, self.past, [whole(frame)])[0]
        centres = [(coarse.x, coarse.y)]
        if self.config.zoom == "triangle":
            centres = rules.triangle(coarse.x, coarse.y, ruler=self._ruler(frame), radius=self.config.zoom_radius)
        return self._look(frame, centres, step=step)

    def fast_step(self, frame: VideoFrame) -> Answer:
        """The fine stage at the last answer, unless the picture there stands still."""
        last = self.past.places()[-1]
        if self._is_still(frame, self._window(frame, (last.x, last.y))):
            return Answer(place=UNSEEN, step="background")
        return self._look(frame, [(last.x, last.y)], step="fast")

    def _look(self, frame: VideoFrame, centres: Sequence[tuple[float, float]], *, step: StepKind) -> Answer:
        """The fine stage, and the support stage, at windows; the least doubtful answer that is kept, if one is."""
        windows = [self._window(frame, centre) for centre in centres]
        found = ask(self.fine, self.past, windows)
        apart: Sequence[float | None] = [None] * len(found)
        config, agree = self.config, self.config.agree
        if self.stages.support is not None:
            others = ask(self.stages.support, self.past, windows)
            if config.agree_px is not None:
                apart, agree = [rules.apart_px(a, b) for a, b in zip(found, others, strict=True)], config.agree_px
            else:
                rows = zip(found, others, windows, strict=True)
                apart = [rules.disagreement(a, b, window=window) for a, b, window in rows]
        least = least_visible(config, self.fine)
        kept = [
            (rules.doubt(point.visible, far), point)
            for point, far in zip(found, apart, strict=True)
            if rules.is_kept(point.visible, far, agree=agree, least=least)
        ]
        if not kept:
            return Answer(place=UNSEEN, score=max(point.visible for point in found), step=step)
        _, best = min(kept, key=lambda pair: pair[0])
        return Answer(place=Place(x=best.x, y=best.y, visible=True), score=best.visible, step=step)

    def _ruler(self, frame: VideoFrame) -> Ruler:
        return Ruler.of(self.config.metric, frame.size_hw)

    def _window(self, frame: VideoFrame, centre: tuple[float, float]) -> Box:
        return window_around(np.array(centre), frame.size_hw, self.fine.input_hw)

    def _is_still(self, frame: VideoFrame, window: Box) -> bool:
        """Whether nothing moved in a window since the frame before; where that is missing nobody knows."""
        before = self.past.before()
        if before is None:
            return False
        x0, y0, x1, y1 = (int(side) for side in window)
        now, then = frame.crop(x0, y0, x1, y1), before.crop(x0, y0, x1, y1)
        return rules.is_still(now, then, mean=self.config.still_mean, most=self.config.still_max)
