"""Fits and their checks on drawn answers: coverage for all and for each, too few answers, the file, the look-up."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from answer_cases import drawn_points, point_measure
from scipy.stats import binomtest

from sightline.calibration.apply import Calibrator
from sightline.calibration.coverage import expected_share, probabilities, share_limits
from sightline.calibration.file import Calibration, read_calibration, write_calibration
from sightline.calibration.fit import checked_on, fit_calibration
from sightline.calibration.told import line_of, told_at_the_fit, told_of_answers
from sightline.errors import UserError
from sightline.records import Detections, FoundPoints


def fitted(seed: int = 0, *, pictures: int = 400, points: int = 3, **how: object) -> Calibration:
    answers = drawn_points(np.random.default_rng(seed), pictures=pictures, points=points, **how)  # type: ignore[arg-type]
    return fit_calibration(answers, measure=point_measure(points), fingerprint="here")


@pytest.fixture(scope="module")
def calibration() -> Calibration:
    return fitted()


def test_on_new_answers_coverage_is_what_was_asked_for_pooled_and_for_each_point() -> None:
    rng = np.random.default_rng(10)
    pooled, by_point, inside = [], [], []
    for seed in range(6):
        found = checked_on(fitted(seed, pictures=1000), drawn_points(rng, pictures=1500, points=3))
        pooled.append(found.pooled.share)
        by_point.append([group.share for group in found.groups])
        inside += [one.expected_low <= one.share <= one.expected_high for one in found.groups]  # type: ignore[operator]
        assert found.probability is not None and found.probability.ece < 0.04
    assert all(0.88 <= share <= 0.92 for share in pooled)  # type: ignore[operator]
    # The law of one point's coverage: a fit to 1,000 answers strays by 0.0095, a look at 1,500 by 0.0077.
    assert np.mean(by_point, axis=0) == pytest.approx([0.9] * 3, abs=4 * 0.0122 / np.sqrt(6))
    assert sum(inside) >= 15  # of 18, where 95 % are expected


def test_halves_say_what_new_answers_will(calibration: Calibration) -> None:
    checked = calibration.checked
    assert checked is not None and checked.how == "cross-fitted"
    assert checked.pooled.answers == 1200
    assert 0.88 <= checked.pooled.share <= 0.92  # type: ignore[operator]
    new = checked_on(calibration, drawn_points(np.random.default_rng(5), pictures=3000, points=3))
    assert checked.pooled.low <= new.pooled.share <= checked.pooled.high  # type: ignore[operator]


def test_bounds_are_of_each_point_and_smaller_for_sure_answers(calibration: Calibration) -> None:
    calibrator = Calibrator(calibration)
    scores = np.array([0.2, 0.95])
    low, high = (calibrator.bound(np.full(2, number), scores) for number in (0, 2))
    assert low[0] > low[1] and high[0] > high[1]
    assert high[1] > 1.5 * low[1]
    assert all(group.bound is not None and "bound" not in group.note for group in calibration.groups)


def test_points_with_few_answers_take_what_was_fitted_to_all_and_say_so() -> None:
    answers = drawn_points(np.random.default_rng(0), pictures=300, points=2)
    few = answers.take((answers.group == 0) | (answers.unit < 12))
    found = fit_calibration(few, measure=point_measure(2), fingerprint="")
    assert found.groups[0].bound is not None
    assert found.groups[1].bound is None and found.groups[1].measured == 12
    assert "12 answers to measure, 30 are needed" in found.groups[1].note
    calibrator = Calibrator(found)
    assert found.pooled.bound is not None
    wanted = np.array(found.pooled.bound.values)[np.searchsorted(found.pooled.bound.edges, [0.7], side="right")]
    assert calibrator.bound(np.array([1]), np.array([0.7])) == pytest.approx(wanted)


def test_fewer_than_nine_answers_give_no_bound_and_no_probability_but_a_reason() -> None:
    answers = drawn_points(np.random.default_rng(0), pictures=8, points=1)
    found = fit_calibration(answers, measure=point_measure(1), fingerprint="")
    assert found.pooled.bound is None and found.pooled.curve is None and found.checked is None
    assert "8 answers to measure, 9 are needed for 90%" in found.pooled.note
    given = Calibrator(found)(FoundPoints(points_xy=np.zeros((1, 2)), scores=np.ones(1), input_px=2.0))
    assert given.probability is None
    assert given.radius_px is not None and np.isinf(given.radius_px).all()
    assert "9 are needed" in line_of(told_at_the_fit(found)) or "too few" in line_of(told_at_the_fit(found))
    nine = fit_calibration(
        drawn_points(np.random.default_rng(0), pictures=9, points=1), measure=point_measure(1), fingerprint=""
    )
    assert nine.pooled.bound is not None and nine.pooled.bound.counts == (9,)


def test_no_answer_at_all_is_no_mistake() -> None:
    answers = drawn_points(np.random.default_rng(0), pictures=9, points=1)
    found = fit_calibration(answers.take(np.zeros(9, dtype=bool)), measure=point_measure(1), fingerprint="")
    assert found.pooled.answers == 0 and found.pooled.bound is None
    checked = checked_on(found, answers)
    assert checked.pooled.share is None and checked.probability is None


def test_the_file_comes_back_as_it_was(calibration: Calibration, tmp_path: Path) -> None:
    write_calibration(tmp_path / "calibration.json", calibration)
    assert read_calibration(tmp_path / "calibration.json", names=calibration.names) == calibration
    assert read_calibration(tmp_path / "none.json", names=calibration.names) is None


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[: len(text) // 2],
        lambda text: "",
        lambda text: "[]",
        lambda text: text.replace('"coverage": 0.9', '"coverage": 1.9', 1),
        lambda text: text.replace('"format": 1', '"format": 2', 1),
        lambda text: text.replace('"values": [', '"values": [-1.0,', 1),
        lambda text: text.replace('"kind"', '"sort"', 1),
    ],
)
def test_a_damaged_file_is_named(calibration: Calibration, tmp_path: Path, damage: object) -> None:
    path = tmp_path / "calibration.json"
    path.write_text(damage(calibration.to_json()))  # type: ignore[operator]
    with pytest.raises(UserError, match=r"calibration\.json is damaged .* Delete it"):
        read_calibration(path, names=calibration.names)


def test_a_file_of_another_run_is_refused(calibration: Calibration, tmp_path: Path) -> None:
    write_calibration(tmp_path / "calibration.json", calibration)
    with pytest.raises(UserError, match=r"of another run: it speaks of p0, p1, p2, the run of nose"):
        read_calibration(tmp_path / "calibration.json", names=("nose",))


def test_limits_of_answers_that_stand_alone_are_clopper_and_pearsons() -> None:
    within = np.arange(57) < 50
    low, high = share_limits(within, units=np.arange(57))
    oracle = binomtest(50, 57).proportion_ci(method="exact")
    # The variance of a share over n units divides by n - 1, so a little less than n answers count.
    assert (low, high) == pytest.approx((oracle.low, oracle.high), abs=0.002)


def test_answers_of_one_unit_tell_no_more_than_one() -> None:
    alone = np.arange(40) < 36
    once = share_limits(alone, units=np.arange(40))
    assert share_limits(np.repeat(alone, 25), units=np.repeat(np.arange(40), 25)) == pytest.approx(once)
    assert share_limits(np.tile(alone, 4), units=np.tile(np.arange(40), 4), repeats=4) == pytest.approx(once)
    oracle = binomtest(12, 12).proportion_ci(method="exact")
    assert share_limits(np.ones(120, dtype=bool), units=np.arange(120) % 12) == pytest.approx((oracle.low, 1.0))


def test_limits_of_clustered_answers_hold() -> None:
    rng = np.random.default_rng(0)
    inside = 0
    for _ in range(300):
        chance = rng.beta(9, 1, size=60)  # a picture's own chance, 0.9 in the mean
        within = rng.random((60, 20)) < chance[:, None]
        low, high = share_limits(within.ravel(), units=np.repeat(np.arange(60), 20))
        inside += low <= 0.9 <= high
    assert 0.92 <= inside / 300 <= 0.995


def test_the_share_of_a_good_fit_lies_where_it_is_expected() -> None:
    rng = np.random.default_rng(1)
    low, high = expected_share(200, fitted_to=50, asked=0.9)
    shares = []
    for _ in range(4000):
        bound = np.sort(rng.random(50))[45]  # ceil(51 * 0.9) = 46
        shares.append(np.mean(rng.random(200) <= bound))
    inside = np.mean([low <= share <= high for share in shares])
    assert 0.945 <= inside <= 0.975  # whole answers: a little more than 95 %
    assert low < 0.82 and high > 0.95  # much wider than what 200 answers alone say: 0.855 to 0.94
    assert expected_share(1e5, fitted_to=1e5, asked=0.9) == pytest.approx((0.9, 0.9), abs=0.004)


def test_the_calibration_error_by_hand() -> None:
    found = probabilities(np.array([0.15, 0.15, 0.85, 0.85]), np.array([False, True, True, True]))
    assert found.ece == pytest.approx((2 * abs(0.15 - 0.5) + 2 * abs(0.85 - 1.0)) / 4)
    assert [one.count for one in found.bins] == [2, 2]


def test_found_points_and_boxes_are_given_what_the_tables_say(calibration: Calibration) -> None:
    calibrator = Calibrator(calibration)
    scores = np.array([0.3, 0.6, 0.99])
    found = calibrator(FoundPoints(points_xy=np.zeros((3, 2)), scores=scores, input_px=2.5))
    curves = [group.curve or calibration.pooled.curve for group in calibration.groups]
    wanted = [curve(np.array([score]))[0] for curve, score in zip(curves, scores, strict=True) if curve is not None]
    assert found.probability == pytest.approx(wanted)
    assert found.radius_px == pytest.approx(2.5 * 128 * calibrator.bound(np.arange(3), scores))
    of_boxes = calibration.model_copy(update={"measure": calibration.measure.model_copy(update={"scale": "box"})})
    boxes = np.array([[0.0, 0, 40, 10], [5, 5, 30, 30]])
    given = Calibrator(of_boxes)(Detections(boxes_xyxy=boxes, labels=np.array([2, 0]), scores=np.array([0.5, 0.5])))
    assert given.margin_px == pytest.approx([20, 25] * calibrator.bound(np.array([2, 0]), np.array([0.5, 0.5])))
    assert given.select(np.array([False, True])).margin_px == pytest.approx(given.margin_px[1:])


def test_many_answers_are_given_the_same_as_few(calibration: Calibration) -> None:
    rng = np.random.default_rng(0)
    group, scores = rng.integers(0, 3, 6000), rng.random(6000)
    scores[:50] = calibration.pooled.bound.edges[0] if calibration.pooled.bound is not None else 0.5  # on an edge
    calibrator = Calibrator(calibration)
    for give in (calibrator.bound, calibrator.probability):
        parts = [give(group[i : i + 100], scores[i : i + 100]) for i in range(0, 6000, 100)]
        assert give(group, scores).tolist() == np.concatenate(parts).tolist()


def test_below_the_operating_point_nothing_is_promised() -> None:
    answers = drawn_points(np.random.default_rng(0), pictures=300, points=2)
    found = fit_calibration(
        answers, measure=point_measure(2), fingerprint="", least_scores={"p0": 0.6, "p1": 0.0}
    )  # fmt: skip
    bound = Calibrator(found).bound(np.array([0, 0, 1]), np.array([0.59, 0.61, 0.1]))
    assert np.isinf(bound).tolist() == [True, False, False]
    assert found.groups[0].measured == int((answers.score[answers.group == 0] >= 0.6).sum())
    given = checked_on(found, answers).groups[0]
    assert given.answers == found.groups[0].measured


def test_what_is_told_says_whether_it_was_fitted_here(calibration: Calibration) -> None:
    answers = drawn_points(np.random.default_rng(3), pictures=200, points=3)
    here = told_of_answers(calibration, answers, fingerprint="here")
    assert here["checked"]["how"] == "cross-fitted" and "Fitted here" in here["note"]
    there = told_of_answers(calibration, answers, fingerprint="there")
    assert there["checked"]["how"] == "held out" and there["note"] == ""
    part = told_of_answers(calibration, answers, fingerprint="there", trained_on=50, validated_on=7)
    assert "50 of the 200 pictures were trained on and 7 validated on" in part["note"]
    json.dumps(there, allow_nan=False)
    assert "of 600 answers" in line_of(there)
