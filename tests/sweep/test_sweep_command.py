"""`sightline sweep` as a user has it: real trainings on drawn faces, its words, JSON, files and page."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest
import yaml

from sightline.cli.choose import chosen
from sightline.errors import UserError

Cli = Callable[..., "object"]


@pytest.fixture(scope="module")
def small(recipe_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four epochs, and a learning rate that is far too low."""
    held = yaml.safe_load(recipe_file.read_text())
    held["train"] |= {"epochs": 4, "lr": 1e-5}
    path = tmp_path_factory.mktemp("small") / "small.yaml"
    path.write_text(yaml.safe_dump(held))
    return path


@pytest.mark.slow
def test_a_sweep_from_the_command_line_to_its_recheck(cli: Cli, small: Path, faces: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    options = [
        "--data", faces, "--out", out, "--try", "train.lr=1e-5..3e-2:log", "neck=none,gap", "--trials", 2, "--seeds", 2,
        "--recheck", 2, "--limit", "latency_ms=1000", "--sink", "tensorboard",
    ]  # fmt: skip
    found = cli("sweep", small, *options, "--json").json
    assert [each["state"] for each in found["trials"]] == ["complete"] * 2
    assert found["trials"][0]["drawn"] == {"neck": "none", "train.lr": 1e-5}
    for each in found["trials"]:  # the runs' own files say the same
        for seed, score in each["scores"].items():
            measured = json.loads((out / each["folder"] / f"seed-{seed}" / "evaluation" / "metrics.json").read_text())
            assert measured["metrics"][measured["metric"]]["value"] == score
        assert not list((out / each["folder"]).glob("*/last.safetensors"))
        assert 0 < each["latency_ms"] < 1000
    for run in [*out.glob("trials/*/seed-*"), *out.glob("recheck/*/seed-*")]:
        assert list((run / "tensorboard").glob("events.out.*")), f"{run} is shown nowhere else"
    best = min(found["trials"], key=lambda each: each["score"])
    assert found["best"]["number"] == best["number"] != 0
    assert found["recheck"]["arms"][1]["seeds"] == [1000, 1001]
    recipe = chosen(str(out / "best.yaml"), (), ())  # as `sightline train best.yaml` reads it
    assert recipe.train.lr == best["drawn"]["train.lr"] and recipe.neck.kind == best["drawn"]["neck"]
    splits = {
        (out / each["folder"] / f"seed-{s}" / "split.json").read_bytes() for each in found["trials"] for s in (0, 1)
    }
    assert len(splits) == 1, "all trials are validated on the same records"

    again = cli("sweep", small, *options)  # nothing is trained twice
    assert again.code == 0 and "begins" not in again.out
    assert "fresh seeds each: the best" in again.out and "too good by an unknown amount" in again.out
    assert f"sightline train {out / 'best.yaml'} --data DATA" in again.out
    rebuilt = cli("sweep", "--rebuild", out, "--json").json
    assert {key: rebuilt[key] for key in found if key != "page"} == {key: found[key] for key in found if key != "page"}
    compared = cli("compare", *(out / "trials" / number / f"seed-{s}" for number in ("0000", "0001") for s in (0, 1)))
    assert compared.code == 0 and "tiny-0001" in compared.out
    page_is_whole((out / "sweep.html").read_text())


def page_is_whole(page: str) -> None:
    class Reader(HTMLParser):
        open_tags: list[str] = []  # noqa: RUF012
        ids: set[str] = set()  # noqa: RUF012

        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            if tag not in {"meta", "link", "line", "circle", "rect", "path", "br", "img"}:
                self.open_tags.append(tag)
            self.ids |= {value for name, value in attrs if name == "id" and value}

        def handle_endtag(self, tag: str) -> None:
            if tag in self.open_tags:
                assert self.open_tags.pop() == tag

    reader = Reader()
    reader.feed(page)
    assert not reader.open_tags
    assert set(re.findall(r'href="#(\w+)"', page)) <= reader.ids
    assert "http" not in page.replace("http-equiv", "") and "<script" not in page
    assert "default-src 'none'" in page


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--try", "train.lrr=1e-4..1e-2"], "Did you mean 'train.lr'?"),
        (["--try", "train.lr=1e-4..1e-2", "--pruner", "medain"], "Did you mean 'median'?"),
        (["--try", "train.lr=1e-4..1e-2", "--pruner", "median", "--seeds", "1"], "one seed is no evidence"),
        (["--try", "train.lr=1e-4..1e-2", "--pruner", "wilcoxon"], "needs --seeds 5 or more"),
        (
            ["--try", "train.lr=1e-4..1e-2", "--pruner", "median", "--objective", "time"],
            "cannot be had with --objective",
        ),
        (["--try", "train.lr=1e-4..1e-2", "--objective", "tiem"], "Did you mean 'time'?"),
        (["--try", "train.lr=1e-4..1e-2", "--limit", "latency=3"], "Did you mean 'latency_ms'?"),
        (["--try", "train.lr=1e-4..1e-2", "--limit", "latency_ms=fast"], "fast is no number"),
        (["--try", "train.lr=1e-4..1e-2", "--limit", "latency_ms=-1"], "a limit is above 0"),
        (["--try", "train.lr=1e-4..1e-2", "--trials", "0"], "count from 1"),
        (["--try", "train.lr=1e-4..1e-2", "--hours", "0"], "--hours is above 0"),
        (["--try", "train.lr=1e-4..1e-2", "--recheck", "1"], "one seed says nothing of a recipe"),
        (["--try", "train.lr=1e-4..1e-2", "--storage", "sqlite:///x.db"], "give --study NAME"),
        (["--try", "train.lr=1e-4..1e-2", "--sink", "tensorbord"], "Did you mean 'tensorboard'"),
        ([], "Nothing is searched"),
    ],
)
def test_mistakes_are_told_before_anything_is_read(
    cli: Cli, small: Path, options: list[str], words: str, tmp_path: Path
) -> None:  # fmt: skip
    ran = cli("sweep", small, "--data", tmp_path / "nowhere", *options)
    assert ran.code == 2 and words in ran.err.replace("\n", " ")


