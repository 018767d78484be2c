"""A trained model as one ONNX graph from a picture to the answer.

In the graph: resampling of the area, normalisation, network, decoding with suppression, and the way back to pixels
of the picture. Inputs and outputs are `card.INPUTS` and `card.OUTPUTS`. Traced in parts; branches.py joins them.
Next: branches.py
"""

from __future__ import annotations

import copy
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from sightline.codecs.protocol import Codec
from sightline.config import Experiment
from sightline.errors import MissingExtra, UserError
from sightline.export.resample import Resample, Shrinks
from sightline.export.translations import translations
from sightline.runtime.card import INPUTS, OUTPUTS
from sightline.types import Points

if TYPE_CHECKING:
    from onnx import ModelProto

OPSET = 20
LARGEST_SIDE = 65535  # of a picture, as in JPEG
EXAMPLE_HW = (97, 131)  # no size that the network itself has, so that none is taken for it


class PixelsToAnswer(nn.Module):
    """pixels [1, C, h, w], picture [H, W, C] uint8 and area_xyxy [4] float64 -> the task's outputs, in its pixels."""

    def __init__(self, network: nn.Module, codec: Codec, experiment: Experiment) -> None:
        """Put the parts together.

        Args:
            network: a Locator or a folded copy of one, on the CPU, in evaluation mode.
            codec: belongs to it.
            experiment: likewise.
        """
        super().__init__()
        self.network = network
        self.codec = codec
        self.input_hw = experiment.data.input_hw

    def forward(
        self, pixels: Float[Tensor, "1 C h w"], picture: UInt8[Tensor, "H W C"], area_xyxy: Float[Tensor, "4"]
    ) -> tuple[Tensor, ...]:
        """Points: points_xy [K, 2], scores [K]. Boxes: boxes_xyxy [N, 4], scores [N], labels [N], cut at the edges."""
        decoded = self.codec.decode(self.network(pixels))
        low, high = area_xyxy[:2], area_xyxy[2:]
        height, width = self.input_hw
        step = (high - low) / low.new_tensor([width, height])
        if isinstance(decoded, Points):
            return (decoded.xy[0] * step + low).float(), decoded.score[0].float()
        corners = decoded.xyxy[0].unflatten(1, (2, 2)) * step + low  # [N, 2, 2]
        limit = torch.cat([torch.full_like(low[:1], side) for side in (picture.shape[1], picture.shape[0])])
        boxes = torch.minimum(corners.clamp_min(0), limit).flatten(1).float()
        there = (boxes[:, 2:] > boxes[:, :2]).all(dim=1).nonzero()[:, 0]  # what lies outside of it altogether goes
        return boxes[there], decoded.score[0][there].float(), decoded.label[0][there]


def to_onnx(network: nn.Module, codec: Codec, experiment: Experiment) -> bytes:
    """The graph, serialised, for pictures of any size.

    Args:
        network: as for `PixelsToAnswer`, and the others too.
        codec: likewise.
        experiment: likewise.

    Raises:
        MissingExtra: onnx or onnxscript is not installed.
        UserError: the model has an operation that ONNX cannot express.
    """
    try:
        import onnx  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise MissingExtra(feature="sightline export", extra="export") from error
    import torchvision  # noqa: F401  (the exporter knows its suppression only where it has been imported)

    from sightline.export.branches import Parts, join

    input_hw, channels = experiment.data.input_hw, experiment.data.channels
    rest = copy.deepcopy(PixelsToAnswer(network, codec, experiment)).eval()
    outputs = OUTPUTS["points" if experiment.codec.finds == "points" else "boxes"]
    try:
        with quiet():
            condition, averaged, interpolated = _resampling(input_hw, channels)
            given = {"pixels": torch.zeros(1, channels, *input_hw), **_example(channels)}
            answer = _traced(rest, given, outputs)
    except torch.onnx.errors.OnnxExporterError as error:
        raise UserError(
            f"Recipe '{experiment.recipe}' cannot be exported: {reason_of(error)}. Its network or decoder has an "
            "operation that ONNX cannot express; `sightline pieces` lists others to train with."
        ) from error
    parts = Parts(condition=condition, if_true=averaged, if_false=interpolated, rest=answer)
    return join(parts, inputs=INPUTS).SerializeToString()


@lru_cache(maxsize=8)
def _resampling(input_hw: tuple[int, int], channels: int) -> tuple[ModelProto, ModelProto, ModelProto]:
    """Whether to average, averaged, and not; the same for all models of an input."""
    given = _example(channels)
    area = {"area_xyxy": given["area_xyxy"]}
    return (
        _traced(Shrinks(input_hw=input_hw), area, ("shrinks",)),
        _traced(Resample(input_hw=input_hw, averages=True), given, ("pixels",)),
        _traced(Resample(input_hw=input_hw, averages=False), given, ("pixels",)),
    )


def _example(channels: int) -> dict[str, Tensor]:
    """A picture, and all of it."""
    height, width = EXAMPLE_HW
    return {
        "picture": torch.zeros(height, width, channels, dtype=torch.uint8),
        "area_xyxy": torch.tensor([0.0, 0.0, width, height], dtype=torch.float64),
    }


def _traced(module: nn.Module, inputs: Mapping[str, Tensor], outputs: Sequence[str]) -> ModelProto:
    """One part as an ONNX model with these names; the sides of `picture` are free."""
    sides = {0: torch.export.Dim("height", max=LARGEST_SIDE), 1: torch.export.Dim("width", max=LARGEST_SIDE)}
    program = torch.onnx.export(
        module,
        tuple(inputs.values()),
        dynamo=True,
        opset_version=OPSET,
        input_names=list(inputs),
        output_names=list(outputs),
        dynamic_shapes=tuple(sides if name == "picture" else None for name in inputs),
        custom_translation_table=translations(),
        verbose=False,
    )
    assert program is not None
    return program.model_proto


def reason_of(error: BaseException) -> str:
    """The first line of the innermost cause."""
    while error.__cause__ is not None:
        error = error.__cause__
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0].strip().rstrip('.')}" if lines else type(error).__name__


@contextmanager
def quiet() -> Iterator[None]:
    """Without the exporter's warnings about its own workings."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
