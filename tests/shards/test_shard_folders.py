"""Data sets as tars: nothing of a record is lost, plain WebDataset reads them, and a broken-off conversion goes on."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import signal
import tarfile
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import webdataset
from hypothesis import given, settings
from hypothesis import strategies as st

from sightline.drawn.plain_shapes import write_drawn_shapes
from sightline.errors import UserError
from sightline.members import Member, file_size, member_of, read_file
from sightline.prepare import load_data
from sightline.readers import detect_format, read_dataset
from sightline.records import Dataset, Objects, Record, Skeleton
from sightline.scan import scan
from sightline.shard_cache import INDEX_FILE
from sightline.shards.labels import decode, encode
from sightline.shards.write import Conversion, write_shards

SMALL_MB = 0.03  # some four of the drawn faces


@pytest.fixture(scope="module")
def of_files(faces: Path) -> Dataset:
    return load_data(faces, skip_broken=False)


@pytest.fixture(scope="module")
def shards(of_files: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The drawn faces in several shards. Read only."""
    out = tmp_path_factory.mktemp("shards") / "faces"
    assert len(write_shards(of_files, out, shard_mb=SMALL_MB).shards) > 2
    return out


@pytest.fixture
def copied(shards: Path, tmp_path: Path) -> Path:
    """A copy that may be broken."""
    out = tmp_path / "copied"
    out.mkdir()
    for file in shards.iterdir():
        (out / file.name).write_bytes(file.read_bytes())
    return out


# A field that comes to Record must be added to labels.py, and here; those of clips are refused.
TEXTS = ("image_id", "box_xyxy", "size_hw", "group", "split", "source", "is_guess")
ARRAYS = ("path", "points_xy", "visible", "objects")
OF_CLIPS = ("before", "frame", "video_frame")


def test_every_field_of_a_record_is_thought_of() -> None:
    assert {*TEXTS, *ARRAYS, *OF_CLIPS} == {field.name for field in fields(Record)}


def assert_same(one: Dataset, other: Dataset) -> None:
    assert (one.skeleton, one.classes, one.class_ids) == (other.skeleton, other.classes, other.class_ids)
    assert len(one) == len(other) > 0
    for a, b in zip(one.records, other.records, strict=True):
        for name in TEXTS:
            assert getattr(a, name) == getattr(b, name), name
        assert np.array_equal(a.points_xy[a.visible], b.points_xy[b.visible]) and np.array_equal(a.visible, b.visible)
        assert read_file(a.path) == read_file(b.path) and a.path.name == b.path.name
        assert (a.objects is None) == (b.objects is None)
        if a.objects is not None and b.objects is not None:
            for name in ("boxes_xyxy", "labels", "crowd", "areas"):
                assert np.array_equal(getattr(a.objects, name), getattr(b.objects, name)), name


def test_points_come_back_with_every_bit(of_files: Dataset, shards: Path) -> None:
    assert detect_format(shards) == "webdataset"
    found = load_data(shards, skip_broken=False)
    assert_same(of_files, found)
    assert found.fingerprint() == of_files.fingerprint()


def test_boxes_come_back_with_classes_crowds_and_areas(tmp_path: Path) -> None:
    data = load_data(write_drawn_shapes(tmp_path / "shapes", count=6, val_count=0, seed=2), skip_broken=False)
    first = data.records[0].objects
    assert first is not None and len(first)
    odd = replace(first, crowd=np.arange(len(first)) == 0, areas=first.areas * 0.3)
    given_ = replace(data, records=(replace(data.records[0], objects=odd, group="a", split="val"), *data.records[1:]))
    write_shards(given_, tmp_path / "out", shard_mb=1)
    assert_same(given_, read_dataset(tmp_path / "out"))


def test_several_objects_of_one_picture_share_its_bytes(of_files: Dataset, tmp_path: Path) -> None:
    one = of_files.records[0]
    two = replace(one, image_id=f"{one.image_id}#2", points_xy=one.points_xy + 0.125, group="twins", is_guess=True)
    both = of_files.with_records([one, two, of_files.records[1]])
    made = write_shards(both, tmp_path / "out", shard_mb=1)
    assert [(shard.pictures, shard.records) for shard in made.shards] == [(2, 3)]
    assert_same(both, read_dataset(tmp_path / "out"))


def test_shards_become_shards_of_another_size(of_files: Dataset, shards: Path, tmp_path: Path) -> None:
    again = write_shards(load_data(shards, skip_broken=False), tmp_path / "out", shard_mb=100)
    assert len(again.shards) == 1
    assert_same(of_files, read_dataset(tmp_path / "out"))


