"""Conformal bounds: ranks by hand, coverage in simulations, and bins that follow the score."""

from __future__ import annotations

import numpy as np
import pytest

from sightline.calibration.conformal import answers_needed, bounds_by_score, conformal_quantile, score_edges


@pytest.mark.parametrize(
    ("count", "coverage", "rank"),
    [(9, 0.9, 9), (10, 0.9, 10), (18, 0.9, 18), (19, 0.9, 18), (99, 0.9, 90), (100, 0.9, 91), (39, 0.95, 38)],
)
def test_the_bound_is_the_error_of_the_closed_forms_rank(count: int, coverage: float, rank: int) -> None:
    errors = np.random.default_rng(0).permutation(np.arange(1.0, count + 1))
    assert conformal_quantile(errors, coverage=coverage) == rank


@pytest.mark.parametrize(("coverage", "needed"), [(0.9, 9), (0.95, 19), (0.99, 99), (0.5, 1), (0.8, 4)])
def test_the_fewest_answers_are_those_whose_rank_exists(coverage: float, needed: int) -> None:
    assert answers_needed(coverage) == needed
    conformal_quantile(np.arange(float(needed)), coverage=coverage)
    with pytest.raises(AssertionError):
        conformal_quantile(np.arange(float(needed - 1)), coverage=coverage)


@pytest.mark.parametrize("count", [9, 20, 57])
def test_mean_coverage_is_the_rank_over_n_plus_one(count: int) -> None:
    """Of exchangeable continuous errors the expected coverage is exactly ceil((n + 1) c) / (n + 1)."""
    rng = np.random.default_rng(1)
    errors = rng.exponential(size=(20_000, count))
    covered = [1 - np.exp(-conformal_quantile(row, coverage=0.9)) for row in errors]
    expected = np.ceil((count + 1) * 0.9 - 1e-9) / (count + 1)
    assert np.mean(covered) == pytest.approx(expected, abs=4 * np.std(covered) / np.sqrt(len(covered)))


def test_bins_hold_enough_answers_and_equal_scores_stay_together() -> None:
    scores = np.repeat([0.1, 0.5, 0.9], [120, 30, 200])
    edges = score_edges(scores, bins=5, least=50)
    place = np.searchsorted(edges, scores, side="right")
    assert np.bincount(place).min() >= 50
    assert all(len(set(place[scores == value])) == 1 for value in (0.1, 0.5, 0.9))
    assert score_edges(np.ones(1000)) == []
    assert score_edges(np.linspace(0, 1, 99)) == []  # two bins of 50 need 100


def test_with_errors_that_depend_on_the_score_bins_hold_for_each_score_and_one_bound_does_not() -> None:
    rng = np.random.default_rng(2)

    def draw(count: int) -> tuple[np.ndarray, np.ndarray]:
        scores = rng.uniform(size=count)
        return np.abs(rng.normal(size=count)) * (0.2 + 3 * (1 - scores)), scores

    errors, scores = draw(3000)
    edges, bounds, counts = bounds_by_score(errors, scores, coverage=0.9)
    assert sum(counts) == 3000 and len(bounds) == 5
    assert bounds == sorted(bounds, reverse=True)
    fresh, at = draw(60_000)
    binned = np.array(bounds)[np.searchsorted(edges, at, side="right")]
    single = conformal_quantile(errors, coverage=0.9)
    quarter = (at * 4).astype(int)
    by_bins = [np.mean((fresh <= binned)[quarter == number]) for number in range(4)]
    by_one = [np.mean((fresh <= single)[quarter == number]) for number in range(4)]
    assert max(abs(share - 0.9) for share in by_bins) < 0.04
    assert min(by_one) < 0.78 and max(by_one) > 0.99
    assert 0.88 < np.mean(fresh <= binned) < 0.92
    assert binned.mean() < 0.95 * single
