from __future__ import annotations

import sys
from pathlib import Path

import pytest

from sightline.errors import UserError
from sightline.readers import FORMATS, read_dataset

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "video"))
from videos import write_video


def write_gt(folder: Path, text: str) -> None:
    (folder / "gt").mkdir(parents=True)
    (folder / "gt" / "gt.txt").write_text(text)


@pytest.mark.parametrize("name", ["{:06d}.jpg", "frame_{:06d}.PNG"])
def test_frame_one_is_the_first_picture_and_frames_without_a_row_are_not_visible(tmp_path, picture, name):
    first = 0 if name.startswith("frame") else 1
    for number in range(4):
        picture(tmp_path / "train" / "rally" / "img1" / name.format(number + first))
    write_gt(tmp_path / "train" / "rally", "1,1,10,20,4,2,1,1,1.0\n3,2,12.5,20,4,3,1,-1,-1,-1\n4,2,1,1,2,2,0,1,1\n")
    dataset = read_dataset(tmp_path)
    assert (dataset.format, [r.group for r in dataset.records]) == ("mot", ["train/rally"] * 4)
    assert [r.path.name for r in dataset.records] == [name.format(number + first) for number in range(4)]
    assert [r.points_xy[0].tolist() if r.visible[0] else None for r in dataset.records] == [
        [12, 21],
        None,
        [14.5, 21.5],
        None,
    ]
    assert {r.split for r in dataset.records} == {"train"}
    assert [problem.id for problem in dataset.problems] == ["annotation-skipped", "clip-short"]
    assert [key for key, (detect, _) in FORMATS.items() if detect(tmp_path)] == ["mot"]


def test_the_frames_may_be_a_video_and_the_labels_given_by_their_path(tmp_path):
    write_video(tmp_path / "rally.mp4", frames=3)
    write_gt(tmp_path, "2,1,10,20,4,2\n")
    for path in (tmp_path, tmp_path / "gt" / "gt.txt"):
        assert [(r.video_frame, r.visible.tolist()) for r in read_dataset(path).records] == [
            (0, [False]),
            (1, [True]),
            (2, [False]),
        ]


def test_clips_are_called_by_their_folders_below_a_path_that_is_relative(tmp_path, picture, monkeypatch):
    for name in ("train/one", "val/two"):
        picture(tmp_path / "data" / name / "img1" / "000001.jpg")
        write_gt(tmp_path / "data" / name, "1,1,10,20,4,2\n1,1,a,20,4,2\n")
    monkeypatch.chdir(tmp_path)
    dataset = read_dataset("data")
    assert [(r.group, r.split) for r in dataset.records] == [("train/one", "train"), ("val/two", "val")]
    assert [problem.where for problem in dataset.errors] == ["train/one/gt/gt.txt:2", "val/two/gt/gt.txt:2"]
    for path in ("data/train/one", "data/train/one/gt/gt.txt"):
        dataset = read_dataset(path)
        assert [(r.group, r.image_id) for r in dataset.records] == [("one", "one/000000")]
        assert [problem.where for problem in dataset.errors] == ["gt/gt.txt:2"]


def test_two_objects_in_a_frame_are_refused_and_mistakes_are_told(tmp_path, picture, ids):
    for number in (1, 2):
        picture(tmp_path / "img1" / f"{number:06d}.jpg")
    write_gt(tmp_path, "1,1,10,20,4,2\n1,2,10,20,4,2\n")
    with pytest.raises(UserError, match=r"gt\.txt:2: frame 1 has two boxes, of the ids 1 and 2.*one object"):
        read_dataset(tmp_path)
    (tmp_path / "gt" / "gt.txt").write_text("1,1,10,20,4,2\n2,1,a,2,3,4\n2,1,nan,2,3,4\n9,1,1,2,3,4\n")
    dataset = read_dataset(tmp_path)
    assert [problem.id for problem in dataset.errors] == ["row-unreadable", "row-unreadable", "label-beyond-clip"]
    assert len(dataset) == 2
    (tmp_path / "img1").rename(tmp_path / "elsewhere")
    assert [problem.id for problem in read_dataset(tmp_path).errors][-1] == "video-missing"
