from __future__ import annotations

import json
import subprocess
import sys
import time

import numpy as np
import pytest

from sightline.errors import UserError
from sightline.metrics.bootstrap import Interval
from sightline.metrics.boxes import RESAMPLES, quick_boxes, summarise_boxes
from sightline.metrics.units import drawn_counts, number_units, percentile_interval, wilson_interval
from sightline.records import Detections, Objects

CLASSES = ("cat", "dog", "cow")
Scene = tuple[list[Detections], list[Objects]]


def draw(rng: np.random.Generator, *, pictures: int, true: int = 6, found: int = 12, spread: float = 3.0) -> Scene:
    scene: Scene = ([], [])
    for _ in range(pictures):
        corner = rng.uniform(0, 300, (true, 2))
        boxes = np.concatenate([corner, corner + rng.uniform(15, 120, (true, 2))], axis=1)
        labels = rng.integers(0, len(CLASSES), true)
        source = rng.integers(0, true, found)
        moved = boxes[source] + rng.normal(0, spread, (found, 4)) * rng.choice([1, 6], (found, 1))
        moved[:, 2:] = np.maximum(moved[:, 2:], moved[:, :2] + 1)
        guesses = np.where(rng.random(found) < 0.8, labels[source], rng.integers(0, len(CLASSES), found))
        scene[0].append(Detections(boxes_xyxy=moved, labels=guesses, scores=rng.random(found)))
        scene[1].append(Objects.of(boxes, labels))
    return scene


def ids(count: int) -> list[str]:
    return [f"{number:04}.png" for number in range(count)]


def ends(one: Interval) -> tuple[float, float]:
    assert one.low is not None and one.high is not None
    return one.low, one.high


def width(one: Interval) -> float:
    low, high = ends(one)
    return high - low


def holds(one: Interval, value: float) -> bool:
    low, high = ends(one)
    return low <= value <= high


def test_values_are_those_of_quick_and_lie_in_their_intervals() -> None:
    scene = draw(np.random.default_rng(0), pictures=20)
    summary = summarise_boxes(*scene, classes=CLASSES, image_ids=ids(20))
    assert {name: one.value for name, one in summary.metrics.items()} == pytest.approx(
        quick_boxes(*scene, classes=CLASSES), abs=1e-12
    )
    assert len(summary.metrics) == 16
    for one in summary.metrics.values():
        low, high = ends(one)
        assert 0 <= low <= one.value <= high <= 1
        assert high > low


def test_the_json_has_plain_values_and_stable_keys() -> None:
    summary = summarise_boxes(*draw(np.random.default_rng(1), pictures=5), classes=CLASSES, image_ids=ids(5))
    found = json.loads(json.dumps(summary.to_json(), allow_nan=False))
    assert list(found) == [
        "metrics", "per_class", "curves", "confusion", "calibration", "error_kinds", "thresholds",
        "threshold_source", "size_limits", "images", "objects", "detections", "resamples",
    ]  # fmt: skip
    assert json.dumps(summary.per_image, allow_nan=False)
    assert set(found["metrics"]["ap"]) == {"value", "low", "high"}
    assert [row["name"] for row in found["per_class"]] == list(CLASSES)
    assert len(found["curves"]["recall"]) == len(found["curves"]["classes"][0]["precision"]) == 101
    assert set(found["error_kinds"]) == {"counts", "by_size"}
    assert found["resamples"] == RESAMPLES[1]
    assert (found["images"], found["objects"], found["detections"]) == (5, 30, 60)


def test_tables_agree_with_the_metrics() -> None:
    scene = draw(np.random.default_rng(2), pictures=15)
    summary = summarise_boxes(*scene, classes=CLASSES, image_ids=ids(15))
    metrics = {name: one.value for name, one in summary.metrics.items()}
    rows, pictures = summary.per_class, summary.per_image
    assert np.mean([row["ap"] for row in rows]) == pytest.approx(metrics["ap"])
    assert np.mean([row["ap_small"] for row in rows if row["ap_small"] is not None]) == pytest.approx(
        metrics["ap_small"]
    )
    curves = summary.curves["classes"]
    assert [np.mean(row["precision"]) for row in curves] == pytest.approx([row["ap50"] for row in rows])
    right, wrong = sum(row["found"] for row in rows), sum(row["false_alarms"] for row in rows)
    assert right / (right + wrong) == pytest.approx(metrics["precision"])
    assert right / summary.objects == pytest.approx(metrics["recall"])
    assert sum(row["found"] for row in pictures) == right
    assert sum(row["false_alarms"] for row in pictures) == wrong
    assert sum(row["missed"] for row in pictures) == summary.objects - right
    counts = np.array(summary.confusion["counts"])
    assert np.trace(counts) == right
    assert counts[:, :3].sum() == right + wrong
    assert sum(row["count"] for row in summary.calibration["bins"]) == summary.detections
    kinds = summary.error_kinds["counts"]
    assert sum(kinds.values()) - kinds["missed"] == wrong


