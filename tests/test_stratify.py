"""Dealing units into parts: nothing lost, nothing twice, rare traits in every part that can have one."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sightline.records import Before, Dataset, Objects, Record
from sightline.splits import k_folds, units_of
from sightline.stratify import deal, traits


def box_record(index: int, labels: list[int], *, group: str | None = None, crowd: bool = False) -> Record:
    boxes = np.tile([[0.0, 0.0, 4.0, 4.0]], (len(labels), 1))
    objects = replace(Objects.of(boxes, np.array(labels)), crowd=np.full(len(labels), crowd))
    return Record(image_id=f"{index}.png", path=Path(f"{index}.png"), objects=objects, group=group)


def boxes(labels: list[list[int]], *, groups: list[str | None] | None = None) -> Dataset:
    named = groups or [None] * len(labels)
    records = tuple(box_record(i, each, group=group) for i, (each, group) in enumerate(zip(labels, named, strict=True)))
    return Dataset(root=Path("data"), format="test", records=records, classes=("a", "b", "c"))


def singles(count: int) -> list[list[int]]:
    return [[i] for i in range(count)]


@given(
    sizes=st.lists(st.integers(1, 6), min_size=5, max_size=40),
    parts=st.integers(2, 5),
    columns=st.integers(0, 4),
    seed=st.integers(0, 5),
)
@settings(max_examples=80, deadline=None)
def test_every_unit_gets_one_part_and_no_part_is_empty(sizes: list[int], parts: int, columns: int, seed: int) -> None:
    starts = np.cumsum([0, *sizes])
    units = [list(range(a, b)) for a, b in itertools.pairwise(starts)]
    found = np.random.default_rng(seed).random((starts[-1], columns)) < 0.3
    part = deal(units, found, shares=[1 / parts] * parts, seed=seed)
    assert part.shape == (len(units),)
    assert set(part.tolist()) == set(range(parts))
    assert (part == deal(units, found, shares=[1 / parts] * parts, seed=seed)).all()


@pytest.mark.parametrize("count", [3, 5, 6, 7, 11])
def test_a_single_label_a_picture_is_dealt_as_evenly_as_can_be(count: int) -> None:
    # The classical case: one class a picture. Folds are equal to a picture, and so are the classes in them, nearly.
    labels = np.random.default_rng(0).permutation(np.repeat([0, 1, 2], [count, 20, 41]))
    part = deal(singles(len(labels)), labels[:, None] == np.arange(3), shares=[0.2] * 5, seed=3)
    for label, total in enumerate((count, 20, 41)):
        each = np.bincount(part[labels == label], minlength=5)
        assert abs(each - total / 5).max() < (1 if total < 20 else 2), each
    assert np.ptp(np.bincount(part)) <= 1


def test_shares_that_differ_are_kept() -> None:
    found = np.zeros((200, 1), dtype=bool)
    found[:20] = True
    part = deal(singles(200), found, shares=[0.1, 0.3, 0.6], seed=0)
    assert np.bincount(part).tolist() == [20, 60, 120]
    assert np.bincount(part[:20]).tolist() == [2, 6, 12]


def test_multi_label_data_come_out_nearer_to_their_shares_than_by_chance() -> None:
    rng = np.random.default_rng(1)
    found = rng.random((120, 6)) < np.array([0.05, 0.05, 0.1, 0.2, 0.4, 0.6])

    def off(part: np.ndarray) -> float:
        return float(np.mean([abs(found[part == p].sum(axis=0) - found.sum(axis=0) / 5).sum() for p in range(5)]))

    dealt = np.mean([off(deal(singles(120), found, shares=[0.2] * 5, seed=s)) for s in range(5)])
    chance = np.mean([off(rng.permutation(np.arange(120) % 5)) for _ in range(20)])
    assert dealt < 0.4 * chance, (dealt, chance)


def test_traits_of_boxes_are_classes_and_having_none() -> None:
    records = [box_record(0, [0, 2]), box_record(1, []), box_record(2, [2]), box_record(3, [1], crowd=True)]
    found = traits(records)
    assert sorted(map(tuple, found.T.tolist())) == [  # a; c; nothing to find (a crowd is not to be found)
        (False, True, False, True),
        (True, False, False, False),
        (True, False, True, False),
    ]


def test_traits_of_points_are_the_rarer_state_and_clips_have_none() -> None:
    visible = np.array([[1, 1, 0, 1], [1, 0, 0, 0], [1, 1, 1, 1], [1, 1, 0, 1]], dtype=bool)
    records = [
        Record(image_id=str(i), path=Path(str(i)), points_xy=np.zeros((4, 2)), visible=row)
        for i, row in enumerate(visible)
    ]
    # Point 0 is always visible; 1 and 3 are hidden together, once; 2 is visible once.
    assert sorted(map(tuple, traits(records).T.tolist())) == [(False, False, True, False), (False, True, False, False)]
    before = Before(frames=(None,) * 3, points_xy=np.zeros((30, 2)), visible=np.zeros(30, dtype=bool))
    assert traits([replace(record, before=before) for record in records]).shape == (4, 0)
    assert traits([]).shape == (0, 0)


def test_every_fold_validates_the_rare_class_where_there_are_enough() -> None:
    data = boxes([[0]] * 40 + [[0, 1]] * 5 + [[]] * 5)
    for seed in range(5):
        for fold in k_folds(data, k=5, seed=seed):
            labels = [record.objects.labels.tolist() for record in fold.val if record.objects is not None]
            assert sum(1 in each for each in labels) == 1
            assert sum(not each for each in labels) == 1
            assert len(labels) == 10


@given(groups=st.lists(st.sampled_from("uvwxyz"), min_size=12, max_size=40), seed=st.integers(0, 3))
@settings(max_examples=40, deadline=None)
def test_groups_stay_whole_whatever_the_labels(groups: list[str], seed: int) -> None:
    data = boxes([[i % 3] for i in range(len(groups))], groups=list(groups))
    units, by = units_of(data)
    if by == "random" or len(units) < 3:
        return
    for fold in k_folds(data, k=3, seed=seed):
        assert not fold.straddling_groups
        assert fold.val
