"""One point of a clip's frame as coordinates, or several guesses at it.

Several guesses share one loss, the geometric mean of their relaxed distances, which is small where one of them is
good, and a penalty where two come closer than `apart`. The published code summed squares over the guesses and not over
x and y, so that no guess was ever judged by itself, and all moved to the same place: `guesses_as_axes` rebuilds it.
Decoded are the guesses' mean; the published system uses none of them alone.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from sightline.codecs.protocol import CodecShape
from sightline.codecs.track_losses import TrackCodec, TrackCodecConfig, TrackTarget
from sightline.types import Points, Raw, RawTrackCoords

FLOOR = 1e-12  # under the root of the product, whose slope at 0 has no end


class TrackCoordsCodecConfig(TrackCodecConfig):
    """The loss, and what is asked of several guesses."""

    summary: ClassVar[str] = "one point of a clip's frame as shares of the input, and its visibility"
    kind: Literal["track-coords"] = "track-coords"
    apart: float = Field(default=0.05, ge=0, description="guesses closer than this, in shares of the input, cost")
    guesses_as_axes: bool = Field(
        default=False, description="true rebuilds a published mistake: distances along guesses, not along x and y"
    )

    takes: ClassVar[type] = RawTrackCoords

    def build(self, shape: CodecShape) -> TrackCoordsCodec:
        """The codec for an input size."""
        return TrackCoordsCodec(self, shape)


class TrackCoordsCodec(TrackCodec):
    """encode -> shares of the input; loss; decode -> input pixels."""

    def __init__(self, config: TrackCoordsCodecConfig, shape: CodecShape) -> None:
        super().__init__(config, shape)
        self.config = config

    def loss(self, raw: Raw, target: TrackTarget) -> Tensor:
        """Distance where visible, and visibility; means over pictures."""
        assert isinstance(raw, RawTrackCoords), type(raw)
        xy = raw.xy.float()
        off = xy - target.xy.unsqueeze(1)  # [B, M, 2]
        if xy.shape[1] == 1:
            place = self.relaxed(torch.linalg.vector_norm(off, dim=2)).squeeze(1)
        else:
            axis = 1 if self.config.guesses_as_axes else 2
            product = self.relaxed(torch.linalg.vector_norm(off, dim=axis)).prod(dim=1)
            root = 1 / xy.shape[1]
            place = (product + FLOOR) ** root - FLOOR**root + crowding(xy, apart=self.config.apart)
        return self.total(place, raw.visible, target)

    def decode(self, raw: Raw) -> Points:
        """The point, or the mean of the guesses, in input pixels."""
        assert isinstance(raw, RawTrackCoords), type(raw)
        return self.score(raw.visible, raw.xy.mean(dim=1))

    def perfect(self, target: TrackTarget) -> RawTrackCoords:
        """What a flawless network would emit: one guess."""
        return RawTrackCoords(xy=target.xy.unsqueeze(1), visible=self.perfect_visible(target))


def crowding(xy: Float[Tensor, "B M 2"], *, apart: float) -> Float[Tensor, "B"]:
    """The square of what the closest two of M guesses lack to be `apart`."""
    first, second = torch.triu_indices(xy.shape[1], xy.shape[1], offset=1, device=xy.device)
    closest = torch.linalg.vector_norm(xy[:, first] - xy[:, second], dim=2).amin(dim=1)
    return F.relu(apart - closest).square()
