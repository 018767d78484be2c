"""A shared trunk, then one branch for where the point is and one for whether it is visible (shuttle tracker, s2-v3).

The first answer is the middle of the picture, visible with the share of visible frames that the authors' data have.
"""

from __future__ import annotations

import math
from typing import ClassVar, Literal

from pydantic import Field, PositiveInt
from torch import nn

from sightline.heads.track_mlp import flat_width, hidden_layers
from sightline.pieces import HeadPieceConfig, HeadShape
from sightline.types import FeatureMaps, FeatureSpec, RawTrackCoords


class TrackSplitHeadConfig(HeadPieceConfig):
    """Widths of trunk and branches, and the first answer."""

    summary: ClassVar[str] = "fully connected trunk with one branch for the point and one for its visibility"
    kind: Literal["track-split"] = "track-split"
    trunk: tuple[PositiveInt, ...] = Field(default=(1024, 512), description="widths of the shared layers")
    dropout: tuple[float, ...] = Field(default=(), description="behind each shared layer; empty = none")
    branch: int = Field(default=128, ge=1, description="width of the hidden layer of each branch")
    start_visible: float = Field(default=0.65, gt=0, lt=1, description="first probability of being visible")

    emits: ClassVar[type] = RawTrackCoords

    def build(self, spec: FeatureSpec, *, shape: HeadShape) -> TrackSplitHead:
        """The head for the coarsest map."""
        return TrackSplitHead(self, spec)


class TrackSplitHead(nn.Module):
    """FeatureMaps -> RawTrackCoords with one point and a logit."""

    def __init__(self, config: TrackSplitHeadConfig, spec: FeatureSpec) -> None:
        super().__init__()
        inputs = flat_width(spec)
        self.trunk = hidden_layers(inputs, config.trunk, config.dropout, setting="head.dropout")
        width = config.trunk[-1] if config.trunk else inputs
        self.place = _branch(width, config.branch, outputs=2, start=0.5)
        self.visible = _branch(width, config.branch, outputs=1, start=logit(config.start_visible))

    def forward(self, features: FeatureMaps) -> RawTrackCoords:
        """Regress; xy is [B, 1, 2], visible [B]."""
        trunk = self.trunk(features.maps[-1].flatten(1))
        return RawTrackCoords(xy=self.place(trunk).unsqueeze(1), visible=self.visible(trunk).squeeze(1))


def logit(probability: float) -> float:
    """What a sigmoid turns into the probability."""
    return math.log(probability / (1 - probability))


def _branch(inputs: int, hidden: int, *, outputs: int, start: float) -> nn.Sequential:
    """One hidden layer; the last bias is where the answer starts from."""
    last = nn.Linear(hidden, outputs)
    nn.init.constant_(last.bias, start)
    return nn.Sequential(nn.Linear(inputs, hidden), nn.ReLU(), last)
