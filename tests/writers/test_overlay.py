from __future__ import annotations

import numpy as np
import pytest

from sightline.records import Skeleton
from sightline.writers.overlay import CLASS_RGB, PREDICTION_RGB, TRUTH_RGB, draw_boxes, draw_overlay
from sightline.writers.tags import Tag, draw_tags, readable

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


# ---- boxes


def drawn(boxes: list[tuple[float, ...]], labels: list[int], *, classes: int = 3, **more: np.ndarray) -> np.ndarray:
    names = [f"c{index}" for index in range(classes)]
    xyxy = np.array(boxes, dtype=np.float64).reshape(-1, 4)
    return draw_boxes(grey(), boxes_xyxy=xyxy, labels=np.array(labels, dtype=np.int64), classes=names, **more)


def test_a_box_is_drawn_along_its_edges_in_the_colour_of_its_class() -> None:
    picture = drawn([(10, 20, 70, 50)], [1])
    rows, columns = np.nonzero(np.abs(picture.astype(int) - CLASS_RGB[1]).max(axis=-1) < 8)
    scale = 768 / 80
    assert picture.shape == (576, 768, 3)
    assert (columns.min(), columns.max()) == pytest.approx((10 * scale, 70 * scale), abs=3)
    assert rows.max() == pytest.approx(50 * scale, abs=3)
    # The name's plate stands on the box.
    assert 20 * scale - 40 < rows.min() < 20 * scale - 10


def test_the_colours_of_classes_are_told_apart_by_the_colour_blind() -> None:
    # Vienot, Brettel and Mollon (1999), on linear light: what protanopes and deuteranopes see.
    as_protan = np.array([[0.11238, 0.88762, 0], [0.11238, 0.88762, 0], [0.00401, -0.00401, 1]])
    as_deutan = np.array([[0.29275, 0.70725, 0], [0.29275, 0.70725, 0], [-0.02234, 0.02234, 1]])
    linear = (np.array(CLASS_RGB) / 255) ** 2.2
    for seen in (np.eye(3), as_protan, as_deutan):
        colours = (linear @ seen.T).clip(0, 1) ** (1 / 2.2) * 255
        apart = np.linalg.norm(colours[:, None] - colours[None], axis=-1) + 1e3 * np.eye(len(colours))
        assert apart.min() > 25


def test_true_boxes_are_dashed_and_named_only_where_they_were_missed() -> None:
    box = (10.0, 20.0, 70.0, 50.0)
    right = drawn([box], [1], truth_xyxy=np.array([box]), truth_labels=np.array([1]))
    wrong = drawn([box], [1], truth_xyxy=np.array([box]), truth_labels=np.array([2]))
    alone = drawn([], [], truth_xyxy=np.array([box]), truth_labels=np.array([1]))
    assert near(right, CLASS_RGB[1]).any()
    line = right[round(20 * 768 / 80), 110:650].astype(int)
    assert 0.2 < near(line[None], (255, 255, 255)).mean() < 0.8
    plates = [near(picture, (255, 255, 255)).sum() for picture in (right, wrong, alone)]
    assert plates[0] + 500 < plates[1]
    assert plates[0] + 500 < plates[2]


def test_names_hide_no_other_names() -> None:
    canvas = np.zeros((200, 300, 3), np.uint8)
    tags = [Tag(text=f"name {i}", rgb=CLASS_RGB[i], box_xyxy=(100.0, 80, 160, 120)) for i in range(8)]
    picture = draw_tags(canvas, tags, height_px=14)
    shown = [int((np.abs(picture.astype(int) - rgb).max(axis=-1) < 4).sum()) for rgb in CLASS_RGB]
    assert min(shown[:3]) > 600  # round the box there is room for some
    assert shown[-1] == 0  # but not for all: the last would only be a smear
    assert (canvas == 0).all()


@pytest.mark.parametrize("rgb", [*CLASS_RGB, (255, 255, 255)])
def test_letters_stand_out_from_their_plate(rgb: tuple[int, int, int]) -> None:
    canvas = np.full((60, 120, 3), 128, np.uint8)
    plate = draw_tags(canvas, [Tag(text="MMMM", rgb=rgb, box_xyxy=(10.0, 30, 110, 60))], height_px=16)[12:26, 14:60]

    def luminance(colour: np.ndarray) -> float:
        linear = (colour / 255) ** 2.2
        return float(linear @ (0.2126, 0.7152, 0.0722))

    ink = max(plate.reshape(-1, 3), key=lambda colour: abs(luminance(colour) - luminance(np.array(rgb))))
    dark, light = sorted((luminance(ink), luminance(np.array(rgb))))
    assert (light + 0.05) / (dark + 0.05) > 4


def test_names_in_other_letters_become_numbers() -> None:
    assert readable("traffic light", number=3) == "traffic light"
    assert readable("caf\u00e9", number=3) == "cafe"
    assert readable("\u732b", number=3) == "#3"
    assert readable("a\nb", number=3) == "#3"
    picture = draw_boxes(
        grey(),
        boxes_xyxy=np.array([[1.0, 1, 30, 30]]),
        labels=np.array([0]),
        classes=["\u732b"],
        scores=np.array([0.5]),
    )
    assert near(picture, CLASS_RGB[0]).any()


def test_boxes_far_outside_and_none_at_all_do_no_harm() -> None:
    assert (drawn([], []) == 120).all()
    assert drawn([(-1e9, -1e9, 1e9, 1e9), (-50, -50, -10, -10)], [0, 10], classes=12).shape == (576, 768, 3)
    picture = grey(800, 900)
    draw_boxes(picture, boxes_xyxy=np.array([[1.0, 1, 90, 90]]), labels=np.array([0]), classes=["a"])
    assert (picture == 120).all()


def test_radii_and_margins_are_drawn_where_they_have_an_end() -> None:
    point, skeleton = np.array([[40.0, 30.0]]), Skeleton(names=("a",))
    plain = draw_overlay(grey(), points_xy=point, skeleton=skeleton)
    circled = draw_overlay(grey(), points_xy=point, skeleton=skeleton, radius_px=np.array([10.0]))
    scale = circled.shape[1] / 80
    changed = np.argwhere((circled != plain).any(axis=-1))
    away = np.linalg.norm(changed - np.array([30, 40]) * scale, axis=1)
    assert len(changed) > 100 and away.min() > 9 * scale and away.max() < 11 * scale
    endless = draw_overlay(grey(), points_xy=point, skeleton=skeleton, radius_px=np.array([np.inf]))
    assert (endless == plain).all()
    box = (20.0, 15.0, 60.0, 45.0)
    without, within = drawn([box], [1]), drawn([box], [1], margin_px=np.array([4.0]))
    rows = np.flatnonzero((without != within)[:, round(25 * scale)].any(axis=-1)) / scale
    assert [round(value) for value in (rows.min(), rows.max())] == [11, 49]
    assert (drawn([box], [1], margin_px=np.array([np.inf])) == without).all()
