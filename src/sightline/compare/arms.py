"""Runs put together into arms: those of one experiment that differ in the seed only; and what differs between arms.

In: runs in the order given. Out: `Arm`s in that order, `Change`s key by key.
Next: verdict.py
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sightline.compare.runs import Run
from sightline.errors import UserError
from sightline.report.values import section

SEED = "train.seed"
_NAMING = 2  # at most so many changed settings make a name


@dataclass(frozen=True, kw_only=True, eq=False)
class Arm:
    """One experiment with all its seeds."""

    name: str
    runs: tuple[Run, ...]

    @property
    def seeds(self) -> tuple[int, ...]:
        """Of the runs, in their order."""
        return tuple(run.seed for run in self.runs)


@dataclass(frozen=True, kw_only=True)
class Change:
    """A setting that differs, as JSON text; None where one side does not have it."""

    key: str
    before: str | None
    after: str | None

    def __str__(self) -> str:
        """KEY: BEFORE -> AFTER."""
        return f"{self.key}: {self.before or 'not there'} -> {self.after or 'not there'}"


def arms_of(runs: Sequence[Run]) -> list[Arm]:
    """Runs by experiment, in the order of their first run.

    Raises:
        UserError: two runs are the same experiment with the same seed, which is no second look at it.
    """
    found: dict[str, list[Run]] = {}
    for run in runs:
        found.setdefault(_experiment(run), []).append(run)
    for together in found.values():
        by_seed: dict[int, Run] = {}
        for run in together:
            other = by_seed.setdefault(run.seed, run)
            if other is not run:
                raise UserError(
                    f"{other.path} and {run.path} are the same experiment with the same seed ({SEED}={run.seed}): the "
                    "second tells nothing new. Leave one out, or train with another seed."
                )
    groups = list(found.values())
    return [Arm(name=name, runs=tuple(group)) for name, group in zip(_names(groups), groups, strict=True)]


def changes(before: Run, after: Run) -> list[Change]:
    """Settings and training data that differ, without the seed and the recipe's name."""
    one, other = _settings(before), _settings(after)
    keys = [key for key in (*one, *(key for key in other if key not in one)) if key not in (SEED, "recipe")]
    return [
        Change(key=key, before=one.get(key), after=other.get(key)) for key in keys if one.get(key) != other.get(key)
    ]


def flat(values: Mapping[str, Any], *, prefix: str = "") -> dict[str, str]:
    """Nested settings by their dotted names, values as JSON text; a list is one value."""
    found: dict[str, str] = {}
    for key, value in values.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping) and value:
            found |= flat(value, prefix=f"{name}.")
        else:
            found[name] = json.dumps(value, default=str)
    return found


def _settings(run: Run) -> dict[str, str]:
    """Of the config, and what was trained on: the same settings on more data are another experiment."""
    data = section(run.info, "data")
    trained = {key: data.get(key) for key in ("fingerprint", "train") if key in data}
    return flat(run.config) | flat(trained, prefix="training data: ")


def _experiment(run: Run) -> str:
    settings = _settings(run)
    settings.pop(SEED, None)
    return json.dumps(settings, sort_keys=True)


def _names(groups: Sequence[Sequence[Run]]) -> list[str]:
    """The recipe where it tells arms apart, else with the one or two settings that do, else the folder."""
    recipes = [group[0].recipe for group in groups]
    names = []
    for place, group in enumerate(groups):
        recipe = recipes[place]
        if recipes.count(recipe) == 1:
            names.append(recipe)
            continue
        first = groups[recipes.index(recipe)][0]
        changed = changes(first, group[0])
        if first is group[0]:
            names.append(recipe)
        elif len(changed) <= _NAMING:
            names.append(f"{recipe} ({', '.join(f'{one.key}={one.after}' for one in changed)})")
        else:
            names.append(group[0].path.name)
    # What is still not told apart goes by its folder.
    return [name if names.count(name) == 1 else str(groups[place][0].path) for place, name in enumerate(names)]
