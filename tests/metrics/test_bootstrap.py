from __future__ import annotations

import time

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from sightline.metrics.bootstrap import (
    Interval,
    interval,
    intervals,
    mean_interval,
    quantile_intervals,
    ratio,
    root_ratio,
)


def test_the_value_of_a_ratio_is_that_of_the_sums_not_the_mean_of_ratios() -> None:
    per_image = np.array([[2.0, 1.0], [10.0, 3.0]])
    assert interval(per_image, ratio).value == 3.0


def test_root_ratio_is_the_root_mean_square() -> None:
    per_image = np.array([[9.0, 1.0], [16.0, 1.0]])
    assert interval(per_image, root_ratio).value == pytest.approx(np.sqrt(12.5))


def test_one_picture_has_a_value_and_no_interval() -> None:
    assert mean_interval(np.array([4.0])) == Interval(value=4.0, low=None, high=None)
    assert mean_interval(np.array([4.0])).to_json() == {"value": 4.0, "low": None, "high": None}


def test_one_group_of_many_pictures_has_no_interval() -> None:
    found = mean_interval(np.array([1.0, 2.0, 3.0]), groups=["a", "a", "a"])
    assert found == Interval(value=2.0, low=None, high=None)


def test_pictures_that_add_nothing_are_not_counted_as_units() -> None:
    per_image = np.array([[0.0, 0.0], [5.0, 1.0], [0.0, 0.0]])
    assert interval(per_image, ratio) == Interval(value=5.0, low=None, high=None)


def test_resamples_without_any_counted_picture_are_left_out() -> None:
    per_image = np.zeros((40, 2))
    per_image[:2] = [[1.0, 1.0], [3.0, 1.0]]
    found = interval(per_image, ratio)
    assert found.value == 2.0
    assert found.low == 1.0
    assert found.high == 3.0


def test_equal_values_give_an_interval_of_no_width() -> None:
    found = mean_interval(np.full(20, 0.3))
    assert found.low == pytest.approx(0.3, abs=1e-12)
    assert found.high == pytest.approx(0.3, abs=1e-12)


def test_equal_seeds_give_equal_intervals_and_other_seeds_do_not() -> None:
    values = np.random.default_rng(1).normal(size=50)
    assert mean_interval(values, seed=3) == mean_interval(values, seed=3)
    assert mean_interval(values, seed=3) != mean_interval(values, seed=4)


def test_a_higher_level_gives_a_wider_interval() -> None:
    values = np.random.default_rng(1).normal(size=50)
    narrow, wide = mean_interval(values, level=0.5), mean_interval(values, level=0.99)
    assert wide.low < narrow.low < narrow.high < wide.high


def test_several_statistics_at_once_agree_with_one_at_a_time() -> None:
    rng = np.random.default_rng(2)
    first, second = rng.random((30, 2)) + 1, rng.random((30, 2)) + 1
    both = intervals({"a": (first, ratio), "b": (second, root_ratio)})
    assert both["a"] == interval(first, ratio)
    assert both["b"] == interval(second, root_ratio)
    assert intervals({}) == {}


def test_values_that_are_not_finite_are_refused() -> None:
    with pytest.raises(AssertionError, match="NaN is not a mask"):
        mean_interval(np.array([1.0, np.nan]))


@pytest.mark.parametrize("arguments", [{"level": 1.0}, {"level": 0.0}, {"resamples": 0}, {"groups": ["a"]}])
def test_senseless_arguments_are_refused(arguments: dict) -> None:
    with pytest.raises(AssertionError):
        mean_interval(np.array([1.0, 2.0]), **arguments)


@pytest.mark.parametrize("size", [25, 200])
def test_the_interval_of_a_skewed_mean_agrees_with_scipy(size: int) -> None:
    values = np.random.default_rng(5).gamma(1.0, 2.0, size=size)
    ours = mean_interval(values, resamples=40_000)
    theirs = scipy.stats.bootstrap(
        (values,), np.mean, n_resamples=40_000, batch=2000, random_state=np.random.default_rng(0)
    )
    width = theirs.confidence_interval.high - theirs.confidence_interval.low
    assert ours.low == pytest.approx(theirs.confidence_interval.low, abs=0.03 * width)
    assert ours.high == pytest.approx(theirs.confidence_interval.high, abs=0.03 * width)


def test_the_interval_of_a_ratio_agrees_with_scipy() -> None:
    rng = np.random.default_rng(6)
    count = rng.integers(1, 10, size=60).astype(float)
    total = rng.gamma(count, 1.0)

    def pooled(a: np.ndarray, b: np.ndarray, axis: int = -1) -> np.ndarray:
        return a.sum(axis=axis) / b.sum(axis=axis)

    ours = interval(np.column_stack([total, count]), ratio, resamples=20_000)
    theirs = scipy.stats.bootstrap(
        (total, count), pooled, paired=True, vectorized=True, n_resamples=20_000, random_state=np.random.default_rng(0)
    ).confidence_interval
    width = theirs.high - theirs.low
    assert ours.low == pytest.approx(theirs.low, abs=0.04 * width)
    assert ours.high == pytest.approx(theirs.high, abs=0.04 * width)


