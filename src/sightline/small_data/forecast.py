"""What more labels would give: a saturating power law through the scores at several amounts, and how far it can be off.

The law (Hestness et al. 2017, "Deep learning scaling is predictable"; for small data Hoiem et al. 2021, "Learning
curves for analysis of deep networks"): error(n) = c + a (n / N)^-b with 0 <= c (what labels cannot mend), 0 <= a and
LEAST_POWER <= b <= MOST_POWER, N the largest amount. Error is a metric of which less is better, and the best possible
value minus the metric where more is. How runs scatter about it is not known: in proportion to the error, or all alike.
The law is fitted both ways (weights 1 / error^2 from the fit itself, or 1), and the likelier fit is taken.

For a given b the law is linear in c and a, which are found exactly (least squares with both at least 0); b is found on
a fine grid, so there is no starting point to depend on and no local optimum. Three parameters are seldom pinned down
by five amounts, but the forecast can be: its interval is that of every value y which, added to the data as one more
run at the amount asked for, raises the least sum of squares by no more than s^2 t^2 (the prediction interval of linear
regression, profiled over all laws; s^2 and the degrees of freedom of t are the fit's). It holds the scatter of a
single run and all laws that fit about as well.
In: amounts, scores. Out: `Curve`.
Next: curve.py
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import brentq
from scipy.special import stdtr, stdtrit

LEVEL = 0.95
LEAST_POWER, MOST_POWER = 0.05, 2.0
LEAST_AMOUNTS = 3  # different amounts of labels; the law has three parameters
TREND = 0.05  # the p-value that a falling error must have
_POWERS = np.geomspace(LEAST_POWER, MOST_POWER, 100)
_ROUNDS = 3  # of weights
_SCATTERS = (1.0, 0.0)  # runs scatter in proportion to this power of the error
_FLOOR = 1e-3  # weights: an error of 0 is none of no scatter


@dataclass(frozen=True, kw_only=True)
class Forecast:
    """What one training with `labels` labels would score, with its prediction interval."""

    labels: int
    value: float
    low: float
    high: float

    @property
    def half(self) -> float:
        """The longer side of the interval: X +- half holds all of it."""
        return max(self.value - self.low, self.high - self.value)


@dataclass(frozen=True, kw_only=True)
class Law:
    """error(n) = floor + gain (n / scale)^-power; errors are scores, or `best` minus them where `best` is given."""

    floor: float
    gain: float
    power: float
    scale: float
    best: float | None

    def error(self, labels: float) -> float:
        """At an amount."""
        return self.floor + self.gain * (labels / self.scale) ** -self.power

    def score(self, labels: float) -> float:
        """At an amount, as the metric."""
        error = self.error(labels)
        return error if self.best is None else self.best - error


@dataclass(frozen=True, kw_only=True)
class Curve:
    """What the scores at several amounts say.

    Attributes:
        law: None where there are too few amounts to fit one, or no trend.
        forecasts: at the amounts asked for; none where it cannot tell.
        scatter: of single runs at the largest amount, in parts of the error; None without a law.
        freedom: degrees of freedom that the scatter is known with.
        reasons: why it cannot tell, or why it tells little; in words.
    """

    law: Law | None
    forecasts: tuple[Forecast, ...]
    scatter: float | None
    freedom: int
    reasons: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """With stable keys."""
        return {
            "law": None if self.law is None else vars(self.law),
            "forecasts": [vars(one) | {"half": one.half} for one in self.forecasts],
            "scatter": self.scatter,
            "freedom": self.freedom,
            "level": LEVEL,
            "reasons": list(self.reasons),
        }


def fit_curve(
    labels: Sequence[float], scores: Sequence[float], *, less_is_better: bool, at: Sequence[int], best: float = 1.0
) -> Curve:
    """Fit the law to runs and forecast.

    Args:
        labels: of each run, how many labels it was trained on, above 0.
        scores: of each run.
        less_is_better: of the score.
        at: amounts to forecast.
        best: where more is better, the best score there can be.
    """
    n, score = np.asarray(labels, dtype=np.float64), np.asarray(scores, dtype=np.float64)
    assert n.shape == score.shape and (n > 0).all() and np.isfinite(score).all(), (n, score)
    error = score if less_is_better else best - score
    assert (error >= -1e-9).all(), f"a score beyond the best possible one: {score.tolist()}"
    amounts = len(np.unique(n))
    freedom = len(n) - 3
    reasons = _too_little(amounts=amounts, runs=len(n))
    if reasons:
        return Curve(law=None, forecasts=(), scatter=None, freedom=max(freedom, 0), reasons=tuple(reasons))
    p = _trend(n, error)
    if p > TREND:
        reason = (
            f"no trend: the score does not get better with more labels by more than chance does (p = {p:.2f}), so "
            "there is nothing to extrapolate; more seeds, or a wider range of shares, may show one"
        )
        return Curve(law=None, forecasts=(), scatter=None, freedom=freedom, reasons=(reason,))
    scale = float(n.max())
    fits = [_weighted(n / scale, error, scatter) for scatter in _SCATTERS]
    likely = max(fits, key=lambda fit: fit.likelihood)
    (floor, gain, power), ceiling = likely.law, None if less_is_better else best
    law = Law(floor=floor, gain=gain, power=power, scale=scale, best=ceiling)
    forecasts = []
    for amount in at:
        low, high = _interval(likely, amount / scale, freedom=freedom)
        low = max(low, 0.0)
        told = (low, high) if ceiling is None else (ceiling - high, ceiling - low)
        forecasts.append(Forecast(labels=amount, value=law.score(amount), low=told[0], high=told[1]))
    # Of the likelier fit, at the largest amount.
    scatter = math.sqrt(likely.square / freedom / likely.weight_at(1.0)) / max(law.error(scale), 1e-12)
    if len(n) == amounts:
        reasons.append(
            "one seed only: what chance does to a run is known from the fit's own misses alone "
            f"({freedom} degrees of freedom), and the interval is wide for it"
        )
    return Curve(
        law=law, forecasts=tuple(forecasts), scatter=scatter, freedom=freedom, reasons=tuple(reasons)
    )  # fmt: skip


def _too_little(*, amounts: int, runs: int) -> list[str]:
    if amounts < LEAST_AMOUNTS:
        return [
            f"too few shares: {amounts} different amounts of labels, and a law with three parameters needs at least "
            f"{LEAST_AMOUNTS}"
        ]
    if runs <= 3:
        return [f"too few runs: {runs}, as many as the law has parameters; more seeds tell what chance does"]
    return []


def _trend(n: np.ndarray, error: np.ndarray) -> float:
    """One-sided p-value of a falling line of the error over log n."""
    x, y = np.log(n) - np.log(n).mean(), error - error.mean()
    slope = float(x @ y / (x @ x))
    freedom = len(n) - 2
    left = max(float(y @ y - slope * (x @ y)), 0.0)
    if left <= 1e-20 * max(float(y @ y), 1e-300):
        return 0.0 if slope < 0 else 1.0
    return float(stdtr(freedom, slope / math.sqrt(left / freedom / (x @ x))))


@dataclass(frozen=True, kw_only=True, eq=False)
class _Fit:
    """A law c, a, b through errors y [R] at amounts x [R] with weights [R], and how well it fits."""

    x: np.ndarray
    y: np.ndarray
    weight: np.ndarray
    square: float
    law: tuple[float, float, float]
    scatter: float

    def expected(self, x: float) -> float:
        """The law's error."""
        c, a, b = self.law
        return c + a * x**-b

    def weight_at(self, x: float) -> float:
        """The weight of a run at another amount."""
        return float(_weights(np.array([self.expected(x)]), self.scatter, least=self.least)[0])

    @property
    def least(self) -> float:
        """The error below which weights grow no more: an error of 0 is none of no scatter."""
        return max(_FLOOR * float(np.abs(self.y).max()), 1e-12)

    @property
    def likelihood(self) -> float:
        """The logarithm of it, without what is the same for all fits of the same runs."""
        return float(np.log(self.weight).sum() - len(self.y) * math.log(max(self.square, 1e-300))) / 2


