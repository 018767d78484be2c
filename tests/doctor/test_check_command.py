"""`sightline check` from the command line: choosing checks, exit codes, JSON, the page, the corrected copy."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import cv2
import doctor_cases as cases
import numpy as np
import pytest

from sightline.doctor import CHECKS
from sightline.doctor.classes import clear_slips
from sightline.files import write_atomically
from sightline.readers import read_dataset

POINTS = 68


@pytest.fixture
def copy(faces: Path, tmp_path: Path) -> Path:
    """Faces that a test may break."""
    return Path(shutil.copytree(faces, tmp_path / "faces"))


def rows_of(data: Path) -> list[dict[str, str]]:
    with (data / "landmarks.csv").open() as file:
        return list(csv.DictReader(file))


def save(data: Path, rows: list[dict[str, str]]) -> None:
    lines = [",".join(rows[0]), *(",".join(row.values()) for row in rows)]
    write_atomically(data / "landmarks.csv", "\n".join(lines) + "\n")


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_json_has_stable_keys_and_names_the_checks(cli, faces: Path):
    found = cli("check", faces, "--json").json
    keys = "data format records points classes boxes data_fingerprint errors warnings checks problems"
    assert set(found) == set(keys.split())
    assert set(found["checks"]) == {id for id, check in CHECKS.items() if check.family != "fit"}


def test_only_and_skip_choose_and_take_commas(cli, faces: Path):
    ran = cli("check", faces, "--only", "point-odd,split-small", "--skip", "point-odd", "--json")
    assert ran.json["checks"] == ["split-small"]
    assert {problem["id"] for problem in ran.json["problems"]} == {"split-small"}


@pytest.mark.parametrize("option", ["--only", "--skip"])
def test_an_unknown_check_is_a_mistake_with_the_nearest_name(cli, faces: Path, option: str):
    ran = cli("check", faces, option, "point-od")
    assert ran.code == 2
    assert "Did you mean 'point-odd'" in ran.err


def test_an_unknown_way_to_split_is_a_mistake(cli, faces: Path):
    ran = cli("check", faces, "--split-by", "grup")
    assert ran.code == 2
    assert "'grup'" in ran.err and "group" in ran.err


def test_list_shows_every_check(cli):
    ran = cli("check", "--list")
    assert ran.code == 0
    assert all(id in ran.out for id in CHECKS)
    assert cli("check").code == 2


def test_strict_fails_on_warnings_and_plain_does_not(cli, copy: Path):
    rows = rows_of(copy)
    rows[3]["x30"], rows[3]["y30"] = "0", "0"
    save(copy, rows)
    assert cli("check", copy).code == 0
    assert cli("check", copy, "--strict").code == 1
    assert cli("check", copy, "--strict", "--skip", "point-at-corner,point-odd").code == 0


def test_the_output_is_grouped_and_says_what_to_do(cli, copy: Path):
    rows = rows_of(copy)
    for row in rows[:5]:
        row["x30"], row["y30"] = "0", "0"
    save(copy, rows)
    out = cli("check", copy).out
    assert out.count("[point-at-corner]") == 1
    assert "5 times" in out and "and 2 more" in out and CHECKS["point-at-corner"].todo in out


def test_fix_mends_a_copy_logs_every_change_and_leaves_the_data_alone(cli, copy: Path, tmp_path: Path):
    rows = rows_of(copy)
    rows[3]["x30"], rows[3]["y30"] = "0", "0"
    shutil.copyfile(copy / rows[5]["file"], copy / "pictures" / "again.jpg")
    rows.append({**rows[5], "file": "pictures/again.jpg"})
    cases.turned(copy / rows[8]["file"])
    (copy / rows[9]["file"]).write_bytes(b"")
    save(copy, rows)
    before, out = bytes_of(copy), tmp_path / "mended"
    ran = cli("check", copy, "--fix", out)
    assert ran.code == 1
    assert bytes_of(copy) == before
    with (out / "fixes.csv").open() as file:
        changes = {row["id"]: row for row in csv.DictReader(file)}
    assert set(changes) >= {"point-at-corner", "image-copied", "image-rotated", "image-empty"}
    assert changes["image-copied"]["image_id"] == "pictures/again.jpg"
    mended = read_dataset(out)
    assert len(mended) == len(rows) - 2
    of = {record.image_id: record for record in mended.records}
    assert not of[rows[3]["file"]].visible[30]
    assert of[rows[3]["file"]].visible.sum() == POINTS - 1
    expected = [float(rows[5]["x0"]) + 0.5, float(rows[5]["y0"]) + 0.5]
    assert of[rows[5]["file"]].points_xy[0] == pytest.approx(expected, abs=1e-3)
    again = {problem["id"] for problem in cli("check", out, "--json").json["problems"]}
    assert not again & {"point-at-corner", "image-copied", "image-rotated", "image-empty"}


def test_fix_swaps_twins_back(cli, tmp_path: Path):
    (tmp_path / "data").mkdir()
    dataset = cases.gallery(tmp_path / "data")
    index = list(cases.FACE.flip_index)
    columns = ["file", *(f"{name}_{axis}" for name in cases.NAMES for axis in "xy")]
    lines = [",".join(columns)]
    for i, record in enumerate(dataset.records):
        xy = record.points_xy[index] if i == 4 else record.points_xy
        lines.append(",".join([record.image_id, *(f"{value - 0.5:.3f}" for value in xy.ravel())]))
    (tmp_path / "data" / "labels.csv").write_text("\n".join(lines) + "\n")
    assert "points-swapped" in cli("check", tmp_path / "data", "--fix", tmp_path / "mended").out
    name = dataset.records[4].image_id
    mended = next(record for record in read_dataset(tmp_path / "mended").records if record.image_id.endswith(name))
    assert mended.points_xy == pytest.approx(dataset.records[4].points_xy, abs=2e-3)


@pytest.mark.parametrize("where", ["full", "inside", "file"])
def test_fix_refuses_to_overwrite(cli, copy: Path, tmp_path: Path, where: str):
    out = {"full": tmp_path / "full", "inside": copy / "mended", "file": tmp_path / "file"}[where]
    if where == "full":
        out.mkdir()
        (out / "mine.txt").write_text("mine")
    elif where == "file":
        out.write_text("mine")
    before = bytes_of(tmp_path)
    ran = cli("check", copy, "--fix", out)
    assert ran.code == 2
    assert "--fix" in ran.err
    assert bytes_of(tmp_path) == before


def test_data_that_are_not_there_are_told_before_a_wrong_place_for_the_copy(cli, copy: Path, tmp_path: Path):
    missing = tmp_path / "missing"
    for options in (["--fix", copy], ["--html", copy], ["--fix", missing / "mended"]):
        ran = cli("check", missing, *options)
        assert ran.code == 2
        assert f"There is no {missing}. Expected a label file" in ran.err
        assert "--fix" not in ran.err


def test_the_page_stands_alone_and_shows_the_worst_first(cli, copy: Path, tmp_path: Path):
    rows = rows_of(copy)
    rows[3]["x30"], rows[3]["y30"] = "0", "0"
    (copy / rows[9]["file"]).write_bytes(b"")
    save(copy, rows)
    page = tmp_path / "page.html"
    cli("check", copy, "--html", page)
    text = page.read_text()
    assert text.index(rows[9]["file"]) < text.index(rows[3]["file"])
    assert "image-empty" in text and "data:image/jpeg;base64," in text
    assert "http://" not in text and "https://" not in text and "<script" not in text


def test_help_and_checks_need_no_torch(faces: Path, tmp_path: Path):
    code = f"""
