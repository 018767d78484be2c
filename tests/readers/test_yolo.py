from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from sightline.errors import UserError
from sightline.readers import read_dataset

REAL = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "coco128"
YAML = "path: .\ntrain: images/train\nval: images/val\nnames:\n  0: cat\n  1: dog\n"


def write(root: Path, name: str, *lines: str) -> None:
    path = root / "labels" / f"{name}.txt"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{line}\n" for line in lines))


@pytest.fixture
def yolo(tmp_path, picture):
    """Three pictures of 64 x 48: a with two boxes, b with an empty file, c (val) with one box."""
    (tmp_path / "data.yaml").write_text(YAML)
    for name in ("train/a", "train/b", "val/c"):
        picture(tmp_path / "images" / f"{name}.jpg")
    write(tmp_path, "train/a", "0 0.5 0.5 0.25 0.5", "1 0.25 0.25 0.5 0.5")
    write(tmp_path, "train/b")
    write(tmp_path, "val/c", "0 0.5 0.5 1 1")
    return tmp_path


def found(dataset, severity="error"):
    return [(p.id, p.where) for p in dataset.problems if p.severity == severity]


def test_fractions_become_continuous_pixels(yolo):
    dataset = read_dataset(yolo)
    assert (dataset.format, dataset.classes, dataset.class_ids) == ("yolo", ("cat", "dog"), (0, 1))
    assert [(r.image_id, r.split, len(r.objects)) for r in dataset.records] == [
        ("images/train/a.jpg", "train", 2),
        ("images/train/b.jpg", "train", 0),
        ("images/val/c.jpg", "val", 1),
    ]
    assert dataset.records[0].objects.boxes_xyxy.tolist() == [[24, 12, 40, 36], [0, 0, 32, 24]]
    assert dataset.records[0].objects.labels.tolist() == [0, 1]
    assert not dataset.errors
    assert read_dataset(yolo / "data.yaml").fingerprint() == dataset.fingerprint()


def test_a_picture_without_a_label_file_has_no_objects(yolo, picture):
    picture(yolo / "images" / "train" / "d.jpg")
    dataset = read_dataset(yolo)
    assert len(next(r for r in dataset.records if r.path.stem == "d").objects) == 0
    assert found(dataset, "note") == [("labels-absent", "data.yaml")]


@pytest.mark.parametrize(
    ("names", "classes", "ids"),
    [
        ("names: [cat, dog]", ("cat", "dog"), (0, 1)),
        ("names:\n- cat\n- dog", ("cat", "dog"), (0, 1)),
        ("names: {1: dog, 0: cat, 7: bird}", ("cat", "dog", "bird"), (0, 1, 7)),
        ("names: ['no', 3]", ("no", "3"), (0, 1)),
        ("nc: 2", ("0", "1"), (0, 1)),
    ],
)
def test_names_are_a_list_or_a_mapping_with_gaps(yolo, names, classes, ids):
    (yolo / "data.yaml").write_text(f"train: images/train\nval: images/val\n{names}\n")
    dataset = read_dataset(yolo)
    assert (dataset.classes, dataset.class_ids) == (classes, ids)


@pytest.mark.parametrize(
    ("names", "said"),
    [
        ("names: [cat, no]", 'in quotes, "no"'),
        ("names: [cat, cat]", "names lists cat twice"),
        ("names: {a: cat}", "has the key 'a'"),
        ("names: 3", "Expected a list of classes"),
        ("names: [cat, [dog]]", "name of class 1"),
        ("nc: many", "Expected a list of classes"),
    ],
)
def test_names_that_say_nothing_are_refused(yolo, names, said):
    (yolo / "data.yaml").write_text(f"train: images/train\n{names}\n")
    with pytest.raises(UserError, match=said):
        read_dataset(yolo)


def test_parts_may_be_lists_of_folders_and_lists_in_files(yolo):
    (yolo / "val.txt").write_text("./images/val/c.jpg\nimages/val/gone.jpg\n")
    (yolo / "data.yaml").write_text("train: [images/train]\nval: val.txt\ntest: \nnames: [cat, dog]\n")
    dataset = read_dataset(yolo)
    assert Counter(r.split for r in dataset.records) == {"train": 2, "val": 1}
    assert found(dataset) == [("image-missing", "val.txt:2")]


def test_labels_beside_the_pictures_are_found(tmp_path, picture):
    picture(tmp_path / "data" / "a.jpg")
    (tmp_path / "data" / "a.txt").write_text("0 0.5 0.5 1 1\n")
    (tmp_path / "set.yaml").write_text("train: data\nnames: [cat]\n")
    assert len(read_dataset(tmp_path).records[0].objects) == 1


def test_a_folder_called_images_above_the_data_changes_nothing(tmp_path, picture):
    root = tmp_path / "images" / "set"
    picture(root / "train" / "a.jpg")
    (root / "train" / "a.txt").write_text("0 0.5 0.5 1 1\n")
    (root / "set.yaml").write_text("train: train\nnames: [cat]\n")
    assert len(read_dataset(root).records[0].objects) == 1


