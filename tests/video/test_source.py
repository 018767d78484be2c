from __future__ import annotations

import os
import subprocess
import sys
import threading
import time

import av
import cv2
import numpy as np
import pytest
from PIL import Image
from videos import number_in, numbered_image, write_video

from sightline.errors import UserError
from sightline.video.folder_source import numbered_pictures
from sightline.video.frame import VideoFrame
from sightline.video.library import VideoError, VideoProblem, VideoWarning
from sightline.video.pixels import ArrayPixels
from sightline.video.probe import probe
from sightline.video.source import open_source


def read(where, **options) -> tuple[list[VideoFrame], list[VideoProblem]]:
    problems: list[VideoProblem] = []
    with open_source(where, on_problem=problems.append, **options) as source:
        return list(source), problems


def shown(frames: list[VideoFrame]) -> list[int]:
    return [number_in(frame.image) for frame in frames]


@pytest.fixture(scope="module")
def uneven() -> list[int]:
    return np.random.default_rng(0).integers(600, 9000, 30).cumsum().tolist()


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts", ".avi"])
def test_frames_come_in_display_order_with_their_numbers(tmp_path, suffix):
    codec = "mpeg4" if suffix == ".avi" else "libx264"
    frames, problems = read(write_video(tmp_path / f"a{suffix}", codec=codec))
    assert shown(frames) == [frame.number for frame in frames] == list(range(30))
    assert [frame.time_s for frame in frames] == pytest.approx((np.arange(30) / 30).tolist(), abs=2e-3)
    assert not problems


def test_uneven_frames_keep_their_numbers_and_times(tmp_path, uneven):
    path = write_video(tmp_path / "a.mp4", times=uneven)
    frames, problems = read(path)
    assert shown(frames) == [frame.number for frame in frames] == list(range(30))
    assert [frame.time_s for frame in frames] == pytest.approx([(time - uneven[0]) / 90_000 for time in uneven])
    info = probe(path)
    assert (info.is_variable, info.frames, problems) == (True, 30, [])
    assert info.fps == pytest.approx(29 * 90_000 / (uneven[-1] - uneven[0]))


