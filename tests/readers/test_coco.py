from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from sightline.errors import UserError
from sightline.readers import read_dataset

CATEGORIES = [{"id": 3, "name": "cat"}, {"id": 90, "name": "dog"}]


def image(id, name="a.png", **more):
    return {"id": id, "file_name": name, "width": 64, "height": 48, **more}


def annotation(image_id=1, bbox=(10, 20, 30, 8), category_id=3, **more):
    return {"image_id": image_id, "bbox": list(bbox), "category_id": category_id, **more}


def write(path: Path, images, annotations, categories=CATEGORIES):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"info": {}, "images": images, "annotations": annotations, "categories": categories}))
    return path


def found(dataset, severity="error"):
    return [(p.id, p.where) for p in dataset.problems if p.severity == severity]


def test_boxes_classes_crowds_and_areas_are_read(tmp_path, picture):
    picture(tmp_path / "a.png")
    picture(tmp_path / "b.png")
    boxes = [
        annotation(area=77.5, segmentation=[[1, 2, 3, 4]]),
        annotation(bbox=(0, 0, 64, 48), category_id=90, iscrowd=1),
    ]
    write(tmp_path / "labels.json", [image(1), image(2, "b.png")], boxes)
    dataset = read_dataset(tmp_path)
    assert (dataset.format, dataset.classes, dataset.class_ids) == ("coco", ("cat", "dog"), (3, 90))
    assert len(dataset.skeleton) == 0
    first, second = dataset.records
    assert first.objects.boxes_xyxy.tolist() == [[10, 20, 40, 28], [0, 0, 64, 48]]
    assert first.objects.labels.tolist() == [0, 1]
    assert first.objects.crowd.tolist() == [False, True]
    assert first.objects.areas.tolist() == [77.5, 64 * 48]
    assert first.size_hw == (48, 64)
    assert len(second.objects) == 0
    assert dataset.problems == ()


def test_parts_are_told_by_file_names_and_pictures_lie_where_the_official_set_has_them(tmp_path, picture):
    for part in ("train", "val"):
        picture(tmp_path / f"{part}2017" / "1.png")
        write(tmp_path / "annotations" / f"instances_{part}2017.json", [image(1, "1.png")], [annotation()])
    for given in (tmp_path, tmp_path / "annotations"):
        dataset = read_dataset(given)
        assert [(r.image_id, r.split) for r in dataset.records] == [
            ("train2017/1.png", "train"),
            ("val2017/1.png", "val"),
        ]
    (alone,) = read_dataset(tmp_path / "annotations" / "instances_val2017.json").records
    assert (alone.image_id, alone.split) == ("val2017/1.png", None)


def test_a_folder_for_each_part_is_read(tmp_path, picture):
    for part in ("train", "valid", "test"):
        picture(tmp_path / part / "1.png")
        write(tmp_path / part / "_annotations.coco.json", [image(1, "1.png")], [annotation()])
    records = {record.image_id: record.split for record in read_dataset(tmp_path).records}
    assert records == {"train/1.png": "train", "valid/1.png": "val", "test/1.png": "test"}


def test_boxes_beside_keypoints_are_found_when_asked_for(tmp_path, picture):
    picture(tmp_path / "val" / "1.png")
    write(tmp_path / "annotations" / "instances_val.json", [image(1, "1.png")], [annotation()])
    person = [{"id": 3, "name": "cat", "keypoints": ["nose"]}]
    points = [annotation(keypoints=[1, 1, 2], num_keypoints=1)]
    write(tmp_path / "annotations" / "person_keypoints_val.json", [image(1, "1.png")], points, person)
    with pytest.raises(UserError, match=r"coco_keypoints, coco.*--format"):
        read_dataset(tmp_path)
    assert len(read_dataset(tmp_path, format="coco").records[0].objects) == 1
    assert read_dataset(tmp_path, format="coco_keypoints").skeleton.names == ("nose",)


def test_a_file_with_keypoints_gives_its_boxes_when_asked_for(tmp_path, picture):
    picture(tmp_path / "a.png")
    file = write(tmp_path / "labels.json", [image(1)], [annotation(keypoints=[1, 1, 2])])
    assert read_dataset(file).format == "coco_keypoints"
    assert len(read_dataset(file, format="coco").records[0].objects) == 1


