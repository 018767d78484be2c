"""From one input to its rows, by whatever model there is: a run or an artefact for pictures, or a tracker for videos.

An input that cannot be read has one row with the reason, and nothing found. In: a `Unit`. Out: rows, as plain values.
Next: part.py
"""

from __future__ import annotations

import math
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from sightline.answers import Finder, predict_tasks
from sightline.bulk.inputs import Unit
from sightline.errors import MissingExtra, UserError
from sightline.records import Detections, FoundPoints
from sightline.tasks import Task
from sightline.track.config import TRACKER_FILE
from sightline.writers import BoxPrediction, Prediction

if TYPE_CHECKING:
    from sightline.track.tracker import Tracker

Row = dict[str, Any]
DECIMALS = 3


class Model(Protocol):
    """Answers one input after the other."""

    @property
    def task(self) -> str:
        """Points, one-box, boxes or track: what the rows hold."""
        ...

    def rows(self, unit: Unit) -> Iterator[Row]:
        """The rows of an input without what all rows say of it; at least one."""
        ...


@dataclass(frozen=True, kw_only=True)
class ModelFile:
    """Where a model is, and how it is run; may be handed to other processes.

    Attributes:
        path: a run, a tracker's folder, or an exported file.
        score: boxes scored at least so.
        device: auto, cpu or cuda; of runs.
        threads: of an exported model; None as many as it likes.
    """

    path: Path
    score: float | None = None
    device: str = "auto"
    threads: int | None = None

    @property
    def follows(self) -> bool:
        """Whether it follows a point through videos."""
        if self.path.is_file():
            return zipfile.is_zipfile(self.path) and TRACKER_FILE in zipfile.ZipFile(self.path).namelist()
        return (self.path / TRACKER_FILE).is_file()

    def load(self) -> Model:
        """Load it, which may take seconds.

        Raises:
            UserError: it is no model, or damaged.
        """
        if self.follows:
            return OfVideos.load(self)
        if self.path.is_file():
            from sightline.runtime.artefact import Artefact

            return OfPictures(Artefact.load(self.path, threads=self.threads, least_score=self.score))
        from sightline.devices import pick_device
        from sightline.predict import Predictor

        return OfPictures(Predictor.load(self.path, device=pick_device(self.device), least_score=self.score))


class OfPictures:
    """Points or boxes in pictures, and in every frame of a video."""

    def __init__(self, finder: Finder) -> None:
        self.finder = finder

    @property
    def task(self) -> str:
        """Points, one-box or boxes."""
        return self.finder.finds

    def rows(self, unit: Unit) -> Iterator[Row]:
        """One for a picture, one for each frame of a video."""
        if unit.is_video:
            yield from _frames(unit, self._of_frame)
            return
        broken: list[str] = []
        task = Task(image_id=unit.name, path=Path(unit.path), box=unit.box)
        for found in predict_tasks(self.finder, [task], on_broken=broken.append):
            yield self._row(found)
        for error in broken:
            yield {"error": error}

    def _of_frame(self, image: np.ndarray) -> Row:
        if self.finder.channels == 1:
            import cv2

            image = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)[..., None]
        return {"height": image.shape[0], "width": image.shape[1]} | self._found(self.finder(image))

    def _row(self, prediction: Prediction | BoxPrediction) -> Row:
        height, width = prediction.size_hw
        row: Row = {"height": height, "width": width}
        if isinstance(prediction, BoxPrediction):
            return row | _boxes(
                prediction.boxes_xyxy,
                prediction.labels,
                prediction.scores,
                prediction.probability,
                prediction.margin_px,
                classes=self.finder.classes,
            )
        return row | _points(
            prediction.points_xy,
            prediction.score,
            prediction.probability,
            prediction.radius_px,
            names=self.finder.skeleton.names,
        )

    def _found(self, found: FoundPoints | Detections) -> Row:
        if isinstance(found, Detections):
            return _boxes(found.boxes_xyxy, found.labels, found.scores, None, None, classes=self.finder.classes)
        return _points(found.points_xy, found.scores, None, None, names=self.finder.skeleton.names)


