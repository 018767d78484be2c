"""Labels of clips written and read again: places, what is not visible, gaps, frames without a label, the past."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sightline.errors import UserError
from sightline.predict_files import convert_anew
from sightline.readers import read_dataset
from sightline.readers.clip_assemble import POINT, before_frame
from sightline.readers.footage import Footage
from sightline.records import Dataset, Record
from sightline.writers import CLIP_WRITERS, clips_of

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "video"))
from videos import write_video

REAL = Path(__file__).resolve().parents[2].parent / "shared" / "data"
Labels = Mapping[int, tuple[float, float] | None]


def pictures(folder: Path, count: int, *, start: int = 0, seed: int = 0) -> None:
    """Numbered pictures, each with bytes of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        value = np.random.default_rng(1000 * seed + number).integers(0, 255, (24, 32, 3), dtype=np.uint8)
        Image.fromarray(value).save(folder / f"{start + number:03d}.png")


def tracknet(path: Path, labels: Labels) -> None:
    """A table in the format's own convention, places given as continuous pixels."""
    lines = ["Frame,Visibility,X,Y"]
    lines += [f"{n},1,{xy[0] - 0.5},{xy[1] - 0.5}" if xy else f"{n},0,0,0" for n, xy in labels.items()]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")


LABELS: dict[int, tuple[float, float] | None] = {
    0: (3.25, 4.125), 1: (5.5, 5.0), 2: None, 3: (9.0625, 7.5), 5: (13.0, 9.5), 6: (14.0, 10.25),
}  # fmt: skip


@pytest.fixture
def clips(tmp_path: Path) -> Dataset:
    """Two clips of pictures that begin at 7 and at 0; frames 4 and 7 to 9 have no label."""
    data = tmp_path / "data"
    pictures(data / "match" / "one", 10, start=7, seed=1)
    tracknet(data / "match" / "one.csv", {number + 7: xy for number, xy in LABELS.items()})
    pictures(data / "two", 3, seed=2)
    tracknet(data / "two.csv", {0: (1.5, 2.5), 1: (2.5, 2.5), 2: (4.0, 3.0)})
    return read_dataset(data)


def seen(dataset: Dataset) -> dict[bytes, tuple]:
    """By the bytes of the picture: the label, and the past."""
    found = {}
    for record in dataset.records:
        assert record.before is not None
        past = [at and at.path.read_bytes() for at in record.before.frames]
        label = (record.visible.tolist(), record.points_xy.round(4).tolist())
        found[record.path.read_bytes()] = (*label, past, record.before.points_xy.round(4).tolist())
    assert len(found) == len(dataset)
    return found


@pytest.mark.parametrize("format", ["tracknet", "shuttle_samples"])
def test_clips_of_pictures_come_back_with_their_past(clips: Dataset, tmp_path: Path, format: str) -> None:
    convert_anew(clips, tmp_path / "out", to=format)
    back = read_dataset(tmp_path / "out")
    assert (back.format, back.errors) == (format, ())
    assert seen(back) == seen(clips)
    if format == "tracknet":
        assert [r.image_id for r in back.records] == [r.image_id for r in clips.records]
        assert len(list((tmp_path / "out" / "match" / "one").iterdir())) == 10  # frames without a label too


def test_a_list_of_pictures_comes_back_as_one(clips: Dataset, tmp_path: Path) -> None:
    convert_anew(clips, tmp_path / "out", to="ball_csv")
    listed = read_dataset(tmp_path / "out")
    assert (listed.format, listed.errors, len(listed)) == ("ball_csv", (), len(clips))
    for format in ("ball_csv", "tracknet", "shuttle_samples"):
        convert_anew(listed, tmp_path / format, to=format)
        assert seen(read_dataset(tmp_path / format)) == seen(listed)


def test_a_video_comes_back_frame_by_frame_and_its_gaps_stay_gaps(tmp_path: Path) -> None:
    write_video(tmp_path / "data" / "deep" / "rally_ball.mp4", frames=12)
    tracknet(tmp_path / "data" / "deep" / "rally_ball.csv", LABELS)
    dataset = read_dataset(tmp_path / "data")
    convert_anew(dataset, tmp_path / "out", to="tracknet")
    back = read_dataset(tmp_path / "out")
    assert back.fingerprint() == dataset.fingerprint()
    for one, other in zip(back.records, dataset.records, strict=True):
        assert (one.video_frame, one.frame, one.group) == (other.video_frame, other.frame, other.group)
        assert one.before is not None and other.before is not None
        assert one.before.visible.tolist() == other.before.visible.tolist()


