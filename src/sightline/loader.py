"""Samples -> Batch: which record comes when, and who makes it.

The order of an epoch is a permutation keyed by (seed, epoch), a sample's randomness is keyed by
(seed, epoch, record): a run can stop after any step and go on with the very same batches,
with any number of workers. Each process takes its share of every global batch. Next: backbones/
"""

from __future__ import annotations

import math
import os
import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from torch.utils.data import DataLoader
from torch.utils.data import Dataset as TorchDataset

from sightline.config import AugmentConfig, DataConfig, EvaluateConfig
from sightline.cores import reading_threads, usable_cores
from sightline.errors import UserError
from sightline.images import likely_size, read_image
from sightline.mosaic import mosaic_sample
from sightline.records import Record
from sightline.shard_order import ShardWindows
from sightline.transforms import Framing, base_box, plain_sample, training_sample
from sightline.types import Batch, Past, Sample, Truth

Key = tuple[int, int]  # (epoch, index of the record)


@dataclass(frozen=True, kw_only=True)
class Position:
    """How far a run has come: `step` batches of `epoch` are done."""

    epoch: int = 0
    step: int = 0


class EpochSampler:
    """Batches of keys from a position to the end of its epoch, for one of several processes."""

    def __init__(
        self,
        *,
        count: int,
        batch: int,
        seed: int,
        rank: int = 0,
        world: int = 1,
        windows: ShardWindows | None = None,
    ) -> None:
        assert batch % world == 0, f"batch {batch} over {world} processes"
        self.count, self.seed, self.rank, self.world, self.windows = count, seed, rank, world, windows
        # Fewer records than a batch: one smaller batch an epoch, cut so that every process gets as many.
        self.batch = batch if count >= batch else count - count % world
        self.position = Position()

    @property
    def steps(self) -> int:
        """Batches an epoch; a rest smaller than a batch waits for the next epoch's shuffle."""
        return self.count // self.batch

    def __len__(self) -> int:
        """Batches that are left of this epoch."""
        return self.steps - self.position.step

    def __iter__(self) -> Iterator[list[Key]]:
        """This process's part of every batch that is left."""
        epoch = self.position.epoch
        rng = np.random.default_rng([self.seed, epoch])
        order = rng.permutation(self.count) if self.windows is None else self.windows.order(rng)
        for step in range(self.position.step, self.steps):
            batch = order[step * self.batch : (step + 1) * self.batch]
            yield [(epoch, int(index)) for index in batch[self.rank :: self.world]]


@dataclass(frozen=True)
class _Decode:
    """A picture of `size_hw` that is to be decoded at a size no smaller than `shrink_to`."""

    path: Path
    size_hw: tuple[int, int]
    shrink_to: tuple[int, int]


class Pictures:
    """Decoded pictures, kept in memory while they fit `cache_mb`; decoded anew otherwise.

    A photo much larger than the input is decoded at a half, a quarter or an eighth. The memory is
    filled before loader processes are forked, so that they share it. Frames of clips are the past of one another,
    so each lies there once.
    """

    def __init__(
        self,
        records: Sequence[Record],
        data: DataConfig,
        *,
        past_frames: int = 0,
        sharing: int = 1,
        only: Sequence[int] | None = None,
    ) -> None:
        """Decode what fits.

        Args:
            records: scanned; their positions are the indices.
            data: its `cache_mb` is for all processes of this machine together.
            past_frames: of clips, how many before each.
            sharing: processes on this machine that keep pictures of their own.
            only: the indices that will be asked for; all without it.
        """
        self.records, self.data, self.past_frames = records, data, past_frames
        self.kept: dict[_Decode, np.ndarray] = {}
        indices = range(len(records)) if only is None else only
        # In this order, so that what is one picture with one crop is decoded once.
        wanted = list(dict.fromkeys(key for index in indices for key in self._keys(index) if key))
        sizes = [likely_size(key.path, size_hw=key.size_hw, shrink_to=key.shrink_to) for key in wanted]
        if sum(map(math.prod, sizes)) * data.channels * sharing <= data.cache_mb * 2**20:
            with ThreadPoolExecutor(max_workers=reading_threads()) as pool:
                self.kept = dict(zip(wanted, pool.map(self._decode, wanted), strict=True))

    def __getitem__(self, index: int) -> np.ndarray:
        """[H, W, C] uint8, perhaps shrunk."""
        key = self._keys(index)[-1]
        assert key is not None
        return self._get(key)

    def past(self, index: int) -> list[np.ndarray | None]:
        """The frames before, oldest first, shrunk alike; None where there was none."""
        return [None if key is None else self._get(key) for key in self._keys(index)[:-1]]

    def _get(self, key: _Decode) -> np.ndarray:
        kept = self.kept.get(key)
        return kept if kept is not None else self._decode(key)

    def _keys(self, index: int) -> list[_Decode | None]:
        """What must be decoded for a record: its past, oldest first, then its own picture."""
        record = self.records[index]
        assert record.size_hw is not None
        own = _Decode(path=record.path, size_hw=record.size_hw, shrink_to=self._shrink_to(record))
        if not self.past_frames:
            return [own]
        assert record.before is not None, f"{record.image_id} is no frame of a clip"
        past = record.before.frames[-self.past_frames :]
        return [*(None if frame is None else replace(own, path=frame.path) for frame in past), own]

    def _decode(self, key: _Decode) -> np.ndarray:
        return read_image(key.path, channels=self.data.channels, shrink_to=key.shrink_to)

    def _shrink_to(self, record: Record) -> tuple[int, int]:
        assert record.size_hw is not None
        x0, _, x1, _ = base_box(record, record.size_hw, self.data)
        # Half as much again as the input shows, so that zooming in does not blur.
        wanted = min(1.0, 1.5 * self.data.input_hw[1] / max(1.0, x1 - x0))
        height, width = record.size_hw
        return math.ceil(height * wanted), math.ceil(width * wanted)


