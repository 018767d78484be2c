"""What becomes int8: by the place in the network, and by how far it moves the network's outputs."""

from __future__ import annotations

import numpy as np
import pytest

from sightline.errors import UserError
from sightline.export.int8 import SCOPES, Quantiser, folded_into, inner_convolutions, network_outputs
from sightline.runtime.engines import OnnxEngine

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

CHANNELS = 8
CHAIN = [f"conv{number}" for number in range(6)]


def chain(*, loud: float = 1.0, convolutions: int = 6) -> bytes:
    """x [1, 8, 16, 16] -> "scale" (outside the network) -> 1 x 1 convolutions with ReLU between them -> y.

    The second convolution makes its first channel `loud` times as loud, the third as much quieter again: exact in
    floating point, and in 8 bits with one scale for all channels nothing is left of the others.
    """
    rng = np.random.default_rng(0)
    nodes, constants = [], [onnx.numpy_helper.from_array(np.float32(0.5), "half")]
    nodes.append(onnx.helper.make_node("Mul", ["x", "half"], ["scaled"], name="scale"))
    value = "scaled"
    for number in range(convolutions):
        weights = (rng.normal(size=(CHANNELS, CHANNELS, 1, 1)) + np.eye(CHANNELS)[:, :, None, None]).astype(np.float32)
        if number == 1:
            weights[0] *= loud
        if number == 2:
            weights[:, 0] /= loud
        constants.append(onnx.numpy_helper.from_array(weights, f"w{number}"))
        last = number == convolutions - 1
        nodes.append(_inside(f"conv{number}", "Conv", [value, f"w{number}"], "y" if last else f"c{number}"))
        if not last:
            nodes.append(_inside(f"relu{number}", "Relu", [f"c{number}"], f"r{number}"))
            value = f"r{number}"
    shape = [1, CHANNELS, 16, 16]
    ends = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape) for name in ("x", "y")]
    graph = onnx.helper.make_graph(nodes, "chain", ends[:1], ends[1:], constants)
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 20)], ir_version=10)
    return model.SerializeToString()


def _inside(name: str, kind: str, inputs: list[str], output: str) -> object:
    """A node of the network, as torch's exporter says so."""
    node = onnx.helper.make_node(kind, inputs, [output], name=name)
    node.metadata_props.add(key=SCOPES, value=f"['', 'network', 'network.{name}']")
    return node


def inputs(count: int) -> list[dict[str, np.ndarray]]:
    rng = np.random.default_rng(1)
    return [{"x": rng.normal(size=(1, CHANNELS, 16, 16)).astype(np.float32)} for _ in range(count)]


def quantiser(graph: bytes) -> Quantiser:
    given = inputs(6)
    return Quantiser(graph, calibrate_on=given, look_at=given[:2])


def whole_numbers(graph: bytes) -> set[str]:
    """Convolutions whose weights are int8."""
    model = onnx.load_from_string(graph)
    made = {node.output[0] for node in model.graph.node if node.op_type == "DequantizeLinear"}
    return {node.name for node in model.graph.node if node.op_type == "Conv" and node.input[1] in made}


def test_first_and_last_convolutions_stay_and_activations_between_are_folded() -> None:
    graph = chain()
    assert inner_convolutions(graph) == CHAIN[1:-1]
    model = onnx.load_from_string(graph)
    assert folded_into(model, CHAIN[1:3]) == ["relu1", "relu2"]
    assert network_outputs(model) == ["y"]
    made = onnx.load_from_string(quantiser(graph).quantised(CHAIN[1:-1]))
    assert whole_numbers(made.SerializeToString()) == set(CHAIN[1:-1])
    assert [node.name for node in made.graph.node if node.op_type == "Relu"] == ["relu0"]


def test_an_activation_that_is_not_alone_behind_its_convolution_is_not_folded() -> None:
    model = onnx.load_from_string(chain())
    model.graph.node.append(onnx.helper.make_node("Neg", ["c1"], ["other"], name="other"))
    assert folded_into(model, CHAIN[1:3]) == ["relu2"]


def test_a_well_behaved_network_becomes_int8_as_a_whole() -> None:
    made = quantiser(chain())
    assert made.robust(0.1) == CHAIN[1:-1]
    assert 0 < made.moved(CHAIN[1:-1]) < 0.1


def test_convolutions_that_lose_too_much_stay_in_floating_point() -> None:
    """Those before and behind the loud channel; the others become int8, and the outputs hardly move."""
    made = quantiser(chain(loud=3000.0))
    assert made.moved(CHAIN[1:-1]) > 0.3
    kept = made.robust(0.03)
    assert kept == CHAIN[3:-1]
    graph = made.quantised(kept)
    assert whole_numbers(graph) == set(kept)
    (given,) = inputs(1)
    wanted, found = (OnnxEngine(g, threads=1).run(given)[0] for g in (chain(loud=3000.0), graph))
    assert np.sqrt(np.mean((wanted - found) ** 2)) < 0.05 * wanted.std()


def test_the_runtime_leaves_a_convolution_in_floating_point_that_was_left_so() -> None:
    """Between two in int8 ONNX Runtime would give it weights of 8 bits; the reference runs the graph as it stands."""
    import onnxruntime

    graph = quantiser(chain()).quantised(["conv1", "conv3"])
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    plain = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    (given,) = inputs(1)
    wanted, found = np.asarray(plain.run(None, given)[0]), OnnxEngine(graph, threads=1).run(given)[0]
    assert np.sqrt(np.mean((wanted - found) ** 2)) < 1e-3 * wanted.std()


def test_a_network_without_inner_convolutions_is_told() -> None:
    with pytest.raises(UserError, match="has none"):
        quantiser(chain(convolutions=2))
