"""Every recipe and rung is a whole, fitting experiment; published counts are met exactly."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import Any

import pytest
import torch

from sightline.config import Experiment, from_yaml, override
from sightline.errors import UserError
from sightline.inspect import inspect
from sightline.model import build
from sightline.optim import build_optimizer
from sightline.recipes import LADDERS, RECIPES, recipe
from sightline.recipes.ladders import at_rates, regression_vs_heatmap
from sightline.types import Truth

RUNGS = {rung.recipe: rung for ladder in LADDERS.values() for rung in ladder()}


def total(name: str) -> int:
    return inspect(recipe(name)).parameters["total"]


def conv(inputs: int, outputs: int, kernel: int) -> int:
    """Weights and biases of a convolution."""
    return outputs * (inputs * kernel * kernel + 1)


def linear(inputs: int, outputs: int) -> int:
    return outputs * (inputs + 1)


def network_of(experiment: Experiment) -> str:
    """All that decides what is built; rungs often differ in their training alone."""
    return experiment.model_dump_json(exclude={"recipe", "augment", "train", "evaluate"})


def distinct_networks() -> list[Any]:
    """A recipe or rung for each network, the first that has it; rungs are slow, since there are a hundred."""
    first: dict[str, str] = {}
    for name, experiment in [*((name, recipe(name)) for name in RECIPES), *RUNGS.items()]:
        first.setdefault(network_of(experiment), name)
    names = sorted(first.values())
    return [pytest.param(name, marks=[] if name in RECIPES else [pytest.mark.slow]) for name in names]


@pytest.mark.parametrize("name", distinct_networks())
def test_every_network_builds_without_memory(name: str) -> None:
    assert inspect(recipe(name)).parameters["total"] > 0


@pytest.mark.parametrize("name", [*RECIPES, *RUNGS])
def test_every_recipe_and_rung_is_found_by_its_name_and_returns_as_yaml(name: str) -> None:
    experiment = recipe(name)
    assert experiment.recipe == name
    assert experiment == RUNGS.get(name, experiment)
    assert from_yaml(experiment.to_yaml(), where="test") == experiment


@pytest.mark.parametrize(
    "name", [name for name in RECIPES if name.startswith(("nose", "face", "resnet", "unet", "pixel"))]
)
def test_every_published_recipe_says_what_it_is(name: str) -> None:
    text = RECIPES[name].__doc__ or ""
    for word in ("Idea:", "Source:", "Data", "Expected:", "ardware", f"Command: sightline train {name} "):
        assert word in text, f"{name}: no '{word}'"


@pytest.mark.parametrize("name", LADDERS)
def test_every_ladder_has_a_docstring_and_distinct_rungs(name: str) -> None:
    rungs = LADDERS[name]()
    assert LADDERS[name].__doc__
    assert len({rung.recipe for rung in rungs}) == len(rungs) > 1
    assert all(rung.recipe.startswith(name) for rung in rungs)


def test_no_rung_has_the_name_of_a_recipe_or_of_another_rung() -> None:
    assert len(RUNGS) == sum(len(ladder()) for ladder in LADDERS.values())
    assert not RUNGS.keys() & RECIPES.keys()


def differences(first: Experiment, second: Experiment) -> set[str]:
    one, two = first.model_dump(), second.model_dump()
    found = set()
    for part in one.keys() - {"recipe"}:
        if isinstance(one[part], dict) and one[part].keys() == two[part].keys():
            found |= {f"{part}.{key}" for key in one[part] if one[part][key] != two[part][key]}
        elif one[part] != two[part]:
            found.add(part)
    return found


@pytest.mark.parametrize("name", ["lr-trial", "p3-trials", "mse-vs-log", "single-pixel", "flip-swap"])
def test_each_rung_changes_one_setting(name: str) -> None:
    rungs = LADDERS[name]()
    for before, after in pairwise(rungs):
        assert len(differences(before, after)) == 1, (before.recipe, after.recipe, differences(before, after))


def test_regression_and_heatmap_see_the_same_pictures_through_the_same_backbone() -> None:
    _, regression, heatmap = regression_vs_heatmap()
    assert differences(regression, heatmap) == {"neck", "head", "codec"}


def test_a_ladder_spreads_over_learning_rates() -> None:
    spread = at_rates(regression_vs_heatmap(), rates=(1e-3, 2e-3))
    assert [rung.train.lr for rung in spread] == [1e-3, 2e-3] * 3
    assert spread[1].recipe == "regression-vs-heatmap-1-mse-lr0.002"


def test_every_failure_is_one_step_from_its_fix() -> None:
    assert differences(recipe("facenet58-naive-flip"), recipe("facenet58-flip")) == {"augment.flip_swaps_twins"}
    assert differences(recipe("unet-68"), recipe("unet-68-fixed")) == {"codec.loss_kind", "codec.decoder"}
    assert differences(recipe("unet-68-summed"), recipe("unet-68-fixed")) == {"codec"}
    assert differences(recipe("pixelwise-p4-mse"), recipe("pixelwise-p4-log")) == {"codec.loss_kind"}
    collapse = differences(recipe("pixelwise-p4-collapse"), recipe("pixelwise-p4-mse"))
    assert collapse == {"backbone.norm", "backbone.init", "neck.norm"}


def test_an_unknown_recipe_names_the_nearest() -> None:
    with pytest.raises(UserError, match=re.escape("Did you mean 'pixelwise-p4-mse'?")):
        recipe("pixelwise-p4-mes")
    with pytest.raises(UserError, match="Did you mean 'p3-trials-2-norm'"):
        recipe("p3-trials-2-nrom")


def test_facenet58_has_the_published_count() -> None:
    # 120 x 160 -> conv 3/2: 59 x 79 -> conv 3/2: 29 x 39 -> pool 14 x 19 -> 12 x 17 -> 10 x 15 -> pool 5 x 7
    by_hand = conv(1, 16, 3) + conv(16, 16, 3) + conv(16, 32, 3) + conv(32, 32, 3)
    by_hand += linear(32 * 5 * 7, 512) + linear(512, 2 * 58)
    assert total("facenet58") == by_hand == 649_828


def test_resnet50_68_has_the_published_count() -> None:
    # torchvision's resnet50 has 25,557,032; one grey filter instead of three, and 136 outputs instead of 1,000.
    by_hand = 25_557_032 - 64 * 2 * 49 - linear(2048, 1000) + linear(2048, 136)
    assert total("resnet50-68") == by_hand == 23_780_424


def test_unet_68_has_the_published_count() -> None:
    def block(inputs: int, outputs: int) -> int:  # two 3 x 3 convolutions without bias, two batch normalisations
        return 9 * inputs * outputs + 9 * outputs * outputs + 4 * outputs

    down = block(1, 32) + block(32, 64) + block(64, 128) + block(128, 256) + block(256, 512)
    up = sum(conv(0, w, 1) + 4 * 2 * w * w + block(2 * w, w) for w in (256, 128, 64, 32))
    by_hand = down + up + conv(32, 68, 1)
    assert total("unet-68") == total("unet-68-summed") == total("unet-68-fixed") == by_hand == 7_764_676


def test_nose_net_has_the_count_of_its_layers() -> None:
    # 120 x 160 -> 114 x 154 -> 57 x 77 -> 53 x 73 -> 26 x 36 -> 22 x 32 -> 11 x 16 -> 9 x 14 -> 4 x 7
    by_hand = conv(1, 12, 7) + conv(12, 16, 5) + conv(16, 24, 5) + conv(24, 32, 3)
    by_hand += linear(32 * 4 * 7, 128) + linear(128, 2)
    assert total("nose-net") == by_hand == 137_058


def test_the_nets_of_part_1_have_the_count_of_their_layers() -> None:
    # 60 x 80 -> 54 x 74 -> 27 x 37 -> 23 x 33 -> 11 x 16 -> 9 x 14 -> 4 x 7; 64 * 4 * 7 = 1792
    body = 16 * (49 + 1) + 32 * (16 * 25 + 1) + 64 * (32 * 9 + 1) + 256 * (1792 + 1)
    assert total("pixelwise-p1-58") == body + 116 * (256 + 1) == 520_948
    assert total("pixelwise-p1-nose") == body + 2 * (256 + 1) == 491_650


def test_the_net_of_part_2_has_the_count_of_its_layers() -> None:
    # 120 x 160 -> 118 x 158 -> 116 x 156 -> 58 x 78 -> 29 x 39 -> 14 x 19; 256 * 14 * 19 = 68,096
    by_hand = conv(1, 32, 5) + conv(32, 64, 5) + conv(64, 128, 3) + conv(128, 256, 3)
    by_hand += linear(68_096, 1024) + linear(1024, 256) + linear(256, 116)
    assert total("pixelwise-p2") == by_hand == 70_444_660


def test_the_nets_of_parts_3_and_4_have_the_count_of_their_layers() -> None:
    # torchvision's resnet18 has 11,689,512; one grey filter instead of three, no classifier.
    body = 11_689_512 - 64 * 2 * 49 - linear(512, 1000)
    assert total("pixelwise-p3") == body + linear(512, 136) == 11_240_008
    # 7 x 7 -> 14 x 14 -> 28 x 28 -> 56 x 56 by 4 x 4 transposed convolutions with batch normalisation
    deconvs = 16 * (512 * 256 + 256 * 256 + 256 * 256) + 3 * 2 * 256
    maps = body + deconvs + conv(256, 68, 1)
    for name in ("pixelwise-p4-mse", "pixelwise-p4-log", "pixelwise-p4-single-pixel"):
        assert total(name) == maps == 15_383_556
        assert inspect(recipe(name)).stages["head"] == "logits 68 x 56 x 56"
    # resnet18 has 4,800 channels under batch normalisation; the deconvolutions get biases instead of it.
    assert total("pixelwise-p4-collapse") == maps - 2 * 4800 - 3 * 256 == 15_373_188


@pytest.mark.parametrize(
    ("name", "side"),
    [
        ("landmarks", 64),
        ("nose-net", 96),
        ("facenet58-flip", 96),
        ("unet-68-summed", 32),
        ("unet-68-fixed", 32),
        ("pixelwise-p1-58", 64),
        ("pixelwise-p3", 64),
        ("pixelwise-p4-log", 64),
    ],
)
def test_a_family_makes_two_steps_on_small_pictures(name: str, side: int) -> None:
    torch.manual_seed(0)
    sets = [f"data.input_hw=[{side}, {side}]"]
    experiment = override(without_weights(recipe(name)), sets=sets)
    model, codec = build(experiment)
    optimizer = build_optimizer(model, experiment.train)
    images = torch.randint(0, 256, (2, experiment.data.channels, side, side), dtype=torch.uint8)
    truth = torch.rand(2, len(experiment.skeleton.names), 2) * side
    first = [p.detach().clone() for p in model.parameters()]
    for _ in range(2):
        loss = codec.loss(
            model(images), codec.encode(Truth.of_points(truth, torch.ones(truth.shape[:2], dtype=torch.bool)))
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        assert torch.isfinite(loss)
    assert any(not torch.equal(a, b) for a, b in zip(first, model.parameters(), strict=True))
    assert torch.isfinite(codec.decode(model.eval()(images)).xy).all()


def test_the_collapsing_recipe_starts_blind_and_its_fix_does_not() -> None:
    pictures = torch.randint(0, 256, (4, 1, 64, 64), dtype=torch.uint8)
    pictures[:2] = pictures[:2] // 8  # two dark ones
    shares = []
    for name in ("pixelwise-p4-collapse", "pixelwise-p4-mse"):
        torch.manual_seed(0)
        model, _ = build(override(recipe(name), sets=["data.input_hw=[64, 64]"]))
        with torch.no_grad():
            logits = model(pictures).logits
        shares.append((logits.std(dim=0).mean() / logits.abs().mean()).item())
    # How much of what is emitted depends on the picture at all.
    assert shares[0] < 1e-3
    assert shares[1] > 0.1


def without_weights(experiment: Experiment) -> Experiment:
    """The same from random weights, where the backbone has any."""
    if "weights" not in type(experiment.backbone).model_fields:
        return experiment
    return override(experiment, sets=["backbone.weights=none"])
