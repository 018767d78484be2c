"""The eight classes of the street as solids: plain shapes in true sizes, each with its own outline.

Sizes and looks are drawn at random. What would be thinner than a ray's footprint at its distance is thickened to it,
as a real beam is as wide as the gap to the next one.
Next: panorama_street.py
"""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise

import numpy as np

from sightline.drawn.panorama_rays import Skin, Solid

CLASSES = ("car", "truck", "bus", "motorcycle", "bicycle", "scooter", "person", "rider")
CAR, TRUCK, BUS, MOTORCYCLE, BICYCLE, SCOOTER, PERSON, RIDER = range(len(CLASSES))

GLASS = Skin(reflect=0.06, albedo=0.1, loss=0.55)
RUBBER = Skin(reflect=0.05, albedo=0.08, loss=0.05)
MIRROR = Skin(reflect=4.0, albedo=0.6)  # number plates, lamps, vests
STEEL = Skin(reflect=0.3, albedo=0.25)
FLESH = Skin(reflect=0.45, albedo=0.55)

Vector = tuple[float, float, float]


class Body:
    """Collects boxes, balls and limbs of one object."""

    def __init__(self, rng: np.random.Generator, *, thin_m: float) -> None:
        """`thin_m`: no half thickness below this."""
        self.rng, self.thin_m = rng, thin_m
        self._balls: list[bool] = []
        self._shapes: list[np.ndarray] = []
        self._centres: list[Vector] = []
        self._skins: list[tuple[float, float, float]] = []

    def box(self, centre: Vector, half: Vector, skin: Skin, *, lean: float = 0.0) -> None:
        """A box; its top is `lean` metres ahead of its middle, its bottom as much behind."""
        shape = np.diag([max(side, self.thin_m) for side in half])
        shape[0, 2] = lean
        self._add(centre, shape, skin, ball=False)

    def ball(self, centre: Vector, half: Vector, skin: Skin) -> None:
        """An ellipsoid."""
        self._add(centre, np.diag([max(side, self.thin_m) for side in half]), skin, ball=True)

    def limb(self, start: Vector, end: Vector, radius: float, skin: Skin) -> None:
        """A rod with round ends from one point to another."""
        ax, ay, az = ((e - s) / 2 for s, e in zip(start, end, strict=True))
        length = math.sqrt(ax * ax + ay * ay + az * az)
        x, y, z = ax / length, ay / length, az / length
        # Two directions across: one in the plane where the rod is shorter, the other square to both.
        flat = math.hypot(x, y) > math.hypot(y, z)
        u = np.array([-y, x, 0.0] if flat else [0.0, z, -y]) / (math.hypot(x, y) if flat else math.hypot(y, z))
        v = np.array([y * u[2] - z * u[1], z * u[0] - x * u[2], x * u[1] - y * u[0]])
        radius = max(radius, self.thin_m)
        # A ball's ends are thin: it is made a little longer than the rod.
        shape = np.array([u * radius, v * radius, (ax * 1.12, ay * 1.12, az * 1.12)]).T
        self._add((start[0] + ax, start[1] + ay, start[2] + az), shape, skin, ball=True)

    def solid(self) -> Solid:
        """What was collected."""
        return Solid(
            is_ball=np.array(self._balls),
            from_unit=np.stack(self._shapes),
            centres=np.array(self._centres),
            skins=np.array(self._skins),
        )

    def _add(self, centre: Vector, shape: np.ndarray, skin: Skin, *, ball: bool) -> None:
        self._balls.append(ball)
        self._shapes.append(shape)
        self._centres.append(centre)
        self._skins.append((skin.reflect, skin.albedo, skin.loss))


def make_object(rng: np.random.Generator, *, label: int, thin_m: float) -> Solid:
    """One object of a class, of random build, on the ground at the origin and looking along x."""
    body = Body(rng, thin_m=thin_m)
    _MAKERS[label](body)
    return body.solid()


def _paint(rng: np.random.Generator) -> Skin:
    """Lacquer or cloth: from near black to white."""
    return Skin(reflect=float(rng.uniform(0.08, 0.9)), albedo=float(rng.uniform(0.06, 0.9)), loss=0.02)


def _wheels(body: Body, places_x: list[float], half_width: float, radius: float) -> None:
    for x in places_x:
        for side in (-1, 1):
            body.ball((x, side * (half_width - 0.1), radius), (radius, 0.14, radius), RUBBER)


