"""A table of the runs below a folder, made from the run folders alone: an index that cannot be out of date.

In: a folder. Out: a `RunLine` for each run. Needs no torch. Next: ../cli/runs.py
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sightline.errors import UserError
from sightline.report.values import number
from sightline.sinks.contents import object_of, read_contents

MARK = "config.yaml"


@dataclass(frozen=True, kw_only=True)
class RunLine:
    """One run in the table.

    Attributes:
        path: its folder.
        recipe: of its config.
        seed: of its training.
        data: the name of the data set's folder or file.
        started: as run.json says.
        seconds: of training, up to the last logged value.
        step: optimiser steps done.
        metric: the task's main metric; None while the run is not evaluated.
        value: on the validation part.
        state: "finished", "not finished", or what is wrong with it.
    """

    path: Path
    recipe: str
    seed: str
    data: str
    started: str
    seconds: float | None
    step: int
    metric: str | None
    value: float | None
    state: str

    def to_json(self) -> dict[str, Any]:
        """For `--json`."""
        return {**asdict(self), "path": str(self.path)}


def find_runs(paths: Sequence[Path]) -> list[Path]:
    """Run folders: those given, and in place of any other folder all runs below it, by name.

    Raises:
        UserError: no such folder, or no run in one.
    """
    found: list[Path] = []
    for path in paths:
        if not path.is_dir():
            raise UserError(f"{path} is not a folder. Give a run folder, or a folder that holds some.")
        below = [path] if (path / MARK).is_file() else _below(path)
        if not below:
            raise UserError(f"There is no run in {path}: no folder below it holds a {MARK}.")
        found += [run for run in below if run not in found]
    return found


def _below(path: Path) -> list[Path]:
    """Runs below a folder; not in another run, nor in hidden folders, which hold pictures and caches."""
    found = []
    for folder, names, files in os.walk(path):
        names[:] = [] if MARK in files else sorted(name for name in names if not name.startswith("."))
        if MARK in files:
            found.append(Path(folder))
    return found


def line_of(run: Path) -> RunLine:
    """One run; of a damaged one, what can be read."""
    try:
        contents = read_contents(run)
        evaluation = object_of(run / "evaluation" / "metrics.json")
    except UserError as error:
        return RunLine(path=run, recipe="", seed="", data="", started="", seconds=None, step=0, metric=None, value=None,
                       state=f"damaged: {error}")  # fmt: skip
    metric = evaluation.get("metric")
    return RunLine(
        path=run,
        recipe=contents.settings.get("recipe", ""),
        seed=contents.settings.get("train.seed", ""),
        data=Path(contents.about.get("data", "")).name,
        started=contents.about.get("started", ""),
        seconds=number(contents.ended - contents.began) if contents.logged else None,
        step=contents.last_step,
        metric=metric if isinstance(metric, str) else None,
        value=contents.final.get(f"final/{metric}"),
        state=contents.about["state"],
    )
