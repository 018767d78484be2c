from __future__ import annotations

import json

import pytest

from sightline.errors import UserError
from sightline.readers import read_dataset

CATEGORY = {"id": 7, "name": "mouse", "keypoints": ["nose", "left_ear", "right_ear"], "skeleton": [[1, 2], [1, 3]]}


def annotation(id, image_id, keypoints, **more):
    return {"id": id, "image_id": image_id, "category_id": 7, "bbox": [1, 2, 30, 20], "keypoints": keypoints, **more}


def write(path, images, annotations, categories=(CATEGORY,)):
    path.parent.mkdir(parents=True, exist_ok=True)
    images = [{"id": id, "file_name": name, "width": 64, "height": 48} for id, name in images]
    path.write_text(json.dumps({"images": images, "annotations": annotations, "categories": list(categories)}))


GOOD = [1.25, 2, 2, 3, 4, 1, 0, 0, 0]


def test_keypoints_become_continuous_and_v_zero_is_not_visible(tmp_path, picture):
    picture(tmp_path / "a.png")
    write(tmp_path / "labels.json", [(3, "a.png")], [annotation(1, 3, GOOD)])
    dataset = read_dataset(tmp_path)
    (record,) = dataset.records
    assert record.points_xy.tolist() == [[1.75, 2.5], [3.5, 4.5], [0, 0]]
    assert record.visible.tolist() == [True, True, False]
    assert record.box_xyxy == (1, 2, 31, 22)
    assert dataset.skeleton.names == ("nose", "left_ear", "right_ear")
    assert dataset.skeleton.edges == ((0, 1), (0, 2))
    assert dataset.skeleton.flip_pairs == ((1, 2),)
    assert not dataset.problems


@pytest.mark.parametrize("folder", ["images", "train2017", "images/train2017"])
def test_the_usual_folders_are_searched(tmp_path, picture, folder):
    picture(tmp_path / folder / "a.png")
    write(tmp_path / "annotations" / "person_keypoints_train2017.json", [(3, "a.png")], [annotation(1, 3, GOOD)])
    (record,) = read_dataset(tmp_path).records
    assert record.image_id == f"{folder}/a.png"
    assert record.split is None


def test_train_and_val_files_are_parts(tmp_path, picture):
    for split in ("train", "val"):
        picture(tmp_path / f"{split}2017" / f"{split}.png")
        path = tmp_path / "annotations" / f"person_keypoints_{split}2017.json"
        write(path, [(3, f"{split}.png")], [annotation(1, 3, GOOD)])
    assert [record.split for record in read_dataset(tmp_path).records] == ["train", "val"]


def test_objects_crowds_and_empty_annotations_are_told_apart(tmp_path, picture):
    picture(tmp_path / "a.png")
    picture(tmp_path / "b.png")
    annotations = [
        annotation(1, 3, GOOD),
        annotation(2, 3, GOOD),
        annotation(3, 3, GOOD, iscrowd=1),
        annotation(4, 3, [0] * 9, num_keypoints=0),
    ]
    write(tmp_path / "labels.json", [(3, "a.png"), (9, "b.png")], annotations)
    dataset = read_dataset(tmp_path)
    assert [record.image_id for record in dataset.records] == ["a.png", "a.png#2", "b.png"]
    assert sorted(problem.id for problem in dataset.problems) == [
        "annotation-skipped",
        "crowd-skipped",
        "label-missing",
    ]


def test_bad_annotations_are_told_at_once_with_their_place(tmp_path, picture):
    for name in "abcdefg":
        picture(tmp_path / f"{name}.png")
    annotations = [
        annotation(1, 1, GOOD),
        annotation(2, 2, GOOD[:6]),
        annotation(3, 3, [float("nan"), *GOOD[1:]]),
        annotation(4, 4, [1, 2, 5, *GOOD[3:]]),
        annotation(5, 5, GOOD) | {"bbox": [1, 2, 0, 3]},
        annotation(6, 6, ["1", *GOOD[1:]]),
        annotation(7, 99, GOOD),
    ]
    images = [(i + 1, f"{name}.png") for i, name in enumerate("abcdef")]
    write(tmp_path / "labels.json", [*images, (7, "gone.png"), (8, "a.png")], annotations)
    dataset = read_dataset(tmp_path)
    assert [record.image_id for record in dataset.records] == ["a.png"]
    assert sorted((p.id, p.where.split(":")[1]) for p in dataset.errors) == [
        ("annotation-orphan", "annotations[6]"),
        ("box-invalid", "annotations[4]"),
        ("image-duplicated", "images[7]"),
        ("image-missing", "images[6]"),
        ("point-count", "annotations[1]"),
        ("point-not-finite", "annotations[2]"),
        ("row-unreadable", "annotations[5]"),
        ("visibility-invalid", "annotations[3]"),
    ]


def test_categories_with_different_keypoints_are_refused(tmp_path):
    other = {"id": 8, "name": "hand", "keypoints": ["thumb"]}
    annotations = [annotation(1, 3, GOOD), annotation(2, 3, [1, 2, 2]) | {"category_id": 8}]
    write(tmp_path / "labels.json", [(3, "a.png")], annotations, [CATEGORY, other])
    with pytest.raises(UserError, match="mouse, hand"):
        read_dataset(tmp_path)


def test_a_json_that_is_cut_off_says_where(tmp_path):
    (tmp_path / "labels.json").write_text('{"annotations": [],\n "categories": [{"keypoints"')
    with pytest.raises(UserError, match=r"labels\.json:2"):
        read_dataset(tmp_path)


def test_a_json_in_each_folder_of_a_part_means_the_pictures_of_that_folder(tmp_path, picture):
    # The first category, which has no keypoints, stands for the project in Roboflow's exports.
    project = {"id": 0, "name": "mice", "supercategory": "none"}
    for part in ("train", "valid"):
        picture(tmp_path / part / "a.png")
        two = [annotation(1, "0", GOOD), annotation(2, 0, [9, 9, 2, *GOOD[3:]])]
        write(tmp_path / part / "_annotations.coco.json", [(0, "a.png")], two, (project, CATEGORY))
    dataset = read_dataset(tmp_path)
    assert (dataset.format, dataset.skeleton.names) == ("coco_keypoints", ("nose", "left_ear", "right_ear"))
    assert [(r.image_id, r.split) for r in dataset.records] == [
        ("train/a.png", "train"),
        ("train/a.png#2", "train"),
        ("valid/a.png", "val"),
        ("valid/a.png#2", "val"),
    ]
    assert dataset.problems == ()


def test_a_bbox_of_nothing_is_no_box_and_points_count_although_nobody_counted_them(tmp_path, picture):
    picture(tmp_path / "a.png")
    nothing = annotation(1, 3, GOOD, num_keypoints=0) | {"bbox": [0, 0, 0, 0]}
    write(tmp_path / "labels.json", [(3, "a.png")], [nothing, annotation(2, 3, [0] * 9, num_keypoints=0)])
    dataset = read_dataset(tmp_path)
    assert [(r.box_xyxy, int(r.visible.sum())) for r in dataset.records] == [(None, 2)]
    assert [p.id for p in dataset.problems] == ["annotation-skipped"]
