"""Two levels of four frames, fused once, and modulated by the trajectory (shuttle tracker, s2-v4 and s2-v5).

Each frame's two coarsest maps go through three convolutions of their own; then frames are channels. The coarse map is
enlarged onto the fine one, both are joined, and a FiLM layer (Perez et al. 2018) scales and shifts the channels by
what the last six points say. It starts as the identity. All convolutions have a bias and no normalisation; a ReLU
follows each (stated for the coarse branch, inferred for the rest).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

import torch
from jaxtyping import Bool, Float
from pydantic import Field, PositiveInt, model_validator
from torch import Tensor, nn
from torch.nn import functional as F

from sightline.context.prior import PriorConfig
from sightline.context.trajectory import WIDTH, DeltaTrajectory
from sightline.errors import UserError
from sightline.pieces import ContextPieceConfig
from sightline.records import HISTORY, PAST_FRAMES
from sightline.types import FeatureMaps, FeatureSpec

Widths = tuple[PositiveInt, PositiveInt, PositiveInt]


class FilmPyramidContextConfig(ContextPieceConfig):
    """Widths, modulation and what the past points let expect."""

    summary: ClassVar[str] = "two levels of all frames fused once, modulated by the trajectory (FiLM)"
    kind: Literal["film-pyramid"] = "film-pyramid"
    past_frames: int = Field(default=3, ge=1, le=PAST_FRAMES)
    history: int = Field(default=6, ge=0, le=HISTORY, description="past points for modulation and prior")
    film: bool = Field(default=True, description="modulate the fused map by the trajectory")
    coarse_widths: Widths = Field(default=(640, 640, 320), description="channels of 1 x 1, 3 x 3, 1 x 1 on each frame")
    fine_widths: Widths = Field(default=(128, 128, 128), description="channels of 1 x 1, 3 x 3, 3 x 3 on each frame")
    width: int = Field(
        default=256, ge=1, description="channels of both branches over all frames, and of what comes out"
    )
    prior: PriorConfig = Field(default=PriorConfig(), description="where the past points let the point be expected")

    @model_validator(mode="after")
    def _history_is_enough(self) -> FilmPyramidContextConfig:
        if self.film and self.history < 2:
            raise ValueError(f"film needs a history of at least 2, not {self.history}")
        if self.history < self.prior.needs:
            raise ValueError(f"prior {self.prior.form} needs a history of {self.prior.needs}, not {self.history}")
        return self

    def build(self, spec: FeatureSpec, *, input_hw: tuple[int, int]) -> FilmPyramidContext:
        """The context for the two coarsest maps of a frame; raises UserError where there is only one."""
        if len(spec.channels) < 2:
            raise UserError(
                f"context film-pyramid joins the two coarsest maps of a frame, and there is only one ({spec}). "
                "Take neck none, and name two levels with backbone.levels."
            )
        return FilmPyramidContext(self, spec)


class FilmPyramidContext(nn.Module):
    """Maps [B, T, C, h, w] -> one map [B, width, h, w] at the size of the second coarsest, and the prior."""

    def __init__(self, config: FilmPyramidContextConfig, spec: FeatureSpec) -> None:
        super().__init__()
        self.prior = config.prior
        frames, width = 1 + config.past_frames, config.width
        fine, coarse = spec.channels[-2:]
        wide, low = config.coarse_widths, config.fine_widths
        self.coarse = convolutions(coarse, ((wide[0], 1), (wide[1], 3), (wide[2], 1)))
        self.coarse_frames = convolutions(frames * wide[2], ((wide[0], 1), (wide[1], 3), (width, 1)))
        self.fine = convolutions(fine, ((low[0], 1), (low[1], 3), (low[2], 3)))
        self.fine_frames = convolutions(frames * low[2], ((width, 1), (width, 3)))
        self.join = convolutions(2 * width, ((width, 3),))
        self.film = Film(history=config.history, channels=width) if config.film else None

    def forward(
        self, maps: FeatureMaps, past_xy: Float[Tensor, "B L 2"], past_visible: Bool[Tensor, "B L"]
    ) -> FeatureMaps:
        """Each branch on every frame, frames as channels, both branches together, modulation."""
        fine, coarse = maps.maps[-2:]
        low = self.fine_frames(_each_frame(self.fine, fine))
        high = F.interpolate(_each_frame(self.coarse, coarse), size=low.shape[2:], mode="bilinear", align_corners=False)
        joined = self.join(torch.cat([low, self.coarse_frames(high)], dim=1))
        if self.film is not None:
            joined = self.film(joined, past_xy, past_visible)
        height, width = joined.shape[2:]
        return FeatureMaps(maps=(joined,), prior=self.prior.map(past_xy, past_visible, size_hw=(height, width)))


class Film(nn.Module):
    """Scale and shift of channels from the trajectory; the identity at first."""

    def __init__(self, *, history: int, channels: int) -> None:
        super().__init__()
        self.trajectory = DeltaTrajectory(history=history)
        self.scale = nn.Linear(WIDTH, channels)
        self.shift = nn.Linear(WIDTH, channels)
        for layer, start in ((self.scale, 1.0), (self.shift, 0.0)):
            nn.init.zeros_(layer.weight)
            nn.init.constant_(layer.bias, start)

    def forward(self, maps: Tensor, past_xy: Tensor, past_visible: Tensor) -> Tensor:
        """[B, C, h, w] -> the same shape."""
        known = self.trajectory(past_xy, past_visible)
        return self.scale(known)[:, :, None, None] * maps + self.shift(known)[:, :, None, None]


def convolutions(inputs: int, layers: Sequence[tuple[int, int]]) -> nn.Sequential:
    """Biased convolutions of (channels, kernel), sizes kept, a ReLU behind each."""
    parts: list[nn.Module] = []
    for outputs, kernel in layers:
        parts += [nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2), nn.ReLU()]
        inputs = outputs
    return nn.Sequential(*parts)


def _each_frame(branch: nn.Module, maps: Tensor) -> Tensor:
    """Run on every frame alike, then frames as channels: [B, T, C, h, w] -> [B, T * C', h, w]."""
    return branch(maps.flatten(0, 1)).unflatten(0, (-1, maps.shape[1])).flatten(1, 2)
