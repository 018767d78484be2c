"""The tracker as a whole on labelled clips: threshold, radii, and runs of frames that begin anew."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest

from sightline.geometry import Box
from sightline.records import HISTORY, PAST_FRAMES, Before, FrameAt, Record
from sightline.track.calibrate import calibrate, track_records
from sightline.track.config import PRESETS
from sightline.track.rules import StagePoint
from sightline.track.stage import Stages
from sightline.track.tracker import Tracker
from sightline.video.frame import VideoFrame

SIZE_HW = (40, 60)


class Scripted:
    """A stage whose answer is written in the frame's first pixel: off by so many pixels, and how sure."""

    input_hw, past_frames, history, threshold = (16, 16), 2, 0, 0.5

    def __init__(self) -> None:
        self.seen: list[list[int | None]] = []
        self.resets = 0

    def __call__(
        self, frames: Sequence[VideoFrame | None], areas: Sequence[Box], past_xy: np.ndarray, past_visible: np.ndarray
    ) -> list[StagePoint]:
        now = frames[-1]
        assert now is not None
        self.seen.append([None if frame is None else int(frame.image[0, 0, 2]) for frame in frames])
        off, score, _ = now.image[0, 0].astype(int)
        return [StagePoint(x=30.0 + off, y=20.0, visible=score / 255) for _ in areas]

    def prepare(self, frame: VideoFrame) -> None:
        """Nothing to prepare."""

    def reset(self) -> None:
        self.resets += 1


def records(folder: Path, rows: Sequence[tuple[str, int, int, int, bool]]) -> list[Record]:
    """Rows of (clip, frame, pixels off, score 0..255, visible); the truth is at (30, 20)."""
    made: list[Record] = []
    paths: dict[tuple[str, int], Path] = {}
    for clip, frame, off, score, visible in rows:
        path = folder / f"{clip}-{frame}.png"
        image = np.zeros((*SIZE_HW, 3), dtype=np.uint8)
        image[0, 0] = (frame, score, off)  # OpenCV writes BGR
        cv2.imwrite(str(path), image)
        paths[clip, frame] = path
        past = tuple(
            FrameAt(path=paths[clip, n]) if (clip, n) in paths else None for n in range(frame - PAST_FRAMES, frame)
        )
        before = Before(frames=past, points_xy=np.zeros((HISTORY, 2)), visible=np.zeros(HISTORY, dtype=bool))
        point = np.array([[30.0, 20.0]]) if visible else np.zeros((1, 2))
        made.append(
            Record(
                image_id=f"{clip}/{frame:06d}", path=path, points_xy=point, visible=np.array([visible]),
                size_hw=SIZE_HW, group=clip, frame=frame, before=before,
            )
        )  # fmt: skip
    return made


def test_the_threshold_parts_what_is_there_from_what_is_not(tmp_path: Path) -> None:
    rows = [("a", n, 1, 200, True) for n in range(6)] + [("b", n, 1, 80, False) for n in range(6)]
    stage = Scripted()
    found = calibrate(Stages(coarse=stage, fine=stage), PRESETS["track-ball"], records(tmp_path, rows), threshold_px=5)
    assert 80 / 255 < found.visible < 200 / 255
    assert found.summary.metrics["f1"].value == 1.0
    assert found.summary.counts.tn == 6
    assert found.radius is None, "six answers say nothing about nine in ten"


def test_radii_hold_the_errors_of_nine_answers_in_ten(tmp_path: Path) -> None:
    rows = [("a", n, n % 10, 250, True) for n in range(100)]
    stage = Scripted()
    found = calibrate(Stages(coarse=stage, fine=stage), PRESETS["track-ball"], records(tmp_path, rows), threshold_px=5)
    assert found.radius is not None
    errors = np.array([n % 10 for n in range(100)])
    # The ceil(101 * 0.9)-th smallest of the hundred errors.
    assert found.radius.radius(0.98) == pytest.approx(np.sort(errors)[90])


def test_each_run_of_frames_begins_anew_with_the_frames_before_it(tmp_path: Path) -> None:
    rows = [("a", n, 0, 250, True) for n in (0, 1, 2, 7, 8)] + [("b", 0, 0, 250, True)]
    made = records(tmp_path, rows)
    stage = Scripted()
    tracker = Tracker(Stages(coarse=stage, fine=None), PRESETS["track-ball"].model_copy(update={"fine": None}))
    found = dict(track_records(tracker, made))
    assert [point.frame for point in found.values()] == [0, 1, 2, 7, 8, 0]
    assert stage.seen == [[None, None, 0], [None, 0, 1], [0, 1, 2], [None, None, 7], [None, 7, 8], [None, None, 0]]
