"""What is written can be read: pictures in folders that a format cannot have, and points that span no box."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from sightline.predict_files import convert_dataset
from sightline.readers import read_dataset
from sightline.scan import scan
from sightline.writers.box_prediction import below_images


@pytest.mark.parametrize(
    ("name", "part", "below"),
    [
        ("a.jpg", "train", "a.jpg"),
        ("images/train/a.jpg", "train", "a.jpg"),
        ("train/images/a.jpg", "train", "a.jpg"),
        ("valid/images/cam 1/a.jpg", "val", "valid/cam 1/a.jpg"),
        ("JPEGImages/sub/a.jpg", "val", "sub/a.jpg"),
        ("../images/a.jpg", "test", "a.jpg"),
    ],
)
def test_below_the_pictures_of_a_part_no_folder_is_called_images(name, part, below):
    assert below_images(name, part=part) == below


def draw(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((48, 64, 3), 90, dtype=np.uint8)).save(path)


@pytest.mark.parametrize("is_pose", [False, True])
def test_parts_with_folders_of_images_become_yolo_that_can_be_read(tmp_path, is_pose):
    for part in ("train", "valid"):
        draw(tmp_path / "in" / part / "images" / "a.png")
        (tmp_path / "in" / part / "labels").mkdir()
        line = "0 0.5 0.5 0.25 0.5" + (" 0.5 0.25 2" if is_pose else "")
        (tmp_path / "in" / part / "labels" / "a.txt").write_text(line + "\n")
    more = "kpt_shape: [1, 3]\n" if is_pose else ""
    (tmp_path / "in" / "data.yaml").write_text(f"train: ../train/images\nval: ../valid/images\nnames: [cat]\n{more}")
    dataset = scan(read_dataset(tmp_path / "in"))
    convert_dataset(dataset, tmp_path / "out", to=dataset.format)
    back = read_dataset(tmp_path / "out")
    assert [(r.split, r.image_id) for r in back.records] == [
        ("train", "images/train/a.png"),
        ("val", "images/val/valid/a.png"),
    ]
    for before, after in zip(dataset.records, back.records, strict=True):
        assert after.points_xy.tolist() == before.points_xy.tolist()
        assert after.box_xyxy == before.box_xyxy
        if before.objects is not None and after.objects is not None:
            assert after.objects.boxes_xyxy.tolist() == before.objects.boxes_xyxy.tolist()


@pytest.mark.parametrize("format", ["coco_keypoints", "yolo_pose", "dlib_xml"])
def test_points_that_span_no_box_come_back(tmp_path, format):
    draw(tmp_path / "in" / "a.png")
    draw(tmp_path / "in" / "b.png")
    (tmp_path / "in" / "labels.csv").write_text("file,nose_x,nose_y,tail_x,tail_y\na.png,10,20,,\nb.png,10,20,30,20\n")
    dataset = scan(read_dataset(tmp_path / "in"))
    convert_dataset(dataset, tmp_path / "out", to=format)
    back = read_dataset(tmp_path / "out")
    assert not back.errors
    assert [r.visible.tolist() for r in back.records] == [[True, False], [True, True]]
    assert (
        np.abs(np.stack([r.points_xy - s.points_xy for r, s in zip(back.records, dataset.records, strict=True)])).max()
        < 1
    )
