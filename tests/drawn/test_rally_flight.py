"""Flight, cameras and strokes against closed forms and hand-computed cases."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from sightline.drawn.rally_camera import Camera, CameraPose, training_pose, unseen_pose
from sightline.drawn.rally_court import court_lines
from sightline.drawn.rally_flight import BALL, GRAVITY, SHUTTLE, Body, fly
from sightline.drawn.rally_play import Play
from sightline.drawn.rally_shots import RULES, STYLES, launch
from sightline.errors import UserError

AIRLESS = Body(terminal_velocity=math.inf, radius=0.0, bounce=0.5, grip=1.0)


def flown(body, position, velocity, *, longest=3.0):
    return fly(
        body, position=np.array(position, float), velocity=np.array(velocity, float), start=0.0, net_height=None,
        longest=longest,
    )  # fmt: skip


def test_without_air_the_way_is_a_parabola():
    flight = flown(AIRLESS, (0, 0, 1), (3, 4, 6), longest=1.2)
    times = np.linspace(0, 1.2, 77)
    place, velocity = flight.at(times)
    expected = np.stack([3 * times, 4 * times, 1 + 6 * times - GRAVITY / 2 * times**2], axis=1)
    np.testing.assert_allclose(place, expected, atol=1e-9)
    np.testing.assert_allclose(velocity[:, 2], 6 - GRAVITY * times, atol=1e-9)


def test_a_fall_from_rest_follows_the_hyperbolic_tangent():
    # dv/dt = g (1 - v^2 / vt^2) has v = vt tanh(g t / vt) and a depth of vt^2 / g ln cosh(g t / vt).
    flight = flown(SHUTTLE, (0, 0, 30), (0, 0, 0))
    times = np.linspace(0, 3, 40)
    place, velocity = flight.at(times)
    vt = SHUTTLE.terminal_velocity
    np.testing.assert_allclose(-velocity[:, 2], vt * np.tanh(GRAVITY * times / vt), atol=2e-5)
    np.testing.assert_allclose(30 - place[:, 2], vt**2 / GRAVITY * np.log(np.cosh(GRAVITY * times / vt)), atol=1e-6)
    assert -velocity[-1, 2] == pytest.approx(6.8, abs=0.01)


def test_a_smash_agrees_with_an_adaptive_solver():
    start = np.array([0, -5, 2.7, 6, 88, -14.0])
    flight = flown(SHUTTLE, start[:3], start[3:], longest=0.25)

    def pull(_, state):
        v = state[3:]
        drag = -GRAVITY / 6.8**2 * np.linalg.norm(v) * v
        return np.concatenate([v, drag - [0, 0, GRAVITY]])

    times = np.linspace(0, 0.2, 30)
    exact = solve_ivp(pull, (0, 0.2), start, t_eval=times, rtol=1e-11, atol=1e-11).y.T
    np.testing.assert_allclose(flight.at(times)[0], exact[:, :3], atol=2e-4)


def test_a_bounce_keeps_its_share_and_the_ball_stops_on_the_ground():
    flight = flown(BALL, (0, 0, 1.0), (0, 3, 0), longest=12)
    bounces = np.flatnonzero(np.diff(flight.times) == 0)
    before, after = flight.velocities[bounces[0]], flight.velocities[bounces[0] + 1]
    assert after[2] == pytest.approx(-BALL.bounce * before[2])
    assert after[1] == pytest.approx(BALL.grip * before[1])
    assert flight.positions[bounces[0], 2] == pytest.approx(BALL.radius, abs=1e-4)
    assert flight.comes_to_rest
    assert flight.positions[-1, 2] == pytest.approx(BALL.radius, abs=1e-3)
    assert flight.positions[:, 2].min() > BALL.radius - 1e-3


def test_the_net_stops_what_is_too_low():
    rules = RULES["shuttle"]
    low = fly(
        SHUTTLE,
        position=np.array([0, -3, 1.3]),
        velocity=np.array([0, 20, 0.0]),
        start=0.0,
        net_height=rules.net_height,
    )
    assert low.positions[:, 1].max() < 0
    assert low.comes_to_rest
    high = fly(
        SHUTTLE,
        position=np.array([0, -3, 1.3]),
        velocity=np.array([0, 20, 8.0]),
        start=0.0,
        net_height=rules.net_height,
    )
    assert high.positions[-1, 1] > 1


@pytest.mark.parametrize("name", ["clear", "smash", "net", "ground stroke", "serve"])
def test_strokes_clear_the_net_and_land_where_they_aim(name):
    kind = "ball" if name in ("ground stroke", "serve") else "shuttle"
    rules, style = RULES[kind], STYLES[name]
    height = {"net": 1.0, "smash": 2.7, "clear": 2.5, "serve": 2.7, "ground stroke": 1.0}[name]
    origin = np.array([0.5, -0.6 if name == "net" else -(1.0 if name == "serve" else 0.75) * rules.half_length, height])
    target = np.array([-0.8, np.mean(style.depth) * rules.half_length])
    rng = np.random.default_rng(1)
    velocity = launch(rules, origin=origin, target_xy=target, style=style, fails=False, rng=rng)
    flight = fly(rules.body, position=origin, velocity=velocity, start=0.0, net_height=rules.net_height)
    first = int(np.flatnonzero(flight.positions[:, 2] < rules.body.radius + 1e-3)[0])
    assert np.linalg.norm(flight.positions[first, :2] - target) < 0.6
    assert style.speed[0] * 0.95 < np.linalg.norm(velocity) < style.speed[1] * 1.05


def test_a_camera_projects_points_as_computed_by_hand():
    # 20 m behind the net and 5 m high, looking level: a point 10 m ahead, 1 m to the right, 2 m below the lens.
    pose = CameraPose(azimuth_deg=0, distance_m=20, height_m=5, fov_deg=90, aim_xyz=(0, 0, 5))
    camera = Camera(pose=pose, size_hw=(1080, 1920))
    pixel, depth = camera.project(np.array([1.0, -10.0, 3.0]))
    assert depth == pytest.approx(10)
    np.testing.assert_allclose(pixel, [960 + 96, 540 + 192])  # the focal length is 960 pixels
    other = Camera(
        pose=CameraPose(azimuth_deg=180, distance_m=20, height_m=5, fov_deg=90, aim_xyz=(0, 0, 5)), size_hw=(1080, 1920)
    )
    np.testing.assert_allclose(other.project(np.array([1.0, 10.0, 3.0]))[0], [960 - 96, 540 + 192])
    rolled = Camera(
        pose=CameraPose(azimuth_deg=0, distance_m=20, height_m=5, fov_deg=90, roll_deg=90, aim_xyz=(0, 0, 5)),
        size_hw=(1080, 1920),
    )  # a quarter turn clockwise: what was right is now below
    np.testing.assert_allclose(rolled.project(np.array([1.0, -10.0, 5.0]))[0], [960, 540 + 96], atol=1e-9)
    assert camera.project(np.array([0.0, -30.0, 5.0]))[1] < 0


def test_a_margin_shifts_and_a_size_scales():
    pose = training_pose(np.random.default_rng(0))
    points = np.random.default_rng(1).uniform(-3, 3, (20, 3))
    full = Camera(pose=pose, size_hw=(1080, 1920)).project(points)[0]
    np.testing.assert_allclose(Camera(pose=pose, size_hw=(540, 960)).project(points)[0], full / 2)
    np.testing.assert_allclose(Camera(pose=pose, size_hw=(1080, 1920), margin_px=7).project(points)[0], full + 7)


@pytest.mark.parametrize("kind", ["shuttle", "ball"])
def test_training_cameras_see_the_court_and_unseen_ones_differ(kind):
    rules = RULES[kind]
    corners = np.array([[x, y, 0.0] for x in (-1, 1) for y in (-1, 1)]) * [rules.half_width, rules.half_length, 1]
    trained = [training_pose(np.random.default_rng(seed), kind=kind) for seed in range(60)]
    for pose in trained:
        pixels, depth = Camera(pose=pose, size_hw=(1080, 1920)).project(corners)
        assert depth.min() > 0
        assert (pixels[:, 1] > 0).all() and (pixels[:, 1] < 1080).all()
        assert (np.abs(pixels[:, 0] - 960) < 1150).all()

    def place(pose):
        return np.array([abs(pose.azimuth_deg), pose.height_m, math.tan(math.radians(pose.fov_deg) / 2)])

    known = np.stack([place(pose) for pose in trained])
    low, high = known.min(axis=0), known.max(axis=0)
    outside = 0
    for seed in range(60):
        pose = unseen_pose(np.random.default_rng(seed), kind=kind)
        # The zoom is told by how much of the court's width is seen; distance and field of view make it up together.
        near = rules.half_width / (pose.distance_m - rules.half_length) / math.tan(math.radians(pose.fov_deg) / 2)
        widths = [
            rules.half_width / (p.distance_m - rules.half_length) / math.tan(math.radians(p.fov_deg) / 2)
            for p in trained
        ]
        differs = (place(pose)[:2] < low[:2]).any() or (place(pose)[:2] > high[:2]).any()
        outside += differs or not min(widths) <= near <= max(widths)
    assert outside == 60


def test_impossible_cameras_and_kinds_are_refused():
    with pytest.raises(UserError, match="cannot be drawn"):
        CameraPose(azimuth_deg=0, distance_m=0.1, height_m=5, fov_deg=50)
    with pytest.raises(UserError, match="Did you mean 'shuttle'"):
        training_pose(np.random.default_rng(0), kind="shutle")


@pytest.mark.parametrize(("kind", "length", "width"), [("shuttle", 13.40, 6.10), ("ball", 23.77, 10.97)])
def test_courts_have_their_official_size(kind, length, width):
    lines = np.array(court_lines(kind))
    assert np.ptp(lines[:, [1, 3]]) == pytest.approx(length)
    assert np.ptp(lines[:, [0, 2]]) == pytest.approx(width)


@pytest.mark.parametrize("kind", ["shuttle", "ball"])
def test_a_match_goes_on_without_jumps_in_play(kind):
    match = Play(kind=kind, rng=np.random.default_rng(4), pairs=False)
    times = np.arange(0, 20, 1 / 120)
    played = [match.state(np.array([time])) for time in times]
    places = np.stack([place[0] for place, _, _ in played])
    in_play = np.array([playing for _, _, playing in played])
    steps = np.linalg.norm(np.diff(places, axis=0), axis=1)
    together = in_play[1:] & in_play[:-1]
    assert steps[together].max() < 100 / 120
    assert places[:, 2].min() > 0
    assert 0.3 < in_play.mean() < 1
    over_net = np.flatnonzero(np.diff(np.sign(places[:, 1])) != 0)
    assert len(over_net) > 5  # it goes to and fro
    directions = np.stack([direction for _, direction, _ in played])
    np.testing.assert_allclose(np.linalg.norm(directions, axis=1), 1, atol=1e-2)


def test_rackets_are_where_the_shuttle_is_struck():
    from sightline.drawn.rally_figure import stance

    match = Play(kind="shuttle", rng=np.random.default_rng(2), pairs=True)
    gaps, last = [], None
    for time in np.arange(0, 20, 1 / 120):
        match.state(np.array([time]))
        for player in match.players:
            swing = player.swing
            if swing is not None and swing is not last and 0 <= time - swing.time < 1 / 120:
                last = swing
                body = stance(player, times=np.array([swing.time]), height_m=1.78, girth=1.0, phase=0.0)
                gaps.append(float(np.linalg.norm(body.joints["racket"][0] - swing.point)))
    assert len(gaps) > 5
    assert np.median(gaps) < 0.15