def test_a_folder_that_is_no_sweep_is_not_rebuilt(cli: Cli, tmp_path: Path) -> None:
    assert "is no folder of a sweep" in cli("sweep", "--rebuild", tmp_path).err
    (tmp_path / "sweep.json").write_text("{")
    assert "is damaged" in cli("sweep", "--rebuild", tmp_path).err
    assert "Expected: sightline sweep RECIPE" in cli("sweep").err


def test_a_password_is_not_written_into_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    from sightline.cli.choose import command_line
    from sightline.sweep.storage import shown

    url = "postgresql+psycopg://me:secret@host/sweeps"
    for words in (["--storage", url], [f"--storage={url}"]):
        monkeypatch.setattr(sys, "argv", ["sightline", "sweep", "x", *words])
        told = command_line({url: shown(url, Path())})
        assert "secret" not in told and "me:***@host" in told


def test_help_needs_neither_torch_nor_optuna() -> None:
    code = """
import sys
sys.argv = ["sightline", "sweep", "--help"]
from sightline.cli import main
try:
    main()
except SystemExit as ended:
    assert not ended.code, ended.code
assert "torch" not in sys.modules and "optuna" not in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_a_real_sweep_that_is_killed_goes_on_with_the_very_runs_of_an_unbroken_one(
    start: Callable[..., subprocess.Popen[str]], cli: Cli, small: Path, faces: Path, tmp_path: Path
) -> None:
    def arguments(out: Path) -> list[object]:
        searched = ["--try", "train.lr=1e-4..1e-2:log", "--trials", 2, "--seeds", 2, "--recheck", 0, "--json"]
        return ["sweep", small, "--set", "train.epochs=12", "--data", faces, "--out", out, *searched]

    whole = cli(*arguments(tmp_path / "whole" / "out")).json
    out = tmp_path / "broken" / "out"  # the draws follow from the study's name
    process = start(*arguments(out))
    until = time.monotonic() + 200
    # Into the second trial's first seed, past its first checkpoint.
    while not (out / "trials" / "0001" / "seed-0" / "last.safetensors").is_file():
        assert time.monotonic() < until and process.poll() is None
        time.sleep(0.01)
    process.kill()
    process.communicate()
    broken = cli(*arguments(out)).json
    for one, other in zip(whole["trials"], broken["trials"], strict=True):
        assert one["drawn"] == other["drawn"] and one["scores"] == other["scores"] and one["means"] == other["means"]


def test_the_recipe_is_needed(cli: Cli, small: Path) -> None:
    assert cli("sweep", small).code == 2
    with pytest.raises(UserError):
        chosen("no-such-recipe", (), ())
