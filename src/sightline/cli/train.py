"""`sightline train`: from a recipe and a data set to a run folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from sightline.cli import console
from sightline.cli.choose import chosen, weight_folders
from sightline.cli.dataset import print_dataset
from sightline.cli.options import Flag, Many
from sightline.cli.train_tracker import Request, train_tracker
from sightline.cli.training import train_and_tell


def train(
    recipe: str,
    *,
    data: Path,
    out_: Annotated[Path | None, Parameter(name="--out")] = None,
    use: Many = None,
    set: Many = None,
    resume: Flag = False,
    skip_broken: Flag = False,
    format: str | None = None,
    device: str = "auto",
    weights_dir: Path | None = None,
    json: Flag = False,
) -> int:
    """Train a recipe on a data set; write a run folder and its report.

    Args:
        recipe: a name (see `sightline recipes`), a YAML file, or a tracker of several stages (track-ball, shuttle).
        data: a label file or the folder that holds labels and pictures.
        out_: the run folder; the next free one below runs/ when not given.
        use: swap pieces, SLOT=NAME.
        set: change settings, KEY=VALUE.
        resume: go on with an interrupted run; needs --out.
        skip_broken: leave broken samples out instead of stopping.
        format: the label format, where it cannot be found out.
        device: auto, cpu or cuda.
        weights_dir: folder with pretrained weights as NAME.safetensors.
        json: print the result as JSON.
    """
    from sightline.devices import pick_device
    from sightline.pipeline import new_run_folder
    from sightline.prepare import load_data, prepare
    from sightline.recipes.trackers import TRACKERS

    where = pick_device(device)
    folders = weight_folders(weights_dir, data)
    if recipe in TRACKERS:
        request = Request(
            data=data, out=out_, use=use, sets=set, resume=resume, skip_broken=skip_broken, format=format, as_json=json
        )
        return train_tracker(recipe, request, device=where, folders=folders)
    experiment = chosen(recipe, use, set)
    folder = new_run_folder(out_, recipe=experiment.recipe, resume=resume)
    dataset = load_data(data, skip_broken=skip_broken, format=format, runs=folder.path.parent)
    if not json:
        print_dataset(dataset, most=5)
    prepared = prepare(experiment, dataset, weight_folders=folders)
    for line in prepared.decisions:
        console.say(f"  {line}", on=console.err if json else console.out)
    return train_and_tell(prepared, folder, device=where, resume=resume, folders=folders, as_json=json)
