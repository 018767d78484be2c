from __future__ import annotations

import os

import pytest

from sightline.readers.pictures import Pictures, finder_of


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("000017", "images/000017.JPG"),
        ("C:\\data\\images\\000017", "images/000017.JPG"),
        ("1a2b3c4d-cat 1.png", "cat 1.png"),
        ("images/1a2b3c4d-cat%201.png", None),
        ("some/where/cat%201.png", "cat 1.png"),
        ("0a1b2c3d-own.png", "0a1b2c3d-own.png"),
        ("000018", None),
    ],
)
def test_a_name_without_its_ending_or_with_what_an_upload_put_before_it_finds_the_picture(
    tmp_path, picture, name, file
):
    for own in ("images/000017.JPG", "cat 1.png", "0a1b2c3d-own.png", "own.png"):
        picture(tmp_path / own)
    assert Pictures(tmp_path).find(name) == (None if file is None else tmp_path / file)


def test_the_pictures_of_a_part_are_those_of_its_folder(tmp_path, picture):
    for part in ("train", "val"):
        picture(tmp_path / part / "a.png")
        picture(tmp_path / "images" / f"{part}2017" / "b.png")
    assert finder_of(tmp_path / "val" / "labels.csv", root=tmp_path).find("a.png") == tmp_path / "val" / "a.png"
    assert finder_of(tmp_path / "train.csv", root=tmp_path).find("a.png") == tmp_path / "train" / "a.png"
    found = finder_of(tmp_path / "annotations" / "instances_val2017.json", root=tmp_path).find("b.png")
    assert found == tmp_path / "images" / "val2017" / "b.png"


@pytest.mark.parametrize("name", ["a" * 5000 + ".png", "a" * 300 + "/1.png", "/" + "a" * 300, "a\0b.png", "/a\0b"])
def test_a_name_that_no_file_can_have_finds_nothing(tmp_path, picture, name):
    picture(tmp_path / "a.png")
    assert Pictures(tmp_path).find(name) is None


def test_of_names_that_differ_by_letter_case_the_exact_one_is_meant(tmp_path, picture):
    for name in ("A.png", "b.png", "sub/a.png"):
        picture(tmp_path / name)
    found = Pictures(tmp_path)
    assert found.find("A.png") == tmp_path / "A.png"
    assert found.find("B.PNG") == tmp_path / "b.png"
    assert found.find("sub/a.png") == found.find("other/../sub/a.png") == tmp_path / "sub" / "a.png"
    picture(tmp_path / "a.png")
    both = Pictures(tmp_path)
    found_at = [both.find(name) for name in ("a.png", "A.png", "x/a.png")]
    assert found_at == [tmp_path / "a.png", tmp_path / "A.png", tmp_path / "a.png"]


def test_links_to_pictures_and_folders_are_followed_and_broken_ones_are_nothing(tmp_path, picture):
    picture(tmp_path / "far" / "a.png")
    root = tmp_path / "data"
    root.mkdir()
    os.symlink(tmp_path / "far", root / "images")
    os.symlink(tmp_path / "far" / "a.png", root / "b.png")
    os.symlink(root / "loop.png", root / "loop.png")
    os.symlink(root / "nowhere.png", root / "broken.png")
    (root / "folder.png").mkdir()
    found = Pictures(root)
    assert found.find("a.png") == root / "images" / "a.png"
    assert found.find("b.png") == root / "b.png"
    assert found.find("folder.png") is None
    assert found.in_folder(root) == [root / "b.png"]


def test_a_folder_is_listed_once_however_many_names_are_not_in_it(tmp_path, picture, monkeypatch):
    picture(tmp_path / "images" / "a.png")
    asked = []
    for module, name in ((os, "scandir"), (os.path, "isfile"), (os.path, "isdir")):
        real = getattr(module, name)
        monkeypatch.setattr(module, name, lambda path, real=real: asked.append(path) or real(path))
    found = Pictures(tmp_path)
    assert found.find("train/0.png") is None
    asked.clear()
    assert [found.find(f"train/{i}.png") for i in range(1, 100)] == [None] * 99
    assert found.find("train/a.png") == tmp_path / "images" / "a.png"
    assert not asked