def test_what_a_recipe_takes_from_the_format_stays(of_files: Dataset, tmp_path: Path) -> None:
    from sightline.config import DataConfig
    from sightline.task_data import resolve_crop

    project = replace(of_files, format="deeplabcut")  # whose pictures are taken whole
    write_shards(project, tmp_path / "out", shard_mb=1)
    found = load_data(tmp_path / "out", skip_broken=False)
    write_shards(found, tmp_path / "again", shard_mb=2)
    for dataset in (project, found, load_data(tmp_path / "again", skip_broken=False)):
        without = dataset.with_records([replace(record, box_xyxy=None) for record in dataset.records])
        assert resolve_crop(DataConfig(), without, "points") == "image"


def test_plain_webdataset_reads_our_shards(of_files: Dataset, shards: Path) -> None:
    urls = [str(path) for path in sorted(shards.glob("*.tar"))]
    samples = list(webdataset.WebDataset(urls, shardshuffle=False, empty_check=False))
    assert len(samples) == len(of_files)
    for sample, record in zip(samples, of_files.records, strict=True):
        picture = next(sample[name] for name in ("png", "jpg") if name in sample)
        assert picture == record.path.read_bytes()
        values = json.loads(sample["json"])
        assert values["image_id"] == record.image_id and values["size_hw"] == list(record.size_hw or ())
        assert values["points"][of_files.skeleton.names[0]] == record.points_xy[0].tolist()


def write_foreign(out: Path, of_files: Dataset, values: Any, *, count: int = 3) -> Path:
    """Shards as a user writes them: a picture and a JSON with one key, and something else between."""
    out.mkdir(parents=True)
    with webdataset.ShardWriter(f"file:{out}/mine-%03d.tar", maxcount=2, verbose=0) as sink:
        for number, record in enumerate(of_files.records[:count]):
            picture = {record.path.suffix[1:]: record.path.read_bytes()}
            sink.write({"__key__": f"some.where/{number:04d}", **picture, "json": values, "txt": "a caption"})
    return out


def test_shards_of_other_programs_are_read(of_files: Dataset, tmp_path: Path) -> None:
    boxes = [{"class": "face", "xyxy": [1, 2, 30.5, 40]}, {"class": "ear", "xyxy": [0, 0, 4, 4], "crowd": True}]
    found = load_data(write_foreign(tmp_path / "theirs", of_files, {"boxes": boxes}), skip_broken=False)
    assert found.format == "webdataset" and found.classes == ("ear", "face") and len(found) == 3
    record = found.records[2]
    assert record.image_id == f"mine-001/0002{of_files.records[2].path.suffix}" and record.size_hw == (64, 64)
    assert record.objects is not None and record.objects.labels.tolist() == [1, 0]
    assert record.objects.boxes_xyxy[0].tolist() == [1, 2, 30.5, 40] and record.objects.crowd.tolist() == [False, True]
    points = load_data(
        write_foreign(tmp_path / "points", of_files, {"points": {"eye": [3, 4.5], "nose": [9, 9]}}), skip_broken=False
    )
    assert points.skeleton.names == ("eye", "nose") and points.records[0].points_xy.tolist() == [[3, 4.5], [9, 9]]
    one = load_data(tmp_path / "points" / "mine-000.tar", skip_broken=False)
    assert len(one) == 2


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"boxes": [{"class": "face", "xyxy": [9, 2, 3, 40]}]}, "has no area"),
        ({"boxes": [{"class": "face", "xyxy": [1, 2, 3]}]}, "4 finite numbers"),
        ({"boxes": {"face": [1, 2, 3, 4]}}, "a list of"),
        ({"points": {"eye": [1, None]}}, "2 finite numbers"),
        ({"points": [[1, 2]]}, "{name: [x, y]}"),
        ({"label": 3}, "expected 'boxes' or 'points'"),
        ([3], "no list of objects"),
    ],
)
def test_labels_of_another_kind_are_told_by_their_place(
    of_files: Dataset, tmp_path: Path, values: Any, said: str
) -> None:
    with pytest.raises(UserError, match="label-unreadable") as raised:
        load_data(write_foreign(tmp_path / "theirs", of_files, values, count=1), skip_broken=False)
    assert said in str(raised.value) and "mine-000.tar:" in str(raised.value)


