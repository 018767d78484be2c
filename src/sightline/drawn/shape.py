"""A parametric head in three dimensions, its 68 or 58 landmarks, and the camera that sees it.

Units: the distance between the outer corners of a mean face's eyes is 1. Origin between the
eyes, x to the picture's right, y down, z towards the viewer. All coordinates are written
here by hand; none comes from a data set.
Next: paint.py
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

Layout = Literal["ibug68", "imm58"]
LAYOUTS: tuple[Layout, ...] = ("ibug68", "imm58")

# Twelve angles of the lips' outlines, from the picture-left corner over the top: outer, then inner.
_LIP_OUTER_X = np.array([-1.0, -0.62, -0.22, 0.0, 0.22, 0.62, 1.0, 0.62, 0.24, 0.0, -0.24, -0.62])
_LIP_OUTER_UP = np.array([0.0, 0.72, 1.0, 0.84, 1.0, 0.72, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0])
_LIP_OUTER_DOWN = np.array([0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.66, 0.95, 1.0, 0.95, 0.66])
_LIP_INNER_X = np.array([-0.88, -0.3, 0.0, 0.3, 0.88, 0.3, 0.0, -0.3])
_LIP_INNER_OPEN = np.array([0.0, 0.0, 0.0, 0.0, 0.0, 0.93, 1.0, 0.93])


@dataclass(frozen=True, kw_only=True)
class Identity:
    """What stays the same in every picture of one person; lengths in head units."""

    face_width: float
    jaw_power: float
    chin_length: float
    forehead: float
    eye_offset: float
    eye_width: float
    eye_height: float
    eye_slant: float
    brow_height: float
    brow_arch: float
    brow_tilt: float
    nose_length: float
    nose_width: float
    nose_depth: float
    mouth_drop: float
    mouth_width: float
    lip_upper: float
    lip_lower: float
    uneven: np.ndarray  # [68, 3] small offsets: no face is symmetric


@dataclass(frozen=True, kw_only=True)
class Expression:
    """What the muscles do: 0 is at rest."""

    mouth_open: float = 0.0
    smile: float = 0.0
    eye_close: float = 0.0
    brow_raise: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Camera:
    """Where the head is seen from: degrees, and pixels of the picture (continuous)."""

    yaw: float
    pitch: float
    roll: float
    scale_px: float
    centre_xy: tuple[float, float]
    distance: float

    def project(self, points: np.ndarray) -> np.ndarray:
        """Head coordinates [..., 3] to continuous picture pixels [..., 2]; (0, 0.5, 0) lands on `centre_xy`."""
        turned = (points - np.array([0.0, 0.5, 0.0])) @ self._rotation().T
        near = self.distance / (self.distance - turned[..., 2:])
        return turned[..., :2] * near * self.scale_px + np.array(self.centre_xy)

    def _rotation(self) -> np.ndarray:
        yaw, pitch, roll = np.radians([self.yaw, self.pitch, self.roll])
        cy, sy, cp, sp, cr, sr = np.cos(yaw), np.sin(yaw), np.cos(pitch), np.sin(pitch), np.cos(roll), np.sin(roll)
        about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
        about_x = np.array([[1, 0, 0], [0, cp, sp], [0, -sp, cp]])
        about_z = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
        return about_z @ about_x @ about_y


def sample_identity(rng: np.random.Generator) -> Identity:
    """A person."""

    def around(mean: float, spread: float) -> float:
        return float(mean + spread * np.clip(rng.standard_normal(), -2.2, 2.2))

    return Identity(
        face_width=around(0.82, 0.05),
        jaw_power=around(2.3, 0.28),
        chin_length=around(1.27, 0.07),
        forehead=around(0.78, 0.07),
        eye_offset=around(0.345, 0.022),
        eye_width=around(0.15, 0.012),
        eye_height=around(0.068, 0.01),
        eye_slant=around(0.01, 0.018),
        brow_height=around(0.2, 0.03),
        brow_arch=around(0.06, 0.022),
        brow_tilt=around(0.0, 0.035),
        nose_length=around(0.53, 0.055),
        nose_width=around(0.165, 0.025),
        nose_depth=around(0.42, 0.06),
        mouth_drop=around(0.31, 0.035),
        mouth_width=around(0.29, 0.032),
        lip_upper=around(0.075, 0.017),
        lip_lower=around(0.1, 0.02),
        uneven=rng.standard_normal((68, 3)) * np.array([0.006, 0.006, 0.01]),
    )


def sample_expression(rng: np.random.Generator) -> Expression:
    """What the face does in one picture: mostly mild, sometimes a shout or a wink's worth of closed eyes."""
    opened = float(rng.choice([0.0, rng.uniform(0.01, 0.1), rng.uniform(0.1, 0.42)], p=[0.45, 0.35, 0.2]))
    closed = float(rng.choice([rng.uniform(0.0, 0.3), rng.uniform(0.3, 0.8), 0.97], p=[0.78, 0.15, 0.07]))
    smile = float(np.clip(rng.normal(0.25, 0.45), -0.7, 1.2))
    return Expression(mouth_open=opened, smile=smile, eye_close=closed, brow_raise=float(rng.normal(0.0, 0.035)))


