"""What a data set must hold for a task, and making a data set and a model speak of the same points or classes.

Next: prepare.py
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

import numpy as np

from sightline.errors import UserError, unknown_name
from sightline.records import Dataset, Record

if TYPE_CHECKING:  # an exported model needs no torch
    from sightline.config import Experiment
    from sightline.pieces import Finds


class _Names(Protocol):
    @property
    def names(self) -> tuple[str, ...]:
        """Of the points."""
        ...


class _Selection(Protocol):
    @property
    def crop(self) -> str:
        """What the network sees of a picture."""
        ...

    @property
    def points(self) -> tuple[str, ...] | None:
        """Of the data's points, those that the model learnt; None for all."""
        ...

    @property
    def classes(self) -> tuple[str, ...] | None:
        """Of the data's classes, those that the model learnt; None for all."""
        ...


class Speaks(Protocol):
    """What a model speaks of, as an `Experiment` or an artefact's card tells it."""

    @property
    def skeleton(self) -> _Names:
        """Its points."""
        ...

    @property
    def classes(self) -> tuple[str, ...]:
        """Its classes."""
        ...

    @property
    def data(self) -> _Selection:
        """What it learnt of the data."""
        ...


def usable(dataset: Dataset, finds: Finds, decisions: list[str]) -> Dataset:
    """The records from which a task can be learnt and on which it can be scored.

    Args:
        dataset: scanned.
        finds: the task.
        decisions: told here what was left out.

    Raises:
        UserError: there is none.
    """
    if finds == "points":
        return _with_points(dataset, decisions)
    if finds == "track":
        return _with_clips(dataset)
    if not dataset.classes or any(record.objects is None for record in dataset.records):
        raise UserError(
            f"{dataset.root} ({dataset.format}) has no boxes with classes, and this recipe learns to find boxes. "
            "Choose a recipe for points (`sightline recipes`), or give data with boxes."
        )
    return _with_one_box(dataset, decisions) if finds == "one-box" else _with_boxes(dataset)


def _with_points(dataset: Dataset, decisions: list[str]) -> Dataset:
    if not len(dataset.skeleton) and dataset.classes:
        raise UserError(
            f"{dataset.root} ({dataset.format}) has boxes but no points, and this recipe learns to find points. "
            "Choose a recipe for boxes, such as boxes or one-box (`sightline recipes`)."
        )
    records = [record for record in dataset.records if record.visible.any()]
    if not records:
        raise UserError(f"{dataset.root}: none of the {len(dataset)} records has a labelled point. Label some first.")
    if len(records) < len(dataset):
        decisions.append(f"{len(dataset) - len(records)} records without a labelled point are left out")
    return dataset.with_records(records)


def _with_clips(dataset: Dataset) -> Dataset:
    if not dataset.has_clips or len(dataset.skeleton) != 1:
        found = f"{len(dataset.skeleton)} points in single pictures" if len(dataset.skeleton) else "no points"
        if dataset.has_clips:
            found = f"{len(dataset.skeleton)} points in clips (choose one with data.points)"
        raise UserError(
            f"{dataset.root} ({dataset.format}) has {found}, and this recipe follows one point through clips. Give "
            "frames of clips with a row per frame (`docs/formats.md`); where the pictures are numbered frames of a "
            "video, add --format numbered_frames. Or choose a recipe for points."
        )
    if not any(record.visible[0] for record in dataset.records):
        raise UserError(f"{dataset.root}: the point is visible in none of the {len(dataset)} labelled frames.")
    return dataset


def _with_one_box(dataset: Dataset, decisions: list[str]) -> Dataset:
    records = [record for record in dataset.records if count_objects(record) == 1]
    if not records:
        raise UserError(
            f"{dataset.root}: none of the {len(dataset)} pictures shows exactly one object, which this recipe needs. "
            "For pictures with any number of objects take the recipe boxes."
        )
    if len(records) < len(dataset):
        decisions.append(
            f"{len(dataset) - len(records)} pictures with no object or with several are left out: this recipe finds one"
        )
    return dataset.with_records(records)


def _with_boxes(dataset: Dataset) -> Dataset:
    if not any(count_objects(record) for record in dataset.records):
        raise UserError(f"{dataset.root}: none of the {len(dataset)} pictures has a labelled box. Label some first.")
    return dataset


def count_objects(record: Record) -> int:
    """Boxes that are to be found: crowds are not."""
    return 0 if record.objects is None else int((~record.objects.crowd).sum())


def check_parts(train: Sequence[Record], val: Sequence[Record], classes: Sequence[str]) -> list[str]:
    """Warnings about classes that one part of a divided box data set lacks.

    Raises:
        UserError: a part has no box at all.
    """
    counts = {}
    for name, part in (("training", train), ("validation", val)):
        counts[name] = np.zeros(len(classes), dtype=np.int64)
        for record in part:
            if record.objects is not None:
                counts[name] += np.bincount(record.objects.labels[~record.objects.crowd], minlength=len(classes))
        if not counts[name].any():
            raise UserError(
                f"The {name} part has {len(part)} pictures without a single box. Divide otherwise, by data.split_by, "
                "data.split_seed or data.val_fraction, or label more."
            )
    told = []
    for label, name in enumerate(classes):
        if not counts["training"][label]:
            told.append(f"warning: class '{name}' is not in the training part and will never be found")
        elif not counts["validation"][label]:
            told.append(f"warning: class '{name}' is not in the validation part and is not scored")
    return told


