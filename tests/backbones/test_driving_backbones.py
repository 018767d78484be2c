"""The driving write-up's backbones: levels, strides and counts; published mistakes stay what they were."""

from __future__ import annotations

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from sightline.backbones.resnet_levels import ExtraLevel, ResnetLevelsConfig
from sightline.backbones.ssd_basic import SsdBasicBackboneConfig
from sightline.errors import UserError
from sightline.pieces import fake_images, spec_of
from sightline.recipes.driving import EXTRA

NATIVE = (128, 1024)
CELLS = ((32, 256), (16, 128), (8, 64), (4, 32), (2, 16), (1, 8))


def built(config: ResnetLevelsConfig | SsdBasicBackboneConfig) -> nn.Module:
    with torch.device("meta"):
        return config.build(channels=3, weight_folders=())


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def test_the_basic_model_has_the_published_levels_and_count() -> None:
    net = built(SsdBasicBackboneConfig(levels=6))
    spec = spec_of(net(fake_images(3, NATIVE)), NATIVE)
    assert spec.channels == (128, 256, 128, 128, 64, 64)
    assert spec.sizes_hw == CELLS
    assert count(net) == 2_494_912


def test_resnet34_with_two_more_levels_has_the_published_levels_and_counts() -> None:
    net = built(ResnetLevelsConfig(weights="none", extra=EXTRA))
    spec = spec_of(net(fake_images(3, NATIVE)), NATIVE)
    assert spec.channels == (64, 128, 256, 512, 1024, 2048)
    assert spec.sizes_hw == CELLS
    assert count(net) == 21_284_672 + 35_394_048
    with_norm = built(ResnetLevelsConfig(weights="none", extra=EXTRA, extra_norm=True))
    assert count(with_norm) - count(net) == 9_216


def test_an_idle_stage_is_counted_and_changes_nothing() -> None:
    torch.manual_seed(0)
    idle = ResnetLevelsConfig(name="resnet18", weights="none", stages=1, idle_stages=1)
    net = idle.build(channels=3, weight_folders=())
    images = torch.randn(2, 3, 32, 32)
    before = net(images).maps
    assert len(before) == 1
    for parameter in net.idle.parameters():
        assert not parameter.requires_grad
        nn.init.constant_(parameter, torch.nan)
    torch.testing.assert_close(net(images).maps[0], before[0])
    plain = idle.model_copy(update={"idle_stages": 0}).build(channels=3, weight_folders=())
    assert count(net) > count(plain)


def test_resampled_levels_feed_the_next_stage() -> None:
    sizes = ((10, 20), (7, 9), (3, 3), (2, 2), (2, 1))
    config = ResnetLevelsConfig(
        name="resnet18", weights="none", extra=(ExtraLevel(middle=8, channels=8),), resample_hw=sizes
    )
    net = config.build(channels=3, weight_folders=()).eval()
    images = torch.randn(1, 3, 64, 64)
    maps = net(images).maps
    assert tuple(one.shape[2:] for one in maps) == sizes
    torch.testing.assert_close(
        maps[1], nn.functional.interpolate(net.stages[1](maps[0]), size=sizes[1], mode="nearest")
    )


def test_a_random_residual_network_starts_as_its_shortcuts() -> None:
    shortcuts = ResnetLevelsConfig(name="resnet18", weights="none").build(channels=3, weight_folders=()).eval()
    library = ResnetLevelsConfig(name="resnet18", weights="none", init="library").build(channels=3, weight_folders=())
    x = torch.rand(1, 64, 8, 8)
    torch.testing.assert_close(shortcuts.stages[0](x), x)
    assert not torch.allclose(library.eval().stages[0](x), x)


def test_sizes_that_are_not_one_for_each_level_are_refused() -> None:
    with pytest.raises(ValidationError, match="resample_hw has 2 sizes for 4 levels"):
        ResnetLevelsConfig(resample_hw=((4, 4), (2, 2)))
    with pytest.raises(ValidationError, match="a ResNet has 4"):
        ResnetLevelsConfig(stages=3, idle_stages=2)


@pytest.mark.parametrize("name", ["vgg11", "mobilenet_v2", "nonsense"])
def test_a_network_that_is_no_resnet_is_refused(name: str) -> None:
    with pytest.raises(UserError, match="resnet, resnext or wide_resnet"):
        ResnetLevelsConfig(name=name, weights="none").build(channels=3, weight_folders=())


def test_an_unknown_resnet_names_the_nearest() -> None:
    with pytest.raises(UserError, match="Did you mean 'resnet34'"):
        ResnetLevelsConfig(name="resnet33", weights="none").build(channels=3, weight_folders=())
