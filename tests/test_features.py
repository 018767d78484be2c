"""Cached features: the very numbers that the loop would compute, kept under a key that changes when it must."""

from __future__ import annotations

import copy
import logging
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from torch import Tensor, nn

import sightline.feature_store as store
from sightline.backbones.timm_net import TimmBackboneConfig
from sightline.codecs.one_box import OneBoxCodecConfig
from sightline.config import AugmentConfig, DataConfig, EvaluateConfig, Experiment, TrainConfig, from_yaml, override
from sightline.errors import UserError
from sightline.features import CachedFeatures, FromFeatures, check_cacheable
from sightline.heads.one_box import BranchConfig, OneBoxHeadConfig
from sightline.loader import (
    EpochSampler,
    Pictures,
    PlainSamples,
    Position,
    TrainingSamples,
    plain_loader,
    training_loader,
)
from sightline.model import Locator, build, codec_for
from sightline.necks.adaptive_pool import AdaptivePoolNeckConfig
from sightline.records import Objects, Record
from sightline.splits import Split
from sightline.transforms import Framing
from sightline.types import Batch

COUNT, VAL = 10, 5

EXPERIMENT = Experiment(
    recipe="cached",
    classes=("disc", "square"),
    data=DataConfig(input_hw=(48, 64), crop="image", keep_aspect=False, workers=0),
    augment=AugmentConfig(flip=0.5, shift=0.1, scale_min=0.8, scale_max=1.2, brightness=0.2, blur=0.5, views=3),
    backbone=TimmBackboneConfig(name="mobilenetv3_small_050", weights="none", levels=(2, 3), frozen="all"),
    neck=AdaptivePoolNeckConfig(size=(3, 3), levels="all"),
    head=OneBoxHeadConfig(class_branch=BranchConfig(widths=(8,)), box_branch=BranchConfig(kind="conv", widths=(8,))),
    codec=OneBoxCodecConfig(iou_kind="giou"),
    train=TrainConfig(epochs=6, batch=4, lr=1e-2, cache_features=True, cache_mb=64, seed=7),
    evaluate=EvaluateConfig(batch=2),
)


def draw_records(folder: Path, *, count: int, seed: int) -> tuple[Record, ...]:
    """Pictures of 60 x 80 with one bright box each."""
    rng = np.random.default_rng(seed)
    folder.mkdir()
    records = []
    for number in range(count):
        x0, y0 = rng.integers(2, 40), rng.integers(2, 30)
        x1, y1 = x0 + rng.integers(10, 30), y0 + rng.integers(8, 25)
        image = rng.integers(0, 80, (60, 80, 3), dtype=np.uint8)
        image[y0:y1, x0:x1] += 150
        path = folder / f"{number}.png"
        cv2.imwrite(str(path), image)
        objects = Objects.of(np.array([[x0, y0, x1, y1]]), np.array([number % 2]))
        records.append(Record(image_id=path.name, path=path, objects=objects, size_hw=(60, 80)))
    return tuple(records)


@pytest.fixture
def split(tmp_path: Path) -> Split:
    """Ten pictures to train on, five to validate on."""
    train = draw_records(tmp_path / "train", count=COUNT, seed=0)
    return Split(train=train, val=draw_records(tmp_path / "val", count=VAL, seed=1), by="random")


@cache
def prototype(yaml: str, seed: int) -> Locator:
    """Built once for many tests."""
    torch.manual_seed(seed)
    model, _ = build(from_yaml(yaml, where="test"))
    return model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def network(experiment: Experiment = EXPERIMENT, *, seed: int = 0) -> FromFeatures:
    """As the loop prepares it."""
    usual = {part: getattr(EXPERIMENT, part) for part in ("train", "augment", "evaluate")}
    return FromFeatures(copy.deepcopy(prototype(experiment.model_copy(update=usual).to_yaml(), seed)))


def cached(split: Split, folder: Path, experiment: Experiment = EXPERIMENT, *, seed: int = 0) -> CachedFeatures:
    return CachedFeatures(network(experiment, seed=seed), experiment, split, folder=folder)


def sampler(epoch: int, experiment: Experiment = EXPERIMENT, *, count: int = COUNT) -> EpochSampler:
    made = EpochSampler(count=count, batch=experiment.train.batch, seed=experiment.train.seed)
    made.position = Position(epoch=epoch)
    return made


