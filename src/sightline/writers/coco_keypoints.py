"""COCO keypoints: one JSON with images, annotations and one category.

Convention of the format: points are pixel-index coordinates with v = 2, and (0, 0) with v = 0 for
a point that is not there; boxes are (left, top, width, height) with continuous edges; `skeleton`
counts from 1. Without a box the tight one of the points is written. Scores are in the
annotations (`score`, `keypoint_scores`), so that the file is a data set and a result in one.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from sightline.files import write_atomically
from sightline.geometry import continuous_to_index
from sightline.records import Skeleton
from sightline.writers.prediction import Prediction, box_or_stand_in, by_picture, one_file, rounded

FORMAT = "coco_keypoints"
FILE = "annotations.json"


def write(predictions: Sequence[Prediction], out: Path, *, skeleton: Skeleton) -> tuple[Path, ...]:
    """Write one JSON: `out` itself where it ends in .json, else `annotations.json` in the folder `out`.

    Raises:
        UserError: the file cannot be written.
    """
    images, annotations = [], []
    for image_id, (name, objects) in enumerate(by_picture(predictions).items(), start=1):
        height, width = objects[0].size_hw
        images.append({"id": image_id, "file_name": name, "width": width, "height": height})
        for prediction in objects:
            annotations.append(_annotation(prediction, id=len(annotations) + 1, image_id=image_id))
    category = {
        "id": 1,
        "name": "object",
        "supercategory": "object",
        "keypoints": list(skeleton.names),
        "skeleton": [[first + 1, second + 1] for first, second in skeleton.edges],
    }
    path = one_file(out, name=FILE)
    content = {"images": images, "annotations": annotations, "categories": [category]}
    write_atomically(path, json.dumps(content, indent=1) + "\n")
    return (path,)


def picture_name(prediction: Prediction) -> str:
    """Where the picture belongs, relative to the JSON."""
    return prediction.file_name


def _annotation(prediction: Prediction, *, id: int, image_id: int) -> dict[str, object]:
    keypoints: list[float] = []
    for (x, y), visible in zip(continuous_to_index(prediction.points_xy), prediction.visible, strict=True):
        keypoints += [rounded(x), rounded(y), 2] if visible else [0, 0, 0]
    x0, y0, x1, y1 = box_or_stand_in(prediction)
    return {
        "id": id,
        "image_id": image_id,
        "category_id": 1,
        "keypoints": keypoints,
        "num_keypoints": int(prediction.visible.sum()),
        "bbox": [rounded(x0), rounded(y0), rounded(x1 - x0), rounded(y1 - y0)],
        "area": rounded((x1 - x0) * (y1 - y0)),
        "iscrowd": 0,
        "score": rounded(prediction.mean_confidence),
        "keypoint_scores": [rounded(value) for value in prediction.confidence],
    }