def test_the_same_pictures_for_train_and_val_belong_to_no_part(yolo):
    (yolo / "data.yaml").write_text("train: images/train\nval: images/train\nnames: [cat, dog]\n")
    dataset = read_dataset(yolo)
    assert [(r.path.stem, r.split) for r in dataset.records] == [("a", None), ("b", None)]
    assert found(dataset, "note") == [("split-same", "data.yaml")]


def test_a_picture_in_two_parts_is_an_error(yolo):
    (yolo / "val.txt").write_text("images/val/c.jpg\nimages/train/a.jpg\n")
    (yolo / "data.yaml").write_text("train: images/train\nval: val.txt\nnames: [cat, dog]\n")
    dataset = read_dataset(yolo)
    assert found(dataset) == [("image-duplicated", "labels/train/a.txt")]
    assert len(dataset) == 3


def test_a_class_list_without_a_yaml_is_enough(yolo):
    (yolo / "data.yaml").unlink()
    (yolo / "classes.txt").write_text("cat\ndog\n")
    dataset = read_dataset(yolo)
    assert (dataset.format, dataset.classes) == ("yolo", ("cat", "dog"))
    assert Counter(r.split for r in dataset.records) == {"train": 2, "val": 1}


def test_kpt_shape_decides_between_boxes_and_points(yolo):
    (yolo / "data.yaml").write_text(YAML + "kpt_shape: [1, 2]\n")
    write(yolo, "train/a", "0 0.5 0.5 0.25 0.5 0.5 0.5")
    assert read_dataset(yolo).format == "yolo_pose"


def test_bad_lines_are_told_at_once_with_their_place_and_the_good_ones_stay(yolo):
    lines = [
        "0 0.5 0.5 0.25 0.5",
        "2 0.5 0.5 0.25 0.5",
        "0.5 0.5 0.5 0.25 0.5",
        "cat 0.5 0.5 0.25 0.5",
        "0 0.5 0.5 0.25",
        "0 32 24 16 24",
        "0 0.5 1.2 0.25 0.5",
        "0 0.5 0.5 0 0.5",
        "0 0.5 0.5 -0.1 0.5",
        "0 nan 0.5 0.1 0.5",
        "",
        "0 0.5 0.5 0.25 0.5",
        "1 0.05 0.5 0.25 0.5",
        "-1 0.5 0.5 0.25 0.5",
        "0 0.5 0.5 0.25 0.5 0.5 0.5 0.5",
    ]
    write(yolo, "train/a", *lines)
    dataset = read_dataset(yolo)
    assert sorted(found(dataset)) == sorted(
        (name, f"labels/train/a.txt:{line}")
        for line, name in {
            2: "class-unknown", 3: "class-unknown", 4: "row-unreadable", 5: "row-unreadable", 6: "box-out-of-range",
            7: "box-out-of-range", 8: "box-empty", 9: "box-inverted", 10: "box-not-finite", 14: "class-unknown",
            15: "row-unreadable",
        }.items()
    )  # fmt: skip
    assert "are these pixels?" in next(p.message for p in dataset.errors if p.where.endswith(":6"))
    assert "class 2; data.yaml names 0 to 1" in next(p.message for p in dataset.errors if p.where.endswith(":2"))
    assert dataset.records[0].objects.boxes_xyxy.round(6).tolist() == [[24, 12, 40, 36], [0, 12, 11.2, 36]]
    warned = found(dataset, "warning")
    assert ("box-duplicated", "labels/train/a.txt:12") in warned
    assert ("box-cut", "labels/train/a.txt:13") in warned


def test_rounding_at_the_edges_is_no_mistake(yolo):
    write(yolo, "train/a", "0 0.500001 0.5 1.000000 1.0", "1 0.99999 0.5 0.00004 1")
    dataset = read_dataset(yolo)
    assert found(dataset) == []
    assert "box-cut" not in dict(found(dataset, "warning"))
    assert dataset.records[0].objects.boxes_xyxy.max(axis=0).tolist()[2:] == [64, 48]


def test_outlines_become_boxes_and_scores_are_warned_of(yolo):
    write(yolo, "train/a", "0 0.25 0.25 0.75 0.25 0.5 1", "1 0.5 0.5 0.5 0.5 0.9")
    dataset = read_dataset(yolo)
    assert dataset.records[0].objects.boxes_xyxy.tolist() == [[16, 12, 48, 48], [16, 12, 48, 36]]
    assert found(dataset, "note") == [("outline-boxed", "data.yaml")]
    assert ("score-ignored", "data.yaml") in found(dataset, "warning")


def test_labels_without_a_picture_are_warned_of(yolo):
    write(yolo, "train/gone", "0 0.5 0.5 1 1", "0 0.5 0.5 0.5 0.5")
    write(yolo, "train/notes", "labelled by hand")
    dataset = read_dataset(yolo)
    assert [p for p in found(dataset, "warning") if p[0] == "label-orphan"] == [
        ("label-orphan", "labels/train/gone.txt")
    ]
    assert "its 2 boxes are left out" in " ".join(str(p) for p in dataset.problems)


