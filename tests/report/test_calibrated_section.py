"""The section on probability and radius: what was found is said in words, and nothing hostile gets through."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from run_folders import make_run_folder

from sightline.calibration.answers import Answers
from sightline.calibration.fit import fit_calibration
from sightline.calibration.measure import Measure
from sightline.calibration.told import told_at_the_fit, told_of_answers
from sightline.report.page import write_report


def answers(names: tuple[str, ...], *, pictures: int, seed: int) -> Answers:
    rng = np.random.default_rng(seed)
    group = np.tile(np.arange(len(names)), pictures)
    scores = rng.beta(4, 2, size=len(group))
    away = np.abs(rng.normal(size=len(group))) * (1.2 - scores) * (1 + group)
    return Answers(
        names=names, pictures=pictures, group=group, unit=np.repeat(np.arange(pictures), len(names)), score=scores,
        scale_px=np.full(len(group), 50.0), away_px=away, measured=np.ones(len(group), dtype=bool), right=away <= 2.5,
    )  # fmt: skip


def page(run: Path, told: object) -> str:
    path = run / "evaluation" / "metrics.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "calibrated": told}))
    html = write_report(run).read_text()
    return html[html.index('<section id="calibrated">') :].split("</section>")[0] if 'id="calibrated"' in html else ""


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return make_run_folder(tmp_path, pictures=4)


def told(kind: str, *, pictures: int = 200, names: tuple[str, ...] = ("nose", "chin")) -> dict:
    measure = Measure.of("points", crop="points", input_hw=(64, 64), points=len(names))
    fitted = fit_calibration(answers(names, pictures=pictures, seed=0), measure=measure, fingerprint="x")
    if kind == "fit":
        return told_at_the_fit(fitted)
    return told_of_answers(fitted, answers(names, pictures=90, seed=1), fingerprint="y")


def test_a_training_says_that_it_was_fitted_here(run: Path) -> None:
    given = told("fit")
    section = page(run, given)
    assert "Fitted here, on these 200 pictures" in section
    assert f"<b>{given['checked']['pooled']['share']:.1%}".replace("%", "\u202f%") in section
    assert section.count('<svg viewBox="-3 0') == 3  # all, nose and chin
    assert "<rect" not in section.split("<figure")[0]
    assert "Right at each probability" in section


def test_other_data_show_the_range_in_which_a_good_fit_lies(run: Path) -> None:
    section = page(run, told("held out"))
    assert "on pictures that nothing was fitted to" in section
    assert section.count("; a good fit lies in") == 3
    assert "Fitted here" not in section


def test_too_few_answers_are_told_with_the_reason(run: Path) -> None:
    section = page(run, told("fit", pictures=3, names=("nose",)))
    assert "3 answers to measure, 9 are needed" in section
    assert "too few to check" in section


def test_names_cannot_break_out_and_odd_values_do_no_harm(run: Path) -> None:
    nasty = "</td><script>alert(1)</script>"
    assert "<script>alert" not in page(run, told("fit", names=(nasty, "b")))
    for wrong in (None, [], {"coverage": "x"}, {"coverage": 0.9, "checked": {"pooled": {"share": 0.9}, "groups": [1]}}):
        page(run, wrong)
    assert page(run, {}) == ""
