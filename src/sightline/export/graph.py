"""A trained model as one module from pixels to answer, and that module as an ONNX graph.

In the graph: resampling of the area, normalisation, network, decoding with suppression, and the way back to pixels
of the picture. Inputs and outputs are `card.INPUTS` and `card.OUTPUTS`. Next: parity.py
"""

from __future__ import annotations

import copy
import io
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from jaxtyping import Float, UInt8
from torch import Tensor, nn

from sightline.codecs.protocol import Codec
from sightline.config import Experiment
from sightline.errors import MissingExtra, UserError
from sightline.export.resample import Resample
from sightline.export.translations import translations
from sightline.runtime.card import INPUTS, OUTPUTS
from sightline.types import Points

OPSET = 20
LARGEST_SIDE = 65535  # of a picture, as in JPEG
EXAMPLE_HW = (97, 131)  # no size that the network itself has, so that none is taken for it


class PictureToAnswer(nn.Module):
    """picture [H, W, C] uint8 and area_xyxy [4] float64 -> what the task's outputs are, in pixels of the picture."""

    def __init__(self, network: nn.Module, codec: Codec, experiment: Experiment) -> None:
        """Put the parts together.

        Args:
            network: a Locator or a folded copy of one, on the CPU, in evaluation mode.
            codec: belongs to it.
            experiment: likewise.
        """
        super().__init__()
        self.resample = Resample(input_hw=experiment.data.input_hw)
        self.network = network
        self.codec = codec
        self.input_hw = experiment.data.input_hw

    def forward(self, picture: UInt8[Tensor, "H W C"], area_xyxy: Float[Tensor, "4"]) -> tuple[Tensor, ...]:
        """Points: points_xy [K, 2], scores [K]. Boxes: boxes_xyxy [N, 4], scores [N], labels [N], cut at the edges."""
        decoded = self.codec.decode(self.network(self.resample(picture, area_xyxy)))
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


def to_onnx(module: PictureToAnswer, experiment: Experiment) -> bytes:
    """The graph, serialised, for pictures of any size.

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

    height, width = EXAMPLE_HW
    picture = torch.zeros(height, width, experiment.data.channels, dtype=torch.uint8)
    area = torch.tensor([0.0, 0.0, width, height], dtype=torch.float64)
    sides = {0: torch.export.Dim("height", max=LARGEST_SIDE), 1: torch.export.Dim("width", max=LARGEST_SIDE)}
    outputs = OUTPUTS["points" if experiment.codec.finds == "points" else "boxes"]
    buffer = io.BytesIO()
    try:
        with _quiet():
            program = torch.onnx.export(
                copy.deepcopy(module).eval(),
                (picture, area),
                dynamo=True,
                opset_version=OPSET,
                input_names=list(INPUTS),
                output_names=list(outputs),
                dynamic_shapes=(sides, None),
                custom_translation_table=translations(),
                verbose=False,
            )
    except torch.onnx.errors.OnnxExporterError as error:
        raise UserError(
            f"Recipe '{experiment.recipe}' cannot be exported: {_reason(error)}. Its network or decoder has an "
            "operation that ONNX cannot express; `sightline pieces` lists others to train with."
        ) from error
    assert program is not None
    program.save(buffer)
    return buffer.getvalue()


def _reason(error: BaseException) -> str:
    """The first line of the innermost cause."""
    while error.__cause__ is not None:
        error = error.__cause__
    lines = str(error).strip().splitlines()
    return f"{type(error).__name__}: {lines[0].strip().rstrip('.')}" if lines else type(error).__name__


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the exporter's warnings about its own workings."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