finite = st.floats(allow_nan=False, allow_infinity=False, width=64)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.none() | st.tuples(finite, finite), min_size=3, max_size=3), st.text(min_size=1), st.text())
def test_any_record_of_points_survives_json(points: list[tuple[float, float] | None], name: str, group: str) -> None:
    skeleton = Skeleton(names=("a", "b", "c"))
    record = Record(
        image_id=name,
        path=Path("x.jpg"),
        points_xy=np.array([xy or (0.0, 0.0) for xy in points], dtype=np.float64),
        visible=np.array([xy is not None for xy in points]),
        group=group or None,
        source="somewhere",
    )
    values = json.loads(json.dumps(encode(record, skeleton=skeleton, classes=())))
    found = decode(values, record.path, skeleton=skeleton, classes=(), source="")
    assert np.array_equal(found.points_xy, record.points_xy) and np.array_equal(found.visible, record.visible)
    assert (found.image_id, found.group, found.source) == (name, group or None, "somewhere")


@settings(deadline=None, max_examples=50)
@given(st.lists(st.tuples(finite, finite, finite, finite, st.booleans()), max_size=4))
def test_any_record_of_boxes_survives_json(rows: list[tuple[float, float, float, float, bool]]) -> None:
    rows = [row for row in rows if row[2] > row[0] and row[3] > row[1]]
    count = len(rows)
    objects = Objects(
        boxes_xyxy=np.array([row[:4] for row in rows]).reshape(-1, 4),
        labels=np.arange(count) % 2,
        crowd=np.array([row[4] for row in rows], dtype=bool),
        areas=np.arange(count, dtype=np.float64),
    )
    record = Record(image_id="a", path=Path("a.jpg"), objects=objects)
    with np.errstate(over="ignore"):
        values = json.loads(json.dumps(encode(record, skeleton=Skeleton(names=()), classes=("no", "yes"))))
        found = decode(values, record.path, skeleton=Skeleton(names=()), classes=("no", "yes"), source="").objects
    assert found is not None
    for name in ("boxes_xyxy", "labels", "crowd", "areas"):
        assert np.array_equal(getattr(found, name), getattr(objects, name))


def test_a_path_names_the_bytes_in_a_tar(shards: Path) -> None:
    path = Member(shard=shards / "part-00000.tar", offset=257, size=5, name="magic").path
    assert read_file(path) == b"ustar" and file_size(path) == 5
    assert member_of(Path("pictures/12+34/a.jpg")) is None and member_of(Path("a.tar/12/a.jpg")) is None


def convert_and_die(data: Dataset, out: Path, after: int) -> None:
    def tell(done: int, of: int) -> None:
        if done == after:
            os.kill(os.getpid(), signal.SIGKILL)

    write_shards(data, out, shard_mb=SMALL_MB, tell=tell)


def test_a_killed_conversion_goes_on_behind_its_whole_shards(of_files: Dataset, shards: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    process = multiprocessing.get_context("fork").Process(target=convert_and_die, args=(of_files, out, 2))
    process.start()
    process.join(60)
    assert process.exitcode == -signal.SIGKILL
    with pytest.raises(UserError, match="broken off"):
        read_dataset(out)
    (out / ".writing-half.tar").write_bytes(b"half a shard")  # what a kill in the middle of one leaves
    made = write_shards(of_files, out, shard_mb=SMALL_MB)
    assert made.kept == 2 < len(made.shards)
    for file in shards.iterdir():
        assert (out / file.name).read_bytes() == file.read_bytes(), file.name


def test_a_damaged_shard_is_written_anew(of_files: Dataset, shards: Path, copied: Path) -> None:
    tar = copied / "part-00001.tar"
    tar.write_bytes(tar.read_bytes()[:-600] + bytes(600))
    tar.write_bytes(b"x" + tar.read_bytes()[1:])
    made: Conversion = write_shards(of_files, copied, shard_mb=SMALL_MB)
    assert made.kept == len(made.shards) - 1
    assert tar.read_bytes() == (shards / tar.name).read_bytes()


def flipped(path: Path, *, at: int = 700) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def problems_of(folder: Path) -> Iterator[tuple[str, str]]:
    return ((problem.id, problem.message) for problem in read_dataset(folder).problems)


def test_shards_that_are_not_those_of_the_index_are_errors_and_the_rest_is_usable(
    of_files: Dataset, copied: Path
) -> None:
    flipped(copied / "part-00000.tar")
    (copied / "part-00001.tar").unlink()
    cut = copied / "part-00002.tar"
    cut.write_bytes(cut.read_bytes()[:-512])
    found = dict(problems_of(copied).__iter__())
    assert set(found) == {"shard-missing", "shard-damaged"}
    messages = [message for _, message in problems_of(copied)]
    assert "checksum differs" in messages[0] and "there is no" in messages[1] and "the index says" in messages[2]
    with pytest.raises(UserError, match="3 errors"):
        load_data(copied, skip_broken=False)
    assert 0 < len(load_data(copied, skip_broken=True)) < len(of_files)


def test_labels_from_another_conversion_are_an_error(copied: Path) -> None:
    (copied / "part-00000.jsonl").write_bytes((copied / "part-00001.jsonl").read_bytes())
    assert [id for id, _ in problems_of(copied)] == ["shard-damaged"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"version": 9}, "version 9"),
        ({"complete": False}, "broken off"),
        ({"shards": [{"name": "part-00000.tar"}]}, "damaged"),
        ({"skeleton": None}, "damaged"),
    ],
)
def test_an_index_that_cannot_be_used_is_told(copied: Path, change: dict[str, Any], said: str) -> None:
    index = copied / INDEX_FILE
    index.write_text(json.dumps(json.loads(index.read_text()) | change))
    with pytest.raises(UserError, match=said):
        read_dataset(copied)


