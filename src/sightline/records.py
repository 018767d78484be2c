"""What a data set is, before any pixel is read: records, skeleton, problems.

A reader turns foreign label files into a `Dataset` of `Record`s. Nothing here needs
torch, so that commands which only look at labels start at once.

Conventions (geometry.py states them in full): coordinates are continuous pixels of the
ORIGINAL file after its EXIF rotation, the picture spans [0, W] x [0, H], sizes are
(height, width), points (x, y), boxes (x0, y0, x1, y1). Missing is a mask.
Next: geometry.py
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

import numpy as np

from sightline.members import file_size

Severity = Literal["error", "warning", "note"]


@dataclass(frozen=True, kw_only=True)
class Skeleton:
    """The names of the points, which are mirror twins, and which to join when drawing."""

    names: tuple[str, ...]
    flip_pairs: tuple[tuple[int, int], ...] = ()
    edges: tuple[tuple[int, int], ...] = ()

    def __post_init__(self) -> None:
        """Check that names are unique and that pairs and edges point at names."""
        count = len(self.names)
        assert len(set(self.names)) == count, f"duplicate point names in {self.names}"
        for first, second in (*self.flip_pairs, *self.edges):
            assert 0 <= first < count and 0 <= second < count, f"({first}, {second}) outside 0..{count - 1}"

    def __len__(self) -> int:
        """Number of points, K."""
        return len(self.names)

    @property
    def flip_index(self) -> tuple[int, ...]:
        """Where each point's value comes from after mirroring; twins change places."""
        index = list(range(len(self.names)))
        for left, right in self.flip_pairs:
            index[left], index[right] = right, left
        return tuple(index)

    def select(self, keep: Iterable[int]) -> Skeleton:
        """The skeleton of some of the points, in the order given; broken pairs and edges go."""
        order = list(keep)
        where = {old: new for new, old in enumerate(order)}

        def moved(links: tuple[tuple[int, int], ...]) -> tuple[tuple[int, int], ...]:
            return tuple((where[a], where[b]) for a, b in links if a in where and b in where)

        names = tuple(self.names[i] for i in order)
        return Skeleton(names=names, flip_pairs=moved(self.flip_pairs), edges=moved(self.edges))


NO_POINTS = Skeleton(names=())

PAST_FRAMES = 3  # frames before a frame of a clip that readers name
HISTORY = 30  # points before it, half a second at 60 frames a second


@dataclass(frozen=True, kw_only=True, eq=False)
class Objects:
    """The boxes of one picture, each with a class; N = 0 says that there is nothing to find in it.

    Attributes:
        boxes_xyxy: [N, 4] float64, continuous pixels of the original file; width and height above 0.
        labels: [N] int64, positions in `Dataset.classes`.
        crowd: [N] bool: COCO's `iscrowd`, VOC's `difficult`. Not trained on, and neither found nor missed in scoring.
        areas: [N] float64, the object's area in pixels where the format tells it (COCO's `area`), else the box's.
    """

    boxes_xyxy: np.ndarray
    labels: np.ndarray
    crowd: np.ndarray
    areas: np.ndarray

    def __post_init__(self) -> None:
        """Check shapes, and that boxes are finite and not empty."""
        count = len(self.labels)
        assert self.boxes_xyxy.shape == (count, 4), self.boxes_xyxy.shape
        assert self.crowd.shape == self.areas.shape == (count,), (self.crowd.shape, self.areas.shape)
        assert self.crowd.dtype == bool, self.crowd.dtype
        assert np.isfinite(self.boxes_xyxy).all(), "NaN is not a box"
        assert (self.boxes_xyxy[:, 2:] > self.boxes_xyxy[:, :2]).all(), "a box without area"

    def __len__(self) -> int:
        """Number of boxes, N."""
        return len(self.labels)

    @staticmethod
    def of(boxes_xyxy: np.ndarray, labels: np.ndarray) -> Objects:
        """Boxes [N, 4] and classes [N] where the format tells no more."""
        boxes = np.asarray(boxes_xyxy, dtype=np.float64).reshape(-1, 4)
        areas = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
        classes = np.asarray(labels, dtype=np.int64).reshape(-1)
        return Objects(boxes_xyxy=boxes, labels=classes, crowd=np.zeros(len(classes), dtype=bool), areas=areas)

    def select(self, keep: np.ndarray) -> Objects:
        """Some of the boxes, by a mask or positions."""
        return Objects(
            boxes_xyxy=self.boxes_xyxy[keep],
            labels=self.labels[keep],
            crowd=self.crowd[keep],
            areas=self.areas[keep],
        )


