"""A training with a progress bar, and what came out of it in words: shared by `train` and `demo`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sightline.cli import console
from sightline.cli.choose import command_line
from sightline.cli.watching import watching
from sightline.processes import ALONE, Group
from sightline.sinks import Target

if TYPE_CHECKING:
    from rich.console import Console

    from sightline.checkpoint import RunFolder
    from sightline.pipeline import Finished
    from sightline.prepare import Prepared


def train_and_tell(
    prepared: Prepared,
    folder: RunFolder,
    *,
    device: str,
    resume: bool,
    folders: Sequence[Path],
    as_json: bool,
    group: Group = ALONE,
    sinks: Sequence[Target] = (),
) -> int:
    """Train with a progress bar, print what came out, and return the exit code.

    Args:
        prepared: data and experiment.
        folder: the run's.
        device: "cpu" or "cuda".
        resume: go on with what lies in the folder.
        folders: where pretrained weights are looked for.
        as_json: the result as JSON on standard output, and progress on standard error.
        group: the processes that train together.
        sinks: where else the run is shown.
    """
    where = console.err if as_json and group.leads else console.out  # which is quiet but in the first process
    finished = trained(
        prepared, folder, device=device, resume=resume, folders=folders, on=where, group=group, sinks=sinks
    )
    if finished.outcome.interrupted:
        return tell_interrupted(folder.path, on=where)
    if as_json and finished.evaluation is not None:
        found = finished.evaluation.to_json()
        console.print_json({"run": str(folder.path), "report": str(finished.report), **found})
    elif not as_json:
        tell(finished)
    return 0


def trained(
    prepared: Prepared,
    folder: RunFolder,
    *,
    device: str,
    resume: bool,
    folders: Sequence[Path],
    on: Console,
    group: Group = ALONE,
    sinks: Sequence[Target] = (),
) -> Finished:
    """Train with a progress bar; arguments as for `train_and_tell`, and the console that shows the bar."""
    from sightline.pipeline import train_run

    shown = sinks if group.leads else ()  # which are told last, when the evaluation lies in the folder too
    with watching(prepared, folder.path, on=on, sinks=shown) as watchers:
        return train_run(
            prepared, folder, command=command_line(), device=device, resume=resume, group=group,
            weight_folders=folders, watchers=watchers,
        )  # fmt: skip


def tell_interrupted(folder: Path, *, on: Console) -> int:
    """Say how to go on, and give the exit code of a Ctrl-C."""
    console.say(f"Stopped and saved. Go on with the same command and --resume --out {folder}", on=on)
    return 130


def tell(finished: Finished) -> None:
    """The metrics of a finished training, and where its report lies; nothing on processes that do not evaluate."""
    if finished.evaluation is None:
        return
    from sightline.terminal import metrics_table

    evaluation = finished.evaluation
    title = f"{evaluation.images} validation pictures, crop: {evaluation.crop}"
    console.out.print(metrics_table(evaluation.to_json()["metrics"], title=title))
    if "calibrated" in evaluation.details:
        from sightline.calibration.told import line_of

        console.say(line_of(evaluation.details["calibrated"]))
    console.say(f"run     {finished.folder.path}\nreport  {finished.report}")
