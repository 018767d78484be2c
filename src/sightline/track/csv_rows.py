"""Points as rows of a CSV that is whole after every frame, and can be continued.

A row is written by one call, and a row that does not fit on the disk is cut off again, so that the file always ends
with a whole one. This is why it is not written aside: what stops a long video takes nothing with it.

`sightline`: frame,time_s,x,y,visible,score,radius_px,step in continuous pixels of the frame (the middle of the first
pixel is 0.5, 0.5); x, y and radius_px are empty where there are none. `tracknet`: Frame,Visibility,X,Y in TrackNet's
convention (the middle of the first pixel is 0, 0), zeros where not visible. Next: stream.py
"""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Literal, Self, get_args

import numpy as np

from sightline.errors import UserError
from sightline.geometry import continuous_to_index, index_to_continuous
from sightline.locks import NoLocks, lock
from sightline.track.point import STEP_KINDS, StepKind, TrackPoint

RowFormat = Literal["sightline", "tracknet"]
HEADERS: dict[RowFormat, str] = {
    "sightline": "frame,time_s,x,y,visible,score,radius_px,step",
    "tracknet": "Frame,Visibility,X,Y",
}

_CHUNK = 2**20


def as_row(point: TrackPoint, *, format: RowFormat) -> str:
    """One line, without its end."""
    if format == "tracknet":
        x, y = continuous_to_index(np.array([point.x, point.y])) if point.visible else (0.0, 0.0)
        return f"{point.frame},{int(point.visible)},{x:.2f},{y:.2f}"
    time_s = "" if point.time_s is None else f"{point.time_s:.6f}"
    x, y = (f"{point.x:.3f}", f"{point.y:.3f}") if point.visible else ("", "")
    radius = "" if point.radius_px is None else f"{point.radius_px:.2f}"
    return f"{point.frame},{time_s},{x},{y},{int(point.visible)},{point.score:.4f},{radius},{point.step}"


