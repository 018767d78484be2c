"""What is to be predicted: pictures, folders of them, the records of a label file, boxes from a table or a run.

Next: predict.py
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sightline.errors import UserError
from sightline.geometry import Box
from sightline.images import list_images
from sightline.readers import read_dataset
from sightline.readers.texts import read_table
from sightline.scan import require_clean

LABEL_SUFFIXES = {".xml", ".json", ".csv"}
BOX_COLUMNS = ("file", "xmin", "ymin", "xmax", "ymax")


@dataclass(frozen=True, kw_only=True)
class Task:
    """One picture, or one object of it, to predict.

    Attributes:
        image_id: the picture's name; "#2" follows for its second object.
        path: where it lies.
        box: the object's box, or None for the whole picture.
        box_source: where the box came from, for the output.
    """

    image_id: str
    path: Path
    box: Box | None = None
    box_source: str = "whole image"


def find_tasks(
    inputs: Sequence[Path], *, boxes: Path | None = None, on_broken: Callable[[str], None] | None = None
) -> list[Task]:
    """Every picture below the inputs; with a table of boxes, one task for each of their boxes.

    Args:
        inputs: pictures, folders of them, label files.
        boxes: a CSV for `read_boxes`.
        on_broken: told what is wrong, for each record of a label file that cannot be used; it is then no error.

    Raises:
        UserError: an input is missing, holds no picture, or a picture has no box in the table.
    """
    found: dict[str, Path] = {}
    labelled: list[Task] = []
    for given in inputs:
        if given.is_dir():
            pictures = list_images(given)
            if not pictures:
                raise UserError(f"{given} holds no pictures. Give a folder with pictures, or picture files.")
            for path in pictures:
                _add(found, path.relative_to(given).as_posix(), path)
        elif given.is_file() and given.suffix.lower() in LABEL_SUFFIXES:
            labelled += tasks_of_labels(given, on_broken=on_broken)
        elif given.is_file():
            _add(found, given.name, given)
        else:
            raise UserError(f"There is no {given}. Give a picture or a folder of pictures.")
    if boxes is None:
        return [*labelled, *(Task(image_id=name, path=path) for name, path in found.items())]
    if labelled:
        raise UserError(
            "--boxes goes with pictures; a label file among the inputs brings its own boxes. Leave one out."
        )
    table = read_boxes(boxes)
    lacking = [name for name in found if name not in table]
    if lacking:
        raise UserError(
            f"{boxes} has no box for {len(lacking)} of {len(found)} pictures, first {lacking[:3]}. Add a row for each."
        )
    return [task for name, path in found.items() for task in boxed(name, path, table[name], source="given box")]


def boxed(name: str, path: Path, boxes: Sequence[Box], *, source: str) -> list[Task]:
    """One task for each box of a picture."""
    return [
        Task(image_id=name if number == 0 else f"{name}#{number + 1}", path=path, box=box, box_source=source)
        for number, box in enumerate(boxes)
    ]


def _add(found: dict[str, Path], name: str, path: Path) -> None:
    """Name a picture; one from another folder whose name is taken gets its whole path, none is lost."""
    if name in found and found[name].resolve() != path.resolve():
        name = path.as_posix().lstrip("/")
    found[name] = path


def tasks_of_labels(path: Path, *, on_broken: Callable[[str], None] | None = None) -> list[Task]:
    """One task for each record of a label file, in its order, with the record's box where it has one.

    An XML that has boxes but no parts, as competitions give it out, is such a file.

    Raises:
        UserError: the file is of no known format; or has errors, without `on_broken`, which is then told them.
    """
    dataset = require_clean(read_dataset(path), skip_broken=on_broken is not None)
    if on_broken is not None:
        for problem in dataset.errors:
            on_broken(str(problem))
    return [
        Task(image_id=r.image_id, path=r.path)
        if r.box_xyxy is None
        else Task(image_id=r.image_id, path=r.path, box=r.box_xyxy, box_source="given box")
        for r in dataset.records
    ]


def read_boxes(path: Path) -> dict[str, list[Box]]:
    """A CSV with the columns file, xmin, ymin, xmax, ymax (continuous pixels of the original picture).

    Raises:
        UserError: no such file, missing columns, or a row without a proper box, with its line.
    """
    if not path.is_file():
        raise UserError(
            f"--boxes {path}: there is no such file. Expected a CSV with the columns {', '.join(BOX_COLUMNS)}."
        )
    table: dict[str, list[Box]] = {}
    rows = read_table(path)
    columns = rows[0].cells if rows else ()
    missing = [column for column in BOX_COLUMNS if column not in columns]
    if missing:
        raise UserError(f"{path} lacks the columns {', '.join(missing)}. Expected {', '.join(BOX_COLUMNS)}.")
    for row in rows[1:]:
        values = dict(zip(columns, row.cells, strict=False))
        try:
            x0, y0, x1, y1 = (float(values[column]) for column in BOX_COLUMNS[1:])
        except (KeyError, ValueError):
            raise UserError(f"{path}:{row.line}: the box is not four numbers: {', '.join(row.cells)}.") from None
        if not (np.isfinite([x0, y0, x1, y1]).all() and x1 > x0 and y1 > y0):
            raise UserError(f"{path}:{row.line}: the box ({x0}, {y0}, {x1}, {y1}) has no area.")
        table.setdefault(values["file"], []).append((x0, y0, x1, y1))
    return table
