"""Writes drawn rallies as a data set of clips: numbered pictures or H.264 videos, with a TrackNet table for each.

In: how many clips of what. Out: a folder that a reader opens like anyone's data.
Next: readers/
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

import cv2
import numpy as np

from sightline.drawn.rallies import Conditions, Rally, RallyTruth, draw_rally, training_pose, unseen_pose
from sightline.drawn.rally_camera import CameraPose, Kind
from sightline.errors import MissingExtra, UserError, unknown_name
from sightline.files import folder_aside, is_vacant, write_atomically
from sightline.geometry import continuous_to_index

if TYPE_CHECKING:
    from av import VideoStream
    from av.container import OutputContainer

Poses = Literal["training", "unseen"]
Codec = Literal["jpg", "mp4"]
_POSES: dict[Poses, Callable[..., CameraPose]] = {"training": training_pose, "unseen": unseen_pose}
_JPEG_QUALITY = 95


def write_rallies(
    folder: Path | str, *, clips: int, frames: int, seed: int, size_hw: tuple[int, int] = (1080, 1920),
    fps: float = 60.0, kind: Kind = "shuttle", poses: Poses = "training", codec: Codec = "jpg",
    conditions: Conditions | None = None, crf: int = 20, bit_rate: int | None = None,
) -> Path:  # fmt: skip
    """Write clips, each with its table; the folder takes its name only when all of it is there.

    `clip_000/000000.jpg` .. or `clip_000.mp4`, `clip_000.csv` with the columns Frame, Visibility, X, Y, and
    `rallies.json` with each clip's seed and camera. Frame counts from 0. X and Y are as TrackNet labels have them: the
    centre of the first pixel is 0.0. Visibility is 1 where the object is visible and in play; elsewhere all three
    are 0. Clip i is the same however many are written; another part of a data set takes another seed.

    Args:
        folder: must not exist, or be empty.
        clips: how many.
        frames: of each clip.
        seed: of the data set.
        size_hw: of the frames; even numbers for mp4.
        fps: frames a second.
        kind: shuttle or ball.
        poses: from which range each clip's camera is drawn.
        codec: pictures, or one video a clip (needs the extra `video`).
        conditions: noise, blur and so on; None draws from the usual ranges.
        crf: quality of H.264 where there is no bit rate; lower is better.
        bit_rate: bits a second; broadcast 1080p60 has about 12 million.

    Returns:
        The folder.

    Raises:
        UserError: a number out of range, an unknown name, a folder that holds something or cannot be written.
        MissingExtra: mp4 without PyAV.
    """
    target = Path(folder)
    if clips < 1 or not 0 <= crf <= 51 or (bit_rate is not None and bit_rate < 10_000):
        raise UserError(
            f"Cannot write {clips} clips with crf {crf} and bit rate {bit_rate}; at least 1 clip, a crf of 0 to 51 and "
            "a bit rate of 10000 or more can be written."
        )
    if poses not in _POSES:
        raise unknown_name("range of camera poses", poses, _POSES)
    if codec not in get_args(Codec):
        raise unknown_name("codec of clips", codec, get_args(Codec))
    if codec == "mp4":
        _check_video(size_hw)
    rallies = [
        draw_rally(
            int(np.random.default_rng([seed, index]).integers(2**31)), frames=frames, size_hw=size_hw, fps=fps,
            kind=kind, camera=_POSES[poses](np.random.default_rng([seed, index, 1]), kind=kind), conditions=conditions,
        )
        for index in range(clips)
    ]  # fmt: skip
    with _folder_aside(target) as aside:
        for index, rally in enumerate(rallies):
            name = f"clip_{index:03d}"
            if codec == "jpg":
                truths = _write_pictures(aside / name, rally)
            else:
                truths = _write_video(aside / f"{name}.mp4", rally, crf=crf, bit_rate=bit_rate)
            write_atomically(aside / f"{name}.csv", tracknet_table(truths))
        told = [
            {
                "clip": f"clip_{index:03d}",
                "seed": rally.seed,
                "kind": kind,
                "poses": poses,
                "camera": asdict(rally.pose),
            }
            for index, rally in enumerate(rallies)
        ]
        write_atomically(aside / "rallies.json", json.dumps(told, indent=1) + "\n")
    return target


def tracknet_table(truths: list[RallyTruth]) -> str:
    """Frame, Visibility, X, Y: pixel-index coordinates; zeros where the object is invisible or out of play."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["Frame", "Visibility", "X", "Y"])
    for frame, truth in enumerate(truths):
        if truth.visible and truth.in_play:
            x, y = continuous_to_index(np.array([truth.x, truth.y])).tolist()
            table.writerow([frame, 1, f"{x:.3f}", f"{y:.3f}"])
        else:
            table.writerow([frame, 0, 0, 0])
    return text.getvalue()


def _write_pictures(folder: Path, rally: Rally) -> list[RallyTruth]:
    folder.mkdir()
    truths = []
    for index, (frame, truth) in enumerate(rally.frames()):
        coded = cv2.imencode(".jpg", frame[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])[1]
        # Not one by one aside and onto the disk: the whole folder is aside.
        (folder / f"{index:06d}.jpg").write_bytes(coded.tobytes())
        truths.append(truth)
    return truths


def _write_video(path: Path, rally: Rally, *, crf: int, bit_rate: int | None) -> list[RallyTruth]:
    import av

    truths = []
    with av.open(str(path), "w") as container:
        stream = _open_stream(container, rally, crf=crf, bit_rate=bit_rate)
        for frame, truth in rally.frames():
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
            truths.append(truth)
        container.mux(stream.encode())
    return truths


def _open_stream(container: OutputContainer, rally: Rally, *, crf: int, bit_rate: int | None) -> VideoStream:
    options = {"preset": "veryfast"} | ({"crf": str(crf)} if bit_rate is None else {})
    rate = Fraction(rally.fps).limit_denominator(1001)
    stream = container.add_stream("libx264", rate=rate, options=options)
    stream.height, stream.width = rally.size_hw
    stream.pix_fmt = "yuv420p"
    if bit_rate is not None:
        stream.bit_rate = bit_rate
    return stream


def _check_video(size_hw: tuple[int, int]) -> None:
    try:
        import av  # noqa: F401
    except ImportError as error:
        raise MissingExtra(feature="Writing mp4 clips", extra="video") from error
    if size_hw[0] % 2 or size_hw[1] % 2:
        raise UserError(f"H.264 has frames of even height and width, not {size_hw[0]} x {size_hw[1]}.")


@contextmanager
def _folder_aside(target: Path) -> Iterator[Path]:
    """A new folder beside the target, which takes its name when the block ends without an error."""
    if not is_vacant(target):
        raise UserError(f"Cannot write {target}: it exists already. Choose another folder or remove it first.")
    try:
        with folder_aside(target) as aside:
            aside.mkdir(parents=True)
            yield aside
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise UserError(f"Cannot write {target}: {reason}. Nothing of it was left behind.") from error
