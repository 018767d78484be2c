"""Drawn rallies: truth and pixels agree, the same seed gives the same clip, and a folder reads back."""

from __future__ import annotations

import csv
import json
import tracemalloc
from dataclasses import replace

import cv2
import numpy as np
import pytest

from sightline.drawn.rallies import CLEAN, HIDDEN_FROM, CameraPose, Conditions, Rally, draw_rally, training_pose
from sightline.drawn.rally_camera import Camera
from sightline.drawn.rally_folder import tracknet_table, write_rallies
from sightline.drawn.rally_object import Paint, exposure_times, lay, smear
from sightline.drawn.rally_photo import Photo
from sightline.drawn.rally_play import Play
from sightline.errors import UserError

SMALL = (180, 320)
WHITE = Paint(lit=(240, 240, 240), band=(240, 240, 240))


def clean(seed: int, *, frames: int = 60, **settings) -> Rally:
    return draw_rally(seed, frames=frames, size_hw=settings.pop("size_hw", SMALL), conditions=CLEAN, **settings)


def pairs_of_frames(rally: Rally):
    """Each frame with and without the object, and its truth."""
    with_it, without = (Play(kind=rally.kind, rng=rally._rng("play"), pairs=rally.pairs) for _ in range(2))
    for index in range(rally.count):
        frame, truth = rally._frame(with_it, index, with_object=True)
        yield frame, rally._frame(without, index, with_object=False)[0], truth


def test_the_same_seed_draws_the_same_frames_and_another_does_not():
    first, again, other = (list(draw_rally(seed, frames=4, size_hw=SMALL).frames()) for seed in (5, 5, 6))
    for (frame, truth), (same, same_truth) in zip(first, again, strict=True):
        assert frame.dtype == np.uint8 and frame.shape == (*SMALL, 3)
        np.testing.assert_array_equal(frame, same)
        assert truth == same_truth
    assert any((a[0] != b[0]).any() for a, b in zip(first, other, strict=True))


def test_frames_can_be_drawn_twice_and_truths_alone_are_the_same():
    rally = draw_rally(7, frames=6, size_hw=SMALL)
    once = list(rally.frames())
    np.testing.assert_array_equal(once[5][0], list(rally.frames())[5][0])
    assert [truth for _, truth in once] == list(rally.truths())


@pytest.mark.parametrize("kind", ["shuttle", "ball"])
def test_truth_scales_with_the_size(kind):
    large, small = (
        list(draw_rally(3, frames=50, kind=kind, size_hw=size).truths()) for size in ((720, 1280), (180, 320))
    )
    for big, little in zip(large, small, strict=True):
        assert (big.x, big.y, big.radius_px) == pytest.approx(
            (4 * little.x, 4 * little.y, 4 * little.radius_px), rel=1e-9
        )
        assert big.in_play == little.in_play
    assert np.mean([a.visible == b.visible for a, b in zip(large, small, strict=True)]) > 0.97


def test_the_frame_rate_does_not_change_the_match():
    slow = list(clean(8, frames=30, fps=30.0).truths())
    fast = list(clean(8, frames=60, fps=60.0).truths())
    for a, b in zip(slow, fast[::2], strict=True):
        assert (a.x, a.y, a.in_play) == pytest.approx((b.x, b.y, b.in_play))


def test_truth_is_the_projected_place_in_the_middle_of_the_exposure():
    rally = clean(11, frames=40)
    match = Play(kind="shuttle", rng=rally._rng("play"), pairs=rally.pairs)
    camera = Camera(pose=rally.pose, size_hw=SMALL)
    for index, truth in enumerate(rally.truths()):
        place = match.state(np.array([1.0 + index / 60]))[0][0]
        pixel, depth = camera.project(place)
        assert (truth.x, truth.y) == pytest.approx(pixel.tolist(), abs=1e-9)
        assert truth.radius_px == pytest.approx(0.034 * camera.focal_px / depth)


