"""Fold batch normalisation into the convolution before it, for prediction on a CPU.

Which convolution feeds which normalisation is seen by running the network once, not guessed from
names. The folded network is compared with the original and refused if they differ. Next: predict.py
"""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

TOLERANCE = 1e-3  # of the outputs' largest absolute value; float32 rounding of a deep network stays far below


def folded(module: nn.Module, *example: Tensor) -> nn.Module:
    """A copy in evaluation mode, on the same device, whose normalisations are folded where possible.

    Args:
        module: takes `*example` and returns tensors, tuples or dataclasses of tensors.
        example: its inputs, used to trace and to compare.
    """
    copied = copy.deepcopy(module).eval()
    with torch.inference_mode():
        for norm, convolution in _pairs(copied, *example):
            _fold(convolution, norm)
            _replace(copied, norm, _activation_of(norm))
        before, after = _tensors(module(*example)), _tensors(copied(*example))
    for first, second in zip(before, after, strict=True):
        assert (first - second).abs().max() <= TOLERANCE * first.abs().max().clamp_min(1.0), (
            "folding changed the output"
        )
    return copied


def _pairs(module: nn.Module, *example: Tensor) -> list[tuple[nn.BatchNorm2d, nn.Conv2d]]:
    """Normalisations whose input is, as an object, a convolution's output."""
    source: dict[int, tuple[nn.Conv2d, Tensor]] = {}  # keeps the tensors alive, so that ids stay unique
    pairs: list[tuple[nn.BatchNorm2d, nn.Conv2d]] = []

    def leave(convolution: nn.Module, _: object, output: Tensor) -> None:
        assert isinstance(convolution, nn.Conv2d)
        source[id(output)] = (convolution, output)

    def enter(norm: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        assert isinstance(norm, nn.BatchNorm2d)
        if id(inputs[0]) in source and norm.track_running_stats:
            pairs.append((norm, source[id(inputs[0])][0]))

    hooks = [m.register_forward_hook(leave) for m in module.modules() if isinstance(m, nn.Conv2d)]
    hooks += [m.register_forward_pre_hook(enter) for m in module.modules() if isinstance(m, nn.BatchNorm2d)]
    module(*example)
    for hook in hooks:
        hook.remove()
    used = [convolution for _, convolution in pairs]
    return [pair for pair in pairs if used.count(pair[1]) == 1]


def _fold(convolution: nn.Conv2d, norm: nn.BatchNorm2d) -> None:
    """Scale and shift the filters as the normalisation would scale and shift their output."""
    assert norm.running_mean is not None and norm.running_var is not None
    weight, bias = fuse_conv_bn_weights(
        convolution.weight, convolution.bias, norm.running_mean, norm.running_var, norm.eps, norm.weight, norm.bias
    )
    convolution.weight, convolution.bias = weight, bias


def _replace(root: nn.Module, old: nn.Module, new: nn.Module) -> None:
    """Put a module in the place of another."""
    for parent in root.modules():
        for name, child in parent.named_children():
            if child is old:
                setattr(parent, name, new)


def _activation_of(norm: nn.BatchNorm2d) -> nn.Module:
    """What follows the normalisation inside the same module: timm's BatchNormAct2d has `drop` and `act`."""
    parts = [getattr(norm, name) for name in ("drop", "act") if isinstance(getattr(norm, name, None), nn.Module)]
    return nn.Sequential(*[part for part in parts if not isinstance(part, nn.Identity)])


def _tensors(value: object) -> list[Tensor]:
    """Every tensor in a result; sizes and other plain numbers beside them do not count."""
    if isinstance(value, Tensor):
        return [value]
    if value is None or isinstance(value, int | float | str):
        return []
    values = value if isinstance(value, list | tuple) else vars(value).values()
    return [tensor for item in values for tensor in _tensors(item)]
