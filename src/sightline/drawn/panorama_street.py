"""Where things stand in a street: houses, hedges, poles and trees, and on the ground between them the objects.

In: a random generator. Out: a `Street` of upright boxes and tree crowns, and the objects with their poses.
Next: panorama_scenery.py
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from sightline.drawn.panorama_objects import (
    BICYCLE,
    BUS,
    CAR,
    CLASSES,
    MOTORCYCLE,
    PERSON,
    RIDER,
    SCOOTER,
    TRUCK,
    Body,
    make_object,
)
from sightline.drawn.panorama_rays import Pose, Skin, Solid

# Boxes a picture in the `driving` data, 18,287 in about 1,616 pictures. Its smaller part has no motorcycle at all;
# here a few are drawn, so that the class can be learnt and scored.
BOXES_PER_PICTURE = (5.92, 0.076, 0.275, 0.04, 0.645, 0.38, 3.04, 0.983)
# So many are placed for one box to be left: others are hidden, or too small. Measured over 1,500 pictures.
_PLACED_PER_BOX = (1.16, 1.28, 1.4, 1.25, 1.22, 1.42, 1.18, 1.2)

_LANE = 3.5
_CLEAR_M = 3.2  # nothing stands nearer to the sensor: it is on the roof of a car
_FARTHEST_M = {CAR: 60.0, TRUCK: 70.0, BUS: 75.0, MOTORCYCLE: 35.0}
_FARTHEST_SMALL_M = 32.0
# Shape and scale of the way along the street; trucks and buses are labelled near by, as their mean areas there tell.
_HOW_FAR = {CAR: (1.7, 9.5), TRUCK: (1.5, 4.5), BUS: (1.7, 4.7)}
_TRIES = 6
_THIN = 0.45  # half a beam's width, in gaps between rays
_LEAF = Skin(reflect=0.5, albedo=0.75, loss=0.3)

PLAIN, FACADE = 0, 1


@dataclass(frozen=True, kw_only=True)
class Upright:
    """An upright box along the street's axes: a house, a hedge, a pole, the plate of a sign."""

    x0: float
    x1: float
    y0: float
    y1: float
    z0: float
    z1: float
    skin: Skin
    kind: int = PLAIN
    window_m: float = 2.5  # from window to window, along the wall
    floor_m: float = 3.0


@dataclass(kw_only=True)
class Street:
    """One place.

    Attributes:
        kerbs, walls: y of the left and right kerb, and of the left and right line of houses.
        parking: whether cars park at the left and right kerb.
        crossing: x of the near and far kerb of a street that crosses this one, or None.
        uprights: all that is a box along the axes.
        crowns: of trees.
        sun: [3], the direction towards it.
        sun_share: of the daylight, 0 on a dull day.
        pixel_rad: the angle between rays; nothing is drawn thinner than that.
    """

    kerbs: tuple[float, float]
    walls: tuple[float, float]
    parking: tuple[bool, bool]
    crossing: tuple[float, float] | None
    sun: np.ndarray
    sun_share: float
    pixel_rad: float
    uprights: list[Upright] = field(default_factory=list)
    crowns: list[tuple[Solid, Pose]] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class Placed:
    """An object in its place."""

    label: int
    solid: Solid
    pose: Pose


def lay_street(rng: np.random.Generator, *, pixel_rad: float) -> Street:
    """Draw a place; the sensor stands in the right lane, at (0, 0)."""
    parking = (bool(rng.random() < 0.6), bool(rng.random() < 0.6))
    left = -1.5 * _LANE - (2.3 if parking[0] else 0.3)
    right = 0.5 * _LANE + (2.3 if parking[1] else 0.3)
    gardens = np.where(rng.random(2) < 0.5, 0.0, rng.uniform(1.0, 9.0, 2))
    walks = rng.uniform(2.0, 4.5, 2)
    walls = (left - float(walks[0] + gardens[0]), right + float(walks[1] + gardens[1]))
    crossing = None
    if rng.random() < 0.45:
        near = float(rng.uniform(-30, 30))
        crossing = (near, near + float(rng.uniform(7, 13)))
    turn, height = rng.uniform(0, 2 * math.pi), math.radians(rng.uniform(15, 50))
    street = Street(
        kerbs=(left, right),
        walls=walls,
        parking=parking,
        crossing=crossing,
        sun=np.array([math.cos(turn) * math.cos(height), math.sin(turn) * math.cos(height), math.sin(height)]),
        sun_share=0.0 if rng.random() < 0.4 else float(rng.uniform(0.4, 0.8)),
        pixel_rad=pixel_rad,
    )
    for side in (0, 1):
        _houses(street, rng, side=side)
        _furniture(street, rng, side=side)
    if rng.random() < 0.7:  # the street bends: houses across its end
        for end in (-1, 1):
            far = end * float(rng.uniform(55, 110))
            street.uprights.append(_house(rng, (min(far, far + end * 12), max(far, far + end * 12)), (-40.0, 40.0)))
    return street


