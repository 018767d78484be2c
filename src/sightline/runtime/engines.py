"""What computes a graph: ONNX Runtime or OpenVINO, each imported when an artefact needs it. Next: artefact.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np

from sightline.errors import MissingExtra, UserError
from sightline.runtime.artefact_file import Stored

FEATURE = "Running an exported model"
# Gives a convolution that export kept in single precision, between others in int8, weights of 8 bits with one scale for
# all channels; on the first depthwise layers of a MobileNet that costs a seventh of the outputs' spread.
UNWANTED = ["WeightBiasQuantization"]


class Engine(Protocol):
    """A graph, ready to run."""

    def run(self, inputs: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        """All outputs in the order of the graph, for all inputs by name."""
        ...


class OnnxEngine:
    """ONNX Runtime on the CPU."""

    def __init__(self, graph: bytes, *, threads: int | None, spinning: bool = True) -> None:
        """Load the graph.

        Args:
            graph: an ONNX model.
            threads: how many it may use; as many as it likes without.
            spinning: whether threads wait for each other by running in circles: faster, and it costs whoever else has
                something to do his processor.

        Raises:
            MissingExtra: onnxruntime is not installed.
            UserError: this version of it cannot run the graph.
        """
        try:
            import onnxruntime
            from onnxruntime.capi import onnxruntime_pybind11_state as state  # type: ignore[attr-defined]
        except ImportError as error:
            raise MissingExtra(feature=FEATURE, extra="export") from error
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        if threads is not None:
            options.intra_op_num_threads = threads
        if not spinning:
            options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            self.session = onnxruntime.InferenceSession(
                graph, options, providers=["CPUExecutionProvider"], disabled_optimizers=UNWANTED
            )
        except (state.Fail, state.InvalidGraph, state.InvalidProtobuf, state.NotImplemented) as error:
            raise _cannot("onnxruntime", onnxruntime.__version__, error) from error

    def run(self, inputs: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        """All outputs in the order of the graph."""
        return [np.asarray(output) for output in self.session.run(None, dict(inputs))]


class OpenVinoEngine:
    """OpenVINO on the CPU, in single precision also where the processor has bfloat16."""

    def __init__(self, graph: bytes, weights: bytes, *, threads: int | None) -> None:
        """Load the graph.

        Args:
            graph: the model's XML.
            weights: its other file.
            threads: how many it may use; as many as it likes without.

        Raises:
            MissingExtra: openvino is not installed.
            UserError: this version of it cannot run the graph.
        """
        try:
            import openvino
        except ImportError as error:
            raise MissingExtra(feature=FEATURE, extra="export") from error
        options: dict[str, object] = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
        if threads is not None:
            options["INFERENCE_NUM_THREADS"] = threads
        core = openvino.Core()
        try:
            model = core.read_model(graph, weights)
            self.request = core.compile_model(model, "CPU", options).create_infer_request()
        except RuntimeError as error:
            raise _cannot("openvino", openvino.__version__, error) from error

    def run(self, inputs: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        """All outputs in the order of the graph."""
        found = self.request.infer(dict(inputs), share_inputs=True)
        return [np.array(value) for value in found.values()]


def engine_for(stored: Stored, *, threads: int | None = None) -> Engine:
    """The engine that a stored artefact was made for.

    Args:
        stored: what its file holds.
        threads: how many the engine may use; without it as many as it likes.
    """
    if stored.card.engine == "onnx":
        return OnnxEngine(stored.graph, threads=threads)
    return OpenVinoEngine(stored.graph, stored.weights, threads=threads)


def _cannot(library: str, version: str, error: Exception) -> UserError:
    reason = str(error).strip().splitlines()[0]
    return UserError(f"{library} {version} cannot run this artefact ({reason}). Install a newer {library}.")