def sample_camera(rng: np.random.Generator, *, size_hw: tuple[int, int]) -> Camera:
    """A pose and a place: the face fills 0.4 to 0.6 of the shorter side and stays in the picture nearly always."""
    height, width = size_hw
    side = min(height, width)
    return Camera(
        yaw=float(np.clip(rng.normal(0, 17), -35, 35)),
        pitch=float(np.clip(rng.normal(0, 8), -18, 18)),
        roll=float(np.clip(rng.normal(0, 10), -25, 25)),
        scale_px=side * float(rng.uniform(0.255, 0.37)),
        centre_xy=(
            float(width * 0.5 + side * rng.uniform(-0.09, 0.09)),
            float(height * 0.52 + side * rng.uniform(-0.07, 0.09)),
        ),
        distance=float(rng.uniform(4.0, 12.0)),
    )


def landmarks68(identity: Identity, *, expression: Expression) -> np.ndarray:
    """The 68 iBUG points of a face in head coordinates, [68, 3]; 0 is the picture-left end of the jaw."""
    parts = (
        jaw_line(identity, expression=expression, count=17),
        _brows(identity, expression=expression),
        _nose(identity),
        _eyes(identity, expression=expression),
        _mouth(identity, expression=expression),
    )
    return np.concatenate(parts) + identity.uneven


def landmarks58(points68: np.ndarray) -> np.ndarray:
    """The 58 points of the IMM layout from the 68: jaw 13, eyes 8 + 8, brows 5 + 5, mouth 8, nose 11 (tip is 52).

    Works on [68, 2] or [68, 3]. In head coordinates the points between two of the 68 lie on the chord.
    """
    p = points68
    jaw = np.stack([_along(p[0:17], 16 * i / 12) for i in range(13)])
    eyes = [np.stack([_around(p[a : a + 6], i * 6 / 8) for i in range(8)]) for a in (36, 42)]
    mouth = p[[48, 50, 51, 52, 54, 56, 57, 58]]
    left, right = (p[28] + 0.35 * (p[wing] - p[28]) for wing in (31, 35))
    wings = [left, (p[31] + p[29]) / 2, p[31], p[32]], [p[34], p[35], (p[35] + p[29]) / 2, right]
    nose = np.stack([p[27], *wings[0], p[30], *wings[1], (p[28] + p[29]) / 2])
    return np.concatenate([jaw, *eyes, p[17:22], p[22:27], mouth, nose])


def jaw_line(identity: Identity, *, expression: Expression, count: int) -> np.ndarray:
    """The jaw from ear to ear over the chin, [count, 3]; depth is shallow because the visible contour is labelled."""
    angle = np.linspace(0, np.pi, count)
    power = 2 / identity.jaw_power
    across, down = np.cos(angle), np.sin(angle)
    x = -identity.face_width * np.sign(across) * np.abs(across) ** power
    y = identity.chin_length * down**power + 0.45 * expression.mouth_open * down**3
    z = 0.16 - 0.5 * np.abs(across) ** 1.5
    return np.stack([x, y, z], axis=1)


def forehead_line(identity: Identity, *, lift: float = 0.0, count: int = 13) -> np.ndarray:
    """From the picture-right end of the jaw over the crown to the left end, without the ends, [count, 3]."""
    angle = np.linspace(0, np.pi, count + 2)[1:-1]
    x = (identity.face_width + 0.35 * lift) * np.cos(angle)
    y = -(identity.forehead + lift) * np.sin(angle) ** 0.8 - 0.05
    z = -0.34 + 0.2 * np.sin(angle)
    return np.stack([x, y, z], axis=1)


