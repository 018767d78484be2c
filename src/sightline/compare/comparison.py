"""The whole comparison: every arm's score, its difference to the baseline, a verdict and what more would tell.

In: runs that are alike. Out: `Comparison`, plain enough for the table, JSON and the page.
Next: words.py
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from sightline.compare.arms import Arm, Change, changes
from sightline.compare.components import Components, difference, score
from sightline.compare.cost import Cost
from sightline.compare.plan import Plan, plan
from sightline.compare.runs import Run
from sightline.compare.scores import Scores, direction, standard_error
from sightline.compare.verdict import Verdict, holm, on_these_runs, verdict_of


@dataclass(frozen=True, kw_only=True)
class Difference:
    """An arm's score minus the baseline's.

    Attributes:
        found: value and variances.
        low: of the 95 % interval, which is not corrected for several arms; None with a single unit.
        high: likewise.
        p: of no difference; None with a single unit.
        p_corrected: by Holm, over all arms.
        verdict: of the recipe.
        on_these_runs: of the trained networks alone, on such pictures.
        plan: what would show a difference of `plan.size`.
        is_identical: no picture counts differently in any resample.
    """

    found: Components
    low: float | None
    high: float | None
    p: float | None
    p_corrected: float | None
    verdict: Verdict
    on_these_runs: Verdict
    plan: Plan | None
    is_identical: bool


@dataclass(frozen=True, kw_only=True, eq=False)
class Line:
    """One arm of the table; the baseline has no difference and no changes."""

    arm: Arm
    found: Components
    low: float | None
    high: float | None
    spread: float | None
    difference: Difference | None
    changes: tuple[Change, ...]
    cost: Cost | None = None
    on_front: bool | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Comparison:
    """Arms in the order given, judged by one metric."""

    metric: str
    less_is_better: bool
    pictures: int
    units: int
    lines: tuple[Line, ...]
    baseline: int
    scores: Scores

    @property
    def first_run(self) -> Run:
        """The baseline's first run."""
        return self.lines[self.baseline].arm.runs[0]


def compare_arms(arms: Sequence[Arm], *, baseline: int, metric: str, size: float | None = None) -> Comparison:
    """Judge arms against one of them.

    Args:
        arms: of alike runs.
        baseline: position of the arm that the others are compared with.
        metric: what `chosen_metric` gave.
        size: the difference that plans are made for; one standard error of a single run of the baseline without it.
    """
    scores = Scores([arms[baseline].runs[0]])
    less = direction(arms[baseline].runs[0], metric)
    singles = [score(*scores.of(arm, metric), units=scores.units) for arm in arms]
    others = [place for place in range(len(arms)) if place != baseline]
    found = {place: _difference(scores, arms[place], arms[baseline], metric) for place in others}
    corrected = dict(zip(others, holm([each.p_value() for each, _ in found.values()]), strict=True))
    size = size or standard_error(scores, arms[baseline], metric)
    lines = []
    for place, arm in enumerate(arms):
        told = None
        if place in found:
            p, pair = corrected[place], (len(arm.runs), len(arms[baseline].runs))
            told = _judged(found[place], p=p, less=less, size=size, seeds=min(pair), tests=len(others))
        half = singles[place].half_width()
        # An error or a share is never below 0, but its interval about the value would be.
        least = 0.0 if all((each >= 0).all() for each in scores.of(arm, metric)) else -math.inf
        value = singles[place].value
        seeds = len(arm.runs)
        lines.append(
            Line(
                arm=arm,
                found=singles[place],
                low=None if half is None else max(value - half, least),
                high=None if half is None else value + half,
                spread=math.sqrt(singles[place].single_seed) if seeds > 1 else None,
                difference=told,
                changes=tuple(changes(arms[baseline].runs[0], arm.runs[0])) if told else (),
            )
        )
    table = arms[baseline].runs[0].table
    return Comparison(
        metric=metric,
        less_is_better=less,
        pictures=len(table),
        units=scores.units,
        lines=tuple(lines),
        baseline=baseline,
        scores=scores,
    )


def between(scores: Scores, before: Arm, after: Arm, metrics: Sequence[str]) -> list[tuple[str, Difference]]:
    """What came of the step from one arm to another, metric by metric, corrected by Holm for their number."""
    found = [_difference(scores, after, before, metric) for metric in metrics]
    corrected = holm([each.p_value() for each, _ in found])
    seeds = min(len(before.runs), len(after.runs))
    run = after.runs[0]
    return [
        (metric, _judged(pair, p=p, less=direction(run, metric), size=0.0, seeds=seeds, tests=len(metrics)))
        for metric, pair, p in zip(metrics, found, corrected, strict=True)
    ]


def _difference(scores: Scores, arm: Arm, base: Arm, metric: str) -> tuple[Components, bool]:
    """The difference, and whether the two are the same in every resample."""
    (values, drawn), (base_values, base_drawn) = scores.of(arm, metric), scores.of(base, metric)
    found = difference(values, drawn, base_values, base_drawn, units=scores.units)
    same = drawn.shape == base_drawn.shape and bool((drawn == base_drawn).all())
    return found, same and bool((values == base_values).all())


def _judged(
    pair: tuple[Components, bool], *, p: float | None, less: bool, size: float, seeds: int, tests: int
) -> Difference:
    found, identical = pair
    half = found.half_width()
    return Difference(
        found=found,
        low=None if half is None else found.value - half,
        high=None if half is None else found.value + half,
        p=found.p_value(),
        p_corrected=p,
        verdict=verdict_of(found, p=p, less_is_better=less),
        on_these_runs=on_these_runs(found, p=p, less_is_better=less),
        plan=plan(found, size=size, seeds=seeds, tests=tests),
        is_identical=identical,
    )