def test_the_interval_of_a_biased_statistic_agrees_with_scipy() -> None:
    squares = np.random.default_rng(7).normal(size=12) ** 4

    def root_mean(a: np.ndarray, axis: int = -1) -> np.ndarray:
        return np.sqrt(a.mean(axis=axis))

    ours = interval(np.column_stack([squares, np.ones(12)]), root_ratio, resamples=40_000)
    theirs = scipy.stats.bootstrap(
        (squares,), root_mean, vectorized=True, n_resamples=40_000, random_state=np.random.default_rng(0)
    ).confidence_interval
    width = theirs.high - theirs.low
    assert ours.low == pytest.approx(theirs.low, abs=0.03 * width)
    assert ours.high == pytest.approx(theirs.high, abs=0.03 * width)


@pytest.mark.parametrize("shape", ["normal", "skewed"])
def test_a_95_percent_interval_covers_the_true_mean_about_that_often(shape: str) -> None:
    rng = np.random.default_rng(7)
    covered = 0
    for _ in range(300):
        values = rng.normal(5.0, 2.0, size=100) if shape == "normal" else rng.gamma(2.0, 2.5, size=100)
        found = mean_interval(values, resamples=1000)
        covered += found.low <= 5.0 <= found.high
    assert 0.92 <= covered / 300 <= 0.98


def test_a_95_percent_interval_of_a_median_covers_it_about_that_often() -> None:
    rng = np.random.default_rng(8)
    covered = 0
    for _ in range(300):
        values = rng.normal(5.0, 2.0, size=100)
        (found,) = quantile_intervals(values, units=np.arange(100), quantiles=[0.5])
        covered += found.low <= 5.0 <= found.high
    assert 0.91 <= covered / 300 <= 0.985


def test_clustered_data_get_a_wider_interval_when_groups_are_told_and_only_then_cover_the_truth() -> None:
    rng = np.random.default_rng(9)
    covered = {"naive": 0, "grouped": 0}
    for _ in range(100):
        person = np.repeat(np.arange(40), 8)
        values = rng.normal(size=40)[person] + 0.3 * rng.normal(size=len(person))
        naive, grouped = mean_interval(values), mean_interval(values, groups=person)
        assert grouped.high - grouped.low > 1.5 * (naive.high - naive.low)
        covered["naive"] += naive.low <= 0 <= naive.high
        covered["grouped"] += grouped.low <= 0 <= grouped.high
    assert covered["grouped"] >= 88
    assert covered["naive"] < 75


def test_groups_of_one_are_the_same_as_no_groups() -> None:
    values = np.random.default_rng(10).normal(size=20)
    assert mean_interval(values, groups=[f"{i:02}" for i in range(20)]) == mean_interval(values)


def test_more_units_than_fit_one_chunk_give_the_right_interval() -> None:
    values = np.random.default_rng(11).normal(size=9000)
    found = mean_interval(values, resamples=1000)
    half = 1.96 * values.std() / np.sqrt(len(values))
    assert found.high - found.low == pytest.approx(2 * half, rel=0.1)


def test_2000_resamples_of_1000_pictures_take_well_under_half_a_second() -> None:
    values = np.random.default_rng(12).normal(size=1000)
    mean_interval(values)
    spans = []
    for _ in range(5):
        start = time.perf_counter()
        mean_interval(values)
        spans.append(time.perf_counter() - start)
    # About 25 ms on an idle core; the bound leaves room for a busy machine.
    assert min(spans) < 0.25


def test_quantile_values_are_those_of_numpy() -> None:
    values = np.random.default_rng(13).gamma(2.0, size=997)
    found = quantile_intervals(values, units=np.arange(997) // 3, quantiles=[0.0, 0.5, 0.95, 1.0])
    assert [f.value for f in found] == pytest.approx([values.min(), *np.quantile(values, [0.5, 0.95]), values.max()])
    for one in found:
        assert one.low <= one.value <= one.high


@given(
    counts=st.lists(st.integers(1, 30), min_size=2, max_size=25),
    quantile=st.sampled_from([0.0, 0.25, 0.5, 0.95, 1.0]),
    seed=st.integers(0, 100),
)
@settings(max_examples=60, deadline=None)
def test_resampled_quantiles_are_those_of_the_values_written_down_again(
    counts: list[int], quantile: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    units = np.repeat(np.arange(len(counts)), counts)
    values = rng.integers(0, 40, size=len(units)).astype(float)  # with ties
    (found,) = quantile_intervals(values, units=units, quantiles=[quantile], resamples=20, seed=seed)
    drawn = np.random.default_rng(seed).integers(0, len(counts), size=(20, len(counts)), dtype=np.int32)
    slow = [np.quantile(np.concatenate([values[units == unit] for unit in row]), quantile) for row in drawn]
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(slow, [0.025, 0.975])))


def test_quantiles_of_one_unit_have_no_interval() -> None:
    (found,) = quantile_intervals(np.array([1.0, 2.0, 6.0]), units=["a", "a", "a"], quantiles=[0.5])
    assert found == Interval(value=2.0, low=None, high=None)