def _lamps(body: Body, half_length: float, half_width: float, z: float) -> None:
    """Lamps at the four corners and a plate at each end."""
    for end in (-1, 1):
        body.box((end * half_length, 0.0, z - 0.12), (0.02, 0.26, 0.06), MIRROR)
        for side in (-1, 1):
            body.box((end * half_length, side * (half_width - 0.22), z), (0.03, 0.16, 0.07), MIRROR)


def _car(body: Body) -> None:
    rng = body.rng
    build = str(rng.choice(["sedan", "hatch", "estate", "suv", "van"], p=[0.24, 0.3, 0.2, 0.18, 0.08]))
    length = {"sedan": 4.6, "hatch": 4.0, "estate": 4.7, "suv": 4.6, "van": 5.1}[build] * rng.uniform(0.94, 1.06)
    height = {"sedan": 1.45, "hatch": 1.5, "estate": 1.5, "suv": 1.72, "van": 2.05}[build] * rng.uniform(0.96, 1.05)
    half_x, half_y = length / 2, rng.uniform(0.84, 0.95)
    floor, belt = 0.24, height * rng.uniform(0.58, 0.64)
    skin = _paint(rng)
    body.box((0.0, 0.0, (floor + belt) / 2), (half_x, half_y, (belt - floor) / 2), skin)
    # The cabin is two leaning boxes that overlap: one leans back to the windscreen, one forward from the tail.
    front = half_x * {"van": 0.72}.get(build, 0.36)
    rear = half_x * {"sedan": -0.6, "hatch": -0.9}.get(build, -0.94)
    back_lean = {"sedan": 0.26, "hatch": 0.14}.get(build, 0.05)
    middle, z, tall = (front + rear) / 2, (belt + height) / 2 - 0.03, (height - belt) / 2
    reach = (front - rear) / 4
    body.box((front - reach, 0.0, z), (reach, half_y - 0.1, tall), GLASS, lean=-0.24)
    rear_skin = skin if build == "van" else GLASS
    body.box((rear + reach, 0.0, z), (reach, half_y - 0.1, tall), rear_skin, lean=back_lean)
    body.box((middle, 0.0, height - 0.03), ((front - rear) / 2 - 0.22, half_y - 0.13, 0.035), skin)
    for x in (middle + reach * 0.2, rear + reach * 0.5):
        body.box((x, 0.0, z), (0.05, half_y - 0.08, tall), skin)  # the pillars between the windows
    radius = rng.uniform(0.29, 0.36)
    _wheels(body, [-half_x * 0.6, half_x * 0.62], half_y, radius)
    _lamps(body, half_x, half_y, belt - 0.18)


def _truck(body: Body) -> None:
    rng = body.rng
    length, half_y = rng.uniform(6.5, 10.5), rng.uniform(1.1, 1.27)
    half_x, cab_long, cab_high = length / 2, rng.uniform(1.7, 2.3), rng.uniform(2.4, 3.1)
    skin, load = _paint(rng), _paint(rng)
    cab = half_x - cab_long / 2
    body.box((cab, 0.0, (0.5 + cab_high * 0.55) / 2), (cab_long / 2, half_y, (cab_high * 0.55 - 0.5) / 2 + 0.1), skin)
    body.box((cab - 0.05, 0.0, cab_high * 0.7), (cab_long / 2 - 0.05, half_y - 0.06, cab_high * 0.15), GLASS)
    body.box((cab - 0.12, 0.0, cab_high * 0.93), (cab_long / 2 - 0.12, half_y, cab_high * 0.08), skin)
    body.box((cab - cab_long * 0.35, 0.0, cab_high * 0.7), (cab_long * 0.12, half_y, cab_high * 0.16), skin)
    body.box((0.0, 0.0, 0.75), (half_x - 0.3, 0.5, 0.16), STEEL)
    floor = rng.uniform(0.85, 1.05)
    top = rng.uniform(3.1, 3.9) if rng.random() < 0.7 else floor + rng.uniform(0.6, 1.1)  # a case, or an open bed
    long = length - cab_long - rng.uniform(0.15, 0.45)
    body.box((-half_x + long / 2, 0.0, (floor + top) / 2), (long / 2, half_y, (top - floor) / 2), load)
    _wheels(body, [half_x - 0.9, -half_x + 1.1, -half_x + 2.3], half_y, 0.48)
    _lamps(body, half_x, half_y, 0.85)


