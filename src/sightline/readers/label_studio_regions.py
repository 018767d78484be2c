"""One region of Label Studio as a box, an outline's box or a point, in fractions of the picture.

The kind is that of the region, or, where shapes and labels are two tags of the configuration (type `labels`), what its
value holds. In: a region. Out: `Drawn`. Next: label_studio_tasks.py
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass

import numpy as np

from sightline.geometry import Box, about, rotation
from sightline.readers.assemble import LabelError
from sightline.readers.json_stream import Entry
from sightline.readers.texts import is_finite

BOXES, POINTS, POLYGONS, ELLIPSES = "rectanglelabels", "keypointlabels", "polygonlabels", "ellipselabels"
OUTLINES = (POLYGONS, ELLIPSES)
CROWD = "crowd"


@dataclass(frozen=True, kw_only=True)
class Drawn:
    """One box, outline or point.

    Attributes:
        kind: "rectanglelabels", "keypointlabels", or one of `OUTLINES`.
        where: x0, y0, x1, y1, or the point twice, as fractions of the picture.
        id: of the region.
        parent: the id of the region that it belongs to; empty where it says none.
        is_crowd: whether its notes say so.
        was_turned: whether the rectangle was drawn at an angle; `where` is the upright box around it.
    """

    kind: str
    label: str
    where: Box
    id: str = ""
    parent: str = ""
    is_crowd: bool = False
    was_turned: bool = False


def kind_of(region: Entry) -> str:
    """The kind of a region, one of those above where it is understood."""
    kind, value = str(region.get("type")), region.get("value")
    if kind != "labels" or not isinstance(value, Mapping):
        return kind
    if "points" in value:
        return POLYGONS
    if "radiusX" in value:
        return ELLIPSES
    return BOXES if "height" in value else POINTS if "x" in value else kind


def drawn_from(region: Entry, *, kind: str) -> Drawn:
    """The region; raises `LabelError` where it cannot be understood."""
    value, id = region.get("value"), str(region.get("id", ""))
    if not isinstance(value, Mapping):
        raise LabelError("row-unreadable", f"region {id} has no value")
    labels = value.get(str(region.get("type")))
    if not isinstance(labels, list) or len(labels) != 1 or not str(labels[0]).strip():
        raise LabelError("box-class-missing", f"region {id} has the labels {labels}, expected one")
    parent = region.get("parentID")
    meta = region.get("meta")
    notes = meta.get("text") if isinstance(meta, Mapping) else None
    degrees = value.get("rotation") or 0.0
    return Drawn(
        kind=kind,
        label=str(labels[0]).strip(),
        where=_where(value, kind=kind, degrees=degrees, size_hw=size_of(region)),
        id=id,
        parent=str(parent) if parent else "",
        is_crowd=CROWD in notes if isinstance(notes, list | str) else False,
        was_turned=kind == BOXES and bool(degrees),
    )


def size_of(region: Entry) -> tuple[int, int] | None:
    """(height, width) of the picture, as a region tells it."""
    height, width = region.get("original_height"), region.get("original_width")
    if isinstance(height, int) and isinstance(width, int) and min(height, width) > 0:
        return height, width
    return None


def _where(value: Mapping[str, object], *, kind: str, degrees: object, size_hw: tuple[int, int] | None) -> Box:
    if kind == POLYGONS:
        return _around(value.get("points"))
    x, y = _percent(value, "x"), _percent(value, "y")
    if kind == POINTS:
        return x, y, x, y
    if kind == ELLIPSES:
        radius_x, radius_y = _percent(value, "radiusX"), _percent(value, "radiusY")
        box, pivot = (x - radius_x, y - radius_y, x + radius_x, y + radius_y), (x, y)
    else:
        box, pivot = (x, y, x + _percent(value, "width"), y + _percent(value, "height")), (x, y)
    return _upright(box, pivot=pivot, degrees=degrees, size_hw=size_hw) if degrees else box


def _around(points: object) -> Box:
    """The box around a polygon's points, in percent."""
    pairs = [pair for pair in points if isinstance(pair, list) and len(pair) == 2] if isinstance(points, list) else []
    if not pairs or len(pairs) != len(points if isinstance(points, list) else ()):
        raise LabelError("row-unreadable", f"points is {str(points)[:40]}, expected a list of x, y")
    x, y = ([_share(pair[axis], name="a corner") for pair in pairs] for axis in (0, 1))
    if not is_finite([*x, *y]):
        raise LabelError("point-not-finite", "a corner of an outline is NaN or infinite")
    return min(x), min(y), max(x), max(y)


def _percent(value: Mapping[str, object], name: str) -> float:
    return _share(value.get(name), name=name)


def _share(found: object, *, name: str) -> float:
    """A hundredth of a number."""
    if isinstance(found, int | float) and not isinstance(found, bool):
        with suppress(OverflowError):  # an integer of hundreds of digits
            return found / 100
    raise LabelError("row-unreadable", f"{name} is {str(found)[:40]}, expected a number")


def _upright(box: Box, *, pivot: tuple[float, float], degrees: object, size_hw: tuple[int, int] | None) -> Box:
    """The upright box around one that is turned clockwise, in pixels, about its upper left corner or its middle."""
    if not isinstance(degrees, int | float) or size_hw is None:
        raise LabelError("row-unreadable", f"rotation is {degrees}, expected a number, and the picture's size with it")
    height, width = size_hw
    scale = np.array([width, height, width, height], dtype=np.float64)
    centre = (pivot[0] * width, pivot[1] * height)
    turned = about(centre, rotation(float(degrees))).boxes(np.array([box]) * scale)
    x0, y0, x1, y1 = (turned / scale)[0].tolist()
    return x0, y0, x1, y1
