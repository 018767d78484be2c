"""From a difference to a verdict: Holm's correction, the three verdicts, and a sentence.

In: `Components`, p-values. Out: words.
Next: comparison.py
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from sightline.compare.components import LEVEL, Components

Verdict = Literal["better", "worse", "cannot tell"]


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Corrected for looking at several differences (Holm 1979): then at most 5 % of such tables hold a wrong verdict.

    What has no p-value is left out of the count.
    """
    known = sorted((p, place) for place, p in enumerate(p_values) if p is not None)
    corrected: list[float | None] = [None] * len(p_values)
    highest = 0.0
    for rank, (p, place) in enumerate(known):
        highest = max(highest, min(1.0, p * (len(known) - rank)))
        corrected[place] = highest
    return corrected


def on_these_runs(found: Components, *, p: float | None, less_is_better: bool) -> Verdict:
    """What can be said of the trained networks themselves, on such pictures; with one seed each, of no more."""
    if p is None or p > 1 - LEVEL or found.value == 0:
        return "cannot tell"
    return "better" if (found.value < 0) == less_is_better else "worse"


def verdict_of(found: Components, *, p: float | None, less_is_better: bool) -> Verdict:
    """What can be said of the recipe: nothing while the spread between its seeds or the baseline's is not known."""
    if found.seeds is None:
        return "cannot tell"
    return on_these_runs(found, p=p, less_is_better=less_is_better)
