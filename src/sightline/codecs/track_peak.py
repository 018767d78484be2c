"""One point of a clip as the peak of a map, and whether it is visible.

The place is learnt as a distribution over all cells: cross-entropy against a Gaussian about the point, where it is
visible (gaussian.py's closed form). Visibility is a log loss of its own over all frames. A peak is refined by one
Newton step (DARK, Zhang et al. 2020), exact for a Gaussian. Next: model.py
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from sightline.codecs import gaussian
from sightline.codecs.peaks import Decoder, decode_maps, peaks
from sightline.codecs.protocol import Codec, CodecShape, PictureCodec
from sightline.pieces import CodecPieceConfig, Finds
from sightline.types import Points, Raw, RawTrackMap, Truth

_APART = 4  # cells: nearer than this two peaks are one place


class TrackPeakCodecConfig(CodecPieceConfig):
    """Target, decoder and the weight of visibility."""

    summary: ClassVar[str] = "one point of a clip as a map's peak, and its visibility"
    kind: Literal["track-peak"] = "track-peak"
    sigma: float = Field(default=1.0, gt=0, description="std of the target, in cells")
    decoder: Decoder = Field(default="dark", description="how a map becomes a point")
    visible_weight: float = Field(default=1.0, ge=0, description="of the visibility's log loss beside the place's")

    takes: ClassVar[type] = RawTrackMap
    finds: ClassVar[Finds] = "track"

    def build(self, shape: CodecShape) -> TrackPeakCodec:
        """The codec for an input and a map size."""
        return TrackPeakCodec(self, shape)


@dataclass(frozen=True, kw_only=True, eq=False)
class TrackPeakTarget:
    """Row and column factors [B, 1, L] of the Gaussian, and where the point is visible [B]."""

    x: Tensor
    y: Tensor
    visible: Tensor


class TrackPeakCodec(PictureCodec):
    """encode -> factors; loss of place and visibility; decode the peak."""

    def __init__(self, config: TrackPeakCodecConfig, shape: CodecShape) -> None:
        self.config, self.shape = config, shape
        self.stride_xy = shape.stride_xy

    def encode(self, truth: Truth) -> TrackPeakTarget:
        """The target's factors at the map's resolution."""
        assert self.shape.map_hw is not None and truth.points_xy.shape[1] == 1
        rows, columns = self.shape.map_hw
        x, y = (
            gaussian.factors(truth.points_xy, count=count, stride=stride, sigma=self.config.sigma, axis=axis)
            for count, stride, axis in ((columns, self.stride_xy[0], 0), (rows, self.stride_xy[1], 1))
        )
        return TrackPeakTarget(x=x, y=y, visible=truth.visible[:, 0])

    def loss(self, raw: RawTrackMap, target: TrackPeakTarget) -> Tensor:
        """Mean over frames: cross-entropy of the place where the point is visible, and log loss of visibility."""
        seen = target.visible.to(raw.logits.dtype)
        place = gaussian.cross_entropy(raw.logits[:, None], target.y, target.x)[:, 0] * seen
        assert raw.visible is not None, "this codec's head says whether the point is visible"
        visible = F.binary_cross_entropy_with_logits(raw.visible, seen, reduction="none")
        return (place + self.config.visible_weight * visible).mean()

    def decode(self, raw: RawTrackMap) -> Points:
        """The peak in input pixels; the score is the probability of being visible."""
        assert raw.visible is not None
        return Points(xy=self.places(raw, count=1), score=raw.visible.sigmoid()[:, None])

    def places(self, raw: RawTrackMap, *, count: int) -> Tensor:
        """The highest peaks [B, count, 2] in input pixels, the decoded point first.

        Peaks less than five cells apart count as one; where a map has fewer, the first is repeated.
        """
        first = decode_maps(raw.logits[:, None], decoder=self.config.decoder, stride_xy=self.stride_xy)
        if count == 1:
            return first
        xy, heat = peaks(raw.logits[:, None], count=count, stride_xy=self.stride_xy, radius=_APART)
        others = torch.where(heat[:, 0, 1:, None].isfinite(), xy[:, 0, 1:], first)
        return torch.cat([first, others], dim=1)

    def perfect(self, target: TrackPeakTarget) -> RawTrackMap:
        """Logits whose softmax is the target, and certainty."""
        heat = target.y[:, 0, :, None] * target.x[:, 0, None, :]
        sure = torch.where(target.visible, 20.0, -20.0).to(heat.dtype)
        return RawTrackMap(logits=heat.clamp_min(1e-30).log(), visible=sure)


def places_and_score(codec: Codec, raw: Raw, *, count: int) -> tuple[Tensor, Tensor]:
    """Where the point may be, for any codec of a track.

    Returns:
        Places [B, P, 2] in input pixels, the decoded point first, P = `count` where the codec can tell more than one
        and else 1; and the probability [B] that the point is visible.
    """
    if isinstance(codec, TrackPeakCodec):
        assert isinstance(raw, RawTrackMap) and raw.visible is not None
        return codec.places(raw, count=count), raw.visible.sigmoid()
    decoded = codec.decode(raw)
    assert isinstance(decoded, Points)
    return decoded.xy[:, :1], decoded.score[:, 0]
