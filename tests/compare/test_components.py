"""Intervals, p-values and plans against closed forms and scipy; and honest verdicts, simulated."""

from __future__ import annotations

import math

import numpy as np
import pytest
import verdicts
from scipy import stats

from sightline.compare.components import Components, difference, half_width, score
from sightline.compare.plan import plan, seeds_to_look_again
from sightline.compare.verdict import holm, on_these_runs, verdict_of
from sightline.metrics.picture_table import Pooled
from sightline.metrics.units import drawn_counts


def made(value: float, *, pictures: float | None = 1.0, units: int = 100, seeds: float | None = 0.0) -> Components:
    known = seeds is not None
    return Components(
        value=value, pictures=pictures, units=units, seeds=seeds, seed_freedom=4.0 if known else 0.0,
        single_seed=(seeds or 0.0) * 3,
    )  # fmt: skip


def test_pictures_alone_give_a_paired_t_test() -> None:
    rng = np.random.default_rng(0)
    one, other = rng.normal(1.0, 1, 60), rng.normal(1.3, 1, 60)
    weights = drawn_counts(np.arange(60), resamples=20_000, seed=0)
    found = difference(
        other[None].mean(axis=1), (weights @ other / 60)[None], one[None].mean(axis=1), (weights @ one / 60)[None],
        units=60,
    )  # fmt: skip
    expected = stats.ttest_rel(other, one)
    assert found.value == pytest.approx(other.mean() - one.mean())
    assert found.seeds is None
    assert found.p_value() == pytest.approx(expected.pvalue, rel=0.05)
    low, high = expected.confidence_interval(0.95)
    assert found.half_width() == pytest.approx((high - low) / 2, rel=0.02)


def test_seeds_alone_give_welchs_t_test() -> None:
    one, other = np.array([1.0, 1.2, 0.9]), np.array([1.6, 2.4, 1.9, 1.1])
    same = np.ones((1, 50))  # no picture makes any difference
    found = difference(other, other[:, None] * same, one, one[:, None] * same, units=1000)
    assert found.pictures == pytest.approx(0, abs=1e-20)
    expected = stats.ttest_ind(other, one, equal_var=False)
    assert found.seed_freedom == pytest.approx(expected.df)
    assert found.p_value() == pytest.approx(expected.pvalue, rel=1e-6)


def test_half_width_is_banerjees_sum_of_squares() -> None:
    t_pictures, t_seeds = stats.t.ppf(0.975, 99), stats.t.ppf(0.975, 1.5)
    expected = math.sqrt(2.0 * t_pictures**2 + 0.5 * t_seeds**2)
    assert half_width(2.0, 99, 0.5, 1.5, error=0.05) == pytest.approx(expected)


def test_two_seeds_tell_little() -> None:
    values = np.array([1.0, 1.1])
    two = score(values, np.ones((2, 10)) * values[:, None], units=100)
    assert two.half_width() == pytest.approx(stats.t.ppf(0.975, 1) * math.sqrt(0.005 / 2))
    assert two.half_width() > 0.6  # of values that differ by 0.1


def test_one_unit_says_nothing() -> None:
    alone = score(np.array([1.0]), np.ones((1, 10)), units=1)
    assert alone.pictures is None
    assert alone.half_width() is None
    assert alone.p_value() is None
    assert on_these_runs(alone, p=None, less_is_better=True) == "cannot tell"


def test_no_difference_has_the_p_value_1() -> None:
    assert made(0.0, pictures=0.0).p_value() == 1.0


@pytest.mark.parametrize(
    ("value", "less", "expected"), [(-9, True, "better"), (9, True, "worse"), (9, False, "better")]
)
def test_the_direction_decides_the_word(value: float, less: bool, expected: str) -> None:
    found = made(value)
    assert verdict_of(found, p=found.p_value(), less_is_better=less) == expected


