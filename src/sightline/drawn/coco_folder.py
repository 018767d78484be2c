"""Writes drawn pictures with boxes as a data set in COCO layout, one JSON for each part.

In: a function from a number to a picture, boxes and labels. Out: a folder that a reader opens like anyone's data.
Next: readers/
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np

from sightline.errors import UserError
from sightline.files import write_atomically

Drawn = tuple[np.ndarray, np.ndarray, np.ndarray]
VALIDATION_FROM = 1_000_000  # the index of the first picture for validation


def write_coco_folder(
    root: Path, *, draw: Callable[[int], Drawn], count: int, val_count: int, classes: Sequence[str]
) -> Path:
    """Write `train/000000.png` .., `val/000000.png` .., and each part's `annotations/instances_PART.json` after them.

    Picture i for training has index i, for validation `VALIDATION_FROM` + i: validation stays the same however many
    are drawn for training. A part of 0 pictures is left out.

    Args:
        root: the folder.
        draw: index -> RGB uint8 [H, W, 3], boxes [N, 4] in continuous pixels, labels [N].
        count: pictures for training.
        val_count: pictures for validation.
        classes: names that labels count through; the files' category ids count from 1.

    Returns:
        The folder.

    Raises:
        UserError: no picture in all, a count out of range, or a file that cannot be written.
    """
    if min(count, val_count) < 0 or count + val_count < 1 or count > VALIDATION_FROM:
        raise UserError(
            f"Cannot draw {count} pictures for training and {val_count} for validation; at least 1 in all is needed, "
            f"none below 0, and {VALIDATION_FROM} for training is the most."
        )
    for part, first, number in (("train", 0, count), ("val", VALIDATION_FROM, val_count)):
        if number:
            _write_part(root, part, draw=draw, indices=range(first, first + number), classes=classes)
    return root


def _write_part(root: Path, part: str, *, draw: Callable[[int], Drawn], indices: range, classes: Sequence[str]) -> None:
    pictures = []
    for place, index in enumerate(indices):
        picture, boxes, labels = draw(index)
        name = f"{place:06d}.png"
        write_atomically(root / part / name, _png(picture))
        pictures.append((name, (picture.shape[0], picture.shape[1]), boxes, labels))
    write_atomically(root / "annotations" / f"instances_{part}.json", json.dumps(_instances(pictures, classes=classes)))


def _instances(
    pictures: Sequence[tuple[str, tuple[int, int], np.ndarray, np.ndarray]], *, classes: Sequence[str]
) -> dict[str, list[dict[str, object]]]:
    """The object of a COCO file: `bbox` is x, y, width, height from edge to edge."""
    images: list[dict[str, object]] = []
    annotations: list[dict[str, object]] = []
    for image_id, (name, (height, width), boxes, labels) in enumerate(pictures, start=1):
        images.append({"id": image_id, "file_name": name, "width": width, "height": height})
        for (x0, y0, x1, y1), label in zip(boxes.tolist(), labels.tolist(), strict=True):
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image_id,
                    "category_id": label + 1,
                    "bbox": [round(value, 3) for value in (x0, y0, x1 - x0, y1 - y0)],
                    "area": round((x1 - x0) * (y1 - y0), 3),
                    "iscrowd": 0,
                }
            )
    categories: list[dict[str, object]] = [{"id": i, "name": name} for i, name in enumerate(classes, start=1)]
    return {"images": images, "annotations": annotations, "categories": categories}


def _png(picture: np.ndarray) -> bytes:
    return cv2.imencode(".png", picture[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 1])[1].tobytes()
