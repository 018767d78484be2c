"""What an audit says of tables made by hand: differences, skew, overfitting, habit, twins, calibration, confusion."""

from __future__ import annotations

import numpy as np
import pytest
from audit_tables import ERROR, TOLD, row_of, rows_of, table
from scipy import stats

from sightline.audit.certainty import find_confusion, find_miscalibration
from sightline.audit.differences import Effect, Measure, between_parts, effects
from sightline.audit.findings import Finding
from sightline.audit.memory import find_ignored_pictures, find_memorised_points, find_overfitting
from sightline.audit.skew import find_skew, most_harmful
from sightline.audit.twins import find_twins
from sightline.metrics.picture_table import PictureTable
from sightline.records import Skeleton

COUNT = 60
RNG = np.random.default_rng(5)
PLAIN = RNG.lognormal(0, 0.4, COUNT)
GRAIN = RNG.normal(0, 0.05, COUNT)


def ids(findings: list[Finding]) -> list[str]:
    return [finding.id for finding in findings]


def skew(tables: dict[str, np.ndarray], *, setting: str = "") -> list[Finding]:
    return find_skew(rows_of({"plain": PLAIN, **tables}), told=TOLD, setting=lambda _: setting)


# ---- differences


def test_a_paired_difference_is_the_paired_t_test_of_the_pictures() -> None:
    other = PLAIN * 1.2 + GRAIN
    found = effects({"val": {"plain": table(PLAIN), "x:mild": table(other)}}, plain="plain", measure=ERROR)
    effect = found["val", "x:mild"]
    known = stats.ttest_rel(other, PLAIN).confidence_interval()
    assert effect.difference == pytest.approx((other - PLAIN).mean())
    assert (effect.low, effect.high) == pytest.approx((known.low, known.high), rel=0.06)
    assert effect.verdict == "worse"
    assert effect.harm == pytest.approx(other.mean() / PLAIN.mean() - 1)


def test_pairing_finds_what_two_separate_intervals_would_not() -> None:
    """A twentieth more error on every picture, where pictures differ by far more among themselves."""
    tables = {"plain": table(PLAIN), "x:mild": table(PLAIN * 1.05)}
    effect = effects({"val": tables}, plain="plain", measure=ERROR)["val", "x:mild"]
    assert effect.verdict == "worse"
    apart = between_parts(table(PLAIN * 1.05), table(PLAIN), measure=ERROR)
    assert apart is not None
    assert apart.verdict == "cannot tell"


def test_pictures_of_one_clip_are_one_unit() -> None:
    """Twelve copies of five pictures tell as much as five."""
    plain, other = np.repeat(PLAIN[:5], 12), np.repeat(PLAIN[:5] * 1.2 + GRAIN[:5], 12)
    units = np.repeat(np.arange(5), 12)
    wide = effects(
        {"val": {"plain": table(plain, units=units), "x:mild": table(other, units=units)}}, plain="plain", measure=ERROR
    )["val", "x:mild"]
    five = effects({"val": {"plain": table(plain[::12]), "x:mild": table(other[::12])}}, plain="plain", measure=ERROR)
    assert wide.high - wide.low == pytest.approx(five["val", "x:mild"].high - five["val", "x:mild"].low, rel=0.1)


def test_one_picture_says_nothing_of_others() -> None:
    found = effects({"val": {"plain": table([1.0]), "x:mild": table([9.0])}}, plain="plain", measure=ERROR)
    effect = found["val", "x:mild"]
    assert effect.p is None
    assert effect.low is None
    assert effect.verdict == "cannot tell"


def test_many_conditions_without_effect_bring_no_verdict() -> None:
    """Sixty tries at 5 % each would bring three without Holm's correction."""
    rng = np.random.default_rng(0)
    tables = {"plain": table(PLAIN)} | {f"{n}:mild": table(PLAIN + rng.normal(0, 0.2, COUNT)) for n in range(60)}
    found = effects({"val": tables}, plain="plain", measure=ERROR)
    assert sum((effect.p or 1) < 0.05 for effect in found.values()) >= 1
    assert all(effect.verdict == "cannot tell" for effect in found.values())


