"""Frames one behind the other as channels: what later convolutions need to see motion.

The shuttle tracker's plain heatmap versions (s1-v4, s2-v6, s2-v7): two levels of each frame at the size of the finer
one, then all frames, the current one first.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from jaxtyping import Bool, Float
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional as F

from sightline.context.prior import PriorConfig
from sightline.errors import UserError
from sightline.pieces import ContextPieceConfig
from sightline.records import HISTORY, PAST_FRAMES
from sightline.types import FeatureMaps, FeatureSpec


class StackContextConfig(ContextPieceConfig):
    """Which levels, and what the past points let expect."""

    summary: ClassVar[str] = "frames stacked as channels at the size of one level"
    kind: Literal["stack"] = "stack"
    past_frames: int = Field(default=3, ge=1, le=PAST_FRAMES)
    history: int = Field(default=0, ge=0, le=HISTORY, description="past points; as many as the prior needs")
    levels: tuple[int, ...] = Field(
        default=(0,), min_length=1, description="maps of the neck to take, 0 = finest; the first gives the size"
    )
    prior: PriorConfig = Field(default=PriorConfig(), description="where the past points let the point be expected")

    @model_validator(mode="after")
    def _history_is_enough(self) -> StackContextConfig:
        if self.history < self.prior.needs:
            raise ValueError(f"prior {self.prior.form} needs a history of {self.prior.needs}, not {self.history}")
        return self

    def build(self, spec: FeatureSpec, *, input_hw: tuple[int, int]) -> StackContext:
        """The context for a frame's maps; raises UserError for a level that is not there."""
        if not all(0 <= level < len(spec.channels) for level in self.levels):
            raise UserError(
                f"context.levels = {list(self.levels)}, and the neck gives {len(spec.channels)} maps ({spec}). "
                f"Name maps from 0 to {len(spec.channels) - 1}, or let the backbone give more with backbone.levels."
            )
        return StackContext(self)


class StackContext(nn.Module):
    """Maps [B, T, C, h, w] -> one map [B, T * (sum of C), h, w], and the prior."""

    def __init__(self, config: StackContextConfig) -> None:
        super().__init__()
        self.config = config

    def forward(
        self, maps: FeatureMaps, past_xy: Float[Tensor, "B L 2"], past_visible: Bool[Tensor, "B L"]
    ) -> FeatureMaps:
        """Levels side by side in each frame, then frames side by side."""
        chosen = [maps.maps[level] for level in self.config.levels]
        height, width = chosen[0].shape[3:]
        sized = [chosen[0], *(upsampled(m, size_hw=(height, width)) for m in chosen[1:])]
        stacked = torch.cat(sized, dim=2).flatten(1, 2)  # [B, T, C, h, w] -> [B, T * C, h, w]
        prior = self.config.prior.map(past_xy, past_visible, size_hw=(height, width))
        return FeatureMaps(maps=(stacked,), prior=prior)


def upsampled(maps: Float[Tensor, "B T C h w"], *, size_hw: tuple[int, int]) -> Float[Tensor, "B T C H W"]:
    """Bilinear, frame by frame."""
    sized = F.interpolate(maps.flatten(0, 1), size=size_hw, mode="bilinear", align_corners=False)
    return sized.unflatten(0, (-1, maps.shape[1]))
