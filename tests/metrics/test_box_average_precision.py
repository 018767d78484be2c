"""COCO's figures against pycocotools, and weights against pictures written down again."""

from __future__ import annotations

import contextlib
import io
import time
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sightline.errors import UserError
from sightline.metrics.average_precision import RECALLS, Accumulator, per_picture_ap50
from sightline.metrics.box_matches import SIZE_LIMITS, BoxMatches, match_boxes
from sightline.metrics.box_pairs import stable_order
from sightline.metrics.boxes import class_average_precision, quick_boxes
from sightline.records import Detections, Objects

Scene = tuple[list[Detections], list[Objects]]
NAMES = (
    "ap", "ap50", "ap75", "ap_small", "ap_medium", "ap_large",
    "ar_1", "ar_10", "ar_100", "ar_small", "ar_medium", "ar_large",
)  # fmt: skip


def names(count: int) -> tuple[str, ...]:
    return tuple(f"class {number}" for number in range(count))


def draw_scene(
    seed: int,
    *,
    pictures: int = 8,
    classes: int = 3,
    true: int = 8,
    found: int = 14,
    whole: bool = True,
    score_digits: int = 1,
    crowds: float = 0.15,
) -> Scene:
    """Boxes of all sizes, crowds, areas smaller than boxes, ties of scores and of overlaps, empty pictures."""
    rng = np.random.default_rng(seed)
    scene: Scene = ([], [])
    for _ in range(pictures):
        count = int(rng.integers(0, true + 1))
        boxes = _boxes(rng, count, whole=whole)
        labels = rng.integers(0, classes, count)
        areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]) * rng.uniform(0.3, 1, count)
        crowd = rng.random(count) < crowds
        number = int(rng.integers(0, found + 1))
        guessed, guesses = _boxes(rng, number, whole=whole), rng.integers(0, classes, number)
        if count and rng.random() < 0.9:
            source = rng.integers(0, count, number)
            guessed = boxes[source] + rng.normal(0, rng.choice([0.5, 4, 10]), (number, 4))
            guessed = np.round(guessed) if whole else guessed
            guessed[:, 2:] = np.maximum(guessed[:, 2:], guessed[:, :2] + 1)
            guesses = np.where(rng.random(number) < 0.8, labels[source], guesses)
        scores = np.round(rng.random(number), score_digits)
        scene[0].append(Detections(boxes_xyxy=guessed, labels=guesses, scores=scores))
        scene[1].append(Objects(boxes_xyxy=boxes, labels=labels, crowd=crowd, areas=areas))
    return scene


def _boxes(rng: np.random.Generator, count: int, *, whole: bool) -> np.ndarray:
    corner, sides = rng.uniform(0, 120, (count, 2)), rng.uniform(3, 150, (count, 2))
    boxes = np.concatenate([corner, corner + sides], axis=1)
    return np.floor(boxes) if whole else boxes


def pycocotools_figures(
    scene: Scene, *, classes: int, size_limits: tuple[float, float] = SIZE_LIMITS
) -> tuple[dict[str, float], Any]:
    """The 12 figures by our names, -1 where there is none; and the evaluation itself."""
    coco, evaluation = pytest.importorskip("pycocotools.coco"), pytest.importorskip("pycocotools.cocoeval")
    found, truth = scene
    labelled, results = coco.COCO(), coco.COCO()
    images = [{"id": number} for number in range(1, len(truth) + 1)]
    categories = [{"id": number} for number in range(1, classes + 1)]
    annotations: list[dict[str, Any]] = []
    detections: list[dict[str, Any]] = []
    for number, (one, other) in enumerate(zip(truth, found, strict=True), start=1):
        for row, (x0, y0, x1, y1) in enumerate(one.boxes_xyxy):
            line = {"id": len(annotations) + 1, "image_id": number, "category_id": int(one.labels[row]) + 1}
            line |= {"bbox": [x0, y0, x1 - x0, y1 - y0], "area": float(one.areas[row]), "iscrowd": int(one.crowd[row])}
            annotations.append(line)
        for row, (x0, y0, x1, y1) in enumerate(other.boxes_xyxy):
            line = {"id": len(detections) + 1, "image_id": number, "category_id": int(other.labels[row]) + 1}
            sides = {"bbox": [x0, y0, x1 - x0, y1 - y0], "area": (x1 - x0) * (y1 - y0), "iscrowd": 0}
            detections.append(line | sides | {"score": float(other.scores[row])})
    with contextlib.redirect_stdout(io.StringIO()):
        for index, rows in ((labelled, annotations), (results, detections)):
            index.dataset = {"images": images, "annotations": rows, "categories": categories}
            index.createIndex()
        run = evaluation.COCOeval(labelled, results, "bbox")
        small, large = size_limits
        run.params.areaRng = [[0, 1e10], [0, small**2], [small**2, large**2], [large**2, 1e10]]
        run.evaluate()
        run.accumulate()
        run.summarize()
    return dict(zip(NAMES, run.stats.tolist(), strict=True)), run


