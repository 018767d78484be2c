"""Two real processes under torchrun: they agree with one at every step, survive a kill, and stop when asked to."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from sightline import train as loop

pytestmark = pytest.mark.slow

# Points leave the crop, so that the processes have unequal numbers of visible ones; no batch statistics.
SETS = ["augment.scale_max=1.6", "train.accumulate=2", "train.ema=0.9", "train.optimizer=sgd", "train.lr=0.02",
        "train.save_minutes=0", "train.epochs=3", "evaluate.batch=3"]  # fmt: skip


def given(sets: list[str]) -> list[str]:
    return [part for text in sets for part in ("--set", text)]


def told(run: Path) -> list[dict]:
    entries = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [
        {key: value for key, value in entry.items() if key not in ("seconds", "kind")}
        | {"is_val": entry["kind"] == "val"}
        for entry in entries
    ]


def ended(process: subprocess.Popen[str], *, code: int = 0) -> tuple[str, str]:
    try:
        said, errors = process.communicate(timeout=900)
    finally:
        process.kill()
    assert process.returncode == code, said + errors
    return said, errors


@pytest.fixture(scope="module")
def one(train_tiny: Callable, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run of one process, unbroken."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "LOG_EVERY", 1)
        before = torch.get_num_threads()
        torch.set_num_threads(1)
        out = tmp_path_factory.mktemp("one") / "run"
        train_tiny(out, sets=SETS)
        torch.set_num_threads(before)
    return out


def assert_same_run(run: Path, one: Path) -> None:
    """Every step and every validation: loss, rates and scores; and the weights at the end."""
    found, expected = told(run), told(one)
    assert [(e["is_val"], e["step"]) for e in found] == [(e["is_val"], e["step"]) for e in expected]
    assert sum(not e["is_val"] for e in found) == 9
    for entry, other in zip(found, expected, strict=True):
        assert entry == pytest.approx(other, rel=1e-5, abs=1e-5), entry
    for name in ("last", "best"):
        weights, others = (load_file(folder / f"{name}.safetensors") for folder in (run, one))
        for key in others:
            torch.testing.assert_close(weights[key], others[key], rtol=1e-4, atol=1e-5, msg=key)


def test_after_a_sigkill_torchrun_goes_on_by_itself(
    torchrun: Callable[..., subprocess.Popen[str]], one: Path, recipe_file: Path, faces: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    command = ("train", recipe_file, "--data", faces, "--out", run, *given(SETS))
    said, errors = ended(torchrun(*command, kill="step 1 5", restarts=2))
    assert "started again by torchrun" in said
    assert "Process 0 of 2 has lost another one" in errors
    assert said.count("16 records") == 2  # only the first process reads and speaks, once each start
    assert_same_run(run, one)
    assert (run / "report.html").is_file()
    info = json.loads((run / "run.json").read_text())
    assert (info["processes"]["count"], info["processes"]["machines"]) == (2, 1)


def test_two_processes_have_the_losses_of_one_at_every_step(
    torchrun: Callable[..., subprocess.Popen[str]], one: Path, recipe_file: Path, faces: Path, tmp_path: Path
) -> None:
    said, errors = ended(torchrun("train", recipe_file, "--data", faces, "--out", tmp_path / "run", *given(SETS)))
    assert "2 processes on 1 machine" in said
    assert "Traceback" not in errors and "deprecated" not in errors
    assert_same_run(tmp_path / "run", one)


def test_a_kill_in_the_middle_of_a_checkpoint_leaves_the_one_before(
    torchrun: Callable[..., subprocess.Popen[str]], one: Path, recipe_file: Path, faces: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    command = ("train", recipe_file, "--data", faces, "--out", run, *given(SETS))
    said, _ = ended(torchrun(*command, kill="write 0 5", restarts=1))
    assert "started again by torchrun" in said
    assert_same_run(run, one)


def test_without_restarts_the_run_is_refused_once_and_resumed_by_hand(
    torchrun: Callable[..., subprocess.Popen[str]], one: Path, recipe_file: Path, faces: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    command = ("train", recipe_file, "--data", faces, "--out", run, *given(SETS))
    ended(torchrun(*command, kill="step 0 4"), code=1)
    # Another torchrun is another start, however often it tries.
    said, errors = ended(torchrun(*command, restarts=1), code=1)
    assert errors.count("already holds a run. Go on with it by --resume") == 2
    assert "started again" not in said
    ended(torchrun(*command, "--resume"))
    assert_same_run(run, one)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_torchrun_saves_and_the_run_goes_on(
    torchrun: Callable[..., subprocess.Popen[str]], recipe_file: Path, faces: Path, tmp_path: Path, number: int
) -> None:
    run = tmp_path / "run"
    sets = [*SETS, "train.epochs=100000", "train.save_minutes=60", "data.workers=1"]
    process = torchrun("train", recipe_file, "--data", faces, "--out", run, *given(sets))
    until = time.monotonic() + 600
    while not (run / "metrics.jsonl").exists():
        assert time.monotonic() < until and process.poll() is None, process.communicate()
        time.sleep(0.1)
    process.send_signal(number)
    said, errors = process.communicate(timeout=600)
    assert said.count("Stopped and saved") == 1, said + errors
    assert "killed by signal" not in errors  # the loader's processes are let alone
    saved = load_file(run / "last.safetensors")
    assert all(torch.isfinite(value).all() for value in saved.values())


def test_processes_with_unlike_commands_are_refused(
    torchrun: Callable[..., subprocess.Popen[str]], recipe_file: Path, faces: Path, tmp_path: Path
) -> None:
    process = torchrun("train", recipe_file, "--data", faces)
    _, errors = ended(process, code=1)
    assert "Several processes need --out RUN" in errors


def test_cached_features_are_shared_out(
    torchrun: Callable[..., subprocess.Popen[str]], recipe_file: Path, faces: Path, tmp_path: Path, train_tiny: Callable
) -> None:
    cached = ["train.cache_features=true", "backbone.frozen=all", "augment.views=3", "train.epochs=3",
              "train.optimizer=sgd", "train.lr=0.02"]  # fmt: skip
    two = torchrun("train", recipe_file, "--data", faces, "--out", tmp_path / "two" / "run", *given(cached))
    ended(two)
    entries = [entry for entry in (tmp_path / "two" / ".features").iterdir() if entry.is_dir()]
    assert sorted(len(list(entry.glob("view-*.npy"))) for entry in entries) == [1, 3]
    train_tiny(tmp_path / "one" / "run", sets=cached)
    weights, others = (load_file(tmp_path / name / "run" / "last.safetensors") for name in ("two", "one"))
    for key in others:
        torch.testing.assert_close(weights[key], others[key], rtol=1e-4, atol=1e-5, msg=key)


def test_a_tracker_is_trained_stage_by_stage_by_both(
    torchrun: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    from sightline.drawn.rally_folder import write_rallies

    data = write_rallies(tmp_path / "data", clips=5, frames=12, seed=0, size_hw=(96, 160))
    out = tmp_path / "ball"
    sets = ["train.epochs=1", "train.min_steps=0", "train.batch=8", "data.input_hw=[64,96]", "data.workers=0"]
    command = ("train", "track-ball", "--data", data, "--out", out, *given(sets))
    said, _ = ended(torchrun(*command))
    assert (out / "tracker.yaml").is_file() and (out / "validation.json").is_file()
    assert said.count("next    sightline track") == 1
    for stage in ("coarse", "fine"):
        assert json.loads((out / stage / "run.json").read_text())["processes"]["count"] == 2
        assert (out / stage / "report.html").is_file()
