"""Where the past lets a point be expected: hand-computed continuations, the rules that drop one, and humps."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from sightline.context.prior import PriorConfig, continued

Point = tuple[float, float]


def past(*points: Point | None) -> tuple[Tensor, Tensor]:
    """Oldest first; None was not visible."""
    xy = torch.tensor([[point or (0.0, 0.0) for point in points]])
    return xy, torch.tensor([[point is not None for point in points]])


def expected(*points: Point | None, parabola: bool = True, least_motion: float = 0.02) -> Point | None:
    xy, is_known = continued(*past(*points), parabola=parabola, least_motion=least_motion)
    x, y = xy[0].tolist()
    return (x, y) if is_known.item() else None


# --- continuation ------------------------------------------------------------------------------------------


def test_three_points_continue_along_their_parabola() -> None:
    # x: 0.1, 0.2, 0.3 -> 0.4; y: 0.10, 0.11, 0.14 has differences 0.01, 0.03, and next 0.05 -> 0.19.
    assert expected((0.1, 0.10), (0.2, 0.11), (0.3, 0.14)) == pytest.approx((0.4, 0.19), abs=1e-6)


def test_the_straight_line_looks_at_the_last_two_of_three() -> None:
    assert expected((0.1, 0.10), (0.2, 0.11), (0.3, 0.14), parabola=False) == pytest.approx((0.4, 0.17), abs=1e-6)


@pytest.mark.parametrize("parabola", [True, False])
def test_two_points_continue_in_a_straight_line(parabola: bool) -> None:
    assert expected(None, (0.2, 0.5), (0.3, 0.4), parabola=parabola) == pytest.approx((0.4, 0.3), abs=1e-6)


@pytest.mark.parametrize(
    "points",
    [
        (None, None, (0.3, 0.4)),
        ((0.1, 0.4), None, (0.3, 0.4)),  # one behind the other only: the gap ends the run
        ((0.1, 0.4), (0.2, 0.4), None),
        (None, None, None),
    ],
)
def test_fewer_than_two_visible_points_in_a_row_say_nothing(points: tuple[Point | None, ...]) -> None:
    assert expected(*points) is None


@pytest.mark.parametrize(
    ("points", "is_kept"),
    [
        ((None, (0.7, 0.5), (0.84, 0.5)), True),  # 0.98
        ((None, (0.7, 0.5), (0.86, 0.5)), False),  # 1.02
        ((None, (0.5, 0.3), (0.5, 0.16)), True),  # 0.02
        ((None, (0.5, 0.3), (0.5, 0.14)), False),  # -0.02
    ],
)
def test_what_would_leave_the_picture_is_dropped(points: tuple[Point | None, ...], is_kept: bool) -> None:
    assert (expected(*points) is not None) == is_kept


def test_what_hardly_moves_is_dropped() -> None:
    # The last and the next step together: 2 * 0.009 = 0.018, and 2 * 0.011 = 0.022.
    assert expected(None, (0.5, 0.5), (0.509, 0.5)) is None
    assert expected(None, (0.5, 0.5), (0.511, 0.5)) is not None
    # Braking along a parabola: steps 0.0149 and 0.0048, together 0.0197; then 0.0153 and 0.0056, together 0.0209.
    assert expected((0.46, 0.5), (0.485, 0.5), (0.4999, 0.5)) is None
    assert expected((0.46, 0.5), (0.485, 0.5), (0.5003, 0.5)) is not None


def test_only_the_last_three_points_count() -> None:
    tail: tuple[Point, ...] = ((0.1, 0.10), (0.2, 0.11), (0.3, 0.14))
    assert expected((0.9, 0.9), None, (0.8, 0.1), *tail) == expected(*tail)


@given(start=st.floats(0.3, 0.6), speed=st.floats(-0.1, 0.1), turn=st.floats(-0.02, 0.02), height=st.floats(0.3, 0.6))
@settings(max_examples=60, deadline=None)
def test_a_motion_of_constant_acceleration_is_continued_exactly(
    start: float, speed: float, turn: float, height: float
) -> None:
    xs = [start + speed * t + turn * t * t for t in range(4)]
    ys = [height - speed * t + turn * t * t / 2 for t in range(4)]
    found, _ = continued(*past(*zip(xs[:3], ys[:3], strict=True)), parabola=True, least_motion=0.0)
    assert found[0].tolist() == pytest.approx([xs[3], ys[3]], abs=1e-5)


# --- humps -------------------------------------------------------------------------------------------------


def test_the_bump_is_a_gaussian_of_a_twentieth_about_the_last_point() -> None:
    bump = PriorConfig(form="last-point").map(*past((0.9, 0.9), (0.3, 0.7)), size_hw=(75, 75))
    assert bump is not None
    assert bump.shape == (1, 1, 75, 75)
    row, column = 40, 30
    dx, dy = (column + 0.5) / 75 - 0.3, (row + 0.5) / 75 - 0.7
    assert bump[0, 0, row, column].item() == pytest.approx(math.exp(-(dx * dx + dy * dy) / (2 * 0.05**2)), abs=1e-6)
    top = divmod(int(bump[0, 0].argmax()), 75)
    assert top == (52, 22)  # 0.7 * 75 = 52.5 and 0.3 * 75 = 22.5: those cells' centres


def test_there_is_no_bump_where_the_last_point_was_not_visible() -> None:
    xy, visible = past((0.3, 0.7), None)
    bump = PriorConfig(form="last-point").map(xy, visible, size_hw=(7, 7))
    assert bump is not None
    assert not bump.any()


@pytest.mark.parametrize("size", [14, 28])
def test_the_continued_motion_is_a_hump_of_half_a_cell(size: int) -> None:
    # The prediction is (0.4, 0.3); the nearest centre's distance in cells decides its height.
    hump = PriorConfig(form="quadratic").map(*past(None, (0.2, 0.5), (0.3, 0.4)), size_hw=(size, size))
    assert hump is not None
    column, row = int(0.4 * size), int(0.3 * size)
    dx, dy = column + 0.5 - 0.4 * size, row + 0.5 - 0.3 * size
    assert hump[0, 0, row, column].item() == pytest.approx(math.exp(-(dx * dx + dy * dy) / (2 * 0.25)), abs=1e-5)
    assert hump[0, 0].argmax() == row * size + column


def test_frames_of_a_batch_do_not_mix() -> None:
    first, second = past(None, (0.2, 0.5), (0.3, 0.4)), past(None, None, (0.3, 0.4))
    xy, visible = torch.cat([first[0], second[0]]), torch.cat([first[1], second[1]])
    both = PriorConfig(form="linear").map(xy, visible, size_hw=(14, 14))
    one = PriorConfig(form="linear").map(*first, size_hw=(14, 14))
    assert both is not None
    assert one is not None
    torch.testing.assert_close(both[:1], one)
    assert not both[1].any()


def test_no_form_gives_no_prior() -> None:
    assert PriorConfig().map(*past((0.5, 0.5)), size_hw=(7, 7)) is None
