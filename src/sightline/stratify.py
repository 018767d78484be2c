"""Dealing units of records into parts so that every part has its share of what is rare.

A unit is what may not be divided: a picture, a person, a clip. Pictures have several traits at once (the classes in
them, the points that are hidden), so there is no list of strata to go through; iterative stratification (Sechidis,
Tsoumakas and Vlahavas, "On the stratification of multi-label data", 2011) deals the rarest trait first, each unit to
the part that lacks it most. Three differences: units of several records count as often as their records have the
trait, a part that has its share of records gets no more while another lacks some, and no part stays empty.
In: records, units. Out: a part for each unit.
Next: splits.py
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sightline.records import Record


def traits(records: Sequence[Record]) -> np.ndarray:
    """What parts should have in equal shares: [N, T] bool, a column a trait; no columns where there is nothing.

    Boxes: the classes in a picture, and that it has none. Points: for each point the rarer of visible and hidden.
    Clips: nothing, they are dealt by their size.
    """
    if not records or any(record.before is not None for record in records):
        return np.zeros((len(records), 0), dtype=bool)
    if all(record.objects is not None for record in records):
        found = _classes(records)
    else:
        visible = np.stack([record.visible for record in records])
        found = np.where(visible.mean(axis=0) > 0.5, ~visible, visible)
    found = np.unique(found, axis=1)  # points that are always hidden together are one trait
    return found[:, found.any(axis=0) & ~found.all(axis=0)]


def deal(units: Sequence[Sequence[int]], found: np.ndarray, *, shares: Sequence[float], seed: int) -> np.ndarray:
    """The part of each unit, [U] int.

    Args:
        units: positions of the records of each unit.
        found: [N, T] bool, what `traits` gives.
        shares: of all records, that each part should get; they add up to 1. At most as many parts as units.
        seed: equal seeds deal equally.
    """
    assert len(units) >= len(shares) and abs(sum(shares) - 1) < 1e-9, (len(units), shares)
    rng = np.random.default_rng(seed)
    sizes = np.array([len(unit) for unit in units], dtype=np.float64)
    counts = np.array([found[list(unit)].sum(axis=0) for unit in units], dtype=np.float64)  # [U, T]
    wanted_records = np.asarray(shares) * sizes.sum()  # [P]
    wanted = np.outer(shares, counts.sum(axis=0))  # [P, T]
    part = np.full(len(units), -1)
    order = rng.permutation(len(units))

    def give(unit: int, need: np.ndarray) -> None:
        """To the part that needs it most; of equal ones to that which lacks most records, then to any."""
        room = wanted_records >= sizes[unit] / 2
        need = np.where(room, need, -np.inf) if room.any() else wanted_records
        most = np.flatnonzero(need >= need.max() - 1e-9)
        most = most[wanted_records[most] >= wanted_records[most].max() - 1e-9]
        chosen = int(most[rng.integers(len(most))])
        part[unit] = chosen
        wanted_records[chosen] -= sizes[unit]
        wanted[chosen] -= counts[unit]

    while (left := order[part[order] < 0]).size:
        holders = (counts[left] > 0).sum(axis=0)  # [T]
        if not holders.any():
            for unit in sorted(left.tolist(), key=lambda u: -sizes[u]):  # large units first: parts come out even
                give(unit, wanted_records)
            break
        rarest = int(np.where(holders > 0, holders, len(units) + 1).argmin())
        with_it = left[counts[left, rarest] > 0]
        for unit in sorted(with_it.tolist(), key=lambda u: -counts[u, rarest]):
            give(unit, wanted[:, rarest])
    _fill_empty(part, sizes, parts=len(shares))
    return part


def _classes(records: Sequence[Record]) -> np.ndarray:
    """[N, classes + 1] bool: which classes a picture shows, and whether it shows none. Crowds are not counted."""
    labels = [record.objects.labels[~record.objects.crowd] for record in records if record.objects is not None]
    count = max((int(each.max()) + 1 for each in labels if len(each)), default=0)
    found = np.zeros((len(records), count + 1), dtype=bool)
    for row, each in enumerate(labels):
        found[row, each] = True
        found[row, count] = not len(each)
    return found


def _fill_empty(part: np.ndarray, sizes: np.ndarray, *, parts: int) -> None:
    """Give each empty part the smallest unit of the part with the most units."""
    for empty in range(parts):
        if not (part == empty).any():
            richest = int(np.bincount(part, minlength=parts).argmax())
            theirs = np.flatnonzero(part == richest)
            part[theirs[sizes[theirs].argmin()]] = empty
