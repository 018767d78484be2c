"""The published modes, by sequences worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scripted import NOTHING, SIZE_HW, Scripted, at, frame

from sightline.errors import UserError
from sightline.geometry import Box
from sightline.track.config import PRESETS, ZoomConfig
from sightline.track.point import TrackPoint
from sightline.track.rules import StagePoint
from sightline.track.stage import Stages
from sightline.track.tracker import Tracker

ENGINE = PRESETS["engine"]


def run(
    config: ZoomConfig, coarse: Scripted, fine: Scripted, *, frames: int, support: Scripted | None = None
) -> list[TrackPoint]:
    tracker = Tracker(Stages(coarse=coarse, fine=fine, support=support), config)
    return [tracker.step(frame(number)) for number in range(frames)]


def steps(points: list[TrackPoint]) -> list[str]:
    return [f"{point.step}{'+' if point.visible else '-'}" for point in points]


def test_presets_have_the_published_thresholds() -> None:
    engine, video, tensorrt = PRESETS["engine"], PRESETS["video"], PRESETS["tensorrt"]
    assert (engine.agree, engine.jump, engine.angle, engine.visible) == (0.05, 0.03, math.pi / 12, 0.65)
    assert (engine.unseen, engine.calibrate_every, engine.zoom_radius, engine.look_ahead) == (8, 30, 0.06, 0)
    assert (video.agree, video.jump, video.angle, video.visible) == (0.05, 0.04, math.pi / 2, 0.65)
    assert (video.unseen, video.calibrate_every, video.look_ahead) == (5, 20, 6)
    assert tensorrt.model_dump(exclude={"jump"}) == video.model_dump(exclude={"jump"})
    assert tensorrt.jump == 0.03
    for config in PRESETS.values():
        assert ZoomConfig.model_validate(config.model_dump()) == config


def test_calib_looks_at_three_windows_on_every_frame() -> None:
    coarse, fine = Scripted({n: at(960, 540) for n in range(3)}), Scripted({n: at(965, 541) for n in range(3)})
    points = run(ENGINE.model_copy(update={"mode": "calib"}), coarse, fine, frames=3)
    assert steps(points) == ["calibrate+"] * 3
    assert (points[0].x, points[0].y, points[0].score) == (965, 541, 0.9)
    assert coarse.asked[0] == (0, [(0, 0, 1920, 1080)])
    # Corners (1075.2, 540), (902.4, 596.1), (902.4, 483.9), less 112, in whole pixels.
    assert fine.asked[0][1] == [(963, 428, 1187, 652), (790, 484, 1014, 708), (790, 372, 1014, 596)]


def test_windows_stay_in_the_frame() -> None:
    coarse, fine = Scripted({0: at(1, 1079)}), Scripted({0: at(5, 1075)})
    run(ENGINE, coarse, fine, frames=1)
    for x0, y0, x1, y1 in fine.asked[0][1]:
        assert x0 >= 0 and y0 >= 0 and x1 <= 1920 and y1 <= 1080
        assert (x1 - x0, y1 - y0) == (224, 224)


def test_the_least_doubtful_of_the_kept_answers_is_taken() -> None:
    # Distances in shares of 224: 2.24 px = .01, 6.72 px = .03, 22.4 px = .1.
    main = [at(100, 100, 0.2), at(300, 300, 0.8), at(500, 500, 0.6)]
    support = [at(102.24, 100), at(300, 306.72), at(522.4, 500)]
    # Doubt: .8 * .01 = .008; .2 * .03 = .006; the third neither agrees nor is visible.
    found = run(ENGINE, Scripted({0: at(960, 540)}), Scripted({0: main}), frames=1, support=Scripted({0: support}))
    assert (found[0].x, found[0].y, found[0].score) == (300, 300, 0.8)


def test_nothing_is_kept_where_models_disagree_and_doubt() -> None:
    main, support = [at(100, 100, 0.6)] * 3, [at(150, 100)] * 3
    found = run(ENGINE, Scripted({0: at(960, 540)}), Scripted({0: main}), frames=1, support=Scripted({0: support}))
    assert not found[0].visible
    assert (found[0].x, found[0].y, found[0].score, found[0].step) == (0, 0, 0.6, "calibrate")


def test_agreement_can_be_asked_for_in_pixels() -> None:
    main, support = [at(100, 100, 0.1)] * 3, [at(105, 100)] * 3
    for limit, visible in ((5.1, True), (4.9, False)):
        config = ENGINE.model_copy(update={"agree_px": limit})
        found = run(config, Scripted({0: at(9, 9)}), Scripted({0: main}), frames=1, support=Scripted({0: support}))
        assert found[0].visible is visible


def test_without_a_support_model_visibility_decides_alone() -> None:
    answers = [at(100, 100, 0.64), at(200, 200, 0.7), at(300, 300, 0.66)]
    found = run(ENGINE, Scripted({0: at(960, 540)}), Scripted({0: answers}), frames=1)
    assert (found[0].x, found[0].score) == (200, 0.7)


def test_a_null_threshold_is_that_of_the_run() -> None:
    config = ENGINE.model_copy(update={"visible": None})
    for threshold, visible in ((0.3, True), (0.5, False)):
        fine = Scripted({0: at(5, 5, 0.4)}, threshold=threshold)
        assert run(config, Scripted({0: at(5, 5)}), fine, frames=1)[0].visible is visible


def test_fast_calibrates_every_few_frames_and_waits_when_lost() -> None:
    config = ENGINE.model_copy(update={"mode": "fast", "calibrate_every": 4})
    fine = Scripted({0: at(500, 500), 1: at(505, 500), 4: at(600, 500), 5: at(601, 500), 6: at(602, 500)})
    coarse = Scripted({})
    points = run(config, coarse, fine, frames=9)
    assert steps(points) == [
        "calibrate+", "fast+", "fast-", "lost-", "calibrate+", "fast+", "fast+", "fast-", "calibrate-",
    ]  # fmt: skip
    assert coarse.frames_asked == [0, 4, 8]
    assert fine.frames_asked == [0, 1, 2, 4, 5, 6, 7, 8]
    assert fine.asked[1][1] == [(388, 388, 612, 612)]  # one window at the last answer


def test_smart_follows_and_calibrates_again_after_long_blindness() -> None:
    # Seen up to frame 2; on frame 3 the fast step finds nothing and the calibration neither.
    fine = Scripted({0: at(500, 500), 1: at(510, 500), 2: at(520, 500)})
    coarse = Scripted({})
    points = run(ENGINE.model_copy(update={"unseen": 5}), coarse, fine, frames=15)
    assert steps(points) == [
        "calibrate+", "fast+", "fast+", "recalibrate-", "lost-", "lost-", "lost-", "lost-",
        # Frames 3 to 7 are blind: frame 8 is the first with five blind ones behind it, and then every fifth.
        "calibrate-", "lost-", "lost-", "lost-", "lost-", "calibrate-", "lost-",
    ]  # fmt: skip
    assert coarse.frames_asked == [0, 3, 8, 13]


def test_smart_waits_for_the_trigger_even_where_the_start_is_blind() -> None:
    points = run(ENGINE, Scripted({}), Scripted({}), frames=18)
    assert [n for n, point in enumerate(points) if point.step == "calibrate"] == [0, 8, 16]


def test_smart_recalibrates_on_a_jump() -> None:
    # .03 of 1920 are 57.6 px.
    fine = Scripted({0: at(500, 500), 1: at(557, 500), 2: at(615, 500), 3: at(640, 500)})
    points = run(ENGINE, Scripted({2: at(615, 500)}), fine, frames=4)
    assert steps(points) == ["calibrate+", "fast+", "recalibrate+", "fast+"]
    assert len(fine.asked[2][1]) == 1 and len(fine.asked[3][1]) == 3  # a fast step, then three windows


def test_smart_recalibrates_on_a_turn() -> None:
    way = {0: at(500, 500), 1: at(520, 500), 2: at(540, 500), 3: at(550, 510), 4: at(560, 520)}
    points = run(ENGINE, Scripted({}), Scripted(way), frames=5)
    # 2 -> 3 turns by 45 degrees and more where x counts less; pi / 12 is the limit. 3 -> 4 goes straight on.
    assert steps(points) == ["calibrate+", "fast+", "fast+", "recalibrate+", "fast+"]
    relaxed = run(ENGINE.model_copy(update={"angle": math.pi / 2}), Scripted({}), Scripted(way), frames=5)
    assert steps(relaxed) == ["calibrate+", "fast+", "fast+", "fast+", "fast+"]


def test_smart_drops_what_leaves_through_the_top() -> None:
    way = {0: at(500, 90), 1: at(500, 61), 2: at(500, 32), 3: at(500, 5)}
    coarse = Scripted({})
    points = run(ENGINE, coarse, Scripted(way), frames=5)
    assert steps(points) == ["calibrate+", "fast+", "left-", "lost-", "lost-"]
    assert coarse.frames_asked == [0]


def test_a_window_that_stands_still_is_not_looked_at() -> None:
    fine = Scripted({n: at(500, 500) for n in range(9)})
    tracker = Tracker(Stages(coarse=Scripted({}), fine=fine), ENGINE)
    points = [tracker.step(frame(n, grey=40 if n < 3 else 200)) for n in range(6)]
    assert steps(points) == ["calibrate+", "background-", "lost-", "lost-", "lost-", "lost-"]
    assert fine.frames_asked == [0]


def test_the_past_is_black_before_the_beginning_and_where_frames_are_missing() -> None:
    fine = Scripted({n: at(500 + 10 * n, 500) for n in range(9)}, history=6)
    tracker = Tracker(Stages(coarse=Scripted({}), fine=fine), ENGINE)
    for number in (0, 1, 2, 4, 5):
        tracker.step(frame(number))
    numbers, past_xy, past_visible = fine.given[-1]
    assert numbers == [2, None, 4, 5]
    # Frames -1 to 4 come before 5: -1 was none, 3 is missing.
    assert past_visible.tolist() == [False, True, True, True, False, True]
    np.testing.assert_array_equal(past_xy[:, 0], [0, 500, 510, 520, 0, 540])
    assert fine.given[0][0] == [None, None, None, 0]


def test_memory_stays_flat() -> None:
    small = (60, 80)
    stages = Stages(coarse=Scripted({}, input_hw=(30, 40)), fine=Scripted(lambda n, a: at(40, 30), input_hw=(20, 20)))
    tracker = Tracker(stages, PRESETS["video"], fill=5)
    out = 0
    for number in range(300):
        out += len(tracker.settle(tracker.step(frame(number, small))))
        assert tracker.past.kept_frames <= 4
        assert len(tracker.past.places()) <= 30
    assert out + len(tracker.finish()) == 300


def test_arrays_are_frames_too_and_mistakes_are_told() -> None:
    def tracker() -> Tracker:
        return Tracker(Stages(coarse=Scripted({0: at(5, 5)}), fine=Scripted({0: at(5, 5)})), ENGINE)

    one = tracker()
    picture = np.zeros((*SIZE_HW, 3), dtype=np.uint8)
    assert one.step(picture).frame == 0
    assert one.step(picture).frame == 1
    with pytest.raises(UserError, match="has 10 x 20 pixels, the first one 1920 x 1080"):
        one.step(np.zeros((20, 10, 3), dtype=np.uint8))
    with pytest.raises(UserError, match="uint8"):
        tracker().step(picture.astype(np.float32))
    two = tracker()
    two.step(frame(3))
    with pytest.raises(UserError, match="Frame 3 comes behind frame 3"):
        two.step(frame(3))
    two.reset()
    assert two.step(frame(3)).frame == 3
    with pytest.raises(UserError, match="needs a fine stage"):
        Tracker(Stages(coarse=Scripted({})), ENGINE)


def stage_of(places: dict[int, tuple[float, float]], *, size: float = 64, sure: float = 0.95) -> Scripted:
    """A fine stage that finds the point only in windows that show it."""

    def answer(number: int, area: Box) -> StagePoint:
        x, y = places.get(number, (-1e6, -1e6))
        x0, y0, x1, y1 = area
        return at(x, y, sure) if x0 <= x < x1 and y0 <= y < y1 else NOTHING

    return Scripted(answer, input_hw=(64, 64), past_frames=2, history=0)


STREAM = PRESETS["track-ball"].model_copy(update={"coarse_every": 1, "coarse_places": 1, "absent": 0.0})


def test_stream_looks_where_the_coarse_stage_points() -> None:
    places = {n: (500 + 30 * n, 500.0) for n in range(4)}
    coarse = Scripted({n: at(x + 12, y - 9, 0.3) for n, (x, y) in places.items()})
    fine = stage_of(places)
    points = run(STREAM, coarse, fine, frames=5)
    assert steps(points) == ["calibrate+"] * 4 + ["calibrate-"]
    assert [(p.x, p.y) for p in points[:4]] == [places[n] for n in range(4)]
    # Where the coarse answer lies near the predicted one, one window is enough; on frame 1 there is no motion yet.
    assert [len(areas) for _, areas in fine.asked] == [1, 2, 1, 1, 1]


def test_stream_follows_the_motion_where_the_coarse_stage_errs() -> None:
    places = {n: (500 + 30 * n, 500.0) for n in range(6)}
    coarse = Scripted({n: at(x, y) for n, (x, y) in places.items()} | {3: at(1500, 100), 4: at(0, 0, 0.01)})
    points = run(STREAM, coarse, stage_of(places), frames=6)
    assert [(p.x, p.y) for p in points] == list(places.values())


def test_stream_gives_a_motion_up_after_some_frames() -> None:
    places = {0: (500.0, 500.0), 1: (510.0, 500.0)}
    fine = stage_of(places)
    points = run(STREAM, Scripted({n: at(x, y) for n, (x, y) in places.items()}), fine, frames=8)
    assert steps(points) == ["calibrate+"] * 2 + ["calibrate-"] * 3 + ["coarse-"] * 3
    centres = [(areas[0][0] + 32, areas[0][1] + 32) for _, areas in fine.asked[2:]]
    assert centres == [(520, 500), (530, 500), (540, 500)]


def test_stream_rests_the_coarse_stage_while_the_fine_one_is_sure() -> None:
    places = {n: (500 + 5 * n, 500.0) for n in range(8)}
    coarse = Scripted({n: at(x, y) for n, (x, y) in places.items()})
    config = STREAM.model_copy(update={"coarse_every": 3})
    points = run(config, coarse, stage_of(places), frames=8)
    assert coarse.frames_asked == [0, 3, 6]
    assert steps(points) == [f"{'calibrate' if n % 3 == 0 else 'fast'}+" for n in range(8)]
    unsure = Scripted({n: at(x, y) for n, (x, y) in places.items()})
    run(config, unsure, stage_of(places, sure=0.6), frames=8)
    assert unsure.frames_asked == list(range(8))


def test_stream_rests_where_a_look_found_nothing() -> None:
    """But not while a motion is still continued, nor where something may have been seen."""
    places = {0: (500.0, 500.0), 7: (900.0, 200.0), 8: (905.0, 200.0)}
    config = STREAM.model_copy(update={"coarse_every": 2, "absent": 0.3, "predict_for": 1})
    coarse = Scripted({n: at(x, y) for n, (x, y) in places.items()})
    points = run(config, coarse, stage_of(places), frames=9)
    told = ["calibrate+", "calibrate-", "lost-", "coarse-", "lost-", "coarse-", "lost-", "calibrate+", "fast+"]
    assert steps(points) == told
    assert coarse.frames_asked == [0, 1, 3, 5, 7]
    doubtful = Scripted({0: at(500, 500)} | {n: at(0, 0, 0.4) for n in range(1, 9)})
    run(config.model_copy(update={"coarse_look": 0.5, "predict_for": 0}), doubtful, stage_of(places), frames=9)
    assert doubtful.frames_asked == list(range(9))


def test_stream_asks_the_coarse_stage_at_once_where_a_fast_step_finds_nothing() -> None:
    places = {0: (500.0, 500.0), 1: (505.0, 500.0), 2: (900.0, 200.0)}
    coarse = Scripted({n: at(x, y) for n, (x, y) in places.items()})
    points = run(STREAM.model_copy(update={"coarse_every": 9}), coarse, stage_of(places), frames=3)
    assert coarse.frames_asked == [0, 2]
    assert (points[2].x, points[2].y) == (900, 200)


def test_stream_looks_at_every_place_that_the_coarse_stage_names_and_at_none_twice() -> None:
    real, shoe = (500.0, 500.0), (900.0, 200.0)
    answer = StagePoint(x=shoe[0], y=shoe[1], visible=0.6, others=(real, (real[0] + 9, real[1]), (1500.0, 900.0)))
    fine = stage_of({0: real})
    points = run(STREAM.model_copy(update={"coarse_places": 3}), Scripted({0: answer}), fine, frames=1)
    assert (points[0].x, points[0].y, points[0].visible) == (*real, True)
    centres = [((x0 + x1) / 2, (y0 + y1) / 2) for x0, y0, x1, y1 in fine.asked[0][1]]
    assert centres == [shoe, real]  # the third is in the middle of the second's window
    corner = StagePoint(x=2.0, y=3.0, visible=0.6, others=((9.0, 1.0),))  # windows stay inside: one for both
    fine = stage_of({0: real})
    run(STREAM.model_copy(update={"coarse_places": 2}), Scripted({0: corner}), fine, frames=1)
    assert len(fine.asked[0][1]) == 1
    alone = run(STREAM.model_copy(update={"coarse_places": 1}), Scripted({0: answer}), stage_of({0: real}), frames=1)
    assert not alone[0].visible


def test_stream_works_without_a_fine_stage() -> None:
    coarse = Scripted({0: at(5, 6, 0.6), 1: at(7, 8, 0.4)}, threshold=0.5)
    tracker = Tracker(Stages(coarse=coarse), STREAM.model_copy(update={"fine": None}))
    first, second = tracker.step(frame(0)), tracker.step(frame(1))
    assert (first.x, first.y, first.visible, first.step) == (5, 6, True, "coarse")
    assert (second.x, second.visible, second.score) == (0, False, 0.4)