def place_objects(rng: np.random.Generator, street: Street) -> list[Placed]:
    """Draw which objects there are and put each where its class is met, none through another."""
    taken: list[tuple[float, float, float, float]] = [(-2.4, 2.4, -1.0, 1.0)]  # the sensor's own car
    placed: list[Placed] = []
    # Busy and quiet places: cars and people come together, more unevenly than chance.
    busy = {label: float(rng.gamma(2.5, 1 / 2.5)) for label in (CAR, PERSON)}
    for label in range(len(CLASSES)):
        mean = BOXES_PER_PICTURE[label] * _PLACED_PER_BOX[label] * busy[CAR if label in (CAR, TRUCK, BUS) else PERSON]
        before: Pose | None = None
        for _ in range(int(rng.poisson(mean))):
            for _ in range(_TRIES):
                pose = _draw_pose(rng, street, label=label, before=before)
                thin_m = _THIN * street.pixel_rad * math.hypot(pose.x, pose.y)
                solid = make_object(rng, label=label, thin_m=thin_m)
                footprint = _footprint(solid, pose)
                if _is_clear(footprint, taken) and _is_outside_walls(footprint, street):
                    taken.append(footprint)
                    placed.append(Placed(label=label, solid=solid, pose=pose))
                    before = pose
                    break
    return placed


def _draw_pose(rng: np.random.Generator, street: Street, *, label: int, before: Pose | None) -> Pose:
    """A likely place for a class; small things like company."""
    if label in (CAR, TRUCK, BUS):
        return _driving_pose(rng, street, label=label)
    ahead = 1.0 if rng.random() < 0.5 else -1.0
    x = ahead * min(_FARTHEST_SMALL_M, float(rng.gamma(2.0, 5.5)) + 1.0)
    side = int(rng.integers(2))
    kerb, wall = street.kerbs[side], street.walls[side]
    outwards = 1.0 if side else -1.0
    if label == RIDER:
        y = kerb - outwards * float(rng.uniform(0.5, 1.6)) if rng.random() < 0.65 else _between(rng, kerb, wall)
        yaw = 0.0 if side else math.pi
        yaw += math.pi if rng.random() < 0.2 else 0.0
        return Pose(x=x, y=y, yaw=yaw + float(rng.normal(0, 0.2)))
    company = {PERSON: 0.4, BICYCLE: 0.45, SCOOTER: 0.35, MOTORCYCLE: 0.2}[label]
    if before is not None and rng.random() < company:
        reach = 1.0 if label == PERSON else 0.8
        yaw = before.yaw + float(rng.normal(0, 0.6 if label == PERSON else 0.1))
        return Pose(x=before.x + float(rng.normal(0, reach)), y=before.y + float(rng.normal(0, reach)), yaw=yaw)
    if label == PERSON and rng.random() < 0.15:  # on the road
        y = float(rng.uniform(*street.kerbs))
    elif label == MOTORCYCLE:
        y = kerb + outwards * float(rng.uniform(-1.4, 0.8))
    else:
        y = _between(rng, kerb + 0.4 * outwards, wall - 0.4 * outwards)
    return Pose(x=x, y=y, yaw=float(rng.uniform(-math.pi, math.pi)))


