"""One map of logits for each point, at the size of the finest feature map (or twice that)."""

from __future__ import annotations

from itertools import pairwise
from typing import ClassVar, Literal

from pydantic import Field
from torch import nn

from sightline.pieces import HeadPieceConfig, HeadShape, conv_norm_relu
from sightline.types import FeatureMaps, FeatureSpec, RawHeatmaps


class HeatmapHeadConfig(HeadPieceConfig):
    """Convolutions before the last one, and its first bias."""

    summary: ClassVar[str] = "convolutions to one map of logits for each point"
    kind: Literal["heatmap"] = "heatmap"
    hidden: tuple[int, ...] = Field(default=(), description="channels of 3 x 3 convolutions before the last 1 x 1 one")
    start_bias: float = Field(
        default=0.0,
        description="last bias; about -6 makes a log loss start near 'no cell is the point' instead of at one half",
    )
    start_std: float | None = Field(
        default=None, gt=0, description="std of the last weights; the library's own when not given"
    )

    emits: ClassVar[type] = RawHeatmaps
    min_cells: ClassVar[int] = 4

    def build(self, spec: FeatureSpec, *, shape: HeadShape) -> nn.Module:
        """The head for the finest map."""
        return HeatmapHead(self, spec, num_points=shape.num_points)


class HeatmapHead(nn.Module):
    """FeatureMaps -> RawHeatmaps."""

    def __init__(self, config: HeatmapHeadConfig, spec: FeatureSpec, *, num_points: int) -> None:
        super().__init__()
        widths = [spec.channels[0], *config.hidden]
        self.hidden = nn.Sequential(*(conv_norm_relu(i, o) for i, o in pairwise(widths)))
        self.last = nn.Conv2d(widths[-1], num_points, 1)
        assert self.last.bias is not None
        if config.start_bias:
            nn.init.constant_(self.last.bias, config.start_bias)
        if config.start_std is not None:
            nn.init.normal_(self.last.weight, std=config.start_std)

    def named_rows(self) -> dict[str, int]:
        """See `pieces.HeadPieceConfig`: a map of each point."""
        return {"last": 1}

    def forward(self, features: FeatureMaps) -> RawHeatmaps:
        """Map to logits [B, K, h, w]."""
        return RawHeatmaps(logits=self.last(self.hidden(features.maps[0])))
