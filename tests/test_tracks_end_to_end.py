"""Clips from label files and videos to a trained tracker, a report, and a CSV of points: as a user would go."""

from __future__ import annotations

import csv
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from sightline.video.writer import VideoWriter

Cli = Callable[..., Any]
Start = Callable[..., subprocess.Popen[str]]
pytest.importorskip("av")

SIZE_HW = (96, 160)
FRAMES = 12
SETS = ("train.epochs=1", "train.min_steps=0", "train.batch=8", "data.input_hw=[64,96]", "data.workers=0")


def centre(clip: int, frame: int) -> tuple[float, float]:
    return 20.0 + 9 * frame + clip, 70.0 - 4 * frame + 5 * clip


def picture(clip: int, frame: int) -> np.ndarray:
    image = np.full((*SIZE_HW, 3), 60 + 10 * clip, dtype=np.uint8)
    x, y = centre(clip, frame)
    cv2.circle(image, (round(x), round(y)), 4, (250, 240, 80), -1, cv2.LINE_AA)
    return image


def write_clips(folder: Path, *, clips: int = 6) -> Path:
    """Videos, each with a TrackNet table beside it; the last two frames of each without the ball."""
    folder.mkdir()
    for clip in range(clips):
        with VideoWriter(folder / f"clip_{clip}.mp4", fps=30, size_hw=SIZE_HW) as writer:
            for frame in range(FRAMES):
                shown = frame < FRAMES - 2
                writer.write(picture(clip, frame) if shown else np.full((*SIZE_HW, 3), 60, dtype=np.uint8))
        with (folder / f"clip_{clip}.csv").open("w", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(["Frame", "Visibility", "X", "Y"])
            for frame in range(FRAMES):
                x, y = centre(clip, frame)
                rows.writerow([frame, 1, x - 0.5, y - 0.5] if frame < FRAMES - 2 else [frame, 0, 0, 0])
    return folder


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_clips(tmp_path_factory.mktemp("clips") / "data")


def sets() -> list[str]:
    return [part for text in SETS for part in ("--set", text)]


@pytest.fixture(scope="module")
def tracker(clips: Path, tmp_path_factory: pytest.TempPathFactory, start: Start) -> Path:
    out = tmp_path_factory.mktemp("runs") / "ball"
    process = start("train", "track-ball", "--data", clips, "--out", out, *sets())
    _, said = process.communicate(timeout=300)
    assert process.returncode == 0, said
    return out


def test_a_tracker_is_trained_stage_by_stage_into_one_folder(tracker: Path) -> None:
    assert (tracker / "tracker.yaml").is_file()
    for stage in ("coarse", "fine"):
        metrics = json.loads((tracker / stage / "evaluation" / "metrics.json").read_text())
        assert metrics["task"] == "track" and 0 <= metrics["metrics"]["f1"]["value"] <= 1
        assert (tracker / stage / "report.html").is_file()


def test_frames_of_videos_are_unpacked_beside_the_stages_once(tracker: Path) -> None:
    pictures = list((tracker.parent / ".frames").rglob("*.jpg"))
    assert len(pictures) == 6 * FRAMES


def test_a_finished_tracker_is_kept_on_resume_and_refused_without(tracker: Path, clips: Path, cli: Cli) -> None:
    again = cli("train", "track-ball", "--data", clips, "--out", tracker, *sets())
    assert again.code == 2 and "--resume" in again.err
    before = (tracker / "fine" / "best.safetensors").stat().st_mtime_ns
    kept = cli("train", "track-ball", "--data", clips, "--out", tracker, "--resume", *sets())
    assert kept.code == 0 and kept.out.count("trained already") == 2
    assert (tracker / "fine" / "best.safetensors").stat().st_mtime_ns == before


def test_the_tracker_follows_a_video_into_a_row_a_frame(tracker: Path, clips: Path, tmp_path: Path, cli: Cli) -> None:
    out = tmp_path / "points.csv"
    done = cli("track", tracker, clips / "clip_0.mp4", "--out", out)
    assert done.code == 0, done.err
    rows = list(csv.DictReader(out.open()))
    assert [int(row["frame"]) for row in rows] == list(range(FRAMES))
    scored = cli("score-track", out, clips, "--clip", "clip_0", "--json")
    assert scored.code == 0, scored.err
    assert 0 <= json.loads(scored.out)["metrics"]["f1"]["value"] <= 1


def test_a_stage_is_evaluated_on_clips_like_any_run(tracker: Path, clips: Path, cli: Cli) -> None:
    done = cli("evaluate", tracker / "coarse", "--data", clips, "--json")
    assert done.code == 0, done.err
    found = json.loads(done.out)
    assert found["images"] == 6 * FRAMES and found["metrics"]["f1"]["low"] is not None


def test_a_recipe_of_points_refuses_clips_and_a_tracker_refuses_single_pictures(
    clips: Path,
    tmp_path: Path,
    cli: Cli,
) -> None:
    pictures = tmp_path / "single"
    pictures.mkdir()
    cv2.imwrite(str(pictures / "a.png"), picture(0, 0))
    (pictures / "landmarks.csv").write_text("file,x0,y0\na.png,20,70\n")
    wrong = cli("train", "track-ball", "--data", pictures, "--out", tmp_path / "run")
    assert wrong.code == 2 and "follows one point through clips" in wrong.err


def test_a_video_that_is_not_there_is_told_before_anything_is_trained(tmp_path: Path, cli: Cli) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "clip.csv").write_text("Frame,Visibility,X,Y\n0,1,3,4\n1,1,4,5\n")
    done = cli("train", "track-ball", "--data", folder, "--out", tmp_path / "run")
    assert done.code == 2 and "clip" in done.err
    assert not (tmp_path / "run" / "coarse").exists()