def test_what_is_wrong_with_boxes_is_told_at_once_and_the_good_ones_stay(tmp_path, picture):
    picture(tmp_path / "a.png")
    boxes = [
        annotation(),
        annotation(bbox=(5, 5, 0, 4)),
        annotation(bbox=(30, 5, -8, 4)),
        annotation(bbox=(float("nan"), 5, 8, 4)),
        annotation(bbox=(100, 100, 8, 4)),
        annotation(category_id=4),
        annotation(bbox=(1, 2, 3)),
        annotation(bbox=(1, 2, 3, "4")),
        annotation(bbox=(1, 2, 3, 10**400)),
        annotation(bbox=(5, 5, 1e999, 4)),
        annotation(area="big"),
        annotation(image_id=7),
    ]
    write(tmp_path / "labels.json", [image(1)], boxes)
    dataset = read_dataset(tmp_path)
    assert sorted(found(dataset)) == sorted(
        (name, f"labels.json:annotations[{index}]")
        for index, name in enumerate(
            (
                "box-empty",
                "box-inverted",
                "box-not-finite",
                "box-off-image",
                "class-unknown",
                "row-unreadable",
                "row-unreadable",
                "row-unreadable",
                "box-not-finite",
                "row-unreadable",
                "annotation-orphan",
            ),
            start=1,
        )
    )
    (record,) = dataset.records
    assert record.objects.boxes_xyxy.tolist() == [[10, 20, 40, 28]]
    assert {p.image_id for p in dataset.errors if p.id != "annotation-orphan"} == {"a.png"}


def test_a_picture_none_of_whose_boxes_can_be_used_does_not_pass_for_an_empty_one(tmp_path, picture):
    picture(tmp_path / "a.png")
    picture(tmp_path / "b.png")
    boxes = [annotation(bbox=(5, 5, 0, 4)), annotation(image_id=2, category_id=1)]
    write(tmp_path / "labels.json", [image(1), image(2, "b.png"), image(3, "c.png")], boxes)
    dataset = read_dataset(tmp_path)
    assert dataset.records == ()
    assert sorted(name for name, _ in found(dataset)) == ["box-empty", "class-unknown", "image-missing"]


def test_boxes_over_the_edge_are_cut_and_told_and_doubles_are_used_once(tmp_path, picture):
    picture(tmp_path / "a.png")
    boxes = [
        annotation(bbox=(-4, 40, 20, 20)),
        annotation(bbox=(10, 10, 54.05, 38)),
        annotation(bbox=(1, 1, 5, 5), area=-2),
        annotation(bbox=(1, 1, 5, 5)),
        annotation(bbox=(1, 1, 5, 5), category_id=90),
    ]
    write(tmp_path / "labels.json", [image(1)], boxes)
    dataset = read_dataset(tmp_path)
    (record,) = dataset.records
    assert record.objects.boxes_xyxy.tolist() == [[0, 40, 16, 48], [10, 10, 64, 48], [1, 1, 6, 6], [1, 1, 6, 6]]
    assert record.objects.areas.tolist() == [16 * 8, 54 * 38, 25, 25]
    assert found(dataset, "warning") == [
        ("area-invalid", "labels.json:annotations[2]"),
        ("box-cut", "labels.json:annotations[0]"),
        ("box-duplicated", "labels.json:annotations[3]"),
    ]
    assert "1 box reaches over the edges of the 64 x 48 picture, by up to 12.0 pixels" in str(dataset.problems[1])


def test_a_picture_listed_twice_and_a_picture_without_labels_are_told(tmp_path, picture):
    for name in ("a.png", "rest.png"):
        picture(tmp_path / name)
    write(tmp_path / "labels.json", [image(1), image(2, "./a.png"), image(2, "gone.png"), {"id": 9}], [annotation()])
    dataset = read_dataset(tmp_path)
    assert found(dataset) == [
        ("row-unreadable", "labels.json:images[3]"),
        ("image-duplicated", "labels.json:images[1]"),
        ("image-missing", "labels.json:images[2]"),
    ]
    assert ("label-missing", "rest.png") in found(dataset, "warning")


def test_sizes_that_are_not_the_pictures_are_warned_of(tmp_path, picture):
    picture(tmp_path / "a.png")
    write(tmp_path / "labels.json", [image(1) | {"width": 48.0, "height": 64}], [annotation()])
    assert ("image-size-mismatch", "labels.json:images[0]") in found(read_dataset(tmp_path), "warning")


