"""Label Studio: tasks with key points (JSON), and the labelling configuration (XML).

Convention of the format: points in percent of width and height of the upright picture. Pictures
are named as its local storage serves them (`/data/local-files/?d=NAME`), relative to the storage's
document root. A point that is not there has no entry. Truth becomes annotations, what a model found becomes
predictions, which a person corrects; their score is the probability of being right where the run is calibrated. Split
and group stand with the task's data.
https://labelstud.io/guide/predictions
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote
from xml.etree import ElementTree

from sightline.files import write_atomically
from sightline.records import Skeleton
from sightline.writers.prediction import Prediction, by_picture, one_file, require_one_each, rounded

FORMAT = "label_studio"
FILE = "tasks.json"
_FROM, _TO = "point", "image"
_POINT_WIDTH = 0.5


def write(predictions: Sequence[Prediction], out: Path, *, skeleton: Skeleton) -> tuple[Path, ...]:
    """Write the tasks, and the labelling configuration beside them (same name, `_config.xml`).

    Raises:
        UserError: a picture holds several objects (points of two could not be told apart),
            or a file cannot be written.
    """
    require_one_each(predictions, format=FORMAT)
    path = one_file(out, name=FILE)
    tasks = [
        _task(objects[0], number=number, name=name, skeleton=skeleton)
        for number, (name, objects) in enumerate(by_picture(predictions).items(), start=1)
    ]
    config = path.with_name(f"{path.stem}_config.xml")
    write_atomically(path, json.dumps(tasks, indent=1) + "\n")
    write_atomically(config, _config(skeleton))
    return path, config


def picture_name(prediction: Prediction) -> str:
    """Where the picture belongs, relative to the tasks and to the storage's document root."""
    return prediction.file_name


def _task(prediction: Prediction, *, number: int, name: str, skeleton: Skeleton) -> dict[str, object]:
    data = {"image": f"/data/local-files/?d={quote(name)}"}
    if prediction.split is not None:
        data["split"] = prediction.split
    if prediction.group is not None:
        data["group"] = prediction.group
    regions = _regions(prediction, skeleton=skeleton)
    if prediction.is_truth:
        return {"id": number, "data": data, "annotations": [{"result": regions}]}
    guess = {"model_version": "sightline", "score": rounded(prediction.mean_confidence), "result": regions}
    return {"id": number, "data": data, "predictions": [guess]}


def _regions(prediction: Prediction, *, skeleton: Skeleton) -> list[dict[str, object]]:
    height, width = prediction.size_hw
    result = []
    for index in prediction.visible.nonzero()[0]:
        x, y = prediction.points_xy[index]
        # Six decimals: a percent of a large picture is many pixels.
        value = {
            "x": round(100 * float(x) / width, 6),
            "y": round(100 * float(y) / height, 6),
            "width": _POINT_WIDTH,
            "keypointlabels": [skeleton.names[index]],
        }
        region: dict[str, object] = {
            "id": f"point-{index}",
            "from_name": _FROM,
            "to_name": _TO,
            "type": "keypointlabels",
            "original_width": width,
            "original_height": height,
            "image_rotation": 0,
            "value": value,
        }
        result.append(region if prediction.is_truth else region | {"score": rounded(prediction.confidence[index])})
    return result


def _config(skeleton: Skeleton) -> str:
    view = ElementTree.Element("View")
    labels = ElementTree.SubElement(view, "KeyPointLabels", name=_FROM, toName=_TO, strokeWidth="2")
    for name in skeleton.names:
        ElementTree.SubElement(labels, "Label", value=name)
    ElementTree.SubElement(view, "Image", name=_TO, value="$image", zoom="true", zoomControl="true")
    ElementTree.indent(view)
    return ElementTree.tostring(view, encoding="unicode") + "\n"
