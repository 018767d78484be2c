"""The points before a frame as one vector: convolutions over all of them, or the last few raw with their steps.

Both take past points as shares of the input, [B, L, 2], oldest first, and which were visible, [B, L]. A point that
was not visible is the triplet (0, 0, 0), as published, whatever stands in the tensor.
"""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

Trajectory = Literal["conv1d", "deltas"]
WIDTH = 64  # of the vector, in all published versions


def build_trajectory(kind: Trajectory, *, history: int) -> nn.Module:
    """The encoder of a kind for so many points."""
    return ConvTrajectory() if kind == "conv1d" else DeltaTrajectory(history=history)


def triplets(past_xy: Float[Tensor, "B L 2"], past_visible: Bool[Tensor, "B L"]) -> Float[Tensor, "B L 3"]:
    """(x, y, 1) where visible, (0, 0, 0) elsewhere."""
    shown = past_visible.unsqueeze(-1).to(past_xy.dtype)
    return torch.cat([past_xy * shown, shown], dim=-1)


def steps(past_xy: Float[Tensor, "B L 2"], past_visible: Bool[Tensor, "B L"]) -> Float[Tensor, "B M 2"]:
    """From each point to the next, M = L - 1; 0 unless both were visible."""
    both = past_visible[:, 1:] & past_visible[:, :-1]
    return past_xy.diff(dim=1) * both.unsqueeze(-1).to(past_xy.dtype)


class ConvTrajectory(nn.Module):
    """Two convolutions over time and a mean: any number of points."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv1d(3, 32, 3, padding=1), nn.ReLU(), nn.Conv1d(32, WIDTH, 3, padding=1), nn.ReLU()
        )

    def forward(self, past_xy: Tensor, past_visible: Tensor) -> Tensor:
        """[B, L, 2] and [B, L] -> [B, 64]."""
        return self.layers(triplets(past_xy, past_visible).transpose(1, 2)).mean(dim=2)


class DeltaTrajectory(nn.Module):
    """All triplets, then all steps, through one layer: 28 numbers for six points."""

    def __init__(self, *, history: int) -> None:
        super().__init__()
        self.layer = nn.Linear(3 * history + 2 * (history - 1), WIDTH)

    def forward(self, past_xy: Tensor, past_visible: Tensor) -> Tensor:
        """[B, L, 2] and [B, L] -> [B, 64]."""
        raw = [triplets(past_xy, past_visible).flatten(1), steps(past_xy, past_visible).flatten(1)]
        return self.layer(torch.cat(raw, dim=1)).relu()
