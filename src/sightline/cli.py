"""The command line. Each command imports what it needs when it runs, so that `--help` is quick.

Exit codes: 0 fine, 1 the thing checked is not fine, 2 the user's mistake.
"""

from __future__ import annotations

import json
import os
import shlex
import sys
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, CycloptsError, Parameter
from rich.console import Console
from rich.table import Table

from sightline.errors import UserError

if TYPE_CHECKING:
    from sightline.config import Experiment
    from sightline.pipeline import Finished
    from sightline.prepare import Prepared
    from sightline.records import Dataset

app = App(
    name="sightline",
    help="Train, compare and run models that say where things are.",
    version=lambda: version("sightline"),
)
out = Console()
err = Console(stderr=True)

Many = Annotated[list[str] | None, Parameter(negative="", consume_multiple=True)]
Flag = Annotated[bool, Parameter(negative="")]


def main() -> None:
    """Run a command; a user's mistake becomes one paragraph and exit code 2."""
    if int(os.environ.get("RANK", "0")):
        out.quiet = True  # of several processes the first one speaks
    try:
        result = app(sys.argv[1:], exit_on_error=False, print_error=True, result_action="return_value")
    except CycloptsError:
        sys.exit(2)  # the parser has said what is wrong
    except UserError as error:
        err.print(f"sightline: {error}", style="red", highlight=False, markup=False, soft_wrap=True)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:  # `| head` has seen enough; Python would complain once more while it closes
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    sys.exit(result if isinstance(result, int) else 0)


def print_json(value: object) -> None:
    """JSON on standard output, nothing else."""
    print(json.dumps(value, indent=1, allow_nan=False))


def weight_folders(given: Path | None, data: Path | None) -> list[Path]:
    """Where pretrained weights are looked for: --weights-dir, $SIGHTLINE_WEIGHTS, `weights` here and near the data."""
    if given is not None and not given.is_dir():
        raise UserError(f"--weights-dir {given} is no folder.")
    folders = [given] if given else []
    folders += [Path(text) for text in [os.environ.get("SIGHTLINE_WEIGHTS")] if text]
    folders.append(Path("weights"))
    if data is not None:
        folders += [parent / "weights" for parent in [data.resolve(), *data.resolve().parents][:3]]
    return folders


def chosen(recipe: str, use: list[str] | None, sets: list[str] | None) -> Experiment:
    """A recipe (or a YAML file of one) with the user's changes."""
    from sightline.config import from_yaml, override
    from sightline.recipes import recipe as find

    path = Path(recipe)
    if path.suffix in {".yaml", ".yml"}:
        if not path.is_file():
            raise UserError(f"There is no {path}. Give a recipe's name or a YAML file that holds one.")
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(
                f"{path} cannot be read as text ({error}). Give a YAML file that holds a recipe."
            ) from error
        experiment = from_yaml(text, where=str(path))
    else:
        experiment = find(recipe)
    return override(experiment, use=use or (), sets=sets or ())


@app.command
def recipes(*, json: Flag = False) -> None:
    """List the recipes: what each is for."""
    from sightline.recipes import LADDERS, RECIPES

    rows = {name: (function.__doc__ or "").strip().splitlines()[0] for name, function in RECIPES.items()}
    ladders = {name: [rung.recipe for rung in function()] for name, function in LADDERS.items()}
    if json:
        print_json({"recipes": rows, "ladders": ladders})
        return
    table = Table(title="recipes: sightline train NAME --data DATA", title_justify="left")
    table.add_column("name", no_wrap=True)
    table.add_column("idea")
    for name, idea in rows.items():
        table.add_row(name, idea)
    out.print(table)
    for name, rungs in ladders.items():
        out.print(f"ladder [bold]{name}[/]: {' -> '.join(rungs)}", highlight=False, soft_wrap=True)


@app.command
def pieces(*, json: Flag = False) -> None:
    """List the pieces of each slot, and which heads fit which codecs."""
    from sightline.codecs import CODECS
    from sightline.config import PIECES
    from sightline.heads import HEADS

    rows = {slot: {name: piece.summary for name, piece in table.items()} for slot, table in PIECES.items()}
    emits = {name: [key for key, codec in CODECS.items() if codec.takes is head.emits] for name, head in HEADS.items()}
    if json:
        print_json({"pieces": rows, "codecs_of_head": emits})
        return
    table = Table(title="pieces: --use SLOT=NAME", title_justify="left")
    for column in ("slot", "name", "what it does", "fits"):
        table.add_column(column)
    for slot, names in rows.items():
        for name, summary in names.items():
            fits = ", ".join(emits[name]) if slot == "head" else ""
            table.add_row(slot, name, summary, fits)
    out.print(table)


