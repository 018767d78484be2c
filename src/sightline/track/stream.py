"""A video through a tracker: decoding, network and encoding in threads of their own.

Frames come from a source and wait in a short queue, the main thread tracks and writes rows, a third thread draws and
encodes the annotated video. In: a source, a tracker, where to write. Out: a `Summary`. Next: ../cli/track.py
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Protocol

import numpy as np

from sightline.errors import UserError
from sightline.track.point import StepKind, TrackPoint
from sightline.track.threads import Ahead, Behind
from sightline.track.tracker import Tracker
from sightline.video.frame import VideoFrame

QUEUE = 4  # frames that wait on either side of the network
KEPT_TIMES = 10_000  # steps of a kind whose times are remembered
PATIENCE_S = 2.0  # for the decoder to end, once nobody wants its frames


class PictureSink(Protocol):
    """Takes annotated pictures; `video.writer.VideoWriter` is one."""

    def write(self, image: np.ndarray, *, time_s: float | None = None) -> None:
        """Add a picture [H, W, 3] uint8 RGB."""
        ...


@dataclass(frozen=True, kw_only=True)
class StepTimes:
    """How long steps of one kind took, from the decoded frame to the answer."""

    count: int
    p50_ms: float
    p95_ms: float


@dataclass(frozen=True, kw_only=True)
class Summary:
    """What came of a video.

    Attributes:
        frames: that were tracked now, without those done before.
        visible: rows of them that say so, after all rules.
        last_frame: number of the last row; None where there is none.
        seconds: from the first frame asked for to the last row.
        frames_per_s: end to end.
        first_row_s: until the first row was written; None where there was none.
        steps: times by kind of step.
        busy: seconds that each thread had something to do: decode, track, encode. The largest is the limit.
        interrupted: whether it was stopped before the end.
    """

    frames: int
    visible: int
    last_frame: int | None
    seconds: float
    frames_per_s: float
    first_row_s: float | None
    steps: dict[StepKind, StepTimes]
    busy: dict[str, float]
    interrupted: bool

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


class StepClock:
    """Times of steps by kind, the last ones of each."""

    def __init__(self) -> None:
        self._times: dict[StepKind, deque[float]] = {}
        self._counts: dict[StepKind, int] = {}
        self.busy_s = 0.0

    def add(self, kind: StepKind, seconds: float) -> None:
        """One step."""
        self._times.setdefault(kind, deque(maxlen=KEPT_TIMES)).append(seconds)
        self._counts[kind] = self._counts.get(kind, 0) + 1
        self.busy_s += seconds

    @property
    def steps(self) -> int:
        """Of all kinds."""
        return sum(self._counts.values())

    def table(self) -> dict[StepKind, StepTimes]:
        """By kind, the most frequent first."""
        kinds: list[StepKind] = sorted(self._counts, key=lambda kind: -self._counts[kind])
        return {kind: self._summed_up(kind) for kind in kinds}

    def _summed_up(self, kind: StepKind) -> StepTimes:
        p50, p95 = 1000 * np.quantile(np.array(self._times[kind]), (0.5, 0.95))
        return StepTimes(count=self._counts[kind], p50_ms=float(p50), p95_ms=float(p95))


def track_video(
    frames: Iterable[VideoFrame],
    tracker: Tracker,
    *,
    write: Callable[[Sequence[TrackPoint]], None],
    pictures: PictureSink | None = None,
    done: Sequence[TrackPoint] = (),
    stop: threading.Event | None = None,
    trail: int = 20,
    watch: Callable[[int], None] = lambda frames: None,
    release: Callable[[], None] = lambda: None,
) -> Summary:
    """Track every frame and hand rows on as soon as they are final.

    Args:
        frames: in order; iterated in a thread.
        tracker: at its beginning.
        write: takes rows, in this thread.
        pictures: takes annotated frames, in a thread of its own.
        done: rows of an earlier call; their frames are passed over, and drawn.
        stop: once set, it ends behind the frame at hand; all rows found so far are written.
        trail: frames over which the drawn trail fades.
        watch: told after each frame how many were tracked.
        release: closes what the frames come from; called when nobody reads from it any more.

    Raises:
        UserError: there is no frame at all, or none that `done` ends with.
        BaseException: whatever any of the threads met; rows that were final by then are written.
    """
    stop = stop or threading.Event()
    run = _Run(tracker, write=write, pictures=pictures, trail=trail)
    start = time.perf_counter()
    ahead = Ahead(map(tracker.prepare, frames), size=QUEUE, stop=stop, release=release)
    try:
        for frame in run.pass_over(iter(ahead), done):
            run.take(frame)
            watch(run.clock.steps)
    finally:
        ahead.close(timeout_s=PATIENCE_S)
        run.finish()
    if not run.frames_seen and not stop.is_set():
        raise UserError("The video holds no frame. Record or copy it again.")
    seconds = time.perf_counter() - start
    return Summary(
        frames=run.clock.steps,
        visible=run.visible,
        last_frame=run.last_frame,
        seconds=seconds,
        frames_per_s=run.clock.steps / seconds,
        first_row_s=None if run.first_row_at is None else run.first_row_at - start,
        steps=run.clock.table(),
        busy={"decode": ahead.busy_s, "track": run.clock.busy_s, "encode": run.encode_s},
        interrupted=stop.is_set(),
    )


class _Run:
    """One pass over a video."""

    def __init__(
        self,
        tracker: Tracker,
        *,
        write: Callable[[Sequence[TrackPoint]], None],
        pictures: PictureSink | None,
        trail: int,
    ) -> None:
        self.tracker, self.clock = tracker, StepClock()
        self.frames_seen = self.visible = 0
        self.last_frame: int | None = None
        self.first_row_at: float | None = None
        self._write, self._can_write = write, True
        self._waiting: deque[VideoFrame] = deque()  # frames to be drawn whose rows are not final yet
        self._encoder = None if pictures is None else Behind(_Painter(pictures, trail=trail), size=QUEUE)

    @property
    def encode_s(self) -> float:
        return 0.0 if self._encoder is None else self._encoder.busy_s

    def pass_over(self, frames: Iterator[VideoFrame], done: Sequence[TrackPoint]) -> Iterator[VideoFrame]:
        """The frames behind those that are done; the tracker is given what it would remember of these."""
        rows = {point.frame: point for point in done}
        last = done[-1].frame if done else -1
        self.last_frame = last if done else None
        for frame in frames:
            self.frames_seen += 1
            if frame.number > last:
                yield frame
                continue
            row = rows.pop(frame.number, None)
            self.tracker.prime(frame, row)
            if self._encoder is not None and row is not None:
                self._draw(frame, row)

    def take(self, frame: VideoFrame) -> None:
        """Track one frame; write and draw what is final."""
        start = time.perf_counter()
        point = self.tracker.step(frame)
        self.clock.add(point.step, time.perf_counter() - start)
        if self._encoder is not None:
            self._waiting.append(frame)
        self._hand_on(self.tracker.settle(point))

    def finish(self) -> None:
        """Write what the tracker holds back, if rows can be written; then see the encoder end, whatever came before."""
        try:
            if self._can_write:
                self._hand_on(self.tracker.finish())
        finally:
            if self._encoder is not None:
                self._encoder.close()

    def _hand_on(self, rows: Sequence[TrackPoint]) -> None:
        if not rows:
            return
        self._can_write = False  # a row that is lacking must not have others behind it
        self._write(rows)
        self._can_write = True
        self.first_row_at = self.first_row_at or time.perf_counter()
        self.visible += sum(row.visible for row in rows)
        self.last_frame = rows[-1].frame
        if self._encoder is not None:
            for row in rows:
                self._draw(self._waiting.popleft(), row)

    def _draw(self, frame: VideoFrame, row: TrackPoint) -> None:
        """Hand a frame to the encoder, converted: it stays one of the tracker's, and two threads must not do that."""
        assert self._encoder is not None
        _ = frame.image
        self._encoder.put((frame, row))


class _Painter:
    """Draws the trail and hands the picture on."""

    def __init__(self, pictures: PictureSink, *, trail: int) -> None:
        from sightline.writers.trail import draw_trail  # brings fonts and codecs, which a CSV alone does not wait for

        self._pictures, self._draw = pictures, draw_trail
        self._rows: deque[TrackPoint] = deque(maxlen=max(1, trail))

    def __call__(self, item: tuple[VideoFrame, TrackPoint]) -> None:
        frame, row = item
        self._rows.append(row)
        points = np.array([[point.x, point.y] for point in self._rows])
        visible = np.array([point.visible for point in self._rows])
        self._pictures.write(self._draw(frame.image, points, visible), time_s=frame.time_s)
