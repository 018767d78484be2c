"""Static int8 quantisation of an exported graph, calibrated on the user's pictures. Next: latency.py.

Only what the network itself computes becomes int8, and of that the convolutions: resampling, normalisation and
decoding work with coordinates, of which 256 levels are far too few. The first and the last convolutions (those that
nothing but other operations feed or that feed no other convolution) stay in floating point too.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from sightline.errors import MissingExtra, UserError
from sightline.geometry import Box
from sightline.runtime.card import INPUTS

SCOPES = "pkg.torch.onnx.name_scopes"  # where torch's exporter writes which module a node comes from
NETWORK = "network"  # the name of the network in graph.PixelsToAnswer
QUANTISED = ("Conv",)


def quantise(graph: bytes, pictures: Iterable[tuple[np.ndarray, Box]]) -> bytes:
    """The graph with its inner convolutions in int8, activations and weights, as QuantizeLinear and DequantizeLinear.

    Args:
        graph: what `graph.to_onnx` gave.
        pictures: what the ranges of activations are taken from: each [H, W, C] uint8 with an area.

    Raises:
        MissingExtra: onnx or onnxruntime is not installed.
        UserError: the network has nothing that can be quantised.
    """
    try:
        import onnx
        from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static
        from onnxruntime.quantization.shape_inference import quant_pre_process
    except ImportError as error:
        raise MissingExtra(feature="sightline export --int8", extra="export") from error
    with tempfile.TemporaryDirectory() as folder, _quiet():
        plain, prepared, made = (Path(folder) / name for name in ("plain.onnx", "prepared.onnx", "int8.onnx"))
        plain.write_bytes(graph)
        model = onnx.load(plain)
        kept = inner_convolutions(model)
        if not kept:  # an empty list would mean all to the quantiser
            raise UserError(
                "--int8 quantises convolutions between other convolutions, and this network has none. Leave it out."
            )
        quant_pre_process(plain, prepared, skip_optimization=True, skip_symbolic_shape=True)
        quantize_static(
            prepared,
            made,
            _Reader(pictures),  # type: ignore[arg-type]  (it takes whatever has get_next)
            quant_format=QuantFormat.QDQ,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            per_channel=True,
            reduce_range=False,
            nodes_to_quantize=kept,
            op_types_to_quantize=list(QUANTISED),
            calibrate_method=CalibrationMethod.MinMax,
            extra_options={"ActivationSymmetric": False, "WeightSymmetric": True},
        )
        return made.read_bytes()


def inner_convolutions(model: Any) -> list[str]:  # noqa: ANN401 (onnx.ModelProto, imported where it is needed)
    """Names of the network's convolutions that have a convolution before them and one behind them."""
    nodes = {node.name: node for node in model.graph.node}
    made_by = {output: node.name for node in model.graph.node for output in node.output}
    inside = [name for name, node in nodes.items() if node.op_type in QUANTISED and _is_of_network(node)]
    behind: dict[str, set[str]] = {}
    for name in nodes:  # an ONNX graph is sorted: what feeds a node stands before it
        fed: set[str] = set()
        for value in nodes[name].input:
            giver = made_by.get(value)
            if giver is not None:
                fed |= behind[giver] | ({giver} if giver in inside else set())
        behind[name] = fed
    feeding = set().union(*(behind[name] for name in inside)) if inside else set()
    return [name for name in inside if behind[name] and name in feeding]


def _is_of_network(node: Any) -> bool:  # noqa: ANN401
    told = {entry.key: entry.value for entry in node.metadata_props}
    return f"'{NETWORK}'" in told.get(SCOPES, "") or f"'{NETWORK}." in told.get(SCOPES, "")


class _Reader:
    """One picture after the other, as onnxruntime wants them."""

    def __init__(self, pictures: Iterable[tuple[np.ndarray, Box]]) -> None:
        self.left: Iterator[tuple[np.ndarray, Box]] = iter(pictures)

    def get_next(self) -> dict[str, np.ndarray] | None:
        """Inputs by name, or None behind the last."""
        given = next(self.left, None)
        if given is None:
            return None
        return dict(zip(INPUTS, (given[0], np.array(given[1], dtype=np.float64)), strict=True))


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the quantiser's advice, which it writes to the root logger."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)
