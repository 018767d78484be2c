"""The shuttle tracker's bidirectional pyramid: plain sums, biased convolutions, no normalisation.

One pass: top-down bilinear, bottom-up 3 x 3 max pooling with stride 2 of the map below, then one 3 x 3 convolution a
level. Beside `bifpn` it has no fusion weights, no third term from the pass's own input, and all convolutions of a
pass come at its end, so that a pass is linear but for the pooling. The published counts (620,800, 615,680 and
1,365,888) leave room for nothing else; that no activation stands between the passes is inferred.
Next: context/
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from sightline.pieces import PieceConfig
from sightline.types import FeatureMaps, FeatureSpec


class PlainBifpnNeckConfig(PieceConfig):
    """Width and repeats."""

    summary: ClassVar[str] = "bidirectional pyramid of plain sums without normalisation (shuttle tracker)"
    kind: Literal["plain-bifpn"] = "plain-bifpn"
    channels: int = Field(default=64, ge=1)
    repeats: int = Field(default=4, ge=1, description="passes; only the first is behind lateral 1 x 1 convolutions")
    bottom_up: bool = Field(default=True, description="false: top-down only, an FPN")

    def build(self, spec: FeatureSpec) -> nn.Module:
        """The neck for the backbone's maps."""
        return PlainBifpnNeck(self, spec)


class PlainBifpnNeck(nn.Module):
    """FeatureMaps -> FeatureMaps of the same sizes, all with `channels` channels.

    All levels are handed on. Convolutions of levels that nobody looks at idle in the last pass, as published.
    """

    def __init__(self, config: PlainBifpnNeckConfig, spec: FeatureSpec) -> None:
        super().__init__()
        self.lateral = nn.ModuleList(nn.Conv2d(c, config.channels, 1) for c in spec.channels)
        self.passes = nn.ModuleList(_Pass(config, levels=len(spec.channels)) for _ in range(config.repeats))

    def forward(self, features: FeatureMaps) -> FeatureMaps:
        """Project, then run every pass. Each map [B, C, h, w]."""
        maps = [lateral(m) for lateral, m in zip(self.lateral, features.maps, strict=True)]
        for each in self.passes:
            maps = each(maps)
        return FeatureMaps(maps=tuple(maps))


class _Pass(nn.Module):
    """Down, up, and a convolution a level."""

    def __init__(self, config: PlainBifpnNeckConfig, *, levels: int) -> None:
        super().__init__()
        self.bottom_up = config.bottom_up
        self.convs = nn.ModuleList(nn.Conv2d(config.channels, config.channels, 3, padding=1) for _ in range(levels))

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        """Maps finest first, of the sizes given."""
        sums = list(maps)
        for level in reversed(range(len(maps) - 1)):
            sums[level] = maps[level] + _sized(sums[level + 1], like=maps[level])
        if self.bottom_up:
            for level in range(1, len(maps)):
                # Odd sizes: pooling rounds up, backbones may not.
                below = _sized(F.max_pool2d(sums[level - 1], 3, stride=2, padding=1), like=maps[level])
                sums[level] = sums[level] + below
        return [conv(m) for conv, m in zip(self.convs, sums, strict=True)]


def _sized(maps: Tensor, *, like: Tensor) -> Tensor:
    """Bilinear to another map's size."""
    if maps.shape[2:] == like.shape[2:]:
        return maps
    return F.interpolate(maps, size=like.shape[2:], mode="bilinear", align_corners=False)