def test_categories_of_one_name_are_one_class(tmp_path, picture):
    picture(tmp_path / "a.png")
    doubled = [{"id": 0, "name": "cat"}, {"id": 1, "name": "cat"}]
    write(tmp_path / "labels.json", [image(1)], [annotation(category_id=1)], doubled)
    dataset = read_dataset(tmp_path)
    assert (dataset.classes, dataset.class_ids) == (("cat",), (1,))
    assert [name for name, _ in found(dataset, "warning")] == ["class-name-twice"]


def test_files_that_call_one_id_differently_are_refused(tmp_path, picture):
    picture(tmp_path / "a.png")
    write(tmp_path / "train.json", [image(1)], [])
    write(tmp_path / "val.json", [image(1)], [], [{"id": 3, "name": "horse"}])
    with pytest.raises(UserError, match="category id 3 is 'horse' and also 'cat'"):
        read_dataset(tmp_path)


@pytest.mark.parametrize("categories", [[{"id": 1}], [{"id": "x", "name": "a"}], [{"id": True, "name": "a"}]])
def test_categories_without_number_or_name_are_refused(tmp_path, categories):
    with pytest.raises(UserError, match=r"categories\[0\].*number 'id' and a 'name'"):
        read_dataset(write(tmp_path / "labels.json", [], [], categories))


def test_scores_in_labels_are_warned_of(tmp_path, picture):
    picture(tmp_path / "a.png")
    write(tmp_path / "labels.json", [image(1)], [annotation(score=0.5)])
    assert ("score-ignored", "labels.json") in found(read_dataset(tmp_path), "warning")


def test_annotations_without_a_box_are_left_out_with_a_note(tmp_path, picture):
    picture(tmp_path / "a.png")
    write(tmp_path / "labels.json", [image(1)], [annotation(), {"image_id": 1, "category_id": 3, "bbox": []}])
    dataset = read_dataset(tmp_path)
    assert found(dataset, "note") == [("annotation-skipped", "labels.json")]
    assert len(dataset.records[0].objects) == 1


