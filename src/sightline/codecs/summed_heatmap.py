"""The `faces` write-up's first heatmap run: the SUM of all maps against one summed target.

Kept because it teaches: no map knows which point it belongs to, so every map decodes to some
landmark and almost none to its own. The fix is codecs/heatmap.py. The dense summed target
is one map a picture, which is why the authors could afford it.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from sightline.codecs.heatmap import HeatmapCodec, HeatmapCodecConfig
from sightline.codecs.protocol import CodecShape, FactorTarget, PointCodec, PointTarget
from sightline.pieces import CodecPieceConfig
from sightline.types import Points, Raw, RawHeatmaps, Truth


class SummedHeatmapCodecConfig(CodecPieceConfig):
    """Width of the target."""

    summary: ClassVar[str] = "the sum of all maps against one summed target (a published failure)"
    kind: Literal["summed-heatmap"] = "summed-heatmap"
    sigma: float = Field(default=5.0, gt=0, description="std of the target, in cells")

    takes: ClassVar[type] = RawHeatmaps

    def build(self, shape: CodecShape) -> SummedHeatmapCodec:
        """The codec for an input and a map size."""
        return SummedHeatmapCodec(self, shape)


class SummedHeatmapCodec(PointCodec):
    """Encodes and decodes like the heatmap codec; only the loss adds the maps up."""

    def __init__(self, config: SummedHeatmapCodecConfig, shape: CodecShape) -> None:
        self.inner = HeatmapCodec(HeatmapCodecConfig(loss_kind="ce", sigma=config.sigma, decoder="argmax"), shape)

    def encode(self, truth: Truth) -> FactorTarget:
        """As the heatmap codec."""
        return self.inner.encode(truth)

    def loss(self, raw: Raw, target: FactorTarget | PointTarget) -> Tensor:
        """Cross-entropy of the summed map over its cells against the summed target scaled to 1."""
        assert isinstance(raw, RawHeatmaps) and isinstance(target, FactorTarget)
        rows = target.y * target.visible[..., None]
        summed = torch.einsum("bkh,bkw->bhw", rows, target.x)
        wanted = summed / summed.sum(dim=(1, 2), keepdim=True).clamp_min(1e-12)
        return F.cross_entropy(raw.logits.sum(dim=1).flatten(1), wanted.flatten(1))

    def decode(self, raw: Raw) -> Points:
        """Each map's highest cell, as the write-up reads it."""
        return self.inner.decode(raw)

    def perfect(self, target: FactorTarget | PointTarget) -> RawHeatmaps:
        """As the heatmap codec: one map a point."""
        return self.inner.perfect(target)
