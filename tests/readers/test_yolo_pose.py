from __future__ import annotations

import pytest

from sightline.errors import UserError
from sightline.readers import read_dataset

YAML = "path: .\ntrain: images/train\nval: images/val\nkpt_shape: [2, {dims}]\nflip_idx: [1, 0]\nnames:\n  0: face\n"


@pytest.fixture
def dataset_folder(tmp_path, picture):
    (tmp_path / "data.yaml").write_text(YAML.format(dims=3))
    for split, name in (("train", "a"), ("train", "b"), ("val", "c")):
        picture(tmp_path / "images" / split / f"{name}.jpg")
        (tmp_path / "labels" / split).mkdir(parents=True, exist_ok=True)
    write(tmp_path, "train/a", ["0 0.5 0.5 0.25 0.5 0.25 0.5 2 0.1 0.2 0"])
    write(tmp_path, "train/b", ["0 0.5 0.5 0.25 0.5 0.1 0.1 2 0.2 0.2 1", "0 0.5 0.5 0.5 0.5 0.1 0.1 2 0.2 0.2 1"])
    write(tmp_path, "val/c", ["0 0.5 0.5 0.25 0.5 0.3 0.3 1 0.4 0.4 2"])
    return tmp_path


def write(root, name, lines):
    (root / "labels" / f"{name}.txt").write_text("\n".join(lines) + "\n")


def test_fractions_become_continuous_pixels(dataset_folder):
    dataset = read_dataset(dataset_folder)
    first = dataset.records[0]
    assert first.points_xy.tolist() == [[16, 24], [0, 0]]
    assert first.visible.tolist() == [True, False]
    assert first.box_xyxy == (24, 12, 40, 36)
    assert [(r.image_id, r.split) for r in dataset.records] == [
        ("images/train/a.jpg", "train"),
        ("images/train/b.jpg", "train"),
        ("images/train/b.jpg#2", "train"),
        ("images/val/c.jpg", "val"),
    ]
    assert dataset.skeleton.flip_pairs == ((0, 1),)
    assert [problem.id for problem in dataset.problems] == ["skeleton-assumed"]


def test_without_v_a_point_at_the_corner_is_missing(dataset_folder):
    (dataset_folder / "data.yaml").write_text(YAML.format(dims=2))
    for name, line in (("train/a", "0 0.5 0.5 1 1 0 0 0.5 0.5"), ("train/b", "0 0.5 0.5 1 1 -1 -1 0.5 0.5")):
        write(dataset_folder, name, [line])
    write(dataset_folder, "val/c", ["0 0.5 0.5 1 1 0 0.5 0.5 0.5"])
    assert [r.visible.tolist() for r in read_dataset(dataset_folder).records] == [
        [False, True],
        [False, True],
        [True, True],
    ]


def test_paths_of_another_machine_and_parents_are_understood(dataset_folder):
    text = "path: /home/someone/set\ntrain: ../images/train\nval: ../images/val\nkpt_shape: [2, 3]\n"
    (dataset_folder / "data.yaml").write_text(text)
    assert len(read_dataset(dataset_folder)) == 4


def test_lists_of_pictures_are_read(dataset_folder):
    (dataset_folder / "train.txt").write_text("./images/train/a.jpg\n./images/train/gone.jpg\n")
    (dataset_folder / "data.yaml").write_text("train: train.txt\nkpt_shape: [2, 3]\n")
    dataset = read_dataset(dataset_folder)
    assert [record.image_id for record in dataset.records] == ["images/train/a.jpg"]
    assert [(p.id, p.where) for p in dataset.errors] == [("image-missing", "train.txt:2")]


def test_bad_lines_are_told_at_once_with_their_place(dataset_folder, picture):
    good = "0 0.5 0.5 0.25 0.5 0.1 0.1 2 0.2 0.2 1"
    lines = [
        good,
        "0 0.5 0.5 0.25 0.5 0.1 0.1 2 0.2 0.2",
        "0 0.5 0.5 0.25 0.5 nan 0.1 2 0.2 0.2 1",
        "0 0.5 0.5 0.25 0.5 x 0.1 2 0.2 0.2 1",
        "0 0.5 0.5 0 0.5 0.1 0.1 2 0.2 0.2 1",
        good,
        "0 0.5 0.5 0.25 0.5 1.1 0.1 2 0.2 0.2 1",
    ]
    write(dataset_folder, "train/a", lines)
    picture(dataset_folder / "images" / "train" / "d.jpg")
    found = [(p.id, p.where) for p in read_dataset(dataset_folder).problems if p.severity != "note"]
    assert sorted(found) == [
        ("box-invalid", "labels/train/a.txt:5"),
        ("label-duplicated", "labels/train/a.txt:6"),
        ("label-missing", "labels/train/d.txt"),
        ("point-count", "labels/train/a.txt:2"),
        ("point-not-finite", "labels/train/a.txt:3"),
        ("point-off-image", "labels/train/a.txt:7"),
        ("row-unreadable", "labels/train/a.txt:4"),
    ]


def test_a_flip_index_that_is_no_pairing_is_warned_of(dataset_folder):
    text = YAML.format(dims=3).replace("flip_idx: [1, 0]", "flip_idx: [0, 2]")
    (dataset_folder / "data.yaml").write_text(text)
    dataset = read_dataset(dataset_folder)
    assert "flip-index-invalid" in {problem.id for problem in dataset.problems}
    assert dataset.skeleton.flip_pairs == ()


def test_a_kpt_shape_that_says_nothing_is_refused(dataset_folder):
    (dataset_folder / "data.yaml").write_text("train: images/train\nkpt_shape: 17\n")
    with pytest.raises(UserError, match="kpt_shape is 17"):
        read_dataset(dataset_folder)


def test_parts_that_are_not_there_are_warned_of(dataset_folder):
    text = YAML.format(dims=3) + "test: images/test\n"
    (dataset_folder / "data.yaml").write_text(text)
    assert "split-missing" in {problem.id for problem in read_dataset(dataset_folder).problems}


def test_a_box_of_nothing_is_no_box(tmp_path, picture):
    picture(tmp_path / "images" / "a.png")
    (tmp_path / "labels").mkdir()
    (tmp_path / "labels" / "a.txt").write_text("0 0.5 0.25 0 0 0.5 0.25 2\n0 0.5 0.25 0.5 0 0.5 0.25 2\n")
    (tmp_path / "data.yaml").write_text("path: .\ntrain: images\nkpt_shape: [1, 3]\nnames: [ball]\n")
    dataset = read_dataset(tmp_path)
    assert [(r.box_xyxy, r.points_xy.tolist()) for r in dataset.records] == [(None, [[32, 12]])]
    assert [(p.id, p.where) for p in dataset.errors] == [("box-invalid", "labels/a.txt:2")]
