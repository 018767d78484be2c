"""Transposed convolutions behind the coarsest map (Xiao et al. 2018, Simple Baselines)."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field
from torch import Tensor, nn

from sightline.pieces import PieceConfig
from sightline.types import FeatureMaps, FeatureSpec


class DeconvNeckConfig(PieceConfig):
    """How many doublings, how wide, and what makes them trainable."""

    summary: ClassVar[str] = "transposed convolutions that double the coarsest map's size"
    kind: Literal["deconv"] = "deconv"
    channels: tuple[int, ...] = Field(default=(256, 256, 256), min_length=1, description="one doubling for each entry")
    norm: bool = Field(default=True, description="batch normalisation behind each")
    dropout: float = Field(default=0.0, ge=0, lt=1)

    def build(self, spec: FeatureSpec) -> nn.Module:
        """The neck for the coarsest map."""
        return DeconvNeck(self, spec.channels[-1])


class DeconvNeck(nn.Module):
    """FeatureMaps -> one map, 2 ** len(channels) times the coarsest one's size."""

    def __init__(self, config: DeconvNeckConfig, inputs: int) -> None:
        super().__init__()
        parts: list[nn.Module] = []
        for width in config.channels:
            parts.append(nn.ConvTranspose2d(inputs, width, 4, stride=2, padding=1, bias=not config.norm))
            parts += [nn.BatchNorm2d(width)] if config.norm else []
            parts.append(nn.ReLU(inplace=True))
            parts += [nn.Dropout2d(config.dropout)] if config.dropout else []
            inputs = width
        self.chain = nn.Sequential(*parts)

    def forward(self, features: FeatureMaps) -> FeatureMaps:
        """Upsample the coarsest map; one map [B, C, h, w]."""
        x: Tensor = features.maps[-1]
        return FeatureMaps(maps=(self.chain(x),))
