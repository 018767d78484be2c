"""From labelled frames of clips to a `Dataset`: what came before each frame, and the checks all formats share.

A record is a labelled frame; "not visible" is a label too. What came before it goes by the numbers of the
frames: the frame just before is the one with the number below, or nothing where that one is lacking.
In: clips with their footage and labels, and the reader's own problems. Out: a Dataset. Next: tracknet.py
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sightline.errors import UserError
from sightline.geometry import inside
from sightline.readers.assemble import Findings, LabelError, checked_size
from sightline.readers.footage import Footage, footage_of
from sightline.readers.texts import is_finite, part_of_name
from sightline.records import HISTORY, PAST_FRAMES, Before, Dataset, Record, Skeleton
from sightline.video.library import VideoError

POINT = Skeleton(names=("point",))

Place = tuple[float, float]

# Tables that were kept as floats write 12.0 for frame 12.
_WHOLE = re.compile(r"(\d+)(?:\.0*)?")


@dataclass(frozen=True, kw_only=True)
class FrameLabel:
    """What a label file says of one frame.

    Attributes:
        number: of the frame, in the numbers of the footage.
        xy: continuous pixels, or fractions of width and height; None where the point is not visible.
        source: "labels.csv:12".
        split: the part of this frame alone, where the data set has the bad manners to say so; else the clip's counts.
    """

    number: int
    xy: Place | None
    source: str
    split: str | None = None


@dataclass(frozen=True, kw_only=True)
class ClipDraft:
    """One clip as a reader understood it.

    Attributes:
        name: unique in the data set; the group of its records.
        where: its label file.
        split: the part that the data set itself assigns to it, or None.
    """

    name: str
    footage: Footage
    labels: Sequence[FrameLabel]
    where: str
    split: str | None = None


def open_footage(path: Path, *, where: str, findings: Findings) -> Footage | None:
    """The frames of a video or of a folder of numbered pictures; None, with an error, where it is no video.

    Args:
        path: the video or the folder.
        where: the label file, as problems call it.
        findings: takes the error, and a warning where a video ends too early.

    Raises:
        UserError: two pictures have the same number.
        MissingExtra: it is a video, and PyAV is not installed.
    """
    try:
        footage = footage_of(path)
    except VideoError as error:
        findings.error(error.fault, where, str(error))
        return None
    if footage.info is not None and not footage.info.is_whole:
        findings.warning("video-truncated", where, f"{path.name} ends too early; its {footage.count:,} frames are used")
    return footage


def frame_number(text: str) -> int:
    """The number of a frame in a table: 12 of "12", and of "12.0".

    Raises:
        LabelError: it is anything else.
    """
    digits = _WHOLE.fullmatch(text)
    if digits is None:
        raise LabelError("row-unreadable", f"the frame is '{text}', expected a whole number from 0 on")
    return int(digits.group(1))


def assemble_clips(
    drafts: Iterable[ClipDraft],
    *,
    root: Path,
    format: str,
    findings: Findings,
    skeleton: Skeleton = POINT,
    fractions: bool = False,
) -> Dataset:
    """Check the labels of clips against their footage, and make the data set.

    Args:
        drafts: the clips.
        root: what picture names are told relative to.
        format: the reader's key in `FORMATS`.
        findings: the reader's own problems; more are added.
        skeleton: of the one point.
        fractions: positions are fractions of width and height.

    Raises:
        UserError: there is not a single label, and no problem that would say why.
    """
    assert len(skeleton) == 1, skeleton
    records: list[Record] = []
    lengths: list[int] = []
    for draft in drafts:
        lengths.append(draft.footage.count)
        records += _records(draft, findings=findings, fractions=fractions)
    if not records and not findings.problems:
        raise UserError(f"{root} holds no labels: its {format} files are empty. Give at least one labelled frame.")
    report_split_leaks(records, where=root.name or str(root), findings=findings)
    if short := sum(length < HISTORY for length in lengths):
        message = f"{short} of {len(lengths)} clips have fewer than {HISTORY} frames; what lies before them is empty"
        findings.note("clip-short", root.name or str(root), message)
    return Dataset(
        root=root, format=format, records=tuple(records), skeleton=skeleton, problems=tuple(findings.problems)
    )


def before_frame(number: int, *, footage: Footage, points: Mapping[int, Place]) -> Before:
    """What came before a frame: `points` are the visible ones by frame number, in pixels."""
    frames = tuple(footage.at(earlier) for earlier in range(number - PAST_FRAMES, number))
    points_xy, visible = np.zeros((HISTORY, 2)), np.zeros(HISTORY, dtype=bool)
    for place, earlier in enumerate(range(number - HISTORY, number)):
        if (xy := points.get(earlier)) is not None:
            points_xy[place], visible[place] = xy, True
    return Before(frames=frames, points_xy=points_xy, visible=visible)


def report_split_leaks(records: Iterable[Record], *, where: str, findings: Findings) -> None:
    """An error where the data set's own parts put frames of one clip on several sides."""
    parts: dict[str, set[str]] = {}
    for record in records:
        if record.group is not None and record.split:
            parts.setdefault(record.group, set()).add(part_of_name(record.split))
    torn = sorted(group for group, names in parts.items() if len(names) > 1)
    if torn:
        first = f"'{torn[0]}' into {', '.join(sorted(parts[torn[0]]))}"
        message = (
            f"the data's own split puts frames of {len(torn)} of {len(parts)} clips into several parts ({first}): "
            "neighbours look alike, so the validation would be worth nothing. Split by group, which takes whole clips."
        )
        findings.error("split-clip-leak", where, message)


