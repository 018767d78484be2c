"""Joining clips: every labelled frame of both is there afterwards, contradictions are refused, places are not moved."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from sightline.errors import UserError
from sightline.labelling.merge import merge_datasets
from sightline.labelling.merged import OnConflict
from sightline.predict_files import convert_clips
from sightline.readers import read_dataset
from sightline.records import Dataset

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "video"))
from videos import write_video

FRAMES = 12
Labels = Mapping[int, tuple[float, float] | None]


@pytest.fixture(scope="session")
def videos(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A video, the same saved again, and another one of its length and size."""
    folder = tmp_path_factory.mktemp("videos")
    made = {"one": write_video(folder / "one.mp4", frames=FRAMES)}
    made["again"] = write_video(folder / "again.mp4", frames=FRAMES, options={"crf": "25"})
    made["other"] = write_video(folder / "other.mp4", frames=FRAMES, rotation=180)
    assert made["one"].read_bytes() != made["again"].read_bytes()
    return made


def table(path: Path, labels: Labels, *, shift: int = 0) -> None:
    lines = [f"{n + shift},1,{xy[0] - 0.5},{xy[1] - 0.5}" if xy else f"{n + shift},0,0,0" for n, xy in labels.items()]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(["Frame,Visibility,X,Y", *lines]) + "\n")


def of_video(folder: Path, video: Path, labels: Labels, *, name: str = "rally") -> Dataset:
    """TrackNet's layout."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(video, folder / f"{name}.mp4")
    table(folder / f"{name}.csv", labels)
    return read_dataset(folder)


def of_label_studio(folder: Path, video: Path, labels: Labels, *, name: str = "0a1b2c3d-rally") -> Dataset:
    """An export with a key frame for each place; all other frames are said to be without the point."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(video, folder / f"{name}.mp4")
    sequence = [
        {"frame": n + 1, "enabled": n + 1 in labels and labels[n + 1] is not None,
         "x": 100 * xy[0] / 64 - 1, "y": 100 * xy[1] / 48 - 1, "width": 2, "height": 2}
        for n, xy in labels.items() if xy is not None
    ]  # fmt: skip
    value = {"framesCount": FRAMES, "sequence": sequence, "labels": ["ball"]}
    task = {"id": 3, "data": {"video": f"/data/upload/1/{name}.mp4"}, "annotations": [{"result": [{"value": value}]}]}
    (folder / "export.json").write_text(json.dumps([task]))
    return read_dataset(folder)


def of_cvat(folder: Path, video: Path, labels: Labels) -> Dataset:
    """An export of a job of the frames from the first to the last label."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(video, folder / "rally.mp4")
    shapes = [
        f'<points frame="{n}" outside="{int(xy is None)}" occluded="0" keyframe="1" '
        f'points="{xy[0] if xy else 0},{xy[1] if xy else 0}"></points>'
        for n, xy in labels.items()
    ]
    job = f"<job><start_frame>{min(labels)}</start_frame><stop_frame>{max(labels)}</stop_frame></job>"
    (folder / "annotations.xml").write_text(
        f"<annotations><version>1.1</version><meta>{job}<source>rally.mp4</source></meta>"
        f'<track id="0" label="ball" source="manual">{"".join(shapes)}</track></annotations>'
    )
    return read_dataset(folder)


def of_pictures(folder: Path, frames: range, labels: Labels, *, seed: int = 0, clip: str = "rally") -> Dataset:
    """Numbered pictures of a clip from some frame on; labels in the clip's own numbers."""
    (folder / clip).mkdir(parents=True, exist_ok=True)
    for number in frames:
        value = np.random.default_rng(100 * seed + number).integers(0, 255, (24, 32, 3), dtype=np.uint8)
        Image.fromarray(value).save(folder / clip / f"{number:03d}.png")
    table(folder / f"{clip}.csv", labels)
    return read_dataset(folder)


def labels_of(dataset: Dataset, group: str = "rally") -> dict[int, tuple[float, float] | None]:
    found = {}
    for record in dataset.records:
        if record.group == group:
            x, y = record.points_xy[0].round(2).tolist()
            found[record.frame] = (x, y) if record.visible[0] else None
    return found


def counts(made) -> tuple[int, int, int, int]:
    return made.added, made.filled, made.same, len(made.conflicts)


# ---- nothing is lost

