"""Points and classes of one data set said in the names of another.

In: a data set, the names to speak of, renamings. Out: the data set in these names. Next: merge.py
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from sightline.errors import UserError, unknown_name
from sightline.records import Dataset


def parse_renames(texts: Sequence[str]) -> dict[str, str]:
    """`["snout=nose"]` as a table.

    Raises:
        UserError: one is not NEW=OLD.
    """
    table: dict[str, str] = {}
    for text in texts:
        name, sign, becomes = (part.strip() for part in text.partition("="))
        if not sign or not name or not becomes:
            raise UserError(
                f"--rename {text}: expected NEW=OLD, what is called NEW in the new labels and OLD in the old."
            )
        table[name] = becomes
    return table


def in_names_of(new: Dataset, old: Dataset, *, renames: Mapping[str, str]) -> tuple[Dataset, frozenset[str]]:
    """The new data set with the old one's points or classes, and which of these it knows.

    Args:
        new: newly labelled.
        old: whose names hold.
        renames: name in `new` -> name in `old`.

    Raises:
        UserError: one has points and the other boxes, or a name is unknown; the nearest one is told.
    """
    if bool(old.classes) != bool(new.classes):
        kinds = {True: "boxes", False: "points"}
        raise UserError(
            f"{old.root} holds {kinds[bool(old.classes)]} and {new.root} holds {kinds[bool(new.classes)]}. Only labels "
            "of one kind can be joined."
        )
    ours, theirs = (old.classes, new.classes) if old.classes else (old.skeleton.names, new.skeleton.names)
    what = "class" if old.classes else "point"
    for name in renames:
        if name not in theirs:
            raise unknown_name(f"{what} to rename in {new.root}", name, theirs)
    said = [renames.get(name, name) for name in theirs]
    for name in said:
        if name not in ours:
            error = unknown_name(f"{what} in {old.root} named", name, ours)
            raise UserError(f"{error} Say what it is with --rename {name}=OLD.") from error
    if len(set(said)) < len(said):
        double = next(name for name in said if said.count(name) > 1)
        raise UserError(f"Two names of {new.root} become the {what} '{double}'. Rename each to another one.")
    place = np.array([ours.index(name) for name in said], dtype=np.int64)
    moved = _boxes_moved(new, old, place) if old.classes else _points_moved(new, old, place)
    return moved, frozenset(said)


def _boxes_moved(new: Dataset, old: Dataset, place: np.ndarray) -> Dataset:
    records = [
        record if record.objects is None
        else replace(record, objects=replace(record.objects, labels=place[record.objects.labels]))
        for record in new.records
    ]  # fmt: skip
    return replace(new, classes=old.classes, class_ids=old.class_ids, records=tuple(records))


def _points_moved(new: Dataset, old: Dataset, place: np.ndarray) -> Dataset:
    records = []
    for record in new.records:
        points, visible = np.zeros((len(old.skeleton), 2)), np.zeros(len(old.skeleton), dtype=bool)
        points[place], visible[place] = record.points_xy, record.visible
        records.append(replace(record, points_xy=points, visible=visible))
    return replace(new, skeleton=old.skeleton, records=tuple(records))
