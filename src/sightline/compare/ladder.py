"""Training a ladder: every rung with every seed, what is missing only, and going on with what broke off.

A ladder is a name in `recipes.LADDERS`, or a YAML file:

    rungs:
      - recipe: landmarks               # a recipe's name or a YAML file, beside this one or from where the command runs
        name: plain                     # how the rung is called; the recipe's name without it
      - recipe: landmarks
        name: no-flip
        use: [neck=bifpn]               # as --use
        set: [augment.flip=0]           # as --set

Next: ../cli/compare.py
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from sightline.checkpoint import RunFolder
from sightline.compare.runs import read_run
from sightline.config import Experiment, from_yaml, override
from sightline.errors import UserError, unknown_name
from sightline.pipeline import train_run
from sightline.prepare import Prepared, prepare
from sightline.recipes import LADDERS, recipe
from sightline.records import Dataset
from sightline.settings import load_yaml
from sightline.train import Watcher

_KEYS = {"recipe", "name", "use", "set"}
_PLAIN = re.compile(r"[\w.+-]+")  # of a name that becomes a folder's


Watching = Callable[[Prepared, Path], AbstractContextManager[Sequence[Watcher]]]  # for the time of one training


class Interrupted(Exception):
    """Ctrl-C ended a training; its folder can be resumed."""


def unwatched(prepared: Prepared, folder: Path) -> AbstractContextManager[Sequence[Watcher]]:
    """Nobody watches."""
    return nullcontext(())


@dataclass(frozen=True, kw_only=True)
class Means:
    """What several trainings are done with, one after another.

    Attributes:
        device: "cpu" or "cuda".
        command: that is told in each run.
        weight_folders: where pretrained weights are looked for.
        say: told what is done.
        watching: gives the watchers of a training, by its data and experiment and its folder.
    """

    device: str = "cpu"
    command: str = ""
    weight_folders: tuple[Path, ...] = ()
    say: Callable[[str], None] = lambda _: None
    watching: Watching = unwatched


@dataclass(frozen=True, kw_only=True)
class Plan:
    """How to climb.

    Attributes:
        out: the folder of all runs.
        seeds: how many of each rung, from 0.
        sets: changes to all rungs.
        rates: learning rates to try with seed 0; the best one is for all seeds. None: the rung's own.
        images: pictures that each rung sees in training, in whole epochs; None: the rung's own epochs.
    """

    out: Path
    seeds: int
    sets: tuple[str, ...] = ()
    rates: tuple[float, ...] = ()
    images: int | None = None


def read_ladder(text: str) -> list[Experiment]:
    """The rungs of a ladder, named or in a file, each with a name of its own.

    Raises:
        UserError: no such ladder or file, a file that holds none, or two rungs of one name.
    """
    path = Path(text)
    if path.suffix not in {".yaml", ".yml"}:
        if text not in LADDERS:
            raise unknown_name("ladder", text, LADDERS)
        return LADDERS[text]()
    try:
        held = load_yaml(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"There is no {path}. Give a ladder's name or a YAML file that holds one.") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UserError(f"{path} cannot be read as YAML ({error}). Give a YAML file that holds a ladder.") from error
    rungs = held.get("rungs") if isinstance(held, dict) else None
    if not isinstance(rungs, list) or not rungs:
        raise UserError(f"{path} holds no ladder: expected `rungs:` with a list of recipes below it.")
    found = [_rung(path, place, rung) for place, rung in enumerate(rungs, start=1)]
    names = [rung.recipe for rung in found]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        raise UserError(f"{path}: two rungs are called {twice!r}. Give each a `name` of its own.")
    return found


def climb(rungs: Sequence[Experiment], dataset: Dataset, wanted: Plan, means: Means) -> list[Path]:
    """Train what is missing; the folders of all runs, rung by rung.

    Raises:
        UserError: a rung does not fit the data, or a folder holds a run with other settings.
        Interrupted: Ctrl-C; the same command goes on.
    """
    folders: list[Path] = []
    for rung in rungs:
        rate = _best_rate(rung, dataset, wanted, means)
        folders += [_trained(rung, dataset, wanted, means, rate=rate, seed=seed) for seed in range(wanted.seeds)]
    return folders


def _rung(path: Path, place: int, rung: object) -> Experiment:
    where = f"{path}, rung {place}"
    if isinstance(rung, str):
        rung = {"recipe": rung}
    if not isinstance(rung, dict) or not isinstance(rung.get("recipe"), str):
        raise UserError(f"{where}: expected `recipe:` with a recipe's name or a YAML file.")
    unknown = next((str(key) for key in rung if key not in _KEYS), None)
    if unknown is not None:
        raise unknown_name(f"key of a rung ({where})", unknown, _KEYS)
    experiment = _recipe(rung["recipe"], beside=path)
    name = str(rung.get("name", experiment.recipe))
    if not _PLAIN.fullmatch(name):
        raise UserError(f"{where}: name {name!r} is to be a folder's: letters, digits, dots, plus and minus only.")
    named = experiment.model_copy(update={"recipe": name})
    return override(named, use=_texts(rung, "use", where=where), sets=_texts(rung, "set", where=where))


def _recipe(text: str, *, beside: Path) -> Experiment:
    if not text.endswith((".yaml", ".yml")):
        return recipe(text)
    path = next((path for path in (beside.parent / text, Path(text)) if path.is_file()), None)
    if path is None:
        raise UserError(f"{beside}: there is no {text}, neither beside it nor here.")
    return from_yaml(path.read_text(encoding="utf-8"), where=str(path))


def _texts(rung: dict[str, Any], key: str, *, where: str) -> list[str]:
    value = rung.get(key) or []
    if not isinstance(value, list) or not all(isinstance(text, str) for text in value):
        raise UserError(f"{where}: {key} is {value!r}, expected a list of KEY=VALUE.")
    return value


def _best_rate(rung: Experiment, dataset: Dataset, wanted: Plan, means: Means) -> float | None:
    """Of the rates to try the one with the best validation score of seed 0; None where there are none to try."""
    tried: dict[float, float] = {}
    less = True
    for rate in wanted.rates:
        run = read_run(_trained(rung, dataset, wanted, means, rate=rate, seed=0))
        tried[rate] = float(run.evaluation["metrics"][run.metric]["value"])
        less = run.less_is_better
    if not tried:
        return None
    best = (min if less else max)(tried, key=lambda rate: tried[rate])
    means.say(f"{rung.recipe}: learning rate {best:g} of {', '.join(f'{r:g} ({v:.4g})' for r, v in tried.items())}")
    return best


def _trained(
    rung: Experiment, dataset: Dataset, wanted: Plan, means: Means, *, rate: float | None, seed: int
) -> Path:  # fmt: skip
    """One finished run, trained now or before."""
    sets = [*wanted.sets, *([f"train.lr={rate}"] if rate is not None else []), f"train.seed={seed}"]
    prepared = _prepared(override(rung, sets=sets), dataset, wanted, means)
    at_rate = f"-lr{rate:g}" if rate is not None else ""
    return finished_run(prepared, wanted.out / f"{rung.recipe}{at_rate}-seed{seed}", means)


def finished_run(prepared: Prepared, out: Path, means: Means) -> Path:
    """The folder of a finished run: found there, resumed where it broke off, or trained from the start.

    Args:
        prepared: data and experiment.
        out: the run's folder.
        means: to train with.

    Raises:
        UserError: the folder holds a run with other settings, or a damaged one.
        Interrupted: Ctrl-C; the same call goes on.
    """
    folder = RunFolder(out)
    begun = folder.config.is_file()
    if begun and folder.experiment() != prepared.experiment:
        raise UserError(
            f"{folder.path} was trained with other settings than this command asks for. Choose another --out, or "
            "delete that folder to train it anew."
        )
    if begun and (folder.evaluation / "metrics.json").is_file():
        read_run(folder.path)  # finished, or damaged: then it says so
        means.say(f"{folder.path}: there already")
        return folder.path
    resume = begun and folder.last.is_file()
    means.say(f"{folder.path}: {'goes on' if resume else 'begins'}")
    with means.watching(prepared, folder.path) as watchers:
        finished = train_run(
            prepared,
            folder,
            command=means.command,
            device=means.device,
            resume=resume,
            weight_folders=means.weight_folders,
            watchers=watchers,
        )
    if finished.outcome.interrupted:
        raise Interrupted(str(folder.path))
    return folder.path


def _prepared(experiment: Experiment, dataset: Dataset, wanted: Plan, means: Means) -> Prepared:
    prepared = prepare(experiment, dataset, weight_folders=means.weight_folders)
    if wanted.images is None:
        return prepared
    epochs = math.ceil(wanted.images / len(prepared.split.train))
    same = override(experiment, sets=[f"train.epochs={epochs}", "train.min_steps=0"])
    return prepare(same, dataset, weight_folders=means.weight_folders)
