"""Operations that torch's ONNX exporter lacks, or that it writes in a slow form.

Next: graph.py
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch


def translations() -> dict[Any, Callable[..., Any]]:
    """For `torch.onnx.export(custom_translation_table=...)`: torch operation -> what builds it of ONNX operations."""
    import onnx_ir as ir
    from onnxscript import opset20

    op: Any = opset20  # its annotations are those of tensors; what is given are values of a graph

    def sort_stable(values: Any, stable: bool = True, dim: int = -1, descending: bool = False) -> Any:  # noqa: ANN401
        """ONNX promises of TopK that of equal values the earlier one comes first: all of them, sorted, is stable."""
        count = op.Shape(values, start=dim, end=dim + 1 if dim != -1 else None)
        return op.TopK(values, count, axis=dim, largest=int(descending), sorted=1)

    def avg_pool2d(
        values: Any,  # noqa: ANN401
        kernel_size: Sequence[int],
        stride: Sequence[int] = (),
        padding: Sequence[int] = (0, 0),
        ceil_mode: bool = False,
        count_include_pad: bool = True,
        divisor_override: int | None = None,
    ) -> Any:  # noqa: ANN401
        """Means over all cells, the padding counted, are a depthwise convolution, for which runtimes are fast."""
        size, steps = _pair(kernel_size), _pair(stride or kernel_size)
        rows, columns = _pair(padding)
        pads = [rows, columns, rows, columns]
        if ceil_mode or divisor_override is not None or (any(pads) and not count_include_pad):
            return op.AveragePool(
                values,
                kernel_shape=size,
                strides=steps,
                pads=pads,
                ceil_mode=int(ceil_mode),
                count_include_pad=int(count_include_pad),
            )
        channels = values.shape[1]
        weight = np.full((channels, 1, *size), 1 / (size[0] * size[1]), dtype=np.float32)
        return op.Conv(values, op.Constant(value=ir.tensor(weight)), group=channels, pads=pads, strides=steps)

    def amin(values: Any, dim: Sequence[int] = (), keepdim: bool = False) -> Any:  # noqa: ANN401
        """Without axes it is the least of all values."""
        axes = [op.Constant(value_ints=list(dim))] if dim else []
        return op.ReduceMin(values, *axes, keepdims=int(keepdim))

    def amax(values: Any, dim: Sequence[int] = (), keepdim: bool = False) -> Any:  # noqa: ANN401
        """Likewise the largest."""
        axes = [op.Constant(value_ints=list(dim))] if dim else []
        return op.ReduceMax(values, *axes, keepdims=int(keepdim))

    return {
        torch.ops.aten.sort.stable: sort_stable,
        torch.ops.aten.avg_pool2d.default: avg_pool2d,
        torch.ops.aten.amin.default: amin,
        torch.ops.aten.amax.default: amax,
    }


def _pair(value: int | Sequence[int]) -> list[int]:
    sides = [value] if isinstance(value, int) else list(value)
    return sides * 2 if len(sides) == 1 else sides
