"""Cartoon faces with exact landmarks: one at a time, or a folder of them in a real label format.

In: a random generator. Out: a picture and its points in continuous pixels; or a folder that a
reader opens like anyone's data.
Next: readers/
"""

from __future__ import annotations

import csv
import io
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from sightline.drawn.canvas import Canvas
from sightline.drawn.paint import HeadPainter, Look, sample_look
from sightline.drawn.scene import light, paint_background, paint_occluder, photograph
from sightline.drawn.shape import (
    LAYOUTS,
    Camera,
    Expression,
    Identity,
    Layout,
    landmarks58,
    landmarks68,
    sample_camera,
    sample_expression,
    sample_identity,
)
from sightline.errors import UserError, unknown_name
from sightline.files import write_atomically
from sightline.geometry import continuous_to_index

_SMALLEST = 32
_VIEWS = 6  # per person in the IMM layout


def draw_face(rng: np.random.Generator, *, size: int = 128, layout: Layout = "ibug68") -> tuple[np.ndarray, np.ndarray]:
    """One person, once.

    Args:
        rng: the only source of chance; the same state draws the same picture.
        size: height of the picture in pixels; `ibug68` pictures are square, `imm58` ones 4:3 as the originals are.
        layout: which landmarks, in which order.

    Returns:
        The picture, uint8 RGB [H, W, 3], and its points [K, 2], float64, in continuous pixels. Points that something
        hides, or that lie a little outside the picture, are given all the same: the true place is known.
    """
    size_hw = _size_hw(size, layout=layout)
    identity, look = sample_identity(rng), sample_look(rng)
    camera = sample_camera(rng, size_hw=size_hw)
    return render(
        rng, size_hw=size_hw, layout=layout, identity=identity, look=look, camera=camera,
        expression=sample_expression(rng),
    )  # fmt: skip


def render(
    rng: np.random.Generator, *, size_hw: tuple[int, int], layout: Layout, identity: Identity, look: Look,
    camera: Camera, expression: Expression,
) -> tuple[np.ndarray, np.ndarray]:  # fmt: skip
    """Draw a given person in a given pose; `rng` decides background, occluder, light and noise. As `draw_face`."""
    head = landmarks68(identity, expression=expression)
    points68 = camera.project(head)
    canvas = Canvas(size_hw)
    paint_background(canvas, rng=rng)
    HeadPainter(
        canvas, identity=identity, expression=expression, camera=camera, look=look, points_xy=points68, rng=rng
    ).paint()
    paint_occluder(canvas, rng=rng, points_xy=points68, unit_px=camera.scale_px)
    light(canvas, rng=rng)
    picture = photograph(canvas.finish(), rng=rng)
    return picture, points68 if layout == "ibug68" else camera.project(landmarks58(head))


def write_drawn_faces(folder: Path | str, *, count: int, seed: int, size: int = 128, layout: Layout = "ibug68") -> Path:
    """Write `count` drawn faces as a data set.

    `ibug68` gives `pictures/*.jpg` and `landmarks.csv` (file, split, width, height, x0, y0, ..; pixel centres at
    integers; every fifth picture is in the part `val`). `imm58` gives `NN-vx.jpg` and `.asf` files: six views of each
    person, coordinates as fractions of the picture. The label file is written last.

    Returns:
        The folder.

    Raises:
        UserError: a count below 1, a size below 32, an unknown layout, or a folder that cannot be written.
    """
    root = Path(folder)
    if count < 1:
        raise UserError(f"Cannot draw {count} faces; at least 1 is needed.")
    size_hw = _size_hw(size, layout=layout)
    if layout == "ibug68":
        _write_table(root, count=count, seed=seed, size_hw=size_hw)
    else:
        _write_persons(root, count=count, seed=seed, size_hw=size_hw)
    return root


def _write_table(root: Path, *, count: int, seed: int, size_hw: tuple[int, int]) -> None:
    height, width = size_hw
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["file", "split", "width", "height", *(f"{axis}{k}" for k in range(68) for axis in "xy")])
    for index in range(count):
        # One generator per picture: picture 7 of a data set is the same however many follow it.
        picture, points = draw_face(np.random.default_rng([seed, index]), size=height)
        name = f"pictures/{index:05d}.jpg"
        write_atomically(root / name, _jpeg(picture))
        xy = continuous_to_index(points).round(3).reshape(-1)
        table.writerow([name, "val" if index % 5 == 4 else "train", width, height, *xy.tolist()])
    write_atomically(root / "landmarks.csv", text.getvalue().encode())


def _write_persons(root: Path, *, count: int, seed: int, size_hw: tuple[int, int]) -> None:
    for index in range(count):
        person, view = divmod(index, _VIEWS)
        once = np.random.default_rng([seed, person])
        identity, look, sex = sample_identity(once), sample_look(once), once.choice(["m", "f"])
        rng = np.random.default_rng([seed, person, view])
        camera = sample_camera(rng, size_hw=size_hw)
        # The real set's six views: two frontal, one turned to each side, one spot light, one free.
        camera = replace(camera, yaw=(0.0, 0.0, 28.0, -28.0, 0.0, camera.yaw)[view] + float(rng.normal(0, 3)))
        picture, points = render(
            rng, size_hw=size_hw, layout="imm58", identity=identity, look=look, camera=camera,
            expression=sample_expression(rng),
        )  # fmt: skip
        stem = f"{person + 1:02d}-{view + 1}{sex}"
        write_atomically(root / f"{stem}.jpg", _jpeg(picture))
        write_atomically(root / f"{stem}.asf", _asf(points, size_hw=size_hw, picture_name=f"{stem}.jpg").encode())


def _asf(points_xy: np.ndarray, *, size_hw: tuple[int, int], picture_name: str) -> str:
    """The text of an AAM shape file: the count on line 10, one point a line from line 17, then the picture's name."""
    height, width = size_hw
    relative = points_xy / np.array([width, height])  # from edge to edge, as the format has it
    # Paths of the IMM set: jaw (open), two eyes (closed), two brows (open), mouth (closed), nose (open).
    paths = [
        (0, 13, False),
        (13, 8, True),
        (21, 8, True),
        (29, 5, False),
        (34, 5, False),
        (39, 8, True),
        (47, 11, False),
    ]
    bar = "#" * 70
    lines = [bar, "#", "#    AAM Shape File", "#", bar, "", "#", "# number of model points", "#", f"{len(points_xy)}"]
    lines += ["", "#", "# model points", "#"]
    lines += ["# format: <path#> <type> <x rel.> <y rel.> <point#> <connects from> <connects to>", "#"]
    for path, (first, count, closed) in enumerate(paths):
        for place in range(count):
            before, after = first + (place - 1) % count, first + (place + 1) % count
            x, y = relative[first + place]
            lines.append(f"{path} \t{0 if closed else 4} \t{x:.8f} \t{y:.8f} \t{first + place} \t{before} \t{after}")
    lines += ["", "#", "# host image", "#", picture_name, ""]
    return "\n".join(lines)


def _size_hw(size: int, *, layout: str) -> tuple[int, int]:
    if layout not in LAYOUTS:
        raise unknown_name("face layout", layout, LAYOUTS)
    if size < _SMALLEST:
        raise UserError(f"Cannot draw a face {size} pixels high; {_SMALLEST} is the least.")
    return (size, size) if layout == "ibug68" else (size, size * 4 // 3)


def _jpeg(picture: np.ndarray) -> bytes:
    return cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 92])[1].tobytes()
