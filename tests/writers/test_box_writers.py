"""Boxes: what is written is found out, read, and the same; and what each format's files say."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import yaml
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from PIL import Image

from sightline.errors import UserError
from sightline.geometry import box_areas
from sightline.readers import read_dataset
from sightline.records import Dataset, Detections, Objects, Record
from sightline.writers import BOX_WRITERS, BoxPrediction, boxes_from_dataset, from_detections
from sightline.writers.pictures import place_pictures

SIZE = (48, 64)
READERS = [name for name in BOX_WRITERS if name != "coco_results"]
HOLDS_AREAS = ("coco", "boxes_csv")
HOLDS_GROUPS = ("coco", "boxes_csv", "label_studio")
HOLDS_IDS = ("coco",)
# What tells nothing about the labels: classes without objects and so on are drawn at random here.
ABOUT_CLASSES = ("box-class-unused", "box-class-one-part", "box-class-similar", "labels-absent")


def picture(path: Path) -> Path:
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((*SIZE, 3), 90, np.uint8)).save(path)
    return path


def made(
    root: Path,
    name: str = "set/a.png",
    *,
    boxes: Sequence[Sequence[float]] = ((2, 3, 20.5, 33.25),),
    labels: Sequence[int] = (0,),
    crowd: Sequence[bool] | None = None,
    areas: Sequence[float] | None = None,
    scores: Sequence[float] | None = None,
    split: str | None = None,
    group: str | None = None,
) -> BoxPrediction:
    xyxy = np.array(boxes, dtype=np.float64).reshape(-1, 4)
    return BoxPrediction(
        image_id=name,
        path=picture(root / name),
        size_hw=SIZE,
        boxes_xyxy=xyxy,
        labels=np.array(labels, dtype=np.int64),
        scores=np.ones(len(xyxy)) if scores is None else np.array(scores),
        crowd=np.zeros(len(xyxy), dtype=bool) if crowd is None else np.array(crowd, dtype=bool),
        areas=box_areas(xyxy) if areas is None else np.array(areas),
        split=split,
        group=group,
    )


def write(
    format: str,
    given: Sequence[BoxPrediction],
    out: Path,
    *,
    classes: Sequence[str] = ("cell", "dot"),
    class_ids: Sequence[int] = (),
    as_truth: bool = True,
) -> tuple[Path, ...]:
    written = BOX_WRITERS[format].write(given, out, classes=classes, class_ids=class_ids, as_truth=as_truth)
    assert all(path.is_file() for path in written)
    return written


def there_and_back(format: str, given: Sequence[BoxPrediction], out: Path, **named: Sequence) -> Dataset:
    write(format, given, out, **named)
    place_pictures(given, out, picture_name=BOX_WRITERS[format].picture_name)
    dataset = read_dataset(out)
    assert dataset.format == format
    return dataset


# ---- there and back


@st.composite
def data_sets(draw: st.DrawFn) -> tuple[tuple[str, ...], tuple[int, ...], list[dict]]:
    """Classes, their numbers, and pictures with boxes on a grid of a hundredth of a pixel, crowds, parts, groups."""
    letters = st.characters(categories=("L", "N", "P", "S"), exclude_characters="\u00a0:#")
    words = st.lists(st.text(letters, min_size=1, max_size=6), min_size=1, max_size=3).map(" ".join)
    classes = tuple(draw(st.lists(words, min_size=1, max_size=5, unique=True)))
    gaps = draw(st.lists(st.integers(1, 30), min_size=len(classes), max_size=len(classes)))
    class_ids = tuple(np.cumsum(gaps).tolist())
    splits = draw(st.sampled_from([(None,), ("train", "val"), ("train", "val", "test"), ("train",)]))
    pictures = []
    for index in range(draw(st.integers(1, 4))):
        count = draw(st.integers(0, 5))
        edges = []
        for _ in range(count):
            x = sorted(draw(st.lists(st.integers(0, 6400), min_size=2, max_size=2, unique=True)))
            y = sorted(draw(st.lists(st.integers(0, 4800), min_size=2, max_size=2, unique=True)))
            edges.append((x[0] / 100, y[0] / 100, x[1] / 100, y[1] / 100))
        edges = list(dict.fromkeys(edges))
        labels = [draw(st.integers(0, len(classes) - 1)) for _ in edges]
        crowd = [draw(st.booleans()) for _ in edges]
        areas = [draw(st.none() | st.integers(1, 400_000).map(lambda n: n / 100)) for _ in edges]
        split, group = draw(st.sampled_from(splits)), draw(st.sampled_from([None, "clip 1", "2"]))
        found = {"boxes": edges, "labels": labels, "crowd": crowd, "areas": areas, "split": split, "group": group}
        pictures.append(found | {"name": f"{draw(st.sampled_from(['', 'deep/er/', 'images/']))}{index}.png"})
    return classes, class_ids, pictures


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=data_sets())
@pytest.mark.parametrize("format", READERS)
def test_any_data_set_reads_back_as_it_was(tmp_path: Path, format: str, data: tuple) -> None:
    classes, class_ids, pictures = data
    # A CSV all of whose boxes lie in the first pixel would pass for one of fractions.
    assume(any(max(box) > 1 for found in pictures for box in found["boxes"]) or not any(f["boxes"] for f in pictures))
    given = []
    for found in pictures:
        boxes = np.array(found["boxes"], dtype=np.float64).reshape(-1, 4)
        own = box_areas(boxes)
        areas = [one if told is None else told for one, told in zip(own.tolist(), found["areas"], strict=True)]
        crowd = [False] * len(boxes) if format == "yolo" else found["crowd"]
        given.append(made(tmp_path / "data", **(found | {"areas": areas, "crowd": crowd})))
    out = tmp_path / "out"
    shutil.rmtree(out, ignore_errors=True)
    dataset = there_and_back(format, given, out, classes=classes, class_ids=class_ids)
    assert [str(p) for p in dataset.problems if p.severity != "note" and p.id not in ABOUT_CLASSES] == []
    assert dataset.classes == classes
    if format in HOLDS_IDS:
        assert dataset.class_ids == class_ids
    assert len(dataset) == len(given)
    records = {record.image_id: record for record in dataset.records}
    for expected in given:
        record = records[BOX_WRITERS[format].picture_name(expected)]
        objects = record.objects
        assert objects is not None and len(objects) == len(expected)
        assert np.allclose(objects.boxes_xyxy, expected.boxes_xyxy, rtol=0, atol=2e-4)
        assert objects.labels.tolist() == expected.labels.tolist()
        assert objects.crowd.tolist() == expected.crowd.tolist()
        areas = expected.areas if format in HOLDS_AREAS else box_areas(expected.boxes_xyxy)
        assert np.allclose(objects.areas, areas, rtol=1e-3, atol=0.02)
        assert record.split == (expected.split or ("train" if format == "yolo" else None))
        assert record.group == (expected.group if format in HOLDS_GROUPS else None)
        assert record.path.read_bytes() == expected.path.read_bytes()


@pytest.mark.parametrize("format", READERS)
def test_what_was_read_back_is_written_the_same_again(tmp_path: Path, format: str) -> None:
    first = [
        made(tmp_path / "data", "a.png", split="train"),
        made(tmp_path / "data", "b.png", boxes=(), labels=(), split="val"),
    ]
    dataset = there_and_back(format, first, tmp_path / "one")
    again = boxes_from_dataset(dataset)
    second = there_and_back(format, again, tmp_path / "two", classes=dataset.classes, class_ids=dataset.class_ids)
    assert second.fingerprint() == dataset.fingerprint()
    assert (second.classes, second.class_ids) == (dataset.classes, dataset.class_ids)


@pytest.mark.parametrize("format", ["coco", "boxes_csv", "label_studio", "cvat"])
def test_parts_of_any_name_survive_where_the_format_holds_them(tmp_path: Path, format: str) -> None:
    given = [made(tmp_path / "data", f"{part}.png", split=part) for part in ("fold1", "fold2")]
    dataset = there_and_back(format, given, tmp_path / "out")
    assert {r.path.stem: r.split for r in dataset.records} == {"fold1": "fold1", "fold2": "fold2"}


@pytest.mark.parametrize("format", READERS)
def test_a_data_set_without_any_object_survives(tmp_path: Path, format: str) -> None:
    given = [made(tmp_path / "data", f"{i}.png", boxes=(), labels=()) for i in range(2)]
    dataset = there_and_back(format, given, tmp_path / "out")
    assert [len(record.objects or ()) for record in dataset.records] == [0, 0]
    assert dataset.classes == ("cell", "dot")


@pytest.mark.parametrize("format", READERS)
def test_scores_are_written_for_what_a_model_found_and_warned_of_when_read_as_labels(
    tmp_path: Path, format: str
) -> None:
    given = [made(tmp_path / "data", scores=[0.25])]
    write(format, given, tmp_path / "out", as_truth=False)
    place_pictures(given, tmp_path / "out", picture_name=BOX_WRITERS[format].picture_name)
    dataset = read_dataset(tmp_path / "out")
    assert np.allclose(dataset.records[0].objects.boxes_xyxy, given[0].boxes_xyxy, atol=1e-3)  # type: ignore[union-attr]
    told = {problem.id for problem in dataset.problems}
    assert told & {"score-ignored", "predictions-read"}


# ---- what the files say


def test_coco_is_complete_and_one_file_for_each_part(tmp_path: Path) -> None:
    given = [
        made(
            tmp_path,
            "x/12.png",
            boxes=[(1, 2, 11, 22), (0, 0, 64, 48)],
            labels=(1, 0),
            crowd=(False, True),
            split="train",
        ),
        made(tmp_path, "x/7.png", boxes=(), labels=(), split="val"),
    ]
    train, val = write("coco", given, tmp_path / "out", class_ids=(3, 90))
    assert [p.relative_to(tmp_path / "out").as_posix() for p in (train, val)] == [
        "annotations/instances_train.json",
        "annotations/instances_val.json",
    ]
    content = json.loads(train.read_text())
    assert content["images"] == [{"id": 12, "file_name": "x/12.png", "width": 64, "height": 48, "split": "train"}]
    assert content["annotations"] == [
        {"id": 1, "image_id": 12, "category_id": 90, "bbox": [1, 2, 10, 20], "area": 200, "iscrowd": 0},
        {"id": 2, "image_id": 12, "category_id": 3, "bbox": [0, 0, 64, 48], "area": 3072, "iscrowd": 1},
    ]
    assert [(c["id"], c["name"]) for c in json.loads(val.read_text())["categories"]] == [(3, "cell"), (90, "dot")]
    (one,) = write("coco", given, tmp_path / "all.json")
    assert one == tmp_path / "all.json"
    assert len(json.loads(one.read_text())["images"]) == 2


def test_coco_results_fit_the_truth_that_coco_writes(tmp_path: Path) -> None:
    names = ("b.png", "a.png", "deep/c.png")
    truth = [made(tmp_path, name, labels=(1,)) for name in names]
    guesses = [made(tmp_path, name, labels=(1,), scores=[0.5]) for name in reversed(names)]
    (labels,) = write("coco", truth, tmp_path / "out", class_ids=(3, 90))
    (results,) = write("coco_results", guesses, tmp_path / "out", class_ids=(3, 90), as_truth=False)
    ids = {image["file_name"]: image["id"] for image in json.loads(labels.read_text())["images"]}
    found = json.loads(results.read_text())
    assert {one["file_name"]: one["image_id"] for one in found} == ids
    assert found[0]["bbox"] == [2, 3, 18.5, 30.25]
    assert (found[0]["category_id"], found[0]["score"]) == (90, 0.5)
    library = pytest.importorskip("pycocotools.coco")
    loaded = library.COCO(str(labels)).loadRes(str(results))
    assert len(loaded.anns) == 3


def test_results_without_scores_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="Write labels as 'coco'"):
        write("coco_results", [made(tmp_path)], tmp_path / "out")


def test_voc_has_the_formats_own_layout(tmp_path: Path) -> None:
    given = [
        made(tmp_path, "images/a.png", boxes=[(1, 2, 11, 22.5)], crowd=(True,), split="train"),
        made(tmp_path, "b.png", boxes=(), labels=(), split="val"),
    ]
    out = tmp_path / "out"
    written = {path.relative_to(out).as_posix() for path in write("voc", given, out)}
    assert written == {
        "Annotations/a.xml",
        "Annotations/b.xml",
        "ImageSets/Main/train.txt",
        "ImageSets/Main/val.txt",
        "classes.txt",
    }
    root = ElementTree.parse(out / "Annotations" / "a.xml").getroot()
    assert root.findtext("filename") == "a.png"
    assert [root.findtext(f"size/{side}") for side in ("width", "height", "depth")] == ["64", "48", "3"]
    assert [root.findtext(f"object/bndbox/{e}") for e in ("xmin", "ymin", "xmax", "ymax")] == ["1", "2", "11", "22.5"]
    assert root.findtext("object/difficult") == "1"
    assert root.find("object/confidence") is None
    assert BOX_WRITERS["voc"].picture_name(given[0]) == "JPEGImages/a.png"


def test_yolo_has_fractions_and_names(tmp_path: Path) -> None:
    given = [made(tmp_path, "images/train/a.png", boxes=[(16, 12, 48, 60)], labels=(1,), split="train")]
    data, label = write("yolo", given, tmp_path / "out", classes=("no", 'd: \u00e9"#'))
    assert label.relative_to(tmp_path / "out").as_posix() == "labels/train/a.txt"
    assert label.read_text() == "1 0.50000000 0.62500000 0.50000000 0.75000000\n"
    config = yaml.safe_load(data.read_text(encoding="utf-8"))
    assert (config["train"], config["names"]) == ("images/train", {0: "no", 1: 'd: \u00e9"#'})
    _, label = write("yolo", [replace(given[0], scores=np.array([0.5]))], tmp_path / "out", as_truth=False)
    assert label.read_text().split()[5:] == ["0.5000"]


def test_the_csv_has_columns_for_what_is_there(tmp_path: Path) -> None:
    given = [made(tmp_path, "a.png", group="g, 1"), made(tmp_path, "b.png", boxes=(), labels=())]
    path, names = write("boxes_csv", given, tmp_path / "p.csv")
    with path.open(newline="") as stream:
        rows = list(csv.reader(stream))
    assert rows == [
        ["file", "width", "height", "class", "xmin", "ymin", "xmax", "ymax", "group"],
        ["a.png", "64", "48", "cell", "2", "3", "20.5", "33.25", "g, 1"],
        ["b.png", "64", "48", "", "", "", "", "", ""],
    ]
    assert names == tmp_path / "p_classes.txt"
    assert names.read_text() == "cell\ndot\n"


def test_label_studio_gets_annotations_or_pre_annotations(tmp_path: Path) -> None:
    given = [made(tmp_path, "a b.png", boxes=[(16, 12, 48, 36)], scores=[0.5])]
    tasks, config = write("label_studio", given, tmp_path / "out")
    (task,) = json.loads(tasks.read_text())
    assert task["data"] == {"image": "/data/local-files/?d=a%20b.png"}
    (region,) = task["annotations"][0]["result"]
    assert region["value"] == {"x": 25, "y": 25, "width": 50, "height": 50, "rotation": 0, "rectanglelabels": ["cell"]}
    view = ElementTree.parse(config).getroot()
    labels = view.find("RectangleLabels")
    assert labels is not None and (labels.get("name"), labels.get("toName")) == (region["from_name"], region["to_name"])
    assert [label.get("value") for label in labels] == ["cell", "dot"]
    tasks, _ = write("label_studio", given, tmp_path / "out", as_truth=False)
    (task,) = json.loads(tasks.read_text())
    assert "annotations" not in task
    assert (task["predictions"][0]["score"], task["predictions"][0]["result"][0]["score"]) == (0.5, 0.5)


def test_cvat_declares_the_attributes_that_its_boxes_have(tmp_path: Path) -> None:
    given = [made(tmp_path, "a.png", crowd=(True,), scores=[0.5], split="val")]
    (path,) = write("cvat", given, tmp_path / "out", as_truth=False)
    root = ElementTree.parse(path).getroot()
    assert root.findtext("version") == "1.1"
    declared = [one.findtext("name") for one in root.findall("meta/task/labels/label[1]/attributes/attribute")]
    box = root.find("image/box")
    assert box is not None
    assert declared == [one.get("name") for one in box.findall("attribute")] == ["is_crowd", "score"]
    assert [box.get(edge) for edge in ("label", "xtl", "ytl", "xbr", "ybr")] == ["cell", "2", "3", "20.5", "33.25"]
    image = root.find("image")
    assert image is not None and image.get("subset") == "val"
    (path,) = write("cvat", [made(tmp_path, "a.png")], tmp_path / "out")
    assert ElementTree.parse(path).getroot().find("image/box/attribute") is None


# ---- what cannot be written


def test_crowds_are_refused_where_there_is_no_mark_for_them(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"a\.png has 1 box of crowds.*'coco', 'voc'"):
        write("yolo", [made(tmp_path, "a.png", crowd=(True,))], tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("format", ["yolo", "voc"])
def test_parts_that_a_format_does_not_know_are_refused_and_other_spellings_are_not(tmp_path: Path, format: str) -> None:
    with pytest.raises(UserError, match="belongs to the part 'fold1'"):
        write(format, [made(tmp_path, "a.png", split="fold1")], tmp_path / "out")
    dataset = there_and_back(format, [made(tmp_path / "data", "a.png", split="valid")], tmp_path / "valid")
    assert dataset.records[0].split == "val"


@pytest.mark.parametrize("format", ["yolo", "voc"])
def test_pictures_that_would_share_a_label_file_are_refused(tmp_path: Path, format: str) -> None:
    with pytest.raises(UserError, match=r"a\.png and a\.bmp would share"):
        write(format, [made(tmp_path, "a.png"), made(tmp_path, "a.bmp")], tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("format", BOX_WRITERS)
def test_a_picture_twice_is_refused(tmp_path: Path, format: str) -> None:
    with pytest.raises(UserError, match=r"a\.png is there twice"):
        write(format, [made(tmp_path, "a.png")] * 2, tmp_path / "out", as_truth=False)


@pytest.mark.parametrize("format", BOX_WRITERS)
def test_a_file_in_the_place_of_the_folder_is_a_user_error(tmp_path: Path, format: str) -> None:
    (tmp_path / "out").write_text("mine")
    with pytest.raises(UserError, match="out"):
        write(format, [made(tmp_path, "a.png")], tmp_path / "out", as_truth=False)
    assert (tmp_path / "out").read_text() == "mine"


@pytest.mark.parametrize("format", BOX_WRITERS)
def test_pictures_from_elsewhere_write_nothing_outside_of_the_folder(tmp_path: Path, format: str) -> None:
    """A picture outside of the data's root is called by its whole path."""
    away = made(tmp_path / "away", "a.png")
    out = tmp_path / "out"
    for name in (away.path.as_posix(), "../../a.png"):
        shutil.rmtree(out, ignore_errors=True)
        written = write(format, [replace(away, image_id=name)], out, as_truth=False)
        assert all(path.resolve().is_relative_to(out) for path in written)
        assert [path.name for path in (tmp_path / "away").iterdir()] == ["a.png"]


