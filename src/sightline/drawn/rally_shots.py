"""Which stroke a player chooses, and the velocity with which it leaves the racket.

In: where the racket meets the shuttle or ball. Out: a launch velocity, found by flying many candidates at once.
Next: rally_play.py
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sightline.drawn.rally_camera import Kind
from sightline.drawn.rally_flight import BALL, SHUTTLE, Body, rk4

_STEP_S = 1 / 80
_ELEVATIONS, _SPEEDS = 9, 22
_CLOSE_M = 0.35  # how near to its aim a candidate must land


@dataclass(frozen=True, kw_only=True)
class Rules:
    """The court and its object, in metres and as half lengths from the middle.

    Attributes:
        body: what flies.
        half_length: net to base line.
        half_width: of the court for two pairs.
        single_half_width: of the court for two players.
        net_middle: height of the net in the middle.
        net_post: height of the net at its posts.
        net_half_width: from the middle to a post.
        reach: lowest and highest contact with a racket.
    """

    body: Body
    half_length: float
    half_width: float
    single_half_width: float
    net_middle: float
    net_post: float
    net_half_width: float
    reach: tuple[float, float]

    def net_height(self, x: float) -> float:
        """Height of the net's upper edge at x; 0 beside it."""
        share = abs(x) / self.net_half_width
        return 0.0 if share > 1 else self.net_middle + (self.net_post - self.net_middle) * share


RULES: dict[Kind, Rules] = {
    "shuttle": Rules(
        body=SHUTTLE, half_length=6.70, half_width=3.05, single_half_width=2.59, net_middle=1.524, net_post=1.55,
        net_half_width=3.05, reach=(0.30, 2.75),
    ),
    "ball": Rules(
        body=BALL, half_length=11.885, half_width=5.485, single_half_width=4.115, net_middle=0.914, net_post=1.07,
        net_half_width=6.40, reach=(0.35, 2.10),
    ),
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Style:
    """A stroke: ranges of elevation (degrees), speed (m/s) and depth of its aim (share of the half court)."""

    elevation_deg: tuple[float, float]
    speed: tuple[float, float]
    depth: tuple[float, float]


STYLES: dict[str, Style] = {
    "clear": Style(elevation_deg=(18, 55), speed=(22, 75), depth=(0.78, 0.96)),
    "drop": Style(elevation_deg=(-14, 12), speed=(8, 34), depth=(0.18, 0.38)),
    "smash": Style(elevation_deg=(-24, -4), speed=(48, 98), depth=(0.45, 0.9)),
    "drive": Style(elevation_deg=(-4, 14), speed=(18, 50), depth=(0.5, 0.92)),
    "net": Style(elevation_deg=(25, 75), speed=(3, 12), depth=(0.06, 0.2)),
    "lift": Style(elevation_deg=(32, 66), speed=(14, 60), depth=(0.7, 0.96)),
    "low serve": Style(elevation_deg=(12, 32), speed=(8, 22), depth=(0.31, 0.45)),
    "high serve": Style(elevation_deg=(40, 65), speed=(20, 70), depth=(0.78, 0.96)),
    "ground stroke": Style(elevation_deg=(2, 22), speed=(19, 44), depth=(0.55, 0.93)),
    "slice": Style(elevation_deg=(6, 30), speed=(14, 28), depth=(0.5, 0.9)),
    "lob": Style(elevation_deg=(38, 58), speed=(14, 32), depth=(0.7, 0.95)),
    "volley": Style(elevation_deg=(-10, 12), speed=(12, 30), depth=(0.4, 0.85)),
    "serve": Style(elevation_deg=(-9, 3), speed=(36, 60), depth=(0.36, 0.53)),
}


def choose_style(kind: Kind, contact: np.ndarray, *, rng: np.random.Generator) -> str:
    """A stroke that can be played from a contact point [3]."""
    height, from_net = float(contact[2]), abs(float(contact[1]))
    if kind == "ball":
        if from_net < 4.5:
            names, weights = ["volley", "lob"], [0.85, 0.15]
        else:
            names, weights = ["ground stroke", "slice", "lob"], [0.78, 0.14, 0.08]
    elif height > 1.9:
        names, weights = (
            (["smash", "clear", "drop", "drive"], [0.36, 0.32, 0.22, 0.1])
            if from_net > 2.0
            else (["smash", "net"], [0.7, 0.3])
        )
    elif height > 1.1:
        names, weights = ["drive", "lift", "drop"], [0.5, 0.3, 0.2]
    else:
        names, weights = (["net", "lift"], [0.45, 0.55]) if from_net < 2.5 else (["lift", "drive"], [0.7, 0.3])
    return str(rng.choice(names, p=weights))


def launch(
    rules: Rules, *, origin: np.ndarray, target_xy: np.ndarray, style: Style, fails: bool, rng: np.random.Generator
) -> np.ndarray:
    """The velocity [3] with which a stroke leaves `origin` so that it first lands near `target_xy`.

    Candidates over the style's elevations and speeds are flown together; one that clears the net and lands within
    0.35 m is drawn, or the nearest. With `fails` the net is not regarded.
    """
    ahead = target_xy - origin[:2]
    distance = float(np.linalg.norm(ahead))
    ahead = ahead / distance
    at_net = abs(float(origin[1])) / max(abs(float(ahead[1])), 1e-3)
    elevation, speed = np.meshgrid(
        np.radians(np.linspace(*style.elevation_deg, _ELEVATIONS)), np.geomspace(*style.speed, _SPEEDS), indexing="ij"
    )
    elevation, speed = elevation.ravel(), speed.ravel()
    elevation = elevation + rng.uniform(-0.02, 0.02, len(elevation))
    speed = speed * rng.uniform(0.96, 1.04, len(speed))
    velocity = speed[:, None] * np.stack([np.cos(elevation), np.sin(elevation)], axis=1)
    landed, over_net = _ranges(rules.body, height=float(origin[2]), velocity=velocity, at_net=at_net)
    crossing = origin[0] + ahead[0] * at_net
    clear = over_net > max(rules.net_height(float(crossing)), rules.net_middle) + rules.body.radius + 0.05
    miss = np.abs(landed - distance) + (0.0 if fails else 50.0) * ~clear
    good = np.flatnonzero(miss < _CLOSE_M)
    best = int(rng.choice(good)) if len(good) else int(np.argmin(miss))
    along, up = velocity[best]
    return np.array([ahead[0] * along, ahead[1] * along, up])


def _ranges(
    body: Body, *, height: float, velocity: np.ndarray, at_net: float
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Where candidates [N, 2] (along, up) land, and how high they are `at_net` metres off: two [N]."""
    position = np.zeros_like(velocity)
    position[:, 1] = height
    landed, over_net = np.full(len(velocity), np.inf), np.full(len(velocity), -np.inf)
    flying = np.ones(len(velocity), dtype=bool)
    for _ in range(int(4.5 / _STEP_S)):
        before = position
        position, velocity = rk4(position, velocity, dt=_STEP_S, terminal_velocity=body.terminal_velocity)
        passing = flying & (before[:, 0] < at_net) & (position[:, 0] >= at_net)
        share = (at_net - before[passing, 0]) / (position[passing, 0] - before[passing, 0])
        over_net[passing] = before[passing, 1] + share * (position[passing, 1] - before[passing, 1])
        down = flying & (position[:, 1] < body.radius)
        landed[down] = position[down, 0]
        flying &= ~down
        if not flying.any():
            break
    return landed, over_net
