"""Short texts on a picture: each on a plate of its own colour, placed where it hides no other.

In: a drawn picture and tags with the box that each belongs to. Out: the picture with them. Next: overlay.py
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from sightline.geometry import Box, intersections

_RIM_RGB = (16, 16, 24)
# A plate that must cover more of others than this share of itself is left out: neither could be read.
_MOST_HIDDEN = 0.12


@dataclass(frozen=True, kw_only=True)
class Tag:
    """A text, the colour of its plate, and the box that it belongs to, in pixels of the canvas."""

    text: str
    rgb: tuple[int, int, int]
    box_xyxy: Box


def readable(name: str, *, number: int) -> str:
    """A class's name without accents, or "#3" where it has other letters: Pillow's own font has ASCII only."""
    plain = "".join(letter for letter in unicodedata.normalize("NFKD", name) if not unicodedata.combining(letter))
    return plain if plain.isascii() and plain.isprintable() else f"#{number}"


def draw_tags(canvas: np.ndarray, tags: Sequence[Tag], *, height_px: int) -> np.ndarray:
    """Draw tags at their boxes, the first ones first; those that find no room are left out.

    Args:
        canvas: [H, W, 3] uint8.
        tags: the most important first.
        height_px: of the letters.

    Returns:
        [H, W, 3] uint8, a new picture.
    """
    picture = Image.fromarray(canvas)
    draw = ImageDraw.Draw(picture)
    font = ImageFont.load_default(height_px)
    pad = max(2, height_px // 6)
    plates = np.zeros((0, 4))
    for tag in tags:
        left, _, right, _ = draw.textbbox((0, 0), tag.text, font=font)
        # All plates are of one height, whatever letters stand on them.
        size_hw = (round(height_px * 1.2) + 2 * pad, round(right - left) + 2 * pad)
        plate = _place(tag.box_xyxy, size_hw=size_hw, canvas_hw=canvas.shape[:2], taken=plates)
        if plate is None:
            continue
        plates = np.concatenate([plates, [plate]])
        x0, y0, x1, y1 = plate
        draw.rectangle((x0, y0, x1 - 1, y1 - 1), fill=tag.rgb, outline=_RIM_RGB)
        ink = _RIM_RGB if _is_light(tag.rgb) else (255, 255, 255)
        draw.text((x0 + pad - left, (y0 + y1) / 2), tag.text, fill=ink, font=font, anchor="lm")
    return np.array(picture)


def _place(
    box: Box, *, size_hw: tuple[int, int], canvas_hw: tuple[int, ...], taken: np.ndarray
) -> tuple[float, float, float, float] | None:
    """Above, below or in a corner of the box, within the canvas: the first place that covers no other plate."""
    x0, y0, x1, y1 = (round(edge) for edge in box)
    height, width = size_hw
    best, least = None, _MOST_HIDDEN
    corners = ((x0, y0 - height), (x0, y1), (x1 - width, y0 - height), (x0, y0), (x1 - width, y1), (x1 - width, y0))
    for x, y in corners:
        left = float(min(max(x, 0), max(canvas_hw[1] - width, 0)))
        top = float(min(max(y, 0), max(canvas_hw[0] - height, 0)))
        plate = (left, top, left + width, top + height)
        hidden = float(intersections(np.array([plate]), taken).sum()) / (width * height)
        if hidden == 0:
            return plate
        if hidden < least:
            best, least = plate, hidden
    return best


def _is_light(rgb: tuple[int, int, int]) -> bool:
    """Whether dark letters are read better than white ones (relative luminance of WCAG 2)."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (v / 255 for v in rgb)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2] > 0.18
