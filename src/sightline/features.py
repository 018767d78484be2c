"""Features of a frozen backbone, computed once and kept on disk, so that a head trains in seconds on a CPU.

With `augment.views` V a training picture is only ever seen in V fixed draws. Behind a frozen backbone each gives the
same features in every epoch: they are computed at the first, and the loop goes on from rows of numbers. The rows
are those that the loop without a cache would compute, to the last bit: pictures pass through the backbone in batches of
the same size. An entry on disk is named by all that decides its rows: weights, backbone, records, bytes of the
pictures, transform, augmentation, seed. Next: train.py
"""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from sightline.config import Experiment
from sightline.errors import UserError
from sightline.feature_store import KEY_BYTES, Layout, Part, SampleAt, compute_missing, load, make_room
from sightline.loader import EpochSampler, Pictures, PlainSamples, TrainingSamples, shared_batches
from sightline.members import read_file
from sightline.model import Locator
from sightline.pieces import fake_maps
from sightline.processes import ALONE, Group
from sightline.records import Record
from sightline.splits import Split
from sightline.transforms import Framing
from sightline.types import Batch, Raw

FORMAT = 1  # of the files; a new number makes old ones be forgotten


def check_cacheable(experiment: Experiment) -> None:
    """Raise UserError where the same features would not come back in every epoch; names the setting to change."""
    wants = {
        "backbone.frozen=all, so that its features stay what they are": experiment.backbone.frozen == "all",
        "augment.views=V, so that each picture has V fixed draws": experiment.augment.views is not None,
        "context=none: only single pictures have views to keep": experiment.context.kind == "none",
        "augment.mosaic=0: mosaics are no fixed draws of one picture": not experiment.augment.mosaic,
        "train.precision=32: features are kept as computed": experiment.train.precision == "32",
        "evaluate.flip_average=false: mirror images are not kept": not experiment.evaluate.flip_average,
    }
    missing = [text for text, is_met in wants.items() if not is_met]
    if missing:
        raise UserError(
            f"train.cache_features needs {'; and '.join(missing)}. Set that, or train.cache_features=false."
        )


class FromFeatures(nn.Module):
    """The part of a model that is trained: rows of cached features [B, numbers] -> Raw."""

    def __init__(self, model: Locator) -> None:
        """`model` shares all its weights and is what is saved."""
        super().__init__()
        self.model = model
        self.neck_is_cached = _is_fixed(model.neck)
        with torch.no_grad():
            maps = fake_maps(model.spec)
            maps = copy.deepcopy(model.neck).to("meta")(maps) if self.neck_is_cached else maps
        self.layout = Layout(shapes=tuple((m.shape[1], m.shape[2], m.shape[3]) for m in maps.maps))

    @torch.no_grad()
    def rows(self, images: Tensor) -> Tensor:
        """What is cached of pictures [B, C, H, W] uint8: [B, numbers] on the CPU."""
        model = self.model
        images = images.to(model.mean.device)
        features = model.backbone((images.to(model.mean.dtype) - model.mean) / model.std)
        return self.layout.pack(model.neck(features) if self.neck_is_cached else features).cpu()

    def forward(self, rows: Tensor) -> Raw:
        """What the whole model would emit for the pictures."""
        features = self.layout.unpack(rows)
        return self.model.head(features if self.neck_is_cached else self.model.neck(features))


def _is_fixed(neck: nn.Module) -> bool:
    """Whether a neck has nothing to learn and nothing to draw; pooled maps are smaller to keep."""
    is_random = any(isinstance(module, nn.Dropout) and module.p > 0 for module in neck.modules())
    return not is_random and not any(True for _ in (*neck.parameters(), *neck.buffers()))