class TrainingSamples(TorchDataset[Sample]):
    """(epoch, index) -> augmented sample.

    With `augment.views` the draws of an epoch come back after so many epochs; mosaic stops before the last
    `augment.mosaic_off` of all `epochs`.
    """

    def __init__(
        self, pictures: Pictures, *, framing: Framing, augment: AugmentConfig, seed: int, epochs: int = 1
    ) -> None:
        self.pictures, self.framing, self.augment, self.seed = pictures, framing, augment, seed
        self.mosaic_until = math.ceil(epochs * (1 - augment.mosaic_off))
        self.windows = ShardWindows.of(pictures.records, pictures.data.shard_window)

    def __getitem__(self, key: Key) -> Sample:
        """The same sample whenever it is asked for."""
        epoch, index = key
        view = epoch if self.augment.views is None else epoch % self.augment.views
        rng = np.random.default_rng([self.seed, view, index])
        if self.augment.mosaic and epoch < self.mosaic_until and rng.random() < self.augment.mosaic:
            near = None if self.windows is None else self.windows.near(index)
            others = rng.integers(0, len(self.pictures.records if near is None else near), 3)
            others = (others if near is None else near[others]).tolist()
            parts = [(self.pictures.records[i], self.pictures[i]) for i in (index, *others)]
            return mosaic_sample(parts, framing=self.framing, augment=self.augment, rng=rng, index=index)
        return training_sample(
            self.pictures.records[index],
            self.pictures[index],
            framing=self.framing,
            augment=self.augment,
            rng=rng,
            index=index,
            past=self.pictures.past(index),
        )


class PlainSamples(TorchDataset[Sample]):
    """index -> the sample that validation sees."""

    def __init__(self, pictures: Pictures, *, framing: Framing, evaluate: EvaluateConfig) -> None:
        self.pictures, self.framing, self.evaluate = pictures, framing, evaluate

    def __len__(self) -> int:
        """Number of records."""
        return len(self.pictures.records)

    def __getitem__(self, index: int) -> Sample:
        """The same sample whenever it is asked for."""
        return plain_sample(
            self.pictures.records[index],
            self.pictures[index],
            framing=self.framing,
            evaluate=self.evaluate,
            index=index,
            past=self.pictures.past(index),
        )


def collate(samples: Sequence[Sample]) -> Batch:
    """Stack samples; pictures become [B, C, H, W] with channels-last memory."""
    images = torch.from_numpy(np.stack([s.image for s in samples])).permute(0, 3, 1, 2)
    return Batch(
        images=images,
        past=Past(
            images=torch.from_numpy(np.stack([s.past_images for s in samples])).permute(0, 1, 4, 2, 3),
            points_xy=torch.from_numpy(np.stack([s.past_xy for s in samples])),
            visible=torch.from_numpy(np.stack([s.past_visible for s in samples])),
        ),
        truth=_truth(samples),
        to_input=torch.from_numpy(np.stack([s.to_input for s in samples])).float(),
        index=torch.tensor([s.index for s in samples]),
    )


