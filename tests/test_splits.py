from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sightline.errors import UserError
from sightline.records import Dataset, Record, Skeleton
from sightline.splits import k_folds, part_of, split_dataset


def dataset(rows):
    """Rows are (picture, group, split)."""
    records = []
    for index, (picture, group, split) in enumerate(rows):
        records.append(
            Record(
                image_id=f"{picture}#{index}",
                path=Path(picture),
                points_xy=np.zeros((1, 2)),
                visible=np.ones(1, dtype=bool),
                group=group,
                split=split,
            )
        )
    return Dataset(root=Path("data"), format="test", records=tuple(records), skeleton=Skeleton(names=("nose",)))


def plain(count):
    return dataset([(f"{i}.png", None, None) for i in range(count)])


def ids(records):
    return [record.image_id for record in records]


rows = st.lists(
    st.tuples(st.sampled_from("abcdefghijkl"), st.sampled_from([None, *"12345678"]), st.none()), min_size=2, max_size=40
)


@given(rows, st.floats(0.05, 0.95), st.integers(0, 5))
def test_no_group_or_picture_is_in_both_parts_of_a_split_by_group(rows, fraction, seed):
    try:
        split = split_dataset(dataset(rows), val_fraction=fraction, seed=seed, by="group")
    except UserError:
        return
    assert not split.straddling_groups
    assert not {r.path for r in split.train} & {r.path for r in split.val}
    assert split.train
    assert split.val
    assert sorted(ids(split.train) + ids(split.val)) == sorted(ids(dataset(rows).records))


@given(rows, st.floats(0.05, 0.95), st.sampled_from(["random", "order", "auto"]))
def test_no_picture_is_in_both_parts_of_any_split(rows, fraction, by):
    try:
        split = split_dataset(dataset(rows), val_fraction=fraction, seed=0, by=by)
    except UserError:
        return
    assert not {r.path for r in split.train} & {r.path for r in split.val}
    assert len(split.train) + len(split.val) == len(rows)


@given(rows, st.integers(2, 6))
def test_folds_validate_every_record_once_and_part_no_group(rows, k):
    data = dataset(rows)
    try:
        folds = k_folds(data, k=k, seed=0)
    except UserError:
        return
    assert len(folds) == k
    assert sorted(name for fold in folds for name in ids(fold.val)) == sorted(ids(data.records))
    for fold in folds:
        assert fold.train
        assert fold.val
        assert fold.by == "random" or not fold.straddling_groups
        assert not {r.path for r in fold.train} & {r.path for r in fold.val}


@pytest.mark.parametrize("by", ["random", "order", "auto"])
def test_the_fraction_is_kept_to_the_record(by):
    assert len(split_dataset(plain(90), val_fraction=0.2, seed=0, by=by).val) == 18


def test_equal_seeds_give_equal_parts_and_others_do_not():
    first, again, other = (split_dataset(plain(50), val_fraction=0.2, seed=s) for s in (1, 1, 2))
    assert ids(first.val) == ids(again.val) != ids(other.val)


def test_order_takes_the_last_records():
    assert ids(split_dataset(plain(10), val_fraction=0.3, seed=0, by="order").val) == ["7.png#7", "8.png#8", "9.png#9"]


def test_auto_takes_the_given_parts_and_keeps_test_out():
    data = dataset([("a", None, "train"), ("b", None, "Valid"), ("c", None, "test"), ("d", None, None)])
    split = split_dataset(data, val_fraction=0.5, seed=0)
    assert (split.by, ids(split.train), ids(split.val)) == ("given", ["a#0", "d#3"], ["b#1"])


def test_a_test_part_validates_where_there_is_no_val_part():
    data = dataset([("a", None, "train"), ("b", None, "test")])
    assert ids(split_dataset(data, val_fraction=0.5, seed=0).val) == ["b#1"]


def test_auto_groups_from_five_groups_on():
    few = dataset([(f"{i}", str(i % 4), "train") for i in range(40)])
    many = dataset([(f"{i}", str(i % 5), "train") for i in range(40)])
    assert split_dataset(few, val_fraction=0.2, seed=0).by == "random"
    assert split_dataset(few, val_fraction=0.2, seed=0).straddling_groups
    assert split_dataset(many, val_fraction=0.2, seed=0).by == "group"


@pytest.mark.parametrize(
    ("data", "options", "match"),
    [
        (plain(0), {}, "0 pictures"),
        (plain(1), {}, "1 pictures in 1 records"),
        (dataset([("a", None, None), ("a", None, None)]), {}, "1 pictures in 2 records"),
        (dataset([("a", "1", None), ("b", "1", None)]), {"by": "group"}, "split by random or order"),
        (plain(9), {"by": "given"}, "no validation part"),
        (dataset([("a", None, "val")]), {"by": "given"}, "no training part"),
        (dataset([("a", None, "val"), ("b", None, "sunny")]), {"by": "given"}, "sunny"),
        (plain(9), {"val_fraction": 0.0}, "between 0 and 1"),
        (plain(9), {"val_fraction": 1.0}, "between 0 and 1"),
        (plain(9), {"by": "groups"}, "Did you mean 'group'"),
    ],
)
def test_splits_that_cannot_be_made_say_why(data, options, match):
    with pytest.raises(UserError, match=match):
        split_dataset(data, **{"val_fraction": 0.2, "seed": 0} | options)


def test_folds_that_cannot_be_made_say_why():
    with pytest.raises(UserError, match="at least 2"):
        k_folds(plain(5), k=1, seed=0)
    with pytest.raises(UserError, match="6 are needed"):
        k_folds(plain(5), k=6, seed=0)


def test_the_words_for_parts_are_understood():
    record = dataset([("a", None, " Validation ")]).records[0]
    assert part_of(record) == "val"
