"""Which boxes of two lists overlap, and who takes whom: the two steps under every match of boxes.

Neither has a loop over boxes. Pairs are made in chunks of pairs; matching goes round by round,
where a round is the next box of every group at once.
Next: box_matches.py
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from sightline.geometry import box_areas

_CHUNK_PAIRS = 1 << 16  # of pairs at a time: their numbers stay in the processor's cache


@dataclass(frozen=True, kw_only=True, eq=False)
class Pairs:
    """Pairs of rows of two lists with how much they overlap: [P] each, by first row, then by second."""

    first: np.ndarray
    second: np.ndarray
    overlap: np.ndarray

    def __len__(self) -> int:
        """Number of pairs, P."""
        return len(self.first)


def stable_order(keys: np.ndarray, *, bound: int) -> np.ndarray:
    """Positions that sort whole numbers 0 <= key < bound, equal ones in the order they came.

    In digits of 16 bits, which NumPy sorts by counting: several times faster than comparing.
    """
    order = np.argsort((keys & 0xFFFF).astype(np.uint16), kind="stable")
    shift = 16
    while bound > 1 << shift:
        digit = ((keys >> shift) & 0xFFFF).astype(np.uint16)
        order = order[np.argsort(digit[order], kind="stable")]
        shift += 16
    return order


def place_in_run(keys: np.ndarray) -> np.ndarray:
    """For sorted keys [N] the place of each among its equals, counted from 0: [N]."""
    if len(keys) == 0:
        return np.zeros(0, dtype=np.int64)
    place = np.arange(len(keys))
    starts = np.flatnonzero(np.r_[True, keys[1:] != keys[:-1]])
    return place - np.repeat(starts, np.diff(np.r_[starts, len(keys)]))


def pairs_in_groups(
    first_group: np.ndarray, second_group: np.ndarray, *, bound: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """All pairs of rows of one group, in chunks: rows of the first list and of the second, by first, then second.

    Args:
        first_group: [N] int64.
        second_group: [M] int64.
        bound: groups are below it.
    """
    order = stable_order(second_group, bound=bound)
    second_group = second_group[order]
    starts = np.searchsorted(second_group, first_group)
    sizes = np.searchsorted(second_group, first_group, side="right") - starts
    rows = np.flatnonzero(sizes)
    sizes, starts = sizes[rows], starts[rows]
    ends = np.cumsum(sizes)
    done = 0
    while done < len(rows):
        before = ends[done] - sizes[done]
        stop = max(done + 1, int(np.searchsorted(ends, before + _CHUNK_PAIRS, side="right")))
        size_of = sizes[done:stop]
        offset = starts[done:stop] - (ends[done:stop] - size_of - before)
        second = np.repeat(offset, size_of)
        second += np.arange(len(second))
        yield np.repeat(rows[done:stop], size_of), order[second]
        done = stop


class Overlaps:
    """Overlap of pairs of rows of two lists of boxes: intersection over union.

    Where the second is a crowd, intersection over the area of the first: a crowd has room for many.
    """

    def __init__(self, first_xyxy: np.ndarray, second_xyxy: np.ndarray, *, crowd: np.ndarray) -> None:
        # Columns, so that what is taken lies side by side.
        self._first = np.ascontiguousarray(first_xyxy.T)
        self._second = np.ascontiguousarray(second_xyxy.T)
        self._first_area, self._second_area = box_areas(first_xyxy), box_areas(second_xyxy)
        self._crowd = crowd if crowd.any() else None

    def __call__(self, first: np.ndarray, second: np.ndarray) -> np.ndarray:
        """Rows [P] and [P] to overlaps [P] in 0..1."""
        x0, y0, x1, y1 = (column.take(first) for column in self._first)
        u0, v0, u1, v1 = (column.take(second) for column in self._second)
        width = np.minimum(x1, u1, out=x1)
        width -= np.maximum(x0, u0, out=x0)
        height = np.minimum(y1, v1, out=y1)
        height -= np.maximum(y0, v0, out=y0)
        shared = np.maximum(width, 0.0, out=width)
        shared *= np.maximum(height, 0.0, out=height)
        area = self._first_area.take(first)
        union = area + self._second_area.take(second)
        union -= shared
        if self._crowd is not None:
            union = np.where(self._crowd[second], area, union)
        return np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)


def overlapping(
    overlaps: Overlaps, first_group: np.ndarray, second_group: np.ndarray, *, bound: int, at_least: float
) -> Pairs:
    """The pairs within groups that overlap by `at_least` or more; see `pairs_in_groups` for the rest."""
    kept: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
    for first, second in pairs_in_groups(first_group, second_group, bound=bound):
        overlap = overlaps(first, second)
        here = np.flatnonzero(overlap >= at_least)
        kept.append((first[here], second[here], overlap[here]))
    if not kept:
        none = np.zeros(0, dtype=np.int64)
        return Pairs(first=none, second=none, overlap=np.zeros(0))
    first, second, overlap = (np.concatenate(parts) for parts in zip(*kept, strict=True))
    return Pairs(first=first, second=second, overlap=overlap)


@dataclass(frozen=True, kw_only=True, eq=False)
class Taken:
    """Who took whom, for up to 64 cases at once: case number b is bit b.

    Attributes:
        counted: [N] uint64, in which cases the first row took a second one that counts.
        ignored: [N] uint64, in which cases it took one that is to be ignored.
        partner: [N] int64, what it took in case 0; 0 where nothing.
    """

    counted: np.ndarray
    ignored: np.ndarray
    partner: np.ndarray


def take_greedily(
    pairs: Pairs,
    first_group: np.ndarray,
    *,
    allowed: np.ndarray,
    ignore: np.ndarray,
    endless: np.ndarray,
) -> Taken:
    """Every first row in turn takes the second row that it overlaps most, as COCO's evaluation does.

    One that counts goes before any that is to be ignored; of equal overlaps the later row is taken;
    a row is taken once, unless it is endless (a crowd).

    Args:
        pairs: by first row; first rows of a group lie in the order of their turns.
        first_group: [N], the group of each first row, not descending.
        allowed: [P] uint64, the cases in which a pair overlaps enough.
        ignore: [M] uint64, the cases in which a second row is to be ignored.
        endless: [M] bool.
    """
    free = np.full(len(first_group), ~np.uint64(0))
    counted, ignored = np.zeros_like(free), np.zeros_like(free)
    partner = np.zeros(len(free), dtype=np.int64)
    open_to = np.full(len(ignore), ~np.uint64(0))
    forever = np.where(endless, ~np.uint64(0), np.uint64(0))
    order, slices = _rounds(pairs, first_group)
    first, second, allowed = pairs.first[order], pairs.second[order], allowed[order]
    ignore_of, forever_of = ignore[second], forever[second]
    any_ignored = bool(ignore_of.any())

    def step(where: slice, mask: np.ndarray, into: np.ndarray) -> None:
        one, other = first[where], second[where]
        can = allowed[where] & free[one] & open_to[other] & mask[where]
        free[one] &= ~can
        into[one] |= can
        open_to[other] &= ~can | forever_of[where]
        chosen = np.flatnonzero(can & np.uint64(1))
        partner[one[chosen]] = other[chosen]

    counts = ~ignore_of
    for places in slices:
        for where in places:
            step(where, counts, counted)
        for where in places if any_ignored else ():
            step(where, ignore_of, ignored)
    return Taken(counted=counted, ignored=ignored, partner=partner)


def _rounds(pairs: Pairs, first_group: np.ndarray) -> tuple[np.ndarray, list[list[slice]]]:
    """An order of pairs, and for each turn, for each choice of those whose turn it is, where they lie in it.

    In one such slice no row occurs twice: each group has one row whose turn it is.
    """
    if len(pairs) == 0:
        return np.zeros(0, dtype=np.int64), []
    first = pairs.first
    choice = place_in_run(first)
    heads = np.flatnonzero(choice == 0)
    choices_of_row = np.diff(heads, append=len(first))
    liking = np.arange(len(first))
    several = np.flatnonzero(np.repeat(choices_of_row, choices_of_row) > 1)  # the others need no sorting
    liking[several] = several[np.lexsort((-pairs.second[several], -pairs.overlap[several], first[several]))]
    turn = np.repeat(place_in_run(first_group[first[heads]]), choices_of_row)
    choices = int(choice.max()) + 1
    key = turn * choices + choice
    order = np.argsort(key, kind="stable")
    bounds = np.flatnonzero(np.r_[True, np.diff(key[order]) != 0, True])
    slices: list[list[slice]] = [[] for _ in range(int(turn.max()) + 1)]
    for start, stop in zip(bounds[:-1].tolist(), bounds[1:].tolist(), strict=True):
        slices[int(turn[order[start]])].append(slice(start, stop))
    return liking[order], slices
