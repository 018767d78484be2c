"""Small videos made by code, whose frames say their own number in pixels."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, cast

import av
import numpy as np

if TYPE_CHECKING:
    from av.video.stream import VideoStream

SIZE_HW = (48, 64)
BITS = 6
_TICK = Fraction(1, 90_000)


def numbered_image(number: int, size_hw: tuple[int, int] = SIZE_HW) -> np.ndarray:
    """[H, W, 3]: six blocks across the top half, white for each set bit; the right lower corner is red."""
    height, width = size_hw
    image = np.full((height, width, 3), 40, dtype=np.uint8)
    for bit in range(BITS):
        if number >> bit & 1:
            image[: height // 2, bit * width // BITS : (bit + 1) * width // BITS] = 220
    image[3 * height // 4 :, 3 * width // 4 :] = (220, 30, 30)
    return image


def number_in(image: np.ndarray) -> int:
    """Which number an upright image shows."""
    height, width = image.shape[:2]
    middles = [int((2 * bit + 1) * width / (2 * BITS)) for bit in range(BITS)]
    return sum((image[height // 4, x].mean() > 128) << bit for bit, x in enumerate(middles))


def write_video(
    path: Path,
    *,
    frames: int = 30,
    size_hw: tuple[int, int] = SIZE_HW,
    pix_fmt: str = "yuv420p",
    codec: str = "libx264",
    times: Sequence[int] | None = None,
    rotation: int = 0,
    options: dict[str, str] | None = None,
    container_options: dict[str, str] | None = None,
) -> Path:
    """Numbered frames with B-frames and a key frame every twelve; `times` in 1/90000 s."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w", options=container_options or {}) as container:
        stream = cast("VideoStream", container.add_stream(codec, rate=30))
        stream.height, stream.width, stream.pix_fmt = *size_hw, pix_fmt
        if codec == "libx264":
            stream.options = {"bf": "3", "g": "12", "crf": "12", **(options or {})}
            stream.codec_context.time_base = _TICK
        if rotation:
            stream.set_display_rotation(rotation)
        for number in range(frames):
            frame = av.VideoFrame.from_ndarray(numbered_image(number, size_hw), format="rgb24")
            if codec == "libx264":
                frame.pts, frame.time_base = (3000 * number if times is None else times[number]), _TICK
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return path
