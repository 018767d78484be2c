"""Small things that many tests share: faces drawn by code, an experiment that trains in a second, the command line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from sightline.drawn.faces import write_drawn_faces

SOURCE = Path(__file__).resolve().parents[1] / "src"

# A recipe file: one line for each thing that makes it small. 32 px, batch 4, 16 drawn faces: 3 steps an epoch.
TINY_YAML = """
recipe: tiny
skeleton: {names: [only]}
data: {input_hw: [32, 32], channels: 1, crop: points, val_fraction: 0.25, split_by: random, workers: 0}
augment: {rotate_deg: 10, scale_min: 0.9, scale_max: 1.1, flip: 0.5, brightness: 0.1, noise_std: 0.02}
backbone:
  kind: convnet
  layers: [{channels: 8, stride: 2, padding: 1}, {channels: 8, stride: 2, padding: 1}]
neck: {kind: none}
head: {kind: mlp}
codec: {kind: coords}
train: {epochs: 2, batch: 4, lr: 0.003, schedule: cosine}
evaluate: {batch: 8}
"""


@pytest.fixture(scope="session")
def faces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sixteen drawn faces of 64 px with 68 landmarks. Read only: tests that break data copy them."""
    return write_drawn_faces(tmp_path_factory.mktemp("drawn") / "faces", count=16, seed=1, size=64)


@pytest.fixture(scope="session")
def recipe_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny experiment as a recipe file."""
    path = tmp_path_factory.mktemp("recipe") / "tiny.yaml"
    path.write_text(TINY_YAML)
    return path


@dataclass(frozen=True)
class Ran:
    """What a command said."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict:
        """Standard output as JSON; nothing else may be on it."""
        return json.loads(self.out)


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Ran]:
    """Runs the command line in this process, through `main`, as the installed program does."""
    from rich.console import Console

    from sightline import cli as module

    def run(*arguments: object) -> Ran:
        monkeypatch.setattr(sys, "argv", ["sightline", *map(str, arguments)])
        monkeypatch.setattr(module, "out", Console(width=200))
        monkeypatch.setattr(module, "err", Console(width=200, stderr=True))
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            module.main()
        said = capsys.readouterr()
        code = ended.value.code
        assert "Traceback" not in said.err + said.out
        return Ran(code if isinstance(code, int) else 0 if code is None else 1, said.out, said.err)

    return run


def command(*arguments: object) -> list[str]:
    """The command line as another process."""
    return [sys.executable, "-m", "sightline", *map(str, arguments)]


def environment(**more: str) -> dict[str, str]:
    """One thread, this checkout."""
    return {**os.environ, "PYTHONPATH": str(SOURCE), "OMP_NUM_THREADS": "1", "COLUMNS": "200", **more}


@pytest.fixture
def process() -> Callable[..., Ran]:
    """Runs the command line in a process of its own."""

    def run(*arguments: object, cwd: Path | None = None, env: dict[str, str] | None = None) -> Ran:
        done = subprocess.run(
            command(*arguments), capture_output=True, text=True, timeout=600, cwd=cwd, env=environment(**(env or {}))
        )
        return Ran(done.returncode, done.stdout, done.stderr)

    return run


@pytest.fixture(scope="session")
def trained(faces: Path, recipe_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished tiny run on `faces`. Read only."""
    out = tmp_path_factory.mktemp("runs") / "trained"
    train_here(recipe_file, faces, out)
    return out


def train_here(recipe: Path, data: Path, out: Path, *, sets: Sequence[str] = ()) -> None:
    """Train in this process, without the command line."""
    from sightline.cli import chosen
    from sightline.pipeline import load_data, new_run_folder, prepare, train_run

    experiment = chosen(str(recipe), None, list(sets))
    prepared = prepare(experiment, load_data(data, skip_broken=False))
    folder = new_run_folder(out, recipe="tiny", resume=False)
    train_run(prepared, folder, command="sightline train tiny.yaml --data faces", device="cpu")
