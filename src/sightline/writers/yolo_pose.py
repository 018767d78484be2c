"""YOLO pose: a text file for each picture, `class cx cy w h x y v ...`, and data.yaml.

Convention of the format: continuous fractions of width and height, v = 2, and `0 0 0` for a point
that is not there. Labels lie in labels/PART/..., pictures belong in images/PART/... beside them
(`picture_name`); PART is the split, `train` for pictures without one. Without a box the tight
one of the points is written. Scores have no place in this format.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from sightline.errors import UserError
from sightline.files import write_atomically
from sightline.records import Skeleton
from sightline.writers.box_prediction import below_images
from sightline.writers.prediction import Prediction, box_or_stand_in, by_picture

FORMAT = "yolo_pose"
FILE = "data.yaml"
_PARTS = ("train", "val", "test")


def write(predictions: Sequence[Prediction], out: Path, *, skeleton: Skeleton) -> tuple[Path, ...]:
    """Write the labels and data.yaml into the folder `out`.

    Raises:
        UserError: two pictures would share one label file, or a file cannot be written.
    """
    written: dict[Path, str] = {}
    for name, objects in by_picture(predictions).items():
        path = out / _label_name(objects[0])
        if path in written:
            raise UserError(
                f"{written[path]} and {name} would share the label file {path.name}, because '{FORMAT}' looks at names "
                "without their endings. Rename one of the two."
            )
        written[path] = name
        write_atomically(path, "".join(_line(prediction) for prediction in objects))
    parts = [part for part in _PARTS if any(_part(p) == part for p in predictions)]
    write_atomically(out / FILE, _data_yaml(skeleton, parts=parts))
    return (out / FILE, *written)


def picture_name(prediction: Prediction) -> str:
    """Where the picture belongs, relative to data.yaml."""
    return f"images/{_part(prediction)}/{below_images(prediction.file_name, part=_part(prediction))}"


def _label_name(prediction: Prediction) -> str:
    return "labels/" + str(PurePosixPath(picture_name(prediction).removeprefix("images/")).with_suffix(".txt"))


def _part(prediction: Prediction) -> str:
    return prediction.split if prediction.split in _PARTS else "train"


def _line(prediction: Prediction) -> str:
    height, width = prediction.size_hw
    x0, y0, x1, y1 = box_or_stand_in(prediction)
    x0, x1 = (min(max(x / width, 0.0), 1.0) for x in (x0, x1))
    y0, y1 = (min(max(y / height, 0.0), 1.0) for y in (y0, y1))
    cells = [f"{value:.7f}" for value in ((x0 + x1) / 2, (y0 + y1) / 2, x1 - x0, y1 - y0)]
    for (x, y), visible in zip(prediction.points_xy, prediction.visible, strict=True):
        cells += [f"{x / width:.7f}", f"{y / height:.7f}", "2"] if visible else ["0", "0", "0"]
    return " ".join(["0", *cells]) + "\n"


def _data_yaml(skeleton: Skeleton, *, parts: Sequence[str]) -> str:
    lines = ["path: .", *(f"{part}: images/{part}" for part in parts or ("train",))]
    if "val" not in parts:
        lines.append("# val: images/val  (training with Ultralytics needs this part)")
    lines += [f"kpt_shape: [{len(skeleton)}, 3]", f"flip_idx: {list(skeleton.flip_index)}", "names:", "  0: object"]
    # A JSON list is YAML, and quotes whatever needs it.
    lines += ["kpt_names:", f"  0: {json.dumps(list(skeleton.names))}"]
    return "\n".join(lines) + "\n"
