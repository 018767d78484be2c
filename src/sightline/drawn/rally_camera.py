"""Where the camera of a drawn rally stands, and how it maps metres to pixels.

A pinhole camera in the court's frame (see rally_flight.py). Poses are independent of the size of the picture: the
field of view is that of its width.
Next: rally_court.py
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, get_args

import numpy as np

from sightline.errors import UserError, unknown_name

Kind = Literal["shuttle", "ball"]
_COURT_RATIO: dict[Kind, float] = {
    "shuttle": 1.0,
    "ball": 1.8,
}  # how much farther off a camera stands at a tennis court


@dataclass(frozen=True, kw_only=True)
class CameraPose:
    """A camera around a court.

    Attributes:
        azimuth_deg: 0 is behind the end at negative y, 90 at the side of positive x, 180 behind the other end.
        distance_m: on the ground, from the middle of the net.
        height_m: above the ground.
        fov_deg: horizontal field of view.
        roll_deg: positive turns the picture's content clockwise.
        aim_xyz: the point on the optical axis.
    """

    azimuth_deg: float
    distance_m: float
    height_m: float
    fov_deg: float
    roll_deg: float = 0.0
    aim_xyz: tuple[float, float, float] = (0.0, 0.0, 0.8)

    def __post_init__(self) -> None:
        """Check the ranges within which a picture can be drawn."""
        if not (self.distance_m > 1 and 0.3 <= self.height_m <= 40 and 3 <= self.fov_deg <= 120):
            raise UserError(
                f"A camera {self.distance_m} m off, {self.height_m} m high, with a field of view of {self.fov_deg} "
                "degrees cannot be drawn; a distance above 1 m, a height of 0.3 to 40 m and 3 to 120 degrees can."
            )


@dataclass(frozen=True, kw_only=True)
class Camera:
    """A pose with a picture: world points to continuous pixels.

    Attributes:
        pose: where it stands.
        size_hw: of the picture.
        margin_px: how much more is drawn on every side; it shifts the principal point, not the scale.
    """

    pose: CameraPose
    size_hw: tuple[int, int]
    margin_px: int = 0

    @property
    def canvas_hw(self) -> tuple[int, int]:
        """Size of the picture with its margin."""
        return self.size_hw[0] + 2 * self.margin_px, self.size_hw[1] + 2 * self.margin_px

    @cached_property
    def focal_px(self) -> float:
        """Pixels per unit of tangent."""
        return self.size_hw[1] / 2 / math.tan(math.radians(self.pose.fov_deg) / 2)

    @cached_property
    def centre(self) -> np.ndarray:
        """[3], where the camera stands."""
        turn = math.radians(self.pose.azimuth_deg)
        return np.array(
            [self.pose.distance_m * math.sin(turn), -self.pose.distance_m * math.cos(turn), self.pose.height_m]
        )

    @cached_property
    def axes(self) -> np.ndarray:
        """[3, 3]: rows are the camera's right, down and forward in the world."""
        forward = np.array(self.pose.aim_xyz) - self.centre
        forward /= np.linalg.norm(forward)
        right = np.cross(forward, [0.0, 0.0, 1.0])
        right /= np.linalg.norm(right)
        down = np.cross(forward, right)
        c, s = math.cos(math.radians(self.pose.roll_deg)), math.sin(math.radians(self.pose.roll_deg))
        return np.stack([c * right - s * down, s * right + c * down, forward])

    @property
    def intrinsics(self) -> np.ndarray:
        """[3, 3]: camera coordinates to homogeneous pixels of the canvas."""
        height, width = self.canvas_hw
        return np.array([[self.focal_px, 0, width / 2], [0, self.focal_px, height / 2], [0, 0, 1.0]])

    def project(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Points [..., 3] to pixels of the canvas [..., 2] and depths [...]; a depth <= 0 lies behind the camera."""
        seen = (points - self.centre) @ self.axes.T
        depth = seen[..., 2]
        safe = np.where(np.abs(depth) < 1e-6, 1e-6, depth)
        height, width = self.canvas_hw
        return seen[..., :2] / safe[..., None] * self.focal_px + np.array([width / 2, height / 2]), depth


def training_pose(rng: np.random.Generator, *, kind: Kind = "shuttle") -> CameraPose:
    """A usual broadcast camera: high behind one end, the whole court filling the picture."""
    return _behind(
        rng, ratio=_ratio(kind), azimuth_deg=rng.uniform(-9, 9), distance=rng.uniform(14.5, 21.0),
        height=rng.uniform(4.8, 8.5), half_width=rng.uniform(3.6, 4.5),
    )  # fmt: skip


def unseen_pose(rng: np.random.Generator, *, kind: Kind = "shuttle") -> CameraPose:
    """A camera that `training_pose` never gives: from the side or a corner, much lower, or with another zoom."""
    ratio = _ratio(kind)
    where = rng.choice(["side", "corner", "low", "wide", "close"])
    if where == "side":
        distance = rng.uniform(11.0, 16.0)
        fov = 2 * math.degrees(math.atan(rng.uniform(5.5, 7.2) / distance))
        return CameraPose(
            azimuth_deg=float(rng.choice([-1, 1]) * rng.uniform(65, 115)), distance_m=distance * ratio,
            height_m=float(rng.uniform(2.2, 6.5)) * ratio, fov_deg=fov, roll_deg=float(rng.normal(0, 1.2)),
            aim_xyz=(0.0, float(rng.normal(0, 0.4)), float(rng.uniform(0.9, 1.7)) * ratio),
        )  # fmt: skip
    azimuth, height, half = rng.uniform(-9, 9), rng.uniform(4.8, 8.5), rng.uniform(3.6, 4.5)
    if where == "corner":
        azimuth, half = rng.choice([-1, 1]) * rng.uniform(18, 45), rng.uniform(4.8, 6.0)
    elif where == "low":
        azimuth, height = rng.uniform(-20, 20), rng.uniform(1.5, 3.2)
    elif where == "wide":
        half = rng.uniform(6.5, 9.0)
    else:
        half = rng.uniform(2.3, 2.9)
    if rng.random() < 0.3:
        azimuth += 180
    return _behind(
        rng, ratio=ratio, azimuth_deg=azimuth, distance=rng.uniform(14.5, 21.0), height=height, half_width=half,
        whole_court=where != "close",
    )  # fmt: skip


def _behind(
    rng: np.random.Generator, *, ratio: float, azimuth_deg: float, distance: float, height: float, half_width: float,
    whole_court: bool = True,
) -> CameraPose:  # fmt: skip
    """A camera that has the near base line low in the picture, or its middle on the court's.

    Lengths are those of badminton; the picture is taken to be 16:9.
    """
    near, far = (
        math.atan(height / (distance - 6.7)),
        math.atan(height / (distance + 6.7)),
    )  # of the base lines, downwards
    upright = math.atan(half_width / (distance - 6.7) * 9 / 16)
    low = rng.uniform(0.72, 0.92)
    if whole_court:
        upright = max(upright, (near - far + 0.13) / (1 + low))
        down = near - low * upright
    else:
        down = (near + far) / 2 + rng.uniform(-0.02, 0.04)
    half_fov = math.atan(math.tan(upright) * 16 / 9)
    # The aim is the point on the optical axis above the middle of the net.
    turn = math.radians(azimuth_deg)
    aside, across = rng.normal(0, 0.2), np.array([math.cos(turn), math.sin(turn)])
    rise = height - distance * math.tan(down)
    return CameraPose(
        azimuth_deg=float(azimuth_deg), distance_m=float(distance * ratio), height_m=float(height * ratio),
        fov_deg=math.degrees(2 * half_fov), roll_deg=float(rng.normal(0, 0.6)),
        aim_xyz=(float(aside * across[0] * ratio), float(aside * across[1] * ratio), float(rise * ratio)),
    )  # fmt: skip


def _ratio(kind: Kind) -> float:
    if kind not in _COURT_RATIO:
        raise unknown_name("kind of rally", kind, get_args(Kind))
    return _COURT_RATIO[kind]
