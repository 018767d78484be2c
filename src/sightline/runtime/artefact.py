"""An exported model, loaded once: `artefact(image)` gives points or boxes in the image's own pixels, without torch.

It answers as `predict.Predictor` does for the run that it was exported from. Next: evaluation.py
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np

from sightline.answers import predict_tasks, thresholds_in_use
from sightline.calibration.apply import Calibrator
from sightline.errors import UserError
from sightline.geometry import Box, crop_to
from sightline.records import Detections, FoundPoints, Skeleton
from sightline.runtime.artefact_file import Stored, read_artefact
from sightline.runtime.card import Card
from sightline.runtime.engines import Engine, engine_for
from sightline.tasks import Task
from sightline.view import asked_area, needed, shrink_of
from sightline.writers import BoxPrediction, Prediction


class Artefact:
    """A card and an engine."""

    def __init__(self, card: Card, engine: Engine, *, least_score: float | None = None) -> None:
        """Put both together.

        Args:
            card: of the artefact.
            engine: runs its graph.
            least_score: boxes of any class scored below it are not given; without it the card's thresholds hold.
        """
        self.card, self.engine = card, engine
        self.skeleton: Skeleton = card.skeleton.skeleton()
        self.classes = card.classes
        thresholds = thresholds_in_use(card.thresholds, finds=card.task, classes=card.classes, least_score=least_score)
        self.least_score = np.array([thresholds.get(name, 0.0) for name in card.classes])
        self.calibrator = None if card.calibration is None else Calibrator(card.calibration)

    @staticmethod
    def of(stored: Stored, *, threads: int | None = None, least_score: float | None = None) -> Artefact:
        """What a file holds, or would hold; arguments as in `load`."""
        return Artefact(stored.card, engine_for(stored, threads=threads), least_score=least_score)

    @staticmethod
    def load(path: Path | str, *, threads: int | None = None, least_score: float | None = None) -> Artefact:
        """Load an artefact.

        Args:
            path: the file that `sightline export` wrote.
            threads: how many the engine may use; without it as many as it likes.
            least_score: as in `Predictor.load`.

        Raises:
            UserError: it is not an artefact, damaged, or of another format version.
            MissingExtra: its engine is not installed.
        """
        return Artefact.of(read_artefact(Path(path)), threads=threads, least_score=least_score)

    @property
    def finds(self) -> str:
        """The task: "points", "one-box" or "boxes"."""
        return self.card.task

    @property
    def channels(self) -> int:
        """Of the pictures that it takes."""
        return self.card.data.channels

    @property
    def takes_boxes(self) -> bool:
        """Whether a given box decides what is shown; else it is always the whole picture."""
        return self.card.data.crop != "image"

    def __call__(self, image: np.ndarray, box: Box | None = None) -> FoundPoints | Detections:
        """What is in one picture, or in one box of it.

        Args:
            image: [H, W, C] uint8 with the model's number of channels.
            box: the object's box in the image's pixels, for models of points; the whole image without it.

        Returns:
            `FoundPoints`, or `Detections` at or above the thresholds; continuous pixels of the image. With probability
            and radius or margin where the card has a calibration.

        Raises:
            UserError: the image is of another kind.
        """
        found = self.look(image, asked_area((image.shape[0], image.shape[1]), box, data=self.card.data))
        if isinstance(found, Detections):
            found = found.select(found.scores >= self.least_score[found.labels])
        return found if self.calibrator is None else self.calibrator(found)

    def look(self, image: np.ndarray, area: Box) -> FoundPoints | Detections:
        """What is in one area of a picture, boxes of any score.

        Args:
            image: [H, W, C] uint8.
            area: the part to show, margin included, in the image's pixels; it may reach out of the image.
        """
        _check_picture(image, channels=self.channels)
        if self.finds != "points":
            boxes, scores, labels = self._run(image, area)
            return Detections(
                boxes_xyxy=boxes.astype(np.float64), labels=labels.astype(np.int64), scores=scores.astype(np.float64)
            )
        # A graph reads whole rows; of a large picture only the part that the area needs is handed over.
        to_input = crop_to(area, self.card.data.input_hw)
        size_hw = (image.shape[0], image.shape[1])
        left, top, right, bottom = needed(to_input, size_hw, self.card.data.input_hw, step=shrink_of(to_input))
        x0, y0, x1, y1 = area
        points, scores = self._run(image[top:bottom, left:right], (x0 - left, y0 - top, x1 - left, y1 - top))
        return FoundPoints(
            points_xy=points.astype(np.float64) + np.array([left, top]),
            scores=scores.astype(np.float64),
            input_px=1 / to_input.scale,
        )

    def _run(self, image: np.ndarray, area: Box) -> list[np.ndarray]:
        return self.engine.run({"picture": np.ascontiguousarray(image), "area_xyxy": np.array(area, dtype=np.float64)})

    def predict(
        self, tasks: Iterable[Task], *, on_broken: Callable[[str], None] | None = None
    ) -> Iterator[Prediction | BoxPrediction]:
        """Predictions for pictures on disk, one at a time; see `answers.predict_tasks`."""
        return predict_tasks(self, tasks, on_broken=on_broken)


def _check_picture(image: np.ndarray, *, channels: int) -> None:
    if image.ndim != 3 or image.dtype != np.uint8 or 0 in image.shape:
        raise UserError(
            f"The model takes pictures [height, width, {channels}] of whole numbers 0..255 (uint8), but got "
            f"{list(image.shape)} of {image.dtype}."
        )
    if image.shape[2] != channels:
        kinds = {1: "grey pictures with 1 channel", 3: "RGB pictures with 3 channels"}
        raise UserError(
            f"The model takes {kinds[channels]}, but the picture has {image.shape[2]}. Read it by "
            f"`read_image(path, channels={channels})`."
        )