def _driving_pose(rng: np.random.Generator, street: Street, *, label: int) -> Pose:
    """In a lane, at the kerb, or in the street that crosses."""
    ahead = 1.0 if rng.random() < 0.55 else -1.0
    far = _FARTHEST_M[label]
    x = ahead * min(far, float(rng.gamma(*_HOW_FAR[label])) + 1.5)
    where = rng.random()
    if street.crossing is not None and where < 0.25:
        near, end = street.crossing
        outwards = 1.0 if rng.random() < 0.5 else -1.0
        lane = near + (end - near) * (0.3 if outwards > 0 else 0.7)
        return Pose(x=lane, y=outwards * float(rng.gamma(2.0, 8.0)), yaw=outwards * math.pi / 2)
    side = int(rng.integers(2))
    if where < (0.7 if label == CAR else 0.35) and street.parking[side]:
        y = street.kerbs[side] + (-1.1 if side else 1.1)
        yaw = (0.0 if side else math.pi) + (math.pi if rng.random() < 0.2 else 0.0)
        return Pose(x=x, y=y, yaw=yaw + float(rng.normal(0, 0.03)))
    if where > 0.93 and label == CAR:  # in a yard, across
        y = _between(rng, street.kerbs[side], street.walls[side])
        return Pose(x=x, y=y, yaw=float(rng.choice([-0.5, 0.5])) * math.pi + float(rng.normal(0, 0.1)))
    own = rng.random() < 0.5
    y = float(rng.normal(0.0 if own else -_LANE, 0.2))
    return Pose(x=x, y=y, yaw=(0.0 if own else math.pi) + float(rng.normal(0, 0.04)))


def _footprint(solid: Solid, pose: Pose) -> tuple[float, float, float, float]:
    """x0, x1, y0, y1 of the ground that an object stands on, with a hand's breadth around."""
    (x0, y0, _), (x1, y1, _) = solid.extent
    corners = np.array([[x0, y0], [x1, y0], [x1, y1], [x0, y1]]) @ pose.rotation.T
    (left, near), (right, far) = corners.min(axis=0) - 0.1, corners.max(axis=0) + 0.1
    return float(left) + pose.x, float(right) + pose.x, float(near) + pose.y, float(far) + pose.y


def _is_clear(footprint: tuple[float, float, float, float], taken: list[tuple[float, float, float, float]]) -> bool:
    x0, x1, y0, y1 = footprint
    if math.hypot(max(x0, -x1, 0.0), max(y0, -y1, 0.0)) < _CLEAR_M:
        return False
    return not any(x0 < b and a < x1 and y0 < d and c < y1 for a, b, c, d in taken)


def _is_outside_walls(footprint: tuple[float, float, float, float], street: Street) -> bool:
    x0, x1, y0, y1 = footprint
    if street.walls[0] < y0 and y1 < street.walls[1]:
        return True
    return street.crossing is not None and street.crossing[0] < x0 and x1 < street.crossing[1]


def _houses(street: Street, rng: np.random.Generator, *, side: int) -> None:
    """A row of houses along one side, with gaps, leaving the crossing street open."""
    x = -75.0
    outwards = 1.0 if side else -1.0
    common = float(rng.uniform(6, 18))
    while x < 75.0:
        end = x + float(rng.uniform(9, 26))
        if street.crossing is not None and x < street.crossing[1] and end > street.crossing[0]:
            if street.crossing[0] - x > 5:
                end = street.crossing[0]
            else:
                x = street.crossing[1]
                continue
        y = street.walls[side] + outwards * float(rng.choice([0.0, 0.0, 0.6, 3.0]))
        back = y + outwards * 12
        house = _house(rng, (x, end), (min(y, back), max(y, back)), common=common)
        street.uprights.append(house)
        x = end + (float(rng.uniform(2, 12)) if rng.random() < 0.3 else 0.0)


def _house(
    rng: np.random.Generator, along: tuple[float, float], across: tuple[float, float], *, common: float = 10.0
) -> Upright:
    skin = Skin(reflect=float(rng.uniform(0.12, 0.75)), albedo=float(rng.uniform(0.15, 0.8)), loss=0.01)
    return Upright(
        x0=along[0], x1=along[1], y0=across[0], y1=across[1], z0=0.0, z1=max(3.0, common + float(rng.normal(0, 2.5))),
        skin=skin, kind=FACADE, window_m=float(rng.uniform(1.6, 3.4)), floor_m=float(rng.uniform(2.7, 3.6)),
    )  # fmt: skip


