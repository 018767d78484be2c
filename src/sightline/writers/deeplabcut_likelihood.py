"""DeepLabCut's machine labels: one CSV of all pictures with x, y and likelihood of each point.

The conventions are those of deeplabcut.py, several animals too; the third column is the score.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sightline.files import write_atomically
from sightline.records import Skeleton
from sightline.writers import deeplabcut
from sightline.writers.deeplabcut import picture_name
from sightline.writers.prediction import Prediction, one_file

__all__ = ["FILE", "FORMAT", "picture_name", "write"]

FORMAT = "deeplabcut_likelihood"
FILE = "machine_labels.csv"


def write(predictions: Sequence[Prediction], out: Path, *, skeleton: Skeleton) -> tuple[Path, ...]:
    """Write one CSV: `out` itself where it ends in .csv, else `machine_labels.csv` in the folder `out`.

    Raises:
        UserError: the file cannot be written.
    """
    path = one_file(out, name=FILE)
    animals = deeplabcut.most_objects(predictions)
    coords = ("x", "y", "likelihood")
    write_atomically(path, deeplabcut.table(predictions, skeleton=skeleton, coords=coords, animals=animals))
    return (path,)
