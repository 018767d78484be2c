"""The pixels of one frame, converted no further than they are asked for.

A decoder gives brightness and colour planes (YUV). A tracker wants a small picture of the whole frame and
a crop or two at full resolution, so each is cut or scaled in the planes, and only the result becomes RGB. For
1920 x 1080 that takes a fifth of the time of converting the whole frame and averaging that down.
In: a decoded frame, or an array. Out: [h, w, 3] uint8 RGB, upright. Next: frame.py
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Protocol, cast

import cv2
import numpy as np

from sightline.video.library import load_av

if TYPE_CHECKING:
    import av
    import av.video.plane

# Bytes of a sample, for the layouts whose planes can be cut; others are converted whole.
_PLANAR = {
    **dict.fromkeys(("gray", "yuv420p", "yuvj420p", "yuv422p", "yuvj422p", "yuv444p", "yuvj444p", "gbrp"), 1),
    **dict.fromkeys(("gray10le", "yuv420p10le", "yuv422p10le", "yuv444p10le"), 2),
}
# Conversion looks this far to the sides, so cuts are wider by it; a multiple of the coarsest colour grid.
_MARGIN = 8


class Pixels(Protocol):
    """What a frame's pixels can be asked for; all upright."""

    @property
    def size_hw(self) -> tuple[int, int]:
        """(height, width)."""
        ...

    def whole(self) -> np.ndarray:
        """[H, W, 3] uint8."""
        ...

    def small(self, size_hw: tuple[int, int]) -> np.ndarray:
        """The whole frame averaged down, [h, w, 3] uint8."""
        ...

    def crop(self, x0: int, y0: int, x1: int, y1: int) -> np.ndarray:
        """A part that lies in the frame, [y1 - y0, x1 - x0, 3] uint8."""
        ...


class ArrayPixels:
    """Pixels that are RGB already."""

    def __init__(self, image: np.ndarray) -> None:
        """Keep [H, W, 3] uint8."""
        assert image.ndim == 3, image.shape
        assert image.shape[2] == 3, image.shape
        self._image = image
        self._small: np.ndarray | None = None

    @property
    def size_hw(self) -> tuple[int, int]:
        """(height, width)."""
        return self._image.shape[0], self._image.shape[1]

    def whole(self) -> np.ndarray:
        """The array itself."""
        return self._image

    def small(self, size_hw: tuple[int, int]) -> np.ndarray:
        """Averaged over areas where that is smaller, interpolated where larger; the last size asked for is kept."""
        if self._small is not None and self._small.shape[:2] == size_hw:
            return self._small
        shrinks = size_hw[0] <= self.size_hw[0] and size_hw[1] <= self.size_hw[1]
        way = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
        self._small = cv2.resize(self._image, size_hw[::-1], interpolation=way)
        return self._small

    def crop(self, x0: int, y0: int, x1: int, y1: int) -> np.ndarray:
        """A view."""
        return self._image[y0:y1, x0:x1]


class Scaler:
    """Shrinks the frames of one source. What has to be set up for a size is a third of the work, so it is kept."""

    def __init__(self) -> None:
        reformatter = load_av().video.reformatter.VideoReformatter
        self._to_size, self._to_rgb = reformatter(), reformatter()
        self._lock = threading.Lock()  # for each takes one frame at a time

    def __call__(self, frame: av.VideoFrame, *, size_hw: tuple[int, int]) -> np.ndarray:
        """Scaled in the planes, then converted: scaling into RGB directly takes three times as long."""
        height, width = size_hw
        # With colour at every pixel, so that a small picture does not have half of the colour.
        between = "yuv444p" if frame.format.name == "yuv420p" else frame.format.name
        with self._lock:
            scaled = self._to_size.reformat(frame, width, height, format=between, interpolation="AREA", threads=1)
            return self._to_rgb.reformat(scaled, format="rgb24", threads=1).to_ndarray()


