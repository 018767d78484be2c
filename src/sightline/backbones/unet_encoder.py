"""The contracting half of a U-Net (Ronneberger et al. 2015), with batch normalisation.

Levels double in channels and halve in size; all of them are kept for the decoder in
necks/unet_decoder.py. The `faces` write-up uses width 32 and five levels.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field
from torch import Tensor, nn

from sightline.backbones.normalisation import MEAN_STD_HELP, MeanStd
from sightline.pieces import PieceConfig, conv_norm_relu
from sightline.types import FeatureMaps


class UnetEncoderConfig(PieceConfig):
    """Width of the first level and number of levels."""

    summary: ClassVar[str] = "the contracting half of a U-Net"
    kind: Literal["unet-encoder"] = "unet-encoder"
    width: int = Field(default=32, ge=1, description="channels of the first level")
    levels: int = Field(default=5, ge=2, description="number of levels, the bottleneck included")
    frozen: Literal["none", "norm", "all"] = Field(default="none", description="what never changes, buffers included")
    mean_std: MeanStd = Field(default="none", description=MEAN_STD_HELP)

    def build(self, *, channels: int, weight_folders: Sequence[Path]) -> nn.Module:
        """The network, with random weights; `weight_folders` is not looked at."""
        return UnetEncoder(self, channels=channels)


class UnetEncoder(nn.Module):
    """images [B, C, H, W] -> FeatureMaps at strides 1, 2, 4, ..."""

    def __init__(self, config: UnetEncoderConfig, *, channels: int) -> None:
        super().__init__()
        widths = [config.width * 2**level for level in range(config.levels)]
        inputs = [channels, *widths[:-1]]
        self.blocks = nn.ModuleList(
            nn.Sequential(conv_norm_relu(i, o), conv_norm_relu(o, o)) for i, o in zip(inputs, widths, strict=True)
        )
        self.pool = nn.MaxPool2d(2)

    def forward(self, images: Tensor) -> FeatureMaps:
        """Run all levels; each map [B, C, h, w], finest first."""
        maps: list[Tensor] = []
        for block in self.blocks:
            maps.append(block(self.pool(maps[-1]) if maps else images))
        return FeatureMaps(maps=tuple(maps))
