"""Global average pooling of the coarsest map into one vector."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field
from torch import nn

from sightline.pieces import PieceConfig
from sightline.types import FeatureMaps, FeatureSpec


class GapNeckConfig(PieceConfig):
    """Dropout behind the pooling."""

    summary: ClassVar[str] = "global average pooling of the coarsest map into a vector"
    kind: Literal["gap"] = "gap"
    dropout: float = Field(default=0.0, ge=0, lt=1)

    def build(self, spec: FeatureSpec) -> nn.Module:
        """The neck for any feature maps."""
        return GapNeck(dropout=self.dropout)


class GapNeck(nn.Module):
    """FeatureMaps -> one map [B, C, 1, 1]."""

    def __init__(self, *, dropout: float) -> None:
        super().__init__()
        self.dropout = nn.Dropout(dropout)

    def forward(self, features: FeatureMaps) -> FeatureMaps:
        """Average the coarsest map over its cells."""
        return FeatureMaps(maps=(self.dropout(features.maps[-1].mean(dim=(2, 3), keepdim=True)),))
