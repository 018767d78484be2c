"""One trial: drawn values, trained with every seed, given up only on what all seeds say together.

How it is pruned. `median`: all seeds are trained to a quarter of the epochs, then all to half of them, then all to the
end; at each stop the mean over the seeds of the best validation so far is held against the median of the trials before
it, at the same share of their epochs. `wilcoxon`: one seed after another to its end, each paired with the same seed of
the best trial so far. In both no single seed, lucky or not, decides anything.

In: an Optuna trial, a `Search`. Out: `Ended`, an ordinary run folder a seed. Next: run.py
"""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from sightline.checkpoint import RunFolder
from sightline.compare.ladder import Means, finished_run
from sightline.compare.runs import Run, measured_value, read_run
from sightline.config import override
from sightline.errors import UserError
from sightline.evaluate import scoring_for
from sightline.inspect import inspect
from sightline.prepare import Prepared, prepare
from sightline.records import Dataset
from sightline.report.values import number
from sightline.sweep.fit import Space
from sightline.sweep.speed import latency_ms, network_ms
from sightline.sweep.storage import SweepSettings
from sightline.sweep.tried import OBJECTIVES, over
from sightline.train import Event, Watcher

if TYPE_CHECKING:
    from optuna.trial import Trial

STOPS = (25, 50)  # percent of the epochs at which all seeds are looked at together
TRIALS = "trials"


class Paused(Exception):
    """A training has come to a stop where it waits for the other seeds; its folder goes on later."""


@dataclass(frozen=True, kw_only=True)
class Search:
    """What all trials share.

    Attributes:
        space: what is searched, around which recipe.
        settings: of the study.
        dataset: scanned; every trial divides it in the same way.
        out: the sweep's folder.
        means: to train with.
    """

    space: Space
    settings: SweepSettings
    dataset: Dataset
    out: Path
    means: Means

    def say(self, text: str) -> None:
        """Tell what is done."""
        self.means.say(text)

    def folder(self, number: int) -> Path:
        """Of a trial's runs."""
        return self.out / TRIALS / f"{number:04d}"


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How a trial came to its end; values for the study where it is complete."""

    state: Literal["complete", "pruned"]
    values: tuple[float, ...] = ()


class PauseAfter:
    """A watcher that stops a training once an epoch has been validated, and saved: at the first step after it."""

    def __init__(self, epochs: int) -> None:
        self._epochs, self._is_there = epochs, False

    def __call__(self, event: Event) -> None:
        """Note a validation; leave at what comes next."""
        if self._is_there and event.kind == "train":
            raise Paused
        if event.kind == "val" and event.values["epoch"] >= self._epochs:
            self._is_there = True


@dataclass(frozen=True, kw_only=True)
class SeedRun:
    """One of a trial's trainings."""

    seed: int
    prepared: Prepared
    folder: Path

    def best_until(self, epochs: int) -> float | None:
        """The best validation up to the first one at or after so many epochs; None where there is none such yet."""
        scoring = scoring_for(self.prepared.experiment)
        values = []
        for row in _validations(self.folder / "metrics.jsonl"):
            found = number(row.get(scoring.choose(row)))
            if found is not None:
                values.append(found)
            if row["epoch"] >= epochs or row["epoch"] >= self.prepared.experiment.train.epochs:
                return (min if scoring.less_is_better else max)(values) if values else None
        return None


def run_trial(trial: Trial, search: Search) -> Ended:
    """Draw, train, measure; what is found is kept in the trial's attributes as it comes.

    Raises:
        UserError: the values do not fit the data, a training went wrong, or a run has no score.
        Interrupted: Ctrl-C; the trial can go on.
    """
    space, settings = search.space, search.settings
    drawn = {dimension.name: dimension.suggest(trial) for dimension in space.dimensions if dimension.is_slot}
    drawn |= {dimension.name: dimension.suggest(trial) for dimension in space.active(space.pieces(drawn))}
    named = f"{space.base.recipe}-{trial.number:04d}"
    experiment = space.experiment(drawn).model_copy(update={"recipe": named})
    prepared = prepare(experiment, search.dataset, weight_folders=search.means.weight_folders)
    trial.set_user_attr("parameters", inspect(prepared.experiment).parameters["total"])
    if _is_too_much_already(trial, prepared, search):
        return Ended(state="pruned")
    runs = _runs(prepared, search, folder=search.folder(trial.number))
    if settings.pruner == "median" and _falls_behind(trial, runs, search):
        for run in runs:
            RunFolder(run.folder).last.unlink(missing_ok=True)
        return Ended(state="pruned")
    scores: dict[int, float] = {}
    seconds: list[float] = []
    for place, run in enumerate(runs):
        finished = _finish(run, search)
        is_new = str(run.seed) not in trial.user_attrs.get("scores", {})
        scores[run.seed] = _score(finished)
        seconds.append(number(finished.info.get("seconds")) or 0.0)
        trial.set_user_attr("scores", {str(seed): value for seed, value in scores.items()})
        trial.set_user_attr("metric", finished.metric)
        trial.set_user_attr("seconds", statistics.fmean(seconds))
        if settings.pruner == "wilcoxon":
            if is_new:
                trial.report(scores[run.seed], run.seed)
            if place + 1 < len(runs) and trial.should_prune():
                return Ended(state="pruned")
    if "latency" in settings.objectives or "latency_ms" in settings.limits:
        trial.set_user_attr("latency_ms", latency_ms(runs[0].folder, device=search.means.device))
    _told_limits(trial, settings)
    rest = [float(trial.user_attrs[OBJECTIVES[name]]) for name in settings.objectives]
    return Ended(state="complete", values=(statistics.fmean(scores.values()), *rest))


