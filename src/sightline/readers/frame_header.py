"""What the columns of a table of frames hold, told from its header alone.

A number of the frame (or, in the first TrackNet's `Label.csv`, the name of its picture), one x and one y: plainly,
or with a name before or behind them (`ball_x,ball_y`, `ball.x`, `X Ball`). Perhaps whether the point is visible,
and the clip that a row is of. In: the header's cells. Out: `FrameColumns`, or None. Next: tracknet.py
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from sightline.readers.csv_header import FILE_COLUMNS

_FRAME = (
    *("frame", "frame_num", "frame_number", "frame_no", "frame_nr", "frame_id", "frame_idx", "frame_index"),
    *("framenum", "frameno", "frameid", "frameidx", "framenumber", "frameindex"),
)
_VISIBLE = ("visibility", "visible", "vis", "is_visible")
_X, _Y = ("x", "x_coordinate", "x_coord", "coord_x", "cx"), ("y", "y_coordinate", "y_coord", "coord_y", "cy")
_PICTURE = ("file_name", "file", "filename")
_CLIP = ("clip", "video", "video_name", "video_file", "video_id", "sequence")
_REMARKS = ("status", "time", "inpaint_mask", "unnamed:_0")
# Of these, x and y may be the corner of a box.
_OF_BOXES = {"w", "h", "width", "height", "class", "label_id", "bbox"}
# TrackMate's table has three more rows of header, and places in units of its own.
_OF_TRACKMATE = "position_t"
_NO_POINTS = {"min", "max", "box", "bbox", "crop", "img", "image", "scale", "size", "res", "resolution", "vel", "v"}
_BALLS = ("ball", "shuttle", "shuttlecock", "puck")
# What `sightline track` writes beside its points.
_OWN = {"time_s", "radius_px", "step"}


@dataclass(frozen=True, kw_only=True)
class FrameColumns:
    """Positions of columns; None where there is no such column.

    Attributes:
        frame: the frame's number, or its picture's name where `is_named`.
        clip: which video or clip a row is of.
        is_own: `sightline track` wrote the file: its places are continuous pixels.
        ignored: columns that nothing is made of.
        count: how many columns there are.
    """

    frame: int
    visible: int | None
    x: int
    y: int
    clip: int | None
    is_named: bool
    is_own: bool
    ignored: tuple[str, ...]
    count: int


def understand_frames(header: Sequence[str], *, named: bool = False) -> FrameColumns | None:
    """Tell the columns of a header; None where it is not one of frames with one point.

    Args:
        header: its cells.
        named: pictures may be named in any spelling of columns. Without it only as the first TrackNet does it
            (`x-coordinate`), since `file,x,y,visible` is one of single pictures too.
    """
    cells = _spelled(header)
    where = {cell: position for position, cell in reversed(list(enumerate(cells)))}

    def first(names: Sequence[str]) -> int | None:
        return next((where[name] for name in names if name in where), None)

    frame, picture, pair = first(_FRAME), first(_PICTURE), _pair(cells)
    if pair is None or (frame is None) == (picture is None) or _OF_TRACKMATE in where:
        return None
    name, x, y = pair
    visible = first([*(f"{one}_{word}" for one in (name, *_BALLS) if one for word in _VISIBLE), *_VISIBLE, *_BALLS])
    index = frame if frame is not None else picture
    assert index is not None
    if frame is None and (visible is None or not (named or cells[x] == "x_coordinate")):
        return None
    # Without such words a table of boxes or of single pictures must not pass for one of frames.
    if (visible is None or name) and set(cells) & {*_OF_BOXES, *FILE_COLUMNS}:
        return None
    is_own = set(cells) >= _OWN
    clip = first(_CLIP)
    used = {index, visible, x, y, clip}
    known = {*_REMARKS, *(("score", *_OWN) if is_own else ())}
    ignored = tuple(cell for i, cell in enumerate(header) if i not in used and cells[i] not in known and cell.strip())
    return FrameColumns(
        frame=index,
        visible=visible,
        x=x,
        y=y,
        clip=clip,
        is_named=frame is None,
        is_own=is_own,
        ignored=ignored,
        count=len(header),
    )


def named_points(header: Sequence[str]) -> list[str]:
    """The names of the points that a header has an x and a y of; `""` for a plain x and y."""
    cells = set(_spelled(header))
    plain = [""] if cells & set(_X) and cells & set(_Y) else []
    found = dict.fromkeys(
        match.group(1) or match.group(2)
        for cell in _spelled(header)
        if (match := re.fullmatch(r"(.+)_x|x_(.+)", cell)) is not None
    )
    complete = [name for name in found if {f"{name}_x", f"{name}_y"} <= cells or {f"x_{name}", f"y_{name}"} <= cells]
    return plain or [name for name in complete if name not in _NO_POINTS and name not in ("coord", "coordinate")]


def has_frames(header: Sequence[str]) -> bool:
    """Whether a column numbers frames."""
    return bool(set(_spelled(header)) & set(_FRAME))


def _pair(cells: Sequence[str]) -> tuple[str, int, int] | None:
    """The name of the one point (empty where it has none), and the columns of its x and y."""
    names = named_points(cells)
    if len(names) != 1:
        return None
    name = names[0]
    spellings = [(f"{name}_x", f"{name}_y"), (f"x_{name}", f"y_{name}")] if name else [*zip(_X, _Y, strict=True)]
    mixed = next((x for x in _X if x in cells), ""), next((y for y in _Y if y in cells), "")
    x, y = next(((x, y) for x, y in [*spellings, mixed] if x in cells and y in cells))
    return name, list(cells).index(x), list(cells).index(y)


def _spelled(header: Sequence[str]) -> list[str]:
    """How columns are known: `Frame Number` is `frame_number`, and `ball.x` is `ball_x`."""
    return [re.sub(r"[ ./-]+", "_", cell.strip().lower()) for cell in header]
