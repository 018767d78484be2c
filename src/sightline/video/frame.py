"""One frame of a video or of a folder of pictures.

In: pixels. Out: `VideoFrame`. Next: probe.py
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sightline.video.pixels import Pixels


@dataclass(frozen=True, kw_only=True, eq=False)
class VideoFrame:
    """A frame, upright; nothing is converted to RGB before it is asked for.

    Attributes:
        number: in display order, from 0. A number is left out where a frame could not be decoded.
        time_s: seconds since the first frame, as the file says; even spaced only where the file's frames are.
    """

    number: int
    time_s: float
    pixels: Pixels

    @property
    def size_hw(self) -> tuple[int, int]:
        """(height, width), upright."""
        return self.pixels.size_hw

    @property
    def image(self) -> np.ndarray:
        """[H, W, 3] uint8 RGB; kept once converted. Not to be written to."""
        return self.pixels.whole()

    def small(self, size_hw: tuple[int, int]) -> np.ndarray:
        """The whole frame averaged down to [h, w, 3] uint8 RGB, from the planes, without `image`."""
        return self.pixels.small(size_hw)

    def crop(self, x0: int, y0: int, x1: int, y1: int) -> np.ndarray:
        """A part of the frame at full resolution, without `image`; black where it reaches over the edges.

        Args:
            x0: left edge, a whole pixel; `x1` the right edge.
            y0: upper edge; `y1` the lower edge.
            x1: above x0.
            y1: above y0.

        Returns:
            [y1 - y0, x1 - x0, 3] uint8 RGB: the pixels `image[y0:y1, x0:x1]`. In frames of odd size or more than 8
            bits colour is interpolated a little differently at sharp edges of colour.
        """
        assert x1 > x0, (x0, x1)
        assert y1 > y0, (y0, y1)
        height, width = self.size_hw
        left, top, right, bottom = max(0, x0), max(0, y0), min(width, x1), min(height, y1)
        if (left, top, right, bottom) == (x0, y0, x1, y1):
            return self.pixels.crop(x0, y0, x1, y1)
        canvas = np.zeros((y1 - y0, x1 - x0, 3), dtype=np.uint8)
        if right > left and bottom > top:
            canvas[top - y0 : bottom - y0, left - x0 : right - x0] = self.pixels.crop(left, top, right, bottom)
        return canvas
