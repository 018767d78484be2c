"""Which key points of a Label Studio task are of one object.

In: a task. Out: points, visibility and box of each object. Next: cvat.py
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from sightline.geometry import Box
from sightline.readers.assemble import LabelError
from sightline.readers.label_studio_regions import BOXES, POINTS, Drawn
from sightline.readers.label_studio_tasks import Task

Placed = tuple[np.ndarray, np.ndarray, Box | None]


def objects_of(task: Task, *, names: Sequence[str]) -> list[Placed]:
    """Points [K, 2] and their visibility [K] of each object, in fractions, with its rectangle where it has one.

    Raises:
        LabelError: a point is there twice, is NaN, or belongs to no rectangle or to several; a rectangle has no area.
    """
    boxes = [one for one in task.drawn if one.kind == BOXES]
    points = [one for one in task.drawn if one.kind == POINTS]
    if not boxes:
        return [(*_placed(points, names=names), None)]
    for box in boxes:
        x0, y0, x1, y1 = box.where
        if not (np.isfinite(box.where).all() and x0 < x1 and y0 < y1):
            raise LabelError("box-invalid", f"the rectangle of a '{box.label}' has no area")
    own: list[list[Drawn]] = [[] for _ in boxes]
    for point in points:
        own[_owner(point, boxes)].append(point)
    return [(*_placed(some, names=names), box.where) for box, some in zip(boxes, own, strict=True)]


def _owner(point: Drawn, boxes: Sequence[Drawn]) -> int:
    """The position of the rectangle that a point belongs to."""
    by_id = {box.id: index for index, box in enumerate(boxes)}
    if point.parent and point.parent in by_id:
        return by_id[point.parent]
    if len(boxes) == 1:
        return 0
    x, y = point.where[:2]
    around = [i for i, (x0, y0, x1, y1) in enumerate(box.where for box in boxes) if x0 <= x <= x1 and y0 <= y <= y1]
    if len(around) != 1:
        raise LabelError(
            "point-count",
            f"the point '{point.label}' lies in {len(around)} of {len(boxes)} rectangles; expected one: "
            "make the rectangle of its object its parent",
        )
    return around[0]


def _placed(points: Sequence[Drawn], *, names: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    points_xy, visible = np.zeros((len(names), 2)), np.zeros(len(names), dtype=bool)
    for point in points:
        index = names.index(point.label)
        if visible[index]:
            message = f"the point '{point.label}' is there twice; expected it once for each object"
            raise LabelError("point-count", message)
        points_xy[index], visible[index] = point.where[:2], True
    if not np.isfinite(points_xy).all():
        raise LabelError("point-not-finite", "a point is NaN or infinite")
    return points_xy, visible
