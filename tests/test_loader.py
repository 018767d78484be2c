"""Which sample comes when: the same whatever stopped in between, however many helped."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sightline.config import AugmentConfig, DataConfig, EvaluateConfig
from sightline.loader import (
    EpochSampler,
    Pictures,
    PlainSamples,
    Position,
    TrainingSamples,
    plain_loader,
    training_loader,
    worker_count,
)
from sightline.readers import read_dataset
from sightline.records import Dataset
from sightline.scan import scan
from sightline.transforms import Framing
from sightline.types import Batch


def sampler(count: int = 13, batch: int = 4, *, epoch: int = 0, step: int = 0, **more: int) -> EpochSampler:
    made = EpochSampler(count=count, batch=batch, seed=more.pop("seed", 0), **more)
    made.position = Position(epoch=epoch, step=step)
    return made


def indices(made: EpochSampler) -> list[list[int]]:
    return [[index for _, index in batch] for batch in made]


@given(st.integers(1, 60), st.integers(1, 20), st.integers(0, 5))
def test_no_record_comes_twice_in_an_epoch_and_few_are_left_out(count: int, batch: int, epoch: int) -> None:
    made = sampler(count, batch, epoch=epoch)
    seen = [index for part in indices(made) for index in part]
    assert len(set(seen)) == len(seen)
    assert set(seen) <= set(range(count))
    assert count - len(seen) < batch
    assert len(indices(made)) == made.steps == len(made) > 0
    assert {epoch_ for part in made for epoch_, _ in part} == {epoch}


def test_epochs_and_seeds_differ_and_repeat() -> None:
    assert indices(sampler(epoch=0)) != indices(sampler(epoch=1))
    assert indices(sampler(seed=0)) != indices(sampler(seed=1))
    assert indices(sampler(epoch=3)) == indices(sampler(epoch=3))


def test_over_some_epochs_every_record_comes() -> None:
    assert {i for epoch in range(8) for part in indices(sampler(epoch=epoch)) for i in part} == set(range(13))


@pytest.mark.parametrize("step", range(4))
def test_going_on_at_any_step_gives_the_rest_of_the_same_epoch(step: int) -> None:
    made = sampler(epoch=2, step=step)
    assert indices(made) == indices(sampler(epoch=2))[step:]
    assert len(made) == 3 - step


@pytest.mark.parametrize("world", [2, 4])
def test_the_shares_of_all_processes_make_up_the_global_batch(world: int) -> None:
    shares = [indices(sampler(epoch=1, rank=rank, world=world)) for rank in range(world)]
    for step, whole in enumerate(indices(sampler(epoch=1))):
        parts = [share[step] for share in shares]
        assert sorted(index for part in parts for index in part) == sorted(whole)
        assert {len(part) for part in parts} == {4 // world}


def test_fewer_records_than_a_batch_are_one_batch_that_all_processes_share() -> None:
    assert [len(part) for part in indices(sampler(3, 8))] == [3]
    assert [len(part) for part in indices(sampler(5, 8, world=2))] == [2]


@pytest.fixture(scope="module")
def data(faces: Path) -> Dataset:
    return scan(read_dataset(faces))


AUGMENT = AugmentConfig(rotate_deg=20, flip=0.5, noise_std=0.05, brightness=0.2, occlude=0.5, blur=0.5)


def samples(data: Dataset, **settings: object) -> TrainingSamples:
    config = DataConfig.model_validate({"input_hw": (32, 32), "crop": "points"} | settings)
    framing = Framing(data=config, skeleton=data.skeleton)
    return TrainingSamples(Pictures(data.records, config), framing=framing, augment=AUGMENT, seed=3)


def assert_equal(one: list[Batch], other: list[Batch]) -> None:
    assert len(one) == len(other) > 0
    for a, b in zip(one, other, strict=True):
        for name in ("images", "points_xy", "visible", "to_input", "index"):
            assert torch.equal(getattr(a, name), getattr(b, name)), name


def batches(data: Dataset, *, workers: int, step: int = 0, **settings: object) -> Iterator[Batch]:
    made = EpochSampler(count=len(data), batch=4, seed=3)
    made.position = Position(epoch=1, step=step)
    return iter(training_loader(samples(data, **settings), made, workers=workers))


def test_any_number_of_workers_makes_the_same_batches(data: Dataset) -> None:
    assert_equal(list(batches(data, workers=0)), list(batches(data, workers=2)))


def test_going_on_mid_epoch_gives_the_same_batches(data: Dataset) -> None:
    assert_equal(list(batches(data, workers=0))[2:], list(batches(data, workers=1, step=2)))


def test_workers_that_stay_follow_the_sampler_into_the_next_epoch(data: Dataset) -> None:
    made = EpochSampler(count=len(data), batch=4, seed=3)
    loader = training_loader(samples(data), made, workers=1)
    first = list(loader)
    made.position = Position(epoch=1)
    assert_equal(list(loader), list(batches(data, workers=0)))
    assert not torch.equal(first[0].index, next(batches(data, workers=0)).index)


def test_keeping_pictures_in_memory_changes_nothing(data: Dataset) -> None:
    assert not Pictures(data.records, DataConfig(crop="points", cache_mb=0)).kept
    assert_equal(list(batches(data, workers=0)), list(batches(data, workers=0, cache_mb=0)))


def test_a_batch_has_pictures_in_channels_last_memory_and_says_which_records_they_are(data: Dataset) -> None:
    batch = next(batches(data, workers=0))
    assert batch.images.shape == (4, 3, 32, 32)
    assert batch.images.dtype == torch.uint8
    assert batch.images.is_contiguous(memory_format=torch.channels_last)
    assert batch.points_xy.shape == (4, 68, 2)
    assert batch.visible.shape == (4, 68)
    assert batch.to_input.shape == (4, 2, 3)
    assert batch.index.tolist() == indices(sampler(16, 4, epoch=1, seed=3))[0]


def test_validation_sees_every_record_once_in_order_and_the_same_each_time(data: Dataset) -> None:
    config = DataConfig(input_hw=(32, 32), crop="points")
    framing = Framing(data=config, skeleton=data.skeleton)
    made = PlainSamples(Pictures(data.records, config), framing=framing, evaluate=EvaluateConfig())
    one, other = (list(plain_loader(made, batch=5, workers=workers)) for workers in (0, 1))
    assert_equal(one, other)
    assert torch.cat([batch.index for batch in one]).tolist() == list(range(16))
    assert len(made) == 16


def test_large_pictures_are_decoded_smaller(tmp_path: Path, data: Dataset) -> None:
    import cv2

    from sightline.records import Record

    path = tmp_path / "large.jpg"
    cv2.imwrite(str(path), np.zeros((801, 1203, 3), dtype=np.uint8))
    points = np.array([[10.0, 10], [1190, 790]])
    large = Record(image_id="a", path=path, points_xy=points, visible=np.ones(2, bool), size_hw=(801, 1203))
    assert Pictures([large], DataConfig(crop="points", input_hw=(64, 64)))[0].shape == (101, 151, 3)
    assert Pictures([large], DataConfig(crop="points", input_hw=(640, 640)))[0].shape == (801, 1203, 3)


def test_the_number_of_workers_is_the_users_or_at_least_one() -> None:
    assert worker_count(0) == 0
    assert worker_count(3) == 3
    assert 1 <= worker_count("auto") <= 8