def test_a_file_that_was_cut_off_is_refused_with_the_line(tmp_path):
    file = write(tmp_path / "labels.json", [image(1)] * 50, [annotation()] * 50)
    whole = json.dumps(json.loads(file.read_text()), indent=1)
    file.write_text(whole[: len(whole) // 2] + '"categories"')
    with pytest.raises(UserError, match=r"labels\.json:\d+ is not JSON"):
        read_dataset(file, format="coco")


def test_splits_and_groups_in_the_images_are_read(tmp_path, picture):
    picture(tmp_path / "a.png")
    write(tmp_path / "labels.json", [image(1, split="fold1", group="clip 3")], [annotation()])
    (record,) = read_dataset(tmp_path).records
    assert (record.split, record.group) == ("fold1", "clip 3")


def test_what_is_read_agrees_with_the_official_library(tmp_path, picture):
    library = pytest.importorskip("pycocotools.coco")
    rng = np.random.default_rng(0)
    images = [image(7 * i + 1, f"{i}.png") for i in range(5)]
    boxes = [
        annotation(
            images[i % 5]["id"],
            (*rng.uniform(0, 20, 2).round(2), *rng.uniform(1, 20, 2).round(2)),
            int(rng.choice([3, 90])),
            id=i + 1,
            area=float(rng.uniform(1, 9)),
            iscrowd=int(rng.random() < 0.2),
        )
        for i in range(40)
    ]
    for entry in images:
        picture(tmp_path / entry["file_name"])
    file = write(tmp_path / "labels.json", images, boxes)
    coco = library.COCO(str(file))
    dataset = read_dataset(file)
    for entry, record in zip(images, dataset.records, strict=True):
        theirs = coco.loadAnns(coco.getAnnIds(imgIds=[entry["id"]]))
        xywh = np.array([one["bbox"] for one in theirs])
        assert np.allclose(record.objects.boxes_xyxy, np.hstack([xywh[:, :2], xywh[:, :2] + xywh[:, 2:]]))
        assert [dataset.class_ids[label] for label in record.objects.labels] == [one["category_id"] for one in theirs]
        assert record.objects.areas.tolist() == [one["area"] for one in theirs]
        assert record.objects.crowd.tolist() == [bool(one["iscrowd"]) for one in theirs]


def test_ids_may_be_text_in_one_place_and_numbers_in_another(tmp_path, picture):
    picture(tmp_path / "a.png")
    write(tmp_path / "labels.json", [image(0)], [annotation("0", category_id="3"), annotation(0.0, (1, 2, 3, 4))])
    dataset = read_dataset(tmp_path)
    assert dataset.records[0].objects.boxes_xyxy.tolist() == [[10, 20, 40, 28], [1, 2, 4, 6]]
    assert not dataset.errors


def test_an_outline_without_a_bbox_gives_the_box_around_it(tmp_path, picture):
    picture(tmp_path / "a.png")
    outline = annotation() | {"bbox": [], "segmentation": [[10, 20, 30, 20, 20, 28], [35, 22, 40, 24, 36, 26]]}
    said = ({"counts": "abc", "size": [48, 64]}, [["1", 2]], [[]], [[10**400, 1]], [[float("nan"), 1]], 5)
    others = [{"image_id": 1, "category_id": 3, "segmentation": one} for one in said]
    write(tmp_path / "labels.json", [image(1)], [outline, *others])
    dataset = read_dataset(tmp_path)
    assert dataset.records[0].objects.boxes_xyxy.tolist() == [[10, 20, 40, 28]]
    assert found(dataset, "note") == [("annotation-skipped", "labels.json"), ("outline-boxed", "labels.json")]


def test_empty_lists_of_keypoints_beside_boxes_do_not_make_data_of_points(tmp_path, picture):
    picture(tmp_path / "images" / "a.png")
    empty = [{"id": 3, "name": "cat", "keypoints": [], "skeleton": []}]
    more = {"keypoints": [], "num_keypoints": 0}
    write(tmp_path / "annotations" / "instances_default.json", [image(1)], [annotation(**more)], empty)
    dataset = read_dataset(tmp_path)
    assert (dataset.format, len(dataset.records[0].objects)) == ("coco", 1)


@pytest.mark.parametrize("folder", ["Annotations", "labels", "annotation"])
def test_the_folder_of_the_json_may_have_another_name(tmp_path, picture, folder):
    picture(tmp_path / "images" / "a.png")
    write(tmp_path / folder / "data.json", [image(1)], [annotation()])
    assert [r.image_id for r in read_dataset(tmp_path).records] == ["images/a.png"]


def test_boxes_that_do_not_reach_beyond_one_are_fractions(tmp_path, picture):
    picture(tmp_path / "a.png")
    write(tmp_path / "labels.json", [image(1)], [annotation(bbox=(0.25, 0.5, 0.5, 0.25), area=0.125)])
    dataset = read_dataset(tmp_path)
    assert dataset.records[0].objects.boxes_xyxy.tolist() == [[16, 24, 48, 36]]
    assert dataset.records[0].objects.areas.tolist() == [32 * 12]
    assert found(dataset, "note") == [("fractions-assumed", "labels.json")]


def test_a_part_that_was_cut_off_is_missed(tmp_path, picture):
    for part in ("train", "val"):
        picture(tmp_path / part / "1.png")
        write(tmp_path / "annotations" / f"instances_{part}.json", [image(1, "1.png")], [annotation()])
    assert found(read_dataset(tmp_path)) == []
    file = tmp_path / "annotations" / "instances_train.json"
    whole = file.read_text()
    for cut in (whole[: len(whole) // 2], ""):
        file.write_text(cut)
        dataset = read_dataset(tmp_path)
        assert [record.split for record in dataset.records] == [None]  # of the one file that is left
        assert found(dataset) == [("label-unreadable", "annotations/instances_train.json")]
    (tmp_path / "annotations" / "captions_train.json").write_text('{"annotations": []}\n')  # another whole JSON is none
    file.write_text(whole)
    assert found(read_dataset(tmp_path)) == []


def test_a_json_of_utf16_is_known(tmp_path, picture):
    picture(tmp_path / "a.png")
    file = write(tmp_path / "labels.json", [image(1)], [annotation(keypoints=[])])
    file.write_text(file.read_text(), encoding="utf-16")
    assert [len(record.objects) for record in read_dataset(tmp_path).records] == [1]
    file = write(tmp_path / "labels.json", [image(1)], [annotation(keypoints=[1, 1, 2])])
    file.write_text(file.read_text(), encoding="utf-16")
    assert read_dataset(tmp_path).format == "coco_keypoints"
