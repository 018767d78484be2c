from __future__ import annotations

import numpy as np
import pytest

from sightline.metrics.normalisers import eye_points, normalisers, outer_eye_corners
from sightline.records import Skeleton
from sightline.skeletons import skeleton

KAGGLE = (
    "left_eye_center",
    "right_eye_center",
    "left_eye_inner_corner",
    "left_eye_outer_corner",
    "right_eye_inner_corner",
    "right_eye_outer_corner",
    "left_eyebrow_inner_end",
    "left_eyebrow_outer_end",
    "right_eyebrow_inner_end",
    "right_eyebrow_outer_end",
    "nose_tip",
)


def test_the_outer_eye_corners_of_ibug_are_45_and_36() -> None:
    assert outer_eye_corners(skeleton("ibug68")) == (45, 36)


def test_the_eyes_of_ibug_are_42_to_47_and_36_to_41() -> None:
    left, right = eye_points(skeleton("ibug68"))
    assert sorted(left) == list(range(42, 48))
    assert sorted(right) == list(range(36, 42))


def test_the_eyes_of_imm_are_found() -> None:
    assert outer_eye_corners(skeleton("imm58")) == (13, 21)
    assert eye_points(skeleton("imm58")) == (tuple(range(13, 21)), tuple(range(21, 29)))


def test_corners_alone_give_the_interocular_distance_but_no_eye_centres() -> None:
    corners = skeleton("ibug68").select([30, 45, 36])
    assert outer_eye_corners(corners) == (1, 2)
    assert eye_points(corners) is None


def test_a_face_without_eyes_has_neither() -> None:
    mouth = skeleton("ibug68").select(range(48, 68))
    assert outer_eye_corners(mouth) is None
    assert eye_points(mouth) is None


def test_names_of_other_label_files_are_understood_and_brows_are_not_eyes() -> None:
    points = Skeleton(names=KAGGLE)
    assert outer_eye_corners(points) == (3, 5)
    assert eye_points(points) == ((0,), (1,))


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("left_eye", "right_eye"),
        ("EyeLeft", "EyeRight"),
        ("lefteye", "righteye"),
        ("L_pupil", "R_pupil"),
        ("lEye", "rEye"),
    ],
)
def test_single_eye_points_are_found_by_name(left: str, right: str) -> None:
    assert eye_points(Skeleton(names=("nose", left, right))) == ((1,), (2,))


@pytest.mark.parametrize(
    "names",
    [
        ("snout", "leftear", "rightear", "tailbase"),
        ("point_0", "point_1"),
        ("left_eye", "nose"),
        ("eye_left_1", "eye_left_2", "eye_right_1", "eye_right_2", "horn"),
        ("left_eye_outer", "nose"),
    ],
)
def test_nothing_is_guessed_where_names_do_not_tell(names: tuple[str, ...]) -> None:
    assert outer_eye_corners(Skeleton(names=names)) is None
    assert eye_points(Skeleton(names=names)) is None


def test_the_lengths_are_those_computed_by_hand() -> None:
    names = ("left_eye_outer", "right_eye_outer", "left_eye", "right_eye", "chin")
    truth = np.array([[[30.0, 4.0], [0.0, 4.0], [23.0, 4.0], [7.0, 4.0], [10.0, 44.0]]])
    visible = np.ones((1, 5), dtype=bool)
    found = normalisers(truth, visible, skeleton=Skeleton(names=names), boxes=[(0, 0, 8, 2)], sizes_hw=[(30, 40)])
    lengths = {name: float(one.length_px[0]) for name, one in found.items()}
    assert lengths == pytest.approx(
        {
            "interocular": 30.0,
            "interpupil": 16.0,
            "box": np.sqrt(30 * 40),
            "diagonal": 50.0,
            "label_box": 4.0,
            "image": 50.0,
        }
    )
    assert all(one.valid.all() for one in found.values())


def test_the_box_is_that_of_the_visible_points() -> None:
    truth = np.array([[[0.0, 0.0], [3.0, 4.0], [900.0, 900.0]]])
    visible = np.array([[True, True, False]])
    found = normalisers(truth, visible, skeleton=Skeleton(names=("a", "b", "c")))
    assert set(found) == {"box", "diagonal"}
    assert found["diagonal"].length_px[0] == 5.0


def test_pictures_that_lack_a_length_are_masked() -> None:
    truth = np.array([[[0.0, 0.0], [3.0, 0.0]], [[0.0, 0.0], [3.0, 4.0]], [[0.0, 0.0], [3.0, 4.0]]])
    visible = np.array([[True, True], [True, False], [False, False]])
    points = Skeleton(names=("left_eye", "right_eye"))
    found = normalisers(truth, visible, skeleton=points, boxes=[None, (0, 0, 0, 5), (0, 0, 2, 2)], sizes_hw=[None] * 3)
    assert {name: one.valid.tolist() for name, one in found.items()} == {
        "interpupil": [True, False, False],
        "box": [False, False, False],
        "diagonal": [True, False, False],
        "label_box": [False, False, True],
        "image": [False, False, False],
    }


def test_a_single_point_has_no_box() -> None:
    found = normalisers(np.ones((1, 1, 2)), np.ones((1, 1), dtype=bool), skeleton=Skeleton(names=("ball",)))
    assert found == {}
