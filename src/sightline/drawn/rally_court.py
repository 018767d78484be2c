"""Courts at their true size: the ground with its lines, and the net.

Badminton: 13.40 x 6.10 m with lines of 4 cm (BWF, Laws of Badminton). Tennis: 23.77 x 10.97 m, lines of 5 and 10 cm
(ITF, Rules of Tennis).
Next: rally_arena.py
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from sightline.drawn.rally_camera import Kind
from sightline.drawn.rally_panels import Panel
from sightline.drawn.rally_shots import RULES
from sightline.geometry import continuous_to_index

Colour = tuple[int, int, int]
TEXEL_M = {"shuttle": 0.015, "ball": 0.022}
BEYOND_M = {"shuttle": 6.0, "ball": 9.0}  # ground that is drawn outside the lines
NAMES = (
    "NORVIK", "Halden Air", "tessera", "OMBRA", "Quill & Co", "SOLIS BANK", "vento", "KARUMA", "Polar Tea", "MERIDIAN",
    "argo", "lumo 24", "Brisk", "FJORDLINE", "castellan", "OPEN 20",
)  # fmt: skip

# ground inside the lines, ground outside
_GROUNDS: dict[Kind, list[tuple[Colour, Colour]]] = {
    "shuttle": [
        ((34, 112, 82), (26, 84, 70)), ((30, 104, 78), (150, 98, 62)), ((40, 88, 150), (30, 62, 112)),
        ((38, 120, 92), (176, 128, 84)), ((62, 120, 90), (92, 96, 100)), ((150, 62, 58), (40, 92, 84)),
        ((186, 140, 94), (170, 124, 82)), ((96, 120, 76), (70, 72, 78)),
    ],
    "ball": [
        ((62, 92, 160), (112, 142, 100)), ((58, 108, 176), (48, 84, 148)), ((188, 104, 66), (178, 96, 60)),
        ((88, 128, 62), (80, 118, 58)), ((66, 120, 84), (44, 92, 66)), ((84, 72, 140), (62, 110, 88)),
    ],
}  # fmt: skip


def ground(kind: Kind, *, rng: np.random.Generator, indoors: bool) -> Panel:
    """The ground around the court as one panel; +x is right in its texture, +y up."""
    rules, texel = RULES[kind], TEXEL_M[kind]
    half = np.array([rules.half_width + BEYOND_M[kind], rules.half_length + BEYOND_M[kind]])
    inner, outer = _GROUNDS[kind][int(rng.integers(len(_GROUNDS[kind])))]
    width, height = (int(2 * extent / texel) for extent in half)
    texture = np.empty((height, width, 3), np.uint8)
    texture[:] = _varied(outer, rng)

    def texels(points_m: Sequence[tuple[float, float]]) -> np.ndarray:
        place = (np.array(points_m) * [1, -1] + half) / texel
        return np.round(continuous_to_index(place) * 16).astype(np.int32)

    def area(x0: float, y0: float, x1: float, y1: float, colour: Colour) -> None:
        cv2.fillConvexPoly(texture, texels([(x0, y0), (x1, y0), (x1, y1), (x0, y1)]), colour, cv2.LINE_AA, 4)

    mat = rng.uniform(0.0, 1.6) if kind == "shuttle" else 0.0
    x, y = rules.half_width + mat, rules.half_length + mat
    area(-x, -y, x, y, _varied(inner, rng))
    for _ in range(int(rng.integers(0, 4))):  # a sponsor's name on the ground
        _name(texture, centre=(rng.uniform(0.04, 0.96), rng.choice([0.1, 0.5, 0.9])), size=rng.uniform(2, 4), rng=rng)
    white = (242, 242, 238) if rng.random() < 0.8 else (226, 214, 120)
    for x0, y0, x1, y1 in court_lines(kind):
        area(x0, y0, x1, y1, white)
    for _ in range(int(rng.integers(0, 14))):  # scraps of tape, feathers, old marks
        at, size = rng.uniform(-1, 1, 2) * half * 0.8, rng.uniform(0.02, 0.07, 2)
        area(at[0], at[1], at[0] + size[0], at[1] + size[1], (225, 225, 220))
    _weather(
        texture, rng=rng, gloss=rng.uniform(0.06, 0.2) if indoors else 0.05, planks=indoors and inner == (186, 140, 94)
    )
    return Panel(
        corner=np.array([-half[0], half[1], 0.0]), right=np.array([2 * half[0], 0, 0]),
        down=np.array([0, -2 * half[1], 0]), texture=texture,
    )  # fmt: skip


def court_lines(kind: Kind) -> list[tuple[float, float, float, float]]:
    """All lines as rectangles x0, y0, x1, y1 in metres; the outer ones end at the court's outer edge."""
    rules = RULES[kind]
    w, s, length = rules.half_width, rules.single_half_width, rules.half_length
    lines: list[tuple[float, float, float, float]] = []
    t = 0.04 if kind == "shuttle" else 0.05
    service = 1.98 if kind == "shuttle" else 6.40
    for sign in (-1, 1):
        lines += [_span(sign * (w - t), sign * w, -length, length), _span(sign * (s - t), sign * s, -length, length)]
        base = t if kind == "shuttle" else 0.10
        lines.append(_span(-w, w, sign * (length - base), sign * length))
        across = w if kind == "shuttle" else s
        near = service if kind == "shuttle" else service - t
        lines.append(_span(-across, across, sign * near, sign * (near + t)))
        if kind == "shuttle":
            lines.append(_span(-w, w, sign * (length - 0.76 - t), sign * (length - 0.76)))
            lines.append(_span(-t / 2, t / 2, sign * service, sign * length))
        else:
            lines.append(_span(-t / 2, t / 2, 0, sign * service))
            lines.append(_span(-t / 2, t / 2, sign * (length - 0.20), sign * length))
    return lines


