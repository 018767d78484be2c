"""The submission of a landmark competition: `Id,Predicted`, one number for each row.

Convention of the format: x0, y0, x1, y1, ... of the first picture, then of the next one, as pixel-index
coordinates of the original picture. Pictures keep the order they are given in, which for a dlib XML is
that of the file. Ids count from 0. The published description of the competition tells the
number of rows (1,008 pictures x 136) and the order, not the first Id. It has no mark for a missing point.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sightline.files import write_atomically
from sightline.geometry import continuous_to_index
from sightline.records import Skeleton
from sightline.writers.prediction import Prediction, one_file, require_all_visible, text

FORMAT = "kaggle_csv"
FILE = "submission.csv"


def write(predictions: Sequence[Prediction], out: Path, *, skeleton: Skeleton) -> tuple[Path, ...]:
    """Write one CSV: `out` itself where it ends in .csv, else `submission.csv` in the folder `out`.

    Raises:
        UserError: a point is missing, or the file cannot be written.
    """
    require_all_visible(predictions, skeleton=skeleton, format=FORMAT)
    values = [text(value) for p in predictions for value in continuous_to_index(p.points_xy).ravel()]
    path = one_file(out, name=FILE)
    write_atomically(path, "Id,Predicted\n" + "".join(f"{id},{value}\n" for id, value in enumerate(values)))
    return (path,)


def picture_name(prediction: Prediction) -> str:
    """The format names no pictures; they keep their places."""
    return prediction.file_name
