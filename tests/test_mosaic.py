"""Mosaic: boxes still bound their pixels after four maps on one canvas; what is cut away goes; what is not, stays."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from sightline.config import AugmentConfig, DataConfig
from sightline.geometry import Affine
from sightline.images import read_image
from sightline.mosaic import draw_parts, mosaic_sample
from sightline.records import NO_POINTS, Objects, Record
from sightline.transforms import Framing
from sightline.types import Sample

SIZES = ((120, 160), (200, 90), (64, 64), (150, 300))
COLOURS = ((255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0))
RANDOM = AugmentConfig(flip=0.5, scale_min=0.6, scale_max=1.6)

Part = tuple[Record, np.ndarray]


def framing(**data: object) -> Framing:
    settings = {"input_hw": (96, 128), "crop": "image", "keep_aspect": False} | data
    return Framing(data=DataConfig.model_validate(settings), skeleton=NO_POINTS)


def part(number: int, *, box: tuple[float, float, float, float] | None = None, crowd: bool = False) -> Part:
    """A dark picture with one bright rectangle of the part's colour, which is also its label."""
    height, width = SIZES[number]
    edges = box or (width // 4, height // 3, width * 3 // 4, height * 2 // 3)
    x0, y0, x1, y1 = (round(edge) for edge in edges)
    image = np.zeros((height, width, 3), dtype=np.uint8)
    image[y0:y1, x0:x1] = COLOURS[number]
    objects = Objects(
        boxes_xyxy=np.array([[x0, y0, x1, y1]], dtype=np.float64),
        labels=np.array([number]),
        crowd=np.array([crowd]),
        areas=np.array([float((x1 - x0) * (y1 - y0))]),
    )
    return Record(image_id=str(number), path=Path(str(number)), objects=objects, size_hw=(height, width)), image


def drawn(parts: list[Part], *, seed: int, augment: AugmentConfig = RANDOM, **data: object) -> Sample:
    return mosaic_sample(parts, framing=framing(**data), augment=augment, rng=np.random.default_rng(seed), index=7)


def bright(image: np.ndarray, number: int) -> np.ndarray:
    """Pixels of a part's colour, each more than half of it."""
    return ((image > 127) == (np.array(COLOURS[number]) > 127)).all(axis=2)


@pytest.mark.parametrize("keep_aspect", [False, True])
@pytest.mark.parametrize("seed", range(25))
def test_each_box_bounds_the_pixels_of_its_rectangle(seed, keep_aspect):
    parts = [part(number) for number in range(4)]
    sample = drawn(parts, seed=seed, keep_aspect=keep_aspect)
    assert sample.image.shape == (96, 128, 3)
    for box, label in zip(sample.boxes_xyxy, sample.labels, strict=True):
        rows, columns = np.nonzero(bright(sample.image, int(label)))
        seen = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
        np.testing.assert_allclose(seen, box, atol=1.5)


@pytest.mark.parametrize("seed", range(25))
def test_only_rectangles_of_which_too_little_is_seen_lose_their_box(seed):
    parts = [part(number) for number in range(4)]
    kept = set(drawn(parts, seed=seed).labels.tolist())
    every = drawn(parts, seed=seed, min_seen=0.0, min_side_px=0.0)
    strict = drawn(parts, seed=seed, min_seen=0.999)
    assert set(strict.labels.tolist()) <= kept <= set(every.labels.tolist())
    for number in set(range(4)) - set(every.labels.tolist()):
        assert np.count_nonzero(bright(every.image, number)) == 0, "a rectangle in sight has no box"
    for box, label in zip(strict.boxes_xyxy, strict.labels, strict=True):
        # Whole boxes have the aspect of their picture's rectangle after the picture's own stretch.
        height, width = SIZES[label]
        source = part(int(label))[0].objects
        assert source is not None
        x0, y0, x1, y1 = source.boxes_xyxy[0]
        wanted = ((x1 - x0) / width * 128) / ((y1 - y0) / height * 96)
        assert (box[2] - box[0]) / (box[3] - box[1]) == pytest.approx(wanted, rel=0.03)


def test_boxes_stay_inside_the_part_that_their_picture_has():
    for seed in range(20):
        rng = np.random.default_rng(seed)
        corners = draw_parts(rng, (96, 128))
        sample = drawn([part(number) for number in range(4)], seed=seed)
        for box, label in zip(sample.boxes_xyxy, sample.labels, strict=True):
            x0, y0, x1, y1 = corners[label]
            assert x0 <= box[0] < box[2] <= x1
            assert y0 <= box[1] < box[3] <= y1


@pytest.mark.parametrize("input_hw", [(96, 128), (33, 47), (4, 4)])
def test_the_parts_cover_the_canvas_once(input_hw):
    for seed in range(20):
        count = np.zeros(input_hw, dtype=int)
        for x0, y0, x1, y1 in draw_parts(np.random.default_rng(seed), input_hw):
            assert x1 > x0
            assert y1 > y0
            count[y0:y1, x0:x1] += 1
        assert (count == 1).all()


def test_pictures_fill_their_parts():
    parts = [(record, np.full_like(image, 200)) for record, image in (part(number) for number in range(4))]
    for seed in range(20):
        sample = drawn(parts, seed=seed)
        # Half a pixel at a border may be mixed with the outside.
        assert (sample.image > 90).all(axis=2).mean() > 0.999


def test_the_map_is_that_of_the_first_picture():
    parts = [part(number) for number in range(4)]
    mirrored = 0
    for seed in range(20):
        sample = drawn(parts, seed=seed, min_seen=0.999)
        first = np.flatnonzero(sample.labels == 0)
        objects = parts[0][0].objects
        assert objects is not None
        if len(first):
            moved = Affine(sample.to_input).boxes(objects.boxes_xyxy)
            np.testing.assert_allclose(moved[0], sample.boxes_xyxy[first[0]], atol=1e-3)
        mirrored += Affine(sample.to_input).is_mirrored
        assert sample.index == 7
    assert 3 < mirrored < 17


def test_the_same_generator_makes_the_same_sample_and_another_another():
    parts = [part(number) for number in range(4)]
    first, again, other = (drawn(parts, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.image, again.image)
    np.testing.assert_array_equal(first.boxes_xyxy, again.boxes_xyxy)
    assert not np.array_equal(first.image, other.image)


def test_pictures_without_objects_give_a_sample_without_boxes_of_the_right_types():
    none = Objects.of(np.zeros((0, 4)), np.zeros(0, dtype=np.int64))
    empty = [(Record(image_id="e", path=Path("e"), objects=none, size_hw=SIZES[n]), part(n)[1]) for n in range(4)]
    sample = drawn(empty, seed=0)
    assert sample.boxes_xyxy.shape == (0, 4)
    assert (sample.boxes_xyxy.dtype, sample.labels.dtype, sample.crowd.dtype) == (np.float32, np.int64, np.bool_)
    assert sample.points_xy.shape == (0, 2)
    assert sample.visible.shape == (0,)
    full = drawn([part(0), *empty[1:]], seed=0, min_seen=0.0, min_side_px=0.0)
    assert full.labels.tolist() == [0], "an empty neighbour takes nothing away"


def test_crowds_stay_crowds_however_little_of_them_is_seen():
    parts = [part(0, crowd=True), part(1), part(2), part(3)]
    for seed in range(15):
        sample = drawn(parts, seed=seed, min_seen=1.0)
        if bright(sample.image, 0).any():
            assert sample.crowd[sample.labels == 0].tolist() == [True]
        assert not sample.crowd[sample.labels != 0].any()


def test_colours_change_once_over_the_whole_canvas():
    parts = [(record, np.full_like(image, 100)) for record, image in (part(number) for number in range(4))]
    augment = AugmentConfig(brightness=0.5)
    sample = drawn(parts, seed=3, augment=augment)
    levels = sample.image[8:-8:8, 8:-8:8].reshape(-1, 3)
    assert np.ptp(np.median(levels.astype(int), axis=0)) <= 1
    assert abs(int(np.median(levels)) - 100) > 3


def test_a_shrunk_decode_gives_the_same_boxes_and_nearly_the_same_pixels(tmp_path: Path):
    parts = [part(number) for number in range(4)]
    large = np.kron(parts[0][1], np.ones((8, 8, 1), dtype=np.uint8))
    path = tmp_path / "large.jpg"
    cv2.imwrite(str(path), large[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])
    record = Record(
        image_id="l", path=path, size_hw=(large.shape[0], large.shape[1]),
        objects=Objects.of(np.array([[40 * 8, 40 * 8, 120 * 8, 80 * 8]]), np.array([0])),
    )  # fmt: skip
    whole = read_image(path, channels=3)
    small = read_image(path, channels=3, shrink_to=(200, 300))
    assert small.shape[0] < whole.shape[0]
    for seed in range(5):
        first, second = (drawn([(record, image), *parts[1:]], seed=seed) for image in (whole, small))
        np.testing.assert_array_equal(first.boxes_xyxy, second.boxes_xyxy)
        assert np.abs(first.image.astype(int) - second.image).mean() < 2


def test_four_pictures_are_needed():
    with pytest.raises(AssertionError, match="mosaic of 4"):
        drawn([part(0)], seed=0)
