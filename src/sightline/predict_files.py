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
        names = _overlay_names([p.image_id for p in predictions])
        pairs = zip(predictions, names, strict=True)
        written += [_write_overlay(p, out / "overlays" / name, skeleton=skeleton) for p, name in pairs]
    return written


def _overlay_names(image_ids: Sequence[str]) -> list[str]:
    """face.png -> face.jpg, its second object -> face_2.jpg; with the suffix where two would have one name."""
    names = []
    for image_id in image_ids:
        picture, _, number = image_id.partition("#")
        tail = f"_{number}.jpg" if number else ".jpg"
        short = str(Path(picture).with_suffix("")) + tail
        names.append(short if short not in names else picture + tail)
    return names


def _write_overlay(prediction: Prediction, path: Path, *, skeleton: Skeleton) -> Path:
    """A JPEG of one object's points on its picture."""
    image = read_image(prediction.path, channels=3)
    drawn = draw_overlay(
        image,
        points_xy=prediction.points_xy,
        skeleton=skeleton,
        visible=prediction.visible,
        box=prediction.box_xyxy,
    )
    _, data = cv2.imencode(".jpg", drawn[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 92])
    write_atomically(path, data.tobytes())
    return path