@pytest.mark.parametrize("kind", ["shuttle", "ball"])
def test_where_it_is_visible_its_pixels_are_there_and_elsewhere_they_are_not(kind):
    seen = unseen = 0
    for seed in (0, 1):
        rally = clean(seed, frames=45, kind=kind)
        for frame, without, truth in pairs_of_frames(rally):
            changed = np.abs(frame.astype(int) - without).sum(axis=2)
            if not truth.visible:
                unseen += 1
                inside = 0 <= truth.x < 320 and 0 <= truth.y < 180
                assert inside or changed[12:-12, 12:-12].sum() == 0
                continue
            seen += 1
            x, y = int(truth.x), int(truth.y)
            reach = int(truth.radius_px) + 2
            near = changed[max(y - reach, 0) : y + reach + 1, max(x - reach, 0) : x + reach + 1]
            if truth.occluded < 0.5:
                assert near.max() > 0, (kind, seed, truth)
    assert seen > 30 and seen + unseen == 90


@pytest.mark.parametrize("way", [(0.0, 0.0), (30.3, 0.0), (-17.2, 41.9), (3.1, -2.2)])
@pytest.mark.parametrize("start", [(60.0, 70.0), (61.37, 70.81)])
def test_a_streak_is_centred_on_the_truth(way, start):
    times = exposure_times(0.0, 1.0, length_px=float(np.hypot(*way)))
    middle = np.array(start)
    path = middle + times[:, None] * np.array(way)
    layer = smear("ball", path_px=path, px_per_m=90.0, pointing=np.array([0.0, 0.0, 1.0]), paint=WHITE, light=1.0)
    canvas = np.zeros((150, 150, 3), np.uint8)
    lay(canvas, layer)
    weight = layer.cover.astype(float)
    rows, columns = np.mgrid[0 : weight.shape[0], 0 : weight.shape[1]] + 0.5
    x = (columns * weight).sum() / weight.sum() + layer.region[0]
    y = (rows * weight).sum() / weight.sum() + layer.region[1]
    np.testing.assert_allclose([x, y], middle, atol=0.03)
    # The light that it takes away is that of a disc, however it moves.
    assert weight.sum() == pytest.approx(np.pi * (0.0335 * 90) ** 2, rel=0.03)
    drawn = canvas.sum(axis=2).astype(float)
    rows, columns = np.mgrid[0:150, 0:150] + 0.5
    np.testing.assert_allclose((columns * drawn).sum() / drawn.sum(), middle[0], atol=0.1)


def test_a_streak_is_as_long_as_the_way():
    path = np.array([40.0, 40.0]) + exposure_times(0.0, 1.0, length_px=60)[:, None] * np.array([60.0, 0.0])
    layer = smear("ball", path_px=path, px_per_m=60.0, pointing=np.array([0.0, 0.0, 1.0]), paint=WHITE, light=1.0)
    columns = np.flatnonzero(layer.cover.max(axis=0) > 0.001)
    assert np.ptp(columns) + 1 == pytest.approx(60 + 2 * 0.0335 * 60, abs=2)
    assert layer.cover.max() == pytest.approx(2 * 0.0335 * 60 / 60, rel=0.08)


def test_a_shuttle_has_its_true_size_whichever_way_it_points():
    at = np.array([[100.3, 100.6]])
    for pointing, long, wide in (((1, 0, 0), 0.0832, 0.068), ((0, 1, 0), 0.068, 0.0832), ((0, 0, -1), 0.068, 0.068)):
        layer = smear("shuttle", path_px=at, px_per_m=500.0, pointing=np.array(pointing, float), paint=WHITE, light=1.0)
        shown = layer.cover > 0.3
        assert np.ptp(np.flatnonzero(shown.any(axis=0))) + 1 == pytest.approx(long * 500, abs=3)
        assert np.ptp(np.flatnonzero(shown.any(axis=1))) + 1 == pytest.approx(wide * 500, abs=3)
        head = layer.head.astype(float)
        rows, columns = np.mgrid[0 : head.shape[0], 0 : head.shape[1]] + 0.5
        np.testing.assert_allclose((columns * head).sum() / head.sum() + layer.region[0], 100.3, atol=0.1)
        np.testing.assert_allclose((rows * head).sum() / head.sum() + layer.region[1], 100.6, atol=0.1)


def test_high_flights_leave_through_the_top_and_come_back():
    pose = replace(training_pose(np.random.default_rng(0)), height_m=4.0, aim_xyz=(0.0, 0.0, -0.6))
    truths = list(clean(2, frames=150, fps=15.0, camera=pose, size_hw=(144, 256), pairs=False).truths())
    above = np.array([truth.y < 0 for truth in truths])
    assert above.any() and not above.all()
    assert not any(truth.visible for truth, gone in zip(truths, above, strict=True) if gone)
    back = np.flatnonzero(above[:-1] & ~above[1:])
    assert len(back) and any(truths[frame + 1].visible for frame in back)


