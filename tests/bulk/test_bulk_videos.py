"""Many videos: each a part of its own, followed as `sightline track` follows it; or looked at frame by frame."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from track_runs import make_tracker, make_video

from sightline.bulk.inputs import Unit
from sightline.bulk.model import ModelFile, OfPictures
from sightline.records import FoundPoints, Skeleton


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two videos, the second in a folder below, one that is none, and a picture that is not meant."""
    folder = tmp_path_factory.mktemp("videos")
    make_video(folder / "a.mp4", frames=6)
    (folder / "more").mkdir()
    make_video(folder / "more" / "b.mp4", frames=9)
    (folder / "more" / "c.mp4").write_bytes(b"no video")
    (folder / "still.png").write_bytes(b"not looked at")
    return folder


def test_a_tracker_follows_each_video_from_its_beginning(cli: Callable[..., Any], videos: Path, tmp_path: Path) -> None:
    tracker = make_tracker(tmp_path / "tracker")
    assert ModelFile(path=tracker).follows
    done = cli("predict-many", tracker, videos, "--out", tmp_path / "many", "--device", "cpu")
    assert done.code == 0 and "3 inputs, 16 rows in 3 parts" in done.out and "1 input could not" in done.out, done.err
    parts = [
        [json.loads(line) for line in path.open()] for path in sorted((tmp_path / "many" / "parts").glob("*.jsonl"))
    ]
    assert [[row["frame"] for row in rows] for rows in parts] == [list(range(6)), list(range(9)), [None]]
    assert "c.mp4" in parts[2][0]["error"] and parts[2][0]["visible"] is None
    for rows, name in zip(parts, ("a.mp4", "more/b.mp4"), strict=False):
        assert {row["name"] for row in rows} == {name}
        out = tmp_path / f"{Path(name).stem}.csv"
        assert cli("track", tracker, videos / name, "--out", out, "--device", "cpu").code == 0
        with out.open() as file:
            for row, alone in zip(rows, csv.DictReader(file), strict=True):
                assert (row["frame"], row["visible"], row["step"]) == (
                    int(alone["frame"]), alone["visible"] == "1", alone["step"],
                )  # fmt: skip
                assert row["score"] == pytest.approx(float(alone["score"]), abs=1e-4)
                if row["visible"]:
                    assert (row["x"], row["y"]) == pytest.approx((float(alone["x"]), float(alone["y"])), abs=2e-3)


class Size:
    """Finds the width and the mean of red, as a point."""

    finds, skeleton, classes, channels, takes_boxes = "points", Skeleton(names=("size",)), (), 3, True

    def __call__(self, image: np.ndarray, box: Any = None) -> FoundPoints:
        return FoundPoints(points_xy=np.array([[image.shape[1], image[..., 0].mean()]]), scores=np.ones(1))


def test_a_model_of_pictures_looks_at_every_frame(videos: Path) -> None:
    rows = list(OfPictures(Size()).rows(Unit(name="a", path=str(videos / "a.mp4"), is_video=True)))
    assert [row["frame"] for row in rows] == list(range(6)) and {row["width"] for row in rows} == {200}
    assert all(row["points"][0]["x"] == 200 and 40 < row["points"][0]["y"] < 130 for row in rows)
    (broken,) = OfPictures(Size()).rows(Unit(name="c", path=str(videos / "more" / "c.mp4"), is_video=True))
    assert "c.mp4" in broken["error"]
