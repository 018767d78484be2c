"""timm and torchvision networks by name: shapes, taps, options, and what is refused."""

from __future__ import annotations

import pytest
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
