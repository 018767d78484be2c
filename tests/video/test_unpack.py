from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from videos import number_in, write_video

from sightline.readers.assemble import Findings
from sightline.readers.clip_assemble import ClipDraft, FrameLabel, assemble_clips
from sightline.readers.footage import footage_of_video
from sightline.records import Dataset, FrameAt
from sightline.scan import scan
from sightline.video.library import VideoError
from sightline.video.unpack import Unpacking, frames_needed, unpack


def clips(root: Path, videos: dict[str, list[int]], frames: int = 30) -> Dataset:
    drafts = []
    for name, numbers in videos.items():
        path = root / f"{name}.mp4"
        if not path.exists():
            write_video(path, frames=frames)
        labels = [FrameLabel(number=n, xy=(n + 0.5, 20.0), source=f"{name}.csv:{n}") for n in numbers]
        drafts.append(ClipDraft(name=name, footage=footage_of_video(path), labels=labels, where=f"{name}.csv"))
    return assemble_clips(drafts, root=root, format="test", findings=Findings())


def shown(path: Path) -> int:
    image = cv2.imread(str(path))
    assert image is not None, path
    return number_in(image)


def test_only_the_frames_that_are_needed_are_written_and_they_are_the_right_ones(tmp_path):
    data = clips(tmp_path, {"a": [0, 1, 12], "b": [29]})
    assert {path.stem: numbers for path, numbers in frames_needed(data).items()} == {
        "a": {0, 1, 9, 10, 11, 12},
        "b": {26, 27, 28, 29},
    }
    steps: list[Unpacking] = []
    unpacked = unpack(data, tmp_path / "frames", progress=steps.append)
    assert (len(steps), steps[-1].done, steps[-1].total) == (10, 10, 10)
    pictures = sorted((tmp_path / "frames").rglob("*.*"))
    assert len(pictures) == 10
    assert steps[-1].bytes == sum(path.stat().st_size for path in pictures)
    for before, after in zip(data.records, unpacked.records, strict=True):
        assert after.video_frame is None
        assert after.before is not None
        assert before.frame is not None
        assert shown(after.path) == before.frame == after.frame
        expected = [number if number >= 0 else None for number in range(before.frame - 3, before.frame)]
        assert [None if at is None else shown(at.path) for at in after.before.frames] == expected
        assert np.array_equal(after.points_xy, before.points_xy)
    (note,) = [problem for problem in unpacked.problems if problem.id == "video-unpacked"]
    assert "10 frames of 2 videos" in note.message
    assert not scan(unpacked).errors


def test_a_second_call_finds_what_is_there_and_a_changed_video_is_unpacked_anew(tmp_path):
    data = clips(tmp_path, {"a": [5]})
    first = unpack(data, tmp_path / "frames")
    steps: list[Unpacking] = []
    again = unpack(data, tmp_path / "frames", progress=steps.append)
    assert not steps
    assert again.records[0].path == first.records[0].path
    first.records[0].path.unlink()
    unpack(data, tmp_path / "frames", progress=steps.append)
    assert [(step.done, step.total) for step in steps] == [(4, 4)]
    write_video(tmp_path / "a.mp4", frames=20)
    assert unpack(data, tmp_path / "frames").records[0].path != first.records[0].path


def test_frames_that_cannot_be_decoded_are_told_and_the_others_used(tmp_path):
    data = clips(tmp_path, {"a": [5, 12]})
    write_video(tmp_path / "a.mp4", frames=11)
    unpacked = unpack(data, tmp_path / "frames")
    assert [record.frame for record in unpacked.records] == [5]
    (error,) = unpacked.errors
    assert (error.id, error.image_id) == ("video-frame-missing", "a/000012")


def test_a_frame_before_that_cannot_be_decoded_is_none(tmp_path):
    data = clips(tmp_path, {"a": [5]})
    record = data.records[0]
    assert record.before is not None
    far = FrameAt(path=record.path, index=99)
    before = replace(record.before, frames=(far, *record.before.frames[1:]))
    unpacked = unpack(data.with_records([replace(record, before=before)]), tmp_path / "frames")
    (kept,) = unpacked.records
    assert kept.before is not None
    assert [at is None for at in kept.before.frames] == [True, False, False]


def test_a_video_that_is_gone_is_told(tmp_path):
    data = clips(tmp_path, {"a": [5]})
    (tmp_path / "a.mp4").unlink()
    with pytest.raises(VideoError, match="no video"):
        unpack(data, tmp_path / "frames")


def test_scanning_checks_that_videos_open_and_have_the_frames(tmp_path):
    data = clips(tmp_path, {"a": [5, 12], "b": [3]})
    assert not scan(data).problems[1:]
    write_video(tmp_path / "a.mp4", frames=11, size_hw=(96, 128))
    (tmp_path / "b.mp4").write_bytes(b"nothing")
    scanned = scan(data)
    assert [(record.image_id, record.size_hw) for record in scanned.records] == [("a/000005", (96, 128))]
    assert sorted(problem.id for problem in scanned.errors) == ["label-beyond-clip", "video-unreadable"]
