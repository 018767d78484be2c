"""`sightline compare` on run folders made by code: what it says, its JSON, its page, and what it refuses."""

from __future__ import annotations

import json
import os
import re
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import yaml
from fake_runs import write_arm, write_run

Cli = Callable[..., "object"]
SOURCE = Path(__file__).resolve().parents[2] / "src"
ERRORS = np.random.default_rng(3).lognormal(-2, 0.5, 40)


@pytest.fixture(autouse=True)
def the_disk_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda _: None)


@pytest.fixture(scope="module")
def three_arms(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Three seeds each of a baseline, of a recipe that is far better, and of one that is hardly different."""
    root = tmp_path_factory.mktemp("arms")
    return [
        *write_arm(root, "base", mean=0.1, seeds=3),
        *write_arm(root, "better", mean=0.05, seeds=3, settings={"train": {"lr": 0.01}}),
        *write_arm(root, "same", mean=0.1001, seeds=3, settings={"augment": {"flip": 0.5}}),
    ]


def refused(cli: Cli, *arguments: object) -> str:
    ran = cli("compare", *arguments)
    assert ran.code == 2, ran.out
    return ran.err.replace("\n", " ")


# ---- what it says


def test_seeds_are_one_arm_and_each_gets_a_verdict(cli: Cli, three_arms: list[Path]) -> None:
    found = cli("compare", *three_arms, "--json").json
    assert found["baseline"] == "base"
    assert [arm["name"] for arm in found["arms"]] == ["base", "better", "same"]
    assert [arm["seeds"] for arm in found["arms"]] == [[0, 1, 2]] * 3
    assert [arm["verdict"] for arm in found["arms"]] == [None, "better", "cannot tell"]
    better, same = found["arms"][1:]
    assert better["difference"]["value"] == pytest.approx(better["value"] - found["arms"][0]["value"])
    assert better["difference"]["low"] < better["difference"]["value"] < better["difference"]["high"] < 0
    assert better["difference"]["covers"] == "pictures and seeds"
    assert better["changes"] == [{"key": "train.lr", "before": "0.001", "after": "0.01"}]
    assert [change["key"] for change in same["changes"]] == ["augment.flip"]
    assert same["difference"]["low"] < 0 < same["difference"]["high"]
    assert same["difference"]["plan"]["size"] > 0


def test_json_has_stable_keys(cli: Cli, three_arms: list[Path]) -> None:
    found = cli("compare", *three_arms, "--json").json
    assert found.keys() == {
        "task", "metric", "less_is_better", "level", "pictures", "units", "data_fingerprint", "baseline", "arms",
        "notes", "left_out",
    }  # fmt: skip
    assert found["arms"][1].keys() == {
        "name", "runs", "seeds", "value", "low", "high", "covers", "seed_spread", "difference", "verdict",
        "on_these_runs", "words", "changes", "cost", "pareto",
    }  # fmt: skip
    assert found["arms"][1]["difference"].keys() == {
        "value", "low", "high", "covers", "p", "p_corrected", "identical", "plan",
    }  # fmt: skip


def test_the_table_says_it_in_words(cli: Cli, three_arms: list[Path]) -> None:
    ran = cli("compare", *three_arms)
    assert ran.code == 0
    assert "better: better." in ran.out
    assert "train.lr: 0.001 -> 0.01" in ran.out
    assert re.search(r"same: cannot tell: a difference of .* would (show with|most likely have shown)", ran.out)
    assert "corrected for the number of arms (Holm)" in ran.out


def test_another_baseline_turns_the_verdict_round(cli: Cli, three_arms: list[Path]) -> None:
    by_name = cli("compare", *three_arms, "--baseline", "better", "--json").json
    by_folder = cli("compare", *three_arms, "--baseline", three_arms[4], "--json").json
    assert by_name == by_folder
    assert [arm["verdict"] for arm in by_name["arms"]] == ["worse", None, "worse"]


def test_more_is_better_where_the_metric_says_so(cli: Cli, three_arms: list[Path]) -> None:
    found = cli("compare", *three_arms, "--metric", "accuracy", "--json").json
    assert found["less_is_better"] is False
    assert found["arms"][1]["difference"]["value"] > 0
    assert found["arms"][1]["verdict"] == "better"


def test_medians_are_compared_as_means_are(cli: Cli, tmp_path: Path) -> None:
    """The same pictures are drawn again for all runs, so what all find hard falls out of the difference."""
    arms = [
        *write_arm(tmp_path, "base", mean=0.1, seeds=3, has_median=True),
        *write_arm(tmp_path, "better", mean=0.05, seeds=3, settings={"train": {"lr": 0.01}}, has_median=True),
        *write_arm(tmp_path, "same", mean=0.1001, seeds=3, settings={"augment": {"flip": 0.5}}, has_median=True),
    ]
    found = cli("compare", *arms, "--metric", "median_error_px", "--json").json
    assert [arm["verdict"] for arm in found["arms"]] == [None, "better", "cannot tell"]
    told = [json.loads((run / "evaluation" / "metrics.json").read_text())["metrics"] for run in arms]
    values = np.array([one["median_error_px"]["value"] for one in told]).reshape(3, 3).mean(axis=1)
    assert [arm["value"] for arm in found["arms"]] == pytest.approx(values)
    better, same = (arm["difference"] for arm in found["arms"][1:])
    assert better["value"] == pytest.approx(values[1] - values[0])
    assert better["low"] < values[1] - values[0] < better["high"] < 0
    assert same["plan"] is not None  # what more would tell is told as for means
    assert "Median error on 200 pictures (less is better)" in cli("compare", *arms, "--metric", "median_error_px").out


def test_a_size_to_plan_for_can_be_named(cli: Cli, three_arms: list[Path]) -> None:
    small, large = (
        cli("compare", *three_arms, "--difference", size, "--json").json["arms"][2]["difference"]["plan"]
        for size in ("0.0005", "0.05")
    )
    assert (small["size"], large["size"]) == (0.0005, 0.05)
    assert large["enough"]
    assert not small["enough"]
    assert "above 0" in refused(cli, *three_arms, "--difference", "0")


def test_one_seed_each_judges_networks_and_no_recipes(cli: Cli, three_arms: list[Path]) -> None:
    found = cli("compare", three_arms[0], three_arms[3], "--json").json
    line = found["arms"][1]
    assert (line["verdict"], line["on_these_runs"]) == ("cannot tell", "better")
    assert line["difference"]["covers"] == "pictures"
    assert "train 3 seeds of each" in line["words"]
    assert "covers pictures alone" in " ".join(found["notes"])


def test_two_seeds_are_said_to_tell_little(cli: Cli, three_arms: list[Path]) -> None:
    two = cli("compare", *three_arms[:2], *three_arms[3:5], "--json").json
    three = cli("compare", *three_arms[:3], *three_arms[3:6], "--json").json
    assert "Two seeds tell little" in " ".join(two["notes"])
    assert "Two seeds tell little" not in " ".join(three["notes"])
    width = [one["arms"][0]["high"] - one["arms"][0]["low"] for one in (two, three)]
    assert width[0] > width[1]


def test_identical_runs_cannot_be_told_apart(cli: Cli, tmp_path: Path) -> None:
    runs = [write_run(tmp_path / name, ERRORS, recipe=name) for name in "ab"]
    line = cli("compare", *runs, "--json").json["arms"][1]
    assert (line["verdict"], line["on_these_runs"]) == ("cannot tell", "cannot tell")
    assert line["difference"]["identical"]
    assert line["difference"]["p"] == 1
    assert "the same score on every picture" in line["words"]


def test_one_picture_says_nothing(cli: Cli, tmp_path: Path) -> None:
    runs = [
        write_run(tmp_path / f"{name}{seed}", ERRORS[:1] * factor * (1 + seed / 10), recipe=name, seed=seed)
        for name, factor in (("a", 1), ("b", 0.5)) for seed in range(2)
    ]  # fmt: skip
    found = cli("compare", *runs, "--json").json
    assert found["arms"][1]["verdict"] == "cannot tell"
    assert found["arms"][1]["low"] is found["arms"][1]["difference"]["p"] is None
    assert "one picture" in found["arms"][1]["words"]
    assert cli("compare", *runs).code == 0


def test_clips_are_resampled_as_wholes(cli: Cli, tmp_path: Path) -> None:
    """Forty equal pictures in four clips tell as much as four pictures."""
    shift = np.repeat([0.8, 0.9, 1.0, 0.7], 10)
    runs = []
    for name, errors in (("a", ERRORS), ("b", ERRORS * shift)):
        runs.append(write_run(tmp_path / name, errors, recipe=name, units=np.repeat(np.arange(4), 10)))
        runs.append(write_run(tmp_path / f"{name}-single", errors, recipe=name))
    clips, single = (cli("compare", *pair, "--json").json for pair in (runs[0::2], runs[1::2]))
    assert clips["units"] == 4
    assert "4 clips or groups" in " ".join(clips["notes"])
    width = [one["arms"][1]["difference"]["high"] - one["arms"][1]["difference"]["low"] for one in (clips, single)]
    assert width[0] > width[1]


def test_the_order_of_pictures_does_not_matter(cli: Cli, tmp_path: Path) -> None:
    names = [f"{row}.jpg" for row in range(40)]
    one = write_run(tmp_path / "one", ERRORS, recipe="a", names=names)
    same = write_run(tmp_path / "same", ERRORS[::-1], recipe="b", names=names[::-1])
    line = cli("compare", one, same, "--json").json["arms"][1]
    assert line["difference"]["low"] == pytest.approx(0, abs=1e-9)
    assert line["difference"]["high"] == pytest.approx(0, abs=1e-9)


# ---- what it refuses


def test_nothing_to_compare(cli: Cli) -> None:
    assert "Name run folders" in refused(cli)
    assert "--data is for --run" in refused(cli, "run", "--data", "data")
    assert "--run needs --data" in refused(cli, "--run", "mse-vs-log")


def test_other_pictures_labels_or_tasks(cli: Cli, tmp_path: Path) -> None:
    one = write_run(tmp_path / "one", ERRORS, recipe="a")
    fewer = write_run(tmp_path / "fewer", ERRORS[:30], recipe="b")
    told = refused(cli, one, fewer)
    assert "40 and 30 pictures, 30 of them the same; 030.jpg is only in the first" in told
    labels = write_run(tmp_path / "labels", ERRORS, recipe="c", fingerprint="fedcba9876543210")
    told = refused(cli, one, labels)
    assert "files or labels differ" in told
    assert "0123456789abcdef and fedcba9876543210" in told
    task = write_run(tmp_path / "task", ERRORS, recipe="d", task="one-box")
    assert "the task of one is points, of the other one-box" in refused(cli, one, task)
    clips = write_run(tmp_path / "clips", ERRORS, recipe="e", units=[0] * 40)
    assert "grouped into clips or persons differently" in refused(cli, one, clips)


def test_a_run_twice(cli: Cli, tmp_path: Path) -> None:
    one = write_run(tmp_path / "one", ERRORS)
    assert "is named twice" in refused(cli, one, tmp_path / "x" / ".." / "one")
    copy = Path(shutil.copytree(one, tmp_path / "copy"))
    assert "the same experiment with the same seed (train.seed=0)" in refused(cli, one, copy)


def test_an_unknown_metric_or_baseline(cli: Cli, three_arms: list[Path]) -> None:
    assert "Did you mean 'accuracy'" in refused(cli, *three_arms, "--metric", "acuracy")
    assert "not every run has kept what each picture adds" in refused(cli, *three_arms, "--metric", "median_error_px")
    assert "Did you mean 'better'" in refused(cli, *three_arms, "--baseline", "beter")


@pytest.mark.parametrize(
    ("file", "content", "told"),
    [
        ("config.yaml", None, "no config.yaml"),
        ("config.yaml", "a: [", "cannot be read as YAML"),
        ("config.yaml", "a: &a {b: *a}", "cannot be read as YAML (an alias (*name) stands within the very value"),
        ("run.json", None, "run.json is missing"),
        ("run.json", "{", "run.json is damaged"),
        ("evaluation/metrics.json", None, "was stopped before its end. Resume it"),
        ("evaluation/metrics.json", '{"task": "points"', "metrics.json is damaged"),
        ("evaluation/metrics.json", "[]", "holds a list"),
        ("evaluation/metrics.json", '{"task": "points"}', "lacks metric, data_fingerprint, less_is_better"),
        ("evaluation/pictures.npz", None, "evaluated by an older version"),
        ("evaluation/pictures.npz", "PK\x03\x04half", "pictures.npz is damaged"),
    ],
)
def test_a_broken_run_is_named_or_left_out(
    cli: Cli, three_arms: list[Path], tmp_path: Path, file: str, content: str | None, told: str
) -> None:
    broken = Path(shutil.copytree(three_arms[6], tmp_path / "broken"))
    (broken / file).unlink()
    if content is not None:
        (broken / file).write_text(content)
    said = refused(cli, *three_arms[:6], broken)
    assert told in said
    assert str(broken) in said
    assert "--skip-broken compares the others" in said
    ran = cli("compare", *three_arms[:6], broken, "--skip-broken", "--json")
    assert ran.code == 0
    assert [arm["name"] for arm in ran.json["arms"]] == ["base", "better"]
    assert told in ran.json["left_out"][0]
    assert "no run left" in refused(cli, broken, "--skip-broken")


def test_half_a_table_is_damaged_and_not_taken_for_whole(cli: Cli, three_arms: list[Path], tmp_path: Path) -> None:
    broken = Path(shutil.copytree(three_arms[0], tmp_path / "broken"))
    table = broken / "evaluation" / "pictures.npz"
    table.write_bytes(table.read_bytes()[:-400])
    assert "pictures.npz is damaged" in refused(cli, broken)


def test_what_is_no_run_folder(cli: Cli, tmp_path: Path) -> None:
    assert "not a folder" in refused(cli, tmp_path / "nothing")
    assert "no run folder" in refused(cli, tmp_path)


# ---- the page


def test_the_journey_page_is_whole_and_loads_nothing(cli: Cli, three_arms: list[Path], tmp_path: Path) -> None:
    page = tmp_path / "pages" / "journey.html"
    ran = cli("compare", *three_arms, "--html", page)
    assert ran.code == 0
    assert f"page    {page}" in ran.out
    text = page.read_text(encoding="utf-8")
    for section in ("scores", "versions", "curves", "pictures", "settings"):
        assert f'<section id="{section}">' in text
    assert "default-src 'none'" in text
    assert not re.findall(r"""(?:src|href)=["'](?!data:|#)""", text)
    assert "1. base" in text
    assert "train.lr: 0.001 -&gt; 0.01" in text
    assert "Lost most from base to same" in text
    order = [text.index(f"<h3>{place}. {name}</h3>") for place, name in ((1, "base"), (2, "better"), (3, "same"))]
    assert order == sorted(order)


def test_names_cannot_break_out_of_the_page(cli: Cli, tmp_path: Path) -> None:
    nasty = "</script><script>alert(1)</script>"
    runs = [write_run(tmp_path / "a", ERRORS), write_run(tmp_path / "b", ERRORS * 0.9, recipe=nasty)]
    page = tmp_path / "page.html"
    assert cli("compare", *runs, "--html", page).code == 0
    assert "<script>alert" not in page.read_text(encoding="utf-8")


def test_one_version_alone_has_a_page_too(cli: Cli, tmp_path: Path) -> None:
    run = write_run(tmp_path / "a", ERRORS)
    assert cli("compare", run, "--html", tmp_path / "page.html").code == 0
    (run / "metrics.jsonl").unlink()
    (run / "evaluation" / "predictions.json").unlink()
    assert cli("compare", run, "--html", tmp_path / "bare.html").code == 0
    assert '<section id="pictures">' not in (tmp_path / "bare.html").read_text(encoding="utf-8")


# ---- how it starts


def test_comparing_needs_no_torch(three_arms: list[Path], tmp_path: Path) -> None:
    for arguments in (["compare", "--help"], ["compare", *map(str, three_arms), "--html", str(tmp_path / "p.html")]):
        code = (
            f"import sys; sys.argv = ['sightline', *{arguments!r}]\nfrom sightline.cli import main\n"
            "try:\n    main()\nexcept SystemExit as ended:\n    assert not ended.code, ended.code\n"
            "assert 'torch' not in sys.modules\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, env={"PYTHONPATH": str(SOURCE)}, timeout=120
        )
        assert done.returncode == 0, done.stderr


def test_help_comes_in_half_a_second() -> None:
    """Of the processor's time, which does not depend on what else the machine does."""
    times = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(
            [sys.executable, "-m", "sightline", "compare", "--help"], capture_output=True, check=True,
            env={"PYTHONPATH": str(SOURCE)},
        )  # fmt: skip
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        times.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert min(times) < 0.5, times


# ---- ladders


@pytest.fixture(scope="module")
def ladder(recipe_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("ladder") / "two.yaml"
    rungs = [
        {"recipe": str(recipe_file), "name": "plain"},
        {"recipe": str(recipe_file), "name": "fast", "set": ["train.lr=0.01"]},
    ]
    path.write_text(yaml.safe_dump({"rungs": rungs}))
    return path


def test_a_ladder_is_trained_kept_resumed_and_compared(cli: Cli, ladder: Path, faces: Path, tmp_path: Path) -> None:
    out = tmp_path / "runs"
    words = ["compare", "--run", ladder, "--data", faces, "--out", out, "--set", "train.epochs=2", "--device", "cpu"]
    ran = cli(*words, "--seeds", 2, "--json")
    assert ran.code == 0, ran.err
    assert [arm["name"] for arm in ran.json["arms"]] == ["plain", "fast"]
    assert [arm["seeds"] for arm in ran.json["arms"]] == [[0, 1], [0, 1]]
    assert ran.json["pictures"] == 4
    stored = json.loads((out / "plain-seed0" / "evaluation" / "metrics.json").read_text())
    (told,) = [arm for arm in ran.json["arms"] if arm["name"] == "plain"]
    other = json.loads((out / "plain-seed1" / "evaluation" / "metrics.json").read_text())
    both = [one["metrics"]["nme_interocular"]["value"] for one in (stored, other)]
    assert told["value"] == pytest.approx(np.mean(both))
    # A second time nothing is trained; a run that was killed before its end goes on and ends with the same bits.
    weights = (out / "fast-seed1" / "best.safetensors").read_bytes()
    shutil.rmtree(out / "fast-seed1" / "evaluation")
    again = cli(*words, "--seeds", 2, "--json", "--measure")
    assert again.code == 0, again.err
    assert again.err.count("there already") == 3
    assert f"{out / 'fast-seed1'}: goes on" in again.err
    assert (out / "fast-seed1" / "best.safetensors").read_bytes() == weights
    costs = [arm.pop("cost") for arm in again.json["arms"]]
    assert [cost["parameters"] for cost in costs] == [70_432, 70_432]
    assert all(cost["latency_ms"] > 0 and cost["flops"] > 0 and cost["memory_mb"] >= 0 for cost in costs)
    # Other settings are not taken for the same runs.
    changed = [word if word != "train.epochs=2" else "train.epochs=3" for word in words]
    assert "was trained with other settings" in cli(*changed).err.replace("\n", " ")


def test_ladders_that_do_not_read(cli: Cli, faces: Path, recipe_file: Path, tmp_path: Path) -> None:
    def told(text: str) -> str:
        path = tmp_path / "ladder.yaml"
        path.write_text(text)
        return refused(cli, "--run", path, "--data", faces)

    assert "Did you mean 'mse-vs-log'" in refused(cli, "--run", "mse-vs-lo", "--data", faces)
    assert "There is no" in refused(cli, "--run", tmp_path / "none.yaml", "--data", faces)
    assert "holds no ladder" in told("recipe: tiny")
    assert "cannot be read as YAML" in told("rungs: [")
    assert "rung 1: expected `recipe:`" in told("rungs: [{name: a}]")
    assert "Did you mean 'set'" in told("rungs: [{recipe: landmarks, sets: []}]")
    assert "two rungs are called 'tiny'" in told(f"rungs: [{recipe_file}, {recipe_file}]")
    assert "a folder's" in told("rungs: [{recipe: landmarks, name: a/b}]")
    assert "expected a list" in told("rungs: [{recipe: landmarks, set: train.lr=1}]")
    assert "Did you mean" in told("rungs: [landmarkz]")
    assert "neither beside it nor here" in told("rungs: [nothing.yaml]")
    assert "Did you mean" in refused(cli, "--run", "mse-vs-log", "--data", faces, "--rungs", "mse-vs-log-1-mze")
    assert "count from 1" in refused(cli, "--run", "mse-vs-log", "--data", faces, "--seeds", 0)
