"""DeepLabCut: `CollectedData_*.csv` with three header rows, in a project or alone.

The header rows are scorer, bodyparts, coords (x, y); then one row for each picture, named in one
cell (`labeled-data/video/img.png`) or in three. Convention of the format: pixel-index coordinates,
turned into continuous ones; blank (or pandas' `nan`) is not labelled. The group is the video, the
folder below `labeled-data`. `config.yaml` gives the order of body parts and the edges.
In: a project folder, a folder with such a CSV, or the CSV. Out: a Dataset. Next: coco_keypoints.py
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np

from sightline.errors import UserError
from sightline.geometry import index_to_continuous
from sightline.readers.assemble import Draft, Findings, assemble, place
from sightline.readers.pictures import Pictures
from sightline.readers.texts import Row, is_finite, number, read_header, read_table, read_yaml
from sightline.records import Dataset, Skeleton
from sightline.skeletons import skeleton_for

FORMAT = "deeplabcut"
LOOKED_FOR = "labeled-data/*/CollectedData_*.csv, or a CSV whose first cell is 'scorer' (DeepLabCut)"

_MISSING = ("", "nan")


@dataclass(frozen=True, kw_only=True)
class _Header:
    """The three header rows: how many cells name the picture, and each body part's columns."""

    index_cells: int
    columns: dict[str, tuple[int, int]]
    width: int


def detect(path: Path) -> bool:
    """Whether the path is such a CSV, a project, or a folder with such a CSV."""
    return bool(_files(path))


def read(path: Path) -> Dataset:
    """Read all CSVs of a project, or one.

    Raises:
        UserError: there is none, it is of several animals, or its header rows are not the three.
    """
    files = _files(path)
    if not files:
        raise UserError(f"{path} is not what '{FORMAT}' reads. Expected {LOOKED_FOR}.")
    root = _root(path)
    config_path = root / "config.yaml"
    config = read_yaml(config_path) if config_path.is_file() else {}
    files = _one_scorer(files, scorer=str(config.get("scorer", "")))
    tables = [(file, read_table(file)) for file in files]
    headers = [_header(rows, file=file) for file, rows in tables]
    names = _names(headers, listed=config.get("bodyparts"))
    findings, drafts = Findings(), []
    for (file, rows), header in zip(tables, headers, strict=True):
        for row in rows[3:]:
            where = place(file, root, line=row.line)
            draft = _draft(row, header=header, names=names, where=where, findings=findings)
            if draft is not None:
                drafts.append(draft if draft.group else replace(draft, group=_video_of(file)))
    skeleton = _skeleton(names, edges=config.get("skeleton"), where=config_path.name, findings=findings)
    pictures = Pictures(root, folders=[file.parent for file in files])
    return assemble(drafts, root=root, format=FORMAT, skeleton=skeleton, findings=findings, pictures=pictures)


def _files(path: Path) -> list[Path]:
    """The label CSVs of a project, or directly in a folder, or the path itself."""
    if not path.is_dir():
        candidates = [path]
    else:
        candidates = sorted(path.glob("labeled-data/*/CollectedData*.csv")) or sorted(path.glob("*.csv"))
    return [
        file
        for file in candidates
        if file.suffix.lower() == ".csv" and file.is_file() and read_header(file)[:1] == ("scorer",)
    ]


def _root(path: Path) -> Path:
    """The project that a CSV belongs to, or its folder."""
    if path.is_dir():
        return path
    folder = path.absolute().parent
    return folder.parent.parent if folder.parent.name == "labeled-data" else folder


def _video_of(file: Path) -> str | None:
    """The video that a CSV's own folder stands for, where its rows do not say."""
    folder = file.absolute().parent
    return folder.name if folder.parent.name == "labeled-data" else None


def _one_scorer(files: Sequence[Path], *, scorer: str) -> list[Path]:
    """One CSV for each folder: of several scorers, the one that config.yaml names."""
    chosen = []
    for folder in dict.fromkeys(file.parent for file in files):
        mine = [file for file in files if file.parent == folder]
        if len(mine) > 1:
            named = [file for file in mine if file.stem == f"CollectedData_{scorer}"]
            if len(named) != 1:
                names = ", ".join(file.name for file in mine)
                raise UserError(
                    f"{folder} holds labels of several scorers ({names}) and config.yaml does not name one of them. "
                    "Set `scorer` there, or give the path of one CSV."
                )
            mine = named
        chosen += mine
    return chosen