def test_an_index_cannot_name_files_of_other_folders(copied: Path) -> None:
    index = copied / INDEX_FILE
    index.write_text(index.read_text().replace("part-00000.tar", "../part-00000.tar"))
    with pytest.raises(UserError, match="names a shard"):
        read_dataset(copied)


def test_a_tar_of_another_program_that_ends_too_early_gives_what_is_whole(of_files: Dataset, tmp_path: Path) -> None:
    out = write_foreign(tmp_path / "theirs", of_files, {"points": {"eye": [3, 4.5]}}, count=2)
    tar = out / "mine-000.tar"
    whole = tar.read_bytes()
    tar.write_bytes(whole[: len(whole) // 3])
    with pytest.raises(UserError, match="shard-damaged"):
        load_data(out, skip_broken=False)
    tar.write_bytes(b"\x1f\x8b" + whole)
    with pytest.raises(UserError, match="shard-damaged"):
        load_data(out, skip_broken=False)


def test_an_archive_beside_a_data_set_is_not_the_data_set(faces: Path, of_files: Dataset, tmp_path: Path) -> None:
    shutil.copytree(faces, tmp_path / "faces")
    with tarfile.open(tmp_path / "faces" / "backup.tar", "w") as tar:
        tar.add(faces, arcname="faces")
    assert detect_format(tmp_path / "faces") == detect_format(faces)
    theirs = write_foreign(tmp_path / "theirs", of_files, {"points": {"eye": [3, 4.5]}})
    (theirs / "README.md").write_text("about them")
    assert detect_format(theirs) == "webdataset"


def test_a_folder_with_anything_else_is_refused(of_files: Dataset, copied: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="another --shard-mb"):
        write_shards(of_files, copied, shard_mb=7)
    with pytest.raises(UserError, match="other data"):
        write_shards(of_files.with_records(of_files.records[1:]), copied, shard_mb=SMALL_MB)
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match="not empty"):
        write_shards(of_files, tmp_path, shard_mb=SMALL_MB)


def test_a_full_disk_is_one_paragraph_and_leaves_no_half_shard(
    of_files: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    out = tmp_path / "out"
    write_shards(of_files, out, shard_mb=SMALL_MB)
    (out / "part-00001.tar").unlink()
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(UserError, match="no space left"):
            write_shards(of_files, out, shard_mb=SMALL_MB)
    assert not list(out.glob(".writing*")) and not (out / "part-00001.tar").exists()
    assert len(scan(read_dataset(out)).errors) == 1 or write_shards(of_files, out, shard_mb=SMALL_MB).kept > 0


def test_clips_are_refused(of_files: Dataset, tmp_path: Path) -> None:
    clips = of_files.with_records([replace(of_files.records[0], video_frame=3)])
    with pytest.raises(UserError, match="data set of clips"):
        write_shards(clips, tmp_path / "out", shard_mb=1)


def test_the_commands_convert_there_and_back(faces: Path, tmp_path: Path, cli: Any) -> None:
    done = cli("convert", faces, tmp_path / "out", "--to", "webdataset", "--shard-mb", SMALL_MB)
    assert done.code == 0 and "16 pictures in" in done.out
    again = cli("convert", faces, tmp_path / "out", "--to", "webdataset", "--shard-mb", SMALL_MB)
    assert "whole already" in again.out
    assert "16 records" in cli("check", tmp_path / "out").out
    back = cli("convert", tmp_path / "out", tmp_path / "csv", "--to", "landmark_csv")
    assert back.code == 0
    assert len(load_data(tmp_path / "csv", skip_broken=False)) == 16
    refused = cli("convert", faces, tmp_path / "x", "--to", "landmark_csv", "--shard-mb", 3)
    assert refused.code == 2 and "has no shards" in refused.err
