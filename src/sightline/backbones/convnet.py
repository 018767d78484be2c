"""A plain chain of convolutions: the small nets that the landmark write-ups print layer by layer.

FaceNet, the nose nets and the nets of parts 1 and 2 of the pixelwise page are lists of
`ConvLayer`s, written out in recipes/. Next: necks/
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


class ConvLayer(PieceConfig):
    """One convolution, optional batch normalisation, ReLU, optional 2 x 2 max pooling."""

    channels: int = Field(ge=1)
    kernel: int = Field(default=3, ge=1)
    stride: int = Field(default=1, ge=1)
    padding: int = Field(default=0, ge=0)
    pool: bool = False
    norm: bool = False


class ConvnetBackboneConfig(PieceConfig):
    """A chain of convolutions written out."""

    summary: ClassVar[str] = "a plain chain of convolutions, written out layer by layer"
    kind: Literal["convnet"] = "convnet"
    layers: tuple[ConvLayer, ...] = Field(
        default=(
            ConvLayer(channels=16, stride=2, padding=1, norm=True),
            ConvLayer(channels=32, stride=2, padding=1, norm=True),
        ),
        min_length=1,
    )
    frozen: Literal["none", "norm", "all"] = Field(default="none", description="what never changes, buffers included")
    mean_std: MeanStd = Field(default="half", description=MEAN_STD_HELP)

    def build(self, *, channels: int, weight_folders: Sequence[Path]) -> nn.Module:
        """The network, with random weights; `weight_folders` is not looked at."""
        return ConvnetBackbone(self, channels=channels)


class ConvnetBackbone(nn.Module):
    """images [B, C, H, W], normalised -> FeatureMaps of one level."""

    def __init__(self, config: ConvnetBackboneConfig, *, channels: int) -> None:
        super().__init__()
        parts: list[nn.Module] = []
        for layer in config.layers:
            parts.append(nn.Conv2d(channels, layer.channels, layer.kernel, stride=layer.stride, padding=layer.padding))
            parts += [nn.BatchNorm2d(layer.channels)] if layer.norm else []
            parts.append(nn.ReLU())
            parts += [nn.MaxPool2d(2)] if layer.pool else []
            channels = layer.channels
        self.chain = nn.Sequential(*parts)

    def forward(self, images: Tensor) -> FeatureMaps:
        """Run the chain; one map [B, C, h, w]."""
        return FeatureMaps(maps=(self.chain(images),))
