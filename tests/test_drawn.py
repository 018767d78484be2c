"""Drawn faces: exact labels, varied pictures, files that read back."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from sightline.drawn.canvas import Canvas, smooth_closed, smooth_open
from sightline.drawn.faces import draw_face, render, write_drawn_faces
from sightline.drawn.paint import sample_look
from sightline.drawn.shape import LAYOUTS, Camera, sample_camera, sample_expression, sample_identity
from sightline.errors import UserError
from sightline.geometry import index_to_continuous


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_same_seed_draws_the_same_face_and_another_seed_another(layout):
    first, first_points = draw_face(np.random.default_rng(3), size=64, layout=layout)
    again, again_points = draw_face(np.random.default_rng(3), size=64, layout=layout)
    other, other_points = draw_face(np.random.default_rng(4), size=64, layout=layout)
    assert np.array_equal(first, again)
    assert np.array_equal(first_points, again_points)
    assert not np.array_equal(first, other)
    assert not np.allclose(first_points, other_points)


@pytest.mark.parametrize(("layout", "count", "shape"), [("ibug68", 68, (64, 64, 3)), ("imm58", 58, (64, 85, 3))])
def test_pictures_and_points_have_the_promised_shapes(layout, count, shape):
    picture, points = draw_face(np.random.default_rng(0), size=64, layout=layout)
    assert picture.shape == shape
    assert picture.dtype == np.uint8
    assert points.shape == (count, 2)
    assert points.dtype == np.float64
    assert np.isfinite(points).all()


@pytest.mark.parametrize("layout", LAYOUTS)
def test_nearly_all_points_lie_in_the_picture_and_none_lies_far_outside(layout):
    points = np.stack([draw_face(np.random.default_rng(i), size=64, layout=layout)[1] for i in range(150)])
    width = 64 if layout == "ibug68" else 85
    within = (points >= 0).all(-1) & (points[..., 0] < width) & (points[..., 1] < 64)
    assert within.mean() > 0.985
    assert points.min() > -13
    assert points.max() < width + 13


def test_faces_vary_in_place_size_pose_and_colour():
    faces = [draw_face(np.random.default_rng(i), size=64) for i in range(120)]
    points = np.stack([p for _, p in faces])
    assert (points.std(axis=0) > 3).all(), "a mean shape would be a good guess"
    span = np.linalg.norm(points[:, 45] - points[:, 36], axis=-1)
    assert span.std() / span.mean() > 0.1
    tilt = np.degrees(np.arctan2(*(points[:, 45] - points[:, 36]).T[::-1]))
    assert tilt.std() > 6
    assert np.std([picture.mean() for picture, _ in faces]) > 15
    mouth = np.linalg.norm(points[:, 66] - points[:, 62], axis=-1) / span
    assert mouth.max() > 0.2
    assert mouth.min() < 0.05


def test_the_order_of_an_upright_face_is_that_of_ibug():
    rng = np.random.default_rng(0)
    camera = Camera(yaw=0, pitch=0, roll=0, scale_px=20, centre_xy=(32, 32), distance=8)
    _, p = render(
        rng, size_hw=(64, 64), layout="ibug68", identity=sample_identity(rng), look=sample_look(rng), camera=camera,
        expression=sample_expression(rng),
    )  # fmt: skip
    assert p[0, 0] < p[8, 0] < p[16, 0]
    assert p[8, 1] > p[:8, 1].max()
    assert (np.diff(p[17:27, 0]) > 0).all()
    assert (np.diff(p[27:31, 1]) > 0).all()
    assert (np.diff(p[31:36, 0]) > 0).all()
    for corner in (36, 39, 42, 45):
        assert (p[corner, 0] == p[36:48, 0]).sum() == 1
    assert p[36, 0] < p[37, 0] < p[38, 0] < p[39, 0] < p[42, 0] < p[43, 0] < p[44, 0] < p[45, 0]
    assert p[40, 0] > p[41, 0]
    assert p[46, 0] > p[47, 0]
    assert (np.diff(p[48:55, 0]) > 0).all()
    assert (np.diff(p[54:60, 0]) < 0).all()
    assert p[57, 1] > p[66, 1] > p[62, 1] - 1e-9
    assert p[62, 1] > p[51, 1]


def test_an_imm_face_has_its_nose_tip_at_52():
    rng = np.random.default_rng(0)
    parts = {"identity": sample_identity(rng), "look": sample_look(rng), "expression": sample_expression(rng)}
    camera = Camera(yaw=10, pitch=2, roll=5, scale_px=20, centre_xy=(32, 32), distance=8)
    _, ibug = render(rng, size_hw=(64, 64), layout="ibug68", camera=camera, **parts)
    _, imm = render(rng, size_hw=(64, 64), layout="imm58", camera=camera, **parts)
    assert np.allclose(imm[52], ibug[30])
    assert np.allclose(imm[[0, 6, 12, 13, 17, 21, 39, 43]], ibug[[0, 8, 16, 36, 39, 42, 48, 54]])


@pytest.mark.parametrize("place", [(20.0, 20.0), (20.5, 31.25), (11.3, 40.9)])
def test_what_is_drawn_at_a_place_lies_at_that_place(place):
    canvas = Canvas((64, 64))
    canvas.dot(np.array(place), radius_px=3.2, colour=(255, 255, 255))
    picture = canvas.finish()[..., 0].astype(float)
    rows, columns = np.mgrid[0:64, 0:64]
    centre = [(picture * index_to_continuous(axis)).sum() / picture.sum() for axis in (columns, rows)]
    assert np.allclose(centre, place, atol=0.06)


def test_smooth_curves_pass_through_their_points():
    points = np.random.default_rng(0).uniform(0, 10, (7, 2))
    assert np.allclose(smooth_closed(points, steps=5)[::5], points)
    assert np.allclose(smooth_open(points, steps=5)[::5], points)


def test_the_upper_lids_of_the_pictures_lie_where_the_labels_say():
    """The lids are dark lines: moved by d pixels along y, the labels must see the darkest pixels at d = 0."""
    shifts = np.arange(-4, 4.01, 0.5)
    seen = np.zeros(len(shifts))
    for seed in range(60):
        rng = np.random.default_rng(seed)
        look = replace(sample_look(rng), glasses="none", hat="none", hair_style="bald")
        camera = replace(sample_camera(rng, size_hw=(128, 128)), yaw=0, pitch=0, roll=0)
        expression = replace(sample_expression(rng), eye_close=0.0)
        picture, points = render(
            rng, size_hw=(128, 128), layout="ibug68", identity=sample_identity(rng), look=look, camera=camera,
            expression=expression,
        )  # fmt: skip
        grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32)
        lids = points[[37, 38, 43, 44]]
        for at, shift in enumerate(shifts):
            xy = (lids + np.array([0.0, shift]) - 0.5).astype(np.float32)
            seen[at] += cv2.remap(grey, xy[:, 0], xy[:, 1], cv2.INTER_LINEAR).mean()
    darkest = int(seen[(shifts > -2.5) & (shifts < 1.5)].argmin()) + int((shifts <= -2.5).sum())
    assert abs(shifts[darkest]) <= 0.5, dict(zip(shifts, seen.round(), strict=True))


def test_a_written_table_holds_the_points_of_the_pictures(tmp_path):
    root = write_drawn_faces(tmp_path / "faces", count=6, seed=11, size=64)
    rows = list(csv.DictReader((root / "landmarks.csv").open()))
    assert [row["split"] for row in rows] == ["train"] * 4 + ["val", "train"]
    for index, row in enumerate(rows):
        picture, points = draw_face(np.random.default_rng([11, index]), size=64)
        stored = index_to_continuous(np.array([[float(row[f"{a}{k}"]) for a in "xy"] for k in range(68)]))
        assert np.allclose(stored, points, atol=6e-4)
        read = cv2.imread(str(root / row["file"]))[..., ::-1]
        assert (int(row["height"]), int(row["width"])) == read.shape[:2]
        assert np.abs(read.astype(int) - picture).mean() < 8
    assert sorted(p.name for p in root.iterdir()) == ["landmarks.csv", "pictures"], "no temporary file is left"


def test_a_written_imm_set_has_persons_views_and_the_count_on_line_10(tmp_path):
    root = write_drawn_faces(tmp_path, count=13, seed=0, size=48, layout="imm58")
    files = sorted(root.glob("*.asf"))
    assert len(files) == 13
    assert len({f.stem[:2] for f in files}) == 3
    assert len({f.stem[:2] + f.stem[-1] for f in files}) == 3, "one sex for each person"
    for file in files:
        lines = file.read_text().splitlines()
        assert lines[9] == "58"
        assert lines[-1] == f"{file.stem}.jpg"
        assert (root / lines[-1]).exists()
        points = np.array([[float(v) for v in line.split("\t")[2:4]] for line in lines[16:74]])
        assert points.shape == (58, 2)
        assert points.min() > -0.2
        assert points.max() < 1.2


def test_a_data_set_is_the_beginning_of_a_longer_one_with_the_same_seed(tmp_path):
    short = write_drawn_faces(tmp_path / "short", count=2, seed=5, size=32)
    long = write_drawn_faces(tmp_path / "long", count=3, seed=5, size=32)
    assert (long / "landmarks.csv").read_text().startswith((short / "landmarks.csv").read_text())


@pytest.mark.parametrize(
    ("wish", "words"),
    [({"count": 0}, "0 faces"), ({"size": 8}, "8 pixels"), ({"layout": "ibug86"}, "Did you mean 'ibug68'")],
)
def test_wishes_that_cannot_be_met_are_refused(tmp_path, wish, words):
    with pytest.raises(UserError, match=words):
        write_drawn_faces(tmp_path / "x", **{"count": 1, "seed": 0, **wish})
    assert not (tmp_path / "x").exists()


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    blocker = tmp_path / "file"
    blocker.write_text("here first")
    with pytest.raises(UserError, match="file"):
        write_drawn_faces(Path(blocker) / "faces", count=1, seed=0)
    assert blocker.read_text() == "here first"
