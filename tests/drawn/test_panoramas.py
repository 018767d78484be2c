"""Panoramas: exact geometry, exact boxes, the statistics of the data they stand for, files that read back."""

from __future__ import annotations

import json
import math
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest

from sightline.drawn.panorama_objects import CLASSES, make_object
from sightline.drawn.panorama_rays import FOV_RAD, Layer, Pose, Sensor, Solid, cast
from sightline.drawn.panoramas import Scene, build_scene, draw_panorama, write_drawn_panoramas
from sightline.errors import UserError

SUN = np.array([0.0, 0.0, 1.0])
SENSOR = Sensor(size_hw=(128, 1024), height_m=2.0, heading=0.0)
BOXES_IN_TEXT = np.array([9563, 123, 445, 0, 1043, 615, 4910, 1588]) / 1616
MEAN_IN_TEXT = np.array([0.4765, 0.4774, 0.2259])
STD_IN_TEXT = np.array([0.2951, 0.2864, 0.2878])

Drawn = tuple[np.ndarray, np.ndarray, np.ndarray]


@pytest.fixture(scope="module")
def many() -> list[Drawn]:
    """Enough pictures to count in."""
    return [draw_panorama(5, index) for index in range(80)]


@pytest.fixture(scope="module")
def scenes() -> list[Scene]:
    """Scenes before noise, with the owner of each pixel."""
    return [build_scene(np.random.default_rng([9, index]), size_hw=(128, 1024)) for index in range(25)]


def one(is_ball: bool, half: tuple[float, float, float], centre: tuple[float, float, float]) -> Solid:
    return Solid(
        is_ball=np.array([is_ball]),
        from_unit=np.diag(half)[None],
        centres=np.array([centre]),
        skins=np.array([[0.5, 0.5, 0.0]]),
    )


def extent(layer: Layer) -> tuple[int, int, int, int]:
    rows, columns = np.nonzero(layer.mask)
    left, top = layer.columns.start, layer.rows.start
    return left + columns.min(), top + rows.min(), left + columns.max() + 1, top + rows.max() + 1


@pytest.mark.parametrize("azimuth", [0.0, 1.0, -2.5])
@pytest.mark.parametrize(("distance", "radius"), [(8.0, 1.0), (20.0, 0.8), (5.0, 0.4)])
def test_a_ball_covers_the_angle_that_geometry_tells(azimuth, distance, radius):
    ball = one(True, (radius,) * 3, (0.0, 0.0, 2.0))  # at the height of the sensor
    pose = Pose(x=distance * math.cos(azimuth), y=distance * math.sin(azimuth), yaw=0.7)
    (layer,) = cast(ball, pose, sensor=SENSOR, label=0, sun=SUN)
    x0, y0, x1, y1 = extent(layer)
    across = 2 * math.asin(radius / distance)
    assert x1 - x0 == pytest.approx(across * 1024 / (2 * math.pi), abs=1.01)
    assert y1 - y0 == pytest.approx(across * 128 / FOV_RAD, abs=1.01)
    assert (x0 + x1) / 2 == pytest.approx((azimuth + math.pi) * 1024 / (2 * math.pi), abs=1)
    assert (y0 + y1) / 2 == pytest.approx(64, abs=1)
    assert layer.range_m[layer.mask].min() == pytest.approx(distance - radius, abs=0.01)
    assert layer.range_m[layer.mask].max() < distance


def test_a_turned_box_shows_its_nearest_edge_at_the_right_range():
    box = one(False, (1.0, 1.0, 1.0), (0.0, 0.0, 2.0))
    (layer,) = cast(box, Pose(x=10.0, y=0.0, yaw=math.pi / 4), sensor=SENSOR, label=0, sun=SUN)
    x0, _, x1, _ = extent(layer)
    assert x1 - x0 == pytest.approx(2 * math.atan(math.sqrt(2) / 10) * 1024 / (2 * math.pi), abs=1.01)
    assert layer.range_m[layer.mask].min() == pytest.approx(10 - math.sqrt(2), abs=0.05)
    assert layer.facing[layer.mask].mean() == pytest.approx(math.cos(math.pi / 4), abs=0.1)


