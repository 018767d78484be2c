"""Our own detectors: their size, their levels, and that their schedule fits their augmentation."""

from __future__ import annotations

import pytest
import torch

from sightline.codecs.anchor_free import AnchorFreeCodec
from sightline.config import Experiment, from_yaml
from sightline.inspect import inspect
from sightline.model import build, without_pretrained
from sightline.recipes import recipe
from sightline.types import RawDense, Truth

NAMES = ("boxes", "boxes-accurate")
BLOOD_CELLS = ("RBC", "WBC", "Platelets")


def of_classes(name: str, classes: tuple[str, ...] = BLOOD_CELLS) -> Experiment:
    return recipe(name).model_copy(update={"classes": classes})


@pytest.mark.parametrize("name", NAMES)
def test_a_detector_has_between_one_and_three_and_a_half_million_parameters(name: str) -> None:
    assert 1_000_000 <= inspect(of_classes(name)).parameters["total"] <= 3_500_000
    eighty = of_classes(name, tuple(f"class {i}" for i in range(80)))
    assert inspect(eighty).parameters["total"] <= 3_500_000


@pytest.mark.parametrize("name", NAMES)
def test_a_recipe_says_what_it_is_and_returns_as_yaml(name: str) -> None:
    experiment = recipe(name)
    assert experiment.recipe == name
    assert from_yaml(experiment.to_yaml(), where="test") == experiment


@pytest.mark.parametrize(("name", "side"), [("boxes", 320), ("boxes-accurate", 416)])
def test_the_levels_have_strides_8_16_and_32(name: str, side: int) -> None:
    experiment = of_classes(name)
    assert experiment.data.input_hw == (side, side)
    with torch.device("meta"):
        _, codec = build(without_pretrained(experiment))
    assert isinstance(codec, AnchorFreeCodec)
    assert codec.levels_hw == tuple((side // stride, side // stride) for stride in (8, 16, 32))


@pytest.mark.parametrize("name", NAMES)
def test_mosaics_end_before_the_training_does(name: str) -> None:
    augment = recipe(name).augment
    assert augment.mosaic > 0
    assert 0 < augment.mosaic_off < 1


def test_a_step_at_half_the_size_gives_every_trained_weight_a_finite_gradient() -> None:
    experiment = of_classes("boxes")
    experiment = without_pretrained(
        experiment.model_copy(update={"data": experiment.data.model_copy(update={"input_hw": (96, 160)})})
    )
    torch.manual_seed(0)
    model, codec = build(experiment)
    images = torch.randint(0, 256, (2, 3, 96, 160), dtype=torch.uint8)
    boxes = torch.tensor([[[10.0, 10.0, 50.0, 60.0]], [[0.0, 0.0, 0.0, 0.0]]])
    truth = Truth.of_boxes(boxes, torch.tensor([[2], [0]]), torch.tensor([[True], [False]]))
    raw = model(images)
    assert isinstance(raw, RawDense)
    assert raw.sizes_hw == ((12, 20), (6, 10), (3, 5))
    codec.loss(raw, codec.encode(truth)).backward()
    trained = {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}
    frozen = {name for name, _ in model.named_parameters()} - trained.keys()
    assert frozen and all(name.startswith("backbone.") for name in frozen)  # backbone.frozen_to_stride
    for name, parameter in trained.items():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name
