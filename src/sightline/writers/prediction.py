"""What all writers take: one object's points in one picture, in pixels of the original file.

In: predictions of a model, or the truth of a data set (`dataset_to_predictions`), so that
`predict` and `convert` share the writers. Here is also what the formats have in common:
how a picture is named, which box stands in for a missing one, how numbers are rounded.
Next: landmark_csv.py and the other formats
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from sightline.errors import UserError
from sightline.geometry import Box, box_around
from sightline.images import read_size
from sightline.records import Dataset, Skeleton

_DECIMALS = 4

# The side that a box gets at least where points have to stand for it.
_LEAST_PX = 1.0


@dataclass(frozen=True, kw_only=True, eq=False)
class Prediction:
    """Points of one object in one picture.

    Attributes:
        image_id: the picture's path below the data root, with `/`; "#2" follows for its second object.
        path: where the picture lies.
        size_hw: (height, width) after the EXIF rotation.
        points_xy: [K, 2] float64, continuous pixels of the original file after its EXIF rotation.
        score: [K], 0..1; 1 for truth.
        visible: [K] bool; where false there is no point, and the format's mark for that is written.
        box_xyxy: the object's box, continuous pixels, or None.
        box_source: where the box came from ("label", "whole image", "detector", ...).
        split: the part of the data set that the picture belongs to, or None.
        group: the identity or clip that the picture belongs to, or None.
        is_truth: whether these are labels, not what a model found; few formats write the two differently.
        probability: [K], that each point is right; None where no calibration tells it.
        radius_px: [K], in which the true point lies, infinite where nothing can be said; None likewise.
    """

    image_id: str
    path: Path
    size_hw: tuple[int, int]
    points_xy: np.ndarray
    score: np.ndarray
    visible: np.ndarray
    box_xyxy: Box | None = None
    box_source: str = ""
    split: str | None = None
    group: str | None = None
    is_truth: bool = False
    probability: np.ndarray | None = None
    radius_px: np.ndarray | None = None

    def __post_init__(self) -> None:
        """Check shapes, and that what is visible is finite."""
        count = len(self.visible)
        for added in (self.probability, self.radius_px):
            assert added is None or added.shape == (count,), f"{self.image_id}: {added.shape}"
        assert self.points_xy.shape == (count, 2), f"{self.image_id}: {self.points_xy.shape}"
        assert self.score.shape == (count,), f"{self.image_id}: {self.score.shape}"
        assert self.visible.dtype == bool, f"{self.image_id}: visible is {self.visible.dtype}"
        assert np.isfinite(self.points_xy[self.visible]).all(), f"{self.image_id}: NaN is not a mask"

    @property
    def file_name(self) -> str:
        """The picture's path below the data root: the id without its "#2"."""
        if PurePosixPath(self.image_id).name == self.path.name:
            return self.image_id
        return re.sub(r"#\d+$", "", self.image_id)

    @property
    def confidence(self) -> np.ndarray:
        """[K], what a format with one number for a point gets: the probability where it is known, else the score."""
        return self.score if self.probability is None else self.probability

    @property
    def mean_confidence(self) -> float:
        """Its mean over the visible points; 0 where there is none."""
        return float(self.confidence[self.visible].mean()) if self.visible.any() else 0.0


def dataset_to_predictions(dataset: Dataset) -> list[Prediction]:
    """Turn the truth of a data set into what writers take; missing points stay missing.

    Raises:
        UserError: a record without a size whose picture cannot be read.
    """
    return [
        Prediction(
            image_id=record.image_id,
            path=record.path,
            size_hw=record.size_hw or read_size(record.path),
            points_xy=record.points_xy,
            score=record.visible.astype(np.float64),
            visible=record.visible,
            box_xyxy=record.box_xyxy,
            box_source="label" if record.box_xyxy is not None else "",
            split=record.split,
            group=record.group,
            is_truth=True,
        )
        for record in dataset.records
    ]


def box_or_stand_in(prediction: Prediction) -> Box:
    """The object's box; without one the tight box of its points, without points the whole picture.

    One point, or points in a row or column, span at least a pixel: formats refuse boxes without area.
    """
    if prediction.box_xyxy is not None:
        return prediction.box_xyxy
    if prediction.visible.any():
        x0, y0, x1, y1 = box_around(prediction.points_xy[prediction.visible])
        more_x, more_y = (max(0.0, _LEAST_PX - side) / 2 for side in (x1 - x0, y1 - y0))
        return x0 - more_x, y0 - more_y, x1 + more_x, y1 + more_y
    height, width = prediction.size_hw
    return 0.0, 0.0, float(width), float(height)


def by_picture(predictions: Iterable[Prediction]) -> dict[str, list[Prediction]]:
    """The objects of each picture, by file name, in the order given."""
    found: dict[str, list[Prediction]] = {}
    for prediction in predictions:
        found.setdefault(prediction.file_name, []).append(prediction)
    return found


def require_one_each(predictions: Sequence[Prediction], *, format: str) -> None:
    """Refuse several objects in one picture for a format that holds one.

    Raises:
        UserError: names the first such picture.
    """
    for name, objects in by_picture(predictions).items():
        if len(objects) > 1:
            raise UserError(
                f"{name} holds {len(objects)} objects, but the format '{format}' holds one for each picture. "
                "Write 'coco_keypoints', 'landmark_csv', 'label_studio' or 'cvat', which hold several."
            )


def require_all_visible(predictions: Sequence[Prediction], *, skeleton: Skeleton, format: str) -> None:
    """Refuse missing points for a format that has no mark for them.

    Raises:
        UserError: names the first picture and point.
    """
    for prediction in predictions:
        if not prediction.visible.all():
            missing = skeleton.names[int(np.flatnonzero(~prediction.visible)[0])]
            raise UserError(
                f"{prediction.file_name} has no point '{missing}', but the format '{format}' has no mark for a missing "
                "point. Write 'landmark_csv' or 'coco_keypoints', which have one."
            )


def in_default_order(skeleton: Skeleton) -> bool:
    """Whether the points have no names of their own, just point_0, point_1, ..."""
    return skeleton.names == tuple(f"point_{index}" for index in range(len(skeleton)))


def one_file(out: Path, *, name: str) -> Path:
    """The file to write: `out` itself where it has the format's suffix, else `name` in the folder `out`."""
    return out if out.suffix.lower() == Path(name).suffix and not out.is_dir() else out / name


def rounded(value: float) -> float:
    """A coordinate, fraction or score as it is written: 4 decimals, and never -0."""
    return round(float(value), _DECIMALS) + 0.0


def bound_text(value: float | None) -> str:
    """A radius or margin as text; empty where there is none, or nothing can be said."""
    return "" if value is None or math.isinf(value) else text(value)


def text(value: float) -> str:
    """The same as text, without trailing zeros."""
    return f"{rounded(value):.{_DECIMALS}f}".rstrip("0").rstrip(".")
