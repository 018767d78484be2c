"""Two data sets of clips as one, frame by frame, so that no label of either is lost unless the user says which holds.

"Not visible" is a label as a place is: a frame that one says to be without the point, and the other not, is a conflict.
In: two data sets of clips. Out: `Merged`. Next: merged_files.py
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np

from sightline.errors import UserError
from sightline.files import free_name
from sightline.labelling.join import SAME_PX
from sightline.labelling.match_clips import match_clips
from sightline.labelling.merged import Merged, OnConflict, require_decided
from sightline.labelling.names import in_names_of
from sightline.readers.footage import Footage
from sightline.records import Dataset, Record
from sightline.writers import Clip, clips_of

_PAST_IS_LABELLED = "shuttle_samples"


def merge_clips(old: Dataset, new: Dataset, *, on_conflict: OnConflict, renames: Mapping[str, str]) -> Merged:
    """Join newly labelled frames of clips with a data set; arguments as for `merge_datasets`.

    The one point of the new clips is that of the old ones, whatever it is called.

    Raises:
        UserError: conflicts and `on_conflict` is "refuse", pictures without clips, or clips that cannot be compared.
    """
    _require_clips(old, new)
    if renames:
        new, _ = in_names_of(new, old, renames=renames)
    labelled = new.with_records(record for record in new.records if not record.is_guess)
    before, brought = clips_of(old), clips_of(labelled)
    matched = match_clips(before, brought)
    joining = {clip.name: _Joining(clip) for clip in before}
    added: list[Clip] = []
    renamed: dict[str, str] = {}
    for clip in brought:
        if (same := matched.same.get(clip.name)) is not None:
            joining[same.name].join(clip, shift=same.shift, on_conflict=on_conflict)
            continue
        taken = {*joining, *(one.name for one in added)}
        free = free_name(clip.name, is_taken=taken.__contains__)
        if free != clip.name:
            renamed[clip.name] = free
        added.append(replace(clip, name=free, records=tuple(_called(clip.records, free))))
    conflicts = [text for one in joining.values() for text in one.conflicts]
    require_decided(conflicts, on_conflict, unit="frame")
    clips = (*(one.joined() for one in joining.values()), *(clip.with_past() for clip in added))
    records = tuple(record for clip in clips for record in clip.records)
    return Merged(
        dataset=replace(old, records=records, problems=()),
        added=sum(len(clip.records) for clip in added),
        filled=sum(one.filled for one in joining.values()),
        same=sum(one.same for one in joining.values()),
        conflicts=tuple(conflicts),
        unlabelled=len(new) - len(labelled),
        renamed=renamed,
        matched_by_name=matched.by_name,
        unit="frame",
        clips=clips,
    )


class _Joining:
    """One old clip, which takes the labels of new ones."""

    def __init__(self, clip: Clip) -> None:
        self.clip = clip
        self.records: dict[int, Record] = {_number(record): record for record in clip.records}
        self.pictures = dict(clip.footage.pictures)
        self.conflicts: list[str] = []
        self.filled = self.same = 0

    def join(self, new: Clip, *, shift: int, on_conflict: OnConflict) -> None:
        """Take the labels of a clip whose frame `n` is frame `n + shift` here."""
        if self.clip.footage.video is None:
            for number, path in new.footage.pictures.items():
                self.pictures.setdefault(number + shift, path)
        for record in new.records:
            number = _number(record) + shift
            before = self.records.get(number)
            if before is None:
                self.records[number] = self._placed(record, number)
                self.filled += 1
            elif _is_same(before, record):
                self.same += 1
            else:
                self.conflicts.append(f"{before.image_id} ({before.source} against {record.source})")
                if on_conflict == "newer":
                    self.records[number] = replace(
                        before, points_xy=record.points_xy, visible=record.visible, source=record.source
                    )

    def joined(self) -> Clip:
        """The clip with all labels; counted anew where it begins earlier now."""
        start = min([0, *self.records, *self.pictures])
        records = [replace(record, frame=number - start) for number, record in sorted(self.records.items())]
        pictures = {number - start: path for number, path in sorted(self.pictures.items())}
        footage = self.clip.footage if self.clip.footage.video is not None else Footage(pictures=pictures)
        clip = replace(self.clip, footage=footage, records=tuple(_called(records, self.clip.name)))
        return clip.with_past()

    def _placed(self, record: Record, number: int) -> Record:
        """A new label on the old clip's own frame."""
        video = self.clip.footage.video
        first = self.clip.records[0]
        return replace(
            record,
            path=self.pictures[number] if video is None else video,
            video_frame=None if video is None else number,
            size_hw=first.size_hw if video is not None else record.size_hw,
            group=self.clip.name,
            split=self.clip.split if self.clip.split is not None else record.split,
        )


def _require_clips(old: Dataset, new: Dataset) -> None:
    for dataset, other in ((old, new), (new, old)):
        if not dataset.has_clips:
            raise UserError(
                f"{dataset.root} holds pictures ({dataset.format}) and {other.root} clips ({other.format}). Only data "
                "of one kind can be joined."
            )
        if dataset.format == _PAST_IS_LABELLED:
            raise UserError(
                f"{dataset.root} is of the format {dataset.format}, whose frames have a past of their own, which a "
                "merge would not keep. Give it as clips: sightline convert --to tracknet."
            )


def _called(records: Iterable[Record], name: str) -> list[Record]:
    """The records as frames of a clip of that name."""
    return [replace(record, image_id=f"{name}/{_number(record):06d}", group=name) for record in records]


def _is_same(first: Record, second: Record) -> bool:
    if first.visible[0] != second.visible[0]:
        return False
    return not first.visible[0] or bool((np.abs(first.points_xy - second.points_xy) <= SAME_PX).all())


def _number(record: Record) -> int:
    assert record.frame is not None, record.image_id
    return record.frame