@pytest.mark.parametrize("format", ["ball_csv", "shuttle_samples"])
def test_formats_of_pictures_refuse_a_video_and_leave_nothing(tmp_path: Path, format: str) -> None:
    write_video(tmp_path / "data" / "rally.mp4", frames=12)
    tracknet(tmp_path / "data" / "rally.csv", LABELS)
    with pytest.raises(UserError, match=r"'rally' is a video.*Write 'tracknet'"):
        convert_anew(read_dataset(tmp_path / "data"), tmp_path / "out", to=format)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("format", ["landmark_csv", "coco", "tracknett"])
def test_formats_of_pictures_by_themselves_do_not_take_clips(clips: Dataset, tmp_path: Path, format: str) -> None:
    with pytest.raises(UserError, match="no format of clips to write"):
        convert_anew(clips, tmp_path / "out", to=format)


def test_one_file_is_written_only_where_the_format_is_one(clips: Dataset, tmp_path: Path) -> None:
    convert_anew(clips, tmp_path / "new" / "mine.csv", to="ball_csv")
    assert len(read_dataset(tmp_path / "new" / "mine.csv")) == len(clips)
    with pytest.raises(UserError, match="several files"):
        convert_anew(clips, tmp_path / "other.csv", to="tracknet")


def given_clips(root: Path, names: Mapping[str, str | None]) -> Dataset:
    """A clip of one picture for each name, with its part."""
    records = []
    for number, (name, split) in enumerate(names.items()):
        pictures(root / f"{number}", 1, seed=number)
        path = root / f"{number}" / "000.png"
        records.append(
            Record(image_id=f"{name}/000000", path=path, points_xy=np.array([[3.0 + number, 4.0]]),
                   visible=np.array([True]), size_hw=(24, 32), group=name, frame=0, split=split,
                   before=before_frame(0, footage=Footage(pictures={0: path}), points={}))
        )  # fmt: skip
    return Dataset(root=root, format="ball_csv", records=tuple(records), skeleton=POINT)


@pytest.mark.parametrize("format", CLIP_WRITERS)
def test_any_names_and_parts_are_kept_apart(tmp_path: Path, format: str) -> None:
    names = {"../up": "train", "/abs/olute": "val", "a/b/c/d/e/f": "train", "A": "test", "a": "test", "..": "val"}
    dataset = given_clips(tmp_path / "data", names)
    (tmp_path / "in").mkdir()
    convert_anew(dataset, tmp_path / "in" / "out", to=format)
    back = read_dataset(tmp_path / "in" / "out")
    assert back.errors == ()
    assert {r.path.read_bytes(): (r.split, r.points_xy.round(6).tolist()) for r in back.records} == {
        r.path.read_bytes(): (r.split, r.points_xy.round(6).tolist()) for r in dataset.records
    }
    assert len({r.group for r in back.records}) == len(names)
    assert sorted(p.name for p in (tmp_path / "in").iterdir()) == ["out"]


def test_pictures_of_one_name_in_a_list_stay_apart(tmp_path: Path) -> None:
    dataset = given_clips(tmp_path / "data", {"a": None, "b": None})
    moved = []
    for record, folder in zip(dataset.records, ("x", "y"), strict=True):
        path = tmp_path / folder / "frames" / "1.png"
        path.parent.mkdir(parents=True)
        shutil.copyfile(record.path, path)
        moved.append(replace(record, path=path))
    dataset = dataset.with_records(moved)
    convert_anew(dataset, tmp_path / "out", to="ball_csv")
    back = read_dataset(tmp_path / "out")
    assert {r.path.read_bytes() for r in back.records} == {r.path.read_bytes() for r in moved}


def test_a_clip_knows_the_frames_that_its_format_speaks_of(clips: Dataset) -> None:
    two, one = clips_of(clips)
    assert (one.name, two.name) == ("match/one", "two")
    assert list(one.footage.pictures) == list(range(10))
    _, listed = clips_of(replace(clips, format="ball_csv"))
    assert list(listed.footage.pictures) == [0, 1, 2, 3, 4, 5, 6]  # 4 is before 5, and has no label


@pytest.mark.slow
@pytest.mark.skipif(not REAL.is_dir(), reason="the real data are not here")
@pytest.mark.parametrize(("name", "format"), [("tennis_ball", "ball_csv"), ("volleyball_clip", "tracknet")])
def test_real_clips_come_back(tmp_path: Path, name: str, format: str) -> None:
    dataset = read_dataset(REAL / name)
    convert_anew(dataset, tmp_path / "out", to=format)
    assert read_dataset(tmp_path / "out").fingerprint() == dataset.fingerprint()
