"""Fit probabilities and bounds to labelled answers that were not trained on: for each point or class, and for all.

A point or class with too few answers of its own takes what was fitted to all of them together, and the file says so.
Since the fit uses up the validation part, it is checked by halves: each half of the pictures (of whole clips or
identities) with what the other half gives, several times (cross-fitting). In: `Answers`. Out: a `Calibration`.
Next: told.py
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from sightline.calibration.answers import Answers
from sightline.calibration.apply import Calibrator
from sightline.calibration.conformal import BINS, COVERAGE, LEAST_IN_BIN, answers_needed, bounds_by_score
from sightline.calibration.coverage import Checked, check
from sightline.calibration.file import Bound, Calibration, Fit, FittedOn
from sightline.calibration.measure import Measure
from sightline.calibration.probability import Curve, best_kind, fit_curve, fold_of

LEAST_OWN_BOUND = 30  # the coverage of one fit then strays by about 5 % (its law is a Beta distribution)
LEAST_OWN_CURVE = 50
REPEATS = 4  # of the two halves
POOLED = "all"


def fit_calibration(
    answers: Answers,
    *,
    measure: Measure,
    fingerprint: str,
    coverage: float = COVERAGE,
    least_scores: Mapping[str, float] | None = None,
    seed: int = 0,
) -> Calibration:
    """Fit, and check by halves.

    Args:
        answers: on pictures that were not trained on.
        measure: what they were measured by.
        fingerprint: of these pictures and labels.
        coverage: the share of new answers that shall lie within their bound.
        least_scores: boxes: by class, the operating point; margins are fitted to what it lets through.
        seed: of folds and halves.
    """
    least = np.array([(least_scores or {}).get(name, 0.0) for name in answers.names])
    one = _Settings(measure=measure, coverage=coverage, least=least, seed=seed)
    fitted = _fit(answers, one, fingerprint=fingerprint)
    checked = _cross_checked(answers, fitted, one)
    return fitted.model_copy(update={"checked": checked})


def checked_on(calibration: Calibration, answers: Answers) -> Checked:
    """How a calibration does on answers about other data."""
    bound_px, probability = _given(Calibrator(calibration), answers)
    pooled = calibration.pooled.measured
    return check(
        answers,
        bound_px=bound_px,
        probability=probability,
        coverage=calibration.coverage,
        how="held out",
        fitted_to=[pooled, *(pooled if one.bound is None else one.measured for one in calibration.groups)],
    )


def _given(calibrator: Calibrator, answers: Answers) -> tuple[np.ndarray, np.ndarray | None]:
    """The bounds in pixels and the probabilities that these answers get."""
    bound_px = calibrator.bound(answers.group, answers.score) * answers.scale_px
    probability = calibrator.probability(answers.group, answers.score) if calibrator.has_probability else None
    return bound_px, probability


@dataclass(frozen=True, kw_only=True)
class _Settings:
    """What does not change between the fit and those of its halves; `least` [C] is the operating point."""

    measure: Measure
    coverage: float
    least: np.ndarray
    seed: int


def _fit(answers: Answers, one: _Settings, *, fingerprint: str, like: Calibration | None = None) -> Calibration:
    """Fit; with `like` what has a curve and bound of its own, and of which kind, is as there and not decided anew."""
    usable = answers.measured & (answers.score >= one.least[answers.group])
    whole = _fit_pooled(answers, one, usable=usable, like=None if like is None else like.pooled)
    groups = [
        _fit_group(
            answers, one, number=number, usable=usable, pooled=whole, like=None if like is None else like.groups[number]
        )
        for number in range(len(answers.names))
    ]
    return Calibration(
        coverage=one.coverage,
        measure=one.measure,
        pooled=whole,
        groups=tuple(groups),
        fitted_on=FittedOn(pictures=answers.pictures, units=len(np.unique(answers.unit)), fingerprint=fingerprint),
    )


def _fit_pooled(answers: Answers, one: _Settings, *, usable: np.ndarray, like: Fit | None) -> Fit:
    needed, measured = answers_needed(one.coverage), int(usable.sum())
    notes, curve, bound = [], None, None
    if len(answers) >= needed:
        curve = _curve(answers, one, given=None, like=like)
    else:
        notes.append(f"no probability: {len(answers)} answers, {needed} are needed")
    if measured >= needed:
        bound = _bound(answers.take(usable), one, like=like)
    else:
        notes.append(f"no bound: {measured} answers to measure, {needed} are needed for {one.coverage:.0%}")
    return Fit(
        name=POOLED,
        answers=len(answers),
        right=int(answers.right.sum()),
        curve=curve,
        measured=measured,
        bound=bound,
        note="; ".join(notes),
    )


def _fit_group(
    answers: Answers, one: _Settings, *, number: int, usable: np.ndarray, pooled: Fit, like: Fit | None
) -> Fit:
    of_it = answers.group == number
    own, measured = answers.take(of_it), answers.take(of_it & usable)
    notes: list[str] = []
    curve: Curve | None = None
    if len(own) < (LEAST_OWN_CURVE if like is None else 1):
        notes.append(
            f"probability of all together: {len(own)} answers, {LEAST_OWN_CURVE} are needed for one of its own"
        )
    elif len(answers.names) > 1 and pooled.curve is not None:
        curve = _curve(own, one, given=pooled.curve, like=like)
        if curve is None:
            notes.append("probability of all together: none of its own predicts better")
    enough = max(LEAST_OWN_BOUND if like is None else 1, answers_needed(one.coverage))
    is_wanted = len(measured) >= enough and (like is None or like.bound is not None)
    bound = _bound(measured, one, like=like) if is_wanted else None
    if bound is None:
        notes.append(f"bound of all together: {len(measured)} answers to measure, {enough} are needed for its own")
    return Fit(
        name=answers.names[number],
        answers=len(own),
        right=int(own.right.sum()),
        curve=curve,
        measured=len(measured),
        bound=bound,
        least_score=float(one.least[number]),
        note="; ".join(notes),
    )


def _curve(answers: Answers, one: _Settings, *, given: Curve | None, like: Fit | None) -> Curve | None:
    """The best curve; None where `given` is about as good."""
    if like is not None:
        kind = None if like.curve is None else like.curve.kind
    else:
        kind = best_kind(answers.score, answers.right, units=answers.unit, seed=one.seed, given=given)
    return None if kind is None else fit_curve(answers.score, answers.right, kind=kind)


def _bound(answers: Answers, one: _Settings, *, like: Fit | None) -> Bound:
    """Bounds by score; in as many bins as there, where that can be."""
    bins, least = BINS, LEAST_IN_BIN
    if like is not None and like.bound is not None:
        bins, least = len(like.bound.values), answers_needed(one.coverage)
    share = answers.away_px / answers.scale_px
    edges, values, counts = bounds_by_score(share, answers.score, coverage=one.coverage, bins=bins, least=least)
    return Bound(edges=tuple(edges), values=tuple(values), counts=tuple(counts))


def _cross_checked(answers: Answers, fitted: Calibration, one: _Settings) -> Checked | None:
    """What each half finds with the other half's fit; None where a half cannot be fitted to.

    What is checked is the fit as it was decided on: which points or classes have a curve and bound of their own, of
    which kind and in how many bins. Half of the answers would decide otherwise, and ten times as slowly.
    """
    needed = answers_needed(one.coverage)
    rows: list[np.ndarray] = []
    bounds: list[np.ndarray] = []
    probabilities: list[np.ndarray] = []
    for repeat in range(REPEATS):
        half = fold_of(answers.unit, folds=2, seed=one.seed * REPEATS + repeat)
        for number in (0, 1):
            known, held = answers.take(half != number), np.flatnonzero(half == number)
            if len(known) < needed or not len(held):
                return None
            bound_px, probability = _given(
                Calibrator(_fit(known, one, fingerprint="", like=fitted)), answers.take(held)
            )
            assert probability is not None
            rows.append(held)
            bounds.append(bound_px)
            probabilities.append(probability)
    return check(
        answers.take(np.concatenate(rows)),
        bound_px=np.concatenate(bounds),
        probability=np.concatenate(probabilities),
        coverage=one.coverage,
        how="cross-fitted",
        repeats=REPEATS,
    )
