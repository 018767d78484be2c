"""Sinks during a training: filled by a thread of their own, so that a slow or lost one holds nobody up.

Whatever goes wrong there is told once, and the training goes on; the run folder has everything. Next: ../cli/index.py
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from sightline.sinks import Target, open_sink
from sightline.sinks.contents import Contents, Logged, Sink, logged_of, read_contents

if TYPE_CHECKING:
    from sightline.train import Event, Watcher

AT_THE_END = 60.0  # seconds that a finished training waits for its sinks
_log = logging.getLogger("sightline")


@contextmanager
def shown_elsewhere(run: Path, targets: Sequence[Target]) -> Iterator[list[Watcher]]:
    """Watchers of the loop that fill sinks; at the end of the block, however it ends, they get the rest."""
    live = [Live(run, target) for target in targets]
    try:
        yield [each.watch for each in live]
    finally:
        for each in live:
            each.close(seconds=AT_THE_END)


class Live:
    """One sink of one running training.

    A sink begins with all that the folder holds at the first event, when a resumed run has cut its log; what was
    written twice or lost before is mended by that.
    """

    def __init__(self, run: Path, target: Target, *, open: Callable[[Path, Target], Sink] = open_sink) -> None:
        """Nothing happens before the first event."""
        self.run, self.target, self.open = run, target, open
        self.events: queue.SimpleQueue[Event | None] = queue.SimpleQueue()
        self.thread: threading.Thread | None = None

    def watch(self, event: Event) -> None:
        """Take note of an event; returns at once."""
        self._begin()
        self.events.put(event)

    def close(self, *, seconds: float) -> None:
        """Write what stands at the end, and wait for it so long at most."""
        if self.thread is None and not (self.run / "metrics.jsonl").exists():
            return  # the training was refused before its first step
        self._begin()
        self.events.put(None)
        assert self.thread is not None
        self.thread.join(seconds)
        if self.thread.is_alive():
            self._warn(f"it has not taken everything within {seconds:g} seconds")

    def _begin(self) -> None:
        if self.thread is None:
            self.thread = threading.Thread(target=self._work, name=f"sink {self.target}", daemon=True)
            self.thread.start()

    def _work(self) -> None:
        # Anything at all may go wrong in others' clients, disks and networks, and none of it may end a training.
        try:
            self._fill()
        except Exception as error:
            self._warn(_short(error))

    def _fill(self) -> None:
        sink = self.open(self.run, self.target)
        try:
            contents = read_contents(self.run)
            sink.replace(contents)
            written = {(entry.name, entry.step) for entry in contents.logged}
            while True:
                logged, is_last = self._waiting(contents)
                sink.add([entry for entry in logged if (entry.name, entry.step) not in written])
                if is_last:
                    sink.finish(read_contents(self.run))
                    return
        finally:
            sink.close()

    def _waiting(self, contents: Contents) -> tuple[list[Logged], bool]:
        """Values of all events that wait, at least one of them; and whether the end has been told."""
        events = [self.events.get()]
        while not self.events.empty():
            events.append(self.events.get())
        rows = [{"kind": event.kind, **event.values} for event in events if event is not None]
        return [entry for row in rows for entry in logged_of(row, began=contents.began)], None in events

    def _warn(self, what: str) -> None:
        _log.warning(
            "The sink %s is left out from here on: %s. The training goes on, and nothing is lost: "
            "`sightline index %s --to %s` fills it from the run folder.",
            self.target, what, self.run, self.target,
        )  # fmt: skip


def _short(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0][:300]}" if lines else type(error).__name__
