"""torchvision's feature pyramid, as the published detectors use it: biased convolutions, no normalisation.

`top` adds coarser levels: torchvision's pooled one (Faster R-CNN) or two strided convolutions (RetinaNet).
Next: heads/
"""

from __future__ import annotations

from collections import OrderedDict
from typing import ClassVar, Literal

from pydantic import Field
from torch import nn

from sightline.pieces import PieceConfig
from sightline.types import FeatureMaps, FeatureSpec


class FpnTorchvisionNeckConfig(PieceConfig):
    """Width, and levels on top."""

    summary: ClassVar[str] = "torchvision's feature pyramid, with a pooled or convolved top if wanted"
    kind: Literal["fpn-torchvision"] = "fpn-torchvision"
    channels: int = Field(default=256, ge=1)
    top: Literal["none", "pool", "p6p7"] = Field(
        default="none", description="coarser levels: none, one by pooling, or two by strided convolutions"
    )

    def build(self, spec: FeatureSpec) -> nn.Module:
        """The neck for the backbone's maps."""
        return FpnTorchvisionNeck(self, spec)


class FpnTorchvisionNeck(nn.Module):
    """FeatureMaps -> FeatureMaps of the same sizes, and those on top, all with `channels` channels."""

    def __init__(self, config: FpnTorchvisionNeckConfig, spec: FeatureSpec) -> None:
        super().__init__()
        from torchvision.ops.feature_pyramid_network import (  # seconds to import: only where a network is built
            ExtraFPNBlock,
            FeaturePyramidNetwork,
            LastLevelMaxPool,
            LastLevelP6P7,
        )

        tops: dict[str, ExtraFPNBlock | None] = {"none": None, "pool": LastLevelMaxPool(), "p6p7": None}
        if config.top == "p6p7":
            tops["p6p7"] = LastLevelP6P7(spec.channels[-1], config.channels)
        self.fpn = FeaturePyramidNetwork(list(spec.channels), config.channels, extra_blocks=tops[config.top])

    def forward(self, features: FeatureMaps) -> FeatureMaps:
        """Run the pyramid. Each map [B, C, h, w]."""
        named = OrderedDict((str(level), one) for level, one in enumerate(features.maps))
        return FeatureMaps(maps=tuple(self.fpn(named).values()))
