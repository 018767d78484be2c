"""Label Studio: tasks with rectangles (JSON), and the labelling configuration (XML).

Convention of the format: percent of width and height of the upright picture. Pictures are named as its
local storage serves them (`/data/local-files/?d=NAME`), relative to the storage's document root. Truth
becomes annotations, what a model found becomes predictions, which a person corrects. A crowd has the
note "crowd"; split and group stand with the task's data. Numbers of classes and areas have no place.
https://labelstud.io/guide/predictions
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote
from xml.etree import ElementTree

from sightline.files import write_atomically
from sightline.writers.box_prediction import BoxPrediction, WrittenBox, limited, require_each_once
from sightline.writers.prediction import one_file, rounded

FORMAT = "label_studio"
FILE = "tasks.json"
_FROM, _TO = "box", "image"


def write(
    predictions: Sequence[BoxPrediction],
    out: Path,
    *,
    classes: Sequence[str],
    class_ids: Sequence[int] = (),
    as_truth: bool,
) -> tuple[Path, ...]:
    """Write the tasks, and the labelling configuration beside them (same name, `_config.xml`).

    Raises:
        UserError: a picture is there twice, or a file cannot be written.
    """
    del class_ids  # names alone tell the classes
    require_each_once(predictions)
    path = one_file(out, name=FILE)
    tasks = [
        _task(limited(prediction), number=number, classes=classes, as_truth=as_truth)
        for number, prediction in enumerate(predictions, start=1)
    ]
    config = path.with_name(f"{path.stem}_config.xml")
    write_atomically(path, json.dumps(tasks, indent=1, ensure_ascii=False) + "\n")
    write_atomically(config, _config(classes))
    return path, config


def picture_name(prediction: BoxPrediction) -> str:
    """Where the picture belongs, relative to the tasks and to the storage's document root."""
    return prediction.file_name


def _task(prediction: BoxPrediction, *, number: int, classes: Sequence[str], as_truth: bool) -> dict[str, object]:
    data = {"image": f"/data/local-files/?d={quote(prediction.file_name)}"}
    if prediction.split is not None:
        data["split"] = prediction.split
    if prediction.group is not None:
        data["group"] = prediction.group
    regions = [
        _region(box, index=index, name=classes[box.label], size_hw=prediction.size_hw, as_truth=as_truth)
        for index, box in enumerate(prediction.boxes(), start=1)
    ]
    if as_truth:
        return {"id": number, "data": data, "annotations": [{"result": regions}]}
    score = rounded(prediction.confidence.mean()) if len(prediction) else 0.0
    return {
        "id": number,
        "data": data,
        "predictions": [{"model_version": "sightline", "score": score, "result": regions}],
    }


def _region(box: WrittenBox, *, index: int, name: str, size_hw: tuple[int, int], as_truth: bool) -> dict[str, object]:
    height, width = size_hw
    x0, y0, x1, y1 = box.xyxy
    # Eight decimals: a percent of a large picture is many pixels.
    value = {
        "x": round(100 * x0 / width, 8),
        "y": round(100 * y0 / height, 8),
        "width": round(100 * (x1 - x0) / width, 8),
        "height": round(100 * (y1 - y0) / height, 8),
        "rotation": 0,
        "rectanglelabels": [name],
    }
    region: dict[str, object] = {
        "id": f"box-{index}",
        "from_name": _FROM,
        "to_name": _TO,
        "type": "rectanglelabels",
        "original_width": width,
        "original_height": height,
        "image_rotation": 0,
        "value": value,
    }
    if box.is_crowd:
        region["meta"] = {"text": ["crowd"]}
    return region if as_truth else region | {"score": rounded(box.confidence)}


def _config(classes: Sequence[str]) -> str:
    view = ElementTree.Element("View")
    ElementTree.SubElement(view, "Image", name=_TO, value="$image", zoom="true", zoomControl="true")
    labels = ElementTree.SubElement(view, "RectangleLabels", name=_FROM, toName=_TO, strokeWidth="2")
    for name in classes:
        ElementTree.SubElement(labels, "Label", value=name)
    ElementTree.indent(view)
    return ElementTree.tostring(view, encoding="unicode") + "\n"
