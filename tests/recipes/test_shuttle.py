"""The shuttle tracker's 11 versions: counts derived by hand, what the published tables say, and steps of training."""

from __future__ import annotations

from functools import cache
from itertools import pairwise

import pytest
import torch

from sightline.config import Experiment, override
from sightline.inspect import Inspection, inspect
from sightline.model import build, without_pretrained
from sightline.optim import build_optimizer, rate_factor
from sightline.recipes import LADDERS, PUBLISHED, RECIPES, recipe
from sightline.recipes.shuttle_ladder import VERSIONS, light, light_versions
from sightline.types import Points, Truth

B0, B3 = 4_007_548, 10_696_232  # torchvision's EfficientNets up to their last convolution
V2_B0, V2_B3 = 5_610_384, 12_461_982  # timm's EfficientNetV2s up to stride 32
B0_TAPS = (112, 1280)  # 14 x 14 and 7 x 7
V2_B0_TAPS, V2_B3_TAPS = (32, 48, 112, 192), (40, 56, 136, 232)


@cache
def looked_at(name: str) -> Inspection:
    """A recipe's facts: seconds each, and several tests want them."""
    return inspect(recipe(name))


def conv(inputs: int, outputs: int, kernel: int) -> int:
    """Weights and biases of a convolution."""
    return outputs * (inputs * kernel * kernel + 1)


def linear(inputs: int, outputs: int) -> int:
    return outputs * (inputs + 1)


def mlp(*widths: int) -> int:
    return sum(linear(a, b) for a, b in pairwise(widths))


def attention(width: int) -> int:
    """The scorer: D -> 256 -> 1."""
    return linear(width, 256) + linear(256, 1)


# Over time: 3 -> 32 -> 64 channels with a kernel of 3. Raw: 6 triplets and 5 steps of 2 numbers each -> 64.
CONV1D = 32 * (3 * 3 + 1) + 64 * (32 * 3 + 1)
DELTAS = linear(6 * 3 + 5 * 2, 64)


def bifpn(taps: tuple[int, ...], width: int, *, passes: int) -> int:
    """Lateral 1 x 1 convolutions once; a 3 x 3 convolution a level and pass, with biases and no normalisation."""
    return sum(conv(c, width, 1) for c in taps) + passes * len(taps) * conv(width, width, 3)


def stack_head(width: int) -> int:
    """Two levels of four frames -> 256, 256, 64, 64, 16, 1."""
    channels = conv(4 * 2 * width, 256, 1) + conv(256, 256, 3) + conv(256, 64, 1) + conv(64, 64, 3)
    return channels + conv(64, 16, 1) + conv(16, 1, 1)


def fusion() -> int:
    """s2-v4 between backbone and decoder."""
    coarse = conv(1280, 640, 1) + conv(640, 640, 3) + conv(640, 320, 1)
    coarse += conv(4 * 320, 640, 1) + conv(640, 640, 3) + conv(640, 256, 1)
    fine = conv(112, 128, 1) + 2 * conv(128, 128, 3) + conv(4 * 128, 256, 1) + conv(256, 256, 3)
    return coarse + fine + conv(2 * 256, 256, 3)


FILM = DELTAS + 2 * linear(64, 256)
DECODER = conv(256, 64, 1) + conv(64, 64, 3) + conv(64, 16, 1) + conv(16, 16, 3) + conv(16, 1, 1)
GATE, VISIBLE = 1, linear(2, 1)