def _header(rows: Sequence[Row], *, file: Path) -> _Header:
    """Understand the header rows."""
    kinds = [row.cells[0].lower() for row in rows[:4]]
    if "individuals" in kinds:
        raise UserError(
            f"{file} labels several animals (its header has a row 'individuals'). Expected one animal in each picture: "
            "export a single-animal project, or convert the labels to COCO keypoints."
        )
    if kinds[:3] != ["scorer", "bodyparts", "coords"]:
        raise UserError(f"{file} starts with the rows {', '.join(kinds[:3])}. Expected scorer, bodyparts, coords.")
    bodyparts, coords = rows[1].cells, rows[2].cells
    index_cells = next((i for i, cell in enumerate(coords[1:], start=1) if cell), len(coords))
    found: dict[str, dict[str, int]] = {}
    for position in range(index_cells, min(len(bodyparts), len(coords))):
        axes = found.setdefault(bodyparts[position], {})
        axis = coords[position].lower()
        if axis in axes:
            raise UserError(f"{file}:{rows[2].line} has '{axis}' of '{bodyparts[position]}' twice. Expected it once.")
        axes[axis] = position
    if not found or any(not {"x", "y"} <= set(axes) for axes in found.values()):
        lacking = [name for name, axes in found.items() if not {"x", "y"} <= set(axes)]
        raise UserError(f"{file}:{rows[2].line} lacks x or y of {', '.join(lacking) or 'every body part'}.")
    columns = {name: (axes["x"], axes["y"]) for name, axes in found.items()}
    return _Header(index_cells=index_cells, columns=columns, width=len(coords))


def _names(headers: Sequence[_Header], *, listed: object) -> tuple[str, ...]:
    """The body parts of all tables; in the order of config.yaml where that lists all of them."""
    met = tuple(dict.fromkeys(name for header in headers for name in header.columns))
    if isinstance(listed, list) and set(met) <= {str(name) for name in listed}:
        return tuple(dict.fromkeys(str(name) for name in listed))
    return met


def _skeleton(names: tuple[str, ...], *, edges: object, where: str, findings: Findings) -> Skeleton:
    """Twins from the names, edges from config.yaml."""
    found = []
    for edge in edges if isinstance(edges, list) else []:
        ends = [str(end) for end in edge] if isinstance(edge, list) else [str(edge)]
        if len(ends) < 2 or any(end not in names for end in ends):
            findings.warning("skeleton-edge-unknown", where, f"the skeleton joins {', '.join(ends)}: not body parts")
            continue
        found += [(names.index(a), names.index(b)) for a, b in pairwise(ends)]
    known = skeleton_for(names)
    return replace(known, edges=tuple(found)) if found else known


def _draft(row: Row, *, header: _Header, names: tuple[str, ...], where: str, findings: Findings) -> Draft | None:
    """One row; None, with an error, where it cannot be used."""
    name = "/".join(row.cells[: header.index_cells]).replace("\\", "/")
    if len(row.cells) < header.width or any(row.cells[header.width :]):
        message = f"{len(row.cells)} cells, but the header has {header.width}"
        findings.error("row-length", where, message, image_id=name)
        return None
    points_xy, visible = np.zeros((len(names), 2)), np.zeros(len(names), dtype=bool)
    for index, bodypart in enumerate(names):
        if bodypart not in header.columns:
            continue
        cells = [row.cells[i] for i in header.columns[bodypart]]
        missing = [cell.lower() in _MISSING for cell in cells]
        if all(missing):
            continue
        if any(missing):
            findings.error("point-incomplete", where, f"'{bodypart}' has only one of x and y", image_id=name)
            return None
        try:
            xy = [number(cell) for cell in cells]
        except ValueError:
            findings.error("row-unreadable", where, f"'{bodypart}' is at ({', '.join(cells)})", image_id=name)
            return None
        if not is_finite(xy):
            findings.error("point-not-finite", where, f"'{bodypart}' is at ({', '.join(cells)})", image_id=name)
            return None
        points_xy[index], visible[index] = xy, True
    parts = name.split("/")
    video = parts[parts.index("labeled-data") + 1 : -1] if "labeled-data" in parts else []
    return Draft(
        name=name,
        points_xy=index_to_continuous(points_xy),
        visible=visible,
        source=where,
        listing=where,
        group="/".join(video) or None,
    )
