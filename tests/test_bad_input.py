"""Whatever is wrong with the data is told with file and line, all at once, before training; and nothing is lost."""

from __future__ import annotations

import csv
import json
import os
import shutil
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sightline.drawn.faces import write_drawn_faces

Cli = Callable[..., "object"]
Rows = list[list[str]]


@pytest.fixture(autouse=True)
def the_disk_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda _: None)


@pytest.fixture
def data(faces: Path, tmp_path: Path) -> Path:
    """A copy of the drawn faces, to be broken."""
    return Path(shutil.copytree(faces, tmp_path / "faces"))


def edit(data: Path, change: Callable[[Rows], None]) -> None:
    """Change the label table; row 0 is the header, so row n is picture n - 1 and line n + 1."""
    rows = list(csv.reader((data / "landmarks.csv").open()))
    change(rows)
    with (data / "landmarks.csv").open("w", newline="") as file:
        csv.writer(file).writerows(rows)


def picture(data: Path, number: int) -> Path:
    return data / "pictures" / f"{number:05d}.jpg"


def png_header(path: Path, *, width: int, height: int) -> None:
    """A PNG that claims a size; there are no pixels behind it."""
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = b""
    for kind, data in ((b"IHDR", head), (b"IDAT", zlib.compress(b"\0")), (b"IEND", b"")):
        chunks += struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunks)


def problems(cli: Cli, data: Path) -> tuple[int, list[tuple[str, str, str]]]:
    """Exit code of `check`, and (severity, id, place) of all but notes."""
    ran = cli("check", data, "--json")
    found = [(p["severity"], p["id"], p["where"]) for p in ran.json["problems"] if p["severity"] != "note"]
    return ran.code, found


# ---- pictures


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-300])


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def text(path: Path) -> None:
    path.write_text("This was a picture once, or so they say.")


def huge(path: Path) -> None:
    png_header(path, width=30_000, height=30_000)


def gone(path: Path) -> None:
    path.unlink()


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


UNUSABLE = {
    "image-truncated": truncated,
    "image-empty": emptied,
    "image-unreadable": text,
    "image-too-large": huge,
    "image-missing": gone,
}


@pytest.mark.parametrize("id", UNUSABLE)
def test_a_picture_that_cannot_be_used_fails_the_check_and_stops_training(
    cli: Cli, recipe_file: Path, data: Path, tmp_path: Path, id: str
) -> None:
    UNUSABLE[id](picture(data, 2))
    code, found = problems(cli, data)
    assert code == 1
    assert [problem for problem in found if problem[0] == "error"] == [("error", id, "landmarks.csv:4")]
    ran = cli("train", recipe_file, "--data", data, "--out", tmp_path / "run")
    assert ran.code == 2
    assert f"landmarks.csv:4: [{id}]" in ran.err
    assert "--skip-broken" in ran.err
    assert not (tmp_path / "run").exists()


def test_a_folder_in_a_pictures_place_is_told(cli: Cli, data: Path) -> None:
    a_folder(picture(data, 2))
    code, found = problems(cli, data)
    assert code == 1
    assert [where for severity, _, where in found if severity == "error"] == ["landmarks.csv:4"]


