"""What makes a picture worth labelling: doubt, disagreement, difference; each against hand-made or counted cases."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sightline.labelling.disagreement import boxes_apart, out_of_step, points_apart, sights_apart
from sightline.labelling.diversity import appearance, farthest_first, in_typical_distances
from sightline.labelling.uncertainty import (
    against_threshold,
    doubt_of_box,
    doubt_of_boxes,
    doubt_of_points,
    doubt_of_sight,
    entropy,
)
from sightline.records import Detections, FoundPoints
from sightline.track.point import TrackPoint

HALF = np.array([0.5, 0.5])
LOW = np.array([0.2, 0.2])


def found(*boxes: tuple[float, float, float, float], labels: tuple[int, ...] = (), scores: tuple[float, ...] = ()):
    count = len(boxes)
    return Detections(
        boxes_xyxy=np.array(boxes, dtype=np.float64).reshape(-1, 4),
        labels=np.array(labels or (0,) * count, dtype=np.int64),
        scores=np.array(scores or (0.9,) * count),
    )


def points(*xy: tuple[float, float], scores: tuple[float, ...] = ()) -> FoundPoints:
    return FoundPoints(points_xy=np.array(xy, dtype=np.float64), scores=np.array(scores or (1.0,) * len(xy)))


# ---- doubt


def test_points_are_doubted_by_their_mean_and_their_worst() -> None:
    doubt = doubt_of_points(points((0, 0), (1, 1), scores=(0.9, 0.5)), names=("nose", "tail"))
    assert doubt.value == pytest.approx(1 - (0.7 + 0.5) / 2)
    assert doubt.words == "'tail' scores 0.50"
    sure = doubt_of_points(points((0, 0), (1, 1), scores=(0.9, 0.9)), names=("nose", "tail"))
    one_lost = doubt_of_points(points(*[(0, 0)] * 10, scores=(0.95,) * 9 + (0.1,)), names=list("abcdefghij"))
    assert sure.value < doubt.value < one_lost.value


def test_one_box_is_doubted_by_its_score_and_most_without_a_box() -> None:
    values = [doubt_of_box(found((0, 0, 9, 9), scores=(s,)), names=("cat",)).value for s in (0.99, 0.6, 0.2)]
    assert values == pytest.approx([0.01, 0.4, 0.8])
    assert doubt_of_box(found(), names=("cat",)).value == 1.0


def test_a_calibrated_probability_counts_in_place_of_the_score() -> None:
    told = replace(points((0, 0), (1, 1)), probability=np.array([0.9, 0.5]))
    assert doubt_of_points(told, names=("nose", "tail"), calibrated=True).value == pytest.approx(1 - (0.7 + 0.5) / 2)
    assert doubt_of_points(told, names=("nose", "tail")).value == pytest.approx(0.0)
    box = replace(found((0, 0, 9, 9), scores=(0.99,)), probability=np.array([0.7]))
    assert doubt_of_box(box, names=("cat",), calibrated=True).value == pytest.approx(0.3)


def test_the_threshold_is_where_a_score_says_least() -> None:
    scores = np.array([0.0, 0.1, 0.2, 0.6, 1.0])
    assert against_threshold(scores, np.full(5, 0.2)) == pytest.approx([0, 0.25, 0.5, 0.75, 1])
    assert entropy(np.array([0.5, 0.0, 1.0, 0.25])) == pytest.approx([1, 0, 0, 0.8112781], abs=1e-6)
    for threshold in (0.0, 1.0):  # chosen for a class that is never or always found
        assert np.isfinite(against_threshold(scores, np.full(5, threshold))).all()


def test_boxes_near_the_threshold_add_up_and_far_ones_count_nothing() -> None:
    names = ("cat", "dog")
    sure = doubt_of_boxes(found(*[(0, 0, 5, 5)] * 3, scores=(0.99, 0.95, 0.01)), thresholds=HALF, names=names)
    assert (sure.value, sure.words) == (0.0, "no box near the threshold")
    one = doubt_of_boxes(found((0, 0, 5, 5), scores=(0.5,)), thresholds=HALF, names=names)
    two = doubt_of_boxes(found((0, 0, 5, 5), (9, 9, 12, 12), scores=(0.5, 0.4)), thresholds=HALF, names=names)
    assert one.value == pytest.approx(1.0)
    assert two.value == pytest.approx(1.0 + 0.9709506, abs=1e-6)
    assert two.words == "2 boxes near the threshold, 'cat' at 0.50"
    many_low = doubt_of_boxes(found(*[(0, 0, 5, 5)] * 300, scores=(0.02,) * 300), thresholds=LOW, names=names)
    assert many_low.value == 0.0


def test_each_class_has_its_own_threshold() -> None:
    both = found((0, 0, 5, 5), (9, 9, 12, 12), labels=(0, 1), scores=(0.2, 0.2))
    value = doubt_of_boxes(both, thresholds=np.array([0.2, 0.9]), names=("cat", "dog")).value
    assert value == pytest.approx(1.0)


def test_a_point_that_may_be_hidden_is_doubted_at_its_threshold() -> None:
    values = [doubt_of_sight(score, threshold=0.3).value for score in (0.3, 0.5, 0.95, 0.02)]
    assert values[0] == pytest.approx(1.0)
    assert values[0] > values[1] > values[2] and values[1] > values[3]


# ---- disagreement


def test_points_are_apart_by_their_distance_over_the_objects_size() -> None:
    one, other = points((0, 0), (40, 0)), points((0, 4), (40, 4))
    assert points_apart([one, one], size_hw=(100, 100)) == 0.0
    assert points_apart([one, other], size_hw=(100, 100)) == pytest.approx(0.1)
    assert points_apart([points((0, 0)), points((30, 40))], size_hw=(50, 100)) == pytest.approx(0.5)
    assert points_apart([one, points((900, 0), (940, 0))], size_hw=(100, 100)) == 1.0


def test_boxes_are_apart_as_the_coefficient_of_dice_says() -> None:
    # Of one box shifted by half its width a third is shared (overlap 50, union 150).
    a, b = found((0, 0, 10, 10), scores=(0.8,)), found((5, 0, 15, 10), scores=(0.6,))
    assert boxes_apart([a, b], least=LOW) == pytest.approx(1 - 2 * (0.6 / 3) / 1.4)
    assert boxes_apart([a, a], least=LOW) == pytest.approx(0.0)
    assert boxes_apart([found(), found()], least=LOW) == 0.0
    assert boxes_apart([a, found()], least=LOW) == 1.0
    other_class = found((0, 0, 10, 10), labels=(1,), scores=(0.8,))
    assert boxes_apart([a, other_class], least=LOW) == 1.0


def test_boxes_of_low_scores_are_left_out_and_one_box_counts_whatever_its_score() -> None:
    a = found((0, 0, 10, 10), (50, 50, 60, 60), scores=(0.9, 0.05))
    b = found((0, 0, 10, 10), scores=(0.9,))
    assert boxes_apart([a, b], least=LOW) == pytest.approx(0.0)
    weak, strong = found((0, 0, 10, 10), scores=(0.1,)), found((0, 0, 10, 10), scores=(0.9,))
    assert boxes_apart([weak, strong]) == pytest.approx(0.0)


boxes_st = st.lists(
    st.tuples(st.floats(0, 50), st.floats(0, 50), st.floats(1, 30), st.floats(1, 30), st.integers(0, 1)), max_size=5
)


@settings(deadline=None, max_examples=60)
@given(boxes_st, boxes_st)
def test_disagreement_of_boxes_is_symmetric_lies_in_0_to_1_and_forgets_the_order(first: list, second: list) -> None:
    def made(rows: list) -> Detections:
        boxes = [(x, y, x + w, y + h) for x, y, w, h, _ in rows]
        return found(*boxes, labels=tuple(label for *_, label in rows), scores=(0.7,) * len(rows))

    there, back = (boxes_apart(pair, least=LOW) for pair in ([made(first), made(second)], [made(second), made(first)]))
    assert there == pytest.approx(back)
    assert -1e-9 <= there <= 1 + 1e-9
    assert boxes_apart([made(first), made(first[::-1])], least=LOW) == pytest.approx(0.0, abs=1e-9)


def seen(number: int, x: float, *, score: float = 1.0) -> TrackPoint:
    return TrackPoint(frame=number, x=x, y=10.0, visible=True, score=score, step="coarse")


def hidden(number: int, *, score: float = 0.0) -> TrackPoint:
    return TrackPoint(frame=number, score=score, step="coarse")


def test_trackers_differ_in_what_they_see_and_where() -> None:
    size = (100, 200)  # somewhere else is 10 pixels off
    assert sights_apart([seen(0, 5), seen(0, 5)], size_hw=size) == 0.0
    assert sights_apart([seen(0, 5), seen(0, 10)], size_hw=size) == pytest.approx(0.5)
    assert sights_apart([seen(0, 5), hidden(0)], size_hw=size) == pytest.approx(1.0)
    assert sights_apart([hidden(0, score=0.2), hidden(0, score=0.1)], size_hw=size) == pytest.approx(0.1)


def test_a_frame_out_of_step_jumps_or_blinks() -> None:
    size = (100, 200)
    assert out_of_step(seen(0, 0), seen(1, 4), seen(2, 8), size_hw=size) == 0.0
    assert out_of_step(seen(0, 0), seen(1, 9), seen(2, 8), size_hw=size) == pytest.approx(0.5)
    assert out_of_step(seen(0, 0), hidden(1), seen(2, 8), size_hw=size) == pytest.approx(1.0)
    assert out_of_step(None, seen(1, 90), seen(2, 8), size_hw=size) == 0.0


# ---- difference

features_st = st.integers(2, 7).flatmap(
    lambda n: st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)), min_size=n, max_size=n, unique=True)
)


@settings(deadline=None, max_examples=80)
@given(features_st, st.integers(1, 4), st.integers(0, 5))
def test_farthest_first_covers_at_most_twice_as_badly_as_the_best_set(places: list, count: int, seed: int) -> None:
    xy = np.array(places, dtype=np.float64)
    gaps = np.linalg.norm(xy[:, None] - xy[None], axis=2)
    spread = farthest_first(xy, count=count, seed=seed)
    assert len(set(spread.taken)) == len(spread.taken) == min(count, len(xy))
    reached = gaps[:, list(spread.taken)].min(axis=1).max()
    best = min(gaps[:, list(s)].min(axis=1).max() for s in combinations(range(len(xy)), min(count, len(xy))))
    assert reached <= 2 * best + 1e-9
    # And each step is the farthest one, by brute force.
    for step in range(1, len(spread.taken)):
        before = list(spread.taken[:step])
        nearest = gaps[:, before].min(axis=1)
        assert spread.distances[step] == pytest.approx(nearest.max())


@settings(deadline=None, max_examples=40)
@given(features_st, st.integers(0, 5))
def test_weights_are_multiplied_with_the_distance_and_units_do_not_matter(places: list, seed: int) -> None:
    xy = np.array(places, dtype=np.float64)
    worth = np.random.default_rng(seed).uniform(0.1, 1, len(xy))
    spread = farthest_first(xy, count=len(xy), weights=worth, seed=seed)
    assert spread.taken[0] == int(worth.argmax())
    for step in range(1, len(xy)):
        gain = worth * np.linalg.norm(xy[:, None] - xy[list(spread.taken[:step])][None], axis=2).min(axis=1)
        gain[list(spread.taken[:step])] = -1
        assert gain[spread.taken[step]] == pytest.approx(gain.max())
    assert farthest_first(1000 * xy, count=len(xy), weights=7 * worth, seed=seed).taken == spread.taken


def test_what_is_excluded_is_never_taken_and_equals_follow_the_seed() -> None:
    xy = np.zeros((6, 2))
    all_alike = [farthest_first(xy, count=6, seed=seed).taken for seed in (0, 0, 1)]
    assert all_alike[0] == all_alike[1] != all_alike[2]
    assert sorted(all_alike[0]) == list(range(6))
    neighbours = lambda i: np.abs(np.arange(6) - i) <= 1  # noqa: E731
    taken = farthest_first(np.arange(6)[:, None], count=6, excluded_by=neighbours).taken
    assert all(abs(a - b) > 1 for a, b in combinations(taken, 2))
    allowed = np.array([False, True, False, False, False, False])
    assert farthest_first(xy, count=3, allowed=allowed).taken == (1,)


def test_distances_are_told_in_typical_ones() -> None:
    xy = np.random.default_rng(0).normal(size=(50, 3)) * 1000
    scaled = in_typical_distances(xy)
    gaps = ((scaled[:, None] - scaled[None]) ** 2).sum(axis=2)
    assert gaps.mean() == pytest.approx(1.0)
    assert in_typical_distances(np.ones((4, 2))) == pytest.approx(np.ones((4, 2)))


def test_pictures_of_other_colours_or_shapes_look_different() -> None:
    red, blue = np.zeros((40, 60, 3), np.uint8), np.zeros((40, 60, 3), np.uint8)
    red[..., 0] = blue[..., 2] = 200
    striped = red.copy()
    striped[:, ::2] = 0
    same = np.linalg.norm(appearance(red) - appearance(red.copy()))
    assert same == 0.0
    assert np.linalg.norm(appearance(red) - appearance(blue)) > 0.5
    assert np.linalg.norm(appearance(red) - appearance(striped)) > 0.2
    assert appearance(np.zeros((1, 1, 3), np.uint8)).shape == (88,)
