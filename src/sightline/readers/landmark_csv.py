"""One CSV row for each picture: its file and its points, `file,...,x0,y0,x1,y1,...`.

Convention of the format: pixel-index coordinates (the centre of a pixel is at integers), turned
into continuous ones; boxes (`xmin,ymin,xmax,ymax`) are edges and stay as they are.

The header decides. A file column (`file`, `image`, `filename`, ...); points as `x0,y0`, `0_x,0_y`,
`nose_x,nose_y`, `x_nose,y_nose` or plain `x,y`; optionally `v0`, `nose_v`, `nose_visible`, ... (0 is
not labelled), `split`, `group` (or `subject`, `person`, `identity`, `clip`, `video`), `width`,
`height`, a box and `instance`. A point whose cells are both blank is not visible. Rows of one
picture are several objects where `instance` or the box tells them apart, and doubles otherwise.
In: a CSV file, its folder, or one CSV in each folder of a part (train/, valid/). Out: a Dataset. Next: kaggle_csv.py
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from sightline.errors import UserError
from sightline.geometry import Box, index_to_continuous
from sightline.readers.assemble import Draft, Findings, LabelError, assemble, numbered_skeleton, place
from sightline.readers.box_header import looks_like_boxes
from sightline.readers.csv_header import (
    BOX_COLUMNS,
    BOX_CORNER_SIZE,
    BOX_SIZE_COLUMNS,
    FILE_COLUMNS,
    GROUP_COLUMNS,
    OBJECT_COLUMNS,
    SIZE_COLUMNS,
    SPLIT_COLUMNS,
    Columns,
    looks_like_landmarks,
    named_header,
    understand_header,
)
from sightline.readers.pictures import Pictures, finder_of
from sightline.readers.texts import Row, files_with_parts, is_finite, number, part_folders, read_header, read_table
from sightline.records import Dataset, Skeleton
from sightline.skeletons import skeleton_for

FORMAT = "landmark_csv"
LOOKED_FOR = "a CSV whose header has a file column and x, y columns (file,x0,y0,...)"

_WORDS = {"true": 1.0, "yes": 1.0, "false": 0.0, "no": 0.0}


def detect(path: Path) -> bool:
    """Whether a CSV, or one directly in the folder or in those of the parts, has the header of this format."""
    return bool(_files(path))


def read(path: Path) -> Dataset:
    """Read a CSV, or those of a folder (`train.csv` and `val.csv` become parts of the data).

    Raises:
        UserError: no such CSV, a header that cannot be understood, or no rows.
    """
    files = _files(path)
    if not files:
        raise UserError(f"{path} is not what '{FORMAT}' reads. Expected {LOOKED_FOR}.")
    root = path if path.is_dir() else path.parent
    chosen = files_with_parts(files, folder=root, what="landmark CSV")
    findings, drafts = Findings(), []
    skeletons: list[Skeleton] = []
    for file, split in chosen:
        rows, finder = read_table(file), finder_of(file, root=root)
        columns = understand_header(named_header(rows[0].cells), where=str(file))
        skeletons.append(_skeleton(columns, findings=findings, where=place(file, root)))
        if skeletons[-1].names != skeletons[0].names:
            raise UserError(
                f"{file} has other points than {chosen[0][0].name}. Files of one data set need the same points."
            )
        for draft in _drafts(rows[1:], columns=columns, file=place(file, root), findings=findings):
            draft = replace(draft, path=finder.find(draft.name))
            drafts.append(draft if draft.split or split is None else replace(draft, split=split))
    read_files = {file for file, _ in chosen}
    return assemble(
        drafts,
        root=root,
        format=FORMAT,
        skeleton=skeletons[0],
        findings=findings,
        pictures=Pictures(root),
        labelled_elsewhere=[file for file in sorted(root.glob("*.csv")) if file not in read_files],
    )


def _files(path: Path) -> list[Path]:
    """The CSVs of this format: the path itself, those directly in it, or those in its folders of parts."""
    for folders in ([path], part_folders(path)):
        if found := [file for folder in folders for file in _csvs(folder)]:
            return found
    return []


def _csvs(path: Path) -> list[Path]:
    candidates = sorted(path.iterdir()) if path.is_dir() else [path]
    return [
        file
        for file in candidates
        if file.suffix.lower() == ".csv"
        and not file.name.startswith(".")
        and file.is_file()
        and looks_like_landmarks(header := named_header(read_header(file)))
        and not looks_like_boxes(header)
    ]


def _skeleton(columns: Columns, *, findings: Findings, where: str) -> Skeleton:
    """The skeleton that the header names or counts, with a note on columns left out."""
    if columns.ignored:
        findings.note("columns-ignored", where, f"nothing is made of the columns {', '.join(columns.ignored[:12])}")
    if columns.names is None:
        return numbered_skeleton(len(columns.x), findings=findings, where=where)
    return skeleton_for(columns.names)


def _drafts(rows: Sequence[Row], *, columns: Columns, file: str, findings: Findings) -> list[Draft]:
    """The rows that can be used; the others become errors."""
    drafts: list[Draft] = []
    objects: set[tuple[object, ...]] = set()
    for row in rows:
        where = f"{file}:{row.line}"
        try:
            draft = _draft(row, columns=columns, where=where)
        except LabelError as bad:
            position = columns.others[_file_column(columns)]
            name = row.cells[position] if position < len(row.cells) else ""
            findings.error(bad.id, where, str(bad), image_id=name or None)
            continue
        instance = columns.text(row, OBJECT_COLUMNS)
        which = (draft.name, instance, draft.box_xyxy)
        if (instance or draft.box_xyxy) and which not in objects:
            draft = replace(draft, listing=file)
        objects.add(which)
        drafts.append(draft)
    return drafts


def _file_column(columns: Columns) -> str:
    """The name of the column that holds the picture."""
    return next(name for name in FILE_COLUMNS if name in columns.others)


def _draft(row: Row, *, columns: Columns, where: str) -> Draft:
    """One row; raises `LabelError` where it cannot be used."""
    if len(row.cells) > columns.width and not any(row.cells[columns.width :]):
        row = Row(cells=row.cells[: columns.width], line=row.line)
    if len(row.cells) != columns.width:
        raise LabelError("row-length", f"{len(row.cells)} cells, but the header has {columns.width}")
    name = row.cells[columns.others[_file_column(columns)]]
    if not name:
        raise LabelError("row-unreadable", "no picture is named in this row")
    points_xy, visible = _points(row, columns=columns)
    split = columns.text(row, SPLIT_COLUMNS)
    return Draft(
        name=name,
        points_xy=points_xy,
        visible=visible,
        source=where,
        listing=where,
        box_xyxy=_box(row, columns=columns),
        size_hw=_size(row, columns=columns),
        group=columns.text(row, GROUP_COLUMNS),
        split=None if split is None else split.lower(),
    )


def _points(row: Row, *, columns: Columns) -> tuple[np.ndarray, np.ndarray]:
    """Continuous points [K, 2] and which of them are visible [K]."""
    count = len(columns.x)
    points_xy, visible = np.zeros((count, 2)), np.zeros(count, dtype=bool)
    for index, (x, y, v) in enumerate(zip(columns.x, columns.y, columns.visible, strict=True)):
        flag = "" if v is None else row.cells[v]
        if flag and _value(flag, what=f"visibility of point {index}") == 0:
            continue
        if not row.cells[x] and not row.cells[y]:
            if flag:
                raise LabelError("point-incomplete", f"point {index} is said to be visible but has no coordinates")
            continue
        if not row.cells[x] or not row.cells[y]:
            raise LabelError(
                "point-incomplete", f"point {index} has only one of x and y; leave both blank or give both"
            )
        xy = [_value(row.cells[i], what=f"point {index}") for i in (x, y)]
        if not is_finite(xy):
            text = f"{row.cells[x]}, {row.cells[y]}"
            raise LabelError("point-not-finite", f"point {index} is ({text}); leave cells of a missing point blank")
        points_xy[index], visible[index] = xy, True
    return index_to_continuous(points_xy), visible


def _value(text: str, *, what: str) -> float:
    """A number, or true/false as 1 and 0."""
    try:
        return _WORDS[text.lower()] if text.lower() in _WORDS else number(text)
    except ValueError:
        raise LabelError("row-unreadable", f"{what} is '{text}', which is not a number") from None


def _box(row: Row, *, columns: Columns) -> Box | None:
    """The row's box as edges, where it has one."""
    for names in (*BOX_COLUMNS, *BOX_SIZE_COLUMNS, BOX_CORNER_SIZE):
        if not set(names) <= set(columns.others):
            continue
        cells = [row.cells[columns.others[name]] for name in names]
        if not any(cells):
            return None
        first, second, third, fourth = (
            _value(cell, what=f"box column {n}") for cell, n in zip(cells, names, strict=True)
        )
        if names not in BOX_COLUMNS:
            third, fourth = first + third, second + fourth
        if not is_finite([first, second, third, fourth]) or third <= first or fourth <= second:
            raise LabelError("box-invalid", f"the box ({', '.join(cells)}) has no area")
        return first, second, third, fourth
    return None


def _size(row: Row, *, columns: Columns) -> tuple[int, int] | None:
    """(height, width) where the row claims both."""
    if set(BOX_CORNER_SIZE) <= set(columns.others):
        return None  # these are the box's width and height
    width, height = columns.text(row, SIZE_COLUMNS[0::2]), columns.text(row, SIZE_COLUMNS[1::2])
    if width is None or height is None:
        return None
    sides = [_value(height, what="height"), _value(width, what="width")]
    if not is_finite(sides) or min(sides) <= 0 or any(side != round(side) for side in sides):
        raise LabelError("row-unreadable", f"width and height are '{width}' and '{height}'; expected whole pixels")
    return int(sides[0]), int(sides[1])