def _weighted(x: np.ndarray, y: np.ndarray, scatter: float) -> _Fit:
    """The law fitted with the weights that follow from itself."""
    weight = np.ones_like(y)
    square, law = _least(x, y, weight)
    for _ in range(_ROUNDS if scatter else 0):
        fit = _Fit(x=x, y=y, weight=weight, square=square, law=law, scatter=scatter)
        weight = _weights(law[0] + law[1] * x ** -law[2], scatter, least=fit.least)
        square, law = _least(x, y, weight)
    return _Fit(x=x, y=y, weight=weight, square=square, law=law, scatter=scatter)


def _weights(expected: np.ndarray, scatter: float, *, least: float) -> np.ndarray:
    return np.maximum(expected, least) ** (-2 * scatter)


def _least(x: np.ndarray, y: np.ndarray, weight: np.ndarray) -> tuple[float, tuple[float, float, float]]:
    """The least weighted sum of squares over all laws, and the law."""
    z = x[None, :] ** -_POWERS[:, None]  # [B, R]
    w = weight[None, :]
    s, sz, szz = weight.sum(), (w * z).sum(axis=1), (w * z * z).sum(axis=1)
    sy, szy = (weight * y).sum(), (w * z * y).sum(axis=1)
    below = s * szz - sz**2
    a = np.divide(s * szy - sz * sy, below, out=np.zeros_like(below), where=below > 1e-14 * s * szz)
    c = (sy - a * sz) / s
    # Where one of the two would be negative it is 0, and the other is found alone.
    only_a = np.maximum(szy / szz, 0.0)
    only_c = max(float(sy / s), 0.0)
    a, c = np.where(c < 0, only_a, a), np.where(c < 0, 0.0, c)
    a, c = np.where(a < 0, 0.0, a), np.where(a < 0, only_c, c)
    squares = (w * (y[None, :] - c[:, None] - a[:, None] * z) ** 2).sum(axis=1)
    place = int(squares.argmin())
    return float(squares[place]), (float(c[place]), float(a[place]), float(_POWERS[place]))


def _interval(fit: _Fit, x: float, *, freedom: int) -> tuple[float, float]:
    """The prediction interval of the error at another amount (see the head of this file)."""
    every_x, every_weight = np.append(fit.x, x), np.append(fit.weight, fit.weight_at(x))
    allowed = fit.square / freedom * float(stdtrit(freedom, (1 + LEVEL) / 2)) ** 2

    def over(value: float) -> float:
        return _least(every_x, np.append(fit.y, value), every_weight)[0] - fit.square - allowed

    middle = fit.expected(x)
    return _end(over, middle, step=-1.0), _end(over, middle, step=1.0)


def _end(over: Callable[[float], float], middle: float, *, step: float) -> float:
    """Where `over` leaves the negative, on one side of the middle."""
    if over(middle) >= 0:  # no scatter at all: the interval is the value
        return middle
    reach = max(abs(middle), 1e-9) * 0.05
    while over(middle + step * reach) < 0 and reach < 1e6 * max(abs(middle), 1e-9):
        reach *= 2
    if over(middle + step * reach) < 0:
        return middle + step * reach
    ends = sorted((middle, middle + step * reach))
    root: Any = brentq(over, *ends, xtol=1e-5 * max(abs(middle), 1e-9))  # a number; its stubs say more
    return float(root)
