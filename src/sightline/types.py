"""What flows between the pieces once pixels are read. All are frozen; tensors inside.

Letters in shapes, here and everywhere:
    B batch, T time, K points (keypoints), N boxes, C channels, H W input picture,
    h w feature map, L levels (or the bins of an axis, where a piece says so).
Next: images.py
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TypeVar

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor

T = TypeVar("T", bound="_Moves")


class _Moves:
    """`to(device)` for a frozen dataclass of tensors."""

    def to(self: T, device: torch.device | str) -> T:
        """The same value on another device."""
        moved = {
            f.name: value.to(device, non_blocking=True) if isinstance(value := getattr(self, f.name), Tensor) else value
            for f in fields(self)  # type: ignore[arg-type]
        }
        return type(self)(**moved)


@dataclass(frozen=True, kw_only=True, eq=False)
class Sample:
    """One picture, warped to the network's input size, and its points there.

    Attributes:
        image: [H, W, C] uint8.
        points_xy: [K, 2] float32, in input pixels.
        visible: [K] bool: labelled and inside the input picture.
        to_input: [2, 3] float64, original pixels -> input pixels.
        index: the record's position in its data set.
    """

    image: np.ndarray
    points_xy: np.ndarray
    visible: np.ndarray
    to_input: np.ndarray
    index: int


@dataclass(frozen=True, kw_only=True, eq=False)
class Batch(_Moves):
    """Samples stacked; what the network and the codec see."""

    images: UInt8[Tensor, "B C H W"]
    points_xy: Float[Tensor, "B K 2"]
    visible: Bool[Tensor, "B K"]
    to_input: Float[Tensor, "B 2 3"]
    index: Int[Tensor, "B"]

    def __len__(self) -> int:
        """Number of pictures, B."""
        return len(self.images)


@dataclass(frozen=True, kw_only=True)
class FeatureSpec:
    """What a backbone or neck gives, known before any picture is seen.

    Attributes:
        channels: of each map, finest first.
        strides: input pixels per cell of each map.
        sizes_hw: (h, w) of each map at the experiment's input size; (1, 1) is a vector.
    """

    channels: tuple[int, ...]
    strides: tuple[float, ...]
    sizes_hw: tuple[tuple[int, int], ...]

    def __post_init__(self) -> None:
        """Check that the three lists are of one length."""
        assert len(self.channels) == len(self.strides) == len(self.sizes_hw), self

    def __str__(self) -> str:
        """For messages: '24 channels at stride 4 (32 x 32), ...'."""
        levels = zip(self.channels, self.strides, self.sizes_hw, strict=True)
        return ", ".join(f"{c} channels at stride {s:g} ({h} x {w})" for c, s, (h, w) in levels)


@dataclass(frozen=True, kw_only=True, eq=False)
class FeatureMaps:
    """Feature maps, finest first: each [B, C, h, w]."""

    maps: tuple[Tensor, ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class RawCoords:
    """Coordinates as a regression head emits them: 0 is the left or top edge of the input, 1 the other."""

    xy: Float[Tensor, "B K 2"]


@dataclass(frozen=True, kw_only=True, eq=False)
class RawHeatmaps:
    """One map of logits for each point."""

    logits: Float[Tensor, "B K h w"]


@dataclass(frozen=True, kw_only=True, eq=False)
class RawAxes:
    """SimCC: for each point one row of logits along x and one along y."""

    x: Float[Tensor, "B K Lx"]
    y: Float[Tensor, "B K Ly"]


Raw = RawCoords | RawHeatmaps | RawAxes


@dataclass(frozen=True, kw_only=True, eq=False)
class Points(_Moves):
    """Predicted points. Codecs give them in input pixels; predict.py maps them to the original file.

    `score` is in 0..1 and means what its codec's docstring says.
    """

    xy: Float[Tensor, "B K 2"]
    score: Float[Tensor, "B K"]

    def __len__(self) -> int:
        """Number of pictures, B."""
        return len(self.xy)
