"""Tracks of labelling tools, DeepLabCut's labels on videos, and the published shuttle samples."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sightline.errors import UserError
from sightline.readers import FORMATS, cvat_video, read_dataset
from sightline.readers.texts import read_start
from sightline.splits import split_dataset

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "video"))
from videos import write_video

META = """<meta><task><name>t</name><size>20</size><start_frame>{start}</start_frame><stop_frame>{stop}</stop_frame>
<frame_filter>{step}</frame_filter><original_size><width>64</width><height>48</height></original_size>
<source>Rally 1.mp4</source></task></meta>"""


def where(dataset) -> dict[int, list[float] | None]:
    return {r.frame: r.points_xy[0].tolist() if r.visible[0] else None for r in dataset.records}


def ids(dataset, severity) -> list[str]:
    return [problem.id for problem in dataset.problems if problem.severity == severity]


@pytest.fixture
def cvat(tmp_path):
    write_video(tmp_path / "videos" / "Rally 1.mp4", frames=20)

    def read(*tracks, start=0, stop=19, step="", meta=META):
        head = meta.format(start=start, stop=stop, step=step)
        text = f'<?xml version="1.0"?>\n<annotations><version>1.1</version>{head}\n{"".join(tracks)}</annotations>'
        (tmp_path / "annotations.xml").write_text(text)
        return read_dataset(tmp_path)

    return read


def point(frame, x, y, *, outside=0, occluded=0):
    return (
        f'<points frame="{frame}" keyframe="1" outside="{outside}" occluded="{occluded}" points="{x},{y}" z_order="0">'
        "</points>\n"
    )


def track(*shapes, label="ball"):
    return f'<track id="0" label="{label}" source="manual">\n{"".join(shapes)}</track>\n'


def test_cvat_points_are_interpolated_between_key_frames_and_outside_is_not_visible(cvat, tmp_path):
    dataset = cvat(
        track(point(2, 10, 20), point(6, 18, 24), point(8, 0, 0, outside=1), point(10, 30.5, 40, occluded=1))
    )
    assert (dataset.format, dataset.skeleton.names, len(dataset)) == ("cvat_video", ("ball",), 20)
    expected: dict[int, list[float] | None] = {frame: None for frame in range(20)}
    expected |= {2: [10, 20], 3: [12, 21], 4: [14, 22], 5: [16, 23], 6: [18, 24], 7: [9, 12]}
    expected |= {frame: [30.5, 40] for frame in range(10, 20)}
    assert where(dataset) == expected
    record = dataset.records[5]
    assert (record.path.name, record.video_frame, record.group) == ("Rally 1.mp4", 5, "annotations")
    assert record.before is not None
    assert record.before.visible.sum() == 3
    assert [name for name, (detect, _) in FORMATS.items() if detect(tmp_path)] == ["cvat", "cvat_video"]


def test_of_cvat_boxes_the_middle_is_taken_and_a_job_names_its_frames(cvat):
    box = '<box frame="4" keyframe="1" outside="0" occluded="0" xtl="10" ytl="20" xbr="14" ybr="23"></box>'
    dataset = cvat(track(box), start=4, stop=12, step="step=4")
    assert where(dataset) == {4: [12, 21.5], 8: [12, 21.5], 12: [12, 21.5]}


def test_mistakes_in_cvat_tracks_are_told(cvat, tmp_path):
    two = '<points frame="3" outside="0" points="1,2;3,4"></points>'
    dataset = cvat(
        track(point(0, 1, 2), point(0, 5, 6), two, point(4, "nan", 2), point(25, 3, 4), "<polygon frame='2'/>"),
        track(point(1, 40, 40), point(3, 40, 40, outside=1)),
        stop=30,
    )
    assert sorted(ids(dataset, "error")) == ["frame-duplicated", "label-beyond-clip", "point-count", "point-not-finite"]
    assert ids(dataset, "warning") == ["video-length-differs"]
    assert {"annotation-skipped", "instances-skipped"} <= set(ids(dataset, "note"))
    with pytest.raises(UserError, match=r"several labels: 'ball' .*'racket'"):
        cvat(track(point(0, 1, 2)), track(point(0, 1, 2), label="racket"))
    (tmp_path / "videos" / "Rally 1.mp4").unlink()
    assert ids(cvat(track(point(0, 1, 2))), "error") == ["video-missing"]


@pytest.fixture
def studio(tmp_path):
    write_video(tmp_path / "rally.mp4", frames=20)

    def read(*sequences, count=20, label="ball", video="/data/upload/1/1a2b3c4d-rally.mp4"):
        regions = [
            {
                "type": "videorectangle",
                "value": {"framesCount": count, "duration": 0.67, "sequence": sequence, "labels": [label]},
            }
            for sequence in sequences
        ]
        task = {"id": 7, "data": {"video": video}, "annotations": [{"result": regions}]}
        (tmp_path / "export.json").write_text(json.dumps([task]))
        return read_dataset(tmp_path)

    return read


def key(frame, x, y, *, enabled=True, size=None):
    sized = {} if size is None else {"width": size[0], "height": size[1]}
    return {"frame": frame, "enabled": enabled, "rotation": 0, "x": x, "y": y, "time": (frame - 1) / 30, **sized}


def test_label_studio_counts_frames_from_one_and_takes_the_middle_of_percents(studio, tmp_path):
    dataset = studio([key(3, 10, 20, size=(10, 10)), key(5, 30, 40, size=(10, 10), enabled=False), key(15, 50, 50)])
    assert (dataset.format, dataset.skeleton.names, len(dataset)) == ("label_studio_video", ("ball",), 20)
    expected: dict[int, list[float] | None] = {frame: None for frame in range(20)}
    expected |= {2: [9.6, 12.0], 3: [16.0, 16.8], 4: [22.4, 21.6]} | {frame: [32, 24] for frame in range(14, 20)}
    found = where(dataset)
    assert {frame for frame, xy in found.items() if xy} == {frame for frame, xy in expected.items() if xy}
    for frame, xy in expected.items():
        assert found[frame] == (xy and pytest.approx(xy))
    assert [name for name, (detect, _) in FORMATS.items() if detect(tmp_path)] == ["label_studio_video"]


@pytest.mark.parametrize("key_name", ["html", "video"])
def test_a_video_that_html_plays_is_the_video_of_its_task(studio, tmp_path, key_name):
    expected = where(studio([key(3, 10, 20)]))
    (task,) = json.loads((tmp_path / "export.json").read_text())

    def read(html, *regions):
        task["data"] = {key_name: html}
        task["annotations"][0]["result"] = list(regions)
        (tmp_path / "export.json").write_text(json.dumps([task]))
        return read_dataset(tmp_path)

    tracks = task["annotations"][0]["result"]
    for html in (
        '<video src="/data/upload/1/1a2b3c4d-rally.mp4" width="100%" controls></video>',
        "<div><Video controls><source src='/data/local-files/?x=1&amp;d=a/rally.mp4'></Video></div>",
    ):
        assert where(read(html, *tracks)) == expected
    assert read("<video></video>", *tracks).errors[0].message == "its data show a <video> whose src is no video file"
    assert read("http://[ rally", *tracks).errors[0].message == "its data name no video"
    box = {"type": "rectanglelabels", "value": {"x": 1, "y": 1, "width": 5, "height": 5, "rectanglelabels": ["ball"]}}
    dataset = read('<video src="rally.mp4"></video>', box)
    assert (dataset.format, len(dataset), [(p.id, p.severity) for p in dataset.problems]) == (
        "label_studio", 0, [("video-skipped", "note")],
    )  # fmt: skip
    with pytest.raises(UserError, match=r"labels of a video in HTML.*<VideoRectangle>"):
        read('<video src="rally.mp4"></video>', {"type": "choices", "value": {"choices": ["serve"]}})


def test_mistakes_in_label_studio_tracks_are_told(studio, tmp_path):
    dataset = studio(
        [key(0, 1, 1), key(3, 10, 10), key(3, 20, 20), key(4, float("nan"), 3), key(5, "a", 3), key(30, 1, 1)], count=40
    )
    assert sorted(ids(dataset, "error")) == [
        "frame-duplicated", "label-beyond-clip", "point-not-finite", "row-unreadable", "row-unreadable",
    ]  # fmt: skip
    assert ids(dataset, "warning") == ["video-length-differs"]
    assert ids(studio([key(1, 1, 1)], video="other.mp4"), "error") == ["video-missing"]
    task = {"id": 1, "data": {"video": "rally.mp4"}, "annotations": [], "predictions": [{"sequence": []}]}
    (tmp_path / "export.json").write_text(json.dumps([task]))
    assert ids(read_dataset(tmp_path), "warning") == ["label-missing"]


def deeplabcut(root: Path, *, size_hw=(48, 64), video="rally") -> Path:
    folder = root / "labeled-data" / "rally"
    folder.mkdir(parents=True)
    write_video(root / "videos" / f"{video}.mp4", frames=20)
    for number in (3, 5):
        Image.fromarray(np.zeros((*size_hw, 3), dtype=np.uint8)).save(folder / f"img{number:03d}.png")
    rows = ["scorer,,,me,me,me,me", "bodyparts,,,snout,snout,tail,tail", "coords,,,x,y,x,y"]
    rows += ["labeled-data,rally,img003.png,10,20,1,2", "labeled-data,rally,img005.png,,,3,4"]
    (folder / "CollectedData_me.csv").write_text("\n".join(rows) + "\n")
    (root / "config.yaml").write_text("scorer: me\nbodyparts: [snout, tail]\n")
    return root


def test_deeplabcut_labels_become_frames_of_the_video_on_request(tmp_path):
    project = deeplabcut(tmp_path)
    assert read_dataset(project).format == "deeplabcut"
    dataset = read_dataset(project, format="deeplabcut_video")
    assert (dataset.format, dataset.skeleton.names, where(dataset)) == (
        "deeplabcut_video",
        ("snout",),
        {3: [10.5, 20.5], 5: None},
    )
    second = dataset.records[1].before
    assert second is not None
    assert [at and (at.path.name, at.index) for at in second.frames] == [("rally.mp4", n) for n in (2, 3, 4)]
    assert np.flatnonzero(second.visible).tolist() == [28]
    assert "point-chosen" in ids(dataset, "note")


@pytest.mark.parametrize(
    ("options", "id"), [({"video": "other"}, "video-missing"), ({"size_hw": (24, 64)}, "video-size-differs")]
)
def test_deeplabcut_videos_that_are_not_there_or_were_cropped_are_told(tmp_path, options, id):
    assert set(ids(read_dataset(deeplabcut(tmp_path, **options), format="deeplabcut_video"), "error")) == {id}


def shuttle_sample(folder: Path, path: list[tuple[float, float, float]], now: int, *, suffix=".jpg") -> None:
    """A sample as published: `path` are the triplets of a clip, the past is written most recent first."""
    folder.mkdir(parents=True)
    for stem in ("frame", "frame-1", "frame-2", "frame-3"):
        Image.fromarray(np.full((36, 64, 3), now, dtype=np.uint8)).save(folder / f"{stem}{suffix}")
    past = [path[number] if number >= 0 else (0.0, 0.0, 0.0) for number in range(now - 1, now - 31, -1)]
    (folder / "positions.csv").write_text("x,y,visibility\n" + "".join(f"{x},{y},{v}\n" for x, y, v in past))
    x, y, v = path[now]
    (folder / "target.csv").write_text(f"shuttle_x,shuttle_y,shuttle_visibility\n{x},{y},{v}\n")


@pytest.fixture
def shuttle(tmp_path):
    """Two clips of twelve frames, shuffled into three parts frame by frame, as published."""
    rng = np.random.default_rng(0)
    order = rng.permutation(24).tolist()
    clips = [[(*rng.uniform(0.1, 0.9, 2).round(4).tolist(), 1.0) for _ in range(40)] for _ in range(2)]
    clips[0][37] = (0.0, 0.0, 0.0)
    for place, index in enumerate(order):
        shuttle_sample(tmp_path / "data" / f"sample_{place:03d}", clips[index // 12], 28 + index % 12)
    names = [f"/home/me/data/sample_{place:03d}" for place in range(24)]
    (tmp_path / "index.json").write_text(json.dumps({"train": names[:18], "val": names[18:21], "test": names[21:]}))
    return tmp_path, clips, order


def test_shuttle_samples_are_turned_round_scaled_and_joined_to_clips(shuttle):
    root, clips, order = shuttle
    dataset = read_dataset(root / "index.json")
    assert (dataset.format, len(dataset), dataset.has_clips) == ("shuttle_samples", 24, True)
    for record, index in zip(dataset.records, order, strict=True):
        clip, now = clips[index // 12], 28 + index % 12
        x, y, v = clip[now]
        assert bool(record.visible[0]) == bool(v)
        assert record.points_xy[0].tolist() == pytest.approx([x * 64, y * 36])
        assert record.before is not None
        assert record.before.points_xy[-1].tolist() == pytest.approx([clip[now - 1][0] * 64, clip[now - 1][1] * 36])
        assert record.before.visible[-1] == bool(clip[now - 1][2])
        assert record.before.visible[0] == (now >= 30)
        assert [at and at.path.stem for at in record.before.frames] == ["frame-3", "frame-2", "frame-1"]
    by_clip = {record.group: set() for record in dataset.records}
    for record, index in zip(dataset.records, order, strict=True):
        by_clip[record.group].add(index // 12)
        assert record.frame == index % 12
    assert [len(clip) for clip in by_clip.values()] == [1, 1]


def test_the_published_split_of_shuttle_samples_divides_clips_and_is_refused(shuttle):
    root, _, _ = shuttle
    dataset = read_dataset(root)
    assert ids(dataset, "error") == ["split-clip-leak"]
    with pytest.raises(UserError, match="split-clip-leak"):
        split_dataset(dataset, val_fraction=0.2, seed=0)
    split = split_dataset(dataset, val_fraction=0.5, seed=0, by="group")
    assert (len(split.train), len(split.val)) == (12, 12)


def test_shuttle_samples_without_an_index_are_found_and_mistakes_are_told(shuttle):
    root, _, _ = shuttle
    (root / "index.json").unlink()
    data = root / "data"
    (data / "sample_000" / "target.csv").write_text("nan,0.5,1\n")
    (data / "sample_001" / "positions.csv").write_text("0.5,0.5\n")
    (data / "sample_002" / "target.csv").write_text("x,y,v\n0.5,0.5,3\n")
    (data / "sample_003" / "frame.jpg").write_bytes(b"")
    (data / "sample_004" / "target.csv").write_text("1.5,0.5,1\n")
    for path in (root, data):
        dataset = read_dataset(path)
        assert sorted(ids(dataset, "error")) == ["image-empty", "point-not-finite", "row-length", "visibility-invalid"]
        assert ids(dataset, "warning") == ["point-off-image"]
        assert len(dataset) == 20
        assert [name for name, (detect, _) in FORMATS.items() if detect(path)] == ["shuttle_samples"]


def test_of_a_cvat_project_each_task_is_a_clip_of_its_own_video(cvat, tmp_path):
    write_video(tmp_path / "videos" / "serve.mp4", frames=8)
    task = "<task><id>{id}</id><name>{name}</name><subset>{part}</subset></task>"
    tasks = task.format(id=4, name="serve", part="Train") + task.format(id=9, name="Rally 1", part="Test")
    meta = f"<meta><project><name>p</name><tasks>{tasks}</tasks></project></meta>"
    tracks = [track(point(2, 10, 20)).replace("<track", '<track task_id="9"')]
    tracks += [track(point(5, 30, 40)).replace("<track", '<track task_id="4"')]
    dataset = cvat(*tracks, meta=meta)
    assert not dataset.errors
    clips = {r.group: (r.path.name, r.split) for r in dataset.records}
    assert clips == {"annotations/serve": ("serve.mp4", "train"), "annotations/Rally 1": ("Rally 1.mp4", "test")}
    seen = [(r.group, r.frame) for r in dataset.records if r.visible[0]]
    assert seen[:3] == [("annotations/serve", 5), ("annotations/serve", 6), ("annotations/serve", 7)]
    assert len(seen) == 3 + 18


def test_tracks_of_shapes_that_tell_no_place_are_an_error_and_not_a_clip_without_the_object(cvat):
    outline = '<polygon frame="3" keyframe="1" outside="0" points="1,2;3,4;5,6"></polygon>'
    dataset = cvat(track(outline))
    assert [(p.id, len(dataset)) for p in dataset.errors] == [("row-unreadable", 0)]
    assert "its tracks hold polygon" in dataset.errors[0].message


def test_the_frames_of_a_cvat_export_with_pictures_are_in_images(cvat, tmp_path, picture):
    (tmp_path / "videos" / "Rally 1.mp4").unlink()
    for number in range(6):
        picture(tmp_path / "images" / f"frame_{number:06d}.PNG")
    dataset = cvat(track(point(1, 10, 20), point(3, 14, 22), point(4, 0, 0, outside=1)), stop=5)
    assert where(dataset)[2] == [12, 21]
    assert [frame for frame, xy in where(dataset).items() if xy is None] == [0, 4, 5]
    assert dataset.records[1].path.name == "frame_000001.PNG"


def test_a_label_studio_task_without_tracks_is_not_labelled_and_one_alone_needs_no_list(studio, tmp_path):
    studio([key(3, 10, 20)])
    (task,) = json.loads((tmp_path / "export.json").read_text())
    part = {"type": "timelinelabels", "value": {"ranges": [{"start": 1, "end": 9}], "timelinelabels": ["serve"]}}
    task["annotations"][0]["result"].append(part)
    (tmp_path / "export.json").write_text(json.dumps(task))
    dataset = read_dataset(tmp_path)
    assert (len(dataset), ids(dataset, "warning"), "annotation-skipped" in ids(dataset, "note")) == (20, [], True)
    # "sequence" is mentioned, so that the file is still one of tracks.
    task["annotations"][0]["result"] = [part | {"meta": {"sequence": []}}]
    (tmp_path / "export.json").write_text(json.dumps(task))
    dataset = read_dataset(tmp_path)
    assert (len(dataset), ids(dataset, "warning")) == (0, ["label-missing"])
    assert "none with a sequence" in dataset.problems[0].message


def test_cvat_tasks_may_lie_one_folder_down_with_videos_beside_or_in_a_neighbour(cvat, tmp_path):
    cvat(track(point(0, 10, 20)))
    for name in "ab":
        (tmp_path / name).mkdir()
    text = (tmp_path / "annotations.xml").read_text()
    (tmp_path / "a" / "annotations.xml").write_text(text)
    write_video(tmp_path / "b" / "other.mp4", frames=20)
    (tmp_path / "b" / "annotations.xml").write_text(text.replace("Rally 1.mp4", "other.mp4"))
    (tmp_path / "annotations.xml").unlink()
    dataset = read_dataset(tmp_path)
    assert {r.group: r.path.name for r in dataset.records} == {
        "a/annotations": "Rally 1.mp4",
        "b/annotations": "other.mp4",
    }
    assert {r.path.name for r in read_dataset(tmp_path / "a").records} == {"Rally 1.mp4"}


def test_of_a_folder_of_many_xmls_few_are_opened_to_tell_that_none_has_tracks(cvat, tmp_path, monkeypatch):
    cvat(track(point(0, 10, 20)))
    folder = tmp_path / "Annotations"
    folder.mkdir()
    for number in range(50):
        (folder / f"{number:06d}.xml").write_text("<annotation><filename>a.jpg</filename></annotation>")
    opened = []
    monkeypatch.setattr(cvat_video, "read_start", lambda file: opened.append(file) or read_start(file))
    assert not cvat_video.detect(folder) and len(opened) == 20
    (tmp_path / "annotations.xml").rename(folder / "annotations.xml")
    assert cvat_video.detect(folder) and cvat_video.detect(tmp_path)
    assert {r.group for r in read_dataset(tmp_path, format="cvat_video").records} == {"Annotations/annotations"}


def test_a_cvat_skeleton_of_one_point_is_the_point_and_one_of_several_is_told(cvat):
    tip = '<points label="tip" outside="{}" occluded="0" keyframe="1" points="30.5,40"></points>'
    shapes = [
        f'<skeleton frame="0" keyframe="1">{tip.format(0)}</skeleton>',
        f'<skeleton frame="2" keyframe="1">{tip.format(1)}</skeleton>',
    ]
    found = where(cvat(track(*shapes)))
    assert (found[0], found[1], found[2], found[19]) == ([30.5, 40], [30.5, 40], None, None)
    several = f'<skeleton frame="0" keyframe="1">{tip.format(0) * 2}</skeleton>'
    assert ids(cvat(track(several)), "error") == ["point-count"]


IMAGES = """<image id="{n}" name="frame_{n:06d}" width="64" height="48">{shapes}</image>"""
BALL = """<{tag} label="ball" occluded="0" {place}></{tag}>"""


def test_cvat_images_of_a_video_without_their_pictures_are_frames_of_the_video(cvat, tmp_path, picture):
    shapes = {
        2: BALL.format(tag="points", place='points="10.5,20"'),
        4: BALL.format(tag="box", place='xtl="10" ytl="20" xbr="14" ybr="23"') * 2,
    }
    images = "".join(IMAGES.format(n=n, shapes=shapes.get(n, "")) for n in range(20))
    meta = META.replace("<size>", "<mode>interpolation</mode><size>")
    dataset = cvat(images, meta=meta)
    assert (dataset.format, dataset.skeleton.names) == ("cvat_video", ("ball",))
    expected: dict[int, list[float] | None] = {frame: None for frame in range(20)}
    assert where(dataset) == expected | {2: [10.5, 20], 4: [12, 21.5]}
    assert ids(dataset, "note") == ["instances-skipped", "clip-short"]
    # With the pictures they are labels of pictures, as before.
    picture(tmp_path / "images" / "frame_000002.PNG")
    assert read_dataset(tmp_path).format == "cvat"


def test_json_min_of_label_studio_is_read_as_its_json(studio, tmp_path):
    sequence = [key(3, 10, 20, size=(10, 10)), key(5, 30, 40, size=(10, 10), enabled=False)]
    full = where(studio(sequence))
    value = {"framesCount": 20, "duration": 0.67, "sequence": sequence, "labels": ["ball"]}
    task = {"video_url": "/data/upload/1/1a2b3c4d-rally.mp4", "id": 7, "box": [value], "annotator": 1}
    (tmp_path / "export.json").write_text(json.dumps([{**task, "annotation_id": 3, "lead_time": 12.5}]))
    dataset = read_dataset(tmp_path)
    assert (dataset.format, dataset.skeleton.names) == ("label_studio_video", ("ball",))
    assert where(dataset) == full
