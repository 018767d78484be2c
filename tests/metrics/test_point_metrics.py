from __future__ import annotations

import json
import subprocess
import sys
import time
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sightline.errors import UserError
from sightline.metrics.points import PointErrors, main_metric, point_errors, quick, summarise
from sightline.records import Skeleton
from sightline.skeletons import skeleton

FACE = Skeleton(names=("left_eye_outer", "right_eye_outer", "nose"))
MOUSE = Skeleton(names=("snout", "leftear", "rightear", "tailbase"))


def _face_truth(count: int) -> np.ndarray:
    """Eyes 100 px apart, nose 50 px below: box area 100 x 50."""
    return np.tile([[100.0, 0.0], [0.0, 0.0], [50.0, 50.0]], (count, 1, 1))


def _two_faces(**changes: Any) -> PointErrors:
    """Errors 3-4-5, 0, 0 in the first picture; 6-8-10 at the nose and an unseen eye in the second."""
    truth = _face_truth(2)
    predicted = truth.copy()
    predicted[0, 0] += (3.0, -4.0)
    predicted[1, 2] += (-6.0, 8.0)
    arguments: dict[str, Any] = {
        "predicted_xy": predicted,
        "truth_xy": truth,
        "visible": np.ones((2, 3), dtype=bool),
        "skeleton": FACE,
        "image_ids": ["a.png", "b.png"],
    }
    arguments.update(changes)
    return point_errors(arguments.pop("predicted_xy"), arguments.pop("truth_xy"), arguments.pop("visible"), **arguments)


def _random(count: int, *, seed: int = 0, points: Skeleton = FACE, **more: Any) -> PointErrors:
    rng = np.random.default_rng(seed)
    truth = rng.uniform(0, 100, (count, len(points), 2))
    visible = rng.random((count, len(points))) < 0.8
    visible[0] = True
    predicted = truth + rng.normal(size=truth.shape) * rng.gamma(2, 2, (count, 1, 1))
    ids = [f"{i:04}.png" for i in range(count)]
    return point_errors(predicted, truth, visible, skeleton=points, image_ids=ids, **more)


def test_every_metric_of_two_faces_is_the_one_computed_by_hand() -> None:
    # Distances 5 0 0 and 0 0 10; |d| (3 + 4) and (6 + 8).
    found = quick(_two_faces(), pck_thresholds=(0.02, 0.05, 0.1))
    assert found == pytest.approx(
        {
            "nme_interocular": (5 / 3 / 100 + 10 / 3 / 100) / 2,
            "nme_box": (5 / 3 + 10 / 3) / 2 / np.sqrt(5000),
            "nme_diagonal": (5 / 3 + 10 / 3) / 2 / np.hypot(100, 50),
            "mean_error_px": 15 / 6,
            "median_error_px": 0.0,
            "p95_error_px": 5 + 0.75 * 5,
            "rmse_px": np.sqrt(125 / 6),
            "mean_abs_error_px": 21 / 12,
            "pck_0.02": 4 / 6,
            "pck_0.05": 5 / 6,
            "pck_0.1": 1.0,
            "auc_0.08": ((0.08 - 5 / 300) + (0.08 - 10 / 300)) / 2 / 0.08,
            "failure_rate_0.08": 0.0,
        }
    )


def test_an_error_of_exactly_the_threshold_is_a_hit_and_not_a_failure() -> None:
    truth = np.array([[[128.0, 0.0], [0.0, 0.0], [64.0, 64.0]]])
    predicted = truth + np.array([8.0, 0.0])  # 8 / 128 = 0.0625 has no rounding
    errors = point_errors(predicted, truth, np.ones((1, 3), dtype=bool), skeleton=FACE, image_ids=["a"])
    found = quick(errors, pck_thresholds=[0.0625], curve_limit=0.0625)
    assert found["pck_0.0625"] == 1.0
    assert found["failure_rate_0.0625"] == 0.0
    assert found["auc_0.0625"] == 0.0


