"""How a shuttle or a ball flies: gravity, quadratic drag, the ground, the net.

Lengths are metres, times seconds. The origin lies on the ground under the middle of the net; x goes across the court,
y along it, z up. Drag is g / vt^2 * |v| v with the terminal velocity vt, which is all that the air does here.
Next: rally_shots.py
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

GRAVITY = 9.81
_STEP_S = 1 / 480
_AT_REST = 0.25  # m/s: slower than this on the ground, it stops
_LEAST_BOUNCE = 0.3  # m/s: slower than this upwards, it rolls


@dataclass(frozen=True, kw_only=True)
class Body:
    """What flies.

    Attributes:
        terminal_velocity: m/s, of a fall through still air.
        radius: of the head of a shuttle or of a ball.
        bounce: share of the vertical speed that the ground gives back.
        grip: share of the horizontal speed that a contact with the ground leaves.
    """

    terminal_velocity: float
    radius: float
    bounce: float
    grip: float


# Terminal velocity of a feather shuttle: 6.8 m/s (Peastrel, Lynch and Armenti 1980). Its cork is 2.5 to 2.8 cm wide.
SHUTTLE = Body(terminal_velocity=6.8, radius=0.0132, bounce=0.22, grip=0.35)
# A tennis ball of 57.7 g and 6.7 cm with a drag coefficient of 0.55: sqrt(m g / (0.5 rho cd A)) is 22 m/s.
BALL = Body(terminal_velocity=22.0, radius=0.0335, bounce=0.74, grip=0.68)


@dataclass(frozen=True, kw_only=True, eq=False)
class Flight:
    """A path through space, sampled finely; where it bounces, one time has two rows.

    Attributes:
        times: [T] float64, seconds, not decreasing.
        positions: [T, 3] float64.
        velocities: [T, 3] float64.
        comes_to_rest: whether the last row lies still on the ground.
    """

    times: np.ndarray
    positions: np.ndarray
    velocities: np.ndarray
    comes_to_rest: bool

    def at(self, times: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Positions and velocities [S, 3] at times [S]: cubic Hermite between samples, the ends beyond them."""
        asked = np.clip(times, self.times[0], self.times[-1])
        right = np.clip(np.searchsorted(self.times, asked, side="right"), 1, len(self.times) - 1)
        left = right - 1
        span = np.maximum(self.times[right] - self.times[left], 1e-12)[:, None]
        s = np.clip((asked - self.times[left])[:, None] / span, 0, 1)
        p0, p1, v0, v1 = self.positions[left], self.positions[right], self.velocities[left], self.velocities[right]
        blend = s * s * (3 - 2 * s)
        position = p0 + blend * (p1 - p0) + span * (s * (s - 1) ** 2 * v0 + s * s * (s - 1) * v1)
        return position, v0 + s * (v1 - v0)


def acceleration(velocity: np.ndarray, *, terminal_velocity: float) -> np.ndarray:
    """Gravity and drag on velocities [..., D]; the last axis's last entry is up. An infinite vt means no air."""
    speed = np.sqrt((velocity * velocity).sum(axis=-1, keepdims=True))
    result = -(GRAVITY / terminal_velocity**2) * speed * velocity
    result[..., -1] -= GRAVITY
    return result


def rk4(
    position: np.ndarray, velocity: np.ndarray, *, dt: float, terminal_velocity: float
) -> tuple[np.ndarray, np.ndarray]:
    """One step of the classical Runge-Kutta scheme for positions and velocities [..., D]."""

    def pull(v: np.ndarray) -> np.ndarray:
        return acceleration(v, terminal_velocity=terminal_velocity)

    a1 = pull(velocity)
    v2 = velocity + dt / 2 * a1
    a2 = pull(v2)
    v3 = velocity + dt / 2 * a2
    a3 = pull(v3)
    v4 = velocity + dt * a3
    return (
        position + dt / 6 * (velocity + 2 * v2 + 2 * v3 + v4),
        velocity + dt / 6 * (a1 + 2 * a2 + 2 * a3 + pull(v4)),
    )


def fly(
    body: Body, *, position: np.ndarray, velocity: np.ndarray, start: float,
    net_height: Callable[[float], float] | None, longest: float = 12.0,
) -> Flight:  # fmt: skip
    """Integrate until it lies still or `longest` seconds are over.

    Args:
        body: what flies.
        position: [3], where it leaves.
        velocity: [3], how.
        start: time of leaving, of the flight's first row.
        net_height: the height of the net at an x, or None where there is no net.
        longest: seconds.
    """
    times, places, speeds = [start], [position.copy()], [velocity.copy()]
    time, p, v = start, position.astype(np.float64), velocity.astype(np.float64)
    resting = False
    while time - start < longest and not resting:
        dt = _STEP_S
        p1, v1 = rk4(p, v, dt=dt, terminal_velocity=body.terminal_velocity)
        share, hit = _contact(body, p, p1, v1, net_height=net_height)
        if hit is not None:
            dt *= share
            p1, before = rk4(p, v, dt=dt, terminal_velocity=body.terminal_velocity)
            times.append(time + dt)
            places.append(p1)
            speeds.append(before)
            v1 = _after(body, before, hit=hit)
            resting = hit == "ground" and float(np.abs(v1).max()) < _AT_REST
            if resting:
                v1 = np.zeros(3)
        time, p, v = time + dt, p1, v1
        times.append(time)
        places.append(p)
        speeds.append(v)
    return Flight(times=np.array(times), positions=np.array(places), velocities=np.array(speeds), comes_to_rest=resting)


def _contact(
    body: Body, p0: np.ndarray, p1: np.ndarray, v1: np.ndarray, *, net_height: Callable[[float], float] | None
) -> tuple[float, Literal["ground", "net"] | None]:
    """The share of the step until something is hit, and what."""
    if p1[2] < body.radius and v1[2] < 0:
        fall = max(float(p0[2] - p1[2]), 1e-9)
        return float(np.clip((p0[2] - body.radius) / fall, 0.0, 1.0)), "ground"
    if net_height is not None and p0[1] * p1[1] < 0:
        share = float(p0[1] / (p0[1] - p1[1])) * 0.98  # just before the mesh, not behind it
        x, _, z = p0 + share * (p1 - p0)
        if z < net_height(float(x)):
            return share, "net"
    return 1.0, None


def _after(body: Body, before: np.ndarray, *, hit: Literal["ground", "net"]) -> np.ndarray:
    """The velocity [3] that a contact leaves; the mesh gives way and takes nearly all of it."""
    if hit == "net":
        return before * np.array([0.2, -0.06, 0.1])
    up = -body.bounce * float(before[2])
    return np.array([body.grip * before[0], body.grip * before[1], up if up > _LEAST_BOUNCE else 0.0])
