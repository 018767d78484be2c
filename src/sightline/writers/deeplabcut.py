"""DeepLabCut: a CSV with three header rows (scorer, bodyparts, coords) in each labelled folder.

Convention of the format: pixel-index coordinates; blank cells for a point that is not there.
The files are laid out as a project has them, labeled-data/FOLDER/CollectedData_sightline.csv,
so that they can be put into a project and converted there (`deeplabcut.convertcsv2h5`).
Likelihoods have no place in CollectedData; deeplabcut_likelihood.py writes them.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from sightline.files import write_atomically
from sightline.geometry import continuous_to_index
from sightline.records import Skeleton
from sightline.writers.prediction import Prediction, require_one_each, text

FORMAT = "deeplabcut"
FILE = ""
SCORER = "sightline"
_ROOT = "labeled-data"
_FOLDER = "pictures"


def write(predictions: Sequence[Prediction], out: Path, *, skeleton: Skeleton) -> tuple[Path, ...]:
    """Write one CSV for each folder of pictures, below `out`/labeled-data.

    Raises:
        UserError: a picture holds several objects, or a file cannot be written.
    """
    require_one_each(predictions, format=FORMAT)
    folders: dict[str, list[Prediction]] = {}
    for prediction in predictions:
        folders.setdefault(str(PurePosixPath(picture_name(prediction)).parent), []).append(prediction)
    paths = []
    for folder, inside in folders.items():
        path = out / folder / f"CollectedData_{SCORER}.csv"
        write_atomically(path, table(inside, skeleton=skeleton, coords=("x", "y")))
        paths.append(path)
    return tuple(paths)


def picture_name(prediction: Prediction) -> str:
    """Where the picture belongs in a project: labeled-data/FOLDER/NAME; deeper folders are joined by `_`."""
    parts = PurePosixPath(prediction.file_name).parts
    folders = parts[1:-1] if parts[0] == _ROOT else parts[:-1]
    return f"{_ROOT}/{'_'.join(folders) or _FOLDER}/{parts[-1]}"


def table(predictions: Sequence[Prediction], *, skeleton: Skeleton, coords: Sequence[str]) -> str:
    """The CSV text of predictions; `coords` are the columns of a point: x, y and perhaps likelihood."""
    columns = [(name, coord) for name in skeleton.names for coord in coords]
    rows = [
        ["scorer", *(SCORER for _ in columns)],
        ["bodyparts", *(name for name, _ in columns)],
        ["coords", *(coord for _, coord in columns)],
    ]
    for prediction in predictions:
        row = [picture_name(prediction)]
        points = continuous_to_index(prediction.points_xy)
        for (x, y), score, visible in zip(points, prediction.score, prediction.visible, strict=True):
            values = {"x": x, "y": y, "likelihood": score}
            row += [text(values[coord]) if visible else "" for coord in coords]
        rows.append(row)
    stream = io.StringIO(newline="")
    csv.writer(stream, lineterminator="\n").writerows(rows)
    return stream.getvalue()