def test_harm_of_what_should_be_large_is_what_it_lacks_to_one() -> None:
    share = Measure(name="accuracy", less_is_better=False)

    def of(values: list[float]) -> PictureTable:
        sums = np.column_stack([values, np.ones(len(values))])
        names = tuple(map(str, range(len(values))))
        return PictureTable(image_ids=names, units=np.arange(len(values)), sums={"accuracy": (sums, "ratio")})

    tables = {"plain": of([1.0] * 8 + [0.0] * 2), "x:mild": of([1.0] * 4 + [0.0] * 6)}
    assert effects({"val": tables}, plain="plain", measure=share)["val", "x:mild"].harm == pytest.approx(2.0)
    perfect = {"plain": of([1.0] * 10), "x:mild": of([1.0] * 9 + [0.0])}
    assert effects({"val": perfect}, plain="plain", measure=share)["val", "x:mild"].harm == pytest.approx(1.0)


# ---- skew


def test_noise_that_helps_is_the_constant_noise_fault() -> None:
    found = skew({"noise:on": PLAIN * 0.5 + GRAIN, "noise-constant:mild": PLAIN * 0.6},
                 setting="noise_std=0.3 noise_draw=constant")  # fmt: skip
    assert ids(found) == ["needs-augmentation"]
    assert found[0].severity == "error"
    assert "one constant" in found[0].text
    assert "each-image" in found[0].todo


def test_noise_that_costs_is_no_fault() -> None:
    assert "needs-augmentation" not in ids(skew({"noise:on": PLAIN * 1.3, "noise:doubled": PLAIN * 2}))


def test_a_gain_that_is_sure_but_tiny_is_not_worth_a_word() -> None:
    assert skew({"noise:on": PLAIN * 0.97}) == []


def test_a_large_gain_on_few_pictures_is_not_sure() -> None:
    few = {"plain": PLAIN[:3], "noise:on": PLAIN[:3] * np.array([0.2, 1.5, 0.4])}
    assert find_skew(rows_of(few), told=TOLD, setting=lambda _: "") == []


def test_all_augmentation_is_named_only_where_no_single_one_explains_it() -> None:
    both = skew({"all:on": PLAIN * 0.5, "blur:on": PLAIN * 0.6})
    assert [finding.numbers["condition"] for finding in both] == ["blur:on"]
    alone = skew({"all:on": PLAIN * 0.5, "blur:on": PLAIN})
    assert [finding.numbers["condition"] for finding in alone] == ["all:on"]


def test_a_shift_that_helps_is_told_once_with_its_best_level() -> None:
    found = skew({"jpeg:mild": PLAIN * 0.8, "jpeg:strong": PLAIN * 0.5})
    assert ids(found) == ["train-serve-skew"]
    assert found[0].numbers["condition"] == "jpeg:strong"


def test_fragile_means_mild_and_dear_and_the_worst_is_named() -> None:
    found = skew({"blur:mild": PLAIN * 1.4, "jpeg:mild": PLAIN * 1.1, "darker:strong": PLAIN * 3})
    assert [(each.id, each.numbers["condition"]) for each in found] == [
        ("fragile", "blur:mild"), ("most-harmful-shift", "darker:strong")
    ]  # fmt: skip


def test_nothing_is_most_harmful_where_nothing_is_sure() -> None:
    noisy = PLAIN + np.random.default_rng(2).normal(0, 1, COUNT)
    assert most_harmful(rows_of({"plain": PLAIN, "jpeg:mild": noisy})) is None


# ---- memory


def test_overfitting_needs_a_gap_that_is_sure_and_large() -> None:
    rng = np.random.default_rng(1)

    def gap(times: float, count: int) -> list[Finding]:
        train, val = (table(rng.lognormal(0, 0.3, count) * by) for by in (1.0, times))
        effect = between_parts(val, train, measure=ERROR)
        assert effect is not None
        return find_overfitting(effect, effect, errors=(effect.plain, effect.value), told=TOLD)

    assert ids(gap(2.0, 60)) == ["overfitting"]
    assert gap(1.05, 60) == []
    assert gap(2.0, 2) == []


def test_a_network_that_does_as_well_on_others_pixels_ignores_the_picture() -> None:
    def strange(errors: np.ndarray) -> list[Finding]:
        (row,) = rows_of({"plain": PLAIN, "strangers": errors})
        return find_ignored_pictures(row, units=COUNT, told=TOLD)

    assert ids(strange(PLAIN + GRAIN)) == ["ignores-picture"]
    assert strange(PLAIN * 3) == []
    effect: Effect = rows_of({"plain": PLAIN[:3], "strangers": PLAIN[:3]})[0].metric  # type: ignore[assignment]
    assert find_ignored_pictures(row_of("strangers", effect), units=3, told=TOLD) == []


