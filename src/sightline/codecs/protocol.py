"""What a codec is: `encode(truth)`, `loss(raw, target)`, `decode(raw)` in one object, one file.

The three agree on stride, sigma and offsets because they stand together; the test
`decode(perfect(encode(x))) ~= x` runs over the whole table. Next: model.py
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from sightline.types import Boxes, Points, Truth


@dataclass(frozen=True, kw_only=True)
class CodecShape:
    """What a codec must know of the network and the task.

    Attributes:
        input_hw: the network's input.
        map_hw: of heatmaps or axes, where the head gives such.
        levels_hw: of each level of a dense head, finest first.
        num_classes: of the data set's classes, without a background.
    """

    input_hw: tuple[int, int]
    map_hw: tuple[int, int] | None = None
    levels_hw: tuple[tuple[int, int], ...] = ()
    num_classes: int = 0

    @property
    def stride_xy(self) -> tuple[float, float]:
        """Input pixels per cell along x and y."""
        assert self.map_hw is not None
        return self.input_hw[1] / self.map_hw[1], self.input_hw[0] / self.map_hw[0]


@dataclass(frozen=True, kw_only=True, eq=False)
class PointTarget:
    """Points in the codec's own units, and which of them count."""

    xy: Float[Tensor, "B K 2"]
    visible: Bool[Tensor, "B K"]


@dataclass(frozen=True, kw_only=True, eq=False)
class FactorTarget:
    """A Gaussian target as its two factors, and which points count. `xy` is in input pixels."""

    x: Float[Tensor, "B K Lx"]
    y: Float[Tensor, "B K Ly"]
    xy: Float[Tensor, "B K 2"]
    visible: Bool[Tensor, "B K"]


class Codec(Protocol):
    """The contract. A target's type is the codec's own: nobody else looks into it."""

    def encode(self, truth: Truth) -> Any:  # noqa: ANN401
        """Truth in input pixels to targets, on the same device."""
        ...

    def weight(self, truth: Truth) -> Tensor:
        """How much the loss of these pictures counts against others': the number of things it is a mean over.

        A batch that is computed in parts, or by several processes, is weighted by it.
        """
        ...

    def set_progress(self, share: float) -> None:
        """Told before every training step how much of the training is done, 0..1. Most codecs do not care."""
        ...

    def loss(self, raw: Any, target: Any) -> Tensor:  # noqa: ANN401
        """A scalar; what is not visible or not valid does not count, and where there is nothing it is finite."""
        ...

    def decode(self, raw: Any) -> Points | Boxes:  # noqa: ANN401
        """Points or boxes in input pixels, with scores."""
        ...

    def perfect(self, target: Any) -> Any:  # noqa: ANN401
        """What a flawless network would emit for a target: the codec's own error shows against it."""
        ...


class PointCodec:
    """What all codecs of points share."""

    def weight(self, truth: Truth) -> Tensor:
        """The visible points: every loss is a mean over them."""
        return truth.visible.sum()

    def set_progress(self, share: float) -> None:
        """The loss is the same from first to last."""


class PictureCodec:
    """What codecs share whose loss is a mean over pictures: those of boxes, and of tracks."""

    def weight(self, truth: Truth) -> Tensor:
        """The pictures: one where there is nothing to find counts too."""
        return torch.tensor(len(truth), device=truth.visible.device)

    def set_progress(self, share: float) -> None:
        """The loss is the same from first to last."""


def masked_mean(per_point: Tensor, visible: Tensor) -> Tensor:
    """Mean of [B, K] over the visible points; 0, with a gradient of 0, where there are none."""
    weights = visible.to(per_point.dtype)
    return (per_point * weights).sum() / weights.sum().clamp_min(1.0)
