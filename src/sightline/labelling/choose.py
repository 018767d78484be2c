"""From what was seen to what is worth labelling: uncertain and disputed, and no two alike.

Uncertainty and disagreement are turned into ranks and averaged, so that neither's unit matters; the ranks are the
weights of the farthest-first choice. Near copies of what was chosen or is labelled are left out, and of a video what
lies too near in time. In: `Seen`s. Out: `Choice`s, the first being worth most. Next: deliver.py
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata

from sightline.doctor.copies import Alike
from sightline.labelling.diversity import farthest_first, in_typical_distances
from sightline.labelling.survey import Seen

_AVERAGE = 0.5


@dataclass(frozen=True, kw_only=True, eq=False)
class Choice:
    """One picture to label.

    Attributes:
        rank: from 1.
        distance: to the nearest one chosen before it, where 1 is the typical distance of two candidates; None for the
            first.
        why: in words.
    """

    rank: int
    seen: Seen
    distance: float | None
    why: str


@dataclass(frozen=True, kw_only=True, eq=False)
class Chosen:
    """The choice, and how many looked like a labelled picture, or lay too near to one in time, from the start."""

    choices: tuple[Choice, ...]
    like_labelled: int


def choose(
    seen: Sequence[Seen],
    *,
    count: int,
    apart_s: float,
    seed: int,
    labelled_thumbs: Sequence[np.ndarray] = (),
    labelled_times: Mapping[str, Sequence[float]] | None = None,
) -> Chosen:
    """Choose up to `count`; fewer where what is left shows nothing new.

    Args:
        seen: all candidates.
        count: how many are wanted.
        apart_s: frames of one video lie at least so many seconds apart.
        seed: decides between equals.
        labelled_thumbs: [32, 32] of pictures that are labelled already.
        labelled_times: of each video, when its labelled frames are shown, in seconds; chosen frames keep apart from
            these as well.
    """
    if not seen:
        return Chosen(choices=(), like_labelled=0)
    doubts, disputes = ranks([one.doubt.value for one in seen]), ranks([one.disagreement for one in seen])
    known = len(labelled_thumbs)
    thumbs = [one.thumb for one in seen if one.thumb is not None]
    alike = Alike.of(np.stack([*labelled_thumbs, *thumbs])) if len(thumbs) == len(seen) else None
    allowed = np.ones(len(seen), dtype=bool)
    if alike is not None:
        for place in range(known):
            allowed &= ~alike.to(place)[known:]
    films = np.array([one.candidate.film or "" for one in seen])
    times = np.array([one.candidate.time_s if one.candidate.time_s is not None else 0.0 for one in seen])
    for film, labelled in (labelled_times or {}).items():
        (of_film,) = np.nonzero(films == film)
        nearest = np.abs(times[of_film, None] - np.asarray(labelled)).min(axis=1)
        allowed[of_film[nearest < apart_s]] = False

    def excluded(chosen: int) -> np.ndarray:
        near_in_time = np.zeros(len(seen), dtype=bool)
        if films[chosen]:
            near_in_time = (films == films[chosen]) & (np.abs(times - times[chosen]) < apart_s)
        return near_in_time if alike is None else near_in_time | alike.to(known + chosen)[known:]

    features = in_typical_distances(np.stack([one.feature for one in seen]))
    spread = farthest_first(
        features,
        count=count,
        weights=(doubts + disputes) / 2,
        seed=seed,
        allowed=allowed,
        excluded_by=excluded,
    )
    tells = np.ptp(doubts) > 0, np.ptp(disputes) > 0
    choices = [
        Choice(
            rank=rank,
            seen=seen[place],
            distance=distance,
            why=_why(seen[place], doubts[place], disputes[place], distance, tells=tells),
        )
        for rank, (place, distance) in enumerate(zip(spread.taken, spread.distances, strict=True), start=1)
    ]
    return Chosen(choices=tuple(choices), like_labelled=int((~allowed).sum()))


def ranks(values: Sequence[float]) -> np.ndarray:
    """Each value's place among all as a share in (0, 1], equals sharing theirs: [N]."""
    return rankdata(values, method="average") / len(values)


def _why(seen: Seen, doubt: float, dispute: float, distance: float | None, *, tells: tuple[bool, bool]) -> str:
    """What speaks for a picture, the strongest first: above-average ranks, and that it is unlike those before it."""
    reasons = []
    if tells[0] and doubt > _AVERAGE:
        reasons.append((doubt, f"unsure, {_top(doubt)}: {seen.doubt.words}"))
    if tells[1] and dispute > _AVERAGE:
        reasons.append((dispute, f"answers differ, {_top(dispute)}"))
    told = [text for _, text in sorted(reasons, key=lambda reason: -reason[0])]
    if distance is not None and (distance >= 1 or not told):
        told.append("unlike those before it")
    return "; ".join(told) or "the first of equals"


def _top(rank: float) -> str:
    """Such as "top 3 %"; at least 1, since the best of a few is not above all."""
    return f"top {max(1, math.ceil(100 * (1 - rank)))} %"
