"""No neck: the backbone's maps go to the head as they are."""

from __future__ import annotations

from typing import ClassVar, Literal

from torch import nn

from sightline.pieces import PieceConfig
from sightline.types import FeatureMaps, FeatureSpec


class NoNeckConfig(PieceConfig):
    """Nothing to set."""

    summary: ClassVar[str] = "hand the backbone's maps on as they are"
    kind: Literal["none"] = "none"

    def build(self, spec: FeatureSpec) -> nn.Module:
        """The neck that changes nothing."""
        return NoNeck()


class NoNeck(nn.Module):
    """FeatureMaps -> the same FeatureMaps."""

    def forward(self, features: FeatureMaps) -> FeatureMaps:
        """Hand on."""
        return features
