"""Repeated stratified cross-validation: every picture is scored by networks that have not seen it.

    OUT/folds.yaml              the plan
    OUT/r0-f0, r0-f1, ...       ordinary runs, one a fold
    OUT/repeat-0, ...           what the folds of a repeat found in all pictures, in the form of an evaluated run
    OUT/report.html

A repeat divides the data anew and trains with another seed, so for a comparison a repeat is what a seed is.
In: a recipe and a data set. Out: the folder.
Next: pool.py
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sightline.compare.ladder import Means, finished_run
from sightline.compare.runs import FOLDS
from sightline.config import Experiment
from sightline.records import Dataset
from sightline.small_data.folder import begin
from sightline.small_data.parts import Planned, dividable, prepared_as
from sightline.small_data.pool import of_all, pool
from sightline.splits import k_folds
from sightline.task_data import count_objects

_MOST_CLASSES = 6


@dataclass(frozen=True, kw_only=True, eq=False)
class FoldPlan:
    """What is to be trained.

    Attributes:
        experiment: the recipe.
        dataset: the records that are folded.
        by: what is never parted: "group" or "random" (single pictures).
        repeats: for each the runs of its folds, in order.
        told: decisions and warnings, for the user.
    """

    experiment: Experiment
    dataset: Dataset
    by: str
    repeats: tuple[tuple[Planned, ...], ...]
    told: tuple[str, ...]

    @property
    def folds(self) -> int:
        """How many folds a repeat has."""
        return len(self.repeats[0])

    def to_plain(self) -> dict[str, Any]:
        """For folds.yaml: what must be equal where a folder is gone on with."""
        return {
            "folds": self.folds,
            "repeats": len(self.repeats),
            "by": self.by,
            "records": len(self.dataset),
            "data_fingerprint": self.dataset.fingerprint(),
            "experiment": self.experiment.model_dump(mode="json"),
        }


def plan_folds(
    experiment: Experiment, dataset: Dataset, *, folds: int, repeats: int, weight_folders: Sequence[Path] = ()
) -> FoldPlan:
    """Divide, and prepare every training, so that what does not fit is told before the first one.

    Repeat r divides by the seed `data.split_seed` + r and trains with `train.seed` + r.

    Args:
        experiment: a recipe, perhaps changed.
        dataset: what `load_data` gave.
        folds: how many parts, at least 2.
        repeats: how many divisions, at least 1.
        weight_folders: where pretrained weights are looked for.

    Raises:
        UserError: too few pictures or groups, or a fold that cannot be trained.
    """
    told: list[str] = []
    usable = dividable(experiment, dataset, told)
    planned = []
    by = ""
    for repeat in range(repeats):
        splits = k_folds(usable, k=folds, seed=experiment.data.split_seed + repeat)
        by = splits[0].by
        seed = experiment.train.seed + repeat
        runs = []
        for number, split in enumerate(splits):
            prepared = prepared_as(experiment, dataset, split, seed=seed, weight_folders=weight_folders)
            runs.append(Planned(name=f"r{repeat}-f{number}", prepared=prepared))
        planned.append(tuple(runs))
    first = planned[0][0].prepared
    each = f"{len(first.split.train)} records train, {len(first.split.val)} validate in the first fold"
    whole = "whole groups" if by == "group" else "single pictures"
    told.append(f"{folds} folds, {repeats} {'repeats' if repeats > 1 else 'repeat'}, of {whole}: {each}")
    own = ("warning: class", f"{len(first.split.train)} records train")  # of the first fold alone
    told += [line for line in first.decisions if line not in told and not line.startswith(own)]
    told += _scarce(first.dataset, folds=folds)
    return FoldPlan(experiment=experiment, dataset=usable, by=by, repeats=tuple(planned), told=tuple(told))


def train_folds(plan: FoldPlan, out: Path, means: Means) -> list[Path]:
    """Train what is missing, resume what broke off, and score each repeat over all pictures.

    Returns:
        The folders of the repeats.

    Raises:
        UserError: the folder holds something else.
        Interrupted: Ctrl-C; the same command goes on.
    """
    begin(out, plan.to_plain(), file=FOLDS, may_grow="repeats")
    pooled = []
    for number, runs in enumerate(plan.repeats):
        for run in runs:
            finished_run(run.prepared, out / run.name, means)
        every = of_all(plan.repeats[0][0].prepared.experiment, plan.experiment, repeat=number)
        pooled.append(
            pool(every, plan.dataset, runs, out, number=number, device=means.device, command=means.command)
        )  # fmt: skip
    return pooled


def _scarce(dataset: Dataset, *, folds: int) -> list[str]:
    """Warnings about classes that cannot be in every fold."""
    told = []
    for label, name in enumerate(dataset.classes):
        units = {
            record.group or record.image_id
            for record in dataset.records
            if record.objects is not None and count_objects(record) and label in record.objects.labels
        }
        if len(units) < folds:
            where = "is nowhere" if not units else f"is in {len(units)} pictures or groups only"
            told.append(
                f"warning: class '{name}' {where}, so {folds - len(units)} of {folds} folds validate without it"
            )
    more = len(told) - _MOST_CLASSES
    return told if more <= 0 else [*told[:_MOST_CLASSES], f"warning: and {more} more classes"]
