"""torchvision's pyramid and the driving write-up's BiFPN, with and without its mistakes."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from sightline.necks.driving_bifpn import DrivingBifpnNeckConfig
from sightline.necks.fpn_torchvision import FpnTorchvisionNeckConfig
from sightline.pieces import fake_maps, spec_of
from sightline.types import FeatureMaps, FeatureSpec

ONE = FeatureSpec(channels=(64,), strides=(4.0,), sizes_hw=((32, 256),))


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def small(config: DrivingBifpnNeckConfig) -> tuple[nn.Module, FeatureMaps]:
    torch.manual_seed(0)
    maps = (torch.rand(2, 5, 16, 12), torch.rand(2, 7, 8, 6), torch.rand(2, 9, 4, 3))
    spec = FeatureSpec(channels=(5, 7, 9), strides=(4.0, 8.0, 16.0), sizes_hw=((16, 12), (8, 6), (4, 3)))
    return config.build(spec).eval(), FeatureMaps(maps=maps)


def test_six_levels_of_torchvisions_pyramid_have_the_published_count() -> None:
    channels = (64, 128, 256, 512, 1024, 2048)
    spec = FeatureSpec(channels=channels, strides=(4.0,) * 6, sizes_hw=((1, 1),) * 6)
    assert count(FpnTorchvisionNeckConfig(channels=256).build(spec)) == 4_574_208


@pytest.mark.parametrize(("top", "more"), [("none", 0), ("pool", 1), ("p6p7", 2)])
def test_the_top_adds_levels(top: str, more: int) -> None:
    spec = FeatureSpec(channels=(8, 16), strides=(4.0, 8.0), sizes_hw=((8, 8), (4, 4)))
    out = FpnTorchvisionNeckConfig(channels=6, top=top).build(spec).to("meta")(fake_maps(spec))  # type: ignore[arg-type]
    assert [one.shape[1] for one in out.maps] == [6] * (2 + more)
    assert [one.shape[2] for one in out.maps] == [8, 4, 2, 1][: 2 + more]


@pytest.mark.parametrize(
    ("convs", "block"),
    [("published", 33_280), ("depthwise", 9 * 128 + 128 + 128 * 128 + 128 + 256)],
)
def test_the_bifpn_has_the_published_count_with_its_mistakes_and_less_without(convs: str, block: int) -> None:
    config = DrivingBifpnNeckConfig(extra=5, convs=convs, fusion="published")  # type: ignore[arg-type]
    neck = config.build(ONE)
    assert count(neck) == 25_344 + 5 * 295_680 + 30 * block
    trained = config.model_copy(update={"fusion": "trained"}).build(ONE)
    assert count(trained) == count(neck) + 3 * (2 * 5 + 3 * 5)


def test_levels_are_added_behind_the_given_ones() -> None:
    neck, features = small(DrivingBifpnNeckConfig(channels=8, extra=2))
    out = neck(features)
    assert spec_of(out, (64, 48)).sizes_hw == ((16, 12), (8, 6), (4, 3), (2, 2), (1, 1))
    assert spec_of(out, (64, 48)).channels == (8,) * 5


def test_published_convolutions_never_look_sideways_and_fixed_ones_do() -> None:
    for convs, sees_neighbours in (("published", False), ("depthwise", True)):
        torch.manual_seed(0)
        config = DrivingBifpnNeckConfig(channels=8, repeats=1, convs=convs)  # type: ignore[arg-type]
        neck, _ = small(config)
        x = torch.rand(1, 8, 5, 5)
        moved = x.clone()
        moved[0, :, 2, 3] += 1
        block = neck.layers[0].down[0]
        assert torch.equal(block(x)[..., 2, 2], block(moved)[..., 2, 2]) != sees_neighbours


def test_published_fusion_weights_are_never_trained_but_stored() -> None:
    neck, _ = small(DrivingBifpnNeckConfig(channels=8, repeats=1, fusion="published"))
    assert not any("weights" in name for name, _ in neck.named_parameters())
    assert {"layers.0.down_weights", "layers.0.up_weights"} <= neck.state_dict().keys()
    fixed, features = small(DrivingBifpnNeckConfig(channels=8, repeats=1))
    sum(one.square().mean() for one in fixed(features).maps).backward()
    assert fixed.layers[0].down_weights.grad.abs().sum() > 0
    assert fixed.layers[0].up_weights.grad.abs().sum() > 0


def test_a_fusion_is_the_weighted_mean_of_its_terms() -> None:
    neck, features = small(DrivingBifpnNeckConfig(channels=8, repeats=1))
    layer = neck.layers[0]
    with torch.no_grad():
        layer.down_weights[:, 1] = torch.tensor([3.0, -5.0])  # a negative weight is cut at zero
    maps = [lateral(one) for lateral, one in zip(neck.lateral, features.maps, strict=True)]
    seen = {}
    layer.down[1].register_forward_pre_hook(lambda _, inputs: seen.update(x=inputs[0]))
    layer(maps)
    torch.testing.assert_close(seen["x"], maps[1], atol=1e-3, rtol=1e-3)


def test_the_finest_output_is_the_top_down_one() -> None:
    neck, features = small(DrivingBifpnNeckConfig(channels=8, repeats=1))
    seen = {}
    neck.layers[0].down[0].register_forward_hook(lambda _, __, out: seen.update(x=out))
    assert torch.equal(neck(features).maps[0], seen["x"])
