"""A spinning range sensor and what its rays meet: solids made of boxes and balls, exactly intersected.

In: a `Solid` at a place in the street. Out: a `Layer`, the solid as the sensor sees it with nothing in front.
Street coordinates are metres: x along the street, y to the right of it, z up from the ground; the sensor stands at
(0, 0, height). Column 0 of the picture looks straight back, the middle one straight ahead.
Next: panorama_objects.py
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from sightline.geometry import cell_centres

FOV_RAD = math.radians(45.0)  # from the top row to the bottom row, half above the horizon
_SPARE = 2  # columns and rows around a solid's window, against rounding
_FAR = np.float32(np.inf)


@dataclass(frozen=True, kw_only=True)
class Sensor:
    """Where the rays go.

    Attributes:
        size_hw: rows and columns of the picture: rays over 45 degrees of height and the full circle.
        height_m: above the ground.
        heading: turn of the sensor against the street, radians, clockwise from above.
    """

    size_hw: tuple[int, int]
    height_m: float
    heading: float

    @cached_property
    def azimuths(self) -> np.ndarray:
        """[W] float64, in street coordinates: the angle from x towards y."""
        width = self.size_hw[1]
        return cell_centres(width, 2 * math.pi / width) - math.pi + self.heading

    @cached_property
    def tangents(self) -> np.ndarray:
        """[H] float32: rise per metre of horizontal way, from the top row down."""
        height = self.size_hw[0]
        return np.tan(FOV_RAD / 2 - cell_centres(height, FOV_RAD / height)).astype(np.float32)

    @cached_property
    def directions_xy(self) -> np.ndarray:
        """[W, 2] float32: unit vectors in the ground plane."""
        return np.stack([np.cos(self.azimuths), np.sin(self.azimuths)], axis=1).astype(np.float32)

    @property
    def pixel_rad(self) -> float:
        """The larger of the angles between neighbouring rays."""
        return max(2 * math.pi / self.size_hw[1], FOV_RAD / self.size_hw[0])

    def columns(self, azimuths: np.ndarray) -> np.ndarray:
        """Street azimuths to continuous columns, which may lie outside 0..W."""
        return (azimuths - self.heading + math.pi) * (self.size_hw[1] / (2 * math.pi))

    def rows(self, tangents: np.ndarray) -> np.ndarray:
        """Rise per metre to continuous rows."""
        return (FOV_RAD / 2 - np.arctan(tangents)) * (self.size_hw[0] / FOV_RAD)


@dataclass(frozen=True, kw_only=True)
class Skin:
    """What a surface does to light.

    Attributes:
        reflect: of the laser, 0..1 for a matt surface; a retroreflector has several.
        albedo: of daylight, 0..1.
        loss: the chance that no echo comes back (glass, leaves).
    """

    reflect: float
    albedo: float
    loss: float = 0.0


@dataclass(frozen=True, kw_only=True, eq=False)
class Solid:
    """M boxes and balls of one object, in its own coordinates: x forward, y right, z up from the ground.

    Attributes:
        is_ball: [M] bool; the others are boxes.
        from_unit: [M, 3, 3], takes the cube or ball of half size 1 to its shape, before `centres` is added.
        centres: [M, 3].
        skins: [M, 3]: reflect, albedo, loss.
    """

    is_ball: np.ndarray
    from_unit: np.ndarray
    centres: np.ndarray
    skins: np.ndarray

    @cached_property
    def extent(self) -> np.ndarray:
        """[2, 3]: the least and the greatest x, y, z."""
        boxes = np.abs(self.from_unit).sum(axis=2)
        balls = np.sqrt((self.from_unit**2).sum(axis=2))
        half = np.where(self.is_ball[:, None], balls, boxes)
        return np.stack([(self.centres - half).min(axis=0), (self.centres + half).max(axis=0)])


@dataclass(frozen=True, kw_only=True)
class Pose:
    """Where an object stands and which way it looks (radians from x towards y)."""

    x: float
    y: float
    yaw: float

    @property
    def rotation(self) -> np.ndarray:
        """[2, 2]: own directions to the street's."""
        c, s = math.cos(self.yaw), math.sin(self.yaw)
        return np.array([[c, -s], [s, c]])


