"""Who works on what: signs of life over machines.

Two processes on one folder are kept apart by locks on files (locks.py): a trial that is said to run and whose lock is
free was left by a dead process. Between machines there is no such lock; there a trial's process counts up in the
storage, and a count that stands still for `SILENCE` seconds of the watcher's own monotonic clock means a dead machine.
No clock of another machine and no time of day is ever compared.
Next: trial.py
"""

from __future__ import annotations

import platform
import threading
import time
from collections.abc import Callable
from pathlib import Path

BEAT = 30.0  # seconds between two signs of life
SILENCE = 5 * BEAT


def here(out: Path) -> str:
    """This machine and folder: processes of one such place can see each other's locks."""
    return f"{platform.node()}:{out.resolve()}"


class Beats:
    """Signs of life from a thread, while a trial runs."""

    def __init__(self, beat: Callable[[int], None], *, every: float = BEAT) -> None:
        """Begin; `beat` is called with 1, 2, ... and may fail."""
        self._beat, self._every = beat, every
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._loop, daemon=True)
        self._thread.start()

    def _loop(self) -> None:
        count = 0
        while not self._ended.wait(self._every):
            count += 1
            self._beat(count)

    def stop(self) -> None:
        """End the thread."""
        self._ended.set()
        self._thread.join()


class Silence:
    """Which of several counters have stood still too long, by this process's own clock."""

    def __init__(self, *, longest: float = SILENCE, clock: Callable[[], float] = time.monotonic) -> None:
        self._longest, self._clock = longest, clock
        self._seen: dict[int, tuple[int, float, bool]] = {}

    def judge(self, key: int, count: int) -> str:
        """'alive' once it was seen to count, 'silent' after standing still too long, else 'unknown'."""
        now = self._clock()
        before, since, moved = self._seen.get(key, (count, now, False))
        if before != count:
            self._seen[key] = (count, now, True)
            return "alive"
        self._seen[key] = (before, since, moved)
        if now - since > self._longest:
            return "silent"
        return "alive" if moved else "unknown"