def _furniture(street: Street, rng: np.random.Generator, *, side: int) -> None:
    """Hedges, fences, lamp posts, signs, bins and trees on one pavement: much of it as narrow as a person."""
    outwards = 1.0 if side else -1.0
    kerb, wall = street.kerbs[side], street.walls[side]
    if abs(wall - kerb) > 5 and rng.random() < 0.7:
        hedge = rng.random() < 0.5
        skin = _LEAF if hedge else Skin(reflect=float(rng.uniform(0.2, 0.7)), albedo=float(rng.uniform(0.2, 0.8)))
        y = kerb + outwards * (abs(wall - kerb) - 1.5)
        gap = float(rng.uniform(-20, 20))
        high = float(rng.uniform(0.6, 1.7))
        for x0, x1 in ((-60.0, gap), (gap + float(rng.uniform(3, 12)), 60.0)):
            street.uprights.append(Upright(x0=x0, x1=x1, y0=y, y1=y + 0.3, z0=0.0, z1=high, skin=skin))
    spacing, x = float(rng.uniform(14, 30)), float(rng.uniform(-55, -40))
    y = kerb + outwards * 0.5
    while x < 55:
        _post(street, x, y, half=0.07, high=7.0, skin=Skin(reflect=0.35, albedo=0.3))
        x += spacing
    for _ in range(int(rng.poisson(1.6))):  # road signs
        x = float(rng.uniform(-35, 35))
        high = float(rng.uniform(2.0, 2.8))
        _post(street, x, y, half=0.035, high=high, skin=Skin(reflect=0.3, albedo=0.3))
        plate = Skin(reflect=4.0, albedo=0.7)
        half = float(rng.uniform(0.25, 0.4))
        street.uprights.append(
            Upright(x0=x - 0.03, x1=x + 0.03, y0=y - half, y1=y + half, z0=high - 2 * half, z1=high, skin=plate)
        )
    for _ in range(int(rng.poisson(1.2))):  # bins, boxes and bollards
        half, high = (0.28, 1.15) if rng.random() < 0.5 else (0.09, 0.95)
        skin = Skin(reflect=float(rng.uniform(0.1, 0.6)), albedo=float(rng.uniform(0.1, 0.7)))
        _post(street, float(rng.uniform(-25, 25)), kerb + outwards * 1.2, half=half, high=high, skin=skin)
    if rng.random() < 0.5:
        _trees(street, rng, y=kerb + outwards * float(rng.uniform(0.8, max(1.0, abs(wall - kerb) - 1.0))))


def _post(street: Street, x: float, y: float, *, half: float, high: float, skin: Skin) -> None:
    half = max(half, _THIN * street.pixel_rad * math.hypot(x, y))
    street.uprights.append(Upright(x0=x - half, x1=x + half, y0=y - half, y1=y + half, z0=0.0, z1=high, skin=skin))


def _trees(street: Street, rng: np.random.Generator, *, y: float) -> None:
    for _ in range(int(rng.integers(1, 4))):
        x = float(rng.choice([-1, 1])) * float(rng.uniform(5, 45))
        trunk = float(rng.uniform(2.0, 3.5))
        _post(street, x, y, half=float(rng.uniform(0.1, 0.25)), high=trunk + 1, skin=Skin(reflect=0.3, albedo=0.35))
        crown = Body(rng, thin_m=0.0)
        size = float(rng.uniform(1.0, 2.0))
        for _ in range(4):
            dx, dy, dz = rng.normal(0, 0.45 * size, 3).tolist()
            crown.ball((dx, dy, trunk + size + dz), (0.8 * size, 0.8 * size, 0.7 * size), _LEAF)
        pose = Pose(x=x, y=y, yaw=0.0)
        if math.hypot(x, y) > 3 * size:
            street.crowns.append((crown.solid(), pose))


def _between(rng: np.random.Generator, first: float, second: float) -> float:
    """Uniform between two numbers in either order."""
    return first + (second - first) * float(rng.random())
