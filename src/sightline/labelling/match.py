"""Which pictures of two data sets are the same, though they lie in two places or were saved again.

In: two data sets. Out: pairs of pictures. Next: names.py
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sightline.doctor.case import Look
from sightline.doctor.copies import Alike
from sightline.doctor.look import look_at_pictures
from sightline.labelling.candidates import picture_id
from sightline.records import Dataset, Record


@dataclass(frozen=True, kw_only=True)
class Matched:
    """What belongs together.

    Attributes:
        same: picture of the new data set -> the same picture of the old one.
        by_name: how many of these have other bytes, and were known by name and look.
        namesakes: pictures of the new data set that have the name of another picture of the old one.
    """

    same: Mapping[Path, Path]
    by_name: int
    namesakes: frozenset[Path]


def match_pictures(old: Dataset, new: Dataset) -> Matched:
    """Equal bytes are one picture, whatever they are called; of equal names, those of one size that look alike.

    A tool that saved a picture again changes its bytes, not its name and size. Two pictures of one name that do not
    look alike, or differ in size, are two pictures.
    """
    before, after = look_at_pictures(old.records), look_at_pictures(new.records)
    by_digest: dict[bytes, list[Record]] = {}
    for record in _firsts(old.records):
        if record.path in before:
            by_digest.setdefault(before[record.path].digest, []).append(record)
    by_name = {picture_id(record): record for record in old.records}
    same: dict[Path, Path] = {}
    namesakes: set[Path] = set()
    renewed = 0
    for record in _firsts(new.records):
        look = after.get(record.path)
        if look is not None and look.digest in by_digest:
            copies = by_digest[look.digest]
            named = [one for one in copies if picture_id(one) == picture_id(record)]
            same[record.path] = (named or copies)[0].path
            continue
        namesake = by_name.get(picture_id(record))
        if namesake is None:
            continue
        if look is not None and _is_saved_again(record, look, namesake, before.get(namesake.path)):
            same[record.path] = namesake.path
            renewed += 1
        else:
            namesakes.add(record.path)
    return Matched(same=same, by_name=renewed, namesakes=frozenset(namesakes))


def _firsts(records: Iterable[Record]) -> list[Record]:
    """One record for each picture."""
    found: dict[Path, Record] = {}
    for record in records:
        found.setdefault(record.path, record)
    return list(found.values())


def _is_saved_again(new: Record, look: Look, old: Record, before: Look | None) -> bool:
    if before is None or new.size_hw != old.size_hw:
        return False
    return bool(Alike.of(np.stack([look.thumb, before.thumb])).to(0)[1])
