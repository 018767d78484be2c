"""`sightline demo`: from nothing to a trained model and its report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from sightline.cli import console
from sightline.cli.choose import chosen
from sightline.cli.options import Many
from sightline.cli.training import train_and_tell
from sightline.errors import UserError


def demo(
    *,
    out_: Annotated[Path, Parameter(name="--out")] = Path("sightline-demo"),
    count: int = 500,
    set: Many = None,
) -> int:
    """Draw faces by code, train on them for a few minutes, evaluate, and write the report. No network.

    Args:
        out_: folder for the drawn data and the run.
        count: how many faces to draw.
        set: change settings, KEY=VALUE.
    """
    from sightline.devices import pick_device
    from sightline.drawn.faces import write_drawn_faces
    from sightline.pipeline import new_run_folder
    from sightline.prepare import load_data, prepare

    experiment = chosen("demo", None, set)
    data = out_ / "faces"
    if data.exists():
        raise UserError(f"{out_} already holds a demo. Delete it, or choose another --out.")
    console.say(f"drawing {count} faces with 68 landmarks into {data} ...")
    write_drawn_faces(data, count=count, seed=0, size=128)
    dataset = load_data(data, skip_broken=False)
    prepared = prepare(experiment, dataset)
    for line in prepared.decisions:
        console.say(f"  {line}")
    folder = new_run_folder(out_ / "run", recipe="demo", resume=False)
    device = pick_device("auto")
    return train_and_tell(prepared, folder, device=device, resume=False, folders=[], as_json=False)