@pytest.mark.parametrize("rotation", [90, 180, -90])
def test_the_rotation_of_the_file_is_applied_as_other_readers_do(tmp_path, rotation):
    path = write_video(tmp_path / "a.mp4", rotation=rotation, frames=4)
    frames, _ = read(path)
    reference = cv2.VideoCapture(str(path))
    _, bgr = reference.read()
    expected = cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)
    info = probe(path)
    assert frames[0].size_hw == info.size_hw == expected.shape[:2] == ((48, 64) if rotation == 180 else (64, 48))
    assert info.rotation == rotation % 360
    assert np.abs(frames[0].image.astype(int) - expected).mean() < 3
    height, width = frames[0].size_hw
    assert np.array_equal(frames[1].crop(5, 7, width - 9, height - 3), frames[1].image[7 : height - 3, 5 : width - 9])
    small = frames[2].small((height // 4, width // 4))
    area = cv2.resize(frames[2].image, (width // 4, height // 4), interpolation=cv2.INTER_AREA)
    assert np.abs(small.astype(int) - area).mean() < 8


@pytest.mark.parametrize(
    ("pix_fmt", "size_hw", "codec", "suffix"),
    [
        ("yuv420p10le", (48, 64), "libx264", ".mp4"),
        ("gray", (48, 64), "libx264", ".mkv"),
        ("yuv444p", (47, 63), "libx264", ".mp4"),
        ("yuv422p", (47, 62), "libx264", ".mp4"),
        ("yuv420p", (47, 63), "ffv1", ".mkv"),
        ("bgr0", (47, 63), "ffv1", ".mkv"),
    ],
)
def test_deep_grey_and_odd_videos_become_rgb(tmp_path, pix_fmt, size_hw, codec, suffix):
    frames, problems = read(write_video(tmp_path / f"a{suffix}", pix_fmt=pix_fmt, size_hw=size_hw, codec=codec))
    assert shown(frames) == list(range(30))
    assert not problems
    image = frames[5].image
    assert image.shape == (*size_hw, 3)
    assert image.dtype == np.uint8
    truth = numbered_image(5, size_hw)
    if pix_fmt == "gray":
        truth = np.repeat(cv2.cvtColor(truth, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)
    assert np.abs(image.astype(int) - truth).mean() < (16 if pix_fmt == "gray" else 6)


@pytest.mark.parametrize("pix_fmt", ["yuv420p", "yuv422p", "yuv444p", "yuv420p10le", "gray", "bgr0"])
def test_a_crop_is_that_part_of_the_whole_frame(tmp_path, pix_fmt):
    codec, size_hw = ("ffv1", (97, 131)) if pix_fmt in ("bgr0", "yuv420p") else ("libx264", (96, 130))
    path = write_video(tmp_path / "a.mkv", pix_fmt=pix_fmt, size_hw=size_hw, codec=codec, frames=2)
    rng = np.random.default_rng(1)
    height, width = size_hw
    for _ in range(12):
        x0, y0 = int(rng.integers(-20, width - 1)), int(rng.integers(-20, height - 1))
        x1, y1 = x0 + int(rng.integers(1, 90)), y0 + int(rng.integers(1, 90))
        frame = read(path)[0][1]  # anew each time: a frame that was converted is cut from that
        crop = frame.crop(x0, y0, x1, y1)
        padded = np.pad(frame.image, ((100, 100), (100, 100), (0, 0)))
        expected = padded[y0 + 100 : y1 + 100, x0 + 100 : x1 + 100]
        if size_hw == (97, 131) or "10" in pix_fmt:
            grey, other = (cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(int) for image in (crop, expected))
            assert np.abs(grey - other).max() <= 8
            assert np.abs(crop.astype(int) - expected).mean() < 1
        else:
            assert np.array_equal(crop, expected)


def test_a_crop_larger_than_the_frame_or_beside_it_is_black_there():
    frame = VideoFrame(number=0, time_s=0.0, pixels=ArrayPixels(numbered_image(3)))
    whole = frame.crop(-10, -20, 80, 70)
    assert whole.shape == (90, 90, 3)
    assert np.array_equal(whole[20:68, 10:74], frame.image)
    assert whole.sum() == frame.image.sum()
    assert not frame.crop(100, 100, 120, 110).any()


def test_the_small_picture_is_the_average_over_areas(tmp_path):
    for path in (write_video(tmp_path / "a.mp4", size_hw=(192, 256), frames=3),):
        frame = read(path)[0][2]
        small = frame.small((48, 64))
        area = cv2.resize(frame.image, (64, 48), interpolation=cv2.INTER_AREA)
        assert np.abs(small.astype(int) - area).mean() < 2


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts"])
@pytest.mark.parametrize("share", [0.5, 0.7, 0.95])
def test_of_a_file_that_was_cut_off_the_first_frames_are_given_and_it_is_told_once(tmp_path, suffix, share):
    options = {"movflags": "faststart"} if suffix == ".mp4" else {}
    whole = write_video(tmp_path / f"a{suffix}", frames=60, size_hw=(144, 192), container_options=options)
    cut = tmp_path / f"cut{suffix}"
    cut.write_bytes(whole.read_bytes()[: int(whole.stat().st_size * share)])
    frames, problems = read(cut)
    numbers = [frame.number for frame in frames]
    assert 0 < len(frames) < 60
    # The last frames before the cut may show what lies before them.
    assert shown(frames)[:-4] == numbers[:-4] == list(range(len(frames)))[:-4]
    if suffix != ".ts":  # which has no head that could tell
        assert "video-truncated" in [problem.id for problem in problems]
    assert len({problem.id for problem in problems}) == len(problems)
    assert probe(cut).frames <= 60 and (probe(cut).is_whole, probe(whole).is_whole) == (suffix == ".ts", True)
    assert read(whole)[1] == []


def test_damage_in_the_middle_leaves_the_numbers_of_the_others_right(tmp_path):
    path = write_video(tmp_path / "a.mp4", frames=60, options={"g": "10", "bf": "0", "sc_threshold": "0"})
    data = bytearray(path.read_bytes())
    start = data.find(b"mdat") + 4
    span = data.find(b"moov") - start
    middle = start + span // 2
    data[middle - 300 : middle] = bytes(300)
    path.write_bytes(data)
    frames, problems = read(path)
    assert [problem.id for problem in problems].count("video-damaged") == 1
    assert len(frames) < 60
    good = [frame for frame in frames if frame.number < 10 or frame.number >= 50]
    assert [frame.number for frame in good] == [*range(10), *range(50, 60)]
    assert shown(good) == [frame.number for frame in good]


def test_a_problem_that_nobody_listens_to_becomes_a_warning(tmp_path):
    whole = write_video(tmp_path / "a.mp4", container_options={"movflags": "faststart"}, options={"crf": "2"})
    whole.write_bytes(whole.read_bytes()[: int(whole.stat().st_size * 0.7)])
    with pytest.warns(VideoWarning, match="frames up to there are used"), open_source(whole) as source:
        assert len(list(source)) > 3


def test_frames_of_another_size_are_scaled_to_the_first_and_told(tmp_path):
    first = write_video(tmp_path / "a.ts", frames=6)
    second = write_video(tmp_path / "b.ts", frames=6, size_hw=(96, 128))
    both = tmp_path / "c.ts"
    both.write_bytes(first.read_bytes() + second.read_bytes())
    frames, problems = read(both)
    assert [problem.id for problem in problems].count("video-size-changes") == 1
    assert {frame.size_hw for frame in frames} == {(48, 64)}
    assert len(frames) == 12
    assert shown(frames)[6:] == list(range(6))


@pytest.mark.parametrize(
    ("content", "match"), [(b"", "0 bytes"), (b"no video at all" * 99, "cannot be read as a video")]
)
def test_what_is_no_video_is_refused(tmp_path, content, match):
    (tmp_path / "a.mp4").write_bytes(content)
    for look in (open_source, probe):
        with pytest.raises(VideoError, match=match):
            look(tmp_path / "a.mp4")


def test_a_recording_that_lacks_its_index_is_refused_with_a_reason(tmp_path):
    path = write_video(tmp_path / "a.mp4")
    path.write_bytes(path.read_bytes()[:600])
    with pytest.raises(VideoError, match="broken off lacks its index"):
        open_source(path)


def test_sound_alone_is_no_video(tmp_path):
    import av

    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        stream = container.add_stream("aac", rate=44_100)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), dtype=np.float32), format="fltp", layout="mono")
        frame.rate = 44_100
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    for look in (open_source, probe):
        with pytest.raises(VideoError, match="no stream of pictures"):
            look(tmp_path / "a.mp4")


def test_what_is_not_there_is_told(tmp_path):
    with pytest.raises(VideoError, match="There is no video"):
        open_source(tmp_path / "gone.mp4")
    with pytest.raises(VideoError, match="no pictures with numbers"):
        open_source(tmp_path)
    with pytest.raises(UserError, match=r"no camera 97|Cameras cannot"):
        open_source(97)
    with pytest.raises(UserError, match="is a device"):
        open_source("/dev/null")


def test_a_folder_of_numbered_pictures_is_a_source_and_gaps_stay_gaps(tmp_path):
    for number in (7, 8, 10, 11, 12):
        Image.fromarray(numbered_image(number)).save(tmp_path / f"shot_{number}.png")
    Image.fromarray(numbered_image(13, (96, 128))).save(tmp_path / "shot_13.png")
    (tmp_path / "shot_14.png").write_bytes(b"\x89PNG\r\n")
    frames, problems = read(tmp_path, fps=50)
    assert [frame.number for frame in frames] == [0, 1, 3, 4, 5, 6]
    assert shown(frames) == [7, 8, 10, 11, 12, 13]
    assert frames[2].time_s == pytest.approx(3 / 50)
    assert {frame.size_hw for frame in frames} == {(48, 64)}
    assert sorted(problem.id for problem in problems) == ["frames-missing", "video-damaged", "video-size-changes"]


def test_two_pictures_of_one_number_are_refused(tmp_path):
    for name in ("a1.png", "b1.png"):
        Image.fromarray(numbered_image(1)).save(tmp_path / name)
    with pytest.raises(UserError, match="same number"):
        open_source(tmp_path)


@pytest.mark.skipif(sys.platform == "win32", reason="named pipes of this kind")
def test_a_pipe_that_stalls_gives_its_frames_and_says_so(tmp_path):
    data = write_video(tmp_path / "a.ts").read_bytes()
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    hold = threading.Event()

    def send() -> None:
        with pipe.open("wb") as stream:
            stream.write(data)
            stream.flush()
            hold.wait(20)

    sender = threading.Thread(target=send, daemon=True)
    sender.start()
    started = time.monotonic()
    frames, problems = read(pipe, timeout_s=0.5)
    assert time.monotonic() - started < 10
    hold.set()
    sender.join()
    assert shown(frames) == list(range(len(frames)))
    assert len(frames) >= 25
    assert [problem.id for problem in problems] == ["video-stalled"]


@pytest.mark.skipif(sys.platform == "win32", reason="named pipes of this kind")
def test_a_pipe_through_which_nothing_comes_is_given_up(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(VideoError, match="Nothing came through"):
        open_source(tmp_path / "pipe", timeout_s=0.3)


def test_standard_input_is_read_to_its_end(tmp_path):
    path = write_video(tmp_path / "a.mkv")
    code = "from sightline.video.source import open_source\nwith open_source('-') as s: print(len(list(s)))"
    with path.open("rb") as stream:
        done = subprocess.run([sys.executable, "-W", "error", "-c", code], stdin=stream, capture_output=True, text=True)
    assert (done.stdout.strip(), done.returncode) == ("30", 0), done.stderr


def test_reading_a_video_needs_no_torch(tmp_path):
    path = write_video(tmp_path / "a.mp4", frames=3)
    code = f"""
import sys
from pathlib import Path
from sightline.video.source import open_source
with open_source(Path({str(path)!r})) as source:
    assert [frame.number for frame in source] == [0, 1, 2]
import sightline.video.writer, sightline.video.unpack
assert "torch" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_probing_counts_frames_without_decoding_them(tmp_path):
    info = probe(write_video(tmp_path / "a.mp4", frames=25))
    assert (info.frames, info.size_hw, info.rotation, info.is_variable, info.is_whole) == (25, (48, 64), 0, False, True)
    assert info.fps == pytest.approx(30)
    assert info.duration_s == pytest.approx(25 / 30)
    assert (info.codec, info.pixel_format) == ("h264", "yuv420p")


@pytest.mark.parametrize(
    ("names", "numbers"),
    [
        (["10.png", "2.png"], {2: "2.png", 10: "10.png"}),
        (["rally2_cam1_0003.jpg", "rally2_cam1_0004.jpg"], {3: "rally2_cam1_0003.jpg", 4: "rally2_cam1_0004.jpg"}),
        (["0003_cam1.jpg", "0004_cam1.png", "median.png"], {3: "0003_cam1.jpg", 4: "0004_cam1.png"}),
        (
            ["f_0003_0.100s.jpg", "f_0004_0.133s.jpg", "f_0006_0.200s.jpg"],
            {3: "f_0003_0.100s.jpg", 4: "f_0004_0.133s.jpg", 6: "f_0006_0.200s.jpg"},
        ),
        (
            ["a_mp4-3_jpg.rf.0a1b22c.jpg", "a_mp4-4_jpg.rf.9f.jpg"],
            {3: "a_mp4-3_jpg.rf.0a1b22c.jpg", 4: "a_mp4-4_jpg.rf.9f.jpg"},
        ),
        (["img00012.png"], {12: "img00012.png"}),
        ([], {}),
    ],
)
def test_the_numbers_of_pictures_are_those_that_count_frames(tmp_path, names, numbers):
    for name in names:
        Image.new("RGB", (4, 4)).save(tmp_path / name)
    assert {number: path.name for number, path in numbered_pictures(tmp_path).items()} == numbers


@pytest.mark.parametrize("suffix", [".mkv", ".ts", ".mp4"])
def test_a_file_that_begins_between_key_frames_counts_from_the_first_that_can_be_decoded(tmp_path, suffix):
    whole = write_video(tmp_path / f"a{suffix}", frames=30, options={"sc_threshold": "0"})
    cut = copied(whole, tmp_path / f"cut{suffix}", skip=3)
    frames, problems = read(cut)
    assert [frame.number for frame in frames] == list(range(18))
    assert shown(frames) == list(range(12, 30))
    assert probe(cut).frames == 18
    assert [problem.id for problem in problems] == ["video-damaged"]
    assert "begins between key frames" in problems[0].message


def test_what_an_edit_list_cuts_away_is_neither_counted_nor_told(tmp_path):
    whole = write_video(tmp_path / "a.mp4", frames=30, options={"sc_threshold": "0"})
    cut = copied(whole, tmp_path / "cut.mp4", earlier_s=0.2)
    frames, problems = read(cut)
    assert [frame.number for frame in frames] == list(range(24))
    assert shown(frames) == list(range(6, 30))
    assert probe(cut).frames == 24
    assert problems == []


def copied(source, path, *, skip=0, earlier_s=0.0):
    """A copy of the packets of a video, without the first ones, or shown earlier, so that an edit list cuts."""
    with av.open(str(source)) as read_from, av.open(str(path), "w") as written:
        stream = read_from.streams.video[0]
        target = written.add_stream_from_template(stream)
        assert stream.time_base is not None
        earlier = round(earlier_s / stream.time_base)
        packets = [packet for packet in read_from.demux(stream) if packet.dts is not None]
        for packet in packets[skip:]:
            assert packet.pts is not None and packet.dts is not None
            packet.pts, packet.dts, packet.stream = packet.pts - earlier, packet.dts - earlier, target
            written.mux(packet)
    return path