def assert_equal_to_pycocotools(
    scene: Scene, *, classes: int, size_limits: tuple[float, float] = SIZE_LIMITS
) -> BoxMatches:
    theirs, _ = pycocotools_figures(scene, classes=classes, size_limits=size_limits)
    ours = quick_boxes(*scene, classes=names(classes), size_limits=size_limits)
    wanted = {name: value for name, value in theirs.items() if value > -1}
    assert {name: ours[name] for name in NAMES if name in ours} == pytest.approx(wanted, abs=1e-9)
    return match_boxes(*scene, classes=names(classes), size_limits=size_limits)


@pytest.mark.parametrize("size_limits", [(32.0, 96.0), (16.0, 32.0), (50.0, 70.0)])
@pytest.mark.parametrize("seed", range(20))
def test_all_figures_equal_pycocotools_with_crowds_ties_and_empty_pictures(
    seed: int, size_limits: tuple[float, float]
) -> None:
    classes = 1 + seed % 4
    assert_equal_to_pycocotools(draw_scene(seed, classes=classes), classes=classes, size_limits=size_limits)


@given(
    seed=st.integers(0, 10**6),
    pictures=st.integers(1, 6),
    classes=st.integers(1, 5),
    true=st.integers(0, 15),
    found=st.integers(0, 40),
    whole=st.booleans(),
    score_digits=st.sampled_from([0, 1, 8]),
    crowds=st.sampled_from([0.0, 0.1, 1.0]),
)
@settings(max_examples=80, deadline=None)
def test_all_figures_equal_pycocotools_however_many_there_are_of_what(**drawn: Any) -> None:
    assert_equal_to_pycocotools(draw_scene(**drawn), classes=drawn["classes"])


def test_more_than_100_boxes_of_a_class_in_a_picture_count_up_to_100() -> None:
    scene = draw_scene(3, pictures=3, classes=2, true=40, found=400, score_digits=8)
    matches = assert_equal_to_pycocotools(scene, classes=2)
    assert len(matches.found) < sum(len(one) for one in scene[0])
    assert matches.rank.max() == 99


def test_many_classes_most_of_them_absent_equal_pycocotools() -> None:
    assert_equal_to_pycocotools(draw_scene(4, pictures=12, classes=70), classes=70)


def test_a_crowded_picture_where_boxes_compete_equals_pycocotools() -> None:
    rng = np.random.default_rng(5)
    corner = np.floor(rng.uniform(0, 12, (60, 2)))
    boxes = np.concatenate([corner, corner + 20], axis=1)
    found = Detections(boxes_xyxy=boxes[::-1] + 1, labels=np.zeros(60, dtype=int), scores=np.round(rng.random(60), 1))
    truth = Objects(
        boxes_xyxy=boxes, labels=np.zeros(60, dtype=int), crowd=rng.random(60) < 0.1, areas=rng.uniform(200, 1500, 60)
    )
    assert_equal_to_pycocotools(([found], [truth]), classes=1)


@pytest.mark.parametrize("bound", [1, 7, 1 << 16, (1 << 16) + 1, 1 << 40])
def test_sorting_by_digits_is_a_stable_sort(bound: int) -> None:
    keys = np.random.default_rng(0).integers(0, bound, 5000)
    keys[::3] = keys[0]
    assert np.array_equal(stable_order(keys, bound=bound), np.argsort(keys, kind="stable"))


def test_more_groups_than_two_bytes_count_change_nothing() -> None:
    found, truth = draw_scene(6, pictures=120)
    spread = np.array([0, 350, 699])
    many_found = [replace(one, labels=spread[one.labels]) for one in found]
    many_truth = [replace(one, labels=spread[one.labels]) for one in truth]
    assert 120 * 700 > 1 << 16
    assert quick_boxes(many_found, many_truth, classes=names(700)) == pytest.approx(
        quick_boxes(found, truth, classes=names(3)), abs=1e-12
    )


