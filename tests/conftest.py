"""Small things that many tests share: faces drawn by code, an experiment that trains in a second, the command line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from sightline.drawn.faces import write_drawn_faces

if TYPE_CHECKING:
    from sightline.prepare import Prepared
    from sightline.train import Event, Outcome

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

    from sightline.cli import console, main

    def run(*arguments: object) -> Ran:
        monkeypatch.setattr(sys, "argv", ["sightline", *map(str, arguments)])
        monkeypatch.setattr(console, "out", Console(width=200))
        monkeypatch.setattr(console, "err", Console(width=200, stderr=True))
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        code = ended.value.code
        assert "Traceback" not in said.err + said.out
        return Ran(code if isinstance(code, int) else 0 if code is None else 1, said.out, said.err)

    return run


@pytest.fixture(scope="session")
def start() -> Callable[..., subprocess.Popen[str]]:
    """Starts the command line, or another module, as a process of its own with one thread."""

    def begin(*arguments: object, module: Sequence[object] = ("sightline",)) -> subprocess.Popen[str]:
        given = [sys.executable, "-m", *map(str, module), *map(str, arguments)]
        env = {**os.environ, "PYTHONPATH": str(SOURCE), "OMP_NUM_THREADS": "1", "COLUMNS": "200"}
        return subprocess.Popen(given, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env)

    return begin


class TrainTiny:
    """Trains the tiny experiment in this process, without the command line."""

    def __init__(self, recipe: Path, data: Path) -> None:
        self.recipe, self.data = recipe, data

    def prepare(self, *, sets: Sequence[str] = (), use: Sequence[str] = (), keep: int | None = None) -> Prepared:
        """The experiment fitted to the data; `keep` records only, which then train and validate both."""
        from sightline.cli.choose import chosen
        from sightline.prepare import load_data, prepare
        from sightline.splits import Split

        experiment = chosen(str(self.recipe), list(use), list(sets))
        prepared = prepare(experiment, load_data(self.data, skip_broken=False))
        if keep is None:
            return prepared
        records = prepared.dataset.records[:keep]
        return replace(prepared, split=Split(train=records, val=records, by="random"))

    def __call__(
        self,
        out: Path,
        *,
        sets: Sequence[str] = (),
        use: Sequence[str] = (),
        keep: int | None = None,
        resume: bool = False,
        watchers: Sequence[Callable[[Event], None]] = (),
    ) -> Outcome:
        """Train without the final evaluation and report; the run folder is whole all the same."""
        from sightline.checkpoint import RunFolder
        from sightline.files import write_atomically
        from sightline.train import train

        prepared = self.prepare(sets=sets, use=use, keep=keep)
        write_atomically(RunFolder(out).config, prepared.experiment.to_yaml())
        return train(prepared.experiment, prepared.split, out, resume=resume, watchers=watchers)


@pytest.fixture(scope="session")
def train_tiny(recipe_file: Path, faces: Path) -> TrainTiny:
    """Trains the tiny experiment on the drawn faces."""
    return TrainTiny(recipe_file, faces)


@pytest.fixture(scope="session")
def trained(train_tiny: TrainTiny, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished tiny run on `faces`, with evaluation and report. Read only."""
    from sightline.pipeline import new_run_folder, train_run

    out = tmp_path_factory.mktemp("runs") / "trained"
    folder = new_run_folder(out, recipe="tiny", resume=False)
    train_run(train_tiny.prepare(), folder, command="sightline train tiny.yaml --data faces", device="cpu")
    return out
