"""Where COCO files lie, and what all of them write alike: shared by boxes and key points.

A JSON in the folder, in `annotations/` (or a folder of a like name), or one in each of the folders of the parts
(`train/_annotations.coco.json`). Ids are numbers, but some tools write them as text in one place and as numbers in
another. In: a path. Out: the JSONs. Next: coco.py, coco_keypoints.py
"""

from __future__ import annotations

import mmap
import re
from pathlib import Path

from sightline.readers.assemble import Findings, place
from sightline.readers.json_stream import ends_well, json_files, mentions
from sightline.readers.pictures import LABEL_FOLDERS
from sightline.readers.texts import encoding_within, part_folders

# No id has more digits; Python refuses to read numbers of thousands of them.
_LONGEST = 20
LISTS = ("images", "annotations", "categories")
# Tools that know of key points write empty lists of them beside boxes.
_HAS_POINTS = re.compile(rb'"keypoints"(?!\s*:\s*(\[\s*\]|null))')


def coco_files(path: Path, *, has_keypoints: bool) -> list[Path]:
    """The COCO JSONs with or without key points: the path itself, or those in the first known place with some."""
    for files in _places(path):
        if found := [file for file in files if _is_wanted(file, has_keypoints=has_keypoints)]:
            return found
    return []


def report_cut_off(path: Path, *, root: Path, findings: Findings) -> None:
    """Tell of JSONs beside those that are read which end in the middle: what they held is missing."""
    for file in (file for files in _places(path) for file in files):
        if not ends_well(file):
            message = "is no whole JSON, so its labels are missing: copy or export it again, or remove it"
            findings.error("label-unreadable", place(file, root), message)


def _places(path: Path) -> list[list[Path]]:
    """The JSONs of each place where COCO files may lie."""
    if not path.is_dir():
        return [[path] if path.suffix.lower() == ".json" and path.is_file() else []]
    below = [sub for sub in sorted(path.iterdir()) if sub.is_dir()]
    labels = [file for sub in below if sub.name.lower() in LABEL_FOLDERS for file in json_files(sub)]
    parts = [file for sub in part_folders(path) for file in json_files(sub)]
    return [json_files(path), labels, parts]


def _is_wanted(file: Path, *, has_keypoints: bool) -> bool:
    if has_keypoints:
        return mentions(file, "annotations", "keypoints") and _holds_keypoints(file)
    return mentions(file, *LISTS) and not _holds_keypoints(file)


def _holds_keypoints(file: Path) -> bool:
    """Whether there is a list of key points that is not empty, wherever in a JSON."""
    with file.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
        encoding = encoding_within(data[:2])
        text = data if encoding == "utf-8" else data[:].decode(encoding, errors="ignore").encode()
        return _HAS_POINTS.search(text) is not None


def root_of_labels(path: Path) -> Path:
    """The folder that picture names are told relative to."""
    folder = path if path.is_dir() else path.parent
    return folder.parent if folder.name.lower() in LABEL_FOLDERS[:2] else folder


def key_of(value: object) -> str:
    """An id that can be looked up, whether it was written as 7, 7.0 or "7"."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def whole(value: object) -> int | None:
    """A JSON value that is a whole number, also as 1.0 or "1"; None where it is anything else."""
    if isinstance(value, str) and len(value) < _LONGEST and value.strip().isdecimal():
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return int(value) if value % 1 == 0 else None