def test_all_problems_are_told_at_once_and_skipping_counts_them(
    cli: Cli, recipe_file: Path, data: Path, tmp_path: Path
) -> None:
    for number, breaks in enumerate(UNUSABLE.values()):
        breaks(picture(data, number))

    def spoil(rows: Rows) -> None:
        rows[8][10] = "nan"
        rows[9] = rows[9][:-2]

    edit(data, spoil)
    arguments = ["train", recipe_file, "--data", data, "--out", tmp_path / "run", "--set", "train.epochs=1"]
    ran = cli(*arguments)
    assert ran.code == 2
    assert "7 errors" in ran.err
    for line, id in enumerate(UNUSABLE, start=2):
        assert f"landmarks.csv:{line}: [{id}]" in ran.err
    assert "landmarks.csv:9: [point-not-finite]" in ran.err
    assert "landmarks.csv:10:" in ran.err
    assert "9 usable samples" in ran.err

    ran = cli(*arguments, "--skip-broken")
    assert ran.code == 0, ran.err
    info = json.loads((tmp_path / "run" / "run.json").read_text())
    assert info["data"]["skipped"] == 7
    assert info["data"]["train"] + info["data"]["val"] == 9
    assert len([p for p in info["data"]["problems"] if p.startswith("error")]) == 7
    page = (tmp_path / "run" / "report.html").read_text()
    assert "skipped" in page.lower()

    scored = cli("evaluate", tmp_path / "run", "--data", data, "--json")
    assert scored.code == 2
    assert "7 errors" in scored.err
    scored = cli("evaluate", tmp_path / "run", "--data", data, "--skip-broken", "--json")
    assert scored.code == 0
    assert scored.json["images"] == 9


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "LA", "1", "I;16", "CMYK"])
def test_pictures_of_every_kind_train(cli: Cli, recipe_file: Path, data: Path, tmp_path: Path, mode: str) -> None:
    def kind(number: int) -> Image.Image:
        grey = Image.open(picture(data, number)).convert("L")
        if mode == "I;16":
            return Image.fromarray(np.asarray(grey).astype(np.uint16) * 257)
        return grey.convert("RGB").convert(mode)

    suffix = ".tif" if mode == "CMYK" else ".png"
    for number in range(4):
        kind(number).save(picture(data, number).with_suffix(suffix))
        picture(data, number).unlink()

    def rename(rows: Rows) -> None:
        for row in rows[1:5]:
            row[0] = row[0].replace(".jpg", suffix)

    edit(data, rename)
    assert problems(cli, data) == (0, [])
    ran = cli(
        "train", recipe_file, "--data", data, "--out", tmp_path / "run", "--set", "train.epochs=1", "data.channels=3"
    )
    assert ran.code == 0, ran.err


def test_a_wrong_extension_does_not_matter(cli: Cli, recipe_file: Path, data: Path, tmp_path: Path) -> None:
    Image.open(picture(data, 0)).save(tmp_path / "a.png")
    picture(data, 0).write_bytes((tmp_path / "a.png").read_bytes())
    assert problems(cli, data) == (0, [])


