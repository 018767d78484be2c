"""`sightline learning-curve`: one validation part, nested shares, a forecast or a word why there is none."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

Cli = Callable[..., Any]


def command(recipe_file: Path, faces: Path, out: Path, *more: object) -> list[object]:
    words = ["learning-curve", recipe_file, "--data", faces, "--out", out, "--device", "cpu"]
    return [*words, "--set", "train.epochs=1", *more]


def refused(cli: Cli, *words: object) -> str:
    ran = cli(*words)
    assert ran.code == 2, ran.out
    return ran.err.replace("\n", " ")


def test_a_curve_is_trained_kept_and_forecast(cli: Cli, recipe_file: Path, faces: Path, tmp_path: Path) -> None:
    out = tmp_path / "curve"
    words = command(recipe_file, faces, out, "--shares", 25, 100, 50, "--seeds", 2)
    ran = cli(*words, "--json")
    assert ran.code == 0, ran.err
    told = ran.json
    assert [run["labels"] for run in told["runs"]] == [3, 3, 6, 6, 12, 12]
    assert told["val"] == 4
    assert told == json.loads((out / "curve.json").read_text()) | {"page": told["page"]}
    splits = {run["name"]: json.loads((out / run["name"] / "split.json").read_text()) for run in told["runs"]}
    validates = {tuple(split["val"]) for split in splits.values()}
    assert len(validates) == 1
    for seed in range(2):
        parts = [set(splits[f"share-{share}-seed{seed}"]["train"]) for share in (25, 50, 100)]
        assert parts[0] < parts[1] < parts[2]
        assert not parts[2] & set(next(iter(validates)))
    for run in told["runs"]:
        measured = json.loads((out / run["name"] / "evaluation" / "metrics.json").read_text())
        assert run["value"] == measured["metrics"][told["metric"]]["value"]
    for share in told["shares"]:
        values = [run["value"] for run in told["runs"] if run["share"] == share["share"]]
        assert share["mean"] == pytest.approx(np.mean(values))
        assert share["spread"] == pytest.approx(np.std(values, ddof=1))
    assert bool(told["forecasts"]) != any("no trend" in reason for reason in told["reasons"])
    # The same again trains nothing; what broke off goes on; more seeds are added to what is there.
    shutil.rmtree(out / "share-50-seed1" / "evaluation")
    again = cli(*words)
    assert again.code == 0, again.err
    assert again.out.count("there already") == 5
    assert f"{out / 'share-50-seed1'}: goes on" in again.out
    assert json.loads((out / "curve.json").read_text()) == {key: told[key] for key in told if key != "page"}
    page = Path(told["page"]).read_text()
    assert "default-src 'none'" in page
    assert "share-100-seed1/report.html" in page


def test_one_seed_of_two_shares_forecasts_nothing_and_says_so(
    cli: Cli, recipe_file: Path, faces: Path, tmp_path: Path
) -> None:
    out = tmp_path / "curve"
    words = command(recipe_file, faces, out, "--set", "train.min_steps=3", "--shares", 50, 100, "--seeds")
    ran = cli(*words, 1)
    assert ran.code == 0, ran.err
    assert "cannot tell what twice the labels would give" in ran.out
    assert "too few shares: 2 different amounts" in ran.out
    assert "little data is trained for fewer steps" not in ran.out
    assert "3 with 50 % of the labels, 3 with 100 %" in ran.out
    assert "cannot tell" in (out / "learning-curve.html").read_text().lower()
    grown = cli(*words, 2)
    assert grown.code == 0, grown.err
    assert grown.out.count("there already") == 2
    assert "seeds (2 there, 1 asked for)" in refused(cli, *words, 1)


def test_what_no_curve_can_be_made_of(cli: Cli, recipe_file: Path, faces: Path, tmp_path: Path) -> None:
    words = command(recipe_file, faces, tmp_path / "new")
    for shares in (["0", "50"], ["50", "120"], ["50", "50"]):
        assert "expected different shares above 0" in refused(cli, *words, "--shares", *shares)
    assert "at least 1 seed" in refused(cli, *words, "--seeds", 0)
    many = [str(share) for share in range(1, 15)]
    assert "has 12 pictures, too few for 14 different shares" in refused(cli, *words, "--shares", *many)
    assert "name one of its stages" in refused(
        cli, "learning-curve", "track-ball", "--data", faces, "--out", tmp_path / "new"
    )
    assert not (tmp_path / "new").exists()
    full = tmp_path / "full"
    full.mkdir()
    (full / "notes.txt").write_text("mine")
    assert "holds something else" in refused(cli, *command(recipe_file, faces, full))
    assert [path.name for path in full.iterdir()] == ["notes.txt"]
