"""The driving write-up's BiFPN: its own strided levels, then bidirectional layers with normalised fusion.

Every given map is projected by two 1 x 1 convolutions; `extra` levels follow, each a 3 x 3 convolution and a
strided one. Two published mistakes can be rebuilt, each beside what it was meant to be:

- `convs="published"`: the "depthwise" convolution is an ungrouped 1 x 1 one, so a layer never looks sideways
  and has nearly twice the weights of a true depthwise separable one.
- `fusion="published"`: the fusion weights are drawn at random, about half of them below zero (and so cut to
  zero), and never trained. The publication also forgets to save them; here they are stored with the weights,
  because a saved run must give the same boxes again.

Tan et al. 2020 (EfficientDet) is what it follows; necks/bifpn.py is our own. Next: heads/
"""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from sightline.pieces import PieceConfig
from sightline.types import FeatureMaps, FeatureSpec

EPSILON = 1e-4  # of the fusion's denominator


class DrivingBifpnNeckConfig(PieceConfig):
    """Width, layers, levels, and whether to rebuild the mistakes."""

    summary: ClassVar[str] = "the driving write-up's bidirectional pyramid, its mistakes included if wanted"
    kind: Literal["driving-bifpn"] = "driving-bifpn"
    channels: int = Field(default=128, ge=1)
    repeats: int = Field(default=3, ge=1, description="bidirectional layers")
    extra: int = Field(default=0, ge=0, description="levels behind the backbone's last one")
    convs: Literal["depthwise", "published"] = Field(
        default="depthwise", description="3 x 3 depthwise + 1 x 1; published: two ungrouped 1 x 1 convolutions"
    )
    fusion: Literal["trained", "published"] = Field(
        default="trained", description="fusion weights; published: random and never trained"
    )

    def build(self, spec: FeatureSpec) -> nn.Module:
        """The neck for the backbone's maps."""
        return DrivingBifpnNeck(self, spec)


class DrivingBifpnNeck(nn.Module):
    """FeatureMaps -> FeatureMaps of the same sizes and `extra` coarser ones, all with `channels` channels."""

    def __init__(self, config: DrivingBifpnNeckConfig, spec: FeatureSpec) -> None:
        super().__init__()
        width = config.channels
        self.lateral = nn.ModuleList(
            nn.Sequential(_conv_norm_relu(c, width, kernel=1), _conv_norm_relu(width, width, kernel=1))
            for c in spec.channels
        )
        self.extra = nn.ModuleList(
            nn.Sequential(_conv_norm_relu(width, width), _conv_norm_relu(width, width, stride=2))
            for _ in range(config.extra)
        )
        levels = len(spec.channels) + config.extra
        self.layers = nn.ModuleList(_Layer(config, levels) for _ in range(config.repeats))

    def forward(self, features: FeatureMaps) -> FeatureMaps:
        """Project, add levels, run every layer. Each map [B, C, h, w]."""
        maps = [lateral(one) for lateral, one in zip(self.lateral, features.maps, strict=True)]
        for extra in self.extra:
            maps.append(extra(maps[-1]))
        for layer in self.layers:
            maps = layer(maps)
        return FeatureMaps(maps=tuple(maps))


class _Layer(nn.Module):
    """Down from the coarsest level and up again; the finest and the coarsest are fused once, the others twice."""

    down_weights: Tensor
    up_weights: Tensor

    def __init__(self, config: DrivingBifpnNeckConfig, levels: int) -> None:
        super().__init__()
        fused = levels - 1
        self.down = nn.ModuleList(_block(config) for _ in range(fused))
        self.up = nn.ModuleList(_block(config) for _ in range(fused))
        # One column for each fusion, as published; rows are the terms.
        for name, terms in (("down_weights", 2), ("up_weights", 3)):
            if config.fusion == "trained" and fused:
                self.register_parameter(name, nn.Parameter(torch.ones(terms, fused)))
            else:
                drawn = torch.empty(terms, fused)
                self.register_buffer(name, nn.init.kaiming_uniform_(drawn) if fused else drawn)

    def forward(self, maps: list[Tensor]) -> list[Tensor]:
        """Nearest resampling in both directions."""
        down = list(maps)
        for level in reversed(range(len(self.down))):
            above = F.interpolate(down[level + 1], size=maps[level].shape[2:], mode="nearest")
            down[level] = self.down[level](_fuse([maps[level], above], self.down_weights[:, level]))
        out = [down[0]]
        for level, block in enumerate(self.up, start=1):
            below = F.interpolate(out[-1], size=maps[level].shape[2:], mode="nearest")
            out.append(block(_fuse([maps[level], down[level], below], self.up_weights[:, level - 1])))
        return out


def _fuse(terms: list[Tensor], weights: Tensor) -> Tensor:
    """Fast normalised fusion: weights cut at zero and divided by their sum."""
    positive = F.relu(weights)
    shares = positive / (positive.sum() + EPSILON)
    return torch.stack([share * term for share, term in zip(shares, terms, strict=True)]).sum(dim=0)


def _block(config: DrivingBifpnNeckConfig) -> nn.Sequential:
    width = config.channels
    first = (
        nn.Conv2d(width, width, 3, padding=1, groups=width)
        if config.convs == "depthwise"
        else nn.Conv2d(width, width, 1)
    )
    return nn.Sequential(first, nn.Conv2d(width, width, 1), nn.BatchNorm2d(width, momentum=0.01, eps=1e-3), nn.ReLU())


def _conv_norm_relu(inputs: int, outputs: int, *, kernel: int = 3, stride: int = 1) -> nn.Sequential:
    """With a bias in front of the normalisation, as published; it is counted."""
    conv = nn.Conv2d(inputs, outputs, kernel, stride=stride, padding=kernel // 2)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs), nn.ReLU())
