"""Writing H.264 video.

The file is written aside and takes its name when it is whole. An error or Ctrl-C in between ends it properly:
what was written until then is a video that plays. Players want even sizes (colour is stored for every second
pixel), so an odd width or height gets one more column on the right or row below, a copy of the last one:
positions stay where they are. In: RGB pictures. Out: a file. Next: unpack.py
"""

from __future__ import annotations

from contextlib import ExitStack, suppress
from fractions import Fraction
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np

from sightline.errors import UserError
from sightline.files import atomic_path
from sightline.video.library import load_av

_TICK = Fraction(1, 90_000)
_FORMATS = (".mp4", ".mkv", ".mov", ".avi", ".ts")


class VideoWriter:
    """A video file in the making; to be used in a `with` block."""

    def __init__(self, path: Path, *, fps: float, size_hw: tuple[int, int], quality: int = 20) -> None:
        """Say what is to be written; the file is begun by `with`.

        Args:
            path: its ending decides the container: .mp4, .mkv, .mov, .avi, .ts.
            fps: frames a second, above 0.
            size_hw: (height, width) of every picture.
            quality: x264's rate factor, 0..51, lower is better and larger.

        Raises:
            UserError: the ending is unknown, or the rate or size is not above 0.
            MissingExtra: PyAV is not installed.
        """
        self.path = Path(path)
        if self.path.suffix.lower() not in _FORMATS:
            raise UserError(
                f"Cannot write a video {path}: the ending '{self.path.suffix}' is unknown. Use {', '.join(_FORMATS)}."
            )
        if not 0 < fps < 10_000 or min(size_hw) < 1:
            raise UserError(
                f"Cannot write a video of {size_hw[1]} x {size_hw[0]} pixels at {fps:g} frames a second. Both must be "
                "above 0."
            )
        load_av()
        self.frames = 0
        self._fps, self._size_hw, self._quality = fps, size_hw, quality
        self._last_pts = -1
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        """Open the file aside."""
        av = load_av()
        with ExitStack() as stack:
            aside = stack.enter_context(atomic_path(self.path))
            self._container = av.open(str(aside), mode="w")
            stream = self._container.add_stream("libx264", rate=Fraction(self._fps).limit_denominator(1001))
            height, width = self._size_hw
            stream.height, stream.width = height + height % 2, width + width % 2
            stream.pix_fmt = "yuv420p"
            stream.options = {"crf": str(self._quality), "preset": "veryfast"}
            # Fine ticks, so that frames may be spaced unevenly.
            stream.codec_context.time_base = _TICK
            self._stream = stream
            self._stack = stack.pop_all()
        return self

    def write(self, image: np.ndarray, *, time_s: float | None = None) -> None:
        """Add a picture.

        Args:
            image: [H, W, 3] uint8 RGB of the size said before.
            time_s: when it is shown, in seconds from the start, later than the one before; without it the
                pictures are evenly spaced.

        Raises:
            UserError: it cannot be written (the disk is full); the video up to there is not kept.
        """
        assert image.shape == (*self._size_hw, 3), (image.shape, self._size_hw)
        assert image.dtype == np.uint8, image.dtype
        height, width = self._size_hw
        if height % 2 or width % 2:
            image = np.pad(image, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
        frame = load_av().VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
        time = self.frames / self._fps if time_s is None else time_s
        self._last_pts = max(self._last_pts + 1, round(time / _TICK))
        frame.pts, frame.time_base = self._last_pts, _TICK
        self._container.mux(self._stream.encode(frame))
        self.frames += 1

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Finish the file, also after an error; where it is the disk that fails, nothing is left of it."""
        if isinstance(error, OSError):
            self._abandon()
            # Leaving with the error removes the file aside and makes it one of the user's.
            self._stack.__exit__(kind, error, trace)
            return
        try:
            if self.frames:
                self._container.mux(self._stream.encode(None))
            self._container.close()
        except OSError as failed:
            self._abandon()
            self._stack.__exit__(type(failed), failed, failed.__traceback__)
            raise
        if self.frames:
            self._stack.close()
        else:
            self._discard()

    def _abandon(self) -> None:
        """Close what cannot be finished."""
        with suppress(OSError):  # the disk that is full is told already
            self._container.close()

    def _discard(self) -> None:
        """Remove the file aside: a video without frames is none."""
        nothing = _NothingWrittenError()
        with suppress(_NothingWrittenError):
            self._stack.__exit__(_NothingWrittenError, nothing, None)


class _NothingWrittenError(Exception):
    """Leaves `atomic_path` without a file."""
