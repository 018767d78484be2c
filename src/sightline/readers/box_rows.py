"""CSVs of boxes that do without a header, or with a box in one cell, made into tables with a column for each number.

Without a header: `path,x1,y1,x2,y2,class` (RetinaNet's readers), with or without the picture's width and height behind
it (SKU-110K). In one cell: `"[34.0, 20.5, 10, 12]"` in a column `bbox`. That is x, y, width, height, as COCO has it,
unless boxes would then reach out of their pictures, and all can be two corners.
In: a CSV. Out: its header and rows. Next: boxes_csv.py
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from sightline.images import IMAGE_SUFFIXES, ImageError, read_size
from sightline.readers.assemble import Findings
from sightline.readers.box_header import understand_box_header
from sightline.readers.pictures import Pictures
from sightline.readers.texts import Row, number, read_header, read_table

_BARE = ("image_path", "x1", "y1", "x2", "y2", "class", "image_width", "image_height")
_BARE_WIDTHS = (6, 8)
_LISTED = ("bbox", "box", "bounding_box", "boundingbox", "bboxes")
_SIZED = ("bbox_x", "bbox_y", "bbox_w", "bbox_h")
_EDGES = ("bbox_x0", "bbox_y0", "bbox_x1", "bbox_y1")
_WORD = re.compile(r"[^\s,;\[\](){}\"']+")
# So many pictures are looked at to tell a width from a right edge.
_LOOKED_AT = 100


def header_of(file: Path) -> tuple[str, ...]:
    """The header that a CSV has, or would have with a column for each number."""
    first = read_header(file)
    if _is_bare(first):
        return _BARE[: len(first)]
    return (*first, *_SIZED) if _listed_at(first) is not None else first


def rows_of(file: Path, *, where: str, pictures: Pictures, findings: Findings) -> list[Row]:
    """The rows of a CSV, the header first: that of `header_of`, with edges in place of sizes where they are meant."""
    rows = read_table(file)
    if _is_bare(rows[0].cells):
        message = f"there is no header; the columns are taken for {', '.join(_BARE[: len(rows[0].cells)])}"
        findings.note("columns-assumed", where, message)
        return [Row(cells=_BARE[: len(rows[0].cells)], line=1), *rows]
    at = _listed_at(rows[0].cells)
    return rows if at is None else _spread(rows, at=at, where=where, pictures=pictures, findings=findings)


def _is_bare(first: Sequence[str]) -> bool:
    """Whether a first row is a row of boxes itself: a picture, four numbers or blanks, and a class."""
    if (
        len(first) not in _BARE_WIDTHS
        or PurePosixPath(first[0].replace("\\", "/")).suffix.lower() not in IMAGE_SUFFIXES
    ):
        return False
    numbers = [cell for cell in (*first[1:5], *first[6:]) if cell]
    return all(_is_number(cell) for cell in numbers)


def _is_number(text: str) -> bool:
    try:
        number(text)
    except ValueError:
        return False
    return True


def _listed_at(header: Sequence[str]) -> int | None:
    cells = [cell.lower().replace(" ", "_") for cell in header]
    return next((cells.index(name) for name in _LISTED if name in cells), None)


def _spread(rows: Sequence[Row], *, at: int, where: str, pictures: Pictures, findings: Findings) -> list[Row]:
    """The rows with four cells more, and the cell of the box left blank."""
    header = rows[0].cells
    columns = understand_box_header((*header, *_SIZED))
    assert columns is not None, header
    whole = [row for row in rows[1:] if len(row.cells) == len(header)]
    texts = {row.line: _WORD.findall(row.cells[at]) for row in whole}
    boxes = [(row.cells[columns.file], texts[row.line]) for row in whole if len(texts[row.line]) == len(_SIZED)]
    names, meaning = _SIZED, "x, y, width, height"
    if _are_corners(boxes, pictures=pictures):
        names, meaning = _EDGES, "x0, y0, x1, y1"
    findings.note("columns-assumed", where, f"the numbers of '{header[at]}' are taken for {meaning}")
    spread = [Row(cells=(*header[:at], "", *header[at + 1 :], *names), line=rows[0].line)]
    for row in rows[1:]:
        cells = texts.get(row.line, [])
        if len(cells) not in (0, len(names)):
            cells = [row.cells[at], "", "", ""]  # the whole text is told where a number is asked for
        padded = (*cells, *[""] * (len(names) - len(cells)))
        spread.append(Row(cells=(*row.cells[:at], "", *row.cells[at + 1 :], *padded), line=row.line))
    return spread


def _are_corners(boxes: Sequence[tuple[str, Sequence[str]]], *, pictures: Pictures) -> bool:
    """Whether four numbers are two corners: all can be, and as sizes some would reach out of their pictures."""
    known = [(name, [number(text) for text in box]) for name, box in boxes if all(map(_is_number, box))]
    if not known or any(x1 <= x0 or y1 <= y0 for _, (x0, y0, x1, y1) in known):
        return False
    for name, (x0, y0, x1, y1) in known[:_LOOKED_AT]:
        path = pictures.find(name)
        try:
            height, width = (0, 0) if path is None else read_size(path)
        except ImageError:
            continue  # told when its turn comes
        if path is not None and (x0 + x1 > width + 1 or y0 + y1 > height + 1):
            return True
    return False