@app.command
def inspect(recipe: str, *, use: Many = None, set: Many = None, json: Flag = False) -> None:
    """Show a recipe's layers, parameters, operations and shapes."""
    from sightline.inspect import inspect as look

    experiment = chosen(recipe, use, set)
    found = look(experiment).to_json(experiment.recipe)
    if json:
        print_json(found)
        return
    table = Table(title=f"{experiment.recipe}: layers", title_justify="left")
    for column in ("layer", "type", "output", "parameters"):
        table.add_column(column, justify="right" if column == "parameters" else "left")
    for layer in found["layers"]:
        table.add_row(layer["name"], layer["type"], " x ".join(map(str, layer["output"])), f"{layer['parameters']:,}")
    out.print(table)
    for stage, text in found["stages"].items():
        out.print(f"{stage:>9}  {text}", highlight=False, soft_wrap=True)
    totals = found["parameters"]
    out.print(f"parameters {totals['total']:,} (trainable {totals['trainable']:,}, frozen {totals['frozen']:,})")
    out.print(f"operations {found['flops'] / 1e9:.3f} GFLOPs for one picture (2 x multiply-adds)")


@app.command
def check(data: Path, *, format: str | None = None, json: Flag = False) -> int:
    """Read a data set, look at every picture, and tell what is wrong. Exit code 1 on errors."""
    from dataclasses import asdict, replace

    from sightline.readers import check_flip_order, read_dataset
    from sightline.records import Problem
    from sightline.scan import scan

    dataset = scan(read_dataset(data, format=format))
    dataset = replace(dataset, problems=(*dataset.problems, *check_flip_order(dataset)))
    if not dataset.records and not dataset.errors:
        empty = Problem(id="records-none", severity="error", where=str(data), message="there is no record in it")
        dataset = replace(dataset, problems=(*dataset.problems, empty))
    if json:
        print_json(_summary(dataset) | {"problems": [asdict(problem) for problem in dataset.problems]})
        return 1 if dataset.errors else 0
    print_dataset(dataset)
    return 1 if dataset.errors else 0


def _summary(dataset: Dataset) -> dict[str, Any]:
    return {
        "data": str(dataset.root),
        "format": dataset.format,
        "records": len(dataset),
        "points": list(dataset.skeleton.names),
        "data_fingerprint": dataset.fingerprint(),
        "errors": len(dataset.errors),
    }


def print_dataset(dataset: Dataset, *, most: int = 20) -> None:
    """A line about a data set and its problems, the worst first."""
    points, records = len(dataset.skeleton), len(dataset)
    out.print(
        f"{dataset.root}: {dataset.format}, {records:,} records, {points} points",
        highlight=False,
        markup=False,
        soft_wrap=True,
    )
    order = {"error": 0, "warning": 1, "note": 2}
    styles = {"error": "red", "warning": "yellow", "note": "dim"}
    problems = sorted(dataset.problems, key=lambda problem: order[problem.severity])
    for problem in problems[:most]:
        out.print(f"  {problem}", style=styles[problem.severity], highlight=False, markup=False, soft_wrap=True)
    if len(problems) > most:
        out.print(f"  and {len(problems) - most:,} more (--json lists all)", highlight=False, soft_wrap=True)


@app.command
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
        recipe: a name (see `sightline recipes`) or a YAML file.
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

    experiment = chosen(recipe, use, set)
    where = pick_device(device)
    folder = new_run_folder(out_, recipe=experiment.recipe, resume=resume)
    console = err if json else out
    dataset = load_data(data, skip_broken=skip_broken, format=format)
    if not json:
        print_dataset(dataset, most=5)
    folders = weight_folders(weights_dir, data)
    prepared = prepare(experiment, dataset, weight_folders=folders)
    for line in prepared.decisions:
        console.print(f"  {line}", highlight=False, soft_wrap=True)
    command = "sightline " + shlex.join(sys.argv[1:])
    return _train_and_tell(
        prepared, folder.path, command=command, device=where, resume=resume,
        folders=folders, as_json=json,
    )  # fmt: skip


