from __future__ import annotations

from pathlib import Path

import pytest

from sightline.readers import read_dataset


@pytest.mark.parametrize(
    ("args", "count", "format", "records"),
    [
        (("faces", "--size", "32", "32"), 5, "landmark_csv", (5, 1)),
        (("shapes", "--size", "64", "64"), 5, "coco", (5, 1)),
        (("panoramas",), 5, "coco", (5, 1)),
        (("rallies", "--frames", "2", "--size", "90", "160", "--follow", "ball"), 1, "tracknet", (2, 0)),
    ],
)
def test_what_is_drawn_is_read_and_grows_without_changing(cli, tmp_path: Path, args, count, format, records) -> None:
    for number in (count, count + 1):
        ran = cli("draw", *args, "--count", number, "--seed", "3", "--out", tmp_path / str(number))
        assert ran.code == 0, ran.err
        assert f"sightline check {tmp_path / str(number)}" in ran.out
    dataset = read_dataset(tmp_path / str(count))
    validating = sum(record.split == "val" for record in dataset.records)
    assert (dataset.format, len(dataset.records), validating) == (format, *records)
    assert not dataset.errors
    more = {record.image_id: record for record in read_dataset(tmp_path / str(count + 1)).records}
    assert len(more) > len(dataset.records)
    for record in dataset.records:
        assert more[record.image_id].path.read_bytes() == record.path.read_bytes()


def test_rallies_may_be_videos(cli, tmp_path: Path) -> None:
    pytest.importorskip("av")
    args = ("--frames", "4", "--size", "90", "160", "--fps", "25", "--poses", "unseen", "--bit-rate", "500000")
    ran = cli("draw", "rallies", "--video", *args, "--count", "2", "--out", tmp_path / "out")
    assert ran.code == 0, ran.err
    dataset = read_dataset(tmp_path / "out")
    assert len(dataset.records) == 8 and {record.path.suffix for record in dataset.records} == {".mp4"}


@pytest.mark.parametrize(
    ("args", "told"),
    [
        (("faces", "--count", "0"), "at least 1"),
        (("faces", "--size", "64", "96"), "faces are square"),
        (("faces", "--frames", "3", "--video"), "--frames, --video: for rallies only"),
        (("rallies", "--bit-rate", "500000"), "Add --video"),
        (("rallies", "--frames", "0"), "0 frames"),
        (("boats",), "Invalid value"),
    ],
)
def test_what_cannot_be_drawn_is_told_and_nothing_is_written(cli, tmp_path: Path, args, told) -> None:
    ran = cli("draw", *args, "--out", tmp_path / "out")
    assert ran.code == 2 and told in ran.err
    assert not (tmp_path / "out").exists()


def test_a_folder_that_holds_something_is_left_alone(cli, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    ran = cli("draw", "faces", "--count", "1", "--out", tmp_path)
    assert ran.code == 2 and "holds something already" in ran.err
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
