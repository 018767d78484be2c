"""What the writers of boxes take: the boxes of one picture, in pixels of the original file.

In: what a model found (`from_detections`), or the truth of a data set (`boxes_from_dataset`), so that
`predict` and `convert` share the writers. Here is also what the formats have in common.
Next: coco.py and the other formats
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

import numpy as np

from sightline.errors import UserError
from sightline.geometry import Box, box_areas
from sightline.images import read_size
from sightline.records import Dataset, Detections

PARTS = ("train", "val", "test")


@dataclass(frozen=True, kw_only=True, eq=False)
class BoxPrediction:
    """The boxes of one picture, found or true.

    Attributes:
        image_id: the picture's path below the data root, with `/`.
        path: where the picture lies.
        size_hw: (height, width) after the EXIF rotation.
        boxes_xyxy: [N, 4] float64, continuous pixels of the original file after its EXIF rotation.
        labels: [N] int64, positions in the classes.
        scores: [N] float64, 0..1; 1 for truth.
        crowd: [N] bool.
        areas: [N] float64, of the objects where the labels told it, else of the boxes.
        split: the part of the data set that the picture belongs to, or None.
        group: the identity or clip that the picture belongs to, or None.
        probability: [N], that each box is right; None where no calibration tells it.
        margin_px: [N], in which all sides of the true box lie, infinite where nothing can be said; None likewise.
    """

    image_id: str
    path: Path
    size_hw: tuple[int, int]
    boxes_xyxy: np.ndarray
    labels: np.ndarray
    scores: np.ndarray
    crowd: np.ndarray
    areas: np.ndarray
    split: str | None = None
    group: str | None = None
    probability: np.ndarray | None = None
    margin_px: np.ndarray | None = None

    def __post_init__(self) -> None:
        """Check shapes, and that all is finite."""
        count = len(self.labels)
        for added in (self.probability, self.margin_px):
            assert added is None or added.shape == (count,), f"{self.image_id}: {added.shape}"
        assert self.boxes_xyxy.shape == (count, 4), f"{self.image_id}: {self.boxes_xyxy.shape}"
        assert self.scores.shape == self.crowd.shape == self.areas.shape == (count,), self.image_id
        assert np.isfinite(self.boxes_xyxy).all(), f"{self.image_id}: NaN is not a box"

    def __len__(self) -> int:
        """Number of boxes, N."""
        return len(self.labels)

    @property
    def file_name(self) -> str:
        """The picture's path below the data root."""
        return self.image_id

    @property
    def confidence(self) -> np.ndarray:
        """[N], what a format with one number for a box gets: the probability where it is known, else the score."""
        return self.scores if self.probability is None else self.probability

    def boxes(self) -> list[WrittenBox]:
        """The boxes one by one."""
        rows = zip(
            self.boxes_xyxy.tolist(),
            self.labels.tolist(),
            self.scores.tolist(),
            self.crowd.tolist(),
            self.areas.tolist(),
            [None] * len(self) if self.probability is None else self.probability.tolist(),
            [None] * len(self) if self.margin_px is None else self.margin_px.tolist(),
            strict=True,
        )
        return [
            WrittenBox(
                xyxy=(x0, y0, x1, y1),
                label=label,
                score=score,
                is_crowd=crowd,
                area=area,
                probability=probability,
                margin_px=margin,
            )
            for (x0, y0, x1, y1), label, score, crowd, area, probability, margin in rows
        ]


@dataclass(frozen=True, kw_only=True)
class WrittenBox:
    """One box of a picture."""

    xyxy: Box
    label: int
    score: float
    is_crowd: bool
    area: float
    probability: float | None = None
    margin_px: float | None = None

    @property
    def confidence(self) -> float:
        """As `BoxPrediction.confidence`."""
        return self.score if self.probability is None else self.probability


def boxes_from_dataset(dataset: Dataset) -> list[BoxPrediction]:
    """Turn the truth of a data set of boxes into what writers take.

    Raises:
        UserError: the data set has no boxes, or a record has no size and its picture cannot be read.
    """
    found = []
    for record in dataset.records:
        if record.objects is None:
            raise UserError(
                f"{dataset.root} ({dataset.format}) holds points, not boxes. Choose a format for points, such as "
                "coco_keypoints or landmark_csv."
            )
        found.append(
            BoxPrediction(
                image_id=record.image_id,
                path=record.path,
                size_hw=record.size_hw or read_size(record.path),
                boxes_xyxy=record.objects.boxes_xyxy,
                labels=record.objects.labels,
                scores=np.ones(len(record.objects)),
                crowd=record.objects.crowd,
                areas=record.objects.areas,
                split=record.split,
                group=record.group,
            )
        )
    return found