def test_precision_at_every_recall_and_the_scores_there_equal_pycocotools() -> None:
    scene = draw_scene(7, pictures=20, score_digits=8)
    _, run = pycocotools_figures(scene, classes=3)
    precision, score = Accumulator(match_boxes(*scene, classes=names(3))).curves()
    assert precision == pytest.approx(run.eval["precision"][0, :, :, 0, 2].T, abs=1e-9)
    # At recall 0 theirs is the best score of all, right or wrong.
    assert score[:, 1:] == pytest.approx(run.eval["scores"][0, 1:, :, 0, 2].T, abs=1e-9)


def test_precision_and_recall_of_each_class_and_size_equal_pycocotools() -> None:
    scene = draw_scene(8, pictures=15)
    _, run = pycocotools_figures(scene, classes=3)
    once = Accumulator(match_boxes(*scene, classes=names(3))).once()
    theirs = run.eval["precision"][:, :, :, :, 2].mean(axis=1)  # [T, K, A]
    assert np.nan_to_num(once.ap[0], nan=-1) == pytest.approx(theirs.transpose(2, 0, 1), abs=1e-9)
    recall = run.eval["recall"].transpose(3, 2, 0, 1)  # [M, A, T, K]
    assert np.nan_to_num(once.recall[0], nan=-1) == pytest.approx(recall[2], abs=1e-9)
    assert np.nan_to_num(once.recall_of_few[0], nan=-1) == pytest.approx(recall[:2, 0], abs=1e-9)


def test_ap50_of_a_picture_alone_is_that_of_an_evaluation_of_this_picture() -> None:
    found, truth = draw_scene(9, pictures=25, score_digits=8)
    values, known = per_picture_ap50(match_boxes(found, truth, classes=names(3)))
    for row in range(25):
        alone = quick_boxes([found[row]], [truth[row]], classes=names(3))
        assert known[row] == ("ap50" in alone)
        assert values[row] == pytest.approx(alone.get("ap50", 0.0), abs=1e-9)
    assert 0 < known.sum() < 25


@pytest.mark.parametrize("seed", range(8))
def test_a_weight_is_as_good_as_writing_the_picture_down_again(seed: int) -> None:
    found, truth = draw_scene(seed, pictures=7, score_digits=12)
    weights = np.random.default_rng(seed).integers(0, 4, size=(3, 7)).astype(float)
    weighted = Accumulator(match_boxes(found, truth, classes=names(3)))(weights).figures()
    for row, counts in enumerate(weights.astype(int)):
        again = np.repeat(np.arange(7), counts)
        if len(again) == 0:
            continue
        written = Accumulator(
            match_boxes([found[i] for i in again], [truth[i] for i in again], classes=names(3))
        ).once().figures()  # fmt: skip
        for name in NAMES:
            assert weighted[name][row] == pytest.approx(written[name][0], abs=1e-9, nan_ok=True), name


def test_weightings_are_the_same_together_and_one_by_one() -> None:
    found, truth = draw_scene(10, pictures=9)
    accumulator = Accumulator(match_boxes(found, truth, classes=names(3)))
    weights = np.random.default_rng(0).integers(0, 3, size=(6, 9)).astype(float)
    together = accumulator(weights)
    for row in range(6):
        assert np.array_equal(together.ap[row], accumulator(weights[row : row + 1]).ap[0], equal_nan=True)


def test_figures_of_sizes_that_do_not_occur_are_left_out_and_never_minus_one() -> None:
    truth = [Objects.of(np.array([[0.0, 0.0, 20.0, 20.0]]), np.array([0]))]
    found = [Detections(boxes_xyxy=truth[0].boxes_xyxy, labels=np.array([0]), scores=np.array([0.9]))]
    ours = quick_boxes(found, truth, classes=("cat",))
    assert {"ap_medium", "ap_large", "ar_medium", "ar_large"}.isdisjoint(ours)
    assert set(ours) == {*NAMES, "precision", "recall", "f1", "mean_iou"} - {
        "ap_medium", "ap_large", "ar_medium", "ar_large"
    }  # fmt: skip
    assert all(value == 1 for value in ours.values())


