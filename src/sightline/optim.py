"""Optimiser groups, the learning-rate schedule as a pure function of the step, averaged weights.

Nothing here has hidden state: a resumed run computes the same rates from the step alone.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.optim import SGD, Adam, AdamW, Optimizer

from sightline.config import TrainConfig
from sightline.model import PARTS, Locator

ONE_CYCLE_RISE = 0.3  # share of the steps on the way up (Smith 2018; torch's default)
ONE_CYCLE_START = 1 / 25


def build_optimizer(model: Locator, config: TrainConfig) -> Optimizer:
    """One group for each part and kind of parameter; `base_lr` in a group is its rate at factor 1."""
    groups = []
    factors = {name: getattr(config, f"{name}_lr") for name in PARTS}
    for part, factor in factors.items():
        parameters = [p for p in getattr(model, part).parameters() if p.requires_grad]
        for decayed in (True, False):
            chosen = [p for p in parameters if (p.ndim > 1 or config.decay_norm_and_bias) == decayed]
            if chosen:
                rate = config.lr * factor
                decay = config.weight_decay if decayed else 0.0
                groups.append({"params": chosen, "lr": rate, "base_lr": rate, "weight_decay": decay})
    if config.optimizer == "sgd":
        return SGD(groups, lr=config.lr, momentum=config.momentum)
    # foreach: one fused pass over all tensors; the CPU default loops over them one by one.
    kind = AdamW if config.optimizer == "adamw" else Adam
    return kind(groups, lr=config.lr, foreach=True)


def rate_factor(config: TrainConfig, *, step: int, steps_per_epoch: int) -> float:
    """What every group's base rate is multiplied with at a step (0-based)."""
    total = max(1, config.epochs * steps_per_epoch)
    warm = min(1.0, (step + 1) / (config.warmup_steps + 1)) if config.schedule != "one-cycle" else 1.0
    done = min(1.0, step / total)
    if config.schedule == "constant":
        return warm
    if config.schedule == "step":
        return warm * config.step_factor ** (step // steps_per_epoch // config.step_epochs)
    if config.schedule == "linear":
        return warm * (1 - done)
    if config.schedule == "cosine":
        return warm * 0.5 * (1 + math.cos(math.pi * done))
    if done < ONE_CYCLE_RISE:
        rise = 0.5 * (1 - math.cos(math.pi * done / ONE_CYCLE_RISE))
        return ONE_CYCLE_START + (1 - ONE_CYCLE_START) * rise
    fall = (done - ONE_CYCLE_RISE) / (1 - ONE_CYCLE_RISE)
    return 0.5 * (1 + math.cos(math.pi * fall))


def set_rates(optimizer: Optimizer, factor: float) -> None:
    """Write the rates of one step."""
    for group in optimizer.param_groups:
        group["lr"] = group["base_lr"] * factor


class AveragedWeights:
    """Exponential moving average of a model's tensors, buffers included.

    The decay grows from 0.1 with the number of steps, (1 + n) / (10 + n), so that a short run is
    not averaged with its random start.
    """

    def __init__(self, model: nn.Module, *, decay: float) -> None:
        self.decay = decay
        self.tensors: dict[str, Tensor] = {key: value.detach().clone() for key, value in model.state_dict().items()}

    def update(self, model: nn.Module, *, step: int) -> None:
        """Move towards the model's tensors; integer buffers are copied."""
        weight = 1 - min(self.decay, (1 + step) / (10 + step))
        state: Mapping[str, Tensor] = model.state_dict()
        floats = [key for key, value in self.tensors.items() if value.is_floating_point()]
        with torch.no_grad():
            for key in floats:
                self.tensors[key].lerp_(state[key], weight)
            for key in self.tensors.keys() - set(floats):
                self.tensors[key].copy_(state[key])
