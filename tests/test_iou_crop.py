"""SSD's random crop: where it lies, what it keeps, how often which choice wins."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sightline.geometry import iou, pairwise_iou
from sightline.iou_crop import CHOICES, UNLIMITED, centre_inside, draw_iou_crop

sides = st.integers(8, 2000)


@st.composite
def pictures(draw: st.DrawFn) -> tuple[tuple[int, int], np.ndarray]:
    """A size, and boxes inside it."""
    height, width = draw(sides), draw(sides)
    shares = draw(st.lists(st.tuples(*[st.floats(0, 0.9)] * 2, *[st.floats(0.02, 1.0)] * 2), max_size=6))
    boxes = [(x * width, y * height, (x + (1 - x) * w) * width, (y + (1 - y) * h) * height) for x, y, w, h in shares]
    return (height, width), np.array(boxes, dtype=np.float64).reshape(-1, 4)


@settings(max_examples=150, deadline=None)
@given(picture=pictures(), seed=st.integers(0, 10_000), limit=st.sampled_from([0.0, 0.1, 0.3, 0.7, 0.9]))
def test_a_crop_lies_inside_keeps_the_aspect_and_meets_its_limit(picture, seed, limit):
    (height, width), boxes = picture
    crop = draw_iou_crop(np.random.default_rng(seed), boxes, (height, width), choices=(limit, None))
    if crop is None:
        return
    x0, y0, x1, y1 = crop
    assert x0 >= 0
    assert y0 >= 0
    assert x1 <= width
    assert y1 <= height
    share_x, share_y = (x1 - x0) / width, (y1 - y0) / height
    assert 0.3 - 1e-9 <= share_x <= 1
    assert 0.3 - 1e-9 <= share_y <= 1
    assert 0.5 - 1e-9 <= share_x / share_y <= 2 + 1e-9
    if len(boxes):
        kept = boxes[centre_inside(boxes, crop)]
        assert len(kept), "some object's centre stays"
        assert pairwise_iou(kept, np.array([crop])).max() >= limit


def test_a_large_object_can_meet_every_limit_and_a_small_one_only_the_lowest():
    large, small = np.array([[10.0, 10, 90, 90]]), np.array([[40.0, 40, 50, 50]])
    for limit in (0.1, 0.3, 0.7):
        crops = [draw_iou_crop(np.random.default_rng(s), large, (100, 100), choices=(limit, None)) for s in range(60)]
        assert sum(crop is not None for crop in crops) > 15, limit
        assert all(crop is None or iou(crop, (10, 10, 90, 90)) >= limit for crop in crops)
    crops = [draw_iou_crop(np.random.default_rng(s), small, (100, 100), choices=(0.3, None)) for s in range(60)]
    assert crops == [None] * 60, "100 of at least 900 square pixels"


def test_limits_that_cannot_be_met_leave_the_choice_to_the_others():
    small = np.array([[500.0, 50, 510, 70]])
    crops = [draw_iou_crop(np.random.default_rng(s), small, (128, 1024)) for s in range(400)]
    assert 0.4 < np.mean([crop is None for crop in crops]) < 0.6, "the whole picture or any crop, one as likely"
    crops = [draw_iou_crop(np.random.default_rng(s), small, (128, 1024), choices=UNLIMITED) for s in range(400)]
    assert 1 / 6 - 0.07 < np.mean([crop is None for crop in crops]) < 1 / 6 + 0.07


def test_without_objects_there_is_nothing_to_keep_and_crops_are_still_drawn():
    crops = [draw_iou_crop(np.random.default_rng(s), np.zeros((0, 4)), (64, 64)) for s in range(100)]
    assert 0.05 < np.mean([crop is None for crop in crops]) < 0.3
    assert CHOICES.count(None) == 1


def test_the_same_generator_draws_the_same_crop():
    boxes = np.array([[10.0, 10, 60, 60]])
    first, again = (draw_iou_crop(np.random.default_rng(5), boxes, (80, 90), choices=(0.0, None)) for _ in range(2))
    assert first == again
    crops = {draw_iou_crop(np.random.default_rng(s), boxes, (80, 90), choices=(0.0, None)) for s in range(20)}
    assert len(crops) > 5


def test_choices_without_the_whole_picture_are_refused():
    with pytest.raises(AssertionError, match="never end"):
        draw_iou_crop(np.random.default_rng(0), np.zeros((0, 4)), (10, 10), choices=(0.5,))


def test_a_centre_on_the_border_is_outside():
    boxes = np.array([[0.0, 0, 10, 10], [5, 5, 15, 15], [4, 4, 15, 15], [0, 5, 21, 15]])
    assert centre_inside(boxes, (5.0, 5.0, 15.0, 15.0)).tolist() == [False, True, True, True]
    assert centre_inside(boxes, (10.0, 10.0, 20.0, 20.0)).tolist() == [False, False, False, False]
    assert centre_inside(np.zeros((0, 4)), (0.0, 0.0, 1.0, 1.0)).shape == (0,)
