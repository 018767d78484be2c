"""Frames of videos that a data set needs -> pictures on the disk, so that training reads them in any order.

Each video is decoded once, from its start to the last frame that is needed, and no more than one frame is
kept. A video's pictures lie in a folder named by a hash of its path, size and time of change, so that a
second call finds them, and a video that was exchanged is unpacked anew.
In: a Dataset. Out: the same with pictures in place of videos. Next: ../scan.py
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import cv2

from sightline.files import write_atomically
from sightline.records import Dataset, FrameAt, Problem, Record
from sightline.video.library import VideoError, VideoProblem
from sightline.video.source import open_source

JPEG_QUALITY = 95


@dataclass(frozen=True, kw_only=True)
class Unpacking:
    """How far it has come.

    Attributes:
        done: frames that lie on the disk.
        total: frames that are needed.
        bytes: how large those that were written by this call are.
        video: the video that is being decoded.
    """

    done: int
    total: int
    bytes: int
    video: Path


def frames_needed(dataset: Dataset) -> dict[Path, set[int]]:
    """The frames in video files that records and what came before them name, by video."""
    needed: dict[Path, set[int]] = {}
    for record in dataset.records:
        for at in _frames_of(record):
            if at.index is not None:
                needed.setdefault(at.path, set()).add(at.index)
    return needed


def unpack(dataset: Dataset, folder: Path, *, progress: Callable[[Unpacking], None] | None = None) -> Dataset:
    """Write the frames that lie in videos as JPEG of quality 95, and let the data set name these.

    Args:
        dataset: of clips; records whose frames are pictures already stay as they are.
        folder: where to; about 0.3 MB a frame of 1920 x 1080. Pictures of earlier calls are used again.
        progress: called after each picture that was written.

    Returns:
        The data set without videos. A note says how many frames there are and how large. Records whose
        frame cannot be decoded go, with an error; where it is a frame before, it is None there.

    Raises:
        VideoError: a video is not there or no video.
        UserError: the folder cannot be written to.
    """
    needed = frames_needed(dataset)
    if not needed:
        return dataset
    state = _State(total=sum(len(numbers) for numbers in needed.values()), progress=progress)
    places: dict[FrameAt, Path] = {}
    problems: list[Problem] = []
    for video, numbers in needed.items():
        places.update(_unpack_video(video, numbers, folder=folder, state=state, problems=problems))
    records = []
    for record in dataset.records:
        moved = _moved(record, places=places)
        if moved is not None:
            records.append(moved)
            continue
        message = f"frame {record.video_frame} of {record.path} cannot be decoded"
        problems.append(
            Problem(
                id="video-frame-missing",
                severity="error",
                where=record.source or str(record.path),
                message=message,
                image_id=record.image_id,
            )
        )
    size = sum(path.stat().st_size for path in set(places.values()))
    message = (
        f"{len(places):,} frames of {len(needed)} videos lie as pictures in {folder} ({size / 1e6:,.1f} MB; "
        f"{state.written:,} of them written now)"
    )
    problems.append(Problem(id="video-unpacked", severity="note", where=str(dataset.root), message=message))
    return replace(dataset, records=tuple(records), problems=(*dataset.problems, *problems))


@dataclass(kw_only=True)
class _State:
    """What `progress` is told of."""

    total: int
    progress: Callable[[Unpacking], None] | None
    done: int = 0
    written: int = 0
    bytes: int = 0

    def wrote(self, size: int, *, video: Path) -> None:
        self.done, self.written, self.bytes = self.done + 1, self.written + 1, self.bytes + size
        if self.progress is not None:
            self.progress(Unpacking(done=self.done, total=self.total, bytes=self.bytes, video=video))


def _frames_of(record: Record) -> Sequence[FrameAt]:
    """The record's own frame and those before it."""
    before = record.before.frames if record.before is not None else ()
    return [FrameAt(path=record.path, index=record.video_frame), *(at for at in before if at is not None)]


def _folder_of(video: Path, folder: Path) -> Path:
    state = video.stat()
    key = f"{video.absolute()}\0{state.st_size}\0{state.st_mtime_ns}\0{JPEG_QUALITY}"
    return folder / f"{video.stem}-{hashlib.sha256(key.encode()).hexdigest()[:12]}"


def _unpack_video(
    video: Path, numbers: set[int], *, folder: Path, state: _State, problems: list[Problem]
) -> dict[FrameAt, Path]:
    """Where the frames of one video lie; those that cannot be decoded are not among them."""
    if not video.is_file():
        raise VideoError(f"There is no video {video}. Check the path.", fault="video-missing")
    into = _folder_of(video, folder)
    paths = {number: into / f"{number:06d}.jpg" for number in sorted(numbers)}
    # Pictures take their name when they are whole, so what is there is whole.
    wanted = {number for number, path in paths.items() if not path.is_file()}
    state.done += len(paths) - len(wanted)

    def tell(problem: VideoProblem) -> None:
        problems.append(Problem(id=problem.id, severity="warning", where=str(video), message=problem.message))

    if wanted:
        last = max(wanted)
        with open_source(video, on_problem=tell) as source:
            for frame in source:
                if frame.number in wanted:
                    data = cv2.imencode(
                        ".jpg", cv2.cvtColor(frame.image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
                    )[1].tobytes()
                    write_atomically(paths[frame.number], data)
                    wanted.remove(frame.number)
                    state.wrote(len(data), video=video)
                if frame.number >= last:
                    break
    return {FrameAt(path=video, index=number): path for number, path in paths.items() if number not in wanted}


def _moved(record: Record, *, places: dict[FrameAt, Path]) -> Record | None:
    """The record with pictures for its frames; None where its own frame is lacking."""
    before = record.before
    if before is not None:
        before = replace(before, frames=tuple(_picture(at, places=places) for at in before.frames))
    if record.video_frame is None:
        return replace(record, before=before)
    path = places.get(FrameAt(path=record.path, index=record.video_frame))
    return None if path is None else replace(record, path=path, video_frame=None, before=before)


def _picture(at: FrameAt | None, *, places: dict[FrameAt, Path]) -> FrameAt | None:
    if at is None or at.index is None:
        return at
    path = places.get(at)
    return None if path is None else FrameAt(path=path)