def from_detections(
    detections: Detections,
    *,
    image_id: str,
    path: Path,
    size_hw: tuple[int, int],
    split: str | None = None,
    group: str | None = None,
) -> BoxPrediction:
    """What a model found in one picture, for the writers.

    Args:
        detections: in pixels of the original file.
        image_id: the picture's path below the data root, with `/`.
        path: where the picture lies.
        size_hw: (height, width) after the EXIF rotation.
        split: the part of the data set, where there is one.
        group: the identity or clip, where there is one.
    """
    return BoxPrediction(
        image_id=image_id,
        path=path,
        size_hw=size_hw,
        boxes_xyxy=detections.boxes_xyxy,
        labels=detections.labels,
        scores=detections.scores,
        crowd=np.zeros(len(detections), dtype=bool),
        areas=box_areas(detections.boxes_xyxy),
        split=split,
        group=group,
        probability=detections.probability,
        margin_px=detections.margin_px,
    )


def require_each_once(predictions: Sequence[BoxPrediction]) -> None:
    """Refuse two lists of boxes of one picture.

    Raises:
        UserError: names the first such picture.
    """
    seen: set[str] = set()
    for prediction in predictions:
        if prediction.file_name in seen:
            raise UserError(f"{prediction.file_name} is there twice. Expected each picture once: leave one out.")
        seen.add(prediction.file_name)


def require_no_crowd(predictions: Sequence[BoxPrediction], *, format: str) -> None:
    """Refuse crowds for a format that has no mark for them.

    Raises:
        UserError: names the first such picture.
    """
    for prediction in predictions:
        if count := int(prediction.crowd.sum()):
            boxes = "1 box" if count == 1 else f"{count} boxes"
            raise UserError(
                f"{prediction.file_name} has {boxes} of crowds (or difficult objects), but "
                f"the format '{format}' has no mark for them and a model would take them for objects. Write 'coco', "
                "'voc', 'boxes_csv', 'cvat' or 'label_studio', or take these boxes out."
            )


def part_of(prediction: BoxPrediction, *, format: str) -> str | None:
    """The part of a picture for a format that knows train, val and test only; None where it belongs to none.

    Raises:
        UserError: it belongs to another part.
    """
    if prediction.split is None or prediction.split in PARTS:
        return prediction.split
    known = {"valid": "val", "validation": "val", "dev": "val", "training": "train", "testing": "test"}
    if prediction.split in known:
        return known[prediction.split]
    raise UserError(
        f"{prediction.file_name} belongs to the part '{prediction.split}', but the format '{format}' knows train, val "
        "and test only. Write 'coco', 'boxes_csv', 'cvat' or 'label_studio', which hold any name."
    )


def without_folder(name: str, folders: Sequence[str]) -> str:
    """A picture's path without the folder that the format puts in front again, where it is there already.

    A path that leads elsewhere (from `/`, or through `..`) is led back below that folder.
    """
    parts = [part for part in PurePosixPath(name).parts if part not in ("/", "..")]
    return str(PurePosixPath(*parts[1:] if len(parts) > 1 and parts[0] in folders else parts))


def below_images(name: str, *, part: str) -> str:
    """A picture's path below `images/PART/`, where YOLO's tools look for it.

    They make the label's path by putting `labels` for the last `images`, so no other folder may be called that; and
    who has images/train/a.jpg or train/images/a.jpg already gets no second `train`.
    """
    parts = [folder for folder in PurePosixPath(name).parent.parts if folder not in ("images", "JPEGImages")]
    return without_folder(str(PurePosixPath(*parts, PurePosixPath(name).name)), (part,))


def own_areas(prediction: BoxPrediction) -> bool:
    """Whether all areas are those of the boxes, so that a format needs no place for them."""
    return bool(np.allclose(prediction.areas, box_areas(prediction.boxes_xyxy), rtol=1e-6))


def limited(prediction: BoxPrediction) -> BoxPrediction:
    """The picture's boxes cut at its edges, for formats that cannot say more; what lies outside is left out."""
    height, width = prediction.size_hw
    boxes = prediction.boxes_xyxy.clip(0, [width, height, width, height])
    keep = np.all(boxes[:, 2:] > boxes[:, :2], axis=1)
    return replace(
        prediction,
        boxes_xyxy=boxes[keep],
        labels=prediction.labels[keep],
        scores=prediction.scores[keep],
        crowd=prediction.crowd[keep],
        areas=prediction.areas[keep],
        probability=None if prediction.probability is None else prediction.probability[keep],
        margin_px=None if prediction.margin_px is None else prediction.margin_px[keep],
    )


def class_lines(classes: Sequence[str], *, path: Path) -> str:
    """The text of a file that names one class a line.

    Raises:
        UserError: a name has a line break, and would be read as two.
    """
    broken = next((name for name in classes if len(name.splitlines()) > 1), None)
    if broken is not None:
        raise UserError(
            f"The class {broken!r} has a line break, and {path} names one class a line. Rename it in the labels, or "
            "choose another format, such as coco."
        )
    return "".join(f"{name}\n" for name in classes) or "\n"
