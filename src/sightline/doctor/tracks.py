"""Checks of clips: the records of one group in the order of their frames.

A frame's number is the record's own, or the digits at the end of its name. Steps are measured between frames whose
numbers follow each other. Next: balance.py
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterable
from itertools import pairwise

import numpy as np

from sightline.doctor.case import TO_SIGMA, Case, suspect
from sightline.records import Problem, Record

ENOUGH_STEPS = 20
_FAR = 10.0
_TAIL, _BEYOND = 0.8, 4.0  # fast and slow take turns: the limit is 4 times what 80 % of the steps stay below
_FLOOR = 0.02  # of the picture's diagonal: less is no jump
_MOST_GAPS = 0.5
_STILL_PX = 1.0


def frame_number(record: Record) -> int | None:
    """The frame's number in its clip, or None where its name ends without digits."""
    if record.frame is not None:
        return record.frame
    name = re.sub(r"#\d+$", "", record.image_id)
    found = re.search(r"(\d+)(\.[A-Za-z0-9]+)?$", name)
    return int(found.group(1)) if found else None


def clips_of(records: Iterable[Record]) -> dict[str, list[tuple[int, Record]]]:
    """(frame number, record) of each group in order; groups of one record, and frames with several objects, are out."""
    found: dict[str, dict[int, list[Record]]] = defaultdict(lambda: defaultdict(list))
    for record in records:
        number = frame_number(record)
        if record.group is not None and number is not None:
            found[record.group][number].append(record)
    clips = {}
    for group, frames in found.items():
        single = sorted((number, each[0]) for number, each in frames.items() if len(each) == 1)
        if len(single) > 1:
            clips[group] = single
    return clips


def check(case: Case) -> Iterable[Problem]:
    """Jumps, labels that stand still, gaps."""
    clips = clips_of(case.records)
    for point, name in enumerate(case.dataset.skeleton.names):
        yield from _jumps(clips, point=point, name=name)
    yield from _still(clips)
    for group, frames in clips.items():
        numbers = np.array([number for number, _ in frames])
        gaps = np.diff(numbers)
        if 0 < (gaps > 1).mean() < _MOST_GAPS:  # else only some frames were ever labelled
            missing = int((gaps - 1).sum())
            message = f"{missing} frames of '{group}' between {numbers[0]} and {numbers[-1]} have no record"
            yield suspect("frames-missing", case.dataset, message)


def _jumps(clips: dict[str, list[tuple[int, Record]]], *, point: int, name: str) -> Iterable[Problem]:
    """A spike: both the way there and the way back (where there is one) are longer than the point ever moves."""
    pairs = [
        (group, number, first, second)
        for group, frames in clips.items()
        for (before, first), (number, second) in pairwise(frames)
        if number == before + 1 and first.visible[point] and second.visible[point]
    ]
    ways = np.array([(*first.points_xy[point], *second.points_xy[point]) for *_, first, second in pairs]).reshape(-1, 4)
    distances = np.hypot(ways[:, 2] - ways[:, 0], ways[:, 3] - ways[:, 1]).tolist()
    steps = {(group, number): step for (group, number, *_), step in zip(pairs, distances, strict=True)}
    if len(steps) < ENOUGH_STEPS:
        return
    lengths = np.array(list(steps.values()))
    middle = float(np.median(lengths))
    sigma = TO_SIGMA * float(np.median(np.abs(lengths - middle)))
    limit = max(middle + _FAR * sigma, _BEYOND * float(np.quantile(lengths, _TAIL)))
    for group, frames in clips.items():
        for number, record in frames:
            there, back = steps.get((group, number)), steps.get((group, number + 1))
            around = [step for step in (there, back) if step is not None]
            if not around or min(around) <= limit:
                continue
            floor = _FLOOR * math.hypot(*(record.size_hw or (0, 0)))
            is_end = there is None or back is None
            if min(around) <= floor or (is_end and _is_neighbours(steps, group, number)):
                continue
            message = f"'{name}' jumps {max(around):.0f} pixels at frame {number} of '{group}'; "
            yield suspect("point-jump", record, f"{message}half of its steps are below {middle:.1f}")


def _is_neighbours(steps: dict[tuple[str, int], float], group: str, number: int) -> bool:
    """Whether the one step at the end of a run belongs to a spike at the frame beside it."""
    there, back = steps.get((group, number)), steps.get((group, number + 1))
    if there is None and back is not None:
        beyond = steps.get((group, number + 2))
        return beyond is not None and beyond > back / 2
    before = steps.get((group, number - 1))
    return there is not None and before is not None and before > there / 2


def _still(clips: dict[str, list[tuple[int, Record]]]) -> Iterable[Problem]:
    for group, frames in clips.items():
        pairs = [(a, b) for (i, a), (j, b) in pairwise(frames) if j == i + 1]
        pairs = [(a, b) for a, b in pairs if (a.visible & b.visible).any() and (a.visible == b.visible).all()]
        moved = np.array([np.abs(b.points_xy - a.points_xy)[b.visible].max() for a, b in pairs])
        if len(moved) < ENOUGH_STEPS or np.quantile(moved, 0.2) < _STILL_PX:
            continue
        for i in np.flatnonzero(moved == 0):
            message = f"the very label of the frame before, where all others of '{group}' move"
            yield suspect("frames-copied", pairs[i][1], message)
