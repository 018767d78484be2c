"""One case of encoding targets and taking the loss, in our way and in the dense ones. Next: peak_memory.py."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

import torch
from torch import Tensor

from sightline.bench.dense import LossKind, dense_loss, dense_target, outer_target
from sightline.codecs.heatmap import HeatmapCodecConfig
from sightline.codecs.protocol import CodecShape
from sightline.types import RawHeatmaps, Truth

STRIDE, SIGMA = 4.0, 1.5
Way = Literal["ours", "dense", "outer"]


@dataclass(frozen=True, kw_only=True)
class Case:
    """Sizes, loss, whether the gradient is asked for, and by which way."""

    batch: int
    num_points: int
    side: int
    loss: LossKind
    backward: bool
    way: Way = "ours"

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)

    def resized(self, *, batch: int, num_points: int, side: int) -> Case:
        """The same case with other sizes."""
        return replace(self, batch=batch, num_points=num_points, side=side)

    @property
    def logit_bytes(self) -> int:
        """Size of the logits, and of their gradient."""
        return 4 * self.batch * self.num_points * self.side**2


@dataclass(frozen=True, kw_only=True, eq=False)
class Inputs:
    """Random logits, and points anywhere in the picture."""

    logits: Tensor
    points_xy: Tensor
    visible: Tensor


def make_inputs(case: Case) -> Inputs:
    """The inputs of a case, always the same."""
    generator = torch.Generator().manual_seed(0)
    maps, points = (case.batch, case.num_points, case.side, case.side), (case.batch, case.num_points)
    return Inputs(
        logits=torch.randn(maps, generator=generator).requires_grad_(case.backward),
        points_xy=torch.rand(*points, 2, generator=generator) * case.side * STRIDE,
        visible=torch.ones(points, dtype=torch.bool),
    )


def make_ways(case: Case, inputs: Inputs) -> dict[Way, Callable[[], float]]:
    """Functions that encode, take the loss, go backward where asked, and return the loss."""
    input_side = round(case.side * STRIDE)
    shape = CodecShape(input_hw=(input_side, input_side), map_hw=(case.side, case.side))
    codec = HeatmapCodecConfig(loss_kind=case.loss, sigma=SIGMA).build(shape)
    size = {"map_hw": (case.side, case.side), "stride": STRIDE, "sigma": SIGMA}

    def ours() -> Tensor:
        return codec.loss(
            RawHeatmaps(logits=inputs.logits), codec.encode(Truth.of_points(inputs.points_xy, inputs.visible))
        )

    def dense() -> Tensor:
        return dense_loss(inputs.logits, dense_target(inputs.points_xy, **size), kind=case.loss)

    def outer() -> Tensor:
        return dense_loss(inputs.logits, outer_target(inputs.points_xy, **size), kind=case.loss)

    def whole(loss_of: Callable[[], Tensor]) -> Callable[[], float]:
        def step() -> float:
            loss = loss_of()
            if case.backward:
                loss.backward()
                inputs.logits.grad = None
            return loss.item()

        return step

    return {"ours": whole(ours), "dense": whole(dense), "outer": whole(outer)}
