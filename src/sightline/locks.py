"""Locks that keep processes apart and that the system itself opens when a process dies, SIGKILL included.

Such a lock is one of a file. It belongs to a process and is not inherited by its loader processes. Another machine does
not see it. In: the path of a file that is made for it and stays. Next: shard_cache.py
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

from sightline.errors import UserError
from sightline.files import CannotWrite


class NoLocks(UserError):
    """The system or the disk knows no locks."""


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
        UserError: the file cannot be made.
        NoLocks: the system or the disk knows none.
    """
    _posix_locks()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except OSError as error:
        raise CannotWrite(path, error) from error
    try:
        is_ours = lock(descriptor, path=path, wait=wait)
    except NoLocks:
        os.close(descriptor)
        raise
    if not is_ours:
        os.close(descriptor)
        return None
    return Claim(descriptor)


def lock(descriptor: int, *, path: Path, wait: bool = False) -> bool:
    """Take the lock of a file that this process has open for writing; false where another process holds it.

    It is lost as soon as this process closes any of its descriptors of the file, so who holds it reads by this one.

    Args:
        descriptor: of the open file.
        path: what messages call it.
        wait: until another process gives it back.

    Raises:
        NoLocks: the system or the disk knows none.
    """
    fcntl = _posix_locks()
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except (BlockingIOError, PermissionError):  # what POSIX gives where another process holds it
        return False
    except OSError as error:
        raise NoLocks(
            f"{path} cannot be locked ({error.strerror}). Choose an --out on a disk that knows locks."
        ) from error
    return True


def _posix_locks() -> ModuleType:
    try:
        import fcntl
    except ImportError:
        raise NoLocks("This needs POSIX file locks, which this system has not. Run it on Linux or macOS.") from None
    return fcntl


@contextmanager
def alone(path: Path) -> Iterator[None]:
    """Wait for the lock of a file, and hold it for the block."""
    held = claim(path, wait=True)
    assert held is not None
    try:
        yield
    finally:
        held.release()


@contextmanager
def only_writer(folder: Path) -> Iterator[None]:
    """Hold a folder's lock for the block, where its disk knows locks; else nothing keeps others away.

    Raises:
        UserError: another process holds it, or the folder cannot be written to.
    """
    try:
        held = claim(folder / ".writer.lock")
    except NoLocks:
        yield
        return
    except CannotWrite as error:
        raise CannotWrite(folder, error.error) from error
    if held is None:
        raise UserError(
            f"Another process is writing to {folder}. Wait for it, or choose another --out: two in one folder would "
            "mix their results."
        )
    try:
        yield
    finally:
        held.release()
