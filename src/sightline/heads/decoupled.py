"""Classes and boxes from towers of their own, at every cell of every level (as in YOLOX, Ge et al. 2021).

The towers are depthwise separable. Every level has its own, because levels' statistics differ and
normalisation cannot be shared; at one width that costs few weights. The head works for any number
of boxes a cell, so anchors can stand behind it too.
"""

from __future__ import annotations

import math
from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from sightline.errors import UserError
from sightline.pieces import HeadPieceConfig, HeadShape, conv_norm_relu
from sightline.types import FeatureMaps, FeatureSpec, RawDense


class DecoupledHeadConfig(HeadPieceConfig):
    """Depth and kernel of the towers, and what the first scores are."""

    summary: ClassVar[str] = "light class and box towers at every level"
    kind: Literal["decoupled"] = "decoupled"
    channels: int | None = Field(default=None, ge=1, description="width of the towers; that of the maps when not given")
    depth: int = Field(default=2, ge=1, description="separable convolutions in each tower")
    kernel: int = Field(default=5, ge=3, description="of the depthwise convolutions; odd")
    prior: float = Field(default=0.01, gt=0, lt=1, description="the first scores, after a sigmoid")

    emits: ClassVar[type] = RawDense

    def build(self, spec: FeatureSpec, *, shape: HeadShape) -> nn.Module:
        """The head for all maps; raises UserError for an even kernel."""
        return DecoupledHead(self, spec, shape=shape)


class DecoupledHead(nn.Module):
    """FeatureMaps -> RawDense."""

    def __init__(self, config: DecoupledHeadConfig, spec: FeatureSpec, *, shape: HeadShape) -> None:
        super().__init__()
        if config.kernel % 2 == 0:
            raise UserError(f"head.kernel must be odd, not {config.kernel}: 3 or 5.")
        self.num_logits = shape.num_logits
        levels = list(zip(spec.channels, shape.per_cell, strict=True))
        widths = [config.channels or inputs for inputs, _ in levels]
        self.class_towers = nn.ModuleList(
            _tower(config, inputs, width) for (inputs, _), width in zip(levels, widths, strict=True)
        )
        self.box_towers = nn.ModuleList(
            _tower(config, inputs, width) for (inputs, _), width in zip(levels, widths, strict=True)
        )
        # The last layers start small, so that the first scores are the prior and the first boxes the codec's default.
        bias = -math.log((1 - config.prior) / config.prior)
        self.classes = nn.ModuleList(
            _last(width, count * shape.num_logits, bias=bias) for width, (_, count) in zip(widths, levels, strict=True)
        )
        self.boxes = nn.ModuleList(_last(width, count * 4) for width, (_, count) in zip(widths, levels, strict=True))

    def named_rows(self) -> dict[str, int]:
        """See `pieces.HeadPieceConfig`: logits, of each anchor in turn."""
        return {f"classes.{level}": 1 for level in range(len(self.classes))}

    def forward(self, features: FeatureMaps) -> RawDense:
        """All levels one behind the other: boxes [B, P, 4], logits [B, P, C]."""
        boxes, logits = [], []
        for level, one in enumerate(features.maps):
            boxes.append(_by_place(self.boxes[level](self.box_towers[level](one)), 4))
            logits.append(_by_place(self.classes[level](self.class_towers[level](one)), self.num_logits))
        sizes = tuple((one.shape[2], one.shape[3]) for one in features.maps)
        return RawDense(boxes=torch.cat(boxes, dim=1), logits=torch.cat(logits, dim=1), sizes_hw=sizes)


def _tower(config: DecoupledHeadConfig, inputs: int, width: int) -> nn.Sequential:
    parts: list[nn.Module] = []
    for _ in range(config.depth):
        parts += [
            conv_norm_relu(inputs, inputs, kernel=config.kernel, groups=inputs),
            conv_norm_relu(inputs, width, kernel=1),
        ]
        inputs = width
    return nn.Sequential(*parts)


def _last(inputs: int, outputs: int, *, bias: float = 0.0) -> nn.Conv2d:
    conv = nn.Conv2d(inputs, outputs, 1)
    nn.init.normal_(conv.weight, std=0.01)
    assert conv.bias is not None
    nn.init.constant_(conv.bias, bias)
    return conv


def _by_place(maps: Tensor, numbers: int) -> Tensor:
    """[B, A * numbers, h, w] -> [B, h * w * A, numbers]: row, column, anchor."""
    return maps.permute(0, 2, 3, 1).flatten(1).unflatten(1, (-1, numbers))
