"""Points as plain coordinates: 0 is the left or top edge of the input picture, 1 the other edge.

Losses: `mse` and `l1` on those fractions; `relaxed-l2` is max(0, distance - margin), squared
or not (shuttle tracker); `wing` is logarithmic near zero (Feng et al. 2018). A regression head
says nothing about its certainty, so the score is 1 for every point.
"""

from __future__ import annotations

import math
from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from sightline.codecs.protocol import CodecShape, FactorTarget, PointCodec, PointTarget, masked_mean
from sightline.pieces import CodecPieceConfig
from sightline.types import Points, Raw, RawCoords, Truth


class CoordsCodecConfig(CodecPieceConfig):
    """Which distance is minimised."""

    summary: ClassVar[str] = "coordinates as fractions of the input picture"
    kind: Literal["coords"] = "coords"
    loss_kind: Literal["mse", "l1", "smooth-l1", "relaxed-l2", "wing"] = Field(
        default="mse", description="the distance"
    )
    margin: float = Field(default=0.0, ge=0, description="relaxed-l2: no loss within this distance, in fractions")
    squared: bool = Field(default=False, description="relaxed-l2: square what is left beyond the margin")

    takes: ClassVar[type] = RawCoords

    def build(self, shape: CodecShape) -> CoordsCodec:
        """The codec for an input size."""
        return CoordsCodec(self, shape)


class CoordsCodec(PointCodec):
    """encode -> fractions; loss; decode -> input pixels."""

    def __init__(self, config: CoordsCodecConfig, shape: CodecShape) -> None:
        self.config = config
        height, width = shape.input_hw
        self.size_xy = (float(width), float(height))

    def encode(self, truth: Truth) -> PointTarget:
        """Pixels to fractions."""
        return PointTarget(xy=truth.points_xy / truth.points_xy.new_tensor(self.size_xy), visible=truth.visible)

    def loss(self, raw: Raw, target: PointTarget | FactorTarget) -> Tensor:
        """Mean over visible points."""
        assert isinstance(raw, RawCoords) and isinstance(target, PointTarget)
        return masked_mean(self._distances(raw.xy, target.xy), target.visible)

    def _distances(self, xy: Tensor, truth: Tensor) -> Tensor:
        """One number a point: [B, K]."""
        config = self.config
        if config.loss_kind == "mse":
            return F.mse_loss(xy, truth, reduction="none").mean(dim=-1)
        if config.loss_kind == "l1":
            return F.l1_loss(xy, truth, reduction="none").mean(dim=-1)
        if config.loss_kind == "smooth-l1":
            return F.smooth_l1_loss(xy, truth, reduction="none", beta=0.01).mean(dim=-1)
        if config.loss_kind == "wing":
            return _wing((xy - truth).abs() * max(self.size_xy)).mean(dim=-1)
        beyond = F.relu(torch.linalg.vector_norm(xy - truth, dim=-1) - config.margin)
        return beyond.square() if config.squared else beyond

    def decode(self, raw: Raw) -> Points:
        """Fractions to input pixels."""
        assert isinstance(raw, RawCoords)
        xy = raw.xy * raw.xy.new_tensor(self.size_xy)
        return Points(xy=xy, score=torch.ones_like(xy[..., 0]))

    def perfect(self, target: PointTarget | FactorTarget) -> RawCoords:
        """What a flawless network would emit."""
        assert isinstance(target, PointTarget)
        return RawCoords(xy=target.xy)


def _wing(distance_px: Tensor, *, width: float = 10.0, curvature: float = 2.0) -> Tensor:
    """Wing loss: log below `width` pixels, linear above; paper defaults for 224 px inputs."""
    offset = width - width * math.log(1 + width / curvature)
    return torch.where(distance_px < width, width * torch.log1p(distance_px / curvature), distance_px - offset)
