"""Putting the pictures where the label files of a format look for them.

They are copied, not linked: some tools edit in place, and would change the user's originals.
"""

from __future__ import annotations

import filecmp
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from sightline.errors import UserError
from sightline.files import atomic_path
from sightline.members import member_of, read_file
from sightline.writers.box_prediction import BoxPrediction
from sightline.writers.prediction import Prediction

PredictionT = TypeVar("PredictionT", Prediction, BoxPrediction)


def place_pictures(
    predictions: Sequence[PredictionT], out: Path, *, picture_name: Callable[[PredictionT], str]
) -> tuple[Path, ...]:
    """Copy every picture to `out` / its name in the format; those already there stay.

    Args:
        predictions: whose pictures to place.
        out: the folder that the labels were written to.
        picture_name: the writer's own.

    Raises:
        UserError: two pictures would get one name, another file is there already, or the
            folder cannot be written. Nothing is replaced.
    """
    wanted: dict[Path, Path] = {}
    for prediction in predictions:
        target = out / picture_name(prediction)
        if wanted.setdefault(target, prediction.path) != prediction.path:
            raise UserError(
                f"{wanted[target]} and {prediction.path} would both become {target}. Rename one of the two."
            )
    return place_files(wanted)


def place_files(wanted: Mapping[Path, Path]) -> tuple[Path, ...]:
    """Copy files, each to the path that it is named by; those already there stay.

    Raises:
        UserError: another file is there already, or the folder cannot be written. Nothing is replaced.
    """
    for target, source in wanted.items():
        if target.exists():
            if not _is_same(target, source):
                raise UserError(f"{target} exists already and is not {source}. Choose an empty folder.")
            continue
        with atomic_path(target) as aside:
            aside.write_bytes(read_file(source)) if member_of(source) else shutil.copyfile(source, aside)
    return tuple(wanted)


def _is_same(target: Path, source: Path) -> bool:
    if member_of(source):
        return target.read_bytes() == read_file(source)
    return target.samefile(source) or filecmp.cmp(target, source, shallow=False)
