"""What a codec is: `encode(truth)`, `loss(raw, target)`, `decode(raw)` in one object, one file.

The three agree on stride, sigma and offsets because they stand together; the test
`decode(perfect(encode(x))) ~= x` runs over the whole table. Next: model.py
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from jaxtyping import Bool, Float
from torch import Tensor

from sightline.types import Points, Raw


@dataclass(frozen=True, kw_only=True)
class CodecShape:
    """What a codec must know of the network: input size, and the size of the maps (if any) it gets."""

    input_hw: tuple[int, int]
    map_hw: tuple[int, int] | None = None

    @property
    def stride_xy(self) -> tuple[float, float]:
        """Input pixels per cell along x and y."""
        assert self.map_hw is not None
        return self.input_hw[1] / self.map_hw[1], self.input_hw[0] / self.map_hw[0]


@dataclass(frozen=True, kw_only=True, eq=False)
class PointTarget:
    """Points in the codec's own units, and which of them count."""

    xy: Float[Tensor, "B K 2"]
    visible: Bool[Tensor, "B K"]


@dataclass(frozen=True, kw_only=True, eq=False)
class FactorTarget:
    """A Gaussian target as its two factors, and which points count. `xy` is in input pixels."""

    x: Float[Tensor, "B K Lx"]
    y: Float[Tensor, "B K Ly"]
    xy: Float[Tensor, "B K 2"]
    visible: Bool[Tensor, "B K"]


class Codec(Protocol):
    """The contract."""

    def encode(self, points_xy: Tensor, visible: Tensor) -> PointTarget | FactorTarget:
        """Truth in input pixels, [B, K, 2] and [B, K], to targets, on the same device."""
        ...

    def loss(self, raw: Raw, target: PointTarget | FactorTarget) -> Tensor:
        """A scalar; points that are not visible do not count, and without any it is 0."""
        ...

    def decode(self, raw: Raw) -> Points:
        """Points in input pixels with a score."""
        ...

    def perfect(self, target: PointTarget | FactorTarget) -> Raw:
        """What a flawless network would emit for a target: the codec's own error shows against it."""
        ...


def masked_mean(per_point: Tensor, visible: Tensor) -> Tensor:
    """Mean of [B, K] over the visible points; 0, with a gradient of 0, where there are none."""
    weights = visible.to(per_point.dtype)
    return (per_point * weights).sum() / weights.sum().clamp_min(1.0)
