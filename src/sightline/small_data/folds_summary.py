"""What a finished cross-validation says in numbers: each fold, their spread, all pictures together.

Two questions, two intervals. "How would the networks of these folds do on other pictures of this kind?" is answered by
resampling pictures, and with several repeats by their spread, as for any recipe with seeds (`compare`). "How would
the recipe do on another training set of this size?" cannot be answered without bias from one data set, since the
folds train on nearly the same pictures; the spread of the folds is corrected for that by Nadeau and Bengio
("Inference for the generalization error", 2003; for repeats Bouckaert and Frank, 2004): variance times
1 / J + pictures to validate / pictures to train, with J the folds of all repeats.
In: the folder. Out: `FoldSummary`.
Next: folds_words.py
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.special import stdtrit

from sightline.compare.arms import arms_of
from sightline.compare.comparison import Comparison, compare_arms
from sightline.compare.components import LEVEL
from sightline.compare.runs import FOLDS, Run, measured_value, read_runs, require_alike, with_repeats
from sightline.errors import UserError
from sightline.report.values import number, rows, section


@dataclass(frozen=True, kw_only=True)
class FoldScore:
    """One fold: the name of its run, its pictures, and the metric with its interval over pictures.

    `value` is None where the fold's pictures cannot give the metric.
    """

    name: str
    repeat: int
    train: int
    val: int
    value: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, kw_only=True, eq=False)
class FoldSummary:
    """A finished cross-validation.

    Attributes:
        path: its folder.
        metric: what all values are of.
        folds: of all repeats, in order.
        repeats: of each, its metric over all pictures.
        made: the repeats as seeds of one arm: value and interval over all pictures.
        mean: of the folds' values.
        fold_spread: their standard deviation, over all repeats; None where fewer than two folds have a value.
        repeat_spread: standard deviation of the repeats' values; None with one repeat.
        low: of the corrected interval about `mean`, for other training sets; None where `fold_spread` is.
        high: likewise.
    """

    path: Path
    metric: str
    folds: tuple[FoldScore, ...]
    repeats: tuple[float, ...]
    made: Comparison
    mean: float | None
    fold_spread: float | None
    repeat_spread: float | None
    low: float | None
    high: float | None

    def to_json(self) -> dict[str, Any]:
        """With stable keys."""
        line = self.made.lines[0]
        return {
            "folder": str(self.path),
            "task": self.made.first_run.task,
            "metric": self.metric,
            "less_is_better": self.made.less_is_better,
            "level": LEVEL,
            "pictures": self.made.pictures,
            "units": self.made.units,
            "data_fingerprint": self.made.first_run.fingerprint,
            "all_pictures": {
                "value": line.found.value, "low": line.low, "high": line.high,
                "covers": "pictures" if line.found.seeds is None else "pictures and repeats",
                "repeats": list(self.repeats), "repeat_spread": self.repeat_spread,
            },
            "mean_of_folds": {
                "value": self.mean, "fold_spread": self.fold_spread, "low": self.low, "high": self.high,
                "covers": "training sets",
            },
            "folds": [vars(fold) for fold in self.folds],
        }  # fmt: skip


def summarise_folds(path: Path) -> FoldSummary:
    """Read a finished cross-validation.

    Raises:
        UserError: it is none, not finished, or a file is missing or damaged.
    """
    if not (path / FOLDS).is_file():
        raise UserError(f"{path} holds no cross-validation (no {FOLDS}). Make one: sightline train --folds 5 --out.")
    repeats, _ = read_runs(with_repeats([path]), skip_broken=False)
    require_alike(repeats)
    metric = repeats[0].metric
    arms = arms_of(repeats)
    if len(arms) > 1:
        raise UserError(
            f"The repeats of {path} are not of one experiment (their config.yaml or training data differ). Delete the "
            "folders repeat-*, and give the command that made them once more."
        )
    made = compare_arms(arms, baseline=0, metric=metric)
    folds = tuple(score for place, run in enumerate(repeats) for score in _folds(path, run, metric, repeat=place))
    values = [fold.value for fold in folds if fold.value is not None]
    pooled = [value for run in repeats if (value := measured_value(run, metric)) is not None]
    low, high = corrected_interval(values, ratio=float(np.mean([fold.val / fold.train for fold in folds])), level=LEVEL)
    return FoldSummary(
        path=path,
        metric=metric,
        folds=folds,
        repeats=tuple(pooled),
        made=made,
        mean=float(np.mean(values)) if values else None,
        fold_spread=float(np.std(values, ddof=1)) if len(values) > 1 else None,
        repeat_spread=float(np.std(pooled, ddof=1)) if len(pooled) > 1 else None,
        low=low,
        high=high,
    )


def corrected_interval(values: Sequence[float], *, ratio: float, level: float) -> tuple[float | None, float | None]:
    """The interval about the mean of folds for other training sets of their size (see the head of this file).

    Args:
        values: of the folds of all repeats.
        ratio: pictures to validate over pictures to train.
        level: the share that it should cover.

    Returns:
        Both ends; None where there are fewer than two values.
    """
    count = len(values)
    if count < 2:
        return None, None
    error = math.sqrt((1 / count + ratio) * float(np.var(values, ddof=1)))
    half = float(stdtrit(count - 1, (1 + level) / 2)) * error
    mean = float(np.mean(values))
    # An error or a share is never below 0, but its interval about the mean would be.
    return (max(mean - half, 0.0) if min(values) >= 0 else mean - half), mean + half


def _folds(path: Path, repeat_run: Run, metric: str, *, repeat: int) -> list[FoldScore]:
    found = []
    names = [str(fold.get("run")) for fold in rows(repeat_run.info, "folds") if isinstance(fold, dict)]
    for run in read_runs([path / name for name in names], skip_broken=False)[0]:
        measured, data = section(section(run.evaluation, "metrics"), metric), section(run.info, "data")
        found.append(
            FoldScore(
                name=run.path.name,
                repeat=repeat,
                train=int(data["train"]),
                val=len(run.table),
                value=number(measured.get("value")),
                low=number(measured.get("low")),
                high=number(measured.get("high")),
            )
        )
    return found
