"""What is around the head: backgrounds, things in front, light, and the camera's faults.

None of it moves a pixel's place, so none of it touches the labels.
Next: faces.py
"""

from __future__ import annotations

import cv2
import numpy as np

from sightline.drawn.canvas import Canvas, Colour


def paint_background(canvas: Canvas, *, rng: np.random.Generator) -> None:
    """A gradient or a cloudy texture, then clutter: stripes, ellipses (some of skin colour), boxes and lines."""
    height, width = canvas.pixels.shape[:2]
    coarse = int(rng.choice([2, 3, 5, 9, 17]))
    tint = _muted(rng.uniform(20, 235, 3), rng=rng)
    contrast = rng.uniform(10, 75)
    grid = tint + contrast * rng.standard_normal((coarse, coarse, 3)) * rng.uniform(0.3, 1, 3)
    grid = grid * 0.6 + grid.mean(axis=2, keepdims=True) * 0.4
    grid = np.clip(grid, 0, 255).astype(np.float32)
    canvas.pixels = cv2.resize(grid, (width, height), interpolation=cv2.INTER_LINEAR).astype(np.uint8)
    side = max(canvas.size_hw)
    if rng.random() < 0.2:
        _stripes(canvas, rng=rng)
    for _ in range(rng.integers(0, 9)):
        centre = rng.uniform(0, 1, 2) * np.array(canvas.size_hw[::-1])
        if rng.random() < 0.5:
            canvas.fill(
                _ellipse(centre, rng.uniform(0.04, 0.3, 2) * side, rng.uniform(0, np.pi)), colour=_any_colour(rng)
            )
        else:
            corners = centre + rng.uniform(-0.3, 0.3, (int(rng.integers(2, 5)), 2)) * side
            if len(corners) == 2:
                canvas.line(corners, colour=_any_colour(rng), width_px=rng.uniform(0.005, 0.05) * side)
            else:
                canvas.fill(corners, colour=_any_colour(rng))


def paint_occluder(canvas: Canvas, *, rng: np.random.Generator, points_xy: np.ndarray, unit_px: float) -> None:
    """Sometimes something hides a part of the face: a blob or a bar near one landmark."""
    if rng.random() > 0.17:
        return
    target = points_xy[rng.integers(len(points_xy))] + rng.normal(0, 0.25, 2) * unit_px
    if rng.random() < 0.6:
        shape = _ellipse(target, rng.uniform(0.12, 0.38, 2) * unit_px, rng.uniform(0, np.pi))
    else:
        angle = rng.uniform(0, np.pi)
        along = np.array([np.cos(angle), np.sin(angle)]) * 1.6 * unit_px
        across = np.array([-np.sin(angle), np.cos(angle)]) * rng.uniform(0.05, 0.18) * unit_px
        shape = np.stack([target - across, target + along - across, target + along + across, target + across])
    canvas.fill(shape, colour=_any_colour(rng))


def light(canvas: Canvas, *, rng: np.random.Generator) -> None:
    """One lamp from a side: a smooth brightness field over the picture, and its overall exposure."""
    angle, strength = rng.uniform(0, 2 * np.pi), rng.uniform(0, 0.5)
    y, x = np.mgrid[-1:1:9j, -1:1:9j]
    ramp = 1 + strength * (np.cos(angle) * x + np.sin(angle) * y)
    canvas.multiply((ramp * rng.uniform(0.62, 1.12)).clip(0.12, 1.6).astype(np.float32))


def photograph(picture: np.ndarray, *, rng: np.random.Generator) -> np.ndarray:
    """Lose what a camera loses: focus, photons, and what JPEG throws away. uint8 [H, W, 3] in and out."""
    if rng.random() < 0.4:
        sigma = float(rng.uniform(0.3, 1.1)) * max(picture.shape[:2]) / 128
        picture = cv2.GaussianBlur(picture, (0, 0), sigma)
    if rng.random() < 0.08:
        picture = cv2.cvtColor(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    if rng.random() < 0.7:
        noise = rng.standard_normal(picture.shape, dtype=np.float32) * np.float32(rng.uniform(1, 10))
        picture = np.clip(picture + noise, 0, 255).astype(np.uint8)
    if rng.random() < 0.5:
        quality = int(rng.integers(35, 92))
        coded = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
        decoded = cv2.imdecode(coded, cv2.IMREAD_COLOR)
        assert decoded is not None, quality
        picture = decoded[..., ::-1]
    return np.ascontiguousarray(picture)


def _stripes(canvas: Canvas, *, rng: np.random.Generator) -> None:
    side = max(canvas.size_hw)
    angle, gap, colour = rng.uniform(0, np.pi), rng.uniform(0.05, 0.16) * side, _any_colour(rng)
    along, across = np.array([np.cos(angle), np.sin(angle)]), np.array([-np.sin(angle), np.cos(angle)])
    middle = np.array(canvas.size_hw[::-1]) / 2
    for step in np.arange(-side, side, gap):
        ends = middle + across * step + along * np.array([[-side], [side]])
        canvas.line(ends, colour=colour, width_px=gap * 0.4)


def _ellipse(centre_xy: np.ndarray, radii: np.ndarray, angle: float) -> np.ndarray:
    turn = np.linspace(0, 2 * np.pi, 28, endpoint=False)
    ring = np.stack([radii[0] * np.cos(turn), radii[1] * np.sin(turn)], axis=1)
    return centre_xy + ring @ np.array([[np.cos(angle), np.sin(angle)], [-np.sin(angle), np.cos(angle)]])


def _any_colour(rng: np.random.Generator) -> Colour:
    if rng.random() < 0.3:  # like skin, so that colour alone does not find the face
        base = np.array([235.0, 190.0, 155.0]) * rng.uniform(0.4, 1.05)
        red, green, blue = np.clip(base, 0, 255)
    else:
        red, green, blue = _muted(rng.uniform(0, 255, 3), rng=rng)
    return float(red), float(green), float(blue)


def _muted(colour: np.ndarray, *, rng: np.random.Generator) -> np.ndarray:
    """Nearer to grey by a random share: rooms are less colourful than random numbers."""
    return colour + rng.uniform(0.1, 0.9) * (colour.mean() - colour)