place = st.tuples(st.integers(1, 60), st.integers(1, 40)).map(lambda xy: (xy[0] + 0.5, xy[1] + 0.25))
some_labels = st.dictionaries(st.integers(0, FRAMES - 1), st.none() | place, min_size=1)
relaxed = settings(deadline=None, max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])


@given(old=some_labels, new=some_labels)
@relaxed
def test_the_union_holds_every_label_of_both(videos: dict[str, Path], tmp_path: Path, old: Labels, new: Labels) -> None:
    before = of_video(tmp_path / "old", videos["one"], old)
    brought = of_video(tmp_path / "new", videos["one"], new)
    both = old.keys() & new.keys()
    torn = [n for n in both if old[n] != new[n]]
    if torn:
        with pytest.raises(UserError, match=r"labelled differently by both"):
            merge_datasets(before, brought)
    winners: dict[OnConflict, Labels] = {"newer": {**old, **new}, "older": {**new, **old}}
    for on_conflict, winner in winners.items():
        made = merge_datasets(before, brought, on_conflict=on_conflict)
        assert labels_of(made.dataset) == winner
        assert counts(made) == (0, len(new.keys() - old.keys()), len(both) - len(torn), len(torn))
        written = tmp_path / on_conflict
        shutil.rmtree(written, ignore_errors=True)
        convert_clips(made.clips, written, to="tracknet")
        again = read_dataset(written)
        assert labels_of(again) == winner
        for mine, theirs in zip(made.dataset.records, again.records, strict=True):
            assert mine.before is not None and theirs.before is not None
            assert mine.before.visible.tolist() == theirs.before.visible.tolist()


@pytest.mark.parametrize("tool", [of_label_studio, of_cvat, of_video])
def test_what_a_tool_exports_joins_the_table(videos: dict[str, Path], tmp_path: Path, tool) -> None:
    """Its name for the point, its video's name and its units are its own."""
    old: Labels = {n: (10.5 + n, 20.25) for n in range(5)}
    new: Labels = {n: (10.5 + n, 20.25) for n in range(3, FRAMES)}
    before = of_video(tmp_path / "old", videos["one"], old)
    brought = tool(tmp_path / "new", videos["one"], new)
    hidden = {n: None for n in range(3)} if tool is of_label_studio else {}  # a tool that says it of all other frames
    made = merge_datasets(before, brought, on_conflict="older" if hidden else "refuse")
    assert labels_of(made.dataset) == {**new, **old}
    assert counts(made) == (0, 7, 2, len(hidden))
    assert made.dataset.skeleton.names == ("point",)
    back = merge_datasets(brought, before, on_conflict="newer" if hidden else "refuse")
    assert labels_of(back.dataset, brought.records[0].group or "") == {**new, **old}


def test_not_visible_against_a_place_is_a_conflict(videos: dict[str, Path], tmp_path: Path) -> None:
    seen = of_video(tmp_path / "a", videos["one"], {3: (5.5, 6.5)})
    hidden = of_video(tmp_path / "b", videos["one"], {3: None, 4: None})
    for old, new in ((seen, hidden), (hidden, seen)):
        with pytest.raises(UserError, match=r"1 frame is labelled differently by both:\n  rally/000003 \(rally.csv:2"):
            merge_datasets(old, new)


# ---- which clips are the same


def test_a_video_that_was_saved_again_is_known_by_name_and_look(videos: dict[str, Path], tmp_path: Path) -> None:
    old = of_video(tmp_path / "a", videos["one"], {3: (5.5, 6.5)})
    again = of_video(tmp_path / "b", videos["again"], {4: (5.5, 6.5)})
    made = merge_datasets(old, again)
    assert (counts(made), made.matched_by_name, made.renamed) == ((0, 1, 0, 0), 1, {})
    assert {record.path for record in made.dataset.records} == {tmp_path / "a" / "rally.mp4"}


def test_another_video_of_that_name_is_another_clip(videos: dict[str, Path], tmp_path: Path) -> None:
    old = of_video(tmp_path / "a", videos["one"], {3: (5.5, 6.5)})
    other = of_video(tmp_path / "b", videos["other"], {3: (9.5, 6.5)})
    made = merge_datasets(old, other)
    assert (counts(made), dict(made.renamed)) == ((1, 0, 0, 0), {"rally": "rally-2"})
    assert labels_of(made.dataset, "rally-2") == {3: (9.5, 6.5)}
    assert [r.image_id for r in made.dataset.records] == ["rally/000003", "rally-2/000003"]


