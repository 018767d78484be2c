"""What the sensor sees of a street without objects: sky, ground, and all that stands upright along its axes.

In: a `Street` and a `Sensor`. Out: an `Echo` over the whole picture, on which objects are laid.
Next: panorama_channels.py
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import cv2
import numpy as np

from sightline.drawn.panorama_rays import Sensor
from sightline.drawn.panorama_street import FACADE, Placed, Street

_DEEP = 6  # so many uprights, one behind another, are looked at for each column
_SKYLIGHT = 0.45


@dataclass(kw_only=True, eq=False)
class Echo:
    """What comes back to each pixel, before noise; every array [H, W] float32.

    Attributes:
        range_m: along the ray; infinite in the sky.
        laser: share of the laser's light thrown back at 1 m.
        daylight: of the sun and the sky.
        loss: the chance that the laser's echo is lost.
    """

    range_m: np.ndarray
    laser: np.ndarray
    daylight: np.ndarray
    loss: np.ndarray


def daylight(albedo: np.ndarray, light: np.ndarray, *, sun_share: float) -> np.ndarray:
    """Brightness of a surface that the sun meets at cosine `light`."""
    return albedo * (_SKYLIGHT + sun_share * light)


def see_street(street: Street, *, sensor: Sensor, objects: list[Placed], rng: np.random.Generator) -> Echo:
    """Sky and ground first, then uprights in front of them; `objects` throw shadows."""
    echo = _sky(rng, street, sensor=sensor)
    _lay_ground(echo, street, sensor=sensor, objects=objects, rng=rng)
    _raise_uprights(echo, street, sensor=sensor)
    return echo


def _sky(rng: np.random.Generator, street: Street, *, sensor: Sensor) -> Echo:
    shape = sensor.size_hw
    base = rng.uniform(0.05, 0.2) if street.sun_share else rng.uniform(0.25, 0.7)
    bright = base + rng.uniform(0.0, 0.25) * _cloudy(rng, shape, coarse=(4, 12)).clip(min=0)
    return Echo(
        range_m=np.full(shape, np.inf, dtype=np.float32),
        laser=np.zeros(shape, dtype=np.float32),
        daylight=bright.clip(min=0.02).astype(np.float32),
        loss=np.ones(shape, dtype=np.float32),
    )


def _lay_ground(echo: Echo, street: Street, *, sensor: Sensor, objects: list[Placed], rng: np.random.Generator) -> None:
    """Road, marks, pavements, what lies before the houses, and shadows on them."""
    first = int(np.argmax(sensor.tangents < -1e-4))
    rises = sensor.tangents[first:, None]
    way = -np.float32(sensor.height_m) / rises
    x, y = way * sensor.directions_xy[:, 0], way * sensor.directions_xy[:, 1]
    left, right = (np.float32(k) for k in street.kerbs)
    road = (y > left) & (y < right)
    if street.crossing is not None:
        road |= (x > np.float32(street.crossing[0])) & (x < np.float32(street.crossing[1]))
    asphalt, paving, verge = rng.uniform(0.1, 0.25), rng.uniform(0.2, 0.45), rng.uniform(0.25, 0.6)
    beyond = (y < left - 2.5) | (y > right + 2.5)
    reflect = np.where(road, asphalt, np.where(beyond, verge, paving)).astype(np.float32)
    marks = _marks(x, y, street) & road
    reflect[marks] = rng.uniform(0.6, 1.5)
    reflect *= (1 + 0.25 * _cloudy(rng, reflect.shape, coarse=(6, 40))).clip(min=0.3)
    albedo = np.where(beyond & ~road, rng.uniform(0.4, 0.8), rng.uniform(0.5, 1.3) * reflect)
    lit = _sunny(x, y, street, objects=objects) * np.float32(street.sun[2])
    part = slice(first, None)
    facing = -rises / np.sqrt(1 + rises**2)
    echo.range_m[part] = way * np.sqrt(1 + rises**2)
    echo.laser[part] = reflect * np.sqrt(facing)
    echo.daylight[part] = daylight(albedo, lit, sun_share=street.sun_share)
    # At a grazing angle most of the light goes on instead of back.
    echo.loss[part] = np.clip((way - 28.0) / 50.0, 0.01, 0.95)


def _marks(x: np.ndarray, y: np.ndarray, street: Street) -> np.ndarray:
    """A dashed line between the lanes, full lines at the parking strips, bars of a crossing for walkers."""
    middle = (np.abs(y + np.float32(1.75)) < 0.09) & (x % 6 < 3)
    edges = np.zeros_like(middle)
    for kerb, parked in zip(street.kerbs, street.parking, strict=True):
        if parked:
            edges |= np.abs(y - np.float32(kerb + (2.3 if kerb < 0 else -2.3))) < 0.08
    if street.crossing is not None:
        bars = np.abs(x - np.float32(street.crossing[0] - 2.0)) < 1.3
        edges |= bars & (y % 1 < 0.5)
    return middle | edges


def _sunny(x: np.ndarray, y: np.ndarray, street: Street, *, objects: list[Placed]) -> np.ndarray:
    """1 where the sun reaches the ground, 0 in the shadow of houses and objects."""
    lit = np.ones(x.shape, dtype=np.float32)
    if not street.sun_share:
        # Even on a dull day it is darker under a car.
        away, stretch = np.zeros(2), 0.0
    else:
        away, stretch = -street.sun[:2] / street.sun[2], 1.0
        wall = street.walls[1] if street.sun[1] > 0 else street.walls[0]
        edge = wall + away[1] * 8.0  # houses are about 8 m high
        lit[(y > edge) if street.sun[1] > 0 else (y < edge)] = 0.0
    for placed in objects:
        (x0, y0, _), (x1, y1, high) = placed.solid.extent.tolist()
        shift = (away * stretch * high) @ placed.pose.rotation
        near = (np.abs(x - placed.pose.x) < 12) & (np.abs(y - placed.pose.y) < 12)
        rows, columns = np.flatnonzero(near.any(axis=1)), np.flatnonzero(near.any(axis=0))
        if not len(rows):
            continue
        part = (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
        c, s = math.cos(placed.pose.yaw), math.sin(placed.pose.yaw)
        dx, dy = x[part] - placed.pose.x, y[part] - placed.pose.y
        own_x, own_y = dx * c + dy * s, dy * c - dx * s
        dark = (own_x > x0 + min(0.0, shift[0])) & (own_x < x1 + max(0.0, shift[0]))
        dark &= (own_y > y0 + min(0.0, shift[1])) & (own_y < y1 + max(0.0, shift[1]))
        lit[part][dark] = 0.0
    return lit


def _raise_uprights(echo: Echo, street: Street, *, sensor: Sensor) -> None:
    """For each column the nearest uprights; for each pixel the first of them that its ray meets."""
    ways, which, along_x = _entries(street, sensor=sensor)  # [K, W] each
    table = {
        name: np.array([getattr(u, name) for u in street.uprights], dtype=np.float32)[which]
        for name in ("z0", "z1", "kind", "window_m", "floor_m")
    }
    skin = np.array([(u.skin.reflect, u.skin.albedo, u.skin.loss) for u in street.uprights], dtype=np.float32)[which]
    with np.errstate(invalid="ignore"):
        top = (table["z1"] - np.float32(sensor.height_m)) / ways
        bottom = (table["z0"] - np.float32(sensor.height_m)) / ways
    rises = sensor.tangents[:, None]
    chosen = np.full(sensor.size_hw, -1, dtype=np.int64)
    for k in reversed(range(len(ways))):
        chosen[(rises < top[k]) & (rises > bottom[k]) & np.isfinite(ways[k])] = k
    places = np.flatnonzero(chosen >= 0)  # flat positions in the picture, and of what is met there in [K, W]
    rows, columns = np.divmod(places, chosen.shape[1])
    at = chosen.ravel()[places] * chosen.shape[1] + columns
    rise = sensor.tangents[rows]
    range_m = ways.ravel()[at] * np.sqrt(1 + rise**2)
    nearer = range_m < echo.range_m.ravel()[places]
    places, at, rise, range_m = places[nearer], at[nearer], rise[nearer], range_m[nearer]
    way = ways.ravel()[at]
    flat = np.where(along_x, np.abs(sensor.directions_xy[:, 0]), np.abs(sensor.directions_xy[:, 1]))
    signs = -np.sign(np.where(along_x, sensor.directions_xy[:, 0], sensor.directions_xy[:, 1]))
    light = (signs * np.where(along_x, street.sun[0], street.sun[1])).clip(min=0).astype(np.float32)
    is_window = _windows(table, ways, along_x, at=at, z=sensor.height_m + way * rise, sensor=sensor)
    laser = skin[..., 0] * np.sqrt(flat)
    bright = daylight(skin[..., 1], light, sun_share=street.sun_share)
    loss = skin[..., 2].ravel()[at] + np.clip((way - 60) / 60, 0, 0.9)
    echo.range_m.ravel()[places] = range_m
    echo.laser.ravel()[places] = laser.ravel()[at] * np.where(is_window, np.float32(0.2), np.float32(1))
    echo.daylight.ravel()[places] = bright.ravel()[at] * np.where(is_window, np.float32(0.35), np.float32(1))
    echo.loss.ravel()[places] = np.where(is_window, np.float32(0.35), loss)


def _entries(street: Street, *, sensor: Sensor) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The nearest uprights of each column: way to them (infinite for none), their number, whether met end-on in x."""
    sides = np.array([(u.x0, u.x1, u.y0, u.y1) for u in street.uprights], dtype=np.float32).T
    aims = np.where(np.abs(sensor.directions_xy) < 1e-7, np.float32(1e-7), sensor.directions_xy)
    x0, x1, y0, y1 = (side / aims[:, axis, None] for side, axis in zip(sides, (0, 0, 1, 1), strict=True))  # [W, B]
    enter_x, enter_y = np.minimum(x0, x1), np.minimum(y0, y1)
    enter = np.maximum(enter_x, enter_y)
    leave = np.minimum(np.maximum(x0, x1), np.maximum(y0, y1))
    enter[(enter >= leave) | (enter <= 0)] = np.inf
    deep = min(_DEEP, enter.shape[1])
    which = np.argpartition(enter, deep - 1, axis=1)[:, :deep] if deep < enter.shape[1] else np.argsort(enter, axis=1)
    ways = np.take_along_axis(enter, which, axis=1)
    order = np.argsort(ways, axis=1)
    which, ways = np.take_along_axis(which, order, axis=1), np.take_along_axis(ways, order, axis=1)
    along_x = np.take_along_axis(enter_x >= enter_y, which, axis=1)
    return ways.T, which.T, along_x.T


def _windows(
    table: dict[str, np.ndarray], ways: np.ndarray, along_x: np.ndarray, *,
    at: np.ndarray, z: np.ndarray, sensor: Sensor,
) -> np.ndarray:  # fmt: skip
    """Which pixels of facades are glass: regular along the wall and upwards."""
    directions = sensor.directions_xy
    safe = np.where(np.isfinite(ways), ways, 0)
    along = safe * np.where(along_x, directions[:, 1], directions[:, 0])
    share = along / table["window_m"] % 1
    column = (table["kind"] == FACADE) & (share > 0.3) & (share < 0.72)
    floor = z / table["floor_m"].ravel()[at] % 1
    below_roof = z < table["z1"].ravel()[at] - 0.6
    return column.ravel()[at] & (floor > 0.32) & (floor < 0.78) & below_roof


def _cloudy(rng: np.random.Generator, shape: tuple[int, ...], *, coarse: tuple[int, int]) -> np.ndarray:
    """A smooth random field [H, W] of standard deviation about 0.6."""
    grid = rng.standard_normal(coarse, dtype=np.float32)
    return cv2.resize(grid, (shape[1], shape[0]), interpolation=cv2.INTER_LINEAR)
