"""Every kind of mistake, the confusion matrix, thresholds and calibration, computed by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sightline.errors import UserError
from sightline.metrics.box_errors import ERROR_KINDS, BoxErrors, box_errors, confusion
from sightline.metrics.box_matches import BoxMatches, match_boxes
from sightline.metrics.boxes import choose_thresholds
from sightline.metrics.operating_point import best_thresholds, calibration, operating_point
from sightline.records import Detections, Objects

CLASSES = ("cat", "dog")
CAT, DOG = 0, 1
BOX = (0.0, 0.0, 40.0, 40.0)
# IoU with BOX: 3/5, 1/3, 1/15 and 0.
SHIFT_10, SHIFT_20, SHIFT_35, AWAY = (
    (10.0, 0.0, 50.0, 40.0),
    (20.0, 0.0, 60.0, 40.0),
    (35.0, 0.0, 75.0, 40.0),
    (200.0, 200.0, 240.0, 240.0),
)

Found = tuple[tuple[float, ...], int, float]
True_ = tuple[tuple[float, ...], int]


def matches_of(*pictures: tuple[list[Found], list[True_]], crowd: bool = False) -> BoxMatches:
    found, truth = [], []
    for one, other in pictures:
        boxes, labels, scores = ([row[i] for row in one] for i in range(3))
        array = np.array(boxes, dtype=float).reshape(-1, 4)
        found.append(
            Detections(boxes_xyxy=array, labels=np.array(labels, dtype=int), scores=np.array(scores, dtype=float))
        )
        objects = Objects.of(np.array([row[0] for row in other]).reshape(-1, 4), np.array([row[1] for row in other]))
        if crowd:
            flags = np.ones(len(objects), dtype=bool)
            objects = Objects(boxes_xyxy=objects.boxes_xyxy, labels=objects.labels, crowd=flags, areas=objects.areas)
        truth.append(objects)
    return match_boxes(found, truth, classes=CLASSES)


def errors_of(found: list[Found], truth: list[True_], *, threshold: float = 0.0) -> BoxErrors:
    point = operating_point(matches_of((found, truth)), dict.fromkeys(CLASSES, threshold))
    return box_errors(point)


def counted(**kinds: int) -> dict[str, int]:
    return dict.fromkeys(ERROR_KINDS, 0) | {name.rstrip("_"): count for name, count in kinds.items()}


@pytest.mark.parametrize(
    ("found", "truth", "wanted"),
    [
        pytest.param([(SHIFT_10, CAT, 0.9)], [(BOX, CAT)], counted(), id="right"),
        pytest.param([(SHIFT_10, DOG, 0.9)], [(BOX, CAT)], counted(class_=1), id="class: the object is not missed"),
        pytest.param([(SHIFT_20, CAT, 0.9)], [(BOX, CAT)], counted(place=1), id="place: the object is not missed"),
        pytest.param([(SHIFT_20, DOG, 0.9)], [(BOX, CAT)], counted(both=1, missed=1), id="both"),
        pytest.param([(SHIFT_35, CAT, 0.9)], [(BOX, CAT)], counted(background=1, missed=1), id="barely touching"),
        pytest.param([(AWAY, CAT, 0.9)], [(BOX, CAT)], counted(background=1, missed=1), id="background"),
        pytest.param([(AWAY, CAT, 0.9)], [], counted(background=1), id="nothing is there"),
        pytest.param([], [(BOX, CAT)], counted(missed=1), id="missed"),
        pytest.param(
            [(BOX, CAT, 0.9), (SHIFT_10, CAT, 0.8)], [(BOX, CAT)], counted(duplicate=1), id="duplicate, the worse score"
        ),
        pytest.param(
            [(BOX, CAT, 0.9), (SHIFT_20, CAT, 0.8)], [(BOX, CAT)], counted(place=1), id="badly placed second box"
        ),
        pytest.param(
            [(BOX, CAT, 0.9), (BOX, DOG, 0.8)], [(BOX, CAT)], counted(class_=1), id="right box, and once more as a dog"
        ),
        pytest.param(
            [(BOX, DOG, 0.9)], [(BOX, CAT), (SHIFT_20, DOG)], counted(place=1, missed=1), id="place comes before class"
        ),
        pytest.param(
            [(BOX, CAT, 0.9), (BOX, CAT, 0.8)],
            [(BOX, CAT), (SHIFT_10, DOG)],
            counted(class_=1),
            id="class comes before duplicate",
        ),
    ],
)
def test_a_mistake_is_of_the_kind_that_the_head_of_the_file_says(
    found: list[Found], truth: list[True_], wanted: dict[str, int]
) -> None:
    assert errors_of(found, truth).counts() == wanted


def test_what_is_below_the_threshold_is_no_mistake() -> None:
    assert errors_of([(AWAY, CAT, 0.4)], [(BOX, CAT)], threshold=0.5).counts() == counted(missed=1)


def test_a_box_on_a_crowd_is_no_mistake_and_the_crowd_is_not_missed() -> None:
    matches = matches_of(([(BOX, CAT, 0.9), (SHIFT_10, CAT, 0.8)], [(BOX, CAT)]), crowd=True)
    point = operating_point(matches, dict.fromkeys(CLASSES, 0.0))
    assert box_errors(point).counts() == counted()
    assert point.values() == {}


def test_mistakes_are_counted_by_the_size_of_the_box_that_is_wrong_or_missed() -> None:
    """AWAY is 40 px wide: medium. The missed ones are 10 and 100 px wide."""
    truth = [((0.0, 0.0, 10.0, 10.0), CAT), ((300.0, 300.0, 400.0, 400.0), CAT)]
    found = errors_of([(AWAY, CAT, 0.9)], truth).counts_by_size()
    assert found == {"small": counted(missed=1), "medium": counted(background=1), "large": counted(missed=1)}


def test_mistakes_of_one_picture_do_not_touch_another() -> None:
    matches = matches_of(([(BOX, DOG, 0.9)], []), ([], [(BOX, CAT)]))
    point = operating_point(matches, dict.fromkeys(CLASSES, 0.0))
    assert box_errors(point).counts() == counted(background=1, missed=1)


def test_the_confusion_matrix_has_background_in_its_last_row_and_column() -> None:
    matches = matches_of(
        ([(BOX, CAT, 0.9), (SHIFT_10, CAT, 0.8), (AWAY, DOG, 0.7)], [(BOX, CAT)]),
        ([(BOX, DOG, 0.9)], [(BOX, CAT), (AWAY, DOG)]),
    )
    found = confusion(operating_point(matches, dict.fromkeys(CLASSES, 0.0)))
    assert found == {"names": ["cat", "dog", "background"], "counts": [[1, 1, 0], [0, 0, 1], [1, 1, 0]]}


def test_the_better_score_gets_the_object_of_another_class() -> None:
    box = (5.0, 0.0, 45.0, 40.0)
    matches = matches_of(([(box, DOG, 0.3), (SHIFT_10, DOG, 0.9)], [(BOX, CAT)]))
    found = confusion(operating_point(matches, dict.fromkeys(CLASSES, 0.0)))
    assert found["counts"] == [[0, 1, 0], [0, 0, 0], [0, 1, 0]]


@given(seed=st.integers(0, 10**6), threshold=st.floats(0, 1))
@settings(max_examples=40, deadline=None)
def test_every_kept_box_and_every_object_is_counted_once(seed: int, threshold: float) -> None:
    rng = np.random.default_rng(seed)
    pictures = []
    for _ in range(4):
        boxes = [tuple(np.r_[xy, xy + rng.uniform(20, 60, 2)]) for xy in rng.uniform(0, 60, (rng.integers(0, 9), 2))]
        cut = rng.integers(0, len(boxes) + 1)
        found = [(box, int(rng.integers(0, 2)), float(rng.random())) for box in boxes[:cut]]
        pictures.append((found, [(box, int(rng.integers(0, 2))) for box in boxes[cut:]]))
    point = operating_point(matches_of(*pictures), dict.fromkeys(CLASSES, threshold))
    errors, matrix = box_errors(point), np.array(confusion(point)["counts"])
    kept = sum(score >= threshold for found, _ in pictures for _, _, score in found)
    assert matrix[:, :2].sum() == kept == point.right.sum() + point.wrong.sum()
    assert matrix[:2].sum() == sum(len(truth) for _, truth in pictures)
    assert np.trace(matrix) == point.right.sum()
    counts = errors.counts()
    assert sum(counts.values()) - counts["missed"] == point.wrong.sum()
    assert counts["missed"] <= (point.counts & ~point.taken).sum()
    by_size = errors.counts_by_size()
    assert {kind: sum(of[kind] for of in by_size.values()) for kind in ERROR_KINDS} == counts


def test_the_threshold_keeps_what_gives_the_best_f1_with_room_on_both_sides() -> None:
    """Right at 0.9 and 0.7, wrong at 0.3: F1 is best between 0.7 and 0.3."""
    found = [(BOX, CAT, 0.9), (AWAY, CAT, 0.7), ((100.0, 0.0, 120.0, 20.0), CAT, 0.3)]
    thresholds = best_thresholds(matches_of((found, [(BOX, CAT), (AWAY, CAT)])))
    assert thresholds["cat"] == pytest.approx(0.5)


def test_of_thresholds_with_equal_f1_the_highest_is_taken() -> None:
    """One of two objects found by the first box: F1 2/3. With a wrong one and the second: 2 x 2 / (4 + 2), 2/3 too."""
    away = ((100.0, 0.0, 120.0, 20.0), (300.0, 0.0, 320.0, 20.0))
    found = [(BOX, CAT, 0.9), (away[0], CAT, 0.6), (away[1], CAT, 0.5), (AWAY, CAT, 0.2)]
    thresholds = best_thresholds(matches_of((found, [(BOX, CAT), (AWAY, CAT)])))
    assert thresholds["cat"] == pytest.approx(0.75)


def test_boxes_of_one_score_are_kept_or_dropped_together() -> None:
    """Two wrong boxes share the score of the right one: all three are kept, since none can be dropped alone."""
    found = [(BOX, CAT, 0.5), (AWAY, CAT, 0.5), ((100.0, 0.0, 120.0, 20.0), CAT, 0.5), (SHIFT_35, CAT, 0.1)]
    matches = matches_of((found, [(BOX, CAT)]))
    thresholds = best_thresholds(matches)
    assert thresholds["cat"] == pytest.approx(0.3)
    assert operating_point(matches, thresholds).values()["precision"] == pytest.approx(1 / 3)


def test_a_class_without_objects_or_boxes_gets_the_pooled_threshold() -> None:
    found = [(BOX, CAT, 0.9), (AWAY, CAT, 0.7), (SHIFT_35, DOG, 0.95)]
    thresholds = best_thresholds(matches_of((found, [(BOX, CAT), (AWAY, CAT)])))
    assert thresholds == {"cat": pytest.approx(0.35), "dog": pytest.approx(0.35)}


def test_where_nothing_is_ever_right_the_threshold_is_a_half() -> None:
    nothing = matches_of(([], []))
    wrong = matches_of(([(AWAY, CAT, 0.9)], [(BOX, CAT)]))
    assert best_thresholds(nothing) == best_thresholds(wrong) == {"cat": 0.5, "dog": 0.5}


@given(seed=st.integers(0, 10**6))
@settings(max_examples=30, deadline=None)
def test_no_other_threshold_of_a_class_has_a_better_f1(seed: int) -> None:
    rng = np.random.default_rng(seed)
    corners = rng.uniform(0, 100, (30, 2))
    boxes = np.concatenate([corners, corners + 30], axis=1)
    truth = [Objects.of(boxes[:12], rng.integers(0, 2, 12))]
    found = [
        Detections(boxes_xyxy=boxes + 1, labels=rng.integers(0, 2, 30), scores=np.round(rng.random(30), 1).clip(0, 1))
    ]
    chosen = choose_thresholds(found, truth, classes=CLASSES)
    matches = match_boxes(found, truth, classes=CLASSES)

    def f1(name: str, threshold: float) -> float:
        point = operating_point(matches, dict.fromkeys(CLASSES, 1.0) | {name: threshold})
        of_class = matches.found.label == CLASSES.index(name)
        right, wrong = (point.right & of_class).sum(), (point.wrong & of_class).sum()
        return 2 * right / max(1, right + wrong + (truth[0].labels == CLASSES.index(name)).sum())

    for name in CLASSES:
        best = f1(name, chosen[name])
        assert best == pytest.approx(max(f1(name, threshold) for threshold in np.linspace(0, 1, 21)))


@pytest.mark.parametrize(
    ("thresholds", "message"),
    [
        ({"cat": 0.5}, "no score threshold for 1 of 2 classes, the first is 'dog'"),
        ({"cat": 0.5, "dog": 0.5, "dogs": 0.5}, "Did you mean 'dog'"),
        ({"cat": 0.5, "dog": 1.5}, "1.5; it must be between 0 and 1"),
        ({"cat": float("nan"), "dog": 0.5}, "nan; it must be"),
    ],
)
def test_thresholds_that_do_not_fit_the_classes_are_refused(thresholds: dict[str, float], message: str) -> None:
    with pytest.raises(UserError, match=message):
        operating_point(matches_of(([], [(BOX, CAT)])), thresholds)


def test_a_calibrated_score_has_no_calibration_error() -> None:
    score = np.repeat([0.25, 0.75], 4)
    right = np.array([1, 0, 0, 0, 1, 1, 1, 0], dtype=bool)
    found = calibration(score, right)
    assert found["ece"] == pytest.approx(0)
    assert [row["count"] for row in found["bins"]] == [0, 0, 4, 0, 0, 0, 0, 4, 0, 0]
    assert found["bins"][7] == {
        "low": pytest.approx(0.7), "high": pytest.approx(0.8), "count": 4, "mean_score": 0.75, "share_right": 0.75,
    }  # fmt: skip
    assert found["bins"][0]["mean_score"] is None


def test_the_calibration_error_is_the_mean_distance_over_boxes() -> None:
    """Three boxes 0.1 too sure of themselves and one 0.9 too modest: (3 x 0.1 + 0.9) / 4."""
    found = calibration(np.array([1.0, 0.1, 0.1, 0.1]), np.array([True, False, False, False]))
    assert found["ece"] == pytest.approx(0.3 / 4)
    assert found["bins"][9]["count"] == 1
    assert calibration(np.zeros(0), np.zeros(0, dtype=bool))["ece"] is None