def _truth(samples: Sequence[Sample]) -> Truth:
    """Points stacked, boxes padded to the longest list."""
    most = max(len(s.labels) for s in samples)
    boxes = np.zeros((len(samples), most, 4), dtype=np.float32)
    labels = np.zeros((len(samples), most), dtype=np.int64)
    valid, crowd = np.zeros((2, len(samples), most), dtype=bool)
    for row, sample in enumerate(samples):
        count = len(sample.labels)
        boxes[row, :count], labels[row, :count] = sample.boxes_xyxy, sample.labels
        valid[row, :count], crowd[row, :count] = ~sample.crowd, sample.crowd
    return Truth(
        points_xy=torch.from_numpy(np.stack([s.points_xy for s in samples])),
        visible=torch.from_numpy(np.stack([s.visible for s in samples])),
        boxes_xyxy=torch.from_numpy(boxes),
        labels=torch.from_numpy(labels),
        valid=torch.from_numpy(valid),
        crowd=torch.from_numpy(crowd),
    )


class _Fetched(TorchDataset[Sample]):
    """Samples by the batch. A user's mistake, such as a picture that has gone, is handed on in the batch's place."""

    def __init__(self, samples: TrainingSamples | PlainSamples) -> None:
        self.samples = samples

    def __getitems__(self, keys: Sequence[Any]) -> list[Sample] | UserError:
        try:
            return [self.samples[key] for key in keys]
        except UserError as error:
            return UserError(str(error))  # of this class, since others cannot all be sent between processes


def _collate_fetched(fetched: list[Sample] | UserError) -> Batch | UserError:
    return fetched if isinstance(fetched, UserError) else collate(fetched)


class _Batches(DataLoader[Any]):
    """Raises what was handed on, in the main process: torch would put a loader process's traceback into its text."""

    def __iter__(self) -> Iterator[Batch]:  # type: ignore[override]  (torch promises a class of its own)
        for batch in super().__iter__():
            if isinstance(batch, UserError):
                raise batch
            yield batch


def training_loader(samples: TrainingSamples, sampler: EpochSampler, *, workers: int) -> DataLoader[Batch]:
    """Batches from the sampler's position on; workers live as long as the loader."""
    return _Batches(
        _Fetched(samples),
        batch_sampler=sampler,  # type: ignore[arg-type]  (keys are pairs, not numbers)
        collate_fn=_collate_fetched,
        num_workers=workers,
        persistent_workers=workers > 0,
        prefetch_factor=4 if workers else None,
        worker_init_fn=_quiet_worker,
    )


def plain_loader(
    samples: PlainSamples, *, batch: int, workers: int, rank: int = 0, world: int = 1
) -> DataLoader[Batch]:
    """All samples in order, or the share of one of several processes."""
    return _Batches(
        _Fetched(samples),
        batch_sampler=shared_batches(len(samples), batch=batch, rank=rank, world=world),
        collate_fn=_collate_fetched,
        num_workers=workers,
        worker_init_fn=_quiet_worker,
    )


def shared_batches(count: int, *, batch: int, rank: int, world: int) -> list[list[int]]:
    """Indices of the batches that one of several processes validates: about as many pictures for each.

    With more processes than whole batches, batches are smaller; a process may have none.
    """
    size = max(1, min(batch, -(-count // world)))
    batches = [list(range(start, min(start + size, count))) for start in range(0, count, size)]
    return batches[rank::world]


def worker_count(setting: int | str, *, sharing: int = 1) -> int:
    """Loader processes: the number set, or one on two cores, up to eight on many.

    Args:
        setting: data.workers.
        sharing: training processes on this machine; one that has a single core loads its samples itself.
    """
    if isinstance(setting, int):
        return setting
    cores = usable_cores() // sharing
    return max(1 if sharing == 1 else 0, min(8, cores // 2))


def _quiet_worker(_: int) -> None:
    """Ctrl-C is for the main process alone, and a loader process has one core."""
    if hasattr(os, "setpgid"):
        os.setpgid(0, 0)  # torchrun, and others, signal the whole group; the main process still has a step to end
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # not the handler of the training loop, which it inherits
    cv2.setNumThreads(0)
    torch.set_num_threads(1)
