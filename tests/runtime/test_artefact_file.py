"""The file of an artefact: what is written comes back, and every damage is told."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sightline.errors import MissingExtra, UserError
from sightline.runtime.artefact_file import Stored, read_artefact, write_artefact
from sightline.runtime.card import Card, EvaluateCard, ViewCard
from sightline.runtime.engines import engine_for

MODEL = b"\x08\x0a\x12\x05torch" + b"\x3a\x80\x04" + bytes(range(256)) * 2  # ir_version, producer_name, a graph field


def card(**changed: object) -> Card:
    values = {
        "sightline": "0.1.0",
        "engine": "onnx",
        "precision": "fp32",
        "recipe": "r\N{LATIN SMALL LETTER E WITH ACUTE}",
        "task": "boxes",
        "classes": ("a", "b"),
        "data": ViewCard(input_hw=(32, 48), channels=3, crop="image", margin=0.2, keep_aspect=True),
        "evaluate": EvaluateCard(jitter=0.1, seed=0, pck=(0.05,), size_limits=(32, 96)),
        "thresholds": {"a": 0.25, "b": 0.5},
        "made": "2026-01-01 00:00:00",
    }
    return Card.model_validate(values | changed)


@pytest.fixture(params=["onnx", "openvino"])
def stored(request: pytest.FixtureRequest) -> Stored:
    weights = b"" if request.param == "onnx" else bytes(999)
    return Stored(card=card(engine=request.param), graph=MODEL, weights=weights)


def test_what_is_written_comes_back(stored: Stored, tmp_path: Path) -> None:
    write_artefact(tmp_path / "a", stored)
    back = read_artefact(tmp_path / "a")
    assert back.card == stored.card
    assert back.graph.startswith(MODEL)
    assert back.weights == stored.weights


def test_the_same_model_gives_the_same_bytes(stored: Stored, tmp_path: Path) -> None:
    write_artefact(tmp_path / "a", stored)
    write_artefact(tmp_path / "b", stored)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@given(share=st.floats(0.01, 0.999))
def test_a_truncated_file_is_never_taken(share: float, tmp_path_factory: pytest.TempPathFactory) -> None:
    for engine in ("onnx", "openvino"):
        path = tmp_path_factory.mktemp("cut") / "a"
        write_artefact(path, Stored(card=card(engine=engine), graph=MODEL, weights=b"w" * 50))
        whole = path.read_bytes()
        path.write_bytes(whole[: max(2, int(len(whole) * share))])
        with pytest.raises(UserError, match=r"truncated|not an artefact|checksum"):
            read_artefact(path)


@given(place=st.floats(0, 1, exclude_max=True))
def test_a_changed_byte_is_never_taken(place: float, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("changed") / "a.onnx"
    write_artefact(path, Stored(card=card(), graph=MODEL))
    data = bytearray(path.read_bytes())
    data[int(place * len(data))] ^= 0x11
    path.write_bytes(bytes(data))
    with pytest.raises(UserError):
        read_artefact(path)


def test_a_changed_byte_of_the_weights_is_told_as_a_wrong_checksum(tmp_path: Path) -> None:
    path = tmp_path / "a.onnx"
    write_artefact(path, Stored(card=card(), graph=MODEL))
    data = bytearray(path.read_bytes())
    data[len(MODEL) - 5] ^= 1
    path.write_bytes(bytes(data))
    with pytest.raises(UserError, match="checksum is wrong"):
        read_artefact(path)


def test_a_changed_part_of_a_zip_is_told(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    write_artefact(path, Stored(card=card(engine="openvino"), graph=MODEL, weights=b"weights"))
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in parts.items():
            archive.writestr(name, b"WEIGHTS" if name == "model.bin" else content)
    path.write_bytes(buffer.getvalue())
    with pytest.raises(UserError, match="checksum is wrong"):
        read_artefact(path)


@pytest.mark.parametrize("content", [b"", b"I am no model", MODEL, b"\x08"])
def test_files_that_are_no_artefact_are_told(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.onnx"
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"not an artefact|truncated"):
        read_artefact(path)


def test_a_zip_of_other_things_is_told(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("readme.txt", "hello")
    with pytest.raises(UserError, match="not an artefact"):
        read_artefact(tmp_path / "a.zip")


def test_missing_files_and_folders_are_told(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="There is no"):
        read_artefact(tmp_path / "none.onnx")
    with pytest.raises(UserError, match="is a folder"):
        read_artefact(tmp_path)


def test_another_format_version_is_told_with_the_version_that_wrote_it(
    stored: Stored, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_artefact(tmp_path / "a", stored)
    monkeypatch.setattr("sightline.runtime.artefact_file.FORMAT", 2)
    with pytest.raises(UserError, match=r"format 1, written by sightline 0\.1\.0; this version reads format 2"):
        read_artefact(tmp_path / "a")


@pytest.mark.parametrize(("engine", "library"), [("onnx", "onnxruntime"), ("openvino", "openvino")])
def test_a_missing_engine_names_the_extra(engine: str, library: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, library, None)
    with pytest.raises(MissingExtra, match=r"sightline\[export\]"):
        engine_for(Stored(card=card(engine=engine), graph=MODEL))


def test_a_graph_that_the_engine_cannot_run_is_told() -> None:
    pytest.importorskip("onnxruntime")
    with pytest.raises(UserError, match="cannot run this artefact"):
        engine_for(Stored(card=card(), graph=MODEL))


def test_the_command_line_tells_damage_in_one_paragraph(cli: Callable, tmp_path: Path, faces: Path) -> None:
    path = tmp_path / "a.onnx"
    path.write_bytes(b"no model")
    for command in (["predict", path, faces, "--out", tmp_path / "out"], ["evaluate", path, "--data", faces]):
        ran = cli(*command)
        assert ran.code == 2
        assert "not an artefact" in ran.err
