"""Scores to probabilities: how often answers of a like score were right.

Four ways, from the simplest to the freest. Taken is the simplest whose held-out log loss is within one standard error
of the least (folds of whole pictures or clips within the part that it is fitted on):

    constant     the share of right answers, whatever the score (a network that gives no score has nothing else)
    temperature  sigmoid(slope * logit(score)): one number (Guo et al. 2017)
    platt        sigmoid(slope * logit(score) + offset), fitted to softened targets (Platt 1999)
    isotonic     the best rising staircase (pool adjacent violators), each step drawn a little towards the mean

None gives 0 or 1: of n answers nothing surer can be learnt than about 1 in n + 2 (Laplace).
In: scores and whether the answers were right. Out: a `Curve`. Next: measure.py
"""

from __future__ import annotations

from typing import Literal, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, model_validator

Kind = Literal["constant", "temperature", "platt", "isotonic"]
KINDS: tuple[Kind, ...] = ("constant", "temperature", "platt", "isotonic")  # simplest first: it wins a draw
FOLDS = 5
_CLIP = 1e-6  # scores of exactly 0 and 1 have no logit
_STEEPEST = 50.0


class Curve(BaseModel):
    """From a score to a probability.

    Attributes:
        kind: how it was fitted.
        slope: of the sigmoid; 0 for a constant.
        offset: likewise.
        edges: isotonic: scores at which the next step begins, ascending.
        values: isotonic: the probability on each step, rising.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    kind: Kind
    slope: float = Field(default=0.0, ge=0)
    offset: float = 0.0
    edges: tuple[float, ...] = ()
    values: tuple[float, ...] = ()

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.kind == "isotonic":
            if len(self.values) != len(self.edges) + 1:
                raise ValueError(f"{len(self.edges)} edges need {len(self.edges) + 1} values, not {len(self.values)}")
            if list(self.edges) != sorted(self.edges) or list(self.values) != sorted(self.values):
                raise ValueError("edges and values of a staircase must rise")
            if not all(0 < value < 1 for value in self.values):
                raise ValueError("a probability lies between 0 and 1")
        return self

    def __call__(self, scores: np.ndarray) -> np.ndarray:
        """Probabilities of scores, of the same shape, above 0 and below 1."""
        if self.kind == "isotonic":
            return np.array(self.values)[np.searchsorted(np.array(self.edges), scores, side="right")]
        return sigmoid(self.slope * logit(scores) + self.offset)


def logit(scores: np.ndarray) -> np.ndarray:
    """log(s / (1 - s)), of scores kept a little away from 0 and 1."""
    inside = np.clip(np.asarray(scores, dtype=np.float64), _CLIP, 1 - _CLIP)
    return np.log(inside) - np.log1p(-inside)


def sigmoid(z: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(-z)), kept a little away from 0 and 1."""
    return np.clip(0.5 * (1.0 + np.tanh(np.asarray(z) / 2)), _CLIP / 10, 1 - _CLIP / 10)


def log_loss(probability: np.ndarray, right: np.ndarray) -> float:
    """Mean negative log-likelihood of [N] probabilities, in nats."""
    return float(_losses(probability, right).mean())


def _losses(probability: np.ndarray, right: np.ndarray) -> np.ndarray:
    return -np.where(right, np.log(probability), np.log1p(-probability))


def fit_curve(scores: np.ndarray, right: np.ndarray, *, kind: Kind) -> Curve:
    """Fit one way.

    Args:
        scores: [N], 0..1; at least one.
        right: [N] bool.
        kind: of the curve.
    """
    assert scores.shape == right.shape and len(scores) > 0, (scores.shape, right.shape)
    if kind == "isotonic":
        return _isotonic(scores, right)
    if kind == "constant" or np.ptp(scores) == 0:
        return Curve(kind="constant", offset=float(logit(np.array(_softened_share(right)))))
    return _sigmoid_curve(scores, right, kind=kind)