def test_players_hide_the_object_and_the_head_alone_counts():
    truths = [truth for seed in range(2) for truth in clean(seed, frames=130, fps=6.0).truths()]
    hidden = [truth for truth in truths if truth.occluded >= HIDDEN_FROM]
    partly = [truth for truth in truths if 0.02 < truth.occluded < HIDDEN_FROM]
    assert hidden and not any(truth.visible for truth in hidden)
    assert len(partly) > 4 and any(truth.visible for truth in partly)  # the mesh of the net, a leg's edge


def test_what_is_behind_the_camera_is_invisible():
    pose = CameraPose(azimuth_deg=0, distance_m=1.5, height_m=2.0, fov_deg=50, aim_xyz=(0.0, 5.0, 1.0))
    rally = clean(1, frames=40, fps=5.0, camera=pose, size_hw=(96, 160))
    truths = list(rally.truths())
    behind = [truth for truth in truths if truth.radius_px == 0]
    assert behind and not any(truth.visible for truth in behind)
    assert next(iter(rally.frames()))[0].shape == (96, 160, 3)


def test_noise_grows_with_the_signal_and_has_the_std_that_was_asked():
    photo = Photo(replace(CLEAN, noise=(4.0, 4.0)), size_hw=(200, 300), seed=3)
    spreads = {}
    for level in (20, 128, 220):
        frames = [
            photo.take(np.full((200, 300, 3), level, np.uint8), time=0.0, index=i).astype(float) for i in range(3)
        ]
        assert np.mean(frames) == pytest.approx(level, abs=0.1)
        spreads[level] = np.std(frames)
        assert np.corrcoef(frames[0].ravel(), frames[1].ravel())[0, 1] == pytest.approx(0, abs=0.02)
    assert spreads[128] == pytest.approx(4.0, rel=0.05)
    assert spreads[20] == pytest.approx(4.0 * np.sqrt(0.35 + 0.65 * 20 / 128), rel=0.07)
    assert spreads[20] < spreads[128] < spreads[220]


def test_shake_moves_pixels_and_truth_together():
    still, shaken = (
        draw_rally(4, frames=41, size_hw=(288, 512), conditions=replace(CLEAN, shake=(share, share)), pairs=False)
        for share in (0.0, 0.004)
    )
    moved = 0.0
    for index, (a, b) in enumerate(zip(still.truths(), shaken.truths(), strict=True)):
        shift = shaken.photo.shift(1.0 + index / 60)
        assert (b.x - a.x, b.y - a.y) == pytest.approx(shift.tolist(), abs=1e-9)
        moved = max(moved, float(np.abs(shift).max()))
    assert moved > 0.3
    (frame, _), index = list(still.frames())[40], 40
    other = list(shaken.frames())[40][0]
    found, _ = cv2.phaseCorrelate(*(np.float32(cv2.cvtColor(f, cv2.COLOR_RGB2GRAY)) for f in (frame, other)))
    np.testing.assert_allclose(found, shaken.photo.shift(1.0 + index / 60), atol=0.25)


def test_a_long_clip_needs_no_more_memory_than_a_short_one():
    rally = draw_rally(9, frames=20_000, size_hw=(96, 160), conditions=CLEAN)
    stream = rally.frames()
    for _ in range(5):
        next(stream)
    tracemalloc.start()
    for _ in range(20):
        next(stream)
    early = tracemalloc.get_traced_memory()[0]
    for _ in range(40):
        next(stream)
    late = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert late - early < 2_000_000


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"seed": -1}, "seed 0"),
        ({"frames": 0}, "1 frame"),
        ({"fps": 0.0}, "frames a second"),
        ({"size_hw": (20, 20)}, "least"),
        ({"kind": "bal"}, "Did you mean 'ball'"),
    ],
)
def test_impossible_clips_are_refused(settings, message):
    with pytest.raises(UserError, match=message):
        draw_rally(**{"seed": 1, "frames": 2, **settings})


