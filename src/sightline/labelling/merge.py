"""Two labelled data sets as one, so that no label of either is lost unless the user says which one holds.

A picture that both label in the same way is no conflict, nor is one where each labels what the other does not know.
Clips are joined frame by frame, by merge_clips.py.
In: two data sets. Out: `Merged`. Next: merged_files.py
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

import numpy as np

from sightline.errors import UserError
from sightline.files import free_name
from sightline.labelling.candidates import is_labelled, picture_id
from sightline.labelling.join import alike, newer, union
from sightline.labelling.match import match_pictures
from sightline.labelling.merge_clips import merge_clips
from sightline.labelling.merged import Merged, OnConflict, require_decided
from sightline.labelling.names import in_names_of
from sightline.records import Dataset, Record


def merge_datasets(
    old: Dataset, new: Dataset, *, on_conflict: OnConflict = "refuse", renames: Mapping[str, str] | None = None
) -> Merged:
    """Join newly labelled pictures with a data set.

    Args:
        old: its names of points or classes hold.
        new: what it adds; pre-annotations that no person has looked at are left out.
        on_conflict: what holds where both label a picture differently: the `newer` or the `older` labels of that
            picture, or nothing at all.
        renames: name in `new` -> name in `old`.

    Raises:
        UserError: conflicts and `on_conflict` is "refuse"; different kinds of labels, or unknown names.
    """
    if old.has_clips or new.has_clips:
        return merge_clips(old, new, on_conflict=on_conflict, renames=renames or {})
    moved, known = in_names_of(new, old, renames=renames or {})
    labelled = moved.with_records(record for record in moved.records if is_labelled(record))
    matched = match_pictures(old, labelled)
    joining = _Joining(old=old, known=known, on_conflict=on_conflict, matched_by_name=matched.by_name)
    for path, records in _by_picture(labelled.records).items():
        if path in matched.same:
            joining.join(matched.same[path], records)
        else:
            joining.add(records, is_namesake=path in matched.namesakes)
    return joining.merged(unlabelled=len(_by_picture(new.records)) - len(_by_picture(labelled.records)))


class _Joining:
    """Takes the new pictures one after the other."""

    def __init__(self, *, old: Dataset, known: frozenset[str], on_conflict: OnConflict, matched_by_name: int) -> None:
        self.old, self.matched_by_name = old, matched_by_name
        self.on_conflict: OnConflict = on_conflict
        self.names = old.classes or old.skeleton.names
        self.known = np.array([name in known for name in self.names], dtype=bool)
        self.pictures = _by_picture(old.records)
        self.changed: set[Path] = set()
        self.new: list[Record] = []
        self.ids = {picture_id(record) for record in old.records}
        self.conflicts: list[str] = []
        self.renamed: dict[str, str] = {}
        self.added = self.filled = self.same = 0

    def add(self, records: Sequence[Record], *, is_namesake: bool) -> None:
        """A picture that the old data set does not have."""
        name = picture_id(records[0])
        free = free_name(
            name,
            is_taken=lambda one: one in self.ids or (is_namesake and one == name),
            ending=PurePosixPath(name).suffix,
        )
        if free != name:
            self.renamed[name] = free
        self.ids.add(free)
        self.new += [_named(record, free, number) for number, record in enumerate(records, start=1)]
        self.added += 1

    def join(self, path: Path, records: Sequence[Record]) -> None:
        """A picture that both have."""
        before = self.pictures[path]
        here = _placed(records, before[0])
        if not any(is_labelled(record) for record in before):
            self.changed.add(path)
            self.pictures[path] = here
            self.filled += 1
            return
        joined = union(before, here, self.known)
        if joined is None and path in self.changed:
            raise UserError(
                f"{records[0].source}: its picture is the same file as another one of the new labels, and labelled "
                f"otherwise (in the old data '{picture_id(before[0])}'). Keep the labels of one of the two."
            )
        self.changed.add(path)
        if joined is None:
            self.conflicts.append(f"{picture_id(before[0])} ({before[0].source} against {records[0].source})")
            if self.on_conflict == "newer":
                self.pictures[path] = newer(before, here, self.known)
            return
        if alike(joined, before):
            self.same += 1
            return
        self.pictures[path] = joined
        self.filled += 1

    def merged(self, *, unlabelled: int) -> Merged:
        """The result.

        Raises:
            UserError: there are conflicts and nobody said what holds.
        """
        require_decided(self.conflicts, self.on_conflict)
        records = [record for records in self.pictures.values() for record in records] + self.new
        return Merged(
            dataset=replace(self.old, records=tuple(records), problems=()),
            added=self.added,
            filled=self.filled,
            same=self.same,
            conflicts=tuple(self.conflicts),
            unlabelled=unlabelled,
            renamed=self.renamed,
            matched_by_name=self.matched_by_name,
            not_known=tuple(name for name, is_known in zip(self.names, self.known, strict=True) if not is_known),
        )


def _by_picture(records: Sequence[Record]) -> dict[Path, list[Record]]:
    found: dict[Path, list[Record]] = {}
    for record in records:
        found.setdefault(record.path, []).append(record)
    return found


def _named(record: Record, name: str, number: int) -> Record:
    return replace(record, image_id=name if number == 1 else f"{name}#{number}")


def _placed(records: Sequence[Record], before: Record) -> list[Record]:
    """New labels on the old data set's own picture; what the old one knew of it otherwise stays."""
    name = picture_id(before)
    return [
        replace(
            _named(record, name, number),
            path=before.path,
            size_hw=before.size_hw,
            group=before.group if before.group is not None else record.group,
            split=before.split if before.split is not None else record.split,
            box_xyxy=record.box_xyxy if record.box_xyxy is not None or len(records) > 1 else before.box_xyxy,
        )
        for number, record in enumerate(records, start=1)
    ]
