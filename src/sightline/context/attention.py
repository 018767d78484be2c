"""Frames as vectors: the past ones pooled by attention, beside the current one and the trajectory.

The shuttle tracker's first paradigm (s1-v1 to v3, s2-v1 to v3). A scorer, Linear(D, 256)-ReLU-Linear(256, 1), weighs
each past frame; a weighted sum does not know in which order they came. Pooling over all cells is what the authors
blame for its failure: the vector says what is there, and not where.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from jaxtyping import Bool, Float
from pydantic import Field
from torch import Tensor, nn

from sightline.context.trajectory import Trajectory, build_trajectory
from sightline.pieces import ContextPieceConfig
from sightline.records import HISTORY, PAST_FRAMES
from sightline.types import FeatureMaps, FeatureSpec

HIDDEN = 256  # of the scorer


class AttentionContextConfig(ContextPieceConfig):
    """How much of the past, and how its points become a vector."""

    summary: ClassVar[str] = "frames as vectors, the past ones pooled by attention, and the trajectory"
    kind: Literal["attention"] = "attention"
    past_frames: int = Field(default=3, ge=1, le=PAST_FRAMES)
    history: int = Field(default=30, ge=2, le=HISTORY, description="past points in the trajectory")
    trajectory: Trajectory = Field(
        default="conv1d", description="conv1d: convolutions over time; deltas: raw triplets and the steps between"
    )

    def build(self, spec: FeatureSpec, *, input_hw: tuple[int, int]) -> AttentionContext:
        """The context for the coarsest map of a frame."""
        return AttentionContext(self, spec)


class AttentionContext(nn.Module):
    """Maps [B, T, C, h, w] -> one vector [B, 2 C + 64, 1, 1]: past, current, trajectory."""

    def __init__(self, config: AttentionContextConfig, spec: FeatureSpec) -> None:
        super().__init__()
        self.score = nn.Sequential(nn.Linear(spec.channels[-1], HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, 1))
        self.trajectory = build_trajectory(config.trajectory, history=config.history)

    def forward(
        self, maps: FeatureMaps, past_xy: Float[Tensor, "B L 2"], past_visible: Bool[Tensor, "B L"]
    ) -> FeatureMaps:
        """Pool the coarsest map of each frame over its cells, then the past frames over time."""
        frames = maps.maps[-1].mean(dim=(3, 4))  # [B, T, C, h, w] -> [B, T, C]
        current, past = frames[:, 0], frames[:, 1:]
        shares = self.score(past).softmax(dim=1)  # [B, T - 1, 1]
        pooled = (shares * past).sum(dim=1)
        joined = torch.cat([pooled, current, self.trajectory(past_xy, past_visible)], dim=1)
        return FeatureMaps(maps=(joined[:, :, None, None],))
