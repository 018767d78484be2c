"""How long one picture takes, from decoded pixels to the answer: the artefact and its run in turn. Next: run.py.

A busy machine is busy for all of them, because they take turns; in turns of a few pictures and without the first of
each, because the threads of one library go on spinning for a moment while the other begins.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence

import numpy as np
import torch

from sightline.devices import machine
from sightline.export.parity import look
from sightline.geometry import Box
from sightline.predict import Predictor
from sightline.runtime.artefact import Artefact
from sightline.runtime.card import LatencyCard

TURN = 5  # pictures that one of them looks at before it is the next one's turn
MOST_PICTURES = 32  # different ones, kept in memory


def measure_latency(
    predictor: Predictor,
    artefact: Artefact,
    pictures: Sequence[tuple[np.ndarray, Box]],
    *,
    threads: int,
    repeats: int,
    fp32: Artefact | None = None,
) -> LatencyCard:
    """Time them.

    Args:
        predictor: the run.
        artefact: made for `threads` threads.
        pictures: [H, W, C] uint8 with the area to look at; used over and over.
        threads: for the run.
        repeats: pictures that count, for each of them.
        fp32: the artefact in single precision, where the other is int8.
    """
    ways: dict[str, Callable[[np.ndarray, Box], object]] = {
        "run": lambda image, area: look(predictor, image, area),
        "artefact": artefact.look,
    }
    if fp32 is not None:
        ways["fp32"] = fp32.look
    spent: dict[str, list[float]] = {name: [] for name in ways}
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        for turn in range(-1, -(-repeats // TURN)):  # the first turn warms up
            given = [pictures[(turn * TURN + place) % len(pictures)] for place in range(TURN)]
            for name, look_at in ways.items():
                times = _turn(look_at, given)
                spent[name] += times if turn >= 0 else []
    finally:
        torch.set_num_threads(before)
    middle = {name: round(statistics.median(times), 3) for name, times in spent.items()}
    return LatencyCard(
        p50_ms=middle["artefact"],
        p95_ms=round(float(np.percentile(spent["artefact"], 95)), 3),
        run_p50_ms=middle["run"],
        run_p95_ms=round(float(np.percentile(spent["run"], 95)), 3),
        fp32_p50_ms=middle.get("fp32"),
        threads=threads,
        cpu=str(machine()["cpu"]),
        pictures=len(pictures),
        repeats=len(spent["artefact"]),
    )


def _turn(look_at: Callable[[np.ndarray, Box], object], given: Sequence[tuple[np.ndarray, Box]]) -> list[float]:
    """Milliseconds of each picture, behind one that does not count."""
    look_at(*given[-1])
    spent = []
    for image, area in given:
        begun = time.perf_counter()
        look_at(image, area)
        spent.append(1e3 * (time.perf_counter() - begun))
    return spent
