"""Predictions (or a data set's truth) to files in the formats that others read.

Every writer of points is one file with `write(predictions, out, *, skeleton) -> paths written` and
`picture_name(prediction)`, where a picture belongs beside the labels; writers of boxes have
`write(predictions, out, *, classes, class_ids, as_truth)`, writers of clips `write(clips, out)` and
`frame_files(clips)`. They turn continuous coordinates of the upright original picture into each
format's own; all write atomically. Overlays for the eye are drawn by overlay.py.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from sightline.records import Skeleton
from sightline.writers import (
    ball_csv,
    boxes_csv,
    coco,
    coco_keypoints,
    coco_results,
    cvat,
    cvat_points,
    deeplabcut,
    deeplabcut_likelihood,
    dlib_xml,
    kaggle_csv,
    label_studio,
    label_studio_boxes,
    landmark_csv,
    pts,
    shuttle_samples,
    tracknet,
    voc,
    yolo,
    yolo_pose,
)
from sightline.writers.box_prediction import BoxPrediction, boxes_from_dataset, from_detections
from sightline.writers.clips import Clip, clips_of
from sightline.writers.prediction import Prediction, dataset_to_predictions

__all__ = [
    "BOX_WRITERS",
    "CLIP_WRITERS",
    "WRITERS",
    "BoxPrediction",
    "BoxWriter",
    "Clip",
    "ClipWriter",
    "Prediction",
    "Writer",
    "boxes_from_dataset",
    "clips_of",
    "dataset_to_predictions",
    "from_detections",
]


class Writer(Protocol):
    """What the files of this folder that write points have."""

    @property
    def FILE(self) -> str:  # noqa: N802 (a constant of the module)
        """What `write` calls its file in a folder; "" where it writes a file for each picture."""
        ...

    def write(self, predictions: Sequence[Prediction], out: Path, *, skeleton: Skeleton) -> tuple[Path, ...]:
        """Write predictions to a file or folder; returns the paths written."""
        ...

    def picture_name(self, prediction: Prediction) -> str:
        """Where a picture belongs, relative to the folder of the labels."""
        ...


class BoxWriter(Protocol):
    """What the files of this folder that write boxes have."""

    @property
    def FILE(self) -> str:  # noqa: N802 (a constant of the module)
        """As in `Writer`."""
        ...

    def write(
        self,
        predictions: Sequence[BoxPrediction],
        out: Path,
        *,
        classes: Sequence[str],
        class_ids: Sequence[int] = (),
        as_truth: bool,
    ) -> tuple[Path, ...]:
        """Write boxes to a file or folder; returns the paths written.

        Args:
            predictions: one for each picture, those without boxes too.
            out: the file or folder.
            classes: the names that the boxes' labels count through.
            class_ids: the label file's own numbers of the classes, or ().
            as_truth: these are labels; else scores are written.
        """
        ...

    def picture_name(self, prediction: BoxPrediction) -> str:
        """Where a picture belongs, relative to the folder of the labels."""
        ...


class ClipWriter(Protocol):
    """What the files of this folder that write labels of clips have."""

    @property
    def FILE(self) -> str:  # noqa: N802 (a constant of the module)
        """As in `Writer`."""
        ...

    def write(self, clips: Sequence[Clip], out: Path) -> tuple[Path, ...]:
        """Write labels to a file or folder; returns the paths written."""
        ...

    def frame_files(self, clips: Sequence[Clip]) -> Mapping[str, Path]:
        """Where videos and pictures belong, relative to the folder of the labels."""
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
    "cvat": cvat_points,
}

BOX_WRITERS: dict[str, BoxWriter] = {
    "coco": coco,
    "coco_results": coco_results,
    "voc": voc,
    "yolo": yolo,
    "boxes_csv": boxes_csv,
    "label_studio": label_studio_boxes,
    "cvat": cvat,
}

CLIP_WRITERS: dict[str, ClipWriter] = {
    "tracknet": tracknet,
    "ball_csv": ball_csv,
    "shuttle_samples": shuttle_samples,
}
