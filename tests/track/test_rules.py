"""Each rule against cases worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sightline.track import rules
from sightline.track.rules import UNSEEN, Place, Ruler, StagePoint

HD = (1080, 1920)
STRETCHED, SQUARE = Ruler.of("stretched", HD), Ruler.of("square", HD)


def seen(x: float, y: float) -> Place:
    return Place(x=x, y=y, visible=True)


def test_the_published_triangle_is_stretched_with_the_frame() -> None:
    # r = .06: (x + r, y), (x - r/2, y +- sqrt(3)/2 r) in shares; 115.2 px across, 64.8 px down.
    corners = rules.triangle(960, 540, ruler=STRETCHED, radius=0.06)
    expected = [(1075.2, 540), (902.4, 540 + 64.8 * math.sqrt(3) / 2), (902.4, 540 - 64.8 * math.sqrt(3) / 2)]
    np.testing.assert_allclose(corners, expected)


@given(
    x=st.floats(0, 1920), y=st.floats(0, 1080), radius=st.floats(0.01, 0.3),
    size=st.tuples(st.integers(100, 4000), st.integers(100, 4000)),
)  # fmt: skip
def test_the_square_triangle_is_equilateral_in_pixels(x: float, y: float, radius: float, size: tuple[int, int]) -> None:
    corners = np.array(rules.triangle(x, y, ruler=Ruler.of("square", size), radius=radius))
    sides = np.linalg.norm(corners - np.roll(corners, 1, axis=0), axis=1)
    np.testing.assert_allclose(sides, radius * math.sqrt(size[0] * size[1]) * math.sqrt(3), rtol=1e-9)
    np.testing.assert_allclose(corners.mean(axis=0), (x, y), atol=1e-6)


def test_a_square_ruler_has_the_same_area_as_the_stretched_one() -> None:
    assert SQUARE.x_px == SQUARE.y_px == 1440
    assert SQUARE.x_px * SQUARE.y_px == STRETCHED.x_px * STRETCHED.y_px


def test_a_window_is_background_where_the_mean_or_the_largest_change_is_small() -> None:
    before = np.full((10, 10, 3), 100, dtype=np.uint8)
    # All pixels change by 50 of 255 = .196: the mean is large, but the largest change is below .2.
    assert rules.is_still(before + 50, before, mean=0.001, most=0.2)
    # ... by 52 = .204: neither is small.
    assert not rules.is_still(before + 52, before, mean=0.001, most=0.2)
    one = before.copy()
    one[0, 0, 0] = 255  # by 155/255 in one of 300 values: a mean of .00203
    assert not rules.is_still(one, before, mean=0.001, most=0.2)
    assert rules.is_still(one, before, mean=0.0021, most=0.2)
    assert rules.is_still(before - 50, before, mean=0.001, most=0.2)  # darker counts as brighter does


def test_models_disagree_in_shares_of_the_window_or_in_pixels() -> None:
    main, support = StagePoint(x=103, y=204, visible=0.1), StagePoint(x=100, y=200, visible=0.2)
    assert rules.disagreement(main, support, window=(0, 0, 224, 224)) == pytest.approx(5 / 224)
    assert rules.disagreement(main, support, window=(50, 50, 150, 250)) == pytest.approx(math.hypot(0.03, 0.02))
    assert rules.apart_px(main, support) == 5


@pytest.mark.parametrize(
    ("visible", "apart", "kept"),
    [
        (0.1, 0.049, True),
        (0.1, 0.05, False),
        (0.65, 0.9, True),
        (0.64, 0.9, False),
        (0.65, None, True),
        (0.64, None, False),
    ],
)
def test_an_answer_is_kept_by_agreement_or_by_visibility(visible: float, apart: float | None, kept: bool) -> None:
    assert rules.is_kept(visible, apart, agree=0.05, least=0.65) is kept


def test_doubt_is_improbability_times_disagreement() -> None:
    assert rules.doubt(0.75, 0.04) == pytest.approx(0.01)
    assert rules.doubt(0.75, None) == pytest.approx(0.25)


def test_long_unseen_needs_the_frames_and_the_time() -> None:
    blind = [seen(1, 1), *[UNSEEN] * 5]
    assert rules.is_long_unseen(blind, frames=5, since=5)
    assert not rules.is_long_unseen(blind, frames=5, since=4)
    assert not rules.is_long_unseen(blind, frames=6, since=9)
    assert rules.is_long_unseen([], frames=5, since=5)


def test_it_has_left_where_three_are_seen_and_the_last_is_at_the_top() -> None:
    way = [seen(500, 90), seen(510, 60), seen(520, 32.4)]
    assert rules.has_left(way, height=1080, top=0.03)
    assert not rules.has_left([*way[:2], seen(520, 32.5)], height=1080, top=0.03)
    assert not rules.has_left([UNSEEN, *way[1:]], height=1080, top=0.03)
    assert not rules.has_left([*way[:2], UNSEEN], height=1080, top=0.03)  # UNSEEN lies at (0, 0), and is no place
    assert not rules.has_left(way[1:], height=1080, top=0.03)


def test_a_jump_depends_on_the_direction_only_when_stretched() -> None:
    start = seen(900, 500)
    across, down = seen(900 + 50, 500), seen(900, 500 + 50)
    assert not rules.has_jumped(start, across, ruler=STRETCHED, jump=0.03)  # 50 / 1920 = .026
    assert rules.has_jumped(start, down, ruler=STRETCHED, jump=0.03)  # 50 / 1080 = .046
    for end in (across, down):
        assert rules.has_jumped(start, end, ruler=SQUARE, jump=0.03)  # 50 / 1440 = .0347
        assert not rules.has_jumped(start, end, ruler=SQUARE, jump=0.035)
    assert not rules.has_jumped(UNSEEN, across, ruler=SQUARE, jump=0.001)


def test_a_turn_is_the_angle_between_two_steps() -> None:
    def bend(degrees: float) -> list[Place]:
        angle = math.radians(degrees)
        return [seen(100, 100), seen(200, 100), seen(200 + 50 * math.cos(angle), 100 + 50 * math.sin(angle))]

    for degrees in (-170, -91, 91, 180):
        assert rules.has_turned(bend(degrees), ruler=SQUARE, angle=math.pi / 2)
    for degrees in (-89, 0, 14, 89):
        assert not rules.has_turned(bend(degrees), ruler=SQUARE, angle=math.pi / 2)
    # 45 degrees in pixels: atan(16 / 9) = 60.6 degrees where x counts 1080/1920 as much.
    assert rules.has_turned(bend(45), ruler=STRETCHED, angle=math.radians(60))
    assert not rules.has_turned(bend(45), ruler=SQUARE, angle=math.radians(60))


def test_who_rests_or_is_not_seen_has_no_direction() -> None:
    rest = [seen(100, 100), seen(100, 100), seen(90, 100)]
    assert not rules.has_turned(rest, ruler=SQUARE, angle=0.01)
    assert not rules.has_turned([seen(0, 0), UNSEEN, seen(5, 5)], ruler=SQUARE, angle=0.01)
    assert not rules.has_turned([seen(0, 0), seen(5, 5)], ruler=SQUARE, angle=0.01)


def test_it_has_vanished_where_it_was_and_is_not() -> None:
    assert rules.has_vanished(seen(1, 1), UNSEEN)
    assert not rules.has_vanished(UNSEEN, UNSEEN)
    assert not rules.has_vanished(seen(1, 1), seen(2, 2))
