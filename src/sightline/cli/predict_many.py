"""`sightline predict-many`: a million pictures or a shelf of videos, in parts that are done once."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter, validators

from sightline.cli import console
from sightline.cli.addresses import refuse_address
from sightline.cli.options import Flag
from sightline.cores import usable_cores
from sightline.errors import UserError

if TYPE_CHECKING:
    from sightline.bulk.run import Engine, Manifest

Count = Annotated[int, Parameter(validator=validators.Number(gte=1))]


def predict_many(
    run: Path,
    inputs: list[str],
    /,
    *,
    out_: Annotated[Path, Parameter(name="--out")],
    format: Literal["jsonl", "parquet"] = "jsonl",
    engine: Literal["local", "ray"] = "local",
    workers: Count = 1,
    part: Count = 1000,
    address: str | None = None,
    score: Annotated[float | None, Parameter(validator=validators.Number(gte=0, lte=1))] = None,
    device: str = "auto",
    json: Flag = False,
) -> int:
    """Predict very many pictures, or follow a point through many videos, and go on where it was broken off.

    The inputs become numbered parts, each one file of rows, written aside and renamed. The same call again does only
    the parts that are not whole. A picture has one row, a video one for each frame; what cannot be read has one row
    that says why.

    Args:
        run: a run folder, a tracker's folder, or a file that `sightline export` wrote (needs no torch).
        inputs: pictures, videos, folders, patterns in quotes, lists of paths (.txt), label files, or shards.
        out_: folder for the results, seen by all machines.
        format: of the rows: jsonl, or parquet (extra scale).
        engine: local: processes of this machine. ray: Ray Data, on one machine or many (extra scale).
        workers: processes that each hold the model.
        part: pictures in a part; a video is one by itself.
        address: of a Ray cluster; auto finds the one that this machine belongs to. Without it one is begun and ended.
        score: give boxes scored at least so; the model's own thresholds without it.
        device: auto, cpu or cuda; an exported model runs on the CPU.
        json: print the manifest's counts as JSON.
    """
    from sightline.bulk.inputs import find_units
    from sightline.bulk.model import ModelFile
    from sightline.bulk.part import DoPart
    from sightline.bulk.plan import make_plan
    from sightline.bulk.run import run_plan

    if address is not None and engine != "ray":
        raise UserError("--address is of a Ray cluster. Add --engine ray, or leave it out.")
    for given in inputs:
        refuse_address(given)
    threads = max(1, usable_cores() // workers)
    model = ModelFile(path=run.absolute(), score=score, device=device, threads=threads)
    with console.err.status("looking for inputs"):
        units, twice = find_units(inputs, follows=model.follows)
        plan = make_plan(out_.absolute(), units, model=run, score=score, format=format, part=part)
    if twice:
        console.say(f"{twice:,} inputs are named more than once; each is done once", on=console.err)
    with console.err.status("predicting") as status:
        made = run_plan(
            plan,
            DoPart(plan=plan, model=model),
            engine=_engine(engine, workers=workers, threads=threads, address=address, device=device, run=run),
            tell=lambda done, of: status.update(f"predicting: {done:,} of {of:,} parts"),
        )
    if json:
        console.print_json(
            {"inputs": made.inputs, "rows": made.rows, "errors": made.errors, "kept": made.kept, "out": str(out_)}
        )
    else:
        _tell(made, out=out_)
    return 0


def _engine(name: str, *, workers: int, threads: int, address: str | None, device: str, run: Path) -> Engine:
    if name == "local":
        from sightline.bulk.local import run_local

        return functools.partial(run_local, workers=workers)
    from sightline.bulk.on_ray import run_on_ray

    on_gpu = run.is_dir() and device == "cuda"
    cpus = 1 if address is not None else threads
    return functools.partial(run_on_ray, workers=workers, address=address, cpus=cpus, gpus=1 if on_gpu else 0)


def _tell(made: Manifest, *, out: Path) -> None:
    parts = "1 part" if len(made.parts) == 1 else f"{len(made.parts):,} parts"
    kept = f", {made.kept:,} of them whole before" if made.kept else ""
    console.say(f"{made.inputs:,} inputs, {made.rows:,} rows in {parts}{kept}: {out}")
    if made.errors:
        count = "1 input" if made.errors == 1 else f"{made.errors:,} inputs"
        console.say(f"{count} could not be read, or not to the end; the column error says why")
