"""Players as joints: how a body stands, runs and swings at given times.

In: a player of the match and times. Out: joints in metres, vectorised over times. Limbs are bent by the law of cosines.
Next: rally_paint.py
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sightline.drawn.rally_play import Player, Swing

_ARM = (0.29, 0.27)
_LEG = (0.45, 0.46)
_RACKET_M = 0.50  # hand to the middle of the strings


@dataclass(frozen=True, kw_only=True, eq=False)
class Body3D:
    """Joints of one figure.

    Attributes:
        joints: name -> [S, 3], metres: pelvis, chest, neck, head, racket (the middle of its strings), and with _r for
            the racket's side and _l for the other: shoulder, elbow, hand, hip, knee, foot, toe.
        racket_plane: two unit vectors [S, 3] in the plane of the strings, the first along the handle.
        girth: factor on all widths.
    """

    joints: dict[str, np.ndarray]
    racket_plane: tuple[np.ndarray, np.ndarray]
    girth: float


def stance(player: Player, *, times: np.ndarray, height_m: float, girth: float, phase: float) -> Body3D:
    """The joints of a player at times [S]."""
    scale = height_m / 1.78
    feet = player.feet(times)
    step = player.feet(times + 0.02) - player.feet(times - 0.02)
    velocity = step / 0.04
    forward = np.broadcast_to(np.array([0.0, -float(player.end), 0.0]), (len(times), 3))
    right = np.broadcast_to(np.array([-player.end * player.hand, 0.0, 0.0]), (len(times), 3))
    up = np.broadcast_to(np.array([0.0, 0.0, 1.0]), (len(times), 3))
    ground = np.concatenate([feet, np.zeros((len(times), 1))], axis=1)
    racket_head, low, jump = _racket_head(player.swing, ground, forward, right, times=times)
    pace = np.clip(np.linalg.norm(velocity, axis=1) / 2.5, 0, 1)[:, None]
    run = velocity / np.maximum(np.linalg.norm(velocity, axis=1, keepdims=True), 1e-6)
    run = np.concatenate([run, np.zeros((len(times), 1))], axis=1)
    cycle = 2 * np.pi * 2.3 * times[:, None] + phase
    sway = 0.02 * np.sin(2 * np.pi * 0.7 * times[:, None] + phase)
    body = ground + jump[:, None] * up

    pelvis = body + up * (0.93 - 0.06 * (1 - pace) - low[:, None] * 0.28 + sway * 0.7) * scale
    chest = pelvis + (up * 0.40 + forward * (0.10 + 0.22 * low[:, None]) + run * 0.05 * pace) * scale
    neck = chest + (up * 0.13 + forward * 0.02) * scale
    head = neck + (up * 0.17 + forward * 0.04) * scale
    joints = {"pelvis": pelvis, "chest": chest, "neck": neck, "head": head}
    for name, sign in (("r", 1.0), ("l", -1.0)):
        hip = pelvis + right * sign * 0.11 * scale
        swing = np.sin(cycle + (0 if sign > 0 else np.pi))
        lift = np.maximum(np.cos(cycle + (0 if sign > 0 else np.pi)), 0) * 0.22 * pace
        wide = 0.16 + 0.10 * (1 - pace) + 0.22 * low[:, None]
        foot = body + right * sign * wide + run * swing * 0.36 * pace + up * (lift + 0.07)
        foot = foot + forward * sign * 0.30 * low[:, None]
        knee, foot = bend(hip, foot, lengths=(_LEG[0] * scale, _LEG[1] * scale), towards=forward + 0.3 * right * sign)
        joints |= {f"hip_{name}": hip, f"knee_{name}": knee, f"foot_{name}": foot}
        joints[f"toe_{name}"] = foot + forward * 0.17 - up * 0.05
    shoulder = chest + (right * 0.19 + up * 0.06) * scale
    arm = sum(_ARM) * scale
    hand, racket = bend(shoulder, racket_head, lengths=(arm * 0.97, _RACKET_M), towards=right - 0.6 * up)
    elbow, hand = bend(shoulder, hand, lengths=(_ARM[0] * scale, _ARM[1] * scale), towards=right * 0.5 - up)
    other = chest + (up * 0.06 - right * 0.19) * scale
    free = chest + forward * (0.32 + 0.12 * pace * np.sin(cycle)) - right * 0.34 - up * 0.12
    free = _holding(player, free, times=times)
    elbow_l, free = bend(other, free, lengths=(_ARM[0] * scale, _ARM[1] * scale), towards=-right * 0.4 - up)
    joints |= {"shoulder_r": shoulder, "elbow_r": elbow, "hand_r": hand, "racket": racket}
    joints |= {"shoulder_l": other, "elbow_l": elbow_l, "hand_l": free}
    along = _unit(racket - hand)
    return Body3D(joints=joints, racket_plane=(along, _unit(np.cross(along, forward + 0.35 * up))), girth=girth * scale)


def bend(
    root: np.ndarray, tip: np.ndarray, *, lengths: tuple[float, float], towards: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Two bones from `root` to `tip`, all [S, 3]: the joint between them, and the tip where it can be reached.

    Args:
        root: where the first bone starts.
        tip: where the second should end; brought nearer along the line where it is too far.
        lengths: of the two bones.
        towards: the side to which the joint points.
    """
    first, second = lengths
    line = tip - root
    reach = np.linalg.norm(line, axis=1, keepdims=True)
    ahead = line / np.maximum(reach, 1e-6)
    reach = np.clip(reach, abs(first - second) + 1e-3, first + second - 1e-3)
    along = (reach**2 + first**2 - second**2) / (2 * reach)
    aside = np.sqrt(np.maximum(first**2 - along**2, 0))
    out = _unit(towards - (towards * ahead).sum(axis=1, keepdims=True) * ahead)
    return root + along * ahead + aside * out, root + reach * ahead


