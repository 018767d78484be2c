"""timm and torchvision networks by name: shapes, taps, options, and what is refused."""

from __future__ import annotations

import pytest
import timm
import torch

from sightline.backbones.timm_net import TimmBackboneConfig
from sightline.backbones.torchvision_net import TorchvisionBackboneConfig
from sightline.errors import UserError
from sightline.pieces import PieceConfig, fake_images, spec_of
from sightline.types import FeatureSpec

TORCHVISION = {
    # name: (channels, (h, w) of each level at 64 x 96)
    "squeezenet1_0": ((96, 256, 512, 512), ((29, 45), (14, 22), (7, 11), (3, 5))),
    "squeezenet1_1": ((64, 128, 256, 512), ((31, 47), (15, 23), (7, 11), (3, 5))),
    "vgg16": ((64, 128, 256, 512, 512, 512), ((64, 96), (32, 48), (16, 24), (8, 12), (4, 6), (2, 3))),
    "resnet18": ((64, 64, 128, 256, 512), ((32, 48), (16, 24), (8, 12), (4, 6), (2, 3))),
    "swin_t": ((96, 192, 384, 768), ((16, 24), (8, 12), (4, 6), (2, 3))),
    "mobilenet_v3_small": ((16, 16, 24, 48, 576), ((32, 48), (16, 24), (8, 12), (4, 6), (2, 3))),
    "efficientnet_b0": ((16, 24, 40, 112, 1280), ((32, 48), (16, 24), (8, 12), (4, 6), (2, 3))),
}
TIMM = {
    "mobilenetv2_100": (24, 32, 96, 320),
    "resnet34": (64, 128, 256, 512),
    "efficientnet_b0": (24, 40, 112, 320),
    "tf_efficientnetv2_b0": (32, 48, 112, 192),
    "mobilenetv3_small_100": (16, 24, 48, 576),
}


def shapes(config: PieceConfig, *, channels: int = 3, size: tuple[int, int] = (64, 96)) -> FeatureSpec:
    """What a network gives, without memory."""
    with torch.device("meta"):
        net = config.build(channels=channels, weight_folders=()).eval()  # type: ignore[attr-defined]
    return spec_of(net(fake_images(channels, size)), size)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", TORCHVISION)
def test_a_torchvision_network_is_tapped_at_every_resolution(name: str, channels: int) -> None:
    wanted_channels, sizes = TORCHVISION[name]
    config = TorchvisionBackboneConfig(name=name, weights="none", levels=tuple(range(len(sizes))))
    spec = shapes(config, channels=channels)
    assert spec.channels == wanted_channels
    assert spec.sizes_hw == sizes


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", TIMM)
def test_a_timm_network_gives_strides_4_to_32(name: str, channels: int) -> None:
    spec = shapes(TimmBackboneConfig(name=name, weights="none"), channels=channels)
    assert spec.channels == TIMM[name]
    assert spec.sizes_hw == ((16, 24), (8, 12), (4, 6), (2, 3))


def test_stages_behind_the_last_level_are_not_kept() -> None:
    config = TorchvisionBackboneConfig(name="resnet18", weights="none", levels=(1, 2))
    net = config.build(channels=3, weight_folders=())
    # conv1, bn1, layer1, layer2 of resnet18
    assert sum(p.numel() for p in net.parameters()) == 9408 + 128 + 147_968 + 525_568


NETS = ("mobilenetv2_100", "mobilenetv3_small_100", "efficientnet_b0", "resnet18", "convnext_atto")


@pytest.mark.parametrize("levels", [(0, 1, 2), (1,), (2, 4)])
@pytest.mark.parametrize("name", NETS)
def test_every_parameter_of_a_timm_network_learns(name: str, levels: tuple[int, ...]) -> None:
    if name == "convnext_atto":  # its first level has stride 4
        levels = tuple(level - 1 for level in levels if level)
    net = TimmBackboneConfig(name=name, weights="none", levels=levels).build(channels=3, weight_folders=())
    sum(each.square().mean() for each in net(torch.randn(2, 3, 64, 64)).maps).backward()  # type: ignore[union-attr]
    assert [name for name, p in net.named_parameters() if p.grad is None] == []


@pytest.mark.parametrize("name", ["mobilenetv2_100", "mobilenetv3_small_100", "efficientnet_b0"])
def test_cutting_a_timm_network_leaves_its_levels_as_they_were(name: str) -> None:
    torch.manual_seed(0)
    whole = timm.create_model(name, features_only=True, out_indices=(0, 1, 2)).eval()
    net = TimmBackboneConfig(name=name, weights="none", levels=(0, 1, 2)).build(channels=3, weight_folders=()).eval()
    net.net.load_state_dict({key: whole.state_dict()[key] for key in net.net.state_dict()})  # type: ignore[union-attr]
    images = torch.randn(1, 3, 64, 64)
    with torch.no_grad():
        found = net(images).maps
        assert all(torch.equal(one, other) for one, other in zip(found, whole(images), strict=True))
    assert sum(p.numel() for p in net.parameters()) < 0.1 * sum(p.numel() for p in whole.parameters())


