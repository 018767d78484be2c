"""Tracks that a labelling tool keeps as key frames -> a place for every frame.

In: key frames. Out: places, linearly interpolated. Next: cvat_video.py
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeVar

from sightline.readers.assemble import Findings, LabelError
from sightline.readers.clip_assemble import FrameLabel, Place


@dataclass(frozen=True, kw_only=True)
class Keyframe:
    """A frame that a person labelled.

    Attributes:
        number: of the frame, from 0.
        shown: whether the point is visible in it.
        shown_after: whether it is visible from there to the next key frame.
    """

    number: int
    xy: Place
    shown: bool
    shown_after: bool


@dataclass(frozen=True, kw_only=True)
class Track:
    """The key frames of one object, and where they stand."""

    keyframes: Sequence[Keyframe]
    source: str


Entry = TypeVar("Entry")


def read_keyframes(
    entries: Iterable[tuple[Entry, str]],
    read: Callable[[Entry], Keyframe],
    *,
    counts_from: int,
    inside: str,
    findings: Findings,
) -> list[Keyframe]:
    """The key frames that can be understood, each frame once; the others become errors.

    Args:
        entries: what the label file has for each, and where that stands.
        read: raises LabelError where it does not understand one.
        counts_from: the number that the format gives the first frame.
        inside: "this track", as the messages call where they stand.
        findings: takes the errors.
    """
    found: dict[int, Keyframe] = {}
    for entry, source in entries:
        try:
            keyframe = read(entry)
        except LabelError as bad:
            findings.error(bad.id, source, str(bad))
            continue
        if keyframe.number in found:
            message = f"frame {keyframe.number + counts_from} is there twice in {inside}; the first is kept"
            findings.error("frame-duplicated", source, message)
            continue
        found[keyframe.number] = keyframe
    return list(found.values())


def places(track: Track, *, end: int) -> dict[int, Place]:
    """Where the point is visible, by frame; after the last key frame it stays until the frame before `end`."""
    keyframes = sorted(track.keyframes, key=lambda keyframe: keyframe.number)
    found = {keyframe.number: keyframe.xy for keyframe in keyframes if keyframe.shown}
    for first, second in pairwise(keyframes):
        if not first.shown_after:
            continue
        span = second.number - first.number
        for number in range(first.number + 1, second.number):
            share = (number - first.number) / span
            x, y = (a + (b - a) * share for a, b in zip(first.xy, second.xy, strict=True))
            found[number] = (x, y)
    if keyframes and keyframes[-1].shown_after:
        last = keyframes[-1]
        found.update({number: last.xy for number in range(last.number + 1, end)})
    return found


def labels_of_tracks(
    tracks: Sequence[Track], *, frames: Sequence[int], end: int, where: str, findings: Findings
) -> list[FrameLabel]:
    """A label for each of the frames: visible where any of the tracks is, and nowhere else.

    Args:
        tracks: of one kind of object; where two are visible at once, the first counts, with a note.
        frames: the numbers of the frames that were labelled.
        end: the number after that of the last frame.
        where: the label file.
        findings: takes the notes.
    """
    visible: dict[int, tuple[Place, str]] = {}
    several: set[int] = set()
    for track in tracks:
        for number, xy in places(track, end=end).items():
            if number in visible:
                several.add(number)
            else:
                visible[number] = (xy, track.source)
    if several:
        message = f"two objects are visible at once in {len(several)} frames; the first is used"
        findings.note("instances-skipped", where, message)
    # Key frames beyond the footage are kept, so that they are told.
    numbers = sorted({*frames, *(number for number in visible if number >= end)})
    labels = []
    for number in numbers:
        xy, source = visible.get(number, (None, where))
        labels.append(FrameLabel(number=number, xy=xy, source=source))
    return labels
