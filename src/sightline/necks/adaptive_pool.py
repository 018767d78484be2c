"""Pool maps to one fixed size, whatever the picture's: what stands before a head that looks at the whole picture.

`size=(7, 7)` is torchvision's own choice for VGG; `(1, 1)` throws all places away, which costs a box dearly.
There is nothing to learn here, so behind a frozen backbone its output can be cached (features.py).
"""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from pydantic import Field, PositiveInt
from torch import nn

from sightline.pieces import PieceConfig
from sightline.types import FeatureMaps, FeatureSpec


class AdaptivePoolNeckConfig(PieceConfig):
    """How many cells, and which maps."""

    summary: ClassVar[str] = "maps pooled to one fixed size"
    kind: Literal["adaptive-pool"] = "adaptive-pool"
    size: tuple[PositiveInt, PositiveInt] = Field(default=(7, 7), description="rows and columns of cells")
    levels: Literal["last", "all"] = Field(
        default="last", description="all: the maps of all levels, pooled alike, one behind the other as channels"
    )
    channels_first: bool = Field(
        default=True,
        description="false rebuilds a published mistake: rows are taken for channels, and places are averaged with "
        "channels",
    )

    def build(self, spec: FeatureSpec) -> nn.Module:
        """The neck for any feature maps."""
        return AdaptivePoolNeck(self)


class AdaptivePoolNeck(nn.Module):
    """FeatureMaps -> one map [B, C, rows, columns]."""

    def __init__(self, config: AdaptivePoolNeckConfig) -> None:
        super().__init__()
        self.config = config
        self.pool = nn.AdaptiveAvgPool2d(config.size)

    def forward(self, features: FeatureMaps) -> FeatureMaps:
        """Average over the cells that fall into each new one."""
        maps = features.maps if self.config.levels == "all" else features.maps[-1:]
        if not self.config.channels_first:
            maps = tuple(m.permute(0, 2, 3, 1) for m in maps)  # [B, C, h, w] -> [B, h, w, C], read as [B, C, h, w]
        pooled = [self.pool(m) for m in maps]
        return FeatureMaps(maps=(pooled[0] if len(pooled) == 1 else torch.cat(pooled, dim=1),))
