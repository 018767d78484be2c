"""No context: single pictures, of which nothing came before."""

from __future__ import annotations

from typing import ClassVar, Literal

from jaxtyping import Bool, Float
from pydantic import Field
from torch import Tensor, nn

from sightline.pieces import ContextPieceConfig
from sightline.types import FeatureMaps, FeatureSpec


class NoContextConfig(ContextPieceConfig):
    """Nothing to set."""

    summary: ClassVar[str] = "single pictures: there is no past"
    kind: Literal["none"] = "none"
    past_frames: int = Field(default=0, ge=0, le=0)
    history: int = Field(default=0, ge=0, le=0)

    def build(self, spec: FeatureSpec, *, input_hw: tuple[int, int]) -> nn.Module:
        """The context that only takes the axis of time away."""
        return NoContext()


class NoContext(nn.Module):
    """Maps [B, 1, C, h, w] -> the same maps [B, C, h, w]."""

    def forward(
        self, maps: FeatureMaps, past_xy: Float[Tensor, "B L 2"], past_visible: Bool[Tensor, "B L"]
    ) -> FeatureMaps:
        """The current frame's maps."""
        return FeatureMaps(maps=tuple(m.squeeze(1) for m in maps.maps))