def test_the_mean_over_pictures_and_the_pooled_mean_differ_when_pictures_show_unlike_many_points() -> None:
    errors = _two_faces(visible=np.array([[True, True, False], [True, True, True]]))
    found = quick(errors)
    assert found["nme_interocular"] == pytest.approx((5 / 2 + 10 / 3) / 2 / 100)
    assert found["mean_error_px"] == pytest.approx(15 / 5)


def test_what_is_predicted_for_invisible_points_is_never_looked_at() -> None:
    visible = np.array([[True, True, False], [True, True, True]])
    clean = _two_faces(visible=visible)
    truth = _face_truth(2)
    predicted = truth.copy()
    predicted[0, 0] += (3.0, -4.0)
    predicted[1, 2] += (-6.0, 8.0)
    for garbage in (np.nan, np.inf, 1e300, -7.0):
        predicted[0, 2], truth[0, 2] = garbage, -garbage
        dirty = _two_faces(visible=visible, predicted_xy=predicted, truth_xy=truth)
        assert quick(dirty) == quick(clean)
        assert summarise(dirty).to_json() == summarise(clean).to_json()


def test_a_picture_without_both_eye_corners_is_left_out_of_that_nme_only_and_counted() -> None:
    errors = _two_faces(visible=np.array([[True, True, True], [True, False, True]]))
    summary = summarise(errors)
    assert summary.metrics["nme_interocular"].value == pytest.approx(5 / 3 / 100)
    assert summary.metrics["pck_0.05"].value == 1.0  # the 10 px error is in the picture left out
    assert summary.metrics["mean_error_px"].value == pytest.approx(15 / 5)
    assert summary.metrics["nme_box"].value == pytest.approx(
        (5 / 3 + 10 / 2 / np.sqrt(50 * 50) * np.sqrt(5000)) / 2 / np.sqrt(5000)
    )
    assert summary.normaliser == "interocular"
    assert summary.excluded == 1
    assert summary.excluded_by == {"interocular": 1, "box": 0, "diagonal": 0}
    assert [row["nme"] is None for row in summary.per_image] == [False, True]
    assert summary.error_curve["fraction"][-1] == 1.0


def test_when_no_picture_has_the_eyes_visible_the_box_is_the_main_length_and_says_so() -> None:
    errors = _two_faces(visible=np.array([[True, False, True], [True, False, True]]))
    summary = summarise(errors)
    assert summary.normaliser == "box"
    assert "nme_interocular" not in summary.metrics
    assert summary.excluded == 0


def test_a_picture_without_visible_points_changes_nothing_and_is_listed() -> None:
    truth, visible = _face_truth(3), np.array([[True] * 3, [False] * 3, [True] * 3])
    predicted = truth.copy()
    predicted[0, 0] += (3.0, -4.0)
    predicted[1] = 1e9
    predicted[2, 2] += (-6.0, 8.0)
    errors = point_errors(
        predicted, truth, visible, skeleton=FACE, image_ids=["a.png", "empty.png", "b.png"], sizes_hw=[(9, 9)] * 3
    )
    assert {k: v for k, v in quick(errors).items() if k != "nme_image"} == quick(_two_faces())
    summary = summarise(errors)
    assert summary.images == 3
    assert summary.excluded_by == {"interocular": 1, "box": 1, "diagonal": 1, "image": 1}
    assert summary.per_image[1] == {
        "image_id": "empty.png",
        "nme": None,
        "mean_error_px": None,
        "max_error_px": None,
        "visible": 0,
        "worst_point": None,
    }


def test_the_area_under_the_curve_of_evenly_spread_errors_is_the_closed_form() -> None:
    # NMEs spread evenly over 0..0.16: the curve is a straight line that reaches 1/2 at 0.08.
    count = 2000
    truth = _face_truth(count)
    predicted = truth.copy()
    predicted[..., 0] += (100 * 0.16 * (np.arange(count) + 0.5) / count)[:, None]
    errors = point_errors(
        predicted, truth, np.ones((count, 3), dtype=bool), skeleton=FACE, image_ids=[f"{i}" for i in range(count)]
    )
    found = quick(errors)
    assert found["auc_0.08"] == pytest.approx(0.25, abs=1e-6)
    assert found["failure_rate_0.08"] == pytest.approx(0.5)


