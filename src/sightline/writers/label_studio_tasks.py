"""What Label Studio's tasks of points and of boxes have in common: the task, its regions, and the files.

In: regions of each picture. Out: tasks (JSON), and the labelling configuration (XML) beside them. Next: label_studio.py
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import quote
from xml.etree import ElementTree

from sightline.files import write_atomically
from sightline.geometry import Box
from sightline.writers.box_prediction import BoxPrediction
from sightline.writers.prediction import Prediction, rounded

_IMAGE = "image"
_DIGITS = 8  # a percent of a large picture is many pixels


def write_tasks(tasks: Sequence[Mapping[str, object]], path: Path, *, view: ElementTree.Element) -> tuple[Path, Path]:
    """Write tasks, and the labelling configuration beside them (same name, `_config.xml`); both paths.

    Raises:
        UserError: a file cannot be written.
    """
    config = path.with_name(f"{path.stem}_config.xml")
    write_atomically(path, json.dumps(tasks, indent=1, ensure_ascii=False) + "\n")
    ElementTree.indent(view)
    write_atomically(config, ElementTree.tostring(view, encoding="unicode") + "\n")
    return path, config


def task(
    found: Prediction | BoxPrediction, regions: Sequence[Mapping[str, object]], *, number: int, score: float | None
) -> dict[str, object]:
    """The task of a picture: what a person drew as its annotation, what a model found as its prediction.

    Args:
        found: the picture, or one of its objects.
        regions: all of its regions.
        number: of the task, from 1.
        score: of a model's prediction; None of what a person drew.
    """
    data = {"image": f"/data/local-files/?d={quote(found.file_name)}"}
    if found.split is not None:
        data["split"] = found.split
    if found.group is not None:
        data["group"] = found.group
    if score is None:
        return {"id": number, "data": data, "annotations": [{"result": regions}]}
    guess = {"model_version": "sightline", "score": rounded(score), "result": regions}
    return {"id": number, "data": data, "predictions": [guess]}


def region(
    value: Mapping[str, object], *, id: str, tag: str, kind: str, size_hw: tuple[int, int], score: float | None
) -> dict[str, object]:
    """A region with its shape.

    Args:
        value: the shape, and its label under the kind's name.
        id: unique in the task.
        tag: the name of the configuration's tag that draws it.
        kind: "keypointlabels" or "rectanglelabels".
        size_hw: of the picture, in pixels.
        score: as of `task`.
    """
    height, width = size_hw
    drawn: dict[str, object] = {
        "id": id,
        "from_name": tag,
        "to_name": _IMAGE,
        "type": kind,
        "original_width": width,
        "original_height": height,
        "image_rotation": 0,
        "value": value,
    }
    return drawn if score is None else drawn | {"score": rounded(score)}


def rectangle(
    xyxy: Box, *, label: str, id: str, tag: str, size_hw: tuple[int, int], score: float | None
) -> dict[str, object]:
    """A box in pixels as a region; arguments as of `region`."""
    x0, y0, x1, y1 = xyxy
    x, y = percent(x0, y0, size_hw=size_hw)
    width, height = percent(x1 - x0, y1 - y0, size_hw=size_hw)
    value = {"x": x, "y": y, "width": width, "height": height, "rotation": 0, "rectanglelabels": [label]}
    return region(value, id=id, tag=tag, kind="rectanglelabels", size_hw=size_hw, score=score)


def percent(x: float, y: float, *, size_hw: tuple[int, int]) -> tuple[float, float]:
    """Pixels along x and y in percent of width and height."""
    height, width = size_hw
    return round(100 * float(x) / width, _DIGITS), round(100 * float(y) / height, _DIGITS)


def add_image(view: ElementTree.Element) -> None:
    """Add the tag of the picture to a configuration."""
    ElementTree.SubElement(view, "Image", name=_IMAGE, value="$image", zoom="true", zoomControl="true")


def add_labels(view: ElementTree.Element, kind: str, *, tag: str, names: Sequence[str]) -> None:
    """Add a tag that draws regions (`RectangleLabels`, `KeyPointLabels`), with its labels."""
    labels = ElementTree.SubElement(view, kind, name=tag, toName=_IMAGE, strokeWidth="2")
    for name in names:
        ElementTree.SubElement(labels, "Label", value=name)
