"""How sure a difference between two recipes is: variance components of pictures and seeds, and what more would tell.

The model. A recipe's score on a picture is the recipe's worth, plus what the picture makes of it, plus what the seed
does (initial weights, order, augmentation), plus what this seed does on this picture. The difference of two recipes,
each the mean over its seeds on the same pictures, then has two sources of error that are estimated on their own:

- pictures: units (pictures, or clips and persons that belong together) are drawn again with replacement, the same
  for all runs, so that what both recipes find hard falls out of the difference. It works for every metric that has
  a value for any weighting of the pictures, average precision too.
- seeds: the variance of the runs' scores within each recipe, divided by its seeds, and added for both.

The interval is value +- sqrt(t_p^2 V_pictures + t_s^2 V_seeds) (Banerjee 1961): each part with the quantile of
Student's t at its own degrees of freedom, so that it covers at least as often as it says. V_seeds of two recipes has
those of Welch and Satterthwaite, as one recipe may vary ten times as much as the other. A hierarchical bootstrap
would resample two or three seeds, which understates their spread by far (two seeds: by half) and cannot know how
little they tell; the t of one or two degrees of freedom knows (two seeds each: times 4 to 13 in place of 2). What a
seed does on a single picture is counted in both parts: a little too wide, never too narrow.

In: scores of the runs and of their resamples. Out: `Components`, `Plan`.
Next: plan.py
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.special import stdtrit

LEVEL = 0.95


@dataclass(frozen=True, kw_only=True)
class Components:
    """A number (a score, or a difference of two) and the parts of its variance.

    Attributes:
        value: the number.
        pictures: variance from the choice of pictures; None where there is only one unit.
        units: how many units there were to draw.
        seeds: variance from the seeds; None where a recipe has one seed and its spread is not known.
        seed_freedom: degrees of freedom of `seeds`; 0 where it is not known.
        single_seed: variance that one seed of each recipe would bring, `seeds` without the division.
    """

    value: float
    pictures: float | None
    units: int
    seeds: float | None
    seed_freedom: float
    single_seed: float

    @property
    def variance(self) -> float:
        """Of all parts that are known."""
        return (self.pictures or 0.0) + (self.seeds or 0.0)

    def half_width(self, *, error: float = 1 - LEVEL) -> float | None:
        """Half of the interval that misses with a probability of at most `error`; None with a single unit."""
        if self.pictures is None:
            return None
        return half_width(self.pictures, self.units - 1, self.seeds or 0.0, self.seed_freedom, error=error)

    def p_value(self) -> float | None:
        """The least error at which the interval does not hold 0; None with a single unit."""
        if self.pictures is None:
            return None
        if self.value == 0:
            return 1.0
        low, high = math.log(1e-12), 0.0  # of the error; the half-width falls as it rises
        for _ in range(50):
            middle = (low + high) / 2
            half = self.half_width(error=math.exp(middle))
            assert half is not None
            low, high = (low, middle) if half < abs(self.value) else (middle, high)
        return math.exp(high)


def half_width(pictures: float, picture_freedom: float, seeds: float, seed_freedom: float, *, error: float) -> float:
    """See the head of this file; variances and their degrees of freedom, the seeds' 0 where they are not known."""
    tail = 1 - error / 2
    square = pictures * float(stdtrit(picture_freedom, tail)) ** 2 if pictures else 0.0
    if seeds and seed_freedom > 0:
        square += seeds * float(stdtrit(seed_freedom, tail)) ** 2
    return math.sqrt(square)


def score(values: np.ndarray, drawn: np.ndarray, *, units: int) -> Components:
    """The mean score of a recipe.

    Args:
        values: [S], the score of each seed's run.
        drawn: [S, R], their scores in resamples of the units; NaN where a resample gives none.
        units: how many units were drawn.
    """
    seeds = len(values)
    known = seeds > 1
    return Components(
        value=float(values.mean()),
        pictures=_picture_variance(drawn.mean(axis=0), units=units),
        units=units,
        seeds=float(values.var(ddof=1)) / seeds if known else None,
        seed_freedom=float(seeds - 1),
        single_seed=float(values.var(ddof=1)) if known else 0.0,
    )


def difference(
    values: np.ndarray, drawn: np.ndarray, base_values: np.ndarray, base_drawn: np.ndarray, *, units: int
) -> Components:
    """A recipe's mean score minus the baseline's; arguments as in `score`, resample r the same pictures for both."""
    seeds, freedom, single = _seed_part(values, base_values)
    return Components(
        value=float(values.mean() - base_values.mean()),
        pictures=_picture_variance(drawn.mean(axis=0) - base_drawn.mean(axis=0), units=units),
        units=units,
        seeds=seeds,
        seed_freedom=freedom,
        single_seed=single,
    )


def _picture_variance(drawn: np.ndarray, *, units: int) -> float | None:
    """Variance over resamples [R]; the bootstrap's is too small by (n - 1) / n."""
    drawn = drawn[np.isfinite(drawn)]
    if units < 2 or len(drawn) < 2:
        return None
    return float(drawn.var(ddof=1)) * units / (units - 1)


def _seed_part(one: np.ndarray, other: np.ndarray) -> tuple[float | None, float, float]:
    """Variance of the difference of two means over seeds, its degrees of freedom (Welch), and that of one seed each."""
    if len(one) < 2 or len(other) < 2:
        return None, 0.0, 0.0
    spread = [float(values.var(ddof=1)) for values in (one, other)]
    parts = [variance / len(values) for variance, values in zip(spread, (one, other), strict=True)]
    if sum(parts) == 0:
        return 0.0, float(len(one) + len(other) - 2), 0.0
    below = sum(part**2 / (len(values) - 1) for part, values in zip(parts, (one, other), strict=True))
    return sum(parts), sum(parts) ** 2 / below, sum(spread)
