"""Predictions to files: label formats and pictures with the points drawn. Next: cli.py."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2

from sightline.errors import unknown_name
from sightline.files import write_atomically
from sightline.images import read_image
from sightline.records import Skeleton
from sightline.writers import WRITERS, Prediction, Writer
from sightline.writers.overlay import draw_overlay


def find_writer(name: str) -> Writer:
    """The writer of a format, `-` for `_` allowed; raises UserError with the nearest name."""
    key = name.strip().lower().replace("-", "_")
    if key not in WRITERS:
        raise unknown_name("format to write", name, WRITERS)
    return WRITERS[key]


def write_predictions(
    predictions: Sequence[Prediction], out: Path, *, skeleton: Skeleton, formats: Sequence[str], overlay: bool
) -> list[Path]:
    """Write every format asked for below `out`, and overlays into `out`/overlays; returns the paths."""
    writers = [find_writer(name) for name in formats]
    written = [path for writer in writers for path in writer.write(predictions, out, skeleton=skeleton)]
    if overlay:
        written += [_write_overlay(p, out / "overlays", skeleton=skeleton) for p in predictions]
    return written


def _write_overlay(prediction: Prediction, folder: Path, *, skeleton: Skeleton) -> Path:
    """A JPEG of one object's points on its picture, named like the picture."""
    image = read_image(prediction.path, channels=3)
    drawn = draw_overlay(
        image,
        points_xy=prediction.points_xy,
        skeleton=skeleton,
        visible=prediction.visible,
        box=prediction.box_xyxy,
    )
    name = prediction.image_id.replace("#", "_")
    path = (folder / name).with_suffix(".jpg")
    _, data = cv2.imencode(".jpg", drawn[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 92])
    write_atomically(path, data.tobytes())
    return path
