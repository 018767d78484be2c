"""What outcomes of single frames do not tell: how long the point is lost, and how often another thing is followed.

A run is a row of labelled frames of one clip whose numbers follow each other without a gap.

    gap        visible frames in a row that are not right (FN or FP1); a frame where the point is not visible ends it
    excursion  frames in a row where the prediction is at something else: found farther than `AWAY` x t from the
               truth, or found where the point is not visible
    switch     an excursion right after a right frame: the tracker left the point
    return     a switch with a right frame right behind it: it came back by itself

In: frames and their outcomes. Out: plain numbers. Next: track_visibility.py
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sightline.metrics.tracks import FN, FP1, FP2, TP, TrackFrames

AWAY = 4  # x t: a near miss is no jump to something else


@dataclass(frozen=True, kw_only=True)
class Run:
    """Consecutive frames of a clip that have something in common.

    Attributes:
        clip: its name.
        first: number of the first frame.
        frames: how many.
        rows: their rows in `TrackFrames`, in order.
    """

    clip: str
    first: int
    frames: int
    rows: tuple[int, ...]


def runs(frames: TrackFrames, flag: np.ndarray) -> list[Run]:
    """The longest stretches of consecutive frames where a flag [N] holds, by clip and frame."""
    assert flag.shape == (len(frames),), flag.shape
    found: list[Run] = []
    current: list[int] = []

    def end() -> None:
        if current:
            row = current[0]
            found.append(
                Run(
                    clip=frames.clips[row],
                    first=int(frames.numbers[row]),
                    frames=len(current),
                    rows=tuple(current),
                )
            )
        current.clear()

    last = -1
    for row in in_order(frames):
        if current and not follows(frames, last, row):
            end()
        if flag[row]:
            current.append(row)
        else:
            end()
        last = row
    end()
    return found


def in_order(frames: TrackFrames) -> list[int]:
    """Rows by clip and frame number."""
    return np.lexsort((frames.numbers, np.asarray(frames.clips))).tolist()


def follows(frames: TrackFrames, row: int, after: int) -> bool:
    """Whether one row is the frame right after another."""
    return frames.clips[row] == frames.clips[after] and frames.numbers[row] + 1 == frames.numbers[after]


def gap_statistics(frames: TrackFrames, outcomes: np.ndarray) -> dict[str, float | None]:
    """Gaps: count, missed frames in all, longest and median length in frames (None without a gap)."""
    return _lengths(runs(frames, np.isin(outcomes, (FN, FP1))))


def switch_statistics(frames: TrackFrames, outcomes: np.ndarray, *, threshold_px: float) -> dict[str, float | None]:
    """Excursions: count, frames, longest, median; how many are `switches`, and how many of these `returns`."""
    excursions = runs(frames, is_away(frames, outcomes, threshold_px=threshold_px))
    rows = in_order(frames)
    place = {row: index for index, row in enumerate(rows)}

    def right(index: int, *, beside: int) -> bool:
        if not 0 <= index < len(rows):
            return False
        row = rows[index]
        early, late = (row, beside) if index < place[beside] else (beside, row)
        return bool(outcomes[row] == TP) and follows(frames, early, late)

    left = [run for run in excursions if right(place[run.rows[0]] - 1, beside=run.rows[0])]
    back = [run for run in left if right(place[run.rows[-1]] + 1, beside=run.rows[-1])]
    return {**_lengths(excursions), "switches": len(left), "returns": len(back)}


def is_away(frames: TrackFrames, outcomes: np.ndarray, *, threshold_px: float) -> np.ndarray:
    """Frames where the prediction is at something else, [N] bool."""
    far = (outcomes == FP1) & (frames.error_px > AWAY * threshold_px)
    return far | (outcomes == FP2)


def _lengths(found: list[Run]) -> dict[str, float | None]:
    lengths = [run.frames for run in found]
    return {
        "count": len(lengths),
        "frames": sum(lengths),
        "longest": max(lengths, default=None),
        "median": float(np.median(lengths)) if lengths else None,
    }
