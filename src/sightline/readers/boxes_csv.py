"""One CSV row for each box: `file,class,xmin,ymin,xmax,ymax`, in any order of columns.

Convention: edges are continuous pixels and stay as they are. The header decides: a file column (`file`,
`filename`, `image`, `path`, ...); `xmin,ymin,xmax,ymax` and other spellings, or `x,y,w,h` (left, top,
width, height), or `x_center,y_center,width,height`; optionally `class` (or `label`, `name`, `category`,
...; without one all are "object"), `width`, `height`, `split`, `group`, `crowd`, `area`. A row whose box is
blank is a picture without objects. Files without a header, or with the box in one cell, are the matter of
box_rows.py. Where no number is above 1, they are fractions of the picture. The order of classes is that of
`NAME_classes.txt` or `classes.txt` beside the CSV, one name a line; else they are sorted.
In: a CSV file, its folder, or one CSV in each folder of a part (train/, valid/). Out: a Dataset.
Next: label_studio.py
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from sightline.errors import UserError
from sightline.readers.assemble import Findings, LabelError, place
from sightline.readers.assemble_boxes import BoxDraft, Fault, RawBox, are_fractions, assemble_boxes, size_said
from sightline.readers.box_header import BoxColumns, looks_like_boxes, understand_box_header
from sightline.readers.box_rows import header_of, rows_of
from sightline.readers.class_names import class_order, read_class_list
from sightline.readers.pictures import Pictures, finder_of
from sightline.readers.texts import Row, files_with_parts, number, part_folders
from sightline.records import Dataset

FORMAT = "boxes_csv"
LOOKED_FOR = "a CSV whose header has a file column and xmin, ymin, xmax, ymax columns (file,class,xmin,...)"

ONLY_CLASS = "object"
_YES, _NO = ("1", "1.0", "true", "yes"), ("", "0", "0.0", "false", "no", "-1")  # -1 is not known (Open Images)


def detect(path: Path) -> bool:
    """Whether a CSV, or one directly in the folder or in those of the parts, has a header of boxes."""
    return bool(_files(path))


def read(path: Path) -> Dataset:
    """Read a CSV, or those of a folder (`train.csv` and `val.csv` become parts of the data).

    Raises:
        UserError: no such CSV, or no rows.
    """
    files = _files(path) or [file for file in _csvs(path) if understand_box_header(header_of(file)) is not None]
    if not files:
        raise UserError(f"{path} is not what '{FORMAT}' reads. Expected {LOOKED_FOR}.")
    root = path if path.is_dir() else path.parent
    findings = Findings()
    drafts: list[BoxDraft] = []
    chosen = files_with_parts(files, folder=root, what="box CSV")
    for file, split in chosen:
        finder = finder_of(file, root=root)
        for draft in _drafts(file, where=place(file, root), pictures=finder, findings=findings):
            draft = replace(draft, path=finder.find(draft.name))
            drafts.append(draft if draft.split or split is None else replace(draft, split=split))
    read_files = {file for file, _ in chosen}
    lists = [file.with_name(f"{file.stem}_classes.txt") for file, _ in chosen]
    found = [box.label for draft in drafts for box in draft.boxes]
    return assemble_boxes(
        drafts,
        root=root,
        format=FORMAT,
        classes=class_order(found, listed=read_class_list([*lists, root / "classes.txt"])),
        findings=findings,
        pictures=Pictures(root),
        fractions=are_fractions(drafts, findings=findings, where=", ".join(place(file, root) for file, _ in chosen)),
        labelled_elsewhere=[file for file in _csvs(root) if file not in read_files],
    )


def _files(path: Path) -> list[Path]:
    """The CSVs of this format: the path itself, those directly in it, or those in its folders of parts."""
    for folders in ([path], part_folders(path)):
        if found := [f for folder in folders for f in _csvs(folder) if looks_like_boxes(header_of(f))]:
            return found
    return []


def _csvs(path: Path) -> list[Path]:
    """The CSVs: the path itself, or those directly in it."""
    candidates = sorted(path.iterdir()) if path.is_dir() else [path]
    return [f for f in candidates if f.suffix.lower() == ".csv" and not f.name.startswith(".") and f.is_file()]


def _drafts(file: Path, *, where: str, pictures: Pictures, findings: Findings) -> list[BoxDraft]:
    """A draft for each row; those of one picture are put together later."""
    rows = rows_of(file, where=where, pictures=pictures, findings=findings)
    columns = understand_box_header(rows[0].cells)
    assert columns is not None, rows[0]
    if columns.ignored:
        findings.note("columns-ignored", where, f"nothing is made of the columns {', '.join(columns.ignored[:12])}")
    if columns.label is None:
        findings.note("class-assumed", where, f"there is no class column; all boxes are '{ONLY_CLASS}'")
    if columns.score is not None:
        message = "there is a column of scores: these seem to be detections; all are taken for labels"
        findings.warning("score-ignored", where, message)
    drafts = []
    for row in rows[1:]:
        try:
            drafts.append(_draft(row, columns=columns, file=where))
        except LabelError as bad:
            findings.error(bad.id, f"{where}:{row.line}", str(bad))
    return drafts


def _draft(row: Row, *, columns: BoxColumns, file: str) -> BoxDraft:
    """One row; raises `LabelError` where not even its picture is known."""
    if len(row.cells) > columns.count and not any(row.cells[columns.count :]):
        row = Row(cells=row.cells[: columns.count], line=row.line)
    if len(row.cells) != columns.count:
        raise LabelError("row-length", f"{len(row.cells)} cells, but the header has {columns.count}")
    name, source = columns.text(row, columns.file), f"{file}:{row.line}"
    if not name:
        raise LabelError("row-unreadable", "no picture is named in this row")
    boxes: tuple[RawBox, ...] = ()
    faults: tuple[Fault, ...] = ()
    size_hw = None
    try:
        size_hw = size_said(columns.text(row, columns.width), columns.text(row, columns.height))
        boxes = _boxes(row, columns=columns, source=source)
    except LabelError as bad:
        faults = (Fault(id=bad.id, source=source, message=str(bad)),)
    return BoxDraft(
        name=name,
        source=source,
        listing=file,
        boxes=boxes,
        faults=faults,
        size_hw=size_hw,
        group=columns.text(row, columns.group) or None,
        split=columns.text(row, columns.split).lower() or None,
    )


def _boxes(row: Row, *, columns: BoxColumns, source: str) -> tuple[RawBox, ...]:
    """The row's box; none where its cells are blank."""
    cells = [row.cells[position] for position in columns.box]
    if not any(cells):
        return ()
    x0, y0, x1, y1 = (_value(cell, what="an edge of the box") for cell in cells)
    if columns.is_centred:
        x0, y0 = x0 - x1 / 2, y0 - y1 / 2
    if columns.is_sized:
        x1, y1 = x0 + x1, y0 + y1
    label = columns.text(row, columns.label)
    if not label and columns.label is not None:
        raise LabelError("box-class-missing", "a box without a class")
    crowd = columns.text(row, columns.crowd).lower()
    if crowd not in (*_YES, *_NO):
        raise LabelError("row-unreadable", f"crowd is '{crowd}', expected 0 or 1")
    area = columns.text(row, columns.area)
    box = RawBox(
        xyxy=(x0, y0, x1, y1),
        label=label or ONLY_CLASS,
        source=source,
        crowd=crowd in _YES,
        area=_value(area, what="area") if area else None,
    )
    return (box,)


def _value(text: str, *, what: str) -> float:
    try:
        return number(text)
    except ValueError:
        raise LabelError("row-unreadable", f"{what} is '{text}', which is not a number") from None
