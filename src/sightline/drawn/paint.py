"""Paints one head, from the back of the skull to the rim of the glasses.

Everything is placed by the projected landmarks or by head coordinates through the same camera,
so the labels are exact by construction.
Next: scene.py
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from sightline.drawn.canvas import Canvas, Colour, smooth_closed, smooth_open
from sightline.drawn.shape import Camera, Expression, Identity, forehead_line, jaw_line, skull_outline

_SKIN = np.array([[250, 222, 200], [240, 200, 170], [224, 172, 130], [190, 132, 92], [141, 92, 62], [92, 60, 44]])
_HAIR = np.array([[28, 22, 20], [62, 42, 28], [110, 74, 42], [196, 156, 92], [150, 60, 30], [150, 150, 152]])
_IRIS = np.array([[60, 38, 22], [84, 60, 30], [70, 100, 130], [70, 110, 70], [40, 30, 28]])


@dataclass(frozen=True, kw_only=True)
class Look:
    """Colours and accessories of a person; each colour is RGB 0..255."""

    skin: np.ndarray
    hair: np.ndarray
    iris: np.ndarray
    lips: np.ndarray
    clothes: np.ndarray
    hair_style: str  # "bald", "short", "fringe", "long", "side"
    beard: str  # "none", "full", "stubble", "moustache"
    glasses: str  # "none", "clear", "sun"
    hat: str  # "none", "cap", "beanie"
    brow_weight: float


def sample_look(rng: np.random.Generator) -> Look:
    """Colours and accessories, drawn independently."""
    skin = _between(rng, _SKIN)
    hair = _between(rng, _HAIR)
    if rng.random() < 0.06:
        hair = rng.uniform(30, 230, 3)
    redder = skin * np.array([0.86, 0.55, 0.55]) + np.array([20.0, 5.0, 8.0])
    lips = skin * 0.35 + redder * 0.65 if rng.random() < 0.75 else np.array([170.0, 30.0, 45.0])
    return Look(
        skin=skin,
        hair=hair,
        iris=_IRIS[rng.integers(len(_IRIS))].astype(float),
        lips=lips,
        clothes=rng.uniform(20, 235) + rng.normal(0, 35, 3),
        hair_style=str(rng.choice(["bald", "short", "fringe", "long", "side"], p=[0.1, 0.27, 0.22, 0.24, 0.17])),
        beard=str(rng.choice(["none", "full", "stubble", "moustache"], p=[0.66, 0.12, 0.13, 0.09])),
        glasses=str(rng.choice(["none", "clear", "sun"], p=[0.77, 0.18, 0.05])),
        hat=str(rng.choice(["none", "cap", "beanie"], p=[0.86, 0.07, 0.07])),
        brow_weight=float(rng.uniform(0.03, 0.075)),
    )


class HeadPainter:
    """Paints one head on a canvas; `points_xy` are its 68 projected landmarks."""

    def __init__(
        self, canvas: Canvas, *, identity: Identity, expression: Expression, camera: Camera, look: Look,
        points_xy: np.ndarray, rng: np.random.Generator,
    ) -> None:  # fmt: skip
        """Keep what the strokes need; `rng` adds the small disorder of hair and beard."""
        self.canvas = canvas
        self.identity = identity
        self.expression = expression
        self.camera = camera
        self.look = look
        self.points = points_xy
        self.rng = rng
        self.unit = camera.scale_px
        forehead = camera.project(forehead_line(identity))
        self.head = np.concatenate([smooth_open(points_xy[:17]), forehead])

    def paint(self) -> None:
        """Back to front."""
        self._shoulders_and_back_hair()
        self._ears()
        self.canvas.fill(self.head, colour=_rgb(self.look.skin))
        self._relief()
        self._beard()
        self._nose()
        self._eyes()
        self._brows()
        self._mouth()
        self._hair()
        self._hat()
        self._glasses()

    def _shoulders_and_back_hair(self) -> None:
        look, project = self.look, self.camera.project
        chin = self.identity.chin_length
        if look.hair_style == "long":
            back = skull_outline(self.identity, camera=self.camera, grow=1.12)
            drop = project(np.array([[1.05, 1.75, -0.5], [-1.05, 1.75, -0.5]]))
            self.canvas.fill(np.concatenate([back[18:], back[:1], drop]), colour=_rgb(look.hair * 0.72))
        neck = np.array([[-0.42, 0.7, -0.5], [0.42, 0.7, -0.5], [0.5, chin + 0.75, -0.55], [-0.5, chin + 0.75, -0.55]])
        body = np.array(
            [
                [-0.5, 0.4, -0.6],
                [0.5, 0.4, -0.6],
                [1.6, 0.75, -0.7],
                [1.9, 3.6, -0.7],
                [-1.9, 3.6, -0.7],
                [-1.6, 0.75, -0.7],
            ]
        ) + np.array([0, chin, 0])
        # The body does not roll as far as the head.
        self.canvas.fill(project(neck), colour=_rgb(look.skin * 0.78))
        self.canvas.fill(project(body), colour=_rgb(look.clothes))
        collar = np.array([[-0.5, 0.4, -0.55], [0.0, 0.72, -0.35], [0.5, 0.4, -0.55]]) + np.array([0, chin, 0])
        self.canvas.fill(project(collar), colour=_rgb(look.skin * 0.74))
        bald = look.hair_style == "bald"
        skull = skull_outline(self.identity, camera=self.camera, grow=0.98 if bald else 1.03)
        self.canvas.fill(skull[17:] if not bald else skull, colour=_rgb(look.skin * 0.84 if bald else look.hair * 0.8))
        cheek = jaw_line(self.identity, expression=self.expression, count=17)[[0, 2, 4, 12, 14, 16]]
        behind = cheek * np.array([1.02, 1, 1]) + np.array([0, -0.02, -0.35])
        self.canvas.fill(cv2.convexHull(project(np.concatenate([cheek, behind])).astype(np.float32))[:, 0],
                         colour=_rgb(look.skin * 0.8))  # fmt: skip

    def _ears(self) -> None:
        angle = np.linspace(0, 2 * np.pi, 14, endpoint=False)
        for side in (-1, 1):
            x = side * (self.identity.face_width + 0.035 + 0.07 * np.cos(angle))
            ring = np.stack([x, 0.2 + 0.2 * np.sin(angle), -0.45 + 0.1 * np.cos(angle)], axis=1)
            self.canvas.fill(self.camera.project(ring), colour=_rgb(self.look.skin * 0.88))
            inner = ring * np.array([1, 0.6, 1]) + np.array([0, 0.08, 0])
            self.canvas.line(self.camera.project(inner[2:9]), colour=_rgb(self.look.skin * 0.66), width_px=0.5)

    def _relief(self) -> None:
        """Soft shadows and lights of the skin, and a thin edge along the jaw."""
        mask = self.canvas.mask(self.head)
        box = cv2.boundingRect(mask)
        if not box[2] or not box[3]:
            return
        height, width = self.canvas.size_hw
        field = np.zeros((height, width), dtype=np.float32)
        p, unit = self.points, self.unit
        cheeks = self.camera.project(np.array([[-0.48, 0.5, 0.1], [0.48, 0.5, 0.1], [0.0, -0.5, 0.1]]))
        spots = [
            (cheeks[0], 0.24, 0.13), (cheeks[1], 0.24, 0.13), (cheeks[2], 0.34, 0.12),
            ((p[36] + p[39]) / 2, 0.21, -0.24), ((p[42] + p[45]) / 2, 0.21, -0.24),
            ((p[57] + p[8]) / 2, 0.12, -0.14), (p[8], 0.12, 0.1), (p[2], 0.3, -0.22), (p[14], 0.3, -0.22),
        ]  # fmt: skip
        for centre, radius, strength in spots:
            cv2.circle(
                field, (round(float(centre[0])), round(float(centre[1]))), max(1, round(radius * unit)), strength, -1
            )
        soft = cv2.GaussianBlur(field, (0, 0), max(0.5, 0.11 * unit))
        wide = cv2.resize(soft, (mask.shape[1], mask.shape[0]), interpolation=cv2.INTER_LINEAR)
        x, y, w, h = box
        part = (slice(y, y + h), slice(x, x + w))
        gain = 1 + wide[part] * (mask[part].astype(np.float32) / 255)
        shaded = self.canvas.pixels[part].astype(np.float32) * gain[..., None]
        self.canvas.pixels[part] = np.clip(shaded, 0, 255).astype(np.uint8)
        self.canvas.line(smooth_open(p[:17]), colour=_rgb(self.look.skin * 0.62), width_px=0.012 * unit)

    def _beard(self) -> None:
        look, p = self.look, self.points
        if look.beard == "none":
            return
        lip = np.concatenate([p[48:55], p[54:60]])
        upper = np.array([p[48] * 1.25 - p[54] * 0.25, p[31] * 0.3 + p[48] * 0.7, p[33] * 0.6 + p[51] * 0.4,
                          p[35] * 0.3 + p[54] * 0.7, p[54] * 1.25 - p[48] * 0.25])  # fmt: skip
        if look.beard == "moustache":
            lower = p[[54, 53, 52, 51, 50, 49, 48]]
            self.canvas.fill(np.concatenate([upper, lower]), colour=_rgb(look.hair * 0.9))
            return
        outline = np.concatenate([smooth_open(p[2:15]), upper[::-1]])
        mask = self.canvas.mask(outline)
        cv2.subtract(mask, self.canvas.mask(lip), dst=mask)
        if look.beard == "full":
            self.canvas.blend(look.hair * 0.9, mask=mask, opacity=0.92)
        else:
            grain = self.rng.integers(60, 256, size=mask.shape, dtype=np.uint8)
            self.canvas.blend(look.hair * 0.8, mask=cv2.multiply(mask, grain, scale=1 / 255), opacity=0.6)

    def _nose(self) -> None:
        p, skin, unit = self.points, self.look.skin, self.unit
        shadow_side = 31 if self.camera.yaw > 0 else 35
        self.canvas.fill(np.stack([p[27], p[28], p[29], p[30], p[shadow_side]]), colour=_rgb(skin * 0.87))
        self.canvas.line(smooth_open(p[27:31]), colour=_rgb(np.minimum(skin * 1.12, 255)), width_px=0.045 * unit)
        self.canvas.dot(p[30], radius_px=0.05 * unit, colour=_rgb(np.minimum(skin * 1.16, 255)))
        self.canvas.line(smooth_open(p[31:36]), colour=_rgb(skin * 0.6), width_px=0.022 * unit)
        for nostril in (p[31] * 0.4 + p[32] * 0.6, p[35] * 0.4 + p[34] * 0.6):
            self.canvas.dot(nostril, radius_px=0.035 * unit, colour=_rgb(skin * 0.35))

    def _eyes(self) -> None:
        unit, skin = self.unit, self.look.skin
        gaze = self.rng.uniform(-0.25, 0.25, 2)
        for first in (36, 42):
            eye = self.points[first : first + 6]
            outline = smooth_closed(eye, steps=4)
            mask = self.canvas.mask(outline)
            x, y, w, h = cv2.boundingRect(mask)
            if not w or not h:
                continue
            across = eye[3] - eye[0]
            middle = eye.mean(axis=0) + gaze * np.array([0.3, 0.1]) * np.linalg.norm(across)
            ball = Canvas(self.canvas.size_hw, fine=self.canvas.fine)
            ball.pixels[y : y + h, x : x + w] = (236, 234, 230)
            ball.dot(middle, radius_px=0.074 * unit, colour=_rgb(self.look.iris))
            ball.dot(middle, radius_px=0.036 * unit, colour=(12, 10, 10))
            ball.dot(middle + 0.03 * unit * np.array([0.5, -0.7]), radius_px=0.016 * unit, colour=(255, 255, 255))
            self.canvas.blend(ball.pixels, mask=mask)
            upper = smooth_open(eye[:4])
            self.canvas.line(smooth_open(eye[[3, 4, 5, 0]]), colour=_rgb(skin * 0.6), width_px=0.012 * unit)
            self.canvas.line(upper, colour=_rgb(skin * 0.22), width_px=0.03 * unit)
            up = np.array([across[1], -across[0]]) / max(float(np.linalg.norm(across)), 1e-6)
            self.canvas.line(upper + up * 0.05 * unit, colour=_rgb(skin * 0.68), width_px=0.014 * unit)

    def _brows(self) -> None:
        colour = _rgb(self.look.hair * 0.8 + self.look.skin * 0.08)
        for first in (17, 22):
            brow = self.points[first : first + 5]
            self.canvas.line(smooth_open(brow), colour=colour, width_px=self.look.brow_weight * self.unit)

    def _mouth(self) -> None:
        p, unit, lips = self.points, self.unit, self.look.lips
        outer, inner = smooth_closed(p[48:60], steps=4), p[60:68]
        self.canvas.fill(outer, colour=_rgb(lips))
        lower = np.concatenate([p[54:60], p[48:49], p[60:61], p[[67, 66, 65, 64]]])
        self.canvas.fill(lower, colour=_rgb(np.minimum(lips * 1.12, 255)))
        if self.expression.mouth_open > 0.03:
            self.canvas.fill(inner, colour=(48, 14, 18))
            upper_teeth = 0.45 if self.expression.smile > 0 else 0.2
            teeth = np.concatenate([p[60:65], p[[65, 66, 67]] * upper_teeth + p[[63, 62, 61]] * (1 - upper_teeth)])
            self.canvas.fill(teeth, colour=(232, 228, 218))
            if self.expression.mouth_open > 0.2:
                self.canvas.dot(p[66] * 0.75 + p[62] * 0.25, radius_px=0.1 * unit, colour=(170, 70, 74))
        self.canvas.line(inner, colour=_rgb(lips * 0.45), width_px=0.014 * unit, closed=True)

    def _hair(self) -> None:
        style, rng = self.look.hair_style, self.rng
        if style == "bald":
            return
        top = forehead_line(self.identity, lift=0.2, count=15)
        line = -self.identity.forehead * {"short": 0.72, "fringe": 0.42, "long": 0.66, "side": 0.62}[style]
        edge_x = np.linspace(-0.97, 0.97, 11) * self.identity.face_width
        edge_y = line + 0.55 * np.abs(np.linspace(-1, 1, 11)) ** 3 + rng.normal(0, 0.035, 11)
        if style == "side":
            edge_y = edge_y + np.linspace(0.2, -0.2, 11) * rng.choice([-1, 1])
        edge = np.stack([edge_x, edge_y, -0.1 - 0.2 * np.abs(np.linspace(-1, 1, 11))], axis=1)
        outline = self.camera.project(np.concatenate([top, edge]))
        self.canvas.fill(outline, colour=_rgb(self.look.hair))
        for _ in range(10):
            a = int(rng.integers(1, 14))
            b = int(np.clip(round(10 - a * 10 / 14) + rng.integers(-1, 2), 0, 10))
            shade = _rgb(np.clip(self.look.hair * rng.uniform(0.75, 1.35), 0, 255))
            self.canvas.line(outline[[a, 15 + b]], colour=shade, width_px=0.014 * self.unit)
        if style == "long":
            for side in (-1, 1):
                lock = np.array(
                    [[0.78, -0.35, 0.0], [0.99, -0.2, -0.3], [1.06, 1.5, -0.25], [0.86, 1.5, -0.2], [0.84, 0.3, -0.2]]
                )
                shape = self.camera.project(lock * np.array([side * self.identity.face_width / 0.82, 1, 1]))
                self.canvas.fill(smooth_closed(shape), colour=_rgb(self.look.hair * 0.92))

    def _hat(self) -> None:
        if self.look.hat == "none":
            return
        colour = np.roll(255 - self.look.clothes, 1)
        base = -self.identity.forehead * 0.55
        crown = forehead_line(self.identity, lift=0.3, count=13)
        width = self.identity.face_width + 0.08
        band = np.array([[-width, base + 0.15, -0.2], [-0.5, base, 0.1], [0.5, base, 0.1], [width, base + 0.15, -0.2]])
        self.canvas.fill(self.camera.project(np.concatenate([crown, band])), colour=_rgb(colour))
        band = self.camera.project(band)
        if self.look.hat == "cap":
            brim = np.array(
                [
                    [-0.72, base - 0.02, 0.0],
                    [-0.4, base + 0.14, 0.75],
                    [0.4, base + 0.14, 0.75],
                    [0.72, base - 0.02, 0.0],
                ]
            )
            self.canvas.fill(self.camera.project(brim), colour=_rgb(colour * 0.7))
        else:
            self.canvas.line(band, colour=_rgb(colour * 0.75), width_px=0.12 * self.unit)

    def _glasses(self) -> None:
        if self.look.glasses == "none":
            return
        angle = np.linspace(0, 2 * np.pi, 24, endpoint=False)
        ring = np.stack([0.235 * np.cos(angle), 0.19 * np.sin(angle), 0 * angle], axis=1)
        rims = [self.camera.project(ring + np.array([side * self.identity.eye_offset, 0.03, 0.16])) for side in (-1, 1)]
        frame = _rgb(self.look.hair[::-1] * 0.5)
        for rim in rims:
            if self.look.glasses == "sun":
                self.canvas.blend(np.array([25.0, 25.0, 30.0]), mask=self.canvas.mask(rim), opacity=0.86)
            self.canvas.line(rim, colour=frame, width_px=0.035 * self.unit, closed=True)
        arms = np.array([[-0.8, 0.0, -0.45], [-0.58, 0.0, 0.16], [0.58, 0.0, 0.16], [0.8, 0.0, -0.45]])
        arms = self.camera.project(arms)
        for link in (np.stack([rims[0][0], rims[1][12]]), arms[:2], arms[2:]):
            self.canvas.line(link, colour=frame, width_px=0.035 * self.unit)


def _between(rng: np.random.Generator, table: np.ndarray) -> np.ndarray:
    first = rng.integers(len(table) - 1)
    colour = table[first] + rng.random() * (table[first + 1] - table[first])
    return np.clip(colour + rng.normal(0, 6, 3), 8, 255)


def _rgb(colour: np.ndarray) -> Colour:
    red, green, blue = np.clip(colour, 0, 255)
    return float(red), float(green), float(blue)
