"""Weights from files: the supplied ImageNet ones where they lie beside the checkout, and files that do not fit."""

from __future__ import annotations

from pathlib import Path

import pytest
import timm
import torch
import torchvision
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from sightline.backbones.timm_net import TimmBackboneConfig
from sightline.backbones.torchvision_net import TorchvisionBackboneConfig
from sightline.backbones.weights import find_weights, grey_first_conv, load_weights
from sightline.errors import UserError

WEIGHTS = Path(__file__).resolve().parents[2].parent / "shared" / "weights"
needs_weights = pytest.mark.skipif(not WEIGHTS.is_dir(), reason="needs the ImageNet weights beside the checkout")


def picture() -> Tensor:
    """Smooth and structured, unlike noise: normalised, [1, 3, 64, 64]."""
    y, x = torch.meshgrid(torch.linspace(0, 6, 64), torch.linspace(0, 9, 64), indexing="ij")
    return torch.stack([x.sin(), y.cos(), (x * y).sin()])[None]


def whole(name: str) -> nn.Module:
    """The classifier, loaded strictly by the library itself as the weights' README says."""
    net = (
        torchvision.models.get_model(name)
        if name.startswith("squeezenet")
        else timm.create_model(name, pad_type="same")
    )
    if name == "mobilenet_edgetpu_100":
        net.blocks[0][0].bn1.act = nn.Identity()
    net.load_state_dict(load_file(WEIGHTS / f"{name}.safetensors"), strict=True)
    return net.eval()


@needs_weights
@pytest.mark.real
@pytest.mark.parametrize(("name", "linear"), [("mobilenetv2_100", False), ("mobilenet_edgetpu_100", True)])
def test_a_timm_file_gives_the_features_of_the_whole_classifier(name: str, linear: bool) -> None:
    config = TimmBackboneConfig(name=name, padding="same", linear_stem_block=linear)
    net = config.build(channels=3, weight_folders=[WEIGHTS]).eval()
    reference = whole(name)
    with torch.no_grad():
        x = reference.bn1(reference.conv_stem(picture()))
        found = net(picture()).maps
        torch.testing.assert_close(found[-1], reference.blocks(x), atol=1e-4, rtol=1e-4)
    assert [m.shape[2] for m in found] == [16, 8, 4, 2]
    assert found[-1].abs().max() > 1


@needs_weights
@pytest.mark.real
def test_the_squeezenet_file_gives_the_features_of_the_whole_classifier() -> None:
    net = TorchvisionBackboneConfig(name="squeezenet1_1").build(channels=3, weight_folders=[WEIGHTS]).eval()
    with torch.no_grad():
        torch.testing.assert_close(net(picture()).maps[-1], whole("squeezenet1_1").features(picture()))


@needs_weights
@pytest.mark.real
def test_a_grey_picture_gives_the_features_of_its_colour_copy() -> None:
    grey = torch.linspace(-2, 2, 64 * 64).view(1, 1, 64, 64)
    for config in (TimmBackboneConfig(padding="same"), TorchvisionBackboneConfig()):
        one = config.build(channels=1, weight_folders=[WEIGHTS]).eval()
        three = config.build(channels=3, weight_folders=[WEIGHTS]).eval()
        with torch.no_grad():
            pairs = zip(one(grey).maps, three(grey.expand(1, 3, 64, 64)).maps, strict=True)
            for first, second in pairs:
                torch.testing.assert_close(first, second, atol=1e-3, rtol=1e-3)


@needs_weights
@pytest.mark.real
def test_a_file_of_another_network_is_refused() -> None:
    config = TimmBackboneConfig(name="mobilenetv2_100", weights=str(WEIGHTS / "mobilenet_edgetpu_100.safetensors"))
    with pytest.raises(UserError, match=r"does not fit this backbone: \d+ tensors are missing"):
        config.build(channels=3, weight_folders=())


def resnet_file(folder: Path) -> Path:
    """A whole resnet18 classifier with random weights, as a user has it."""
    path = folder / "resnet18.safetensors"
    torch.manual_seed(0)
    save_file(timm.create_model("resnet18").state_dict(), path)
    return path