@dataclass(frozen=True, kw_only=True)
class FrameAt:
    """Where the pixels of a frame are.

    Attributes:
        path: a picture, or a video file.
        index: the frame's number in the video, in display order, from 0; None where `path` is a picture.
    """

    path: Path
    index: int | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Before:
    """What came before a frame of a clip: frames and points, oldest first, the last entry just before it.

    Attributes:
        frames: `PAST_FRAMES` of them; None where the clip had not begun or the frame is missing.
        points_xy: [HISTORY, 2] float64, continuous pixels of the original; zeros where not visible.
        visible: [HISTORY] bool; False also where a frame has no label or lies before the clip.
    """

    frames: tuple[FrameAt | None, ...]
    points_xy: np.ndarray
    visible: np.ndarray

    def __post_init__(self) -> None:
        """Check lengths, and that what is visible is finite."""
        assert len(self.frames) == PAST_FRAMES, len(self.frames)
        assert self.points_xy.shape == (HISTORY, 2), self.points_xy.shape
        assert self.visible.shape == (HISTORY,) and self.visible.dtype == bool, self.visible
        assert np.isfinite(self.points_xy).all(), "NaN is not a mask"


@dataclass(frozen=True, kw_only=True, eq=False)
class FoundPoints:
    """Points that a model found for one object.

    Attributes:
        points_xy: [K, 2] float64, continuous pixels of the original file.
        scores: [K] float64, 0..1.
        input_px: how many pixels of the original one pixel of the network's input spanned; None where it is not known.
        probability: [K] float64, above 0 and below 1: that the point is right, as the run's calibration.json says what
            that is; None without a calibration.
        radius_px: [K] float64, the true point lies within with the calibration's coverage; infinite where nothing can
            be said, None without a calibration.
    """

    points_xy: np.ndarray
    scores: np.ndarray
    input_px: float | None = None
    probability: np.ndarray | None = None
    radius_px: np.ndarray | None = None

    def __post_init__(self) -> None:
        """Check shapes of what calibration adds."""
        for added in (self.probability, self.radius_px):
            assert added is None or added.shape == self.scores.shape, (added.shape, self.scores.shape)


