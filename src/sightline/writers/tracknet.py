"""TrackNet: a CSV of each clip, `Frame,Visibility,X,Y`, beside its video or the folder of its numbered frames.

Convention of the format: frames count from 0; X and Y are pixel-index coordinates (the centre of the first pixel is 0);
zeros where the point is not visible. Frames without a label have no row. A part of the data is a folder. Names of
points have no place in this format.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from sightline.files import write_atomically
from sightline.writers.clips import Clip, cells, files_of, placed

FORMAT = "tracknet"
FILE = ""
_DEPTH = 4  # a CSV and three folders, which is as deep as readers look


def write(clips: Sequence[Clip], out: Path) -> tuple[Path, ...]:
    """Write one CSV for each clip below the folder `out`.

    Raises:
        UserError: two clips would have one name, or a file cannot be written.
    """
    paths = []
    for clip, name in placed(clips, depth=_DEPTH):
        text = io.StringIO(newline="")
        rows = csv.writer(text, lineterminator="\n")
        rows.writerow(["Frame", "Visibility", "X", "Y"])
        rows.writerows([record.frame, *cells(record, as_index=True)] for record in clip.records)
        paths.append(out / f"{name}.csv")
        write_atomically(paths[-1], text.getvalue())
    return tuple(paths)


def frame_files(clips: Sequence[Clip]) -> Mapping[str, Path]:
    """Where videos and pictures belong, relative to the folder of the labels."""
    return {place: path for clip, name in placed(clips, depth=_DEPTH) for place, path in files_of(clip, name).items()}
