"""Mode `stream`, our own: a coarse look at (nearly) every frame, which kept features make cheap, and a fine one at it.

The fine stage looks at the likeliest places of the coarse one, and where the motion so far leads if that is elsewhere;
the surest answer counts. Its probability, against the threshold that its run chose, decides on visibility. While it is
sure of the point, or a look found nothing at all, the coarse stage may rest for some frames. In: a frame that `Past`
has seen. Out: an `Answer`. Next: post.py
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sightline.geometry import Box
from sightline.track.config import ZoomConfig
from sightline.track.past import Past
from sightline.track.point import TrackPoint
from sightline.track.rules import UNSEEN, Place, StagePoint
from sightline.track.stage import Stage, Stages
from sightline.track.zoom import Answer, ask, least_visible, whole
from sightline.video.frame import VideoFrame
from sightline.view import window_around


def continued(seen: list[tuple[int, Place]], *, number: int, frames: int) -> tuple[float, float] | None:
    """Where a point should be now if it keeps its motion; None where that is unknown.

    Args:
        seen: frame numbers and answers, oldest first.
        number: of the current frame.
        frames: a point seen longer ago than this is lost; its last step is repeated as often as needed.
    """
    at = {n: place for n, place in seen if place.visible}
    last = max(at, default=None)
    if last is None or number - last > frames:
        return None
    now, before = at[last], at.get(last - 1)
    if before is None:
        return now.x, now.y
    steps = number - last
    return now.x + steps * (now.x - before.x), now.y + steps * (now.y - before.y)


def is_near_middle(point: tuple[float, float], window: Box) -> bool:
    """Whether a point lies in the middle half of a window along both axes."""
    x0, y0, x1, y1 = window
    x, y = point
    return abs(2 * x - x0 - x1) <= (x1 - x0) / 2 and abs(2 * y - y0 - y1) <= (y1 - y0) / 2


def shown_from(config: ZoomConfig, stages: Stages) -> float:
    """From which probability on an answer of the last stage is visible."""
    if stages.fine is not None:
        return least_visible(config, stages.fine)
    return stages.coarse.threshold if config.coarse_visible is None else config.coarse_visible


class Follow:
    """The mode `stream`."""

    def __init__(self, stages: Stages, config: ZoomConfig, past: Past) -> None:
        """Begin with a coarse look."""
        assert config.mode == "stream", config.mode
        self.stages, self.config, self.past = stages, config, past
        self._coarse_at: int | None = None  # the frame of the last coarse look
        self._surest: float | None = None  # the surest answer of the last look

    def prime(self, point: TrackPoint) -> None:
        """Take over an answer that was given before: when the coarse stage looked last, and how sure the answer was."""
        if point.step in ("calibrate", "coarse"):
            self._coarse_at = point.frame
        if point.step in ("calibrate", "coarse", "fast"):
            self._surest = point.score

    def answer(self, frame: VideoFrame) -> Answer:
        """Where the point is in the current frame."""
        fine = self.stages.fine
        if fine is None:
            return self._coarse_only(frame)
        guess = self._guess(frame)
        if self._surest is not None and not self._is_due(frame):
            if guess is None and self._surest < self.config.absent:
                return Answer(place=UNSEEN, step="lost")
            if guess is not None and self._surest >= self.config.sure:
                seen = ask(fine, self.past, [self._window(frame, guess, fine)])
                if seen[0].visible >= least_visible(self.config, fine):
                    return self._said(seen, fine, coarse=False)
        coarse = self._look_coarse(frame)
        windows = self._windows(frame, fine, [*self._proposed(coarse), *([] if guess is None else [guess])])
        if not windows:
            self._surest = coarse.visible
            return Answer(place=UNSEEN, score=coarse.visible, step="coarse")
        return self._said(ask(fine, self.past, windows), fine, coarse=True)

    def _proposed(self, coarse: StagePoint) -> list[tuple[float, float]]:
        """Where a coarse look says that the point may be, the likeliest first."""
        if coarse.visible < self.config.coarse_look:
            return []
        return [(coarse.x, coarse.y), *coarse.others][: self.config.coarse_places]

    def _windows(self, frame: VideoFrame, fine: Stage, centres: Sequence[tuple[float, float]]) -> list[Box]:
        """Windows around places, but for those that an earlier one shows in its middle, or as well at the edge."""
        kept: list[Box] = []
        for centre in centres:
            window = self._window(frame, centre, fine)
            if window not in kept and not any(is_near_middle(centre, earlier) for earlier in kept):
                kept.append(window)
        return kept

    def _coarse_only(self, frame: VideoFrame) -> Answer:
        """Without a fine stage the coarse answer is the answer."""
        found = self._look_coarse(frame)
        is_visible = found.visible >= shown_from(self.config, self.stages)
        place = Place(x=found.x, y=found.y, visible=True) if is_visible else UNSEEN
        return Answer(place=place, score=found.visible, step="coarse", seen=(found,))

    def _look_coarse(self, frame: VideoFrame) -> StagePoint:
        self._coarse_at = frame.number
        return ask(self.stages.coarse, self.past, [whole(frame)])[0]

    def _is_due(self, frame: VideoFrame) -> bool:
        """Whether it is time for a coarse look."""
        return self._coarse_at is None or frame.number - self._coarse_at >= self.config.coarse_every

    def _guess(self, frame: VideoFrame) -> tuple[float, float] | None:
        """Where the motion leads, if that is inside the frame."""
        guess = continued(self.past.numbered(), number=frame.number, frames=self.config.predict_for)
        height, width = frame.size_hw
        return guess if guess is not None and 0 <= guess[0] < width and 0 <= guess[1] < height else None

    def _window(self, frame: VideoFrame, centre: tuple[float, float], fine: Stage) -> Box:
        return window_around(np.array(centre), frame.size_hw, fine.input_hw)

    def _said(self, seen: Sequence[StagePoint], fine: Stage, *, coarse: bool) -> Answer:
        """The surest of the fine stage's answers."""
        best = max(seen, key=lambda point: point.visible)
        self._surest = best.visible
        is_visible = best.visible >= least_visible(self.config, fine)
        place = Place(x=best.x, y=best.y, visible=True) if is_visible else UNSEEN
        return Answer(place=place, score=best.visible, step="calibrate" if coarse else "fast", seen=tuple(seen))
