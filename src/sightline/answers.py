"""Pictures on disk to predictions, with whatever finds something in a picture: a run, or an exported artefact.

Needs no torch, so that an artefact needs none either. Next: runtime/artefact.py, predict.py
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Protocol

import numpy as np

from sightline.errors import UserError
from sightline.geometry import Box
from sightline.images import ImageError, read_image
from sightline.records import Detections, FoundPoints, Skeleton
from sightline.tasks import Task, boxed
from sightline.writers import BoxPrediction, Prediction, from_detections

NO_THRESHOLDS = 0.3  # of a detector whose training was broken off before it chose some


class Finder(Protocol):
    """What finds points or boxes in one picture."""

    @property
    def finds(self) -> str:
        """The task: "points", "one-box" or "boxes"."""
        ...

    @property
    def skeleton(self) -> Skeleton:
        """The points that it knows."""
        ...

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes that it knows."""
        ...

    @property
    def channels(self) -> int:
        """Of the pictures that it takes."""
        ...

    @property
    def takes_boxes(self) -> bool:
        """Whether a given box decides what is shown."""
        ...

    def __call__(self, image: np.ndarray, box: Box | None = None) -> FoundPoints | Detections:
        """What is in a picture [H, W, C] uint8, or in one box of it."""
        ...


def predict_tasks(
    finder: Finder, tasks: Iterable[Task], *, on_broken: Callable[[str], None] | None = None
) -> Iterator[Prediction | BoxPrediction]:
    """Predictions for pictures on disk, one at a time.

    Args:
        finder: looks at each.
        tasks: what to predict.
        on_broken: told why, for each picture that cannot be read; it is then no error.

    Raises:
        UserError: pictures that cannot be read, without `on_broken`; behind the last one, naming all of them.
    """
    last_path, image = None, None
    broken: list[str] = []
    for task in tasks:
        if task.path != last_path:
            last_path = task.path
            try:
                image = read_image(task.path, channels=finder.channels)
            except ImageError as error:
                (on_broken or broken.append)(str(error))
                image = None
        if image is not None:
            yield _prediction(finder, task, image)
    if broken:
        raise cannot_be_read(broken)


def _prediction(finder: Finder, task: Task, image: np.ndarray) -> Prediction | BoxPrediction:
    size_hw = (image.shape[0], image.shape[1])
    used = task.box if finder.takes_boxes else None
    found = finder(image, used)
    if isinstance(found, Detections):
        return from_detections(found, image_id=task.image_id, path=task.path, size_hw=size_hw)
    return Prediction(
        image_id=task.image_id,
        path=task.path,
        size_hw=size_hw,
        points_xy=found.points_xy,
        score=found.scores,
        visible=np.ones(len(found.points_xy), dtype=bool),
        box_xyxy=used,
        box_source=task.box_source if used is not None else "whole image",
        probability=found.probability,
        radius_px=found.radius_px,
    )


def tasks_of_finder(
    finder: Finder, tasks: Sequence[Task], *, name: str, on_broken: Callable[[str], None] | None = None
) -> list[Task]:
    """Let what finds boxes say where the objects are: a task for each box, none for an empty picture.

    Args:
        finder: finds boxes.
        tasks: whole pictures.
        name: of the finder, for messages and for the output: "run faces".
        on_broken: as in `predict_tasks`.

    Raises:
        UserError: it finds points, or pictures cannot be read (without `on_broken`).
    """
    if finder.finds == "points":
        raise UserError(f"--boxes: {name} finds points. Give what finds boxes, or a CSV file of boxes.")
    found: list[Task] = []
    for prediction in predict_tasks(finder, tasks, on_broken=on_broken):
        assert isinstance(prediction, BoxPrediction)
        boxes = [box.xyxy for box in prediction.boxes()]
        found += boxed(prediction.image_id, prediction.path, boxes, source=name)
    return found


def thresholds_in_use(
    chosen: Mapping[str, float], *, finds: str, classes: Sequence[str], least_score: float | None
) -> dict[str, float]:
    """By class, the score below which a box is not given; none for tasks that always give one.

    Args:
        chosen: what the run chose at its end, perhaps nothing.
        finds: the task.
        classes: in the order of the labels.
        least_score: what the user asks for instead, for all classes.
    """
    if least_score is None and (chosen or finds != "boxes"):
        return dict(chosen)
    return dict.fromkeys(classes, NO_THRESHOLDS if least_score is None else least_score)


def cannot_be_read(broken: Sequence[str]) -> UserError:
    """One error that names every broken picture."""
    count = "1 picture" if len(broken) == 1 else f"{len(broken):,} pictures"
    told = "\n  ".join([f"{count} cannot be read:", *broken])
    return UserError(f"{told}\nMend or remove what is named, or leave it out by --skip-broken.")
