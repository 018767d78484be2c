"""Dividing a data set into a training and a validation part, without leaks.

Records of one picture never part. Records of one group (a person, a clip) never part either where
the split is by group, as it is by default where there are enough groups. Frames of one clip never part in any
way of splitting: neighbours look alike. In: a Dataset. Out: a Split.
Next: transforms.py
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from sightline.errors import UserError, unknown_name
from sightline.records import Dataset, Record
from sightline.stratify import deal, traits

SplitBy = Literal["auto", "given", "group", "random", "order"]

MIN_GROUPS = 5
"""With fewer groups, "auto" does not split by group: one clip of three is a third of the data."""

_TRAIN_NAMES = ("train", "training")
_VAL_NAMES = ("val", "valid", "validation", "dev")
_TEST_NAMES = ("test", "testing")


@dataclass(frozen=True, kw_only=True, eq=False)
class Split:
    """The two parts, in the data set's order, and which way they were made ("auto" resolved)."""

    train: tuple[Record, ...]
    val: tuple[Record, ...]
    by: str

    @property
    def straddling_groups(self) -> tuple[str, ...]:
        """Groups that are in both parts: the validation part is then easier than new data."""
        shared = {r.group for r in self.train if r.group} & {r.group for r in self.val if r.group}
        return tuple(sorted(shared))


def split_dataset(dataset: Dataset, *, val_fraction: float, seed: int, by: SplitBy = "auto") -> Split:
    """Divide a data set.

    Args:
        dataset: what to divide.
        val_fraction: the share of records to validate on, in (0, 1); not used by "given".
        seed: of the shuffle that "group" and "random" make; equal seeds give equal parts.
        by: "given": the data's own parts, where "val" (or else "test") is the validation part and
            records that name no part train. "group": whole groups. "random": whole pictures,
            whatever their group. "order": the last records of the file, cut between pictures.
            "auto": given where the data have a val or test part, else group where there are at
            least 5 groups, else random. Of a data set of clips whole clips are taken in every way.

    Raises:
        UserError: a part would be empty, the data lack what `by` needs, or their own parts divide a clip.
    """
    if by not in get_args(SplitBy):
        raise unknown_name("way to split", by, get_args(SplitBy))
    if not 0 < val_fraction < 1:
        raise UserError(f"The validation fraction is {val_fraction:g}. Expected a share between 0 and 1, such as 0.2.")
    records = dataset.records
    way = _resolve(records, has_clips=dataset.has_clips) if by == "auto" else by
    if way == "given":
        train, val = _given_parts(dataset)
        if dataset.has_clips:
            _refuse_divided_clips(dataset, train=train, val=val)
    else:
        make_units = {"group": _by_group, "random": _by_picture, "order": _by_picture}[way]
        units = _by_group(records) if dataset.has_clips else make_units(records)
        if len(units) < 2:
            what = "clips" if dataset.has_clips else "groups" if way == "group" else "pictures"
            raise _too_few(dataset, what=what, have=len(units), need=2)
        if way != "order":
            units = [units[i] for i in np.random.default_rng(seed).permutation(len(units))]
        else:
            units = units[::-1]
        chosen = _take(units, count=val_fraction * len(records))
        train = [record for i, record in enumerate(records) if i not in chosen]
        val = [record for i, record in enumerate(records) if i in chosen]
    return Split(train=tuple(train), val=tuple(val), by=way)


def k_folds(dataset: Dataset, *, k: int, seed: int) -> list[Split]:
    """Divide into k splits in which every record validates once; by whole groups, or pictures where there are none.

    Each fold gets its share of what is rare (`stratify.traits`: classes, hidden points) as far as whole groups allow.
    A data set of a single group is folded by picture, as there is no other way.

    Raises:
        UserError: k is below 2, or there are fewer groups or pictures than k.
    """
    if k < 2:
        raise UserError(f"Cross-validation in {k} folds was asked for. Expected at least 2.")
    records = dataset.records
    units, by = units_of(dataset)
    if len(units) < k:
        what = "groups (persons, clips)" if by == "group" else "pictures"
        raise UserError(
            f"{dataset.root} has {len(units)} {what} in {len(records)} records, which cannot be divided into {k} "
            f"folds: {k} are needed, as none may be in two folds. Ask for {max(2, len(units))} folds or fewer, or add "
            "labelled pictures."
        )
    part = deal(units, traits(records), shares=[1 / k] * k, seed=seed)
    splits = []
    for fold in range(k):
        chosen = {position for unit, place in zip(units, part, strict=True) if place == fold for position in unit}
        train = tuple(record for i, record in enumerate(records) if i not in chosen)
        val = tuple(record for i, record in enumerate(records) if i in chosen)
        splits.append(Split(train=train, val=val, by=by))
    return splits


def units_of(dataset: Dataset) -> tuple[list[list[int]], Literal["group", "random"]]:
    """Positions of the records that may not be parted, and by what: "group", or "random" for single pictures.

    Clips are always whole; groups where there is more than one.
    """
    records = dataset.records
    grouped = dataset.has_clips or len({record.group for record in records if record.group}) > 1
    return (_by_group(records), "group") if grouped else (_by_picture(records), "random")


