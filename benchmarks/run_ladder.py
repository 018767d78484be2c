"""Train every rung of a ladder with several seeds, each at its best learning rate, and print one table.

    python benchmarks/run_ladder.py regression-vs-heatmap --data DATA --out OUT --seeds 3 \
        --rates 5e-4 2e-3 8e-3 --set data.input_hw=[64,64] --set train.epochs=12

The rate is chosen with the first seed on the validation part; the other seeds then run at that rate. Runs that
are finished are not trained again, so a broken-off ladder goes on where it stopped. The table gives, for each
rung, mean and spread over seeds, and the paired difference to the rung before: the mean over seeds of each
picture's difference, with a 95 % bootstrap interval over pictures.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from pathlib import Path

import numpy as np

from sightline.checkpoint import RunFolder
from sightline.config import Experiment, override
from sightline.metrics.bootstrap import mean_interval
from sightline.metrics.points import main_metric
from sightline.pipeline import train_run
from sightline.prepare import load_data, prepare
from sightline.recipes import LADDERS


def main() -> None:
    """Train what is missing and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ladders", nargs="+", choices=sorted(LADDERS))
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--rates", type=float, nargs="+", default=[])
    parser.add_argument("--set", action="append", default=[], dest="sets")
    parser.add_argument("--weights-dir", type=Path, default=Path("weights"))
    options = parser.parse_args()
    dataset = load_data(options.data, skip_broken=False)
    command = shlex.join(["python", *sys.argv])

    def run(rung: Experiment, *, rate: float, seed: int) -> RunFolder:
        experiment = override(rung, sets=[*options.sets, f"train.lr={rate}", f"train.seed={seed}"])
        folder = RunFolder(options.out / f"{rung.recipe}-lr{rate:g}-seed{seed}")
        if not (folder.evaluation / "metrics.json").is_file():
            train_run(
                prepare(experiment, dataset, weight_folders=[options.weights_dir]),
                folder,
                command=command,
                device="cpu",
                resume=folder.last.is_file(),
                weight_folders=[options.weights_dir],
            )
            print(f"{folder.path.name}: {100 * value(folder):.3f}", flush=True)
        return folder

    for name in options.ladders:
        rungs = []
        for rung in LADDERS[name]():
            rates = options.rates or [rung.train.lr]
            tried = {rate: value(run(rung, rate=rate, seed=0)) for rate in rates}
            best = min(tried, key=lambda rate: tried[rate])
            folders = [run(rung, rate=best, seed=seed) for seed in range(options.seeds)]
            rungs.append((rung.recipe, best, tried, folders))
        print_table(name, rungs)


def value(folder: RunFolder) -> float:
    """The main metric of a finished run."""
    metrics = json.loads((folder.evaluation / "metrics.json").read_text())["metrics"]
    return float(metrics[main_metric(folder.experiment().skeleton.skeleton())]["value"])


def per_picture(folders: list[RunFolder]) -> np.ndarray:
    """Each picture's error, averaged over seeds: [N]."""
    runs = [json.loads((folder.evaluation / "predictions.json").read_text()) for folder in folders]
    return np.mean([[row["error"] for row in run] for run in runs], axis=0)


def print_table(name: str, rungs: list[tuple[str, float, dict[float, float], list[RunFolder]]]) -> None:
    """Markdown: a row a rung."""
    print(
        f"\n### {name}\n\n| rung | lr (tried) | error, % (mean, spread over seeds) | difference to the rung before, % |"
    )
    print("|---|---|---|---|")
    before: np.ndarray | None = None
    for recipe, best, tried, folders in rungs:
        values = 100 * np.array([value(folder) for folder in folders])
        errors = 100 * per_picture(folders)
        text = "-"
        if before is not None:
            found = mean_interval(errors - before)
            text = f"{found.value:+.2f} ({found.low:+.2f} .. {found.high:+.2f})"
        spread = f"{values.mean():.2f} +- {values.std(ddof=1):.2f}" if len(values) > 1 else f"{values.mean():.2f}"
        rates = ", ".join(f"{rate:g}: {100 * error:.2f}" for rate, error in tried.items())
        print(f"| {recipe} | {best:g} ({rates}) | {spread} | {text} |", flush=True)
        before = errors


if __name__ == "__main__":
    main()