def test_a_picture_row_is_what_its_boxes_say() -> None:
    box = np.array([[0.0, 0.0, 40.0, 40.0], [100.0, 100.0, 150.0, 150.0]])
    half = np.array([[0.0, 0.0, 40.0, 30.0], [300.0, 300.0, 310.0, 310.0]])
    none = Detections(boxes_xyxy=np.zeros((0, 4)), labels=np.zeros(0, dtype=int), scores=np.zeros(0))
    found = [
        Detections(boxes_xyxy=half, labels=np.zeros(2, dtype=int), scores=np.array([0.9, 0.8])),
        none,
        Detections(boxes_xyxy=half[1:], labels=np.ones(1, dtype=int), scores=np.array([0.9])),
    ]
    nothing = Objects.of(np.zeros((0, 4)), np.zeros(0))
    truth = [Objects.of(box, np.zeros(2)), nothing, nothing]
    thresholds: dict[str, float] = dict.fromkeys(CLASSES, 0.5)
    summary = summarise_boxes(found, truth, classes=CLASSES, image_ids=["a", "b", "c"], thresholds=thresholds)
    assert summary.threshold_source == "given"
    assert summary.per_image[0] == {
        "image_id": "a", "f1": 0.5, "error": 0.5, "errors": 2, "missed": 1, "false_alarms": 1, "objects": 2,
        "found": 1, "mean_iou": pytest.approx(0.75), "ap50": pytest.approx(51 / 101),
    }  # fmt: skip
    empty, alarm = summary.per_image[1:]
    assert (empty["f1"], empty["error"], empty["errors"], empty["ap50"]) == (None, 0.0, 0, None)
    assert (alarm["f1"], alarm["error"], alarm["false_alarms"], alarm["mean_iou"]) == (0.0, 1.0, 1, None)


def test_a_class_that_is_not_there_has_rows_without_values() -> None:
    found, truth = draw(np.random.default_rng(3), pictures=4)
    summary = summarise_boxes(found, truth, classes=(*CLASSES, "emu"), image_ids=ids(4))
    row, curve = summary.per_class[3], summary.curves["classes"][3]
    assert (row["name"], row["ap"], row["recall"], row["f1"], row["objects"]) == ("emu", None, None, None, 0)
    assert (curve["precision"], curve["score"]) == (None, None)


def test_pictures_without_any_object_have_precision_only_and_nothing_found_has_none() -> None:
    nothing = [Objects.of(np.zeros((0, 4)), np.zeros(0))] * 2
    found, _ = draw(np.random.default_rng(4), pictures=2)
    alarms = summarise_boxes(found, nothing, classes=CLASSES, image_ids=ids(2), thresholds=dict.fromkeys(CLASSES, 0.0))
    assert {name: one.value for name, one in alarms.metrics.items()} == {"precision": 0.0}
    none = Detections(boxes_xyxy=np.zeros((0, 4)), labels=np.zeros(0, dtype=int), scores=np.zeros(0))
    quiet = summarise_boxes([none] * 2, nothing, classes=CLASSES, image_ids=ids(2))
    assert quiet.metrics == {}
    assert quiet.calibration["ece"] is None
    missed = quick_boxes([none], draw(np.random.default_rng(4), pictures=1)[1], classes=CLASSES)
    assert {name: missed[name] for name in ("ap", "recall", "f1")} == {"ap": 0.0, "recall": 0.0, "f1": 0.0}
    assert {"precision", "mean_iou"}.isdisjoint(missed)


def test_equal_seeds_give_equal_summaries_and_one_picture_has_no_interval() -> None:
    scene = draw(np.random.default_rng(5), pictures=6)
    once, again, other = (summarise_boxes(*scene, classes=CLASSES, image_ids=ids(6), seed=seed) for seed in (1, 1, 2))
    assert once.to_json() == again.to_json()
    assert once.metrics["ap"] != other.metrics["ap"]
    one = summarise_boxes(scene[0][:1], scene[1][:1], classes=CLASSES, image_ids=ids(1))
    assert all(found.low is None and found.high is None for found in one.metrics.values())


