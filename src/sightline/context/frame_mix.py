"""The last frames' maps side by side, mixed by light convolutions: what moved stands out.

Made for streams on a CPU: the maps of past frames are kept and not computed again, so that a frame costs one pass of
the backbone and this mixing. In: the finest level of each frame. Out: one map of the same size.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from jaxtyping import Bool, Float
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from sightline.pieces import ContextPieceConfig, conv_norm_relu
from sightline.types import FeatureMaps, FeatureSpec


class FrameMixConfig(ContextPieceConfig):
    """Concatenation, a reduction, and depthwise-separable layers."""

    summary: ClassVar[str] = "maps of the last frames side by side, mixed by light convolutions; for streams on a CPU"
    kind: Literal["frame-mix"] = "frame-mix"
    past_frames: int = Field(default=2, ge=0, le=3)
    history: int = Field(default=0, ge=0, le=0)
    channels: PositiveInt = 32
    layers: int = Field(default=2, ge=0, description="depthwise-separable convolutions behind the reduction")

    def build(self, spec: FeatureSpec, *, input_hw: tuple[int, int]) -> nn.Module:
        """For frames whose finest map is as in `spec`."""
        return FrameMix(spec.channels[0], frames=1 + self.past_frames, channels=self.channels, layers=self.layers)


class FrameMix(nn.Module):
    """The finest maps [B, T, C, h, w] -> one map [B, channels, h, w]."""

    def __init__(self, inputs: int, *, frames: int, channels: int, layers: int) -> None:
        super().__init__()
        # The current map beside its differences from the past ones: a still picture gives zeros there.
        self.reduce = conv_norm_relu(inputs * frames, channels, kernel=1)
        self.layers = nn.Sequential(
            *(
                nn.Sequential(
                    conv_norm_relu(channels, channels, kernel=5, groups=channels),
                    conv_norm_relu(channels, channels, kernel=1),
                )
                for _ in range(layers)
            )
        )

    def forward(
        self, maps: FeatureMaps, past_xy: Float[Tensor, "B L 2"], past_visible: Bool[Tensor, "B L"]
    ) -> FeatureMaps:
        """Mix."""
        finest = maps.maps[0]  # [B, T, C, h, w]
        now = finest[:, :1]
        changes = now - finest[:, 1:]
        mixed = self.reduce(torch.cat([now, changes], dim=1).flatten(1, 2))  # [B, T * C, h, w]
        return FeatureMaps(maps=(self.layers(mixed),))
