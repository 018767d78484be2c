"""A run that is killed at any moment goes on and ends bit-equal to the one that was not."""

from __future__ import annotations

import errno
import json
import multiprocessing
import os
import shutil
import signal
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from sightline import files
from sightline import train as loop
from sightline.checkpoint import Progress, RunFolder, load_state, save_state, save_weights
from sightline.errors import UserError
from sightline.pipeline import load_run, new_run_folder, train_run
from sightline.train import Event, forget_later

Saved = dict[str, torch.Tensor]
# Averages, momentum and normalisation: everything that a state can hold. 3 epochs of 3 steps.
SETS = ["train.epochs=3", "train.ema=0.9", "train.save_minutes=0", "train.patience=2", "train.lr=0.02",
        "backbone.layers=[{channels: 8, stride: 4, padding: 1, norm: true}]"]  # fmt: skip


@pytest.fixture(autouse=True)
def one_thread_every_step_told_and_no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """One thread: the killed process is forked, and sums must be made in the same order in both."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    monkeypatch.setattr(loop, "LOG_EVERY", 1)
    monkeypatch.setattr(os, "fsync", lambda _: None)
    yield
    torch.set_num_threads(before)


def told(out: Path) -> list[tuple]:
    """What metrics.jsonl says, but for the clock."""
    entries = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    return [tuple((k, v) for k, v in entry.items() if k != "seconds") for entry in entries]


def assert_same_end(one: Path, other: Path) -> None:
    for name in ("last", "best"):
        first, second = (load_file(out / f"{name}.safetensors") for out in (one, other))
        assert first.keys() == second.keys()
        assert [key for key in first if not torch.equal(first[key], second[key])] == []
    assert told(one) == told(other)


@pytest.fixture(scope="module")
def unbroken(train_tiny: Callable, tmp_path_factory: pytest.TempPathFactory) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "LOG_EVERY", 1)
        before = torch.get_num_threads()
        torch.set_num_threads(1)
        out = tmp_path_factory.mktemp("unbroken")
        train_tiny(out, sets=SETS)
        torch.set_num_threads(before)
    return out


def killed(train: Callable, out: Path, *, kind: str, step: int, sets: Sequence[str], resume: bool = False) -> None:
    """Train in another process that kills itself when it has told of this step."""

    def kill(event: Event) -> None:
        if event.kind == kind and event.values["step"] == step:
            os.kill(os.getpid(), signal.SIGKILL)

    process = multiprocessing.get_context("fork").Process(
        target=train, args=(out,), kwargs={"sets": sets, "watchers": [kill], "resume": resume}
    )
    process.start()
    process.join(300)
    assert process.exitcode == -signal.SIGKILL


@pytest.mark.parametrize(
    ("kind", "step"),
    [("train", 1), ("train", 2), ("train", 3), ("val", 3), ("train", 4), ("train", 6), ("val", 6), ("val", 9)],
)
def test_killed_at_any_step_it_ends_bit_equal(
    train_tiny: Callable, unbroken: Path, tmp_path: Path, kind: str, step: int
) -> None:
    killed(train_tiny, tmp_path, kind=kind, step=step, sets=SETS)
    outcome = train_tiny(tmp_path, sets=SETS, resume=True)
    assert not outcome.interrupted
    assert outcome.progress.global_step == 9
    assert_same_end(unbroken, tmp_path)


def test_killed_twice_and_with_loader_processes_it_ends_bit_equal(
    train_tiny: Callable, unbroken: Path, tmp_path: Path
) -> None:
    sets = [*SETS, "data.workers=1"]
    killed(train_tiny, tmp_path, kind="train", step=2, sets=sets)
    killed(train_tiny, tmp_path, kind="train", step=5, sets=sets, resume=True)
    train_tiny(tmp_path, sets=sets, resume=True)
    assert_same_end(unbroken, tmp_path)


def test_killed_between_checkpoints_it_goes_back_to_the_last_one(
    train_tiny: Callable, unbroken: Path, tmp_path: Path
) -> None:
    rare = [*SETS, "train.save_minutes=5"]
    killed(train_tiny, tmp_path, kind="train", step=5, sets=rare)
    train_tiny(tmp_path, sets=rare, resume=True)
    assert_same_end(unbroken, tmp_path)


def test_killed_before_the_first_checkpoint_it_starts_anew(
    train_tiny: Callable, unbroken: Path, tmp_path: Path
) -> None:
    rare = [*SETS, "train.save_minutes=5"]
    killed(train_tiny, tmp_path, kind="train", step=2, sets=rare)
    assert not (tmp_path / "last.safetensors").exists()
    train_tiny(tmp_path, sets=rare, resume=True)
    assert_same_end(unbroken, tmp_path)


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_every_optimisers_state_is_kept(train_tiny: Callable, tmp_path: Path, optimizer: str) -> None:
    sets = [f"train.optimizer={optimizer}", "train.save_minutes=0"]
    train_tiny(tmp_path / "whole", sets=sets)
    killed(train_tiny, tmp_path / "cut", kind="train", step=3, sets=sets)
    train_tiny(tmp_path / "cut", sets=sets, resume=True)
    assert_same_end(tmp_path / "whole", tmp_path / "cut")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_saves_after_the_step_and_the_run_goes_on(
    train_tiny: Callable, unbroken: Path, tmp_path: Path, number: signal.Signals
) -> None:
    def press(event: Event) -> None:
        if event.values["step"] == 4:
            os.kill(os.getpid(), number)

    before = signal.getsignal(number)
    rare = [*SETS, "train.save_minutes=5"]
    outcome = train_tiny(tmp_path, sets=rare, watchers=[press])
    assert outcome.interrupted
    assert outcome.progress.global_step in (4, 5)  # Python meets a signal a moment after it was sent
    assert signal.getsignal(number) == before
    outcome = train_tiny(tmp_path, sets=rare, resume=True)
    assert not outcome.interrupted
    assert_same_end(unbroken, tmp_path)


def test_a_second_ctrl_c_ends_at_once(train_tiny: Callable, tmp_path: Path) -> None:
    def press(event: Event) -> None:
        for _ in range(2):
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        train_tiny(tmp_path, sets=SETS, watchers=[press])


def test_going_on_with_a_finished_run_changes_nothing(train_tiny: Callable, unbroken: Path) -> None:
    before = (unbroken / "last.safetensors").read_bytes()
    outcome = train_tiny(unbroken, sets=SETS, resume=True)
    assert outcome.progress.done
    assert not outcome.interrupted
    assert (unbroken / "last.safetensors").read_bytes() == before


# ---- damaged files


@pytest.mark.parametrize("size", [0, 5, 100, -50])
def test_a_cut_off_checkpoint_is_told(train_tiny: Callable, unbroken: Path, tmp_path: Path, size: int) -> None:
    whole = (unbroken / "last.safetensors").read_bytes()
    (tmp_path / "last.safetensors").write_bytes(whole[:size])
    with pytest.raises(UserError, match=r"last.safetensors is damaged"):
        train_tiny(tmp_path, sets=SETS, resume=True)


@pytest.mark.parametrize("size", [0, 5, -50])
def test_cut_off_weights_are_told(unbroken: Path, tmp_path: Path, size: int) -> None:
    (tmp_path / "config.yaml").write_text((unbroken / "config.yaml").read_text())
    (tmp_path / "best.safetensors").write_bytes((unbroken / "best.safetensors").read_bytes()[:size])
    with pytest.raises(UserError, match=r"best.safetensors is damaged"):
        load_run(RunFolder(tmp_path))


def test_weights_without_a_state_are_told(train_tiny: Callable, unbroken: Path, tmp_path: Path) -> None:
    (tmp_path / "last.safetensors").write_bytes((unbroken / "best.safetensors").read_bytes())
    with pytest.raises(UserError, match=r"last.safetensors is damaged"):
        train_tiny(tmp_path, sets=SETS, resume=True)


def test_the_state_of_another_network_is_told(train_tiny: Callable, unbroken: Path, tmp_path: Path) -> None:
    (tmp_path / "last.safetensors").write_bytes((unbroken / "last.safetensors").read_bytes())
    with pytest.raises(UserError, match="belongs to another experiment"):
        train_tiny(tmp_path, sets=["train.ema=0.9"], resume=True)


@pytest.mark.parametrize("at", ["write", "fsync", "replace"])
def test_a_full_disk_leaves_the_checkpoint_before_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    path = tmp_path / "last.safetensors"
    model = torch.nn.Linear(2, 2)
    optimizer = torch.optim.SGD(model.parameters(), lr=1)
    save_state(path, model=model, averaged=None, optimizer=optimizer, progress=Progress(global_step=7))
    before = path.read_bytes()

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    target, name = {"write": (Path, "write_bytes"), "fsync": (files.os, "fsync"), "replace": (Path, "replace")}[at]
    monkeypatch.setattr(target, name, full)
    with pytest.raises(UserError, match=r"no space left on device.*What was there before is untouched"):
        save_state(path, model=model, averaged=None, optimizer=optimizer, progress=Progress(global_step=8))
    monkeypatch.undo()
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["last.safetensors"]
    assert load_state(path, model=model, averaged=None, optimizer=optimizer).global_step == 7


def test_tensors_that_share_memory_or_are_strided_are_saved(tmp_path: Path) -> None:
    base = torch.arange(24.0).reshape(2, 3, 2, 2)
    state = {"a": base, "b": base, "c": base.to(memory_format=torch.channels_last), "d": base.permute(3, 2, 1, 0)}
    save_weights(tmp_path / "w.safetensors", state)
    found = load_file(tmp_path / "w.safetensors")
    assert all(torch.equal(found[key], state[key]) for key in state)


# ---- the folder and its log


def test_what_was_logged_after_the_checkpoint_is_cut(tmp_path: Path) -> None:
    log = tmp_path / "metrics.jsonl"
    lines = [
        {"kind": "train", "step": 1, "epoch": 0.3},
        {"kind": "train", "step": 3, "epoch": 1.0},
        {"kind": "val", "step": 3, "epoch": 1.0},
        {"kind": "train", "step": 4, "epoch": 1.3},
    ]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    for progress, kept in (
        (Progress(epoch=1, step=1, global_step=4), 4),
        (Progress(epoch=1, step=0, global_step=3), 3),
        (Progress(epoch=0, step=3, global_step=3), 2),  # saved behind the last step, before its validation
        (Progress(epoch=0, step=1, global_step=1), 1),
        (Progress(), 0),
    ):
        log.write_text(text + '{"kind": "tra')
        forget_later(log, progress)
        assert len(log.read_text().splitlines()) == kept, progress
    forget_later(tmp_path / "none.jsonl", Progress())


@pytest.mark.parametrize("damage", [b"\xff\xfe\n", b"{\n", b"[1]\n", b'{"kind": "val"}\n'])
def test_a_log_damaged_before_its_end_is_told_and_kept(tmp_path: Path, damage: bytes) -> None:
    log = tmp_path / "metrics.jsonl"
    log.write_bytes(damage + b'{"kind": "train", "step": 1, "epoch": 0.3}\n')
    before = log.read_bytes()
    with pytest.raises(UserError, match=r"metrics\.jsonl.* is damaged"):
        forget_later(log, Progress(global_step=1))
    assert log.read_bytes() == before


@pytest.mark.parametrize(
    ("name", "held"),
    [
        ("run.json", None),
        ("run.json", "{"),
        ("split.json", None),
        ("split.json", "{"),
        ("split.json", '{"train": 3}'),
        ("split.json", '{"train": [1], "val": [[2]]}'),
        ("run.json", '{"data": "faces"}'),
    ],
)
def test_what_the_end_of_a_run_needs_is_asked_for_before_it_goes_on(
    train_tiny: Callable, trained: Path, tmp_path: Path, name: str, held: str | None
) -> None:
    folder = RunFolder(tmp_path / "run")
    shutil.copytree(trained, folder.path)
    (folder.path / name).unlink() if held is None else (folder.path / name).write_text(held)
    with pytest.raises(UserError, match=rf"{name} is (missing|damaged).*another folder"):
        train_run(train_tiny.prepare(), folder, command="sightline train", device="cpu", resume=True)


@pytest.mark.parametrize("held", ["[1]", '{"a": NaN}', '{"a": 1e999}', '{"a": -0.1}', '{"a": "x"}'])
def test_thresholds_that_no_score_can_have_are_told(tmp_path: Path, held: str) -> None:
    (tmp_path / "thresholds.json").write_text(held)
    with pytest.raises(UserError, match=r"thresholds\.json is damaged"):
        RunFolder(tmp_path).load_thresholds()
    (tmp_path / "thresholds.json").write_text('{"a": 0, "b": 1}')
    assert RunFolder(tmp_path).load_thresholds() == {"a": 0.0, "b": 1.0}


def test_a_folder_that_holds_a_run_is_not_written_over(unbroken: Path) -> None:
    with pytest.raises(UserError, match=r"already holds a run.*--resume"):
        new_run_folder(unbroken, recipe="tiny", resume=False)
    assert new_run_folder(unbroken, recipe="tiny", resume=True).path == unbroken


def test_a_run_that_never_began_can_be_started_again(unbroken: Path, tmp_path: Path) -> None:
    (tmp_path / "config.yaml").write_text((unbroken / "config.yaml").read_text())
    assert new_run_folder(tmp_path, recipe="tiny", resume=False).path == tmp_path


def test_there_must_be_a_run_to_go_on_with(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no run to resume"):
        new_run_folder(tmp_path, recipe="tiny", resume=True)
    with pytest.raises(UserError, match="--resume needs --out"):
        new_run_folder(None, recipe="tiny", resume=True)
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="is a file"):
        new_run_folder(tmp_path / "file", recipe="tiny", resume=False)


def test_runs_without_a_name_are_numbered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for number in ("001", "002"):
        folder = new_run_folder(None, recipe="tiny", resume=False)
        assert folder.path == Path("runs") / f"tiny-{number}"
        folder.path.mkdir(parents=True)