def net(kind: Kind, *, rng: np.random.Generator) -> Panel:
    """The net between its posts, with mesh, tape and posts; what lies above its sagging edge is empty."""
    rules = RULES[kind]
    texel = 0.003 if kind == "shuttle" else 0.006
    half, top = rules.net_half_width + 0.06, rules.net_post + 0.02
    width, height = round(2 * half / texel), round(top / texel)
    colour, cover = np.zeros((height, width, 3), np.uint8), np.zeros((height, width), np.uint8)
    colour[:] = _varied((40, 32, 30) if kind == "shuttle" else (26, 28, 30), rng)
    mesh, cord = (0.018, 0.0014) if kind == "shuttle" else (0.044, 0.0035)
    lowest = rules.net_post - 0.76 if kind == "shuttle" else 0.0
    rows, columns = (np.arange(height) + 0.0) * texel, np.arange(width) * texel
    # A cord thinner than a texel covers a share of it: the mean cover of the mesh stays true.
    on_row, on_column = np.mod(rows, mesh) < texel, np.mod(columns, mesh) < texel
    share = min(cord / texel, 1.0) * rng.uniform(1.1, 1.9)
    cover[on_row[:, None] | on_column[None, :]] = int(255 * min(share, 0.95))
    cover[int((top - lowest) / texel) :] = 0
    tape = 0.075 if kind == "shuttle" else 0.06
    for column in range(width):
        x = (column + 0.0) * texel - half
        edge = int((top - rules.net_height(min(max(x, -rules.net_half_width), rules.net_half_width))) / texel)
        cover[:edge, column] = 0
        cover[edge : edge + int(tape / texel), column] = 255
        colour[edge : edge + int(tape / texel), column] = (240, 240, 238)
    post = max(int(0.045 / texel), 2)
    for part in (slice(0, post), slice(width - post, width)):
        cover[int(0.02 / texel) :, part] = 255
        colour[int(0.02 / texel) :, part] = (60, 62, 70)
    if kind == "ball":
        middle = slice(width // 2 - int(0.025 / texel), width // 2 + int(0.025 / texel))
        cover[int((top - rules.net_middle) / texel) :, middle] = 255
        colour[int((top - rules.net_middle) / texel) :, middle] = (236, 236, 234)
    return Panel(
        corner=np.array([-half, 0, top]), right=np.array([2 * half, 0, 0]), down=np.array([0, 0, -top]),
        texture=colour, cover=cover, both_sides=True,
    )  # fmt: skip


def write_name(texture: np.ndarray, text: str, *, left_base: tuple[int, int], size_px: float, colour: Colour) -> int:
    """Write a name and tell how wide it became."""
    font = (cv2.FONT_HERSHEY_DUPLEX, cv2.FONT_HERSHEY_TRIPLEX, cv2.FONT_HERSHEY_SIMPLEX)[len(text) % 3]
    scale = size_px / 22
    thick = max(round(size_px / 9), 1)
    cv2.putText(texture, text, left_base, font, scale, colour, thick, cv2.LINE_AA)
    return cv2.getTextSize(text, font, scale, thick)[0][0]


def _name(
    texture: np.ndarray, *, centre: tuple[float, float], size: float, rng: np.random.Generator
) -> None:  # fmt: skip
    height, width = texture.shape[:2]
    at = (int(centre[0] * width), int(centre[1] * height))
    under = texture[min(at[1], height - 1), min(at[0], width - 1)].astype(float)
    tint = (235, 235, 235) if rng.random() < 0.5 else tuple(int(v) for v in np.clip(under * 1.35, 0, 255))
    write_name(
        texture,
        NAMES[int(rng.integers(len(NAMES)))],
        left_base=at,
        size_px=size * 18,
        colour=(tint[0], tint[1], tint[2]),
    )


def _span(x0: float, x1: float, y0: float, y1: float) -> tuple[float, float, float, float]:
    return min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1)


def _varied(colour: Colour, rng: np.random.Generator) -> Colour:
    red, green, blue = np.clip(np.array(colour) * rng.uniform(0.82, 1.15) + rng.normal(0, 4, 3), 0, 255)
    return int(red), int(green), int(blue)


def _weather(texture: np.ndarray, *, rng: np.random.Generator, gloss: float, planks: bool) -> None:
    """Uneven light, wear and fine grain."""
    height, width = texture.shape[:2]
    patches = rng.normal(0, 1, (13, 9)).astype(np.float32)
    field = 1 + 0.035 * cv2.resize(patches, (width, height), interpolation=cv2.INTER_CUBIC)
    lamps = np.zeros((height // 16, width // 16), np.float32)
    for _ in range(int(rng.integers(3, 9))):
        at = rng.integers(0, [lamps.shape[1], lamps.shape[0]])
        cv2.ellipse(lamps, at.tolist(), (int(rng.integers(3, 9)), int(rng.integers(8, 26))), 0, 0, 360, gloss, -1)
    lamps = cv2.GaussianBlur(lamps, (0, 0), 4)
    field += cv2.resize(lamps, (width, height), interpolation=cv2.INTER_LINEAR)
    grain = rng.normal(0, 0.02, (256, 256)).astype(np.float32)
    field += np.tile(grain, (height // 256 + 1, width // 256 + 1))[:height, :width]
    if planks:
        field += 0.05 * np.repeat(rng.normal(0, 1, width // 6 + 1), 6)[None, :width].astype(np.float32)
    np.copyto(texture, cv2.multiply(texture, cv2.merge([field] * 3), dtype=cv2.CV_8U))
