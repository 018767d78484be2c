"""A trained run on new pictures: points or boxes in pixels of the original files, with scores.

Where a model of points wants a crop, the box comes from a table of boxes, from a run that finds boxes, or is the
whole picture; every prediction says which. Next: predict_files.py
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from sightline.checkpoint import RunFolder
from sightline.codecs.protocol import Codec
from sightline.config import Experiment
from sightline.errors import UserError
from sightline.fold import folded
from sightline.geometry import Affine, Box, crop_to, enlarge, fit_aspect
from sightline.images import ImageError, read_image
from sightline.infer import Found, to_original
from sightline.model import Locator
from sightline.pipeline import load_run
from sightline.records import Detections, FoundPoints, Skeleton
from sightline.tasks import Task, boxed
from sightline.transforms import warp
from sightline.writers import BoxPrediction, Prediction, from_detections

NO_THRESHOLDS = 0.3


class Predictor:
    """A run, loaded once: `predictor(image)` gives points or boxes in the image's own pixels."""

    def __init__(
        self,
        model: Locator,
        codec: Codec,
        experiment: Experiment,
        *,
        device: str = "cpu",
        thresholds: Mapping[str, float] | None = None,
    ) -> None:
        """Fold what can be folded and put the model in place.

        Args:
            model: in any mode; it is copied where folding changes it.
            codec: belongs to it.
            experiment: likewise.
            device: "cpu" or "cuda".
            thresholds: by class, the score below which a box is not given; none without them.
        """
        height, width = experiment.data.input_hw
        example = torch.zeros(1, experiment.data.channels, height, width, dtype=torch.uint8, device=device)
        placed = model.eval().to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.model = folded(placed, example)
        self.codec, self.experiment, self.device = codec, experiment, device
        self.skeleton: Skeleton = experiment.skeleton.skeleton()
        self.classes = experiment.classes
        self.least_score = np.array([(thresholds or {}).get(name, 0.0) for name in self.classes])

    @staticmethod
    def load(run: Path | str, *, device: str = "cpu", least_score: float | None = None) -> Predictor:
        """Load a run folder.

        Args:
            run: the folder.
            device: "cpu" or "cuda".
            least_score: boxes of any class scored below it are not given. Without it the run's own thresholds hold,
                or `NO_THRESHOLDS` where a training was broken off before it chose some.

        Raises:
            UserError: there is no run, or a damaged one.
        """
        folder = RunFolder(Path(run))
        model, codec = load_run(folder)
        experiment = folder.experiment()
        thresholds = folder.load_thresholds()
        if least_score is not None or (not thresholds and experiment.codec.finds == "boxes"):
            thresholds = dict.fromkeys(experiment.classes, NO_THRESHOLDS if least_score is None else least_score)
        return Predictor(model, codec, experiment, device=device, thresholds=thresholds)

    @property
    def finds(self) -> str:
        """The task: "points", "one-box" or "boxes"."""
        return self.experiment.codec.finds

    @torch.inference_mode()
    def __call__(self, image: np.ndarray, box: Box | None = None) -> Found:
        """What is in one picture, or in one box of it.

        Args:
            image: [H, W, C] uint8 with the model's number of channels.
            box: the object's box in the image's pixels, for models of points; the whole image without it.

        Returns:
            `FoundPoints`, or `Detections` at or above the run's thresholds; continuous pixels of the image.
        """
        size_hw = (image.shape[0], image.shape[1])
        to_input = self._to_input(size_hw, box)
        crop = warp(image, to_input, self.experiment.data.input_hw)
        pixels = torch.from_numpy(crop).permute(2, 0, 1)[None].to(self.device)
        decoded = self.codec.decode(self.model(pixels))
        found = to_original(decoded, to_input.matrix[None], sizes_hw=[size_hw])[0]
        if isinstance(found, Detections):
            return found.select(found.scores >= self.least_score[found.labels])
        return found

    def _to_input(self, size_hw: tuple[int, int], box: Box | None) -> Affine:
        """The crop that training used: a box is enlarged by the margin, the whole picture is not."""
        data = self.experiment.data
        height, width = size_hw
        if box is None or data.crop == "image":
            area: Box = (0.0, 0.0, float(width), float(height))
        else:
            area = enlarge(box, 1 + data.margin)
        return crop_to(fit_aspect(area, data.input_hw) if data.keep_aspect else area, data.input_hw)

    def predict(
        self, tasks: Iterable[Task], *, on_broken: Callable[[str], None] | None = None
    ) -> Iterator[Prediction | BoxPrediction]:
        """Predictions for pictures on disk, one at a time.

        Args:
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
                    image = read_image(task.path, channels=self.experiment.data.channels)
                except ImageError as error:
                    (on_broken or broken.append)(str(error))
                    image = None
            if image is not None:
                yield self._predict_one(task, image)
        if broken:
            raise cannot_be_read(broken)

    def _predict_one(self, task: Task, image: np.ndarray) -> Prediction | BoxPrediction:
        size_hw = (image.shape[0], image.shape[1])
        used = task.box if self.experiment.data.crop != "image" else None
        found = self(image, used)
        if isinstance(found, Detections):
            return from_detections(found, image_id=task.image_id, path=task.path, size_hw=size_hw)
        assert isinstance(found, FoundPoints)
        return Prediction(
            image_id=task.image_id,
            path=task.path,
            size_hw=size_hw,
            points_xy=found.points_xy,
            score=found.scores,
            visible=np.ones(len(found.points_xy), dtype=bool),
            box_xyxy=used,
            box_source=task.box_source if used is not None else "whole image",
        )


def boxes_from_run(
    run: Path, tasks: Sequence[Task], *, device: str, on_broken: Callable[[str], None] | None = None
) -> list[Task]:
    """Let a run that finds boxes say where the objects are: a task for each box, none for an empty picture.

    Raises:
        UserError: the run finds points, or pictures cannot be read (without `on_broken`).
    """
    predictor = Predictor.load(run, device=device)
    if predictor.finds == "points":
        raise UserError(f"--boxes {run}: this run finds points. Give a run that finds boxes, or a CSV file of boxes.")
    found: list[Task] = []
    for prediction in predictor.predict(tasks, on_broken=on_broken):
        assert isinstance(prediction, BoxPrediction)
        boxes = [box.xyxy for box in prediction.boxes()]
        found += boxed(prediction.image_id, prediction.path, boxes, source=f"run {run.name}")
    return found


def cannot_be_read(broken: Sequence[str]) -> UserError:
    """One error that names every broken picture."""
    count = "1 picture" if len(broken) == 1 else f"{len(broken):,} pictures"
    told = "\n  ".join([f"{count} cannot be read:", *broken])
    return UserError(f"{told}\nMend or remove what is named, or leave it out by --skip-broken.")
