"""IMM face database: `NN-vx.asf`, an AAM shape file, beside `NN-vx.jpg`.

After comments and blank lines come the number of points, one row for each (path, type, x, y, point,
from, to, perhaps more) and the picture's name. Convention of the format: x and y are fractions of the
picture's width and height, from edge to edge, so they become continuous pixels by multiplication.
The group is the person, NN of the name. In: a folder (and those below it), or one file. Out: a
Dataset. Next: deeplabcut.py
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from sightline.errors import UserError
from sightline.readers.assemble import Draft, Findings, assemble, majority_count, numbered_skeleton, place
from sightline.readers.pictures import Pictures, files_below, is_picture
from sightline.readers.texts import is_finite, number, read_text
from sightline.records import Dataset

FORMAT = "imm_asf"
LOOKED_FOR = "*.asf files beside pictures of the same name (IMM)"

_PERSON = re.compile(r"(\d+)-\d+[a-z]?", re.IGNORECASE)


def detect(path: Path) -> bool:
    """Whether the path is an .asf file or a folder with some in it or below it."""
    return bool(_files(path))


def read(path: Path) -> Dataset:
    """Read every .asf file in a folder and below it.

    Raises:
        UserError: there are none.
    """
    files = _files(path)
    if not files:
        raise UserError(f"{path} is not what '{FORMAT}' reads. Expected {LOOKED_FOR}.")
    root = path if path.is_dir() else path.parent
    findings, pictures, drafts = Findings(), Pictures(root), []
    for file in files:
        draft = _draft(file, where=place(file, root), pictures=pictures, findings=findings)
        if draft is not None:
            drafts.append(draft)
    count, kept = majority_count(drafts, findings=findings)
    where = "*.asf"
    skeleton = numbered_skeleton(count, findings=findings, where=where, known=("imm58", "ibug68"))
    return assemble(
        kept, root=root, format=FORMAT, skeleton=skeleton, findings=findings, pictures=pictures, fractions=True
    )


def _files(path: Path) -> list[Path]:
    """The .asf files below a folder, or the path itself."""
    if path.is_dir():
        return files_below(path, suffixes=(".asf",))
    return [path] if path.suffix.lower() == ".asf" and path.is_file() else []


def _draft(file: Path, *, where: str, pictures: Pictures, findings: Findings) -> Draft | None:
    """The draft of one file; None, with an error, where it cannot be used."""
    image_id = pictures.name_beside(file)
    lines = [
        (line, text.strip())
        for line, text in enumerate(read_text(file).splitlines(), start=1)
        if text.strip() and not text.lstrip().startswith("#")
    ]
    if not lines or not lines[0][1].isdecimal():
        message = f"expected the number of points first, found '{lines[0][1] if lines else 'nothing'}'"
        findings.error("row-unreadable", where, message, image_id=image_id)
        return None
    announced, points, host = int(lines[0][1]), [], ""
    for line, text in lines[1:]:
        words = text.split()
        if len(words) < 4:
            if is_picture(Path(text)):
                host = text
                continue
            message = f"expected `path type x y point from to`, found '{text}'"
            findings.error("row-unreadable", f"{where}:{line}", message, image_id=image_id)
            return None
        try:
            xy = [number(words[2]), number(words[3])]
        except ValueError:
            if is_picture(Path(text)):
                host = text
                continue
            findings.error(
                "row-unreadable", f"{where}:{line}", f"x and y of '{text}' are no numbers", image_id=image_id
            )
            return None
        if not is_finite(xy):
            findings.error("point-not-finite", f"{where}:{line}", f"a point is ({xy[0]}, {xy[1]})", image_id=image_id)
            return None
        points.append(xy)
    if len(points) != announced:
        message = f"{len(points)} rows of points, but the file says {announced}"
        findings.error("point-count", f"{where}:{lines[0][0]}", message, image_id=image_id)
        return None
    person = _PERSON.fullmatch(file.stem)
    beside = pictures.beside(file)
    folder = file.parent.relative_to(pictures.root).as_posix()
    return Draft(
        name=image_id if beside or not host else f"{folder}/{host}",
        points_xy=np.array(points, dtype=np.float64).reshape(-1, 2),
        visible=np.ones(len(points), dtype=bool),
        source=where,
        listing=where,
        group=person.group(1) if person else None,
        path=beside,
    )
