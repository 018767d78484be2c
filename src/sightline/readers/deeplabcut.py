"""DeepLabCut: `CollectedData_*.csv` with three or four header rows, in a project or alone.

The header rows are scorer, (individuals,) bodyparts, coords (x, y); then one row for each picture, named
in one cell (`labeled-data/video/img.png`) or in three. Convention of the format: pixel-index coordinates,
turned into continuous ones; blank (or pandas' `nan`) is not labelled. The group is the video, the folder
below `labeled-data`. `config.yaml` gives the order of body parts and the edges. Of several individuals each
one that is there is an object, with the tight box of its points; body parts that belong to no animal
(`single`) are left out with a note.
In: a project folder, a folder with such a CSV, or the CSV. Out: a Dataset. Next: coco_layout.py
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np

from sightline.errors import UserError
from sightline.geometry import Box, box_around, index_to_continuous
from sightline.readers.assemble import Draft, Findings, LabelError, assemble, place
from sightline.readers.pictures import Pictures
from sightline.readers.texts import Row, is_finite, number, read_header, read_table, read_yaml
from sightline.records import Dataset, Skeleton
from sightline.skeletons import skeleton_for

FORMAT = "deeplabcut"
LOOKED_FOR = "labeled-data/*/CollectedData_*.csv, or a CSV whose first cell is 'scorer' (DeepLabCut)"

_MISSING = ("", "nan")
# DeepLabCut's name in the row of individuals for body parts that belong to no animal.
_NOBODY = "single"


@dataclass(frozen=True, kw_only=True)
class _Header:
    """The header rows: how many, how many cells name the picture, and each animal's body parts and their columns."""

    rows: int
    index_cells: int
    animals: dict[str, dict[str, tuple[int, int]]]
    width: int

    @property
    def bodyparts(self) -> dict[str, None]:
        """The body parts of all animals, in order."""
        return dict.fromkeys(name for columns in self.animals.values() for name in columns)


def detect(path: Path) -> bool:
    """Whether the path is such a CSV, a project, or a folder with such a CSV."""
    return bool(_files(path))


def read(path: Path) -> Dataset:
    """Read all CSVs of a project, or one.

    Raises:
        UserError: there is none, its header rows are not these, or it holds predictions for a video.
    """
    files = _files(path)
    if not files:
        raise UserError(f"{path} is not what '{FORMAT}' reads. Expected {LOOKED_FOR}.")
    root = _root(path)
    config_path = root / "config.yaml"
    config = read_yaml(config_path) if config_path.is_file() else {}
    files = _one_scorer(files, scorer=str(config.get("scorer", "")))
    tables = [(file, read_table(file)) for file in files]
    findings, drafts = Findings(), []
    headers = [_header(rows, file=file, where=place(file, root), findings=findings) for file, rows in tables]
    listed = config.get("multianimalbodyparts") if config.get("multianimalproject") is True else config.get("bodyparts")
    names = _names(headers, listed=listed)
    for (file, rows), header in zip(tables, headers, strict=True):
        for row in rows[header.rows :]:
            where = place(file, root, line=row.line)
            for draft in _drafts(row, header=header, names=names, where=where, findings=findings):
                drafts.append(draft if draft.group else replace(draft, group=_video_of(file)))
    skeleton = _skeleton(names, edges=config.get("skeleton"), where=config_path.name, findings=findings)
    pictures = Pictures(root, folders=[file.parent for file in files])
    return assemble(drafts, root=root, format=FORMAT, skeleton=skeleton, findings=findings, pictures=pictures)


def nearly(path: Path) -> str | None:
    """What is lacking in a project that this reader cannot read; None where it is no such project."""
    stored = [path] if path.suffix == ".h5" else sorted(path.glob("labeled-data/*/CollectedData*.h5"))
    stored = stored or sorted(path.glob("CollectedData*.h5"))
    if not stored:
        return None
    return (
        f"{stored[0]} holds labels of DeepLabCut, but there is no CSV beside it, which is what is read. Write it: "
        'pandas.read_hdf("CollectedData_NAME.h5").to_csv("CollectedData_NAME.csv").'
    )


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


