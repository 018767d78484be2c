"""What every interchangeable piece has in common: a frozen typed config that can build it.

A piece is one file with one config class. Its folder's `__init__.py` holds one literal
table, key -> config class. `--use neck=fpn` picks a config from such a table.
Next: backbones/
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor, nn

from sightline.types import FeatureMaps, FeatureSpec


class PieceConfig(BaseModel):
    """Base of every config: frozen, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
    summary: ClassVar[str] = ""


@dataclass(frozen=True, kw_only=True)
class HeadShape:
    """What a head must give.

    Attributes:
        input_hw: the network's input.
        num_points: of the skeleton; 0 for boxes.
        num_logits: class logits at each place: the classes, and a background where the codec has one.
        per_cell: boxes at each cell of each level, for dense heads: as many as the codec has anchors there.
    """

    input_hw: tuple[int, int]
    num_points: int = 0
    num_logits: int = 0
    per_cell: tuple[int, ...] = ()


class HeadPieceConfig(PieceConfig):
    """Base of head configs: which Raw type comes out, and how small the finest map may be.

    A module with layers whose rows belong to the points or classes by name has `named_rows() -> dict[str, int]`: the
    layers, and how many rows in a place each name has. Rows lie as [anchors, names, rows of a name], where the
    background is the first name if the codec has one. From it weights of other names are taken over (donor.py).
    """

    emits: ClassVar[type]
    min_cells: ClassVar[int] = 1


Finds = Literal["points", "one-box", "boxes", "track"]


class CodecPieceConfig(PieceConfig):
    """Base of codec configs: which Raw type goes in, and what comes out."""

    takes: ClassVar[type]
    finds: ClassVar[Finds] = "points"

    def num_logits(self, num_classes: int) -> int:
        """Class logits at each place."""
        return num_classes

    def per_cell(self, num_levels: int) -> tuple[int, ...]:
        """Boxes at each cell of each level of a dense head."""
        return (1,) * num_levels


class ContextPieceConfig(PieceConfig):
    """Base of context configs: how much of the past the piece looks at.

    Its module takes `FeatureMaps` of maps [B, T, C, h, w] (T = 1 + past_frames; the current frame first, then the past
    ones, oldest first), past points [B, L, 2] as shares of the input, and which of them were visible [B, L]. It gives
    `FeatureMaps` of maps [B, C, h, w].
    """

    past_frames: int = 0
    history: int = 0


def spec_of(maps: FeatureMaps, size_hw: tuple[int, int]) -> FeatureSpec:
    """Describe feature maps that came from a picture of `size_hw`."""
    height, _ = size_hw
    return FeatureSpec(
        channels=tuple(m.shape[1] for m in maps.maps),
        strides=tuple(height / m.shape[2] for m in maps.maps),
        sizes_hw=tuple((m.shape[2], m.shape[3]) for m in maps.maps),
    )


def fake_images(channels: int, size_hw: tuple[int, int]) -> Tensor:
    """Two pictures without memory, to learn shapes from (two, for batch normalisation in training mode)."""
    return torch.empty(2, channels, *size_hw, device="meta")


def fake_maps(spec: FeatureSpec) -> FeatureMaps:
    """Feature maps without memory, of the shapes that a spec promises."""
    levels = zip(spec.channels, spec.sizes_hw, strict=True)
    return FeatureMaps(maps=tuple(torch.empty(2, c, h, w, device="meta") for c, (h, w) in levels))


def conv_norm_relu(inputs: int, outputs: int, *, kernel: int = 3, groups: int = 1) -> nn.Sequential:
    """Convolution with padding that keeps the size, batch normalisation, ReLU."""
    conv = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True))
