"""Bidirectional feature pyramid (Tan et al. 2020, EfficientDet), repeated.

`fusion="sum"` adds maps plainly, as the shuttle tracker does; `fusion="weighted"` is the
paper's fast normalised fusion with trained weights. Top-down bilinear, bottom-up 3 x 3 max
pooling with stride 2, then one 3 x 3 convolution a level.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from sightline.pieces import PieceConfig, conv_norm_relu
from sightline.types import FeatureMaps, FeatureSpec


class BifpnNeckConfig(PieceConfig):
    """Width, repeats and the way maps are added."""

    summary: ClassVar[str] = "bidirectional pyramid, repeated; plain or weighted sums"
    kind: Literal["bifpn"] = "bifpn"
    channels: int = Field(default=64, ge=1)
    repeats: int = Field(default=2, ge=1)
    fusion: Literal["sum", "weighted"] = "weighted"
    levels: int | None = Field(default=None, description="how many of the finest maps to hand on; all when not given")

    def build(self, spec: FeatureSpec) -> nn.Module:
        """The neck for the backbone's maps."""
        return BifpnNeck(self, spec)


class BifpnNeck(nn.Module):
    """FeatureMaps -> FeatureMaps of the same sizes, all with `channels` channels."""

    def __init__(self, config: BifpnNeckConfig, spec: FeatureSpec) -> None:
        super().__init__()
        self.kept = min(config.levels or len(spec.channels), len(spec.channels))
        self.lateral = nn.ModuleList(nn.Conv2d(c, config.channels, 1) for c in spec.channels)
        # The last layer climbs no higher than what is handed on: weights above would never learn.
        climbs = [len(spec.channels)] * (config.repeats - 1) + [self.kept]
        self.layers = nn.ModuleList(_BifpnLayer(config, len(spec.channels), climb=climb) for climb in climbs)

    def forward(self, features: FeatureMaps) -> FeatureMaps:
        """Project, then run every layer. Each map [B, C, h, w]."""
        maps = [lateral(m) for lateral, m in zip(self.lateral, features.maps, strict=True)]
        for layer in self.layers:
            maps = layer(maps)
        return FeatureMaps(maps=tuple(maps))


class _BifpnLayer(nn.Module):
    """One pass down over all levels and one pass up over the `climb` finest."""

    def __init__(self, config: BifpnNeckConfig, levels: int, *, climb: int) -> None:
        super().__init__()
        self.convs = nn.ModuleList(conv_norm_relu(config.channels, config.channels) for _ in range(climb))
        # Rows are levels; a pass that fuses nothing has no weights.
        is_weighted = config.fusion == "weighted"
        self.down_weights = nn.Parameter(torch.ones(levels, 2)) if is_weighted and levels > 1 else None
        self.up_weights = nn.Parameter(torch.ones(climb, 3)) if is_weighted and climb > 1 else None

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        """Down to the finest level, then up again with the input as a third term."""
        down = list(maps)
        for level in reversed(range(len(maps) - 1)):
            above = F.interpolate(down[level + 1], size=maps[level].shape[2:], mode="bilinear", align_corners=False)
            down[level] = _fuse([maps[level], above], self.down_weights, level)
        out = [self.convs[0](down[0])]
        for level in range(1, len(self.convs)):
            below = F.max_pool2d(out[-1], 3, stride=2, padding=1)
            if below.shape[2:] != down[level].shape[2:]:  # odd sizes: pooling rounds up, backbones may not
                below = F.interpolate(below, size=down[level].shape[2:], mode="bilinear", align_corners=False)
            out.append(self.convs[level](_fuse([down[level], below, maps[level]], self.up_weights, level)))
        return out


def _fuse(terms: list[Tensor], weights: Tensor | None, level: int) -> Tensor:
    """Sum of maps; with weights, ReLU'd and divided by their sum (fast normalised fusion)."""
    if weights is None:
        return torch.stack(terms).sum(dim=0)
    positive = F.relu(weights[level, : len(terms)])
    shares = positive / (positive.sum() + 1e-4)
    return sum((share * term for share, term in zip(shares, terms, strict=True)), start=torch.zeros_like(terms[0]))
