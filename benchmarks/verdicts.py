"""Are the verdicts of `sightline compare` honest? A simulation with recipes whose true difference is known.

    python benchmarks/verdicts.py                    all cases, 400 trials each, about a minute
    python benchmarks/verdicts.py --trials 100

A picture's error is exp(of what both recipes find hard + what each finds hard + what a seed does there): log-normal
with a heavy tail, with a correlation of about 0.7 between recipes on one picture, times exp(of the seed): a spread
between seeds as large as the standard error over pictures, or a third, or three times of it.

Two questions. For equal recipes, how often is "better" or "worse" said (at most 5 %)? For a recipe that is truly
better by one standard error of a single run (over pictures and seeds), and a first look that could not tell: the
seeds or pictures that were asked for are added, and how often is "better" said then (at least 80 %)?
"""

from __future__ import annotations

import argparse
import math
from dataclasses import dataclass

import numpy as np

from sightline.compare.components import Components, difference, score
from sightline.compare.plan import Plan, plan, seeds_to_look_again
from sightline.compare.verdict import verdict_of
from sightline.metrics.units import drawn_counts

PICTURES = 150
RESAMPLES = 200
SHARED, OWN, OF_SEED = 0.8, 0.35, 0.4  # spread of the logarithms of picture errors: both recipes', one's, one run's
LARGEST = 3000  # pictures that a trial has at most, also where more were asked for
_MEAN = math.exp((SHARED**2 + OWN**2 + OF_SEED**2) / 2)


@dataclass(frozen=True, kw_only=True)
class World:
    """Two recipes: the second one's errors are less by `gain` on average; `spread` of the logarithm between seeds."""

    gain: float
    spread: float


def standard_error(pictures: int, spread: float) -> float:
    """Of one run's mean error, over pictures and seeds, from the formulas of the log-normal distribution."""
    within = math.exp(SHARED**2 + OWN**2 + OF_SEED**2) - 1
    return _MEAN * math.sqrt(within / pictures + (math.exp(spread**2) - 1))


class Experiment:
    """Runs that can be extended: what was drawn stays when seeds or pictures are added."""

    def __init__(self, world: World, rng: np.random.Generator, *, seeds: int, pictures: int = PICTURES) -> None:
        """Draw pictures and the seeds of both recipes."""
        self.world, self.rng = world, rng
        self.shared = np.zeros((2, 0))
        self.seed_effect = rng.normal(0, world.spread, (2, seeds)) - world.spread**2 / 2
        self.noise = np.zeros((2, seeds, 0))
        self.add_pictures(pictures)

    def add_pictures(self, count: int) -> None:
        """More pictures for all runs."""
        both, own = self.rng.normal(0, SHARED, count), self.rng.normal(0, OWN, (2, count))
        self.shared = np.concatenate([self.shared, both + own], axis=1)
        noise = self.rng.normal(0, OF_SEED, (*self.noise.shape[:2], count))
        self.noise = np.concatenate([self.noise, noise], axis=2)

    def add_seeds(self, count: int) -> None:
        """More seeds of both recipes."""
        more = self.rng.normal(0, self.world.spread, (2, count)) - self.world.spread**2 / 2
        self.seed_effect = np.concatenate([self.seed_effect, more], axis=1)
        noise = self.rng.normal(0, OF_SEED, (2, count, self.shared.shape[1]))
        self.noise = np.concatenate([self.noise, noise], axis=1)

    def errors(self) -> np.ndarray:
        """[2, seeds, pictures]."""
        scale = np.array([1.0, 1 - self.world.gain / _MEAN])[:, None, None]
        return scale * np.exp(self.shared[:, None] + self.noise + self.seed_effect[..., None])

    def look(self) -> tuple[str, Components, Plan | None]:
        """What `compare` says of the second recipe: verdict, difference, and what more would tell."""
        errors = self.errors()
        _, seeds, units = errors.shape
        weights = drawn_counts(np.arange(units), resamples=RESAMPLES, seed=int(self.rng.integers(2**31)))
        drawn = np.einsum("asn,rn->asr", errors, weights, optimize=True) / units
        values = errors.mean(axis=2)
        found = difference(values[1], drawn[1], values[0], drawn[0], units=units)
        single = score(values[0, :1], drawn[0, :1], units=units)
        size = math.sqrt((single.pictures or 0.0) + float(values[0].var(ddof=1) if seeds > 1 else 0.0))
        said = verdict_of(found, p=found.p_value(), less_is_better=True)
        return said, found, plan(found, size=size, seeds=seeds)


