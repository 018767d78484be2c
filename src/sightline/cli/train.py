"""`sightline train`: from a recipe and a data set to a run folder."""

from __future__ import annotations

import os
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from sightline.cli import console
from sightline.cli.choose import chosen, weight_folders
from sightline.cli.dataset import print_dataset
from sightline.cli.folds import fold_and_tell
from sightline.cli.options import Flag, Many
from sightline.cli.several_runs import SeveralRuns
from sightline.cli.train_tracker import Request, train_tracker
from sightline.cli.training import train_and_tell
from sightline.errors import UserError
from sightline.processes import join, place, require_torchrun
from sightline.sinks import read_targets

if TYPE_CHECKING:
    from sightline.prepare import Prepared


def train(
    recipe: str,
    *,
    data: Path,
    out_: Annotated[Path | None, Parameter(name="--out")] = None,
    use: Many = None,
    set: Many = None,
    folds: int | None = None,
    repeats: int | None = None,
    from_: Annotated[Path | None, Parameter(name="--from")] = None,
    resume: Flag = False,
    skip_broken: Flag = False,
    format: str | None = None,
    device: str = "auto",
    weights_dir: Path | None = None,
    sink: Many = None,
    json: Flag = False,
) -> int:
    """Train a recipe on a data set; write a run folder and its report.

    Several processes: torchrun --nproc-per-node 2 -m sightline train ... --out RUN. Those that torchrun starts again
    after a crash (--max-restarts) go on from the last checkpoint.

    Args:
        recipe: a name (see `sightline recipes`), a YAML file, or a tracker of several stages (track-ball, shuttle).
        data: a label file or the folder that holds labels and pictures.
        out_: the run folder; the next free one below runs/ when not given.
        use: swap pieces, SLOT=NAME.
        set: change settings, KEY=VALUE.
        folds: cross-validate: train on all parts but one of so many, for each in turn; every picture is validated on.
        repeats: with --folds, how often, each time divided anew and with another seed; once when not given.
        from_: start from the weights of this run (of a tracker: from its stages), where they fit; the rest starts
            fresh. To go on with a run that was interrupted is --resume.
        resume: go on with an interrupted run; needs --out.
        skip_broken: leave broken samples out instead of stopping.
        format: the label format, where it cannot be found out.
        device: auto, cpu or cuda.
        weights_dir: folder with pretrained weights as NAME.safetensors.
        sink: show the run elsewhere too: tensorboard, tensorboard=FOLDER, mlflow or mlflow=URI. It is no setting of the
            run, and `sightline index` fills it from the run folder at any time.
        json: print the result as JSON.
    """
    require_torchrun(os.environ)
    here = place(os.environ)
    sinks = read_targets(sink or ())
    if folds is not None and (here.world > 1 or sinks):
        raise UserError(
            "--folds trains run after run, in one process and without --sink. Afterwards: sightline index OUT --to ..."
        )
    if here.world > 1 and out_ is None:
        raise UserError("Several processes need --out RUN: by itself each would look for the next free folder.")
    if folds is not None:
        asked = SeveralRuns(
            recipe=recipe, data=data, out=out_, use=use or (), sets=set or (), start_from=from_,
            skip_broken=skip_broken, format=format, device=device, weights_dir=weights_dir, as_json=json,
        )  # fmt: skip
        return fold_and_tell(asked, folds=folds, repeats=1 if repeats is None else repeats, resume=resume)
    if repeats is not None:
        raise UserError("--repeats is for --folds K, which cross-validates. To train with other seeds: train.seed=1.")

    from sightline.devices import pick_device
    from sightline.pipeline import is_restart, new_run_folder
    from sightline.prepare import load_data, prepare, require_pictures
    from sightline.recipes.trackers import TRACKERS

    where = pick_device(device)
    folders = weight_folders(weights_dir, data)
    if recipe in TRACKERS:
        request = Request(
            data=data, out=out_, use=use, sets=set, start_from=from_, resume=resume, skip_broken=skip_broken,
            format=format, as_json=json,
        )  # fmt: skip
        return train_tracker(
            recipe, request, device=where, folders=folders, group=join(here, device=where), sinks=sinks
        )
    experiment = chosen(recipe, use, set, start_from=from_)
    group = join(here, device=where)
    group.require_same((version("sightline"), experiment), what="What to train")
    speaks = console.err if json and group.leads else console.out
    if here.world > 1:
        console.say(f"{here.world} processes on {here.machines} machine{'s' if here.machines > 1 else ''}", on=speaks)
    goes_on = group.from_leader(lambda: resume or is_restart(out_, group))
    if goes_on and not resume:
        console.say(f"started again by torchrun: {out_} goes on from its last checkpoint", on=speaks)
    folder = new_run_folder(out_, recipe=experiment.recipe, resume=goes_on, leads=group.leads)

    def read() -> Prepared:
        dataset = load_data(data, skip_broken=skip_broken, format=format, runs=folder.path.parent)
        if not json:
            print_dataset(dataset, most=5)
        begun = folder.experiment() if goes_on else None
        prepared = prepare(experiment, dataset, weight_folders=folders, begun=begun)
        for line in prepared.decisions:
            console.say(f"  {line}", on=speaks)
        return prepared

    prepared = group.from_leader(read)
    require_pictures(prepared)
    return train_and_tell(
        prepared, folder, device=where, resume=goes_on, folders=folders, as_json=json, group=group, sinks=sinks
    )
