"""Answers that are taken back, and gaps that are filled."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scripted import Scripted, at, frame

from sightline.track.config import PRESETS
from sightline.track.fill import GapFiller, parabola
from sightline.track.point import StepKind, TrackPoint
from sightline.track.post import WriteBuffer, is_swarm, short_run
from sightline.track.stage import Stages
from sightline.track.tracker import Tracker

VIDEO = PRESETS["video"]
HD = (1080, 1920)


def point(number: int, xy: tuple[float, float] | None, step: StepKind = "fast") -> TrackPoint:
    if xy is None:
        return TrackPoint(frame=number, step=step)
    return TrackPoint(frame=number, x=xy[0], y=xy[1], visible=True, score=0.9, step=step)


def row(pattern: str, steps: dict[int, StepKind] | None = None) -> list[TrackPoint]:
    """v is visible, . is not; a step by frame number."""
    given_steps = steps or {}
    return [
        point(n, (100.0 + n, 50.0) if sign == "v" else None, given_steps.get(n, "fast"))
        for n, sign in enumerate(pattern)
    ]


def buffered(rows: list[TrackPoint]) -> tuple[str, list[list[int]]]:
    forgotten: list[list[int]] = []
    buffer = WriteBuffer(VIDEO, forget=lambda numbers: forgotten.append(list(numbers)))
    out: list[TrackPoint] = []
    for number, one in enumerate(rows):
        out += buffer.feed(one)
        assert len(out) == max(0, number + 1 - VIDEO.look_ahead)
    out += buffer.finish()
    assert [p.frame for p in out] == list(range(len(rows)))
    return "".join("v" if p.visible else "." for p in out), forgotten


@pytest.mark.parametrize(
    ("found", "final"),
    [
        ("vvvvvv..", "vvvvvv.."),
        ("vvvvv...", "vvvvv..."),  # five stay
        (".vvvv...", "........"),  # four go
        ("vvvv....", "........"),  # at the beginning too
        ("..v.v.vv", "......vv"),  # a run that has not ended is not judged
        (".vvvvv.vvv.vvvvvv", ".vvvvv.....vvvvvv"),
    ],
)
def test_short_runs_are_taken_back(found: str, final: str) -> None:
    assert buffered(row(found)) == (final, [])


def test_a_run_is_counted_back_from_the_row_where_it_ends() -> None:
    assert short_run(row(".vvv."), fewer_than=5) == 3
    assert short_run(row(".vvv."), fewer_than=3) == 0
    assert short_run(row("vvvv"), fewer_than=5) == 0
    assert short_run([], fewer_than=5) == 0


def test_a_swarm_is_four_doubtful_steps_of_six() -> None:
    assert is_swarm(["recalibrate", "fast", "background", "recalibrate", "fast", "recalibrate"], most=4)
    assert not is_swarm(["recalibrate", "fast", "lost", "recalibrate", "calibrate", "recalibrate"], most=4)


def test_a_swarm_takes_six_rows_back_and_begins_to_count_anew() -> None:
    doubtful: dict[int, StepKind] = dict.fromkeys((3, 5, 6, 7), "recalibrate")
    # On frame 7 four of the frames 2..7 are doubtful: these six go, and frames 0 and 1 are no flight any more? They
    # stay: no row behind them was found invisible, they were taken back later.
    final, forgotten = buffered(row("vvvvvvvvvvvvvv", doubtful))
    assert final == "vv......vvvvvv"
    assert forgotten == [[2, 3, 4, 5, 6, 7]]
    # Three more doubtful steps do not make four of six again.
    more = doubtful | dict.fromkeys((8, 9, 10), "recalibrate")
    assert buffered(row("vvvvvvvvvvvvvv", more))[1] == [[2, 3, 4, 5, 6, 7]]


def test_without_look_ahead_nothing_is_held_or_taken_back() -> None:
    buffer = WriteBuffer(PRESETS["engine"], forget=lambda numbers: pytest.fail("forgot"))
    rows = row(".v.v.", dict.fromkeys(range(5), "recalibrate"))
    assert [buffer.feed(one) for one in rows] == [[one] for one in rows]
    assert buffer.finish() == []


def test_the_tracker_forgets_what_a_swarm_took_back() -> None:
    # Every step jumps by 200 px: each is calibrated again, and on frame 4 four of the last rows are doubtful.
    fine = Scripted({n: at(300 + 200 * n, 500) for n in range(8)})
    tracker = Tracker(Stages(coarse=Scripted({}), fine=fine), VIDEO)
    out = [final for n in range(8) for final in tracker.settle(tracker.step(frame(n)))] + tracker.finish()
    assert [p.step for p in out[:5]] == ["removed"] * 5
    # Frame 5 has five blind frames before it, and as many since the last such trigger: it is calibrated.
    assert out[5].step == "calibrate"
    assert out[5].visible


def filled_rows(rows: list[TrackPoint], *, longest: int) -> list[TrackPoint]:
    filler = GapFiller(longest=longest, size_hw=HD)
    out = [final for one in rows for final in filler.feed(one)]
    out += filler.finish()
    assert [p.frame for p in out] == [p.frame for p in rows]
    return out


def flight(numbers: range, gaps: set[int]) -> list[TrackPoint]:
    """x = 100 + 20 n, y = 900 - 40 n + n^2."""
    return [point(n, None if n in gaps else (100 + 20 * n, 900 - 40 * n + n * n)) for n in numbers]


def test_a_gap_in_a_parabola_is_filled_exactly() -> None:
    rows = filled_rows(flight(range(20), {7, 8, 9}), longest=3)
    assert [p.step for p in rows[7:10]] == ["filled"] * 3
    for n in (7, 8, 9):
        assert (rows[n].x, rows[n].y) == pytest.approx((100 + 20 * n, 900 - 40 * n + n * n), abs=1e-6)
        assert rows[n].visible and rows[n].score == 0


def test_gaps_that_are_too_long_or_open_to_one_side_stay() -> None:
    for gaps, longest in (({7, 8, 9, 10}, 3), ({0, 1}, 5), ({18, 19}, 5), ({7}, 0)):
        rows = flight(range(20), gaps)
        assert filled_rows(rows, longest=longest) == rows


def test_a_gap_with_few_answers_around_it_is_filled_too() -> None:
    rows = [point(0, (10, 10)), point(1, None), point(2, (30, 20)), point(3, None), point(4, (50, 30))]
    assert [(p.x, p.y) for p in filled_rows(rows, longest=1)] == [
        pytest.approx(xy) for xy in ((10, 10), (20, 15), (30, 20), (40, 25), (50, 30))
    ]


def test_a_bounce_is_no_parabola_and_stays_open() -> None:
    rows = [point(n, None if 8 <= n <= 10 else (100 + 20 * n, 900 - 40 * abs(n - 9))) for n in range(20)]
    assert filled_rows(rows, longest=5) == rows


def test_nothing_is_filled_outside_of_the_frame() -> None:
    rows = [point(n, None if 4 <= n <= 8 else (100 + 20 * n, 30 * abs(n - 6.0) ** 2 / 6 - 40)) for n in range(13)]
    assert filled_rows(rows, longest=6) == rows


def test_unevenly_shown_frames_are_filled_by_their_times() -> None:
    times = [0.0, 0.1, 0.2, 0.5, 0.6, 0.7]
    rows = [TrackPoint(frame=n, time_s=t, x=100 * t, y=50, visible=n != 3, step="fast") for n, t in enumerate(times)]
    assert filled_rows(rows, longest=2)[3].x == pytest.approx(50)


@given(pattern=st.text(alphabet="v.", max_size=60), longest=st.integers(0, 8))
def test_every_row_comes_out_once_in_order_and_soon(pattern: str, longest: int) -> None:
    rows = row(pattern)
    filler = GapFiller(longest=longest, size_hw=HD)
    out: list[TrackPoint] = []
    for number, one in enumerate(rows):
        out += filler.feed(one)
        assert number + 1 - len(out) <= longest + 4
    out += filler.finish()
    assert [p.frame for p in out] == [p.frame for p in rows]
    # What was visible stays; what is filled has answers on both sides, at most `longest` away from each other.
    for before, after in zip(rows, out, strict=True):
        assert after.visible >= before.visible
    for gap in "".join("f" if p.step == "filled" else "-" for p in out).replace("-", " ").split():
        assert len(gap) <= longest


@given(st.lists(st.integers(0, 50), min_size=3, max_size=8, unique=True))
def test_a_parabola_through_points_of_one_is_that_one(times: list[int]) -> None:
    t = np.array(sorted(times), dtype=float)

    def motion(at: np.ndarray) -> np.ndarray:
        return np.stack([3 + 2 * at, 5 - at + 0.25 * at**2], axis=1)

    found, off = parabola(t, motion(t), at=np.array([12.5, 60.0]))
    np.testing.assert_allclose(found, motion(np.array([12.5, 60.0])), atol=1e-5)
    assert off < 1e-6
