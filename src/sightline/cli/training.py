"""A training with a progress bar, and what came out of it in words: shared by `train` and `demo`."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sightline.cli import console

if TYPE_CHECKING:
    from sightline.checkpoint import RunFolder
    from sightline.pipeline import Finished
    from sightline.prepare import Prepared


def train_and_tell(
    prepared: Prepared, folder: RunFolder, *, device: str, resume: bool, folders: Sequence[Path], as_json: bool
) -> int:
    """Train with a progress bar, print what came out, and return the exit code.

    Args:
        prepared: data and experiment.
        folder: the run's.
        device: "cpu" or "cuda".
        resume: go on with what lies in the folder.
        folders: where pretrained weights are looked for.
        as_json: the result as JSON on standard output, and progress on standard error.
    """
    from sightline.evaluate import scoring_for
    from sightline.loader import EpochSampler
    from sightline.pipeline import train_run
    from sightline.terminal import training_progress

    experiment = prepared.experiment
    steps = EpochSampler(count=len(prepared.split.train), batch=experiment.train.batch, seed=0).steps
    metric = scoring_for(experiment).metric
    # torchrun tells each process how many there are, here and on all machines.
    processes = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    nodes = int(os.environ.get("WORLD_SIZE", "1")) // processes
    where = console.err if as_json else console.out
    with training_progress(where, total_steps=steps * experiment.train.epochs, metric=metric) as watch:
        finished = train_run(
            prepared, folder, command="sightline " + shlex.join(sys.argv[1:]), device=device, resume=resume,
            processes=processes, nodes=nodes, weight_folders=folders, watchers=[watch],
        )  # fmt: skip
    return _tell(finished, as_json=as_json)


def _tell(finished: Finished, *, as_json: bool) -> int:
    folder = finished.folder.path
    if finished.outcome.interrupted:
        where = console.err if as_json else console.out
        console.say(f"Stopped and saved. Go on with the same command and --resume --out {folder}", on=where)
        return 130
    if finished.evaluation is None:
        return 0
    if as_json:
        found = finished.evaluation.to_json()
        console.print_json({"run": str(folder), "report": str(finished.report), **found})
        return 0
    from sightline.terminal import metrics_table

    evaluation = finished.evaluation
    title = f"{evaluation.images} validation pictures, crop: {evaluation.crop}"
    console.out.print(metrics_table(evaluation.to_json()["metrics"], title=title))
    console.say(f"run     {folder}\nreport  {finished.report}")
    return 0
