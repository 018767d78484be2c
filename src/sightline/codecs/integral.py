"""Integral regression (Sun et al. 2018): the expectation over a map is the point.

Loss = L1 between expectation and truth, in input pixels, + `shape_weight` times the exact
cross-entropy against a separable Gaussian (gaussian.py), which keeps the map in one hump; without
it soft-argmax leans towards the middle of the picture. The score is as in the heatmap codec.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from sightline.codecs import gaussian
from sightline.codecs.heatmap import HeatmapCodec, HeatmapCodecConfig
from sightline.codecs.peaks import soft_argmax
from sightline.codecs.protocol import CodecShape, FactorTarget, PointCodec, PointTarget, masked_mean
from sightline.pieces import CodecPieceConfig
from sightline.types import Points, Raw, RawHeatmaps, Truth


class IntegralCodecConfig(CodecPieceConfig):
    """Weights of the two terms."""

    summary: ClassVar[str] = "soft-argmax of a map, trained end to end"
    kind: Literal["integral"] = "integral"
    sigma: float = Field(default=1.0, gt=0, description="std of the map that is asked for, in cells")
    shape_weight: float = Field(default=1.0, ge=0, description="weight of the cross-entropy term")

    takes: ClassVar[type] = RawHeatmaps

    def build(self, shape: CodecShape) -> IntegralCodec:
        """The codec for an input and a map size."""
        return IntegralCodec(self, shape)


class IntegralCodec(PointCodec):
    """encode -> factors; loss on the expectation; decode = the expectation."""

    def __init__(self, config: IntegralCodecConfig, shape: CodecShape) -> None:
        self.config = config
        self.stride_xy = shape.stride_xy
        decoder = HeatmapCodecConfig(loss_kind="ce", sigma=config.sigma, decoder="soft-argmax")
        self.inner = HeatmapCodec(decoder, shape)

    def encode(self, truth: Truth) -> FactorTarget:
        """As the heatmap codec."""
        return self.inner.encode(truth)

    def loss(self, raw: Raw, target: FactorTarget | PointTarget) -> Tensor:
        """L1 in input pixels plus the shape term, mean over visible points."""
        assert isinstance(raw, RawHeatmaps) and isinstance(target, FactorTarget)
        expected = soft_argmax(raw.logits, stride_xy=self.stride_xy)
        place = F.l1_loss(expected, target.xy, reduction="none").mean(dim=-1)
        if self.config.shape_weight:
            place = place + self.config.shape_weight * gaussian.cross_entropy(raw.logits, target.y, target.x)
        return masked_mean(place, target.visible)

    def decode(self, raw: Raw) -> Points:
        """The expectation of each map."""
        return self.inner.decode(raw)

    def perfect(self, target: FactorTarget | PointTarget) -> RawHeatmaps:
        """The Gaussian itself."""
        return self.inner.perfect(target)