class DecodedPixels:
    """The planes of a decoded frame."""

    def __init__(self, frame: av.VideoFrame, *, quarter_turns: int = 0, scaler: Scaler | None = None) -> None:
        """Keep a frame, its quarter turns counterclockwise until it is upright, and the source's scaler."""
        self._frame = frame
        self._turns = quarter_turns % 4
        self._scaler = scaler
        self._image: np.ndarray | None = None
        self._small: np.ndarray | None = None

    @property
    def size_hw(self) -> tuple[int, int]:
        """(height, width), upright."""
        height, width = self._frame.height, self._frame.width
        return (width, height) if self._turns % 2 else (height, width)

    def whole(self) -> np.ndarray:
        """Converted once."""
        if self._image is None:
            self._image = self._upright(_rgb(self._frame))
        return self._image

    def small(self, size_hw: tuple[int, int]) -> np.ndarray:
        """The last size asked for is kept."""
        if self._small is None or self._small.shape[:2] != size_hw:
            height, width = size_hw
            scaler = self._scaler or Scaler()
            self._small = self._upright(scaler(self._frame, size_hw=(width, height) if self._turns % 2 else size_hw))
        return self._small

    def crop(self, x0: int, y0: int, x1: int, y1: int) -> np.ndarray:
        """Cut in the planes where their layout is known."""
        sample_bytes = _PLANAR.get(self._frame.format.name)
        if sample_bytes is None or self._image is not None:
            return self.whole()[y0:y1, x0:x1]
        left, top, right, bottom = self._stored_box(x0, y0, x1, y1)
        # Cuts begin on a multiple of the colour grid and are wider than asked for, but end with the frame. Frames of
        # odd sizes are converted by another routine, so cuts of them are odd too.
        height, width = self._frame.height, self._frame.width
        start_x, start_y = max(0, left // 8 * 8 - _MARGIN), max(0, top // 8 * 8 - _MARGIN)
        end_x = min(width, (right + 7) // 8 * 8 + _MARGIN + width % 2)
        end_y = min(height, (bottom + 7) // 8 * 8 + _MARGIN + height % 2)
        part = _cut(self._frame, (start_x, start_y, end_x, end_y), sample_bytes=sample_bytes)
        image = _rgb(part)[top - start_y : bottom - start_y, left - start_x : right - start_x]
        return self._upright(image)

    def _upright(self, image: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(np.rot90(image, self._turns))

    def _stored_box(self, x0: int, y0: int, x1: int, y1: int) -> tuple[int, int, int, int]:
        """Where an upright box lies in the frame as it is stored."""
        height, width = self._frame.height, self._frame.width
        boxes = (
            (x0, y0, x1, y1),
            (width - y1, x0, width - y0, x1),
            (width - x1, height - y1, width - x0, height - y0),
            (y0, height - x1, y1, height - x0),
        )
        return boxes[self._turns]


def _rgb(frame: av.VideoFrame) -> np.ndarray:
    return frame.reformat(format="rgb24", threads=1).to_ndarray()


def _cut(frame: av.VideoFrame, box: tuple[int, int, int, int], *, sample_bytes: int) -> av.VideoFrame:
    """A part of a frame as a frame of its own, in the same layout and colour space."""
    x0, y0, x1, y1 = box
    part = type(frame)(x1 - x0, y1 - y0, frame.format.name)
    part.colorspace, part.color_range = frame.colorspace, frame.color_range
    kind = np.uint8 if sample_bytes == 1 else np.uint16
    for source, target in zip(frame.planes, part.planes, strict=True):
        # Planes of colour have every second sample or all of them; sizes are rounded up.
        step_x, step_y = (2 if source.width < frame.width else 1), (2 if source.height < frame.height else 1)
        from_rows = _rows(source, kind)
        to_rows = _rows(target, kind)
        top, left = y0 // step_y, x0 // step_x
        rows = from_rows[top : top + target.height, left : left + target.width]
        to_rows[: target.height, : target.width] = rows
    return part


def _rows(plane: av.video.plane.VideoPlane, kind: type[np.uint8] | type[np.uint16]) -> np.ndarray:
    """The samples of a plane with the padding of its lines, as they lie in memory."""
    samples = np.frombuffer(cast("bytes", plane), kind)
    return samples.reshape(-1, plane.line_size // samples.itemsize)
