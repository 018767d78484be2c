"""The law's fit and forecast against closed forms and simulated runs."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.optimize import curve_fit

from sightline.small_data.forecast import Curve, fit_curve

AMOUNTS = np.array([50.0, 100.0, 200.0, 400.0, 500.0])


def law(n: np.ndarray, c: float, a: float, b: float) -> np.ndarray:
    return c + a * (n / AMOUNTS.max()) ** -b


def fitted(scores: np.ndarray, *, labels: np.ndarray | None = None, less: bool = True) -> Curve:
    labels = np.repeat(AMOUNTS, len(scores) // len(AMOUNTS)) if labels is None else labels
    return fit_curve(labels.tolist(), scores.tolist(), less_is_better=less, at=[1000])


@pytest.mark.parametrize(("c", "a", "b"), [(0.02, 0.05, 0.5), (0.0, 0.08, 0.3), (0.1, 0.01, 1.0)])
def test_a_law_without_noise_is_found_again(c: float, a: float, b: float) -> None:
    found = fitted(law(np.repeat(AMOUNTS, 2), c, a, b))
    assert found.law is not None
    assert found.law.score(500) == pytest.approx(c + a, rel=2e-3)
    (one,) = found.forecasts
    assert one.value == pytest.approx(c + a * 2.0**-b, rel=5e-3)
    assert one.low <= one.value <= one.high
    assert one.high - one.low < 0.05 * one.value


def test_more_is_better_is_the_same_law_upside_down() -> None:
    noise = 1 + 0.03 * np.random.default_rng(0).normal(size=15)
    errors = law(np.repeat(AMOUNTS, 3), 0.1, 0.2, 0.5) * noise
    down, up = fitted(errors), fitted(1 - errors, less=False)
    (low,), (high,) = down.forecasts, up.forecasts
    assert high.value == pytest.approx(1 - low.value)
    assert (high.low, high.high) == pytest.approx((1 - low.high, 1 - low.low))
    assert up.law is not None
    assert down.law is not None
    assert up.law.score(200) == pytest.approx(1 - down.law.score(200))


def test_the_fit_agrees_with_scipys_least_squares() -> None:
    # Errors that hardly differ, so that both ways of weighting are that of plain least squares.
    rng = np.random.default_rng(5)
    n = np.repeat(AMOUNTS, 4)
    y = law(n, 10.0, 0.3, 0.7) + 0.01 * rng.normal(size=len(n))
    found = fitted(y)
    best, _ = curve_fit(law, n, y, p0=(10, 0.3, 0.7), bounds=([0, 0, 0.05], [np.inf, np.inf, 2]))
    assert found.law is not None
    for amount in (50.0, 200.0, 1000.0):
        assert found.law.score(amount) == pytest.approx(float(law(np.array(amount), *best)), abs=2e-3)


@pytest.mark.parametrize(
    ("c", "a", "b", "relative", "absolute", "seeds"),
    [(0.02, 0.05, 0.5, 0.05, 0.0, 3), (0.3, 0.1, 0.3, 0.0, 0.01, 3), (0.05, 0.02, 1.0, 0.08, 0.0, 1)],
    ids=["in-proportion", "all-alike", "one-seed"],
)
def test_the_forecast_interval_covers_new_runs(
    c: float, a: float, b: float, relative: float, absolute: float, seeds: int
) -> None:
    rng = np.random.default_rng(11)
    n = np.repeat(AMOUNTS, seeds)
    covered = told = 0
    for _ in range(80):
        middle = law(n, c, a, b)
        y = middle * (1 + relative * rng.normal(size=len(n))) + absolute * rng.normal(size=len(n))
        truth = float(law(np.array(1000.0), c, a, b))
        new = truth * (1 + relative * rng.normal()) + absolute * rng.normal()
        found = fitted(np.abs(y))
        for one in found.forecasts:
            told += 1
            covered += one.low <= new <= one.high
    assert told >= 40
    assert covered / told >= 0.85, (covered, told)


def test_more_seeds_narrow_the_interval() -> None:
    rng = np.random.default_rng(2)

    def width(seeds: int) -> float:
        widths = []
        for _ in range(15):
            n = np.repeat(AMOUNTS, seeds)
            y = law(n, 0.02, 0.05, 0.5) * (1 + 0.05 * rng.normal(size=len(n)))
            widths += [one.high - one.low for one in fitted(y).forecasts]
        return float(np.median(widths))

    assert width(8) < 0.75 * width(2)


def test_one_seed_is_said_to_tell_little() -> None:
    found = fitted(law(AMOUNTS, 0.02, 0.05, 0.5) * np.array([1.02, 0.99, 1.01, 0.98, 1.01]))
    assert found.forecasts
    assert found.freedom == 2
    assert "one seed only" in found.reasons[0]


@pytest.mark.parametrize(
    ("labels", "scores", "reason"),
    [
        ([50, 50, 100, 100], [0.2, 0.21, 0.15, 0.16], "too few shares: 2"),
        ([50, 100, 200], [0.2, 0.15, 0.12], "too few runs: 3"),
        ([100] * 5, [0.2, 0.21, 0.19, 0.2, 0.22], "too few shares: 1"),
    ],
)
def test_too_little_is_told_and_not_extrapolated(labels: list[int], scores: list[float], reason: str) -> None:
    found = fitted(np.array(scores), labels=np.array(labels, dtype=float))
    assert not found.forecasts
    assert found.law is None
    assert reason in found.reasons[0]


def test_no_trend_is_told() -> None:
    flat = 0.1 * (1 + 0.05 * np.random.default_rng(3).normal(size=15))
    found = fitted(flat)
    assert not found.forecasts
    assert "no trend" in found.reasons[0]
    assert not fitted(law(AMOUNTS[::-1].repeat(2), 0.02, 0.05, 0.5)).forecasts  # it gets worse
    assert "no trend" in fitted(np.full(15, 0.25)).reasons[0]  # all alike


def test_errors_never_go_below_zero_nor_scores_above_the_best() -> None:
    rng = np.random.default_rng(4)
    y = np.abs(law(np.repeat(AMOUNTS, 3), 0.0, 0.01, 1.5) * (1 + 0.4 * rng.normal(size=15)))
    for less, scores in ((True, y), (False, 1 - y)):
        for one in fitted(scores, less=less).forecasts:
            assert 0 <= one.low <= one.high <= (np.inf if less else 1)


def test_json_is_plain() -> None:
    found = fitted(law(np.repeat(AMOUNTS, 2), 0.02, 0.05, 0.5))
    told = json.loads(json.dumps(found.to_json(), allow_nan=False))
    assert set(told) == {"law", "forecasts", "scatter", "freedom", "level", "reasons"}
    assert told["forecasts"][0]["labels"] == 1000
