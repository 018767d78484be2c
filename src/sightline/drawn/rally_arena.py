"""What surrounds a court: boards with names, stands full of people, walls, lamps, officials.

In: a random generator. Out: panels, and people who only stand there.
Next: rally_scenery.py
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np

from sightline.drawn.rally_camera import Camera, Kind
from sightline.drawn.rally_court import BEYOND_M, NAMES, Colour, write_name
from sightline.drawn.rally_figure import Body3D, stance
from sightline.drawn.rally_paint import Look, outline, paint_figure, paint_shadow, sample_look
from sightline.drawn.rally_panels import Panel
from sightline.drawn.rally_play import Player
from sightline.drawn.rally_shots import RULES

_BOARD_M, _STAND_DEPTH_M, _STAND_RISE_M = 0.95, 9.5, 5.2
_CHAIR_M = 1.5
_ROOF_M = 12.5


@dataclass(frozen=True, kw_only=True)
class Style:
    """What kind of place it is, drawn once for a clip.

    Attributes:
        outdoors: sky and one hard shadow, or a hall with lamps and soft shadows.
        stands: people on all sides, or the walls of a hall.
        people_light: brightness of the stands against the court.
        board: colour of the boards.
        wall: colour of what stands behind them.
        shadows: for each light, how far a shadow falls for a metre of height, x and y.
        shadow_depth: share of light that one light's shadow keeps off.
    """

    outdoors: bool
    stands: bool
    people_light: float
    board: Colour
    wall: Colour
    shadows: tuple[tuple[float, float], ...]
    shadow_depth: float


def sample_style(kind: Kind, *, rng: np.random.Generator) -> Style:
    """A hall for a shuttle; for a ball mostly a stadium."""
    outdoors = kind == "ball" and rng.random() < 0.8
    boards: list[Colour] = [(20, 48, 92), (24, 26, 30), (140, 24, 32), (18, 84, 66), (228, 228, 226), (66, 34, 96)]
    walls: list[Colour] = [(28, 30, 36), (66, 70, 78), (120, 122, 120), (176, 170, 156), (30, 52, 84), (44, 84, 70)]
    count = 1 if outdoors else int(rng.integers(1, 3))
    reach = 0.9 if outdoors else 0.35
    return Style(
        outdoors=outdoors,
        stands=bool(rng.random() < 0.75),
        people_light=float(rng.uniform(0.7, 1.0) if outdoors else rng.uniform(0.22, 0.75)),
        board=boards[int(rng.integers(len(boards)))],
        wall=walls[int(rng.integers(len(walls)))],
        shadows=tuple((float(a), float(b)) for a, b in rng.uniform(-reach, reach, (count, 2))),
        shadow_depth=float(rng.uniform(0.35, 0.55) if outdoors else rng.uniform(0.12, 0.28)),
    )


def surroundings(kind: Kind, *, style: Style, rng: np.random.Generator) -> list[Panel]:
    """Panels around the ground, in an order in which they may be painted."""
    rules, beyond = RULES[kind], BEYOND_M[kind]
    reach_x = rules.half_width + beyond * rng.uniform(0.62, 0.98)
    reach_y = rules.half_length + beyond * rng.uniform(0.62, 0.98)
    crowd = _crowd(rng, light=style.people_light) if style.stands else None
    panels: list[Panel] = [] if style.outdoors else [_roof(rng, reach=(reach_x + 14, reach_y + 14))]
    fronts: list[Panel] = []
    for out_xy, reach, half in (
        ((0, 1), reach_y, reach_x), ((0, -1), reach_y, reach_x), ((1, 0), reach_x, reach_y), ((-1, 0), reach_x, reach_y)
    ):  # fmt: skip
        out = np.array([*out_xy, 0.0])
        right = np.array([out[1], -out[0], 0.0])
        fronts.append(
            _upright(out, right, reach=reach, half=half, low=0.0, high=_BOARD_M, texture=_boards(half, style, rng))
        )
        behind = reach + (0.4 + _STAND_DEPTH_M if crowd is not None else 0.5)
        wall = _wall(rng, colour=style.wall, wide=half + 12, lit=not style.stands)
        low = _BOARD_M + _STAND_RISE_M - 0.4 if crowd is not None else 0.0
        high = low + 3.0 if style.outdoors else _ROOF_M
        panels.append(_upright(out, right, reach=behind, half=half + 12, low=low, high=high, texture=wall))
        if crowd is not None:
            start = int(rng.integers(crowd.shape[1] // 3))
            texture = np.roll(crowd, start, axis=1)
            wide = half + 0.4 + _STAND_DEPTH_M
            corner = out * behind - right * wide + np.array([0, 0, _BOARD_M + _STAND_RISE_M])
            down = -out * _STAND_DEPTH_M - np.array([0, 0, _STAND_RISE_M])
            panels.append(Panel(corner=corner, right=right * 2 * wide, down=down, texture=texture))
    return panels + fronts


def paint_officials(
    canvas: np.ndarray, *, camera: Camera, kind: Kind, style: Style, rng: np.random.Generator
) -> None:  # fmt: skip
    """The umpire on a chair across the net from the camera's side, and others who stand along the boards."""
    rules = RULES[kind]
    side = -1.0 if camera.centre[0] >= 0 else 1.0
    cloth = [(32, 36, 52), (24, 24, 26), (214, 214, 216), (92, 100, 112), (120, 40, 44)]
    uniform = replace(
        sample_look(rng, racket_radii=None),
        shirt=cloth[int(rng.integers(len(cloth)))], shorts=cloth[int(rng.integers(2))],
    )  # fmt: skip
    people: list[tuple[Body3D, Look]] = []
    for _ in range(int(rng.integers(1, 7))):
        x = (
            side * (rules.half_width + rng.uniform(1.6, 3.2))
            if rng.random() < 0.5
            else rng.uniform(-1, 1) * rules.half_width
        )
        y = rng.uniform(-1, 1) * rules.half_length
        if abs(x) < rules.half_width + 1:
            y = -np.sign(camera.centre[1]) * (rules.half_length + rng.uniform(2.4, 3.4))
        in_chair = abs(y) < 1.2 and abs(x) < rules.net_half_width + 2.5
        if not in_chair and x * camera.centre[0] + y * camera.centre[1] < 0:
            people.append(_standing(np.array([x, y]), rng=rng, raised=0.0, uniform=uniform))
    people.sort(key=lambda person: -float(camera.project(person[0].joints["pelvis"])[1][0]))
    chair = np.array([side * (rules.net_half_width + 0.9), 0.0])
    umpire = _standing(chair, rng=rng, raised=_CHAIR_M - 0.35, uniform=uniform)
    for body, look in people:
        for light in style.shadows:
            paint_shadow(canvas, body, camera=camera, light_xy=light, depth=style.shadow_depth)
        paint_figure(canvas, outline(body, look=look, camera=camera))
    _paint_chair(canvas, chair, camera=camera, colour=style.board)
    paint_figure(canvas, outline(umpire[0], look=umpire[1], camera=camera))


