"""One CSV row for each labelled picture of a clip: `clip,frame,file,visibility,x,y`, and `split` where there is one.

Convention of the format: frames count from 0 in each clip; x and y are continuous pixels, zeros where the point is not
visible. Pictures keep their names and those of their folders, where no other one has them. Pictures without a label
have no place in this format, nor have videos.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from sightline.files import write_atomically
from sightline.writers.clips import Clip, cells, require_pictures
from sightline.writers.prediction import one_file

FORMAT = "ball_csv"
FILE = "ball.csv"


def write(clips: Sequence[Clip], out: Path) -> tuple[Path, ...]:
    """Write one CSV: `out` itself where it ends in .csv, else `ball.csv` in the folder `out`.

    Raises:
        UserError: a clip is a video, or the file cannot be written.
    """
    require_pictures(clips, format=FORMAT)
    has_split = any(record.split is not None for clip in clips for record in clip.records)
    text = io.StringIO(newline="")
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["clip", "frame", "file", "visibility", "x", "y", *(["split"] if has_split else [])])
    names = _names(clips)
    for clip in clips:
        for record in clip.records:
            row = [clip.name, record.frame, names[record.path], *cells(record, as_index=False)]
            rows.writerow([*row, *([record.split or ""] if has_split else [])])
    path = one_file(out, name=FILE)
    write_atomically(path, text.getvalue())
    return (path,)


def frame_files(clips: Sequence[Clip]) -> Mapping[str, Path]:
    """Where the labelled pictures belong, relative to the folder of the labels."""
    return {name: path for path, name in _names(clips).items()}


def _names(clips: Sequence[Clip]) -> dict[Path, str]:
    """By picture, its folder's name and its own; where another one has these, the clip's and the frame's numbers."""
    names: dict[Path, str] = {}
    taken: set[str] = set()
    for number, clip in enumerate(clips, start=1):
        for record in clip.records:
            path = record.path
            if path in names:
                continue
            name = f"{path.parent.name}/{path.name}"
            if name.lower() in taken:
                name = f"clip_{number:04d}/{record.frame:06d}{path.suffix.lower()}"
            taken.add(name.lower())
            names[path] = name
    return names