def read_rows(path: Path) -> tuple[RowFormat, list[TrackPoint]]:
    """The points in a file that a `RowFile` wrote; a last row that is not whole is left out.

    Raises:
        UserError: it is no such file, or a row is damaged.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error}). Give a file that sightline track wrote.") from error
    return _parsed(data, path=path)


def _parsed(data: bytes, *, path: Path) -> tuple[RowFormat, list[TrackPoint]]:
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise UserError(f"{path} cannot be read ({error}). Give a file that sightline track wrote.") from error
    lines = text[: text.rfind("\n") + 1].splitlines()
    formats = [name for name in get_args(RowFormat) if lines and lines[0] == HEADERS[name]]
    if not formats:
        raise UserError(
            f"{path} is no file of points: it begins with '{lines[0][:60] if lines else ''}'. Expected the columns "
            f"{HEADERS['sightline']}, or {HEADERS['tracknet']}."
        )
    points: list[TrackPoint] = []
    for number, cells in enumerate(csv.reader(lines[1:]), start=2):
        try:
            point = _of_cells(cells, format=formats[0])
        except (ValueError, IndexError) as error:
            raise UserError(f"{path}, line {number}: {error}. Remove what stands from there on, and resume.") from error
        if points and point.frame <= points[-1].frame:
            raise UserError(
                f"{path}, line {number}: frame {point.frame} does not come behind frame {points[-1].frame}."
            )
        points.append(point)
    return formats[0], points


def _of_cells(cells: Sequence[str], *, format: RowFormat) -> TrackPoint:
    if format == "tracknet":
        frame, visible = int(cells[0]), cells[1] == "1"
        x, y = index_to_continuous(np.array([float(cells[2]), float(cells[3])])) if visible else (0.0, 0.0)
        return TrackPoint(frame=frame, x=float(x), y=float(y), visible=visible, score=float(visible), step="fast")
    steps: dict[str, StepKind] = {kind: kind for kind in STEP_KINDS}
    step = steps.get(cells[7])
    if step is None:
        raise ValueError(f"'{cells[7]}' is no step")
    visible = cells[4] == "1"
    return TrackPoint(
        frame=int(cells[0]),
        time_s=float(cells[1]) if cells[1] else None,
        x=float(cells[2]) if visible else 0.0,
        y=float(cells[3]) if visible else 0.0,
        visible=visible,
        score=float(cells[5]),
        radius_px=float(cells[6]) if cells[6] else None,
        step=step,
    )


class RowFile:
    """A CSV of points that grows; to be used in a `with` block."""

    def __init__(self, path: Path, *, format: RowFormat = "sightline", resume: bool = False) -> None:
        """Look at what is there; the file is made with the first row. While it is open, no other process writes to it.

        Args:
            path: the file.
            format: of its rows.
            resume: go on behind the rows that are there.

        Raises:
            UserError: there is a file and no `resume`, or the reverse; or it is of the other format, or damaged; or
                another process is writing to it.
        """
        self.path = path
        self.format: RowFormat = format
        self.done: list[TrackPoint] = []
        self.rows = 0
        self._descriptor: int | None = None
        if path.is_dir():
            raise UserError(f"--out {path} is a folder. Name a CSV file in it.")
        if resume and not path.is_file():
            raise UserError(f"There is nothing to resume: {path} does not exist. Begin without --resume.")
        if path.exists() and not resume:
            raise UserError(f"{path} exists already. Go on with it by --resume, or choose another --out.")
        if resume:
            try:
                self._take(0)
                found, self.done = _parsed(self._bytes(), path=path)
                if found != format:
                    raise UserError(f"{path} is of the format {found}, not {format}. Resume with --format {found}.")
            except UserError:
                self._close()
                raise

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close; rows that are written stay."""
        self._close()

    def write(self, points: Iterable[TrackPoint]) -> None:
        """Append rows.

        Raises:
            UserError: the file cannot be written; the rows before are in it, whole.
        """
        for point in points:
            if not self.rows:
                self._begin()
            self._append(as_row(point, format=self.format) + "\n")
            self.rows += 1

    def _take(self, flags: int) -> None:
        """Open the file, and keep other processes from writing to it, where its disk knows locks."""
        try:
            self._descriptor = os.open(self.path, os.O_RDWR | getattr(os, "O_BINARY", 0) | flags, 0o666)
        except OSError as error:
            raise self._failed(error) from error
        with suppress(NoLocks):
            if not lock(self._descriptor, path=self.path):
                raise UserError(
                    f"Another process is writing to {self.path}. Wait for it, or choose another --out: two in one file "
                    "would mix their rows."
                )

    def _bytes(self) -> bytes:
        """What is in the file, read by the descriptor that holds its lock."""
        descriptor = self._descriptor
        assert descriptor is not None
        os.lseek(descriptor, 0, os.SEEK_SET)
        return b"".join(iter(lambda: os.read(descriptor, _CHUNK), b""))

    def _begin(self) -> None:
        """Make the file, or cut off half a last row, before the first of ours."""
        try:
            if self._descriptor is None:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                self._take(os.O_CREAT | os.O_EXCL)  # another process may have made it meanwhile
            assert self._descriptor is not None
            self._end = self._bytes().rfind(b"\n") + 1  # behind the last whole row
            os.ftruncate(self._descriptor, self._end)
            os.lseek(self._descriptor, self._end, os.SEEK_SET)
        except OSError as error:
            raise self._failed(error) from error
        if not self._end:
            self._append(HEADERS[self.format] + "\n")

    def _close(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _append(self, line: str) -> None:
        """A line, all of it or nothing."""
        assert self._descriptor is not None
        data = line.encode("ascii")
        written = 0
        try:
            while written < len(data):
                written += os.write(self._descriptor, data[written:])
        except OSError as error:
            with suppress(OSError):  # the error that brought us here is the one to tell
                os.ftruncate(self._descriptor, self._end)
            raise self._failed(error) from error
        self._end += len(data)

    def _failed(self, error: OSError) -> UserError:
        reason = (error.strerror or str(error)).lower()
        kept = len(self.done) + self.rows
        rest = (
            f"The {kept:,} rows before are whole; make room and go on by --resume." if kept else "Choose another --out."
        )
        return UserError(f"Cannot write {self.path}: {reason}. {rest}")
