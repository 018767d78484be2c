"""`sightline track`, with runs of random weights on videos made by code, and with stages that answer from a script."""

from __future__ import annotations

import csv
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from scripted import Scripted, at
from track_runs import SIZE_HW, ball_picture, make_track_run, make_tracker, make_video, small

from sightline.geometry import Box
from sightline.recipes.track_ball import track_ball_coarse
from sightline.track.config import PRESETS
from sightline.track.csv_rows import read_rows
from sightline.track.point import TrackPoint
from sightline.track.radius import RadiusTable, write_radius
from sightline.track.rules import StagePoint
from sightline.track.stage import Stages
from sightline.track.tracker import Tracker
from sightline.video.source import open_source

Cli = Callable[..., object]


@pytest.fixture(scope="module")
def tracker_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tracker(tmp_path_factory.mktemp("trackers") / "ball")


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_video(tmp_path_factory.mktemp("videos") / "ball.mp4", frames=20)


@pytest.fixture
def scripted(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A tracker that follows the drawn ball, and takes the first number's seconds a frame."""
    pause = [0.0]

    def answer(number: int, area: Box) -> StagePoint:
        time.sleep(pause[0])
        return at(10 + 5 * number % SIZE_HW[1], 30 + (number * 3) % (SIZE_HW[0] - 40))

    stages = Stages(coarse=Scripted(answer, input_hw=(64, 96)), fine=Scripted(answer, input_hw=(64, 64)))
    config = PRESETS["track-ball"].model_copy(update={"look_ahead": 3})
    load = staticmethod(lambda path, choice, *, fill=0: Tracker(stages, config, fill=fill))
    monkeypatch.setattr(Tracker, "load", load)
    return pause


def test_a_video_becomes_rows_and_a_video(tracker_folder: Path, video: Path, tmp_path: Path, cli: Cli) -> None:
    write_radius(tracker_folder, RadiusTable(coverage=0.9, edges=(), radius_px=(4.5,), counts=(99,)))
    out, drawn = tmp_path / "points.csv", tmp_path / "drawn.mp4"
    ran = cli("track", tracker_folder, video, "--out", out, "--video", drawn, "--json", "--device", "cpu")
    (tracker_folder / "radius.json").unlink()
    assert ran.code == 0, ran.err
    with out.open() as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["frame", "time_s", "x", "y", "visible", "score", "radius_px", "step"]
    assert [int(row["frame"]) for row in rows] == list(range(20))
    assert float(rows[3]["time_s"]) == pytest.approx(0.1, abs=1e-4)
    for row in rows:
        assert row["radius_px"] == ("4.50" if row["visible"] == "1" else "")
        assert bool(row["x"]) == (row["visible"] == "1")
    said = ran.json
    assert (said["frames"], said["rows"], said["interrupted"], said["problems"]) == (20, 20, False, [])
    assert sum(times["count"] for times in said["steps"].values()) == 20
    assert set(said["busy"]) == {"decode", "track", "encode"}
    with open_source(drawn) as frames:
        assert frames.size_hw == SIZE_HW
        assert sum(1 for _ in frames) == 20


def test_the_drawing_is_where_the_point_is(scripted: list[float], video: Path, tmp_path: Path, cli: Cli) -> None:
    drawn = tmp_path / "drawn.mp4"
    assert cli("track", "any", video, "--out", tmp_path / "points.csv", "--video", drawn).code == 0
    with open_source(video) as before, open_source(drawn) as after:
        for plain, painted in zip(before, after, strict=True):
            change = np.abs(plain.image.astype(int) - painted.image).sum(axis=2)
            x, y = 10 + 5 * plain.number, 30 + plain.number * 3
            change[max(0, y - 12) : y + 12, max(0, x - 12) : x + 12] *= 1 if plain.number else 0
            if plain.number:
                assert change[max(0, y - 12) : y + 12, max(0, x - 12) : x + 12].max() > 150
            # The trail leads back to where it was, and nothing is drawn elsewhere.
            change[: y + 12, : x + 12] = 0
            assert change.max() < 120


def test_folders_pipes_and_tracknet_rows(
    scripted: list[float], video: Path, tmp_path: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "frames"
    folder.mkdir()
    for number in range(6):
        cv2.imwrite(str(folder / f"{number:03d}.png"), ball_picture(number)[..., ::-1])
    ran = cli("track", "any", folder, "--out", tmp_path / "a.csv", "--fps", "10", "--format", "tracknet")
    assert ran.code == 0, ran.err
    assert (tmp_path / "a.csv").read_text().splitlines()[:2] == ["Frame,Visibility,X,Y", "0,1,9.50,29.50"]
    ran = cli("track", "any", folder, "--out", tmp_path / "b.csv", "--fps", "10")
    assert [p.time_s for p in read_rows(tmp_path / "b.csv")[1]] == pytest.approx([0, 0.1, 0.2, 0.3, 0.4, 0.5])
    with make_video(tmp_path / "v.ts", frames=7).open("rb") as pipe:
        monkeypatch.setattr(sys, "stdin", pipe)
        ran = cli("track", "any", "-", "--out", tmp_path / "c.csv", "--every-frame", "--json")
    assert ran.code == 0, ran.err
    lines = [json.loads(line) for line in ran.out.splitlines()]
    assert [line["frame"] for line in lines[:-1]] == list(range(7))
    assert lines[-1]["summary"]["frames"] == 7


def test_a_live_source_is_answered_at_once_unless_asked_otherwise(
    scripted: list[float], video: Path, tmp_path: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    held: list[int] = []
    settle = Tracker.settle

    def watch(tracker: Tracker, point: TrackPoint) -> list[TrackPoint]:
        rows = settle(tracker, point)
        held.append(point.frame - max((row.frame for row in rows), default=-1))
        return rows

    monkeypatch.setattr(Tracker, "settle", watch)
    film = make_video(tmp_path / "v.ts", frames=5)
    for number, (options, most) in enumerate([([], 0), (["--set", "look_ahead=3"], 3)]):
        held.clear()
        with film.open("rb") as pipe:
            monkeypatch.setattr(sys, "stdin", pipe)
            ran = cli("track", "any", "-", "--out", tmp_path / f"{number}.csv", *options)
        assert ran.code == 0, ran.err
        assert max(held) == most
    held.clear()
    assert cli("track", "any", film, "--out", tmp_path / "film.csv").code == 0
    assert max(held) == 3


def test_ctrl_c_leaves_whole_rows_and_resume_goes_on(
    scripted: list[float], video: Path, tmp_path: Path, cli: Cli
) -> None:
    out, drawn, whole = tmp_path / "points.csv", tmp_path / "drawn.mp4", tmp_path / "whole.csv"
    assert cli("track", "any", video, "--out", whole).code == 0
    scripted[0] = 0.02

    def press() -> None:
        while not out.exists() or out.read_text().count("\n") < 6:
            time.sleep(0.005)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=press)
    thread.start()
    ran = cli("track", "any", video, "--out", out, "--video", drawn)
    thread.join()
    assert ran.code == 130
    done = read_rows(out)[1]
    assert 5 <= len(done) < 20
    assert f"stopped behind frame {len(done) - 1}; go on by --resume" in ran.err
    with open_source(drawn) as frames:  # the video up to there plays
        assert sum(1 for _ in frames) == len(done)
    scripted[0] = 0.0
    Tracker.load("any", None).reset()
    ran = cli("track", "any", video, "--out", out, "--resume", "--video", drawn)
    assert ran.code == 0, ran.err
    assert f"behind {len(done)} done before" in ran.out
    assert out.read_text() == whole.read_text()
    with open_source(drawn) as frames:
        assert sum(1 for _ in frames) == 20


def test_a_truncated_video_is_kept_up_to_there_and_said(scripted: list[float], tmp_path: Path, cli: Cli) -> None:
    whole, cut, out = tmp_path / "whole.mp4", tmp_path / "cut.mp4", tmp_path / "points.csv"
    head_first(make_video(tmp_path / "plain.mp4", frames=60), whole)
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size * 2 // 3])
    ran = cli("track", "any", cut, "--out", out, "--json")
    assert ran.code == 0, ran.err
    rows = read_rows(out)[1]
    assert 10 < len(rows) < 60
    assert [row.frame for row in rows] == list(range(len(rows)))
    assert "[video-truncated]" in ran.err
    assert "video-truncated" in [problem["id"] for problem in ran.json["problems"]]


def head_first(video: Path, path: Path) -> None:
    """The same MP4 with its head in front, so that a part of it plays."""
    with av.open(str(video)) as source, av.open(str(path), "w", options={"movflags": "faststart"}) as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)


def test_mistakes_are_told_before_anything_is_written(
    tracker_folder: Path, trained: Path, video: Path, tmp_path: Path, cli: Cli
) -> None:
    out = tmp_path / "points.csv"
    coarse, fine = tracker_folder / "coarse", tracker_folder / "fine"
    image = tmp_path / "picture.png"
    cv2.imwrite(str(image), np.zeros((8, 8, 3), dtype=np.uint8))
    (tmp_path / "empty").mkdir()
    damaged = tmp_path / "damaged"
    damaged.mkdir()
    (damaged / "tracker.yaml").write_text("mode: swim\nfinee: x\n")
    cases: list[tuple[list[object], str]] = [
        ([trained, video], "finds points in single pictures (recipe tiny), and track needs a run that follows a point"),
        ([coarse, video, "--fine", trained], "finds points in single pictures"),
        ([coarse, video, "--fine", coarse], "the fine stage must see windows of native pixels (data.crop=window)"),
        ([fine, video], "the coarse stage must see whole frames (data.crop=image)"),
        ([coarse, video, "--mode", "smart"], "mode smart needs a fine stage. Give --fine RUN, or use mode stream."),
        ([coarse, video, "--support", fine], "--support is a second fine stage, and there is no first one"),
        ([tmp_path / "nowhere", video], "nowhere is not there. Give a tracker's folder"),
        ([video, video], "is no exported tracker"),
        ([tmp_path / "empty", video], "is no run folder"),
        ([damaged, video], "Did you mean 'fine'?"),
        ([tracker_folder, tmp_path / "no.mp4"], "There is no video"),
        ([tracker_folder, tmp_path / "empty"], "holds no pictures with numbers"),
        ([tracker_folder, video, "--set", "jmp=3"], "There is no setting 'jmp'. Did you mean 'jump'?"),
        ([tracker_folder, video, "--set", "jump=-3"], "jump = -3: Input should be greater than 0"),
        ([tracker_folder, video, "--set", "fine=x"], "runs are named by RUN, --fine and --support"),
        ([tracker_folder, video, "--mode", "smart", "--set", "look_ahead=2"], "look_ahead 2 is too short"),
        ([tracker_folder, video, "--preset", "vidoe"], "There is no preset 'vidoe'. Did you mean 'video'?"),
        ([tracker_folder, video, "--resume"], "There is nothing to resume"),
        ([tracker_folder, video, "--video", tmp_path / "a.gif"], "the ending '.gif' is unknown"),
    ]
    for arguments, told in cases:
        ran = cli("track", *arguments, "--out", out, "--device", "cpu")
        assert ran.code == 2, (arguments, ran.out)
        assert told in ran.err, (told, ran.err)
        assert not out.exists()


def test_single_pictures_are_refused_by_a_tracker_and_by_its_stages(
    tracker_folder: Path, tmp_path: Path, cli: Cli
) -> None:
    image = tmp_path / "picture.png"
    cv2.imwrite(str(image), np.zeros((8, 8, 3), dtype=np.uint8))
    for run, told in (
        (tracker_folder, f"{tracker_folder} is a tracker, whose stages are runs. Name one of them"),
        (tracker_folder / "fine", "one stage of a tracker, which looks at the frames before a picture"),
    ):
        ran = cli("predict", run, image, "--out", tmp_path / "out", "--device", "cpu")
        assert ran.code == 2
        assert told in ran.err and "sightline track" in ran.err
        assert not (tmp_path / "out").exists()


def test_presets_modes_and_settings_come_together(tracker_folder: Path, tmp_path: Path) -> None:
    from sightline.track.load import Choice, load_parts

    own = load_parts(tracker_folder, Choice())
    assert own.config == PRESETS["track-ball"]
    assert own.stages.fine is not None and own.stages.fine.threshold == 0.1
    coarse, fine = tracker_folder / "coarse", tracker_folder / "fine"
    smart = load_parts(coarse, Choice(fine=fine, support=fine, mode="smart", sets=["jump=0.05"])).config
    assert (smart.mode, smart.jump, smart.angle, smart.look_ahead) == ("smart", 0.05, PRESETS["video"].angle, 6)
    engine = load_parts(tracker_folder, Choice(preset="engine", mode="fast")).config
    assert (engine.mode, engine.calibrate_every) == ("fast", 30)
    alone = load_parts(make_track_run(tmp_path / "run", small(track_ball_coarse(), (64, 96))), Choice())
    assert alone.stages.fine is None and alone.config.mode == "stream" and alone.stages.coarse.threshold == 0.5


@pytest.mark.parametrize("mode", ["calib", "fast", "smart", "stream"])
def test_every_mode_runs_with_trained_runs(tracker_folder: Path, mode: str) -> None:
    from sightline.track.load import Choice

    fine = tracker_folder / "fine"
    tracker = Tracker.load(tracker_folder, Choice(mode=mode, support=fine))  # type: ignore[arg-type]
    for number in range(3):
        point = tracker.step(ball_picture(number))
        assert point.frame == number and point.time_s is None