def _runs(prepared: Prepared, search: Search, *, folder: Path) -> list[SeedRun]:
    """The same trial with each seed; the data are divided in the same way."""
    return [
        SeedRun(
            seed=seed,
            prepared=replace(prepared, experiment=override(prepared.experiment, sets=[f"train.seed={seed}"])),
            folder=folder / f"seed-{seed}",
        )
        for seed in range(search.settings.seeds)
    ]


def _falls_behind(trial: Trial, runs: Sequence[SeedRun], search: Search) -> bool:
    """Train all seeds to each stop, and say whether their mean is worse than other trials' there."""
    total = runs[0].prepared.experiment.train.epochs
    told: dict[str, float] = trial.user_attrs.get("means", {})  # by a process that was killed
    means: dict[str, float] = {}
    for percent in STOPS:
        epochs = math.ceil(total * percent / 100)
        if epochs >= total:
            continue
        values = [_value_after(run, epochs, search) for run in runs]
        known = [value for value in values if value is not None]
        if len(known) < len(values):
            continue  # a validation without a score (nothing found yet) says nothing yet
        means[str(percent)] = statistics.fmean(known)
        if str(percent) not in told:
            trial.report(means[str(percent)], percent)
        trial.set_user_attr("means", told | means)
        if trial.should_prune():
            return True
    return False


def _value_after(run: SeedRun, epochs: int, search: Search) -> float | None:
    """The best validation of a run up to an epoch, trained so far where it was not."""
    found = run.best_until(epochs)
    if found is not None:
        return found
    try:
        _finish(run, search, PauseAfter(epochs))
    except Paused:
        return run.best_until(epochs)
    return run.best_until(0) if run.best_until(epochs) is None else run.best_until(epochs)


def _finish(run: SeedRun, search: Search, *more: Watcher) -> Run:
    """A run, trained to its end if no watcher stops it."""

    @contextmanager
    def watching(prepared: Prepared, folder: Path) -> Iterator[list[Watcher]]:
        with search.means.watching(prepared, folder) as watchers:
            yield [*watchers, *more]

    # One line a trial is enough.
    path = finished_run(run.prepared, run.folder, replace(search.means, say=lambda _: None, watching=watching))
    RunFolder(path).last.unlink(missing_ok=True)  # three times the model's size, and nothing is left to resume
    return read_run(path)


def _score(run: Run) -> float:
    value = measured_value(run, run.metric)
    if value is None:
        raise UserError(f"{run.path} has no {run.metric}: nothing was found on the validation part.")
    return value


def _is_too_much_already(trial: Trial, prepared: Prepared, search: Search) -> bool:
    """Whether the untrained network is over a limit that training cannot mend; then it is not trained."""
    limits = search.settings.limits
    known: dict[str, float | None] = {"parameters": float(trial.user_attrs["parameters"])}
    if "latency_ms" in limits:
        known["latency_ms"] = network_ms(prepared.experiment, device=search.means.device)
    beyond = {name: value for name, value in over(known, limits).items() if value > 0}
    if not beyond:
        return False
    for name, value in beyond.items():
        trial.set_constraint(name, value)
    values = ", ".join(f"{name} {known[name]:,.4g} is over {limits[name]:g}" for name in beyond)
    trial.set_user_attr("error", f"not trained: the network alone: {values}")
    if "latency_ms" in known:
        trial.set_user_attr("latency_ms", known["latency_ms"])
    return True


def _told_limits(trial: Trial, settings: SweepSettings) -> None:
    known = {name: number(trial.user_attrs.get(name)) for name in ("latency_ms", "seconds", "parameters")}
    found = over(known, settings.limits)
    for name, value in found.items():
        trial.set_constraint(name, value)
    beyond = [f"{name} {known[name]:,.4g} is over {settings.limits[name]:g}" for name in found if found[name] > 0]
    trial.set_user_attr("error", ", ".join(beyond))


def _validations(path: Path) -> list[dict[str, float]]:
    """The validation lines of a run so far; half a line at the end, left by a kill, is not one."""
    if not path.is_file():
        return []
    rows = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            row = json.loads(line)
        except json.JSONDecodeError:
            break
        if row.get("kind") == "val":
            rows.append(row)
    return rows
