"""A trained run on new pictures: points or boxes in pixels of the original files, with scores.

Where a model of points wants a crop, the box comes from a table of boxes, from a run that finds boxes, or is the
whole picture; every prediction says which. Next: predict_files.py
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np
import torch

from sightline.answers import predict_tasks, thresholds_in_use
from sightline.calibration.apply import Calibrator
from sightline.calibration.file import Calibration
from sightline.checkpoint import RunFolder
from sightline.codecs.protocol import Codec
from sightline.config import Experiment
from sightline.errors import UserError
from sightline.fold import folded
from sightline.geometry import Box, crop_to
from sightline.infer import Found, to_original
from sightline.model import Locator
from sightline.pipeline import load_run
from sightline.records import Detections, Skeleton
from sightline.tasks import Task
from sightline.view import asked_area, warp
from sightline.writers import BoxPrediction, Prediction


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
        calibration: Calibration | None = None,
    ) -> None:
        """Fold what can be folded and put the model in place.

        Args:
            model: in any mode; it is copied where folding changes it.
            codec: belongs to it.
            experiment: likewise.
            device: "cpu" or "cuda".
            thresholds: by class, the score below which a box is not given; none without them.
            calibration: what gives answers a probability and a radius or margin; none without it.
        """
        height, width = experiment.data.input_hw
        example = torch.zeros(1, experiment.data.channels, height, width, dtype=torch.uint8, device=device)
        placed = model.eval().to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.model = folded(placed, example)
        self.codec, self.experiment, self.device = codec, experiment, device
        self.skeleton: Skeleton = experiment.skeleton.skeleton()
        self.classes = experiment.classes
        self.least_score = np.array([(thresholds or {}).get(name, 0.0) for name in self.classes])
        self.calibrator = None if calibration is None else Calibrator(calibration)

    @staticmethod
    def load(run: Path | str, *, device: str = "cpu", least_score: float | None = None) -> Predictor:
        """Load a run folder.

        Args:
            run: the folder.
            device: "cpu" or "cuda".
            least_score: boxes of any class scored below it are not given. Without it the run's own thresholds hold,
                or `answers.NO_THRESHOLDS` where a training was broken off before it chose some.

        Raises:
            UserError: there is no run, a damaged one, or one that looks at the frames before a picture.
        """
        folder = RunFolder(Path(run))
        experiment = folder.experiment()
        if experiment.context.past_frames or experiment.context.history:
            raise UserError(
                f"{run} is one stage of a tracker, which looks at the frames before a picture, and takes no pictures "
                "that stand alone. Give the tracker's folder and a video to `sightline track`."
            )
        model, codec = load_run(folder)
        thresholds = thresholds_in_use(
            folder.load_thresholds(),
            finds=experiment.codec.finds,
            classes=experiment.classes,
            least_score=least_score,
        )
        calibration = folder.load_calibration(experiment)
        return Predictor(model, codec, experiment, device=device, thresholds=thresholds, calibration=calibration)

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
            `FoundPoints`, or `Detections` at or above the run's thresholds; continuous pixels of the image. With
            probability and radius or margin where the run has a calibration.
        """
        size_hw = (image.shape[0], image.shape[1])
        input_hw = self.experiment.data.input_hw
        to_input = crop_to(asked_area(size_hw, box, data=self.experiment.data), input_hw)
        crop = warp(image, to_input, input_hw)
        pixels = torch.from_numpy(crop).permute(2, 0, 1)[None].to(self.device)
        decoded = self.codec.decode(self.model(pixels))
        found = to_original(decoded, to_input.matrix[None], sizes_hw=[size_hw])[0]
        if isinstance(found, Detections):
            found = found.select(found.scores >= self.least_score[found.labels])
        return found if self.calibrator is None else self.calibrator(found)

    @property
    def channels(self) -> int:
        """Of the pictures that it takes."""
        return self.experiment.data.channels

    @property
    def takes_boxes(self) -> bool:
        """Whether a given box decides what is shown; else it is always the whole picture."""
        return self.experiment.data.crop != "image"

    def predict(
        self, tasks: Iterable[Task], *, on_broken: Callable[[str], None] | None = None
    ) -> Iterator[Prediction | BoxPrediction]:
        """Predictions for pictures on disk, one at a time; see `answers.predict_tasks`."""
        return predict_tasks(self, tasks, on_broken=on_broken)