def uncached(split: Split, epoch: int, experiment: Experiment = EXPERIMENT) -> Iterator[Batch]:
    """The loop's own batches of one epoch."""
    framing = Framing(data=experiment.data, skeleton=experiment.skeleton.skeleton())
    samples = TrainingSamples(
        Pictures(split.train, experiment.data),
        framing=framing,
        augment=experiment.augment,
        seed=experiment.train.seed,
        epochs=experiment.train.epochs,
    )
    return iter(training_loader(samples, sampler(epoch, experiment, count=len(split.train)), workers=0))


def entries(folder: Path) -> set[str]:
    return {entry.name for entry in folder.iterdir()} if folder.exists() else set()


def assert_same_truth(first: Batch, second: Batch) -> None:
    for mine, theirs in zip(first.truth.tensors(), second.truth.tensors(), strict=True):
        assert torch.equal(mine, theirs)
    assert torch.equal(first.to_input, second.to_input)
    assert torch.equal(first.index, second.index)


# --- the same numbers ----------------------------------------------------------------------------------------

NECKS = {
    "pooled": ["neck.levels=all"],
    "learned": ["neck={kind: fpn, channels: 8, levels: 1}"],
    "with dropout": ["neck={kind: gap, dropout: 0.5}"],
    "none": ["neck={kind: none}"],
}


@pytest.mark.parametrize("neck", NECKS)
def test_every_batch_of_every_epoch_is_the_loops_own_to_the_last_bit(split: Split, tmp_path: Path, neck: str) -> None:
    experiment = override(EXPERIMENT, sets=NECKS[neck])
    net = network(experiment)
    found = CachedFeatures(net, experiment, split, folder=tmp_path / "cache")
    for epoch in range(5):  # beyond the three views
        pairs = zip(found.training_loader(sampler(epoch)), uncached(split, epoch, experiment), strict=True)
        for rows, pictures in pairs:
            assert_same_truth(rows, pictures)
            torch.manual_seed(epoch)
            mine = net(rows.images)
            torch.manual_seed(epoch)
            whole = net.model(pictures.images)
            assert torch.equal(mine.box, whole.box)
            assert torch.equal(mine.logits, whole.logits)


def test_validation_batches_are_the_plain_ones_to_the_last_bit(split: Split, tmp_path: Path) -> None:
    net = network()
    found = CachedFeatures(net, EXPERIMENT, split, folder=tmp_path / "cache")
    framing = Framing(data=EXPERIMENT.data, skeleton=EXPERIMENT.skeleton.skeleton())
    plain = PlainSamples(Pictures(split.val, EXPERIMENT.data), framing=framing, evaluate=EXPERIMENT.evaluate)
    net.eval()
    for _ in range(2):  # a loader is walked through after every epoch
        batches = list(found.plain_loader())
        assert [len(batch) for batch in batches] == [2, 2, 1]
        for rows, pictures in zip(batches, plain_loader(plain, batch=2, workers=0), strict=True):
            assert_same_truth(rows, pictures)
            assert torch.equal(net(rows.images).box, net.model(pictures.images).box)


def trained(net: FromFeatures, batches: Sequence[Sequence[Batch]], network_of: nn.Module) -> dict[str, Tensor]:
    """The head's weights after the batches."""
    codec = codec_for(EXPERIMENT, net.model)
    optimizer = torch.optim.AdamW(net.model.head.parameters(), lr=1e-2)
    for epoch in batches:
        net.train()
        for batch in epoch:
            loss = codec.loss(network_of(batch.images), codec.encode(batch.truth))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return {name: value.detach().clone() for name, value in net.model.state_dict().items()}


def test_a_head_trains_to_the_same_weights_with_and_without_the_cache(split: Split, tmp_path: Path) -> None:
    net = network()
    found = CachedFeatures(net, EXPERIMENT, split, folder=tmp_path / "cache")
    fast = trained(net, [list(found.training_loader(sampler(epoch))) for epoch in range(4)], net)
    net = network()
    before = {name: value.clone() for name, value in net.model.backbone.state_dict().items()}
    slow = trained(net, [list(uncached(split, epoch)) for epoch in range(4)], net.model)
    assert fast.keys() == slow.keys()
    assert all(torch.equal(fast[name], slow[name]) for name in fast)
    # Frozen means frozen: running statistics too.
    assert all(torch.equal(before[name], slow[f"backbone.{name}"]) for name in before)
    assert any(name.endswith("running_mean") for name in before)