@pytest.mark.parametrize(
    "settings", [{"noise": (3, 1)}, {"exposure": (0.0, 0.5)}, {"exposure": (0.5, 1.5)}, {"quality": (50, 120)}]
)
def test_impossible_conditions_are_refused(settings):
    with pytest.raises(UserError, match=r"must not fall|cannot be drawn"):
        Conditions(**settings)


def test_a_folder_of_pictures_holds_frames_and_tables(tmp_path):
    folder = write_rallies(tmp_path / "set", clips=2, frames=20, seed=3, size_hw=SMALL, conditions=CLEAN)
    assert sorted(path.name for path in folder.iterdir()) == [
        "clip_000", "clip_000.csv", "clip_001", "clip_001.csv", "rallies.json",
    ]  # fmt: skip
    told = json.loads((folder / "rallies.json").read_text())
    for index, clip in enumerate(told):
        camera = CameraPose(**{**clip["camera"], "aim_xyz": tuple(clip["camera"]["aim_xyz"])})
        rally = draw_rally(clip["seed"], frames=20, size_hw=SMALL, conditions=CLEAN, camera=camera)
        rows = list(csv.DictReader((folder / f"clip_{index:03d}.csv").open()))
        assert [int(row["Frame"]) for row in rows] == list(range(20))
        for row, truth in zip(rows, rally.truths(), strict=True):
            assert (row["Visibility"] == "1") == (truth.visible and truth.in_play)
            if row["Visibility"] == "1":  # the first pixel's centre is 0.0 there
                assert (float(row["X"]) + 0.5, float(row["Y"]) + 0.5) == pytest.approx((truth.x, truth.y), abs=1e-3)
        pictures = sorted((folder / f"clip_{index:03d}").iterdir())
        assert [path.name for path in pictures] == [f"{i:06d}.jpg" for i in range(20)]
        frame = cv2.imread(str(pictures[0]))[..., ::-1].astype(int)
        assert np.abs(frame - next(iter(rally.frames()))[0]).mean() < 4


def test_a_video_has_all_frames_at_its_rate(tmp_path):
    av = pytest.importorskip("av")
    folder = write_rallies(
        tmp_path / "set", clips=1, frames=20, seed=5, size_hw=SMALL, fps=60.0, codec="mp4", poses="unseen",
        conditions=CLEAN, bit_rate=2_000_000,
    )  # fmt: skip
    clip = json.loads((folder / "rallies.json").read_text())[0]
    camera = CameraPose(**{**clip["camera"], "aim_xyz": tuple(clip["camera"]["aim_xyz"])})
    drawn = list(draw_rally(clip["seed"], frames=20, size_hw=SMALL, conditions=CLEAN, camera=camera).frames())
    with av.open(str(folder / "clip_000.mp4")) as container:
        assert container.streams.video[0].average_rate == 60
        decoded = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert len(decoded) == 20
    for found, (frame, _) in zip(decoded, drawn, strict=True):
        assert np.abs(found.astype(int) - frame).mean() < 8


def test_nothing_is_overwritten_and_nothing_half_is_left(tmp_path, monkeypatch):
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "mine.txt").write_text("keep")
    with pytest.raises(UserError, match="exists already"):
        write_rallies(tmp_path / "set", clips=1, frames=2, seed=0, size_hw=SMALL)
    assert (tmp_path / "set" / "mine.txt").read_text() == "keep"

    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("sightline.drawn.rally_folder.tracknet_table", stop)
    with pytest.raises(KeyboardInterrupt):
        write_rallies(tmp_path / "new", clips=1, frames=2, seed=0, size_hw=SMALL, conditions=CLEAN)
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"clips": 0}, "1 clip"),
        ({"poses": "trainin"}, "Did you mean 'training'"),
        ({"codec": "avi"}, "codec"),
        ({"codec": "mp4", "size_hw": (181, 320)}, "even"),
        ({"crf": 99}, "crf"),
    ],
)
def test_impossible_folders_are_refused(tmp_path, settings, message):
    with pytest.raises(UserError, match=message):
        write_rallies(tmp_path / "set", **{"clips": 1, "frames": 2, "seed": 0, "size_hw": SMALL, **settings})
    assert not list(tmp_path.iterdir())


def test_a_table_without_the_object_is_zeros():
    truth = next(clean(1, frames=1).truths())
    gone = replace(truth, visible=False, in_play=True)
    assert tracknet_table([gone]).splitlines() == ["Frame,Visibility,X,Y", "0,0,0,0"]
