"""Label Studio: tasks with key points (JSON), and the labelling configuration (XML).

Convention of the format: points in percent of width and height of the upright picture. Pictures
are named as its local storage serves them (`/data/local-files/?d=NAME`), relative to the storage's
document root. A point that is not there has no entry. Of a picture with several objects each has a rectangle, its box
or the tight one of its points, which is the parent of its points; so has one object whose box is a label. Truth becomes
annotations, what a model found becomes predictions, which a person corrects; their score is the probability of being
right where the run is calibrated. Split and group stand with the task's data.
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
from sightline.writers.prediction import Prediction, box_or_stand_in, by_picture, one_file, rounded

FORMAT = "label_studio"
FILE = "tasks.json"
_FROM, _TO = "point", "image"
_OBJECT = "object"  # the rectangles' tag and their label
_POINT_WIDTH = 0.5


def write(predictions: Sequence[Prediction], out: Path, *, skeleton: Skeleton) -> tuple[Path, ...]:
    """Write the tasks, and the labelling configuration beside them (same name, `_config.xml`).

    Raises:
        UserError: a file cannot be written.
    """
    path = one_file(out, name=FILE)
    pictures = by_picture(predictions)
    tasks = [
        _task(objects, number=number, name=name, skeleton=skeleton)
        for number, (name, objects) in enumerate(pictures.items(), start=1)
    ]
    has_objects = any(_have_rectangles(objects) for objects in pictures.values())
    config = path.with_name(f"{path.stem}_config.xml")
    write_atomically(path, json.dumps(tasks, indent=1) + "\n")
    write_atomically(config, _config(skeleton, has_objects=has_objects))
    return path, config


def picture_name(prediction: Prediction) -> str:
    """Where the picture belongs, relative to the tasks and to the storage's document root."""
    return prediction.file_name


def _have_rectangles(objects: Sequence[Prediction]) -> bool:
    """Whether the objects of a picture need rectangles, to be told apart or to keep a box that is a label."""
    return len(objects) > 1 or (objects[0].is_truth and objects[0].box_xyxy is not None)


def _task(objects: Sequence[Prediction], *, number: int, name: str, skeleton: Skeleton) -> dict[str, object]:
    first = objects[0]
    data = {"image": f"/data/local-files/?d={quote(name)}"}
    if first.split is not None:
        data["split"] = first.split
    if first.group is not None:
        data["group"] = first.group
    if _have_rectangles(objects):
        regions = []
        for place, each in enumerate(objects, start=1):
            regions += [_rectangle(each, id=f"object-{place}")]
            regions += _points(each, skeleton=skeleton, parent=f"object-{place}")
    else:
        regions = _points(first, skeleton=skeleton)
    if first.is_truth:
        return {"id": number, "data": data, "annotations": [{"result": regions}]}
    score = rounded(sum(each.mean_confidence for each in objects) / len(objects))
    guess = {"model_version": "sightline", "score": score, "result": regions}
    return {"id": number, "data": data, "predictions": [guess]}


def _points(prediction: Prediction, *, skeleton: Skeleton, parent: str = "") -> list[dict[str, object]]:
    """The points that are there, as parts of a rectangle where there is one."""
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
        id = f"{parent}-point-{index}" if parent else f"point-{index}"
        region = _region(prediction, id=id, tag=_FROM, kind="keypointlabels", value=value)
        if parent:
            region["parentID"] = parent
        result.append(region if prediction.is_truth else region | {"score": rounded(prediction.confidence[index])})
    return result


def _rectangle(prediction: Prediction, *, id: str) -> dict[str, object]:
    height, width = prediction.size_hw
    x0, y0, x1, y1 = box_or_stand_in(prediction)
    value = {
        "x": round(100 * x0 / width, 6),
        "y": round(100 * y0 / height, 6),
        "width": round(100 * (x1 - x0) / width, 6),
        "height": round(100 * (y1 - y0) / height, 6),
        "rotation": 0,
        "rectanglelabels": [_OBJECT],
    }
    region = _region(prediction, id=id, tag=_OBJECT, kind="rectanglelabels", value=value)
    return region if prediction.is_truth else region | {"score": rounded(prediction.mean_confidence)}


def _region(prediction: Prediction, *, id: str, tag: str, kind: str, value: dict[str, object]) -> dict[str, object]:
    """What all regions of a picture have in common, with a shape of its own."""
    height, width = prediction.size_hw
    return {
        "id": id,
        "from_name": tag,
        "to_name": _TO,
        "type": kind,
        "original_width": width,
        "original_height": height,
        "image_rotation": 0,
        "value": value,
    }


def _config(skeleton: Skeleton, *, has_objects: bool) -> str:
    view = ElementTree.Element("View")
    if has_objects:
        rectangles = ElementTree.SubElement(view, "RectangleLabels", name=_OBJECT, toName=_TO, strokeWidth="2")
        ElementTree.SubElement(rectangles, "Label", value=_OBJECT)
    labels = ElementTree.SubElement(view, "KeyPointLabels", name=_FROM, toName=_TO, strokeWidth="2")
    for name in skeleton.names:
        ElementTree.SubElement(labels, "Label", value=name)
    ElementTree.SubElement(view, "Image", name=_TO, value="$image", zoom="true", zoomControl="true")
    ElementTree.indent(view)
    return ElementTree.tostring(view, encoding="unicode") + "\n"