def test_fewer_levels_than_the_file_holds_still_load(tmp_path: Path) -> None:
    path = resnet_file(tmp_path)
    net = TimmBackboneConfig(name="resnet18", levels=(1, 2)).build(channels=3, weight_folders=[tmp_path])
    torch.testing.assert_close(net.net.layer2[0].conv1.weight, load_file(path)["layer2.0.conv1.weight"])
    assert not hasattr(net.net, "layer4")


def test_the_first_folder_that_has_the_file_wins(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "net.safetensors").touch()
    folders = [tmp_path / "absent", tmp_path / "b", tmp_path / "a"]
    assert find_weights("net", "imagenet", folders) == tmp_path / "b" / "net.safetensors"
    assert find_weights("other", "imagenet", folders) is None


def test_a_path_without_a_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nothing\.safetensors, which is no file"):
        TimmBackboneConfig(weights=str(tmp_path / "nothing.safetensors")).build(channels=3, weight_folders=())


@pytest.mark.parametrize("content", [b"", b"\x10\0\0\0\0\0\0\0{not json}", b"PK\x03\x04 a zip"])
def test_a_file_that_is_not_safetensors_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "resnet18.safetensors"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"resnet18\.safetensors is not a readable safetensors file"):
        TimmBackboneConfig(name="resnet18").build(channels=3, weight_folders=[tmp_path])


def test_a_truncated_file_is_named(tmp_path: Path) -> None:
    path = resnet_file(tmp_path)
    path.write_bytes(path.read_bytes()[:-1000])
    with pytest.raises(UserError, match=r"resnet18\.safetensors is not a readable safetensors file"):
        TimmBackboneConfig(name="resnet18").build(channels=3, weight_folders=[tmp_path])


def tiny() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: state.pop("0.bias"), r"1 tensors are missing \(first: \['0.bias'\]\)"),
        (lambda state: state.update({"extra": torch.zeros(1)}), r"1 are unknown \(first: \['extra'\]\)"),
        (lambda state: state.update({"0.bias": torch.zeros(5)}), r"0\.bias has shape \(5,\), the backbone \(4,\)"),
    ],
)
def test_missing_unknown_and_misshapen_tensors_are_named(tmp_path: Path, change: object, message: str) -> None:
    state = dict(tiny().state_dict())
    change(state)  # type: ignore[operator]
    save_file(state, tmp_path / "w.safetensors")
    with pytest.raises(UserError, match=message):
        load_weights(tiny(), tmp_path / "w.safetensors", ignore=())


def test_a_refused_file_leaves_the_network_as_it_was(tmp_path: Path) -> None:
    state = {key: torch.zeros_like(value) for key, value in tiny().state_dict().items()}
    save_file({**state, "1.weight": torch.zeros(9)}, tmp_path / "w.safetensors")
    net = tiny()
    before = net[0].weight.detach().clone()
    with pytest.raises(UserError):
        load_weights(net, tmp_path / "w.safetensors", ignore=())
    assert torch.equal(net[0].weight, before)


def test_colour_filters_are_summed_for_a_grey_network(tmp_path: Path) -> None:
    colour = tiny()
    save_file(colour.state_dict(), tmp_path / "w.safetensors")
    grey = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4))
    load_weights(grey, tmp_path / "w.safetensors", ignore=())
    torch.testing.assert_close(grey[0].weight, colour[0].weight.sum(dim=1, keepdim=True))


def test_a_replaced_first_convolution_sees_grey_as_the_old_one_saw_colour() -> None:
    net = tiny().eval()
    x = torch.randn(1, 1, 9, 9)
    before = net(x.expand(1, 3, 9, 9))
    grey_first_conv(net)
    torch.testing.assert_close(net(x), before)


def test_a_network_without_convolutions_cannot_take_grey() -> None:
    with pytest.raises(UserError, match=r"no convolution that could take a grey picture; use data\.channels=3"):
        grey_first_conv(nn.Sequential(nn.Linear(3, 3)))
