"""The frames of a track out of predictions.json, by clip and in their order; which stretches are telling.

Next: track_words.py
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sightline.report.run_folder import RunFolder
from sightline.report.track_words import OUTCOME_WORDS, RIGHT
from sightline.report.values import Row, number

Place = tuple[float, float]
_FOUND = ("TP", "FP1", "FP2")


@dataclass(frozen=True, kw_only=True)
class FrameFacts:
    """One labelled frame.

    Attributes:
        number: in its clip.
        truth: None where the point is not visible.
        guess: None where none was found.
        outcome: TP, FP1, FP2, TN or FN.
        error: distance in pixels, None where there is none.
        entry: its row in predictions.json.
    """

    number: int
    truth: Place | None
    guess: Place | None
    outcome: str
    error: float | None
    entry: Row

    @property
    def is_right(self) -> bool:
        """Found in its place, or rightly not found."""
        return self.outcome in RIGHT


@dataclass(frozen=True, kw_only=True)
class ClipFacts:
    """The labelled frames of a clip, in order."""

    name: str
    frames: tuple[FrameFacts, ...]

    @property
    def share_right(self) -> float:
        """Of its frames."""
        return sum(frame.is_right for frame in self.frames) / len(self.frames)


def clips_of(run: RunFolder) -> list[ClipFacts]:
    """The clips, worst first; rows without a clip, frame or outcome are left out."""
    by_clip: dict[str, list[FrameFacts]] = {}
    for entry in run.predictions:
        place, outcome = number(entry.get("frame")), entry.get("outcome")
        if place is None or outcome not in OUTCOME_WORDS or "clip" not in entry:
            continue
        (tx, ty), (gx, gy) = entry["points_xy"][0], entry["predicted_xy"][0]
        frame = FrameFacts(
            number=int(place),
            truth=(float(tx), float(ty)) if entry["visible"][0] else None,
            guess=(float(gx), float(gy)) if outcome in _FOUND else None,
            outcome=str(outcome),
            error=number(entry.get("error")),
            entry=entry,
        )
        by_clip.setdefault(str(entry["clip"]), []).append(frame)
    clips = [
        ClipFacts(name=name, frames=tuple(sorted(frames, key=lambda frame: frame.number)))
        for name, frames in by_clip.items()
    ]
    return sorted(clips, key=lambda clip: (clip.share_right, clip.name))


def worst_stretch(frames: Sequence[FrameFacts], *, most: int) -> tuple[FrameFacts, ...]:
    """At most so many frames in a row: those with the most that are wrong, the earliest of equals."""
    if len(frames) <= most:
        return tuple(frames)
    wrong = np.cumsum([0, *(not frame.is_right for frame in frames)])
    start = int(np.argmax(wrong[most:] - wrong[:-most]))
    return tuple(frames[start : start + most])


@dataclass(frozen=True, kw_only=True)
class Moment:
    """A short stretch of a clip; `worst` is the place of its worst frame in `frames`."""

    clip: str
    frames: tuple[FrameFacts, ...]
    worst: int


def worst_moments(clips: Sequence[ClipFacts], *, most: int, reach: int) -> list[Moment]:
    """The moments where the most goes wrong, the worst first; none shares a frame with another.

    A moment's middle is the frame with the most wrong frames around it, of equals that with the largest error. Where
    every frame is right, the largest errors are shown.

    Args:
        clips: all.
        most: moments.
        reach: how many frames before and behind the middle belong to it.
    """
    rated: list[tuple[float, float, int, int]] = []  # wrong frames around, error, clip, frame
    for index, clip in enumerate(clips):
        wrong = np.cumsum([0, *(not frame.is_right for frame in clip.frames)])
        for place, frame in enumerate(clip.frames):
            low, high = max(0, place - reach), min(len(clip.frames), place + reach + 1)
            near = 0.0 if frame.is_right else float(wrong[high] - wrong[low])
            rated.append((near, frame.error or 0.0, index, place))
    rated.sort(key=lambda one: (-one[0], -one[1], one[2], one[3]))
    taken: list[set[int]] = [set() for _ in clips]
    moments: list[Moment] = []
    for _, _, index, place in rated:
        frames = clips[index].frames
        low, high = max(0, place - reach), min(len(frames), place + reach + 1)
        if len(moments) == most or taken[index] & set(range(low, high)):
            continue
        taken[index] |= set(range(low, high))
        moments.append(Moment(clip=clips[index].name, frames=tuple(frames[low:high]), worst=place - low))
    return moments
