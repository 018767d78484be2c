"""Two processes with the same global batch end where one does, up to the order of sums."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

TORCHRUN = ["torch.distributed.run", "--nproc-per-node", "2", "--master-port", "0", "--rdzv-backend", "c10d",
            "--rdzv-endpoint", "localhost:0", "-m", "sightline"]  # fmt: skip


@pytest.mark.slow
def test_two_processes_agree_with_one(
    start: Callable[..., subprocess.Popen[str]], train_tiny: Callable, recipe_file: Path, faces: Path, tmp_path: Path
) -> None:
    # Points leave, so that the processes have unequal numbers of visible ones.
    sets = ["augment.scale_max=1.6", "train.accumulate=2", "train.clip_norm=0.5", "train.ema=0.9"]
    given = [part for text in sets for part in ("--set", text)]
    two = start("train", recipe_file, "--data", faces, "--out", tmp_path / "two", *given, module=TORCHRUN)
    train_tiny(tmp_path / "one", sets=sets)
    said, errors = two.communicate(timeout=600)
    assert two.returncode == 0, errors
    assert said.count("16 records") == 1  # only the first process speaks
    one, other = (load_file(tmp_path / name / "last.safetensors") for name in ("one", "two"))
    assert one.keys() == other.keys()
    for key in one:
        torch.testing.assert_close(other[key], one[key], rtol=1e-3, atol=1e-5, msg=key)
    logs = [(tmp_path / name / "metrics.jsonl").read_text().splitlines() for name in ("one", "two")]
    first, second = ([json.loads(line) for line in log] for log in logs)
    assert [e["step"] for e in first] == [e["step"] for e in second]
    assert [e["loss"] for e in second] == pytest.approx([e["loss"] for e in first], rel=1e-3)
    assert (tmp_path / "two" / "report.html").is_file()


@pytest.mark.slow
def test_two_processes_with_group_normalisation_agree_with_one(
    start: Callable[..., subprocess.Popen[str]], train_tiny: Callable, recipe_file: Path, faces: Path, tmp_path: Path
) -> None:
    # SGD, because Adam divides what is nearly zero by its own size, and the order of sums would show.
    resnet = ["backbone.name=resnet18", "backbone.weights=none", "backbone.norm=group", "backbone.levels=[1,2]"]
    sets = [*resnet, "train.optimizer=sgd", "train.lr=0.02", "augment.scale_max=1.6"]
    given = [part for text in sets for part in ("--set", text)]
    two = start(
        "train", recipe_file, "--data", faces, "--out", tmp_path / "two", "--use", "backbone=timm", *given,
        module=TORCHRUN,
    )  # fmt: skip
    train_tiny(tmp_path / "one", sets=sets, use=["backbone=timm"])
    _, errors = two.communicate(timeout=600)
    assert two.returncode == 0, errors
    assert "statistics of its own part of a batch" not in errors
    one, other = (load_file(tmp_path / name / "last.safetensors") for name in ("one", "two"))
    assert any("layer2.1.bn2" in key for key in one)
    assert one.keys() == other.keys()
    assert not any("running_mean" in key for key in one)
    for key in one:
        torch.testing.assert_close(other[key], one[key], rtol=1e-4, atol=1e-6, msg=key)


@pytest.mark.slow
def test_batch_statistics_of_each_process_are_told(
    start: Callable[..., subprocess.Popen[str]], recipe_file: Path, faces: Path, tmp_path: Path
) -> None:
    normed = [
        "--set",
        "backbone.layers=[{channels: 8, stride: 4, padding: 1, norm: true}]",
        "--set",
        "train.patience=1",
    ]
    two = start("train", recipe_file, "--data", faces, "--out", tmp_path / "two", *normed, module=TORCHRUN)
    _, errors = two.communicate(timeout=600)
    assert two.returncode == 0, errors
    assert errors.count("statistics of its own part of a batch") == 1


@pytest.mark.slow
def test_a_batch_that_cannot_be_shared_is_refused(
    start: Callable[..., subprocess.Popen[str]], recipe_file: Path, faces: Path, tmp_path: Path
) -> None:
    two = start(
        "train", recipe_file, "--data", faces, "--out", tmp_path / "two", "--set", "train.batch=5", module=TORCHRUN
    )
    _, errors = two.communicate(timeout=600)
    assert two.returncode != 0
    assert "choose a multiple of 2" in errors
