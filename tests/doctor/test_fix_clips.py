"""`sightline check --fix` on clips: what is put right, what is left to a person, and that the data stay as they are."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from sightline.readers import read_dataset
from sightline.records import Dataset

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "video"))
from videos import write_video

FRAMES = 32


def place(frame: int) -> tuple[float, float]:
    """A ball that moves two pixels a frame across 48 x 96 pixels, in pixel indices."""
    return 10.0 + 2 * frame, 20.0 + frame % 5


def rows(**changed: str) -> list[str]:
    """Rows of a TrackNet table; `f7="nan,nan"` changes the place in frame 7."""
    told = []
    for frame in range(FRAMES):
        x, y = place(frame)
        told.append(f"{frame},1," + changed.get(f"f{frame}", f"{x},{y}"))
    return told


def of_video(folder: Path, lines: list[str], *, frames: int = FRAMES) -> Path:
    write_video(folder / "rally.mp4", frames=frames, size_hw=(48, 96))
    (folder / "rally.csv").write_text("\n".join(["Frame,Visibility,X,Y", *lines]) + "\n")
    return folder


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def changes_of(out: Path) -> list[dict[str, str]]:
    with (out / "fixes.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def labels(dataset: Dataset) -> dict[int, list[float] | None]:
    return {
        r.frame: r.points_xy[0].round(3).tolist() if r.visible[0] else None
        for r in dataset.records
        if r.frame is not None
    }


def test_a_video_gets_a_copy_without_labels_that_cannot_be(cli, tmp_path: Path):
    lines = [
        *rows(f3="nan,nan", f5="200,10", f9="-0.5,-0.5", f31="inf,4"),
        f"6,1,{place(6)[0]},{place(6)[1]}", "40,1,5,5", "7,1,80,40", "x,1,3,3",
    ]  # fmt: skip
    data = of_video(tmp_path / "data", lines)
    before = bytes_of(data)
    ran = cli("check", data, "--fix", tmp_path / "out")
    assert (ran.code, bytes_of(data)) == (1, before)
    assert "left out of the copy" in ran.out and "as tracknet" in ran.out
    mended = read_dataset(tmp_path / "out")
    assert mended.format == "tracknet" and not mended.errors
    expected: dict[int, list[float] | None] = {n: [place(n)[0] + 0.5, place(n)[1] + 0.5] for n in range(FRAMES)}
    assert labels(mended) == expected | {3: None, 5: None, 9: None, 31: None}
    assert (tmp_path / "out" / "rally.mp4").read_bytes() == before["rally.mp4"]
    told = {(row["id"], row["image_id"]): row["change"] for row in changes_of(tmp_path / "out")}
    for id, frame in (
        ("point-not-finite", 3),
        ("point-off-image", 5),
        ("point-at-corner", 9),
        ("point-not-finite", 31),
    ):
        assert "marked as not visible" in told[id, f"rally/{frame:06d}"]
    assert told["label-duplicated", "rally/000006"].startswith("the second is dropped")
    assert told["label-beyond-clip", "rally/000040"].startswith("left out of the copy")
    assert told["row-unreadable", ""].startswith("left out of the copy")
    assert told["frame-duplicated", "rally/000007"].startswith("not changed, look at it")
    again = {problem["id"] for problem in cli("check", tmp_path / "out", "--json").json["problems"]}
    assert not again & {id for id, _ in told}


def test_a_jump_is_left_to_a_person_and_told_last(cli, tmp_path: Path):
    data = of_video(tmp_path / "data", rows(f12="90,45", f3="nan,nan"))
    ran = cli("check", data, "--fix", tmp_path / "out")
    assert "its last line names what was not changed" in ran.out
    (*_, last) = changes_of(tmp_path / "out")
    assert (last["id"], last["image_id"]) == ("point-jump", "rally/000012")
    assert last["change"].startswith("not changed, look at it: 'point' jumps")
    assert labels(read_dataset(tmp_path / "out"))[12] == [90.5, 45.5]


def test_only_what_was_looked_for_is_changed(cli, tmp_path: Path):
    data = of_video(tmp_path / "data", rows(f9="0,0"))
    cli("check", data, "--fix", tmp_path / "out", "--skip", "point-at-corner")
    assert labels(read_dataset(tmp_path / "out"))[9] == [0.5, 0.5]


@pytest.fixture
def listed(tmp_path: Path) -> Path:
    """A ball.csv of two clips, the first picture turned by its EXIF tag, and a picture of no size."""
    data = tmp_path / "data"
    (data / "frames").mkdir(parents=True)
    lines = ["clip,frame,file,visibility,x,y,w,note"]
    for number in range(12):
        value = np.random.default_rng(number).integers(0, 255, (6, 8, 3), dtype=np.uint8)
        image = Image.fromarray(np.kron(value, np.ones((8, 8, 1), np.uint8)))
        exif = Image.Exif()
        if number == 0:
            image, exif[0x0112] = image.rotate(90, expand=True), 6
        image.save(data / "frames" / f"{number:02d}.jpg", exif=exif, quality=95)
        lines.append(f"{'ab'[number // 6]},{number},frames/{number:02d}.jpg,1,{10 + number},{20 + number},3,hello")
    lines[3] = lines[3].replace("12,22", "nan,nan")
    (data / "ball.csv").write_text("\n".join(lines) + "\n")
    (data / "frames" / "11.jpg").write_bytes(b"")
    return data


def test_clips_of_pictures_keep_their_format_and_their_turned_pictures_are_upright(cli, listed: Path, tmp_path: Path):
    before = bytes_of(listed)
    cli("check", listed, "--fix", tmp_path / "out")
    assert bytes_of(listed) == before
    old, mended = read_dataset(listed), read_dataset(tmp_path / "out")
    assert (mended.format, mended.errors, len(mended)) == ("ball_csv", (), 11)
    assert {r.image_id: r.size_hw for r in mended.records} == {f"a/{n:06d}": (48, 64) for n in range(6)} | {
        f"b/{n:06d}": (48, 64) for n in range(5)
    }
    places = {r.image_id: r.points_xy.tolist() for r in old.records}
    for record in mended.records:
        if record.image_id == "a/000002":
            assert not record.visible.any()
        elif record.image_id in places:
            assert record.points_xy.tolist() == places[record.image_id]
    upright = cv2.imread(str(tmp_path / "out" / "frames" / "00.jpg"), cv2.IMREAD_IGNORE_ORIENTATION)
    assert upright is not None and upright.shape[:2] == (48, 64)
    assert (tmp_path / "out" / "frames" / "01.jpg").read_bytes() == before["frames/01.jpg"]
    told = {row["id"]: row for row in changes_of(tmp_path / "out")}
    assert set(told) >= {"image-rotated", "image-empty", "point-not-finite", "columns-ignored", ""}
    assert "columns and notes" in told[""]["change"]


def test_of_shuttle_samples_the_past_of_later_frames_is_mended_too(cli, tmp_path: Path):
    """The place in frame 2 is out of the picture: frames 3 and 4 must not remember it."""
    data = tmp_path / "data"
    for number in range(5):
        folder = data / f"{number}"
        folder.mkdir(parents=True)
        for back in range(min(number, 3) + 1):
            value = np.random.default_rng(number - back).integers(0, 255, (24, 32, 3), dtype=np.uint8)
            Image.fromarray(value).save(folder / ("frame.jpg" if back == 0 else f"frame-{back}.jpg"))
        told = [f"{0.1 * n + 0.2},{1.5 if n == 2 else 0.3},1" for n in range(-3, number)]
        (folder / "target.csv").write_text(f"{0.1 * number + 0.2},{1.5 if number == 2 else 0.3},1\n")
        (folder / "positions.csv").write_text("\n".join(reversed(told)) + "\n")
    cli("check", data, "--fix", tmp_path / "out")
    mended = {r.image_id: r for r in read_dataset(tmp_path / "out").records}
    assert read_dataset(tmp_path / "out").format == "shuttle_samples" and len(mended) == 5
    assert [mended[f"{n}"].visible[0].item() for n in range(5)] == [True, True, False, True, True]
    for number in (3, 4):
        before = mended[f"{number}"].before
        assert before is not None
        seen = before.visible.tolist()
        assert [seen[-back] for back in range(1, number + 4)] == [number - back != 2 for back in range(1, number + 4)]


def test_what_cannot_be_written_back_becomes_tracknet_and_is_told(cli, tmp_path: Path):
    write_video(tmp_path / "data" / "rally.mp4", frames=20)
    sequence = [{"frame": n, "enabled": True, "x": 10 + n, "y": 40} for n in (1, 12)]
    value = {"framesCount": 20, "sequence": sequence, "labels": ["ball"]}
    task = {"id": 7, "data": {"video": "rally.mp4"}, "annotations": [{"result": [{"type": "video", "value": value}]}]}
    (tmp_path / "data" / "export.json").write_text(json.dumps([task]))
    ran = cli("check", tmp_path / "data", "--fix", tmp_path / "out")
    assert "20 records as tracknet" in ran.out
    assert any("written as tracknet" in row["change"] for row in changes_of(tmp_path / "out"))
    assert labels(read_dataset(tmp_path / "out")) == labels(read_dataset(tmp_path / "data"))


@pytest.mark.parametrize("where", ["inside", "full"])
def test_nothing_is_overwritten(cli, tmp_path: Path, where: str):
    data = of_video(tmp_path / "data", rows())
    out = {"inside": data / "mended", "full": tmp_path}[where]
    before = bytes_of(tmp_path)
    assert cli("check", data, "--fix", out).code == 2
    assert bytes_of(tmp_path) == before