def paint_sky(canvas: np.ndarray, *, outdoors: bool, rng: np.random.Generator) -> None:
    """Fill a canvas with what is behind all panels: sky, or the dark under a roof."""
    top, bottom = ((96, 146, 210), (196, 214, 232)) if outdoors else ((16, 16, 20), (34, 34, 40))
    ramp = np.linspace(0, 1, canvas.shape[0])[:, None, None]
    canvas[:] = (
        (np.array(top) * (1 - ramp) + np.array(bottom) * ramp + rng.normal(0, 3, 3)).clip(0, 255).astype(np.uint8)
    )


def _standing(at: np.ndarray, *, rng: np.random.Generator, raised: float, uniform: Look) -> tuple[Body3D, Look]:
    own = sample_look(rng, racket_radii=None)
    look = replace(own, shirt=uniform.shirt, shorts=uniform.shorts, shoes=uniform.shoes)
    end = -1 if at[1] < 0 else 1
    player = Player(end=end, hand=1.0, base=at, leg=(0.0, 0.1, at, at))
    body = stance(
        player, times=np.array([float(rng.uniform(1, 2))]), height_m=look.height_m, girth=look.girth, phase=look.phase
    )
    lift = np.array([0.0, 0.0, raised])
    return (
        Body3D(
            joints={name: place + lift for name, place in body.joints.items()},
            racket_plane=body.racket_plane,
            girth=body.girth,
        ),
        look,
    )


