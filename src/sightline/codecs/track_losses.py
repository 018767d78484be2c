"""What both codecs of tracks share: the relaxed distance, and the loss of the visibility logit.

The relaxed distance, max(0, distance - margin), is in shares of the input and counts where the point is visible; the
visibility counts in every picture, so both are means over pictures. The two are added, with a weight on visibility
that can rise in steps at the beginning of training.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from jaxtyping import Bool, Float
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from sightline.codecs.protocol import CodecShape, PictureCodec
from sightline.errors import UserError
from sightline.pieces import CodecPieceConfig, Finds
from sightline.types import Points, Truth

ALMOST = 1e-6  # a step of the warm-up begins at its first optimiser step, whatever the rounding of the share


class TrackCodecConfig(CodecPieceConfig):
    """The settings of the loss."""

    margin: float = Field(default=0.0, ge=0, description="no loss within this distance, in shares of the input")
    squared: bool = Field(default=False, description="square what is left beyond the margin")
    believed: bool = Field(
        default=False, description="also weigh it with the predicted probability of being visible (no gradient)"
    )
    visible_loss: Literal["none", "bce", "mse"] = Field(
        default="bce", description="of the visibility: cross-entropy, or squared error of the probability"
    )
    visible_smoothing: float = Field(
        default=0.0, ge=0, lt=0.5, description="s: the visibility asked for is s or 1 - s and not 0 or 1"
    )
    visible_weight: float = Field(default=1.0, ge=0, description="of the visibility's loss against the distance")
    visible_warmup: float = Field(
        default=0.0, ge=0, le=1, description="share of training in which that weight rises to its full size"
    )
    visible_warmup_steps: int = Field(default=5, ge=1, description="equal steps in which it rises")

    finds: ClassVar[Finds] = "track"


@dataclass(frozen=True, kw_only=True, eq=False)
class TrackTarget:
    """Where the point is, in shares of the input (0, 0 where not visible), and whether it is visible."""

    xy: Float[Tensor, "B 2"]
    visible: Bool[Tensor, "B"]


class TrackCodec(PictureCodec):
    """encode and progress; the parts of the loss."""

    def __init__(self, config: TrackCodecConfig, shape: CodecShape) -> None:
        self.settings = config
        height, width = shape.input_hw
        self.size_xy = (float(width), float(height))
        self.warm = 0.0
        self.set_progress(0.0)

    def encode(self, truth: Truth) -> TrackTarget:
        """The truth's one point as shares of the input."""
        visible = truth.visible[:, 0]
        xy = truth.points_xy[:, 0] / truth.points_xy.new_tensor(self.size_xy)
        return TrackTarget(xy=xy * visible.unsqueeze(1).to(xy.dtype), visible=visible)

    def set_progress(self, share: float) -> None:
        """Sets the weight of the visibility for the warm-up."""
        config = self.settings
        if share >= config.visible_warmup:
            self.warm = 1.0
        else:
            step = math.floor(share / config.visible_warmup * config.visible_warmup_steps + ALMOST)
            self.warm = min(1.0, (step + 1) / config.visible_warmup_steps)

    def relaxed(self, distance: Tensor) -> Tensor:
        """What is left of distances beyond the margin."""
        beyond = F.relu(distance - self.settings.margin)
        return beyond.square() if self.settings.squared else beyond

    def total(self, place: Float[Tensor, "B"], visible: Float[Tensor, "B"] | None, target: TrackTarget) -> Tensor:
        """The whole loss, a scalar, from that of the place in each picture and the logits of being visible.

        Raises:
            UserError: the head says nothing of visibility, and a loss of it is set, or the other way round.
        """
        config = self.settings
        if (visible is None) != (config.visible_loss == "none"):
            says, loss = "no" if visible is None else "a", config.visible_loss
            raise UserError(
                f"codec.visible_loss is {loss}, and the head gives {says} visibility. Set both: codec.visible_loss "
                "and head.visible are either both none, or neither."
            )
        counted = place * target.visible.to(place.dtype)
        if visible is None:
            return counted.mean()
        if config.believed:
            counted = counted * visible.detach().sigmoid()
        return counted.mean() + config.visible_weight * self.warm * self._visibility(visible, target)

    def score(self, visible: Float[Tensor, "B"] | None, xy: Float[Tensor, "B 2"]) -> Points:
        """Points of K = 1 from shares of the input: the score is the probability of being visible, 1 without a say."""
        score = torch.ones_like(xy[:, 0]) if visible is None else visible.sigmoid()
        return Points(xy=(xy * xy.new_tensor(self.size_xy)).unsqueeze(1), score=score.unsqueeze(1))

    def perfect_visible(self, target: TrackTarget) -> Float[Tensor, "B"] | None:
        """The logits that the visibility's loss asks for."""
        if self.settings.visible_loss == "none":
            return None
        return torch.logit(self._asked(target), eps=1e-6)

    def _visibility(self, logits: Tensor, target: TrackTarget) -> Tensor:
        if self.settings.visible_loss == "bce":
            return F.binary_cross_entropy_with_logits(logits, self._asked(target).to(logits.dtype))
        return F.mse_loss(logits.sigmoid(), self._asked(target).to(logits.dtype))

    def _asked(self, target: TrackTarget) -> Tensor:
        smoothing = self.settings.visible_smoothing
        return target.visible.to(target.xy.dtype) * (1 - 2 * smoothing) + smoothing
