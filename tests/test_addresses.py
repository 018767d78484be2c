"""Addresses where a path is wanted are refused by every command, before anything is read or written."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sightline.cli.addresses import refuse_address
from sightline.errors import UserError

COMMANDS = (
    ("check", "ADDRESS"),
    ("check", "data", "--fix", "ADDRESS"),
    ("train", "landmarks", "--data", "ADDRESS"),
    ("train", "landmarks", "--data", "data", "--out=ADDRESS"),
    ("evaluate", "run", "--data", "ADDRESS"),
    ("predict", "run", "a.jpg", "ADDRESS", "b.jpg", "--out", "found"),
    ("predict", "ADDRESS", "a.jpg", "--out", "found"),
    ("predict-many", "run", "ADDRESS", "--out", "found"),
    ("convert", "ADDRESS", "out", "--to", "coco"),
    ("convert", "data", "ADDRESS", "--to", "coco"),
    ("merge", "data", "ADDRESS", "--out", "out"),
    ("next", "run", "--data", "ADDRESS"),
    ("anchors", "boxes", "--data", "ADDRESS"),
    ("export", "ADDRESS", "--out", "model.onnx"),
)


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_says_to_download_first(
    cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    monkeypatch.chdir(tmp_path)
    ran = cli(*(part.replace("ADDRESS", "https://example.org/a/cells.zip") for part in command))
    assert ran.code == 2
    said = " ".join(ran.err.split())
    assert said.startswith("sightline: https://example.org/a/cells.zip is an address")
    assert "Download it first" in said
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    "given", ["http://a/b", "HTTPS://a/b", "s3://bucket/x", "gs://bucket/x", "hdfs://n:9/x", "s3:/a"]
)
def test_kinds_of_addresses(given: str) -> None:
    for form in (given, Path(given)):
        with pytest.raises(UserError, match="is an address"):
            refuse_address(form)


def test_the_path_in_a_file_address_is_named() -> None:
    with pytest.raises(UserError, match=r"give /data/faces\."):
        refuse_address("file:///data/faces")


@pytest.mark.parametrize("given", ["data", "/data/a:b", "c:/data", "C:\\data", "notes: a/b", "-", "s3"])
def test_paths_are_paths(given: str) -> None:
    refuse_address(given)
    refuse_address(Path(given))


def test_a_folder_that_is_called_so_is_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "http:" / "here").mkdir(parents=True)
    refuse_address(Path("http:/here"))


def test_track_may_be_given_the_address_of_a_stream(cli, tmp_path: Path) -> None:
    ran = cli("track", tmp_path / "nowhere", "rtsp://127.0.0.1:1/x", "--out", tmp_path / "a.csv")
    assert ran.code == 2
    assert "is an address" not in ran.err


def test_mistakes_of_the_parser_are_told_as_before(cli) -> None:
    ran = cli("check", "data", "--fixx", "out")
    assert ran.code == 2
    assert "Unknown option" in ran.err and "--fixx" in ran.err
