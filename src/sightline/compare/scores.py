"""Every run's metrics in the same resamples of the same pictures, and which metrics there are.

In: alike runs. Out: values [S] and resampled values [S, R] of an arm.
Next: comparison.py
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from sightline.compare.arms import Arm
from sightline.compare.components import score
from sightline.compare.runs import Run, measured_value
from sightline.errors import UserError, unknown_name
from sightline.metrics.units import drawn_counts
from sightline.report.words import describe

RESAMPLES = 2000
RESAMPLES_OF_QUANTILES = 500  # as the intervals of medians have
RESAMPLES_OF_BOXES = 300  # average precision goes through the whole match table each time
SEED = 0


class Scores:
    """Values of runs in the same resamples of the same pictures, each metric computed once."""

    def __init__(self, runs: Sequence[Run]) -> None:
        """Take alike runs; the first one's order of pictures holds for all."""
        self._first = runs[0].table
        self.units = int(self._first.units.max()) + 1
        self._found: dict[tuple[str, str], tuple[float, np.ndarray]] = {}
        self._weights: dict[int, np.ndarray] = {}

    def of(self, arm: Arm, metric: str) -> tuple[np.ndarray, np.ndarray]:
        """Values [S] of the arm's runs, and of their resamples [S, R]."""
        pairs = [self._of_run(run, metric) for run in arm.runs]
        return np.array([value for value, _ in pairs]), np.stack([drawn for _, drawn in pairs])

    def _of_run(self, run: Run, metric: str) -> tuple[float, np.ndarray]:
        key = (str(run.path), metric)
        if key not in self._found:
            table, once = run.table, np.ones((1, len(run.table)))
            if metric in table.sums or metric in table.quantiles:
                resamples = RESAMPLES if metric in table.sums else RESAMPLES_OF_QUANTILES
                drawn = {metric: (table.values(metric, once), table.values(metric, self._drawn(run, resamples)))}
            else:
                values, others = table.precisions(once), table.precisions(self._drawn(run, RESAMPLES_OF_BOXES))
                drawn = {name: (values[name], others[name]) for name in values}
            self._found |= {(str(run.path), name): (float(one[0]), many) for name, (one, many) in drawn.items()}
        return self._found[key]

    def _drawn(self, run: Run, resamples: int) -> np.ndarray:
        """How often each of the run's pictures counts in each resample [R, N]: the same pictures for all runs."""
        if resamples not in self._weights:
            self._weights[resamples] = drawn_counts(self._first.units, resamples=resamples, seed=SEED)
        here = np.empty_like(self._weights[resamples])
        here[:, run.table.in_order_of(self._first.image_ids)] = self._weights[resamples]
        return here


def common_metrics(runs: Sequence[Run]) -> list[str]:
    """The metrics that every run has for its pictures, the main one first."""
    names = [name for name in runs[0].table.names if all(name in run.table.names for run in runs)]
    return sorted(names, key=lambda name: name != runs[0].metric)


def direction(run: Run, metric: str) -> bool:
    """Whether less of a metric is better.

    Raises:
        UserError: nothing says so.
    """
    if metric == run.metric:
        return run.less_is_better
    told = describe(metric)
    if not told.meaning:
        raise UserError(f"Whether less of {metric} is better is not known. Compare by {run.metric}.")
    return told.less_is_better


def chosen_metric(runs: Sequence[Run], name: str | None) -> str:
    """The metric to compare by.

    Raises:
        UserError: no run has it, it has no value in one of them, or one has not kept what it takes.
    """
    wanted = name or runs[0].metric
    known = common_metrics(runs)
    if wanted in known:
        return wanted
    if all(measured_value(run, wanted) is not None for run in runs):
        raise UserError(
            f"{wanted} cannot be compared: not every run has kept what each picture adds to it, as runs that an older "
            "version evaluated have not. `sightline evaluate RUN --data DATA --split run-val --out RUN` writes it; or "
            f"choose one of {', '.join(known)}."
        )
    raise unknown_name("metric", wanted, known)


def standard_error(scores: Scores, arm: Arm, metric: str) -> float:
    """Of a single run's score: over pictures, and over seeds where there are several."""
    values, drawn = scores.of(arm, metric)
    each = [score(values[[row]], drawn[[row]], units=scores.units).pictures or 0.0 for row in range(len(values))]
    return math.sqrt(float(np.mean(each)) + (float(values.var(ddof=1)) if len(values) > 1 else 0.0))