class CachedFeatures:
    """Batches of cached features for the loop and for its validation.

    In their batches `images` holds rows of features [B, numbers] in place of pictures: what `FromFeatures` takes.
    """

    def __init__(
        self, network: FromFeatures, experiment: Experiment, split: Split, *, folder: Path, group: Group = ALONE
    ) -> None:
        """Find the features on disk, or compute there what is missing.

        Args:
            network: on the device to compute on, its model in the loop's memory format.
            experiment: resolved.
            split: scanned records.
            folder: where entries lie; runs may share it.
            group: the processes that share a batch; each computes some of the views.

        Raises:
            UserError: not cacheable, or more than `train.cache_mb` or the disk can take; before anything is written.
        """
        check_cacheable(experiment)
        assert experiment.augment.views is not None
        key = _base_key(network, experiment)
        parts = (
            _training_part(experiment, split.train, folder=folder, key=key, world=group.place.world),
            _plain_part(experiment, split.val, folder=folder, key=key),
        )
        need = sum(part.views * part.count for part in parts) * network.layout.numbers * 4
        every = [(part, number) for part in parts for number in range(part.views)]
        for rank, world in group.shares():
            if rank == 0:
                make_room(folder, need=need, limit_mb=experiment.train.cache_mb, keep=[part.entry for part in parts])
            group.wait()
            compute_missing(every[rank::world], layout=network.layout, rows_of=network.rows)
            group.wait()
        self.train, (self.plain,) = (load(part, layout=network.layout) for part in parts)
        self.evaluate_batch, self.place = experiment.evaluate.batch, group.place

    def training_loader(self, sampler: EpochSampler) -> Batches:
        """The loop's batches, from the sampler's position on."""
        return Batches(
            lambda: (
                self.train[keys[0][0] % len(self.train)].batch(np.array([index for _, index in keys]))
                for keys in sampler
            )
        )

    def plain_loader(self) -> Batches:
        """The validation's batches, in record order; this process's share of them."""
        rank, world = self.place.rank, self.place.world
        shares = shared_batches(len(self.plain.rows), batch=self.evaluate_batch, rank=rank, world=world)
        return Batches(lambda: (self.plain.batch(np.array(share)) for share in shares))


class Batches:
    """Iterates over anew made batches, like a data loader."""

    def __init__(self, make: Callable[[], Iterator[Batch]]) -> None:
        self.make = make

    def __iter__(self) -> Iterator[Batch]:
        """From the first one on."""
        return self.make()


def _training_part(experiment: Experiment, records: Sequence[Record], *, folder: Path, key: bytes, world: int) -> Part:
    config, augment, views = experiment.train, experiment.augment, experiment.augment.views
    assert views is not None
    whole = min(config.batch, len(records) - len(records) % world) // world  # as EpochSampler's
    batch = -(-whole // config.accumulate)

    def make() -> SampleAt:
        pictures = Pictures(records, experiment.data)
        samples = TrainingSamples(pictures, framing=Framing.of(experiment), augment=augment, seed=config.seed)
        return lambda view, index: samples[view, index]

    # Without `views`: the first draws are the same ones however many there are.
    settings = [augment.model_dump(mode="json", exclude={"views"}), config.seed, batch]
    entry = folder / _key(key, records, ["train", *settings])
    return Part(count=len(records), views=views, batch=batch, is_padded=True, make_samples=make, entry=entry)


def _plain_part(experiment: Experiment, records: Sequence[Record], *, folder: Path, key: bytes) -> Part:
    evaluate = experiment.evaluate

    def make() -> SampleAt:
        pictures = Pictures(records, experiment.data)
        samples = PlainSamples(pictures, framing=Framing.of(experiment), evaluate=evaluate)
        return lambda _, index: samples[index]

    entry = folder / _key(key, records, ["plain", evaluate.jitter, evaluate.seed, evaluate.batch])
    return Part(count=len(records), views=1, batch=evaluate.batch, is_padded=False, make_samples=make, entry=entry)


def _base_key(network: FromFeatures, experiment: Experiment) -> bytes:
    """What decides the features of any record: weights, pieces, what the network sees of a picture."""
    unseen = {"val_fraction", "split_by", "split_seed", "workers", "cache_mb"}
    settings = {
        "format": FORMAT,
        "libraries": [torch.__version__, np.__version__, cv2.__version__],
        "device": network.model.mean.device.type,
        "backbone": experiment.backbone.model_dump(mode="json", exclude={"weights"}),
        "neck": experiment.neck.model_dump(mode="json") if network.neck_is_cached else None,
        "data": experiment.data.model_dump(mode="json", exclude=unseen),
        "skeleton": experiment.skeleton.model_dump(mode="json"),
    }
    digest = hashlib.blake2b(json.dumps(settings, sort_keys=True).encode())
    for name, tensor in network.model.backbone.state_dict().items():
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.cpu().contiguous().numpy().tobytes())
    return digest.digest()


def _key(base: bytes, records: Sequence[Record], settings: list[object]) -> str:
    """Name of an entry: the base, the settings of its part, and its records' labels and files, in order."""
    digest = hashlib.blake2b(base, digest_size=KEY_BYTES)
    digest.update(json.dumps(settings, sort_keys=True).encode())
    for record in records:
        objects = record.objects
        arrays = [record.points_xy, record.visible]
        arrays += [] if objects is None else [objects.boxes_xyxy, objects.labels, objects.crowd]
        digest.update(repr((record.image_id, record.box_xyxy, record.size_hw, len(arrays))).encode())
        for array in arrays:
            digest.update(np.ascontiguousarray(array).tobytes())
        digest.update(hashlib.blake2b(read_file(record.path)).digest())
    return digest.hexdigest()