def wrong(world: World, *, seeds: int, trials: int, rng: np.random.Generator) -> float:
    """The share of trials with a verdict, where there is no difference."""
    assert world.gain == 0
    return float(np.mean([Experiment(world, rng, seeds=seeds).look()[0] != "cannot tell" for _ in range(trials)]))


@dataclass(kw_only=True)
class Tally:
    """What became of the plans of many first looks at a recipe that is better."""

    looks: int = 0
    told: int = 0  # looks that say "better" at once
    plans: list[tuple[int, int]]  # seeds and pictures asked for
    fresh: list[bool]  # would a new experiment of that size have said "better"?
    added: list[bool]  # does it, where the first look could not tell and what was asked for is added to it?

    def cells(self) -> str:
        """For a Markdown table."""
        seeds, pictures = np.median(np.array(self.plans), axis=0)
        shares = [f"{100 * np.mean(each):.1f} % of {len(each)}" if each else "-" for each in (self.fresh, self.added)]
        return f"{100 * self.told / self.looks:.0f} % | {seeds:.0f} x {pictures:.0f} | {' | '.join(shares)}"


def asked(found: Plan | None, rng: np.random.Generator, *, seeds: int, pictures: int) -> tuple[int, int] | None:
    """One of the ways that the verdict names, by lot; None where it asks for a few seeds to see their spread first."""
    if found is None or not (found.is_enough or found.options):
        return None
    if found.is_enough:
        return seeds, pictures
    count, units = found.options[rng.integers(len(found.options))]
    return count or seeds, units or pictures


def better_by_one_error(spread: float, *, seeds: int, trials: int, rng: np.random.Generator) -> Tally:
    """Many first looks, and what their plans are worth.

    A first look at one seed (at times at two or three) asks for a few more, as too little is known of their spread;
    the look after that is then the first.
    """
    world = World(gain=standard_error(PICTURES, spread), spread=spread)
    tally = Tally(plans=[], fresh=[], added=[])
    for _ in range(trials):
        experiment = Experiment(world, rng, seeds=seeds)
        said, _, wanted = experiment.look()
        have = seeds
        while (numbers := asked(wanted, rng, seeds=have, pictures=PICTURES)) is None:
            experiment.add_seeds(seeds_to_look_again(have) - have)
            said, _, wanted = experiment.look()
            have = experiment.noise.shape[1]
        assert wanted is not None
        count, pictures = numbers
        tally.looks += 1
        tally.told += said == "better"
        tally.plans.append((count, pictures))
        pictures = min(pictures, LARGEST)
        tally.fresh.append(Experiment(world, rng, seeds=count, pictures=pictures).look()[0] == "better")
        if said == "cannot tell" and not wanted.is_enough:
            experiment.add_seeds(count - have)
            experiment.add_pictures(pictures - PICTURES)
            tally.added.append(experiment.look()[0] == "better")
    return tally


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=400)
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    spread = standard_error(PICTURES, 0.0) / _MEAN
    print(f"{PICTURES} pictures, {options.trials} trials\n\nequal recipes: how often 'better' or 'worse' is said")
    print("| seeds of each | spread between seeds / error over pictures: 1/3 | 1 | 3 |\n|---|---|---|---|")
    for seeds in (1, 2, 3, 5):
        shares = [
            wrong(World(gain=0.0, spread=times * spread), seeds=seeds, trials=options.trials, rng=rng)
            for times in (1 / 3, 1, 3)
        ]
        print(f"| {seeds} | {' | '.join(f'{100 * share:.1f} %' for share in shares)} |", flush=True)
    print("\ntruly better by one standard error of a single run")
    print("| seeds of each | spread | told at once | asked for (median) | suffices: anew | suffices: added |")
    print("|---|---|---|---|---|---|")
    for seeds in (1, 2, 3, 5):
        for times in (1 / 3, 1, 3):
            tally = better_by_one_error(times * spread, seeds=seeds, trials=options.trials, rng=rng)
            print(f"| {seeds} | {times:.2g} | {tally.cells()} |", flush=True)


if __name__ == "__main__":
    main()
