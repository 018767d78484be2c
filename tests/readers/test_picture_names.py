from __future__ import annotations

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