def part_of(record: Record) -> str | None:
    """Which part a record's own `split` speaks of: "train", "val", "test", another word, or None."""
    word = (record.split or "").strip().lower()
    for part, names in (("train", _TRAIN_NAMES), ("val", _VAL_NAMES), ("test", _TEST_NAMES)):
        if word in names:
            return part
    return word or None


def _resolve(records: Sequence[Record], *, has_clips: bool) -> Literal["given", "group", "random"]:
    """What "auto" means for these records."""
    if {part_of(record) for record in records} & {"val", "test"}:
        return "given"
    if has_clips:
        return "group"
    return "group" if len({record.group for record in records if record.group}) >= MIN_GROUPS else "random"


def _given_parts(dataset: Dataset) -> tuple[list[Record], list[Record]]:
    """The data's own parts; with both val and test, test is kept out of either."""
    parts = [part_of(record) for record in dataset.records]
    if unknown := sorted({part for part in parts if part not in ("train", "val", "test", None)}):
        raise UserError(
            f"{dataset.root} names the parts {', '.join(unknown)}. Expected train, val (valid, validation) and test: "
            "rename them, or split another way."
        )
    held_out = "val" if "val" in parts else "test"
    train = [record for record, part in zip(dataset.records, parts, strict=True) if part in ("train", None)]
    val = [record for record, part in zip(dataset.records, parts, strict=True) if part == held_out]
    for name, part in (("training", train), ("validation", val)):
        if not part:
            raise UserError(
                f"{dataset.root} has no {name} part of its own among {len(parts)} records. Split by group, random or "
                "order instead, or mark records in the label file's split column."
            )
    return train, val


def _refuse_divided_clips(dataset: Dataset, *, train: Sequence[Record], val: Sequence[Record]) -> None:
    """Raise where the data's own parts put frames of one clip on both sides."""
    divided = Split(train=tuple(train), val=tuple(val), by="given").straddling_groups
    if divided:
        raise UserError(
            f"{dataset.root} has a split of its own that puts frames of {len(divided)} clips into both training and "
            f"validation, such as '{divided[0]}' [split-clip-leak]. Neighbouring frames look alike, so the validation "
            "would be worth nothing: split by group (--set data.split_by=group), or mend the data's split."
        )


def _by_picture(records: Sequence[Record]) -> list[list[int]]:
    """Positions of the records of each picture, in order of appearance."""
    return _units(records, keys=lambda record: (("picture", str(record.path)),))


def _by_group(records: Sequence[Record]) -> list[list[int]]:
    """Positions of the records that share a group or a picture, directly or through others."""

    def keys(record: Record) -> tuple[tuple[str, str], ...]:
        picture = ("picture", str(record.path))
        return (picture,) if record.group is None else (picture, ("group", record.group))

    return _units(records, keys=keys)


def _units(records: Sequence[Record], *, keys: Callable[[Record], tuple[tuple[str, str], ...]]) -> list[list[int]]:
    """Positions of the records that are joined by equal keys, in order of appearance."""
    parent: dict[tuple[str, str], tuple[str, str]] = {}

    def top(key: tuple[str, str]) -> tuple[str, str]:
        while parent.setdefault(key, key) != key:
            parent[key] = parent[parent[key]]  # halves the path: a clip of 100,000 frames is one long chain otherwise
            key = parent[key]
        return key

    for record in records:
        first, *rest = keys(record)
        for other in rest:
            parent[top(other)] = top(first)
    units: dict[tuple[str, str], list[int]] = {}
    for position, record in enumerate(records):
        units.setdefault(top(keys(record)[0]), []).append(position)
    return list(units.values())


def _take(units: Sequence[list[int]], *, count: float) -> set[int]:
    """Units from the start until their records come closest to `count`; at least one, never all."""
    chosen: set[int] = set(units[0])
    for unit in units[1:-1]:
        if abs(len(chosen) + len(unit) - count) >= abs(len(chosen) - count):
            break
        chosen.update(unit)
    return chosen


def _too_few(dataset: Dataset, *, what: str, have: int, need: int) -> UserError:
    """The error for data that cannot be divided so."""
    other = " or split by random or order" if what == "groups" and len(dataset) > 1 else ""
    return UserError(
        f"{dataset.root} has {have} {what} in {len(dataset)} records, too few to divide: {need} are needed. "
        f"Add labelled pictures{other}, or give a validation set of its own."
    )


def part(dataset: Dataset, name: str | None) -> Dataset:
    """The records of one part that the data set itself defines, or all of them.

    Raises:
        UserError: the data set defines no such part.
    """
    if name is None:
        return dataset
    records: list[Record] = [record for record in dataset.records if part_of(record) == name or record.split == name]
    if not records:
        parts = {record.split for record in dataset.records if record.split}
        raise unknown_name("split", name, parts)
    return dataset.with_records(records)
