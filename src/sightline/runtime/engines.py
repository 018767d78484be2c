"""What computes a graph: ONNX Runtime or OpenVINO, each imported when an artefact needs it. Next: artefact.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

import numpy as np

from sightline.errors import MissingExtra, UserError
from sightline.runtime.artefact_file import Stored

FEATURE = "Running an exported model"


class Engine(Protocol):
    """A graph, ready to run."""

    def run(self, inputs: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        """All outputs in the order of the graph, for all inputs by name."""
        ...


class OnnxEngine:
    """ONNX Runtime on the CPU."""

    def __init__(self, stored: Stored, *, threads: int | None) -> None:
        """Load the graph.

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
        try:
            self.session = onnxruntime.InferenceSession(stored.graph, options, providers=["CPUExecutionProvider"])
        except (state.Fail, state.InvalidGraph, state.InvalidProtobuf, state.NotImplemented) as error:
            raise _cannot("onnxruntime", onnxruntime.__version__, error) from error

    def run(self, inputs: Mapping[str, np.ndarray]) -> list[np.ndarray]:
        """All outputs in the order of the graph."""
        return [np.asarray(output) for output in self.session.run(None, dict(inputs))]


class OpenVinoEngine:
    """OpenVINO on the CPU, in single precision also where the processor has bfloat16."""

    def __init__(self, stored: Stored, *, threads: int | None) -> None:
        """Load the graph.

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
            model = core.read_model(stored.graph, stored.weights)
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
    made = OnnxEngine if stored.card.engine == "onnx" else OpenVinoEngine
    return made(stored, threads=threads)


def _cannot(library: str, version: str, error: Exception) -> UserError:
    reason = str(error).strip().splitlines()[0]
    return UserError(f"{library} {version} cannot run this artefact ({reason}). Install a newer {library}.")