import sys
sys.argv = ["sightline", "check", {str(faces)!r}, "--html", {str(tmp_path / "a.html")!r}]
from sightline.cli import main
try:
    main()
except SystemExit as ended:
    assert not ended.code, ended.code
assert "torch" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=100)


def test_misspelt_classes_are_merged_only_where_it_is_clear():
    dataset = cases.boxes()
    names = ("person", "persno", "Person", "cat", "car", "table", "cable")
    counts = (100, 2, 3, 9, 20, 30, 30)
    boxes = np.tile([[5.0, 5.0, 50.0, 60.0]], (sum(counts), 1))
    labels = np.repeat(np.arange(len(names)), counts).tolist()
    merged = clear_slips(replace(dataset, records=(cases.box_record("a.jpg", boxes, labels),), classes=names))
    assert {names[a]: names[b] for a, b in merged.items()} == {"persno": "person", "Person": "person"}


@pytest.mark.slow
def test_the_fit_to_a_recipe_of_points(cli, faces: Path, recipe_file: Path, tmp_path: Path):
    found = cli("check", faces, "--recipe", recipe_file, "--json").json
    assert set(found["checks"]) == set(CHECKS)
    assert "fit-impossible" not in {problem["id"] for problem in found["problems"]}
    ids = lambda text: {  # noqa: E731
        p["id"] for p in cli("check", faces, "--recipe", made(text), "--json").json["problems"] if "fit" in p["id"]
    }

    def made(change: tuple[str, str]) -> Path:
        path = tmp_path / "changed.yaml"
        path.write_text(recipe_file.read_text().replace(*change))
        return path

    assert "fit-enlarged" in ids(("input_hw: [32, 32]", "input_hw: [256, 256]"))
    maps = ("head: {kind: mlp}\ncodec: {kind: coords}", "head: {kind: heatmap}\ncodec: {kind: heatmap}")
    assert "fit-cells-shared" in ids(maps)