def test_pictures_that_no_list_names_are_warned_of(yolo, picture):
    (yolo / "train.txt").write_text("images/train/a.jpg\n")
    (yolo / "data.yaml").write_text("train: train.txt\nval: images/val\nnames: [cat, dog]\n")
    (problem,) = [p for p in read_dataset(yolo).problems if p.id == "label-missing"]
    assert problem.message == "'images/train/b.jpg' is in none of the lists of data.yaml"


def test_labels_of_another_encoding_are_an_error_of_their_picture(yolo):
    (yolo / "labels" / "train" / "a.txt").write_bytes(b"0 0.5 0.5 1 1 \xff\xff\xe9\n")
    dataset = read_dataset(yolo)
    assert found(dataset) == [("label-unreadable", "labels/train/a.txt")]
    assert [r.path.stem for r in dataset.records] == ["b", "c"]


def test_data_without_any_label_file_are_refused_with_the_place_where_one_was_expected(yolo):
    for file in (yolo / "labels").rglob("*.txt"):
        file.unlink()
    with pytest.raises(UserError, match=r"None of the 3 pictures.*labels/train/a\.txt"):
        read_dataset(yolo)


def test_a_part_that_is_not_there_is_warned_of_and_none_at_all_is_refused(yolo):
    (yolo / "data.yaml").write_text("train: images/train\nval: nowhere\nnames: [cat, dog]\n")
    assert ("split-missing", "data.yaml") in found(read_dataset(yolo), "warning")
    (yolo / "data.yaml").write_text("train: nowhere\nnames: [cat, dog]\n")
    with pytest.raises(UserError, match="names no pictures"):
        read_dataset(yolo)


def test_several_yamls_ask_for_one(yolo):
    (yolo / "more.yaml").write_text(YAML)
    with pytest.raises(UserError, match=r"data\.yaml, more\.yaml"):
        read_dataset(yolo)


@pytest.mark.real
@pytest.mark.skipif(not REAL.is_dir(), reason="the real data sets are not beside the checkout")
def test_coco128_reads_with_its_parts():
    dataset = read_dataset(REAL)
    assert (dataset.format, len(dataset), len(dataset.classes)) == ("yolo", 256, 80)
    counts = Counter()
    for record in dataset.records:
        counts[record.split] += len(record.objects)
    # 12 more boxes of train lie in two label files whose pictures are not there.
    assert counts == {"train": 941 - 12, "val": 898}
    assert not dataset.errors
    lost = [p.message for p in dataset.problems if p.id == "label-orphan"]
    assert [message.rsplit("; ")[1] for message in lost] == ["its 3 boxes are left out", "its 9 boxes are left out"]


def test_paths_of_another_machine_are_found_by_their_ends(yolo):
    (yolo / "data.yaml").write_text(
        "path: /content/set-1\ntrain: /content/set-1/images/train\nval: 'C:\\set-1\\images\\val'\nnames: [cat, dog]\n"
    )
    assert Counter(r.split for r in read_dataset(yolo).records) == {"train": 2, "val": 1}


@pytest.mark.parametrize("key", ["val", "valid", "validation"])
def test_a_part_may_list_pictures_and_have_another_name(yolo, key):
    (yolo / "data.yaml").write_text(
        f"train: [images/train/a.jpg, images/train/b.jpg]\n{key}: ../images/val\nnames: [cat, dog]\n"
    )
    assert Counter(r.split for r in read_dataset(yolo).records) == {"train": 2, "val": 1}


@pytest.mark.parametrize("name", ["obj.names", "labels/classes.txt", "labels/train/classes.txt"])
def test_a_class_list_may_lie_elsewhere_or_be_darknets(yolo, name):
    (yolo / "data.yaml").unlink()
    (yolo / name).write_text("cat\ndog\n")
    dataset = read_dataset(yolo)
    assert (dataset.format, dataset.classes, len(dataset)) == ("yolo", ("cat", "dog"), 3)
    assert not dataset.errors


def test_darknets_own_layout_has_labels_beside_the_pictures(tmp_path, picture):
    for name in ("a", "b"):
        picture(tmp_path / "obj_train_data" / f"{name}.jpg")
    (tmp_path / "obj_train_data" / "a.txt").write_text("1 0.5 0.5 0.5 0.5\n")
    (tmp_path / "obj_train_data" / "b.txt").write_text("")
    (tmp_path / "obj.names").write_text("cat\ndog\n")
    (tmp_path / "obj.data").write_text("classes = 2\ntrain = data/train.txt\nnames = data/obj.names\n")
    (tmp_path / "train.txt").write_text("data/obj_train_data/a.jpg\ndata/obj_train_data/b.jpg\n")
    dataset = read_dataset(tmp_path)
    assert [(r.split, r.objects.labels.tolist()) for r in dataset.records] == [("train", [1]), ("train", [])]


def test_labels_whose_classes_nothing_names_are_refused_with_what_is_lacking(yolo):
    (yolo / "data.yaml").unlink()
    with pytest.raises(UserError, match=r"labels/train/a\.txt looks like labels of YOLO.*Add classes\.txt"):
        read_dataset(yolo)
