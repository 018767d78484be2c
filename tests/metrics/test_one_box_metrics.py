from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from sightline.errors import UserError
from sightline.geometry import iou
from sightline.metrics.one_box import OneBoxSummary, quick_one_box, summarise_one_box

CLASSES = ("jet", "kite", "plane")
BOX = [0.0, 0.0, 40.0, 40.0]
HALF = [0.0, 0.0, 40.0, 20.0]
MOST = [0.0, 0.0, 40.0, 32.0]
AWAY = [100.0, 100.0, 140.0, 140.0]


def four(**changes: Any) -> OneBoxSummary:
    """IoU 1, 0.5, 0.8 and 0; right, wrong, right and right."""
    arguments: dict[str, Any] = {
        "predicted_xyxy": np.array([BOX, HALF, MOST, AWAY]),
        "predicted_labels": np.array([0, 1, 1, 0]),
        "scores": np.array([0.9, 0.8, 0.7, 0.2]),
        "truth_xyxy": np.array([BOX] * 4),
        "truth_labels": np.array([0, 0, 1, 0]),
        "classes": CLASSES,
        "image_ids": ["a", "b", "c", "d"],
    }
    return summarise_one_box(**(arguments | changes))


def random_pictures(count: int, seed: int = 0) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    corner = rng.uniform(0, 100, (count, 2))
    truth = np.concatenate([corner, corner + rng.uniform(20, 90, (count, 2))], axis=1)
    labels = rng.integers(0, 3, count)
    return {
        "predicted_xyxy": truth + rng.normal(0, 5, (count, 4)),
        "predicted_labels": np.where(rng.random(count) < 0.9, labels, rng.integers(0, 3, count)),
        "scores": rng.random(count),
        "truth_xyxy": truth,
        "truth_labels": labels,
    }


def test_the_metrics_are_those_computed_by_hand() -> None:
    metrics = {name: one.value for name, one in four().metrics.items()}
    assert metrics == pytest.approx(
        {
            "mean_iou": 2.3 / 4,
            "median_iou": 0.65,
            "accuracy": 0.75,
            "score": (2.3 / 4 + 0.75) / 2,
            "iou_at_0.5": 0.75,
            "iou_at_0.75": 0.5,
            "both_0.5": 0.5,
        }
    )


def test_quick_gives_the_same_values() -> None:
    drawn = random_pictures(50)
    summary = summarise_one_box(**drawn, classes=CLASSES, image_ids=[str(n) for n in range(50)])
    del drawn["scores"]
    quick = quick_one_box(**drawn, classes=CLASSES)
    assert quick == pytest.approx({name: one.value for name, one in summary.metrics.items()})
    pairs = zip(drawn["predicted_xyxy"].tolist(), drawn["truth_xyxy"].tolist(), strict=True)
    assert quick["mean_iou"] == pytest.approx(np.mean([iou(tuple(a), tuple(b)) for a, b in pairs]))


def test_rows_of_pictures_rank_a_wrong_class_before_a_wrong_place() -> None:
    rows = four().per_image
    assert [row["error"] for row in rows] == pytest.approx([0.0, 1.5, 0.2, 1.0])
    assert rows[1] == {
        "image_id": "b", "iou": 0.5, "correct": False, "truth": "jet", "predicted": "kite", "confidence": 0.8,
        "error": 1.5,
    }  # fmt: skip


def test_rows_of_classes_and_the_confusion_matrix_agree() -> None:
    summary = four()
    jet, kite, plane = summary.per_class
    assert jet == {
        "name": "jet", "objects": 3, "mean_iou": pytest.approx(0.5), "accuracy": pytest.approx(2 / 3),
        "score": pytest.approx(7 / 12), "predicted": 2, "precision": 1.0,
    }  # fmt: skip
    assert (kite["precision"], kite["mean_iou"]) == (0.5, pytest.approx(0.8))
    assert plane == {
        "name": "plane", "objects": 0, "mean_iou": None, "accuracy": None, "score": None, "predicted": 0,
        "precision": None,
    }  # fmt: skip
    assert summary.confusion == {"names": list(CLASSES), "counts": [[2, 1, 0], [0, 1, 0], [0, 0, 0]]}