def test_turned_photos_are_told_when_their_labels_are_not_turned(cli: Cli, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    rng = np.random.default_rng(0)
    for name in ("a", "b"):
        pixels = rng.integers(0, 255, (32, 48, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{name}.jpg", exif=exif)
    (tmp_path / "labels.csv").write_text(
        "file,width,height,x0,y0,x1,y1\na.jpg,32,48,3,40,20,10\nb.jpg,48,32,3,20,20,10\n"
    )
    code, found = problems(cli, tmp_path)
    assert code == 0
    assert [place for severity, id, place in found if "image-size-mismatch" in id] == ["labels.csv:3"]
    assert "EXIF" in cli("check", tmp_path).out


def test_pictures_of_one_pixel_and_points_in_one_place_train(cli: Cli, recipe_file: Path, tmp_path: Path) -> None:
    rows = ["file,x0,y0,x1,y1,x2,y2"]
    for number in range(8):
        side = 1 if number % 2 else 20
        Image.new("RGB", (side, side), (number * 20, 0, 0)).save(tmp_path / f"{number}.png")
        rows.append(f"{number}.png" + ",0,0" * 3)
    (tmp_path / "labels.csv").write_text("\n".join(rows) + "\n")
    for aspect in ("true", "false"):
        ran = cli(
            "train", recipe_file, "--data", tmp_path, "--out", tmp_path / aspect, "--set", "train.epochs=1",
            "data.crop=points", f"data.keep_aspect={aspect}",
        )  # fmt: skip
        assert ran.code == 0, ran.err


# ---- points


def nan(row: list[str]) -> None:
    row[10] = "nan"


def infinite(row: list[str]) -> None:
    row[10] = "inf"


def half_a_point(row: list[str]) -> None:
    row[10] = ""


def words(row: list[str]) -> None:
    row[10] = "left eye"


def too_few(row: list[str]) -> None:
    del row[-2:]


@pytest.mark.parametrize("change", [nan, infinite, half_a_point, words, too_few])
def test_points_that_cannot_be_used_are_told_with_file_and_line(
    cli: Cli, recipe_file: Path, data: Path, tmp_path: Path, change: Callable[[list[str]], None]
) -> None:
    edit(data, lambda rows: change(rows[7]))
    code, found = problems(cli, data)
    assert code == 1
    assert [(severity, where) for severity, _, where in found] == [("error", "landmarks.csv:8")]
    ran = cli("train", recipe_file, "--data", data, "--out", tmp_path / "run")
    assert ran.code == 2
    assert "landmarks.csv:8" in ran.err


def test_missing_points_are_no_mistake_and_are_masked(cli: Cli, recipe_file: Path, data: Path, tmp_path: Path) -> None:
    def hide(rows: Rows) -> None:
        for number, row in enumerate(rows[1:]):
            row[4 + 2 * number : 6 + 2 * number] = ["", ""]

    edit(data, hide)
    assert problems(cli, data) == (0, [])
    ran = cli("train", recipe_file, "--data", data, "--out", tmp_path / "run", "--set", "train.epochs=1", "--json")
    assert ran.code == 0, ran.err
    stored = json.loads((tmp_path / "run" / "evaluation" / "predictions.json").read_text())
    assert all(sum(entry["visible"]) == 67 for entry in stored)


def test_a_picture_listed_twice_is_told_and_used_once(cli: Cli, data: Path) -> None:
    edit(data, lambda rows: rows.append(list(rows[3])))
    code, found = problems(cli, data)
    assert code == 1
    assert found == [("error", "image-duplicated", "landmarks.csv:18")]
    assert "landmarks.csv:4" in cli("check", data).out


def test_swapped_sides_are_a_warning(cli: Cli, data: Path) -> None:
    def swap(rows: Rows) -> None:
        pairs = [(i, 16 - i) for i in range(8)] + [(17 + i, 26 - i) for i in range(5)] + [(36, 45), (39, 42)]
        points = [rows[5][4 + 2 * i : 6 + 2 * i] for i in range(68)]
        for left, right in pairs:
            points[left], points[right] = points[right], points[left]
        rows[5][4:] = [value for point in points for value in point]

    edit(data, swap)
    assert problems(cli, data) == (0, [("warning", "points-swapped", "landmarks.csv:6")])


def test_points_off_the_picture_are_a_warning_and_can_be_trained_on(
    cli: Cli, recipe_file: Path, data: Path, tmp_path: Path
) -> None:
    def move(rows: Rows) -> None:
        rows[4][4:6] = ["-20", "90"]

    edit(data, move)
    code, found = problems(cli, data)
    assert code == 0
    assert ("warning", "point-off-image", "landmarks.csv:5") in found
    ran = cli("train", recipe_file, "--data", data, "--out", tmp_path / "run", "--set", "train.epochs=1")
    assert ran.code == 0, ran.err
    assert "landmarks.csv:5" in ran.out


def test_a_label_file_with_57_points_among_58s_is_told(cli: Cli, recipe_file: Path, tmp_path: Path) -> None:
    data = write_drawn_faces(tmp_path / "imm", count=12, seed=0, size=48, layout="imm58")
    assert problems(cli, data)[0] == 0
    path = sorted(data.glob("*.asf"))[3]
    lines = path.read_text().splitlines()
    last = max(i for i, line in enumerate(lines) if "\t57 \t" in line)
    path.write_text("\n".join([*lines[:last], *lines[last + 1 :]]).replace("\n58\n", "\n57\n"))
    code, found = problems(cli, data)
    assert code == 1
    found = [problem for problem in found if problem[0] == "error"]
    assert len(found) == 1
    assert found[0][2].startswith(path.name)
    ran = cli("train", recipe_file, "--data", data, "--out", tmp_path / "run")
    assert ran.code == 2
    assert path.name in ran.err
    assert "57" in ran.err


# ---- sets


def test_pictures_without_labels_are_a_warning_and_are_left_out(
    cli: Cli, recipe_file: Path, data: Path, tmp_path: Path
) -> None:
    def drop(rows: Rows) -> None:
        del rows[3]
        rows[5][4:] = [""] * 136

    edit(data, drop)
    code, found = problems(cli, data)
    assert code == 0
    assert sorted(found) == [
        ("warning", "label-missing", "landmarks.csv:6"),
        ("warning", "label-missing", "pictures/00002.jpg"),
    ]
    ran = cli("train", recipe_file, "--data", data, "--out", tmp_path / "run", "--set", "train.epochs=1")
    assert ran.code == 0, ran.err
    assert "1 records without a labelled point are left out" in ran.out


def test_labels_without_any_picture_are_told(cli: Cli, recipe_file: Path, data: Path) -> None:
    shutil.rmtree(data / "pictures")
    code, found = problems(cli, data)
    assert code == 1
    assert len(found) == 16
    ran = cli("train", recipe_file, "--data", data, "--skip-broken")
    assert ran.code == 2
    assert "nothing to use" in ran.err


def test_data_without_any_label_are_told(cli: Cli, recipe_file: Path, data: Path) -> None:
    def blank(rows: Rows) -> None:
        for row in rows[1:]:
            row[4:] = [""] * 136

    edit(data, blank)
    ran = cli("train", recipe_file, "--data", data)
    assert ran.code == 2
    assert "labelled point" in ran.err


@pytest.mark.parametrize("kind", ["empty folder", "pictures only", "header only", "empty file"])
def test_an_empty_data_set_is_told(cli: Cli, recipe_file: Path, data: Path, tmp_path: Path, kind: str) -> None:
    if kind == "empty folder":
        data = tmp_path / "nothing"
        data.mkdir()
    elif kind == "pictures only":
        (data / "landmarks.csv").unlink()
    elif kind == "empty file":
        (data / "landmarks.csv").write_text("")
    else:
        edit(data, lambda rows: rows.__delitem__(slice(1, None)))
    for arguments in (["check", data], ["train", recipe_file, "--data", data]):
        ran = cli(*arguments)
        assert ran.code in (1, 2)
        assert str(data) in ran.err + ran.out
    assert ran.code == 2


def test_a_single_picture_cannot_be_divided(cli: Cli, recipe_file: Path, data: Path) -> None:
    edit(data, lambda rows: rows.__delitem__(slice(2, None)))
    assert problems(cli, data)[0] == 0
    ran = cli("train", recipe_file, "--data", data)
    assert ran.code == 2
    assert "too few to divide" in ran.err


def test_a_single_picture_can_be_scored(cli: Cli, trained: Path, data: Path) -> None:
    edit(data, lambda rows: rows.__delitem__(slice(2, None)))
    ran = cli("evaluate", trained, "--data", data, "--json")
    assert ran.code == 0, ran.err
    assert ran.json["images"] == 1
    assert ran.json["metrics"]["mean_error_px"]["value"] > 0


def test_two_pictures_are_enough_to_train(cli: Cli, recipe_file: Path, data: Path, tmp_path: Path) -> None:
    edit(data, lambda rows: rows.__delitem__(slice(3, None)))
    ran = cli("train", recipe_file, "--data", data, "--out", tmp_path / "run")
    assert ran.code == 0, ran.err
    assert "1 records train, 1 validate" in ran.out


def test_data_that_changed_since_cannot_be_resumed_on(cli: Cli, recipe_file: Path, data: Path, tmp_path: Path) -> None:
    arguments = ["train", recipe_file, "--data", data, "--out", tmp_path / "run", "--set", "train.epochs=1"]
    assert cli(*arguments).code == 0
    edit(data, lambda rows: rows.__delitem__(5))
    ran = cli(*arguments, "--resume")
    assert ran.code == 2
    assert "data set has changed" in ran.err


# ---- predicting


@pytest.mark.parametrize("breaks", UNUSABLE.values())
def test_predicting_names_a_picture_that_cannot_be_used_and_writes_the_others(
    cli: Cli, trained: Path, data: Path, tmp_path: Path, breaks: Callable[[Path], None]
) -> None:
    breaks(picture(data, 1))
    ran = cli("predict", trained, picture(data, 0), picture(data, 1), "--out", tmp_path / "found")
    assert ran.code == 2
    assert "00001.jpg" in ran.err
    # A path that leads nowhere is told before anything is done; a broken picture stops no other.
    assert len(list((tmp_path / "found").glob("overlays/*"))) == int(picture(data, 1).exists())
