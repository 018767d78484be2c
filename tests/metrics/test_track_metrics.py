"""Numbers of tracks: hand-made tables of outcomes, closed forms, brute force, and what must not change a number."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sightline.errors import UserError
from sightline.metrics.track_baselines import (
    CONTINUE,
    REPEAT,
    baselines,
    continue_the_last_motion,
    repeat_the_last_point,
)
from sightline.metrics.track_clips import leave_one_clip_out, per_clip, per_step, radius_coverage
from sightline.metrics.track_runs import gap_statistics, runs, switch_statistics
from sightline.metrics.track_units import resampled_units
from sightline.metrics.track_visibility import best_visible_threshold, visibility_calibration
from sightline.metrics.tracks import OUTCOMES, Counts, TrackFrames, quick_tracks, summarise_tracks

T = 5.0


def track(rows, *, clips=None, numbers=None) -> TrackFrames:
    """Frames from rows (visible, distance or None for no place, score); truth is at (100, 100) or hidden."""
    count = len(rows)
    visible = np.array([bool(row[0]) for row in rows])
    placed = np.array([row[1] is not None for row in rows])
    away = np.array([[row[1] or 0.0, 0.0] for row in rows]).reshape(-1, 2)
    named = tuple(clips or ["a"] * count)
    order = np.arange(count) if numbers is None else np.array(numbers)
    return TrackFrames(
        image_ids=tuple(f"{clip}/{number:06d}" for clip, number in zip(named, order, strict=True)), clips=named,
        numbers=order, truth_xy=np.where(visible[:, None], np.full((count, 2), 100.0), 0.0), visible=visible,
        found_xy=np.where(placed[:, None], 100.0 + away, 0.0), placed=placed,
        score=np.array([float(row[2]) if row[1] is not None else 0.0 for row in rows]),
    )  # fmt: skip


# Visible, distance, score -> outcome at t = 5 and a threshold of 0.5, each decided by hand.
TABLE = [
    (True, 0.0, 0.9, "TP"),
    (True, 5.0, 0.9, "TP"),  # exactly t away is right
    (True, 5.001, 0.9, "FP1"),
    (True, 3.0, 0.5, "TP"),  # exactly the threshold is found
    (True, 0.0, 0.49, "FN"),
    (True, 80.0, 0.1, "FN"),
    (True, None, 0.0, "FN"),
    (False, 0.0, 0.8, "FP2"),
    (False, 0.0, 0.2, "TN"),
    (False, None, 0.0, "TN"),
]


def test_every_frame_has_the_outcome_that_the_definitions_give_it():
    frames = track([row[:3] for row in TABLE])
    found = frames.outcomes(threshold_px=T, least_score=0.5)
    assert [OUTCOMES[outcome] for outcome in found] == [row[3] for row in TABLE]
    assert Counts.of(found).to_json() == {"TP": 3, "FP1": 1, "FP2": 1, "TN": 2, "FN": 3}


def test_numbers_follow_from_the_counts_by_hand():
    summary = summarise_tracks(track([row[:3] for row in TABLE]), threshold_px=T, least_score=0.5)
    values = {name: found.value for name, found in summary.metrics.items()}
    # 3 TP, 1 FP1, 1 FP2, 2 TN, 3 FN
    assert values["precision"] == pytest.approx(3 / 5)
    assert values["recall"] == pytest.approx(3 / 6), "a visible point found elsewhere is not in recall's denominator"
    assert values["hit_rate"] == pytest.approx(3 / 7)
    assert values["accuracy"] == pytest.approx(5 / 10)
    assert values["f1"] == pytest.approx(2 * (3 / 5) * (3 / 6) / (3 / 5 + 3 / 6))
    distances = np.array([0.0, 5.0, 5.001, 3.0, 0.0, 80.0])  # visible and placed, found or not
    assert values["mean_error_px"] == pytest.approx(distances.mean())
    assert values["rmse_px"] == pytest.approx(np.sqrt((distances**2).mean()))
    assert values["median_error_px"] == pytest.approx(np.median(distances))
    scores = np.array([0.9, 0.9, 0.9, 0.5, 0.49, 0.1, 0.0, 0.8, 0.2, 0.0])
    assert values["brier"] == pytest.approx(((scores - ([1] * 7 + [0] * 3)) ** 2).mean())
    quick = quick_tracks(track([row[:3] for row in TABLE]), threshold_px=T, least_score=0.5)
    assert {name: quick[name] for name in values} == pytest.approx(values)
    # At 10 px the FP1 becomes right; at 80 px and more nothing changes: the frame at 80 is not found.
    f1, wide = 2 * 3 / (6 + 2 + 3), 2 * 4 / (8 + 1 + 3)
    weights = 0.5 ** np.arange(7)
    assert quick["f1_wide"] == pytest.approx((f1 + wide * weights[1:].sum()) / weights.sum())


def test_what_has_no_denominator_is_not_there():
    nothing_visible = quick_tracks(track([(False, 0, 0.9), (False, 0, 0.1)]), threshold_px=T, least_score=0.5)
    assert nothing_visible.keys() == {"precision", "accuracy", "brier"}
    nothing_found = quick_tracks(track([(True, None, 0), (False, None, 0)]), threshold_px=T, least_score=0.5)
    assert nothing_found.keys() == {"f1", "recall", "hit_rate", "accuracy", "brier", "f1_wide"}
    assert nothing_found["f1"] == 0


def test_what_cannot_be_scored_is_refused():
    with pytest.raises(UserError, match="0 labelled frames"):
        track([])
    with pytest.raises(UserError, match="1 predictions are not finite numbers, the first is that of a/000001"):
        track([(True, 1.0, 0.5), (True, float("nan"), 0.5)])
    with pytest.raises(UserError, match=r"reach from 0\.5 to 7"):
        track([(True, 1.0, 0.5), (True, 1.0, 7)])


rows_of_tracks = st.lists(
    st.tuples(
        st.booleans(), st.none() | st.sampled_from([0.0, 3.0, 5.0, 6.0, 30.0]), st.sampled_from([0, 0.2, 0.5, 1])
    ),
    min_size=1,
    max_size=30,
)


@settings(max_examples=60, deadline=None)
@given(rows=rows_of_tracks)
def test_the_threshold_chosen_is_as_good_as_any(rows):
    frames = track(rows)

    def f1(least_score: float) -> float:
        counts = Counts.of(frames.outcomes(threshold_px=T, least_score=least_score))
        return counts.values().get("f1", 0.0)

    chosen = best_visible_threshold(frames, threshold_px=T)
    assert 0 <= chosen <= 1
    assert f1(chosen) >= max(f1(t) for t in np.linspace(0.01, 1.05, 105)) - 1e-12


@settings(max_examples=40, deadline=None)
@given(rows=rows_of_tracks, seed=st.integers(0, 9))
def test_the_order_of_frames_changes_nothing(rows, seed):
    frames = track(rows, clips=[f"c{index % 2}" for index in range(len(rows))])
    order = np.random.default_rng(seed).permutation(len(rows))
    mixed = TrackFrames(
        image_ids=tuple(frames.image_ids[i] for i in order), clips=tuple(frames.clips[i] for i in order),
        numbers=frames.numbers[order], truth_xy=frames.truth_xy[order], visible=frames.visible[order],
        found_xy=frames.found_xy[order], placed=frames.placed[order], score=frames.score[order],
    )  # fmt: skip
    for name, value in quick_tracks(frames, threshold_px=T, least_score=0.5).items():
        assert quick_tracks(mixed, threshold_px=T, least_score=0.5)[name] == pytest.approx(value)
    for statistic in (gap_statistics, lambda f, o: switch_statistics(f, o, threshold_px=T)):
        here = statistic(frames, frames.outcomes(threshold_px=T, least_score=0.5))
        assert statistic(mixed, mixed.outcomes(threshold_px=T, least_score=0.5)) == here


def test_a_threshold_without_anything_to_choose_by_is_a_half():
    assert best_visible_threshold(track([(False, 0, 0.9)]), threshold_px=T) == 0.5
    assert best_visible_threshold(track([(True, 50, 0.9)]), threshold_px=T) == 0.5
    assert best_visible_threshold(track([(True, None, 0.0)]), threshold_px=T) == 0.5
    # A model without a say scores 1 everywhere: all or nothing, and the middle of that is a half.
    assert best_visible_threshold(track([(True, 0, 1.0), (False, 0, 1.0)]), threshold_px=T) == 0.5
    assert best_visible_threshold(track([(True, 0, 0.9), (False, 0, 0.7)]), threshold_px=T) == pytest.approx(0.8)


def test_calibration_by_hand():
    frames = track([(True, 0, 0.95), (True, 0, 0.91), (False, 0, 0.93), (False, 0, 0.05), (True, 0, 1.0)])
    found = visibility_calibration(frames)
    low, high = found["calibration"]
    assert (low["low"], low["count"], low["share_visible"]) == (0.0, 1, 0.0)
    assert (high["high"], high["count"], high["share_visible"]) == (1.0, 4, 0.75)
    assert high["mean_score"] == pytest.approx((0.95 + 0.91 + 0.93 + 1) / 4)
    assert found["ece"] == pytest.approx((0.05 + 4 * abs(high["mean_score"] - 0.75)) / 5)


def test_gaps_end_at_hidden_frames_other_clips_and_missing_labels():
    lost, right, hidden = (True, None, 0), (True, 0, 1), (False, None, 0)
    frames = track(
        [right, lost, lost, right, lost, hidden, lost, lost, lost, lost, lost],
        clips=["a"] * 9 + ["b"] * 2, numbers=[0, 1, 2, 3, 4, 5, 6, 7, 9, 10, 11],
    )  # fmt: skip
    outcomes = frames.outcomes(threshold_px=T, least_score=0.5)
    gaps = runs(frames, outcomes == OUTCOMES.index("FN"))
    assert [(gap.clip, gap.first, gap.frames) for gap in gaps] == [
        ("a", 1, 2), ("a", 4, 1), ("a", 6, 2), ("a", 9, 1), ("b", 10, 2),
    ]  # fmt: skip
    assert gap_statistics(frames, outcomes) == {"count": 5, "frames": 8, "longest": 2, "median": 2.0}
    none = track([right, hidden])
    assert gap_statistics(none, none.outcomes(threshold_px=T, least_score=0.5)) == {
        "count": 0, "frames": 0, "longest": None, "median": None,
    }  # fmt: skip


def test_a_switch_leaves_the_point_and_a_return_comes_back():
    right, near, far, ghost, hidden = (True, 0, 1), (True, 12, 1), (True, 90, 1), (False, 0, 1), (False, None, 0)
    rows = [
        right, far, far, right,  # a switch that returns
        near, right,  # 12 px off is wrong, but no jump to something else (4 t = 20 px)
        far, hidden, ghost,  # a switch without return, and an excursion that is no switch
        right,
    ]  # fmt: skip
    frames = track(rows)
    found = switch_statistics(frames, frames.outcomes(threshold_px=T, least_score=0.5), threshold_px=T)
    assert found == {"count": 3, "frames": 4, "longest": 2, "median": 1.0, "switches": 2, "returns": 1}
    torn = track(rows[:4], numbers=[0, 2, 3, 4])
    found = switch_statistics(torn, torn.outcomes(threshold_px=T, least_score=0.5), threshold_px=T)
    assert (found["switches"], found["returns"]) == (0, 0), "what lies between frames 0 and 2 is not known"


def test_baselines_are_exact_where_they_must_be():
    count, speed = 12, np.array([7.0, -2.0])
    xy = np.array([50.0, 90.0]) + speed * np.arange(count)[:, None]
    past_xy, past_visible = np.zeros((count, 4, 2)), np.zeros((count, 4), dtype=bool)
    for number in range(count):
        for place in range(4):
            if (earlier := number - 4 + place) >= 0:
                past_xy[number, place], past_visible[number, place] = xy[earlier], True
    frames = TrackFrames(
        image_ids=tuple(map(str, range(count))), clips=("a",) * count, numbers=np.arange(count), truth_xy=xy,
        visible=np.ones(count, dtype=bool), found_xy=xy + 1.0, placed=np.ones(count, dtype=bool), score=np.ones(count),
    )  # fmt: skip
    repeated = repeat_the_last_point(frames, past_xy=past_xy, past_visible=past_visible)
    assert not repeated.placed[0] and repeated.placed[1:].all()
    assert repeated.error_px[1:] == pytest.approx(np.hypot(*speed))
    continued = continue_the_last_motion(frames, past_xy=past_xy, past_visible=past_visible)
    assert continued.error_px[2:] == pytest.approx(0.0)
    assert continued.error_px[1] == pytest.approx(np.hypot(*speed)), "one point has no motion"
    both = baselines(frames, past_xy=past_xy, past_visible=past_visible, threshold_px=T)
    assert both[REPEAT]["f1"] == 0 and both[REPEAT]["placed"] == 11
    assert both[CONTINUE]["f1"] == pytest.approx(2 * 10 / (20 + 1 + 1))
    assert both[CONTINUE]["model_error_px"] == pytest.approx(np.sqrt(2))


def test_a_baseline_says_hidden_after_a_hidden_frame_but_keeps_the_place():
    frames = track([(True, 0, 1)])
    past_xy, past_visible = np.array([[[90.0, 100.0], [0.0, 0.0]]]), np.array([[True, False]])
    for guess in (repeat_the_last_point, continue_the_last_motion):
        guessed = guess(frames, past_xy=past_xy, past_visible=past_visible)
        assert guessed.found_xy.tolist() == [[90.0, 100.0]] and guessed.score.tolist() == [0.0]
        assert OUTCOMES[guessed.outcomes(threshold_px=T, least_score=0.5)[0]] == "FN"


def test_many_clips_are_drawn_whole_and_few_in_blocks():
    units, said = resampled_units([f"c{index // 4}" for index in range(20)], np.tile(np.arange(4), 5))
    assert said == "5 clips" and units.tolist() == [index // 4 for index in range(20)]
    units, said = resampled_units(["a"] * 600 + ["b"] * 600, np.tile(np.arange(600), 2))
    assert said == "40 blocks of 30 consecutive frames"
    assert set(np.bincount(units)) == {30}
    assert len(set(units[:600]) & set(units[600:])) == 0, "a block never holds two clips"
    _, said = resampled_units(["a"] * 50, np.arange(50))
    assert said == "13 blocks of 4 consecutive frames"


def test_intervals_of_errors_that_last_are_wider_than_frames_would_give():
    # 20 blocks of 30 frames, each right or wrong as a whole: the spread is that of 20 coins, not of 600.
    rng = np.random.default_rng(0)
    right = np.repeat(rng.random(20) < 0.7, 30)
    frames = track([(True, 0.0 if one else 50.0, 1.0) for one in right])
    found = summarise_tracks(frames, threshold_px=T, least_score=0.5).metrics["accuracy"]
    of_coins = 2 * 1.96 * np.sqrt(0.7 * 0.3 / 20)
    assert 0.6 * of_coins < found.high - found.low < 1.5 * of_coins
    assert found.low < right.mean() < found.high


def test_the_curve_rises_with_the_distance_and_meets_the_metric():
    rng = np.random.default_rng(1)
    frames = track([(True, abs(rng.normal(0, 6)), 1.0) for _ in range(80)] + [(False, 0, 1.0)] * 5)
    summary = summarise_tracks(frames, threshold_px=T, least_score=0.5)
    at = summary.curve["threshold_px"].index(T)
    assert summary.curve["f1"][at] == pytest.approx(summary.metrics["f1"].value, abs=1e-6)
    assert summary.curve["f1"] == sorted(summary.curve["f1"]) and summary.curve["threshold_px"][-1] == 4 * T
    once = np.ones((1, len(frames)))
    for name in ("f1", "rmse_px", "brier"):
        assert summary.table.values(name, once)[0] == pytest.approx(summary.metrics[name].value)


def test_clips_and_folds_by_hand():
    good, bad, hidden = (True, 0, 1), (True, 50, 1), (False, None, 0)
    frames = track([good, good, bad, good, hidden, hidden], clips=list("aaabbc"), numbers=[0, 1, 2, 0, 1, 0])
    outcomes = frames.outcomes(threshold_px=T, least_score=0.5)
    table = per_clip(frames, outcomes)
    assert [(row["clip"], row["frames"], row["visible"], row["longest_gap"]) for row in table] == [
        ("a", 3, 3, 1), ("b", 2, 1, None), ("c", 1, 0, None),
    ]  # fmt: skip
    assert [row["f1"] for row in table] == [pytest.approx(4 / 5), 1.0, None]
    assert table[0]["mean_error_px"] == pytest.approx(50 / 3) and table[2]["mean_error_px"] is None
    clips = np.asarray(frames.clips)
    found = leave_one_clip_out({name: Counts.of(outcomes[clips == name]) for name in "abc"})
    assert found["f1"]["value"] == pytest.approx(6 / 7)
    assert found["f1_mean"] == pytest.approx(0.9) and found["f1_sd"] == pytest.approx(np.std([0.8, 1.0], ddof=1))
    assert found["worst"] == "a" and found["folds"][2]["f1"] is None
    assert sum((Counts.of(outcomes[clips == name]) for name in "abc"), Counts()) == Counts.of(outcomes)
    with pytest.raises(UserError, match="at least 2 clips, found 1"):
        leave_one_clip_out({"a": Counts(tp=1)})
    with pytest.raises(UserError, match="None of the folds"):
        leave_one_clip_out({"a": Counts(tn=1), "b": Counts(tn=1)})


def test_steps_are_told_by_kind():
    frames = track([(True, 0, 1), (True, 90, 1), (True, 0, 1)])
    outcomes = frames.outcomes(threshold_px=T, least_score=0.5)
    table = per_step(["fast", "calibrate", "fast"], outcomes, latency_ms=np.array([1.0, 30.0, 3.0]))
    assert [(row["step"], row["frames"], row["latency_p50_ms"], row["f1"]) for row in table] == [
        ("fast", 2, 2.0, 1.0), ("calibrate", 1, 30.0, 0.0),
    ]  # fmt: skip
    assert per_step(["fast"] * 3, outcomes)[0]["latency_p50_ms"] is None
    covered = radius_coverage(frames, outcomes, radius_px=np.array([1.0, 4.0, 0.0]))
    assert covered == {"share_inside": pytest.approx(2 / 3), "median_radius_px": 1.0, "frames": 3}
