"""Rules that take answers back a few frames later: the published video loop's write buffer of six rows.

Rule 2, in smart mode: doubtful steps (fast steps that led to a calibration, and background) come in swarms where the
tracker follows something else; if 4 of 6 rows are such, all six go. The text has "those rows and the deque" zeroed:
here the six rows, and the same frames of the history. Rule 1: fewer than five visible rows in a row between invisible
ones are no flight. In: points as they are found. Out: final ones, some frames later. Next: fill.py
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence

from sightline.track.config import ZoomConfig
from sightline.track.point import StepKind, TrackPoint
from sightline.track.rules import StagePoint

FLAGGED: frozenset[StepKind] = frozenset(("recalibrate", "background"))


def is_swarm(steps: Iterable[StepKind], *, most: int) -> bool:
    """Rule 2: whether so many of the last steps, or more, were doubtful."""
    return sum(step in FLAGGED for step in steps) >= most


def short_run(rows: Sequence[TrackPoint], *, fewer_than: int) -> int:
    """Rule 1: how many visible rows before an invisible last one are too few to be a flight; else 0.

    Args:
        rows: oldest first.
        fewer_than: a run of so many stays.
    """
    if not rows or rows[-1].visible:
        return 0
    run = 0
    for point in reversed(rows[:-1]):
        if not point.visible:
            break
        run += 1
    return run if run < fewer_than else 0


class WriteBuffer:
    """Holds the last rows back and takes some of their answers back."""

    def __init__(self, config: ZoomConfig, *, forget: Callable[[Iterable[int]], None]) -> None:
        """Begin with an empty buffer.

        Args:
            config: `look_ahead` rows are held back; 0 turns the rules off.
            forget: told the numbers of the frames whose answers rule 2 took back.
        """
        self.config, self._forget = config, forget
        self._rows: deque[TrackPoint] = deque()
        self._steps: deque[StepKind] = deque(maxlen=config.flagged_window)

    def feed(self, point: TrackPoint, answers: Sequence[StagePoint] = ()) -> list[TrackPoint]:
        """Take the newest point; give those that are final now. What else was seen matters to no rule."""
        if not self.config.look_ahead:
            return [point]
        self._rows.append(point)
        self._steps.append(point.step)
        if self.config.mode == "smart" and is_swarm(self._steps, most=self.config.flagged_most):
            self._forget([row.frame for row in self._remove(len(self._steps), end=len(self._rows))])
            self._steps.clear()
        run = short_run(list(self._rows), fewer_than=self.config.short_run)
        self._remove(run, end=len(self._rows) - 1)
        return [self._rows.popleft() for _ in range(len(self._rows) - self.config.look_ahead)]

    def finish(self) -> list[TrackPoint]:
        """What is held back; the video has ended, or something else begins."""
        rows = list(self._rows)
        self._rows.clear()
        self._steps.clear()
        return rows

    def _remove(self, count: int, *, end: int) -> list[TrackPoint]:
        """Take back the answers of `count` rows before row `end`; those rows as they were."""
        places = range(max(0, end - count), end)
        before = [self._rows[place] for place in places]
        for place in places:
            if self._rows[place].visible:
                self._rows[place] = self._rows[place].removed()
        return before
