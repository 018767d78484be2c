"""What labels of clips lack that no reader understands: other tools' tables and projects, told by their first lines.

In: a path that no format fits. Out: a sentence that says what was found and what to do. Next: ../splits.py
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

from sightline.errors import UserError
from sightline.readers.frame_header import has_frames, named_points, understand_frames
from sightline.readers.texts import number, read_start, read_table
from sightline.readers.yolo_layout import is_label
from sightline.video.library import is_video

_LOOKED_AT = 200
_DEPTHS = ("*", "*/*", "*/*/*")
_SHEETS = (".xlsx", ".xls", ".ods", ".numbers")
_TABLES = (".csv", ".tsv", ".txt")
_ZIP = b"PK\x03\x04"
_READ = (
    "Clips are read as a CSV of frames (Frame,X,Y and perhaps Visibility) beside its video, CVAT for video 1.1, Label "
    "Studio's JSON of a video, MOT of one object, and others of docs/formats.md."
)
_NUMBERED = "Where the labels are of single pictures that are frames, --format numbered_frames makes clips of them"
# Words that the start of a JSON holds, all of them; what it is; what to do.
_JSONS = (
    (('"categories"', '"items"', '"info"'), "a Datumaro data set", "Export CVAT for video 1.1, or COCO"),
    (('"videos"', '"categories"'), "a JSON of tracks through videos (YouTube-VIS)", "Write a CSV frame,x,y of each"),
    (('"figures"', '"objectKey"'), "a Supervisely video project", "Write a CSV frame,x,y for each video"),
    (('"shapes"', '"imagePath"'), "LabelMe's labels of one picture", f"Convert them to COCO. {_NUMBERED}"),
    (('"temporal_coordinates"',), "an export of the VGG annotator", "Write a CSV frame,x,y"),
    (
        ('"data"', "<video"),
        "Label Studio's labels of a video in HTML",
        "Draw with its tags <Video> and <VideoRectangle>",
    ),
    (('"_via_',), "a project of the VGG annotator", "Write a CSV frame,x,y"),
)
_OTHERS = {
    ".slp": ("a SLEAP project", "Export its analysis CSV"),
    ".xgtf": ("labels of ViPER", "Write a CSV frame,x,y beside the video"),
    ".trk": ("a file of Tracker", "Export a table with the columns frame, x, y in pixels"),
    ".kva": ("a file of Kinovea", "Export a table and give it a column frame, with x and y in pixels"),
}


def nearly(path: Path) -> str | None:
    """What is there instead of labels that can be read; None where nothing is known."""
    files = [path] if path.is_file() else (file for depth in _DEPTHS for file in sorted(path.glob(depth)))
    if path.is_file() and is_video(path):
        return f"{path} is a video. Give its label file, or the folder that holds both. {_READ}"
    for file in islice((file for file in files if file.is_file() and not file.name.startswith(".")), _LOOKED_AT):
        if (said := _of_file(file)) is not None:
            what, advice = said
            return f"{file} is {what}. {advice}. {_READ}"
    return None


def _of_file(file: Path) -> tuple[str, str] | None:
    """What a file is, and what to do."""
    suffix = file.suffix.lower()
    if suffix in _OTHERS:
        return _OTHERS[suffix]
    if suffix in _SHEETS or (suffix in _TABLES and _starts_with(file, _ZIP)):
        return "a spreadsheet", "Save it as CSV (its name alone does not make it one)"
    if suffix == ".json":
        start = read_start(file, characters=2**16)
        return next(((what, advice) for words, what, advice in _JSONS if all(word in start for word in words)), None)
    if suffix not in _TABLES:
        return None
    if suffix == ".txt" and is_label(file):
        return "a label file of YOLO, without its picture", f"Put the frames in images/ and a classes.txt. {_NUMBERED}"
    try:
        rows = [row.cells for row in islice(read_table(file), 3)]
    except UserError:
        return None
    return next((said for header in _headers(rows) if (said := _of_table(header, suffix=suffix)) is not None), None)


def _starts_with(file: Path, mark: bytes) -> bool:
    with file.open("rb") as stream:
        return stream.read(len(mark)) == mark


def _headers(rows: Sequence[tuple[str, ...]]) -> Iterator[tuple[str, ...]]:
    """The first row, and the second where the first has only the name of the object (Tracker)."""
    yield from rows[:1]
    if len(rows) > 1 and sum(map(bool, rows[0])) == 1:
        yield rows[1]


def _of_table(header: Sequence[str], *, suffix: str) -> tuple[str, str] | None:
    words, points = {cell.lower() for cell in header}, named_points(header)
    if "temporal_coordinates" in ",".join(words):
        return "an export of the VGG annotator", "Write a CSV frame,x,y"
    if "position_t" in words:
        return "a table of TrackMate, in units of its own", "Write a CSV frame,x,y with x and y in pixels"
    if suffix == ".txt" and understand_frames(header) is not None:
        return "a table of frames", "Give the path of this file, or call it .csv"
    if has_frames(header) and len(points) > 1:
        return f"a table of {len(points)} points ({', '.join(points[:6])})", "Keep the columns of the one to follow"
    if has_frames(header):
        return f"a table of frames with the columns {', '.join(header[:12])}", "Give it one x and one y, in pixels"
    if points and words & {"t", "time", "time_s", "t (s)", "time (s)", "time (ms)", "timestamp"}:
        return "a table that goes by time", "Give it a column frame, counted from 0, and x and y in pixels"
    if suffix != ".txt" and len(header) in (3, 4) and _are_numbers(header):
        return "a table without a header", "Name its columns in a first row, such as Frame,Visibility,X,Y"
    return None


def _are_numbers(cells: Sequence[str]) -> bool:
    try:
        return bool([number(cell) for cell in cells])
    except ValueError:
        return False
