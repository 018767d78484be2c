"""What a model is made of: parameters, operations, shapes, memory, found without computing.

`measured_peak` alone computes: it makes one step in a process of its own, beside which the memory table can be
read. `python -m sightline.inspect` is that process. Next: pipeline.py
"""

from __future__ import annotations

import copy
import multiprocessing
import subprocess
import sys
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from sightline.config import Experiment, from_yaml
from sightline.errors import UserError
from sightline.model import PARTS, Locator, example_inputs, in_time, without_pretrained
from sightline.pieces import spec_of
from sightline.types import FeatureMaps

BYTES = 4  # of a number in single precision
MB = 2**20


def count_parameters(model: nn.Module) -> dict[str, int]:
    """Total, trainable and frozen numbers of parameters."""
    sizes = [(p.numel(), p.requires_grad) for p in model.parameters()]
    total, trainable = sum(n for n, _ in sizes), sum(n for n, t in sizes if t)
    return {"total": total, "trainable": trainable, "frozen": total - trainable}


@dataclass(frozen=True, kw_only=True)
class Memory:
    """The memory table of the write-ups, which is that of torchsummary: one picture, numbers of 4 bytes.

    It is a bound by counting, and no measurement: every layer's output is taken to be kept, once more for its
    gradient, also where layers are frozen or work in place; what the backbone and neck give together counts as
    the output of one more layer. MB are 2**20 bytes.
    """

    input_mb: float
    forward_backward_mb: float
    parameters_mb: float

    @property
    def total_mb(self) -> float:
        """The sum."""
        return self.input_mb + self.forward_backward_mb + self.parameters_mb

    def to_json(self) -> dict[str, float]:
        """With stable keys, to two places as the write-ups print them."""
        values = {
            "input_mb": self.input_mb,
            "forward_backward_mb": self.forward_backward_mb,
            "parameters_mb": self.parameters_mb,
            "total_mb": self.total_mb,
        }
        return {key: round(value, 2) for key, value in values.items()}


@dataclass(frozen=True, kw_only=True)
class Inspection:
    """The facts of a model."""

    parameters: dict[str, int]
    by_part: dict[str, int]
    flops: int
    memory: Memory
    stages: dict[str, str]
    layers: list[dict[str, Any]]

    def to_json(self, recipe: str, *, published: int | None = None) -> dict[str, Any]:
        """With stable keys; `published` is the number of parameters that a write-up gives for the recipe."""
        parameters = self.parameters if published is None else self.parameters | {"published": published}
        return {
            "recipe": recipe,
            "parameters": parameters,
            "parameters_by_part": self.by_part,
            "flops": self.flops,
            "stages": self.stages,
            "memory": self.memory.to_json(),
            "layers": self.layers,
        }


def inspect(experiment: Experiment) -> Inspection:
    """Build a recipe without memory and look at it. FLOPs are 2 x multiply-adds for one picture."""
    experiment = without_pretrained(experiment)
    with torch.device("meta"):
        model = Locator(experiment)
    data = experiment.data
    notes = _Notes()
    copied = copy.deepcopy(model).to("meta").eval()
    hooks = [
        module.register_forward_hook(notes.hook(name))
        for name, module in copied.named_modules()
        if not isinstance(module, nn.Sequential | nn.ModuleList)
    ]
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        seen = example_inputs(experiment, count=1, device="meta")
        # Looked at by hand for the shapes between the parts, but with every frame that the network sees.
        frames = torch.cat([seen[0], *(past.flatten(0, 1) for past in seen[1:2])])
        features: FeatureMaps = copied.backbone(frames.float())
        fused: FeatureMaps = copied.neck(features)
        xy, visible = seen[2:] or (frames.new_zeros(1, 0, 2).float(), frames.new_zeros(1, 0).bool())
        raw = copied.conclude(in_time(fused, frames=len(frames)), xy, visible)
    for hook in hooks:
        hook.remove()
    parameters = count_parameters(model)
    outputs = notes.numbers + sum(m.numel() for m in fused.maps)
    shapes = {name: value.shape[1:] for name, value in vars(raw).items() if isinstance(value, Tensor)}
    return Inspection(
        parameters=parameters,
        by_part={part: count_parameters(getattr(model, part))["total"] for part in PARTS},
        flops=counter.get_total_flops(),
        memory=Memory(
            input_mb=frames.numel() * BYTES / MB,
            forward_backward_mb=2 * outputs * BYTES / MB,
            parameters_mb=parameters["total"] * BYTES / MB,
        ),
        stages={
            "input": f"{data.channels} x {data.input_hw[0]} x {data.input_hw[1]}",
            "backbone": str(spec_of(features, data.input_hw)),
            "neck": str(spec_of(fused, data.input_hw)),
            "context": experiment.context.kind,
            "head": ", ".join(f"{name} {' x '.join(map(str, shape))}" for name, shape in shapes.items()),
            "codec": experiment.codec.kind,
        },
        layers=notes.layers,
    )