def test_the_one_point_that_is_answered_by_habit_is_named() -> None:
    rng = np.random.default_rng(3)
    plain = rng.lognormal(0, 0.3, (40, 3))
    strangers = plain * [4.0, 1.02, 3.0]
    found = find_memorised_points(
        plain, strangers, np.ones((40, 3), dtype=bool), spread=np.array([1.0, 0.05, 0.9]), names=("a", "b", "c"),
        units=np.arange(40), part="val",
    )  # fmt: skip
    assert [point["name"] for point in found[0].numbers["points"]] == ["b"]
    assert "b (2% better, spread 5%)" in found[0].text


# ---- twins

PAIR = Skeleton(names=("left", "right", "nose"), flip_pairs=((0, 1),))
TRUTH = np.array([[10.0, 10], [30, 10], [20, 20]]) + RNG.normal(0, 2, (COUNT, 3, 2))
ALL = np.ones((COUNT, 3), dtype=bool)


def twins(found_xy: np.ndarray, visible: np.ndarray = ALL) -> list[Finding]:
    return find_twins(found_xy, TRUTH, visible, skeleton=PAIR, units=np.arange(COUNT), part="val")


def test_exchanged_twins_are_counted() -> None:
    found = TRUTH.copy()
    found[:15] = found[:15][:, [1, 0, 2]]
    (finding,) = twins(found)
    assert finding.id == "left-right"
    assert finding.severity == "error"
    assert finding.numbers["share"] == pytest.approx(0.25)
    assert finding.numbers["share_of_error"] == pytest.approx(1.0)
    assert finding.numbers["low"] < 0.25 < finding.numbers["high"]


def test_twins_that_are_exchanged_in_all_pictures_are_an_error() -> None:
    (finding,) = twins(TRUTH[:, [1, 0, 2]])
    assert finding.severity == "error"
    assert finding.numbers["share"] == 1.0


def test_twins_in_the_middle_are_told_apart_from_exchanged_ones() -> None:
    found = TRUTH.copy()
    found[:, :2] = TRUTH[:, :2].mean(axis=1, keepdims=True) + RNG.normal(0, 1, (COUNT, 2, 2))
    assert ids(twins(found)) == ["twins-meet"]


@pytest.mark.parametrize("noise", [0.0, 2.0])
def test_good_and_noisy_points_are_no_confusion(noise: float) -> None:
    assert twins(TRUTH + RNG.normal(0, 1, TRUTH.shape) * noise) == []


def test_twins_that_are_not_labelled_are_not_judged() -> None:
    assert twins(TRUTH[:, [1, 0, 2]], np.zeros_like(ALL)) == []


# ---- scores


def bins(*rows: tuple[int, float, float]) -> dict:
    return {"bins": [{"count": n, "mean_score": score, "share_right": right} for n, score, right in rows]}


def test_scores_that_promise_too_much_are_told() -> None:
    (finding,) = find_miscalibration({"calibration": bins((100, 0.95, 0.6), (0, 0.0, 0.0))}, part="val")
    assert finding.numbers["ece"] == pytest.approx(0.35)
    assert "too sure" in finding.text


def test_few_scores_scatter_and_that_is_no_finding() -> None:
    """Three of four right at a score of 0.95: off by 0.2, as chance alone makes it."""
    assert find_miscalibration({"calibration": bins((4, 0.95, 0.75))}, part="val") == []
    assert find_miscalibration({"calibration": bins((400, 0.95, 0.75))}, part="val") != []


def test_tracks_and_tasks_without_scores_have_their_own_form() -> None:
    track = {"calibration": [{"count": 200, "mean_score": 0.2, "share_visible": 0.7}], "ece": 0.5}
    assert "not sure enough" in find_miscalibration(track, part="val")[0].text
    assert find_miscalibration({}, part="val") == []


def test_the_class_that_is_taken_for_another_is_named_and_background_is_no_class() -> None:
    table = {"names": ["cat", "dog", "background"], "counts": [[30, 10, 20], [0, 40, 0], [5, 5, 0]]}
    (finding,) = find_confusion({"confusion": table}, ("cat", "dog"), part="val")
    assert finding.numbers["pairs"] == [{"true": "cat", "found": "dog", "count": 10, "of": 60, "share": 10 / 60}]
    few = {"names": ["cat", "dog"], "counts": [[4, 1], [0, 5]]}
    assert find_confusion({"confusion": few}, ("cat", "dog"), part="val") == []