def best_kind(
    scores: np.ndarray, right: np.ndarray, *, units: np.ndarray, seed: int = 0, given: Curve | None = None
) -> Kind | None:
    """The simplest kind that predicts held-out answers about as well as the best one.

    About as well: its log loss is higher by at most one standard error of the difference (Breiman et al. 1984).

    Args:
        scores: [N].
        right: [N] bool.
        units: [N]; answers with equal entries are held out together.
        seed: of the folds.
        given: a curve that is there anyway, which counts as the simplest.

    Returns:
        A kind, or None where `given` is not beaten.
    """
    fold = fold_of(units, folds=FOLDS, seed=seed)
    losses: dict[Kind | None, np.ndarray] = {None: _losses(given(scores), right)} if given is not None else {}
    for kind in KINDS:
        probability = np.empty(len(scores))
        for number in range(int(fold.max()) + 1):
            held = fold == number
            if held.all():
                return KINDS[0] if given is None else None  # one unit: nothing to hold out
            probability[held] = fit_curve(scores[~held], right[~held], kind=kind)(scores[held])
        losses[kind] = _losses(probability, right)
    best = min(losses.values(), key=lambda each: float(each.mean()))
    return next(kind for kind, each in losses.items() if _is_as_good(each, best, units=units))


def _is_as_good(losses: np.ndarray, best: np.ndarray, *, units: np.ndarray) -> bool:
    """Whether losses [N] are above the best ones [N] by at most one standard error over units."""
    worse = losses - best
    place = np.unique(units, return_inverse=True)[1]
    apart = np.bincount(place, weights=worse - worse.mean())
    return float(worse.mean()) <= float(np.sqrt((apart**2).sum())) / len(worse) + 1e-12


def fold_of(units: np.ndarray, *, folds: int, seed: int) -> np.ndarray:
    """Which fold each answer is held out in, [N] from 0: whole units, as many in each as can be."""
    numbers, place = np.unique(units, return_inverse=True)
    order = np.random.default_rng(seed).permutation(len(numbers))
    return (order % min(folds, len(numbers)))[place]


def _softened_share(right: np.ndarray) -> float:
    return (float(right.sum()) + 1) / (len(right) + 2)


def _sigmoid_curve(scores: np.ndarray, right: np.ndarray, *, kind: Kind) -> Curve:
    """Least log loss against Platt's targets: (n+ + 1) / (n+ + 2) for what was right, 1 / (n- + 2) for what was not."""
    from scipy.optimize import minimize

    num_right = float(right.sum())
    target = np.where(right, (num_right + 1) / (num_right + 2), 1 / (len(right) - num_right + 2))
    z = logit(scores)
    with_offset = kind == "platt"

    def loss(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        away = parameters[0] * z + (parameters[1] if with_offset else 0.0)
        residual = sigmoid(away) - target
        value = float(np.mean(np.logaddexp(0.0, away) - target * away))
        gradient = [float(np.mean(residual * z))] + ([float(np.mean(residual))] if with_offset else [])
        return value, np.array(gradient)

    start = np.array([1.0, 0.0] if with_offset else [1.0])
    # A score that speaks against itself is not believed: a falling curve would be worse than a constant one.
    limits = [(0.0, _STEEPEST), (-_STEEPEST, _STEEPEST)][: len(start)]
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=limits).x
    return Curve(kind=kind, slope=float(found[0]), offset=float(found[1]) if with_offset else 0.0)


def _isotonic(scores: np.ndarray, right: np.ndarray) -> Curve:
    from scipy.optimize import isotonic_regression

    levels, place = np.unique(scores, return_inverse=True)
    weights = np.bincount(place).astype(np.float64)
    found = isotonic_regression(np.bincount(place, weights=right) / weights, weights=weights)
    starts = found.blocks[:-1]
    sizes = np.add.reduceat(weights, starts)
    # Two answers of the mean's kind are added to each step; a short one may then no longer rise, so again.
    drawn = (found.x[starts] * sizes + 2 * _softened_share(right)) / (sizes + 2)
    again = isotonic_regression(drawn, weights=sizes)
    kept = again.blocks[:-1]
    # A step begins half-way between the scores on both of its sides.
    firsts = starts[kept][1:]
    edges = (levels[firsts - 1] + levels[firsts]) / 2
    return Curve(kind="isotonic", edges=tuple(edges.tolist()), values=tuple(again.x[kept].tolist()))
