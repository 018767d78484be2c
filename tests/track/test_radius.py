"""The error radius: coverage that can be counted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sightline.calibration.conformal import conformal_quantile
from sightline.errors import UserError
from sightline.track.radius import RadiusTable, fit_radius, read_radius, write_radius


def test_the_quantile_is_the_ceil_of_n_plus_one_times_the_coverage() -> None:
    # n = 9: rank ceil(9.0) = 9, the largest; n = 19: rank 18; n = 10: rank ceil(9.9) = 10.
    assert conformal_quantile(np.arange(9.0), coverage=0.9) == 8
    assert conformal_quantile(np.arange(19.0)[::-1], coverage=0.9) == 17
    assert conformal_quantile(np.arange(10.0), coverage=0.9) == 9


def test_answers_of_a_low_score_get_a_larger_radius() -> None:
    scores = np.repeat([0.55, 0.95], 100)
    errors = np.concatenate([np.linspace(0, 10, 100), np.linspace(0, 1, 100)])
    table = fit_radius(errors, scores, bins=2)
    assert table.edges == (0.95,)
    assert table.counts == (100, 100)
    assert table.radius(0.6) == pytest.approx(np.sort(errors[:100])[90])  # rank ceil(90.9) = 91
    assert table.radius(0.95) == table.radius(1.0) == pytest.approx(np.sort(errors[100:])[90])


def test_new_answers_lie_within_as_often_as_promised() -> None:
    rng = np.random.default_rng(5)
    inside = []
    for _ in range(200):
        scores = rng.random(600)
        errors = rng.exponential(1 + 8 * (1 - scores))
        table = fit_radius(errors[:300], scores[:300])
        inside.append(np.mean([e <= table.radius(s) for e, s in zip(errors[300:], scores[300:], strict=True)]))
    # 60,000 answers; the promise holds on average over draws of the 300, and overshoots by at most 1/61 a bin.
    assert 0.897 <= np.mean(inside) <= 0.92


def test_equal_scores_stay_in_one_bin_and_bins_are_not_too_small() -> None:
    table = fit_radius(np.arange(100.0), np.ones(100), bins=5)
    assert table.edges == ()
    assert table.counts == (100,)
    few = fit_radius(np.arange(120.0), np.linspace(0, 1, 120), bins=5, least=50)
    assert len(few.counts) == 2
    assert min(few.counts) >= 50


def test_too_few_answers_are_told() -> None:
    with pytest.raises(UserError, match="at least 9 visible points on labelled frames, and there are 8"):
        fit_radius(np.ones(8), np.ones(8))
    assert fit_radius(np.arange(9.0), np.linspace(0, 1, 9)).radius_px == (8.0,)


def test_a_table_comes_back_from_its_file(tmp_path: Path) -> None:
    assert read_radius(tmp_path) is None
    table = RadiusTable(coverage=0.9, edges=(0.5, 0.75), radius_px=(9.5, 4.25, 1.0), counts=(60, 61, 62))
    write_radius(tmp_path, table)
    assert read_radius(tmp_path) == table


@pytest.mark.parametrize(
    "text",
    ["{", "[]", '{"coverage": 0.9}', '{"coverage": 0.9, "edges": [], "radius_px": [], "counts": []}'],
)
def test_a_damaged_file_is_told(tmp_path: Path, text: str) -> None:
    (tmp_path / "radius.json").write_text(text)
    with pytest.raises(UserError, match=r"radius\.json is damaged"):
        read_radius(tmp_path)
