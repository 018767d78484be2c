"""Rates are a pure function of the step and agree with closed forms and with torch's own schedules."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch.optim.lr_scheduler import CosineAnnealingLR, LinearLR, OneCycleLR, StepLR

from sightline.config import TrainConfig
from sightline.optim import AveragedWeights, build_optimizer, rate_factor, set_rates

PER_EPOCH = 7


def factors(**settings: object) -> list[float]:
    config = TrainConfig.model_validate({"epochs": 9} | settings)
    return [rate_factor(config, step=step, steps_per_epoch=PER_EPOCH) for step in range(9 * PER_EPOCH)]


def torch_factors(make: object, *, every: int = 1) -> list[float]:
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=1.0)
    schedule = make(optimizer)  # type: ignore[operator]
    rates = []
    for step in range(9 * PER_EPOCH):
        rates.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if (step + 1) % every == 0:
            schedule.step()
    return rates


def test_constant_is_one() -> None:
    assert set(factors(schedule="constant")) == {1.0}


def test_cosine_is_torchs() -> None:
    expected = torch_factors(lambda o: CosineAnnealingLR(o, T_max=9 * PER_EPOCH))
    assert factors(schedule="cosine") == pytest.approx(expected, abs=1e-9)


def test_linear_is_torchs() -> None:
    expected = torch_factors(lambda o: LinearLR(o, start_factor=1.0, end_factor=0.0, total_iters=9 * PER_EPOCH))
    assert factors(schedule="linear") == pytest.approx(expected, abs=1e-9)


def test_step_is_torchs() -> None:
    expected = torch_factors(lambda o: StepLR(o, step_size=2, gamma=0.3), every=PER_EPOCH)
    assert factors(schedule="step", step_epochs=2, step_factor=0.3) == pytest.approx(expected)


def test_one_cycle_is_torchs_up_to_where_its_last_step_lies() -> None:
    total = 9 * PER_EPOCH
    expected = torch_factors(
        lambda o: OneCycleLR(o, max_lr=1.0, total_steps=total + 1, pct_start=0.3, cycle_momentum=False)
    )
    found = factors(schedule="one-cycle")
    assert found[0] == pytest.approx(1 / 25)
    assert max(found) == pytest.approx(1, abs=0.01)
    # torch puts the peak at a whole step; ours lies at exactly 30 %.
    assert found == pytest.approx(expected, abs=0.05)


def test_warm_up_rises_linearly_and_then_leaves_the_schedule_alone() -> None:
    warm = factors(schedule="constant", warmup_steps=4)
    assert warm[:6] == pytest.approx([0.2, 0.4, 0.6, 0.8, 1, 1])
    assert factors(schedule="cosine", warmup_steps=4)[4:] == factors(schedule="cosine")[4:]


@pytest.mark.parametrize("schedule", ["constant", "step", "cosine", "one-cycle", "linear"])
def test_no_rate_is_ever_negative_nor_above_the_base(schedule: str) -> None:
    assert all(0 <= factor <= 1 for factor in factors(schedule=schedule))
    assert math.isfinite(rate_factor(TrainConfig(schedule=schedule), step=10**6, steps_per_epoch=1))  # type: ignore[arg-type]


class Parts(nn.Module):
    """The three parts of a network in small."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))
        self.neck = nn.Identity()
        self.context = nn.Identity()
        self.head = nn.Linear(2, 2)


def groups(**settings: object) -> list[dict]:
    return build_optimizer(Parts(), TrainConfig.model_validate(settings)).param_groups  # type: ignore[arg-type]


def test_norms_and_biases_are_not_decayed_unless_asked() -> None:
    for group in groups(weight_decay=0.1):
        for parameter in group["params"]:
            assert group["weight_decay"] == (0.1 if parameter.ndim > 1 else 0.0)
    assert {group["weight_decay"] for group in groups(weight_decay=0.1, decay_norm_and_bias=True)} == {0.1}


def test_parts_have_rates_of_their_own_that_the_schedule_multiplies() -> None:
    model = Parts()
    optimizer = build_optimizer(model, TrainConfig(lr=0.01, backbone_lr=0.1, head_lr=2))  # type: ignore[arg-type]
    set_rates(optimizer, 0.5)
    rates = {id(p): group["lr"] for group in optimizer.param_groups for p in group["params"]}
    assert [rates[id(p)] for p in model.backbone.parameters()] == pytest.approx([0.0005] * 4)
    assert [rates[id(p)] for p in model.head.parameters()] == pytest.approx([0.01] * 2)
    assert len(rates) == len(list(model.parameters()))


def test_what_is_frozen_is_in_no_group() -> None:
    model = Parts()
    model.backbone.requires_grad_(False)
    optimizer = build_optimizer(model, TrainConfig())  # type: ignore[arg-type]
    assert {id(p) for g in optimizer.param_groups for p in g["params"]} == {id(p) for p in model.head.parameters()}


@pytest.mark.parametrize(("name", "kind"), [("adamw", "AdamW"), ("adam", "Adam"), ("sgd", "SGD")])
def test_the_named_optimiser_is_built(name: str, kind: str) -> None:
    optimizer = build_optimizer(Parts(), TrainConfig(optimizer=name, momentum=0.8))  # type: ignore[arg-type]
    assert type(optimizer).__name__ == kind
    if name == "sgd":
        assert {group["momentum"] for group in optimizer.param_groups} == {0.8}


def test_averaged_weights_follow_their_recurrence_and_copy_counters() -> None:
    model = Parts()
    averaged = AveragedWeights(model, decay=0.9)
    expected = model.head.weight.detach().double().clone()
    for step in range(1, 300):
        with torch.no_grad():
            model.head.weight.copy_(torch.full((2, 2), float(step)))
            model.backbone[1].num_batches_tracked += 1
        averaged.update(model, step=step)
        decay = min(0.9, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * step
    torch.testing.assert_close(averaged.tensors["head.weight"].double(), expected, rtol=1e-4, atol=0)
    assert averaged.tensors["backbone.1.num_batches_tracked"] == 299
    assert (averaged.tensors["head.weight"] < 299).all()
