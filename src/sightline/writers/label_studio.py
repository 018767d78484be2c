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

from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

from sightline.records import Skeleton
from sightline.writers.label_studio_tasks import add_image, add_labels, percent, rectangle, region, task, write_tasks
from sightline.writers.prediction import Prediction, box_or_stand_in, by_picture, one_file

FORMAT = "label_studio"
FILE = "tasks.json"
_TAG = "point"
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
        _task(objects, number=number, skeleton=skeleton) for number, objects in enumerate(pictures.values(), start=1)
    ]
    has_objects = any(_have_rectangles(objects) for objects in pictures.values())
    return write_tasks(tasks, path, view=_view(skeleton, has_objects=has_objects))


def picture_name(prediction: Prediction) -> str:
    """Where the picture belongs, relative to the tasks and to the storage's document root."""
    return prediction.file_name


def _have_rectangles(objects: Sequence[Prediction]) -> bool:
    """Whether the objects of a picture need rectangles, to be told apart or to keep a box that is a label."""
    return len(objects) > 1 or (objects[0].is_truth and objects[0].box_xyxy is not None)


def _task(objects: Sequence[Prediction], *, number: int, skeleton: Skeleton) -> dict[str, object]:
    first = objects[0]
    if _have_rectangles(objects):
        regions = []
        for place, each in enumerate(objects, start=1):
            regions += [_rectangle(each, id=f"object-{place}")]
            regions += _points(each, skeleton=skeleton, parent=f"object-{place}")
    else:
        regions = _points(first, skeleton=skeleton)
    score = None if first.is_truth else sum(each.mean_confidence for each in objects) / len(objects)
    return task(first, regions, number=number, score=score)


def _points(prediction: Prediction, *, skeleton: Skeleton, parent: str = "") -> list[dict[str, object]]:
    """The points that are there, as parts of a rectangle where there is one."""
    result = []
    for index in prediction.visible.nonzero()[0]:
        x, y = percent(*prediction.points_xy[index], size_hw=prediction.size_hw)
        drawn = region(
            {"x": x, "y": y, "width": _POINT_WIDTH, "keypointlabels": [skeleton.names[index]]},
            id=f"{parent}-point-{index}" if parent else f"point-{index}",
            tag=_TAG,
            kind="keypointlabels",
            size_hw=prediction.size_hw,
            score=None if prediction.is_truth else prediction.confidence[index],
        )
        result.append(drawn | {"parentID": parent} if parent else drawn)
    return result


def _rectangle(prediction: Prediction, *, id: str) -> dict[str, object]:
    return rectangle(
        box_or_stand_in(prediction),
        label=_OBJECT,
        id=id,
        tag=_OBJECT,
        size_hw=prediction.size_hw,
        score=None if prediction.is_truth else prediction.mean_confidence,
    )


def _view(skeleton: Skeleton, *, has_objects: bool) -> ElementTree.Element:
    """The labelling configuration."""
    view = ElementTree.Element("View")
    if has_objects:
        add_labels(view, "RectangleLabels", tag=_OBJECT, names=(_OBJECT,))
    add_labels(view, "KeyPointLabels", tag=_TAG, names=skeleton.names)
    add_image(view)
    return view
