"""A hub that does not answer: told within seconds, with the file to place; and nothing is left changed."""

from __future__ import annotations

import socket
import threading
import time
from pathlib import Path

import pytest
import timm
from huggingface_hub import constants
from torch import nn

from sightline.backbones import hub
from sightline.backbones.timm_net import TimmBackboneConfig
from sightline.errors import UserError


@pytest.fixture(autouse=True)
def no_proxy_and_nothing_kept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(hub, "getproxies", dict)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "kept"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)


def refuse(*_: object, **__: object) -> socket.socket:
    raise OSError("no route to host")


def test_without_a_network_the_file_and_the_folders_are_told_within_seconds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(socket, "create_connection", refuse)
    started = time.monotonic()
    with pytest.raises(UserError) as caught:
        TimmBackboneConfig(name="resnet18").build(channels=3, weight_folders=[tmp_path / "a", tmp_path / "b"])
    assert time.monotonic() - started < 10
    said = str(caught.value)
    for words in ("resnet18.safetensors", str(tmp_path / "a"), str(tmp_path / "b"), "--weights-dir", "did not answer"):
        assert words in said
    assert constants.HF_HUB_OFFLINE is False


def test_a_silent_network_counts_as_none_after_a_few_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    over = threading.Event()

    def wait(*_: object, **__: object) -> socket.socket:
        over.wait(30)
        return refuse()

    monkeypatch.setattr(socket, "create_connection", wait)
    started = time.monotonic()
    assert not hub.answers("https://hub.example", seconds=0.2)
    assert time.monotonic() - started < 5
    over.set()


def test_a_host_that_takes_connections_answers() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        assert hub.answers(f"http://127.0.0.1:{port}")
    assert not hub.answers(f"http://127.0.0.1:{port}")


def test_behind_a_proxy_nothing_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(hub, "getproxies", lambda: {"https": "http://proxy:3128"})
    assert hub.answers("https://hub.example")
    monkeypatch.setattr(hub, "getproxies", lambda: {"no": "localhost"})
    assert not hub.answers("https://hub.example")


@pytest.mark.parametrize(("heard", "offline"), [(True, False), (False, True)])
def test_the_hub_is_left_as_it_was_also_behind_an_error(
    monkeypatch: pytest.MonkeyPatch, heard: bool, offline: bool
) -> None:
    monkeypatch.setattr(hub, "answers", lambda _: heard)
    inside = None
    try:
        with hub.quick_hub():
            inside = constants.HF_HUB_OFFLINE
            raise KeyError
    except KeyError:
        pass
    assert inside is offline
    assert constants.HF_HUB_OFFLINE is False


def test_a_hub_that_is_turned_off_stays_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(hub, "answers", lambda _: True)
    with hub.quick_hub():
        assert constants.HF_HUB_OFFLINE is True
    assert constants.HF_HUB_OFFLINE is True


def test_the_hub_is_not_asked_where_a_file_lies_or_none_is_wanted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from safetensors.torch import save_file

    monkeypatch.setattr(hub, "answers", lambda _: pytest.fail("the hub was asked"))
    save_file(timm.create_model("resnet18").state_dict(), tmp_path / "resnet18.safetensors")
    for weights in ("imagenet", "none"):
        net = TimmBackboneConfig(name="resnet18", weights=weights).build(channels=3, weight_folders=[tmp_path])
        assert isinstance(net, nn.Module)


def test_a_network_that_timm_has_no_weights_for_is_told() -> None:
    with pytest.raises(UserError, match=r"timm has no ImageNet weights for efficientnet_b6.*b6\.safetensors"):
        TimmBackboneConfig(name="efficientnet_b6").build(channels=3, weight_folders=())
