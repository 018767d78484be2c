"""What a model is made of: parameters, operations, shapes, found without computing.

Next: pipeline.py
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from sightline.config import Experiment
from sightline.model import Locator, without_pretrained
from sightline.pieces import fake_images, spec_of
from sightline.types import FeatureMaps


def count_parameters(model: nn.Module) -> dict[str, int]:
    """Total, trainable and frozen numbers of parameters."""
    sizes = [(p.numel(), p.requires_grad) for p in model.parameters()]
    total, trainable = sum(n for n, _ in sizes), sum(n for n, t in sizes if t)
    return {"total": total, "trainable": trainable, "frozen": total - trainable}


@dataclass(frozen=True, kw_only=True)
class Inspection:
    """The facts of a model."""

    parameters: dict[str, int]
    by_part: dict[str, int]
    flops: int
    stages: dict[str, str]
    layers: list[dict[str, Any]]

    def to_json(self, recipe: str) -> dict[str, Any]:
        """With stable keys."""
        return {
            "recipe": recipe,
            "parameters": self.parameters,
            "parameters_by_part": self.by_part,
            "flops": self.flops,
            "stages": self.stages,
            "layers": self.layers,
        }


def inspect(experiment: Experiment) -> Inspection:
    """Build a recipe without memory and look at it. FLOPs are 2 x multiply-adds for one picture."""
    experiment = without_pretrained(experiment)
    with torch.device("meta"):
        model = Locator(experiment)
    data = experiment.data
    shapes: list[dict[str, Any]] = []
    copied = copy.deepcopy(model).to("meta").eval()
    hooks = [
        module.register_forward_hook(_note(name, shapes)) for name, module in copied.named_modules() if _is_leaf(module)
    ]
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        pixels = fake_images(data.channels, data.input_hw)[:1]
        features: FeatureMaps = copied.backbone(pixels)
        fused: FeatureMaps = copied.neck(features)
        raw = copied.head(fused)
    for hook in hooks:
        hook.remove()
    outputs = {name: tuple(value.shape) for name, value in vars(raw).items()}
    return Inspection(
        parameters=count_parameters(model),
        by_part={part: count_parameters(getattr(model, part))["total"] for part in ("backbone", "neck", "head")},
        flops=counter.get_total_flops(),
        stages={
            "input": f"{data.channels} x {data.input_hw[0]} x {data.input_hw[1]}",
            "backbone": str(spec_of(features, data.input_hw)),
            "neck": str(spec_of(fused, data.input_hw)),
            "head": ", ".join(f"{name} {' x '.join(map(str, shape[1:]))}" for name, shape in outputs.items()),
            "codec": experiment.codec.kind,
        },
        layers=shapes,
    )


def _is_leaf(module: nn.Module) -> bool:
    return not any(True for _ in module.children())


def _note(name: str, shapes: list[dict[str, Any]]) -> Any:  # noqa: ANN401 (a hook's signature)
    def hook(module: nn.Module, _: object, output: object) -> None:
        if isinstance(output, torch.Tensor):
            parameters = sum(p.numel() for p in module.parameters())
            shape = list(output.shape[1:])
            shapes.append({"name": name, "type": type(module).__name__, "output": shape, "parameters": parameters})

    return hook