@pytest.mark.parametrize("format", BOX_WRITERS)
def test_nothing_to_write_gives_valid_empty_files(tmp_path: Path, format: str) -> None:
    for path in write(format, [], tmp_path / "out", as_truth=False):
        assert path.read_text()


# ---- what they take


def test_truth_and_detections_become_predictions(tmp_path: Path) -> None:
    path = picture(tmp_path / "a.png")
    objects = Objects.of(np.array([[1.0, 2, 3, 5]]), np.array([1]))
    record = Record(image_id="x/a.png", path=path, objects=objects, split="val", group="g", source="l.csv:2")
    dataset = Dataset(root=tmp_path, format="x", records=(record,), classes=("a", "b"))
    (got,) = boxes_from_dataset(dataset)
    assert (got.file_name, got.size_hw, got.split, got.group) == ("x/a.png", SIZE, "val", "g")
    assert (got.scores.tolist(), got.areas.tolist(), len(got)) == ([1], [6], 1)
    found = Detections(boxes_xyxy=objects.boxes_xyxy, labels=objects.labels, scores=np.array([0.5]))
    guess = from_detections(found, image_id="a.png", path=path, size_hw=SIZE)
    assert (guess.scores.tolist(), guess.crowd.tolist(), guess.areas.tolist()) == ([0.5], [False], [6])


def test_points_are_refused_by_the_writers_of_boxes(tmp_path: Path) -> None:
    record = Record(image_id="a.png", path=picture(tmp_path / "a.png"))
    with pytest.raises(UserError, match="holds points, not boxes"):
        boxes_from_dataset(Dataset(root=tmp_path, format="landmark_csv", records=(record,)))


@pytest.mark.parametrize("name", ["boxes_csv", "voc"])
def test_a_class_of_two_lines_is_refused_where_a_file_names_one_a_line(tmp_path: Path, name: str) -> None:
    prediction = made(tmp_path / "in")
    with pytest.raises(UserError, match=r"class 'new\\nline' has a line break.*such as coco"):
        BOX_WRITERS[name].write([prediction], tmp_path / "out", classes=("new\nline",), as_truth=True)
    assert not (tmp_path / "out").exists()
