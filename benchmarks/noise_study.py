"""The noise study of the `shuttle` write-up again: does noise of one constant strength spoil what is seen without it?

    python benchmarks/noise_study.py --out FOLDER [--std 0.01 0.2] [--clips 80] [--epochs 10] [--weights-dir DIR]

Draws clips, trains the fine stage's fourth version (its light variant) once with noise of a constant strength and once
with a strength drawn for each picture up to the same, and gives the mean loss of each on the write-up's six rows: part
of the data, colour jitter, noise, flip. "Testing" are clips of another seed. What is there already is kept, so that a
run that was stopped goes on. Intervals are 95 % bootstrap intervals over clips; one seed of training.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

import numpy as np

from sightline.audit.conditions import Condition
from sightline.audit.measure import LOSS, Subject, measure
from sightline.checkpoint import RunFolder
from sightline.config import AugmentConfig, Experiment
from sightline.drawn.rally_folder import write_rallies
from sightline.evaluate import scoring_for
from sightline.loader import Pictures
from sightline.metrics.bootstrap import Interval, mean_interval
from sightline.pipeline import load_run
from sightline.prepare import load_data
from sightline.records import Record
from sightline.task_data import speaking_of, usable
from sightline.transforms import Framing

ROWS = (  # part, colour jitter, noise, flip, loss in the write-up
    ("training", False, False, False, 0.1651),
    ("training", True, True, True, 0.0089),
    ("validation", False, True, True, 0.0108),
    ("testing", True, True, True, 0.0081),
    ("validation", False, True, False, 0.0108),
    ("validation", True, False, True, 0.2017),
)
COLOUR = ("brightness", "contrast", "saturation", "hue")
DRAWS = ("constant", "each-image")
FRAMES = 8  # of a drawn clip


def main() -> None:
    """Draw, train, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--std", type=float, nargs="+", default=[0.01])
    parser.add_argument("--clips", type=int, default=80)
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--input", type=int, default=112, help="side of a window, pixels")
    parser.add_argument("--records", type=int, default=128, help="of each part that losses are taken of")
    parser.add_argument("--weights-dir", type=Path, help="folder with pretrained weights; random ones without it")
    given = parser.parse_args()
    drawn = {"train": (given.clips, 1), "test": (max(8, given.clips // 5), 2)}
    for name, (clips, seed) in drawn.items():
        if not (given.out / name).exists():
            write_rallies(given.out / name, clips=clips, frames=FRAMES, seed=seed, size_hw=(360, 640))
    found = {}
    for std in given.std:
        for draw in DRAWS:
            run = given.out / f"{draw}-{std:g}"
            if not (run / "evaluation").exists():
                train(run, given, std=std, draw=draw)
            found[f"{draw} {std:g}"] = losses(run, given, std=std)
    print_table(found)
    values = {name: [one.to_json() for one in rows] for name, rows in found.items()}
    (given.out / "losses.json").write_text(json.dumps(values, indent=1))


def train(run: Path, given: argparse.Namespace, *, std: float, draw: str) -> None:
    """One training by the command line, as a user would start it."""
    command = [sys.executable, "-m", "sightline", "train", "shuttle-light-s2-v4", "--data", given.out / "train"]
    command += ["--out", run, "--device", "cpu"]
    sets = [f"data.input_hw=[{given.input},{given.input}]", f"train.epochs={given.epochs}", "data.workers=0"]
    sets += [f"augment.noise_std={std}", f"augment.noise_draw={draw}", "data.val_fraction=0.2"]
    sets += [] if given.weights_dir else ["backbone.weights=none"]
    command += ["--weights-dir", given.weights_dir] if given.weights_dir else []
    subprocess.run([str(part) for part in [*command, "--set", *sets]], check=True, stdout=subprocess.DEVNULL)


def losses(run: Path, given: argparse.Namespace, *, std: float) -> list[Interval]:
    """Mean loss and its interval over clips for each of the six rows."""
    folder = RunFolder(run)
    experiment = folder.experiment()
    model, codec = load_run(folder)
    subject = Subject(
        model=model, codec=codec, experiment=experiment, device="cpu",
        scoring=scoring_for(experiment, thresholds=folder.load_thresholds()),
    )  # fmt: skip
    known = json.loads(folder.split.read_text())
    ours = records_of(given.out / "train", experiment)
    parts = {
        "training": [record for record in ours if record.image_id in set(known["train"])],
        "validation": [record for record in ours if record.image_id in set(known["val"])],
        "testing": records_of(given.out / "test", experiment),
    }
    return [
        mean_over_clips(subject, spread(parts[part], given.records), condition(experiment, jitter, noise, flip, std))
        for part, jitter, noise, flip, _ in ROWS
    ]


def records_of(data: Path, experiment: Experiment) -> list[Record]:
    """All usable records of a data set."""
    dataset = speaking_of(experiment, load_data(data, skip_broken=False, runs=data.parent))
    return list(usable(dataset, experiment.codec.finds, []).records)


def spread(records: list[Record], count: int) -> list[Record]:
    """So many records, evenly over all."""
    return [records[int(at)] for at in np.unique(np.linspace(0, len(records) - 1, count).astype(int))]


def condition(experiment: Experiment, jitter: bool, noise: bool, flip: bool, std: float) -> Condition:
    """One row's input; noise there is of the constant strength, as in the write-up's test."""
    trained = experiment.augment
    on = {key: getattr(trained, key) for key in COLOUR} if jitter else {}
    on |= {"noise_std": std} if noise else {}
    on |= {"flip": trained.flip} if flip else {}
    augment = AugmentConfig(leaving=trained.leaving, noise_draw="constant", **on)
    return Condition(key="row", axis="augment", what="row", level="", words="row", augment=augment)


def mean_over_clips(subject: Subject, records: list[Record], row: Condition) -> Interval:
    """Mean loss, and its 95 % bootstrap interval over clips."""
    pictures = Pictures(records, subject.experiment.data, past_frames=Framing.of(subject.experiment).past_frames)
    sums = measure(subject, pictures, row).table.sums[LOSS][0]
    each = sums[:, 0] / np.maximum(sums[:, 1], 1)
    return mean_interval(each, groups=[record.group or record.image_id for record in records])


def print_table(found: dict[str, list[Interval]]) -> None:
    """A row for each of the write-up's, a column for each training."""
    print("part        colour noise flip   write-up  " + "  ".join(f"{name:>24}" for name in found))
    for at, (part, jitter, noise, flip, published) in enumerate(ROWS):
        marks = "  ".join("yes" if on else " no" for on in (jitter, noise, flip))
        values = "  ".join(told(rows[at]) for rows in found.values())
        print(f"{part:<11} {marks}    {published:.4f}  {values}")


def told(found: Interval) -> str:
    """A value with its interval, where the clips are enough for one."""
    if found.low is None or found.high is None:
        return f"{found.value:8.4f} {'(no interval)':<16}"
    return f"{found.value:8.4f} ({found.low:.4f}, {found.high:.4f})"


if __name__ == "__main__":
    main()
