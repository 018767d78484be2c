"""PyAV, which is imported when a video is first touched; and what can be wrong with a video.

Next: pixels.py
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Literal

from sightline.errors import MissingExtra, UserError

VIDEO_SUFFIXES = frozenset(
    (".mp4", ".mov", ".m4v", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".ts", ".m2ts", ".mts", ".wmv", ".flv", ".3gp")
)

VideoFault = Literal["video-missing", "video-unreadable", "video-empty"]


class VideoError(UserError):
    """A video that cannot be used at all; `fault` is the stable name of the kind of problem."""

    def __init__(self, message: str, *, fault: VideoFault) -> None:
        """Keep the message and the kind."""
        super().__init__(message)
        self.fault: VideoFault = fault


@dataclass(frozen=True, kw_only=True)
class VideoProblem:
    """Something wrong with a video that could still be read in part.

    Attributes:
        id: "video-truncated", "video-damaged", "video-stalled", "video-size-changes" or "frames-missing".
        message: what was found and what was made of it.
        frame: the number of the first frame that it concerns, or of the first that is lacking.
    """

    id: str
    message: str
    frame: int

    def __str__(self) -> str:
        """Id and message."""
        return f"[{self.id}] {self.message}"


class VideoWarning(UserWarning):
    """How a `VideoProblem` is told where the caller gave no function for it."""


OnProblem = Callable[[VideoProblem], None]


def warn_of(problem: VideoProblem) -> None:
    """Tell a problem as a Python warning."""
    warnings.warn(str(problem), VideoWarning, stacklevel=2)


def load_av() -> ModuleType:
    """PyAV, without its own messages on standard error.

    Raises:
        MissingExtra: it is not installed.
    """
    try:
        import av
    except ImportError as error:
        raise MissingExtra(feature="Reading and writing video", extra="video") from error
    return av


def list_videos(folder: Path) -> list[Path]:
    """The videos in a folder and below it, by their names, sorted."""
    return sorted(path for path in folder.rglob("*") if is_video(path) and path.is_file())


def is_video(path: Path) -> bool:
    """Whether a file's name ends as videos' names do, and it is not hidden."""
    return path.suffix.lower() in VIDEO_SUFFIXES and not path.name.startswith(".")
