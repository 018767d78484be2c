from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from sightline.readers.assemble import Findings
from sightline.readers.class_names import check_classes, class_order, read_class_list
from sightline.records import Objects, Record


def told(counts: dict[str, int], *, val: dict[str, int] | None = None, id: str = "box-class-similar") -> list[str]:
    """The messages of one kind for classes with so many objects in the one part (and in the other)."""
    classes = tuple(dict.fromkeys([*counts, *(val or {})]))
    findings = Findings()
    parts = [("train", counts)] + ([("val", val)] if val is not None else [])
    records = [record(part, [classes.index(n) for n, c in some.items() for _ in range(c)]) for part, some in parts]
    check_classes(records, classes=classes, findings=findings, where="set")
    return [problem.message for problem in findings.problems if problem.id == id]


def record(split: str, labels: list[int]) -> Record:
    boxes = np.tile([0.0, 0, 1, 1], (len(labels), 1))
    return Record(image_id=split, path=Path(split), objects=Objects.of(boxes, np.array(labels)), split=split)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("RBC", "rbc"),
        ("traffic light", "traffic_light"),
        ("Traffic-Light", "trafficlight"),
        ("cat", "cat."),
        ("Stra\u00dfe", "STRASSE"),
    ],
)
def test_names_that_differ_in_case_or_spacing_are_told_whatever_their_counts(one, other):
    (message,) = told({one: 5, other: 7})
    assert f"'{one}' (5 objects) and '{other}' (7 objects) differ only in case or spacing" in message


@pytest.mark.parametrize(
    ("one", "other"),
    [("airplane", "airplne"), ("airplane", "aeroplane"), ("platelet", "platelets"), ("giraffe", "girafef")],
)
def test_slips_are_told_where_one_is_rare(one, other):
    assert len(told({one: 100, other: 2})) == 1
    assert told({one: 100, other: 90}) == []


def test_slips_are_told_where_the_names_never_meet_in_one_part():
    assert len(told({"airplane": 10}, val={"airplne": 9})) == 1
    assert told({"airplane": 10, "airplne": 9}, val={"airplne": 9}) == []


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("cat", "car"),
        ("class 1", "class 2"),
        ("plate_10", "plate_11"),
        ("bear", "pear"),
        ("horse", "zebra"),
        ("mousetrap", "mountain"),
    ],
)
def test_different_names_are_left_alone(one, other):
    assert told({one: 100, other: 2}) == []


def test_classes_without_objects_and_of_one_part_are_told_together():
    unused = told({"a": 3, "b": 0, "c": 0}, id="box-class-unused")
    assert unused == ["2 of 3 classes have no object: b, c"]
    one_part = told({"a": 3, "b": 1}, val={"a": 1, "c": 2}, id="box-class-one-part")
    assert [message.rsplit(": ", 1)[1] for message in one_part] == ["b", "c"]
    assert "not in val, so no figure" in one_part[0]
    assert "not in train, so they cannot be learned" in one_part[1]
    assert told({"a": 3, "b": 1}, id="box-class-one-part") == []


def test_long_lists_are_cut():
    (message,) = told({f"n{i}": 0 for i in range(40)} | {"a": 1}, id="box-class-unused")
    assert message.endswith("n11 and 28 more")


def test_names_are_sorted_as_people_count_unless_a_list_says_otherwise(tmp_path):
    assert class_order(["b10", "b9", "a", "b10"]) == ("a", "b9", "b10")
    assert class_order(["x", "a"], listed=["z", "a", "z"]) == ("z", "a", "x")
    (tmp_path / "classes.txt").write_text("\ufeffz\n\n a \nz\n", encoding="utf-8")
    assert read_class_list([tmp_path / "gone.txt", tmp_path / "classes.txt"]) == ("z", "a")
    assert read_class_list([tmp_path / "gone.txt"]) == ()
