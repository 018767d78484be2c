"""Short gaps between answers, filled by a motion of constant acceleration.

A gap is joined only where one parabola goes through the answers on both sides of it: behind a bounce or a hit it does
not, and the gap stays. In: points. Out: the same, some frames later while a gap is open; filled ones say so by their
step. Next: radius.py
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from sightline.geometry import inside
from sightline.track.point import TrackPoint

REACH = 4  # answers on each side that a parabola is fitted to


def parabola(times: np.ndarray, points_xy: np.ndarray, *, at: np.ndarray) -> tuple[np.ndarray, float]:
    """A motion of constant acceleration through points, by least squares.

    Args:
        times: [N] of the points, N at least 2; two points give a straight line.
        points_xy: [N, 2].
        at: [M] times to give the motion at.

    Returns:
        Points [M, 2], and the largest distance of a given point from the motion.
    """
    degree = min(2, len(times) - 1)
    start, span = times.min(), max(np.ptp(times), 1e-12)
    powers = np.vander((times - start) / span, degree + 1)
    weights, *_ = np.linalg.lstsq(powers, points_xy, rcond=None)
    off = np.linalg.norm(powers @ weights - points_xy, axis=1).max()
    return np.vander((at - start) / span, degree + 1) @ weights, float(off)


def filled(
    before: Sequence[TrackPoint],
    gap: Sequence[TrackPoint],
    after: Sequence[TrackPoint],
    *,
    size_hw: tuple[int, int],
    tolerance_px: float,
) -> list[TrackPoint]:
    """The gap's points on the motion of those around it; as they were where that does not fit or leaves the frame."""
    known = [*before, *after]
    timed = all(point.time_s is not None for point in (*known, *gap))
    moments = [np.array([p.time_s if timed else p.frame for p in part], dtype=float) for part in (known, gap)]
    places, off = parabola(moments[0], np.array([[p.x, p.y] for p in known]), at=moments[1])
    if off > tolerance_px or not inside(places, size_hw).all():
        return list(gap)
    return [
        replace(point, x=float(x), y=float(y), visible=True, step="filled")
        for point, (x, y) in zip(gap, places, strict=True)
    ]


class GapFiller:
    """Fills gaps of up to `longest` frames; points outside of gaps go through at once."""

    def __init__(self, *, longest: int, size_hw: tuple[int, int], tolerance_px: float = 3.0) -> None:
        """Begin.

        Args:
            longest: frames of a gap; 0 fills none.
            size_hw: of the frames; nothing is filled outside.
            tolerance_px: how far an answer may be off the parabola that joins it. Larger than a network's errors, and
                not much: a parabola laid through a bounce comes near its sides, and is far off between.
        """
        self.longest, self.size_hw, self.tolerance_px = longest, size_hw, tolerance_px
        self._before: deque[TrackPoint] = deque(maxlen=REACH)
        self._gap: list[TrackPoint] = []
        self._after: list[TrackPoint] = []

    def feed(self, point: TrackPoint) -> list[TrackPoint]:
        """Take the next point; give those that are final now."""
        if not self._gap:
            return self._outside(point)
        if point.visible:
            self._after.append(point)
            return self._close() if len(self._after) == REACH else []
        if self._after:  # another gap begins
            return [*self._close(), *self._outside(point)]
        self._gap.append(point)
        return self._give_up() if point.frame - self._before[-1].frame > self.longest else []

    def finish(self) -> list[TrackPoint]:
        """What is held back; nothing comes behind it."""
        rows = self._close() if self._after else self._give_up()
        self._before.clear()
        return rows

    def _outside(self, point: TrackPoint) -> list[TrackPoint]:
        """A point where no gap is open."""
        if point.visible:
            self._before.append(point)
            return [point]
        if not self._before or point.frame - self._before[-1].frame > self.longest:
            self._before.clear()
            return [point]
        self._gap.append(point)
        return []

    def _close(self) -> list[TrackPoint]:
        """The gap is over: fill it, if a motion joins its sides."""
        rows = filled(self._before, self._gap, self._after, size_hw=self.size_hw, tolerance_px=self.tolerance_px)
        rows += self._after
        self._before.clear()
        self._before.extend(self._after)
        self._gap, self._after = [], []
        return rows

    def _give_up(self) -> list[TrackPoint]:
        """The gap is too long: leave it open."""
        rows, self._gap = self._gap, []
        self._before.clear()
        return rows
