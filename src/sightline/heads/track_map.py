"""Convolutions to one map of logits for the one point of a clip's frame (shuttle tracker, s1-v4 and s2-v4 to v7).

What the context expects of the past (`FeatureMaps.prior`) is added to the map with a weight that is learnt, as
softplus(gate), or fixed. Whether the point is visible is read off the finished map's highest and mean logit by a
linear layer, which starts at zero weights: the authors name it as their weak spot.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from pydantic import Field, PositiveInt
from torch import Tensor, nn
from torch.nn import functional as F

from sightline.errors import UserError
from sightline.heads.track_split import logit
from sightline.pieces import HeadPieceConfig, HeadShape
from sightline.types import FeatureMaps, FeatureSpec, RawTrackMap

Layers = tuple[tuple[PositiveInt, Literal[1, 3, 5, 7]], ...]


class TrackMapHeadConfig(HeadPieceConfig):
    """Layers, weight of the prior, visibility."""

    summary: ClassVar[str] = "convolutions to one map of logits for the point of a clip's frame"
    kind: Literal["track-map"] = "track-map"
    layers: Layers = Field(
        default=((64, 1), (64, 3), (16, 1)), description="(channels, kernel) before the last 1 x 1 convolution"
    )
    prior: Literal["none", "learned", "fixed"] = Field(
        default="none", description="weight of what the context expects: none of it, softplus of a gate, or fixed"
    )
    prior_gate: float = Field(default=0.0, description="learned: where the gate starts; softplus(0) is 0.693")
    prior_weight: float = Field(default=2.0, gt=0, description="fixed: the weight")
    visible: Literal["none", "max-mean"] = Field(
        default="max-mean", description="max-mean: a linear layer on the map's highest and mean logit"
    )
    start_visible: float = Field(default=0.65, gt=0, lt=1, description="first probability of being visible")

    emits: ClassVar[type] = RawTrackMap
    min_cells: ClassVar[int] = 4

    def build(self, spec: FeatureSpec, *, shape: HeadShape) -> TrackMapHead:
        """The head for the finest map."""
        return TrackMapHead(self, spec)


class TrackMapHead(nn.Module):
    """FeatureMaps -> RawTrackMap."""

    def __init__(self, config: TrackMapHeadConfig, spec: FeatureSpec) -> None:
        super().__init__()
        self.config = config
        inputs, parts = spec.channels[0], []
        for outputs, kernel in config.layers:
            parts += [nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2), nn.ReLU()]
            inputs = outputs
        self.layers = nn.Sequential(*parts)
        self.last = nn.Conv2d(inputs, 1, 1)
        self.gate = nn.Parameter(torch.tensor(config.prior_gate)) if config.prior == "learned" else None
        self.visible = nn.Linear(2, 1) if config.visible == "max-mean" else None
        if self.visible is not None:
            nn.init.zeros_(self.visible.weight)
            nn.init.constant_(self.visible.bias, logit(config.start_visible))

    def forward(self, features: FeatureMaps) -> RawTrackMap:
        """Map to logits [B, h, w], and visible [B] or None; raises UserError where prior and context disagree."""
        logits = self.last(self.layers(features.maps[0])).squeeze(1)  # [B, 1, h, w] -> [B, h, w]
        weight = self._prior_weight(features)
        if weight is not None and features.prior is not None:
            logits = logits + weight * features.prior.squeeze(1)
        visible = None
        if self.visible is not None:
            flat = logits.flatten(1)
            visible = self.visible(torch.stack([flat.amax(dim=1), flat.mean(dim=1)], dim=1)).squeeze(1)
        return RawTrackMap(logits=logits, visible=visible)

    def _prior_weight(self, features: FeatureMaps) -> Tensor | float | None:
        wanted, given = self.config.prior, features.prior is not None
        if given != (wanted != "none"):
            raise UserError(
                f"head.prior is {wanted}, and the context gives {'a' if given else 'no'} prior. Set both: "
                "context.prior.form and head.prior are either both none, or neither."
            )
        if self.gate is not None:
            return F.softplus(self.gate)
        return self.config.prior_weight if given else None