BY_HAND = {
    # past, current and trajectory: 1536 + 1536 + 64 = 3136. Three layers, where the text speaks of an MLP of depth 4.
    "shuttle-s1-v1": B3 + attention(1536) + CONV1D + mlp(3136, 1024, 256, 3),
    "shuttle-s1-v2": B3 + attention(1536) + CONV1D + mlp(3136, 1024, 512, 128, 2),
    "shuttle-s1-v3": B3 + attention(1536) + CONV1D + mlp(3136, 1024, 512, 128, 6),
    "shuttle-s1-v4": V2_B3 + bifpn(V2_B3_TAPS, 64, passes=4) + stack_head(64) + GATE,
    "shuttle-s2-v1": B0 + attention(1280) + CONV1D + mlp(2624, 1024, 512, 128, 3),
    "shuttle-s2-v2": B0 + attention(1280) + DELTAS + mlp(2624, 1024, 256, 3),
    "shuttle-s2-v3": B0 + attention(1280) + DELTAS + mlp(2624, 1024, 512) + mlp(512, 128, 2) + mlp(512, 128, 1),
    "shuttle-s2-v4": B0 + fusion() + FILM + DECODER + GATE + VISIBLE,
    "shuttle-s2-v5": B0 + fusion() + FILM + DECODER + GATE + VISIBLE,
    "shuttle-s2-v6": V2_B0 + bifpn(V2_B0_TAPS, 64, passes=4) + stack_head(64),
    "shuttle-s2-v7": V2_B0 + bifpn(V2_B0_TAPS, 96, passes=4) + stack_head(96),  # the hump's weight is fixed: no gate
}
EXPECTED = {
    "shuttle-s1-v1": 14_571_948,
    "shuttle-s1-v2": 14_899_499,
    "shuttle-s1-v3": 14_900_015,
    "shuttle-s1-v4": 13_858_624,
    "shuttle-s2-v1": 7_621_120,
    "shuttle-s2-v2": 7_288_768,
    "shuttle-s2-v3": 7_682_112,
    "shuttle-s2-v4": 15_693_361,
    "shuttle-s2-v5": 15_693_361,
    "shuttle-s2-v6": 7_001_905,
    "shuttle-s2-v7": 7_817_649,
}


@pytest.mark.parametrize("name", VERSIONS)
def test_a_version_has_the_count_of_its_layers(name: str) -> None:
    assert looked_at(name).parameters["total"] == BY_HAND[name] == EXPECTED[name]
    assert PUBLISHED.get(name, EXPECTED[name]) == EXPECTED[name]


def test_only_published_totals_are_called_published() -> None:
    derived = {"shuttle-s1-v4", "shuttle-s2-v6", "shuttle-s2-v7"}
    assert {name for name in PUBLISHED if name.startswith("shuttle")} == VERSIONS.keys() - derived


def test_the_published_sub_totals_are_those_of_the_parts() -> None:
    """Necks of 620,800, 615,680 and 1,365,888; heads of 775,841, 775,841 and 841,377 without the bump's gate."""
    assert bifpn(V2_B3_TAPS, 64, passes=4) == 620_800
    assert bifpn(V2_B0_TAPS, 64, passes=4) == 615_680
    assert bifpn(V2_B0_TAPS, 96, passes=4) == 1_365_888
    assert (stack_head(64), stack_head(96)) == (775_841, 841_377)
    for name, neck, head in (
        ("shuttle-s1-v4", 620_800, 775_841 + GATE),
        ("shuttle-s2-v6", 615_680, 775_841),
        ("shuttle-s2-v7", 1_365_888, 841_377),
    ):
        parts = looked_at(name).by_part
        assert (parts["neck"], parts["head"]) == (neck, head)


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("shuttle-s1-v3", "xy 3 x 2"),
        ("shuttle-s1-v4", "logits 75 x 75"),
        ("shuttle-s2-v4", "logits 14 x 14"),
        ("shuttle-s2-v6", "logits 14 x 14"),
        ("shuttle-s2-v7", "logits 28 x 28"),
    ],
)
def test_a_version_gives_the_published_map(name: str, shape: str) -> None:
    assert looked_at(name).stages["head"].startswith(shape)


# --- schedules ---------------------------------------------------------------------------------------------

