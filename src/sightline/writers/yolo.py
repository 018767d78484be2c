"""YOLO boxes: a text file for each picture, `class cx cy w h`, and data.yaml.

Convention of the format: fractions of width and height, so boxes are cut at the picture's edges. Labels
lie in labels/PART/..., pictures belong in images/PART/... beside them (`picture_name`); PART is the
split, `train` for pictures without one. What a model found has its score as a sixth number. Classes
count from 0. Crowds are refused; numbers of classes, areas and groups have no place in this format.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from sightline.errors import UserError
from sightline.files import write_atomically
from sightline.writers.box_prediction import (
    PARTS,
    BoxPrediction,
    WrittenBox,
    below_images,
    limited,
    part_of,
    require_each_once,
    require_no_crowd,
)

FORMAT = "yolo"
FILE = "data.yaml"


def write(
    predictions: Sequence[BoxPrediction],
    out: Path,
    *,
    classes: Sequence[str],
    class_ids: Sequence[int] = (),
    as_truth: bool,
) -> tuple[Path, ...]:
    """Write the labels and data.yaml into the folder `out`.

    Raises:
        UserError: there are crowds, a picture is there twice, two would share one label file, a part is not
            train, val or test, or a file cannot be written.
    """
    del class_ids  # those who train on this format want 0, 1, 2, ...
    require_each_once(predictions)
    require_no_crowd(predictions, format=FORMAT)
    written: dict[Path, BoxPrediction] = {}
    for prediction in predictions:
        path = out / _label_name(prediction)
        if path in written:
            raise UserError(
                f"{written[path].file_name} and {prediction.file_name} would share the label file {path.name}, because "
                f"'{FORMAT}' looks at names without their endings. Rename one of the two."
            )
        written[path] = prediction
    for path, prediction in written.items():
        lines = (_line(box, size_hw=prediction.size_hw, as_truth=as_truth) for box in limited(prediction).boxes())
        write_atomically(path, "".join(lines))
    parts = [part for part in PARTS if any(_part(p) == part for p in predictions)]
    write_atomically(out / FILE, _data_yaml(classes, parts=parts))
    return (out / FILE, *written)


def picture_name(prediction: BoxPrediction) -> str:
    """Where the picture belongs, relative to data.yaml."""
    return f"images/{_part(prediction)}/{below_images(prediction.file_name, part=_part(prediction))}"


def _label_name(prediction: BoxPrediction) -> str:
    return "labels/" + str(PurePosixPath(picture_name(prediction).removeprefix("images/")).with_suffix(".txt"))


def _part(prediction: BoxPrediction) -> str:
    return part_of(prediction, format=FORMAT) or "train"


def _line(box: WrittenBox, *, size_hw: tuple[int, int], as_truth: bool) -> str:
    height, width = size_hw
    x0, y0, x1, y1 = box.xyxy
    values = ((x0 + x1) / 2 / width, (y0 + y1) / 2 / height, (x1 - x0) / width, (y1 - y0) / height)
    cells = [str(box.label), *(f"{value:.8f}" for value in values)]
    if not as_truth:
        cells.append(f"{box.score:.4f}")
    return " ".join(cells) + "\n"


def _data_yaml(classes: Sequence[str], *, parts: Sequence[str]) -> str:
    lines = ["path: .", *(f"{part}: images/{part}" for part in parts or ("train",))]
    if "val" not in parts:
        lines.append("# val: images/val  (training with Ultralytics needs this part)")
    # A JSON string is YAML, and quotes whatever needs it.
    lines += ["names:", *(f"  {index}: {json.dumps(name, ensure_ascii=False)}" for index, name in enumerate(classes))]
    return "\n".join(lines if classes else [*lines[:-1], "names: []"]) + "\n"
