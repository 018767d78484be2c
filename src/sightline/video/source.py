"""Where frames come from: a video file, a folder of numbered pictures, a pipe, an address, a camera.

In: where. Out: a `Source`, which gives `VideoFrame`s one after the other and keeps none of them.
Next: pipe.py
"""

from __future__ import annotations

import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from sightline.errors import UserError
from sightline.video.frame import VideoFrame
from sightline.video.library import OnProblem, VideoError, warn_of

PIPE = "-"
TIMEOUT_S = 10.0


class Source(Protocol):
    """Frames in display order.

    Attributes:
        name: for messages.
        size_hw: (height, width) of every frame, upright.
        fps: frames a second, on average.
        frames: how many the file says there are; None where that is not known.
        is_live: whether frames come as they are made, so that there is no end to wait for.
    """

    name: str
    size_hw: tuple[int, int]
    fps: float
    frames: int | None
    is_live: bool

    def __iter__(self) -> Iterator[VideoFrame]:
        """The frames, once."""
        ...

    def close(self) -> None:
        """Let go of the file or device."""
        ...

    def __enter__(self) -> Self:
        """Itself."""
        ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        ...


def open_source(
    where: Path | str | int, *, on_problem: OnProblem = warn_of, timeout_s: float = TIMEOUT_S, fps: float | None = None
) -> Source:
    """Open a stream of frames.

    Frames are numbered from 0 in display order, also where they are spaced unevenly or stored in another
    order; the file's rotation is applied; grey and deeper pictures become RGB of 8 bits. A frame of another
    size than the first is scaled to the first one's. What is wrong on the way goes to `on_problem`, each
    kind once, and the frames that can be decoded are given.

    Args:
        where: a video file, a folder of pictures with numbers in their names, "-" for standard input, an
            address ("rtsp://..."), or a camera's number.
        on_problem: takes each `VideoProblem`; without it they become Python warnings.
        timeout_s: how long to wait for a pipe, address or camera.
        fps: of a folder of pictures; 30 without it. Other sources know their own.

    Raises:
        VideoError: there is nothing, it is no video, or (while iterating) it holds no frame at all.
        UserError: no such camera.
        MissingExtra: PyAV is not installed.
    """
    from sightline.video.stream_source import open_address, open_camera, open_file, open_pipe

    if isinstance(where, int):
        return open_camera(where, on_problem=on_problem, timeout_s=timeout_s)
    if isinstance(where, str) and where == PIPE:
        descriptor = sys.stdin.fileno()
        return open_pipe(descriptor, name="standard input", on_problem=on_problem, timeout_s=timeout_s, owned=False)
    if isinstance(where, str) and "://" in where:
        return open_address(where, on_problem=on_problem, timeout_s=timeout_s)
    path = Path(where).expanduser()
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise VideoError(f"There is no video {path}. Check the path.", fault="video-missing") from error
    if stat.S_ISDIR(mode):
        from sightline.video.folder_source import FolderSource

        return FolderSource(path, fps=fps or 30.0, on_problem=on_problem)
    if stat.S_ISFIFO(mode):
        return open_pipe(path, name=str(path), on_problem=on_problem, timeout_s=timeout_s, owned=True)
    if not stat.S_ISREG(mode):
        raise UserError(f"{path} is a device. Give a camera by its number (0 for /dev/video0), or a file or folder.")
    return open_file(path, on_problem=on_problem)