# Rate of the backbone and of the rest, parts of a step, pictures in each, epochs, factor of a drop.
SCHEDULES = {
    "shuttle-s1-v1": (1e-4, 1e-4, 4, 8, 10, 0.8),
    "shuttle-s1-v2": (1e-3, 1e-3, 4, 16, 30, 0.8),
    "shuttle-s1-v2-hard": (1e-4, 1e-4, 4, 16, 8, 0.8),
    "shuttle-s1-v3": (1e-3, 1e-3, 4, 16, 30, 0.8),
    "shuttle-s1-v4": (2e-5, 6e-5, 2, 16, 30, 0.9),
    "shuttle-s2-v1": (1e-4, 5e-3, 2, 16, 30, 0.8),
    "shuttle-s2-v2": (5e-5, 2e-4, 4, 16, 10, 0.85),
    "shuttle-s2-v3": (5e-5, 2e-4, 4, 16, 20, 0.85),
    "shuttle-s2-v4": (5e-5, 2e-4, 2, 32, 100, 0.85),
    "shuttle-s2-v5": (1e-4, 2e-4, 4, 16, 30, 0.85),
    "shuttle-s2-v6": (1e-5, 3e-5, 2, 16, 100, 0.9),
    "shuttle-s2-v7": (3e-6, 1e-5, 2, 16, 100, 0.9),
}


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_version_trains_as_the_published_table_says(name: str) -> None:
    backbone, rest, accumulate, part, epochs, factor = SCHEDULES[name]
    train = recipe(name).train
    assert train.lr * train.backbone_lr == pytest.approx(backbone)
    assert [train.lr * f for f in (train.neck_lr, train.context_lr, train.head_lr)] == pytest.approx([rest] * 3)
    assert (train.accumulate, train.batch // train.accumulate, train.epochs) == (accumulate, part, epochs)
    assert rate_factor(train, step=6 * 10, steps_per_epoch=10) == pytest.approx(factor**2)
    assert train.optimizer == (
        "adam" if name.startswith(("shuttle-s1-v1", "shuttle-s1-v2", "shuttle-s1-v3")) else "adamw"
    )


def test_weight_decay_leaves_biases_and_normalisation_out_from_the_second_fine_version_on() -> None:
    order = ["s1-v1", "s1-v2", "s1-v3", "s2-v1", "s2-v2", "s2-v3", "s2-v4", "s2-v5", "s2-v6", "s2-v7", "s1-v4"]
    decays = [recipe(f"shuttle-{version}").train.decay_norm_and_bias for version in order]
    assert decays == [True] * 4 + [False] * 7


def differences(first: Experiment, second: Experiment) -> set[str]:
    one, two = first.model_dump(), second.model_dump()
    found = set()
    for part in one.keys() - {"recipe"}:
        if isinstance(one[part], dict) and one[part].keys() == two[part].keys():
            found |= {f"{part}.{key}" for key in one[part] if one[part][key] != two[part][key]}
        elif one[part] != two[part]:
            found.add(part)
    return found


def test_version_5_mends_the_noise_of_version_4_and_leaves_the_network_as_it_is() -> None:
    found = differences(recipe("shuttle-s2-v4"), recipe("shuttle-s2-v5"))
    assert {key for key in found if not key.startswith("train.")} == {
        "augment.noise_std",
        "augment.noise_draw",
        "backbone.frozen",
    }
    assert recipe("shuttle-s2-v4").augment.noise_draw == "constant"


@pytest.mark.parametrize("name", [*VERSIONS, "shuttle-s1-v2-hard"])
def test_every_version_says_what_it_is(name: str) -> None:
    text = RECIPES[name].__doc__ or ""
    for word in ("Idea:", "Source:", "Data", "Expected:", "Hardware and time:", f"Command: sightline train {name} "):
        assert word in text, f"{name}: no '{word}'"


# --- training ----------------------------------------------------------------------------------------------

SIDE = 64  # the coarsest map is 2 x 2


def trains(experiment: Experiment, *, side: int = SIDE) -> None:
    """Two steps with a random past, after which every part has moved and the point can be decoded."""
    torch.manual_seed(0)
    experiment = override(without_pretrained(experiment), sets=[f"data.input_hw=[{side}, {side}]"])
    model, codec = build(experiment)
    optimizer = build_optimizer(model, experiment.train)
    images = torch.randint(0, 256, (2, 3, side, side), dtype=torch.uint8)
    past = torch.randint(0, 256, (2, model.past_frames, 3, side, side), dtype=torch.uint8)
    past_xy = torch.tensor([0.2, 0.3]) * side + torch.arange(model.history)[:, None] * torch.tensor([1.0, 0.5])
    past_visible = torch.ones(2, model.history, dtype=torch.bool)
    seen = (images, past, past_xy.expand(2, -1, -1), past_visible)
    truth = Truth.of_points(torch.tensor([[[30.0, 50.0]], [[0.0, 0.0]]]), torch.tensor([[True], [False]]))
    first = {name: p.detach().clone() for name, p in model.named_parameters()}
    for step in range(2):
        codec.set_progress(step / 2)
        loss = codec.loss(model(*seen), codec.encode(truth))
        assert torch.isfinite(loss)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    for part in ("backbone", "context", "head"):
        names = [name for name in first if name.startswith(f"{part}.")]
        now = dict(model.named_parameters())
        assert not names or any(not torch.equal(first[name], now[name]) for name in names), part
    points = codec.decode(model.eval()(*seen))
    assert isinstance(points, Points)
    assert points.xy.shape == (2, 1, 2)
    assert ((points.score >= 0) & (points.score <= 1)).all()


@pytest.mark.parametrize("name", [rung.recipe for rung in light_versions()])
def test_a_light_version_makes_two_steps(name: str) -> None:
    trains(recipe(name))


@pytest.mark.slow
@pytest.mark.parametrize("name", VERSIONS)
def test_a_version_makes_two_steps(name: str) -> None:
    trains(recipe(name))


@pytest.mark.parametrize("name", ["shuttle-s1-v4", "shuttle-s2-v7"])
def test_a_timm_version_takes_another_backbone_by_name(name: str) -> None:
    swapped = override(recipe(name), sets=["backbone.name=mobilenetv2_100", "backbone.padding=same"])
    assert inspect(swapped).stages["head"] == looked_at(name).stages["head"]


@pytest.mark.parametrize("name", ["shuttle-s1-v1", "shuttle-s2-v4"])
def test_a_torchvision_version_takes_another_kind_of_backbone(name: str) -> None:
    levels = [4] if name == "shuttle-s1-v1" else [3, 4]
    swapped = override(
        recipe(name),
        use=["backbone=timm"],
        sets=["backbone.name=mobilenetv2_100", f"backbone.levels={levels}", "backbone.mean_std=none"],
    )
    assert inspect(swapped).stages["head"] == looked_at(name).stages["head"]


def test_a_light_version_keeps_all_but_widths_backbone_and_schedule() -> None:
    for name, make in VERSIONS.items():
        found = differences(make(), light(make()))
        kept = {key for key in found if not key.startswith(("backbone", "train."))}
        widths = {"neck.channels", "context.coarse_widths", "context.fine_widths", "context.width", "head.layers"}
        assert kept <= widths, name


# --- the ladder --------------------------------------------------------------------------------------------

CHANGES = (
    {"context.prior", "head.prior", "head.prior_gate"},
    {"context.film", "context.history"},
    {"head.visible", "codec.visible_loss", "codec.visible_smoothing", "codec.visible_weight"},
    {"backbone.mean_std"},
    {"backbone"},
    {"backbone.levels", "neck", "context", "head.layers"},
    {"neck.bottom_up"},
    {"neck.repeats"},
)


def test_the_ladder_goes_from_version_5_to_version_6_one_change_a_rung() -> None:
    rungs = LADDERS["shuttle-v5-to-v6"]()
    assert differences(rungs[0], recipe("shuttle-s2-v5")) == set()
    assert differences(rungs[-1], recipe("shuttle-s2-v6")) == set()
    assert [differences(a, b) for a, b in pairwise(rungs[:-1])] == list(CHANGES)
    last = differences(rungs[-2], rungs[-1])
    assert "backbone.frozen" in last
    assert all(key == "backbone.frozen" or key.startswith("train.") for key in last)


def test_the_light_ladder_takes_the_same_steps_on_one_backbone_with_one_schedule() -> None:
    rungs = LADDERS["shuttle-v5-to-v6-light"]()
    assert {rung.backbone.name for rung in rungs} == {"mobilenetv2_100"}  # type: ignore[union-attr]
    assert len({(rung.train.lr, rung.train.epochs, rung.train.batch, rung.train.backbone_lr) for rung in rungs}) == 1
    steps = [differences(a, b) for a, b in pairwise(rungs)]
    without_backbone = [change for change in CHANGES if change != {"backbone"}]
    assert steps == [*without_backbone, {"backbone.frozen"}]
