"""Plain shapes: boxes that bound what was drawn, variety, refusals, files that read back."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from sightline.drawn.canvas import Canvas
from sightline.drawn.plain_shapes import SHAPES, draw_shapes, shape_outline, write_drawn_shapes
from sightline.errors import UserError
from sightline.geometry import box_around


def test_the_same_seed_and_index_draw_the_same_picture_and_others_another():
    first, again = draw_shapes(1, 2), draw_shapes(1, 2)
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a, b)
    assert not np.array_equal(first[0], draw_shapes(1, 3)[0])
    assert not np.array_equal(first[0], draw_shapes(2, 2)[0])


@pytest.mark.parametrize("name", SHAPES)
def test_an_outline_has_the_extent_of_its_pixels(name):
    for seed in range(10):
        outline = shape_outline(np.random.default_rng(seed), name) * 20 + 32
        rows, columns = np.nonzero(Canvas((64, 64), fine=4).mask(outline) > 127)
        drawn = np.array([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]) / 4
        np.testing.assert_allclose(drawn, box_around(outline), atol=0.8)


@pytest.mark.parametrize("index", range(25))
def test_the_box_of_a_lone_object_bounds_the_pixels_of_its_colour(index):
    picture, boxes, _ = draw_shapes(4, index, size_hw=(96, 128), classes=("circle", "square"), objects=1)
    (box,) = boxes
    x, y = ((box[:2] + box[2:]) / 2).astype(int)
    smooth = cv2.medianBlur(picture, 5)
    close = np.abs(smooth.astype(int) - smooth[y, x]).max(axis=-1) < 24
    _, parts = cv2.connectedComponents(close.astype(np.uint8), connectivity=4)
    rows, columns = np.nonzero(parts == parts[y, x])
    seen = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
    # A turned square's corners are rounded off by the median, a crossing line of a like colour may hang on.
    np.testing.assert_allclose(seen, box, atol=3.5)


@pytest.mark.parametrize("size_hw", [(64, 64), (48, 80), (128, 96)])
def test_boxes_lie_inside_and_hardly_overlap(size_hw):
    for index in range(20):
        picture, boxes, labels = draw_shapes(0, index, size_hw=size_hw, classes=SHAPES)
        assert picture.shape == (*size_hw, 3)
        assert 1 <= len(boxes) == len(labels) <= 6
        assert (boxes[:, :2] >= -1e-9).all()
        assert (boxes[:, 2:] <= np.array(size_hw[::-1]) + 1e-9).all()
        assert ((boxes[:, 2:] - boxes[:, :2]).max(axis=1) >= 6 - 1e-9).all()


def test_all_classes_and_counts_occur():
    drawn = [draw_shapes(0, index, size_hw=(64, 64), classes=SHAPES) for index in range(80)]
    assert {int(label) for _, _, labels in drawn for label in labels} == set(range(len(SHAPES)))
    assert {len(labels) for _, _, labels in drawn} >= {1, 2, 3, 4, 5}


@pytest.mark.parametrize("objects", [0, 1, 3])
def test_the_number_of_objects_can_be_asked_for(objects):
    for index in range(10):
        picture, boxes, labels = draw_shapes(0, index, size_hw=(64, 64), objects=objects)
        assert len(boxes) == len(labels) == objects
        assert picture.std() > 0


def test_written_shapes_are_valid_coco(tmp_path: Path):
    coco = pytest.importorskip("pycocotools.coco")
    classes = ("star", "bar")
    folder = write_drawn_shapes(tmp_path, count=3, seed=2, val_count=1, size_hw=(48, 64), classes=classes, objects=1)
    train = coco.COCO(str(folder / "annotations/instances_train.json"))
    assert [c["name"] for c in train.loadCats(train.getCatIds())] == list(classes)
    for place, image_id in enumerate(sorted(train.getImgIds())):
        (annotation,) = train.loadAnns(train.getAnnIds(imgIds=image_id))
        _, boxes, labels = draw_shapes(2, place, size_hw=(48, 64), classes=classes, objects=1)
        x, y, w, h = annotation["bbox"]
        np.testing.assert_allclose([x, y, x + w, y + h], boxes[0], atol=2e-3)
        assert annotation["category_id"] == labels[0] + 1
    assert len(list((folder / "train").glob("*.png"))) == 3
    assert len(list((folder / "val").glob("*.png"))) == 1


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"classes": ("circle", "sqare")}, "Did you mean 'square'"),
        ({"classes": ()}, "No shape"),
        ({"size_hw": (20, 64)}, "24 a side"),
        ({"objects": -1}, "0 or more"),
        ({"index": -1}, "count from 0"),
    ],
)
def test_what_cannot_be_drawn_is_refused(change, told):
    wanted = {"seed": 0, "index": 0, **change}
    with pytest.raises(UserError, match=told):
        draw_shapes(**wanted)