@dataclass(frozen=True, kw_only=True, eq=False)
class Detections:
    """Boxes that a model found in one picture, best first.

    Attributes:
        boxes_xyxy: [N, 4] float64, continuous pixels of the original file.
        labels: [N] int64, positions in the model's classes.
        scores: [N] float64, 0..1.
        probability: [N] float64, above 0 and below 1: that the box is right; None without a calibration.
        margin_px: [N] float64, all four sides of the true box lie within of the found one's with the calibration's
            coverage; infinite where nothing can be said, None without a calibration.
    """

    boxes_xyxy: np.ndarray
    labels: np.ndarray
    scores: np.ndarray
    probability: np.ndarray | None = None
    margin_px: np.ndarray | None = None

    def __post_init__(self) -> None:
        """Check shapes."""
        count = len(self.labels)
        assert self.boxes_xyxy.shape == (count, 4), self.boxes_xyxy.shape
        assert self.scores.shape == (count,), self.scores.shape
        for added in (self.probability, self.margin_px):
            assert added is None or added.shape == (count,), (added.shape, count)

    def __len__(self) -> int:
        """Number of boxes, N."""
        return len(self.labels)

    def select(self, keep: np.ndarray) -> Detections:
        """Some of the boxes, by a mask or positions."""
        return Detections(
            boxes_xyxy=self.boxes_xyxy[keep],
            labels=self.labels[keep],
            scores=self.scores[keep],
            probability=None if self.probability is None else self.probability[keep],
            margin_px=None if self.margin_px is None else self.margin_px[keep],
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class Record:
    """One labelled picture, as its label file tells it: named points of one object, or boxes.

    A data set of boxes has one record for each picture, and no points. In a data set of clips a record is a labelled
    frame: it has one point, and `visible` false says that the point is known not to be visible there.

    Attributes:
        image_id: the name used in tables and splits: the path below the data root, with `/`.
        path: where the file lies.
        points_xy: [K, 2] float64, continuous pixels; rows that are not visible hold zeros.
        visible: [K] bool, which points are labelled.
        box_xyxy: the box around the object that the points belong to, or None.
        objects: the picture's boxes with their classes; None where the data set is not one of boxes.
        size_hw: (height, width) where the label file or the file's header says it.
        group: pictures of one identity or clip share it; a group never straddles a split.
        before: what came before, in a data set of clips; else None.
        frame: the frame's number in its clip, from 0; None where the data set is not one of clips.
        video_frame: its number in the file, where `path` is a video.
        split: the part that the data set itself assigns, or None.
        is_guess: whether a model made the labels and no person has looked at them yet.
        source: "labels.csv:12", for messages.
    """

    image_id: str
    path: Path
    points_xy: np.ndarray = field(default_factory=lambda: np.zeros((0, 2)))
    visible: np.ndarray = field(default_factory=lambda: np.zeros(0, dtype=bool))
    box_xyxy: tuple[float, float, float, float] | None = None
    objects: Objects | None = None
    size_hw: tuple[int, int] | None = None
    group: str | None = None
    before: Before | None = None
    frame: int | None = None
    video_frame: int | None = None
    split: str | None = None
    is_guess: bool = False
    source: str = ""

    def __post_init__(self) -> None:
        """Check shapes and that what is visible is finite."""
        assert self.points_xy.shape == (len(self.visible), 2), f"{self.source}: {self.points_xy.shape}"
        assert self.visible.dtype == bool, f"{self.source}: visible is {self.visible.dtype}"
        assert np.isfinite(self.points_xy).all(), f"{self.source}: NaN is not a mask"

    def select(self, keep: Iterable[int]) -> Record:
        """The same picture with some of the points, in the order given."""
        order = list(keep)
        return replace(self, points_xy=self.points_xy[order], visible=self.visible[order])


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One thing that is wrong with the data, told so that the user can go and mend it.

    Attributes:
        id: stable name of the kind of problem ("image-truncated"), for filters and tests.
        where: file and line, or the picture's path.
        image_id: the record it concerns, or None when it concerns the whole data set.
    """

    id: str
    severity: Severity
    where: str
    message: str
    image_id: str | None = None

    def __str__(self) -> str:
        """One line: severity, id, place, message."""
        return f"{self.severity}: [{self.id}] {self.where}: {self.message}"


@dataclass(frozen=True, kw_only=True, eq=False)
class Dataset:
    """Records of one format below one root, the names they share, and what was found wrong.

    A record with an error-level problem is not in `records`; where only one of its boxes is broken, it is there
    without that box. The problem names it.

    Attributes:
        skeleton: the points; without any in a data set of boxes.
        classes: the names that `Objects.labels` counts through; () in a data set of points.
        class_ids: the numbers that the label file itself gives the classes (COCO's may have gaps), or ().
        made_from: the format that the data were in before `convert` made shards of them, or "".
    """

    root: Path
    format: str
    records: tuple[Record, ...]
    skeleton: Skeleton = NO_POINTS
    classes: tuple[str, ...] = ()
    class_ids: tuple[int, ...] = ()
    problems: tuple[Problem, ...] = field(default=())
    made_from: str = ""

    def __len__(self) -> int:
        """Number of records."""
        return len(self.records)

    @property
    def has_clips(self) -> bool:
        """Whether the records are frames of clips."""
        return bool(self.records) and all(record.before is not None for record in self.records)

    @property
    def errors(self) -> tuple[Problem, ...]:
        """The problems that stop a training unless broken samples are skipped."""
        return tuple(problem for problem in self.problems if problem.severity == "error")

    def with_records(self, records: Iterable[Record]) -> Dataset:
        """The same data set with other records."""
        return replace(self, records=tuple(records))

    def fingerprint(self) -> str:
        """A hash of picture names, file sizes and labels: equal when the evaluation data are equal."""
        digest = hashlib.sha256("\n".join((*self.skeleton.names, *self.classes)).encode())
        for record in sorted(self.records, key=lambda r: r.image_id):
            size = file_size(record.path)
            digest.update(f"{record.image_id}\0{-1 if size is None else size}\0".encode())
            digest.update(np.where(record.visible[:, None], record.points_xy, 0.0).round(3).tobytes())
            digest.update(record.visible.tobytes())
            if record.objects is not None:
                digest.update(record.objects.boxes_xyxy.round(3).tobytes())
                digest.update(record.objects.labels.astype("<i8").tobytes() + record.objects.crowd.tobytes())
        return digest.hexdigest()[:16]
