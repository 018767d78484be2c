"""Which pictures are audited: those that the run trained on, those that it validated on, and those it does not know.

Next: ../loader.py
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sightline.errors import UserError, unknown_name
from sightline.files import read_object
from sightline.records import Dataset, Record

TRAIN, VAL, DATA = "train", "val", "data"
PARTS = (TRAIN, VAL, DATA)


@dataclass(frozen=True, kw_only=True, eq=False)
class Part:
    """Some records of the data set.

    Attributes:
        name: "train" and "val" as the run divided them; "data": records that it does not know.
        records: those that are looked at.
        total: how many the part has.
    """

    name: str
    records: tuple[Record, ...]
    total: int


def parts_of(dataset: Dataset, split_file: Path, *, images: int, only: Sequence[str] = ()) -> list[Part]:
    """The parts of a data set as a run knows it, with at most `images` records each, chosen at random but always alike.

    Args:
        dataset: what is audited on; records are known by their names.
        split_file: the run's split.json; without it all records are "data".
        images: how many of each part.
        only: names of parts; all without any.

    Raises:
        UserError: a damaged file, or a part that is not there.
    """
    known = read_split(split_file)
    name_of = {image_id: part for part in (TRAIN, VAL) for image_id in known.get(part, ())}
    by_part: dict[str, list[Record]] = {}
    for record in dataset.records:
        by_part.setdefault(name_of.get(record.image_id, DATA), []).append(record)
    for name in only:
        if name not in PARTS:
            raise unknown_name("part", name, PARTS)
        if name not in by_part:
            there = ", ".join(f"{part} ({len(records)})" for part, records in sorted(by_part.items()))
            raise UserError(
                f"{dataset.root} has no record of the part '{name}' of {split_file.parent}; it has {there}."
            )
    chosen = [name for name in PARTS if name in by_part and (not only or name in only)]
    return [Part(name=name, records=_some(by_part[name], count=images), total=len(by_part[name])) for name in chosen]


def read_split(path: Path) -> dict[str, list[str]]:
    """Names of the records by part; empty where a run has none, as one whose training never began.

    Raises:
        UserError: it is damaged.
    """
    if not path.is_file():
        return {}
    advice = "Restore it, or delete it to audit all pictures as new ones."
    told = read_object(path, advice=advice)
    try:
        return {part: [str(name) for name in told[part]] for part in (TRAIN, VAL)}
    except (KeyError, TypeError) as error:
        raise UserError(f"{path} is damaged ({error}). {advice}") from error


def _some(records: Sequence[Record], *, count: int) -> tuple[Record, ...]:
    """At most so many, in their own order."""
    if len(records) <= count:
        return tuple(records)
    drawn = np.random.default_rng(0).permutation(len(records))[:count]
    return tuple(records[index] for index in sorted(drawn.tolist()))
