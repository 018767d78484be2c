"""A data set divided as a plan says and not as the recipe would, and which of its records may be divided at all.

Records carry the part that they belong to, and `data.split_by=given` makes the ordinary preparation follow it. So
everything that a training does with its two parts (anchors, number of epochs, warnings) is done here too.
Next: folds.py
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass, replace
from pathlib import Path

from sightline.config import Experiment, override
from sightline.prepare import Prepared, prepare
from sightline.records import Dataset
from sightline.splits import Split, part_of
from sightline.task_data import select_classes, select_points, usable


@dataclass(frozen=True, kw_only=True, eq=False)
class Planned:
    """One run of several: its name (a folder's) and all that its training needs."""

    name: str
    prepared: Prepared


def dividable(experiment: Experiment, dataset: Dataset, told: list[str]) -> Dataset:
    """The records that the recipe can learn from, without the data's own test part, where it names one.

    Args:
        experiment: a recipe.
        dataset: scanned.
        told: what was left out is added here.

    Raises:
        UserError: nothing is left, or the data do not suit the recipe.
    """
    kept = [record for record in dataset.records if part_of(record) != "test"]
    if 0 < len(kept) < len(dataset) and experiment.data.split_by in ("auto", "given"):
        told.append(f"{len(dataset) - len(kept)} records of the data's own test part stay out")
        dataset = dataset.with_records(kept)
    chosen = select_classes(select_points(dataset, experiment.data.points), experiment.data.classes)
    return usable(chosen, experiment.codec.finds, told)


def prepared_as(
    experiment: Experiment, dataset: Dataset, split: Split, *, seed: int, weight_folders: Sequence[Path]
) -> Prepared:
    """As `prepare`, divided as `split` says; records in neither part are left out.

    Args:
        experiment: a recipe.
        dataset: the whole data set as it was loaded.
        split: of records of the data set, which may have been chosen from (`dividable`) since.
        seed: of the training.
        weight_folders: where pretrained weights are looked for.
    """
    marked = _marked(
        dataset, train={record.image_id for record in split.train}, val={record.image_id for record in split.val}
    )
    given = override(experiment, sets=["data.split_by=given", f"train.seed={seed}"])
    return prepare(given, marked, weight_folders=weight_folders)


def _marked(dataset: Dataset, *, train: Set[str], val: Set[str]) -> Dataset:
    assert not train & val, sorted(train & val)[:3]
    part = dict.fromkeys(train, "train") | dict.fromkeys(val, "val")
    return dataset.with_records(
        replace(record, split=part[record.image_id]) for record in dataset.records if record.image_id in part
    )
