"""How many pictures or seeds would show a difference of a given size.

The size is chosen before looking (one standard error of a single run, or what the user says), not the difference
that was seen: a plan for the difference seen asks for next to nothing where chance made it large and for millions
where it is near 0. Variances from a few seeds are unsure themselves, so a plan takes the value that they stay below
with a probability of 80 % (Browne 1995), or it would be too small half of the time.

In: `Components` of a difference. Out: `Plan`.
Next: runs.py
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from scipy.special import chdtri, ndtri

from sightline.compare.components import LEVEL, Components, half_width

POWER = 0.8
_SURE = 0.8  # that a variance is not above what the plan takes it for
MOST_SEEDS = 30  # nobody trains more
MOST_UNITS = 10_000_000
LOOK_AGAIN = (3, 5)  # seeds of each to train first, where fewer cannot say what would be enough


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What would show a difference of `size` with a probability of 80 %; None where no number would.

    Attributes:
        size: the difference to show, in the metric's unit.
        seeds: of each recipe, on the pictures that there are.
        units: pictures (or clips), with the seeds that there are.
        together: seeds and units, growing about alike.
        is_enough: what there is would have shown it. Where it is not and all three are None, the spread is known too
            badly to say.
        least: the smallest difference that what there is would show.
    """

    size: float
    seeds: int | None
    units: int | None
    together: tuple[int, int] | None
    is_enough: bool
    least: float

    @property
    def options(self) -> list[tuple[int | None, int | None]]:
        """Every way that would do, as seeds and units; None for those that there are."""
        ways = [(self.seeds, None), (None, self.units), self.together or (None, None)]
        return [] if self.is_enough else [way for way in ways if way != (None, None)]


def plan(found: Components, *, size: float, seeds: int, tests: int = 1) -> Plan | None:
    """Plan for a difference between two recipes; None where the spread of seeds or pictures is not known.

    Args:
        found: of the difference.
        size: to be shown, above 0.
        seeds: how many each recipe has; the smaller number where they differ.
        tests: how many differences are judged together (Holm's first step divides the error by it).
    """
    if found.pictures is None or found.seeds is None or size <= 0:
        return None
    per_unit = found.pictures * found.units * _upper(found.units - 1)
    # Where one recipe has more seeds, the sum of both spreads is what one more seed of each would divide.
    per_seed = found.single_seed * _upper(found.seed_freedom)
    share = found.seed_freedom / max(1, seeds - 1)  # degrees of freedom that each further seed of both brings
    error = (1 - LEVEL) / tests

    def needed(units: int, count: int) -> float:
        """The smallest difference that so many would show."""
        of_pictures, of_seeds = per_unit / units, per_seed / count
        half = half_width(of_pictures, units - 1, of_seeds, share * (count - 1), error=error)
        return half + float(ndtri(POWER)) * math.sqrt(of_pictures + of_seeds)

    least = needed(found.units, seeds)
    more_seeds = _first(lambda count: needed(found.units, count) <= size, seeds, MOST_SEEDS)
    more_units = _first(lambda units: needed(units, seeds) <= size, found.units, MOST_UNITS)
    choices = []
    for count in range(seeds + 1, MOST_SEEDS + 1) if least > size else ():
        units = _first(lambda units, count=count: needed(units, count) <= size, found.units, MOST_UNITS)
        if units is not None and units > found.units:
            choices.append((count, units))
    together = min(choices, key=lambda pair: pair[0] / seeds + pair[1] / found.units, default=None)
    return Plan(
        size=size, seeds=more_seeds, units=more_units, together=together, is_enough=least <= size, least=least
    )  # fmt: skip


def seeds_to_look_again(seeds: int) -> int:
    """How many seeds of each to train before a plan can be made, where there is none yet."""
    return next((count for count in LOOK_AGAIN if count > seeds), seeds + LOOK_AGAIN[0])


def _upper(freedom: float) -> float:
    """By what a variance estimated with so many degrees of freedom is to be multiplied, to be sure enough."""
    return freedom / float(chdtri(freedom, _SURE))


def _first(holds: Callable[[int], bool], start: int, most: int) -> int | None:
    """The smallest number from `start` for which a condition holds that, once it holds, goes on to."""
    if holds(start):
        return start
    low, high = start, start
    while not holds(high):
        if high >= most:
            return None
        low, high = high, min(2 * high, most)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high
