"""What an answer is measured by: the length that errors are divided by, and which answers are right.

Errors grow with the size at which things are seen, so bounds are kept as shares of a length that is known when a model
answers, before there is any truth: how large the shown area is, or the found points or box. Next: answers.py
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from sightline.geometry import box_areas
from sightline.records import Detections, FoundPoints

Task = Literal["points", "one-box", "boxes"]
LIMIT = 0.05  # of the scale: a point that is no further off is right
OVERLAP = 0.5  # IoU: a box of the true class that covers so much is right
_LEAST_FOR_EXTENT = 3  # points: two can lie close to each other in a large object


class Measure(BaseModel):
    """How answers of one run are measured.

    Attributes:
        task: of the run.
        scale: the length: "view", the side of the shown area (of a square as large); "object", the longer side of the
            box around the found points; "box", the side of a square as large as the found box.
        input_side: the same side in pixels of the network's input, for "view".
        limit: points: an error of at most this share of the scale is right.
        overlap: boxes: the IoU from which on a box of the true class is right.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    task: Task
    scale: Literal["view", "object", "box"]
    input_side: float = Field(gt=0)
    limit: float = Field(default=LIMIT, gt=0)
    overlap: float = Field(default=OVERLAP, gt=0, le=1)

    @staticmethod
    def of(task: Task, *, crop: str, input_hw: tuple[int, int], points: int) -> Measure:
        """The measure of a new run.

        Args:
            task: what it finds.
            crop: `data.crop`; where the whole picture is shown, objects in it are of all sizes.
            input_hw: of the network.
            points: how many it finds.
        """
        side = float(np.sqrt(input_hw[0] * input_hw[1]))
        if task != "points":
            return Measure(task=task, scale="box", input_side=side)
        by_extent = crop == "image" and points >= _LEAST_FOR_EXTENT
        return Measure(task=task, scale="object" if by_extent else "view", input_side=side)

    def scale_px(self, found: FoundPoints | Detections) -> np.ndarray:
        """The length of each answer in pixels of the picture, [K] or [N], above 0."""
        if isinstance(found, Detections):
            return np.sqrt(box_areas(found.boxes_xyxy))
        assert found.input_px is not None, "points that do not say how large they were seen"
        if self.scale == "view":
            side = found.input_px * self.input_side
        else:  # never below a pixel that the network sees: points all in one place are no object of size 0
            side = max(float(np.ptp(found.points_xy, axis=0).max()), found.input_px)
        return np.full(len(found.points_xy), side)

    @property
    def scale_in_words(self) -> str:
        """The length, for people."""
        return {
            "view": "the side of the shown area",
            "object": "the longer side of the found points' box",
            "box": "the side of a square as large as the found box",
        }[self.scale]

    @property
    def right_in_words(self) -> str:
        """When an answer is right, for people."""
        if self.task == "points":
            return f"an error of at most {self.limit:.0%} of {self.scale_in_words}"
        return f"an IoU of at least {self.overlap:g} with a true box of its class"

    @property
    def bound_in_words(self) -> str:
        """What the radius or margin says, for people."""
        return {
            "points": "the true point lies within the radius of the found one",
            "one-box": "each side of the true box lies within the margin of the found box's",
            "boxes": "of a box that is right, each side of the true box lies within the margin of the found box's",
        }[self.task]
