"""How many cores there are for this process. Next: scan.py."""

from __future__ import annotations

import os

_MOST_READERS = 8  # a disk feeds no more, and each holds a picture


def usable_cores() -> int:
    """The cores that this process may run on, which a cluster's scheduler or a container can make fewer; at least 1."""
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return os.cpu_count() or 1


def reading_threads() -> int:
    """Threads that decode pictures side by side, outside of Python's lock."""
    return min(_MOST_READERS, usable_cores())
