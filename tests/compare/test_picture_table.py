"""The table gives every metric as its evaluation does, for the pictures as they are and for any that count twice."""

from __future__ import annotations

import numpy as np
import pytest

from sightline.errors import UserError
from sightline.metrics.boxes import summarise_boxes
from sightline.metrics.one_box import summarise_one_box
from sightline.metrics.picture_table import PictureTable, Pooled
from sightline.metrics.points import point_errors, summarise
from sightline.records import Detections, Objects, Skeleton

RNG = np.random.default_rng(5)


def again(table: PictureTable) -> PictureTable:
    """Through the arrays that a run keeps."""
    return PictureTable.from_arrays(table.to_arrays())


def value(table: PictureTable, name: str, weights: np.ndarray | None = None) -> float:
    return float(table.values(name, (np.ones(len(table)) if weights is None else weights)[None])[0])


def test_points() -> None:
    truth = RNG.uniform(0, 100, (12, 4, 2))
    visible = RNG.uniform(size=(12, 4)) < 0.8
    predicted = truth + RNG.normal(0, 4, truth.shape)
    skeleton = Skeleton(names=("a", "b", "c", "d"))

    def summary(rows: list[int]):
        ids = [f"{place}" for place in range(len(rows))]
        errors = point_errors(predicted[rows], truth[rows], visible[rows], skeleton=skeleton, image_ids=ids)
        return summarise(errors)

    whole = summary(list(range(12)))
    table = again(whole.table)
    assert set(table.names) == set(whole.metrics)
    assert table.quantiles == ("median_error_px", "p95_error_px")
    for name in table.names:
        assert value(table, name) == pytest.approx(whole.metrics[name].value, rel=1e-9)
    weights = np.array([2, 0, 1, 1, 3, 0, 1, 0, 1, 1, 1, 1.0])
    drawn = summary(np.repeat(np.arange(12), weights.astype(int)).tolist())
    for name in table.names:
        assert value(table, name, weights) == pytest.approx(drawn.metrics[name].value, rel=1e-9)


def test_one_box() -> None:
    boxes = np.tile([10.0, 10, 50, 40], (9, 1))
    found = boxes + RNG.normal(0, 6, boxes.shape)
    labels = RNG.integers(0, 2, 9)
    summary = summarise_one_box(
        found, labels, np.full(9, 0.5), boxes, np.zeros(9, dtype=int), classes=["x", "y"],
        image_ids=[str(row) for row in range(9)], groups=["g", "g", *[None] * 7],
    )  # fmt: skip
    table = again(summary.table)
    assert set(table.names) == set(summary.metrics)
    assert table.quantiles == ("median_iou",)
    for name in table.names:
        assert value(table, name) == pytest.approx(summary.metrics[name].value)
    assert table.units[0] == table.units[1]
    assert len(set(table.units.tolist())) == 8


def test_boxes_have_the_average_precision_of_any_resample() -> None:
    truth, found = [], []
    for _ in range(14):
        boxes = RNG.uniform(0, 60, (3, 2))
        boxes = np.hstack([boxes, boxes + RNG.uniform(10, 60, (3, 2))])
        truth.append(Objects.of(boxes, np.array([0, 1, 1])))
        moved = boxes + RNG.normal(0, 5, boxes.shape)
        found.append(Detections(boxes_xyxy=moved, labels=np.array([0, 1, 0]), scores=RNG.uniform(size=3)))

    def summary(rows: list[int]):
        ids = [f"{place}" for place in range(len(rows))]
        some = [found[row] for row in rows], [truth[row] for row in rows]
        return summarise_boxes(*some, classes=["x", "y"], image_ids=ids, thresholds={"x": 0.3, "y": 0.3})

    whole = summary(list(range(14)))
    table = again(whole.table)
    assert table.names[0] == "ap"
    assert {"ap50", "recall", "f1"} <= set(table.names)
    for name in table.names:
        assert value(table, name) == pytest.approx(whole.metrics[name].value, abs=1e-9)
    weights = np.array([2, 0, 1, 1, 3, 0, 1, 0, 1, 1, 1, 1, 1, 1.0])
    drawn = summary(np.repeat(np.arange(14), weights.astype(int)).tolist())
    for name in ("ap", "ap50", "ar_100", "precision", "recall", "f1"):
        assert value(table, name, weights) == pytest.approx(drawn.metrics[name].value, abs=1e-9)


def test_a_median_is_that_of_the_values_written_down_as_often_as_they_count() -> None:
    values, picture = RNG.normal(size=40), RNG.integers(0, 6, 40)
    pooled = Pooled(values=values, picture=picture, shares={"median_error_px": 0.5, "p95_error_px": 0.95})
    table = again(PictureTable(image_ids=tuple("abcdefg"), units=np.arange(7), sums={}, pooled=pooled))
    weights = RNG.integers(0, 4, (20, 7)).astype(float)
    for name, share in pooled.shares.items():
        wanted = [np.quantile(np.repeat(values, row[picture].astype(int)), share) for row in weights]
        assert table.values(name, weights) == pytest.approx(wanted)
    alone = np.zeros((2, 7))
    alone[:, 6] = 3  # a picture without any value, as a frame that shows nothing
    alone[1, picture[0]] = 1
    without, with_one = table.values("median_error_px", alone)
    assert np.isnan(without)
    assert np.isfinite(with_one)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("pooled_values", np.array([1.0])),
        ("pooled_values", np.array([1.0, np.nan])),
        ("pooled_picture", np.array([0, 2])),
        ("pooled_picture", np.array([0, -1])),
        ("pooled_shares", np.array([1.5])),
        ("pooled_shares", np.array([0.5, 0.5])),
    ],
)
def test_pooled_values_that_do_not_fit_are_refused(key: str, value: np.ndarray) -> None:
    pooled = Pooled(values=np.ones(2), picture=np.arange(2), shares={"median_iou": 0.5})
    table = PictureTable(image_ids=("a", "b"), units=np.arange(2), sums={}, pooled=pooled)
    with pytest.raises(UserError, match="do not fit 2 pictures"):
        PictureTable.from_arrays({**table.to_arrays(), key: value})


def test_an_unknown_metric_is_named_with_its_neighbour() -> None:
    table = PictureTable(image_ids=("a",), units=np.zeros(1), sums={"accuracy": (np.ones((1, 2)), "ratio")})
    with pytest.raises(UserError, match="Did you mean 'accuracy'"):
        table.values("acuracy", np.ones((1, 1)))


@pytest.mark.parametrize("key", ["image_ids", "units", "sums", "kinds"])
def test_arrays_that_do_not_fit_are_refused(key: str) -> None:
    table = PictureTable(image_ids=("a", "b"), units=np.arange(2), sums={"accuracy": (np.ones((2, 2)), "ratio")})
    arrays = table.to_arrays()
    with pytest.raises(UserError, match=key):
        PictureTable.from_arrays({name: array for name, array in arrays.items() if name != key})
    with pytest.raises(UserError, match="do not fit"):
        PictureTable.from_arrays({**arrays, key: arrays[key][:0]})
