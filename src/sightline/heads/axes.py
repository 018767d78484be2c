"""SimCC (Li et al. 2022): each point as one classification along x and one along y.

A 1 x 1 convolution gives one map for each point; the flattened map goes through two linear
layers shared by all points, to `bins_per_px` bins for every input pixel of each axis.
"""

from __future__ import annotations

from itertools import pairwise
from typing import ClassVar, Literal

from pydantic import Field
from torch import nn

from sightline.pieces import HeadPieceConfig, HeadShape, conv_norm_relu
from sightline.types import FeatureMaps, FeatureSpec, RawAxes


class AxesHeadConfig(HeadPieceConfig):
    """Resolution of the axes and a convolution before them."""

    summary: ClassVar[str] = "SimCC: one row of logits along x and one along y for each point"
    kind: Literal["axes"] = "axes"
    bins_per_px: float = Field(default=2.0, gt=0, description="bins for each input pixel")
    hidden: tuple[int, ...] = Field(default=(), description="channels of 3 x 3 convolutions before the 1 x 1 one")

    emits: ClassVar[type] = RawAxes
    min_cells: ClassVar[int] = 2

    def build(self, spec: FeatureSpec, *, shape: HeadShape) -> nn.Module:
        """The head for the finest map."""
        return AxesHead(self, spec, num_points=shape.num_points, input_hw=shape.input_hw)


class AxesHead(nn.Module):
    """FeatureMaps -> RawAxes."""

    def __init__(
        self, config: AxesHeadConfig, spec: FeatureSpec, *, num_points: int, input_hw: tuple[int, int]
    ) -> None:
        super().__init__()
        widths = [spec.channels[0], *config.hidden]
        self.hidden = nn.Sequential(*(conv_norm_relu(i, o) for i, o in pairwise(widths)))
        self.to_points = nn.Conv2d(widths[-1], num_points, 1)
        cells = spec.sizes_hw[0][0] * spec.sizes_hw[0][1]
        self.to_x = nn.Linear(cells, round(input_hw[1] * config.bins_per_px))
        self.to_y = nn.Linear(cells, round(input_hw[0] * config.bins_per_px))

    def named_rows(self) -> dict[str, int]:
        """See `pieces.HeadPieceConfig`: a map of each point; what makes axes of it is shared by all."""
        return {"to_points": 1}

    def forward(self, features: FeatureMaps) -> RawAxes:
        """Classify both axes: x [B, K, Lx], y [B, K, Ly]."""
        flat = self.to_points(self.hidden(features.maps[0])).flatten(2)  # [B, C, h, w] -> [B, K, h*w]
        return RawAxes(x=self.to_x(flat), y=self.to_y(flat))