class OfVideos:
    """One point through videos."""

    task = "track"

    def __init__(self, tracker: Tracker) -> None:
        self.tracker = tracker

    @staticmethod
    def load(file: ModelFile) -> OfVideos:
        """The tracker of a folder or file."""
        from sightline.track.load import Choice
        from sightline.track.tracker import Tracker

        if file.score is not None:
            raise UserError(f"--score is for models of boxes, and {file.path} follows a point. Leave it out.")
        device = "cpu"
        if file.path.is_dir():
            from sightline.devices import pick_device

            device = pick_device(file.device)
        return OfVideos(Tracker.load(file.path, Choice(device=device)))

    def rows(self, unit: Unit) -> Iterator[Row]:
        """One for each frame."""
        from sightline.track.point import TrackPoint
        from sightline.track.stream import track_video
        from sightline.video.source import open_source

        points: list[TrackPoint] = []
        error = None
        self.tracker.reset()
        try:
            frames = open_source(Path(unit.path), on_problem=lambda problem: None)
            track_video(frames, self.tracker, write=points.extend, release=frames.close)
        except MissingExtra:
            raise
        except UserError as told:
            error = str(told)
        for point in points:
            yield {
                "frame": point.frame,
                "time_s": point.time_s,
                "x": round(point.x, DECIMALS) if point.visible else None,
                "y": round(point.y, DECIMALS) if point.visible else None,
                "visible": point.visible,
                "score": round(point.score, DECIMALS + 1),
                "radius_px": None if point.radius_px is None else round(point.radius_px, DECIMALS),
                "step": point.step,
            }
        if error is not None:
            yield {"error": error}


def _frames(unit: Unit, answer: Any) -> Iterator[Row]:  # noqa: ANN401 (a function of a frame's pixels)
    from sightline.video.source import open_source

    try:
        with open_source(Path(unit.path), on_problem=lambda problem: None) as frames:
            for frame in frames:
                yield {"frame": frame.number, "time_s": frame.time_s} | answer(frame.image)
    except MissingExtra:
        raise
    except UserError as error:
        yield {"error": str(error)}


def _points(
    points_xy: np.ndarray,
    scores: np.ndarray,
    probability: np.ndarray | None,
    radius_px: np.ndarray | None,
    *,
    names: Sequence[str],
) -> Row:
    return {
        "points": [
            {
                "name": name,
                "x": _rounded(points_xy[i, 0]),
                "y": _rounded(points_xy[i, 1]),
                "score": round(float(scores[i]), DECIMALS + 1),
                "probability": _at(probability, i),
                "radius_px": _at(radius_px, i),
            }
            for i, name in enumerate(names)
        ]
    }


def _boxes(
    boxes_xyxy: np.ndarray,
    labels: np.ndarray,
    scores: np.ndarray,
    probability: np.ndarray | None,
    margin_px: np.ndarray | None,
    *,
    classes: Sequence[str],
) -> Row:
    return {
        "boxes": [
            {
                "class": classes[int(labels[i])],
                "score": round(float(scores[i]), DECIMALS + 1),
                **{side: _rounded(value) for side, value in zip(("x0", "y0", "x1", "y1"), box, strict=True)},
                "probability": _at(probability, i),
                "margin_px": _at(margin_px, i),
            }
            for i, box in enumerate(boxes_xyxy)
        ]
    }


def _rounded(value: float) -> float:
    return round(float(value), DECIMALS)


def _at(values: np.ndarray | None, index: int) -> float | None:
    """None where it is not told, or infinite."""
    value = math.inf if values is None else float(values[index])
    return round(value, DECIMALS + 1) if math.isfinite(value) else None