def test_the_crop_that_cuts_and_the_object_that_is_small_are_told(cli, recipe_file: Path, tmp_path: Path):
    rng, lines = np.random.default_rng(0), ["file,xmin,ymin,xmax,ymax,a_x,a_y,b_x,b_y,c_x,c_y"]
    for i in range(30):
        cv2.imwrite(str(tmp_path / f"{i}.jpg"), rng.integers(0, 255, (200, 200, 3), dtype=np.uint8))
        points = np.array([[40, 40], [60, 40], [50, 62]]) + rng.uniform(-1, 1, (3, 2))
        lines.append(f"{i}.jpg,45,38,55,48," + ",".join(f"{v:.2f}" for v in points.ravel()))
    (tmp_path / "labels.csv").write_text("\n".join(lines) + "\n")

    def told(crop: str) -> set[str]:
        recipe = tmp_path / f"{crop}.yaml"
        recipe.write_text(recipe_file.read_text().replace("crop: points", f"crop: {crop}"))
        found = cli("check", tmp_path, "--format", "landmark_csv", "--recipe", recipe, "--json").json
        return {problem["id"] for problem in found["problems"]}

    assert "fit-crop-cuts" in told("box")
    whole = told("image")
    assert "fit-crop-cuts" not in whole and "fit-objects-small" in whole


@pytest.mark.slow
def test_the_fit_to_a_recipe_of_boxes(cli, faces: Path, tmp_path: Path):
    rng = np.random.default_rng(0)
    pictures, boxes = [], []
    for i in range(30):
        cv2.imwrite(str(tmp_path / f"{i}.jpg"), rng.integers(0, 255, (1280, 1280, 3), dtype=np.uint8))
        pictures.append({"id": i, "file_name": f"{i}.jpg", "width": 1280, "height": 1280})
        for k, side in enumerate((5.0, 20.0, 24.0)):
            area = side**2
            boxes.append(
                {"id": 3 * i + k, "image_id": i, "category_id": 1, "bbox": [100 + 90 * k, 80, side, side], "area": area,
                 "iscrowd": 0}
            )  # fmt: skip
    coco = {"images": pictures, "annotations": boxes, "categories": [{"id": 1, "name": "fly"}]}
    (tmp_path / "labels.json").write_text(json.dumps(coco))
    found = cli("check", tmp_path, "--recipe", "retinanet", "--json").json
    ids = {problem["id"] for problem in found["problems"]}
    small = {"fit-objects-lost", "fit-objects-under-stride", "fit-objects-small", "fit-objects-unanchored"}
    assert ids >= small | {"fit-anchors-idle"}
    assert "fit-impossible" in {
        p["id"] for p in cli("check", faces, "--recipe", "retinanet", "--json").json["problems"]
    }
