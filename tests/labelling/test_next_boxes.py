"""`sightline next --boxes`: models of points that want a crop get the box that `predict --boxes` would give them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from labelling_cases import POINTS, SIZE_HW, make_run

BOXES = "file,xmin,ymin,xmax,ymax\n"


@pytest.fixture(scope="module")
def cropped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of points that looks at boxes."""
    text = POINTS.replace("crop: image", "crop: box")
    return make_run(tmp_path_factory.mktemp("cropped") / "cropped", text)


@pytest.fixture
def table(unlabelled: Path, tmp_path: Path) -> Path:
    """A box of its own for each picture; the first picture has two."""
    names = sorted(path.relative_to(unlabelled).as_posix() for path in unlabelled.rglob("*.png"))
    rows = [f"{name},{2 + number},{3},{30 + number},{40}\n" for number, name in enumerate(names)]
    path = tmp_path / "boxes.csv"
    path.write_text(BOXES + "".join(rows) + f"{names[0]},0,0,64,48\n")
    return path


def guessed(out: Path) -> dict[str, np.ndarray]:
    """Points of each picture in the pre-annotations, in pixels."""
    height, width = SIZE_HW
    found = {}
    for task in json.loads((out / "tasks.json").read_text()):
        values = [region["value"] for region in task["predictions"][0]["result"]]
        xy = [(value["x"] * width / 100, value["y"] * height / 100) for value in values]
        found[task["data"]["image"].partition("?d=")[2]] = np.array(xy)
    return found


@pytest.mark.parametrize("kind", ["table", "run"])
def test_the_guesses_are_those_of_predict(
    cli, request: pytest.FixtureRequest, cropped: Path, one_box: Path, unlabelled: Path, tmp_path: Path, kind: str
) -> None:
    boxes = request.getfixturevalue("table") if kind == "table" else one_box
    out = tmp_path / "out"
    ran = cli("next", cropped, "--data", unlabelled, "--boxes", boxes, "--count", 12, "--out", out,
              "--to", "label-studio", "coco-keypoints")  # fmt: skip
    assert ran.code == 0, ran.err
    said = {}
    for one in cli("predict", cropped, unlabelled, "--boxes", boxes, "--out", tmp_path / "p", "--json").json:
        said.setdefault(one["image_id"], one)  # the first box of a picture
    found = guessed(out)
    assert len(found) > 3
    for name, points in found.items():
        assert np.allclose(points, said[name]["points_xy"], atol=2e-3), name
    whole = tmp_path / "whole"
    assert cli("next", cropped, "--data", unlabelled, "--count", 12, "--out", whole).code == 0
    assert any(not np.allclose(points, found[name]) for name, points in guessed(whole).items() if name in found)
    coco = json.loads((out / "annotations.json").read_text())
    names = {image["id"]: image["file_name"] for image in coco["images"]}
    for annotation in coco["annotations"]:  # the box goes with the guess
        x0, y0, x1, y1 = said[names[annotation["image_id"]]]["box_xyxy"]
        assert annotation["bbox"] == pytest.approx([x0, y0, x1 - x0, y1 - y0], abs=1e-3)


def test_pictures_in_which_nothing_is_found_are_left_out_and_told(
    cli, cropped: Path, many_boxes: Path, unlabelled: Path, tmp_path: Path
) -> None:
    """No box of an untrained detector reaches its threshold, but where it is set to 0 for one class."""
    ran = cli("next", cropped, "--data", unlabelled, "--boxes", many_boxes, "--out", tmp_path / "out")
    assert ran.code == 2
    assert "finds nothing in any of the 12 pictures" in ran.err.replace("\n", " ")


@pytest.mark.parametrize(
    ("run", "boxes", "words"),
    [
        ("one_box", "table", "finds boxes itself. Leave it out"),
        ("two_points", "table", "looks at whole pictures (data.crop=image)"),
        ("cropped", "two_points", "run points finds points. Give what finds boxes"),
        ("cropped", "nowhere", "there is no such file"),
    ],
)
def test_what_cannot_give_or_take_boxes_is_refused(
    cli, request: pytest.FixtureRequest, unlabelled: Path, tmp_path: Path, run: str, boxes: str, words: str
) -> None:
    given = tmp_path / "nowhere.csv" if boxes == "nowhere" else request.getfixturevalue(boxes)
    ran = cli("next", request.getfixturevalue(run), "--data", unlabelled, "--boxes", given, "--out", tmp_path / "out")
    assert ran.code == 2
    assert words in ran.err.replace("\n", " ")
    assert not (tmp_path / "out").exists()


def test_a_table_that_lacks_pictures_is_refused(cli, cropped: Path, unlabelled: Path, tmp_path: Path) -> None:
    path = tmp_path / "boxes.csv"
    path.write_text(BOXES + "a/1.png,0,0,10,10\n")
    ran = cli("next", cropped, "--data", unlabelled, "--boxes", path, "--out", tmp_path / "out")
    assert ran.code == 2
    assert "has no box for 11 of 12 pictures" in ran.err.replace("\n", " ")


@pytest.mark.parametrize("boxes", ["table", "one_box"])
def test_predict_too_refuses_boxes_that_would_change_nothing(
    cli, request: pytest.FixtureRequest, two_points: Path, unlabelled: Path, tmp_path: Path, boxes: str
) -> None:
    ran = cli("predict", two_points, unlabelled, "--boxes", request.getfixturevalue(boxes), "--out", tmp_path / "out")
    assert ran.code == 2
    assert "looks at whole pictures (data.crop=image): a box changes nothing" in ran.err.replace("\n", " ")
    assert not (tmp_path / "out").exists()
