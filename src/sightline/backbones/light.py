"""A small network of depthwise-separable layers, made for streams on a CPU and trained from scratch.

Depthwise 3 x 3 and pointwise 1 x 1 convolutions (Howard et al. 2017), with a way around each pair that keeps its size
(He et al. 2016). The stem halves the picture, each stage halves it again. Next: necks/
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field, PositiveInt
from torch import Tensor, nn

from sightline.backbones.normalisation import MEAN_STD_HELP, MeanStd
from sightline.errors import UserError
from sightline.pieces import PieceConfig, conv_norm_relu
from sightline.types import FeatureMaps


class LightBackboneConfig(PieceConfig):
    """Width and depth of each stage."""

    summary: ClassVar[str] = "depthwise-separable layers for a CPU, from scratch"
    kind: Literal["light"] = "light"
    stem: PositiveInt = Field(default=16, description="channels at stride 2")
    widths: tuple[PositiveInt, ...] = Field(default=(32, 64, 96), description="at stride 4, 8, ...")
    blocks: tuple[PositiveInt, ...] = Field(default=(2, 3, 3), description="pairs of layers in each")
    stem_level: bool = Field(default=False, description="hand the stem's map on too, as the finest level")
    stem_norm: bool = Field(default=True, description="normalise and rectify the stem's map; else it is linear")
    skip: int = Field(default=0, ge=0, description="so many of the finest levels are not handed on")
    frozen: Literal["none", "norm", "all"] = Field(default="none", description="what never changes, buffers included")
    mean_std: MeanStd = Field(default="half", description=MEAN_STD_HELP)

    def build(self, *, channels: int, weight_folders: Sequence[Path]) -> nn.Module:
        """The network, with random weights; `weight_folders` is not looked at.

        Raises:
            UserError: widths, blocks and skip do not go together.
        """
        return LightBackbone(self, channels=channels)


class LightBackbone(nn.Module):
    """images [B, C, H, W], normalised -> FeatureMaps at strides (2,) 4, 8, ... without the first `skip`."""

    def __init__(self, config: LightBackboneConfig, *, channels: int) -> None:
        super().__init__()
        levels = len(config.widths) + config.stem_level
        if len(config.widths) != len(config.blocks) or config.skip >= levels:
            raise UserError(
                f"backbone light: {len(config.widths)} widths, {len(config.blocks)} blocks, skip={config.skip} of "
                f"{levels} levels. Give as many blocks as widths, and skip fewer than all."
            )
        self.skip, self.stem_level = config.skip, config.stem_level
        stem: list[nn.Module] = [nn.Conv2d(channels, config.stem, 3, stride=2, padding=1, bias=False)]
        if config.stem_norm:
            stem += [nn.BatchNorm2d(config.stem), nn.ReLU(inplace=True)]
        self.stem = nn.Sequential(*stem)
        inputs, stages = config.stem, []
        for width, count in zip(config.widths, config.blocks, strict=True):
            pairs = [Pair(inputs, width, stride=2), *(Pair(width, width, stride=1) for _ in range(count - 1))]
            stages.append(nn.Sequential(*pairs))
            inputs = width
        self.stages = nn.ModuleList(stages)

    def forward(self, images: Tensor) -> FeatureMaps:
        """Run the stages; each map [B, C, h, w]."""
        x = self.stem(images)
        maps = [x] if self.stem_level else []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return FeatureMaps(maps=tuple(maps[self.skip :]))


class Pair(nn.Module):
    """Depthwise 3 x 3, pointwise 1 x 1; the input is added where sizes agree."""

    def __init__(self, inputs: int, outputs: int, *, stride: int) -> None:
        super().__init__()
        self.depthwise = nn.Sequential(
            nn.Conv2d(inputs, inputs, 3, stride=stride, padding=1, groups=inputs, bias=False),
            nn.BatchNorm2d(inputs),
            nn.ReLU(inplace=True),
        )
        self.pointwise = conv_norm_relu(inputs, outputs, kernel=1)
        self.adds = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        """[B, inputs, h, w] -> [B, outputs, h / stride, w / stride]."""
        y = self.pointwise(self.depthwise(x))
        return x + y if self.adds else y
