"""Peak memory of a target encoding with its loss, each measured in a process of its own.

`python -m sightline.bench.peak_memory JSON` forks one process a case from a small parent, so that
nothing that another case or the caller held is counted; it prints the extra bytes at the peak, as
the operating system saw them, over what was there when the logits were. Next: targets.py
"""

from __future__ import annotations

import json
import multiprocessing
import resource
import subprocess
import sys
from collections.abc import Sequence
from multiprocessing.connection import Connection
from typing import Any

import torch

from sightline.bench.ways import Case, make_inputs, make_ways


def peak_bytes(cases: Sequence[Case]) -> list[int]:
    """Extra bytes at the peak of each case, beyond the logits."""
    text = json.dumps([case.to_json() for case in cases])
    command = [sys.executable, "-m", "sightline.bench.peak_memory", text]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def _highest_rss() -> int:
    """Bytes; Linux counts in KiB, macOS in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _measure(case: Case, pipe: Connection) -> None:
    """The body of one forked process."""
    small = case.resized(batch=1, num_points=2, side=32)
    make_ways(small, make_inputs(small))[case.way]()  # kernels and libraries are loaded by now
    inputs = make_inputs(case)
    before = _highest_rss()
    make_ways(case, inputs)[case.way]()
    pipe.send(_highest_rss() - before)


def _forked(case: Case) -> int:
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=_measure, args=(case, there))
    process.start()
    there.close()
    found: int = here.recv()
    process.join()
    return found


def _main(text: str) -> None:
    torch.set_num_threads(1)
    cases: list[dict[str, Any]] = json.loads(text)
    print(json.dumps([_forked(Case(**values)) for values in cases]))


if __name__ == "__main__":
    _main(sys.argv[1])