def test_a_recipe_is_not_judged_by_one_seed() -> None:
    found = made(9.0, seeds=None)
    assert verdict_of(found, p=found.p_value(), less_is_better=False) == "cannot tell"
    assert on_these_runs(found, p=found.p_value(), less_is_better=False) == "better"


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, None, 0.03]) == pytest.approx([0.03, 0.06, None, 0.06])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


def test_more_of_everything_shows_smaller_differences() -> None:
    found = made(0.5, seeds=0.5)
    sizes = [plan(found, size=size, seeds=3) for size in (20.0, 4.0, 3.0, 1.0)]
    assert [one.is_enough for one in sizes if one is not None] == [True, False, False, False]
    wanted = [one.together for one in sizes[1:] if one is not None]
    assert all(pair is not None for pair in wanted)
    assert wanted == sorted(wanted, key=lambda pair: pair or (0, 0))
    assert all(one is not None and one.least == pytest.approx(sizes[0].least) for one in sizes)  # type: ignore[union-attr]


def test_what_is_planned_for_is_just_enough() -> None:
    found = made(0.5, seeds=0.1)
    wanted = plan(found, size=4.0, seeds=3)
    assert wanted is not None
    assert wanted.units is not None
    more = Components(
        value=0.5, pictures=found.units / wanted.units, units=wanted.units, seeds=0.1, seed_freedom=4.0, single_seed=0.3
    )
    again = plan(more, size=4.2, seeds=3)  # a little more, since the variance of pictures is surer now
    assert again is not None
    assert again.is_enough


def test_without_a_known_spread_there_is_no_plan() -> None:
    assert plan(made(1.0, seeds=None), size=1.0, seeds=1) is None
    assert plan(made(1.0, pictures=None, units=1), size=1.0, seeds=3) is None
    assert [seeds_to_look_again(seeds) for seeds in (1, 2, 3, 4, 5)] == [3, 3, 5, 5, 8]


@pytest.mark.parametrize("seeds", [1, 2, 3])
def test_equal_recipes_are_seldom_told_apart(seeds: int) -> None:
    rng = np.random.default_rng(seeds)
    spread = verdicts.standard_error(verdicts.PICTURES, 0.0) / verdicts.standard_error(1, 0.0)
    share = verdicts.wrong(verdicts.World(gain=0.0, spread=spread), seeds=seeds, trials=100, rng=rng)
    assert share <= 0.08  # of 100 trials with 5 % each, nine are above this in 1 of 30 such tests
    assert share == 0 or seeds > 1


def test_equal_medians_are_seldom_told_apart() -> None:
    """Two recipes of three seeds that find the same pictures hard and differ by chance alone; 95 % means 95 %."""
    rng = np.random.default_rng(3)
    count, trials, told = 60, 80, 0
    drawn = drawn_counts(np.arange(count), resamples=200, seed=0)

    def arm(hard: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        errors = [hard * rng.lognormal(rng.normal(0, 0.02), 0.3, count) for _ in range(3)]
        pools = [Pooled(values=each, picture=np.arange(count), shares={"m": 0.5}) for each in errors]
        values = [pool.quantiles("m", np.ones((1, count)))[0] for pool in pools]
        return np.array(values), np.stack([pool.quantiles("m", drawn) for pool in pools])

    for _ in range(trials):
        hard = rng.lognormal(0, 0.6, count)
        p = difference(*arm(hard), *arm(hard), units=count).p_value()
        assert p is not None
        told += p < 0.05
    assert told <= 0.05 * trials + 2 * np.sqrt(0.05 * 0.95 * trials)


def test_what_is_asked_for_is_enough() -> None:
    tally = verdicts.better_by_one_error(0.1, seeds=3, trials=25, rng=np.random.default_rng(0))
    assert tally.told < tally.looks  # else there would be nothing to ask for
    assert np.mean(tally.fresh) >= 0.8
    assert np.mean(tally.added) >= 0.8