def _racket_head(
    swing: Swing | None, ground: np.ndarray, forward: np.ndarray, right: np.ndarray, *, times: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Where the middle of the strings should be [S, 3], how low the body gets [S], how high it jumps [S]."""
    up = np.array([0.0, 0.0, 1.0])
    ready = ground + 0.62 * forward + 0.22 * right + 1.28 * up
    if swing is None:
        return ready, np.zeros(len(times)), np.zeros(len(times))
    contact = np.broadcast_to(swing.point, ready.shape)
    overhead = swing.point[2] > 1.7
    if overhead:
        back = ground - 0.50 * forward + 0.42 * right + 1.75 * up
        through = ground + 0.72 * forward - 0.22 * right + 0.70 * up
    else:
        back = ground - 0.42 * forward + 0.85 * swing.side * right + min(swing.point[2] + 0.25, 1.4) * up
        through = ground + 0.62 * forward - 0.35 * swing.side * right + 1.55 * up
    keys = np.array([-0.55, -0.17, 0.0, 0.11, 0.5])
    since = times - swing.time
    part = np.clip(np.searchsorted(keys, since, side="right") - 1, 0, len(keys) - 2)
    share = np.clip((since - keys[part]) / (keys[part + 1] - keys[part]), 0, 1)
    eased = np.where((part == 0) | (part == 3), share * share * (3 - 2 * share), share ** np.where(part == 1, 1.8, 1.0))
    rows = np.arange(len(times))
    path = np.stack([ready, back, contact, through, ready])
    place = path[part, rows] + eased[:, None] * (path[part + 1, rows] - path[part, rows])
    near = np.exp(-((since / 0.28) ** 2))
    low = near * np.clip((1.15 - swing.point[2]) / 0.9, 0, 1)
    hang = np.clip(1 - (since / 0.26) ** 2, 0, 1)
    return place, low, hang * max(float(swing.point[2]) - 2.45, 0.0)


def _holding(player: Player, free: np.ndarray, *, times: np.ndarray) -> np.ndarray:
    """The free hand, brought to the object while it holds it."""
    if player.holds is None:
        return free
    start, stop = player.holds
    share = np.clip((times - start) / 0.01, 0, 1) * np.clip(1 - (times - stop) / 0.15, 0, 1)
    return free + share[:, None] * (player.held_point(times) - free)


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), 1e-6)
