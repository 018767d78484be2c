"""How fast a model is, in both senses that people mean by "FPS".

As the `driving` write-up measures it: one batch of 32 pictures goes through network, decoding and suppression
again and again, and *batches* a second are counted. As a user means it: pictures a second from the file on disk
to the answer. The two differ by a factor of 32 and by all the work on pictures, so both are given by name.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from sightline.images import read_image
from sightline.predict import Predictor

BATCH = 32
WARM_UP = 10
FORWARDS = 100


@dataclass(frozen=True, kw_only=True)
class Speed:
    """Seconds and rates on this machine, with `threads` threads.

    Attributes:
        batches_per_s: batches of 32 a second: network, decoding and suppression alone.
        batch_images_per_s: the same in pictures.
        images_per_s: pictures a second, one at a time, from the file to the answer.
        median_ms: of one picture, from the decoded pixels to the answer.
        p95_ms: likewise.
        threads: of PyTorch.
    """

    batches_per_s: float
    batch_images_per_s: float
    images_per_s: float
    median_ms: float
    p95_ms: float
    threads: int

    def to_json(self) -> dict[str, float]:
        """Plain values by name."""
        return asdict(self)


@torch.inference_mode()
def measure_speed(predictor: Predictor, pictures: Sequence[Path], *, forwards: int = FORWARDS) -> Speed:
    """Time a model on real pictures.

    Args:
        predictor: a run, loaded.
        pictures: at least one; they are used over and over.
        forwards: batches to time, and pictures; a tenth as many warm up first.
    """
    data = predictor.experiment.data
    batch = torch.randint(0, 256, (BATCH, data.channels, *data.input_hw), dtype=torch.uint8, device=predictor.device)
    warm_up = max(1, forwards // (FORWARDS // WARM_UP))
    batch = batch.contiguous(memory_format=torch.channels_last)

    def run_batch() -> None:
        predictor.codec.decode(predictor.model(batch))
        if predictor.device != "cpu":
            torch.cuda.synchronize()

    for _ in range(warm_up):
        run_batch()
    started = time.perf_counter()
    for _ in range(forwards):
        run_batch()
    batches_per_s = forwards / (time.perf_counter() - started)
    inside, whole = [], []
    for number in range(warm_up + forwards):
        path = pictures[number % len(pictures)]
        begun = time.perf_counter()
        image = read_image(path, channels=data.channels)
        decoded = time.perf_counter()
        predictor(image)
        done = time.perf_counter()
        if number >= warm_up:
            inside.append(done - decoded)
            whole.append(done - begun)
    return Speed(
        batches_per_s=batches_per_s,
        batch_images_per_s=BATCH * batches_per_s,
        images_per_s=len(whole) / sum(whole),
        median_ms=1e3 * statistics.median(inside),
        p95_ms=1e3 * statistics.quantiles(inside, n=20)[-1],
        threads=torch.get_num_threads(),
    )