@dataclass(frozen=True, kw_only=True, eq=False)
class Layer:
    """One object, or the part of it on one side of the seam, as if nothing stood in front.

    Attributes:
        label: its class, or -1 for what is only scenery.
        rows, columns: the part of the picture that the arrays [h, w] cover.
        mask: where it is met.
        range_m: along the ray; infinite outside the mask.
        facing: cosine between the surface and the ray, 0..1.
        light: share of the sun that the surface gets, 0..1.
        skin: [h, w, 3] as `Solid.skins`.
    """

    label: int
    rows: slice
    columns: slice
    mask: np.ndarray
    range_m: np.ndarray
    facing: np.ndarray
    light: np.ndarray
    skin: np.ndarray


def cast(solid: Solid, pose: Pose, *, sensor: Sensor, label: int, sun: np.ndarray) -> list[Layer]:
    """The layers of one object: none where no ray meets it, two where it lies across the seam.

    Args:
        solid: what.
        pose: where; the sensor must stand outside.
        sensor: the rays.
        label: kept in the layers.
        sun: [3] direction towards the sun, street coordinates.
    """
    first_column, last_column, first_row, last_row = _window(solid, pose, sensor=sensor)
    if last_row <= first_row or last_column <= first_column:
        return []
    width = sensor.size_hw[1]
    columns = np.arange(first_column, last_column)
    flat = sensor.directions_xy[columns % width]
    rises = sensor.tangents[first_row:last_row]
    rays = np.empty((len(rises), len(columns), 3), dtype=np.float32)
    rays[..., :2], rays[..., 2] = flat, rises[:, None]
    way, facing, light, skin = _meet(solid, pose, rays.reshape(-1, 3), height_m=sensor.height_m, sun=sun)
    shape = rays.shape[:2]
    way, facing, light, skin = way.reshape(shape), facing.reshape(shape), light.reshape(shape), skin.reshape(*shape, 3)
    range_m = way * np.sqrt(1 + rises[:, None] ** 2)  # rays are as long as their horizontal way is 1
    mask = np.isfinite(way)
    layers = []
    for start in range(first_column // width * width, last_column, width):
        low, high = max(first_column, start), min(last_column, start + width)
        part = slice(low - first_column, high - first_column)
        if mask[:, part].any():
            layers.append(
                Layer(
                    label=label,
                    rows=slice(first_row, last_row),
                    columns=slice(low - start, high - start),
                    mask=mask[:, part],
                    range_m=range_m[:, part],
                    facing=facing[:, part],
                    light=light[:, part],
                    skin=skin[:, part],
                )
            )
    return layers


def _window(solid: Solid, pose: Pose, *, sensor: Sensor) -> tuple[int, int, int, int]:
    """Columns (unwrapped) and rows that an object can touch: first and one past the last of each."""
    (x0, y0, z0), (x1, y1, z1) = solid.extent.tolist()
    corners = np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]]) @ pose.rotation.T + (pose.x, pose.y)
    middle = corners.mean(axis=0)
    centre = math.atan2(middle[1], middle[0])
    angles = np.arctan2(corners[:, 1], corners[:, 0])
    angles = centre + (angles - centre + math.pi) % (2 * math.pi) - math.pi
    columns = sensor.columns(angles)
    own = -np.array([pose.x, pose.y]) @ pose.rotation  # the sensor, in the object's coordinates
    nearest = math.hypot(max(x0 - own[0], own[0] - x1, 0.0), max(y0 - own[1], own[1] - y1, 0.0))
    assert nearest > 0, f"the sensor stands inside an object at {pose}"
    ways = np.array([nearest, np.hypot(corners[:, 0], corners[:, 1]).max()])
    rows = sensor.rows(np.concatenate([(z - sensor.height_m) / ways for z in (z0, z1)]))
    last = sensor.size_hw[0]
    return (
        math.floor(columns.min()) - _SPARE,
        math.ceil(columns.max()) + _SPARE,
        min(last, max(0, math.floor(rows.min()) - _SPARE)),
        min(last, max(0, math.ceil(rows.max()) + _SPARE)),
    )