def test_what_cannot_be_cut_from_a_timm_network_is_kept_still() -> None:
    config = TimmBackboneConfig(name="hrnet_w18_small", weights="none", levels=(1,))
    net = config.build(channels=3, weight_folders=())
    sum(each.square().mean() for each in net(torch.randn(2, 3, 64, 64)).maps).backward()  # type: ignore[union-attr]
    assert all(p.requires_grad == (p.grad is not None) for p in net.parameters())
    assert any(p.requires_grad for p in net.parameters())
    assert any(not p.requires_grad for p in net.parameters())


def test_looking_for_taps_leaves_running_statistics_alone() -> None:
    net = TorchvisionBackboneConfig(name="resnet18", weights="none", levels=(1,)).build(channels=3, weight_folders=())
    assert all(
        (b == 0).all() for name, b in net.named_buffers() if name.endswith(("running_mean", "num_batches_tracked"))
    )


@pytest.mark.parametrize("kind", [TimmBackboneConfig, TorchvisionBackboneConfig])
@pytest.mark.parametrize("levels", [(3, 1), (1, 1)])
def test_levels_out_of_order_are_refused(kind: type[PieceConfig], levels: tuple[int, ...]) -> None:
    with pytest.raises(UserError, match=r"levels must go from fine to coarse, each once"):
        kind(weights="none", levels=levels).build(channels=3, weight_folders=())  # type: ignore[call-arg, attr-defined]


@pytest.mark.parametrize("kind", [TimmBackboneConfig, TorchvisionBackboneConfig])
def test_a_level_that_is_not_there_is_refused(kind: type[PieceConfig]) -> None:
    with pytest.raises(UserError, match=r"levels.*\(9,\)"):
        kind(weights="none", levels=(9,)).build(channels=3, weight_folders=())  # type: ignore[call-arg, attr-defined]


@pytest.mark.parametrize("kind", [TimmBackboneConfig, TorchvisionBackboneConfig])
def test_an_unknown_network_names_near_ones_and_not_a_thousand(kind: type[PieceConfig]) -> None:
    with pytest.raises(UserError, match=r"Did you mean '?resnet18") as caught:
        kind(name="resnet_18", weights="none").build(channels=3, weight_folders=())  # type: ignore[call-arg, attr-defined]
    assert len(str(caught.value)) < 3000


def test_a_torchvision_network_that_is_no_chain_points_to_timm() -> None:
    with pytest.raises(UserError, match="googlenet is not a chain of stages; take it from timm"):
        TorchvisionBackboneConfig(name="googlenet", weights="none").build(channels=3, weight_folders=())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"name": "resnet18", "padding": "same"}, "resnet18 takes no backbone.padding=same"),
        (
            {"name": "mobilenetv2_100", "norm": "none"},
            "backbone.norm=none is wired for resnets, not for mobilenetv2_100",
        ),
        ({"name": "mobilenetv2_100", "linear_stem_block": True}, "linear_stem_block is wired for mobilenet_edgetpu"),
        ({"name": "resnet18", "weights": "imagenet", "init": "torch"}, "init=torch needs backbone.weights=none"),
    ],
)
def test_an_option_that_would_do_nothing_is_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        TimmBackboneConfig(**{"weights": "none", **settings}).build(channels=3, weight_folders=())  # type: ignore[arg-type]


def test_torch_s_own_first_weights_are_smaller_than_the_library_s() -> None:
    library, torch_own = (
        TimmBackboneConfig(name="resnet18", weights="none", levels=(1,), init=init).build(channels=3, weight_folders=())  # type: ignore[arg-type]
        for init in ("library", "torch")
    )
    stds = [net.net.layer1[0].conv2.weight.std().item() for net in (library, torch_own)]
    # He: sqrt(2 / (9 * 64)) = 0.059; torch: uniform with bound 1 / sqrt(9 * 64), so 0.024
    assert stds[0] == pytest.approx(0.059, abs=0.003)
    assert stds[1] == pytest.approx(0.024, abs=0.002)


@pytest.mark.parametrize(("name", "stride"), [("mobilenetv2_100", 4), ("mobilenetv2_100", 8), ("resnet18", 4)])
def test_what_makes_the_fine_maps_is_frozen_and_the_rest_is_not(name: str, stride: int) -> None:
    config = TimmBackboneConfig(name=name, weights="none", levels=(1, 2, 3), frozen_to_stride=stride)
    net = config.build(channels=3, weight_folders=()).train()
    before = {key: value.clone() for key, value in net.state_dict().items()}
    maps = net(torch.randn(2, 3, 64, 64)).maps
    strides = [64 / each.shape[2] for each in maps]
    assert [each.requires_grad for each in maps] == [each > stride for each in strides]
    sum(each.square().mean() for each in maps if each.requires_grad).backward()
    torch.optim.SGD([p for p in net.parameters() if p.requires_grad], lr=0.1).step()
    moved = {key for key, value in net.state_dict().items() if not torch.equal(value, before[key])}
    early = {id(t) for module in net.early for t in (*module.parameters(), *module.buffers())}
    still = {key for key, value in net.state_dict(keep_vars=True).items() if id(value) in early}
    assert still
    assert not moved & still
    assert len(moved) > len(before) / 4  # resnets begin with blocks that are switched off and do not move at once


def test_a_stride_finer_than_the_finest_map_is_refused() -> None:
    with pytest.raises(UserError, match="finest map has stride 2"):
        TimmBackboneConfig(weights="none", frozen_to_stride=1).build(channels=3, weight_folders=())
