"""SSD's head (Liu et al. 2016): one 3 x 3 convolution for boxes and one for classes on every level.

Next: codecs/anchors.py
"""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from sightline.pieces import HeadPieceConfig, HeadShape
from sightline.types import FeatureMaps, FeatureSpec, RawDense


class SsdHeadConfig(HeadPieceConfig):
    """The kernel."""

    summary: ClassVar[str] = "SSD: one convolution a level for boxes, one for classes"
    kind: Literal["ssd"] = "ssd"
    kernel: Literal[1, 3] = Field(default=3, description="of both convolutions")

    emits: ClassVar[type] = RawDense

    def build(self, spec: FeatureSpec, *, shape: HeadShape) -> nn.Module:
        """The head for all maps."""
        return SsdHead(self, spec, shape=shape)


class SsdHead(nn.Module):
    """FeatureMaps -> RawDense."""

    def __init__(self, config: SsdHeadConfig, spec: FeatureSpec, *, shape: HeadShape) -> None:
        super().__init__()
        self.num_logits = shape.num_logits
        levels = list(zip(spec.channels, shape.per_cell, strict=True))
        self.boxes = nn.ModuleList(_conv(c, count * 4, config.kernel) for c, count in levels)
        self.classes = nn.ModuleList(_conv(c, count * shape.num_logits, config.kernel) for c, count in levels)

    def named_rows(self) -> dict[str, int]:
        """See `pieces.HeadPieceConfig`: logits, of each anchor in turn."""
        return {f"classes.{level}": 1 for level in range(len(self.classes))}

    def forward(self, features: FeatureMaps) -> RawDense:
        """All levels one behind the other: boxes [B, P, 4], logits [B, P, C]."""
        boxes = [by_place(conv(one), 4) for conv, one in zip(self.boxes, features.maps, strict=True)]
        logits = [by_place(conv(one), self.num_logits) for conv, one in zip(self.classes, features.maps, strict=True)]
        sizes = tuple((one.shape[2], one.shape[3]) for one in features.maps)
        return RawDense(boxes=torch.cat(boxes, dim=1), logits=torch.cat(logits, dim=1), sizes_hw=sizes)


def by_place(maps: Tensor, numbers: int) -> Tensor:
    """[B, A * numbers, h, w] -> [B, h * w * A, numbers]: row, column, anchor."""
    return maps.permute(0, 2, 3, 1).flatten(1).unflatten(1, (-1, numbers))


def _conv(inputs: int, outputs: int, kernel: int) -> nn.Conv2d:
    conv = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2)
    nn.init.xavier_uniform_(conv.weight)  # as published; biases stay the library's
    return conv
