"""A map for one point, and whether the point is there at all, read from the map's own shape.

A network that follows a point must say when there is none. The map knows: one sharp peak, or several weak ones. So
small convolutions look at the map as shares of its sum, beside a few of the features below it, and only their
strongest answer counts: where in the picture that is does not matter. Next: codecs/
"""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from pydantic import Field, PositiveInt
from torch import nn

from sightline.pieces import HeadPieceConfig, HeadShape, conv_norm_relu
from sightline.types import FeatureMaps, FeatureSpec, RawTrackMap


class TrackPeakHeadConfig(HeadPieceConfig):
    """Widths of the two branches."""

    summary: ClassVar[str] = "one map for a point in a clip, and its visibility from the map's shape"
    kind: Literal["track-peak"] = "track-peak"
    hidden: PositiveInt = Field(default=32, description="channels of the convolution before the map")
    looks: PositiveInt = Field(default=16, description="channels of the convolutions that look at the map")

    emits: ClassVar[type] = RawTrackMap
    min_cells: ClassVar[int] = 4

    def build(self, spec: FeatureSpec, *, shape: HeadShape) -> nn.Module:
        """The head for the finest map."""
        return TrackPeakHead(self, spec)


class TrackPeakHead(nn.Module):
    """FeatureMaps -> RawTrackMap with logits [B, h, w] and visibility [B]."""

    def __init__(self, config: TrackPeakHeadConfig, spec: FeatureSpec) -> None:
        super().__init__()
        inputs = spec.channels[0]
        self.hidden = nn.Sequential(
            conv_norm_relu(inputs, inputs, groups=inputs), conv_norm_relu(inputs, config.hidden, kernel=1)
        )
        self.map = nn.Conv2d(config.hidden, 1, 1)
        self.features = conv_norm_relu(config.hidden, config.looks - 1, kernel=1) if config.looks > 1 else None
        self.looks = nn.Sequential(
            nn.MaxPool2d(2), conv_norm_relu(config.looks, config.looks), conv_norm_relu(config.looks, 2 * config.looks)
        )
        self.visible = nn.Linear(2 * config.looks + 1, 1)

    def forward(self, features: FeatureMaps) -> RawTrackMap:
        """Run both branches."""
        hidden = self.hidden(features.maps[0])  # [B, C, h, w]
        logits = self.map(hidden)  # [B, 1, h, w]
        # How sharp the peak is: its logit over the log-sum of all, at most 0. Gradients shape the map by place alone.
        heat = logits.detach()
        share = (heat - heat.flatten(1).logsumexp(dim=1).view(-1, 1, 1, 1)).exp()
        looked = share if self.features is None else torch.cat([share, self.features(hidden)], dim=1)
        strongest = self.looks(looked).amax(dim=(2, 3))  # [B, 2 * looks]
        visible = self.visible(torch.cat([strongest, share.amax(dim=(2, 3))], dim=1))[:, 0]
        return RawTrackMap(logits=logits[:, 0], visible=visible)
