"""SimCC (Li et al. 2022): a point is a class along x and a class along y.

Targets are Gaussians over the bins, never rounded; the loss is the cross-entropy of each axis.
`refined` moves the highest bin by one Newton step on the log, which is exact for a Gaussian (plain
argmax has a floor of 0.19 px at two bins a pixel). The score is the product of the shares of
probability within two sigma of the peak on both axes.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor

from sightline.codecs import gaussian
from sightline.codecs.peaks import refine_row
from sightline.codecs.protocol import CodecShape, FactorTarget, PointCodec, PointTarget, masked_mean
from sightline.geometry import cell_centres, index_to_continuous
from sightline.pieces import CodecPieceConfig
from sightline.types import Points, Raw, RawAxes, Truth


class SimccCodecConfig(CodecPieceConfig):
    """Width of the target and decoder."""

    summary: ClassVar[str] = "a class along x and a class along y for each point"
    kind: Literal["simcc"] = "simcc"
    sigma_px: float = Field(default=2.0, gt=0, description="std of the target, in input pixels")
    decoder: Literal["argmax", "refined", "expectation"] = "expectation"

    takes: ClassVar[type] = RawAxes

    def build(self, shape: CodecShape) -> SimccCodec:
        """The codec for an input size and its numbers of bins (y, x)."""
        return SimccCodec(self, shape)


class SimccCodec(PointCodec):
    """encode -> factors; loss = two cross-entropies; decode each axis alone."""

    def __init__(self, config: SimccCodecConfig, shape: CodecShape) -> None:
        self.config = config
        self.shape = shape
        self.step_xy = shape.stride_xy

    def encode(self, truth: Truth) -> FactorTarget:
        """Gaussians over the bins, each scaled to sum 1."""
        assert self.shape.map_hw is not None
        rows, columns = self.shape.map_hw
        x, y = (
            gaussian.factors(truth.points_xy, count=count, stride=step, sigma=self.config.sigma_px / step, axis=axis)
            for count, step, axis in ((columns, self.step_xy[0], 0), (rows, self.step_xy[1], 1))
        )
        x, y = (g / g.sum(dim=-1, keepdim=True).clamp_min(1e-12) for g in (x, y))
        return FactorTarget(x=x, y=y, xy=truth.points_xy, visible=truth.visible)

    def loss(self, raw: Raw, target: FactorTarget | PointTarget) -> Tensor:
        """Cross-entropy of both axes, mean over visible points."""
        assert isinstance(raw, RawAxes) and isinstance(target, FactorTarget)
        per_point = sum(-(wanted * logits.log_softmax(dim=-1)).sum(dim=-1) for wanted, logits in _axes(target, raw))
        assert isinstance(per_point, Tensor)
        return masked_mean(per_point, target.visible)

    def decode(self, raw: Raw) -> Points:
        """Points in input pixels."""
        assert isinstance(raw, RawAxes)
        xy = torch.stack([self._place(raw.x, self.step_xy[0]), self._place(raw.y, self.step_xy[1])], dim=-1)
        return Points(xy=xy, score=self._share(raw.x, self.step_xy[0]) * self._share(raw.y, self.step_xy[1]))

    def _place(self, logits: Tensor, step: float) -> Tensor:
        """One coordinate of every point: [B, K]."""
        if self.config.decoder == "argmax":
            return index_to_continuous(logits.argmax(dim=-1).to(logits.dtype)) * step
        if self.config.decoder == "refined":
            return refine_row(logits, step_px=step)
        # Far bins hold little probability each but pull with a long arm: leave them out.
        centres = torch.as_tensor(cell_centres(logits.shape[-1], step), dtype=logits.dtype, device=logits.device)
        peak = centres[logits.argmax(dim=-1)]
        far = (centres - peak[..., None]).abs() > 4 * self.config.sigma_px
        return logits.masked_fill(far, float("-inf")).softmax(dim=-1) @ centres

    def _share(self, logits: Tensor, step: float) -> Tensor:
        """Probability within two sigma of the highest bin: [B, K]."""
        bins = torch.arange(logits.shape[-1], device=logits.device)
        near = (bins - logits.argmax(dim=-1, keepdim=True)).abs() * step <= 2 * self.config.sigma_px
        return (logits.softmax(dim=-1) * near).sum(dim=-1)

    def perfect(self, target: FactorTarget | PointTarget) -> RawAxes:
        """Logarithms of the target."""
        assert isinstance(target, FactorTarget)
        return RawAxes(x=target.x.clamp_min(1e-30).log(), y=target.y.clamp_min(1e-30).log())


def _axes(target: FactorTarget, raw: RawAxes) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    return (target.x, raw.x), (target.y, raw.y)
