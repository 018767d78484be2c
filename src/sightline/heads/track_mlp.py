"""Fully connected layers from a vector to one point, or to several guesses at it, and perhaps a visibility logit.

The shuttle tracker's first paradigm. The logit comes out of the same last layer (s1-v1, s2-v1, s2-v2); track_split.py
has the form with a branch of its own.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, PositiveInt
from torch import nn

from sightline.errors import UserError
from sightline.pieces import HeadPieceConfig, HeadShape
from sightline.types import FeatureMaps, FeatureSpec, RawTrackCoords


class TrackMlpHeadConfig(HeadPieceConfig):
    """Layers, number of guesses, and what comes with them."""

    summary: ClassVar[str] = "fully connected layers to one point of a clip's frame, or to several guesses"
    kind: Literal["track-mlp"] = "track-mlp"
    hidden: tuple[PositiveInt, ...] = Field(default=(1024, 256), description="widths of the hidden layers")
    dropout: tuple[float, ...] = Field(default=(), description="behind each hidden layer; empty = none")
    guesses: int = Field(default=1, ge=1, description="points to emit; the codec judges them together")
    visible: Literal["none", "logit"] = Field(default="logit", description="logit: also say whether it is visible")
    squash: bool = Field(default=False, description="a sigmoid on the coordinates keeps them in the picture")

    emits: ClassVar[type] = RawTrackCoords

    def build(self, spec: FeatureSpec, *, shape: HeadShape) -> TrackMlpHead:
        """The head for the coarsest map."""
        return TrackMlpHead(self, spec)


class TrackMlpHead(nn.Module):
    """FeatureMaps -> RawTrackCoords."""

    def __init__(self, config: TrackMlpHeadConfig, spec: FeatureSpec) -> None:
        super().__init__()
        self.config = config
        inputs = flat_width(spec)
        self.layers = hidden_layers(inputs, config.hidden, config.dropout, setting="head.dropout")
        outputs = 2 * config.guesses + (config.visible == "logit")
        self.last = nn.Linear(config.hidden[-1] if config.hidden else inputs, outputs)

    def forward(self, features: FeatureMaps) -> RawTrackCoords:
        """Regress; xy is [B, M, 2], visible [B] or None."""
        out = self.last(self.layers(features.maps[-1].flatten(1)))
        count = 2 * self.config.guesses
        xy = out[:, :count].unflatten(1, (-1, 2))
        visible = out[:, count] if self.config.visible == "logit" else None
        return RawTrackCoords(xy=xy.sigmoid() if self.config.squash else xy, visible=visible)


def flat_width(spec: FeatureSpec) -> int:
    """Numbers in the coarsest map."""
    height, width = spec.sizes_hw[-1]
    return spec.channels[-1] * height * width


def hidden_layers(inputs: int, widths: tuple[int, ...], dropout: tuple[float, ...], *, setting: str) -> nn.Sequential:
    """Linear, ReLU and dropout for each width.

    Raises:
        UserError: rates that are no shares, or not one for each layer; `setting` is what the message calls them.
    """
    rates = dropout or (0.0,) * len(widths)
    if len(rates) != len(widths) or not all(0 <= rate < 1 for rate in rates):
        raise UserError(
            f"{setting} = {list(dropout)}: expected one number from 0 to below 1 for each of the {len(widths)} hidden "
            f"layers {list(widths)}, or an empty list for none."
        )
    parts: list[nn.Module] = []
    for rate, outputs in zip(rates, widths, strict=True):
        parts += [nn.Linear(inputs, outputs), nn.ReLU(), *([nn.Dropout(rate)] if rate else [])]
        inputs = outputs
    return nn.Sequential(*parts)
