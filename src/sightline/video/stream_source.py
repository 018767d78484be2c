"""Files, pipes, addresses and cameras through PyAV as a stream of frames.

Decoding runs in PyAV's own threads, outside of Python's lock. Live sources decode with slices of a frame
only: threads over frames would hold back as many frames as there are threads.
In: a container. Out: `VideoFrame`s. Next: folder_source.py
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from sightline.errors import UserError
from sightline.video.frame import VideoFrame
from sightline.video.library import OnProblem, VideoError, VideoProblem, load_av
from sightline.video.numbering import Numbering
from sightline.video.pipe import Pipe, Stalled
from sightline.video.pixels import DecodedPixels, Scaler
from sightline.video.probe import promised_frames, promised_s, quarter_turns, unreadable, upright_hw

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.frame import VideoFrame as AvFrame

_CAMERAS = {"linux": ("v4l2", "/dev/video{}"), "darwin": ("avfoundation", "{}")}


def open_file(path: Path, *, on_problem: OnProblem) -> StreamSource:
    """A video file."""
    if path.stat().st_size == 0:
        raise VideoError(f"{path} is an empty file (0 bytes). Copy or record it again.", fault="video-empty")
    container = _open(str(path), name=str(path))
    return StreamSource(container, name=str(path), is_live=False, on_problem=on_problem)


def open_pipe(where: Path | int, *, name: str, on_problem: OnProblem, timeout_s: float, owned: bool) -> StreamSource:
    """A pipe by its descriptor or name; it must hold a format that plays without its end (MPEG-TS, MKV)."""
    with ExitStack() as stack:
        descriptor = where if isinstance(where, int) else os.open(where, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
        if not isinstance(where, int):
            os.set_blocking(descriptor, True)
        pipe = Pipe(descriptor, timeout_s=timeout_s, owned=owned)
        stack.callback(pipe.close)
        try:
            container = _open(pipe, name=name)
        except Stalled as error:
            raise VideoError(
                f"Nothing came through {name} within {timeout_s:g} s. Start the sender first, or wait longer.",
                fault="video-empty",
            ) from error
        source = StreamSource(container, name=name, is_live=True, on_problem=on_problem)
        source.closing.push(stack.pop_all())
    return source


def open_address(address: str, *, on_problem: OnProblem, timeout_s: float) -> StreamSource:
    """A stream of the network."""
    container = _open(address, name=address, timeout=(timeout_s, timeout_s))
    return StreamSource(container, name=address, is_live=True, on_problem=on_problem)


def open_camera(index: int, *, on_problem: OnProblem, timeout_s: float) -> StreamSource:
    """A camera by its number.

    Raises:
        UserError: there is none of that number, or it cannot be opened.
    """
    known = _CAMERAS.get(sys.platform)
    if known is None:
        raise UserError(f"Cameras cannot be read on {sys.platform}. Give a video file, a folder or a stream.")
    format, pattern = known
    device = pattern.format(index)
    if format == "v4l2" and not Path(device).exists():
        there = ", ".join(sorted(path.name.removeprefix("video") for path in Path("/dev").glob("video*")))
        raise UserError(f"There is no camera {index} ({device}). Cameras that are there: {there or 'none'}.")
    container = _open(device, name=f"camera {index}", format=format, timeout=(timeout_s, timeout_s))
    return StreamSource(container, name=f"camera {index}", is_live=True, on_problem=on_problem)


class StreamSource:
    """The frames of the first stream of pictures of a container."""

    def __init__(self, container: InputContainer, *, name: str, is_live: bool, on_problem: OnProblem) -> None:
        """Decode the first frame, for its size.

        Raises:
            VideoError: there is no frame that can be decoded.
        """
        self.name, self.is_live = name, is_live
        self.closing = ExitStack()
        self.closing.callback(container.close)
        self._container, self._tell, self._told = container, on_problem, set[str]()
        if not container.streams.video:
            self.close()
            raise unreadable(name, "it holds no stream of pictures")
        self._stream = container.streams.video[0]
        self._stream.thread_type = "SLICE" if is_live else "AUTO"
        self.fps = float(self._stream.average_rate or self._stream.guessed_rate or 30)
        self.frames: int | None = None if is_live else promised_frames(container)
        self._promised_s = None if is_live else promised_s(container)
        self._end_s = 0.0  # of the last packet
        self._numbering, self._scaler = Numbering(), Scaler()
        self._discarded = 0
        self._decoded = self._decode()
        self._first = next(self._decoded, None)
        if self._first is None:
            self.close()
            raise VideoError(f"No frame of {name} can be decoded. Record or copy it again.", fault="video-empty")
        first = self._first[1]
        self._stored_hw = (first.height, first.width)
        self._turns = quarter_turns(first.rotation)
        self.size_hw: tuple[int, int] = upright_hw(self._stored_hw, turns=self._turns)

    def __iter__(self) -> Iterator[VideoFrame]:
        """The frames that can be decoded; a second iteration goes on where the first stopped."""
        if self._first is not None:
            (number, frame), self._first = self._first, None
            self._start_s = self._time_s(frame) or 0.0
            yield self._frame(number, frame)
        for number, frame in self._decoded:
            yield self._frame(number, frame)
        self._check_length()

    def close(self) -> None:
        """Let go of the file or device."""
        self.closing.close()

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        self.close()

    def _time_s(self, frame: AvFrame) -> float | None:
        """When a frame is shown; those that come out last have lost their own unit of time."""
        base = self._stream.time_base
        return None if frame.pts is None or base is None else float(frame.pts * base)

    def _frame(self, number: int, frame: AvFrame) -> VideoFrame:
        time_s = self._time_s(frame)
        if (frame.height, frame.width) != self._stored_hw:
            height, width = self._stored_hw
            message = (
                f"frame {number} of {self.name} has {frame.width} x {frame.height} pixels, the first "
                f"{width} x {height}; such frames are scaled to the first one's size, and positions are in its pixels"
            )
            self._once("video-size-changes", message, frame=number)
            frame = frame.reformat(width, height, interpolation="AREA", threads=1)
        elapsed = number / self.fps if time_s is None else time_s - self._start_s
        pixels = DecodedPixels(frame, quarter_turns=self._turns, scaler=self._scaler)
        return VideoFrame(number=number, time_s=elapsed, pixels=pixels)

    def _decode(self) -> Iterator[tuple[int, AvFrame]]:
        """Frames with their numbers; what cannot be decoded is told and passed over."""
        for packet in self._packets():
            try:
                if packet is not None and packet.size:
                    if packet.is_discard:
                        self._discarded += 1
                    else:
                        self._numbering.sent(packet.pts, is_key=packet.is_keyframe)
                frames = self._stream.decode(packet)
            except load_av().error.FFmpegError as error:
                self._damaged(error.strerror or str(error))
                continue
            for frame in frames:
                number = self._numbering.number(frame.pts)
                if frame.is_corrupt:
                    self._damaged("parts of it are missing")
                yield number, frame

    def _packets(self) -> Iterator[Packet | None]:
        """Packets until the end, a stall or damage of the container; then None, which empties the decoder."""
        av = load_av()
        try:
            for packet in self._container.demux(self._stream):
                if packet.size:
                    if packet.pts is not None and packet.time_base is not None:
                        self._end_s = max(self._end_s, float((packet.pts + (packet.duration or 0)) * packet.time_base))
                    yield packet
        except (Stalled, av.error.ExitError, av.error.TimeoutError) as error:
            self._numbering.damaged()
            waited = str(error) if isinstance(error, Stalled) else "nothing came in time"
            message = f"{self.name} stalled after frame {self._numbering.next_number - 1}: {waited}; it ends here"
            self._once("video-stalled", message, frame=self._numbering.next_number)
        except av.error.FFmpegError as error:
            self._truncated(error.strerror or str(error))
        yield None

    def _damaged(self, why: str) -> None:
        self._numbering.damaged()
        message = f"{self.name} is damaged near frame {self._numbering.next_number}: {why}; the other frames are used"
        self._once("video-damaged", message, frame=self._numbering.next_number)

    def _truncated(self, why: str) -> None:
        self._numbering.damaged()
        count = self._numbering.next_number
        message = f"{self.name} ends too early: {why}; the frames up to there are used"
        self._once("video-truncated", message, frame=count)

    def _check_length(self) -> None:
        """Tell where fewer frames came than the file's head promises, or than went in."""
        count, lost = self._numbering.next_number, self._numbering.lost_before
        if lost:
            message = (
                f"{self.name} begins between key frames: its first {lost:,} frames cannot be decoded, and frame 0 is "
                "the one behind them, as players show it"
            )
            self._once("video-damaged", message, frame=0)
        if self._promised_s is not None and self._end_s < self._promised_s:
            self._truncated(f"its head promises more than {self._promised_s:.1f} seconds, {self._end_s:.1f} are there")
        if self.frames is None:
            return
        # What an edit list cuts away is in the head's count, and only in part among the packets.
        expected = (self._numbering.sent_count if self._discarded else self.frames) - lost
        if count < expected:
            self._truncated(f"{count:,} of {expected:,} frames could be decoded")

    def _once(self, id: str, message: str, *, frame: int) -> None:
        if id not in self._told:
            self._told.add(id)
            self._tell(VideoProblem(id=id, message=message, frame=frame))


def _open(
    file: str | Pipe, *, name: str, format: str | None = None, timeout: tuple[float, float] | None = None
) -> InputContainer:
    """A container for reading, its errors made the user's."""
    av = load_av()
    try:
        return av.open(file, mode="r", format=format, timeout=timeout, metadata_errors="replace")
    except av.error.ExitError as error:
        raise VideoError(
            f"{name} did not answer in time. Check that it is there, or wait longer.", fault="video-missing"
        ) from error
    except av.error.FFmpegError as error:
        raise unreadable(name, error.strerror or error) from error
