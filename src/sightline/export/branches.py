"""Parts of a graph, each traced by itself, joined so that one of two comes before the rest.

A traced graph has one path, and the tracer's own conditional wants both ways compiled by another tool first; ONNX has
`If`, whose branches see the names around them, so that four traced parts are joined by their names. Next: parity.py
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto


@dataclass(frozen=True, kw_only=True, eq=False)
class Parts:
    """Models of one opset without functions of their own; inputs of one name are the same thing.

    Attributes:
        condition: gives one bool.
        if_true: gives one value, where it is true.
        if_false: gives a value of the same name, type and shape, where it is not.
        rest: takes that value, among other inputs.
    """

    condition: ModelProto
    if_true: ModelProto
    if_false: ModelProto
    rest: ModelProto


def join(parts: Parts, *, inputs: Sequence[str]) -> ModelProto:
    """`rest` with the value computed by one of both branches.

    Args:
        parts: what is joined.
        inputs: names of the joined model's inputs, in order; all of them are inputs of `rest`.
    """
    from onnx import helper

    given = {value.name: value for value in parts.rest.graph.input}
    (value,) = parts.if_true.graph.output
    condition = _prefixed(parts.condition, "condition", inputs=inputs)
    branches = {"then_branch": parts.if_true, "else_branch": parts.if_false}
    chosen = helper.make_node(
        "If",
        inputs=[condition.output[0].name],
        outputs=[value.name],
        name="choose",
    )
    for side, part in branches.items():
        chosen.attribute.append(helper.make_attribute(side, _branch(_prefixed(part, side, inputs=inputs))))
    joined = type(parts.rest)()
    joined.CopyFrom(parts.rest)
    graph = joined.graph
    nodes = [*condition.node, chosen, *parts.rest.graph.node]
    del graph.node[:], graph.input[:]
    graph.node.extend(nodes)
    graph.input.extend(given[name] for name in inputs)
    graph.initializer.extend(condition.initializer)
    graph.value_info.extend(condition.value_info)
    return joined


def _prefixed(model: ModelProto, prefix: str, *, inputs: Sequence[str]) -> GraphProto:
    """Its graph, with names that no other part has, apart from the inputs of the whole."""
    from onnx import compose

    assert not model.functions, [function.name for function in model.functions]
    assert {value.name for value in model.graph.input} <= set(inputs)
    return compose.add_prefix(model, f"{prefix}.", rename_inputs=False).graph


def _branch(graph: GraphProto) -> GraphProto:
    """As part of an `If`: what it takes it finds around it."""
    del graph.input[:]
    return graph
