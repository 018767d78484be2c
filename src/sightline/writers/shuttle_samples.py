"""The published shuttle tracker's sample folders: a folder for each labelled frame, with the three before it.

Convention of the format: `frame.jpg`, `frame-1.jpg` (just before) to `frame-3.jpg`; `target.csv` and the 30 rows of
`positions.csv`, MOST RECENT FIRST, are x, y, visibility in fractions of the frame, zeros where not visible. Where every
frame belongs to a part there is an `index.json` of the parts. Clips have no names there: readers join samples by their
positions. Videos have no place in this format.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

import numpy as np

from sightline.errors import UserError
from sightline.files import write_atomically
from sightline.records import FrameAt, Record
from sightline.writers.clips import Clip, require_pictures

FORMAT = "shuttle_samples"
FILE = ""
_PARTS = ("train", "val", "test")
_DIGITS = 9


def write(clips: Sequence[Clip], out: Path) -> tuple[Path, ...]:
    """Write a folder for each labelled frame below the folder `out`, and perhaps the index.

    Raises:
        UserError: a clip is a video, two frames would have one folder, or a file cannot be written.
    """
    paths, parts = [], {part: [] for part in _PARTS}
    for record, name in _named(clips):
        assert record.before is not None and record.size_hw is not None, record.image_id
        scale = np.array(record.size_hw[::-1], dtype=np.float64)
        write_atomically(out / name / "target.csv", _rows(record.points_xy / scale, record.visible))
        past, seen = record.before.points_xy[::-1] / scale, record.before.visible[::-1]
        write_atomically(out / name / "positions.csv", _rows(past, seen))
        paths.append(out / name / "target.csv")
        parts.setdefault(record.split or "", []).append(name)
    if paths and set(parts) == set(_PARTS):
        paths.insert(0, out / "index.json")
        write_atomically(paths[0], json.dumps(parts, indent=1) + "\n")
    return tuple(paths)


def frame_files(clips: Sequence[Clip]) -> Mapping[str, Path]:
    """Where the pictures belong, relative to the folder of the samples."""
    found: dict[str, Path] = {}
    for record, name in _named(clips):
        assert record.before is not None, record.image_id
        newest_first: list[FrameAt | None] = [FrameAt(path=record.path), *reversed(record.before.frames)]
        for back, at in enumerate(newest_first):
            if at is not None:
                stem = f"frame-{back}" if back else "frame"
                found[f"{name}/{stem}{at.path.suffix.lower()}"] = at.path
    return found


def _named(clips: Sequence[Clip]) -> list[tuple[Record, str]]:
    """Each labelled frame with its folder, at most two deep."""
    require_pictures(clips, format=FORMAT)
    taken: dict[str, str] = {}
    found = []
    for record in (record for clip in clips for record in clip.records):
        parts = [part for part in PurePosixPath(record.image_id).parts if part.strip("./")]
        name = "/".join(["_".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)
        if taken.setdefault(name, record.image_id) != record.image_id:
            raise UserError(
                f"{taken[name]} and {record.image_id} would share the folder {name}. Rename one of the two."
            )
        found.append((record, name))
    return found


def _rows(fractions: np.ndarray, visible: np.ndarray) -> str:
    """[N, 2] places and [N] which of them are visible, as a table."""
    text = io.StringIO(newline="")
    rows = csv.writer(text, lineterminator="\n")
    for (x, y), is_visible in zip(fractions.tolist(), visible.tolist(), strict=True):
        rows.writerow([f"{x:.{_DIGITS}f}", f"{y:.{_DIGITS}f}", 1] if is_visible else [0, 0, 0])
    return text.getvalue()
