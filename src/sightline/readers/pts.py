"""300-W `.pts` files, each beside its picture: `version: 1`, `n_points: 68`, `{`, one `x y` a line, `}`.

Convention of the format: coordinates count pixels from 1 (MATLAB), so the centre of the first pixel
is (1, 1); 1 is subtracted, and the pixel-index coordinates become continuous ones. What follows `#` or
`//` on a line is a comment.
In: a folder (and those below it), or one file. Out: a Dataset. Next: imm_asf.py
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from sightline.errors import UserError
from sightline.geometry import index_to_continuous
from sightline.readers.assemble import Draft, Findings, assemble, majority_count, numbered_skeleton, place
from sightline.readers.pictures import Pictures, files_below
from sightline.readers.texts import is_finite, number, read_text, split_of_name
from sightline.records import Dataset

FORMAT = "pts"
_COMMENT = re.compile(r"(#|//).*")
LOOKED_FOR = "*.pts files beside pictures of the same name (300-W)"


def detect(path: Path) -> bool:
    """Whether the path is a .pts file or a folder with some in it or below it."""
    return bool(_files(path))


def read(path: Path) -> Dataset:
    """Read every .pts file in a folder and below it; folders `train`, `test`, ... are parts of the data.

    Raises:
        UserError: there are none.
    """
    files = _files(path)
    if not files:
        raise UserError(f"{path} is not what '{FORMAT}' reads. Expected {LOOKED_FOR}.")
    root = path if path.is_dir() else path.parent
    findings, pictures, drafts = Findings(), Pictures(root), []
    for file in files:
        where = place(file, root)
        name = pictures.name_beside(file)
        points = _points(file, where=where, image_id=name, findings=findings)
        if points is None:
            continue
        drafts.append(
            Draft(
                name=name,
                points_xy=index_to_continuous(points - 1),
                visible=np.ones(len(points), dtype=bool),
                source=where,
                listing=where,
                split=_split(file, root=root),
                path=pictures.beside(file),
            )
        )
    count, kept = majority_count(drafts, findings=findings)
    skeleton = numbered_skeleton(count, findings=findings, where="*.pts")
    return assemble(kept, root=root, format=FORMAT, skeleton=skeleton, findings=findings, pictures=pictures)


def _files(path: Path) -> list[Path]:
    """The .pts files below a folder, or the path itself."""
    if path.is_dir():
        return files_below(path, suffixes=(".pts",))
    return [path] if path.suffix.lower() == ".pts" and path.is_file() else []


def _split(file: Path, *, root: Path) -> str | None:
    """The part that a folder on the way names: `helen/trainset/a.pts` -> "train"."""
    for folder in file.relative_to(root).parts[:-1]:
        if (split := split_of_name(folder.lower().removesuffix("set"))) is not None:
            return split
    return None


def _points(file: Path, *, where: str, image_id: str, findings: Findings) -> np.ndarray | None:
    """The points of one file as it writes them, [K, 2]; None, with an error, where it cannot be used."""
    announced: int | None = None
    points: list[list[float]] = []
    inside = False
    for line, text in enumerate(read_text(file).splitlines(), start=1):
        words = _COMMENT.sub("", text).split()
        if not words:
            continue
        if words == ["{"]:
            inside = True
        elif words == ["}"]:
            break
        elif not inside:
            key, _, value = _COMMENT.sub("", text).replace("{", "").partition(":")
            inside = words[-1].endswith("{")
            if key.strip().lower() == "n_points" and value.strip().isdecimal():
                announced = int(value)
        else:
            try:
                xy = [number(word) for word in words]
            except ValueError:
                xy = []
            if len(xy) != 2:
                findings.error(
                    "row-unreadable", f"{where}:{line}", f"expected `x y`, found '{text}'", image_id=image_id
                )
                return None
            if not is_finite(xy):
                findings.error("point-not-finite", f"{where}:{line}", f"a point is ({text})", image_id=image_id)
                return None
            points.append(xy)
    if not points or (announced is not None and announced != len(points)):
        said = "" if announced is None else f", but n_points says {announced}"
        findings.error("point-count", where, f"{len(points)} points between the braces{said}", image_id=image_id)
        return None
    return np.array(points)
