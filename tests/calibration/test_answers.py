"""Predictions laid beside the truth, by hand: points, one box, many boxes; and what errors are divided by."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sightline.calibration.answers import answers_of
from sightline.calibration.fit import checked_on, fit_calibration
from sightline.calibration.measure import Measure
from sightline.records import Detections, FoundPoints, Objects, Record

POINTS = Measure.of("points", crop="points", input_hw=(100, 100), points=2)
BOXES = Measure.of("boxes", crop="image", input_hw=(64, 64), points=0)


def boxes(*rows: tuple[float, ...], labels: list[int], scores: list[float]) -> Detections:
    return Detections(boxes_xyxy=np.array(rows).reshape(-1, 4), labels=np.array(labels, int), scores=np.array(scores))


def picture(name: str, objects: Objects, group: str | None = None) -> Record:
    return Record(image_id=name, path=Path(name), objects=objects, group=group)


def test_visible_points_are_measured_in_pixels_of_the_file() -> None:
    truth = np.array([[10.0, 10], [0, 0]])
    record = Record(image_id="a", path=Path("a"), points_xy=truth, visible=np.array([True, False]))
    other = Record(image_id="b", path=Path("b"), points_xy=np.array([[1.0, 2], [3, 4]]), visible=np.ones(2, dtype=bool))
    found = [
        FoundPoints(points_xy=np.array([[13.0, 14], [9, 9]]), scores=np.array([0.5, 0.1]), input_px=1.0),
        FoundPoints(points_xy=np.array([[1.0, 2], [3, 24]]), scores=np.array([0.9, 0.8]), input_px=3.0),
    ]
    answers = answers_of(found, [record, other], measure=POINTS, names=("nose", "chin"))
    assert answers.group.tolist() == [0, 0, 1]
    assert answers.unit.tolist() == [0, 1, 1]
    assert answers.score.tolist() == [0.5, 0.9, 0.8]
    assert answers.away_px.tolist() == [5, 0, 20]
    assert answers.scale_px.tolist() == [100, 300, 300]  # 5 % of these are right: 5 and 15 px
    assert answers.right.tolist() == [True, True, False]


def test_points_in_whole_pictures_are_measured_by_the_extent_of_what_was_found() -> None:
    measure = Measure.of("points", crop="image", input_hw=(64, 64), points=3)
    found = FoundPoints(points_xy=np.array([[0.0, 0], [30, 10], [20, 50]]), scores=np.ones(3), input_px=2.0)
    assert measure.scale_px(found).tolist() == [50] * 3
    in_one_place = FoundPoints(points_xy=np.zeros((3, 2)), scores=np.ones(3), input_px=2.0)
    assert measure.scale_px(in_one_place).tolist() == [2] * 3
    assert Measure.of("points", crop="image", input_hw=(50, 200), points=1).scale_px(
        FoundPoints(points_xy=np.zeros((1, 2)), scores=np.ones(1), input_px=2.0)
    ).tolist() == [200]  # fmt: skip


def test_many_boxes_are_right_or_wrong_and_those_on_crowds_neither() -> None:
    truth = Objects(
        boxes_xyxy=np.array([[0.0, 0, 10, 10], [20, 20, 40, 40]]),
        labels=np.array([0, 1]),
        crowd=np.array([False, True]),
        areas=np.array([100.0, 400]),
    )
    found = boxes(
        (0, 1, 12, 10), (0, 0, 9, 9), (22, 22, 40, 40), (0, 0, 10, 10), labels=[0, 0, 1, 1], scores=[0.9, 0.8, 0.7, 0.6]
    )  # fmt: skip
    answers = answers_of([found], [picture("a", truth)], measure=BOXES, names=("cat", "dog"))
    order = np.argsort(-answers.score)
    assert answers.score[order].tolist() == [0.9, 0.8, 0.6]  # the one on the crowd is not there
    assert answers.right[order].tolist() == [True, False, False]  # a second one on the cat, and a cat called a dog
    assert answers.away_px[order][0] == 2
    assert answers.scale_px[order][0] == pytest.approx(np.sqrt(12 * 9))
    assert answers.measured.tolist() == answers.right.tolist()


def test_one_box_is_right_in_class_and_place_and_measured_in_any_case() -> None:
    measure = Measure.of("one-box", crop="image", input_hw=(64, 64), points=0)
    truth = Objects.of(np.array([[0.0, 0, 10, 10]]), np.array([1]))
    found = [
        boxes((0, 0, 10, 14), labels=[1], scores=[0.9]),
        boxes((0, 0, 10, 10), labels=[0], scores=[0.8]),
        boxes((0, 0, 10, 30), labels=[1], scores=[0.7]),
        boxes(labels=[], scores=[]),
    ]
    records = [picture(name, truth, group="same") for name in "abcd"]
    answers = answers_of(found, records, measure=measure, names=("x", "y"))
    assert answers.right.tolist() == [True, False, False]
    assert answers.group.tolist() == [1, 0, 1]
    assert answers.away_px.tolist() == [4, 0, 20]
    assert answers.measured.all() and answers.pictures == 4
    assert len(set(answers.unit)) == 3  # all of one group: then pictures are what stands alone


def test_clips_are_units() -> None:
    truth = Objects.of(np.zeros((0, 4)), np.zeros(0))
    found = [boxes((0, 0, 5, 5), labels=[0], scores=[0.5])] * 4
    records = [picture(name, truth, group=group) for name, group in zip("abcd", "xxyy", strict=True)]
    assert answers_of(found, records, measure=BOXES, names=("c",)).unit.tolist() == [0, 0, 1, 1]


def detected(rng: np.random.Generator, *, pictures: int) -> tuple[list[Detections], list[Record]]:
    """Pictures with boxes of two classes, found with errors that grow with them, and false alarms."""
    found, records = [], []
    for number in range(pictures):
        count = int(rng.integers(1, 4))
        low = np.arange(count)[:, None] * [300.0, 0.0] + rng.uniform(0, 20, (count, 2))
        true = np.hstack([low, low + rng.uniform(30, 200, (count, 2))])
        labels = rng.integers(0, 2, count)
        scores = rng.beta(4, 2, count)
        side = np.sqrt(np.prod(true[:, 2:] - true[:, :2], axis=1))
        spread = 0.02 * (1 + labels) * (1.5 - scores) * side
        placed = true + rng.normal(size=(count, 4)) * spread[:, None]
        wrong = rng.random(count) > scores  # somewhere else altogether
        placed[wrong] += [0, 900, 0, 900]
        found.append(Detections(boxes_xyxy=placed, labels=labels, scores=scores))
        records.append(picture(str(number), Objects.of(true, labels)))
    return found, records


def test_of_right_boxes_nine_in_ten_have_all_sides_within_the_margin_for_each_class() -> None:
    rng = np.random.default_rng(0)
    known, new = (answers_of(*detected(rng, pictures=900), measure=BOXES, names=("a", "b")) for _ in range(2))
    calibration = fit_calibration(known, measure=BOXES, fingerprint="", least_scores={"a": 0.3, "b": 0.3})
    checked = checked_on(calibration, new)
    for one in (checked.pooled, *checked.groups):
        assert one.share is not None and one.expected_low is not None and one.expected_high is not None
        assert one.expected_low <= one.share <= one.expected_high
    assert 0.88 <= checked.pooled.share <= 0.92  # type: ignore[operator]
    assert checked.groups[1].mean_px > 1.5 * checked.groups[0].mean_px  # type: ignore[operator]
    assert checked.probability is not None and checked.probability.ece < 0.04
