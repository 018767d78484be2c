"""Drawing where a point was on a frame of video: a dot now, and a line that fades into the past.

In: a picture and the last points in its continuous pixels. Out: a picture of the same size, for
`VideoWriter`. The colours are those of the other drawings.
"""

from __future__ import annotations

import cv2
import numpy as np

from sightline.geometry import continuous_to_index
from sightline.writers.overlay import PREDICTION_RGB

_RIM_RGB = (16, 16, 24)
_SHIFT = 4  # cv2 takes coordinates in 1/16 of a pixel
_FAINTEST = 0.15


def draw_trail(
    image: np.ndarray, points_xy: np.ndarray, visible: np.ndarray, *, rgb: tuple[int, int, int] = PREDICTION_RGB
) -> np.ndarray:
    """Draw the last points of a track, the newest as a ring around the place.

    Args:
        image: [H, W, 3] uint8 RGB; it is not changed.
        points_xy: [T, 2] continuous pixels, oldest first, the last one of this frame.
        visible: [T] bool; lines are drawn between neighbours that are both visible.
        rgb: the colour.

    Returns:
        [H, W, 3] uint8, the picture with the drawing.
    """
    assert points_xy.shape == (len(visible), 2), (points_xy.shape, visible.shape)
    canvas = image.copy()
    count = len(visible)
    if count == 0:
        return canvas
    shorter = min(image.shape[:2])
    thickness, radius = max(1, round(shorter / 360)), max(6.0, shorter / 60)
    # Far outside of the picture cv2's numbers overflow; nothing of such a line is seen.
    far = np.float64(4 * max(image.shape[:2]))
    at = np.round(continuous_to_index(points_xy).clip(-far, far) * 2**_SHIFT).astype(np.int64)
    for newer in range(1, count):
        if not (visible[newer - 1] and visible[newer]):
            continue
        end = at[newer]
        if newer == count - 1:
            # The line ends at the ring, which leaves the object to be seen.
            step = (at[newer] - at[newer - 1]).astype(np.float64)
            length = float(np.hypot(*step))
            if length <= radius * 2**_SHIFT:
                continue
            end = np.round(at[newer] - step * (radius * 2**_SHIFT / length)).astype(np.int64)
        opacity = _FAINTEST + (1 - _FAINTEST) * newer / (count - 1)
        _line(canvas, at[newer - 1], end, rgb=rgb, thickness=thickness, opacity=opacity)
    if visible[-1]:
        centre = (int(at[-1, 0]), int(at[-1, 1]))
        for colour, width in ((_RIM_RGB, thickness + 2), (rgb, thickness)):
            cv2.circle(canvas, centre, round(radius * 2**_SHIFT), colour, width, cv2.LINE_AA, _SHIFT)
    return canvas


def _line(
    canvas: np.ndarray, start: np.ndarray, end: np.ndarray, *, rgb: tuple[int, int, int], thickness: int, opacity: float
) -> None:
    """A line that lets the picture through, blended in its own surroundings only."""
    height, width = canvas.shape[:2]
    margin = thickness + 2
    corners = np.stack([start, end]) / 2**_SHIFT
    x0, y0 = np.maximum(np.floor(corners.min(axis=0)).astype(int) - margin, 0)
    x1, y1 = np.minimum(np.ceil(corners.max(axis=0)).astype(int) + margin, (width, height))
    if x1 <= x0 or y1 <= y0:
        return
    part = canvas[y0:y1, x0:x1]
    drawn = part.copy()
    shift = np.array([x0, y0]) * 2**_SHIFT
    first, second = (tuple(int(v) for v in point - shift) for point in (start, end))
    cv2.line(drawn, first, second, rgb, thickness, cv2.LINE_AA, _SHIFT)
    cv2.addWeighted(drawn, opacity, part, 1 - opacity, 0, dst=part)
