"""The last frames' maps side by side, and a light pyramid over them: what moved stands out.

Made for streams on a CPU. Only the first layers see each frame by itself, and what they gave of past frames is kept;
the current map beside its differences from the past ones goes through the rest of the network once. An object of two
or three pixels is told from the background by its motion, so frames meet at a fine level, before it is pooled away.
In: the finest level of each frame. Out: one map at the same stride, or coarser by `out_level`.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from jaxtyping import Bool, Float
from pydantic import Field, PositiveInt
from torch import Tensor, nn
from torch.nn import functional as F

from sightline.backbones.light import Pair
from sightline.errors import UserError
from sightline.pieces import ContextPieceConfig, conv_norm_relu
from sightline.types import FeatureMaps, FeatureSpec


class FrameMixConfig(ContextPieceConfig):
    """Reduction of all frames, stages that halve the map, and a way back up."""

    summary: ClassVar[str] = "maps of the last frames side by side and a light pyramid over them; for streams on a CPU"
    kind: Literal["frame-mix"] = "frame-mix"
    past_frames: int = Field(default=2, ge=0, le=3)
    history: int = Field(default=0, ge=0, le=0)
    channels: PositiveInt = Field(default=32, description="behind the reduction, and of what comes out")
    halve: int = Field(
        default=0, ge=0, description="frames meet a level above the pyramid, in so many channels; 0: at its own level"
    )
    widths: tuple[PositiveInt, ...] = Field(default=(64, 96), description="of the stages that halve the map")
    blocks: PositiveInt = Field(default=2, description="depthwise and pointwise pairs in each stage")
    out_level: int = Field(
        default=0, ge=0, description="0: the stride of the pyramid's finest level, 1: twice that, ..."
    )

    def build(self, spec: FeatureSpec, *, input_hw: tuple[int, int]) -> nn.Module:
        """For frames whose finest map is as in `spec`.

        Raises:
            UserError: `out_level` is beyond the stages.
        """
        if self.out_level > len(self.widths):
            raise UserError(
                f"context.out_level={self.out_level}, but there are {len(self.widths)} stages. Give at most that, or "
                "more context.widths."
            )
        return FrameMix(self, spec.channels[0])


class FrameMix(nn.Module):
    """The finest maps [B, T, C, h, w] -> one map [B, channels, h / 2^n, w / 2^n], n = out_level (+ 1 with `halve`)."""

    def __init__(self, config: FrameMixConfig, inputs: int) -> None:
        super().__init__()
        width = config.channels
        self.reduce = conv_norm_relu(inputs * (1 + config.past_frames), config.halve or width, kernel=1)
        halving = [Pair(config.halve, width, stride=2)] if config.halve else []
        self.first = nn.Sequential(*halving, *(Pair(width, width, stride=1) for _ in range(config.blocks)))
        stages, laterals, last = [], [conv_norm_relu(width, width, kernel=1)], width
        for stage_width in config.widths:
            pairs = [Pair(last, stage_width, stride=2)]
            pairs += [Pair(stage_width, stage_width, stride=1) for _ in range(config.blocks - 1)]
            stages.append(nn.Sequential(*pairs))
            laterals.append(conv_norm_relu(stage_width, width, kernel=1))
            last = stage_width
        self.stages, self.laterals = nn.ModuleList(stages), nn.ModuleList(laterals[config.out_level :])
        self.smooth = nn.ModuleList(Pair(width, width, stride=1) for _ in self.laterals[:-1])
        self.out_level = config.out_level

    def forward(
        self, maps: FeatureMaps, past_xy: Float[Tensor, "B L 2"], past_visible: Bool[Tensor, "B L"]
    ) -> FeatureMaps:
        """Mix, go down, come back up."""
        finest = maps.maps[0]  # [B, T, C, h, w]
        now = finest[:, :1]
        mixed = torch.cat([now, now - finest[:, 1:]], dim=1).flatten(1, 2)  # [B, T * C, h, w]
        levels = [self.first(self.reduce(mixed))]
        for stage in self.stages:
            levels.append(stage(levels[-1]))
        levels = [lateral(level) for lateral, level in zip(self.laterals, levels[self.out_level :], strict=True)]
        x = levels.pop()
        for smooth, level in zip(reversed(self.smooth), reversed(levels), strict=True):
            x = smooth(level + F.interpolate(x, size=level.shape[2:], mode="nearest"))
        return FeatureMaps(maps=(x,))