class _Notes:
    """What the hooks saw: the layers in order, and how many numbers all outputs have."""

    def __init__(self) -> None:
        self.layers: list[dict[str, Any]] = []
        self.numbers = 0

    def hook(self, name: str) -> Any:  # noqa: ANN401 (a hook's signature)
        """To be registered on a module; a module that has modules below it is no layer of its own."""

        def note(module: nn.Module, _: object, output: object) -> None:
            if not isinstance(output, Tensor):
                return
            self.numbers += output.numel()
            if not any(True for _ in module.children()):
                parameters = sum(p.numel() for p in module.parameters())
                shape = list(output.shape[1:])
                row = {"name": name, "type": type(module).__name__, "output": shape, "parameters": parameters}
                self.layers.append(row)

        return note


def measured_peak(experiment: Experiment) -> int:
    """Bytes at the peak of one step (forward and backward, one picture) beyond what the bare libraries hold.

    Weights are in it, random ones; the optimiser's state is not. Batch normalisation works as in evaluation,
    because one picture has no statistics. Made in a process of its own on the CPU with one thread.

    Raises:
        UserError: the step did not end, as when memory gave out.
    """
    command = [sys.executable, "-m", "sightline.inspect"]
    text = without_pretrained(experiment).to_yaml()
    done = subprocess.run(command, input=text, capture_output=True, text=True)
    if done.returncode:
        told = (done.stderr.strip().splitlines() or [f"it ended with {done.returncode}"])[-1]
        raise UserError(
            f"The memory of {experiment.recipe} could not be measured ({told}). Is there enough of it? Try a smaller "
            "data.input_hw."
        )
    return int(done.stdout)


def _highest_rss() -> int:
    """Bytes; Linux counts in KiB, macOS in bytes."""
    import resource  # not on Windows, where all the rest of this file works

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _step(experiment: Experiment) -> None:
    """Build, look at one picture, and go back from everything that comes out."""
    model = Locator(experiment).eval()
    raw = model(*example_inputs(experiment, count=1, device="cpu"))
    torch.stack([v.square().mean() for v in vars(raw).values() if isinstance(v, Tensor)]).sum().backward()


def _measure(text: str, pipe: Connection) -> None:
    """The body of a forked process: its highest mark starts at what its parent held, not at that one's peak."""
    experiment = from_yaml(text, where="standard input")
    nn.Conv2d(3, 8, 3)(torch.ones(1, 3, 32, 32)).sum().backward()  # kernels are loaded by now
    before = _highest_rss()
    _step(experiment)
    pipe.send(_highest_rss() - before)


def _main() -> None:
    import timm  # noqa: F401 (what building imports belongs to the bare libraries)
    import torchvision  # noqa: F401

    torch.set_num_threads(1)
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=_measure, args=(sys.stdin.read(), there))
    process.start()
    there.close()
    print(here.recv())
    process.join()


if __name__ == "__main__":
    _main()