def test_parts_of_an_accumulated_batch_are_computed_in_their_own_size(split: Split, tmp_path: Path) -> None:
    experiment = override(EXPERIMENT, sets=["train.accumulate=2"])
    net = network(experiment)
    found = CachedFeatures(net, experiment, split, folder=tmp_path / "cache")
    for rows, pictures in zip(found.training_loader(sampler(0)), uncached(split, 0, experiment), strict=True):
        for half in (slice(0, 2), slice(2, 4)):
            assert torch.equal(rows.images[half], net.rows(pictures.images[half]))


def test_a_batch_larger_than_the_data_is_cut_as_the_sampler_cuts_it(split: Split, tmp_path: Path) -> None:
    experiment = override(EXPERIMENT, sets=["train.batch=64"])
    net = network(experiment)
    found = CachedFeatures(net, experiment, split, folder=tmp_path / "cache")
    (rows,) = found.training_loader(sampler(0, experiment))
    (pictures,) = uncached(split, 0, experiment)
    assert torch.equal(rows.images, net.rows(pictures.images))


def test_pictures_without_an_object_keep_their_emptiness(split: Split, tmp_path: Path) -> None:
    empty = replace(split.train[3], objects=Objects.of(np.zeros((0, 4)), np.zeros(0)))
    split = Split(train=(*split.train[:3], empty, *split.train[4:]), val=split.val, by="random")
    for rows in cached(split, tmp_path / "cache").training_loader(sampler(0)):
        assert rows.truth.valid.any(dim=1).equal(rows.index != 3)


def test_neighbouring_draws_differ(split: Split, tmp_path: Path) -> None:
    found = cached(split, tmp_path / "cache")
    everything = np.arange(COUNT)
    assert not torch.equal(found.train[0].batch(everything).images, found.train[1].batch(everything).images)


# --- on disk -------------------------------------------------------------------------------------------------


class Counting(FromFeatures):
    """Counts the pictures that pass through the backbone."""

    pictures = 0

    def rows(self, images: Tensor) -> Tensor:
        """As ever."""
        self.pictures += len(images)
        return super().rows(images)


def counting(experiment: Experiment = EXPERIMENT) -> Counting:
    return Counting(network(experiment).model)


def test_a_second_run_computes_nothing(split: Split, tmp_path: Path) -> None:
    first, second = counting(), counting()
    one = CachedFeatures(first, EXPERIMENT, split, folder=tmp_path / "cache")
    two = CachedFeatures(second, EXPERIMENT, split, folder=tmp_path / "cache")
    assert first.pictures == 3 * 12 + VAL  # the last batch of a view is filled up
    assert second.pictures == 0
    assert torch.equal(one.train[2].batch(np.arange(4)).images, two.train[2].batch(np.arange(4)).images)
    assert isinstance(two.train[0].rows, np.memmap)


def test_more_views_reuse_the_first_ones(split: Split, tmp_path: Path) -> None:
    cached(split, tmp_path / "cache")
    more = override(EXPERIMENT, sets=["augment.views=4"])
    net = counting(more)
    CachedFeatures(net, more, split, folder=tmp_path / "cache")
    assert net.pictures == 12
    assert len(entries(tmp_path / "cache")) == 2


KEPT = ["train.lr=0.5", "train.epochs=99", "augment.views=2", "data.val_fraction=0.3", "head.dropout=0.5"]
NEW_TRAIN = ["train.seed=8", "augment.flip=0.4", "augment.blur=0", "train.batch=5"]
NEW_PLAIN = ["evaluate.batch=3"]
NEW_BOTH = [
    "data.input_hw=[48, 72]",
    "data.keep_aspect=true",
    "backbone.levels=[1, 3]",
    "neck.size=[2, 2]",
    "backbone.mean_std=half",
]


@pytest.mark.parametrize(
    ("change", "new"),
    [*[(c, 0) for c in KEPT], *[(c, 1) for c in (*NEW_TRAIN, *NEW_PLAIN)], *[(c, 2) for c in NEW_BOTH]],
)
def test_a_setting_makes_new_features_exactly_where_it_matters(
    split: Split, tmp_path: Path, change: str, new: int
) -> None:
    folder = tmp_path / "cache"
    cached(split, folder)
    before = entries(folder)
    cached(split, folder, override(EXPERIMENT, sets=[change]))
    assert len(entries(folder) - before) == new


