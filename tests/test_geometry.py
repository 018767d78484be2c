"""The pixel convention holds, and maps of points and pixels are one."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sightline.geometry import (
    Affine,
    about,
    apply_affines,
    box_around,
    cell_centres,
    continuous_to_index,
    crop_to,
    enlarge,
    fit_aspect,
    index_to_continuous,
    inside,
    iou,
    mirror,
    rotation,
    scaling,
    shift_box,
    translation,
)

coordinate = st.floats(-500, 500)
size = st.floats(1, 400)


@st.composite
def affines(draw: st.DrawFn) -> Affine:
    """Turned, sheared, stretched, perhaps mirrored, never flat."""
    shear = np.array([[1.0, draw(st.floats(-0.8, 0.8))], [0.0, 1.0]])
    stretch = np.diag([draw(st.floats(0.2, 5)), draw(st.floats(0.2, 5))])
    linear = rotation(draw(st.floats(-180, 180))) @ shear @ stretch
    map_ = about((draw(coordinate), draw(coordinate)), linear)
    return mirror(draw(size)) @ map_ if draw(st.booleans()) else map_


@st.composite
def boxes(draw: st.DrawFn) -> tuple[float, float, float, float]:
    x, y = draw(coordinate), draw(coordinate)
    return x, y, x + draw(size), y + draw(size)


points = st.lists(st.tuples(coordinate, coordinate), min_size=1, max_size=8).map(lambda p: np.array(p, dtype=float))


@given(affines(), points)
def test_the_inverse_brings_points_back(affine: Affine, xy: np.ndarray) -> None:
    np.testing.assert_allclose(affine.inverse().points(affine.points(xy)), xy, atol=1e-6)


@given(affines(), affines(), points)
def test_b_after_a_is_b_at_a(a: Affine, b: Affine, xy: np.ndarray) -> None:
    np.testing.assert_allclose((b @ a).points(xy), b.points(a.points(xy)), rtol=1e-9, atol=1e-6)
    assert (b @ a).scale == pytest.approx(a.scale * b.scale, rel=1e-6)
    assert (b @ a).is_mirrored == (a.is_mirrored != b.is_mirrored)


def test_a_flat_map_has_no_inverse() -> None:
    with pytest.raises(np.linalg.LinAlgError):
        scaling(0, 1).inverse()


@given(affines(), boxes())
def test_the_box_of_a_mapped_box_holds_every_mapped_point(affine: Affine, box: tuple) -> None:
    x0, y0, x1, y1 = affine.box(box)
    u, v = np.meshgrid(np.linspace(box[0], box[2], 5), np.linspace(box[1], box[3], 5))
    mapped = affine.points(np.stack([u, v], axis=-1))
    assert (mapped >= np.array([x0, y0]) - 1e-6).all() and (mapped <= np.array([x1, y1]) + 1e-6).all()


@given(boxes(), st.integers(1, 300), st.integers(1, 300))
def test_a_crop_maps_the_box_onto_the_whole_input(box: tuple, height: int, width: int) -> None:
    assert crop_to(box, (height, width)).box(box) == pytest.approx((0, 0, width, height), abs=1e-5)


@given(boxes(), st.integers(8, 300), st.integers(8, 300))
def test_fitting_the_aspect_grows_one_side_about_the_centre(box: tuple, height: int, width: int) -> None:
    x0, y0, x1, y1 = fit_aspect(box, (height, width))
    assert (x1 - x0) / (y1 - y0) == pytest.approx(width / height, rel=1e-6)
    assert x0 <= box[0] + 1e-6 and y0 <= box[1] + 1e-6 and x1 >= box[2] - 1e-6 and y1 >= box[3] - 1e-6
    assert (x0 + x1, y0 + y1) == pytest.approx((box[0] + box[2], box[1] + box[3]), abs=1e-6)
    grown = math.isclose(x1 - x0, box[2] - box[0], rel_tol=1e-6) or math.isclose(y1 - y0, box[3] - box[1], rel_tol=1e-6)
    assert grown


@given(affines(), points)
def test_tensors_go_the_same_way_as_arrays(affine: Affine, xy: np.ndarray) -> None:
    mapped = apply_affines(torch.from_numpy(affine.matrix)[None], torch.from_numpy(xy)[None])[0]
    np.testing.assert_allclose(mapped.numpy(), affine.points(xy), rtol=1e-9, atol=1e-6)


def test_the_centre_of_the_first_pixel_is_at_a_half() -> None:
    assert index_to_continuous(np.array([0.0, 3.0])).tolist() == [0.5, 3.5]
    assert continuous_to_index(np.array([0.5, 3.5])).tolist() == [0.0, 3.0]
    assert cell_centres(3, 4).tolist() == [2.0, 6.0, 10.0]


def test_the_right_and_bottom_edge_lie_outside() -> None:
    xy = np.array([[0, 0], [9.99, 4.99], [10, 2], [2, 5], [-0.01, 2], [2, -0.01]])
    assert inside(xy, (5, 10)).tolist() == [True, True, False, False, False, False]


def test_positive_rotation_turns_x_towards_y() -> None:
    np.testing.assert_allclose(rotation(90) @ [1.0, 0.0], [0.0, 1.0], atol=1e-12)


def test_a_mirror_image_keeps_the_picture_in_its_place() -> None:
    assert mirror(10).box((0, 0, 10, 4)) == (0, 0, 10, 4)
    assert mirror(10).points(np.array([[2.5, 1.0]])).tolist() == [[7.5, 1.0]]
    assert mirror(10).is_mirrored


def test_boxes_grow_move_and_overlap() -> None:
    assert enlarge((0, 0, 10, 20), 1.2) == pytest.approx((-1, -2, 11, 22))
    assert shift_box((0, 0, 10, 20), 0.1, -0.1) == pytest.approx((1, -2, 11, 18))
    assert box_around(np.array([[1, 5], [3, 2], [2, 9]])) == (1, 2, 3, 9)
    assert iou((0, 0, 2, 2), (1, 0, 3, 2)) == pytest.approx(1 / 3)
    assert iou((0, 0, 1, 1), (2, 2, 3, 3)) == 0
    assert iou((0, 0, 0, 0), (0, 0, 0, 0)) == 0


def blob(size_hw: tuple[int, int], xy: tuple[float, float], *, sigma: float = 2.0) -> np.ndarray:
    """A smooth dot whose centre of mass is at continuous `xy`."""
    height, width = size_hw
    x, y = cell_centres(width, 1), cell_centres(height, 1)
    values = np.exp(-((x - xy[0]) ** 2) / (2 * sigma**2))[None] * np.exp(-((y - xy[1]) ** 2) / (2 * sigma**2))[:, None]
    return (values * 255).astype(np.float32)


def centroid(image: np.ndarray) -> np.ndarray:
    """Centre of mass in continuous pixels."""
    height, width = image.shape[:2]
    weights = image.reshape(height, width).astype(np.float64)
    x, y = cell_centres(width, 1), cell_centres(height, 1)
    return np.array([(weights.sum(0) * x).sum(), (weights.sum(1) * y).sum()]) / weights.sum()


@pytest.mark.parametrize(
    "affine",
    [
        Affine.identity(),
        translation(3.3, -1.7),
        scaling(2, 2),
        scaling(0.5, 0.5),
        mirror(64),
        about((32, 32), rotation(33)),
        about((30, 35), np.array([[1.0, 0.3], [0.0, 1.0]])),
        crop_to((10.2, 12.4, 44.9, 50.1), (64, 64)),
        mirror(64) @ about((32, 32), rotation(-20) * 1.3),
    ],
    ids=["nothing", "shift", "double", "half", "mirror", "rotation", "shear", "crop", "all"],
)
def test_opencv_moves_pixels_where_the_map_moves_points(affine: Affine) -> None:
    dot = (29.3, 27.8)
    moved = cv2.warpAffine(blob((64, 64), dot), affine.as_pixel_index(), (128, 128), flags=cv2.INTER_LINEAR)
    # OpenCV rounds positions to 1/32 pixel.
    np.testing.assert_allclose(centroid(moved), affine.points(np.array(dot)), atol=0.05)


def test_resizing_by_opencv_is_the_same_convention() -> None:
    dot = (29.3, 27.8)
    resized = cv2.resize(blob((64, 64), dot), (96, 48), interpolation=cv2.INTER_LINEAR)
    np.testing.assert_allclose(centroid(resized), scaling(96 / 64, 48 / 64).points(np.array(dot)), atol=0.02)


def test_interpolation_by_torch_is_the_same_convention() -> None:
    dot = (29.3, 27.8)
    image = torch.from_numpy(blob((64, 64), dot))[None, None]
    resized = torch.nn.functional.interpolate(image, size=(128, 128), mode="bilinear", align_corners=False)
    np.testing.assert_allclose(centroid(resized[0, 0].numpy()), np.array(dot) * 2, atol=0.02)
