"""Static int8 quantisation of an exported graph, calibrated on the user's pictures. Next: latency.py.

Only what the network itself computes becomes int8, and of that the convolutions with the activations behind them:
resampling, normalisation and decoding work with coordinates, of which 256 levels are far too few. The first and the
last convolutions (those that nothing but other operations feed or that feed no other convolution) stay in floating
point too, and so does every convolution that by itself moves the network's outputs too far. Which these are is
measured and not assumed: in a MobileNet they are the first depthwise ones, whose channels differ by a factor of a
hundred, and not those of the head.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sightline.errors import MissingExtra, UserError
from sightline.runtime.engines import OnnxEngine

if TYPE_CHECKING:
    from onnx import ModelProto

SCOPES = "pkg.torch.onnx.name_scopes"  # where torch's exporter writes which module a node comes from
NETWORK = "network"  # the name of the network in graph.PixelsToAnswer and in tracker.py
QUANTISED = ("Conv",)
FOLDED = ("Clip", "Relu")  # behind a convolution they become the bounds of its int8 output, and cost nothing
# How far one convolution may move the network's outputs, as a share of their spread: what is tried, in this order.
# Errors of several add up in quadrature; ten of 0.03 move the outputs by a tenth of their spread.
MOST_MOVED = (0.03, 0.01)
CALIBRATED_ON = 64  # inputs of a graph; the ranges hardly move behind that
LOOKED_AT = 4  # of these, by which it is decided what becomes int8
GROUP = 8  # convolutions that are judged together before they are judged one by one

Inputs = Mapping[str, np.ndarray]  # of a graph, by name


class Quantiser:
    """A graph with the ranges of its values, so that any of its convolutions can be quantised."""

    def __init__(self, graph: bytes, *, calibrate_on: Iterable[Inputs], look_at: Sequence[Inputs]) -> None:
        """Measure the ranges.

        Args:
            graph: what `graph.to_onnx` gave, or one of a tracker's.
            calibrate_on: what the ranges are taken from.
            look_at: a few of these; by them it is judged how far a convolution moves the outputs.

        Raises:
            MissingExtra: onnx or onnxruntime is not installed.
            UserError: the network has nothing that can be quantised.
        """
        try:
            import onnx
            from onnxruntime.quantization import CalibrationMethod, create_calibrator, quant_pre_process
        except ImportError as error:
            raise MissingExtra(feature="sightline export --int8", extra="export") from error
        self.convolutions = inner_convolutions(graph)
        if not self.convolutions:  # an empty list would mean all to the quantiser
            raise UserError(
                "--int8 quantises convolutions between other convolutions, and this network has none. Leave it out."
            )
        with tempfile.TemporaryDirectory() as name, _quiet():
            plain, prepared, watched = (Path(name) / f"{kind}.onnx" for kind in ("plain", "prepared", "watched"))
            plain.write_bytes(graph)
            quant_pre_process(plain, prepared, skip_optimization=True, skip_symbolic_shape=True)
            self._prepared = onnx.load(prepared)
            calibrator = create_calibrator(
                prepared,
                [*QUANTISED, *FOLDED],
                augmented_model_path=str(watched),
                calibrate_method=CalibrationMethod.MinMax,
            )
            # The reader is anything that has get_next.
            calibrator.collect_data(_Reader(calibrate_on))  # type: ignore[arg-type]
            self._ranges = calibrator.compute_data()
        self._outputs = network_outputs(self._prepared)
        self._look_at = look_at
        self._wanted = _run(self._prepared, self._outputs, look_at)
        self._moved: dict[tuple[str, ...], float] = {}

    def quantised(self, convolutions: Sequence[str]) -> bytes:
        """The graph with these convolutions in int8, activations and weights, between (De)QuantizeLinear."""
        return self._with(convolutions).SerializeToString()

    def robust(self, most: float) -> list[str]:
        """The convolutions that may be int8: each moves the network's outputs by at most `most` of their spread.

        They are tried all at once, then in groups, and one by one only where a group moves the outputs too far.
        """
        if self.moved(self.convolutions) <= most:
            return list(self.convolutions)
        starts = range(0, len(self.convolutions), GROUP)
        return [name for start in starts for name in self._robust(self.convolutions[start : start + GROUP], most)]

    def moved(self, convolutions: Sequence[str]) -> float:
        """How far the outputs of the network move if these are int8: root mean square, as a share of their spread."""
        key = tuple(convolutions)
        if key not in self._moved:
            found = _run(self._with(convolutions), self._outputs, self._look_at)
            self._moved[key] = max(
                (_apart(one, other) for one, other in zip(self._wanted, found, strict=True)), default=0.0
            )
        return self._moved[key]

    def _robust(self, group: list[str], most: float) -> list[str]:
        if self.moved(group) <= most:
            return group
        if len(group) == 1:
            return []
        half = len(group) // 2
        return self._robust(group[:half], most) + self._robust(group[half:], most)

    def _with(self, convolutions: Sequence[str]) -> ModelProto:
        from onnxruntime.quantization import QDQQuantizer, QuantType

        model = type(self._prepared)()
        model.CopyFrom(self._prepared)
        nodes = [*convolutions, *folded_into(model, convolutions)]
        with _quiet():
            quantiser = QDQQuantizer(
                model,
                per_channel=True,
                reduce_range=False,
                weight_qType=QuantType.QInt8,
                activation_qType=QuantType.QUInt8,
                tensors_range=self._ranges,
                nodes_to_quantize=nodes,
                nodes_to_exclude=[],
                op_types_to_quantize=[*QUANTISED, *FOLDED],
                extra_options={"ActivationSymmetric": False, "WeightSymmetric": True},
            )
            quantiser.quantize_model()
        return quantiser.model.model


def inner_convolutions(graph: bytes) -> list[str]:
    """Names of the network's convolutions that have a convolution before them and one behind them."""
    import onnx

    model = onnx.load_from_string(graph)
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