def _bus(body: Body) -> None:
    rng = body.rng
    length = rng.uniform(10.5, 13.0) if rng.random() < 0.85 else rng.uniform(16.0, 18.0)
    half_x, half_y, top = length / 2, 1.27, rng.uniform(2.9, 3.3)
    skin = _paint(rng)
    sill, lintel = rng.uniform(1.0, 1.3), top - rng.uniform(0.5, 0.75)
    body.box((0.0, 0.0, (0.32 + sill) / 2), (half_x, half_y, (sill - 0.32) / 2), skin)
    body.box((0.0, 0.0, (sill + lintel) / 2), (half_x - 0.03, half_y - 0.03, (lintel - sill) / 2), GLASS)
    body.box((0.0, 0.0, (lintel + top) / 2), (half_x, half_y, (top - lintel) / 2), skin)
    for x in np.linspace(-half_x + 0.1, half_x - 0.5, round(length / 1.6)).tolist():
        body.box((x, 0.0, (sill + lintel) / 2), (0.07, half_y, (lintel - sill) / 2), skin)
    body.box((half_x, 0.0, top - 0.25), (0.04, 0.8, 0.13), MIRROR)  # the destination sign
    axles = [half_x - 2.5, -half_x + 3.0] + ([-1.0] if length > 15 else [])
    _wheels(body, axles, half_y, 0.48)
    _lamps(body, half_x, half_y, 0.7)


def _motorcycle(body: Body) -> None:
    rng = body.rng
    skin = _paint(rng)
    for x in (-0.7, 0.72):
        body.ball((x, 0.0, 0.31), (0.31, 0.08, 0.31), RUBBER)
    body.ball((0.0, 0.0, 0.45), (0.42, 0.18, 0.24), STEEL)
    body.ball((0.2, 0.0, 0.82), (0.32, 0.17, 0.16), skin)
    body.ball((-0.4, 0.0, 0.8), (0.45, 0.15, 0.09), RUBBER)
    body.limb((0.72, 0.0, 0.31), (0.5, 0.0, 1.0), 0.06, STEEL)
    body.limb((0.48, -0.38, 1.05), (0.48, 0.38, 1.05), 0.035, STEEL)
    body.ball((0.68, 0.0, 0.92), (0.08, 0.11, 0.11), MIRROR)
    if rng.random() < 0.4:
        body.box((0.62, 0.0, 1.15), (0.03, 0.2, 0.16), GLASS, lean=-0.08)
    if rng.random() < 0.3:
        body.box((-0.85, 0.0, 0.95), (0.2, 0.22, 0.16), skin)


def _bicycle(body: Body) -> None:
    rng = body.rng
    frame = _paint(rng)
    radius = rng.uniform(0.31, 0.36)
    back, front = -0.52, 0.54
    for x in (back, front):
        _rim(body, x=x, radius=radius)
    crank: Vector = (-0.06, 0.0, 0.3)
    seat: Vector = (-0.24, 0.0, 0.88)
    head: Vector = (0.38, 0.0, rng.uniform(0.8, 0.95))
    for start, end in (
        (crank, seat), (crank, head), ((-0.2, 0.0, 0.76), head),
        ((back, 0.0, radius), crank), ((back, 0.0, radius), (-0.2, 0.0, 0.76)), ((front, 0.0, radius), head),
    ):  # fmt: skip
        body.limb(start, end, 0.022, frame)
    body.limb(head, (0.36, 0.0, 1.02), 0.02, STEEL)
    body.limb((0.36, -0.29, 1.03), (0.36, 0.29, 1.03), 0.025, RUBBER)
    body.ball((-0.26, 0.0, 0.92), (0.14, 0.07, 0.04), RUBBER)
    if rng.random() < 0.3:
        body.box((0.5, 0.0, 0.85), (0.14, 0.17, 0.11), STEEL)  # a basket


def _rim(body: Body, *, x: float, radius: float) -> None:
    """A wheel that one can look through; a disc where the gaps would be finer than the rays."""
    if body.thin_m > radius / 6:
        body.ball((x, 0.0, radius), (radius, 0.02, radius), Skin(reflect=0.15, albedo=0.15, loss=0.3))
        return
    turns = np.linspace(0, 2 * math.pi, 9)
    ring = [(x + radius * 0.96 * math.cos(t), 0.0, radius * (1 + 0.96 * math.sin(t))) for t in turns]
    for start, end in pairwise(ring):
        body.limb(start, end, 0.028, RUBBER)


