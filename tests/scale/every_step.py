"""What torchrun starts in these tests: the command line, with every step told.

KILL="step 1 4" makes process 1 kill itself in step 4, KILL="write 0 3" makes process 0 kill itself in the middle of its
third checkpoint, before the new file takes the old one's name; both only until torchrun has started all again.
"""

from __future__ import annotations

import os
import signal

from sightline import checkpoint
from sightline import train as loop
from sightline.cli import main
from sightline.files import atomic_path

loop.LOG_EVERY = 1


def kill_in_step(step: int) -> None:
    own_step = loop._Training._step

    def last_step(training: loop._Training, batch: object) -> float:
        if training.progress.global_step == step - 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return own_step(training, batch)

    loop._Training._step = last_step


def kill_in_write(number: int) -> None:
    writes = []

    def write(path: object, data: bytes) -> None:
        with atomic_path(path) as aside:
            writes.append(path)
            half = path.name == "last.safetensors" and sum(p == path for p in writes) == number
            aside.write_bytes(data[: len(data) // 2] if half else data.encode() if isinstance(data, str) else data)
            if half:
                os.kill(os.getpid(), signal.SIGKILL)

    checkpoint.write_atomically = write


if os.environ.get("KILL") and os.environ["TORCHELASTIC_RESTART_COUNT"] == "0":
    what, rank, when = os.environ["KILL"].split()
    if os.environ["RANK"] == rank:
        {"step": kill_in_step, "write": kill_in_write}[what](int(when))
main()
