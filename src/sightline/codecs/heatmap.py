"""Points as heatmaps: a Gaussian about each point, unbiased in both directions.

Targets are never rounded to cells and never stored densely (gaussian.py). The loss says what
a logit means: `mse` and `l1` compare the map itself with the target, `bce` its sigmoid (the
write-ups' "log loss"), `ce` its softmax over all cells. The score of a point is the height of its
peak for mse, l1 and bce, and the share of probability within two sigma of it for ce.
"""

from __future__ import annotations

import math
from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from sightline.codecs import gaussian
from sightline.codecs.peaks import Decoder, argmax_cells, decode_maps
from sightline.codecs.protocol import CodecShape, FactorTarget, PointCodec, PointTarget, masked_mean
from sightline.pieces import CodecPieceConfig
from sightline.types import Points, Raw, RawHeatmaps, Truth

LOSSES = {"mse": gaussian.mse, "l1": gaussian.l1, "bce": gaussian.bce, "ce": gaussian.cross_entropy}


class HeatmapCodecConfig(CodecPieceConfig):
    """Target, loss and decoder."""

    summary: ClassVar[str] = "one heatmap for each point"
    kind: Literal["heatmap"] = "heatmap"
    loss_kind: Literal["mse", "bce", "ce", "l1"] = Field(
        default="ce", description="what a logit means and how it is judged"
    )
    sigma: float = Field(default=1.5, gt=0, description="std of the target, in cells")
    target: Literal["gaussian", "single-pixel"] = Field(
        default="gaussian", description="single-pixel: only the nearest cell is 1"
    )
    decoder: Decoder = Field(default="dark", description="how a map becomes a point")
    radius: int = Field(default=4, ge=1, description="half side of the centroid decoder's window, in cells")

    takes: ClassVar[type] = RawHeatmaps

    def build(self, shape: CodecShape) -> HeatmapCodec:
        """The codec for an input and a map size."""
        return HeatmapCodec(self, shape)


class HeatmapCodec(PointCodec):
    """encode -> factors; loss without dense targets; decode by the decoder named."""

    def __init__(self, config: HeatmapCodecConfig, shape: CodecShape) -> None:
        self.config = config
        self.shape = shape
        self.stride_xy = shape.stride_xy

    def encode(self, truth: Truth) -> FactorTarget:
        """The target's row and column factors at the map's resolution."""
        assert self.shape.map_hw is not None
        sides = zip(("x", "y"), reversed(self.shape.map_hw), self.stride_xy, (0, 1), strict=True)
        made = {
            name: gaussian.nearest_cell(truth.points_xy, count=count, stride=stride, axis=axis)
            if self.config.target == "single-pixel"
            else gaussian.factors(truth.points_xy, count=count, stride=stride, sigma=self.config.sigma, axis=axis)
            for name, count, stride, axis in sides
        }
        return FactorTarget(x=made["x"], y=made["y"], xy=truth.points_xy, visible=truth.visible)

    def loss(self, raw: Raw, target: FactorTarget | PointTarget) -> Tensor:
        """Mean over visible points (and over cells, but for ce, which is one number a map)."""
        assert isinstance(raw, RawHeatmaps) and isinstance(target, FactorTarget)
        per_point = LOSSES[self.config.loss_kind](raw.logits, target.y, target.x)
        if self.config.loss_kind != "ce":
            per_point = per_point / (target.x.shape[-1] * target.y.shape[-1])
        return masked_mean(per_point, target.visible)

    def decode(self, raw: Raw) -> Points:
        """Points in input pixels and their score."""
        assert isinstance(raw, RawHeatmaps)
        log_heat = self.log_heat(raw.logits)
        xy = decode_maps(log_heat, decoder=self.config.decoder, stride_xy=self.stride_xy, radius=self.config.radius)
        return Points(xy=xy, score=self._score(log_heat))

    def log_heat(self, logits: Tensor) -> Tensor:
        """The logarithm of the heat that the logits stand for under this loss."""
        if self.config.loss_kind == "ce":
            return logits
        if self.config.loss_kind == "bce":
            return F.logsigmoid(logits)
        return logits.clamp_min(1e-6).log()

    def _score(self, log_heat: Tensor) -> Tensor:
        """Peak height, or probability near the peak: [B, K]."""
        if self.config.loss_kind != "ce":
            return log_heat.amax(dim=(2, 3)).exp().clamp(0, 1)
        probability = log_heat.flatten(2).softmax(dim=2).view_as(log_heat)
        reach = max(1, math.ceil(2 * self.config.sigma))
        near = F.avg_pool2d(probability, 2 * reach + 1, stride=1, padding=reach) * (2 * reach + 1) ** 2
        column, row = argmax_cells(log_heat)
        return near.flatten(2).gather(2, (row * log_heat.shape[3] + column)[..., None])[..., 0].clamp(0, 1)

    def perfect(self, target: FactorTarget | PointTarget) -> RawHeatmaps:
        """The logits whose heat is the target itself."""
        assert isinstance(target, FactorTarget)
        heat = target.y[..., :, None] * target.x[..., None, :]
        if self.config.loss_kind == "ce":
            return RawHeatmaps(logits=heat.clamp_min(1e-30).log())
        if self.config.loss_kind == "bce":
            return RawHeatmaps(logits=torch.logit(heat.double(), eps=1e-12).to(heat.dtype))
        return RawHeatmaps(logits=heat)
