"""Two threads beside the main one: reading ahead, and writing behind; both with bounded queues.

Whatever goes wrong in a thread is raised where its results are taken or its work is handed in. Next: stream.py
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")
_WAIT_S = 0.1  # how often somebody who waits looks whether to stop


class _End:
    """Comes behind the last item."""


class Ahead(Generic[T]):
    """Items of an iterable, taken from it by another thread a few ahead of their use."""

    def __init__(
        self, items: Iterable[T], *, size: int, stop: threading.Event, release: Callable[[], None] = lambda: None
    ) -> None:
        """Begin reading.

        Args:
            items: is iterated in the thread.
            size: how many may wait.
            stop: set from outside, it ends the iteration.
            release: lets go of what the items come from; called in the thread when it ends, however long that takes.
        """
        self.busy_s = 0.0
        self._release = release
        self._items, self._stop, self._closed = items, stop, threading.Event()
        self._queue: queue.Queue[T | _End] = queue.Queue(maxsize=size)
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._read, name="read ahead", daemon=True)
        self._thread.start()

    def __iter__(self) -> Iterator[T]:
        """The items in order; raises what reading them raised, behind the items before that."""
        while not self._stop.is_set():
            try:
                item = self._queue.get(timeout=_WAIT_S)
            except queue.Empty:
                continue
            if isinstance(item, _End):
                if self._error is not None:
                    raise self._error
                return
            yield item

    def close(self, *, timeout_s: float) -> None:
        """Stop reading. A thread that still waits for its next item after this time is left to itself."""
        self._closed.set()
        self._thread.join(timeout_s)

    def _read(self) -> None:
        try:
            items = iter(self._items)
            while not self._closed.is_set():
                start = time.perf_counter()
                try:
                    item = next(items)
                except StopIteration:
                    break
                self.busy_s += time.perf_counter() - start
                self._hand_over(item)
        except BaseException as error:  # raised in the thread that takes the items
            self._error = error
        finally:
            self._release()
            self._hand_over(_End())

    def _hand_over(self, item: T | _End) -> None:
        while not self._closed.is_set():
            try:
                self._queue.put(item, timeout=_WAIT_S)
            except queue.Full:
                continue
            return


class Behind(Generic[T]):
    """Work done by another thread, in the order in which it is handed in."""

    def __init__(self, work: Callable[[T], None], *, size: int) -> None:
        """Begin; `work` is called in the thread, and up to `size` items may wait for it."""
        self.busy_s = 0.0
        self._work = work
        self._queue: queue.Queue[T | None] = queue.Queue(maxsize=size)
        self._error: BaseException | None = None
        self._failed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="write behind", daemon=True)
        self._thread.start()

    def put(self, item: T) -> None:
        """Hand an item in; waits while the queue is full, and raises what went wrong with an item before."""
        self._put(item)
        if self._error is not None:
            raise self._error

    def close(self) -> None:
        """Wait until all is done; raises what went wrong, once."""
        self._put(None)
        self._thread.join()
        if self._error is not None:
            raise self._error

    def _put(self, item: T | None) -> None:
        while not self._failed.is_set():
            try:
                self._queue.put(item, timeout=_WAIT_S)
            except queue.Full:
                continue
            return

    def _run(self) -> None:
        try:
            while (item := self._queue.get()) is not None:
                start = time.perf_counter()
                self._work(item)
                self.busy_s += time.perf_counter() - start
        except BaseException as error:  # raised in the thread that hands in
            self._error = error
            self._failed.set()
