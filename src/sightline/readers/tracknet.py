"""TrackNet: a CSV of one row a frame, beside a video or a folder of numbered frames.

`Frame,Visibility,X,Y` in any order and letter case (TrackNetV2 and V3; the video has the CSV's name, perhaps
without `_ball`, beside it or in `../video`; or frames in `../frame/NAME`), `frame_num,x,y,visible` with fractions,
or the first TrackNet's `Label.csv` among numbered pictures: `file name,visibility,x-coordinate,y-coordinate,status`.
Convention of the format: frames are numbered from 0; X and Y are pixel-index coordinates (the centre of the first
pixel is 0), turned into continuous ones; where no number is above 1 they are fractions from edge to edge.
Visibility 0 is not visible, and so is 3 (occluded, in `Label.csv`); 1 and 2 (hard to see) are visible. Of a video
that is labelled in a folder `corrected_csv` too, that one counts. Folders named train, val and test are the parts of
the data. In: a CSV or a folder of many. Out: a Dataset of clips.
Next: ball_csv.py
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sightline.errors import UserError
from sightline.geometry import index_to_continuous
from sightline.readers.assemble import Findings, LabelError, place
from sightline.readers.clip_assemble import ClipDraft, FrameLabel, assemble_clips
from sightline.readers.footage import find_footage, footage_of
from sightline.readers.texts import Row, is_finite, number, part_of_name, read_header, read_table
from sightline.records import Dataset
from sightline.video.folder_source import numbered_pictures
from sightline.video.library import VideoError

FORMAT = "tracknet"
LOOKED_FOR = "a CSV with Frame, Visibility, X, Y (TrackNet), beside a video or a folder of frames"

_FRAME = ("frame", "frame_num", "frame_number", "frame_no", "frame_id", "frame_index", "framenum")
_VISIBLE = ("visibility", "visible", "vis")
_X, _Y = ("x", "x_coordinate", "x_coord"), ("y", "y_coordinate", "y_coord")
_PICTURE = ("file_name", "file", "filename")
_REMARKS = ("status", "time", "inpaint_mask")
_DEPTHS = ("*.csv", "*/*.csv", "*/*/*.csv", "*/*/*/*.csv")
_ENDINGS = re.compile(r"[_-](ball|labels?|track|predict|shuttle)$", re.IGNORECASE)
_OCCLUDED = 3
_CORRECTED = "corrected"


@dataclass(frozen=True, kw_only=True)
class _Columns:
    """Positions of columns; `frame` holds names of pictures where `is_named`."""

    frame: int
    visible: int
    x: int
    y: int
    is_named: bool
    ignored: tuple[str, ...]
    count: int


def detect(path: Path) -> bool:
    """Whether the path is such a CSV, or one lies in the folder or up to three folders below."""
    return bool(_files(path, first_only=True))


def read(path: Path) -> Dataset:
    """Read one CSV, or all of a folder; each is a clip.

    Raises:
        UserError: there is none, or some hold fractions and some pixels.
        MissingExtra: a clip is a video, and PyAV is not installed.
    """
    files = _files(path)
    if not files:
        raise UserError(f"{path} is not what '{FORMAT}' reads. Expected {LOOKED_FOR}.")
    root = path if path.is_dir() else path.parent
    findings = Findings()
    drafts: list[ClipDraft] = []
    fractions: dict[bool, str] = {}
    for file in files:
        where = place(file, root)
        rows = read_table(file)
        columns = _understand(rows[0].cells)
        assert columns is not None, file
        if columns.ignored:
            findings.note("columns-ignored", where, f"nothing is made of the columns {', '.join(columns.ignored)}")
        labels = _labels(rows[1:], columns=columns, where=where, findings=findings)
        places = [label.xy for label in labels if label.xy is not None and is_finite(label.xy)]
        if places:
            fractions.setdefault(_are_fractions(places), where)
        draft = _clip(file, labels, root=root, columns=columns, findings=findings)
        if draft is not None:
            drafts.append(draft)
    if len(fractions) == 2:
        raise UserError(
            f"{root} mixes positions in pixels ({fractions[False]}) with fractions of the frame ({fractions[True]}). "
            "Expected one unit in a data set: read the files one by one, or convert some."
        )
    drafts = _each_footage_once(drafts, findings=findings)
    are_fractions = True in fractions
    if are_fractions:
        message = "no number is above 1: positions are taken for fractions of the frame"
        findings.note("fractions-assumed", fractions[True], message)
    else:
        drafts = [_in_pixels(draft) for draft in drafts]
    return assemble_clips(drafts, root=root, format=FORMAT, findings=findings, fractions=are_fractions)


def _each_footage_once(drafts: Sequence[ClipDraft], *, findings: Findings) -> list[ClipDraft]:
    """Of several label files of one video the corrected one (TrackNetV3 has `corrected_csv` beside `csv`)."""
    kept: dict[object, ClipDraft] = {}
    for draft in drafts:
        key = draft.footage.video or tuple(draft.footage.pictures.values())
        first = kept.setdefault(key, draft)
        if first is draft:
            continue
        better = [one for one in (first, draft) if _CORRECTED in one.where.lower()]
        if len(better) == 1:
            kept[key] = better[0]
            message = f"its frames are labelled at {first.where} and {draft.where}; the corrected one is used"
            findings.note("annotations-several", better[0].where, message)
        else:
            message = f"its frames are labelled at {first.where} already; only that one is kept"
            findings.error("image-duplicated", draft.where, message)
    return list(kept.values())


def _files(path: Path, *, first_only: bool = False) -> list[Path]:
    """The CSVs of this format."""
    candidates = (file for depth in _DEPTHS for file in sorted(path.glob(depth))) if path.is_dir() else iter([path])
    found = []
    for file in candidates:
        is_csv = file.suffix.lower() == ".csv" and not file.name.startswith(".") and file.is_file()
        if is_csv and _understand(read_header(file)) is not None:
            found.append(file)
            if first_only:
                break
    return found


def _understand(header: Sequence[str]) -> _Columns | None:
    """Tell the columns of a header; None where it is not of this format."""
    cells = [re.sub(r"[ -]+", "_", cell.strip().lower()) for cell in header]
    where = {cell: position for position, cell in reversed(list(enumerate(cells)))}

    def first(names: Sequence[str]) -> int | None:
        return next((where[name] for name in names if name in where), None)

    frame, visible, x, y, picture = first(_FRAME), first(_VISIBLE), first(_X), first(_Y), first(_PICTURE)
    if visible is None or x is None or y is None or (frame is None) == (picture is None):
        return None
    # `file,x,y,visible` with other spellings is a CSV of landmarks, not of frames.
    if frame is None and cells[x] != "x_coordinate":
        return None
    index = frame if frame is not None else picture
    assert index is not None
    used = {index, visible, x, y}
    ignored = tuple(
        cell for i, cell in enumerate(header) if i not in used and cells[i] not in _REMARKS and cell.strip()
    )
    return _Columns(frame=index, visible=visible, x=x, y=y, is_named=frame is None, ignored=ignored, count=len(header))


def _labels(rows: Sequence[Row], *, columns: _Columns, where: str, findings: Findings) -> list[FrameLabel]:
    """The rows that can be understood, as they stand in the file; the others become errors."""
    read_rows: list[tuple[FrameLabel, float]] = []
    for row in rows:
        source = f"{where}:{row.line}"
        try:
            read_rows.append(_label(row, columns=columns, source=source))
        except LabelError as bad:
            findings.error(bad.id, source, str(bad))
    flags = [flag for _, flag in read_rows]
    placed = [label for label, _ in read_rows if label.xy is not None and any(label.xy) and is_finite(label.xy)]
    if read_rows and placed and not any(flags):
        message = (
            f"the visibility column is 0 in all {len(read_rows)} rows, but {len(placed)} have a place: the column "
            "seems unused. Rows with a place other than (0, 0) are taken for visible"
        )
        findings.warning("visibility-unused", where, message)
        kept = {id(label) for label in placed}
        return [label if id(label) in kept else _hidden(label) for label, _ in read_rows]
    if occluded := sum(flag == _OCCLUDED for flag in flags):
        message = f"{occluded} frames have visibility 3, an occluded ball; they are taken for not visible"
        findings.note("occluded-hidden", where, message)
    labels = []
    for label, flag in read_rows:
        if flag in (0, _OCCLUDED):
            labels.append(_hidden(label))
        elif label.xy is None:
            message = f"frame {label.number} is said to be visible but has no place"
            findings.error("point-incomplete", label.source, message)
        else:
            labels.append(label)
    return labels


def _label(row: Row, *, columns: _Columns, source: str) -> tuple[FrameLabel, float]:
    """One row with the place as it is written, and its visibility."""
    if len(row.cells) < columns.count or any(row.cells[columns.count :]):
        raise LabelError("row-length", f"{len(row.cells)} cells, but the header has {columns.count}")
    name = row.cells[columns.frame]
    digits = re.search(r"(\d+)\D*$", Path(name).stem) if columns.is_named else re.fullmatch(r"(\d+)(?:\.0*)?", name)
    if digits is None:
        raise LabelError("row-unreadable", f"the frame is '{name}', expected a whole number from 0 on")
    x, y = row.cells[columns.x], row.cells[columns.y]
    try:
        flag = number(row.cells[columns.visible])
        xy = (number(x), number(y)) if x and y else None
    except ValueError:
        shown = ", ".join((row.cells[columns.visible], x, y))
        raise LabelError("row-unreadable", f"visibility, x and y are ({shown}), expected numbers") from None
    if not 0 <= flag <= _OCCLUDED:
        raise LabelError("visibility-invalid", f"visibility is {flag:g}, expected 0 to 3")
    return FrameLabel(number=int(digits.group(1)), xy=xy, source=source), flag


def _hidden(label: FrameLabel) -> FrameLabel:
    return FrameLabel(number=label.number, xy=None, source=label.source)


def _are_fractions(places: Sequence[tuple[float, float]]) -> bool:
    """Whether no place is beyond 1, and they are not all at whole pixels."""
    values = np.array(places)
    return bool((values <= 1).all() and (values >= 0).all() and (values != values.round()).any())


def _in_pixels(draft: ClipDraft) -> ClipDraft:
    """The clip with pixel-index places made continuous."""
    labels = []
    for label in draft.labels:
        if label.xy is None:
            labels.append(label)
            continue
        x, y = index_to_continuous(np.array(label.xy)).tolist()
        labels.append(FrameLabel(number=label.number, xy=(x, y), source=label.source))
    return ClipDraft(name=draft.name, footage=draft.footage, labels=labels, where=draft.where, split=draft.split)


def _clip(
    file: Path, labels: Sequence[FrameLabel], *, root: Path, columns: _Columns, findings: Findings
) -> ClipDraft | None:
    """The clip of a CSV; None, with an error, where its frames cannot be found or read."""
    where = place(file, root)
    if columns.is_named:
        found = file.parent if numbered_pictures(file.parent) else None
        name = place(file.parent, root)
        name = name if name != "." else root.absolute().name
    else:
        stems = list(dict.fromkeys((file.stem, _ENDINGS.sub("", file.stem))))
        found = find_footage(file, stems)
        name = place(file.with_suffix(""), root)
        if found is None and numbered_pictures(file.parent):
            found = file.parent
    if found is None:
        message = f"there is no video and no folder of numbered frames for it, such as {file.with_suffix('.mp4').name}"
        findings.error("video-missing", where, message)
        return None
    try:
        footage = footage_of(found)
    except VideoError as error:
        findings.error(error.fault, where, str(error))
        return None
    top = file.relative_to(root).parts[0] if file.is_relative_to(root) else ""
    split = part_of_name(top) if part_of_name(top) in ("train", "val", "test") else None
    return ClipDraft(name=name, footage=footage, labels=labels, where=where, split=split)
