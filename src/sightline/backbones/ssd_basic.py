"""The driving write-up's first network: up to six stages of plain convolutions, from random weights.

Table 1 of the text, with the one line that its printed parameter count contradicts put right: stage 5 is
64 -> 128 and 128 -> 64 (a table of 64 -> 64 would count 3,233,440 instead of 3,266,272). Next: necks/
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field
from torch import Tensor, nn

from sightline.backbones.normalisation import MEAN_STD_HELP, MeanStd
from sightline.pieces import PieceConfig
from sightline.types import FeatureMaps

# (channels, kernel, stride, padding) of the two convolutions of each stage behind the first.
STAGES = (
    ((128, 3, 1, 1), (256, 4, 2, 1)),
    ((256, 3, 1, 1), (128, 4, 2, 1)),
    ((128, 3, 1, 1), (128, 4, 2, 1)),
    ((128, 3, 1, 1), (64, 2, 2, 0)),
    ((128, 2, 1, 1), (64, 2, 2, 0)),
)


class SsdBasicBackboneConfig(PieceConfig):
    """How many of the six stages."""

    summary: ClassVar[str] = "the driving write-up's plain convolutions, strides 4 to 128"
    kind: Literal["ssd-basic"] = "ssd-basic"
    levels: int = Field(default=4, ge=1, le=6, description="stages, each one level; the write-up has 6 at 128 x 1024")
    frozen: Literal["none", "norm", "all"] = Field(default="none", description="what never changes, buffers included")
    mean_std: MeanStd = Field(default="half", description=MEAN_STD_HELP)

    def build(self, *, channels: int, weight_folders: Sequence[Path]) -> nn.Module:
        """The network, with random weights; `weight_folders` is not looked at."""
        return SsdBasicBackbone(self, channels=channels)


class SsdBasicBackbone(nn.Module):
    """images [B, C, H, W], normalised -> FeatureMaps of `levels` levels."""

    def __init__(self, config: SsdBasicBackboneConfig, *, channels: int) -> None:
        super().__init__()
        first = [
            *_convs(channels, ((32, 3, 1, 1),)),
            nn.MaxPool2d(2),
            *_convs(32, ((64, 3, 1, 1), (128, 2, 2, 0))),
        ]
        stages, width = [nn.Sequential(*first)], 128
        for stage in STAGES[: config.levels - 1]:
            stages.append(nn.Sequential(*_convs(width, stage)))
            width = stage[-1][0]
        self.stages = nn.ModuleList(stages)

    def forward(self, images: Tensor) -> FeatureMaps:
        """Run the stages; each map [B, C, h, w]."""
        maps, x = [], images
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return FeatureMaps(maps=tuple(maps))


def _convs(inputs: int, layers: Sequence[tuple[int, int, int, int]]) -> list[nn.Module]:
    """Convolutions with a ReLU behind each."""
    parts: list[nn.Module] = []
    for outputs, kernel, stride, padding in layers:
        parts += [nn.Conv2d(inputs, outputs, kernel, stride=stride, padding=padding), nn.ReLU()]
        inputs = outputs
    return parts
