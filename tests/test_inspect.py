"""What `sightline inspect` says, against sums done by hand."""

from __future__ import annotations

import json

import pytest
import torch

from sightline.config import override
from sightline.errors import UserError
from sightline.inspect import MB, count_parameters, inspect, measured_peak
from sightline.recipes import recipe


def test_parameters_operations_and_shapes_of_a_small_net_equal_those_done_by_hand() -> None:
    found = inspect(recipe("pixelwise-p1-58"))
    assert found.parameters == {"total": 520_948, "trainable": 520_948, "frozen": 0}
    assert found.by_part == {"backbone": 800 + 12_832 + 18_496, "neck": 0, "context": 0, "head": 459_008 + 29_812}
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


# The table that torchsummary printed for the write-up: input, forward/backward, parameters, total.
TABLES = {
    "aircraft-mlp": (1.17, 185.28, 104.22, 290.66),
    "aircraft-convbox-1": (1.17, 185.51, 31.82, 218.50),
    "aircraft-convbox-3": (1.17, 186.09, 36.33, 223.58),
    "aircraft-convbox-4": (1.17, 186.38, 38.58, 226.12),
    "aircraft-convbox-5": (1.17, 186.66, 40.83, 228.66),
    "aircraft-conv-1": (1.17, 186.28, 18.58, 206.02),
    "aircraft-conv-2": (1.17, 186.56, 20.83, 208.56),
    "aircraft-conv-3": (1.17, 186.85, 23.09, 211.10),
    "aircraft-conv-768": (1.17, 186.85, 27.60, 215.62),
}


@pytest.mark.parametrize("name", TABLES)
def test_the_memory_table_equals_the_published_one(name: str) -> None:
    told = inspect(recipe(name)).to_json(name)["memory"]
    keys = ("input_mb", "forward_backward_mb", "parameters_mb", "total_mb")
    assert tuple(told) == keys
    assert tuple(told[key] for key in keys) == TABLES[name]


def test_the_memory_of_a_small_net_equals_the_sum_done_by_hand() -> None:
    memory = inspect(recipe("pixelwise-p1-58")).memory
    # Each convolution, its ReLU, its pooling; 1792 flattened, 256 twice, 116; the map counted once more.
    maps = [2 * 16 * 54 * 74 + 16 * 27 * 37, 2 * 32 * 23 * 33 + 32 * 11 * 16, 2 * 64 * 9 * 14 + 64 * 4 * 7]
    numbers = sum(maps) + 1792 + 2 * 256 + 116 + 1792
    assert memory.forward_backward_mb == pytest.approx(2 * 4 * numbers / MB)
    assert memory.input_mb == 60 * 80 * 4 / MB
    assert memory.parameters_mb == 520_948 * 4 / MB


def test_what_a_head_of_one_box_emits_is_shown() -> None:
    assert inspect(recipe("aircraft-conv-1")).stages["head"] == "box 4, logits 6"


def test_a_published_count_stands_beside_ours_where_there_is_one() -> None:
    found = inspect(recipe("nose-net"))
    assert found.to_json("nose-net", published=137_000)["parameters"]["published"] == 137_000
    assert "published" not in found.to_json("nose-net")["parameters"]


def test_a_measured_peak_holds_at_least_the_weights_and_grows_with_the_picture() -> None:
    small, large = (
        measured_peak(override(recipe("nose-net"), sets=[f"data.input_hw={size}", "data.channels=3"]))
        for size in ("[96, 128]", "[768, 1024]")
    )
    # The first convolution alone keeps 12 maps of 762 x 1018 for the way back, and makes their gradients.
    assert large > 12 * 762 * 1018 * 4
    assert large > 2 * small
    assert large < 2000 * MB


def test_a_step_that_cannot_be_measured_is_told_in_words() -> None:
    broken = override(recipe("nose-net"), sets=["data.input_hw=[16, 16]"])
    with pytest.raises(UserError, match="The memory of nose-net could not be measured"):
        measured_peak(broken)
