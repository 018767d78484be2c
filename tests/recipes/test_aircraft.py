"""The write-up of one object in a picture: counts to the last parameter, settings, what its wiring did to Swin."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
import torchvision

from sightline.backbones.torchvision_net import TorchvisionBackbone, TorchvisionBackboneConfig
from sightline.config import Experiment, override
from sightline.inspect import inspect
from sightline.model import build, without_pretrained
from sightline.necks.adaptive_pool import AdaptivePoolNeckConfig
from sightline.optim import build_optimizer
from sightline.pieces import spec_of
from sightline.recipes import RECIPES, recipe
from sightline.recipes.aircraft import AIRCRAFT_COUNTS
from sightline.recipes.aircraft_ladders import AIRCRAFT_LADDERS, CHOSEN, at_seeds, one_box_alpha
from sightline.types import FeatureMaps, Truth

PUBLISHED = {
    "aircraft-mlp": 27_319_626,
    "aircraft-convbox-1": 8_341_706,
    "aircraft-convbox-2": 8_932_298,
    "aircraft-convbox-3": 9_522_890,
    "aircraft-convbox-4": 10_113_482,
    "aircraft-convbox-5": 10_704_074,
    "aircraft-conv-1": 4_870_602,
    "aircraft-conv-2": 5_461_194,
    "aircraft-conv-3": 6_051_786,
    "aircraft-conv-768": 7_234_506,
}
FROZEN = {  # torchvision's classifiers without pooling and classifier
    "aircraft-vgg16": 14_714_688,
    "aircraft-vgg19": 20_024_384,
    "aircraft-efficientnet-v2-s": 20_177_488,
    "aircraft-efficientnet-v2-m": 52_858_356,
    "aircraft-mobilenet-v2": 2_223_872,
    "aircraft-mobilenet-v3-small": 927_008,
    "aircraft-squeezenet1-0": 735_424,
    "aircraft-squeezenet1-1": 722_496,
    "aircraft-swin-b": 86_741_176,
}
NAMES = [name for name in RECIPES if name.startswith("aircraft-")]


@pytest.mark.parametrize("name", PUBLISHED)
def test_the_parameters_are_the_published_ones(name: str) -> None:
    found = inspect(recipe(name)).parameters
    assert found["total"] == PUBLISHED[name] == AIRCRAFT_COUNTS[name]
    assert found["frozen"] == 735_424


def test_predicting_directly_and_narrow_blocks_have_the_count_of_their_layers() -> None:
    rest = 735_424 + 4_870_602 - 735_424 - (512 * 256 * 9 + 256 + 512 + 256 * 6 + 6)
    first, later = 512 * 128 * 9 + 128 + 256, 128 * 128 * 9 + 128 + 256
    assert inspect(recipe("aircraft-conv-direct")).parameters["total"] == rest + 512 * 6 + 6
    assert inspect(recipe("aircraft-conv-128")).parameters["total"] == rest + first + 128 * 6 + 6
    assert inspect(recipe("aircraft-conv-128x2")).parameters["total"] == rest + first + later + 128 * 6 + 6


@pytest.mark.parametrize("name", FROZEN)
def test_a_compared_network_is_frozen_whole_under_the_first_heads(name: str) -> None:
    found = inspect(recipe(name))
    assert found.by_part["backbone"] == found.parameters["frozen"] == FROZEN[name]
    channels, cells = (int(n) for n in found.stages["neck"].replace("(", "").split(" ")[0:6:5])
    flat = channels * cells**2
    cls = flat * 768 + 768 + 1536 + 768 * 256 + 256 + 512 + 256 * 6 + 6
    box = flat * 768 + 768 + 1536 + 768 * 256 + 256 + 512 + 256 * 128 + 128 + 256 + 128 * 4 + 4
    assert found.by_part["head"] == cls + box


@pytest.mark.parametrize(
    "name",
    ["aircraft-efficientnet-v2-s", "aircraft-efficientnet-v2-m", "aircraft-mobilenet-v3-small", "aircraft-swin-b"],
)
def test_networks_whose_own_pooling_leaves_one_cell_have_a_sibling_that_keeps_places(name: str) -> None:
    own, kept = recipe(name), recipe(f"{name}-7x7")
    assert isinstance(own.neck, AdaptivePoolNeckConfig)
    assert own.neck.size == (1, 1)
    assert kept.model_copy(update={"recipe": name, "neck": own.neck}) == own
    assert kept.neck == own.neck.model_copy(update={"size": (7, 7)})


@pytest.mark.parametrize("name", NAMES)
def test_every_recipe_has_the_settings_of_the_page_and_says_what_it_is(name: str) -> None:
    experiment = recipe(name)
    assert experiment.data.input_hw == (255, 400)
    assert not experiment.data.keep_aspect
    assert experiment.backbone.frozen == "all"
    train = experiment.train
    assert (train.optimizer, train.lr, train.weight_decay, train.batch) == ("adam", 1e-4, 1e-6, 32)
    assert (train.clip_norm, train.patience, train.epochs / train.validate_every) == (1.0, 10, 200)
    text = RECIPES[name].__doc__ or ""
    for word in ("Idea:", "Source:", "Data:", "Expected:", "Hardware:", f"Command: sightline train {name} "):
        assert word in text, f"{name}: no '{word}'"


# --- Swin's channels --------------------------------------------------------------------------------------------


def neck_of(name: str, features: FeatureMaps) -> torch.Tensor:
    """What the neck of a recipe makes of feature maps."""
    neck = recipe(name).neck.build(spec_of(features, (255, 400)))
    return neck(features).maps[-1]


def test_the_published_wiring_of_swin_mixes_places_and_channels_and_ours_does_not() -> None:
    generator = torch.Generator().manual_seed(0)
    swin = torch.randn(2, 1024, 8, 13, generator=generator)  # the last map at 255 x 400
    features = FeatureMaps(maps=(swin,))
    wrong, right = neck_of("aircraft-swin-b-published", features), neck_of("aircraft-swin-b", features)
    # 8 rows are left for 1,024 channels: each the mean over everything else.
    assert wrong.shape == (2, 8, 1, 1)
    assert right.shape == (2, 1024, 1, 1)
    torch.testing.assert_close(wrong[..., 0, 0], swin.mean(dim=(1, 3)))
    torch.testing.assert_close(right[..., 0, 0], swin.mean(dim=(2, 3)))
    # What tells classes apart is which channel fires: shuffling the channels changes all of ours, nothing of the other.
    shuffled = FeatureMaps(maps=(swin[:, torch.randperm(1024, generator=generator)],))
    torch.testing.assert_close(neck_of("aircraft-swin-b-published", shuffled), wrong)
    assert not torch.allclose(neck_of("aircraft-swin-b", shuffled), right, atol=1e-3)
    # A class should not depend on where things lie: shuffling rows changes the published features, not ours.
    moved = FeatureMaps(maps=(swin.flip(2),))
    torch.testing.assert_close(neck_of("aircraft-swin-b", moved), right)
    assert not torch.allclose(neck_of("aircraft-swin-b-published", moved), wrong, atol=1e-3)


def test_torchvisions_own_classifier_takes_the_map_of_swin_that_we_give() -> None:
    torch.manual_seed(0)
    net = TorchvisionBackboneConfig(name="swin_t", weights="none").build(channels=3, weight_folders=()).eval()
    whole = torchvision.models.swin_t().eval()
    assert isinstance(net, TorchvisionBackbone)
    whole.features.load_state_dict(net.stages.state_dict())
    pictures = torch.randn(2, 3, 64, 96)
    with torch.no_grad():
        (found,) = net(pictures).maps
        normal = whole.norm(found.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        pooled = AdaptivePoolNeckConfig(size=(1, 1)).build(net_spec := spec_of(FeatureMaps(maps=(normal,)), (64, 96)))
        logits = whole.head(pooled(FeatureMaps(maps=(normal,))).maps[0].flatten(1))
        torch.testing.assert_close(logits, whole(pictures))
    assert net_spec.channels == (768,)
    assert net_spec.sizes_hw == ((2, 3),)


def test_pooling_to_one_cell_loses_where_the_object_is_and_7_x_7_keeps_it() -> None:
    here, there = torch.zeros(1, 16, 8, 13), torch.zeros(1, 16, 8, 13)
    here[:, :, 1, 1] = there[:, :, 6, 11] = 1.0
    one, seven = (
        AdaptivePoolNeckConfig(size=size).build(spec_of(FeatureMaps(maps=(here,)), (255, 400)))
        for size in ((1, 1), (7, 7))
    )
    torch.testing.assert_close(one(FeatureMaps(maps=(here,))).maps[0], one(FeatureMaps(maps=(there,))).maps[0])
    assert not torch.allclose(seven(FeatureMaps(maps=(here,))).maps[0], seven(FeatureMaps(maps=(there,))).maps[0])


def test_pixels_are_normalised_by_the_statistics_of_the_pages_training_pictures() -> None:
    model, _ = build(shrunk("aircraft-conv-direct"))
    torch.testing.assert_close(model.mean.flatten(), torch.tensor([136.014, 148.278, 157.097]))
    torch.testing.assert_close(model.std.flatten(), torch.tensor([48.723, 48.961, 52.188]))


# --- two steps --------------------------------------------------------------------------------------------------


def shrunk(name: str) -> Experiment:
    """The recipe from random weights at 64 x 96."""
    return override(without_pretrained(recipe(name)), sets=["data.input_hw=[64, 96]"])


@pytest.mark.parametrize("name", ["aircraft-conv-1", "aircraft-convbox-1", "aircraft-mobilenet-v3-small", "one-box"])
def test_two_steps_move_the_head_and_not_a_bit_of_the_frozen_backbone(name: str) -> None:
    torch.manual_seed(0)
    experiment = shrunk(name)
    model, codec = build(experiment)
    optimizer = build_optimizer(model, experiment.train)
    before = copy.deepcopy(model.state_dict())
    assert name == "aircraft-conv-1" or name == "aircraft-convbox-1" or any("running_mean" in key for key in before)
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (4, 3, 64, 96), dtype=torch.uint8, generator=generator)
    boxes = torch.tensor([[[10.0, 12.0, 60.0, 50.0]]]).repeat(4, 1, 1)
    labels = torch.zeros(4, 1, dtype=torch.long)
    truth = Truth.of_boxes(boxes, labels, torch.ones(4, 1, dtype=torch.bool))
    for _ in range(2):
        model.train()
        loss = codec.loss(model(images), codec.encode(truth))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        assert torch.isfinite(loss)
    after = model.state_dict()
    assert all(torch.equal(before[key], after[key]) for key in before if key.startswith("backbone."))
    moved = [key for key in before if key.startswith("head.") and not torch.equal(before[key], after[key])]
    assert any("class_branch" in key for key in moved)
    assert any("box_branch" in key for key in moved)


# --- ladders ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", AIRCRAFT_LADDERS)
def test_every_ladder_says_what_it_asks_and_its_rungs_have_its_name(name: str) -> None:
    rungs = AIRCRAFT_LADDERS[name]()
    assert (AIRCRAFT_LADDERS[name].__doc__ or "").strip()
    assert len({rung.recipe for rung in rungs}) == len(rungs) > 1
    assert all(rung.recipe.startswith(f"{name}-") for rung in rungs)
    assert len({rung.model_copy(update={"recipe": ""}).to_yaml() for rung in rungs}) == len(rungs)


def test_the_rungs_that_are_recipes_of_the_page_equal_them() -> None:
    rungs = {rung.recipe: rung for ladder in AIRCRAFT_LADDERS.values() for rung in ladder()}
    for rung, name in {
        "aircraft-box-heads-768-768-256-256-128": "aircraft-mlp",
        "aircraft-alpha-0.7": "aircraft-mlp",
        "aircraft-size-400x255": "aircraft-mlp",
        "aircraft-batch-32": "aircraft-mlp",
        "aircraft-factor-2": "aircraft-conv-1",
        "aircraft-class-heads-768-256": "aircraft-squeezenet1-0",
    }.items():
        assert rungs[rung].model_copy(update={"recipe": name}) == recipe(name), rung


def test_the_final_model_of_the_page_draws_each_picture_six_times_between_validations() -> None:
    rung = next(rung for rung in AIRCRAFT_LADDERS["aircraft-factor"]() if rung.recipe == "aircraft-factor-6")
    assert (rung.train.validate_every, rung.train.epochs) == (6, 1200)


def test_backbones_are_ranked_at_settings_that_were_tried_for_each() -> None:
    tried = {rung.recipe for rung in AIRCRAFT_LADDERS["one-box-rates"]()}
    for name, (norm, rate) in CHOSEN.items():
        assert f"one-box-rates-{name}-{norm}-lr{rate}" in tried


def test_every_cached_rung_can_be_cached() -> None:
    for ladder in (name for name in AIRCRAFT_LADDERS if name.startswith("one-box")):
        for rung in AIRCRAFT_LADDERS[ladder]():
            assert rung.train.cache_features == (rung.augment.views is not None)
            assert rung.backbone.frozen == "all"


def test_a_ladder_is_repeated_over_seeds() -> None:
    repeated = at_seeds(one_box_alpha())
    assert len(repeated) == 12
    assert {rung.train.seed for rung in repeated} == {0, 1, 2}
    assert repeated[1].recipe == "one-box-alpha-0.6-seed1"


def test_sizes_are_height_before_width_and_cells_follow() -> None:
    for rung in AIRCRAFT_LADDERS["one-box-size"]():
        assert isinstance(rung.neck, AdaptivePoolNeckConfig)
        assert np.array_equal(np.array(rung.neck.size) * 32, rung.data.input_hw)
