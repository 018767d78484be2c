"""A sweep whose trainings are made up: the score of a run at an epoch is a formula of its learning rate and seed.

Everything else is the real thing: space, storage, locks, pruning, run folders, files. As a program it is one process of
such a sweep: made_up_training.py OUT DATA TRIALS SECONDS [URL]; each made-up epoch takes so many seconds.
"""

from __future__ import annotations

import json
import math
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "compare"))
from fake_runs import write_run

from sightline.checkpoint import RunFolder
from sightline.compare.ladder import Interrupted, Means
from sightline.config import Experiment, from_yaml
from sightline.errors import UserError
from sightline.prepare import Prepared, load_data
from sightline.sweep import trial as trial_module
from sightline.sweep.fit import fit_space
from sightline.sweep.run import search_all
from sightline.sweep.space import read_space
from sightline.sweep.storage import SweepSettings, require_optuna
from sightline.sweep.trial import Search
from sightline.train import Event, Watcher

RECIPE = """
recipe: tiny
skeleton: {names: [only]}
data: {input_hw: [32, 32], channels: 1, crop: points, val_fraction: 0.25, split_by: random, workers: 0}
backbone: {kind: convnet, layers: [{channels: 8, stride: 4, padding: 1}]}
neck: {kind: none}
head: {kind: mlp}
codec: {kind: coords}
train: {epochs: 8, batch: 4, lr: 0.01}
"""
Score = Callable[[float, int, int], float]  # learning rate, seed, epoch


def bowl(rate: float, seed: int, epoch: int) -> float:
    """Best at a learning rate of 0.01; seeds differ by a little, and all get better over the epochs."""
    return 0.05 + 0.1 * abs(math.log10(rate) + 2) + 0.002 * seed + 0.02 / epoch


class MadeUp:
    """In the place of `finished_run`; remembers what it was asked to train, from which epoch to which."""

    def __init__(self, score: Score = bowl, *, seconds: float = 0.0) -> None:
        self.score, self.seconds = score, seconds
        self.trained: list[tuple[str, int, int, int]] = []  # recipe, seed, first epoch, last epoch
        self.interrupt_at: int | None = None  # after so many epochs in all
        self.epochs = 0
        self.log: Path | None = None

    def __call__(self, prepared: Prepared, out: Path, means: Means) -> Path:
        experiment, folder = prepared.experiment, RunFolder(out)
        if (folder.evaluation / "metrics.json").is_file():
            return out
        out.mkdir(parents=True, exist_ok=True)
        folder.config.write_text(experiment.to_yaml())
        seed = experiment.train.seed
        begun = len(folder.metrics.read_text().splitlines()) if folder.metrics.is_file() else 0
        self.trained.append((experiment.recipe, seed, begun + 1, begun))
        _note(self.log, f"{os.getpid()} {experiment.recipe} {seed} begins")
        with means.watching(prepared, out) as active:
            return self._epochs_of(experiment, folder, active, begun=begun)

    def _epochs_of(
        self, experiment: Experiment, folder: RunFolder, active: Sequence[Watcher], *, begun: int
    ) -> Path:  # fmt: skip
        out, rate, seed, last = folder.path, experiment.train.lr, experiment.train.seed, experiment.train.epochs
        for epoch in range(begun + 1, last + 1):
            time.sleep(self.seconds)
            for watch in active:
                watch(Event(kind="train", values={"epoch": epoch - 1, "loss": 1.0}))
            value = self.score(rate, seed, epoch)
            if value > 1e6:
                raise UserError("The loss became inf.")
            with folder.metrics.open("a") as file:
                file.write(json.dumps({"kind": "val", "epoch": epoch, "nme_interocular": value}) + "\n")
            self.trained[-1] = (*self.trained[-1][:3], epoch)
            self.epochs += 1
            if self.epochs == self.interrupt_at:
                raise Interrupted(str(out))
            for watch in active:
                watch(Event(kind="val", values={"epoch": epoch, "nme_interocular": value}))
        rows = folder.metrics.read_text()
        best = min(self.score(rate, seed, epoch) for epoch in range(1, last + 1))
        shift = np.random.default_rng(seed).normal(0, 0.01, 20)
        write_run(
            out, best + shift - shift.mean(), recipe=experiment.recipe, seed=seed, settings={"train": {"lr": rate}}
        )
        folder.metrics.write_text(rows)
        folder.config.write_text(experiment.to_yaml())
        held = json.loads(folder.info.read_text()) | {"seconds": float(last)}
        folder.info.write_text(json.dumps(held))
        _note(self.log, f"{os.getpid()} {experiment.recipe} {seed} ends")
        return out


def _note(log: Path | None, line: str) -> None:
    if log is not None:
        with log.open("a") as file:
            file.write(line + "\n")


def search_for(
    out: Path, data: Path, texts: Sequence[str] = ("train.lr=1e-4..1:log",), *, seeds: int = 3, pruner: str = "median",
    say: Callable[[str], None] = print, **settings: object,
) -> Search:  # fmt: skip
    """A sweep around the small recipe on drawn faces."""
    require_optuna()
    space = fit_space(from_yaml(RECIPE, where="test"), *read_space(texts))
    dataset = load_data(data, skip_broken=False)
    given = {"objectives": (), "limits": {}} | settings
    return Search(
        space=space,
        settings=SweepSettings(
            recipe=space.base.to_yaml(), space=tuple(map(str, space.dimensions)), seeds=seeds, pruner=pruner,
            data=dataset.fingerprint(), metric="nme_interocular", less_is_better=True, **given,
        ),  # type: ignore[arg-type]
        dataset=dataset, out=out, means=Means(command="test", say=say),
    )  # fmt: skip


def _main() -> None:
    out, data, trials, seconds = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
    url = sys.argv[5] if len(sys.argv) > 5 else None
    made_up = MadeUp(seconds=seconds)
    made_up.log = Path(sys.argv[6]) if len(sys.argv) > 6 else out.parent / "log.txt"
    trial_module.finished_run = made_up
    search_all(search_for(out, data, seeds=2), url=url, study_name="made-up", trials=trials)


if __name__ == "__main__":
    _main()