def _train_and_tell(
    prepared: Prepared, folder: Path, *, command: str, device: str, resume: bool, folders: list[Path], as_json: bool
) -> int:
    """Train with a progress bar and print what came out."""
    from sightline.checkpoint import RunFolder
    from sightline.loader import EpochSampler
    from sightline.metrics.points import main_metric
    from sightline.pipeline import train_run
    from sightline.terminal import training_progress

    experiment = prepared.experiment
    console = err if as_json else out
    steps = EpochSampler(count=len(prepared.split.train), batch=experiment.train.batch, seed=0).steps
    metric = main_metric(experiment.skeleton.skeleton())
    processes = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    nodes = int(os.environ.get("WORLD_SIZE", "1")) // processes
    with training_progress(console, total_steps=steps * experiment.train.epochs, metric=metric) as watch:
        finished = train_run(
            prepared, RunFolder(folder), command=command, device=device, resume=resume,
            processes=processes, nodes=nodes, weight_folders=folders, watchers=[watch],
        )  # fmt: skip
    return _tell(finished, as_json=as_json)


def _tell(finished: Finished, *, as_json: bool) -> int:
    folder = finished.folder.path
    console = err if as_json else out
    if finished.outcome.interrupted:
        console.print(
            f"Stopped and saved. Go on with the same command and --resume --out {folder}",
            highlight=False,
            soft_wrap=True,
        )
        return 130
    if finished.evaluation is None:
        return 0
    summary = finished.evaluation.summary.to_json()
    if as_json:
        print_json({"run": str(folder), "report": str(finished.report), **summary})
        return 0
    from sightline.terminal import metrics_table

    title = f"{summary['images']} validation pictures, crop: {finished.evaluation.crop}"
    out.print(metrics_table(summary["metrics"], title=title))
    out.print(f"run     {folder}\nreport  {finished.report}", highlight=False, soft_wrap=True)
    return 0


@app.command
def evaluate(
    run: Path,
    *,
    data: Path,
    split: str | None = None,
    out_: Annotated[Path | None, Parameter(name="--out")] = None,
    set: Many = None,
    format: str | None = None,
    skip_broken: Flag = False,
    device: str = "auto",
    json: Flag = False,
) -> int:
    """Score a run on a data set: all metrics with intervals, per-image table, report.

    Args:
        run: a run folder.
        data: a label file or the folder that holds labels and pictures.
        split: only the part that the data set itself calls so; "run-val" takes the run's own validation records.
        out_: write tables, predictions and a report there.
        set: change evaluate.* or data.crop, KEY=VALUE.
        format: the label format, where it cannot be found out.
        skip_broken: leave broken samples out instead of stopping.
        device: auto, cpu or cuda.
        json: print the result as JSON.
    """
    from sightline.devices import pick_device
    from sightline.pipeline import evaluate_run

    evaluation, context = evaluate_run(
        run,
        data,
        split=split,
        out=out_,
        sets=set or (),
        format=format,
        skip_broken=skip_broken,
        device=pick_device(device),
    )
    summary = evaluation.summary.to_json()
    if json:
        print_json({**summary, **context, "crop": evaluation.crop, "budget": evaluation.budget})
        return 0
    from sightline.terminal import metrics_table

    title = (
        f"{context['data']}: {summary['images']} pictures, crop: {evaluation.crop}, normaliser: {summary['normaliser']}"
    )
    out.print(metrics_table(summary["metrics"], title=title))
    for name, pixels in evaluation.budget.items():
        out.print(f"  {name:<18} {pixels:.3f}", highlight=False, soft_wrap=True)
    if out_ is not None:
        out.print(f"tables and report in {out_}", highlight=False, soft_wrap=True)
    return 0


