"""What the columns of a CSV of boxes hold, told from its header alone.

In: the header's cells. Out: `BoxColumns`, or None where it is no header of boxes.
Next: box_rows.py
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sightline.readers.csv_header import (
    BOX_COLUMNS,
    BOX_SIZE_COLUMNS,
    FILE_COLUMNS,
    GROUP_COLUMNS,
    SPLIT_COLUMNS,
    point_columns,
)
from sightline.readers.texts import Row

_CLASS_COLUMNS = (
    "class",
    "class_name",
    "classname",
    "label",
    "label_name",
    "category",
    "category_name",
    "object_class",
    "object",
    "name",
    "tag",
    "class_label",
    "labelname",
    "labels",
    "class_id",
    "classid",
    "label_id",
    "category_id",
)
_CROWD_COLUMNS = ("crowd", "iscrowd", "is_crowd", "difficult", "isgroupof")
_SCORE_COLUMNS = ("score", "confidence")
_WIDTH_COLUMNS = ("width", "image_width", "img_width")
_HEIGHT_COLUMNS = ("height", "image_height", "img_height")
# These could also be two points, or a point and something else: a class column makes them boxes.
_UNSURE_EDGES = tuple(tuple(names.split()) for names in ("x1 y1 x2 y2", "x0 y0 x1 y1"))
_UNSURE_SIZED = tuple(
    tuple(names.split())
    for names in (
        "x y w h",
        "x y width height",
        "x1 y1 w h",
        "x1 y1 width height",
        "xmin ymin w h",
        "xmin ymin width height",
        "x_min y_min w h",
        "x_min y_min width height",
    )
)
_CENTRED = tuple(
    tuple(f"{middle} {sides}".split())
    for middle in ("x_center y_center", "xcenter ycenter", "center_x center_y", "x_centre y_centre", "xc yc", "cx cy")
    for sides in ("width height", "w h")
)
_SURE_EDGES = (*BOX_COLUMNS, ("roi_x1", "roi_y1", "roi_x2", "roi_y2"))
_SURE_SIZED = (
    *BOX_SIZE_COLUMNS,
    ("bbox_x", "bbox_y", "bbox_width", "bbox_height"),
    ("left", "top", "width", "height"),
)


@dataclass(frozen=True, kw_only=True)
class BoxColumns:
    """Which column of a CSV of boxes holds what; positions count from 0.

    Attributes:
        file: the picture.
        box: four edges; left, top, width and height where `is_sized`, the middle in place of the first two where
            `is_centred` too.
        label: the class; None where there is no such column.
        is_sure: whether the box columns can be nothing else.
        ignored: columns that nothing is made of.
        count: number of columns.
    """

    file: int
    box: tuple[int, int, int, int]
    is_sized: bool
    is_centred: bool
    is_sure: bool
    label: int | None
    width: int | None
    height: int | None
    split: int | None
    group: int | None
    crowd: int | None
    area: int | None
    score: int | None
    ignored: tuple[str, ...]
    count: int

    def text(self, row: Row, position: int | None) -> str:
        """A cell; empty where there is no such column."""
        return "" if position is None else row.cells[position]


def looks_like_boxes(header: Sequence[str]) -> bool:
    """Whether a header has a file and a box, and no points besides."""
    columns = understand_box_header(header)
    if columns is None:
        return False
    points = set(point_columns(header))
    if not points:
        return True
    return not columns.is_sure and columns.label is not None and points <= {*columns.box}


def understand_box_header(header: Sequence[str]) -> BoxColumns | None:
    """Tell the columns of a header; None where a file or box column is missing, or a column is there twice."""
    cells = [cell.lower().strip().replace(" ", "_").replace("-", "_").replace(".", "_") for cell in header]
    where = {cell: position for position, cell in enumerate(cells) if cell}
    if len(where) < sum(bool(cell) for cell in cells):
        return None

    def first(names: Sequence[str], *, but: Sequence[int | None] = ()) -> int | None:
        return next((where[name] for name in names if name in where and where[name] not in but), None)

    file = first(FILE_COLUMNS)
    found = next(
        (
            (names, sized, sure)
            for group, sized, sure in (
                (_SURE_EDGES, False, True),
                (_SURE_SIZED, True, True),
                (_UNSURE_EDGES, False, False),
                (_UNSURE_SIZED, True, False),
                (_CENTRED, True, False),
            )
            for names in group
            if set(names) <= set(where)
        ),
        None,
    )
    if file is None or found is None:
        return None
    names, is_sized, is_sure = found
    x, y, z, w = (where[name] for name in names)
    used = [x, y, z, w]
    columns = {
        "label": first(_CLASS_COLUMNS, but=[file]),
        "width": first(_WIDTH_COLUMNS, but=used),
        "height": first(_HEIGHT_COLUMNS, but=used),
        "split": first(SPLIT_COLUMNS),
        "group": first(GROUP_COLUMNS),
        "crowd": first(_CROWD_COLUMNS),
        "area": first(["area"]),
        "score": first(_SCORE_COLUMNS),
    }
    known = {file, *used, *columns.values()}
    ignored = tuple(cell for i, cell in enumerate(header) if i not in known and cells[i] and "unnamed" not in cells[i])
    return BoxColumns(
        file=file,
        box=(x, y, z, w),
        is_sized=is_sized,
        is_centred=names in _CENTRED,
        is_sure=is_sure,
        ignored=ignored,
        count=len(header),
        **columns,
    )