def test_the_curve_falls_from_one_and_passes_through_the_metrics() -> None:
    curve = four().iou_curve
    at = dict(zip(np.round(curve["thresholds"], 2).tolist(), curve["fraction"], strict=True))
    assert (at[0.0], at[0.5], at[0.51], at[0.75], at[1.0]) == (1.0, 0.75, 0.5, 0.5, 0.25)
    assert (np.diff(curve["fraction"]) <= 0).all()


def test_the_json_has_plain_values_and_stable_keys() -> None:
    found = json.loads(json.dumps(four().to_json(), allow_nan=False))
    assert list(found) == ["metrics", "per_class", "iou_curve", "confusion", "calibration", "images"]
    assert found["images"] == 4
    assert sum(row["count"] for row in found["calibration"]["bins"]) == 4


def test_a_share_that_never_failed_still_has_an_interval() -> None:
    drawn = random_pictures(30)
    drawn["predicted_labels"] = drawn["truth_labels"]
    names = [str(number) for number in range(30)]
    accuracy = summarise_one_box(**drawn, classes=CLASSES, image_ids=names).metrics["accuracy"]
    assert accuracy.value == accuracy.high == 1.0
    assert accuracy.low == pytest.approx(30 / (30 + 1.959964**2))
    groups = [str(number // 3) for number in range(30)]
    grouped = summarise_one_box(**drawn, classes=CLASSES, image_ids=names, groups=groups).metrics["accuracy"]
    assert grouped.low == pytest.approx(10 / (10 + 1.959964**2))
    wrong = random_pictures(30) | {"predicted_labels": (drawn["truth_labels"] + 1) % 3}
    never = summarise_one_box(**wrong, classes=CLASSES, image_ids=names).metrics
    assert never["accuracy"].low == 0.0
    assert never["accuracy"].high == pytest.approx(1 - 30 / (30 + 1.959964**2))


def test_one_picture_has_values_and_no_intervals() -> None:
    alone = summarise_one_box(**random_pictures(1), classes=CLASSES, image_ids=["a"]).metrics
    assert all(one.low is None and one.high is None for one in alone.values())


@pytest.mark.parametrize("name", ["mean_iou", "accuracy", "score", "median_iou"])
def test_a_95_percent_interval_covers_the_value_of_the_source(name: str) -> None:
    everything = random_pictures(20_000, seed=1)
    truth = quick_one_box(
        *(everything[key] for key in ("predicted_xyxy", "predicted_labels", "truth_xyxy", "truth_labels")),
        classes=CLASSES,
    )[name]
    covered = 0
    for start in range(0, 8000, 100):
        sample = {key: values[start : start + 100] for key, values in everything.items()}
        one = summarise_one_box(**sample, classes=CLASSES, image_ids=[str(n) for n in range(100)]).metrics[name]
        assert one.low is not None and one.high is not None
        covered += one.low <= truth <= one.high
    assert covered >= 0.87 * 80


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image_ids": ["a"]}, "1 picture names for 4 labelled pictures"),
        ({"predicted_xyxy": np.array([BOX])}, "1 predicted boxes for 4"),
        ({"predicted_labels": np.array([0])}, "1 predicted classes"),
        ({"scores": np.array([0.5])}, "1 scores for 4"),
        ({"scores": np.array([0.5, np.nan, 0.5, 0.5])}, "first is nan in b"),
        ({"predicted_xyxy": np.array([BOX, BOX, [0, 0, np.nan, 1], BOX])}, "1 of the predicted boxes are not finite"),
        ({"truth_xyxy": np.array([BOX, BOX, BOX, [0, 0, np.inf, 1]])}, "true boxes are not finite numbers, the first"),
        ({"truth_xyxy": np.array([BOX, [5, 5, 5, 9], BOX, BOX])}, "1 true boxes have no area.* of b"),
        ({"predicted_labels": np.array([0, 1, 3, 0])}, "class 3 in c"),
        ({"truth_labels": np.array([0, 1, -1, 0])}, "class -1 in c"),
        (
            {
                "predicted_xyxy": np.zeros((0, 4)), "predicted_labels": np.zeros(0), "scores": np.zeros(0),
                "truth_xyxy": np.zeros((0, 4)), "truth_labels": np.zeros(0), "image_ids": [],
            },
            "0 pictures",
        ),
    ],
)  # fmt: skip
def test_bad_input_is_told_with_its_picture(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        four(**changes)
