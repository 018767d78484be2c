"""TrackNet and other tables of frames: a CSV of one row a frame, beside a video or a folder of numbered frames.

`Frame,Visibility,X,Y` in any order and letter case (TrackNetV2 and V3; the video has the CSV's name, perhaps
without `_ball`, beside it or in `../video`; or frames in `../frame/NAME`), `frame_num,x,y,visible` with fractions,
`frame,ball_x,ball_y`, what `sightline track` writes, or the first TrackNet's `Label.csv` among numbered pictures:
`file name,visibility,x-coordinate,y-coordinate,status`. One CSV may be of many videos, which a column `video` or
`clip` names. Convention of the format: frames are numbered from 0 (or from 1, or as the pictures are, where only that
fits all of them); X and Y are pixel-index coordinates (the centre of the first pixel is 0), turned
into continuous ones; where no number is above 1 they are fractions from edge to edge.
Visibility 0 is not visible, and so is 3 (occluded, in `Label.csv`); 1 and 2 (hard to see) are visible. Without such a
column a row without a place (blank, negative, or 0, 0) is not visible. Of a video that is labelled in a folder
`corrected_csv` too, that one counts. Folders named train, val and test are the parts of the data.
In: a CSV or a folder of many. Out: a Dataset of clips. Next: ball_csv.py
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sightline.errors import UserError
from sightline.images import IMAGE_SUFFIXES
from sightline.readers.assemble import Findings, LabelError, place
from sightline.readers.clip_assemble import ClipDraft, FrameLabel, Place, assemble_clips, frame_number, open_footage
from sightline.readers.footage import find_footage, number_shift, only, videos_named
from sightline.readers.frame_header import FrameColumns, understand_frames
from sightline.readers.texts import Row, is_finite, number, read_header, read_table, split_named
from sightline.readers.tracknet_units import in_unit
from sightline.records import Dataset
from sightline.video.folder_source import numbered_pictures

FORMAT = "tracknet"
LOOKED_FOR = "a CSV with Frame, X, Y and perhaps Visibility (TrackNet), beside a video or a folder of frames"

_DEPTHS = ("*.[ct]sv", "*/*.[ct]sv", "*/*/*.[ct]sv", "*/*/*/*.[ct]sv")
_SUFFIXES = (".csv", ".tsv", ".txt")
_ENDINGS = re.compile(r"[_-](ball|labels?|track|predict|shuttle)$", re.IGNORECASE)
_OCCLUDED = 3
_CORRECTED = "corrected"
_WORDS = {"true": 1.0, "yes": 1.0, "false": 0.0, "no": 0.0}


@dataclass(frozen=True, kw_only=True)
class _Line:
    """One row: the place as it is written, how visible it is said to be, the clip, and whether it names a picture."""

    label: FrameLabel
    flag: float
    clip: str
    is_named: bool


def detect(path: Path) -> bool:
    """Whether the path is such a CSV, or one lies in the folder or up to three folders below."""
    return bool(_files(path, first_only=True))


def read(path: Path) -> Dataset:
    """Read one CSV, or all of a folder; each is a clip.

    Raises:
        UserError: there is none, or some hold fractions and some pixels.
        MissingExtra: a clip is a video, and PyAV is not installed.
    """
    files = _files(path) or _files(path, named=True)
    if not files:
        raise UserError(f"{path} is not what '{FORMAT}' reads. Expected {LOOKED_FOR}.")
    root = path if path.is_dir() else path.parent
    findings = Findings()
    drafts: list[ClipDraft] = []
    fractions: dict[bool, str] = {}
    for file in files:
        where = place(file, root)
        rows = read_table(file)
        columns = understand_frames(rows[0].cells, named=True)
        assert columns is not None, file
        if columns.ignored:
            findings.note("columns-ignored", where, f"nothing is made of the columns {', '.join(columns.ignored)}")
        lines = _lines(rows[1:], columns=columns, where=where, findings=findings)
        by_clip: dict[str, list[_Line]] = {} if lines else {"": []}
        for line in lines:
            by_clip.setdefault(line.clip, []).append(line)
        for name, its_lines in by_clip.items():
            labels = _labels(its_lines, columns=columns, where=where, findings=findings)
            told = in_unit(labels, is_continuous=columns.is_own, where=where, findings=findings)
            if told.are_fractions is not None:
                fractions.setdefault(told.are_fractions, told.witness)
            draft = _clip(file, told.labels, clip=name, root=root, columns=columns, findings=findings)
            if draft is not None and not any(line.is_named for line in its_lines):
                draft = _renumbered(draft, columns=columns, findings=findings)
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


def _files(path: Path, *, first_only: bool = False, named: bool = False) -> list[Path]:
    """The CSVs of this format; `named` as in `understand_frames`."""
    candidates = (file for depth in _DEPTHS for file in sorted(path.glob(depth))) if path.is_dir() else iter([path])
    found = []
    for file in candidates:
        is_csv = file.suffix.lower() in _SUFFIXES and not file.name.startswith(".") and file.is_file()
        if is_csv and understand_frames(read_header(file), named=named) is not None:
            found.append(file)
            if first_only:
                break
    return found


def _lines(rows: Sequence[Row], *, columns: FrameColumns, where: str, findings: Findings) -> list[_Line]:
    """The rows that can be understood, as they stand in the file; the others become errors."""
    found: list[_Line] = []
    for row in rows:
        source = f"{where}:{row.line}"
        try:
            found.append(_line(row, columns=columns, source=source))
        except LabelError as bad:
            findings.error(bad.id, source, str(bad))
    return found


def _labels(lines: Sequence[_Line], *, columns: FrameColumns, where: str, findings: Findings) -> list[FrameLabel]:
    """The labels of one clip, without the places that are said not to be visible."""
    placed = [line.label for line in lines if line.label.xy is not None and _is_place(line.label.xy)]
    if columns.visible is None:
        message = "no column says whether the point is visible: it is where there is a place other than (0, 0)"
        findings.note("visibility-assumed", where, message)
        return _only(placed, lines)
    if placed and not any(line.flag for line in lines):
        message = (
            f"the visibility column is 0 in all {len(lines)} rows, but {len(placed)} have a place: the column "
            "seems unused. Rows with a place other than (0, 0) are taken for visible"
        )
        findings.warning("visibility-unused", where, message)
        return _only(placed, lines)
    if occluded := sum(line.flag == _OCCLUDED for line in lines):
        message = f"{occluded} frames have visibility 3, an occluded ball; they are taken for not visible"
        findings.note("occluded-hidden", where, message)
    labels = []
    for line in lines:
        if line.flag in (0, _OCCLUDED):
            labels.append(_hidden(line.label))
        elif line.label.xy is None:
            message = f"frame {line.label.number} is said to be visible but has no place"
            findings.error("point-incomplete", line.label.source, message)
        else:
            labels.append(line.label)
    return labels


def _only(placed: Sequence[FrameLabel], lines: Sequence[_Line]) -> list[FrameLabel]:
    """The labels of all lines, visible where they are among `placed`."""
    kept = {id(label) for label in placed}
    return [line.label if id(line.label) in kept else _hidden(line.label) for line in lines]


def _is_place(xy: Place) -> bool:
    """Whether it is a place at all: not (0, 0), (-1, -1) or NaN, which stand for none."""
    return is_finite(xy) and any(xy) and max(xy) >= 0


def _line(row: Row, *, columns: FrameColumns, source: str) -> _Line:
    if len(row.cells) < columns.count or any(row.cells[columns.count :]):
        raise LabelError("row-length", f"{len(row.cells)} cells, but the header has {columns.count}")
    name = row.cells[columns.frame]
    is_named = columns.is_named or Path(name).suffix.lower() in IMAGE_SUFFIXES
    in_name = re.search(r"(\d+)\D*$", Path(name).stem) if is_named else None
    frame = frame_number(name if in_name is None else in_name.group(1))
    x, y = row.cells[columns.x], row.cells[columns.y]
    try:
        xy = (number(x), number(y)) if x and y else None
        flag = 0.0 if columns.visible is None else _flag(row.cells[columns.visible], is_placed=xy is not None)
    except ValueError:
        said = () if columns.visible is None else (f"visible {row.cells[columns.visible]}",)
        raise LabelError("row-unreadable", f"x and y are ({', '.join((x, y, *said))}), expected numbers") from None
    if not 0 <= flag <= _OCCLUDED:
        raise LabelError("visibility-invalid", f"visibility is {flag:g}, expected 0 to 3")
    clip = "" if columns.clip is None else row.cells[columns.clip]
    label = FrameLabel(number=frame, xy=xy, source=source)
    return _Line(label=label, flag=flag, clip=clip, is_named=is_named)


def _flag(text: str, *, is_placed: bool) -> float:
    """How visible a row says the point is; a blank row says that it is not."""
    if not text and not is_placed:
        return 0.0
    return _WORDS[text.lower()] if text.lower() in _WORDS else number(text)


def _hidden(label: FrameLabel) -> FrameLabel:
    return FrameLabel(number=label.number, xy=None, source=label.source)


def _clip(
    file: Path, labels: Sequence[FrameLabel], *, clip: str, root: Path, columns: FrameColumns, findings: Findings
) -> ClipDraft | None:
    """A clip of a CSV; None, with an error, where its frames cannot be found or read."""
    where = place(file, root)
    found = _frames_of(file, clip=clip, root=root, columns=columns)
    if found is None:
        expected = Path(clip).name if clip else file.with_suffix(".mp4").name
        message = f"there is no video and no folder of numbered frames for it, such as {expected}"
        findings.error("video-missing", where, message)
        return None
    footage = open_footage(found, where=where, findings=findings)
    if footage is None:
        return None
    name = place(file.parent if columns.is_named else file.with_suffix(""), root)
    name = name if name != "." else root.absolute().name
    if clip:
        name = f"{name}/{Path(clip).stem}"
    split = split_named(file.relative_to(root).parts[0]) if file.is_relative_to(root) else None
    return ClipDraft(name=name, footage=footage, labels=labels, where=where, split=split)


def _frames_of(file: Path, *, clip: str, root: Path, columns: FrameColumns) -> Path | None:
    """The video or folder of pictures of a CSV, or of one of the clips that it names."""
    pictures_beside = file.parent if numbered_pictures(file.parent) else None
    if columns.is_named:
        return pictures_beside
    if clip:
        stems = list(dict.fromkeys((Path(clip).name, Path(clip).stem)))
        return only(videos_named(root, Path(clip).name)) or find_footage(file, stems)
    return find_footage(file, [*dict.fromkeys((file.stem, _ENDINGS.sub("", file.stem)))]) or pictures_beside


def _renumbered(draft: ClipDraft, *, columns: FrameColumns, findings: Findings) -> ClipDraft:
    """The clip with its labels in the numbers of the footage."""
    numbers, footage = [label.number for label in draft.labels], draft.footage
    shift = number_shift(numbers, footage, is_from_zero=columns.is_own)
    if not shift:
        return draft
    message = (
        f"its rows are of the frames {min(numbers)} to {max(numbers)}, the footage has {footage.first} to "
        f"{footage.end - 1}: frame {min(numbers)} is taken for {min(numbers) + shift}"
    )
    if not columns.is_own:  # of those it is known
        findings.warning("frames-renumbered", draft.where, message)
    return replace(draft, labels=[replace(label, number=label.number + shift) for label in draft.labels])
