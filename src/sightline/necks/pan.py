"""Path aggregation (Liu et al. 2018) for CPUs: down the pyramid and up again, depthwise all the way.

Every map gets one width; on each step two maps are added, and a depthwise and a pointwise
convolution follow. The paper has full 3 x 3 convolutions; a wide depthwise kernel sees as far at
a tenth of the cost. Levels that the backbone does not give are made with stride 2.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional as F

from sightline.errors import UserError
from sightline.pieces import PieceConfig, conv_norm_relu
from sightline.types import FeatureMaps, FeatureSpec


class PanNeckConfig(PieceConfig):
    """Width, levels and kernel."""

    summary: ClassVar[str] = "path aggregation: a depthwise pyramid, down and up again"
    kind: Literal["pan"] = "pan"
    channels: int = Field(default=96, ge=1)
    levels: int = Field(default=3, ge=1, description="maps to hand on; those that the backbone lacks are made")
    min_stride: float = Field(default=8.0, gt=0, description="maps of the backbone that are finer are not looked at")
    kernel: int = Field(default=5, ge=3, description="of the depthwise convolutions; odd")

    def build(self, spec: FeatureSpec) -> nn.Module:
        """The neck for the backbone's maps; raises UserError for an even kernel."""
        return PanNeck(self, spec)


class PanNeck(nn.Module):
    """FeatureMaps -> FeatureMaps of `levels` maps, each about half as large as the one before."""

    def __init__(self, config: PanNeckConfig, spec: FeatureSpec) -> None:
        super().__init__()
        if config.kernel % 2 == 0:
            raise UserError(f"neck.kernel must be odd, not {config.kernel}: 3 or 5.")
        width, kernel = config.channels, config.kernel
        # Strides of odd sizes are a little short of the powers of two (40 / 6 cells): 8 must find 7.7.
        fine = [place for place, stride in enumerate(spec.strides) if stride < 0.75 * config.min_stride]
        coarse = [place for place in range(len(spec.strides)) if place not in fine]
        # Where every map is too fine, the coarsest of them is the start, and all levels are made from it.
        self.start = fine[-1] if not coarse else None
        self.used = coarse[: config.levels]
        given = [spec.channels[place] for place in self.used]
        self.enter = None if self.start is None else conv_norm_relu(spec.channels[self.start], width, kernel=1)
        self.lateral = nn.ModuleList(conv_norm_relu(channels, width, kernel=1) for channels in given)
        self.extra = nn.ModuleList(_halve(width, kernel) for _ in range(config.levels - len(given)))
        self.down = nn.ModuleList(_separable(width, kernel) for _ in range(config.levels - 1))
        self.shrink = nn.ModuleList(_halve(width, kernel) for _ in range(config.levels - 1))
        self.up = nn.ModuleList(_separable(width, kernel) for _ in range(config.levels - 1))

    def forward(self, features: FeatureMaps) -> FeatureMaps:
        """Laterals, the levels that are missing, top-down, bottom-up. Each map [B, C, h, w]."""
        maps = [lateral(features.maps[place]) for lateral, place in zip(self.lateral, self.used, strict=True)]
        last = self.enter(features.maps[self.start]) if self.enter is not None and self.start is not None else maps[-1]
        for halve in self.extra:
            last = halve(last)
            maps.append(last)
        for level in reversed(range(len(maps) - 1)):
            above = F.interpolate(maps[level + 1], size=maps[level].shape[2:], mode="nearest")
            maps[level] = self.down[level](maps[level] + above)
        for level in range(1, len(maps)):
            below = _sized(self.shrink[level - 1](maps[level - 1]), like=maps[level])
            maps[level] = self.up[level - 1](maps[level] + below)
        return FeatureMaps(maps=tuple(maps))


def _separable(width: int, kernel: int) -> nn.Sequential:
    return nn.Sequential(
        conv_norm_relu(width, width, kernel=kernel, groups=width), conv_norm_relu(width, width, kernel=1)
    )


def _halve(width: int, kernel: int) -> nn.Sequential:
    """As `_separable`, with stride 2: n cells become (n + 1) // 2."""
    depthwise = nn.Conv2d(width, width, kernel, stride=2, padding=kernel // 2, groups=width, bias=False)
    return nn.Sequential(
        depthwise, nn.BatchNorm2d(width), nn.ReLU(inplace=True), conv_norm_relu(width, width, kernel=1)
    )


def _sized(maps: Tensor, *, like: Tensor) -> Tensor:
    """The strided convolution rounds odd sizes up, a backbone may round them down."""
    if maps.shape[2:] == like.shape[2:]:
        return maps
    return F.interpolate(maps, size=like.shape[2:], mode="bilinear", align_corners=False)
