"""A trial as everything after the search sees it: plain values, from the storage or from the trial's own file.

In: Optuna's trials, or `trial.json` files. Out: `Tried`s, the best one, the front. No torch; Optuna only by type.
Next: storage.py
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from sightline.errors import UserError
from sightline.sweep.space import Value

if TYPE_CHECKING:
    from optuna.trial import FrozenTrial

State = Literal["running", "complete", "pruned", "over the limit", "failed", "lost"]
FILE = "trial.json"
OBJECTIVES = {"time": "seconds", "latency": "latency_ms"}  # --objective -> what a trial knows
LIMITS = {"latency_ms": "latency_ms", "seconds": "seconds", "parameters": "parameters"}  # --limit -> likewise


@dataclass(frozen=True, kw_only=True)
class Tried:
    """One trial.

    Attributes:
        number: from 0, in the order of the draws.
        state: how it ended. Lost: its machine fell silent, and its values were drawn once more.
        drawn: values by the names of the dimensions.
        scores: of each seed that was trained to its end, as metrics.json has it.
        means: the mean over seeds of the best validation so far, by percent of the epochs.
        seconds: of the training of one run, mean over the seeds.
        latency_ms: of one picture; None where it was not measured.
        parameters: of the model.
        metric: what the scores are; not known before a run has ended.
        folder: of its runs, below the sweep's.
        error: why it failed, or what limit it is over.
    """

    number: int
    state: State
    drawn: dict[str, Value]
    scores: dict[int, float]
    means: dict[int, float]
    seconds: float | None = None
    latency_ms: float | None = None
    parameters: int | None = None
    metric: str = ""
    folder: str = ""
    error: str = ""

    @property
    def score(self) -> float | None:
        """Mean over the seeds; None where the trial did not come to its end."""
        return statistics.fmean(self.scores.values()) if self.is_whole and self.scores else None

    @property
    def is_whole(self) -> bool:
        """Whether all seeds were trained to their end."""
        return self.state in ("complete", "over the limit") and bool(self.scores)

    @property
    def spread(self) -> float | None:
        """Standard deviation over the seeds; None with one."""
        return statistics.stdev(self.scores.values()) if len(self.scores) > 1 else None

    def measured(self, name: str) -> float | None:
        """What an objective or a limit asks for."""
        value = {"latency_ms": self.latency_ms, "seconds": self.seconds, "parameters": self.parameters}[name]
        return None if value is None else float(value)

    def to_json(self) -> dict[str, Any]:
        """Plain values by name, with the mean and the spread."""
        return asdict(self) | {"score": self.score, "spread": self.spread}

    @staticmethod
    def of(trial: FrozenTrial) -> Tried:
        """From the storage."""
        from optuna.trial import TrialState

        states: dict[TrialState, State] = {
            TrialState.COMPLETE: "complete", TrialState.PRUNED: "pruned", TrialState.FAIL: "failed",
        }  # fmt: skip
        known, state = trial.user_attrs, states.get(trial.state, "running")
        if any(value > 0 for value in trial.constraints.values()) and state in ("complete", "pruned"):
            state = "over the limit"
        return Tried(
            number=trial.number,
            state="lost" if known.get("lost") else state,
            drawn=dict(trial.params),
            scores={int(seed): value for seed, value in known.get("scores", {}).items()},
            means={int(percent): value for percent, value in known.get("means", {}).items()},
            seconds=known.get("seconds"),
            latency_ms=known.get("latency_ms"),
            parameters=known.get("parameters"),
            metric=known.get("metric", ""),
            folder=known.get("folder", ""),
            error=known.get("error", ""),
        )


def read_tried(path: Path) -> Tried:
    """From a trial's own file.

    Raises:
        UserError: the file is damaged.
    """
    try:
        held = json.loads(path.read_text(encoding="utf-8"))
        fields = {name: held[name] for name in Tried.__dataclass_fields__}
        fields["scores"] = {int(seed): float(value) for seed, value in held["scores"].items()}
        fields["means"] = {int(percent): float(value) for percent, value in held["means"].items()}
        return Tried(**fields)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{path} is damaged ({error!r}). Delete it, or restore it; the others can be read.") from error


def best_of(tried: Sequence[Tried], *, less_is_better: bool) -> Tried | None:
    """The trial with the best mean among those within all limits; the earlier one of equals."""
    ranked = ranking(tried, less_is_better=less_is_better)
    return ranked[0] if ranked and ranked[0].state == "complete" else None


def ranking(tried: Sequence[Tried], *, less_is_better: bool) -> list[Tried]:
    """Trials that came to their end, the best first; those over a limit behind all others."""
    sign = 1 if less_is_better else -1
    whole = [each for each in tried if each.score is not None]
    return sorted(whole, key=lambda each: (each.state != "complete", sign * (each.score or 0.0), each.number))


def front_of(tried: Sequence[Tried], objectives: Sequence[str], *, less_is_better: bool) -> list[Tried]:
    """Trials within the limits that no other one beats in one objective without losing in another; by score."""
    sign = 1 if less_is_better else -1
    points = {}
    for each in ranking(tried, less_is_better=less_is_better):
        rest = [each.measured(OBJECTIVES[name]) for name in objectives]
        if each.state == "complete" and each.score is not None and None not in rest:
            points[each.number] = (each, (sign * each.score, *rest))
    return [
        each
        for each, place in points.values()
        if not any(
            other != place and all(a <= b for a, b in zip(other, place, strict=True)) for _, other in points.values()
        )
    ]


def over(measured: Mapping[str, float | None], limits: Mapping[str, float]) -> dict[str, float]:
    """By how much each limited value is above its limit, as a share of it, negative below; not of unknown ones."""
    return {
        name: value / limit - 1 for name, limit in limits.items() if (value := measured.get(LIMITS[name])) is not None
    }
