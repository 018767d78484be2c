"""A pipe as a file that gives up when nothing comes for too long.

In: a file descriptor. Out: bytes. Next: numbering.py
"""

from __future__ import annotations

import os
import select
import sys


class Stalled(Exception):
    """Nothing came for longer than was waited for."""


class Pipe:
    """The reading end of a pipe, in the shape that PyAV reads from."""

    def __init__(self, descriptor: int, *, timeout_s: float, owned: bool) -> None:
        """Read from a descriptor; `owned` says that closing closes it."""
        self._descriptor, self._timeout_s, self._owned = descriptor, timeout_s, owned

    def read(self, count: int) -> bytes:
        """Up to `count` bytes; empty at the end.

        Raises:
            Stalled: nothing came in time.
        """
        # Windows cannot wait for pipes with a limit.
        if sys.platform != "win32":
            ready, _, _ = select.select([self._descriptor], [], [], self._timeout_s)
            if not ready:
                raise Stalled(f"nothing came for {self._timeout_s:g} s")
        return os.read(self._descriptor, count)

    def close(self) -> None:
        """Close what was opened for this pipe."""
        if self._owned:
            os.close(self._descriptor)
            self._owned = False
