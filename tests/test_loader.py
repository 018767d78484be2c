"""Which sample comes when: the same whatever stopped in between, however many helped."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sightline.config import AugmentConfig, DataConfig, EvaluateConfig
from sightline.errors import UserError
from sightline.geometry import Affine, inside, mirror
from sightline.loader import (
    EpochSampler,
    Pictures,
    PlainSamples,
    Position,
    TrainingSamples,
    collate,
    plain_loader,
    training_loader,
    worker_count,
)
from sightline.readers import read_dataset
from sightline.records import Dataset, Objects, Record
from sightline.scan import scan
from sightline.transforms import Framing, placed_objects
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
        for name in ("images", "to_input", "index"):
            assert torch.equal(getattr(a, name), getattr(b, name)), name
        assert all(torch.equal(x, y) for x, y in zip(a.truth.tensors(), b.truth.tensors(), strict=True))


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


@pytest.mark.parametrize("workers", [0, 1])
def test_a_picture_that_has_gone_since_is_told_alike_with_and_without_workers(
    faces: Path, tmp_path: Path, workers: int
) -> None:
    shutil.copytree(faces, tmp_path / "faces")
    data = scan(read_dataset(tmp_path / "faces"))
    gone = data.records[5].path
    gone.unlink()
    with pytest.raises(UserError) as told:
        list(batches(data, workers=workers, cache_mb=0))
    assert str(told.value) == f"There is no picture {gone}. Check the path."


def box_data(folder: Path, *, counts: tuple[int, ...]) -> Dataset:
    """Grey pictures of 40 x 60 pixels with so many boxes each; the last box of each is a crowd."""
    records = []
    for number, count in enumerate(counts):
        path = folder / f"{number}.png"
        cv2.imwrite(str(path), np.full((40, 60, 3), 90, dtype=np.uint8))
        boxes = [[4.0 * i, 5.0, 4.0 * i + 20, 35.0] for i in range(count)]
        objects = Objects.of(np.array(boxes).reshape(-1, 4), np.arange(count) % 3)
        objects = replace(objects, crowd=np.arange(count) == count - 1)
        records.append(Record(image_id=path.name, path=path, objects=objects, size_hw=(40, 60)))
    return Dataset(root=folder, format="test", records=tuple(records), classes=("a", "b", "c"))


def box_samples(data: Dataset, *, epochs: int = 4, **augment: object) -> TrainingSamples:
    config = DataConfig(input_hw=(40, 60), crop="image")
    return TrainingSamples(
        Pictures(data.records, config),
        framing=Framing(data=config, skeleton=data.skeleton),
        augment=AugmentConfig.model_validate(augment),
        seed=0,
        epochs=epochs,
    )


def test_boxes_are_padded_to_the_longest_list_and_crowds_are_not_to_be_found(tmp_path: Path) -> None:
    made = box_samples(box_data(tmp_path, counts=(3, 0, 1)))
    truth = collate([made[0, index] for index in range(3)]).truth
    assert truth.boxes_xyxy.shape == (3, 3, 4)
    assert truth.valid.tolist() == [[True, True, False], [False] * 3, [False] * 3]
    assert truth.crowd.tolist() == [[False, False, True], [False] * 3, [True, False, False]]
    assert truth.boxes_xyxy[0, 1].tolist() == [4.0, 5.0, 24.0, 35.0]
    assert truth.labels[0, :2].tolist() == [0, 1]


def test_fixed_views_come_back_and_free_draws_do_not(tmp_path: Path) -> None:
    data = box_data(tmp_path, counts=(2,))
    fixed = box_samples(data, shift=0.3, views=2)
    assert not np.array_equal(fixed[0, 0].to_input, fixed[1, 0].to_input)
    assert np.array_equal(fixed[0, 0].to_input, fixed[2, 0].to_input)
    free = box_samples(data, shift=0.3)
    assert not np.array_equal(free[0, 0].to_input, free[2, 0].to_input)


def test_mosaic_stops_before_the_last_share_of_the_epochs(tmp_path: Path) -> None:
    made = box_samples(box_data(tmp_path, counts=(2, 3, 1, 2)), mosaic=1.0, mosaic_off=0.5, epochs=4)
    plain = box_samples(box_data(tmp_path, counts=(2, 3, 1, 2)))
    for epoch, has_mosaic in ((0, True), (1, True), (2, False), (3, False)):
        same = np.array_equal(made[epoch, 0].to_input, plain[epoch, 0].to_input)
        assert same != has_mosaic


def test_a_box_of_which_too_little_is_seen_is_left_out_and_a_cut_one_ends_at_the_edge(tmp_path: Path) -> None:
    objects = Objects.of(np.array([[10, 5, 50, 35], [-30, 5, 2, 35], [-10, 5, 10, 35]]), np.array([0, 1, 2]))
    placed = placed_objects(objects, Affine.identity(), DataConfig(input_hw=(40, 60), min_seen=0.2))
    assert placed.labels.tolist() == [0, 2]
    assert placed.boxes_xyxy.tolist() == [[10, 5, 50, 35], [0, 5, 10, 35]]
    turned = placed_objects(objects, mirror(60), DataConfig(input_hw=(40, 60)))
    assert turned.boxes_xyxy.tolist() == [[10, 5, 50, 35], [50, 5, 60, 35]]


def test_an_iou_crop_keeps_only_objects_whose_centre_it_shows(tmp_path: Path) -> None:
    data = box_data(tmp_path, counts=(6,))
    made = box_samples(data, iou_crop=1.0)
    boxes = data.records[0].objects
    assert boxes is not None
    cropped = 0
    for epoch in range(40):
        sample = made[epoch, 0]
        back = Affine(sample.to_input).boxes(boxes.boxes_xyxy)
        centres = (back[:, :2] + back[:, 2:]) / 2
        shown = inside(centres, (40, 60)) & ~boxes.crowd
        cropped += int((~shown).sum() > 1)
        assert len(sample.labels[~sample.crowd]) <= shown.sum()
    assert cropped > 5


def test_a_batch_has_pictures_in_channels_last_memory_and_says_which_records_they_are(data: Dataset) -> None:
    batch = next(batches(data, workers=0))
    assert batch.images.shape == (4, 3, 32, 32)
    assert batch.images.dtype == torch.uint8
    assert batch.images.is_contiguous(memory_format=torch.channels_last)
    assert batch.truth.points_xy.shape == (4, 68, 2)
    assert batch.truth.visible.shape == (4, 68)
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
