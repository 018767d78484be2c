"""What the columns of a landmark CSV hold, told from its header alone.

In: the header's cells. Out: `Columns`, or None where it is no landmark header.
Next: landmark_csv.py
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from sightline.errors import UserError
from sightline.readers.texts import Row

FILE_COLUMNS = (
    "file",
    "filename",
    "file_name",
    "filepath",
    "file_path",
    "image",
    "image_name",
    "image_file",
    "image_path",
    "imagename",
    "img",
    "img_name",
    "img_path",
    "path",
    "picture",
    "frame_path",
    "name",
    "image_id",
    "imageid",
    "image_filename",
    "imagefile",
    "imagepath",
    "img_file",
    "imgname",
    "imgpath",
    "fname",
)
SPLIT_COLUMNS = ("split", "subset", "partition")
GROUP_COLUMNS = (
    "group",
    "group_id",
    "subject",
    "subject_id",
    "person",
    "person_id",
    "identity",
    "clip",
    "video",
    "sequence",
    "session",
)
OBJECT_COLUMNS = ("instance", "instance_id", "object", "object_id", "face", "face_id")
BOX_COLUMNS = tuple(
    tuple(names.split())
    for names in (
        "xmin ymin xmax ymax",
        "x_min y_min x_max y_max",
        "box_xmin box_ymin box_xmax box_ymax",
        "bbox_xmin bbox_ymin bbox_xmax bbox_ymax",
        "box_x0 box_y0 box_x1 box_y1",
        "bbox_x0 bbox_y0 bbox_x1 bbox_y1",
        "box_x1 box_y1 box_x2 box_y2",
        "bbox_x1 bbox_y1 bbox_x2 bbox_y2",
        "left top right bottom",
    )
)
BOX_SIZE_COLUMNS = tuple(
    tuple(names.split())
    for names in ("box_x box_y box_w box_h", "bbox_x bbox_y bbox_w bbox_h", "box_left box_top box_width box_height")
)
BOX_CORNER_SIZE = ("left", "top", "width", "height")
SIZE_COLUMNS = ("width", "height", "image_width", "image_height", "img_width", "img_height")
# Known, and nothing is made of them: no note that they are left out.
_REMARKS = ("source", "class", "label", "id", "index", "crop_side", "dataset", "")

# Numbers about the picture or its box, not points, though some are called x and y.
_ABOUT_PICTURE = re.compile(r"(crop|b?box)\w*|[xy]_?(min|max)|(min|max)_?[xy]")
_VISIBLE = "v|vis|visible|visibility"
_POINT_COLUMNS = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        rf"(?P<axis>x|y|{_VISIBLE})[_. -]?(?P<number>\d+)",
        rf"(?P<number>\d+)[_. -]?(?P<axis>x|y|{_VISIBLE})",
        rf"(?P<axis>x|y|{_VISIBLE})",
        rf"(?P<name>.+)[_. -](?P<axis>x|y|{_VISIBLE})",
        rf"(?P<axis>x|y|{_VISIBLE})[_. -](?P<name>.+)",
    )
)
_COUNTED_NAME = re.compile(r"(?:point|pt|p|landmark|lm|keypoint|kp|part)[_. -]?(\d+)", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Columns:
    """Which column of a landmark CSV holds what; positions count from 0.

    Attributes:
        names: of the points, or None where the header only counts them.
        x: position for each point; `y` likewise; `visible` too, or None where there is no such column.
        others: the position of every column by its name in lower case, with `_` for blanks and `-`.
        ignored: columns that nothing is made of.
        width: number of columns.
    """

    names: tuple[str, ...] | None
    x: tuple[int, ...]
    y: tuple[int, ...]
    visible: tuple[int | None, ...]
    others: dict[str, int]
    ignored: tuple[str, ...]
    width: int

    def text(self, row: Row, names: Sequence[str]) -> str | None:
        """The first cell among these columns that is there and not blank."""
        for name in names:
            position = self.others.get(name)
            if position is not None and row.cells[position]:
                return row.cells[position]
        return None


def point_columns(header: Sequence[str]) -> list[int]:
    """The positions of the columns of points that have an x and a y."""
    complete = (found for found in _axes(header).values() if {"x", "y"} <= set(found))
    return sorted(position for found in complete for position in found.values())


def named_header(header: Sequence[str]) -> Sequence[str]:
    """A header whose columns are only counted, with names: blank and then 0, 1, 2, ... are the file and x, y, x, y.

    That is how pandas writes a table of flattened points with the pictures' names as its index.
    """
    count = len(header) - 1
    if count < 2 or count % 2 or header[0] or list(header[1:]) != [str(number) for number in range(count)]:
        return header
    return ("file", *(f"{'xy'[number % 2]}{number // 2}" for number in range(count)))


def looks_like_landmarks(header: Sequence[str]) -> bool:
    """Whether there is a file column and at least one point's x and y."""
    lower = {_spelled(cell) for cell in header}
    axes = _axes(header)
    return bool(lower & set(FILE_COLUMNS)) and any({"x", "y"} <= set(found) for found in axes.values())


