"""COCO's list of results: what its evaluation takes beside the JSON of a data set.

Each entry is {image_id, category_id, bbox, score}. Pictures and categories have the numbers that
coco.py gives them, so both fit each other where they are of the same pictures; `file_name`, which
COCO's tools pass over, tells which picture is meant in any case.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from sightline.errors import UserError
from sightline.files import write_atomically
from sightline.writers.box_prediction import BoxPrediction, require_each_once
from sightline.writers.coco import bbox, category_ids, picture_ids
from sightline.writers.prediction import one_file, rounded

FORMAT = "coco_results"
FILE = "results.json"


def write(
    predictions: Sequence[BoxPrediction],
    out: Path,
    *,
    classes: Sequence[str],
    class_ids: Sequence[int] = (),
    as_truth: bool,
) -> tuple[Path, ...]:
    """Write one JSON: `out` itself where it ends in .json, else `results.json` in the folder `out`.

    Raises:
        UserError: these are labels, which have no scores; a picture is there twice; or the file cannot be written.
    """
    if as_truth:
        raise UserError(f"The format '{FORMAT}' holds what a model found, with scores. Write labels as 'coco'.")
    require_each_once(predictions)
    ids = picture_ids([prediction.file_name for prediction in predictions])
    numbers = category_ids(classes, class_ids=class_ids)
    results = [
        {
            "image_id": ids[prediction.file_name],
            "category_id": int(numbers[box.label]),
            "bbox": bbox(box),
            "score": rounded(box.score),
            "file_name": prediction.file_name,
        }
        for prediction in predictions
        for box in prediction.boxes()
    ]
    path = one_file(out, name=FILE)
    write_atomically(path, json.dumps(results, indent=1, ensure_ascii=False) + "\n")
    return (path,)


def picture_name(prediction: BoxPrediction) -> str:
    """Where the picture belongs, relative to the folder of the labels."""
    return prediction.file_name
