"""Whether bounds and probabilities hold on labelled answers: found coverage with its limits, calibration error.

Answers about one picture or clip stand and fall together, so the limits are Clopper and Pearson's (1934) for as many
answers as would tell as much if each stood alone (Korn and Graubard 1998). Next: file.py
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from sightline.calibration.answers import Answers
from sightline.calibration.probability import log_loss

How = Literal["cross-fitted", "held out", "fitted here"]
LEVEL = 0.95
_BINS = 10


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Share(_Part):
    """How many answers stayed within their bound.

    Attributes:
        name: of the point or class; "all" for all of them.
        answers: with a bound.
        share: of them within; None where there are none.
        low: the lower 95 % limit of it.
        high: the upper one.
        expected_low: where the share of a good fit lies in 95 % of cases, since a fit to few answers strays itself;
            None where that is not known.
        expected_high: likewise.
        mean_px: the mean bound in pixels.
    """

    name: str
    answers: int = Field(ge=0)
    share: float | None = None
    low: float | None = None
    high: float | None = None
    expected_low: float | None = None
    expected_high: float | None = None
    mean_px: float | None = None


class ProbabilityBin(_Part):
    """Answers whose probability lies between `low` and `high`."""

    low: float
    high: float
    count: int
    mean: float
    share_right: float


class Probabilities(_Part):
    """How the probabilities compare with how often answers are right.

    Attributes:
        answers: looked at.
        mean: of the probabilities.
        share_right: of the answers.
        ece: expected calibration error, the mean distance of both over ten bins (Guo et al. 2017).
        log_loss: in nats; a constant probability of p has p's entropy.
        bins: those with answers.
    """

    answers: int
    mean: float
    share_right: float
    ece: float
    log_loss: float
    bins: tuple[ProbabilityBin, ...]


class Checked(_Part):
    """What a look at labelled answers found.

    Attributes:
        how: "held out": other data than the fit's. "cross-fitted": the fit's data, each half looked at with what the
            other half gave. "fitted here": the fit's own data, which always looks good.
        coverage: the share that was asked for.
        pictures: looked at.
        pooled: over all answers.
        groups: for each point or class.
        probability: None where no answer has one.
    """

    how: How
    coverage: float
    pictures: int
    pooled: Share
    groups: tuple[Share, ...]
    probability: Probabilities | None = None


def check(
    answers: Answers,
    *,
    bound_px: np.ndarray,
    probability: np.ndarray | None,
    coverage: float,
    how: How,
    repeats: int = 1,
    fitted_to: Sequence[int] | None = None,
) -> Checked:
    """Look at labelled answers.

    Args:
        answers: N of them.
        bound_px: [N], what each was given; infinite where nothing can be said.
        probability: [N], or None.
        coverage: asked for.
        how: where bounds and probabilities come from.
        repeats: how often each answer is among them.
        fitted_to: answers that the bound of all, and of each point or class, was made of.
    """
    asked = answers.measured & np.isfinite(bound_px)
    within = answers.away_px <= bound_px
    sizes = [None] * (len(answers.names) + 1) if fitted_to is None else list(fitted_to)

    def share(name: str, which: np.ndarray, size: int | None) -> Share:
        if not which.any():
            return Share(name=name, answers=0)
        return _share(
            name, within[which], bound_px[which], units=answers.unit[which], repeats=repeats, size=size, asked=coverage
        )

    named = zip(answers.names, sizes[1:], strict=True)
    return Checked(
        how=how,
        coverage=coverage,
        pictures=answers.pictures,
        pooled=share("all", asked, sizes[0]),
        groups=tuple(share(name, asked & (answers.group == i), size) for i, (name, size) in enumerate(named)),
        probability=None
        if probability is None or not len(answers)
        else probabilities(probability, answers.right, repeats=repeats),
    )


def _share(
    name: str,
    within: np.ndarray,
    bound_px: np.ndarray,
    *,
    units: np.ndarray,
    repeats: int,
    size: int | None,
    asked: float,
) -> Share:
    count = len(within) / repeats
    alone = standing_alone(within, units=units, repeats=repeats)
    low, high = share_limits(within, units=units, repeats=repeats)
    least, most = (None, None) if size is None else expected_share(alone, fitted_to=size * alone / count, asked=asked)
    return Share(
        name=name,
        answers=round(count),
        share=float(within.mean()),
        low=low,
        high=high,
        expected_low=least,
        expected_high=most,
        mean_px=float(bound_px.mean()),
    )


def expected_share(answers: float, *, fitted_to: float, asked: float) -> tuple[float, float]:
    """Where the share of answers within their bound lies in 95 % of cases, if fit and answers are of one kind.

    Of a bound made of n answers, the number of m new ones within it is beta-binomial with k and n + 1 - k, where
    k = ceil((n + 1) * asked) is the bound's rank (Vovk 2012).

    Args:
        answers: m, those that stand alone.
        fitted_to: n, likewise.
        asked: the coverage.
    """
    from scipy.stats import betabinom

    n, m = max(1, round(fitted_to)), max(1, round(answers))
    rank = min(n, math.ceil((n + 1) * asked - 1e-9))
    low, high = (betabinom.ppf(tail, m, rank, n + 1 - rank) for tail in ((1 - LEVEL) / 2, (1 + LEVEL) / 2))
    return float(low) / m, float(high) / m


def standing_alone(within: np.ndarray, *, units: np.ndarray, repeats: int = 1) -> float:
    """How many answers that stand alone would tell as much of their share as these, which stand together in units.

    From the variance of a ratio of sums over units; where all answers are alike it says nothing, and then units count.
    """
    place = np.unique(units, return_inverse=True)[1]
    size, hits = np.bincount(place), np.bincount(place, weights=within)
    share, num_units, count = float(within.mean()), len(size), len(within) / repeats
    apart = float(((hits - share * size) ** 2).sum()) / len(within) ** 2 * num_units / max(num_units - 1, 1)
    if 0 < share < 1 and num_units > 1 and apart > 0:
        return min(count, share * (1 - share) / apart)
    return float(min(count, num_units))


def share_limits(
    within: np.ndarray, *, units: np.ndarray, level: float = LEVEL, repeats: int = 1
) -> tuple[float, float]:
    """Limits of the share of answers that are within, where those of one unit stand and fall together.

    Args:
        within: [N] bool, at least one.
        units: [N] int.
        level: of both limits together.
        repeats: how often each answer is among them; it tells no more for that.
    """
    from scipy.special import betaincinv

    count = standing_alone(within, units=units, repeats=repeats)
    inside, tail = float(within.mean()) * count, (1 - level) / 2
    low = 0.0 if inside <= 0 else float(betaincinv(inside, count - inside + 1, tail))
    high = 1.0 if inside >= count else float(betaincinv(inside + 1, count - inside, 1 - tail))
    return low, high


def probabilities(probability: np.ndarray, right: np.ndarray, *, repeats: int = 1) -> Probabilities:
    """Compare probabilities [N] with how often answers [N] bool are right."""
    place = np.minimum((probability * _BINS).astype(int), _BINS - 1)
    bins, apart = [], 0.0
    for number in np.unique(place):
        inside = place == number
        mean, share = float(probability[inside].mean()), float(right[inside].mean())
        apart += abs(mean - share) * int(inside.sum())
        bins.append(
            ProbabilityBin(
                low=number / _BINS,
                high=(number + 1) / _BINS,
                count=round(int(inside.sum()) / repeats),
                mean=mean,
                share_right=share,
            )
        )
    return Probabilities(
        answers=round(len(right) / repeats),
        mean=float(probability.mean()),
        share_right=float(right.mean()),
        ece=apart / len(right),
        log_loss=log_loss(probability, right),
        bins=tuple(bins),
    )
