"""A learning curve: one recipe trained on growing shares of the labels, several seeds each, on one validation part.

    OUT/curve.yaml                      the plan
    OUT/share-10-seed0, ...             ordinary runs
    OUT/curve.json                      scores, law and forecast
    OUT/learning-curve.html

Every seed draws its own subsets and trains with its own seed. How long a run trains is the recipe's own rule: its
epochs, and at least `train.min_steps` steps, so that little data is not trained too little.
In: a recipe and a data set. Out: the folder.
Next: curve_words.py
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sightline.checkpoint import write_json
from sightline.compare.ladder import Means, finished_run
from sightline.compare.runs import read_runs
from sightline.config import Experiment
from sightline.errors import UserError
from sightline.loader import EpochSampler
from sightline.prepare import Prepared, prepare
from sightline.records import Dataset
from sightline.report.values import number, section
from sightline.small_data.folder import begin
from sightline.small_data.forecast import Curve, fit_curve
from sightline.small_data.parts import Planned, prepared_as
from sightline.small_data.subsets import nested_subsets
from sightline.splits import Split

PLAN = "curve.yaml"
MORE = 2  # times the labels that the forecast is about


@dataclass(frozen=True, kw_only=True, eq=False)
class CurvePlan:
    """What is to be trained.

    Attributes:
        experiment: the recipe.
        whole: the recipe on all labels: its split is the validation part and what shares are taken of.
        shares: in per cent, rising.
        seeds: how many.
        runs: by (share, seed's number).
        told: decisions and warnings, for the user.
    """

    experiment: Experiment
    whole: Prepared
    shares: tuple[float, ...]
    seeds: int
    runs: dict[tuple[float, int], Planned]
    told: tuple[str, ...]

    def to_plain(self) -> dict[str, Any]:
        """For curve.yaml: what must be equal where a folder is gone on with."""
        return {
            "shares": list(self.shares),
            "seeds": self.seeds,
            "train": len(self.whole.split.train),
            "val": len(self.whole.split.val),
            "data_fingerprint": self.whole.dataset.fingerprint(),
            "experiment": self.experiment.model_dump(mode="json"),
        }


@dataclass(frozen=True, kw_only=True)
class CurveRun:
    """One training: how many labelled pictures or frames, its score, and the interval over validation pictures."""

    name: str
    share: float
    seed: int
    labels: int
    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True, kw_only=True, eq=False)
class LearningCurve:
    """A finished learning curve.

    Attributes:
        path: its folder.
        recipe: its name.
        task: what is found.
        metric: what all values are of.
        less_is_better: of the metric.
        val: records that validate.
        runs: all of them, by share and seed.
        curve: the law and the forecast for MORE times the largest amount.
        band: forecasts along the whole curve, for a drawing.
    """

    path: Path
    recipe: str
    task: str
    metric: str
    less_is_better: bool
    val: int
    runs: tuple[CurveRun, ...]
    curve: Curve
    band: Curve

    @property
    def shares(self) -> list[tuple[float, list[CurveRun]]]:
        """The runs of each share."""
        every = sorted({run.share for run in self.runs})
        return [(share, [run for run in self.runs if run.share == share]) for share in every]

    def to_json(self) -> dict[str, Any]:
        """With stable keys."""
        return {
            "folder": str(self.path),
            "recipe": self.recipe,
            "task": self.task,
            "metric": self.metric,
            "less_is_better": self.less_is_better,
            "val": self.val,
            "runs": [vars(run) for run in self.runs],
            "shares": [
                {
                    "share": share,
                    "labels": mean_of([run.labels for run in runs]),
                    "mean": mean_of([run.value for run in runs]),
                    "spread": spread_of([run.value for run in runs]),
                }
                for share, runs in self.shares
            ],
            **self.curve.to_json(),
        }


def mean_of(values: Sequence[float]) -> float:
    """The mean."""
    return float(np.mean(values))


def spread_of(values: Sequence[float]) -> float | None:
    """The standard deviation; None of fewer than two."""
    return float(np.std(values, ddof=1)) if len(values) > 1 else None


def plan_curve(
    experiment: Experiment,
    dataset: Dataset,
    *,
    shares: Sequence[float],
    seeds: int,
    weight_folders: Sequence[Path] = (),
) -> CurvePlan:
    """Divide as the recipe does, choose the subsets, and prepare every training.

    Args:
        experiment: a recipe, perhaps changed.
        dataset: what `load_data` gave.
        shares: of the training part, in per cent; in any order.
        seeds: of each share, at least 1.
        weight_folders: where pretrained weights are looked for.

    Raises:
        UserError: shares out of range or twice, too little data for them, or a subset that cannot be trained on.
    """
    rising = tuple(sorted(float(share) for share in shares))
    if seeds < 1 or not rising or len(set(rising)) < len(rising) or not 0 < rising[0] <= rising[-1] <= 100:
        raise UserError(
            f"--shares {' '.join(f'{share:g}' for share in shares)} --seeds {seeds}: expected different shares above 0 "
            "and up to 100 per cent, and at least 1 seed."
        )
    whole = prepare(experiment, dataset, weight_folders=weight_folders)
    train = whole.dataset.with_records(whole.split.train)
    runs: dict[tuple[float, int], Planned] = {}
    for number_of_seed in range(seeds):
        seed = experiment.train.seed + number_of_seed
        for share, records in zip(rising, nested_subsets(train, shares=rising, seed=seed), strict=True):
            split = Split(train=records, val=whole.split.val, by=whole.split.by)
            try:
                prepared = prepared_as(experiment, dataset, split, seed=seed, weight_folders=weight_folders)
            except UserError as error:
                raise UserError(f"With {share:g} % of the labels: {error}") from error
            runs[share, number_of_seed] = Planned(name=f"share-{share:g}-seed{seed}", prepared=prepared)
    told = (*whole.decisions, *_steps_told(experiment, runs, rising))
    return CurvePlan(experiment=experiment, whole=whole, shares=rising, seeds=seeds, runs=runs, told=told)


def train_curve(plan: CurvePlan, out: Path, means: Means) -> LearningCurve:
    """Train what is missing, resume what broke off, fit, and write curve.json.

    Raises:
        UserError: the folder holds something else.
        Interrupted: Ctrl-C; the same command goes on.
    """
    begin(out, plan.to_plain(), file=PLAN, may_grow="seeds")
    # Seed by seed: what broke off early has a whole curve already.
    for share, seed in sorted(plan.runs, key=lambda key: (key[1], key[0])):
        run = plan.runs[share, seed]
        finished_run(run.prepared, out / run.name, means)
    found = _read(plan, out)
    write_json(out / "curve.json", found.to_json())
    return found


def _steps_told(
    experiment: Experiment, runs: dict[tuple[float, int], Planned], shares: Sequence[float]
) -> list[str]:  # fmt: skip
    """How long the smallest and the largest share train."""

    def steps(prepared: Prepared) -> int:
        train = prepared.experiment.train
        return EpochSampler(count=len(prepared.split.train), batch=train.batch, seed=0).steps * train.epochs

    least, most = (steps(runs[share, 0].prepared) for share in (shares[0], shares[-1]))
    told = (
        f"steps: {least:,} with {shares[0]:g} % of the labels, {most:,} with {shares[-1]:g} % (the recipe's epochs, at "
        f"least train.min_steps={experiment.train.min_steps})"
    )
    if 2 * least > most:
        return [told]
    return [
        told,
        f"warning: little data is trained for fewer steps, which may look like too few labels; --set "
        f"train.min_steps={most} trains all shares as long",
    ]


def _read(plan: CurvePlan, out: Path) -> LearningCurve:
    names = {out / planned.name: key for key, planned in plan.runs.items()}
    runs, _ = read_runs(list(names), skip_broken=False)
    metric, less = runs[0].metric, runs[0].less_is_better
    told = []
    for run in runs:
        share, seed = names[run.path]
        measured = section(section(run.evaluation, "metrics"), metric)
        value = number(measured.get("value"))
        if value is None:
            raise UserError(f"{run.path} has no {metric}, which the other runs have. Delete that folder and go on.")
        told.append(
            CurveRun(
                name=run.path.name,
                share=share,
                seed=seed,
                labels=len(plan.runs[share, seed].prepared.split.train),
                value=value,
                low=number(measured.get("low")),
                high=number(measured.get("high")),
            )
        )
    told.sort(key=lambda run: (run.share, run.seed))
    labels, values = [run.labels for run in told], [run.value for run in told]
    at = MORE * len(plan.whole.split.train)
    along = sorted({round(n) for n in np.geomspace(min(labels), at, 14)})
    return LearningCurve(
        path=out,
        recipe=plan.experiment.recipe,
        task=runs[0].task,
        metric=metric,
        less_is_better=less,
        val=len(plan.whole.split.val),
        runs=tuple(told),
        curve=fit_curve(labels, values, less_is_better=less, at=[at]),
        band=fit_curve(labels, values, less_is_better=less, at=along),
    )
