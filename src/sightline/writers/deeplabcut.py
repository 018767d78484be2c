"""DeepLabCut: a CSV with three header rows (scorer, bodyparts, coords) in each labelled folder.

Where any picture holds several objects all CSVs have the layout of several animals: a fourth header row, individuals,
which are `individual1`, `individual2`, ... in each picture in the order of its objects; nothing tells who is who in two
pictures. `config.yaml` of the project has to list them.


Convention of the format: pixel-index coordinates; blank cells for a point that is not there.
The files are laid out as a project has them, labeled-data/FOLDER/CollectedData_sightline.csv,
so that they can be put into a project and converted there (`deeplabcut.convertcsv2h5`). Boxes have no place there.
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
from sightline.writers.prediction import Prediction, by_picture, text

FORMAT = "deeplabcut"
FILE = ""
SCORER = "sightline"
_ROOT = "labeled-data"
_FOLDER = "pictures"


def write(predictions: Sequence[Prediction], out: Path, *, skeleton: Skeleton) -> tuple[Path, ...]:
    """Write one CSV for each folder of pictures, below `out`/labeled-data.

    Raises:
        UserError: a file cannot be written.
    """
    animals = most_objects(predictions)
    folders: dict[str, list[Prediction]] = {}
    for prediction in predictions:
        folders.setdefault(str(PurePosixPath(picture_name(prediction)).parent), []).append(prediction)
    paths = []
    for folder, inside in folders.items():
        path = out / folder / f"CollectedData_{SCORER}.csv"
        write_atomically(path, table(inside, skeleton=skeleton, coords=("x", "y"), animals=animals))
        paths.append(path)
    return tuple(paths)


def picture_name(prediction: Prediction) -> str:
    """Where the picture belongs in a project: labeled-data/FOLDER/NAME; deeper folders are joined by `_`."""
    parts = PurePosixPath(prediction.file_name).parts
    folders = parts[1:-1] if parts[0] == _ROOT else parts[:-1]
    return f"{_ROOT}/{'_'.join(folders) or _FOLDER}/{parts[-1]}"


def most_objects(predictions: Sequence[Prediction]) -> int:
    """How many objects the picture with most of them holds; 1 without pictures."""
    return max(map(len, by_picture(predictions).values()), default=1)


def table(predictions: Sequence[Prediction], *, skeleton: Skeleton, coords: Sequence[str], animals: int = 1) -> str:
    """The CSV text of predictions.

    Args:
        predictions: the objects; those of one picture share a row.
        skeleton: whose points they have.
        coords: the columns of a point: x, y and perhaps likelihood.
        animals: for how many objects a row has room; with more than one there is a row of individuals.
    """
    columns = [(name, coord) for name in skeleton.names for coord in coords]
    individuals = [f"individual{number}" for number in range(1, animals + 1) for _ in columns]
    rows = [
        ["scorer", *(SCORER for _ in individuals)],
        *([["individuals", *individuals]] if animals > 1 else []),
        ["bodyparts", *(name for name, _ in columns * animals)],
        ["coords", *(coord for _, coord in columns * animals)],
    ]
    for objects in by_picture(predictions).values():
        cells = [cell for prediction in objects for cell in _cells(prediction, coords=coords)]
        rows.append([picture_name(objects[0]), *cells, *[""] * (len(individuals) - len(cells))])
    stream = io.StringIO(newline="")
    csv.writer(stream, lineterminator="\n").writerows(rows)
    return stream.getvalue()


def _cells(prediction: Prediction, *, coords: Sequence[str]) -> list[str]:
    """The cells of one object; blank where a point is not there."""
    cells: list[str] = []
    points = continuous_to_index(prediction.points_xy)
    for (x, y), score, visible in zip(points, prediction.score, prediction.visible, strict=True):
        values = {"x": x, "y": y, "likelihood": score}
        cells += [text(values[coord]) if visible else "" for coord in coords]
    return cells
