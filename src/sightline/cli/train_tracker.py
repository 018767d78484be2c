"""`sightline train` for a tracker: its stages one after another, each a run of its own, and tracker.yaml."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sightline.cli import console
from sightline.cli.choose import chosen
from sightline.cli.dataset import print_dataset
from sightline.cli.training import tell, tell_interrupted, trained
from sightline.errors import UserError
from sightline.processes import ALONE, Group
from sightline.sinks import Target

if TYPE_CHECKING:
    from sightline.checkpoint import RunFolder
    from sightline.config import Experiment
    from sightline.prepare import Prepared
    from sightline.records import Dataset


@dataclass(frozen=True, kw_only=True)
class Request:
    """What the user asks for, as `train` has it; `use` and `sets` hold for every stage, `start_from` is a tracker."""

    data: Path
    out: Path | None
    use: Sequence[str] | None
    sets: Sequence[str] | None
    start_from: Path | None
    resume: bool
    skip_broken: bool
    format: str | None
    as_json: bool


def train_tracker(
    name: str,
    request: Request,
    *,
    device: str,
    folders: Sequence[Path],
    group: Group = ALONE,
    sinks: Sequence[Target] = (),
) -> int:
    """Train what is not trained yet, write how the stages work together, and return the exit code.

    With `resume`, stages that are finished stay and one that was interrupted goes on.

    Args:
        name: of `recipes.trackers.TRACKERS`.
        request: data, folder, changes.
        device: "cpu" or "cuda".
        folders: where pretrained weights are looked for.
        group: the processes that train together; the first reads the data, and puts the tracker together.
        sinks: where else each stage's run is shown.

    Raises:
        UserError: there is something in the folder, and this is no resume; or a stage cannot be trained.
    """
    from sightline.checkpoint import RunFolder
    from sightline.pipeline import folder_for, is_restart
    from sightline.prepare import load_data, require_pictures
    from sightline.recipes.trackers import TRACKERS
    from sightline.track.config import preset, write_tracker

    tracker = TRACKERS[name]
    out = folder_for(request.out, recipe=name, resume=request.resume)
    resume = request.resume or group.from_leader(lambda: any(is_restart(out / s, group) for s in tracker.stages()))
    if group.leads and not resume and out.exists() and any(out.iterdir()):
        raise UserError(f"{out} holds something already. Give another --out, or --resume to go on with it.")
    # What is wrong with the settings is told before any data are read.
    experiments = {
        stage: chosen(part, request.use, request.sets, start_from=_stage_of(request.start_from, stage))
        for stage, part in tracker.stages().items()
    }
    group.require_same((version("sightline"), experiments), what="What to train")
    dataset = None
    where = console.err if request.as_json and group.leads else console.out
    if group.leads:
        dataset = load_data(request.data, skip_broken=request.skip_broken, format=request.format, runs=out.parent)
        if not request.as_json:
            print_dataset(dataset, most=5)
    results = {}
    for stage, experiment in experiments.items():
        folder = RunFolder(out / stage)
        if group.from_leader((folder.evaluation / "metrics.json").exists):
            console.say(f"{stage}: trained already", on=where)
            continue
        goes_on = resume and group.from_leader(folder.config.exists)
        prepared = group.from_leader(partial(_prepared, experiment, dataset, folders, folder if goes_on else None))
        require_pictures(prepared)
        folder.path.mkdir(parents=True, exist_ok=True)
        console.say(f"{stage}: {experiment.recipe}", on=where)
        for line in prepared.decisions:
            console.say(f"  {line}", on=where)
        finished = trained(
            prepared, folder, device=device, resume=goes_on, folders=folders, on=where, group=group, sinks=sinks
        )
        if finished.outcome.interrupted:
            return tell_interrupted(out, on=where)
        if request.as_json and finished.evaluation is not None:
            results[stage] = {"run": str(folder.path), **finished.evaluation.to_json()}
        elif not request.as_json:
            tell(finished)
    if dataset is None:  # the first process has the data, and puts the stages together
        group.wait()
        return 0
    settings = preset(tracker.preset).model_copy(update={"support": "support" if tracker.support else None})
    write_tracker(out, settings)
    validated = _calibrate(out, dataset, device=device)
    group.wait()
    if request.as_json:
        console.print_json({"tracker": str(out), "stages": results, "validation": validated})
        return 0
    from sightline.terminal import metrics_table

    title = f"the tracker on {validated['images']} frames of validation clips"
    console.out.print(metrics_table(validated["metrics"], title=title))
    console.say(f"tracker {out}\nnext    sightline track {out} VIDEO --out points.csv")
    return 0


def _stage_of(tracker: Path | None, stage: str) -> Path | None:
    """The run that a stage starts from; raises UserError where --from is no tracker, or has no such stage."""
    if tracker is None:
        return None
    if not (tracker / stage / "config.yaml").is_file():
        raise UserError(
            f"--from {tracker} holds no {stage}, and a tracker's stages start from those of another tracker. Give a "
            "folder that training a tracker wrote, or train the stages one by one."
        )
    return tracker / stage


def _prepared(
    experiment: Experiment, dataset: Dataset | None, folders: Sequence[Path], begun: RunFolder | None
) -> Prepared:
    """Called where the data are: in the first process."""
    from sightline.prepare import prepare

    assert dataset is not None
    before = begun.experiment() if begun is not None else None
    return prepare(experiment, dataset, weight_folders=folders, begun=before)


def _calibrate(out: Path, dataset: Dataset, *, device: str) -> dict[str, Any]:
    """Let the tracker follow the clips that its coarse stage validated on; write its threshold, radii and score."""
    from sightline.checkpoint import RunFolder, write_json
    from sightline.pipeline import validation_part
    from sightline.track.calibrate import calibrate
    from sightline.track.config import read_tracker, write_tracker
    from sightline.track.load import Choice, load_parts
    from sightline.track.radius import write_radius

    coarse = RunFolder(out / "coarse")
    records = validation_part(dataset, coarse).records
    parts = load_parts(out, Choice(device=device))
    threshold_px = coarse.experiment().evaluate.threshold_px
    found = calibrate(parts.stages, parts.config, records, threshold_px=threshold_px)
    write_tracker(out, read_tracker(out).model_copy(update={"visible": found.visible}))
    if found.radius is not None:
        write_radius(out, found.radius)
    summary = found.summary.to_json()
    values = {
        "task": "track",
        "threshold_px": threshold_px,
        "visible": found.visible,
        "images": len(records),
        **summary,
    }
    write_json(out / "validation.json", values)
    return values