def _paint_chair(canvas: np.ndarray, at: np.ndarray, *, camera: Camera, colour: Colour) -> None:
    for dx, dy in ((-0.4, 0.4), (0.4, 0.4), (-0.4, -0.4), (0.4, -0.4)):
        ends, depth = camera.project(
            np.array([[at[0] + dx, at[1] + dy, 0.0], [at[0] + 0.5 * dx, at[1] + 0.5 * dy, _CHAIR_M]])
        )
        if depth.min() < 1:
            return
        thick = max(round(0.05 * camera.focal_px / float(depth[0])), 1)
        a, b = np.round(ends).astype(int).tolist()
        cv2.line(canvas, a, b, colour, thick, cv2.LINE_AA)


def _upright(
    out: np.ndarray, right: np.ndarray, *, reach: float, half: float, low: float, high: float, texture: np.ndarray
) -> Panel:  # fmt: skip
    corner = out * reach - right * half + np.array([0, 0, high])
    return Panel(corner=corner, right=right * 2 * half, down=np.array([0, 0, low - high]), texture=texture)


def _boards(half: float, style: Style, rng: np.random.Generator) -> np.ndarray:
    """A row of adverts, 95 pixels to the metre's height, white names on the boards' colour or the other way round."""
    height, width = 95, int(2 * half * 100)
    texture = np.empty((height, width, 3), np.uint8)
    at = 0
    while at < width:
        wide = int(rng.uniform(2.0, 4.2) * 100)
        plain = rng.random() < 0.72
        back = np.array(style.board) if plain else rng.integers(20, 235, 3)
        texture[:, at : at + wide] = back
        ink: Colour = (240, 240, 240) if back.mean() < 140 else (24, 30, 60)
        name = NAMES[int(rng.integers(len(NAMES)))]
        write_name(texture, name, left_base=(at + int(0.15 * wide), 66), size_px=rng.uniform(32, 52), colour=ink)
        if rng.random() < 0.5:
            cv2.circle(
                texture,
                (at + int(0.08 * wide), 48),
                int(rng.integers(8, 22)),
                ink,
                int(rng.choice([-1, 4])),
                cv2.LINE_AA,
            )
        at += wide
    texture[:4] = np.clip(texture[:4].astype(int) + 60, 0, 255)
    texture[-4:] = 18
    return texture


def _wall(rng: np.random.Generator, *, colour: Colour, wide: float, lit: bool) -> np.ndarray:
    """A wall with bars, doors, bright windows and a few signs, 20 pixels to the metre."""
    height, width = 220, int(2 * wide * 20)
    base = np.array(colour) * (1.0 if lit else 0.6)
    ramp = np.linspace(0.8, 1.05, height)[:, None, None]
    texture = (base * ramp + rng.normal(0, 2.5, (height, width, 1))).clip(0, 255).astype(np.uint8)
    for x in range(0, width, int(rng.integers(40, 120))):
        cv2.line(texture, (x, 0), (x, height), (base * 0.8).tolist(), 2)
    for _ in range(int(rng.integers(2, 12))):
        x, y = int(rng.integers(width)), int(rng.integers(20, height - 30))
        size = rng.integers([10, 6], [90, 50])
        bright = rng.random() < 0.35
        tint = [float(v) for v in (rng.uniform(190, 250, 3) if bright else base * rng.uniform(0.5, 1.5))]
        cv2.rectangle(texture, (x, y), (x + int(size[0]), y + int(size[1])), tint, -1)
    for _ in range(int(rng.integers(0, 5))):
        place = (int(rng.integers(width)), int(rng.integers(60, height)))
        write_name(texture, NAMES[int(rng.integers(len(NAMES)))], left_base=place, size_px=26, colour=(225, 225, 225))
    return texture


