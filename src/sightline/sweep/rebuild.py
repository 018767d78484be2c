"""A sweep's table, page and journal made again from its trials' own files: the folders are the truth.

In: a sweep's folder. Out: a `Result`; a journal, where that is lost. Nothing is trained.
"""

from __future__ import annotations

import json
from pathlib import Path

from sightline.config import from_yaml
from sightline.errors import UserError
from sightline.sweep.board import SETTINGS
from sightline.sweep.fit import Space, fit_space
from sightline.sweep.recheck import FOLDER, OWN, Recheck, compared, recheck_folder
from sightline.sweep.result import Result, best_recipe
from sightline.sweep.space import read_space
from sightline.sweep.storage import JOURNAL, SweepSettings, open_storage, open_study
from sightline.sweep.trial import TRIALS
from sightline.sweep.tried import FILE, LIMITS, OBJECTIVES, Tried, over, read_tried


def rebuilt(out: Path) -> Result:
    """Read a sweep's folder, and write its journal where there is none.

    Raises:
        UserError: it is no sweep's folder, or a file in it is damaged.
    """
    path = out / SETTINGS
    if not path.is_file():
        raise UserError(f"{out} is no folder of a sweep: it holds no {SETTINGS}. Give the --out of one.")
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
        name, storage = str(held.pop("study")), held.pop("storage")
        settings = SweepSettings.of(held)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{path} is damaged ({error!r}). Start the sweep again with its own command and --out."
        ) from error
    space = fit_space(from_yaml(settings.recipe, where=str(path)), *read_space(settings.space))
    tried = tuple(read_tried(file) for file in sorted((out / TRIALS).glob(f"*/{FILE}")))
    if not tried:
        raise UserError(f"{out / TRIALS} holds no trial that has ended ({FILE}): there is nothing to make again.")
    if storage is None and not (out / JOURNAL).exists():
        _write_journal(out, settings, space, tried, name=name)
    found = Result(settings=settings, space=space, out=out, tried=tried)
    return Result(settings=settings, space=space, out=out, tried=tried, recheck=_recheck(found))


def _recheck(found: Result) -> Recheck | None:
    """That of the present winner, where all its runs have ended."""
    if found.best is None:
        return None
    best = recheck_folder(found.out, best_recipe(found.space, found.best))
    folders = [*sorted((found.out / FOLDER / OWN).glob("seed-*")), *sorted(best.glob("seed-*"))]
    ended = [folder for folder in folders if (folder / "evaluation" / "metrics.json").is_file()]
    return compared(ended) if len(ended) == len(folders) and best.is_dir() else None


def _write_journal(out: Path, settings: SweepSettings, space: Space, tried: tuple[Tried, ...], *, name: str) -> None:
    """All trials with their numbers; one that had not ended, and has no file, is told as lost."""
    from optuna.trial import TrialState, create_trial

    study, _ = open_study(open_storage(None, out), settings, name=name, where=str(out / JOURNAL))
    states = {"complete": TrialState.COMPLETE, "pruned": TrialState.PRUNED, "failed": TrialState.FAIL}
    known = {dimension.name: dimension.values.distribution() for dimension in space.dimensions}
    by_number = {each.number: each for each in tried}
    for number in range(max(by_number) + 1):
        each = by_number.get(number)
        if each is None or each.state not in (*states, "over the limit"):
            study.add_trial(create_trial(state=TrialState.FAIL, user_attrs={"lost": True}))
            continue
        state = states.get(each.state, TrialState.COMPLETE if each.is_whole else TrialState.PRUNED)
        rest = [each.measured(OBJECTIVES[objective]) or 0.0 for objective in settings.objectives]
        limited = {limit: each.measured(name) for limit, name in LIMITS.items()}
        study.add_trial(
            create_trial(
                state=state,
                values=[each.score or 0.0, *rest] if state == TrialState.COMPLETE else None,
                params=each.drawn,
                distributions={name: known[name] for name in each.drawn},
                intermediate_values=each.means if settings.pruner == "median" else None,
                constraints=over(limited, settings.limits),
                user_attrs={
                    "scores": {str(seed): value for seed, value in each.scores.items()},
                    "means": {str(percent): value for percent, value in each.means.items()},
                    "seconds": each.seconds, "latency_ms": each.latency_ms, "parameters": each.parameters,
                    "metric": each.metric, "folder": each.folder, "error": each.error,
                },
            )
        )  # fmt: skip
