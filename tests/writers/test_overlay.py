from __future__ import annotations

import numpy as np
import pytest

from sightline.records import Skeleton
from sightline.writers.overlay import PREDICTION_RGB, TRUTH_RGB, draw_overlay

LINE = Skeleton(names=("a", "b", "c"), edges=((0, 1),))
ONE = Skeleton(names=("a",))


def near(picture: np.ndarray, rgb: tuple[int, ...]) -> np.ndarray:
    """Which pixels have nearly that colour."""
    return np.abs(picture.astype(int) - rgb).max(axis=-1) < 40


def grey(height: int = 60, width: int = 80, channels: int = 3) -> np.ndarray:
    return np.full((height, width, channels), 120, np.uint8)


@pytest.mark.parametrize(
    ("size_hw", "drawn_hw"),
    [((60, 80), (576, 768)), ((1, 1), (768, 768)), ((900, 400), (900, 400)), ((1, 2), (384, 768))],
)
@pytest.mark.parametrize("channels", [1, 3])
def test_small_pictures_are_enlarged_and_large_ones_kept(
    size_hw: tuple[int, int], drawn_hw: tuple[int, int], channels: int
) -> None:
    drawn = draw_overlay(grey(*size_hw, channels), points_xy=np.array([[0.5, 0.5]]), skeleton=ONE)
    assert drawn.shape == (*drawn_hw, 3)
    assert drawn.dtype == np.uint8


@pytest.mark.parametrize("point", [(25.5, 40.25), (60.0, 10.0), (1.3, 1.7)])
@pytest.mark.parametrize("factor", [1, 20])
def test_a_point_is_drawn_where_it_is(point: tuple[float, float], factor: int) -> None:
    xy = np.array([point]) * factor
    drawn = draw_overlay(grey(60 * factor, 80 * factor), points_xy=xy, skeleton=ONE)
    rows, columns = np.nonzero(near(drawn, PREDICTION_RGB))
    scale = drawn.shape[1] / (80 * factor)
    assert columns.mean() + 0.5 == pytest.approx(xy[0, 0] * scale, abs=0.35)
    assert rows.mean() + 0.5 == pytest.approx(xy[0, 1] * scale, abs=0.35)


def test_prediction_and_truth_have_their_colours() -> None:
    points, truth = np.array([[20.0, 20], [40, 20], [60, 40]]), np.array([[20.0, 30], [40, 30], [60, 50]])
    alone = draw_overlay(grey(), points_xy=points, skeleton=LINE)
    both = draw_overlay(grey(), points_xy=points, skeleton=LINE, truth_xy=truth)
    assert near(alone, PREDICTION_RGB).any()
    assert not near(alone, TRUTH_RGB).any()
    assert near(both, PREDICTION_RGB).any()
    assert near(both, TRUTH_RGB).any()


def test_points_that_are_not_visible_and_their_edges_are_left_out() -> None:
    points = np.array([[20.0, 20], [40, 20], [60, 40]])
    hidden = draw_overlay(grey(), points_xy=points, skeleton=LINE, visible=np.array([False, False, True]))
    only = draw_overlay(grey(), points_xy=points[2:], skeleton=ONE)
    assert np.array_equal(hidden, only)
    nothing = draw_overlay(grey(), points_xy=points, skeleton=LINE, truth_xy=points, visible=np.zeros(3, dtype=bool))
    assert (nothing == 120).all()


def test_the_box_is_drawn_along_its_edges() -> None:
    drawn = draw_overlay(
        grey(), points_xy=np.zeros((1, 2)), skeleton=ONE, visible=np.array([False]), box=(10.0, 10.0, 70.0, 50.0)
    )
    rows, columns = np.nonzero(drawn[..., 0] > 230)
    scale = 768 / 80
    assert (columns.min(), columns.max()) == pytest.approx((10 * scale, 70 * scale), abs=2)
    assert (rows.min(), rows.max()) == pytest.approx((10 * scale, 50 * scale), abs=2)


def test_points_far_outside_do_no_harm() -> None:
    points = np.array([[-1e9, 1e12], [1e9, 20], [20, 20]])
    drawn = draw_overlay(grey(), points_xy=points, skeleton=LINE, truth_xy=points, box=(-1e9, -1e9, 1e9, 1e9))
    assert near(drawn, PREDICTION_RGB).any()


def test_the_given_picture_is_not_changed() -> None:
    picture = grey(800, 900)
    draw_overlay(picture, points_xy=np.array([[400.0, 400.0]]), skeleton=ONE)
    assert (picture == 120).all()