def _meet(
    solid: Solid, pose: Pose, rays: np.ndarray, *, height_m: float, sun: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Rays [P, 3] from the sensor: horizontal way [P], facing [P], light [P], skin [P, 3]."""
    turned = np.ascontiguousarray(rays.T)  # [3, P]: long rows are quicker than many short ones
    turned[:2] = pose.rotation.T.astype(np.float32) @ turned[:2]
    own = np.array([*(-np.array([pose.x, pose.y]) @ pose.rotation), height_m])
    to_unit = np.linalg.inv(solid.from_unit).astype(np.float32)
    starts = np.einsum("mij,mj->mi", to_unit, own - solid.centres).astype(np.float32)
    aims = to_unit @ turned  # [M, 3, P]
    ways = np.empty((len(starts), len(rays)), dtype=np.float32)
    ball = solid.is_ball
    ways[ball] = _ball_ways(starts[ball], aims[ball])
    ways[~ball] = _box_ways(starts[~ball], aims[~ball])
    which = ways.argmin(axis=0)
    every = np.arange(len(rays))
    way = ways[which, every]
    stretch = np.where(np.isfinite(way), way, 0.0)[:, None]
    normals = _normals(ball[which], starts[which] + aims[which, :, every] * stretch, to_unit[which])
    x, y, z = normals.T
    length = np.sqrt(turned[0] ** 2 + turned[1] ** 2 + turned[2] ** 2)
    slope = (x * turned[0] + y * turned[1] + z * turned[2]) / length
    towards = np.array([*(sun[:2] @ pose.rotation), sun[2]], dtype=np.float32)
    light = (normals @ towards) * -np.sign(slope)  # the side that we see
    return way, np.abs(slope), light.clip(min=0), solid.skins.astype(np.float32)[which]


def _ball_ways(starts: np.ndarray, aims: np.ndarray) -> np.ndarray:
    """Starts [M, 3], aims [M, 3, P]: way to the unit ball [M, P], infinite where it is missed."""
    x, y, z = aims[:, 0], aims[:, 1], aims[:, 2]
    a = x * x + y * y + z * z
    b = x * starts[:, :1] + y * starts[:, 1:2] + z * starts[:, 2:]
    c = (starts**2).sum(axis=1)[:, None] - 1
    inner = b * b - a * c
    way = (-b - np.sqrt(inner.clip(min=0))) / a
    return np.where((inner > 0) & (way > 0), way, _FAR)


def _box_ways(starts: np.ndarray, aims: np.ndarray) -> np.ndarray:
    """Starts [M, 3], aims [M, 3, P]: way to the unit cube [M, P], infinite where it is missed."""
    inverse = 1 / np.where(np.abs(aims) < 1e-9, np.float32(1e-9), aims)
    middle, half = -starts[:, :, None] * inverse, np.abs(inverse)
    enters, leaves = middle - half, middle + half
    enter = np.maximum(np.maximum(enters[:, 0], enters[:, 1]), enters[:, 2])
    leave = np.minimum(np.minimum(leaves[:, 0], leaves[:, 1]), leaves[:, 2])
    return np.where((enter < leave) & (enter > 0), enter, _FAR)


def _normals(is_ball: np.ndarray, hits: np.ndarray, to_unit: np.ndarray) -> np.ndarray:
    """Unit normals [P, 3] of the shapes at hits [P, 3] on the unit ball or cube."""
    side = np.abs(hits).argmax(axis=1)
    axis = np.zeros_like(hits)
    axis[np.arange(len(hits)), side] = 1
    own = np.where(is_ball[:, None], hits, axis)
    normals = own[:, :1] * to_unit[:, 0] + own[:, 1:2] * to_unit[:, 1] + own[:, 2:] * to_unit[:, 2]
    x, y, z = normals.T
    return normals / np.sqrt(x * x + y * y + z * z).clip(min=1e-9)[:, None]
