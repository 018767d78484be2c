"""`Tracker`: frames in, one after the other; a `TrackPoint` for each.

`step` answers at once and never looks ahead. `settle` passes an answer through what needs later frames, if the config
asks for it: the path through all answers or the rules that take answers back, and the filling of gaps. Memory is
bounded: a few frames, 30 answers, and the rows that are held back. In: stages and a config, or a folder.
Next: csv_rows.py
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from sightline.errors import UserError
from sightline.track.config import ZoomConfig
from sightline.track.fill import GapFiller
from sightline.track.follow import Follow, shown_from
from sightline.track.link import PathLinker
from sightline.track.load import Choice, load_parts
from sightline.track.past import Past
from sightline.track.point import TrackPoint
from sightline.track.post import WriteBuffer
from sightline.track.radius import RadiusTable
from sightline.track.rules import UNSEEN, Place, StagePoint
from sightline.track.stage import Stages
from sightline.track.zoom import Answer, Zoom
from sightline.video.frame import VideoFrame
from sightline.video.pixels import ArrayPixels


class Tracker:
    """Follows one point through one video; `reset` begins another."""

    def __init__(self, stages: Stages, config: ZoomConfig, *, radius: RadiusTable | None = None, fill: int = 0) -> None:
        """Put the parts together.

        Args:
            stages: the networks.
            config: how they are used.
            radius: gives answers their error radius.
            fill: `settle` fills gaps of up to so many frames.

        Raises:
            UserError: the mode needs a stage that is not there.
        """
        if stages.fine is None and config.mode != "stream":
            raise UserError(f"mode {config.mode} needs a fine stage. Give --fine RUN, or use mode stream.")
        self.stages, self.config, self.radius, self.fill = stages, config, radius, fill
        self.reset()

    @staticmethod
    def load(path: Path | str, choice: Choice | None = None, *, fill: int = 0) -> Tracker:
        """A tracker's folder, or a run that sees whole frames.

        Args:
            path: the folder.
            choice: further runs, settings and the device; what the folder says without it.
            fill: as above.

        Raises:
            UserError: no tracker, a run that does not follow a point, or one of the wrong kind.
        """
        parts = load_parts(Path(path), choice or Choice())
        return Tracker(parts.stages, parts.config, radius=parts.radius, fill=fill)

    def reset(self) -> None:
        """Forget the video so far."""
        for stage in self.stages.all():
            stage.reset()
        self.past = Past(frames=self.stages.past_frames)
        kind = Follow if self.config.mode == "stream" else Zoom
        self._engine = kind(self.stages, self.config, self.past)
        self._settlers: tuple[PathLinker | WriteBuffer, GapFiller] | None = None
        self._seen: tuple[StagePoint, ...] = ()
        self._next_number = 0
        self._size_hw: tuple[int, int] | None = None

    def step(self, frame: VideoFrame | np.ndarray) -> TrackPoint:
        """Where the point is in the next frame.

        Args:
            frame: of a source, or [H, W, 3] uint8 RGB; arrays are numbered one after the other.

        Raises:
            UserError: it has another size than the first, a number that does not rise, or is no picture.
        """
        now, time_s = self._accept(frame)
        self.past.see(now)
        answer = self._engine.answer(now)
        self.past.answered(now.number, answer.place)
        self._seen = answer.seen
        return self._point(answer, number=now.number, time_s=time_s)

    def prepare(self, frame: VideoFrame) -> VideoFrame:
        """The frame, with what needs no other frames done to it; another thread may do this ahead of `step`."""
        for stage in self.stages.all():
            stage.prepare(frame)
        return frame

    def prime(self, frame: VideoFrame, point: TrackPoint | None) -> None:
        """Take over a frame whose answer is known already (None: it was left out), to go on behind it."""
        now, _ = self._accept(frame)
        self.past.see(now)
        if point is not None:
            found = point.visible and point.step != "filled"  # filled behind the engine's back, which saw nothing there
            self.past.answered(now.number, Place(x=point.x, y=point.y, visible=True) if found else UNSEEN)
            self._engine.prime(point)

    def settle(self, point: TrackPoint) -> list[TrackPoint]:
        """Pass the answer of the last `step` on; give the points that are final now, in order. Each comes out once."""
        assert self._settlers is not None, "settle comes after step"
        buffer, filler = self._settlers
        return [final for row in buffer.feed(point, self._seen) for final in filler.feed(row)]

    def finish(self) -> list[TrackPoint]:
        """The points that `settle` still holds back; the video is over."""
        if self._settlers is None:
            return []
        buffer, filler = self._settlers
        return [final for row in buffer.finish() for final in filler.feed(row)] + filler.finish()

    def at_once(self) -> Tracker:
        """The same tracker, at its beginning, but that `settle` holds nothing back for later frames; gaps aside."""
        config = self.config.model_copy(update={"look_ahead": 0})
        return Tracker(self.stages, config, radius=self.radius, fill=self.fill)

    def _point(self, answer: Answer, *, number: int, time_s: float | None) -> TrackPoint:
        place = answer.place
        return TrackPoint(
            frame=number,
            time_s=time_s,
            x=place.x,
            y=place.y,
            visible=place.visible,
            score=answer.score,
            radius_px=self._radius(answer.score) if place.visible else None,
            step=answer.step,
        )

    def _radius(self, score: float) -> float | None:
        return None if self.radius is None else self.radius.radius(score)

    def _settled_by(self, size_hw: tuple[int, int]) -> tuple[PathLinker | WriteBuffer, GapFiller]:
        """What rows pass through before they are final."""
        filler = GapFiller(longest=self.fill, size_hw=size_hw)
        if self.config.mode != "stream" or not self.config.look_ahead:
            return WriteBuffer(self.config, forget=self.past.forget), filler
        least = shown_from(self.config, self.stages)
        return PathLinker(self.config, size_hw=size_hw, least_visible=least, radius=self._radius), filler

    def _accept(self, frame: VideoFrame | np.ndarray) -> tuple[VideoFrame, float | None]:
        """A frame that fits behind the last one, and when it is shown."""
        time_s = None
        if isinstance(frame, np.ndarray):
            if frame.ndim != 3 or frame.shape[2] != 3 or frame.dtype != np.uint8 or 0 in frame.shape:
                raise UserError(
                    f"A frame must be [height, width, 3] of whole numbers 0..255 (uint8), but got {list(frame.shape)} "
                    f"of {frame.dtype}."
                )
            frame = VideoFrame(number=self._next_number, time_s=0.0, pixels=ArrayPixels(frame))
        else:
            time_s = frame.time_s
        if frame.number < self._next_number:
            raise UserError(
                f"Frame {frame.number} comes behind frame {self._next_number - 1}. Give frames in order, or call "
                "reset() before another video."
            )
        if self._size_hw is None:
            self._size_hw = frame.size_hw
            self._settlers = self._settled_by(frame.size_hw)
        elif frame.size_hw != self._size_hw:
            (height, width), (h, w) = frame.size_hw, self._size_hw
            raise UserError(
                f"Frame {frame.number} has {width} x {height} pixels, the first one {w} x {h}. Scale it to the first "
                "one's size, or call reset() before another video."
            )
        self._next_number = frame.number + 1
        return frame, time_s
