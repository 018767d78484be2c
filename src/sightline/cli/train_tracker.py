"""`sightline train` for a tracker: its stages one after another, each a run of its own, and tracker.yaml."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sightline.cli import console
from sightline.cli.choose import chosen
from sightline.cli.training import tell, tell_interrupted, trained
from sightline.errors import UserError

if TYPE_CHECKING:
    from sightline.recipes.trackers import TrackerRecipe
    from sightline.records import Dataset


def train_tracker(
    tracker: TrackerRecipe,
    dataset: Dataset,
    out: Path,
    *,
    use: Sequence[str] | None,
    sets: Sequence[str] | None,
    resume: bool,
    device: str,
    folders: Sequence[Path],
    as_json: bool,
) -> int:
    """Train what is not trained yet, and write how the stages work together.

    Args:
        tracker: stages and preset.
        dataset: of clips.
        out: the tracker's folder.
        use: swaps of pieces, for every stage.
        sets: settings, for every stage.
        resume: stages that are finished stay, one that was interrupted goes on.
        device: "cpu" or "cuda".
        folders: where pretrained weights are looked for.
        as_json: results as JSON on standard output.

    Raises:
        UserError: there is something in the folder, and this is no resume.
    """
    from sightline.checkpoint import RunFolder
    from sightline.prepare import prepare
    from sightline.track.config import preset, write_tracker

    if not resume and out.exists() and any(out.iterdir()):
        raise UserError(f"{out} holds something already. Give another --out, or --resume to go on with it.")
    where = console.err if as_json else console.out
    results = {}
    for stage, name in tracker.stages().items():
        folder = RunFolder(out / stage)
        if (folder.evaluation / "metrics.json").exists():
            console.say(f"{stage}: trained already", on=where)
            continue
        folder.path.mkdir(parents=True, exist_ok=True)
        prepared = prepare(chosen(name, use, sets), dataset, weight_folders=folders)
        console.say(f"{stage}: {name}", on=where)
        for line in prepared.decisions:
            console.say(f"  {line}", on=where)
        goes_on = resume and folder.config.exists()
        finished = trained(prepared, folder, device=device, resume=goes_on, folders=folders, on=where)
        if finished.outcome.interrupted:
            return tell_interrupted(out, on=where)
        if as_json and finished.evaluation is not None:
            results[stage] = {"run": str(folder.path), **finished.evaluation.to_json()}
        elif not as_json:
            tell(finished)
    settings = preset(tracker.preset).model_copy(update={"support": "support" if tracker.support else None})
    write_tracker(out, settings)
    if as_json:
        console.print_json({"tracker": str(out), "stages": results})
    else:
        console.say(f"tracker {out}\nnext    sightline track {out} VIDEO --out points.csv")
    return 0
