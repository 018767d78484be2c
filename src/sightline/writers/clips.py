"""Clips as writers take them: the labels of each, and where its frames are.

In: a data set of clips. Out: `Clip`s. Next: tracknet.py and the other formats
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import numpy as np

from sightline.errors import UserError
from sightline.files import free_name
from sightline.geometry import continuous_to_index
from sightline.readers.clip_assemble import before_frame
from sightline.readers.footage import Footage, footage_of_video
from sightline.records import PAST_FRAMES, Dataset, FrameAt, Record
from sightline.video.folder_source import numbered_pictures
from sightline.writers.prediction import text

# Of these formats the label file itself lists the pictures; of others a clip is all numbered pictures of a folder.
_LISTED = ("ball_csv", "numbered_frames", "shuttle_samples")


@dataclass(frozen=True, kw_only=True, eq=False)
class Clip:
    """One clip.

    Attributes:
        name: the group of its records.
        footage: a video, or pictures; frames are numbered from 0, as `Record.frame` is.
        records: its labelled frames, in their order.
    """

    name: str
    footage: Footage
    records: tuple[Record, ...]

    @property
    def split(self) -> str | None:
        """The part of the data that it belongs to; of a clip that is parted, that of its first frame."""
        return self.records[0].split if self.records else None

    def with_past(self) -> Clip:
        """The same with what came before each frame as its records and footage say it now."""
        points = {_number(r): (float(r.points_xy[0, 0]), float(r.points_xy[0, 1]))
                  for r in self.records if r.visible[0]}  # fmt: skip
        records = [
            replace(record, before=before_frame(_number(record), footage=self.footage, points=points))
            for record in self.records
        ]
        return replace(self, records=tuple(records))


def clips_of(dataset: Dataset) -> list[Clip]:
    """The clips of a data set, in its order.

    Raises:
        UserError: a clip has frames in several videos, or a folder two pictures of one number.
    """
    groups: dict[str, list[Record]] = {}
    for record in dataset.records:
        groups.setdefault(record.group or "clip", []).append(record)
    return [_clip(name, records, is_listed=dataset.format in _LISTED) for name, records in groups.items()]


def _clip(name: str, records: Sequence[Record], *, is_listed: bool) -> Clip:
    ordered = tuple(sorted(records, key=_number))
    places = _places(ordered)
    videos = list(dict.fromkeys(at.path for at in places.values() if at.index is not None))
    if videos:
        if len({at.path for at in places.values()}) > 1:
            raise UserError(f"The clip '{name}' has frames in {videos[0]} and elsewhere. Expected one video a clip.")
        return Clip(name=name, footage=footage_of_video(videos[0]), records=ordered)
    pictures = {number: at.path for number, at in places.items()}
    if not is_listed:
        pictures |= _in_folders(ordered)
    return Clip(name=name, footage=Footage(pictures=dict(sorted(pictures.items()))), records=ordered)


def _places(records: Iterable[Record]) -> dict[int, FrameAt]:
    """Where frames are, as far as records and what came before them say it; none before the first."""
    found: dict[int, FrameAt] = {}
    for record in records:
        before = record.before.frames if record.before is not None else ()
        for number, at in enumerate(before, start=_number(record) - PAST_FRAMES):
            if at is not None and number >= 0:
                found.setdefault(number, at)
        found[_number(record)] = FrameAt(path=record.path, index=record.video_frame)
    return found


def _in_folders(records: Sequence[Record]) -> dict[int, Path]:
    """All numbered pictures of the folders that records lie in, also those without a label."""
    found: dict[int, Path] = {}
    for folder in dict.fromkeys(record.path.parent for record in records):
        numbered = numbered_pictures(folder)
        number_of = {path: number for number, path in numbered.items()}
        shifts = {number_of[record.path] - _number(record) for record in records if record.path in number_of}
        if len(shifts) == 1:
            shift = shifts.pop()
            found |= {number - shift: path for number, path in numbered.items() if number >= shift}
    return found


def _number(record: Record) -> int:
    assert record.frame is not None, record.image_id
    return record.frame


def require_pictures(clips: Sequence[Clip], *, format: str) -> None:
    """Raise UserError where a clip is a video, which a format of pictures has no place for."""
    video = next((clip for clip in clips if clip.footage.video is not None), None)
    if video is not None:
        raise UserError(
            f"'{video.name}' is a video, but the format '{format}' holds clips of pictures. Write 'tracknet', which "
            "holds both."
        )


def placed(clips: Sequence[Clip], *, depth: int) -> list[tuple[Clip, str]]:
    """Each clip with a path of its own for its files, without an ending, below the folder of the labels.

    Args:
        clips: to be written. One that belongs to a part of the data lies in the folder of that part.
        depth: how many parts a path may have, since readers look no deeper; those behind the first are joined with `_`.
    """
    taken: set[str] = set()
    found = []
    for clip in clips:
        parts = [part for part in PurePosixPath(clip.name.replace("\\", "/")).parts if part.strip("./")] or ["clip"]
        if clip.split is not None and parts[0] != clip.split:
            parts = [clip.split, *parts]
        if len(parts) > depth:
            parts = [parts[0], "_".join(parts[1 : 2 - depth]), *parts[2 - depth :]]
        name = "/".join(parts)
        free = free_name(name, is_taken=lambda one: one.lower() in taken)
        taken.add(free.lower())
        found.append((clip, free))
    return found


def cells(record: Record, *, as_index: bool) -> tuple[str, str, str]:
    """Visibility, x and y of a label as text: zeros where it is not visible.

    Args:
        record: one labelled frame.
        as_index: the centre of the first pixel is 0, instead of 0.5.
    """
    if not record.visible[0]:
        return "0", "0", "0"
    xy = continuous_to_index(record.points_xy[0]) if as_index else record.points_xy[0]
    x, y = np.asarray(xy).tolist()
    return "1", text(x), text(y)


def files_of(clip: Clip, name: str) -> Mapping[str, Path]:
    """Where the frames of a clip belong: one video, or a folder of numbered pictures, by the path of the clip."""
    if clip.footage.video is not None:
        return {f"{name}{clip.footage.video.suffix.lower()}": clip.footage.video}
    return {f"{name}/{number:06d}{path.suffix.lower()}": path for number, path in clip.footage.pictures.items()}