def test_what_stands_on_the_ground_ends_where_the_ground_is_seen_at_its_foot():
    box = one(False, (0.5, 0.5, 1.0), (0.0, 0.0, 1.0))
    (layer,) = cast(box, Pose(x=10.5, y=0.0, yaw=0.0), sensor=SENSOR, label=0, sun=SUN)
    foot = SENSOR.rows(np.array([-2.0 / 10.0]))[0]
    assert extent(layer)[3] == pytest.approx(foot, abs=1)


@pytest.mark.parametrize("label", range(len(CLASSES)))
def test_an_object_across_the_seam_is_cut_into_two_layers_that_fit_together(label):
    solid = make_object(np.random.default_rng(label), label=label, thin_m=0.03)
    behind = cast(solid, Pose(x=-9.0, y=0.0, yaw=0.4), sensor=SENSOR, label=label, sun=SUN)
    turned = Sensor(size_hw=(128, 1024), height_m=2.0, heading=math.pi / 2)  # now a quarter away from the seam
    (whole,) = cast(solid, Pose(x=-9.0, y=0.0, yaw=0.4), sensor=turned, label=label, sun=SUN)
    assert len(behind) == 2
    assert sorted((layer.columns.start, layer.columns.stop) for layer in behind)[0][0] == 0
    assert max(layer.columns.stop for layer in behind) == 1024
    pieces = sorted(behind, key=lambda layer: -layer.columns.start)
    joined = np.concatenate([layer.mask for layer in pieces], axis=1)
    assert np.count_nonzero(joined != whole.mask) <= 2, "rays through an edge may fall to either side"


@pytest.mark.parametrize("label", range(len(CLASSES)))
def test_each_class_has_the_size_it_has_in_the_street(label):
    # length, width and height in metres: least and greatest
    sizes = {
        "car": ((3.6, 1.6, 1.3), (5.6, 2.1, 2.3)), "truck": ((6.4, 2.1, 1.9), (10.8, 2.8, 4.2)),
        "bus": ((10.4, 2.4, 2.8), (18.3, 2.8, 3.5)), "motorcycle": ((1.9, 0.7, 1.0), (2.3, 1.0, 1.5)),
        "bicycle": ((1.6, 0.5, 0.9), (1.9, 0.8, 1.2)), "scooter": ((0.9, 0.4, 1.0), (1.4, 0.7, 1.4)),
        "person": ((0.2, 0.4, 1.0), (1.3, 1.1, 2.2)), "rider": ((0.9, 0.4, 1.5), (2.4, 1.1, 2.4)),
    }[CLASSES[label]]  # fmt: skip
    for seed in range(40):
        solid = make_object(np.random.default_rng(seed), label=label, thin_m=0.0)
        low, high = solid.extent
        assert (high - low >= sizes[0]).all(), (seed, high - low)
        assert (high - low <= sizes[1]).all(), (seed, high - low)
        assert abs(low[2]) < 0.4, "stands on the ground"


def test_the_same_seed_and_index_draw_the_same_picture_and_others_another():
    first, again = draw_panorama(3, 4), draw_panorama(3, 4)
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a, b)
    for other in (draw_panorama(3, 5), draw_panorama(4, 4)):
        assert not np.array_equal(first[0], other[0])


@pytest.mark.parametrize("size_hw", [(128, 1024), (64, 512), (48, 300)])
def test_pictures_and_boxes_have_the_promised_shapes(size_hw):
    for index in range(4):
        picture, boxes, labels = draw_panorama(0, index, size_hw=size_hw)
        assert picture.shape == (*size_hw, 3)
        assert picture.dtype == np.uint8
        assert boxes.shape == (len(labels), 4)
        assert (boxes.dtype, labels.dtype) == (np.float64, np.int64)
        assert (boxes[:, :2] >= 0).all()
        assert (boxes[:, 2:] <= size_hw[::-1]).all()


