"""`sightline index`: TensorBoard or MLflow filled anew from run folders."""

from __future__ import annotations

from pathlib import Path

from sightline.cli import console
from sightline.cli.options import Many
from sightline.errors import UserError
from sightline.sinks import open_sink, read_targets


def index(runs: list[Path], /, *, to: Many = None) -> None:
    """Fill TensorBoard or MLflow from run folders, in place of what they hold of these runs. Changes no run.

    Args:
        runs: run folders, or folders that hold some.
        to: tensorboard (in each run folder) or tensorboard=FOLDER; mlflow (mlflow.db beside the run), mlflow=FOLDER or
            mlflow=URI.
    """
    from sightline.sinks.contents import read_contents
    from sightline.sinks.runs import find_runs

    targets = read_targets(to or ())
    if not targets:
        raise UserError("Say what to fill: --to tensorboard or --to mlflow, perhaps with =PLACE.")
    for run in find_runs(runs):
        contents = read_contents(run)
        for target in targets:
            sink = open_sink(run, target)
            # Others' clients raise errors of many kinds; this command exists to fill the sink, so each ends it.
            try:
                sink.replace(contents)
                sink.finish(contents)
            except Exception as error:
                raise UserError(f"{target} could not take {run} ({type(error).__name__}: {error}).") from error
            finally:
                sink.close()
            count = len(contents.logged) + len(contents.final)
            console.say(f"{run}: {count} values, {contents.about['state']} -> {sink.shown_at}")
