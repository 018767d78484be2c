"""Flatten the coarsest map and regress coordinates with fully connected layers.

The last bias can start at the middle of the picture or at a mean shape, so that the first
prediction is a sensible one (the `pixelwise` page starts it "toward the face").
"""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from sightline.errors import UserError
from sightline.pieces import HeadPieceConfig, HeadShape
from sightline.types import FeatureMaps, FeatureSpec, RawCoords


class MlpHeadConfig(HeadPieceConfig):
    """Widths of the hidden layers and what stands between them."""

    summary: ClassVar[str] = "fully connected layers to coordinates"
    kind: Literal["mlp"] = "mlp"
    hidden: tuple[int, ...] = Field(default=(), description="widths of the hidden layers")
    dropout: tuple[float, ...] = Field(
        default=(), description="before each layer, the first and the last included; empty = none"
    )
    start_at: Literal["default", "centre", "mean-shape"] = Field(
        default="centre",
        description="first prediction: the library's initialisation, the picture's centre, or the mean shape",
    )
    norm: bool = Field(default=False, description="batch normalisation behind each hidden layer")

    emits: ClassVar[type] = RawCoords
    min_cells: ClassVar[int] = 1

    def build(self, spec: FeatureSpec, *, shape: HeadShape) -> nn.Module:
        """The head for the coarsest map."""
        return MlpHead(self, spec, num_points=shape.num_points)


class MlpHead(nn.Module):
    """FeatureMaps -> RawCoords."""

    def __init__(self, config: MlpHeadConfig, spec: FeatureSpec, *, num_points: int) -> None:
        super().__init__()
        height, width = spec.sizes_hw[-1]
        widths = [spec.channels[-1] * height * width, *config.hidden]
        rates = config.dropout or (0.0,) * len(widths)
        if len(rates) != len(widths):
            raise UserError(f"head.dropout needs {len(widths)} numbers, one before each layer, not {len(rates)}.")
        parts: list[nn.Module] = [nn.Flatten()]
        for rate, inputs, outputs in zip(rates, widths, widths[1:], strict=False):
            parts += [nn.Dropout(rate)] if rate else []
            parts.append(nn.Linear(inputs, outputs))
            parts += [nn.BatchNorm1d(outputs)] if config.norm else []
            parts.append(nn.ReLU())
        parts += [nn.Dropout(rates[-1])] if rates[-1] else []
        self.layers = nn.Sequential(*parts)
        self.last = nn.Linear(widths[-1], 2 * num_points)
        self.start_at = config.start_at
        if config.start_at != "default":
            nn.init.constant_(self.last.bias, 0.5)

    def named_rows(self) -> dict[str, int]:
        """See `pieces.HeadPieceConfig`: x and y of each point."""
        return {"last": 2}

    def start_from(self, shape_xy: Tensor) -> None:
        """Set the last bias to a mean shape [K, 2], in 0..1 of the input picture."""
        with torch.no_grad():
            self.last.bias.copy_(shape_xy.flatten())

    def forward(self, features: FeatureMaps) -> RawCoords:
        """Regress; xy is [B, K, 2]."""
        flat = self.last(self.layers(features.maps[-1]))  # [B, C, h, w] -> [B, 2 K]
        return RawCoords(xy=flat.unflatten(1, (-1, 2)))