def test_each_box_bounds_exactly_the_pixels_of_its_object(scenes):
    checked = 0
    for scene in scenes:
        assert set(np.unique(scene.owner)) - {-1} == set(range(len(scene.labels)))
        for position, box in enumerate(scene.boxes_xyxy):
            rows, columns = np.nonzero(scene.owner == position)
            assert box.tolist() == [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
            assert len(rows) >= 12, "too few pixels to tell what it is"
            checked += 1
    assert checked > 100


def test_what_is_labelled_is_what_stands_in_front(scenes):
    """The pixels of an object are nearer than the scene behind would be: their range jumps at its left edge."""
    jumps = []
    for scene in scenes:
        finite = np.where(np.isfinite(scene.echo.range_m), scene.echo.range_m, 200.0)
        for position in range(len(scene.labels)):
            rows, columns = np.nonzero(scene.owner == position)
            edge = (columns == columns.min()) & (columns > 0)
            outside = scene.owner[rows[edge], columns[edge] - 1] == -1
            near = finite[rows[edge], columns[edge]][outside]
            jumps += (finite[rows[edge], columns[edge] - 1][outside] - near).tolist()
    # Ground, kerb-side posts and the like may be nearer or as near.
    assert np.mean(np.array(jumps) > 0.1) > 0.85


def test_depth_grows_with_range(scenes):
    picture, _, _ = draw_panorama(9, 0)  # the picture of the first scene
    range_m, depth = scenes[0].echo.range_m, picture[..., 0].astype(int)
    seen = depth > 0
    assert np.isfinite(range_m[seen]).all(), "no echo from the sky"
    near, middle, far = (depth[seen & (range_m > a) & (range_m < b)].mean() for a, b in pairwise((3, 8, 16, 60)))
    assert near < middle < far


def test_a_lost_echo_takes_the_intensity_with_it_but_not_the_daylight(many):
    lost = np.concatenate([picture[picture[..., 0] == 0] for picture, _, _ in many[:20]])
    assert len(lost) > 1000
    assert (lost[:, 2] == 0).all()
    assert (lost[:, 1] > 0).mean() > 0.98


def test_classes_come_as_often_as_in_the_text(many):
    labels = np.concatenate([labels for _, _, labels in many])
    counts = np.bincount(labels, minlength=len(CLASSES)) / len(many)
    assert counts[0] == pytest.approx(BOXES_IN_TEXT[0], rel=0.25)
    assert counts[6] == pytest.approx(BOXES_IN_TEXT[6], rel=0.35)
    assert counts.sum() == pytest.approx(BOXES_IN_TEXT.sum(), rel=0.2)
    for label in (2, 4, 5, 7):
        assert BOXES_IN_TEXT[label] / 2 < counts[label] < BOXES_IN_TEXT[label] * 2, CLASSES[label]
    assert counts[1] < 0.2
    assert counts[3] < 0.15
    assert counts[0] > counts[6] > counts[7] > counts[5], "cars, then people, then riders"


def test_sizes_are_those_of_the_text(many):
    areas = {
        name: np.concatenate([np.prod(b[lab == k][:, 2:] - b[lab == k][:, :2], axis=1) for _, b, lab in many])
        for k, name in enumerate(CLASSES)
    }
    assert areas["person"].mean() < 330, "people are on average about as small as the smallest anchor"
    assert areas["bus"].mean() > 3 * areas["car"].mean() / 2
    shapes = {
        name: np.concatenate([(b[lab == k][:, 3] - b[lab == k][:, 1]) / (b[lab == k][:, 2] - b[lab == k][:, 0])
                              for _, b, lab in many])
        for k, name in enumerate(CLASSES)
    }  # fmt: skip
    assert np.median(shapes["person"]) > 2, "tall and narrow"
    assert np.median(shapes["car"]) < 1, "long and low"


def test_channels_have_the_mean_and_deviation_of_the_text(many):
    pixels = np.stack([picture for picture, _, _ in many]).reshape(-1, 3) / np.float32(255)
    np.testing.assert_allclose(pixels.mean(axis=0), MEAN_IN_TEXT, atol=0.03)
    np.testing.assert_allclose(pixels.std(axis=0), STD_IN_TEXT, atol=0.035)


def test_objects_cannot_be_told_from_the_ground_by_one_grey_level(many):
    """Not trivial: in each channel the levels inside and outside of boxes overlap widely."""
    for channel in range(3):
        inside, outside = np.zeros(256), np.zeros(256)
        for picture, boxes, _ in many[:40]:
            mask = np.zeros(picture.shape[:2], dtype=bool)
            for x0, y0, x1, y1 in boxes.astype(int):
                mask[y0:y1, x0:x1] = True
            inside += np.bincount(picture[..., channel][mask], minlength=256)
            outside += np.bincount(picture[..., channel][~mask], minlength=256)
        overlap = np.minimum(inside / inside.sum(), outside / outside.sum()).sum()
        assert overlap > 0.5, channel


def test_written_panoramas_are_valid_coco_and_hold_what_was_drawn(tmp_path: Path):
    coco = pytest.importorskip("pycocotools.coco")
    folder = write_drawn_panoramas(tmp_path / "streets", count=3, seed=8, val_count=2, size_hw=(64, 512))
    for part, first, count in (("train", 0, 3), ("val", 1_000_000, 2)):
        labels_of = coco.COCO(str(folder / "annotations" / f"instances_{part}.json"))
        assert [c["name"] for c in labels_of.loadCats(labels_of.getCatIds())] == list(CLASSES)
        assert len(labels_of.getImgIds()) == count
        for place, image_id in enumerate(sorted(labels_of.getImgIds())):
            entry = labels_of.loadImgs(image_id)[0]
            picture, boxes, labels = draw_panorama(8, first + place, size_hw=(64, 512))
            written = cv2.imread(str(folder / part / entry["file_name"]), cv2.IMREAD_COLOR)
            assert written is not None
            np.testing.assert_array_equal(written[..., ::-1], picture)
            assert (entry["height"], entry["width"]) == (64, 512)
            found = labels_of.loadAnns(labels_of.getAnnIds(imgIds=image_id))
            assert [a["category_id"] - 1 for a in found] == labels.tolist()
            for annotation, box in zip(found, boxes, strict=True):
                x, y, w, h = annotation["bbox"]
                assert [x, y, x + w, y + h] == pytest.approx(box.tolist())
                assert annotation["area"] == pytest.approx(w * h)
                assert annotation["iscrowd"] == 0


def test_validation_pictures_do_not_depend_on_how_many_train(tmp_path: Path):
    for name, count in (("a", 1), ("b", 2)):
        write_drawn_panoramas(tmp_path / name, count=count, seed=1, val_count=1, size_hw=(32, 256))
    first, second = (tmp_path / name / "val" / "000000.png" for name in "ab")
    assert first.read_bytes() == second.read_bytes()


def test_a_part_of_no_pictures_is_left_out(tmp_path: Path):
    folder = write_drawn_panoramas(tmp_path / "x", count=1, seed=1, val_count=0, size_hw=(32, 256))
    assert sorted(p.name for p in folder.rglob("*.json")) == ["instances_train.json"]
    assert json.loads((folder / "annotations/instances_train.json").read_text())["images"][0]["id"] == 1


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"count": 0, "val_count": 0}, "at least 1"),
        ({"count": -1}, "none below 0"),
        ({"seed": -1}, "count from 0"),
        ({"size_hw": (16, 1024)}, "32 x 256 is the least"),
        ({"size_hw": (128, 100)}, "32 x 256 is the least"),
    ],
)
def test_what_cannot_be_drawn_is_refused(tmp_path: Path, change, told):
    wanted = {"count": 1, "seed": 0, "val_count": 1, "size_hw": (32, 256), **change}
    with pytest.raises(UserError, match=told):
        write_drawn_panoramas(tmp_path / "x", **wanted)
