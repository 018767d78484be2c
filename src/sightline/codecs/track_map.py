"""One point of a clip's frame as the expectation over a map: softmax(logits / temperature) over cells' centres.

The loss is on the expectation alone, as published; integral.py has the form with a term for the map's shape. An
expectation cannot lie further out than the outermost cells' centres, so near the border half a cell is lost.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from sightline.codecs.peaks import soft_argmax
from sightline.codecs.protocol import CodecShape
from sightline.codecs.track_losses import TrackCodec, TrackCodecConfig, TrackTarget
from sightline.geometry import cell_centres
from sightline.types import Points, Raw, RawTrackMap

NOTHING = 1e-30  # share of a cell that has none, before the logarithm


class TrackMapCodecConfig(TrackCodecConfig):
    """The loss, and how sharp the expectation is."""

    summary: ClassVar[str] = "one point of a clip's frame as the expectation over a map, and its visibility"
    kind: Literal["track-map"] = "track-map"
    temperature: float = Field(default=1.0, gt=0, description="logits are divided by it before the softmax")

    takes: ClassVar[type] = RawTrackMap

    def build(self, shape: CodecShape) -> TrackMapCodec:
        """The codec for an input and a map size."""
        return TrackMapCodec(self, shape)


class TrackMapCodec(TrackCodec):
    """encode -> shares of the input; loss on the expectation; decode -> input pixels."""

    def __init__(self, config: TrackMapCodecConfig, shape: CodecShape) -> None:
        super().__init__(config, shape)
        assert shape.map_hw is not None, shape
        self.config, self.map_hw = config, shape.map_hw

    def loss(self, raw: Raw, target: TrackTarget) -> Tensor:
        """Distance of the expectation where visible, and visibility; means over pictures."""
        assert isinstance(raw, RawTrackMap), type(raw)
        distance = torch.linalg.vector_norm(self._expected(raw) - target.xy, dim=1)
        return self.total(self.relaxed(distance), raw.visible, target)

    def decode(self, raw: Raw) -> Points:
        """The expectation, in input pixels."""
        assert isinstance(raw, RawTrackMap), type(raw)
        return self.score(raw.visible, self._expected(raw))

    def perfect(self, target: TrackTarget) -> RawTrackMap:
        """The point shared out to the four cells around it, so that their expectation is the point."""
        height, width = self.map_hw
        rows, columns = _shares(target.xy[:, 1], height), _shares(target.xy[:, 0], width)
        logits = self.config.temperature * (rows.log()[:, :, None] + columns.log()[:, None, :])
        return RawTrackMap(logits=logits, visible=self.perfect_visible(target))

    def _expected(self, raw: RawTrackMap) -> Float[Tensor, "B 2"]:
        """In shares of the input. In single precision: a softmax over half-precision logits moves the point."""
        height, width = raw.logits.shape[1:]
        sharp = raw.logits.float().unsqueeze(1) / self.config.temperature
        return soft_argmax(sharp, stride_xy=(1 / width, 1 / height)).squeeze(1)


def _shares(place: Tensor, count: int) -> Tensor:
    """What each cell along an axis gets of a point at `place`, 0..1: [B] -> [B, count]."""
    centres = torch.as_tensor(cell_centres(count, 1 / count), dtype=place.dtype, device=place.device)
    return F.relu(1 - (place[:, None] - centres).abs() * count).clamp_min(NOTHING)
