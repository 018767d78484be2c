"""`sightline train --folds`: every picture once by a network that has not seen it, kept, resumed, compared."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from sightline.compare.runs import read_run
from sightline.drawn.plain_shapes import write_drawn_shapes
from sightline.small_data.folds_summary import corrected_interval

Cli = Callable[..., Any]
FAST = ("--set", "train.epochs=1", "--device", "cpu")
ONE_BOX = """
recipe: tiny-one-box
classes: [object]
data: {input_hw: [32, 32], crop: image, workers: 0}
backbone:
  kind: convnet
  layers: [{channels: 8, stride: 2, padding: 1}, {channels: 8, stride: 2, padding: 1}, {channels: 8, stride: 2}]
neck: {kind: none}
head: {kind: one-box}
codec: {kind: one-box}
train: {epochs: 1, batch: 8, lr: 0.003}
"""


@pytest.fixture(scope="module")
def folded(recipe_file: Path, faces: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two repeats of three folds of sixteen faces."""
    from sightline.cli.choose import chosen
    from sightline.compare.ladder import Means
    from sightline.prepare import load_data
    from sightline.small_data.folds import plan_folds, train_folds
    from sightline.small_data.folds_page import write_folds_page
    from sightline.small_data.folds_summary import summarise_folds

    experiment = chosen(str(recipe_file), None, ["train.epochs=1"])
    out = tmp_path_factory.mktemp("folds") / "out"
    plan = plan_folds(experiment, load_data(faces, skip_broken=False), folds=3, repeats=2)
    train_folds(plan, out, Means(command="sightline train"))
    write_folds_page(summarise_folds(out))
    return out


def command(recipe_file: Path, faces: Path, out: Path, *more: object) -> list[object]:
    return ["train", recipe_file, "--data", faces, "--out", out, "--folds", 3, "--repeats", 2, *FAST, *more]


def refused(cli: Cli, *words: object) -> str:
    ran = cli("train", *words)
    assert ran.code == 2, ran.out
    return ran.err.replace("\n", " ")


def test_every_picture_is_predicted_once_by_a_network_that_has_not_seen_it(folded: Path) -> None:
    for repeat in range(2):
        with (folded / f"repeat-{repeat}" / "evaluation" / "per_image.csv").open() as file:
            rows = list(csv.DictReader(file))
        assert len(rows) == len({row["image_id"] for row in rows}) == 16
        assert {row["fold"] for row in rows} == {f"r{repeat}-f{fold}" for fold in range(3)}
        for row in rows:
            split = json.loads((folded / row["fold"] / "split.json").read_text())
            assert row["image_id"] in split["val"]
            assert row["image_id"] not in split["train"]
            assert len(split["train"]) + len(split["val"]) == 16
    splits = [json.loads((folded / f"r{r}-f0" / "split.json").read_text())["val"] for r in range(2)]
    assert splits[0] != splits[1]


def test_the_score_of_all_is_made_of_the_folds_own_predictions(folded: Path) -> None:
    for repeat in range(2):
        whole = read_run(folded / f"repeat-{repeat}")
        folds = [read_run(folded / f"r{repeat}-f{fold}") for fold in range(3)]
        sums = {name: (whole.table.sums[name][0].sum(axis=0), kind) for name, (_, kind) in whole.table.sums.items()}
        assert whole.seed == repeat
        for name, (total, _) in sums.items():
            apart = np.sum([fold.table.sums[name][0].sum(axis=0) for fold in folds], axis=0)
            np.testing.assert_allclose(total, apart, rtol=1e-9, err_msg=name)


def test_compare_takes_repeats_for_seeds(cli: Cli, folded: Path, tmp_path: Path) -> None:
    told = cli("compare", folded, "--json").json
    (arm,) = told["arms"]
    assert arm["seeds"] == [0, 1]
    values = [read_run(folded / f"repeat-{r}").evaluation["metrics"][told["metric"]]["value"] for r in range(2)]
    assert arm["value"] == pytest.approx(np.mean(values))
    # Another recipe's folds of the same pictures: paired, and told apart by their settings.
    other = tmp_path / "other"
    shutil.copytree(folded, other)
    for repeat in range(2):
        config = other / f"repeat-{repeat}" / "config.yaml"
        config.write_text(config.read_text().replace("lr: 0.003", "lr: 0.005"))
    both = cli("compare", folded, other, "--json").json
    assert [len(one["runs"]) for one in both["arms"]] == [2, 2]
    assert [change["key"] for change in both["arms"][1]["changes"]] == ["train.lr"]
    page = tmp_path / "journey.html"
    assert cli("compare", folded, other, "--html", page).code == 0
    assert page.stat().st_size > 10_000
    assert read_run(folded / "repeat-1").weights.resolve() == folded / "r1-f0"  # what --measure looks at


