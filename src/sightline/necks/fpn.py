"""Feature pyramid network (Lin et al. 2017): lateral 1 x 1 convolutions and a top-down path.

With `levels=1` only the finest map is finished and handed on, which is what a heatmap head
wants. `separable` replaces the 3 x 3 convolutions by depthwise + pointwise ones for CPUs.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from sightline.pieces import PieceConfig, conv_norm_relu
from sightline.types import FeatureMaps, FeatureSpec


class FpnNeckConfig(PieceConfig):
    """Width and form of the pyramid."""

    summary: ClassVar[str] = "feature pyramid: top-down sums at one width"
    kind: Literal["fpn"] = "fpn"
    channels: int = Field(default=96, ge=1)
    levels: int | None = Field(default=None, description="how many of the finest maps to hand on; all when not given")
    separable: bool = Field(default=True, description="depthwise + pointwise instead of full 3 x 3 convolutions")

    def build(self, spec: FeatureSpec) -> nn.Module:
        """The neck for the backbone's maps."""
        return FpnNeck(self, spec)


class FpnNeck(nn.Module):
    """FeatureMaps -> FeatureMaps of the same sizes, all with `channels` channels."""

    def __init__(self, config: FpnNeckConfig, spec: FeatureSpec) -> None:
        super().__init__()
        width = config.channels
        self.kept = config.levels or len(spec.channels)
        self.lateral = nn.ModuleList(nn.Conv2d(c, width, 1, bias=False) for c in spec.channels)
        self.norms = nn.ModuleList(nn.BatchNorm2d(width) for _ in spec.channels)
        self.smooth = nn.ModuleList(
            nn.Sequential(conv_norm_relu(width, width, groups=width), conv_norm_relu(width, width, kernel=1))
            if config.separable
            else conv_norm_relu(width, width)
            for _ in spec.channels
        )

    def forward(self, features: FeatureMaps) -> FeatureMaps:
        """Coarse to fine: upsample, add the lateral, smooth. Each map [B, C, h, w]."""
        finished: list[Tensor] = []
        for level in reversed(range(len(features.maps))):
            x = self.norms[level](self.lateral[level](features.maps[level]))
            if finished:
                x = x + F.interpolate(finished[-1], size=x.shape[2:], mode="nearest")
            finished.append(self.smooth[level](F.relu(x)))
        return FeatureMaps(maps=tuple(reversed(finished))[: self.kept])