def test_other_weights_make_new_features(split: Split, tmp_path: Path) -> None:
    cached(split, tmp_path / "cache")
    cached(split, tmp_path / "cache", seed=1)
    assert len(entries(tmp_path / "cache")) == 4


def test_a_moved_running_mean_makes_new_features(split: Split, tmp_path: Path) -> None:
    net = network()
    CachedFeatures(net, EXPERIMENT, split, folder=tmp_path / "cache")
    next(m for m in net.model.backbone.modules() if isinstance(m, nn.BatchNorm2d)).running_mean.add_(1e-3)  # type: ignore[union-attr]
    CachedFeatures(net, EXPERIMENT, split, folder=tmp_path / "cache")
    assert len(entries(tmp_path / "cache")) == 4


def test_a_picture_saved_anew_under_its_old_name_makes_new_features(split: Split, tmp_path: Path) -> None:
    cached(split, tmp_path / "cache")
    path = split.train[0].path
    image = cv2.imread(str(path))
    assert image is not None
    image[0, 0] ^= 1
    cv2.imwrite(str(path), image)
    cached(split, tmp_path / "cache")
    assert len(entries(tmp_path / "cache")) == 3


def test_a_corrected_label_makes_new_features(split: Split, tmp_path: Path) -> None:
    cached(split, tmp_path / "cache")
    objects = split.train[0].objects
    assert objects is not None
    moved = replace(split.train[0], objects=Objects.of(objects.boxes_xyxy + 1, objects.labels))
    cached(Split(train=(moved, *split.train[1:]), val=split.val, by="random"), tmp_path / "cache")
    assert len(entries(tmp_path / "cache")) == 3


def test_records_in_another_order_make_new_features(split: Split, tmp_path: Path) -> None:
    cached(split, tmp_path / "cache")
    cached(Split(train=split.train[::-1], val=split.val, by="random"), tmp_path / "cache")
    assert len(entries(tmp_path / "cache")) == 3