def test_the_area_agrees_with_a_finely_summed_curve() -> None:
    errors = _random(200, points=MOUSE)
    nme, valid = errors.nme("box")
    thresholds = (np.arange(20_000) + 0.5) / 20_000 * 0.08
    curve = (nme[valid][:, None] <= thresholds).mean(axis=0)
    assert quick(errors)["auc_0.08"] == pytest.approx(curve.mean(), abs=1e-4)


def test_the_error_curve_rises_to_one_less_the_failure_rate() -> None:
    errors = _random(200)
    curve = summarise(errors).error_curve
    assert curve["unit"] == "interocular"
    assert curve["thresholds"][0] == 0.0
    assert curve["thresholds"][-1] == pytest.approx(0.08)
    assert curve["fraction"] == sorted(curve["fraction"])
    assert curve["fraction"][-1] == pytest.approx(1 - quick(errors)["failure_rate_0.08"])


def test_perfect_predictions_score_perfectly() -> None:
    truth = _face_truth(5)
    errors = point_errors(
        truth, truth, np.ones((5, 3), dtype=bool), skeleton=FACE, image_ids=[str(i) for i in range(5)]
    )
    summary = summarise(errors)
    for name, found in summary.metrics.items():
        best = 1.0 if name.startswith(("pck", "auc")) else 0.0
        assert (found.value, found.low, found.high) == (best, best, best), name


def test_one_picture_has_values_and_no_intervals() -> None:
    summary = summarise(_random(1))
    assert {"nme_interocular", "median_error_px", "pck_0.05"} <= set(summary.metrics)
    for found in summary.metrics.values():
        assert found.low is None
        assert found.high is None


def test_quick_gives_the_values_of_the_summary() -> None:
    for points in (FACE, MOUSE, skeleton("ibug68")):
        errors = _random(30, points=points)
        summary = summarise(errors, seed=1)
        assert quick(errors) == {name: found.value for name, found in summary.metrics.items()}
        for found in summary.metrics.values():
            assert found.low <= found.value <= found.high


def test_all_six_lengths_give_an_nme_when_they_are_known() -> None:
    points = skeleton("ibug68")
    errors = _random(10, points=points, boxes=[(0, 0, 10, 10)] * 10, sizes_hw=[(30, 40)] * 10)
    names = {name for name in quick(errors) if name.startswith("nme_")}
    assert names == {f"nme_{n}" for n in ("interocular", "interpupil", "box", "diagonal", "label_box", "image")}
    assert quick(errors)["nme_image"] == pytest.approx(np.mean(errors.mean_px[errors.count > 0]) / 50)


def test_an_animal_is_measured_by_its_box() -> None:
    summary = summarise(_random(20, points=MOUSE))
    assert summary.normaliser == "box"
    assert {"nme_box", "nme_diagonal", "pck_0.05"} <= set(summary.metrics)
    assert not {"nme_interocular", "nme_interpupil"} & set(summary.metrics)


def test_a_single_point_is_measured_in_pixels_or_by_the_picture() -> None:
    ball = Skeleton(names=("ball",))
    truth = np.full((4, 1, 2), 10.0)
    predicted = truth + np.array([3.0, 4.0]) * np.arange(4)[:, None, None]
    more = {"skeleton": ball, "image_ids": list("abcd")}
    visible = np.ones((4, 1), dtype=bool)
    plain = summarise(point_errors(predicted, truth, visible, **more))
    assert set(plain.metrics) == {"mean_error_px", "median_error_px", "p95_error_px", "rmse_px", "mean_abs_error_px"}
    assert plain.normaliser == "none"
    assert plain.error_curve["unit"] == "px"
    assert plain.error_curve["fraction"][0] == 0.25
    assert plain.per_point[0]["nme"] is None
    sized = summarise(point_errors(predicted, truth, visible, sizes_hw=[(30, 40)] * 4, **more))
    assert sized.normaliser == "image"
    assert sized.metrics["pck_0.1"].value == 0.5