def select_points(dataset: Dataset, points: Sequence[str] | None) -> Dataset:
    """The data set with some of its points, by name or number."""
    if points is None:
        return dataset
    names = dataset.skeleton.names
    keep = []
    for point in points:
        if point in names:
            keep.append(names.index(point))
        elif point.isdigit() and int(point) < len(names):
            keep.append(int(point))
        else:
            raise unknown_name("point", point, names)
    if not keep or len(set(keep)) < len(keep):
        raise UserError(
            f"data.points={list(points)} chooses {'a point twice' if keep else 'no point'}. Name each once."
        )
    records = [record.select(keep) for record in dataset.records]
    return replace(dataset, records=tuple(records), skeleton=dataset.skeleton.select(keep))


def select_classes(dataset: Dataset, names: Sequence[str] | None) -> Dataset:
    """The data set with the boxes of some of its classes, in the order given; the other boxes are background."""
    if names is None or not dataset.classes:
        return dataset
    for name in names:
        if name not in dataset.classes:
            raise unknown_name("class", name, dataset.classes)
    if not names or len(set(names)) < len(names):
        raise UserError(f"data.classes={list(names)} chooses {'a class twice' if names else 'none'}. Name each once.")
    moved = np.full(len(dataset.classes), -1)
    moved[[dataset.classes.index(name) for name in names]] = np.arange(len(names))
    return _relabelled(dataset, moved, classes=tuple(names))


def speaking_of(experiment: Experiment, dataset: Dataset) -> Dataset:
    """The data set with the model's points or classes, chosen by the recipe's own selection.

    Classes are matched by name, so their order in the label files does not matter, and data without some of the
    model's classes are fine.

    Raises:
        UserError: the names differ.
    """
    if experiment.codec.finds in ("points", "track"):
        return same_points(experiment, dataset)
    return same_classes(experiment, dataset)


def same_classes(model: Speaks, dataset: Dataset) -> Dataset:
    """As `speaking_of`, for boxes."""
    chosen = select_classes(dataset, model.data.classes)
    unknown = [name for name in chosen.classes if name not in model.classes]
    if unknown:
        raise UserError(
            f"{dataset.root} has the classes {', '.join(unknown[:6])}, which the model does not know; it knows "
            f"{', '.join(model.classes[:12])}. Rename them in the labels, or train on these data."
        )
    moved = np.array([model.classes.index(name) for name in chosen.classes], dtype=np.int64)
    return _relabelled(chosen, moved, classes=model.classes)


def _relabelled(dataset: Dataset, moved: np.ndarray, *, classes: tuple[str, ...]) -> Dataset:
    """Labels go through `moved`; boxes that it sends to -1 are left out."""
    records = []
    for record in dataset.records:
        if record.objects is not None:
            objects = replace(record.objects, labels=moved[record.objects.labels])
            record = replace(record, objects=objects.select(objects.labels >= 0))
        records.append(record)
    return replace(dataset, records=tuple(records), classes=classes, class_ids=())


def same_points(model: Speaks, dataset: Dataset) -> Dataset:
    """As `speaking_of`, for points."""
    chosen = select_points(dataset, model.data.points)
    expected, found = model.skeleton.names, chosen.skeleton.names
    if chosen.has_clips and len(expected) == len(found) == 1:
        # The one that is followed; each format has its own name for it.
        return replace(chosen, skeleton=replace(chosen.skeleton, names=expected))
    if expected != found:
        lacking = [name for name in expected if name not in found]
        extra = [name for name in found if name not in expected]
        raise UserError(
            f"{dataset.root} has {len(found)} points, the model {len(expected)}; their names differ: "
            f"missing {lacking[:6]}, unknown {extra[:6]}{'' if lacking or extra else ', or in another order'}. "
            "Evaluate on data with the model's points."
        )
    return chosen


def resolve_crop(data: _Selection, dataset: Dataset, finds: Finds) -> str:
    """What `crop="auto"` means for a data set and a task.

    Raises:
        UserError: boxes cannot be looked for in a crop around themselves.
    """
    if finds == "track":
        if data.crop in ("points", "box"):
            raise UserError(f"data.crop={data.crop}: in a clip nobody knows the box. Use data.crop=image or window.")
        return "window" if data.crop == "window" else "image"
    if finds != "points":
        if data.crop in ("points", "box"):
            raise UserError(f"data.crop={data.crop}: boxes are looked for in whole pictures. Use data.crop=image.")
        return "image"
    if data.crop != "auto":
        return data.crop
    if all(record.box_xyxy is not None for record in dataset.records):
        return "box"
    if "deeplabcut" in (dataset.format, dataset.made_from) or len(dataset.skeleton) < 3:
        return "image"  # whole frames are what such projects predict on, and one point spans no box
    return "points"
