from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from videos import number_in, numbered_image

from sightline.errors import UserError
from sightline.video.probe import probe
from sightline.video.source import open_source
from sightline.video.writer import VideoWriter
from sightline.writers.overlay import PREDICTION_RGB
from sightline.writers.trail import draw_trail


def shown(path: Path) -> list[int]:
    with open_source(path) as source:
        return [number_in(frame.image) for frame in source]


@pytest.mark.parametrize(("suffix", "fps"), [(".mp4", 60), (".mkv", 25), (".mp4", 30000 / 1001), (".ts", 50)])
def test_what_is_written_is_read_again_frame_by_frame(tmp_path, suffix, fps):
    path = tmp_path / f"out{suffix}"
    with VideoWriter(path, fps=fps, size_hw=(48, 64)) as writer:
        for number in range(20):
            writer.write(numbered_image(number))
    info = probe(path)
    assert (info.codec, info.pixel_format, info.frames, info.size_hw) == ("h264", "yuv420p", 20, (48, 64))
    assert info.fps == pytest.approx(fps, rel=1e-3)
    assert not info.is_variable
    assert shown(path) == list(range(20))
    assert [file.name for file in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("size_hw", [(47, 63), (48, 63), (47, 64)])
def test_odd_sizes_get_one_more_row_or_column_on_the_right_and_below(tmp_path, size_hw):
    path = tmp_path / "out.mp4"
    with VideoWriter(path, fps=30, size_hw=size_hw, quality=1) as writer:
        writer.write(numbered_image(5, size_hw))
    with open_source(path) as source:
        (frame,) = source
    assert frame.size_hw == (48, 64)
    image = frame.image[: size_hw[0], : size_hw[1]].astype(int)
    assert np.abs(image - numbered_image(5, size_hw)).mean() < 6


def test_frames_may_be_spaced_unevenly(tmp_path):
    times = [0.0, 0.01, 0.2, 0.25, 1.0]
    with VideoWriter(tmp_path / "out.mp4", fps=30, size_hw=(48, 64)) as writer:
        for number, time_s in enumerate(times):
            writer.write(numbered_image(number), time_s=time_s)
    with open_source(tmp_path / "out.mp4") as source:
        assert [frame.time_s for frame in source] == pytest.approx(times, abs=1e-4)
    assert probe(tmp_path / "out.mp4").is_variable


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_an_interruption_leaves_a_video_that_plays(tmp_path, error):
    path = tmp_path / "out.mp4"

    def interrupted() -> None:
        with VideoWriter(path, fps=30, size_hw=(48, 64)) as writer:
            for number in range(9):
                writer.write(numbered_image(number))
            raise error

    with pytest.raises(error):
        interrupted()
    assert shown(path) == list(range(9))


def test_a_video_without_frames_is_not_written_and_what_was_there_stays(tmp_path):
    path = tmp_path / "out.mp4"
    path.write_bytes(b"before")
    with VideoWriter(path, fps=30, size_hw=(48, 64)):
        pass
    assert path.read_bytes() == b"before"
    assert [file.name for file in tmp_path.iterdir()] == ["out.mp4"]


@pytest.mark.skipif(sys.platform == "win32", reason="limits of a process")
def test_a_full_disk_is_told_and_what_was_there_stays(tmp_path):
    path = tmp_path / "out.mp4"
    path.write_bytes(b"before")
    code = f"""
import resource
from pathlib import Path
import numpy as np
from sightline.errors import UserError
from sightline.video.writer import VideoWriter
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
noise = np.random.default_rng(0).integers(0, 256, (240, 320, 3), dtype=np.uint8)
try:
    with VideoWriter(Path({str(path)!r}), fps=30, size_hw=(240, 320)) as writer:
        for shift in range(60):
            writer.write(np.roll(noise, shift * 7, axis=1))
except UserError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "Cannot write" in done.stdout, done.stdout + done.stderr
    assert path.read_bytes() == b"before"
    assert [file.name for file in tmp_path.iterdir()] == ["out.mp4"]


@pytest.mark.parametrize(
    ("name", "options", "match"),
    [
        ("out.gif", {}, "ending"),
        ("out.mp4", {"fps": 0}, "above 0"),
        ("out.mp4", {"fps": float("nan")}, "above 0"),
        ("out.mp4", {"size_hw": (0, 64)}, "above 0"),
    ],
)
def test_what_cannot_be_written_is_refused(tmp_path, name, options, match):
    with pytest.raises(UserError, match=match):
        VideoWriter(tmp_path / name, **{"fps": 30, "size_hw": (48, 64), **options})


def test_a_folder_that_cannot_be_written_to_is_told(tmp_path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(UserError, match="Cannot write"),
        VideoWriter(tmp_path / "file" / "a.mp4", fps=30, size_hw=(8, 8)),
    ):
        pass


def changed(image: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    return np.abs(drawn.astype(int) - image).max(axis=2) > 24


def test_a_trail_fades_into_the_past_and_ends_in_a_ring():
    image = np.zeros((200, 300, 3), dtype=np.uint8)
    points = np.stack([np.linspace(20, 280, 14), np.full(14, 100.5)], axis=1)
    drawn = draw_trail(image, points, np.ones(14, dtype=bool))
    assert not image.any()
    along = drawn[100, 20:270].sum(axis=1).astype(int)
    assert along[10] < along[100] < along[200] <= sum(PREDICTION_RGB)
    assert (np.diff(along[5:240:20]) > 0).all()
    # The ring is around the newest place, which itself stays to be seen.
    assert not changed(image, drawn)[98:103, 277:283].any()
    assert changed(image, drawn)[100, 284:292].any()


def test_a_trail_has_gaps_where_the_point_was_not_visible():
    image = np.full((100, 100, 3), 50, dtype=np.uint8)
    points = np.array([[10.0, 50], [30, 50], [50, 50], [70, 50], [90, 50]])
    drawn = changed(image, draw_trail(image, points, np.array([True, True, False, True, False])))
    assert drawn[50, 15:25].all()
    assert not drawn[:, 35:].any()


def test_points_far_outside_and_no_points_at_all_do_no_harm():
    image = np.full((40, 40, 3), 50, dtype=np.uint8)
    assert np.array_equal(draw_trail(image, np.zeros((0, 2)), np.zeros(0, dtype=bool)), image)
    points = np.array([[-1e9, 20.0], [20, 20], [1e12, -1e12]])
    assert draw_trail(image, points, np.ones(3, dtype=bool)).shape == image.shape
