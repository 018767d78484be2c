"""What a video file holds, told from its packets, without decoding more than the first frame.

In: a path. Out: a `VideoInfo`. Next: source.py
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sightline.video.library import VideoError, load_av

if TYPE_CHECKING:
    from av.container import InputContainer

_TICKS_APART = 2
_SHARE_APART = 0.05
_COUNTED = ("mp4", "mov")  # their heads count every frame; those of others guess, or tell nothing
_CLOCK = re.compile(r"(\d+):(\d\d):(\d\d(?:\.\d+)?)")
_LAST_FRAMES = 1.5


@dataclass(frozen=True, kw_only=True)
class VideoInfo:
    """What a video file holds.

    Attributes:
        frames: how many there are, as players show them: of a file that was cut off, those before the cut; of one
            that begins between key frames, those from the first one on that can be decoded.
        fps: frames a second, on average.
        size_hw: (height, width), upright.
        rotation: degrees by which frames are turned counterclockwise to be upright: 0, 90, 180 or 270.
        duration_s: from the first frame to the end of the last.
        is_variable: whether frames are spaced unevenly.
        is_whole: false where the file ends before its last packet does, or before its head says.
        codec: "h264", ...
        pixel_format: "yuv420p", ...
    """

    frames: int
    fps: float
    size_hw: tuple[int, int]
    rotation: int
    duration_s: float
    is_variable: bool
    is_whole: bool
    codec: str
    pixel_format: str


def probe(path: Path) -> VideoInfo:
    """Look at a video file; a second look at the same file costs nothing.

    Raises:
        VideoError: there is no such file, it is no video, or none of its frames can be decoded.
        MissingExtra: PyAV is not installed.
    """
    path = Path(path)
    try:
        state = path.stat()
    except OSError as error:
        raise VideoError(f"There is no video {path}. Check the path.", fault="video-missing") from error
    return _probe(path, state.st_size, state.st_mtime_ns)


def quarter_turns(rotation: int) -> int:
    """How often a frame is turned by 90 degrees counterclockwise, for a rotation in degrees."""
    return round(rotation / 90) % 4


def upright_hw(stored_hw: tuple[int, int], *, turns: int) -> tuple[int, int]:
    """(height, width) after that many quarter turns."""
    height, width = stored_hw
    return (width, height) if turns % 2 else (height, width)


def unreadable(name: object, why: object) -> VideoError:
    """The error for something that is no video."""
    return VideoError(
        f"{name} cannot be read as a video: {why}. Expected a file such as MP4, MKV or AVI that plays from its "
        "start. A recording that was broken off lacks its index; convert or record it again.",
        fault="video-unreadable",
    )


def promised_frames(container: InputContainer) -> int | None:
    """How many frames there are as the head of an MP4 file tells, with what its edit list cuts away; else None."""
    counted = any(word in container.format.name.split(",") for word in _COUNTED)
    return container.streams.video[0].frames or None if counted else None


def promised_s(container: InputContainer) -> float | None:
    """Where the pictures of a Matroska file end at the earliest, in seconds, as its head tells; None where it does not.

    Such a file has no count of its frames, and a cut one is read to the cut without an error. A little is taken off,
    since the last frame's length is a guess of whoever wrote the file.
    """
    stream = container.streams.video[0]
    told = _CLOCK.fullmatch(stream.metadata.get("DURATION", ""))
    if told is None or "matroska" not in container.format.name:
        return None
    hours, minutes, seconds = map(float, told.groups())
    rate = float(stream.average_rate or stream.guessed_rate or 30)
    return max(0.0, hours * 3600 + minutes * 60 + seconds - _LAST_FRAMES / rate)


@lru_cache(maxsize=4096)
def _probe(path: Path, size: int, modified_ns: int) -> VideoInfo:
    av = load_av()
    if size == 0:
        raise VideoError(f"{path} is an empty file (0 bytes). Copy or record it again.", fault="video-empty")
    del modified_ns  # part of the key only
    try:
        with av.open(str(path), mode="r", metadata_errors="replace") as container:
            if not container.streams.video:
                raise unreadable(path, "it holds no stream of pictures")
            stream = container.streams.video[0]
            first = next(container.decode(stream), None)
            if first is None:
                raise VideoError(f"No frame of {path} can be decoded. Record it again.", fault="video-empty")
            rotation = first.rotation
            stored_hw = first.height, first.width
            codec, pixel_format = stream.codec_context.name, first.format.name
            rate, time_base = float(stream.average_rate or stream.guessed_rate or 30), stream.time_base
        # Decoding took packets; they are counted from the start.
        with av.open(str(path), mode="r", metadata_errors="replace") as container:
            packets = _packets(container, first=first.pts)
            stamps, count = packets.stamps, packets.shown
            frames, end_s = promised_frames(container), promised_s(container)
    except av.error.FFmpegError as error:
        raise unreadable(path, error.strerror or error) from error
    turns = quarter_turns(rotation)
    tick_s = float(time_base or 0)
    is_short = (frames is not None and packets.count < frames) or (
        end_s is not None and max(stamps, default=0) * tick_s + 1 / rate < end_s
    )
    fps, is_variable = _spacing(stamps, count=count, tick_s=tick_s, rate=rate)
    return VideoInfo(
        frames=count,
        fps=fps,
        size_hw=upright_hw(stored_hw, turns=turns),
        rotation=turns * 90,
        duration_s=count / fps,
        is_variable=is_variable,
        is_whole=packets.to_the_end and not is_short,
        codec=codec,
        pixel_format=pixel_format,
    )


@dataclass(frozen=True, kw_only=True)
class _Packets:
    """Display times of the packets that show a frame, their count, that of all, and whether the end was reached."""

    stamps: list[int]
    shown: int
    count: int
    to_the_end: bool


def _packets(
    container,  # noqa: ANN001 (PyAV's container, which is not imported here)
    *,
    first: int | None,
) -> _Packets:
    """Go over the packets.

    Where the file begins between key frames, packets that would be shown before the first frame that came out do not
    count: they need a key frame that is not there.
    """
    av = load_av()
    stamps: list[int] = []
    count = shown = 0
    begins_between: bool | None = None
    try:
        for packet in container.demux(container.streams.video[0]):
            count += bool(packet.size)
            if not packet.size or packet.is_discard:
                continue
            if begins_between is None:
                begins_between = not packet.is_keyframe
            if not (begins_between and first is not None and packet.pts is not None and packet.pts < first):
                shown += 1
                if packet.pts is not None:
                    stamps.append(packet.pts)
    except av.error.FFmpegError:
        return _Packets(stamps=stamps, shown=shown, count=count, to_the_end=False)
    return _Packets(stamps=stamps, shown=shown, count=count, to_the_end=True)


def _spacing(stamps: list[int], *, count: int, tick_s: float, rate: float) -> tuple[float, bool]:
    """Frames a second, and whether they are spaced unevenly."""
    if len(stamps) < max(2, count) or not tick_s:
        return rate, False
    gaps = np.diff(np.sort(np.array(stamps, dtype=np.int64)))
    span = float(gaps.sum()) * tick_s
    spread = float(gaps.max() - gaps.min())
    is_variable = spread > _TICKS_APART and spread > _SHARE_APART * float(np.median(gaps))
    return ((len(stamps) - 1) / span if span > 0 else rate), is_variable