def _records(draft: ClipDraft, *, findings: Findings, fractions: bool) -> list[Record]:
    """The records of one clip."""
    footage = draft.footage
    labels = _without_doubles(draft, findings=findings)
    beyond = [label for label in labels.values() if label.number >= footage.end or label.number < footage.first]
    if beyond:
        message = (
            f"{len(beyond)} labels of '{draft.name}' name frames that are not there, the first {beyond[0].number}; it "
            f"has the frames {footage.first} to {footage.end - 1}"
        )
        findings.error("label-beyond-clip", beyond[0].source, message, image_id=_image_id(draft, beyond[0].number))
    sized: list[tuple[FrameLabel, tuple[int, int]]] = []
    points: dict[int, Place] = {}
    for label in labels.values():
        if not footage.first <= label.number < footage.end:
            continue
        size_hw = _size(label, draft=draft, findings=findings)
        if size_hw is None:
            continue
        sized.append((label, size_hw))
        if label.xy is None:
            continue
        height, width = size_hw
        x, y = (label.xy[0] * width, label.xy[1] * height) if fractions else label.xy
        if inside(np.array([[x, y]]), size_hw)[0]:
            points[label.number] = (x, y)
            continue
        message = (
            f"the point is said to be visible at ({x:g}, {y:g}), outside of the {width} x {height} frame; it is taken "
            "for not visible"
        )
        findings.warning("point-off-image", label.source, message, image_id=_image_id(draft, label.number))
    return [_record(draft, label, size_hw, points=points) for label, size_hw in sized]


def _without_doubles(draft: ClipDraft, *, findings: Findings) -> dict[int, FrameLabel]:
    """Labels by frame number, in its order; the first of several, and none that is not finite."""
    kept: dict[int, FrameLabel] = {}
    for label in draft.labels:
        image_id = _image_id(draft, label.number)
        earlier = kept.get(label.number)
        if earlier is not None and earlier.xy == label.xy:
            message = f"frame {label.number} is labelled at {earlier.source} already, with the same place"
            findings.warning("label-duplicated", label.source, message, image_id=image_id)
        elif earlier is not None:
            message = (
                f"frame {label.number} is labelled at {earlier.source} already, at another place; that one is kept"
            )
            findings.error("frame-duplicated", label.source, message, image_id=image_id)
        elif label.xy is not None and not is_finite(label.xy):
            message = f"frame {label.number} is said to be visible at ({label.xy[0]}, {label.xy[1]})"
            findings.error("point-not-finite", label.source, message, image_id=image_id)
        else:
            kept[label.number] = label
    return dict(sorted(kept.items()))


def _size(label: FrameLabel, *, draft: ClipDraft, findings: Findings) -> tuple[int, int] | None:
    """(height, width) of a labelled frame; None, with an error, where it cannot be had."""
    at = draft.footage.at(label.number)
    image_id = _image_id(draft, label.number)
    if at is None:
        message = f"there is no picture of frame {label.number} of '{draft.name}'"
        findings.error("image-missing", label.source, message, image_id=image_id)
        return None
    if draft.footage.info is not None:
        return draft.footage.info.size_hw
    return checked_size(at.path, said_hw=None, where=label.source, image_id=image_id, findings=findings)


def _record(draft: ClipDraft, label: FrameLabel, size_hw: tuple[int, int], *, points: Mapping[int, Place]) -> Record:
    at = draft.footage.at(label.number)
    assert at is not None, label
    xy = points.get(label.number)
    return Record(
        image_id=_image_id(draft, label.number),
        path=at.path,
        points_xy=np.zeros((1, 2)) if xy is None else np.array([xy]),
        visible=np.array([xy is not None]),
        size_hw=size_hw,
        group=draft.name,
        before=before_frame(label.number, footage=draft.footage, points=points),
        frame=label.number - draft.footage.first,
        video_frame=at.index,
        split=label.split or draft.split,
        source=label.source,
    )


def _image_id(draft: ClipDraft, number: int) -> str:
    return f"{draft.name}/{number - draft.footage.first:06d}"