def test_pictures_tell_by_how_many_frames_two_clips_are_apart(tmp_path: Path) -> None:
    """Frames 4 to 9 and then 0 to 6 of one clip, whatever it is called: it begins earlier now."""
    old = of_pictures(tmp_path / "a", range(4, 10), {4: (4.5, 1.5), 6: (6.5, 1.5), 9: None})
    new = of_pictures(tmp_path / "b", range(7), {0: (0.5, 1.5), 5: (5.5, 1.5), 6: (6.5, 1.5)}, clip="cut")
    made = merge_datasets(old, new)
    assert counts(made) == (0, 2, 1, 0)
    expected = {0: (0.5, 1.5), 4: (4.5, 1.5), 5: (5.5, 1.5), 6: (6.5, 1.5), 9: None}
    assert labels_of(made.dataset) == expected
    convert_clips(made.clips, tmp_path / "out", to="tracknet")
    again = read_dataset(tmp_path / "out")
    assert labels_of(again) == expected
    assert sorted(p.name for p in (tmp_path / "out" / "rally").iterdir()) == [f"{n:06d}.png" for n in range(10)]
    (last,) = [record for record in again.records if record.frame == 6]
    assert last.before is not None and all(at is not None for at in last.before.frames)


def test_frames_that_are_cut_in_two_ways_are_refused(tmp_path: Path) -> None:
    old = of_pictures(tmp_path / "a", range(4), {0: (4.5, 1.5)}, clip="one")
    of_pictures(tmp_path / "a", range(4, 8), {4: (4.5, 1.5)}, clip="two")
    old = read_dataset(tmp_path / "a")
    new = of_pictures(tmp_path / "b", range(8), {0: (4.5, 1.5)}, clip="whole")
    with pytest.raises(UserError, match=r"not one behind the other in one clip \(in 'one', 'two'\)"):
        merge_datasets(old, new)


# ---- from the command line


def test_the_command_writes_a_new_folder_and_leaves_both_as_they_are(cli, videos: dict[str, Path], tmp_path: Path):
    of_video(tmp_path / "old", videos["one"], {3: (5.5, 6.5), 5: None})
    of_cvat(tmp_path / "new", videos["one"], {4: (7.5, 6.5), 5: None})
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    ran = cli("merge", tmp_path / "old", tmp_path / "new", "--out", tmp_path / "out")
    assert ran.code == 0, ran.err
    assert (
        "joined   3 frames, 2 with the point in sight: 0 frames added, 1 labelled further, 1 labelled alike" in ran.out
    )
    assert labels_of(read_dataset(tmp_path / "out")) == {3: (5.5, 6.5), 4: (7.5, 6.5), 5: None}
    assert all(path.read_bytes() == data for path, data in before.items())
    told = cli("merge", tmp_path / "new", tmp_path / "old", "--out", tmp_path / "back", "--json").json
    assert (told["format"], told["after"], told["filled"]) == ("tracknet", {"frames": 3, "labels": 2}, 1)


def test_what_cannot_be_joined_is_said_and_nothing_is_written(cli, videos: dict[str, Path], tmp_path: Path):
    old = tmp_path / "old"
    of_video(old, videos["one"], {3: (5.5, 6.5)})
    of_video(tmp_path / "new", videos["one"], {3: (9.5, 6.5)})
    Image.fromarray(np.zeros((24, 32, 3), np.uint8)).save(tmp_path / "a.png")
    (tmp_path / "faces.csv").write_text("file,nose_x,nose_y,tail_x,tail_y\na.png,1,2,3,4\n")
    for arguments, words in (
        ([old, tmp_path / "new"], "--on-conflict newer or older"),
        ([old, tmp_path / "faces.csv"], "Only data of one kind"),
        ([tmp_path / "faces.csv", old], "Only data of one kind"),
        ([old, tmp_path / "new", "--to", "coco"], "no format of clips to write 'coco'"),
        ([old, tmp_path / "new", "--rename", "bal=point"], "'bal'"),
    ):
        ran = cli("merge", *arguments, "--out", tmp_path / "out")
        assert (ran.code, words in ran.err.replace("\n", " ")) == (2, True), ran.err
        assert not (tmp_path / "out").exists()
    ran = cli("merge", old, tmp_path / "new", "--out", tmp_path / "out.csv", "--on-conflict", "newer")
    assert ran.code == 2 and "several files" in ran.err
