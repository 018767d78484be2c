"""Who works on what: locks that the system itself opens when a process dies, and signs of life over machines.

Two processes on one folder are kept apart by locks on files. Such a lock belongs to a process, is not inherited by its
loader processes, and ends with it, SIGKILL included: a trial that is said to run and whose lock is free was left by a
dead process. Between machines there is no such lock; there a trial's process counts up in the storage, and a count that
stands still for `SILENCE` seconds of the watcher's own monotonic clock means a dead machine. No clock of another
machine and no time of day is ever compared.
Next: trial.py
"""

from __future__ import annotations

import os
import platform
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from sightline.errors import UserError

BEAT = 30.0  # seconds between two signs of life
SILENCE = 5 * BEAT


class Claim:
    """A held lock; `release` or the end of the process gives it back."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor: int | None = descriptor

    def release(self) -> None:
        """Let others have it."""
        if self._descriptor is not None:
            os.close(self._descriptor)  # which ends the lock
            self._descriptor = None


def claim(path: Path, *, wait: bool = False) -> Claim | None:
    """Take the lock of a file, which is made where there is none.

    Args:
        path: the file; nothing is written to it.
        wait: until another process gives it back; without, None where one holds it.

    Raises:
        UserError: the file cannot be made, or its disk knows no locks.
    """
    try:
        import fcntl
    except ImportError:
        raise UserError(
            "A sweep needs POSIX file locks, which this system has not. Run it on Linux or macOS."
        ) from None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise UserError(
            f"Cannot write {path}: {error.strerror}. Mend the permissions or choose another --out."
        ) from error
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except (BlockingIOError, PermissionError):  # what POSIX gives where another process holds it
        os.close(descriptor)
        return None
    except OSError as error:
        os.close(descriptor)
        raise UserError(
            f"{path} cannot be locked ({error.strerror}). Choose an --out on a disk that knows locks."
        ) from error
    return Claim(descriptor)


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Wait for the lock of a file, and hold it for the block."""
    held = claim(path, wait=True)
    assert held is not None
    try:
        yield
    finally:
        held.release()


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