def _scooter(body: Body) -> None:
    rng = body.rng
    frame = _paint(rng)
    for x in (-0.45, 0.45):
        body.ball((x, 0.0, 0.11), (0.11, 0.04, 0.11), RUBBER)
    body.box((-0.02, 0.0, 0.15), (0.42, 0.08, 0.035), frame)
    top = rng.uniform(1.05, 1.2)
    body.limb((0.46, 0.0, 0.12), (0.36, 0.0, top), 0.035, frame)
    body.limb((0.35, -0.24, top), (0.35, 0.24, top), 0.025, RUBBER)
    body.ball((-0.52, 0.0, 0.22), (0.04, 0.05, 0.04), MIRROR)


def _person(body: Body) -> None:
    rng = body.rng
    tall = rng.uniform(1.05, 1.45) if rng.random() < 0.08 else rng.normal(1.73, 0.09)
    _standing(body, tall=float(tall), floor=0.0, stride=float(rng.uniform(0.0, 0.38)))
    if rng.random() < 0.2:
        body.box((-0.2, 0.0, tall * 0.7), (0.1, 0.16, tall * 0.13), _paint(rng))  # a rucksack
    if rng.random() < 0.1:
        body.ball((0.1, 0.38, 0.32), (0.16, 0.09, 0.2), _paint(rng))  # a bag in the hand


def _standing(body: Body, *, tall: float, floor: float, stride: float) -> None:
    """A person on both feet, walking where `stride` is not 0."""
    rng = body.rng
    coat, trousers = _paint(rng), _paint(rng)
    wide = rng.uniform(0.19, 0.25) * tall / 1.75
    hip, shoulder = floor + 0.5 * tall, floor + 0.8 * tall
    for side in (-1, 1):
        body.limb((0.0, side * 0.09, hip), (side * stride, side * 0.11, floor + 0.04), 0.085, trousers)
        hand = (-side * stride * 0.7, side * (wide + 0.07), floor + 0.46 * tall)
        body.limb((0.0, side * wide, shoulder), hand, 0.055, coat)
    body.ball((0.0, 0.0, floor + 0.65 * tall), (0.15, wide, 0.21 * tall), coat)
    if rng.random() < 0.3:
        body.box((0.0, 0.0, floor + 0.48 * tall), (0.14, wide * 0.9, 0.13 * tall), coat)  # a long coat
    body.ball((0.02, 0.0, floor + 0.92 * tall), (0.11, 0.09, 0.085 * tall), FLESH)


def _rider(body: Body) -> None:
    rng = body.rng
    mount = str(rng.choice(["bicycle", "scooter", "motorcycle"], p=[0.8, 0.14, 0.06]))
    if mount == "scooter":
        _scooter(body)
        _standing(body, tall=float(rng.normal(1.75, 0.07)), floor=0.18, stride=0.12)
        return
    _bicycle(body) if mount == "bicycle" else _motorcycle(body)
    coat, trousers = _paint(rng), _paint(rng)
    if rng.random() < 0.12:
        coat = MIRROR
    lean = rng.uniform(0.1, 0.42)
    shoulder: Vector = (-0.2 + lean, 0.0, 1.48 - 0.3 * lean)
    body.limb((-0.24, 0.0, 0.92), shoulder, 0.19, coat)
    body.ball((shoulder[0] + 0.08, 0.0, shoulder[2] + 0.2), (0.13, 0.11, 0.16), _paint(rng))
    phase = rng.uniform(0, 2 * math.pi)
    for side in (-1, 1):
        turn = phase if side > 0 else phase + math.pi
        foot = (-0.06 + 0.17 * math.cos(turn), side * 0.12, 0.32 + 0.17 * math.sin(turn))
        knee = ((foot[0] - 0.22) / 2 + 0.24, side * 0.13, (foot[2] + 0.92) / 2 + 0.08)
        body.limb((-0.22, side * 0.1, 0.9), knee, 0.085, trousers)
        body.limb(knee, foot, 0.065, trousers)
        body.limb((shoulder[0], side * 0.19, shoulder[2]), (0.36, side * 0.26, 1.05), 0.055, coat)


_MAKERS: dict[int, Callable[[Body], None]] = {
    CAR: _car, TRUCK: _truck, BUS: _bus, MOTORCYCLE: _motorcycle,
    BICYCLE: _bicycle, SCOOTER: _scooter, PERSON: _person, RIDER: _rider,
}  # fmt: skip
