"""Predictions to files: label formats and pictures with what was found drawn on them. Next: cli/."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import cv2
import numpy as np

from sightline.errors import unknown_name
from sightline.files import write_atomically
from sightline.images import read_image
from sightline.records import Dataset, Skeleton
from sightline.writers import (
    BOX_WRITERS,
    WRITERS,
    BoxPrediction,
    BoxWriter,
    Prediction,
    Writer,
    boxes_from_dataset,
    dataset_to_predictions,
)
from sightline.writers.overlay import draw_boxes, draw_overlay
from sightline.writers.pictures import place_pictures

AnyWriter = TypeVar("AnyWriter", Writer, BoxWriter)


@dataclass(frozen=True, kw_only=True)
class Names:
    """What predictions speak of: points or classes, as a model or a data set has them."""

    skeleton: Skeleton
    classes: tuple[str, ...] = ()


def find_writer(name: str) -> Writer:
    """The writer of a format of points, `-` for `_` allowed; raises UserError with the nearest name."""
    return _find(name, WRITERS, what="format of points to write")


def find_box_writer(name: str) -> BoxWriter:
    """The writer of a format of boxes, `-` for `_` allowed; raises UserError with the nearest name."""
    return _find(name, BOX_WRITERS, what="format of boxes to write")


def _find(name: str, table: Mapping[str, AnyWriter], *, what: str) -> AnyWriter:
    key = name.strip().lower().replace("-", "_")
    if key not in table:
        raise unknown_name(what, name, table)
    return table[key]


def write_predictions(
    predictions: Sequence[Prediction | BoxPrediction], out: Path, *, names: Names, formats: Sequence[str], overlay: bool
) -> list[Path]:
    """Write every format asked for below `out`, and overlays into `out`/overlays; returns the paths.

    Raises:
        UserError: an unknown format.
    """
    written: list[Path] = []
    points = [found for found in predictions if isinstance(found, Prediction)]
    boxes = [found for found in predictions if isinstance(found, BoxPrediction)]
    for name in formats:
        if names.classes:
            written += find_box_writer(name).write(boxes, out, classes=names.classes, as_truth=False)
        else:
            written += find_writer(name).write(points, out, skeleton=names.skeleton)
    if overlay:
        pictures = _overlay_names([found.image_id for found in predictions])
        pairs = zip(predictions, pictures, strict=True)
        written += [_write_overlay(found, out / "overlays" / picture, names=names) for found, picture in pairs]
    return written


def convert_dataset(dataset: Dataset, out: Path, *, to: str) -> tuple[Path, int]:
    """Write a data set's truth in another format, with its pictures; the first path written, and how many records.

    Raises:
        UserError: an unknown format, or one that cannot hold these labels.
    """
    if dataset.classes:
        box_writer = find_box_writer(to)
        boxes = boxes_from_dataset(dataset)
        written = box_writer.write(boxes, out, classes=dataset.classes, class_ids=dataset.class_ids, as_truth=True)
        place_pictures(boxes, out, picture_name=box_writer.picture_name)
        return written[0], len(boxes)
    writer = find_writer(to)
    truth = dataset_to_predictions(dataset)
    written = writer.write(truth, out, skeleton=dataset.skeleton)
    place_pictures(truth, out, picture_name=writer.picture_name)
    return written[0], len(truth)


def _overlay_names(image_ids: Sequence[str]) -> list[str]:
    """face.png -> face.jpg, its second object -> face_2.jpg; with the suffix where two would have one name."""
    names = []
    for image_id in image_ids:
        picture, _, number = image_id.partition("#")
        tail = f"_{number}.jpg" if number else ".jpg"
        short = str(Path(picture).with_suffix("")) + tail
        names.append(short if short not in names else picture + tail)
    return names


def _write_overlay(found: Prediction | BoxPrediction, path: Path, *, names: Names) -> Path:
    """A JPEG of a picture with what was found in it."""
    image = read_image(found.path, channels=3)
    drawn = _with_boxes(image, found, names) if isinstance(found, BoxPrediction) else _with_points(image, found, names)
    _, data = cv2.imencode(".jpg", drawn[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 92])
    write_atomically(path, data.tobytes())
    return path


def _with_points(image: np.ndarray, found: Prediction, names: Names) -> np.ndarray:
    return draw_overlay(
        image, points_xy=found.points_xy, skeleton=names.skeleton, visible=found.visible, box=found.box_xyxy
    )


def _with_boxes(image: np.ndarray, found: BoxPrediction, names: Names) -> np.ndarray:
    return draw_boxes(
        image, boxes_xyxy=found.boxes_xyxy, labels=found.labels, classes=names.classes, scores=found.scores
    )
