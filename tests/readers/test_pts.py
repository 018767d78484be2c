from __future__ import annotations

import pytest

from sightline.readers import read_dataset


def write(path, points, *, announced=None, newline="\n"):
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = ["version: 1", f"n_points:  {announced or len(points)}", "{", *(f"{x} {y}" for x, y in points), "}"]
    path.write_bytes((newline.join(lines) + newline).encode())


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".jpeg", ".bmp", ".JPG", ".PNG"])
def test_coordinates_that_count_from_one_become_continuous(tmp_path, picture, suffix):
    picture(tmp_path / "afw" / f"a_1{suffix}")
    write(tmp_path / "afw" / "a_1.pts", [(1, 1), (446.917 - 400, 12.625)], newline="\r\n")
    (record,) = read_dataset(tmp_path).records
    assert record.points_xy.tolist() == [[0.5, 0.5], [446.917 - 400 - 0.5, 12.125]]
    assert record.image_id == f"afw/a_1{suffix}"


def test_68_points_are_ibugs(tmp_path, picture):
    picture(tmp_path / "a.png")
    write(tmp_path / "a.pts", [(5, 6)] * 68)
    dataset = read_dataset(tmp_path)
    assert dataset.skeleton.names[30] == "nose_tip"
    assert [problem.id for problem in dataset.problems] == ["skeleton-assumed"]


def test_folders_called_trainset_and_testset_are_parts(tmp_path, picture):
    for name in ("helen/trainset/a", "lfpw/testset/b", "ibug/c"):
        picture(tmp_path / f"{name}.png")
        write(tmp_path / f"{name}.pts", [(1, 2)])
    records = read_dataset(tmp_path).records
    assert {record.image_id: record.split for record in records} == {
        "helen/trainset/a.png": "train",
        "lfpw/testset/b.png": "test",
        "ibug/c.png": None,
    }


def test_bad_files_are_told_at_once_with_their_lines(tmp_path, picture):
    for name in "abcdefg":
        picture(tmp_path / f"{name}.png")
    for name in "abc":
        write(tmp_path / f"{name}.pts", [(1, 2), (3, 4)])
    write(tmp_path / "d.pts", [(1, 2)])
    write(tmp_path / "e.pts", [(1, 2), ("nan", 4)])
    write(tmp_path / "f.pts", [(1, 2), ("one", 4)])
    write(tmp_path / "g.pts", [(1, 2), (3, 4)], announced=3)
    write(tmp_path / "h.pts", [(1, 2), (3, 4)])
    dataset = read_dataset(tmp_path)
    assert len(dataset) == 3
    assert sorted((p.id, p.where) for p in dataset.problems if p.severity != "note") == [
        ("image-missing", "h.pts"),
        ("point-count", "d.pts"),
        ("point-count", "g.pts"),
        ("point-not-finite", "e.pts:5"),
        ("row-unreadable", "f.pts:5"),
    ]
    assert any("expected 2" in problem.message for problem in dataset.errors if problem.where == "d.pts")


def test_a_picture_without_pts_is_warned_of(tmp_path, picture):
    picture(tmp_path / "a.png")
    picture(tmp_path / "b.png")
    write(tmp_path / "a.pts", [(1, 2)])
    dataset = read_dataset(tmp_path)
    assert [p.where for p in dataset.problems if p.id == "label-missing"] == ["b.png"]


def test_comments_are_passed_over(tmp_path, picture):
    picture(tmp_path / "a.png")
    text = "// by hand\nversion: 1 // first\nn_points: 2\n{\n# eyes\n1 2\n3.5\t4 // right\n}\n"
    (tmp_path / "a.pts").write_text(text)
    assert read_dataset(tmp_path).records[0].points_xy.tolist() == [[0.5, 1.5], [3, 3.5]]
