"""iBUG .pts: a text file for each picture, beside it, with its points between braces.

Convention of the format: coordinates count from 1 (the centre of the first pixel is (1, 1)). It has
no mark for a point that is not there, no names, and no scores.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from sightline.errors import UserError
from sightline.files import write_atomically
from sightline.geometry import continuous_to_index
from sightline.records import Skeleton
from sightline.writers.prediction import Prediction, require_all_visible, require_one_each, text

FORMAT = "pts"
FILE = ""


def write(predictions: Sequence[Prediction], out: Path, *, skeleton: Skeleton) -> tuple[Path, ...]:
    """Write one .pts for each picture into the folder `out`.

    Raises:
        UserError: a point is missing, a picture holds several objects, two pictures would
            share one file, or a file cannot be written.
    """
    require_one_each(predictions, format=FORMAT)
    require_all_visible(predictions, skeleton=skeleton, format=FORMAT)
    files: dict[Path, str] = {}
    named: dict[Path, str] = {}
    for prediction in predictions:
        path = out / PurePosixPath(prediction.file_name).with_suffix(".pts")
        if path in named:
            raise UserError(f"{named[path]} and {prediction.file_name} would share {path.name}. Rename one of the two.")
        named[path] = prediction.file_name
        files[path] = _text(prediction)
    for path, content in files.items():
        write_atomically(path, content)
    return tuple(files)


def picture_name(prediction: Prediction) -> str:
    """Where the picture belongs, relative to the folder of the .pts files."""
    return prediction.file_name


def _text(prediction: Prediction) -> str:
    points = continuous_to_index(prediction.points_xy) + 1
    lines = [f"{text(x)} {text(y)}" for x, y in points]
    return "\n".join(["version: 1", f"n_points: {len(lines)}", "{", *lines, "}"]) + "\n"
