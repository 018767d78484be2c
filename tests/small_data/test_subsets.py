"""Growing shares of the labels: each within the next, whole groups, nothing that validates."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sightline.errors import UserError
from sightline.records import Dataset, Objects, Record
from sightline.small_data.subsets import nested_subsets

SHARES = (10, 20, 40, 80, 100)


def data(labels: list[int], groups: list[str | None] | None = None) -> Dataset:
    named = groups or [None] * len(labels)
    records = tuple(
        Record(
            image_id=f"{i}.png",
            path=Path(f"{i}.png"),
            objects=Objects.of(np.array([[0.0, 0.0, 3.0, 3.0]]), np.array([label])),
            group=group,
        )
        for i, (label, group) in enumerate(zip(labels, named, strict=True))
    )
    return Dataset(root=Path("data"), format="test", records=records, classes=("a", "b"))


@given(count=st.integers(10, 80), seed=st.integers(0, 4), last=st.sampled_from([60.0, 100.0]))
@settings(max_examples=40, deadline=None)
def test_each_share_holds_the_one_before(count: int, seed: int, last: float) -> None:
    dataset = data([i % 2 for i in range(count)])
    shares = (10.0, 30.0, last)
    found = nested_subsets(dataset, shares=shares, seed=seed)
    ids = [{record.image_id for record in part} for part in found]
    assert all(a < b for a, b in itertools.pairwise(ids))
    assert [abs(len(part) - share / 100 * count) <= 2 for part, share in zip(ids, shares, strict=True)] == [True] * 3
    if last == 100:
        assert [record.image_id for record in found[-1]] == [record.image_id for record in dataset.records]
    again = nested_subsets(dataset, shares=shares, seed=seed)
    assert [[r.image_id for r in part] for part in again] == [[r.image_id for r in part] for part in found]


def test_a_rare_class_is_in_every_share_that_can_have_it() -> None:
    dataset = data([1] * 10 + [0] * 90)
    for seed in range(4):
        for share, part in zip(SHARES, nested_subsets(dataset, shares=SHARES, seed=seed), strict=True):
            rare = sum(int(record.objects.labels[0]) for record in part if record.objects is not None)
            assert rare == share // 10


def test_groups_come_whole_and_seeds_differ() -> None:
    groups: list[str | None] = [f"clip{i // 4}" for i in range(48)]
    dataset = data([i % 2 for i in range(48)], groups)
    firsts = set()
    for seed in range(4):
        for part in nested_subsets(dataset, shares=SHARES, seed=seed):
            names = {record.group for record in part}
            assert len(part) == 4 * len(names)
        firsts.add(tuple(r.image_id for r in nested_subsets(dataset, shares=SHARES, seed=seed)[0]))
    assert len(firsts) > 1


def test_too_few_groups_for_the_shares() -> None:
    with pytest.raises(UserError, match=r"has 3 groups \(persons, clips\), too few for 5 different shares"):
        nested_subsets(data([0] * 30, [f"c{i % 3}" for i in range(30)]), shares=SHARES, seed=0)
    with pytest.raises(UserError, match="has 3 pictures"):
        nested_subsets(data([0] * 3), shares=SHARES, seed=0)
