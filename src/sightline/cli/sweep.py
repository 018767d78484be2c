"""`sightline sweep`: which settings are best, asked of many trainings, and how much of the answer is luck."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from sightline.cli import console
from sightline.cli.options import Flag, Many
from sightline.cli.watching import watching
from sightline.errors import UserError, unknown_name
from sightline.sinks import read_targets

if TYPE_CHECKING:
    from sightline.sweep.result import Result
    from sightline.sweep.trial import Search
    from sightline.sweep.tried import Tried

PRUNERS = ("median", "wilcoxon", "none")
_LEAST_WILCOXON = 5  # seeds: with four, the last one is over before a p-value below 0.1 can be


def sweep(
    recipe: str | None = None,
    *,
    data: Path | None = None,
    out_: Annotated[Path | None, Parameter(name="--out")] = None,
    try_: Annotated[list[str] | None, Parameter(name="--try", negative="", consume_multiple=True)] = None,
    trials: int = 40,
    seeds: int = 3,
    hours: float | None = None,
    objective: Many = None,
    limit: Many = None,
    pruner: str | None = None,
    recheck: int = 3,
    storage: str | None = None,
    study: str | None = None,
    use: Many = None,
    set: Many = None,
    rebuild: Path | None = None,
    skip_broken: Flag = False,
    format: str | None = None,
    device: str = "auto",
    weights_dir: Path | None = None,
    sink: Many = None,
    json: Flag = False,
) -> int:
    """Search settings and pieces: many trials, each trained with several seeds, the best one checked on fresh seeds.

    The same command goes on after a kill, adds trials where --trials is larger, and may run in several processes at
    once on one --out.

    Args:
        recipe: a name (see `sightline recipes`) or a YAML file.
        data: a label file or the folder that holds labels and pictures.
        out_: the folder of all trials; runs/sweep-RECIPE when not given.
        try_: what is searched: KEY=LOW..HIGH, KEY=LOW..HIGH:log, KEY=LOW..HIGH:STEP, KEY=A,B,C, SLOT=PIECE,PIECE,
            SLOT+SLOT=A+B,C+D, KEY@PIECE=VALUES; or a YAML file with `space:`.
        trials: how many in all.
        seeds: trainings of each trial; its score is their mean.
        hours: begin no new trial after so many hours.
        objective: a second one beside the score: time (of training), latency (of one picture).
        limit: what is too much: latency_ms=10, seconds=600 (of one training), parameters=1e6.
        pruner: median (all seeds together at a quarter and at half of the epochs), wilcoxon (seed by seed) or none.
        recheck: fresh seeds of the best trial and of the untouched recipe, compared at the end; 0 for none.
        storage: a database for several machines, postgresql+psycopg://USER:PASSWORD@HOST/DATABASE.
        study: the study's name there; the name of --out without it.
        use: swap pieces of the recipe, SLOT=NAME.
        set: change settings of the recipe, KEY=VALUE.
        rebuild: make table, page and (where it is lost) journal of this folder again, from its trials; trains nothing.
        skip_broken: leave broken samples out instead of stopping.
        format: the label format, where it cannot be found out.
        device: auto, cpu or cuda.
        weights_dir: folder with pretrained weights as NAME.safetensors.
        sink: show every training elsewhere too: tensorboard, tensorboard=FOLDER, mlflow or mlflow=URI. It is no setting
            of the sweep, and `sightline index` fills it from the run folders at any time.
        json: print the result as JSON.
    """
    from sightline.sweep.storage import require_optuna

    require_optuna()
    if rebuild is not None:
        from sightline.sweep.rebuild import rebuilt

        return _tell(rebuilt(rebuild), as_json=json)
    if recipe is None or data is None:
        raise UserError("Expected: sightline sweep RECIPE --data DATA --try KEY=VALUES; or --rebuild FOLDER.")
    objectives, limits = _objectives(objective), _limits(limit)
    pruned_by = _pruner(pruner, seeds=seeds, objectives=objectives)
    if trials < 1 or seeds < 1 or (hours is not None and hours <= 0):
        raise UserError("--trials and --seeds count from 1, and --hours is above 0.")
    if recheck < 0 or recheck == 1:
        raise UserError(f"--recheck {recheck}: one seed says nothing of a recipe. Give 2 or more, or 0 for none.")
    if storage is not None and study is None and out_ is None:
        raise UserError("Machines that share a --storage find their study by its name: give --study NAME.")

    from sightline.cli.choose import chosen, command_line, weight_folders
    from sightline.cli.dataset import print_dataset
    from sightline.compare.ladder import Interrupted, Means
    from sightline.devices import pick_device
    from sightline.evaluate import scoring_for
    from sightline.prepare import load_data
    from sightline.sweep.fit import fit_data, fit_space
    from sightline.sweep.run import search_all
    from sightline.sweep.space import read_space
    from sightline.sweep.storage import SweepSettings, shown
    from sightline.sweep.trial import Search

    sinks = read_targets(sink or ())
    where = console.err if json else console.out
    base = chosen(recipe, use, set)
    space = fit_space(base, *read_space(try_ or ()))
    out = out_ or Path("runs") / f"sweep-{base.recipe}"
    device = pick_device(device)
    folders = tuple(weight_folders(weights_dir, data))
    dataset = load_data(data, skip_broken=skip_broken, format=format, runs=out)
    if not json:
        print_dataset(dataset, most=5)
    own = fit_data(space, dataset, weight_folders=folders)
    scoring = scoring_for(own.experiment)
    settings = SweepSettings(
        recipe=base.to_yaml(), space=tuple(map(str, space.dimensions)), seeds=seeds, objectives=objectives,
        limits=limits, pruner=pruned_by, data=dataset.fingerprint(), metric=scoring.metric,
        less_is_better=scoring.less_is_better,
    )  # fmt: skip
    means = Means(
        device=device,
        command=command_line({} if storage is None else {storage: shown(storage, Path())}),  # without a password
        weight_folders=folders,
        say=lambda text: console.say(text, on=where),
        watching=partial(watching, on=where, sinks=sinks, in_logs=False),
    )
    search = Search(space=space, settings=settings, dataset=dataset, out=out, means=means)
    try:
        tried = search_all(
            search, url=storage, study_name=study or out.name, trials=trials, hours=hours,
            after=_after(search, total=trials, began=time.monotonic()),
        )  # fmt: skip
        found = _rechecked(tried, search, seeds=recheck, is_whole=_count(tried) >= trials)
    except Interrupted as stopped:
        search.say(f"Stopped and saved in {stopped}. The same command goes on.")
        return 130
    return _tell(found, as_json=json)


def _count(tried: Sequence[Tried]) -> int:
    """Trials that have come to an end, whatever it was."""
    return sum(each.state not in ("running", "lost") for each in tried)


def _objectives(given: Sequence[str] | None) -> tuple[str, ...]:
    from sightline.sweep.tried import OBJECTIVES

    names = [name for text in given or () for name in text.replace(",", " ").split()]
    for name in names:
        if name not in OBJECTIVES:
            raise unknown_name("objective", name, OBJECTIVES)
    return tuple(dict.fromkeys(names))


def _limits(given: Sequence[str] | None) -> dict[str, float]:
    from sightline.settings import pair
    from sightline.sweep.tried import LIMITS

    found: dict[str, float] = {}
    for text in given or ():
        name, value = pair(text, option="--limit", example="latency_ms=10")
        if name not in LIMITS:
            raise unknown_name("limit", name, LIMITS)
        try:
            found[name] = float(value)
        except ValueError:
            raise UserError(f"--limit {text}: {value} is no number.") from None
        if not 0 < found[name] < float("inf"):
            raise UserError(f"--limit {text}: a limit is above 0.")
    return found


def _pruner(given: str | None, *, seeds: int, objectives: Sequence[str]) -> str:
    """The pruner that holds; what cannot prune is told, not ignored."""
    if given is not None and given not in PRUNERS:
        raise unknown_name("pruner", given, PRUNERS)
    if given in (None, "none"):
        return "none" if given == "none" or objectives or seeds < 2 else "median"
    if objectives:
        raise UserError(
            f"--pruner {given} cannot be had with --objective {' '.join(objectives)}: no trial is worse half-way when "
            "it may still be the fastest. Leave --pruner out, or bound the second one by --limit instead."
        )
    if seeds < 2:
        raise UserError(f"--pruner {given} needs --seeds 2 or more: one seed is no evidence against a trial.")
    if given == "wilcoxon" and seeds < _LEAST_WILCOXON:
        raise UserError(
            f"--pruner wilcoxon needs --seeds {_LEAST_WILCOXON} or more: paired differences of {seeds} seeds cannot "
            "reach its p of 0.1 before the last one. Take --pruner median."
        )
    return str(given)


def _after(search: Search, *, total: int, began: float) -> Callable[[Sequence[Tried], Tried], None]:
    """One line a trial, with what is left; and the page, so that it can be looked at while the sweep runs."""
    here: list[int] = []

    def after(tried: Sequence[Tried], last: Tried) -> None:
        from sightline.sweep.page import write_page
        from sightline.sweep.result import Result, write_best
        from sightline.sweep.table import trial_line

        here.append(last.number)
        found = Result(settings=search.settings, space=search.space, out=search.out, tried=tuple(tried))
        left = (time.monotonic() - began) / len(here) * max(0, total - len(tried))
        about = f"; about {left / 60:.0f} min left" if left > 60 else ""
        search.say(trial_line(last, found, total=total) + about)
        write_best(found)
        write_page(found)

    return after


def _rechecked(tried: Sequence[Tried], search: Search, *, seeds: int, is_whole: bool) -> Result:
    """The result, with the winner compared on fresh seeds once all trials are there."""
    from dataclasses import replace

    from sightline.sweep.recheck import recheck
    from sightline.sweep.result import Result, best_recipe

    found = Result(settings=search.settings, space=search.space, out=search.out, tried=tuple(tried))
    if found.best is None or not seeds:
        return found
    if not is_whole:
        search.say("Other trials are still to come or run elsewhere: the best one is not checked on fresh seeds yet.")
        return found
    if found.own is not None and found.own.number == found.best.number:
        search.say("The untouched recipe came out best: there is nothing to check on fresh seeds.")
        return found
    search.say(f"{seeds} fresh seeds of the best trial and of the untouched recipe")
    made = recheck(best_recipe(search.space, found.best), search, seeds=seeds)
    if made is None:
        search.say("Another process trains them.")
    return replace(found, recheck=made)


def _tell(found: Result, *, as_json: bool) -> int:
    """Files, then words or JSON."""
    from sightline.sweep.page import write_page
    from sightline.sweep.result import BEST, write_best
    from sightline.sweep.table import print_result

    write_best(found)
    page = write_page(found)
    if as_json:
        console.print_json(found.to_json() | {"page": str(page)})
        return 0
    print_result(found, to=console.out)
    if found.best is not None:
        console.say(f"best    {found.out / BEST}")
    console.say(f"page    {page}")
    for command in found.commands():
        console.say(f"then    {command}")
    return 0