@pytest.mark.parametrize(
    ("points", "name"),
    [(FACE, "nme_interocular"), (skeleton("ibug68"), "nme_interocular"), (MOUSE, "mean_error_px")],
)
def test_the_main_metric_is_the_interocular_nme_where_there_are_eyes(points: Skeleton, name: str) -> None:
    assert main_metric(points) == name


def test_the_table_of_points_is_the_one_computed_by_hand() -> None:
    summary = summarise(_two_faces(visible=np.array([[True, True, False], [True, False, False]])))
    assert summary.per_point == [
        {"name": "left_eye_outer", "mean_error_px": 2.5, "nme": pytest.approx(0.05), "count": 2},
        {"name": "right_eye_outer", "mean_error_px": 0.0, "nme": 0.0, "count": 1},
        {"name": "nose", "mean_error_px": None, "nme": None, "count": 0},
    ]


def test_the_table_of_pictures_is_the_one_computed_by_hand() -> None:
    assert summarise(_two_faces()).per_image[1] == {
        "image_id": "b.png",
        "nme": pytest.approx(10 / 300),
        "mean_error_px": pytest.approx(10 / 3),
        "max_error_px": 10.0,
        "visible": 3,
        "worst_point": "nose",
    }


def test_an_invisible_point_is_never_the_worst_even_when_all_others_are_perfect() -> None:
    truth = _face_truth(1)
    errors = point_errors(truth, truth, np.array([[False, False, True]]), skeleton=FACE, image_ids=["a"])
    assert summarise(errors).per_image[0]["worst_point"] == "nose"


def test_the_json_has_its_keys_and_only_plain_values() -> None:
    found = summarise(_random(1)).to_json()
    assert set(found) == {
        "metrics",
        "per_point",
        "error_curve",
        "normaliser",
        "images",
        "excluded",
        "excluded_by",
    }
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert found["metrics"]["rmse_px"].keys() == {"value", "low", "high"}


def test_groups_widen_the_intervals_of_pictures_that_belong_together() -> None:
    rng = np.random.default_rng(3)
    person = np.repeat(np.arange(20), 10)
    truth = _face_truth(200)
    predicted = truth + np.array([1.0, 0.0]) * rng.gamma(2, 2, 20)[person, None, None]
    more = {"skeleton": FACE, "image_ids": [f"{i}" for i in range(200)]}
    visible = np.ones((200, 3), dtype=bool)
    naive = summarise(point_errors(predicted, truth, visible, **more)).metrics
    grouped = summarise(point_errors(predicted, truth, visible, groups=[f"p{i}" for i in person], **more)).metrics
    for name in ("nme_interocular", "mean_error_px", "rmse_px", "median_error_px", "auc_0.08"):
        assert grouped[name].value == naive[name].value
        assert grouped[name].high - grouped[name].low > 1.5 * (naive[name].high - naive[name].low), name


def test_objects_of_one_picture_are_resampled_together_and_groups_of_none_stand_alone() -> None:
    errors = _two_faces(image_ids=["a.png", "a.png"])
    assert summarise(errors).metrics["mean_error_px"].low is None
    apart = _two_faces(image_ids=["a.png", "b.png"], groups=["b.png", None])  # a group called as a picture
    assert summarise(apart).metrics["mean_error_px"].low is not None


@given(order=st.permutations(range(12)))
@settings(max_examples=25, deadline=None)
def test_the_order_of_pictures_does_not_matter(order: list[int]) -> None:
    rng = np.random.default_rng(4)
    truth = rng.uniform(0, 100, (12, 4, 2))
    predicted, visible = truth + rng.normal(size=truth.shape) * 4, rng.random((12, 4)) < 0.7
    ids, groups = [f"{i}.png" for i in range(12)], ["x", None, "y", "z"] * 3

    def run(rows: list[int]) -> dict[str, Any]:
        errors = point_errors(
            predicted[rows],
            truth[rows],
            visible[rows],
            skeleton=MOUSE,
            image_ids=[ids[i] for i in rows],
            groups=[groups[i] for i in rows],
        )
        return summarise(errors).to_json()["metrics"]

    straight, shuffled = run(list(range(12))), run(order)
    for name, numbers in straight.items():
        assert shuffled[name] == pytest.approx(numbers, rel=1e-9), name


