"""How long a trial's network takes for one picture, here.

`network_ms` times the untrained network alone, which is less than the whole and enough to refuse what is far too slow
before it is trained. `latency_ms` is the median of one picture from decoded pixels to the answer, of the trained run.
In both the least of several rounds counts: whatever else the machine does only adds. Next: trial.py
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch

from sightline.checkpoint import RunFolder
from sightline.compare.cost import pictures_of
from sightline.compare.runs import read_run
from sightline.config import Experiment
from sightline.images import read_image
from sightline.model import build, example_inputs, without_pretrained
from sightline.pipeline import load_run
from sightline.predict import Predictor

ROUNDS, TIMES, WARM_UP = 5, 11, 3


@torch.inference_mode()
def network_ms(experiment: Experiment, *, device: str) -> float:
    """Of the network with random weights: one picture (of a clip, with its past) to its raw output."""
    model, _ = build(without_pretrained(experiment))
    model = model.to(device).eval()
    seen = example_inputs(experiment, count=1, device=device)

    def once() -> None:
        model(*seen)
        _wait(device)

    return _least_median_ms(once)


@torch.inference_mode()
def latency_ms(run: Path, *, device: str) -> float:
    """Of a trained run. Clips are timed without the reading and cutting of frames, which a stream does beside it."""
    experiment = RunFolder(run).experiment()
    if experiment.codec.finds == "track":
        model, codec = load_run(RunFolder(run))
        model = model.to(device)
        seen = example_inputs(experiment, count=1, device=device)

        def once() -> None:
            codec.decode(model(*seen))
            _wait(device)

        return _least_median_ms(once)
    predictor = Predictor.load(run, device=device)
    pictures = [read_image(path, channels=experiment.data.channels) for path in pictures_of(read_run(run))[:8]]
    place = 0

    def one() -> None:
        nonlocal place
        predictor(pictures[place % len(pictures)])
        place += 1

    return _least_median_ms(one)


def _least_median_ms(once: Callable[[], None]) -> float:
    for _ in range(WARM_UP):
        once()
    medians = []
    for _ in range(ROUNDS):
        times = []
        for _ in range(TIMES):
            began = time.perf_counter()
            once()
            times.append(time.perf_counter() - began)
        medians.append(statistics.median(times))
    return 1e3 * min(medians)


def _wait(device: str) -> None:
    if device != "cpu":
        torch.cuda.synchronize()