def _header(rows: Sequence[Row], *, file: Path, where: str, findings: Findings) -> _Header:
    """Understand the header rows."""
    kinds = [row.cells[0].lower() for row in rows[:4]]
    height = 4 if "individuals" in kinds else 3
    expected = ["scorer", "individuals", "bodyparts", "coords"] if height == 4 else ["scorer", "bodyparts", "coords"]
    if kinds[:height] != expected:
        raise UserError(f"{file} starts with the rows {', '.join(kinds[:3])}. Expected {', '.join(expected)}.")
    bodyparts, coords = rows[height - 2].cells, rows[height - 1].cells
    individuals = rows[1].cells if height == 4 else ("",) * len(coords)
    index_cells = next((i for i, cell in enumerate(coords[1:], start=1) if cell), len(coords))
    if "likelihood" in map(str.lower, coords) and len(rows) > height and rows[height].cells[0].isdecimal():
        raise UserError(
            f"{file} holds predictions of DeepLabCut for the frames of a video: its rows are numbered and have a "
            "likelihood. Expected the labels of pictures, CollectedData_*.csv of the project."
        )
    found: dict[tuple[str, str], dict[str, int]] = {}
    for position in range(index_cells, min(len(bodyparts), len(coords), len(individuals))):
        axes = found.setdefault((individuals[position], bodyparts[position]), {})
        axis = coords[position].lower()
        if axis in axes:
            where = f"{file}:{rows[height - 1].line}"
            raise UserError(f"{where} has '{axis}' of '{bodyparts[position]}' twice. Expected it once.")
        axes[axis] = position
    if not found or any(not {"x", "y"} <= set(axes) for axes in found.values()):
        lacking = [name for (_, name), axes in found.items() if not {"x", "y"} <= set(axes)]
        raise UserError(f"{file}:{rows[height - 1].line} lacks x or y of {', '.join(lacking) or 'every body part'}.")
    animals: dict[str, dict[str, tuple[int, int]]] = {}
    for (animal, name), axes in found.items():
        animals.setdefault(animal, {})[name] = (axes["x"], axes["y"])
    if len(animals) > 1 and (nobodys := animals.pop(_NOBODY, None)):
        message = f"the body parts of no animal ({_NOBODY}) are left out: {', '.join(nobodys)}"
        findings.note("columns-ignored", where, message)
    return _Header(rows=height, index_cells=index_cells, animals=animals, width=len(coords))


def _names(headers: Sequence[_Header], *, listed: object) -> tuple[str, ...]:
    """The body parts of all tables; in the order of config.yaml where that lists all of them."""
    met = tuple(dict.fromkeys(name for header in headers for name in header.bodyparts))
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


def _drafts(row: Row, *, header: _Header, names: tuple[str, ...], where: str, findings: Findings) -> list[Draft]:
    """The animals of one row, or the picture without any; none, with an error, where the row cannot be used."""
    name = "/".join(row.cells[: header.index_cells]).replace("\\", "/")
    parts = name.split("/")
    video = parts[parts.index("labeled-data") + 1 : -1] if "labeled-data" in parts else []
    background = Draft(
        name=name,
        points_xy=np.zeros((len(names), 2)),
        visible=np.zeros(len(names), dtype=bool),
        source=where,
        listing=where,
        group="/".join(video) or None,
    )
    try:
        if len(row.cells) < header.width or any(row.cells[header.width :]):
            raise LabelError("row-length", f"{len(row.cells)} cells, but the header has {header.width}")
        animals = [_points(row, columns=columns, names=names) for columns in header.animals.values()]
    except LabelError as bad:
        findings.error(bad.id, where, str(bad), image_id=name)
        return []
    drafts = []
    for points_xy, visible in animals:
        if visible.any():
            box = _box(points_xy[visible]) if len(header.animals) > 1 else None
            drafts.append(replace(background, points_xy=points_xy, visible=visible, box_xyxy=box))
    return drafts or [background]


def _points(row: Row, *, columns: dict[str, tuple[int, int]], names: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Continuous points [K, 2] of one animal, and which of them are labelled [K]."""
    points_xy, visible = np.zeros((len(names), 2)), np.zeros(len(names), dtype=bool)
    for index, bodypart in enumerate(names):
        if bodypart not in columns:
            continue
        cells = [row.cells[i] for i in columns[bodypart]]
        missing = [cell.lower() in _MISSING for cell in cells]
        if all(missing):
            continue
        if any(missing):
            raise LabelError("point-incomplete", f"'{bodypart}' has only one of x and y")
        try:
            xy = [number(cell) for cell in cells]
        except ValueError:
            raise LabelError("row-unreadable", f"'{bodypart}' is at ({', '.join(cells)})") from None
        if not is_finite(xy):
            raise LabelError("point-not-finite", f"'{bodypart}' is at ({', '.join(cells)})")
        points_xy[index], visible[index] = xy, True
    return np.where(visible[:, None], index_to_continuous(points_xy), 0.0), visible


def _box(points_xy: np.ndarray) -> Box | None:
    """The tight box of points; None where it has no area."""
    x0, y0, x1, y1 = box_around(points_xy)
    return (x0, y0, x1, y1) if x0 < x1 and y0 < y1 else None
