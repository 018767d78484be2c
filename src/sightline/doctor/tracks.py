"""Checks of clips: the records of one group in the order of their frames.

A frame's number is the record's own, or the digits at the end of its name. Steps are measured between frames whose
numbers follow each other. Next: balance.py
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from sightline.doctor.case import TO_SIGMA, Case, suspect
from sightline.records import Problem, Record

ENOUGH_STEPS = 20
_FAR = 10.0
_TAIL, _BEYOND = 0.8, 4.0  # fast and slow take turns: the limit is 4 times what 80 % of the steps stay below
_FLOOR = 0.02  # of the picture's diagonal: less is no jump
_MOST_GAPS = 0.5
_STILL_PX = 1.0
_DOUBLE = re.compile(r"#\d+$")  # what tells records of one picture apart
_LAST_DIGITS = re.compile(r"(\d+)(\.[A-Za-z0-9]+)?$")


def frame_number(record: Record) -> int | None:
    """The frame's number in its clip, or None where its name ends without digits."""
    if record.frame is not None:
        return record.frame
    name = record.image_id
    found = _LAST_DIGITS.search(_DOUBLE.sub("", name) if "#" in name else name)
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


@dataclass(frozen=True, kw_only=True, eq=False)
class _Frames:
    """All frames of all clips, clip by clip and in order.

    Attributes:
        groups: [T], the clip of each.
        numbers: [T].
        records: [T].
        xy: [T, K, 2].
        visible: [T, K].
        follows: [T], whether the frame before it in its clip has the number before.
    """

    groups: list[str]
    numbers: list[int]
    records: list[Record]
    xy: np.ndarray
    visible: np.ndarray
    follows: np.ndarray


def _in_a_row(clips: dict[str, list[tuple[int, Record]]]) -> _Frames:
    """At least one clip's frames."""
    groups = [group for group, frames in clips.items() for _ in frames]
    numbers = [number for frames in clips.values() for number, _ in frames]
    records = [record for frames in clips.values() for _, record in frames]
    starts = np.cumsum([0, *(len(frames) for frames in clips.values())])[:-1]
    follows = np.diff(numbers, prepend=numbers[0]) == 1
    follows[starts] = False
    return _Frames(
        groups=groups,
        numbers=numbers,
        records=records,
        xy=np.stack([record.points_xy for record in records]),
        visible=np.stack([record.visible for record in records]),
        follows=follows,
    )


def check(case: Case) -> Iterable[Problem]:
    """Jumps, labels that stand still, gaps."""
    clips = clips_of(case.records)
    if not clips:
        return
    frames = _in_a_row(clips)
    for point, name in enumerate(case.dataset.skeleton.names):
        yield from _jumps(frames, point=point, name=name)
    yield from _still(frames)
    for group, labelled in clips.items():
        numbers = np.array([number for number, _ in labelled])
        gaps = np.diff(numbers)
        if 0 < (gaps > 1).mean() < _MOST_GAPS:  # else only some frames were ever labelled
            missing = int((gaps - 1).sum())
            message = f"{missing} frames of '{group}' between {numbers[0]} and {numbers[-1]} have no record"
            yield suspect("frames-missing", case.dataset, message)


def _jumps(frames: _Frames, *, point: int, name: str) -> Iterable[Problem]:
    """A spike: both the way there and the way back (where there is one) are longer than the point ever moves."""
    visible = frames.visible[:, point]
    known = frames.follows & visible & np.roll(visible, 1)
    ways = np.diff(frames.xy[:, point], axis=0, prepend=frames.xy[:1, point])
    # From the frame before it to each: [T], NaN where none is known; the clip's end has no way on.
    steps = np.append(np.where(known, np.hypot(ways[:, 0], ways[:, 1]), np.nan), np.nan)
    lengths = steps[:-1][known]
    if len(lengths) < ENOUGH_STEPS:
        return
    middle = float(np.median(lengths))
    sigma = TO_SIGMA * float(np.median(np.abs(lengths - middle)))
    limit = max(middle + _FAR * sigma, _BEYOND * float(np.quantile(lengths, _TAIL)))
    for at in np.flatnonzero(np.fmin(steps[:-1], steps[1:]) > limit).tolist():
        around = steps[at : at + 2]
        record = frames.records[at]
        floor = _FLOOR * math.hypot(*(record.size_hw or (0, 0)))
        if np.nanmin(around) <= floor or (np.isnan(around).any() and _is_neighbours(steps, at)):
            continue
        message = f"'{name}' jumps {np.nanmax(around):.0f} pixels at frame {frames.numbers[at]} of "
        message += f"'{frames.groups[at]}'; half of its steps are below {middle:.1f}"
        yield suspect("point-jump", record, message)


def _is_neighbours(steps: np.ndarray, at: int) -> bool:
    """Whether the one step at the end of a run belongs to a spike at the frame beside it; `steps` [T + 1] as above."""
    there, back = steps[at], steps[at + 1]
    if np.isnan(there):
        return bool(steps[at + 2] > back / 2)
    return bool(steps[at - 1] > there / 2)


def _still(frames: _Frames) -> Iterable[Problem]:
    """Labels that are those of the frame before to the last bit, in clips where everything moves."""
    is_same = (frames.visible == np.roll(frames.visible, 1, axis=0)).all(axis=1)
    pairs = np.flatnonzero(frames.follows & is_same & frames.visible.any(axis=1))  # each is told by its later frame
    ways = np.abs(frames.xy[pairs] - frames.xy[pairs - 1]).max(axis=2, initial=0)
    moved = np.where(frames.visible[pairs], ways, 0).max(axis=1, initial=0)
    of_clip: dict[str, list[int]] = defaultdict(list)
    for i, at in enumerate(pairs.tolist()):
        of_clip[frames.groups[at]].append(i)
    for group, mine in of_clip.items():
        if len(mine) < ENOUGH_STEPS or np.quantile(moved[mine], 0.2) < _STILL_PX:
            continue
        for i in mine:
            if moved[i] == 0:
                message = f"the very label of the frame before, where all others of '{group}' move"
                yield suspect("frames-copied", frames.records[pairs[i]], message)