@given(scale=st.floats(0.1, 10), dx=st.floats(-50, 50), dy=st.floats(-50, 50))
@settings(max_examples=25, deadline=None)
def test_normalised_metrics_do_not_change_with_scale_and_place_and_pixel_metrics_scale(
    scale: float, dx: float, dy: float
) -> None:
    rng = np.random.default_rng(5)
    truth = rng.uniform(0, 100, (6, 3, 2))
    predicted, visible = truth + rng.normal(size=truth.shape), np.ones((6, 3), dtype=bool)
    more = {"skeleton": FACE, "image_ids": list("abcdef")}
    before = quick(point_errors(predicted, truth, visible, **more))
    moved = (scale * predicted + (dx, dy), scale * truth + (dx, dy))
    after = quick(point_errors(*moved, visible, **more))
    for name, value in before.items():
        assert after[name] == pytest.approx(value * (scale if name.endswith("_px") else 1.0), rel=1e-9), name


def test_float32_predictions_give_what_float64_ones_do() -> None:
    truth = _face_truth(2)
    predicted = truth + 0.25
    more = {"skeleton": FACE, "image_ids": ["a", "b"]}
    visible = np.ones((2, 3), dtype=bool)
    single = point_errors(predicted.astype(np.float32), truth.astype(np.float32), visible, **more)
    assert quick(single) == quick(point_errors(predicted, truth, visible, **more))


def test_no_pictures_is_a_user_error_that_says_what_to_do() -> None:
    empty = np.zeros((0, 3, 2))
    with pytest.raises(UserError, match=r"0 pictures .* Choose another split"):
        point_errors(empty, empty, np.zeros((0, 3), dtype=bool), skeleton=FACE, image_ids=[])


def test_no_visible_point_at_all_is_a_user_error() -> None:
    with pytest.raises(UserError, match="None of the 2 pictures has a visible point"):
        _two_faces(visible=np.zeros((2, 3), dtype=bool))


def test_a_model_with_another_number_of_points_is_a_user_error() -> None:
    with pytest.raises(UserError, match="predictions have 5 points, the labels have 3"):
        _two_faces(predicted_xy=np.zeros((2, 5, 2)))


@pytest.mark.parametrize("broken", [np.nan, np.inf, -np.inf])
def test_a_prediction_that_is_not_finite_is_a_user_error_naming_point_and_picture(broken: float) -> None:
    predicted = _face_truth(2)
    predicted[1, 2, 0] = broken
    with pytest.raises(UserError, match=r"1 predicted points are not finite.*'nose' of b\.png"):
        _two_faces(predicted_xy=predicted)


@pytest.mark.parametrize(
    "changes",
    [
        {"image_ids": ["a"]},
        {"visible": np.ones((2, 3))},
        {"visible": np.ones((2, 2), dtype=bool)},
        {"groups": ["a"]},
        {"boxes": [None]},
        {"sizes_hw": [(3, 3)]},
        {"predicted_xy": np.zeros((1, 3, 2))},
    ],
)
def test_arrays_that_do_not_belong_together_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(AssertionError):
        _two_faces(**changes)


@pytest.mark.parametrize("changes", [{"pck_thresholds": [0.0]}, {"curve_limit": 0.0}, {"curve_limit": -1.0}])
def test_thresholds_must_be_positive(changes: dict[str, Any]) -> None:
    with pytest.raises(AssertionError):
        quick(_two_faces(), **changes)


def test_a_summary_of_a_thousand_faces_takes_well_under_two_seconds() -> None:
    errors = _random(1000, points=skeleton("ibug68"))
    start = time.perf_counter()
    summarise(errors)
    assert time.perf_counter() - start < 2.0


def test_metrics_do_not_import_torch() -> None:
    code = "import sys, sightline.metrics.points; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