def test_the_same_command_keeps_what_is_there_and_goes_on_with_what_broke(
    cli: Cli, folded: Path, recipe_file: Path, faces: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    shutil.copytree(folded, out)
    before = {path.name: path.read_bytes() for path in out.glob("r*/best.safetensors")}
    scores = (out / "repeat-1" / "evaluation" / "metrics.json").read_text()
    shutil.rmtree(out / "r1-f1" / "evaluation")  # as a kill after the last step leaves it
    shutil.rmtree(out / "r1-f2")
    shutil.rmtree(out / "repeat-1")
    assert "repeat-1 is missing" in cli("compare", out).err.replace("\n", " ")
    ran = cli(*command(recipe_file, faces, out, "--json", "--resume"))
    assert ran.code == 0, ran.err
    assert ran.err.count("there already") == 4
    assert f"{out / 'r1-f1'}: goes on" in ran.err
    assert f"{out / 'r1-f2'}: begins" in ran.err
    assert {path.name: path.read_bytes() for path in out.glob("r*/best.safetensors")} == before
    assert json.loads((out / "repeat-1" / "evaluation" / "metrics.json").read_text()) == json.loads(scores)
    told = ran.json
    values = [fold["value"] for fold in told["folds"]]
    assert told["mean_of_folds"]["value"] == pytest.approx(np.mean(values))
    assert told["mean_of_folds"]["fold_spread"] == pytest.approx(np.std(values, ddof=1))
    assert told["pictures"] == 16
    assert len(told["all_pictures"]["repeats"]) == 2


def test_ctrl_c_leaves_a_folder_that_the_same_command_goes_on_with(
    cli: Cli, recipe_file: Path, faces: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import signal

    from sightline import terminal

    out = tmp_path / "out"
    told = 0

    def stop_in_the_second(self: object, event: Any) -> None:
        nonlocal told
        told += event.kind == "val"
        if told == 3:  # the first of two epochs of the second fold
            signal.raise_signal(signal.SIGINT)

    words = [*command(recipe_file, faces, out), "--set", "train.epochs=2"]
    with monkeypatch.context() as patch:
        patch.setattr(terminal._Lines, "__call__", stop_in_the_second)
        ran = cli(*words)
    assert ran.code == 130
    assert "The same command goes on" in ran.out
    assert (out / "r0-f0" / "evaluation").exists()
    assert not (out / "r0-f1" / "evaluation").exists()
    assert (out / "r0-f1" / "last.safetensors").is_file()
    again = cli(*words)
    assert again.code == 0, again.err
    assert f"{out / 'r0-f0'}: there already" in again.out
    assert f"{out / 'r0-f1'}: goes on" in again.out
    assert "all 16 pictures, each by networks that have not seen it" in again.out


def test_the_page_is_whole(folded: Path) -> None:
    page = (folded / "report.html").read_text()
    assert "default-src 'none'" in page
    assert "<script src" not in page
    for name in ("r0-f0", "r1-f2", "repeat-1"):
        assert f'href="{name}/report.html"' in page
        assert (folded / name / "report.html").is_file()


def test_classes_are_in_every_fold_and_a_scarce_one_is_told(cli: Cli, tmp_path: Path) -> None:
    data = write_drawn_shapes(
        tmp_path / "data", count=24, val_count=3, seed=0, size_hw=(48, 48), objects=1, classes=("circle", "square")
    )
    recipe = tmp_path / "one.yaml"
    recipe.write_text(ONE_BOX)
    labels = next(data.rglob("*train*.json"), None) or next(data.rglob("*.json"))
    held = json.loads(labels.read_text())
    held["categories"].append({"id": 9, "name": "star"})
    held["annotations"][0]["category_id"] = 9
    for other in data.rglob("*.json"):
        value = json.loads(other.read_text())
        value["categories"] = held["categories"]
        other.write_text(json.dumps(value))
    labels.write_text(json.dumps(held))
    out = tmp_path / "out"
    ran = cli("train", recipe, "--data", data, "--folds", 3, "--out", out, "--device", "cpu", "--json")
    assert ran.code == 0, ran.err
    assert "class 'star' is in 1 pictures or groups only, so 2 of 3 folds validate without it" in ran.err
    assert ran.json["metric"] == "score"
    assert ran.json["pictures"] == 27
    assert [fold["val"] for fold in ran.json["folds"]] == [9, 9, 9]
    assert ran.json["all_pictures"]["repeat_spread"] is None


@pytest.mark.slow
def test_clips_are_folded_whole(cli: Cli, tmp_path: Path) -> None:
    pytest.importorskip("av")
    from test_tracks_end_to_end import write_clips

    data, out = write_clips(tmp_path / "clips"), tmp_path / "out"
    sets = ("train.epochs=1", "train.min_steps=0", "train.batch=8", "data.input_hw=[64,96]", "data.workers=0")
    words = ["train", "track-ball-coarse", "--data", data, "--folds", 2, "--out", out, "--device", "cpu"]
    ran = cli(*words, "--set", *sets, "--json")
    assert ran.code == 0, ran.err
    assert ran.json["units"] == 6
    splits = [json.loads((out / f"r0-f{fold}" / "split.json").read_text()) for fold in range(2)]
    clips = [{name.rpartition("/")[0] for name in split["val"]} for split in splits]
    assert len(clips[0]) == len(clips[1]) == 3
    assert not clips[0] & clips[1]
    assert 'type="range"' in (out / "report.html").read_text()
    assert cli("compare", out).code == 0


def test_what_cannot_be_folded(cli: Cli, recipe_file: Path, faces: Path, folded: Path, tmp_path: Path) -> None:
    plain = [recipe_file, "--data", faces, "--device", "cpu"]
    out = ["--out", tmp_path / "new"]
    assert "expected at least 2 folds and 1 repeat" in refused(cli, *plain, *out, "--folds", 1)
    assert "expected at least 2 folds and 1 repeat" in refused(cli, *plain, *out, "--folds", 3, "--repeats", 0)
    assert "16 pictures in 16 records, which cannot be divided into 17 folds" in refused(
        cli, *plain, *out, "--folds", 17
    )
    assert "--repeats is for --folds" in refused(cli, *plain, *out, "--repeats", 2)
    assert "name one of its stages (track-ball-coarse, track-ball-fine)" in refused(
        cli, "track-ball", "--data", faces, *out, "--folds", 3
    )
    assert "holds no cross-validation to resume" in refused(cli, *plain, *out, "--folds", 3, "--resume")
    assert not (tmp_path / "new").exists()
    assert "holds something else" in refused(cli, *plain, "--out", folded / "r0-f0", "--folds", 3)
    file = tmp_path / "file"
    file.write_text("")
    assert "is a file" in refused(cli, *plain, "--out", file, "--folds", 3)
    changed = refused(cli, *plain, "--out", folded, "--folds", 3, "--repeats", 2, "--set", "train.lr=0.1")
    assert "train.lr (0.003 there, 0.1 asked for)" in changed
    assert "folds (3 there, 4 asked for)" in refused(cli, *plain, "--out", folded, "--folds", 4, "--repeats", 2)
    assert "repeats (2 there, 1 asked for)" in refused(
        cli, *plain, "--out", folded, "--folds", 3, "--set", "train.epochs=1"
    )


def test_a_damaged_plan_or_fold_is_named(
    cli: Cli, folded: Path, recipe_file: Path, faces: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    shutil.copytree(folded, out)
    (out / "r0-f1" / "evaluation" / "pictures.npz").write_bytes(b"PK")
    ran = cli(*command(recipe_file, faces, out))
    assert ran.code == 2
    assert "pictures.npz is damaged" in ran.err.replace("\n", "")
    (out / "folds.yaml").write_text("folds: [")
    assert "cannot be read" in cli(*command(recipe_file, faces, out)).err
    (out / "folds.yaml").write_text(yaml.safe_dump({"repeats": "many"}))
    assert "does not say how many repeats" in cli("compare", out).err.replace("\n", " ")


def test_the_corrected_interval_is_that_of_nadeau_and_bengio() -> None:
    # Ten folds, ratio 1/9, by hand: t(9, 0.975) = 2.262157, s^2 = 0.0009.
    values = [0.3 + 0.03 * z for z in (-1.2, -0.8, -0.5, -0.3, 0.0, 0.1, 0.4, 0.6, 0.7, 1.0)]
    spread = float(np.var(values, ddof=1))
    half = 2.262157 * np.sqrt((0.1 + 1 / 9) * spread)
    low, high = corrected_interval(values, ratio=1 / 9, level=0.95)
    assert (low, high) == pytest.approx((np.mean(values) - half, np.mean(values) + half), rel=1e-6)
    assert corrected_interval([0.2], ratio=0.25, level=0.95) == (None, None)
    assert corrected_interval([0.0, 0.1], ratio=0.25, level=0.95)[0] == 0.0
