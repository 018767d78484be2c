"""Time several ways of doing one thing in turn, so that a busy machine is busy for all of them.

Next: targets.py
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import torch


def interleaved(
    ways: Mapping[str, Callable[[], object]],
    *,
    repeats: int,
    warm_up: int = 1,
    clock: Callable[[], float] = time.perf_counter,
) -> dict[str, list[float]]:
    """Run every way once in each round; seconds of each round by name, without the warm-up rounds.

    Args:
        ways: what to run, by name.
        repeats: rounds that count.
        warm_up: rounds before them that do not.
        clock: `time.thread_time` for what runs in one thread: other programs on the machine do not count then.
    """
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(warm_up + repeats):
        for name, way in ways.items():
            start = clock()
            way()
            seconds[name].append(clock() - start)
    return {name: values[warm_up:] for name, values in seconds.items()}


def median_ratio(slow: list[float], fast: list[float]) -> float:
    """Median over rounds of slow / fast: what disturbs a whole round cancels."""
    return statistics.median(a / b for a, b in zip(slow, fast, strict=True))


@contextmanager
def torch_threads(count: int) -> Iterator[None]:
    """Another number of torch threads for a while."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
