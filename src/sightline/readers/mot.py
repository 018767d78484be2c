"""MOT: a folder with `gt/gt.txt` beside `img1`, of one object (MOTChallenge, and what CVAT exports as MOT 1.1).

Rows are `frame,id,left,top,width,height,confidence,...` in any number of sequences. Convention of the format: frames
are counted from 1, which is the first picture, whether that is called 1 or 0; edges are taken as continuous pixels, as
CVAT and most tools write them. The middle of the box is the point; a frame without a row is one in which it is not
visible. Rows of confidence 0 are left out. Frames are in `img1` (or where `seqinfo.ini` says), or in a video.
In: a folder, or the gt.txt. Out: a Dataset of clips. Next: frame_hints.py
"""

from __future__ import annotations

import configparser
from pathlib import Path

from sightline.errors import UserError
from sightline.readers.assemble import Findings, LabelError, place
from sightline.readers.clip_assemble import ClipDraft, FrameLabel, Place, assemble_clips, open_footage
from sightline.readers.footage import find_footage, only, videos_in
from sightline.readers.texts import Row, is_finite, number, read_header, read_table, split_named
from sightline.records import Dataset, Skeleton
from sightline.video.folder_source import numbered_pictures

FORMAT = "mot"
LOOKED_FOR = "gt/gt.txt with rows frame,id,left,top,width,height,... of one object, beside img1 (MOT)"

_DEPTHS = ("gt/gt.txt", "*/gt/gt.txt", "*/*/gt/gt.txt")
_LEAST = 6


def detect(path: Path) -> bool:
    """Whether the path is such a file, or a folder with one in `gt`, up to two folders down."""
    return bool(_files(path))


def read(path: Path) -> Dataset:
    """Read one sequence, or all of a folder; each is a clip.

    Raises:
        UserError: there is none, or two objects are in one frame.
        MissingExtra: a clip is a video, and PyAV is not installed.
    """
    files = _files(path)
    if not files:
        raise UserError(f"{path} is not what '{FORMAT}' reads. Expected {LOOKED_FOR}.")
    root = path if path.is_dir() else _sequence_of(path)
    findings = Findings()
    drafts = [draft for file in files if (draft := _clip(file, root=root, findings=findings)) is not None]
    return assemble_clips(drafts, root=root, format=FORMAT, findings=findings, skeleton=Skeleton(names=("point",)))


def _files(path: Path) -> list[Path]:
    files = [path] if path.is_file() else [file for depth in _DEPTHS for file in sorted(path.glob(depth))]
    return [file for file in files if file.suffix.lower() == ".txt" and _is_row(read_header(file))]


def _is_row(cells: tuple[str, ...]) -> bool:
    try:
        return len([number(cell) for cell in cells]) >= _LEAST
    except ValueError:
        return False


def _sequence_of(file: Path) -> Path:
    """The folder of a sequence, which its labels lie in or one folder below."""
    folder = file.absolute().parent
    return folder.parent if folder.name == "gt" else folder


def _clip(file: Path, *, root: Path, findings: Findings) -> ClipDraft | None:
    """The clip of a sequence; None, with an error, where its frames cannot be found or read."""
    folder, top = _sequence_of(file), root.absolute()
    where = place(file.absolute(), top)
    found = _frames_of(file, folder=folder)
    if found is None:
        findings.error("video-missing", where, f"there are no numbered pictures in {folder / 'img1'}, and no video")
        return None
    footage = open_footage(found, where=where, findings=findings)
    if footage is None:
        return None
    # The first picture is frame 1; where numbers in names begin with 1 or above they are frames themselves.
    shift = -1 if footage.first == 0 else 0
    places = _places(file, where=where, findings=findings)
    if shift and 0 in places:
        shift = 0
    labels = [FrameLabel(number=frame + shift, xy=xy, source=source) for frame, (xy, source) in places.items()]
    empty = (n for n in range(footage.first, footage.end) if n - shift not in places and footage.at(n) is not None)
    labels += [FrameLabel(number=n, xy=None, source=where) for n in empty]
    name = place(folder, top) if folder != top else folder.name
    split = split_named(name.split("/")[0])
    return ClipDraft(name=name, footage=footage, labels=labels, where=where, split=split)


def _frames_of(file: Path, *, folder: Path) -> Path | None:
    """The folder of pictures, or the video, of a sequence."""
    names = ["img1", "images", "img", "frames"]
    about = configparser.ConfigParser(interpolation=None)
    try:
        about.read(folder / "seqinfo.ini", encoding="utf-8-sig")
        names.insert(0, about.get("Sequence", "imDir", fallback="img1"))
    except (configparser.Error, UnicodeDecodeError):
        pass  # it says nothing that the folders do not
    for name in names:
        if (folder / name).is_dir() and numbered_pictures(folder / name):
            return folder / name
    return find_footage(file, [folder.name, file.stem]) or only(videos_in(folder))


def _places(file: Path, *, where: str, findings: Findings) -> dict[int, tuple[Place, str]]:
    """The middle of the box in each frame that has one, and its row."""
    found: dict[int, tuple[Place, str]] = {}
    ids: dict[int, str] = {}
    left_out = 0
    for row in read_table(file):
        source = f"{where}:{row.line}"
        try:
            frame, xy, is_kept = _row(row)
        except LabelError as bad:
            findings.error(bad.id, source, str(bad))
            continue
        left_out += not is_kept
        if not is_kept:
            continue
        if frame in found:
            raise UserError(
                f"{file}:{row.line}: frame {frame} has two boxes, of the ids {ids[frame]} and {row.cells[1]}. Expected "
                "one object through video: keep the rows of one id."
            )
        found[frame], ids[frame] = (xy, source), row.cells[1]
    if left_out:
        findings.note("annotation-skipped", where, f"left out: {left_out} rows of confidence 0")
    return found


def _row(row: Row) -> tuple[int, Place, bool]:
    """Frame, middle of the box, and whether it counts."""
    try:
        frame, _, left, top, width, height, *rest = [number(cell) for cell in row.cells if cell]
    except ValueError:
        text = ", ".join(row.cells)[:60]
        raise LabelError(
            "row-unreadable", f"'{text}', expected the numbers frame, id, left, top, width, height"
        ) from None
    if not is_finite([frame, left, top, width, height]) or frame < 0 or frame != int(frame):
        raise LabelError("row-unreadable", f"frame {frame:g} with a box at ({left:g}, {top:g}), {width:g} x {height:g}")
    return int(frame), (left + width / 2, top + height / 2), not rest or rest[0] != 0
