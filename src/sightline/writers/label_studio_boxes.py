"""Label Studio: tasks with rectangles (JSON), and the labelling configuration (XML).

Convention of the format: percent of width and height of the upright picture. Pictures are named as its
local storage serves them (`/data/local-files/?d=NAME`), relative to the storage's document root. Truth
becomes annotations, what a model found becomes predictions, which a person corrects. A crowd has the
note "crowd"; split and group stand with the task's data. Numbers of classes and areas have no place.
https://labelstud.io/guide/predictions
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

from sightline.writers.box_prediction import BoxPrediction, WrittenBox, limited, require_each_once
from sightline.writers.label_studio_tasks import add_image, add_labels, rectangle, task, write_tasks
from sightline.writers.prediction import one_file

FORMAT = "label_studio"
FILE = "tasks.json"
_TAG = "box"


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
    return write_tasks(tasks, path, view=_view(classes))


def picture_name(prediction: BoxPrediction) -> str:
    """Where the picture belongs, relative to the tasks and to the storage's document root."""
    return prediction.file_name


def _task(prediction: BoxPrediction, *, number: int, classes: Sequence[str], as_truth: bool) -> dict[str, object]:
    regions = [
        _region(box, index=index, name=classes[box.label], size_hw=prediction.size_hw, as_truth=as_truth)
        for index, box in enumerate(prediction.boxes(), start=1)
    ]
    mean = float(prediction.confidence.mean()) if len(prediction) else 0.0
    return task(prediction, regions, number=number, score=None if as_truth else mean)


def _region(box: WrittenBox, *, index: int, name: str, size_hw: tuple[int, int], as_truth: bool) -> dict[str, object]:
    score = None if as_truth else box.confidence
    drawn = rectangle(box.xyxy, label=name, id=f"box-{index}", tag=_TAG, size_hw=size_hw, score=score)
    return drawn | {"meta": {"text": ["crowd"]}} if box.is_crowd else drawn


def _view(classes: Sequence[str]) -> ElementTree.Element:
    """The labelling configuration."""
    view = ElementTree.Element("View")
    add_image(view)
    add_labels(view, "RectangleLabels", tag=_TAG, names=classes)
    return view
