"""Threads: order, errors from any of them, stopping, going on."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence

import numpy as np
import pytest
from scripted import Scripted, at, frame

from sightline.errors import UserError
from sightline.track.config import PRESETS
from sightline.track.point import TrackPoint
from sightline.track.stage import Stages
from sightline.track.stream import KEPT_TIMES, StepClock, Summary, track_video
from sightline.track.threads import Ahead, Behind
from sightline.track.tracker import Tracker
from sightline.video.frame import VideoFrame

SMALL = (60, 80)


class Boom(Exception):
    pass


def frames(count: int, *, first: int = 0, fail_at: int | None = None, pause_s: float = 0.0) -> Iterator[VideoFrame]:
    for number in range(first, count):
        if number == fail_at:
            raise Boom(f"frame {number}")
        time.sleep(pause_s)
        yield frame(number, SMALL)


def tracker(preset: str = "engine", *, fill: int = 0) -> Tracker:
    coarse, fine = (
        Scripted(lambda n, a: at(10 + n % 50, 20 + n % 30), input_hw=(20, 20), past_frames=2, history=5)
        for _ in range(2)
    )
    return Tracker(Stages(coarse=coarse, fine=fine), PRESETS[preset], fill=fill)


class Pictures:
    def __init__(self, *, fail_at: int | None = None) -> None:
        self.times: list[float | None] = []
        self.fail_at, self.threads = fail_at, set[str]()

    def write(self, image: np.ndarray, *, time_s: float | None = None) -> None:
        if len(self.times) == self.fail_at:
            raise OSError(28, "No space left on device")
        self.threads.add(threading.current_thread().name)
        assert image.shape == (*SMALL, 3)
        self.times.append(time_s)


def test_items_come_ahead_in_order_and_no_further_than_the_queue() -> None:
    given: list[int] = []

    def items() -> Iterator[int]:
        for number in range(30):
            given.append(number)
            yield number

    ahead = Ahead(items(), size=3, stop=threading.Event())
    for count, number in enumerate(ahead):
        assert number == count
        time.sleep(0.002)
        assert len(given) <= count + 1 + 3 + 1  # at hand, in the queue, and one that waits to be put
    assert given == list(range(30))
    ahead.close(timeout_s=1)


def test_an_error_of_the_source_comes_behind_the_items_before_it() -> None:
    taken: list[int] = []
    ahead = Ahead(frames(9, fail_at=3), size=2, stop=threading.Event())
    with pytest.raises(Boom, match="frame 3"):
        taken.extend(item.number for item in ahead)
    assert taken == [0, 1, 2]


def test_a_reader_that_nobody_listens_to_ends_and_lets_go() -> None:
    released = threading.Event()
    ahead = Ahead(frames(10**9), size=2, stop=threading.Event(), release=released.set)
    next(iter(ahead))
    ahead.close(timeout_s=5)
    assert released.is_set()


def test_work_behind_is_done_in_order_before_closing_ends() -> None:
    done: list[int] = []

    def slow(item: int) -> None:
        time.sleep(0.001)
        done.append(item)

    behind = Behind(slow, size=2)
    for number in range(20):
        behind.put(number)
    behind.close()
    assert done == list(range(20))


def test_an_error_of_the_work_is_raised_where_it_is_handed_in_and_blocks_nobody() -> None:
    def fail(item: int) -> None:
        raise Boom(str(item))

    def hand_in() -> None:
        for number in range(1000):
            behind.put(number)

    behind = Behind(fail, size=1)
    with pytest.raises(Boom, match="0"):
        hand_in()
    with pytest.raises(Boom, match="0"):
        behind.close()


def run(source: Iterator[VideoFrame], **options: object) -> tuple[list[TrackPoint], Summary]:
    rows: list[TrackPoint] = []
    summary = track_video(source, options.pop("tracker", None) or tracker(), write=rows.extend, **options)  # type: ignore[arg-type]
    return rows, summary


@pytest.mark.parametrize(("preset", "fill"), [("engine", 0), ("video", 0), ("video", 4), ("track-ball", 3)])
def test_every_frame_has_its_row_and_picture_in_order(preset: str, fill: int) -> None:
    pictures = Pictures()
    rows, summary = run(frames(40), tracker=tracker(preset, fill=fill), pictures=pictures)
    assert [row.frame for row in rows] == list(range(40))
    assert pictures.times == [n / 60 for n in range(40)]
    assert pictures.threads == {"write behind"}
    assert summary.frames == 40 and summary.last_frame == 39 and not summary.interrupted
    assert sum(times.count for times in summary.steps.values()) == 40
    assert summary.visible == sum(row.visible for row in rows)
    assert summary.first_row_s is not None and 0 < summary.first_row_s <= summary.seconds
    assert all(times.p50_ms <= times.p95_ms for times in summary.steps.values())


def test_what_the_decoder_meets_is_raised_and_the_rows_before_are_written() -> None:
    rows: list[TrackPoint] = []
    pictures = Pictures()
    with pytest.raises(Boom, match="frame 7"):
        track_video(frames(20, fail_at=7), tracker("video"), write=rows.extend, pictures=pictures)
    assert [row.frame for row in rows] == list(range(7))  # those too that the rules held back
    assert len(pictures.times) == 7


def test_what_the_encoder_meets_is_raised() -> None:
    rows: list[TrackPoint] = []
    with pytest.raises(OSError, match="No space left"):
        track_video(frames(200), tracker(), write=rows.extend, pictures=Pictures(fail_at=5))
    assert [row.frame for row in rows] == list(range(len(rows)))
    assert len(rows) >= 5


def test_behind_a_row_that_cannot_be_written_none_is() -> None:
    rows: list[TrackPoint] = []

    def write(points: Sequence[TrackPoint]) -> None:
        if any(point.frame == 9 for point in points):
            raise UserError("the disk is full")
        rows.extend(points)

    with pytest.raises(UserError, match="the disk is full"):
        track_video(frames(30), tracker("video"), write=write)
    assert [row.frame for row in rows] == list(range(9))


def test_what_a_stage_meets_is_raised() -> None:
    def fail(number: int, area: object) -> None:
        raise Boom(f"network at {number}")

    broken = Tracker(Stages(coarse=Scripted(fail), fine=Scripted({})), PRESETS["engine"])  # type: ignore[arg-type]
    with pytest.raises(Boom, match="network at 0"):
        run(frames(5), tracker=broken, pictures=Pictures())


def test_a_video_without_frames_is_told() -> None:
    with pytest.raises(UserError, match="holds no frame"):
        run(frames(0))


def test_it_stops_behind_the_frame_at_hand_with_all_rows_written() -> None:
    stop = threading.Event()
    rows, summary = run(
        frames(10**9), tracker=tracker("video"), stop=stop, watch=lambda count: stop.set() if count == 12 else None
    )
    assert [row.frame for row in rows] == list(range(12))
    assert summary.interrupted and summary.last_frame == 11


def test_going_on_gives_the_rows_of_one_pass() -> None:
    whole, _ = run(frames(30), tracker=tracker("track-ball"))
    begun, pictures, goes_on = whole[:13], Pictures(), tracker("track-ball")
    rest, summary = run(frames(30), tracker=goes_on, done=begun, pictures=pictures)
    assert [row.frame for row in rest] == list(range(13, 30))
    assert begun + rest == whole
    assert summary.frames == 17
    assert len(pictures.times) == 30  # the video is drawn from its beginning
    # The network saw the frames and answers before the first new one.
    numbers, _, past_visible = goes_on.stages.coarse.given[0]  # type: ignore[attr-defined]
    assert numbers == [11, 12, 13]
    assert past_visible.all()
    nothing, summary = run(frames(30), tracker=tracker(), done=whole)
    assert nothing == [] and summary.frames == 0 and summary.last_frame == 29


def test_times_are_kept_for_the_last_steps_only() -> None:
    clock = StepClock()
    for number in range(KEPT_TIMES + 500):
        clock.add("fast", 1.0 if number < 500 else 0.002)
    clock.add("lost", 0.001)
    table = clock.table()
    assert list(table) == ["fast", "lost"]
    assert (table["fast"].count, table["fast"].p95_ms) == (KEPT_TIMES + 500, pytest.approx(2))
    assert clock.steps == KEPT_TIMES + 501
