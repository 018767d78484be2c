"""The expanding half of a U-Net: transposed convolution, concatenation, two convolutions a level."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from torch import nn
from torch.nn import functional as F

from sightline.pieces import PieceConfig, conv_norm_relu
from sightline.types import FeatureMaps, FeatureSpec


class UnetDecoderConfig(PieceConfig):
    """Nothing to set: widths mirror the encoder's."""

    summary: ClassVar[str] = "the expanding half of a U-Net, up to the finest map"
    kind: Literal["unet-decoder"] = "unet-decoder"

    def build(self, spec: FeatureSpec) -> nn.Module:
        """The neck for the encoder's maps."""
        return UnetDecoder(spec)


class UnetDecoder(nn.Module):
    """FeatureMaps -> one map at the finest size with the finest level's channels."""

    def __init__(self, spec: FeatureSpec) -> None:
        super().__init__()
        pairs = list(zip(spec.channels[1:], spec.channels[:-1], strict=True))[::-1]
        self.ups = nn.ModuleList(nn.ConvTranspose2d(coarse, fine, 2, stride=2) for coarse, fine in pairs)
        self.blocks = nn.ModuleList(
            nn.Sequential(conv_norm_relu(2 * fine, fine), conv_norm_relu(fine, fine)) for _, fine in pairs
        )

    def forward(self, features: FeatureMaps) -> FeatureMaps:
        """Coarse to fine; one map [B, C, h, w]."""
        x = features.maps[-1]
        for up, block, skip in zip(self.ups, self.blocks, features.maps[-2::-1], strict=True):
            x = up(x)
            if x.shape[2:] != skip.shape[2:]:  # sizes that are not a multiple of the deepest stride
                x = F.interpolate(x, size=skip.shape[2:], mode="bilinear", align_corners=False)
            x = block(torch.cat([x, skip], dim=1))
        return FeatureMaps(maps=(x,))