def folded_into(model: ModelProto, convolutions: Sequence[str]) -> list[str]:
    """Names of the activations that bound the output of one of these convolutions and alone take it."""
    chosen = set(convolutions)
    takers: dict[str, int] = {}
    for node in model.graph.node:
        for value in node.input:
            takers[value] = takers.get(value, 0) + 1
    bounded = {
        output for node in model.graph.node if node.name in chosen for output in node.output if takers.get(output) == 1
    }
    return [node.name for node in model.graph.node if node.op_type in FOLDED and node.input[0] in bounded]


def network_outputs(model: ModelProto) -> list[str]:
    """Values that the network gives to what stands behind it: decoding, or nothing."""
    inside = {value for node in model.graph.node if _is_of_network(node) for value in node.output}
    taken = [value for node in model.graph.node if not _is_of_network(node) for value in node.input]
    given = [value.name for value in model.graph.output]
    return list(dict.fromkeys(value for value in [*taken, *given] if value in inside))


def _is_of_network(node: Any) -> bool:  # noqa: ANN401 (onnx.NodeProto, imported where it is needed)
    told = {entry.key: entry.value for entry in node.metadata_props}
    return f"'{NETWORK}'" in told.get(SCOPES, "") or f"'{NETWORK}." in told.get(SCOPES, "")


def _run(model: ModelProto, outputs: Sequence[str], given: Sequence[Inputs]) -> list[np.ndarray]:
    """Inner values of a graph, one array for each with all inputs behind each other."""
    import onnx

    watched = type(model)()
    watched.CopyFrom(model)
    known = {value.name for value in model.graph.output}
    watched.graph.output.extend(onnx.ValueInfoProto(name=name) for name in outputs if name not in known)
    engine = OnnxEngine(watched.SerializeToString(), threads=None)
    places = [value.name for value in watched.graph.output]
    found = [dict(zip(places, engine.run(inputs), strict=True)) for inputs in given]
    return [np.concatenate([np.ravel(values[name]) for values in found]) for name in outputs]


def _apart(wanted: np.ndarray, found: np.ndarray) -> float:
    """Root mean square of the difference as a share of the spread; shapes and other whole numbers do not count."""
    if not np.issubdtype(wanted.dtype, np.floating) or (spread := float(wanted.std(dtype=np.float64))) == 0:
        return 0.0
    return float(np.sqrt(np.mean(np.square(wanted - found, dtype=np.float64)))) / spread


class _Reader:
    """One input after the other, as onnxruntime wants them."""

    def __init__(self, inputs: Iterable[Inputs]) -> None:
        self.left = iter(inputs)

    def get_next(self) -> dict[str, np.ndarray] | None:
        """Inputs by name, or None behind the last."""
        given = next(self.left, None)
        return None if given is None else dict(given)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the quantiser's advice, which it writes to the root logger and to standard output."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with redirect_stdout(StringIO()):
            yield
    finally:
        logging.disable(before)
