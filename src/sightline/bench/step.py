"""(d) One training step of the `landmarks` recipe: waiting, forward, backward; and the same on preloaded batches.

Next: table.py
"""

from __future__ import annotations

import statistics
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import nn

from sightline.bench.clock import torch_threads
from sightline.bench.result import BenchResult, row
from sightline.config import Experiment
from sightline.cores import usable_cores
from sightline.drawn.faces import write_drawn_faces
from sightline.loader import EpochSampler, Pictures, Position, TrainingSamples, training_loader, worker_count
from sightline.model import build
from sightline.optim import AveragedWeights, build_optimizer
from sightline.prepare import load_data, prepare
from sightline.recipes import recipe
from sightline.transforms import Framing
from sightline.types import Batch

MOST_WAIT, MOST_SLOWER = 0.05, 0.10
UNCOUNTED = 4  # steps at the start of a block: what the loader prepared ahead is used up in them


def run_step(*, quick: bool) -> BenchResult:
    """128 px, 256 drawn faces; `quick` takes smaller batches and blocks, and fewer faces."""
    if quick:
        return measure(pictures=40, batch=4, blocks=5, steps=2, uncounted=1)
    return measure(pictures=256, batch=32, blocks=7, steps=10)


@dataclass
class _Times:
    """Seconds of every counted step."""

    wait: list[float] = field(default_factory=list)
    forward: list[float] = field(default_factory=list)
    backward: list[float] = field(default_factory=list)

    @property
    def total(self) -> float:
        """Seconds of all counted steps."""
        return sum(self.wait) + sum(self.forward) + sum(self.backward)


def measure(
    *, pictures: int, batch: int, blocks: int, steps: int, side: int = 128, uncounted: int = UNCOUNTED, threads: int = 2
) -> BenchResult:
    """Blocks of steps fed by the loader and by preloaded batches, in turn."""
    threads = min(threads, usable_cores())
    with tempfile.TemporaryDirectory() as folder, torch_threads(threads):
        trainer = _Trainer(Path(folder), pictures=pictures, batch=batch, side=side)
        loaded, preloaded = trainer.endless(), trainer.preloaded()
        trainer.block(preloaded, steps=1, uncounted=0)  # the first step allocates
        pairs = []
        for _ in range(blocks):
            fed, free = (trainer.block(source, steps=steps, uncounted=uncounted) for source in (loaded, preloaded))
            pairs.append((fed, free))
    notes = (
        f"`landmarks` with random weights at {side} px, batch {batch}, {pictures} drawn faces, {threads} threads and "
        f"{trainer.workers} loader process; {blocks} blocks of {steps} steps each way in turn, the first {uncounted} "
        "steps of a block not counted.",
        "forward includes the loss, backward the optimiser and the averaged weights; times are medians over steps, "
        "shares and ratios medians over blocks.",
    )
    return BenchResult(name="step", rows=_rows(pairs), notes=notes)


def _rows(pairs: list[tuple[_Times, _Times]]) -> list[dict[str, Any]]:
    wait = statistics.median(sum(fed.wait) / fed.total for fed, _ in pairs)
    slower = statistics.median(fed.total / free.total for fed, free in pairs) - 1
    rows = []
    for name in ("wait", "forward", "backward"):
        fed, free = (1e3 * statistics.median([s for pair in pairs for s in getattr(pair[i], name)]) for i in (0, 1))
        rows.append(row(f"{name} (other: preloaded)", ours=fed, other=free, ratio=None, unit="ms"))
    return [
        *rows,
        row("share of the step spent waiting", ours=100 * wait, unit="%", bar="<= 5 %", met=wait <= MOST_WAIT),
        row("slower than preloaded", ours=100 * slower, unit="%", bar="<= 10 %", met=slower <= MOST_SLOWER),
    ]


class _Trainer:
    """The parts of a training, set up as train.py does."""

    def __init__(self, folder: Path, *, pictures: int, batch: int, side: int) -> None:
        write_drawn_faces(folder, count=pictures, seed=0, size=side + side // 4)
        prepared = prepare(_experiment(side, batch), load_data(folder, skip_broken=False))
        self.experiment, config = prepared.experiment, prepared.experiment.train
        torch.manual_seed(0)
        self.model, self.codec = build(self.experiment)
        self.model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.optimizer = build_optimizer(self.model, config)
        self.averaged = AveragedWeights(self.model, decay=config.ema) if config.ema else None
        framing = Framing.of(self.experiment)
        kept = Pictures(prepared.split.train, self.experiment.data)
        samples = TrainingSamples(kept, framing=framing, augment=self.experiment.augment, seed=0)
        self.sampler = EpochSampler(count=len(prepared.split.train), batch=batch, seed=0)
        self.workers = worker_count(self.experiment.data.workers)
        self.loader = training_loader(samples, self.sampler, workers=self.workers)
        self.done = 0

    def endless(self) -> Iterator[Batch]:
        """Batches from the loader, epoch after epoch."""
        epoch = 0
        while True:
            self.sampler.position = Position(epoch=epoch)
            yield from self.loader
            epoch += 1

    def preloaded(self) -> Iterator[Batch]:
        """The first batches of the first epoch, over and over."""
        self.sampler.position = Position()
        kept = [batch for batch, _ in zip(self.loader, range(4), strict=False)]
        while True:
            yield from kept

    def block(self, batches: Iterator[Batch], *, steps: int, uncounted: int) -> _Times:
        """Train on the next batches; the first `uncounted` steps are left out of the times."""
        times = _Times()
        self.model.train()
        for number in range(uncounted + steps):
            wait, forward, backward = self._step(batches)
            if number >= uncounted:
                times.wait.append(wait)
                times.forward.append(forward)
                times.backward.append(backward)
        return times

    def _step(self, batches: Iterator[Batch]) -> tuple[float, float, float]:
        """Seconds of waiting, forward and backward of one step."""
        start = time.perf_counter()
        batch = next(batches)
        loaded = time.perf_counter()
        loss = self.codec.loss(self.model(*batch.seen), self.codec.encode(batch.truth))
        computed = time.perf_counter()
        loss.backward()
        if self.experiment.train.clip_norm is not None:
            nn.utils.clip_grad_norm_(self.model.parameters(), self.experiment.train.clip_norm)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.done += 1
        if self.averaged is not None:
            self.averaged.update(self.model, step=self.done)
        return loaded - start, computed - loaded, time.perf_counter() - computed


def _experiment(side: int, batch: int) -> Experiment:
    """`landmarks` from random weights: the time of a step does not depend on their values."""
    base = recipe("landmarks")
    data = base.data.model_copy(update={"input_hw": (side, side), "crop": "points"})
    return base.model_copy(
        update={
            "data": data,
            "backbone": base.backbone.model_copy(update={"weights": "none"}),
            "train": base.train.model_copy(update={"batch": batch}),
        }
    )
