from __future__ import annotations

import json

import pytest

from sightline.errors import UserError
from sightline.readers import read_dataset


def frames(dataset) -> dict[str, list[float] | None]:
    return {r.path.name: r.points_xy[0].tolist() if r.visible[0] else None for r in dataset.records}


def test_points_of_single_pictures_become_frames_of_a_clip(tmp_path, picture):
    for number in (3, 4, 6):
        picture(tmp_path / "rally" / f"frame_{number}.png")
    (tmp_path / "labels.csv").write_text(
        "file,x,y\nrally/frame_3.png,4,5\nrally/frame_4.png,,\nrally/frame_6.png,6,7\n"
    )
    assert not read_dataset(tmp_path).has_clips
    dataset = read_dataset(tmp_path, format="numbered-frames")
    assert (dataset.format, dataset.has_clips) == ("numbered_frames", True)
    assert frames(dataset) == {"frame_3.png": [4.5, 5.5], "frame_4.png": None, "frame_6.png": [6.5, 7.5]}
    last = dataset.records[-1]
    assert (last.group, last.frame) == ("rally", 3)
    assert last.before is not None
    assert [at and at.path.name for at in last.before.frames] == ["frame_3.png", "frame_4.png", None]
    assert last.before.visible[-3:].tolist() == [True, False, False]


def test_of_boxes_the_middle_is_taken_and_each_folder_is_a_clip(tmp_path, picture):
    names = [f"{clip}/{number:05d}.jpg" for clip in "ab" for number in (1, 2)]
    for name in names:
        picture(tmp_path / "images" / name)
    content = {
        "categories": [{"id": 7, "name": "ball"}, {"id": 8, "name": "player"}],
        "images": [{"id": n, "file_name": name, "width": 40, "height": 30} for n, name in enumerate(names)],
        "annotations": [
            {"id": 1, "image_id": 0, "category_id": 7, "bbox": [10, 10, 4, 3], "area": 12, "iscrowd": 0},
            {"id": 2, "image_id": 3, "category_id": 7, "bbox": [2, 2, 2, 2], "area": 4, "iscrowd": 0},
            {"id": 3, "image_id": 3, "category_id": 7, "bbox": [9, 9, 2, 2], "area": 4, "iscrowd": 0},
        ],
    }
    (tmp_path / "annotations.json").write_text(json.dumps(content))
    dataset = read_dataset(tmp_path, format="numbered_frames")
    assert dataset.skeleton.names == ("ball",)
    assert [(r.group, r.points_xy[0].tolist() if r.visible[0] else None) for r in dataset.records] == [
        ("images/a", [12, 11.5]),
        ("images/a", None),
        ("images/b", None),
        ("images/b", [3, 3]),
    ]
    assert "instances-skipped" in [problem.id for problem in dataset.problems]
    content["annotations"][0]["category_id"] = 8
    (tmp_path / "annotations.json").write_text(json.dumps(content))
    with pytest.raises(UserError, match="several classes: ball, player"):
        read_dataset(tmp_path, format="numbered_frames")


def test_pictures_of_several_clips_in_one_folder_are_parted_by_their_group(tmp_path, picture):
    rows = ["file,clip,frame,x,y"]
    for number in range(4):
        picture(tmp_path / f"{number}.png")
        rows.append(f"{number}.png,{'ab'[number // 2]},{number},{number},1")
    (tmp_path / "labels.csv").write_text("\n".join(rows))
    dataset = read_dataset(tmp_path, format="numbered_frames")
    assert [(r.group, r.frame) for r in dataset.records] == [("a", 0), ("a", 1), ("b", 0), ("b", 1)]
    third = dataset.records[2].before
    assert third is not None
    assert third.frames == (None, None, None)


def test_pictures_without_numbers_are_told_and_other_formats_refused(tmp_path, picture):
    for name in ("a.png", "1.png"):
        picture(tmp_path / name)
    (tmp_path / "labels.csv").write_text("file,x,y\na.png,4,5\n1.png,4,5\n")
    dataset = read_dataset(tmp_path, format="numbered_frames")
    assert [problem.id for problem in dataset.errors] == ["row-unreadable"]
    assert len(dataset) == 1
    (tmp_path / "labels.csv").write_text("Frame,X,Y\n1,4,5\n")
    with pytest.raises(UserError, match=r"Expected labels of single pictures.*none fits"):
        read_dataset(tmp_path, format="numbered_frames")
