from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from sightline.readers import check_flip_order
from sightline.records import Dataset, Objects, Record, Skeleton

FACE = np.array([[10.0, 10], [30, 10], [20, 22], [13, 32], [27, 32]])
SKELETON = Skeleton(names=("le", "re", "nose", "lm", "rm"), flip_pairs=((0, 1), (3, 4)))


def faces(count, *, swapped=(), skeleton=SKELETON, hide=False):
    rng = np.random.default_rng(0)
    records = []
    for index in range(count):
        angle = rng.uniform(-0.6, 0.6)
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        points = (FACE - 20) @ turn.T * rng.uniform(0.5, 2) + rng.uniform(10, 40, 2) + rng.normal(0, 0.4, (5, 2))
        if index in swapped:
            points = points[list(SKELETON.flip_index)]
        visible = np.ones(5, dtype=bool)
        if hide and index % 3 == 0:
            visible[index % 5] = False
        points = np.where(visible[:, None], points, 0)
        name = f"{index}.png"
        records.append(Record(image_id=name, path=Path(name), points_xy=points, visible=visible, source=name))
    return Dataset(root=Path(), format="test", records=tuple(records), skeleton=skeleton)


def test_swapped_faces_are_found_and_no_others():
    for swapped in ({3}, {0}, {0, 1, 5, 9, 11}):
        problems = check_flip_order(faces(24, swapped=swapped))
        assert {problem.image_id for problem in problems} == {f"{index}.png" for index in swapped}
        assert {(problem.id, problem.severity) for problem in problems} <= {("points-swapped", "warning")}


def test_hidden_points_do_not_matter():
    problems = check_flip_order(faces(30, swapped={4, 7}, hide=True))
    assert [problem.image_id for problem in problems] == ["4.png", "7.png"]


def test_a_clean_data_set_gives_no_warning():
    assert check_flip_order(faces(30)) == []


def test_nothing_is_said_without_pairs_or_with_few_records():
    assert check_flip_order(faces(20, swapped={1}, skeleton=replace(SKELETON, flip_pairs=()))) == []
    assert check_flip_order(faces(4, swapped={1})) == []
    assert check_flip_order(faces(0)) == []


def test_data_sets_of_boxes_have_no_sides_to_swap():
    boxes = Objects.of(np.array([[1.0, 2, 3, 4]]), np.array([0]))
    records = [Record(image_id=f"{i}.png", path=Path(f"{i}.png"), objects=boxes) for i in range(8)]
    assert check_flip_order(Dataset(root=Path(), format="coco", records=tuple(records), classes=("cell",))) == []
