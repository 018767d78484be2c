"""How much each searched setting mattered for being among the best trials, and how sure that is.

PED-ANOVA (Watanabe et al. 2023, arXiv 2304.10255) as Optuna has it: how differently the best quarter of the trials and
all trials lie along a setting; shares of one. The interval is over bootstrap resamples of the trials: with few trials
it is wide, and then the order of the bars means nothing.
Next: page.py
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sightline.sweep.space import Dimension
from sightline.sweep.tried import Tried

LEAST = 8  # whole trials: two in the best quarter
ENOUGH = 20  # five there, as the method's authors ask for
RESAMPLES = 100
_BEST_PART = 0.25


@dataclass(frozen=True, kw_only=True)
class Importance:
    """Share of a setting, and where nine of ten resamples of the trials put it."""

    name: str
    value: float
    low: float
    high: float


def importances(
    tried: Sequence[Tried], dimensions: Sequence[Dimension], *, less_is_better: bool
) -> list[Importance]:  # fmt: skip
    """The most important first; empty where there are too few whole trials, or all scores are the same."""
    whole = [each for each in tried if each.score is not None]
    if len(whole) < LEAST or len({each.score for each in whole}) < 2 or len(dimensions) < 2:
        return []
    value = _shares(whole, dimensions, less_is_better=less_is_better)
    chance = np.random.default_rng(0)
    drawn = []
    for _ in range(RESAMPLES):
        some = [whole[place] for place in chance.integers(len(whole), size=len(whole))]
        if len({each.score for each in some}) > 1:
            drawn.append(_shares(some, dimensions, less_is_better=less_is_better))
    found = []
    for name, share in value.items():
        spread = [shares.get(name, 0.0) for shares in drawn] or [share]
        low, high = np.quantile(spread, [0.05, 0.95])
        found.append(Importance(name=name, value=share, low=float(low), high=float(high)))
    return sorted(found, key=lambda each: -each.value)


def _shares(whole: Sequence[Tried], dimensions: Sequence[Dimension], *, less_is_better: bool) -> dict[str, float]:
    """By setting; of one that no trial could draw, or that none differ in, nothing."""
    import optuna

    study = optuna.create_study(direction="minimize" if less_is_better else "maximize")
    known = {dimension.name: dimension.values.distribution() for dimension in dimensions}
    for each in whole:
        study.add_trial(
            optuna.trial.create_trial(
                params=each.drawn, distributions={name: known[name] for name in each.drawn}, value=each.score
            )
        )
    evaluator = optuna.importance.PedAnovaImportanceEvaluator(target_quantile=_BEST_PART)
    return dict(optuna.importance.get_param_importances(study, evaluator=evaluator))
