"""Train every rung of a ladder with several seeds, each at its best learning rate, and print one table.

    python benchmarks/run_ladder.py regression-vs-heatmap --data DATA --out OUT --seeds 3 \
        --rates 5e-4 2e-3 8e-3 --set data.input_hw=[64,64] --set train.epochs=12

The rate is chosen with the first seed on the validation part; the other seeds then run at that rate. Runs that
are finished are not trained again, so a broken-off ladder goes on where it stopped. The table gives, for each
rung, the task's metrics as mean and spread over seeds; the paired difference of each picture's error to the rung
before (mean over seeds, 95 % bootstrap interval over pictures, below 0 is better); parameters, operations, and
pictures a second in batches of 32 on this machine. With --images every rung sees as many pictures.
"""

from __future__ import annotations

import argparse
import json
import math
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from sightline.checkpoint import RunFolder
from sightline.config import Experiment, override
from sightline.evaluate import scoring_for
from sightline.inspect import inspect
from sightline.metrics.bootstrap import mean_interval
from sightline.pipeline import train_run
from sightline.predict import Predictor
from sightline.prepare import load_data, prepare
from sightline.recipes import LADDERS
from sightline.records import Dataset
from sightline.speed import measure_speed

SHOWN = {"points": (), "one-box": ("mean_iou", "accuracy"), "boxes": ("ap50",)}


@dataclass(frozen=True, kw_only=True)
class Rung:
    """A rung with all its finished runs."""

    name: str
    rate: float
    tried: dict[float, float]
    folders: list[RunFolder]


def main() -> None:
    """Train what is missing and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ladders", nargs="+", choices=sorted(LADDERS))
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--rates", type=float, nargs="+", default=[])
    parser.add_argument("--images", type=int, help="pictures that each rung sees, in whole epochs")
    parser.add_argument("--rungs", nargs="+", help="only these")
    parser.add_argument("--set", action="append", default=[], dest="sets")
    parser.add_argument("--weights-dir", type=Path, default=Path("weights"))
    parser.add_argument("--forwards", type=int, default=10, help="batches of 32 to time each rung with; 0 for none")
    options = parser.parse_args()
    dataset = load_data(options.data, skip_broken=True)
    for name in options.ladders:
        rungs = [rung for rung in LADDERS[name]() if not options.rungs or rung.recipe in options.rungs]
        print_table(name, [climb(rung, dataset, options) for rung in rungs], forwards=options.forwards)


def climb(rung: Experiment, dataset: Dataset, options: argparse.Namespace) -> Rung:
    """All runs of one rung."""
    rates = options.rates or [rung.train.lr]
    less = scoring_for(rung).less_is_better
    tried = {rate: value(train(rung, dataset, options, rate=rate, seed=0)) for rate in rates}
    best = (min if less else max)(tried, key=lambda rate: tried[rate])
    folders = [train(rung, dataset, options, rate=best, seed=seed) for seed in range(options.seeds)]
    return Rung(name=rung.recipe, rate=best, tried=tried, folders=folders)


def train(rung: Experiment, dataset: Dataset, options: argparse.Namespace, *, rate: float, seed: int) -> RunFolder:
    """One finished run, trained now or before."""
    sets = [*options.sets, f"train.lr={rate}", f"train.seed={seed}"]
    experiment = override(rung, sets=sets)
    folder = RunFolder(options.out / f"{rung.recipe}-lr{rate:g}-seed{seed}")
    if (folder.evaluation / "metrics.json").is_file():
        return folder
    prepared = prepare(experiment, dataset, weight_folders=[options.weights_dir])
    if options.images is not None:
        epochs = math.ceil(options.images / len(prepared.split.train))
        experiment = override(experiment, sets=[f"train.epochs={epochs}", "train.min_steps=0"])
        prepared = prepare(experiment, dataset, weight_folders=[options.weights_dir])
    train_run(
        prepared,
        folder,
        command=shlex.join(["python", *sys.argv]),
        device="cuda" if torch.cuda.is_available() else "cpu",
        resume=folder.last.is_file(),
        weight_folders=[options.weights_dir],
    )
    print(f"{folder.path.name}: {100 * value(folder):.3f}", flush=True)
    return folder


def evaluation(folder: RunFolder) -> dict[str, Any]:
    """What metrics.json holds."""
    return json.loads((folder.evaluation / "metrics.json").read_text(encoding="utf-8"))


def metric(folder: RunFolder, name: str) -> float:
    """A metric of a finished run; NaN where its validation part could not give it."""
    found = evaluation(folder)["metrics"].get(name)
    return math.nan if found is None else float(found["value"])


def value(folder: RunFolder) -> float:
    """The main metric of a finished run."""
    return metric(folder, scoring_for(folder.experiment()).metric)


def per_picture(folders: list[RunFolder]) -> np.ndarray:
    """Each picture's error, averaged over seeds: [N]."""
    runs = [json.loads((folder.evaluation / "predictions.json").read_text(encoding="utf-8")) for folder in folders]
    return np.mean([[row["error"] for row in run] for run in runs], axis=0)


def cost(folder: RunFolder, *, forwards: int) -> str:
    """Parameters, operations and speed, as cells."""
    found = inspect(folder.experiment())
    cells = f"{found.parameters['total'] / 1e6:.2f} | {found.flops / 1e9:.2f}"
    if not forwards:
        return f"{cells} | -"
    pictures = [Path(row["path"]) for row in json.loads((folder.evaluation / "predictions.json").read_text())[:32]]
    speed = measure_speed(Predictor.load(folder.path), pictures, forwards=forwards)
    return f"{cells} | {speed.batch_images_per_s:.1f}"


def print_table(name: str, rungs: list[Rung], *, forwards: int) -> None:
    """Markdown: a row a rung."""
    experiment = rungs[0].folders[0].experiment()
    names = [scoring_for(experiment).metric, *SHOWN[experiment.codec.finds]]
    heads = " | ".join(f"{each}, %" for each in names)
    print(
        f"\n### {name}\n\n| rung | lr (tried) | {heads} | difference of errors to the rung before, % | "
        "parameters, M | GFLOPs | images/s |"
    )
    print("|---" * (6 + len(names)) + "|")
    before: np.ndarray | None = None
    for rung in rungs:
        spreads = []
        for each in names:
            values = 100 * np.array([metric(folder, each) for folder in rung.folders])
            spreads.append(f"{values.mean():.2f}" + (f" +- {values.std(ddof=1):.2f}" if len(values) > 1 else ""))
        errors = 100 * per_picture(rung.folders)
        text = "-"
        if before is not None:
            found = mean_interval(errors - before)
            text = f"{found.value:+.2f} ({found.low:+.2f} .. {found.high:+.2f})"
        rates = ", ".join(f"{rate:g}: {100 * error:.2f}" for rate, error in rung.tried.items())
        columns = [rung.name, f"{rung.rate:g} ({rates})", *spreads, text, cost(rung.folders[0], forwards=forwards)]
        print(f"| {' | '.join(columns)} |", flush=True)
        before = errors


if __name__ == "__main__":
    main()