def test_groups_of_alike_pictures_give_wider_intervals() -> None:
    """Ten copies of each of eight pictures are eight units, not eighty."""
    found, truth = draw(np.random.default_rng(6), pictures=8)
    groups = [str(number // 10) for number in range(80)]
    copies = [found[n // 10] for n in range(80)], [truth[n // 10] for n in range(80)]
    alone = summarise_boxes(*copies, classes=CLASSES, image_ids=ids(80)).metrics
    together = summarise_boxes(*copies, classes=CLASSES, image_ids=ids(80), groups=groups).metrics
    for name in ("ap", "ap50", "recall", "f1"):
        assert width(together[name]) > 1.7 * width(alone[name])


def test_the_order_of_pictures_changes_no_interval() -> None:
    found, truth = draw(np.random.default_rng(7), pictures=10)
    there = summarise_boxes(found, truth, classes=CLASSES, image_ids=ids(10)).metrics
    back = summarise_boxes(found[::-1], truth[::-1], classes=CLASSES, image_ids=ids(10)[::-1]).metrics
    for name, one in there.items():
        assert back[name].to_json() == pytest.approx(one.to_json(), abs=1e-9)


@pytest.mark.slow
def test_a_95_percent_interval_covers_what_other_pictures_of_the_source_give_on_average() -> None:
    rng = np.random.default_rng(8)
    samples = [draw(rng, pictures=30) for _ in range(150)]
    expected = {
        name: float(np.mean([quick_boxes(*s, classes=CLASSES)[name] for s in samples])) for name in ("ap", "ap50")
    }
    covered = dict.fromkeys(expected, 0)
    for scene in samples[:60]:
        metrics = summarise_boxes(*scene, classes=CLASSES, image_ids=ids(30)).metrics
        for name, value in expected.items():
            covered[name] += holds(metrics[name], value)
    assert all(count >= 0.85 * 60 for count in covered.values()), covered


def test_sixty_pictures_take_at_most_a_few_seconds() -> None:
    scene = draw(np.random.default_rng(9), pictures=60, true=14, found=60)
    start = time.perf_counter()
    summarise_boxes(*scene, classes=CLASSES, image_ids=ids(60))
    # About 0.4 s on an idle core; the bound leaves room for a busy machine.
    assert time.perf_counter() - start < 5


def test_names_of_pictures_are_told_where_a_box_is_broken_and_must_be_as_many() -> None:
    found, truth = draw(np.random.default_rng(10), pictures=3)
    found[1].scores[0] = np.nan
    with pytest.raises(UserError, match=r"first is nan in 0001\.png"):
        summarise_boxes(found, truth, classes=CLASSES, image_ids=ids(3))
    with pytest.raises(UserError, match="2 picture names for 3 pictures"):
        summarise_boxes(found, truth, classes=CLASSES, image_ids=ids(2))


def test_units_are_groups_where_there_are_and_pictures_elsewhere() -> None:
    units = number_units(["a", "b", "c", "c", "g"], groups=["g", None, None, None, "g"])
    assert units[0] == units[4] and units[2] == units[3]
    assert len(set(units.tolist())) == 3


def test_draws_hold_as_many_units_as_there_are_and_keep_groups_together() -> None:
    units = np.array([0, 0, 1, 2, 2, 2])
    counts = drawn_counts(units, resamples=400, seed=0)
    assert np.array_equal(counts[:, 0], counts[:, 1])
    assert np.array_equal(counts[:, 3], counts[:, 5])
    assert (counts[:, [0, 2, 3]].sum(axis=1) == 3).all()
    assert counts.mean() == pytest.approx(1, abs=0.1)


def test_a_resampled_interval_is_moved_back_to_the_value_and_stays_in_0_to_1() -> None:
    drawn = np.linspace(0.5, 0.7, 1001)
    found = percentile_interval(0.5, drawn, level=0.9, num_units=10)
    assert (found.low, found.high) == pytest.approx((0.41, 0.59))
    edge = percentile_interval(1.0, drawn, level=0.9, num_units=10)
    assert edge.high == 1.0
    lacking = percentile_interval(0.5, np.array([np.nan, 0.4, 0.6]), level=0.5, num_units=2)
    assert (lacking.low, lacking.high) == pytest.approx((0.45, 0.55))
    assert percentile_interval(0.5, np.array([np.nan]), level=0.9, num_units=5).low is None


@pytest.mark.parametrize(
    ("share", "count", "low", "high"), [(0.0, 10, 0.0, 0.2775), (1.0, 10, 0.7225, 1.0), (0.5, 10, 0.2366, 0.7634)]
)
def test_wilson_intervals_are_those_of_the_books(share: float, count: int, low: float, high: float) -> None:
    found = wilson_interval(share, count=count, level=0.95)
    assert (found.low, found.high) == pytest.approx((low, high), abs=1e-4)


def test_metrics_of_boxes_start_without_torch() -> None:
    code = "import sys, sightline.metrics.boxes, sightline.metrics.one_box; assert 'torch' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
