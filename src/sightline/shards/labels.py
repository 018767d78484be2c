"""A record as JSON, as it stands beside its picture in a shard, and back.

    {"image_id": "a/cell.jpg", "size_hw": [480, 640], "group": "slide 7", "split": "train", "source": "cell.xml",
     "boxes": [{"class": "RBC", "xyxy": [10.5, 20.0, 64.0, 80.0], "crowd": true, "area": 900.0}]}

or, for points, `"points": {"nose": [31.5, 40.25]}` (those that are visible) and `"box": [x0, y0, x1, y1]`. Only
`boxes` or `points` has to be there. Coordinates are continuous pixels of the upright picture; numbers come back with
the very same bits. A picture with several labelled objects has a list of such objects. Next: tar.py
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from sightline.errors import UserError
from sightline.geometry import Box, box_areas
from sightline.records import Objects, Record, Skeleton

_TEXTS = ("group", "split", "source")


def encode(record: Record, *, skeleton: Skeleton, classes: Sequence[str]) -> dict[str, Any]:
    """All that a record says, without where its picture lies; what is None is left out."""
    values: dict[str, Any] = {"image_id": record.image_id}
    if record.size_hw is not None:
        values["size_hw"] = list(record.size_hw)
    values |= {name: text for name in _TEXTS if (text := getattr(record, name))}
    if record.is_guess:
        values["is_guess"] = True
    if record.box_xyxy is not None:
        values["box"] = [float(side) for side in record.box_xyxy]
    if record.objects is not None:
        values["boxes"] = _encode_objects(record.objects, classes=classes)
    else:
        pairs = zip(skeleton.names, record.points_xy.tolist(), record.visible.tolist(), strict=True)
        values["points"] = {name: xy for name, xy, visible in pairs if visible}
    return values


def _encode_objects(objects: Objects, *, classes: Sequence[str]) -> list[dict[str, Any]]:
    own = box_areas(objects.boxes_xyxy)
    boxes: list[dict[str, Any]] = []
    for index, xyxy in enumerate(objects.boxes_xyxy.tolist()):
        box: dict[str, Any] = {"class": classes[int(objects.labels[index])], "xyxy": xyxy}
        if objects.crowd[index]:
            box["crowd"] = True
        if objects.areas[index] != own[index]:
            box["area"] = float(objects.areas[index])
        boxes.append(box)
    return boxes


def decode(values: Mapping[str, Any], path: Path, *, skeleton: Skeleton, classes: Sequence[str], source: str) -> Record:
    """The record of a picture.

    Args:
        values: as `encode` gives them.
        path: where the picture lies.
        skeleton: the points; those that are not named in `values` are not visible.
        classes: every class that a box may have.
        source: where the values stand, for messages and for a record that names no source of its own.

    Raises:
        UserError: something in it is not of the kind that is expected.
    """
    texts = {name: _text(values, name, source=source) for name in _TEXTS}
    image_id = _text(values, "image_id", source=source) or path.name
    box = values.get("box")
    if ("boxes" in values) == ("points" in values):
        raise UserError(f"{source}: expected 'boxes' or 'points', one of them, but found {_names(values)}.")
    points_xy, visible = _points(values.get("points", {}), skeleton=skeleton, source=source)
    return Record(
        image_id=image_id,
        path=path,
        box_xyxy=None if box is None else _box(box, source=source),
        size_hw=_size(values.get("size_hw"), source=source),
        group=texts["group"],
        split=texts["split"],
        source=texts["source"] or source,
        points_xy=points_xy,
        visible=visible,
        is_guess=values.get("is_guess") is True,
        objects=_objects(values["boxes"], classes=classes, source=source) if "boxes" in values else None,
    )


def _points(points: object, *, skeleton: Skeleton, source: str) -> tuple[np.ndarray, np.ndarray]:
    if not isinstance(points, Mapping):
        raise UserError(f"{source}: 'points' should be {{name: [x, y]}}, but is {_shown(points)}.")
    unknown = [name for name in points if name not in skeleton.names]
    if unknown:
        raise UserError(f"{source}: there is no point '{unknown[0]}' in the index.")
    points_xy, visible = np.zeros((len(skeleton), 2)), np.zeros(len(skeleton), dtype=bool)
    for index, name in enumerate(skeleton.names):
        if points.get(name) is not None:
            points_xy[index] = _numbers(points[name], 2, what=f"point '{name}'", source=source)
            visible[index] = True
    return points_xy, visible


def _objects(boxes: object, *, classes: Sequence[str], source: str) -> Objects:
    if not isinstance(boxes, list) or not all(isinstance(box, Mapping) for box in boxes):
        raise UserError(f"{source}: 'boxes' should be a list of {{class, xyxy}}, but is {_shown(boxes)}.")
    for box in boxes:
        if box.get("class") not in classes:
            raise UserError(
                f"{source}: a box has the class {_shown(box.get('class'))}, which is none of {list(classes)}."
            )
    sides = np.array([_box(box.get("xyxy"), source=source) for box in boxes], dtype=np.float64).reshape(-1, 4)
    own = box_areas(sides)
    areas = [
        _numbers([box["area"]], 1, what="area", source=source)[0] if "area" in box else own[i]
        for i, box in enumerate(boxes)
    ]
    return Objects(
        boxes_xyxy=sides,
        labels=np.array([classes.index(box["class"]) for box in boxes], dtype=np.int64),
        crowd=np.array([bool(box.get("crowd")) for box in boxes], dtype=bool),
        areas=np.array(areas, dtype=np.float64),
    )


def _box(box: object, *, source: str) -> Box:
    x0, y0, x1, y1 = _numbers(box, 4, what="a box", source=source)
    if x1 <= x0 or y1 <= y0:
        raise UserError(f"{source}: the box [{x0:g}, {y0:g}, {x1:g}, {y1:g}] has no area; expected x0, y0, x1, y1.")
    return x0, y0, x1, y1


def _size(size: object, *, source: str) -> tuple[int, int] | None:
    if size is None:
        return None
    height, width = _numbers(size, 2, what="size_hw", source=source)
    return int(height), int(width)


def _numbers(values: object, count: int, *, what: str, source: str) -> list[float]:
    if not isinstance(values, list) or len(values) != count or not all(_is_finite(value) for value in values):
        raise UserError(f"{source}: {what} should be {count} finite numbers, but is {_shown(values)}.")
    return [float(value) for value in values]


def _is_finite(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def _text(values: Mapping[str, Any], name: str, *, source: str) -> str | None:
    value = values.get(name)
    if value is not None and not isinstance(value, str):
        raise UserError(f"{source}: '{name}' should be a text, but is {_shown(value)}.")
    return value or None


def _names(values: Mapping[str, Any]) -> str:
    return ", ".join(sorted(map(str, values))) or "nothing"


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
