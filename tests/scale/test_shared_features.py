"""Cached features under several processes: each computes some of the views, and none is computed twice."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from sightline import feature_store
from sightline.features import CachedFeatures, FromFeatures
from sightline.loader import EpochSampler
from sightline.model import build
from sightline.processes import Group, Place

SETS = ["train.cache_features=true", "backbone.frozen=all", "augment.views=3"]


class Threads(Group):
    """Processes played by threads: their barrier is real."""

    def __init__(self, place: Place, barrier: threading.Barrier) -> None:
        super().__init__(Place())
        self.place, self.barrier = place, barrier

    def wait(self) -> None:
        self.barrier.wait(120)


@pytest.mark.parametrize("machines", [1, 2])
def test_views_are_shared_out(
    train_tiny: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, machines: int
) -> None:
    prepared = train_tiny.prepare(sets=SETS)
    model, _ = build(prepared.experiment)
    written: list[tuple[str, int]] = []
    write = feature_store._write

    def counted(part: feature_store.Part, view: int, **given: object) -> None:
        written.append((str(part.entry), view))
        write(part, view, **given)

    monkeypatch.setattr(feature_store, "_write", counted)
    barrier = threading.Barrier(2)

    def process(rank: int) -> CachedFeatures:
        place = Place(rank=rank, world=2, local_rank=rank if machines == 1 else 0, local_world=2 // machines)
        # Machines have disks of their own here; the processes of one machine share one.
        folder = tmp_path / (f"disk{rank}" if machines == 2 else "disk")
        group = Threads(place, barrier)
        return CachedFeatures(FromFeatures(model), prepared.experiment, prepared.split, folder=folder, group=group)

    with ThreadPoolExecutor(2) as pool:
        both = list(pool.map(process, range(2)))
    assert len(written) == len(set(written)) == 4 * machines  # three views of training, one of validation, on each disk
    alone = CachedFeatures(FromFeatures(model), prepared.experiment, prepared.split, folder=tmp_path / "alone")
    for one in both:
        for view, other in zip(one.train, alone.train, strict=True):
            np.testing.assert_allclose(view.rows, other.rows, rtol=1e-5, atol=1e-6)
    batches = [list(each.plain_loader()) for each in both]
    assert sum(len(batch) for own in batches for batch in own) == len(prepared.split.val)
    sampler = EpochSampler(count=len(prepared.split.train), batch=4, seed=0, rank=1, world=2)
    assert {len(batch) for batch in both[1].training_loader(sampler)} == {2}
