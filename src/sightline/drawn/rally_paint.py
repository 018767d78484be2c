"""Paints players, rackets and their shadows: tapered limbs with a lit side, averaged over the exposure.

In: joints over the exposure and a camera. Out: pixels of a canvas, or how much of each pixel of a box is covered.
Next: rally_object.py
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from sightline.drawn.rally_camera import Camera
from sightline.drawn.rally_figure import Body3D
from sightline.geometry import continuous_to_index

Region = tuple[int, int, int, int]  # x0, y0, x1, y1 in whole pixels of the canvas
_ARC = 6  # corners of a rounded end
_SUB = 4  # bits of a sub-pixel in OpenCV's drawing
_NEAREST_M = 0.7

# from, to, radius at each end (metres), garment
_PARTS = (
    ("hip_l", "knee_l", 0.085, 0.06, "shorts"), ("knee_l", "foot_l", 0.055, 0.035, "skin"),
    ("foot_l", "toe_l", 0.042, 0.034, "shoes"), ("hip_r", "knee_r", 0.085, 0.06, "shorts"),
    ("knee_r", "foot_r", 0.055, 0.035, "skin"), ("foot_r", "toe_r", 0.042, 0.034, "shoes"),
    ("hip_l", "hip_r", 0.11, 0.11, "shorts"), ("pelvis", "chest", 0.105, 0.15, "shirt"),
    ("shoulder_l", "shoulder_r", 0.07, 0.07, "shirt"), ("neck", "head", 0.05, 0.05, "skin"),
    ("shoulder_l", "elbow_l", 0.06, 0.045, "shirt"), ("elbow_l", "hand_l", 0.04, 0.03, "skin"),
    ("shoulder_r", "elbow_r", 0.06, 0.045, "shirt"), ("elbow_r", "hand_r", 0.04, 0.03, "skin"),
    ("head", "head", 0.105, 0.105, "skin"),
)  # fmt: skip
_TRUNK, _SHOULDERS = 7, 8  # painted as one: the hull of both
_HAIR_UP = 0.035


@dataclass(frozen=True, kw_only=True)
class Look:
    """Colours (RGB) and build of one figure; `racket_radii` along and across, None for empty hands."""

    shirt: tuple[float, float, float]
    shorts: tuple[float, float, float]
    skin: tuple[float, float, float]
    hair: tuple[float, float, float]
    shoes: tuple[float, float, float]
    racket: tuple[float, float, float]
    racket_radii: tuple[float, float] | None
    height_m: float
    girth: float
    phase: float


def sample_look(rng: np.random.Generator, *, racket_radii: tuple[float, float] | None) -> Look:
    """Clothes as in sports: white shirts are as likely as all others but dark ones together."""
    bright = [(200, 40, 45), (240, 200, 40), (60, 130, 220), (240, 120, 40), (90, 190, 90), (230, 110, 160)]
    dark = [(25, 25, 30), (20, 35, 80), (60, 20, 30), (30, 60, 50)]
    white = (238, 238, 240)

    def cloth(p_white: float) -> tuple[float, float, float]:
        chosen = white if rng.random() < p_white else (bright + dark)[int(rng.integers(len(bright) + len(dark)))]
        muted = 0.8 * np.array(chosen) + 0.2 * np.mean(chosen)
        red, green, blue = np.clip(muted * rng.uniform(0.8, 1.03) + rng.normal(0, 6, 3), 8, 250)
        return float(red), float(green), float(blue)

    def grown(tones: list[tuple[int, int, int]]) -> tuple[float, float, float]:
        red, green, blue = np.array(tones[int(rng.integers(len(tones)))]) * rng.uniform(0.85, 1.1)
        return float(red), float(green), float(blue)

    return Look(
        shirt=cloth(0.4), shorts=cloth(0.25), shoes=cloth(0.55),
        racket=grown([(30, 30, 34), (150, 40, 40), (170, 170, 175)]),
        skin=grown([(224, 172, 140), (198, 140, 105), (150, 100, 70), (100, 66, 46)]),
        hair=grown([(30, 22, 18), (60, 40, 25), (120, 90, 50), (20, 20, 22)]), racket_radii=racket_radii,
        height_m=float(rng.normal(1.77, 0.08)), girth=float(rng.uniform(0.88, 1.12)), phase=float(rng.uniform(0, 6.28)),
    )  # fmt: skip


@dataclass(frozen=True, kw_only=True, eq=False)
class Outlines:
    """A figure's shapes on the canvas over the exposure.

    Attributes:
        whole: [S, M, P, 2] convex outlines in continuous pixels.
        lit: the same, of their lit sides.
        colours: [M, 3].
        order: [S, M], farthest first.
        ring: [S, R, 2] of the racket, or None.
        ring_px: thickness of its frame.
        region: all of it, with a border, within the canvas; None where nothing of it is there.
        detailed: whether it is large enough for a lit side.
        depth: metres from the camera's plane to the pelvis.
    """

    whole: np.ndarray
    lit: np.ndarray
    colours: np.ndarray
    order: np.ndarray
    ring: np.ndarray | None
    ring_px: float
    region: Region | None
    detailed: bool
    depth: float


def outline(body: Body3D, *, look: Look, camera: Camera) -> Outlines:
    """Project a figure."""
    joints = body.joints
    starts = np.stack([joints[a] for a, *_ in _PARTS] + [joints["head"] + [0, 0, _HAIR_UP], joints["hand_r"]], axis=1)
    ends = np.stack([joints[b] for _, b, *_ in _PARTS] + [joints["head"] + [0, 0, _HAIR_UP]], axis=1)
    along, across = body.racket_plane
    throat = joints["racket"] - along * (look.racket_radii or (0.0, 0.0))[0]
    ends = np.concatenate([ends, throat[:, None]], axis=1)
    width = np.array([part[2:4] for part in _PARTS] + [(0.098, 0.098), (0.011, 0.008)]) * body.girth  # [M, 2]
    colours = [getattr(look, part[4]) for part in _PARTS] + [look.hair, look.racket]
    if look.racket_radii is None:
        starts, ends, width, colours = starts[:, :-1], ends[:, :-1], width[:-1], colours[:-1]
    a, depth_a = camera.project(starts)
    b, depth_b = camera.project(ends)
    depth = float(depth_a[:, 0].mean())
    px = camera.focal_px / np.maximum(np.stack([depth_a, depth_b], axis=-1), _NEAREST_M)
    radii = np.maximum(width * px, 0.35)
    whole = _capsules(a, b, radii)
    shift = np.array([-0.22, -0.30])
    lit = _capsules(a + shift * radii[..., :1], b + shift * radii[..., 1:], radii * 0.66)
    ring, ring_px = None, 0.0
    if look.racket_radii is not None:
        turn = np.linspace(0, 2 * np.pi, 20, endpoint=False)[:, None]
        long, wide = look.racket_radii
        edge = joints["racket"][:, None] + long * np.cos(turn) * along[:, None] + wide * np.sin(turn) * across[:, None]
        ring = camera.project(edge)[0]
        ring_px = float(max(0.022 * camera.focal_px / max(depth, _NEAREST_M), 0.8))
    everything = whole.reshape(-1, 2) if ring is None else np.concatenate([whole.reshape(-1, 2), ring.reshape(-1, 2)])
    region = None
    if min(depth_a.min(), depth_b.min()) > _NEAREST_M:
        region = clip_region(everything, border=2, canvas_hw=camera.canvas_hw)
    head_to_camera = (depth_a + depth_b) / 2
    head_to_camera[:, len(_PARTS)] -= 0.02 if body.joints["head"][0, 2] > 0 else 0.0
    return Outlines(
        whole=whole, lit=lit, colours=np.array(colours), order=np.argsort(-head_to_camera, axis=1), ring=ring,
        ring_px=ring_px, region=region, detailed=float(radii.max()) > 3.0, depth=depth,
    )  # fmt: skip


def clip_region(points_xy: np.ndarray, *, border: int, canvas_hw: tuple[int, int]) -> Region | None:
    """Whole pixels around points [N, 2], within the canvas; None where they all lie outside."""
    low = np.floor(points_xy.min(axis=0)).astype(int) - border
    high = np.ceil(points_xy.max(axis=0)).astype(int) + border
    x0, y0 = max(int(low[0]), 0), max(int(low[1]), 0)
    x1, y1 = min(int(high[0]), canvas_hw[1]), min(int(high[1]), canvas_hw[0])
    return (x0, y0, x1, y1) if x1 > x0 and y1 > y0 else None


def paint_figure(canvas: np.ndarray, shapes: Outlines) -> None:
    """Paint a figure onto uint8 RGB [H, W, 3]: the mean of its instants."""
    if shapes.region is None:
        return
    x0, y0, x1, y1 = shapes.region
    under = canvas[y0:y1, x0:x1]
    instants = len(shapes.whole)
    total = np.zeros(under.shape, np.uint16)
    for instant in range(instants):
        patch = under.copy()
        _paint_instant(patch, shapes, instant=instant, origin=(x0, y0))
        cv2.add(total, patch, dst=total, dtype=cv2.CV_16U)
    canvas[y0:y1, x0:x1] = cv2.convertScaleAbs(total, alpha=1 / instants)


def covered(shapes: Outlines, region: Region) -> np.ndarray:
    """Which share of each pixel of a region is hidden by the figure, its strings left out: float32 [h, w] in 0..1."""
    x0, y0, x1, y1 = region
    total = np.zeros((y1 - y0, x1 - x0), np.float32)
    mine = shapes.region
    if mine is None or mine[0] >= x1 or mine[2] <= x0 or mine[1] >= y1 or mine[3] <= y0:
        return total
    for instant in range(len(shapes.whole)):
        patch = np.zeros(total.shape, np.uint8)
        for outline_px in _trunk_merged(_fixed(shapes.whole[instant], origin=(x0, y0))):
            cv2.fillConvexPoly(patch, outline_px, 255, cv2.LINE_AA, _SUB)
        total += patch
    return total / (255 * len(shapes.whole))


def paint_shadow(
    canvas: np.ndarray, body: Body3D, *, camera: Camera, light_xy: tuple[float, float], depth: float
) -> None:
    """Darken the ground where a figure keeps light off.

    Args:
        canvas: uint8 RGB, painted in place.
        body: the figure; its middle instant counts.
        camera: how it is seen.
        light_xy: how far the shadow of a point lies from it, for each metre of its height.
        depth: share of the light that is kept off.
    """
    middle = len(body.joints["pelvis"]) // 2
    ends = np.stack([[body.joints[name][middle] for name in part[:2]] for part in _PARTS[:-1]])  # [M, 2, 3]
    fallen = np.concatenate(
        [ends[..., :2] + ends[..., 2:] * np.array(light_xy), np.zeros((*ends.shape[:2], 1))], axis=-1
    )
    seen, distance = camera.project(fallen)
    if distance.min() < _NEAREST_M:
        return
    width = np.array([part[2:4] for part in _PARTS[:-1]]) * body.girth
    radii = np.maximum(width * camera.focal_px / distance * 0.75, 0.4)
    shapes = _capsules(seen[None, :, 0], seen[None, :, 1], radii[None])[0]
    soft = max(float(radii.mean()) * 0.8, 0.6)
    region = clip_region(shapes.reshape(-1, 2), border=int(3 * soft) + 1, canvas_hw=camera.canvas_hw)
    if region is None:
        return
    x0, y0, x1, y1 = region
    mask = np.zeros((y1 - y0, x1 - x0), np.uint8)
    for shape in _fixed(shapes, origin=(x0, y0)):
        cv2.fillConvexPoly(mask, shape, round(255 * depth), cv2.LINE_AA, _SUB)
    cv2.bitwise_not(cv2.blur(mask, (2 * int(soft) + 1,) * 2), dst=mask)
    under = canvas[y0:y1, x0:x1]
    canvas[y0:y1, x0:x1] = cv2.multiply(under, cv2.merge([mask, mask, mask]), scale=1 / 255)


def _paint_instant(patch: np.ndarray, shapes: Outlines, *, instant: int, origin: tuple[int, int]) -> None:
    whole = _trunk_merged(_fixed(shapes.whole[instant], origin=origin))
    lit = _trunk_merged(_fixed(shapes.lit[instant], origin=origin))
    for part in shapes.order[instant]:
        if part == _SHOULDERS:
            continue
        red, green, blue = shapes.colours[part]
        dark = 0.72 if shapes.detailed else 0.92
        cv2.fillConvexPoly(patch, whole[part], (red * dark, green * dark, blue * dark), cv2.LINE_AA, _SUB)
        if shapes.detailed:
            cv2.fillConvexPoly(patch, lit[part], (red, green, blue), cv2.LINE_AA, _SUB)
    if shapes.ring is None:
        return
    ring = _fixed(shapes.ring[instant][None], origin=origin)[0]
    x, y, wide, high = cv2.boundingRect((ring >> _SUB).astype(np.int32))
    x0, y0 = max(x, 0), max(y, 0)
    inside = patch[y0 : y + high + 1, x0 : x + wide + 1]
    if inside.size:
        strings = inside.copy()
        moved = ring - np.array([x0 << _SUB, y0 << _SUB], np.int32)
        cv2.fillConvexPoly(strings, moved, (215, 215, 205), cv2.LINE_AA, _SUB)
        cv2.addWeighted(strings, 0.2, inside, 0.8, 0, dst=inside)
        red, green, blue = shapes.colours[-1]
        cv2.polylines(patch, [ring], True, (red, green, blue), max(round(shapes.ring_px), 1), cv2.LINE_AA, _SUB)


def _trunk_merged(outlines: np.ndarray) -> list[np.ndarray]:
    """Outlines [M, P, 2] with the trunk's replaced by the hull of trunk and shoulders."""
    merged = list(outlines)
    merged[_TRUNK] = cv2.convexHull(np.concatenate([outlines[_TRUNK], outlines[_SHOULDERS]]))[:, 0]
    return merged


def _capsules(a: np.ndarray, b: np.ndarray, radii: np.ndarray) -> np.ndarray:
    """Outlines [S, M, 2 * _ARC, 2] of limbs from a to b [S, M, 2] with radii [S, M, 2]."""
    line = b - a
    heading = np.arctan2(line[..., 1], line[..., 0])[..., None]
    arc = np.linspace(np.pi / 2, 3 * np.pi / 2, _ARC)
    back, front = heading + arc, heading + arc + np.pi
    ring_a = a[..., None, :] + radii[..., :1, None] * np.stack([np.cos(back), np.sin(back)], axis=-1)
    ring_b = b[..., None, :] + radii[..., 1:, None] * np.stack([np.cos(front), np.sin(front)], axis=-1)
    return np.concatenate([ring_a, ring_b], axis=-2)


def _fixed(points_xy: np.ndarray, *, origin: tuple[int, int]) -> np.ndarray:
    """Continuous pixels to OpenCV's fixed-point ones, relative to a patch."""
    return np.round((continuous_to_index(points_xy) - np.array(origin)) * (1 << _SUB)).astype(np.int32)
