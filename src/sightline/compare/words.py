"""A comparison in sentences: the verdict of each arm, what more would tell, and what holds for the whole table.

Next: table.py, journey.py
"""

from __future__ import annotations

from collections.abc import Sequence

from sightline.compare.comparison import Comparison, Line
from sightline.compare.plan import Plan, seeds_to_look_again
from sightline.report.words import Metric, describe

_DASH = "\u2013"
_WORTH_CUTTING = 8  # letters that all names begin with


def sentence(line: Line, made: Comparison) -> str:
    """The verdict in words, and what more would tell."""
    found = line.difference
    if found is None:
        return "the baseline"
    if found.is_identical:
        return "cannot tell: the same score on every picture as the baseline"
    if found.p is None:
        return "cannot tell: one picture or clip says nothing about others; evaluate on more"
    if found.verdict != "cannot tell":
        return found.verdict
    seeds = min(len(line.arm.runs), len(made.lines[made.baseline].arm.runs))
    again = seeds_to_look_again(seeds)
    if found.found.seeds is None:
        here = "this network is no clear gain or loss"
        if found.on_these_runs != "cannot tell":
            here = f"this network is {found.on_these_runs} on such pictures"
        return f"cannot tell: {here}, and one seed says nothing of the recipe; train {again} seeds of each"
    return f"cannot tell: {_what_would(found.plan, made, again=again)}"


def _what_would(wanted: Plan | None, made: Comparison, *, again: int) -> str:
    if wanted is None:
        return "the scores do not vary"
    told = describe(made.metric)
    size = told.show(wanted.size)
    if wanted.is_enough:
        return f"a difference of {size} would most likely have shown; what is left is smaller"
    if not wanted.options:
        return f"{again - 1} seeds or fewer do not show their spread well enough to plan; train {again} of each"
    noun = "pictures" if made.units == made.pictures else "clips or groups"
    ways = []
    for seeds, units in wanted.options:
        parts = [f"{seeds} seeds of each"] if seeds else []
        parts += [f"{_round_up(units):,} {noun}"] if units else []
        ways.append(" and ".join(parts))
    return f"a difference of {size} would show with {', or with '.join(ways)}"


def _round_up(count: int) -> int:
    """Two leading figures: a plan is no more exact than that."""
    step = 10 ** max(0, len(str(count)) - 2)
    return -(-count // step) * step


def notes(made: Comparison) -> list[str]:
    """What holds for the whole table, in sentences."""
    told = []
    counts = [len(line.arm.runs) for line in made.lines]
    if made.units < 2:
        told.append("All pictures are one unit (one picture, or one clip): nothing says how other pictures would do.")
    elif made.units < made.pictures:
        told.append(f"{made.pictures} pictures in {made.units} clips or groups, which are resampled as wholes.")
    if min(counts) == 1:
        _, names = shortened([line.arm.name for line in made.lines])
        alone = [name for name, count in zip(names, counts, strict=True) if count == 1]
        whose = "of every arm" if len(alone) == len(counts) else f"of {', '.join(alone)}"
        told.append(
            f"One seed only {whose}: its interval covers pictures alone, and the difference may be the seed's; of the "
            "recipe nothing can be said."
        )
    if 2 in counts:
        told.append("Two seeds tell little about their spread, and intervals are wide for it; three tell much more.")
    if sum(line.difference is not None for line in made.lines) > 1:
        told.append("p is corrected for the number of arms (Holm); each interval stands alone.")
    return told


def shortened(names: Sequence[str]) -> tuple[str, list[str]]:
    """The parts between dashes that all names begin with, and the rest of each; nothing where that is short."""
    parts, same = [name.split("-") for name in names], 0
    while len(names) > 1 and all(len(of) > same + 1 for of in parts) and len({of[same] for of in parts}) == 1:
        same += 1
    start = "".join(f"{part}-" for part in parts[0][:same])
    if len(start) < _WORTH_CUTTING:
        return "", list(names)
    return start, [name.removeprefix(start) for name in names]


def span(low: float | None, high: float | None, metric: Metric) -> str:
    """An interval; a dash where there is none."""
    return _DASH if low is None or high is None else metric.show_range(low, high)


def signed(value: float, metric: Metric) -> str:
    """A difference with its sign."""
    return f"{'+' if value > 0 else ''}{metric.show(value)}"


def p_text(p: float | None) -> str:
    """A p-value, not more exact than it is."""
    return _DASH if p is None else "< 0.001" if p < 0.001 else f"{p:.3f}"