def test_a_class_without_true_boxes_is_in_no_average() -> None:
    box = np.array([[0.0, 0.0, 20.0, 20.0]])
    truth = [Objects.of(box, np.array([0]))]
    both = Detections(boxes_xyxy=np.repeat(box, 2, axis=0), labels=np.array([0, 1]), scores=np.array([0.8, 0.9]))
    assert quick_boxes([both], truth, classes=("cat", "dog"))["ap"] == 1
    assert class_average_precision([both], truth, classes=("cat", "dog")) == {
        "cat": {"ap": 1.0, "ap50": 1.0, "ap_small": 1.0}
    }


def test_half_a_curve_computed_by_hand() -> None:
    """Two objects; right at 0.9, wrong at 0.8, right at 0.7: precision 1 up to recall 0.5, then 2/3."""
    boxes = np.array([[0.0, 0.0, 10.0, 10.0], [50.0, 50.0, 60.0, 60.0], [80.0, 80.0, 90.0, 90.0]])
    truth = [Objects.of(boxes[:2], np.zeros(2))]
    found = [Detections(boxes_xyxy=boxes[[0, 2, 1]], labels=np.zeros(3, dtype=int), scores=np.array([0.9, 0.8, 0.7]))]
    up_to_half = int((RECALLS <= 0.5).sum())
    wanted = (up_to_half + (101 - up_to_half) * 2 / 3) / 101
    assert quick_boxes(found, truth, classes=("cat",))["ap50"] == pytest.approx(wanted, abs=1e-12)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"found": []}, "predictions for 0 pictures and labels for 1"),
        ({"found": [], "truth": []}, "0 pictures"),
        ({"scores": [0.5, np.nan]}, "scores are not between 0 and 1"),
        ({"scores": [0.5, 4.0]}, "first is 4 in picture 1"),
        ({"boxes": [[0, 0, 1, 1], [0, np.nan, 1, 1]]}, "1 of the found boxes are not finite"),
        ({"boxes": [[0, 0, 1, 1], [0, 0, np.inf, 1]]}, "not finite"),
        ({"labels": [0, 2]}, "class 2 in picture 1"),
        ({"labels": [0, -1]}, "class -1"),
        ({"true_label": 5}, "1 of the labelled boxes have a class"),
        ({"size_limits": (96, 32)}, "96 and 32 px"),
        ({"size_limits": (0, 32)}, "two sides above 0"),
    ],
)
def test_bad_input_is_told_with_its_picture(changes: dict[str, Any], message: str) -> None:
    given_ = {"boxes": [[0, 0, 1, 1], [0, 0, 2, 2]], "labels": [0, 1], "scores": [0.5, 0.5], "true_label": 1} | changes
    one = Detections(
        boxes_xyxy=np.array(given_["boxes"], dtype=float),
        labels=np.array(given_["labels"]),
        scores=np.array(given_["scores"], dtype=float),
    )
    truth = given_.get("truth", [Objects.of(np.array([[0.0, 0.0, 1.0, 1.0]]), np.array([given_["true_label"]]))])
    limits = given_.get("size_limits", SIZE_LIMITS)
    with pytest.raises(UserError, match=message):
        quick_boxes(given_.get("found", [one]), truth, classes=("cat", "dog"), size_limits=limits)


def test_found_boxes_without_area_or_turned_inside_out_find_nothing() -> None:
    truth = [Objects.of(np.array([[0.0, 0.0, 20.0, 20.0]]), np.array([0]))]
    boxes = np.array([[5.0, 5.0, 5.0, 9.0], [20.0, 20.0, 0.0, 0.0]])
    found = [Detections(boxes_xyxy=boxes, labels=np.zeros(2, dtype=int), scores=np.array([0.9, 0.8]))]
    assert quick_boxes(found, truth, classes=("cat",))["ap"] == 0


def test_hundred_thousand_boxes_take_far_less_time_than_a_loop_over_them() -> None:
    found, truth = draw_scene(11, pictures=1000, classes=3, true=10, found=200, score_digits=8)
    assert sum(len(one) for one in found) > 90_000
    start = time.perf_counter()
    quick_boxes(found, truth, classes=names(3))
    # About 0.2 s on an idle core; the bound leaves room for a busy machine.
    assert time.perf_counter() - start < 3
