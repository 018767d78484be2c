"""`sightline draw`: data sets drawn by code, with exact labels."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from sightline.cli import console
from sightline.cli.options import Flag
from sightline.errors import UserError

What = Literal["faces", "shapes", "panoramas", "rallies"]
_EVERY = 5  # of so many pictures one is for validation
_RECIPES: dict[What, str] = {
    "faces": "landmarks", "shapes": "boxes", "panoramas": "driving-ssd", "rallies": "track-ball"
}  # fmt: skip


def draw(
    what: What,
    *,
    out_: Annotated[Path, Parameter(name="--out")],
    count: int = 200,
    seed: int = 0,
    size: Annotated[tuple[int, int] | None, Parameter(negative="")] = None,
    follow: Literal["shuttle", "ball"] | None = None,
    poses: Literal["training", "unseen"] | None = None,
    frames: int | None = None,
    fps: float | None = None,
    video: Flag = False,
    bit_rate: int | None = None,
) -> int:
    """Draw a labelled data set by code: to try things out, or to begin a training on (train --from). No network.

    Picture or clip number 7 is the same however many are drawn.

    Args:
        what: faces (68 landmarks), shapes (boxes of a few classes), panoramas (boxes in LiDAR pictures of a street),
            or rallies (clips of a shuttle or a ball, one point in each frame).
        out_: a new folder.
        count: how many pictures or clips; of pictures every fifth is for validation.
        seed: another seed draws others.
        size: HEIGHT WIDTH in pixels; faces are square.
        follow: rallies only: shuttle or ball. A shuttle without it.
        poses: rallies only: from which range each camera is drawn, training or unseen. Training without it.
        frames: rallies only: frames of a clip. 60 without it.
        fps: rallies only: frames a second. 60 without it.
        video: rallies only: H.264 videos in place of numbered JPEGs.
        bit_rate: rallies only: bits a second of the videos, such as 12000000.
    """
    from sightline.files import is_vacant

    if count < 1:
        raise UserError(f"--count {count}: at least 1 can be drawn.")
    if not is_vacant(out_):
        raise UserError(f"{out_} holds something already. Give a new folder.")
    clips = {"follow": follow, "poses": poses, "frames": frames, "fps": fps, "bit_rate": bit_rate, "video": video}
    given = {name: value for name, value in clips.items() if value is not None and value is not False}
    if given and what != "rallies":
        told = ", ".join(f"--{name.replace('_', '-')}" for name in given)
        raise UserError(f"{told}: for rallies only. Leave it out, or draw rallies.")
    console.say(f"drawing {count:,} {what if what == 'rallies' else 'pictures of ' + what} into {out_} ...")
    _DRAW[what](out_, count, seed, size, given)
    console.say(f"  sightline check {out_}\n  sightline train {_RECIPES[what]} --data {out_}")
    return 0


def _faces(out: Path, count: int, seed: int, size: tuple[int, int] | None, _: Mapping[str, Any]) -> None:
    from sightline.drawn.faces import write_drawn_faces

    height, width = size or (128, 128)
    if height != width:
        raise UserError(f"--size {height} {width}: faces are square. Give one number twice.")
    write_drawn_faces(out, count=count, seed=seed, size=height)


def _shapes(out: Path, count: int, seed: int, size: tuple[int, int] | None, _: Mapping[str, Any]) -> None:
    from sightline.drawn.plain_shapes import write_drawn_shapes

    val = count // _EVERY
    write_drawn_shapes(out, count=count - val, val_count=val, seed=seed, size_hw=size or (256, 256))


def _panoramas(out: Path, count: int, seed: int, size: tuple[int, int] | None, _: Mapping[str, Any]) -> None:
    from sightline.drawn.panoramas import SIZE_HW, write_drawn_panoramas

    val = count // _EVERY
    write_drawn_panoramas(out, count=count - val, val_count=val, seed=seed, size_hw=size or SIZE_HW)


def _rallies(out: Path, count: int, seed: int, size: tuple[int, int] | None, given: Mapping[str, Any]) -> None:
    from sightline.drawn.rally_folder import write_rallies

    if given.get("bit_rate") and not given.get("video"):
        raise UserError("--bit-rate is of videos. Add --video, or leave it out.")
    write_rallies(
        out,
        clips=count,
        frames=given.get("frames", 60),
        seed=seed,
        size_hw=size or (1080, 1920),
        fps=given.get("fps", 60.0),
        kind=given.get("follow", "shuttle"),
        poses=given.get("poses", "training"),
        codec="mp4" if given.get("video") else "jpg",
        bit_rate=given.get("bit_rate"),
    )


_DRAW: dict[What, Callable[[Path, int, int, tuple[int, int] | None, Mapping[str, Any]], None]] = {
    "faces": _faces, "shapes": _shapes, "panoramas": _panoramas, "rallies": _rallies
}  # fmt: skip
