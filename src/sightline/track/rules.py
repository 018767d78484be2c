"""The tracker's rules, one function each; every threshold is an argument and a field of `ZoomConfig`.

Places are in pixels of the frame. Lengths, angles and the triangle are measured by a `Ruler`: the published engine
works in shares of width and height, so that its lengths and angles depend on the direction; `Ruler.square` does not.
The order in which smart mode asks the rules is in zoom.py. Next: past.py
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from sightline.geometry import Box


@dataclass(frozen=True, kw_only=True)
class Place:
    """A point of a frame in continuous pixels, or that it was not seen."""

    x: float = 0.0
    y: float = 0.0
    visible: bool = False


UNSEEN = Place()


@dataclass(frozen=True, kw_only=True)
class StagePoint:
    """What a stage says of one area, in pixels of the frame.

    Attributes:
        x: of the likeliest place.
        y: of the likeliest place.
        visible: the probability of a visible point.
        others: (x, y) of further places that it may be at, the likeliest first.
    """

    x: float
    y: float
    visible: float
    others: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Ruler:
    """How many pixels a unit is along x and along y."""

    x_px: float
    y_px: float

    @staticmethod
    def of(metric: Literal["stretched", "square"], size_hw: tuple[int, int]) -> Ruler:
        """Shares of width and height, or of the square root of the area, which is between them."""
        height, width = size_hw
        if metric == "stretched":
            return Ruler(x_px=float(width), y_px=float(height))
        side = math.sqrt(width * height)
        return Ruler(x_px=side, y_px=side)

    def step(self, start: Place, end: Place) -> tuple[float, float]:
        """From one place to another, in units."""
        return (end.x - start.x) / self.x_px, (end.y - start.y) / self.y_px


def triangle(x: float, y: float, *, ruler: Ruler, radius: float) -> list[tuple[float, float]]:
    """Three places around a point, at the corners of a triangle that is equilateral in the ruler's units.

    One corner lies to the right. In pixels it is equilateral only by a square ruler.
    """
    half = math.sqrt(3) / 2
    corners = ((1.0, 0.0), (-0.5, half), (-0.5, -half))
    return [(x + dx * radius * ruler.x_px, y + dy * radius * ruler.y_px) for dx, dy in corners]


def is_still(window: np.ndarray, window_before: np.ndarray, *, mean: float, most: float) -> bool:
    """Whether a window shows background: it hardly changed since the frame before.

    Args:
        window: [h, w, C] uint8, now.
        window_before: the same area of the frame before.
        mean: of the absolute change, 0..1, below which it is still.
        most: the largest change of any value, 0..1, below which it is still.
    """
    change = np.abs(window.astype(np.int16) - window_before)
    return bool(change.mean() / 255 < mean or change.max() / 255 < most)


def disagreement(main: StagePoint, support: StagePoint, *, window: Box) -> float:
    """How far apart two models' answers are, as a share of the window that both saw."""
    x0, y0, x1, y1 = window
    return math.hypot((main.x - support.x) / (x1 - x0), (main.y - support.y) / (y1 - y0))


def apart_px(main: StagePoint, support: StagePoint) -> float:
    """How far apart two models' answers are, in pixels of the frame."""
    return math.hypot(main.x - support.x, main.y - support.y)


def is_kept(visible: float, apart: float | None, *, agree: float, least: float) -> bool:
    """Whether an answer counts: both models agree, or the main one is sure that the point is visible.

    Args:
        visible: the main model's probability.
        apart: of the two answers; None without a second model, when the probability alone decides.
        agree: `apart` must be below.
        least: of the probability.
    """
    return visible >= least or (apart is not None and apart < agree)


def doubt(visible: float, apart: float | None) -> float:
    """What the best of several answers has least of: improbability, times disagreement where there are two models."""
    return (1 - visible) * (1.0 if apart is None else apart)


def is_long_unseen(past: Sequence[Place], *, frames: int, since: int) -> bool:
    """Smart 1: none of the last frames showed the point, and as many have passed since this was last found.

    Args:
        past: the answers before this frame, oldest first; before the beginning nothing was seen.
        frames: how many must be without.
        since: frames since the rule last held.
    """
    return since >= frames and not any(place.visible for place in past[-frames:])


def was_unseen(past: Sequence[Place]) -> bool:
    """Smart 2, and fast: the last frame did not show the point."""
    return not (past and past[-1].visible)


def has_left(last_three: Sequence[Place], *, height: float, top: float) -> bool:
    """Smart 3: seen in three frames, and now in the uppermost part of the frame.

    The newest of the three is the answer in question: where that is none, nothing has left.
    """
    return len(last_three) == 3 and all(place.visible for place in last_three) and last_three[-1].y <= top * height


def has_vanished(before: Place, now: Place) -> bool:
    """Smart 4: seen in the last frame, and not in this one."""
    return before.visible and not now.visible


def has_jumped(before: Place, now: Place, *, ruler: Ruler, jump: float) -> bool:
    """Smart 5: the step is as long as `jump` units or longer."""
    if not (before.visible and now.visible):
        return False
    return math.hypot(*ruler.step(before, now)) >= jump


def has_turned(last_three: Sequence[Place], *, ruler: Ruler, angle: float) -> bool:
    """Smart 6: the way through three seen places bends by `angle` (rad) or more. Who rests has no direction."""
    if len(last_three) < 3 or not all(place.visible for place in last_three):
        return False
    (ax, ay), (bx, by) = (ruler.step(last_three[i], last_three[i + 1]) for i in (0, 1))
    if not (ax or ay) or not (bx or by):
        return False
    return abs(math.atan2(ax * by - ay * bx, ax * bx + ay * by)) >= angle
