"""The labels of one picture from two sources: the same, adding to each other, or contradicting.

In: the records of one picture, twice. Out: records. Next: merge.py
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from sightline.records import Objects, Record

# Percent, fractions and rounded decimals of different formats move a label by less than this.
SAME_PX = 0.1


def union(before: Sequence[Record], here: Sequence[Record], known: np.ndarray) -> list[Record] | None:
    """Both labels in one, where they do not contradict each other; None where they do."""
    if before[0].objects is not None:
        old, new = _objects(before[0]), _objects(here[0])
        ours = known[old.labels]
        if not _same_boxes(old.select(ours), new):
            return None
        return list(before)
    if len(before) == len(here) == 1:
        old, new = before[0], here[0]
        both = old.visible & new.visible
        if (np.abs(old.points_xy - new.points_xy)[both] > SAME_PX).any() or (old.visible & known & ~new.visible).any():
            return None
        visible = old.visible | new.visible
        points = np.where(old.visible[:, None], old.points_xy, new.points_xy)
        return [replace(old, points_xy=points, visible=visible)]
    return list(before) if _same_objects(before, here, known) else None


def newer(before: Sequence[Record], here: Sequence[Record], known: np.ndarray) -> list[Record]:
    """The new labels, and of the old ones those of names that the new data set does not know."""
    if before[0].objects is not None:
        old, new = _objects(before[0]), _objects(here[0])
        kept = old.select(~known[old.labels])
        both = Objects(
            boxes_xyxy=np.concatenate([kept.boxes_xyxy, new.boxes_xyxy]),
            labels=np.concatenate([kept.labels, new.labels]),
            crowd=np.concatenate([kept.crowd, new.crowd]),
            areas=np.concatenate([kept.areas, new.areas]),
        )
        return [replace(here[0], objects=both)]
    if len(before) == len(here) == 1:
        old, new = before[0], here[0]
        stays = old.visible & ~known
        points = np.where(stays[:, None], old.points_xy, new.points_xy)
        return [replace(new, points_xy=points, visible=new.visible | stays)]
    return list(here)


def _objects(record: Record) -> Objects:
    assert record.objects is not None, record.source
    return record.objects


def _same_boxes(first: Objects, second: Objects) -> bool:
    """Whether both hold the same boxes, in whatever order."""
    if len(first) != len(second):
        return False
    left = list(range(len(second)))
    for box, label, crowd in zip(first.boxes_xyxy, first.labels, first.crowd, strict=True):
        twin = next(
            (
                i
                for i in left
                if second.labels[i] == label
                and second.crowd[i] == crowd
                and np.abs(second.boxes_xyxy[i] - box).max() <= SAME_PX
            ),
            None,
        )
        if twin is None:
            return False
        left.remove(twin)
    return True


def _same_objects(first: Sequence[Record], second: Sequence[Record], known: np.ndarray) -> bool:
    """Whether both hold the same objects of points, in whatever order, as far as the second knows their names."""
    if len(first) != len(second):
        return False
    left = list(second)
    for one in first:
        twin = next((other for other in left if _same_points(one, other, known)), None)
        if twin is None:
            return False
        left.remove(twin)
    return True


def _same_points(first: Record, second: Record, known: np.ndarray) -> bool:
    if not np.array_equal(first.visible & known, second.visible & known):
        return False
    both = first.visible & second.visible
    return not (np.abs(first.points_xy - second.points_xy)[both] > SAME_PX).any()


def alike(first: Sequence[Record], second: Sequence[Record]) -> bool:
    """Whether a union adds nothing to what was there."""
    return all(np.array_equal(a.visible, b.visible) for a, b in zip(first, second, strict=True))
