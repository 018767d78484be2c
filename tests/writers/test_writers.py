from __future__ import annotations

import csv
import importlib
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from sightline.errors import UserError
from sightline.records import Dataset, Record, Skeleton
from sightline.skeletons import skeleton as known_skeleton
from sightline.writers import WRITERS, Prediction, dataset_to_predictions
from sightline.writers.pictures import place_pictures

NAMED = Skeleton(names=("nose", "left ear", "right, ear"), flip_pairs=((1, 2),), edges=((0, 1), (0, 2)))
FACE = known_skeleton("ibug68")


def picture(path: Path, *, size_hw: tuple[int, int] = (48, 64), value: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(value).integers(0, 255, (*size_hw, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def prediction(root: Path, name: str, *, count: int = 3, seed: int = 0, visible: Sequence[bool] = ()) -> Prediction:
    draw = np.random.default_rng(seed)
    mask = np.array(visible) if visible else np.ones(count, dtype=bool)
    path = root / name
    if not path.exists():
        picture(path, value=seed)
    return Prediction(
        image_id=name,
        path=path,
        size_hw=(48, 64),
        points_xy=np.where(mask[:, None], draw.uniform((1, 1), (63, 47), (count, 2)), 0.0),
        score=draw.uniform(0, 1, count),
        visible=mask,
        box_xyxy=(2.0, 3.0, 60.0, 45.0),
        box_source="label",
    )


# ---- round trips through the readers

READERS = ("landmark_csv", "coco_keypoints", "deeplabcut", "label_studio", "yolo_pose", "dlib_xml", "pts")
# dlib parses integers only; the others keep 4 decimals or more.
TOLERANCE = {"dlib_xml": 0.5}
# Formats that know no names give the points numbers, or iBUG's names where there are 68.
NAMELESS = ("pts",)
NO_BLANKS = ("pts", "kaggle_csv")
HOLDS_BOXES = ("landmark_csv", "coco_keypoints", "yolo_pose", "dlib_xml")


def read_back(format: str, folder: Path) -> Dataset:
    return importlib.import_module(f"sightline.readers.{format}").read(folder)


def need_reader(format: str) -> None:
    pytest.importorskip(f"sightline.readers.{format}")


@pytest.mark.parametrize("format", READERS)
@pytest.mark.parametrize("skeleton", [NAMED, FACE], ids=["named", "face"])
def test_what_is_written_reads_back_as_it_was(tmp_path: Path, format: str, skeleton: Skeleton) -> None:
    need_reader(format)
    given = [prediction(tmp_path / "data", f"set/{i}.png", count=len(skeleton), seed=i) for i in range(5)]
    out = tmp_path / "out"
    written = WRITERS[format].write(given, out, skeleton=skeleton)
    assert all(path.is_file() for path in written)
    place_pictures(given, out, picture_name=WRITERS[format].picture_name)
    got = read_back(format, out)
    assert [p for p in got.problems if p.severity != "note"] == []
    if format not in NAMELESS:
        assert got.skeleton.names == skeleton.names
    assert len(got) == 5
    for record, expected in zip(sorted(got.records, key=lambda r: r.image_id), given, strict=True):
        assert record.path.read_bytes() == expected.path.read_bytes()
        assert record.visible.all()
        assert np.abs(record.points_xy - expected.points_xy).max() <= TOLERANCE.get(format, 1e-3)
        if format in HOLDS_BOXES:
            assert np.allclose(record.box_xyxy or (), expected.box_xyxy or (), atol=1e-3)


@pytest.mark.parametrize("format", [format for format in READERS if format not in NO_BLANKS])
@pytest.mark.parametrize("skeleton", [NAMED, FACE], ids=["named", "face"])
def test_missing_points_stay_missing(tmp_path: Path, format: str, skeleton: Skeleton) -> None:
    need_reader(format)
    masks = [[True] * len(skeleton) for _ in range(3)]
    masks[1][2] = masks[2][0] = masks[2][1] = False
    given = [
        prediction(tmp_path / "data", f"set/{i}.png", count=len(skeleton), seed=i, visible=mask)
        for i, mask in enumerate(masks)
    ]
    out = tmp_path / "out"
    WRITERS[format].write(given, out, skeleton=skeleton)
    place_pictures(given, out, picture_name=WRITERS[format].picture_name)
    got = read_back(format, out)
    assert [p for p in got.problems if p.severity != "note"] == []
    assert got.skeleton.names == skeleton.names
    for record, expected in zip(sorted(got.records, key=lambda r: r.image_id), given, strict=True):
        assert record.visible.tolist() == expected.visible.tolist()
        assert np.abs(record.points_xy - expected.points_xy).max() <= TOLERANCE.get(format, 1e-3)


SEVERAL = (*HOLDS_BOXES, "deeplabcut", "label_studio", "cvat")


def crowded(root: Path, counts: Sequence[int], *, is_truth: bool) -> list[Prediction]:
    """Pictures of so many objects each, which overlap and lack some points; those of a picture lie side by side."""
    draw, given = np.random.default_rng(sum(counts)), []
    for number, count in enumerate(counts):
        first = prediction(root, f"set/{number}.png", seed=number)
        for each in range(count):
            mask = draw.uniform(size=3) < 0.6
            mask[each % 3] = True
            mask |= not given  # some formats take the order of names from what they meet first
            points = np.where(mask[:, None], draw.uniform((1, 1), (63, 47), (3, 2)), 0.0)
            image_id = first.image_id if each == 0 else f"{first.image_id}#{each + 1}"
            given.append(
                replace(first, image_id=image_id, points_xy=points, visible=mask, is_truth=is_truth,
                        box_xyxy=(1.0 + each, 2.0, 60.0 - each, 45.0))
            )  # fmt: skip
    return given


@pytest.mark.parametrize("format", SEVERAL)
@pytest.mark.parametrize("is_truth", [True, False])
@pytest.mark.parametrize("counts", [(2,), (1, 3, 2), (4, 1)])
def test_several_objects_of_a_picture_stay_apart(tmp_path: Path, format: str, is_truth: bool, counts: tuple[int, ...]):
    given = crowded(tmp_path / "data", counts, is_truth=is_truth)
    out = tmp_path / "out"
    WRITERS[format].write(given, out, skeleton=NAMED)
    place_pictures(given, out, picture_name=WRITERS[format].picture_name)
    got = read_back(format, out)
    assert [p for p in got.problems if p.severity != "note"] == []
    assert got.skeleton.names == NAMED.names
    assert [r.image_id.partition("set/")[2] for r in got.records] == [p.image_id.partition("set/")[2] for p in given]
    for record, expected in zip(got.records, given, strict=True):
        assert record.visible.tolist() == expected.visible.tolist()
        assert np.abs(record.points_xy - expected.points_xy).max() <= TOLERANCE.get(format, 1e-3)
        if format in HOLDS_BOXES or (format == "label_studio" and is_truth):
            assert np.allclose(record.box_xyxy or (), expected.box_xyxy or (), atol=1e-3)


def test_label_studio_draws_rectangles_only_where_they_say_something(tmp_path: Path) -> None:
    one = crowded(tmp_path, (1,), is_truth=False)
    tasks, config = WRITERS["label_studio"].write(one, tmp_path, skeleton=NAMED)
    assert "rectangle" not in tasks.read_text() and "Rectangle" not in config.read_text()
    two = crowded(tmp_path, (1, 2), is_truth=False)
    tasks, config = WRITERS["label_studio"].write(two, tmp_path, skeleton=NAMED)
    results = [task["predictions"][0]["result"] for task in json.loads(tasks.read_text())]
    assert [sum(r["type"] == "rectanglelabels" for r in result) for result in results] == [0, 2]
    assert len({r["id"] for r in results[1]}) == len(results[1])
    view = ElementTree.parse(config).getroot()
    tags = {tag.get("name"): [label.get("value") for label in tag] for tag in view if tag.tag != "Image"}
    for region in results[1]:
        assert region["value"][region["type"]][0] in tags[region["from_name"]]
    parents = {r["id"] for r in results[1] if r["type"] == "rectanglelabels"}
    assert {r["parentID"] for r in results[1] if r["type"] == "keypointlabels"} == parents


def test_deeplabcut_has_one_row_of_individuals_for_all_folders(tmp_path: Path) -> None:
    given = crowded(tmp_path / "data", (1, 2), is_truth=True)
    given[0] = replace(given[0], image_id="other/0.png")
    first, second = WRITERS["deeplabcut"].write(given, tmp_path / "out", skeleton=NAMED)
    assert cells(first)[:4] == cells(second)[:4]
    assert cells(first)[1] == ["individuals", *["individual1"] * 6, *["individual2"] * 6]
    assert [row[0] for row in cells(second)[4:]] == ["labeled-data/set/1.png"]
    assert cells(first)[4][7:] == [""] * 6


@pytest.mark.parametrize("format", ["landmark_csv", "yolo_pose"])
def test_splits_survive(tmp_path: Path, format: str) -> None:
    need_reader(format)
    given = [
        replace(prediction(tmp_path / "data", f"{split}.png", seed=i), split=split)
        for i, split in enumerate(("train", "val", "test"))
    ]
    out = tmp_path / "out"
    WRITERS[format].write(given, out, skeleton=NAMED)
    place_pictures(given, out, picture_name=WRITERS[format].picture_name)
    assert {r.path.stem: r.split for r in read_back(format, out).records} == {s: s for s in ("train", "val", "test")}


def test_groups_survive_in_the_landmark_csv(tmp_path: Path) -> None:
    need_reader("landmark_csv")
    given = [replace(prediction(tmp_path, f"{i}.png", seed=i), group=f"clip {i // 2}") for i in range(4)]
    WRITERS["landmark_csv"].write(given, tmp_path, skeleton=NAMED)
    assert [r.group for r in read_back("landmark_csv", tmp_path).records] == ["clip 0", "clip 0", "clip 1", "clip 1"]


# ---- what the files say


def cells(path: Path) -> list[list[str]]:
    with path.open(newline="") as stream:
        return list(csv.reader(stream))


def half(root: Path) -> Prediction:
    """Points in the centre of pixel (row 7, column 5), and one missing."""
    given = prediction(root, "a.png", visible=(True, True, False))
    points = np.array([[5.5, 7.5], [0.5, 0.5], [0.0, 0.0]])
    return replace(given, points_xy=points, score=np.array([0.25, 1.0, 0.9]))


def test_the_landmark_csv_holds_pixel_indices_and_blanks(tmp_path: Path) -> None:
    (path,) = WRITERS["landmark_csv"].write([half(tmp_path)], tmp_path / "p.csv", skeleton=NAMED)
    assert path == tmp_path / "p.csv"
    header, row = cells(path)
    assert header[:8] == ["file", "width", "height", "box_source", "xmin", "ymin", "xmax", "ymax"]
    assert header[8:] == [f"{name}_{what}" for name in NAMED.names for what in ("x", "y", "score")]
    assert row == ["a.png", "64", "48", "label", "2", "3", "60", "45", "5", "7", "0.25", "0", "0", "1", "", "", ""]


def test_unnamed_points_are_numbered_in_the_landmark_csv(tmp_path: Path) -> None:
    skeleton = Skeleton(names=("point_0", "point_1", "point_2"))
    given = replace(half(tmp_path), box_xyxy=None, box_source="whole image")
    (path,) = WRITERS["landmark_csv"].write([given], tmp_path, skeleton=skeleton)
    assert path == tmp_path / "landmarks.csv"
    numbered = ["x0", "y0", "s0", "x1", "y1", "s1", "x2", "y2", "s2"]
    assert cells(path)[0] == ["file", "width", "height", "box_source", *numbered]


def test_coco_is_complete(tmp_path: Path) -> None:
    given = half(tmp_path)
    (path,) = WRITERS["coco_keypoints"].write([given, replace(given, image_id="a.png#2")], tmp_path, skeleton=NAMED)
    content = json.loads(path.read_text())
    assert content["images"] == [{"id": 1, "file_name": "a.png", "width": 64, "height": 48}]
    first, second = content["annotations"]
    assert first["keypoints"] == [5, 7, 2, 0, 0, 2, 0, 0, 0]
    assert (first["num_keypoints"], first["bbox"], first["area"]) == (2, [2, 3, 58, 42], 58 * 42)
    assert first["score"] == pytest.approx(0.625)
    assert (second["id"], second["image_id"]) == (2, 1)
    assert content["categories"][0]["keypoints"] == list(NAMED.names)
    assert content["categories"][0]["skeleton"] == [[1, 2], [1, 3]]


def test_deeplabcut_has_three_header_rows_for_each_folder(tmp_path: Path) -> None:
    one, two = half(tmp_path), prediction(tmp_path, "deep/er/b.png")
    first, second = WRITERS["deeplabcut"].write([one, two], tmp_path / "out", skeleton=NAMED)
    assert first.relative_to(tmp_path / "out").as_posix() == "labeled-data/pictures/CollectedData_sightline.csv"
    assert second.relative_to(tmp_path / "out").as_posix() == "labeled-data/deep_er/CollectedData_sightline.csv"
    rows = cells(first)
    assert rows[0] == ["scorer"] + ["sightline"] * 6
    assert rows[1] == ["bodyparts", "nose", "nose", "left ear", "left ear", "right, ear", "right, ear"]
    assert rows[2] == ["coords"] + ["x", "y"] * 3
    assert rows[3] == ["labeled-data/pictures/a.png", "5", "7", "0", "0", "", ""]


def test_deeplabcut_project_paths_are_kept(tmp_path: Path) -> None:
    given = prediction(tmp_path, "labeled-data/m4s1/img0001.png")
    assert WRITERS["deeplabcut"].picture_name(given) == "labeled-data/m4s1/img0001.png"


def test_machine_labels_carry_likelihoods(tmp_path: Path) -> None:
    (path,) = WRITERS["deeplabcut_likelihood"].write([half(tmp_path)], tmp_path, skeleton=NAMED)
    rows = cells(path)
    assert rows[2] == ["coords"] + ["x", "y", "likelihood"] * 3
    assert rows[3][1:4] == ["5", "7", "0.25"]
    assert rows[3][7:] == ["", "", ""]


def test_label_studio_gets_percents_and_a_matching_configuration(tmp_path: Path) -> None:
    tasks, config = WRITERS["label_studio"].write([half(tmp_path)], tmp_path, skeleton=NAMED)
    (task,) = json.loads(tasks.read_text())
    assert task["data"] == {"image": "/data/local-files/?d=a.png"}
    results = task["predictions"][0]["result"]
    assert [r["value"]["keypointlabels"] for r in results] == [["nose"], ["left ear"]]
    assert results[0]["value"]["x"] == pytest.approx(100 * 5.5 / 64)
    assert results[0]["value"]["y"] == pytest.approx(100 * 7.5 / 48)
    assert (results[0]["original_width"], results[0]["original_height"]) == (64, 48)
    # Of a large picture a percent is many pixels: eight decimals keep its place.
    large = replace(half(tmp_path), size_hw=(48, 300_000))
    tasks, _ = WRITERS["label_studio"].write([large], tmp_path / "large", skeleton=NAMED)
    (point, _) = json.loads(tasks.read_text())[0]["predictions"][0]["result"]
    assert point["value"]["x"] * 3000 == pytest.approx(5.5, abs=2e-5)
    view = ElementTree.parse(config).getroot()
    labels, image = view.find("KeyPointLabels"), view.find("Image")
    assert labels is not None
    assert image is not None
    assert (labels.get("name"), labels.get("toName")) == (results[0]["from_name"], results[0]["to_name"])
    assert image.get("name") == "image"
    assert image.get("value") == "$image"
    assert [label.get("value") for label in labels] == list(NAMED.names)


def test_the_submission_interleaves_x_and_y_of_all_pictures(tmp_path: Path) -> None:
    given = [prediction(tmp_path, f"{i}.png", seed=i) for i in range(2)]
    (path,) = WRITERS["kaggle_csv"].write(given, tmp_path, skeleton=NAMED)
    header, *rows = cells(path)
    assert header == ["Id", "Predicted"]
    assert [int(row[0]) for row in rows] == list(range(12))
    expected = np.concatenate([p.points_xy for p in given]).ravel() - 0.5
    assert np.allclose([float(row[1]) for row in rows], expected, atol=1e-3)


def test_a_submission_reads_back_beside_its_xml(tmp_path: Path) -> None:
    reader = pytest.importorskip("sightline.readers.kaggle_csv")
    given = [prediction(tmp_path, f"{i}.png", count=68, seed=i) for i in range(3)]
    empty = [replace(p, visible=np.zeros(68, dtype=bool)) for p in given]
    WRITERS["dlib_xml"].write(empty, tmp_path, skeleton=FACE)
    WRITERS["kaggle_csv"].write(given, tmp_path, skeleton=FACE)
    got = reader.read(tmp_path)
    assert got.skeleton.names == FACE.names
    for record, expected in zip(got.records, given, strict=True):
        assert record.path == expected.path
        assert np.abs(record.points_xy - expected.points_xy).max() <= 1e-3


def test_yolo_marks_missing_points_and_tells_the_mirror(tmp_path: Path) -> None:
    data, label = WRITERS["yolo_pose"].write([half(tmp_path)], tmp_path / "out", skeleton=NAMED)
    words = label.read_text().split()
    assert label.relative_to(tmp_path / "out").as_posix() == "labels/train/a.txt"
    assert len(words) == 1 + 4 + 9
    assert words[-3:] == ["0", "0", "0"]
    assert float(words[5]) == pytest.approx(5.5 / 64, abs=1e-6)
    assert "kpt_shape: [3, 3]" in data.read_text()
    assert "flip_idx: [0, 2, 1]" in data.read_text()


def test_dlib_numbers_complete_faces_and_writes_integers(tmp_path: Path) -> None:
    (path,) = WRITERS["dlib_xml"].write([prediction(tmp_path, "a.png", count=68)], tmp_path, skeleton=FACE)
    parts = ElementTree.parse(path).getroot().findall("images/image/box/part")
    assert [part.get("name") for part in parts] == [f"{i:02d}" for i in range(68)]
    assert all(str(part.get("x")).isdigit() for part in parts)


def test_pts_counts_from_one(tmp_path: Path) -> None:
    given = replace(
        half(tmp_path), visible=np.ones(3, dtype=bool), points_xy=np.array([[0.5, 0.5], [5.5, 7.5], [1, 2]])
    )
    (path,) = WRITERS["pts"].write([given], tmp_path, skeleton=NAMED)
    assert path == tmp_path / "a.pts"
    assert path.read_text().split("\n")[:7] == ["version: 1", "n_points: 3", "{", "1 1", "6 8", "1.5 2.5", "}"]


def test_without_a_box_the_points_give_one(tmp_path: Path) -> None:
    given = replace(half(tmp_path), box_xyxy=None)
    (path,) = WRITERS["coco_keypoints"].write([given], tmp_path, skeleton=NAMED)
    assert json.loads(path.read_text())["annotations"][0]["bbox"] == [0.5, 0.5, 5, 7]
    nothing = replace(given, visible=np.zeros(3, dtype=bool))
    (path,) = WRITERS["coco_keypoints"].write([nothing], tmp_path, skeleton=NAMED)
    assert json.loads(path.read_text())["annotations"][0]["bbox"] == [0, 0, 64, 48]


@pytest.mark.parametrize("format", WRITERS)
def test_nothing_to_write_gives_valid_empty_files(tmp_path: Path, format: str) -> None:
    for path in WRITERS[format].write([], tmp_path, skeleton=NAMED):
        assert path.read_text()


# ---- what cannot be written


@pytest.mark.parametrize("format", NO_BLANKS)
def test_formats_without_a_mark_refuse_missing_points(tmp_path: Path, format: str) -> None:
    with pytest.raises(UserError, match=r"a\.png has no point 'right, ear'"):
        WRITERS[format].write([half(tmp_path)], tmp_path / "out", skeleton=NAMED)
    assert not (tmp_path / "out").exists()


def test_a_format_of_one_object_refuses_several(tmp_path: Path) -> None:
    given = prediction(tmp_path, "a.png")
    with pytest.raises(UserError, match=r"a\.png holds 2 objects"):
        WRITERS["pts"].write([given, replace(given, image_id="a.png#2")], tmp_path / "out", skeleton=NAMED)


@pytest.mark.parametrize("format", ["yolo_pose", "pts"])
def test_pictures_that_would_share_a_label_file_are_refused(tmp_path: Path, format: str) -> None:
    given = [prediction(tmp_path, "a.png"), prediction(tmp_path, "a.bmp")]
    with pytest.raises(UserError, match=r"a\.png and a\.bmp would share"):
        WRITERS[format].write(given, tmp_path / "out", skeleton=NAMED)


@pytest.mark.parametrize("format", WRITERS)
def test_a_file_in_the_place_of_the_folder_is_a_user_error(tmp_path: Path, format: str) -> None:
    (tmp_path / "out").write_text("mine")
    with pytest.raises(UserError, match="out"):
        WRITERS[format].write([prediction(tmp_path, "a.png")], tmp_path / "out", skeleton=NAMED)
    assert (tmp_path / "out").read_text() == "mine"


# ---- what they take


def test_truth_becomes_predictions(tmp_path: Path) -> None:
    path = picture(tmp_path / "a.png")
    record = Record(
        image_id="a.png#2",
        path=path,
        points_xy=np.array([[1.0, 2], [0, 0], [3, 4]]),
        visible=np.array([True, False, True]),
        split="val",
        group="g",
    )
    (got,) = dataset_to_predictions(Dataset(root=tmp_path, format="x", records=(record,), skeleton=NAMED))
    assert got.size_hw == (48, 64)
    assert got.file_name == "a.png"
    assert got.score.tolist() == [1, 0, 1]
    assert (got.split, got.group) == ("val", "g")
    assert got.mean_confidence == 1


def test_a_number_sign_of_the_file_itself_stays_in_its_name(tmp_path: Path) -> None:
    assert prediction(tmp_path, "take#2.png").file_name == "take#2.png"
    assert replace(prediction(tmp_path, "take#2.png"), image_id="take#2.png#3").file_name == "take#2.png"


def test_pictures_are_copied_once_and_never_over_others(tmp_path: Path) -> None:
    given = [prediction(tmp_path / "data", "x/a.png")]

    def name(p: Prediction) -> str:
        return p.file_name

    (path,) = place_pictures(given, tmp_path / "out", picture_name=name)
    assert path.read_bytes() == given[0].path.read_bytes()
    assert place_pictures(given, tmp_path / "out", picture_name=name) == (path,)
    path.write_bytes(b"another")
    with pytest.raises(UserError, match="exists already"):
        place_pictures(given, tmp_path / "out", picture_name=name)
    assert path.read_bytes() == b"another"


def test_two_pictures_never_take_one_place(tmp_path: Path) -> None:
    given = [prediction(tmp_path, "x/a.png"), prediction(tmp_path, "y/a.png")]
    with pytest.raises(UserError, match="would both become"):
        place_pictures(given, tmp_path / "out", picture_name=lambda p: p.path.name)
