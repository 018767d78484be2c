from __future__ import annotations

import json
from importlib.resources import files

import pytest

from sightline.errors import UserError
from sightline.skeletons import known_names, skeleton, skeleton_for, skeleton_from_names


@pytest.mark.parametrize("name", known_names())
def test_every_known_skeleton_flips_to_itself_when_flipped_twice(name: str) -> None:
    known = skeleton(name)
    index = known.flip_index
    assert [index[i] for i in index] == list(range(len(known)))
    assert len({i for pair in known.flip_pairs for i in pair}) == 2 * len(known.flip_pairs)


@pytest.mark.parametrize(("name", "count", "tip"), [("ibug68", 68, 30), ("imm58", 58, 52)])
def test_the_known_skeletons_have_their_counts_and_nose_tips(name: str, count: int, tip: int) -> None:
    known = skeleton(name)
    assert len(known) == count
    assert known.names[tip] == "nose_tip"
    assert known.flip_index[tip] == tip


def test_ibug_twins_are_the_usual_ones() -> None:
    index = skeleton("ibug68").flip_index
    assert index[0] == 16
    assert index[8] == 8
    assert [index[i] for i in range(36, 42)] == [45, 44, 43, 42, 47, 46]
    assert [index[i] for i in range(48, 60)] == [54, 53, 52, 51, 50, 49, 48, 59, 58, 57, 56, 55]
    assert [index[i] for i in range(60, 68)] == [64, 63, 62, 61, 60, 67, 66, 65]


def test_imm_midline_points_have_no_twin() -> None:
    known = skeleton("imm58")
    single = [i for i, other in enumerate(known.flip_index) if i == other]
    assert single == [6, 41, 45, 52]


def test_the_imm_file_says_what_is_inferred() -> None:
    data = json.loads(files("sightline.skeletons").joinpath("imm58.json").read_text())
    assert "inferred" in data["notes"]


def test_an_unknown_skeleton_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(UserError, match="ibug68"):
        skeleton("ibug86")


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("left_eye", "right_eye"),
        ("leftear", "rightear"),
        ("EyeLeft", "EyeRight"),
        ("eye_l", "eye_r"),
        ("L.eye", "R.eye"),
        ("lEye", "rEye"),
        ("LHip", "RHip"),
        ("eyeL", "eyeR"),
        ("ear-Left-1", "ear-Right-1"),
        ("paw1LH_top", "paw4RH_top"),
        ("LF", "RF"),
        ("LEFT_HIP", "RIGHT_HIP"),
    ],
)
def test_twins_are_found_from_names(first: str, second: str) -> None:
    found = skeleton_from_names(["nose", first, "tail", second])
    assert found.flip_pairs == ((1, 3),)
    assert found.edges == ()


@pytest.mark.parametrize(
    "names",
    [
        ["bright", "ear", "rear", "lear"],
        ["left_eye", "nose"],
        ["paw1LH", "paw2LH", "paw3RH"],
        ["point_0", "point_1"],
        ["tail", "nose", "ball"],
    ],
)
def test_no_twins_are_made_up(names: list[str]) -> None:
    assert skeleton_from_names(names).flip_pairs == ()


def test_four_paws_pair_within_their_row() -> None:
    names = ["paw1LH_top", "paw2LF_top", "paw3RF_top", "paw4RH_top", "paw1LH_bot", "paw4RH_bot"]
    assert skeleton_from_names(names).flip_pairs == ((0, 3), (1, 2), (4, 5))


def test_names_of_a_known_skeleton_bring_its_pairs_in_any_order() -> None:
    known = skeleton("ibug68")
    assert skeleton_for(known.names) == known
    assert skeleton_for(["nose_tip", "mouth_outer_6", "mouth_outer_1", "mouth_outer_0"]).flip_pairs == ((3, 1),)


@pytest.mark.parametrize("name", known_names())
def test_twins_named_left_and_right_are_the_pairs_of_the_file(name: str) -> None:
    known = skeleton(name)
    by_name = skeleton_from_names(known.names).flip_pairs
    sided = {tuple(sorted(p)) for p in known.flip_pairs if "left" in known.names[p[0]] or "right" in known.names[p[0]]}
    assert set(by_name) == sided
