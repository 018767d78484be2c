"""COCO boxes: images, annotations and categories in one JSON, or in one for each part of the data.

Convention of the format: `bbox` is (left, top, width, height) of continuous edges. The categories keep
the numbers that the labels gave them, with gaps; else they count from 1. A picture whose name is a
number, as in the official set, has it for its id, where all have; else pictures are numbered in the
order of their names, so that a data set and the results on it agree. What a model found has a `score`.
Where every picture belongs to train, val or test and `out` is a folder, each part is a file of its own.
`split` and `group` also stand with the images, where other tools pass over them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from sightline.files import write_atomically
from sightline.writers.box_prediction import PARTS, BoxPrediction, WrittenBox, require_each_once
from sightline.writers.prediction import one_file, rounded

FORMAT = "coco"
FILE = "annotations.json"


def write(
    predictions: Sequence[BoxPrediction],
    out: Path,
    *,
    classes: Sequence[str],
    class_ids: Sequence[int] = (),
    as_truth: bool,
) -> tuple[Path, ...]:
    """Write `out` itself where it ends in .json, else `annotations.json` in it, or `annotations/instances_PART.json`.

    Raises:
        UserError: a picture is there twice, or a file cannot be written.
    """
    require_each_once(predictions)
    ids = picture_ids([prediction.file_name for prediction in predictions])
    categories = [
        {"id": number, "name": name, "supercategory": "object"}
        for number, name in zip(category_ids(classes, class_ids=class_ids), classes, strict=True)
    ]
    path = one_file(out, name=FILE)
    files = {path: list(predictions)}
    if path != out and predictions and all(prediction.split in PARTS for prediction in predictions):
        parts = [part for part in PARTS if any(p.split == part for p in predictions)]
        files = {
            out / "annotations" / f"instances_{part}.json": [p for p in predictions if p.split == part]
            for part in parts
        }
    next_id = 1
    for file, some in files.items():
        images = [_image(p, id=ids[p.file_name]) for p in some]
        annotations = []
        for prediction in some:
            for box in prediction.boxes():
                numbers = {"id": next_id, "image_id": ids[prediction.file_name]}
                category = int(categories[box.label]["id"])
                annotations.append(numbers | _annotation(box, category_id=category, as_truth=as_truth))
                next_id += 1
        content = {"images": images, "annotations": annotations, "categories": categories}
        write_atomically(file, json.dumps(content, indent=1, ensure_ascii=False) + "\n")
    return tuple(files)


def picture_name(prediction: BoxPrediction) -> str:
    """Where the picture belongs, relative to the folder of the labels."""
    return prediction.file_name


def picture_ids(names: Sequence[str]) -> dict[str, int]:
    """A number for each picture: its name where all names are different numbers, else its place in their order."""
    stems = [PurePosixPath(name).stem for name in names]
    if all(stem.isascii() and stem.isdecimal() for stem in stems) and len({int(stem) for stem in stems}) == len(names):
        return {name: int(stem) for name, stem in zip(names, stems, strict=True)}
    return {name: number for number, name in enumerate(sorted(names), start=1)}


def category_ids(classes: Sequence[str], *, class_ids: Sequence[int]) -> Sequence[int]:
    """The numbers of the classes: the label file's own, else from 1."""
    assert not class_ids or len(class_ids) == len(classes), (class_ids, classes)
    return class_ids or range(1, len(classes) + 1)


def bbox(box: WrittenBox) -> list[float]:
    """Left, top, width and height."""
    x0, y0, x1, y1 = box.xyxy
    return [rounded(x0), rounded(y0), rounded(x1 - x0), rounded(y1 - y0)]


def _image(prediction: BoxPrediction, *, id: int) -> dict[str, object]:
    height, width = prediction.size_hw
    image: dict[str, object] = {"id": id, "file_name": prediction.file_name, "width": width, "height": height}
    if prediction.split is not None:
        image["split"] = prediction.split
    return image if prediction.group is None else image | {"group": prediction.group}


def _annotation(box: WrittenBox, *, category_id: int, as_truth: bool) -> dict[str, object]:
    annotation: dict[str, object] = {
        "category_id": category_id,
        "bbox": bbox(box),
        "area": rounded(box.area),
        "iscrowd": int(box.is_crowd),
    }
    return annotation if as_truth else annotation | {"score": rounded(box.confidence)}