@app.command
def predict(
    run: Path,
    inputs: list[Path],
    /,
    *,
    out_: Annotated[Path, Parameter(name="--out")],
    format: Many = None,
    boxes: Path | None = None,
    overlay: bool = True,
    device: str = "auto",
    json: Flag = False,
) -> int:
    """Find the points in pictures, folders of pictures, or the boxes of a label file.

    Args:
        run: a run folder.
        inputs: pictures, folders, or label files (XML, JSON, CSV), whose pictures and boxes are taken in order.
        out_: folder for the results.
        format: label formats to write (landmark_csv, coco_keypoints, deeplabcut, label_studio, ...).
        boxes: a CSV of boxes (file,xmin,ymin,xmax,ymax) where the model wants a crop; else whole pictures.
        overlay: also write pictures with the points drawn.
        device: auto, cpu or cuda.
        json: print the predictions as JSON.
    """
    from sightline.devices import pick_device
    from sightline.predict import Predictor, find_tasks
    from sightline.predict_files import find_writer, write_predictions

    for name in format or ():
        find_writer(name)  # a wrong name is told before the work is done
    tasks = find_tasks(inputs, boxes=boxes)
    predictor = Predictor.load(run, device=pick_device(device))
    predictions = list(predictor.predict(tasks))
    written = write_predictions(
        predictions, out_, skeleton=predictor.skeleton, formats=format or ["landmark_csv"], overlay=overlay
    )
    if json:
        print_json([
            {
                "image_id": p.image_id, "path": str(p.path), "box_source": p.box_source, "box_xyxy": p.box_xyxy,
                "points_xy": p.points_xy.round(3).tolist(), "score": p.score.astype(float).round(4).tolist(),
            }
            for p in predictions
        ])  # fmt: skip
        return 0
    source = sorted({p.box_source for p in predictions})
    out.print(
        f"{len(predictions)} predictions (crop from: {', '.join(source)}) in {out_}", highlight=False, soft_wrap=True
    )
    for path in written[:8]:
        out.print(f"  {path}", highlight=False, soft_wrap=True)
    return 0


@app.command
def convert(data: Path, out_dir: Path, *, to: str, format: str | None = None, skip_broken: Flag = False) -> int:
    """Write a data set in another label format, pictures copied beside the labels.

    Args:
        data: a label file or the folder that holds labels and pictures.
        out_dir: the new data set's folder.
        to: the format to write.
        format: the format to read, where it cannot be found out.
        skip_broken: leave broken samples out instead of stopping.
    """
    from sightline.predict_files import find_writer
    from sightline.prepare import load_data
    from sightline.writers import dataset_to_predictions
    from sightline.writers.pictures import place_pictures

    writer = find_writer(to)
    dataset = load_data(data, skip_broken=skip_broken, format=format)
    truth = dataset_to_predictions(dataset)
    written = writer.write(truth, out_dir, skeleton=dataset.skeleton)
    place_pictures(truth, out_dir, picture_name=writer.picture_name)
    out.print(f"{len(truth)} records of {dataset.format} as {to}: {written[0]}", highlight=False, soft_wrap=True)
    return 0


@app.command
def report(run: Path) -> int:
    """Write a run's report.html again from what lies in its folder."""
    from sightline.report.page import write_report

    out.print(f"report  {write_report(run)}", highlight=False, soft_wrap=True)
    return 0


@app.command
def bench(names: list[str] | None = None, /, *, quick: Flag = False, json: Flag = False) -> int:
    """Measure speed and memory side by side, as ratios of one run. Exit code 1 where a bar is missed.

    Args:
        names: which benchmarks; all when not given.
        quick: small sizes, a minute or so.
        json: print the result as JSON.
    """
    from sightline.bench import run as run_benchmarks
    from sightline.bench.table import print_results

    results = run_benchmarks(names or [], quick=quick)
    if json:
        print_json([result.to_json() for result in results])
    else:
        print_results(results)
    return 0


@app.command
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
    out.print(f"drawing {count} faces with 68 landmarks into {data} ...", highlight=False, soft_wrap=True)
    write_drawn_faces(data, count=count, seed=0, size=128)
    dataset = load_data(data, skip_broken=False)
    prepared = prepare(experiment, dataset)
    for line in prepared.decisions:
        out.print(f"  {line}", highlight=False, soft_wrap=True)
    folder = new_run_folder(out_ / "run", recipe="demo", resume=False)
    command = "sightline " + shlex.join(sys.argv[1:])
    return _train_and_tell(
        prepared, folder.path, command=command, device=pick_device("auto"), resume=False, folders=[], as_json=False
    )
