"""Scores to probabilities: known sigmoids come back, stairs are those of hand-made cases, nothing is ever certain."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from sightline.calibration.probability import Curve, best_kind, fit_curve, fold_of, log_loss, logit, sigmoid


def drawn(slope: float, offset: float, *, count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    scores = rng.beta(2, 1.5, size=count)
    return scores, rng.random(count) < sigmoid(slope * logit(scores) + offset)


def test_a_known_sigmoid_is_recovered() -> None:
    scores, right = drawn(0.4, -1.2, count=40_000, seed=0)
    curve = fit_curve(scores, right, kind="platt")
    assert (curve.slope, curve.offset) == pytest.approx((0.4, -1.2), abs=0.05)
    assert best_kind(scores, right, units=np.arange(len(scores))) == "platt"


def test_a_known_temperature_is_recovered_and_preferred_to_what_needs_more_numbers() -> None:
    scores, right = drawn(0.5, 0.0, count=20_000, seed=1)
    assert fit_curve(scores, right, kind="temperature").slope == pytest.approx(0.5, abs=0.03)
    assert best_kind(scores, right, units=np.arange(len(scores))) == "temperature"


def test_scores_that_say_nothing_give_the_share_of_right_answers() -> None:
    rng = np.random.default_rng(2)
    right = rng.random(500) < 0.7
    kind = best_kind(rng.random(500), right, units=np.arange(500))
    assert kind == "constant"
    curve = fit_curve(np.ones(500), right, kind="platt")  # a head without scores
    assert curve.kind == "constant"
    assert curve(np.array([0.0, 1.0])) == pytest.approx([(right.sum() + 1) / 502] * 2)


def test_a_relation_that_is_no_sigmoid_gets_a_staircase() -> None:
    rng = np.random.default_rng(3)
    scores = rng.random(6000)
    right = rng.random(6000) < np.where(scores < 0.3, 0.05, np.where(scores < 0.8, 0.5, 0.55))
    assert best_kind(scores, right, units=np.arange(6000)) == "isotonic"
    curve = fit_curve(scores, right, kind="isotonic")
    assert curve(np.array([0.15, 0.55])) == pytest.approx([0.05, 0.5], abs=0.05)


def test_stairs_of_a_case_by_hand() -> None:
    # Right at 0.2 and wrong at 0.3 are pooled; each step is drawn towards (3 + 1) / (6 + 2) by two answers.
    scores = np.array([0.1, 0.2, 0.3, 0.7, 0.7, 0.9])
    right = np.array([False, True, False, True, False, True])
    curve = fit_curve(scores, right, kind="isotonic")
    steps = curve(np.array([0.0, 0.14, 0.16, 0.5, 0.79, 0.81, 1.0]))
    zero, half, one = (0 + 1) / 3, (2 + 1) / 6, (1 + 1) / 3
    assert steps == pytest.approx([zero, zero, half, half, half, one, one])


@pytest.mark.parametrize("kind", ["constant", "temperature", "platt", "isotonic"])
@pytest.mark.parametrize("share", ["none", "all", "parted"])
def test_nothing_is_ever_certain(kind: str, share: str) -> None:
    scores = np.linspace(0, 1, 60)
    right = {"none": scores < 0, "all": scores >= 0, "parted": scores > 0.5}[share]
    probability = fit_curve(scores, right, kind=kind)(np.array([0.0, 1e-12, 0.5, 1 - 1e-12, 1.0]))  # type: ignore[arg-type]
    assert (probability > 0).all() and (probability < 1).all()
    assert (np.diff(probability) >= 0).all()
    assert np.isfinite(log_loss(probability, np.ones(5, dtype=bool)))


def test_scores_that_speak_against_themselves_are_not_turned_round() -> None:
    scores, right = drawn(-2.0, 0.0, count=2000, seed=4)
    assert fit_curve(scores, right, kind="platt").slope == 0


def test_a_group_takes_a_curve_of_its_own_only_where_it_predicts_better() -> None:
    scores, right = drawn(1.0, 0.0, count=400, seed=5)
    units = np.arange(400)
    assert best_kind(scores, right, units=units, given=Curve(kind="temperature", slope=1.0)) is None
    assert best_kind(scores, right, units=units, given=Curve(kind="platt", slope=1.0, offset=3.0)) is not None


def test_folds_keep_units_whole_and_are_even() -> None:
    units = np.repeat(np.arange(23), 7)
    fold = fold_of(units, folds=5, seed=0)
    assert all(len(set(fold[units == unit])) == 1 for unit in range(23))
    assert set(np.bincount(fold) // 7) == {4, 5}
    assert fold_of(np.zeros(4, dtype=int), folds=5, seed=0).tolist() == [0] * 4


@pytest.mark.parametrize(
    "wrong",
    [
        {"edges": (0.5,), "values": (0.1,)},
        {"edges": (0.5,), "values": (0.3, 0.2)},
        {"edges": (0.6, 0.5), "values": (0.1, 0.2, 0.3)},
        {"edges": (), "values": (1.0,)},
        {"slope": -1.0},
    ],
)
def test_curves_that_cannot_be_are_refused(wrong: dict) -> None:
    with pytest.raises(ValidationError):
        Curve(kind="isotonic", **wrong)
