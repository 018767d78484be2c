"""Predictions (or a data set's truth) to files in the formats that others read.

Every writer is one file with `write(predictions, out, *, skeleton) -> paths written` and
`picture_name(prediction)`, where a picture belongs beside the labels. They turn continuous
coordinates of the upright original picture into each format's own; all write atomically.
Overlays for the eye are drawn by overlay.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from sightline.records import Skeleton
from sightline.writers import (
    coco_keypoints,
    deeplabcut,
    deeplabcut_likelihood,
    dlib_xml,
    kaggle_csv,
    label_studio,
    landmark_csv,
    pts,
    yolo_pose,
)
from sightline.writers.prediction import Prediction, dataset_to_predictions

__all__ = ["WRITERS", "Prediction", "Writer", "dataset_to_predictions"]


class Writer(Protocol):
    """What the files of this folder have."""

    def write(self, predictions: Sequence[Prediction], out: Path, *, skeleton: Skeleton) -> tuple[Path, ...]:
        """Write predictions to a file or folder; returns the paths written."""
        ...

    def picture_name(self, prediction: Prediction) -> str:
        """Where a picture belongs, relative to the folder of the labels."""
        ...


WRITERS: dict[str, Writer] = {
    "landmark_csv": landmark_csv,
    "coco_keypoints": coco_keypoints,
    "deeplabcut": deeplabcut,
    "deeplabcut_likelihood": deeplabcut_likelihood,
    "label_studio": label_studio,
    "kaggle_csv": kaggle_csv,
    "yolo_pose": yolo_pose,
    "dlib_xml": dlib_xml,
    "pts": pts,
}
