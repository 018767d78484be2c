"""What a sweep comes to: the best trial and its recipe file, the front, and what must be said about them.

In: `Tried`s. Out: `Result`, best.yaml, plain values for --json. Next: table.py, page.py
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sightline.config import Experiment
from sightline.files import write_atomically
from sightline.report.words import Metric, describe
from sightline.sweep.fit import Space
from sightline.sweep.recheck import Recheck
from sightline.sweep.storage import SweepSettings
from sightline.sweep.tried import Tried, best_of, front_of, ranking

BEST = "best.yaml"


@dataclass(frozen=True, kw_only=True, eq=False)
class Result:
    """Everything that is told.

    Attributes:
        settings: of the study.
        space: what was searched.
        out: the sweep's folder.
        tried: all trials.
        recheck: the best trial against the untouched recipe, on fresh seeds; None where it was not made.
    """

    settings: SweepSettings
    space: Space
    out: Path
    tried: tuple[Tried, ...]
    recheck: Recheck | None = None

    @property
    def metric(self) -> Metric:
        """What the scores are: the task's main metric, or what stands in for it on this validation part."""
        return describe(next((each.metric for each in self.tried if each.metric), self.settings.metric))

    @property
    def ranked(self) -> list[Tried]:
        """Trials that came to their end, the best first."""
        return ranking(self.tried, less_is_better=self.settings.less_is_better)

    @property
    def best(self) -> Tried | None:
        """By the score, within the limits."""
        return best_of(self.tried, less_is_better=self.settings.less_is_better)

    @property
    def front(self) -> list[Tried]:
        """Of several objectives; empty with one."""
        if not self.settings.objectives:
            return []
        return front_of(self.tried, self.settings.objectives, less_is_better=self.settings.less_is_better)

    @property
    def own(self) -> Tried | None:
        """The trial that is the untouched recipe; None where the space does not hold it, or it was not tried."""
        drawn, outside = self.space.own_values()
        return None if outside else next((each for each in self.tried if each.drawn == drawn), None)

    def counts(self) -> dict[str, int]:
        """How many trials ended how."""
        states = [each.state for each in self.tried]
        return {state: states.count(state) for state in dict.fromkeys(states)}

    def commands(self) -> list[str]:
        """How to train the best recipe, and how to compare it with the untouched one."""
        if self.best is None:
            return []
        told = [f"sightline train {self.out / BEST} --data DATA"]
        if self.own is not None and self.own.is_whole and self.own.number != self.best.number:
            runs = " ".join(str(self.out / each.folder / "seed-*") for each in (self.own, self.best))
            told.append(f"sightline compare {runs}")
        return told

    def to_json(self) -> dict[str, Any]:
        """Plain values by name."""
        best = self.best
        return {
            "out": str(self.out),
            "settings": self.settings.to_json(),
            "trials": [each.to_json() for each in self.tried],
            "counts": self.counts(),
            "best": None if best is None else best.to_json(),
            "best_recipe": None if best is None else str(self.out / BEST),
            "front": [each.number for each in self.front],
            "recheck": None if self.recheck is None else self.recheck.to_json(),
        }


def write_best(result: Result) -> None:
    """The best recipe as a file that `sightline train` takes; none where no trial came to its end."""
    if result.best is not None:
        write_atomically(result.out / BEST, best_recipe(result.space, result.best).to_yaml())


def best_recipe(space: Space, best: Tried) -> Experiment:
    """The recipe with the best trial's values, called so."""
    return space.experiment(best.drawn).model_copy(update={"recipe": f"{space.base.recipe}-best"})


def caution(result: Result) -> Sequence[str]:
    """What must be said beside a winner."""
    whole = len(result.ranked)
    if result.best is None:
        return ["No trial within the limits came to its end." if whole else "No trial came to its end."]
    seeds = result.settings.seeds
    told = [
        f"The best of {whole} trials by the validation part that chose it: its score is too good by an unknown amount."
    ]
    if seeds < 3:
        told.append(f"{seeds} seed{'s' if seeds > 1 else ''} a trial: their spread is hardly known.")
    return told
