"""What `sightline inspect` says, against sums done by hand."""

from __future__ import annotations

import json

import torch

from sightline.config import override
from sightline.inspect import count_parameters, inspect
from sightline.recipes import recipe


def test_parameters_operations_and_shapes_of_a_small_net_equal_those_done_by_hand() -> None:
    found = inspect(recipe("pixelwise-p1-58"))
    assert found.parameters == {"total": 520_948, "trainable": 520_948, "frozen": 0}
    assert found.by_part == {"backbone": 800 + 12_832 + 18_496, "neck": 0, "head": 459_008 + 29_812}
    # Multiply-adds: output cells x weights of a cell, then the linear layers.
    adds = 54 * 74 * 16 * 49 + 23 * 33 * 32 * 16 * 25 + 9 * 14 * 64 * 32 * 9 + 1792 * 256 + 256 * 116
    assert found.flops == 2 * adds
    assert found.stages["input"] == "1 x 60 x 80"
    assert found.stages["backbone"] == "64 channels at stride 15 (4 x 7)"
    assert found.stages["head"] == "xy 58 x 2"


def test_layers_are_listed_in_the_order_of_the_picture_with_all_parameters() -> None:
    layers = inspect(recipe("facenet58")).layers
    assert [layer["output"] for layer in layers if layer["type"] == "Conv2d"] == [
        [16, 59, 79],
        [16, 29, 39],
        [32, 12, 17],
        [32, 10, 15],
    ]
    assert sum(layer["parameters"] for layer in layers) == 649_828


def test_frozen_parameters_are_counted_apart() -> None:
    found = inspect(override(recipe("landmarks"), sets=["backbone.frozen=all"]))
    assert found.parameters["frozen"] == found.by_part["backbone"] > 0
    assert found.parameters["total"] == found.parameters["frozen"] + found.parameters["trainable"]


def test_an_inspection_reads_no_weights_and_takes_no_memory() -> None:
    found = inspect(override(recipe("resnet50-68"), sets=["backbone.weights=imagenet"]))
    assert found.parameters["total"] == 23_780_424


def test_the_json_form_has_stable_keys() -> None:
    told = inspect(recipe("nose-net")).to_json("nose-net")
    assert list(told)[:5] == ["recipe", "parameters", "parameters_by_part", "flops", "stages"]
    assert set(told["parameters"]) == {"total", "trainable", "frozen"}
    assert json.loads(json.dumps(told)) == told


def test_counting_knows_trainable_from_frozen() -> None:
    net = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.Linear(3, 1))
    net[0].requires_grad_(False)
    assert count_parameters(net) == {"total": 13, "trainable": 4, "frozen": 9}