def understand_header(header: Sequence[str], *, where: str) -> Columns:
    """Tell the columns of a header that `looks_like_landmarks`.

    Raises:
        UserError: a column is there twice, or a numbered point lacks its x or y.
    """
    others: dict[str, int] = {}
    for position, cell in enumerate(header):
        if cell and _spelled(cell) in others:
            raise UserError(f"{where}: the column '{cell}' is there twice. Each column needs its own name.")
        others[_spelled(cell)] = position
    axes = _axes(header)
    numbered = {label: found for label, found in axes.items() if isinstance(label, int)}
    points = {label: found for label, found in (numbered or axes).items() if {"x", "y"} <= set(found)}
    _check_numbers(numbered, where=where)
    labels = sorted(points, key=lambda label: label if isinstance(label, int) else 0)
    used = {position for label in labels for position in points[label].values()}
    return Columns(
        names=None if numbered else _names([str(label) for label in labels]),
        x=tuple(points[label]["x"] for label in labels),
        y=tuple(points[label]["y"] for label in labels),
        visible=tuple(points[label].get("v") for label in labels),
        others=others,
        ignored=tuple(cell for i, cell in enumerate(header) if i not in used and not _is_known(cell)),
        width=len(header),
    )


def _axes(header: Sequence[str]) -> dict[int | str, dict[str, int]]:
    """For each point (its number, or its name) the positions of its x, y and v columns."""
    axes: dict[int | str, dict[str, int]] = {}
    for position, cell in enumerate(header):
        if _ABOUT_PICTURE.fullmatch(cell.lower()):
            continue
        for pattern in _POINT_COLUMNS:
            if (match := pattern.fullmatch(cell)) is not None:
                found = match.groupdict()
                label = int(found["number"]) if found.get("number") else found.get("name") or "point"
                axis = found["axis"].lower()
                axes.setdefault(label, {})[axis if axis in "xy" else "v"] = position
                break
    return axes


def _check_numbers(numbered: dict[int, dict[str, int]], *, where: str) -> None:
    """Raise where numbered points are not all there, from 0 or 1 on."""
    numbers = sorted(numbered)
    if not numbers:
        return
    first = min(numbers[0], 1)
    for number in range(first, numbers[-1] + 1):
        if missing := {"x", "y"} - set(numbered.get(number, {})):
            columns = " and ".join(f"{axis}{number}" for axis in sorted(missing))
            raise UserError(
                f"{where}: the header goes up to point {numbers[-1]} but lacks {columns}. "
                "Numbered points need an x and a y column each."
            )


def _names(labels: list[str]) -> tuple[str, ...] | None:
    """The names of named points; None where they are only counted (point_0, point_1, ...)."""
    numbers = [int(match.group(1)) for label in labels if (match := _COUNTED_NAME.fullmatch(label))]
    if len(numbers) == len(labels) and numbers in (list(range(len(labels))), list(range(1, len(labels) + 1))):
        return None
    return tuple(labels)


def _spelled(cell: str) -> str:
    """How the columns that are no points are known: `Image Name` is `image_name`."""
    return cell.lower().replace(" ", "_").replace("-", "_")


def _is_known(cell: str) -> bool:
    """Whether a column that is no point is understood, or known to be a remark."""
    lower = _spelled(cell)
    known = {*FILE_COLUMNS, *BOX_CORNER_SIZE, *GROUP_COLUMNS, *OBJECT_COLUMNS, *SIZE_COLUMNS, *SPLIT_COLUMNS, *_REMARKS}
    boxes = {name for names in (*BOX_COLUMNS, *BOX_SIZE_COLUMNS) for name in names}
    return lower in known or lower in boxes or lower.startswith(("crop_", "unnamed"))