def test_a_run_killed_while_computing_goes_on_with_the_next_view(
    split: Split, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    net = counting()
    monkeypatch.setattr(Counting, "rows", _interrupted(after=16))
    with pytest.raises(KeyboardInterrupt):
        CachedFeatures(net, EXPERIMENT, split, folder=tmp_path / "cache")
    monkeypatch.undo()
    files = sorted(file.name for entry in (tmp_path / "cache").iterdir() for file in entry.iterdir())
    assert files == ["view-000.npy", "view-000.npz"]
    net = counting()
    found = CachedFeatures(net, EXPERIMENT, split, folder=tmp_path / "cache")
    assert net.pictures == 2 * 12 + VAL
    assert torch.equal(
        found.train[1].batch(np.arange(4)).images, cached(split, tmp_path / "other").train[1].batch(np.arange(4)).images
    )


def _interrupted(*, after: int) -> object:
    plain = Counting.rows

    def rows(self: Counting, images: Tensor) -> Tensor:
        if self.pictures >= after:
            raise KeyboardInterrupt
        return plain(self, images)

    return rows


@pytest.mark.parametrize("suffix", ["npy", "npz"])
@pytest.mark.parametrize("left", [0, 40, 700])
def test_a_damaged_file_is_computed_anew_and_said(
    split: Split, tmp_path: Path, caplog: pytest.LogCaptureFixture, suffix: str, left: int
) -> None:
    whole = cached(split, tmp_path / "cache").train[1].batch(np.arange(COUNT))
    (file,) = (tmp_path / "cache").glob(f"*/view-001.{suffix}")
    file.write_bytes(file.read_bytes()[:left])
    with caplog.at_level(logging.WARNING, logger="sightline"):
        again = cached(split, tmp_path / "cache").train[1].batch(np.arange(COUNT))
    assert "is damaged" in caplog.text
    assert torch.equal(whole.images, again.images)
    assert_same_truth(whole, again)


# --- the limit -----------------------------------------------------------------------------------------------


def test_more_than_the_limit_is_refused_before_anything_is_written(split: Split, tmp_path: Path) -> None:
    large = override(EXPERIMENT, sets=["augment.views=2000", "train.cache_mb=1"])
    with pytest.raises(UserError, match=r"take \d[\d,]* MB, more than train.cache_mb=1. Raise it, take fewer augment"):
        cached(split, tmp_path / "cache", large)
    assert not (tmp_path / "cache").exists()


def test_a_full_disk_is_told_before_anything_is_written(
    split: Split, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = store.shutil.disk_usage(tmp_path)
    monkeypatch.setattr(store.shutil, "disk_usage", lambda _: usage._replace(free=1000))
    with pytest.raises(UserError, match=r"but .* has 0 MB free"):
        cached(split, tmp_path / "cache")
    assert not (tmp_path / "cache").exists()


def _fill(folder: Path, name: str, *, mb: float, age: float) -> Path:
    entry = folder / (name * 32)
    entry.mkdir(parents=True)
    (entry / "view-000.npy").write_bytes(bytes(int(mb * 2**20)))
    os.utime(entry, (time.time() - age, time.time() - age))
    return entry


def test_what_was_not_used_for_longest_makes_room(split: Split, tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    old, newer = _fill(folder, "a", mb=0.6, age=9000), _fill(folder, "b", mb=0.39, age=5000)
    foreign = folder / "notes"
    foreign.mkdir()
    cached(split, folder, override(EXPERIMENT, sets=["train.cache_mb=1"]))
    assert not old.exists()
    assert newer.exists()
    assert foreign.exists()


def test_what_another_run_may_be_writing_is_not_dropped(split: Split, tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    fresh = _fill(folder, "a", mb=0.97, age=0)
    with pytest.raises(UserError, match="used in the last minutes"):
        cached(split, folder, override(EXPERIMENT, sets=["train.cache_mb=1"]))
    assert fresh.exists()


def test_what_the_same_process_left_makes_room_at_once(
    split: Split, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "cache"
    cached(split, folder)
    first = set(folder.iterdir())
    # The limit of one megabyte is what these take: no second such set fits beside them.
    monkeypatch.setattr(store, "MB", sum(store._size(entry) for entry in first))
    other = override(EXPERIMENT, sets=["train.cache_mb=1", "augment.brightness=0.37"])
    cached(split, folder, other)
    second = set(folder.iterdir())
    assert len(first - second) >= 1 and len(second - first) >= 1
    # What another process took up since is not ours to drop.
    for entry in second:
        os.utime(entry)
    with pytest.raises(UserError, match="that others used in the last minutes"):
        cached(split, folder, override(other, sets=["augment.brightness=0.2"]))
    assert set(folder.iterdir()) == second


def test_an_entry_in_use_counts_as_new(split: Split, tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    cached(split, folder)
    for entry in folder.iterdir():
        os.utime(entry, (1, 1))
    cached(split, folder)
    assert all(time.time() - entry.stat().st_mtime < 60 for entry in folder.iterdir())


def test_what_a_killed_run_left_goes_with_time(split: Split, tmp_path: Path) -> None:
    folder = tmp_path / "cache"
    cached(split, folder)
    entry = next(folder.iterdir())
    old, fresh = entry / ".writing-0.npy", entry / ".writing-1.npy"
    for file, age in ((old, 5000), (fresh, 0)):
        file.write_bytes(b"half")
        os.utime(file, (time.time() - age, time.time() - age))
    cached(split, folder)
    assert not old.exists()
    assert fresh.exists()


# --- what cannot be cached -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("backbone.frozen=none", "backbone.frozen=all"),
        ("backbone.frozen=norm", "backbone.frozen=all"),
        ("augment.views=null", "augment.views=V"),
        ("augment.mosaic=0.5", "augment.mosaic=0"),
        ("train.precision=bf16", "train.precision=32"),
        ("evaluate.flip_average=true", "evaluate.flip_average=false"),
    ],
)
def test_what_would_not_come_back_the_same_is_refused_by_the_settings_name(change: str, words: str) -> None:
    with pytest.raises(UserError, match=f"train.cache_features needs {words}"):
        check_cacheable(override(EXPERIMENT, sets=[change]))


def test_what_is_trained_shares_its_weights_with_the_model() -> None:
    net = network()
    assert isinstance(net.model, Locator)
    assert {id(p) for p in net.parameters()} == {id(p) for p in net.model.parameters()}
    net.train()
    assert net.model.head.training
    assert not net.model.backbone.training
    net.eval()
    assert not net.model.head.training