def skull_outline(identity: Identity, *, camera: Camera, grow: float = 1.0) -> np.ndarray:
    """Pixels [36, 2] around the skull: an ellipse behind the face that shows on the side the head turns from."""
    angle = np.linspace(0, 2 * np.pi, 36, endpoint=False)
    middle = camera.project(np.array([0.0, 0.1, -0.45]))
    radius = camera.scale_px * grow * np.array([identity.face_width * 1.06, identity.forehead + 0.28])
    ring = np.stack([np.cos(angle), np.sin(angle)], axis=1) * radius
    roll = np.radians(camera.roll)
    return middle + ring @ np.array([[np.cos(roll), np.sin(roll)], [-np.sin(roll), np.cos(roll)]])


def _brows(identity: Identity, *, expression: Expression) -> np.ndarray:
    along = np.linspace(0, 1, 5)
    x = -(identity.eye_offset + 0.21) + along * 0.42
    arch = identity.brow_arch * (1 - (2 * along - 0.8) ** 2)
    y = -identity.brow_height - expression.brow_raise - arch + identity.brow_tilt * (along - 0.5)
    z = -0.1 + 0.26 * along
    left = np.stack([x, y, z], axis=1)
    return np.concatenate([left, left[::-1] * np.array([-1, 1, 1])])


def _nose(identity: Identity) -> np.ndarray:
    along = np.linspace(0, 1, 4)
    bridge = np.stack([0 * along, along * identity.nose_length, 0.12 + (identity.nose_depth - 0.12) * along], axis=1)
    x = np.array([-1.0, -0.5, 0.0, 0.5, 1.0]) * identity.nose_width
    y = identity.nose_length + np.array([0.09, 0.12, 0.14, 0.12, 0.09])
    z = identity.nose_depth - np.array([0.26, 0.16, 0.12, 0.16, 0.26])
    return np.concatenate([bridge, np.stack([x, y, z], axis=1)])


def _eyes(identity: Identity, *, expression: Expression) -> np.ndarray:
    wide, tall = identity.eye_width, identity.eye_height
    shut = 1 - expression.eye_close
    x = np.array([-1.0, -0.4, 0.4, 1.0, 0.42, -0.42]) * wide
    upper = -1.0 * tall * shut + 0.3 * tall * expression.eye_close
    y = np.array([0.0, upper, upper, 0.0, 0.62 * tall, 0.62 * tall]) - identity.eye_slant * np.array(
        [1.0, 0.4, -0.4, -1.0, -0.4, 0.4]
    )
    z = np.array([-0.14, -0.05, -0.01, -0.02, -0.01, -0.05])
    left = np.stack([x - identity.eye_offset, y, z], axis=1)
    right = left[[3, 2, 1, 0, 5, 4]] * np.array([-1, 1, 1])
    return np.concatenate([left, right])


def _mouth(identity: Identity, *, expression: Expression) -> np.ndarray:
    wide = identity.mouth_width + 0.05 * expression.smile - 0.12 * expression.mouth_open
    rest = identity.nose_length + identity.mouth_drop
    opened = expression.mouth_open
    corner = -0.07 * expression.smile + 0.45 * opened

    def curve(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        lifted = rest + y + corner * np.abs(x) ** 2
        return np.stack([x * wide, lifted, 0.27 - 0.17 * np.abs(x) ** 2], axis=1)

    outer_y = -identity.lip_upper * _LIP_OUTER_UP + (identity.lip_lower + opened) * _LIP_OUTER_DOWN
    # Lips that shout are spread: the corner's share of the opening must not pull the lower lip's sides below it.
    outer_y = outer_y - np.where(_LIP_OUTER_DOWN > 0, 0.45 * opened * np.abs(_LIP_OUTER_X) ** 2, 0.0)
    inner_y = (opened + 0.012) * _LIP_INNER_OPEN - 0.012 * (1 - _LIP_INNER_OPEN)
    inner_y = inner_y - np.where(_LIP_INNER_OPEN > 0, 0.45 * opened * np.abs(_LIP_INNER_X) ** 2, 0.0)
    return np.concatenate([curve(_LIP_OUTER_X, outer_y), curve(_LIP_INNER_X, inner_y)])


def _along(points: np.ndarray, position: float) -> np.ndarray:
    first = min(int(position), len(points) - 2)
    return points[first] + (position - first) * (points[first + 1] - points[first])


def _around(points: np.ndarray, position: float) -> np.ndarray:
    return _along(np.concatenate([points, points[:1]]), position)