def _roof(rng: np.random.Generator, *, reach: tuple[float, float]) -> Panel:
    """Dark girders and rows of lamps, seen from below."""
    width, height = int(reach[0] * 2 * 12), int(reach[1] * 2 * 12)
    texture = np.full((height, width, 3), int(rng.integers(18, 60)), np.uint8)
    for x in range(0, width, 48):
        cv2.line(texture, (x, 0), (x, height), (70, 70, 74), 3)
    for x in range(30, width, int(rng.integers(60, 130))):
        for y in range(20, height, int(rng.integers(40, 90))):
            cv2.rectangle(texture, (x, y), (x + int(rng.integers(4, 14)), y + 6), (255, 255, 250), -1)
    glow = cv2.GaussianBlur(texture, (0, 0), 5)
    return Panel(
        corner=np.array([-reach[0], -reach[1], _ROOF_M]), right=np.array([2 * reach[0], 0, 0]),
        down=np.array([0, 2 * reach[1], 0]), texture=cv2.addWeighted(texture, 1.0, glow, 0.6, 0),
    )  # fmt: skip


def _crowd(rng: np.random.Generator, *, light: float) -> np.ndarray:
    """Rows of sitting people, 40 pixels to the metre across; many wear white."""
    rows, seat, pitch = 12, 21, 34
    height, width = rows * pitch, 42 * 40
    texture = np.empty((height, width, 3), np.uint8)
    texture[:] = rng.integers(26, 90, 3)
    skin = np.array([(224, 172, 140), (198, 140, 105), (150, 100, 70), (100, 66, 46)])
    full = rng.uniform(0.6, 0.97)
    for row in range(rows):
        top = row * pitch
        texture[top + pitch - 5 : top + pitch] = rng.integers(50, 120)
        for place in range(0, width, seat):
            if rng.random() > full:
                cv2.rectangle(
                    texture, (place + 3, top + 16), (place + 17, top + 30), rng.integers(20, 140, 3).tolist(), -1
                )
                continue
            x, y = place + 10 + int(rng.integers(-5, 6)), top + 9 + int(rng.integers(-5, 5))
            cloth = rng.uniform(15, 220, 3) * rng.uniform(0.4, 1.0)
            cloth = rng.uniform(200, 245) if rng.random() < 0.28 else 0.45 * cloth + 0.55 * cloth.mean()
            cloth = np.broadcast_to(cloth, 3) + rng.normal(0, 4, 3)
            tone = skin[int(rng.integers(4))] * rng.uniform(0.8, 1.1)
            cv2.ellipse(texture, (x, y + 15), (9, 12), 0, 0, 360, cloth.tolist(), -1, cv2.LINE_AA)
            cv2.ellipse(
                texture,
                (x, y + 26),
                (8, 5),
                0,
                0,
                360,
                (rng.uniform(15, 110) + rng.normal(0, 9, 3)).tolist(),
                -1,
                cv2.LINE_AA,
            )
            cv2.circle(texture, (x, y), 5, tone.tolist(), -1, cv2.LINE_AA)
            cv2.ellipse(
                texture,
                (x, y - 2),
                (5, 3),
                0,
                180,
                360,
                (rng.uniform(10, 95) + np.array([14, 4, 0])).tolist(),
                -1,
                cv2.LINE_AA,
            )
    for aisle in rng.integers(0, width, 4):
        cv2.rectangle(texture, (int(aisle), 0), (int(aisle) + 34, height), (96, 96, 100), -1)
    return cv2.convertScaleAbs(cv2.GaussianBlur(texture, (0, 0), 0.8), alpha=light)
