"""Joining two labelled data sets: nothing is lost, conflicts are told, the originals stay as they are."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from sightline.errors import UserError
from sightline.labelling.merge import merge_datasets
from sightline.readers import read_dataset
from sightline.records import Dataset, Objects, Record, Skeleton
from sightline.writers import BOX_WRITERS, WRITERS, boxes_from_dataset, dataset_to_predictions
from sightline.writers.pictures import place_pictures

HW = (48, 64)
POINTS = Skeleton(names=("nose", "tail", "paw"))


def picture(path: Path, *, seed: int) -> Path:
    """Noise that is told apart by bytes and by look."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        small = np.random.default_rng(seed).integers(0, 255, (6, 8, 3), dtype=np.uint8)
        Image.fromarray(np.kron(small, np.ones((8, 8, 1), np.uint8))).save(path)
    return path


def with_points(root: Path, name: str, seed: int, xy: dict[int, tuple[float, float]], count: int = 3) -> Record:
    points, visible = np.zeros((count, 2)), np.zeros(count, dtype=bool)
    for index, place in xy.items():
        points[index], visible[index] = place, True
    path = picture(root / name, seed=seed)
    return Record(image_id=name, path=path, points_xy=points, visible=visible, size_hw=HW, source=name)


def with_boxes(root: Path, name: str, seed: int, boxes: list[tuple[tuple[float, ...], int]]) -> Record:
    objects = Objects.of(np.array([b for b, _ in boxes]), np.array([label for _, label in boxes]))
    return Record(
        image_id=name, path=picture(root / name, seed=seed), objects=objects, size_hw=HW, source=name
    )  # fmt: skip


def of_points(root: Path, *records: Record, names: tuple[str, ...] = POINTS.names) -> Dataset:
    return Dataset(root=root, format="landmark_csv", records=records, skeleton=Skeleton(names=names))


def of_boxes(root: Path, *records: Record, classes: tuple[str, ...] = ("cat", "dog")) -> Dataset:
    return Dataset(root=root, format="coco", records=records, classes=classes)


def labels(dataset: Dataset) -> set[tuple]:
    """Every label as (the picture's bytes, name, place to a tenth of a pixel)."""
    found = set()
    for record in dataset.records:
        look = record.path.read_bytes()
        for index in np.flatnonzero(record.visible):
            place = tuple(record.points_xy[index].round(1).tolist())
            found.add((look, dataset.skeleton.names[index], place))
        if record.objects is not None:
            for box, label in zip(record.objects.boxes_xyxy, record.objects.labels, strict=True):
                found.add((look, dataset.classes[label], tuple(box.round(1).tolist())))
    return found


# ---- nothing is lost

places = st.tuples(st.integers(1, 60), st.integers(1, 45)).map(lambda xy: (float(xy[0]), float(xy[1])))
some_points = st.dictionaries(st.integers(0, 2), places)
many_points = st.dictionaries(st.integers(0, 7), some_points, max_size=6)
one_box = st.tuples(st.integers(0, 30), st.integers(0, 20), st.integers(2, 20), st.integers(2, 20), st.integers(0, 1))
many_boxes = st.dictionaries(st.integers(0, 7), st.lists(one_box, max_size=3, unique=True), max_size=6)
relaxed = settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])


def box_records(root: Path, drawn: dict[int, list]) -> list[Record]:
    return [
        with_boxes(root, f"{n}.png", n, [((x, y, x + w, y + h), label) for x, y, w, h, label in rows])
        for n, rows in drawn.items()
    ]


@relaxed
@given(many_points, many_points, st.sampled_from(["newer", "older"]))
def test_no_point_of_either_is_lost_but_those_decided_against(tmp_path: Path, first: dict, second: dict, rule: str):
    old = of_points(tmp_path, *(with_points(tmp_path / "a", f"{n}.png", n, xy) for n, xy in first.items()))
    new = of_points(tmp_path, *(with_points(tmp_path / "b", f"{n}.png", n, xy) for n, xy in second.items()))
    made = merge_datasets(old, new, on_conflict=rule)  # type: ignore[arg-type]
    disputed = {text.split(" ")[0] for text in made.conflicts}
    lost = (labels(old) | labels(new)) - labels(made.dataset)
    names = {picture(tmp_path / "a" / f"{n}.png", seed=n).read_bytes(): f"{n}.png" for n in {*first, *second}}
    assert {names[look] for look, *_ in lost} <= disputed
    assert labels(made.dataset) <= labels(old) | labels(new)
    kept = old if rule == "older" else new
    assert {one for one in labels(kept) if names[one[0]] in disputed} <= labels(made.dataset)
    for n in set(first) & set(second):  # a conflict is what both say differently, or one denies
        a, b = first[n], second[n]
        differ = any(a[k] != b[k] for k in a.keys() & b.keys()) or bool(a.keys() - b.keys())
        assert (f"{n}.png" in disputed) == (bool(a) and bool(b) and differ)


@relaxed
@given(many_boxes, many_boxes, st.sampled_from(["newer", "older"]))
def test_no_box_of_either_is_lost_but_those_decided_against(tmp_path: Path, first: dict, second: dict, rule: str):
    old, new = (
        of_boxes(tmp_path, *box_records(tmp_path / "a", first)),
        of_boxes(tmp_path, *box_records(tmp_path / "b", second)),
    )
    made = merge_datasets(old, new, on_conflict=rule)  # type: ignore[arg-type]
    disputed = {text.split(" ")[0] for text in made.conflicts}
    names = {picture(tmp_path / "a" / f"{n}.png", seed=n).read_bytes(): f"{n}.png" for n in {*first, *second}}
    lost = (labels(old) | labels(new)) - labels(made.dataset)
    assert {names[look] for look, *_ in lost} <= disputed
    assert labels(made.dataset) <= labels(old) | labels(new)
    assert len({record.path for record in made.dataset.records}) == len({*first, *second})
    assert disputed == {f"{n}.png" for n in set(first) & set(second) if set(first[n]) != set(second[n])}


@relaxed
@given(many_boxes, many_boxes)
def test_conflicts_are_refused_unless_decided_and_else_both_are_whole(tmp_path: Path, first: dict, second: dict):
    old, new = (
        of_boxes(tmp_path, *box_records(tmp_path / side, drawn)) for side, drawn in (("a", first), ("b", second))
    )
    differ = [n for n in set(first) & set(second) if set(first[n]) != set(second[n])]
    if differ:
        with pytest.raises(UserError, match="labelled differently"):
            merge_datasets(old, new)
    else:
        assert labels(merge_datasets(old, new).dataset) == labels(old) | labels(new)


# ---- which pictures are the same


def test_a_picture_is_known_by_its_bytes_whatever_it_is_called(tmp_path: Path) -> None:
    old = of_points(tmp_path, with_points(tmp_path / "a", "set/one.png", 1, {0: (5, 5)}))
    new = of_points(tmp_path, with_points(tmp_path / "b", "1a2b3c4d-other.png", 1, {0: (5, 5), 1: (9, 9)}))
    made = merge_datasets(old, new)
    (record,) = made.dataset.records
    assert (record.image_id, record.visible.tolist(), made.filled) == ("set/one.png", [True, True, False], 1)


def test_a_picture_saved_again_is_known_by_name_and_look(tmp_path: Path) -> None:
    first = with_points(tmp_path / "a", "one.png", 1, {0: (5, 5)})
    again = tmp_path / "b" / "one.png"
    again.parent.mkdir()
    Image.open(first.path).save(again, compress_level=1)
    assert again.read_bytes() != first.path.read_bytes()
    new = of_points(tmp_path, replace(first, path=again, visible=np.array([True, False, False])))
    made = merge_datasets(of_points(tmp_path, first), new)
    assert (len(made.dataset), made.same, made.matched_by_name) == (1, 1, 1)


def test_two_pictures_of_one_name_stay_two(tmp_path: Path) -> None:
    old = of_points(tmp_path, with_points(tmp_path / "a", "one.png", 1, {0: (5, 5)}))
    new = of_points(tmp_path, with_points(tmp_path / "b", "one.png", 2, {0: (7, 7)}))
    made = merge_datasets(old, new)
    assert [record.image_id for record in made.dataset.records] == ["one.png", "one-2.png"]
    assert made.renamed == {"one.png": "one-2.png"}
    assert labels(made.dataset) == labels(old) | labels(new)


def test_copies_among_the_new_pictures_may_not_contradict_each_other(tmp_path: Path) -> None:
    old = of_points(tmp_path, with_points(tmp_path / "a", "one.png", 1, {0: (5, 5)}))
    first, alike, other = (
        with_points(tmp_path / "b", name, 1, {0: (5, 5), 1: place})
        for name, place in (("one.png", (7.0, 7.0)), ("copy.png", (7.0, 7.0)), ("third.png", (9.0, 9.0)))
    )
    assert merge_datasets(old, of_points(tmp_path, first, alike)).filled == 1
    with pytest.raises(UserError, match="the same file as another"):
        merge_datasets(old, of_points(tmp_path, first, other))


def test_of_copies_among_the_old_pictures_the_one_of_the_same_name_is_meant(tmp_path: Path) -> None:
    old = [with_points(tmp_path / "a", name, 1, {0: (5, 5)}) for name in ("one.png", "copy.png")]
    new = [with_points(tmp_path / "b", "copy.png", 1, {0: (5, 5), 1: (9, 9)})]
    made = merge_datasets(of_points(tmp_path, *old), of_points(tmp_path, *new))
    assert [int(record.visible.sum()) for record in made.dataset.records] == [1, 2]


# ---- names


def test_points_are_matched_by_name_whatever_their_order(tmp_path: Path) -> None:
    old = of_points(tmp_path, with_points(tmp_path / "a", "1.png", 1, {0: (5, 5)}))
    record = with_points(tmp_path / "b", "2.png", 2, {0: (3, 4), 1: (8, 9)}, count=2)
    new = of_points(tmp_path, record, names=("paw", "nose"))
    made = merge_datasets(old, new).dataset.records[1]
    assert made.visible.tolist() == [True, False, True]
    assert made.points_xy.tolist() == [[8, 9], [0, 0], [3, 4]]


def test_an_unknown_name_is_refused_with_the_nearest_and_can_be_renamed(tmp_path: Path) -> None:
    old = of_boxes(tmp_path, *box_records(tmp_path / "a", {1: [(1, 1, 9, 9, 0)]}))
    new = of_boxes(tmp_path, *box_records(tmp_path / "b", {2: [(1, 1, 9, 9, 0)]}), classes=("cats",))
    with pytest.raises(UserError, match=r"'cats'.*Did you mean 'cat'.*--rename cats=OLD"):
        merge_datasets(old, new)
    made = merge_datasets(old, new, renames={"cats": "dog"})
    assert made.dataset.records[1].objects is not None
    assert made.dataset.records[1].objects.labels.tolist() == [1]
    with pytest.raises(UserError, match="to rename"):
        merge_datasets(old, new, renames={"dogs": "dog"})
    both = of_boxes(tmp_path, *box_records(tmp_path / "b", {2: []}), classes=("cats", "cat"))
    with pytest.raises(UserError, match="Two names"):
        merge_datasets(old, both, renames={"cats": "cat"})


def test_what_the_new_labels_do_not_know_stays_even_if_the_newer_hold(tmp_path: Path) -> None:
    old = of_points(tmp_path, with_points(tmp_path / "a", "1.png", 1, {0: (5, 5), 2: (30, 30)}))
    new = of_points(tmp_path, with_points(tmp_path / "b", "1.png", 1, {0: (9, 9)}, count=2), names=("nose", "tail"))
    made = merge_datasets(old, new, on_conflict="newer")
    assert len(made.conflicts) == 1
    assert made.dataset.records[0].points_xy.tolist() == [[9, 9], [0, 0], [30, 30]]


def test_points_and_boxes_do_not_mix(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"holds points and .* holds boxes"):
        merge_datasets(
            of_points(tmp_path, with_points(tmp_path, "1.png", 1, {0: (5, 5)})),
            of_boxes(tmp_path, *box_records(tmp_path, {2: []})),
        )


def test_several_objects_of_a_picture_are_compared_whatever_their_order(tmp_path: Path) -> None:
    one = with_points(tmp_path / "a", "1.png", 1, {0: (5, 5)})
    two = replace(with_points(tmp_path / "a", "1.png", 1, {0: (40, 40)}), image_id="1.png#2")
    old = of_points(tmp_path, one, two)
    swapped = of_points(tmp_path, replace(two, image_id="1.png"), replace(one, image_id="1.png#2"))
    assert merge_datasets(old, swapped).same == 1
    moved = of_points(tmp_path, one, replace(two, points_xy=two.points_xy + np.array([[9, 0], [0, 0], [0, 0]])))
    made = merge_datasets(old, moved, on_conflict="newer")
    assert [record.image_id for record in made.dataset.records] == ["1.png", "1.png#2"]
    assert made.dataset.records[1].points_xy[0].tolist() == [49, 40]


# ---- on the disk

BOX_FORMATS = ("coco", "voc", "yolo", "boxes_csv", "label_studio", "cvat")
POINT_FORMATS = ("landmark_csv", "coco_keypoints", "deeplabcut", "label_studio", "cvat")


def written_boxes(dataset: Dataset, out: Path, format: str) -> Path:
    boxes = boxes_from_dataset(dataset)
    writer = BOX_WRITERS[format]
    writer.write(boxes, out, classes=dataset.classes, as_truth=True)
    place_pictures(boxes, out, picture_name=writer.picture_name)
    return out


def written_points(dataset: Dataset, out: Path, format: str) -> Path:
    truth = dataset_to_predictions(dataset)
    WRITERS[format].write(truth, out, skeleton=dataset.skeleton)
    place_pictures(truth, out, picture_name=WRITERS[format].picture_name)
    return out


def bytes_below(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("format", BOX_FORMATS)
def test_boxes_of_two_formats_become_one_data_set(cli, tmp_path: Path, format: str) -> None:
    first, second = {1: [(1, 1, 9, 9, 0)], 2: [(3, 3, 12, 8, 1)]}, {2: [(3, 3, 12, 8, 1)], 3: [(5, 5, 9, 9, 0)], 4: []}
    old = of_boxes(tmp_path, *box_records(tmp_path / "a", first))
    new = of_boxes(tmp_path, *box_records(tmp_path / "b", second))
    left, right = written_boxes(old, tmp_path / "old", "coco"), written_boxes(new, tmp_path / "new", format)
    before = bytes_below(left), bytes_below(right)
    ran = cli("merge", left, right, "--out", tmp_path / "out", "--json")
    assert ran.code == 0, ran.err
    assert {key: ran.json[key] for key in ("before", "new", "after", "added", "same", "format")} == {
        "before": {"pictures": 2, "labels": 2},
        "new": {"pictures": 3, "labels": 2},
        "after": {"pictures": 4, "labels": 3},
        "added": 2,
        "same": 1,
        "format": "coco",
    }
    union = read_dataset(tmp_path / "out")
    assert labels(union) == labels(old) | labels(new)
    assert len(union) == 4
    assert (bytes_below(left), bytes_below(right)) == before


@pytest.mark.parametrize("format", POINT_FORMATS)
def test_points_of_two_formats_become_one_data_set(cli, tmp_path: Path, format: str) -> None:
    old = of_points(
        tmp_path,
        with_points(tmp_path / "a", "1.png", 1, {0: (5, 5), 1: (9, 9), 2: (30, 9)}),
        with_points(tmp_path / "a", "2.png", 2, {0: (6, 5), 1: (8, 9)}),
    )
    new = of_points(
        tmp_path,
        with_points(tmp_path / "b", "2.png", 2, {0: (6, 5), 1: (8, 9), 2: (33, 33)}),
        with_points(tmp_path / "b", "3.png", 3, {0: (6, 7), 1: (20, 9), 2: (33, 31)}),
    )
    left, right = written_points(old, tmp_path / "old", "deeplabcut"), written_points(new, tmp_path / "new", format)
    ran = cli("merge", left, right, "--out", tmp_path / "out", "--to", "coco-keypoints", "--json")
    assert ran.code == 0, ran.err
    assert (ran.json["before"]["labels"], ran.json["new"]["labels"], ran.json["after"]["labels"]) == (5, 6, 9)
    assert labels(read_dataset(tmp_path / "out")) == labels(old) | labels(new)


def test_a_label_file_is_written_beside_the_old_pictures(cli, tmp_path: Path) -> None:
    old = of_boxes(tmp_path, *box_records(tmp_path / "a", {1: [(1, 1, 9, 9, 0)], 2: []}))
    new = of_boxes(tmp_path, *box_records(tmp_path / "b", {3: [(5, 5, 9, 9, 1)]}))
    left, right = written_boxes(old, tmp_path / "old", "coco"), written_boxes(new, tmp_path / "new", "cvat")
    before = bytes_below(left)
    ran = cli("merge", left, right, "--out", left / "joined.json")
    assert ran.code == 0, ran.err
    assert {name: data for name, data in bytes_below(left).items() if name in before} == before
    assert labels(read_dataset(left / "joined.json")) == labels(old) | labels(new)
    again = cli("merge", left / "annotations.json", right, "--out", left / "joined.json")
    assert (again.code, "exists already" in again.err) == (2, True)
    ran = cli("merge", left / "annotations.json", right, "--out", tmp_path / "x.json", "--to", "yolo")
    assert (ran.code, "format 'yolo'" in ran.err) == (2, True)


def test_mistakes_are_told_and_nothing_is_written(cli, tmp_path: Path) -> None:
    old = of_boxes(tmp_path, *box_records(tmp_path / "a", {1: [(1, 1, 9, 9, 0)]}))
    new = of_boxes(tmp_path, *box_records(tmp_path / "b", {1: [(1, 1, 9, 8, 0)]}))
    left, right = written_boxes(old, tmp_path / "old", "coco"), written_boxes(new, tmp_path / "new", "voc")
    out = tmp_path / "out"
    for arguments, words in (
        ((), "1 picture is labelled differently by both:"),
        (("--to", "cocoo"), "Did you mean 'coco'"),
        (("--rename", "cat"), "expected NEW=OLD"),
    ):
        ran = cli("merge", left, right, "--out", out, *arguments)
        assert (ran.code, words in ran.err) == (2, True), ran.err
        assert not out.exists()
    assert "exists already and is not empty" in cli("merge", left, right, "--out", right).err
    assert "lies in the data set" in cli("merge", left, right, "--out", left / "sub").err
    assert "There is no" in cli("merge", left, tmp_path / "none", "--out", out).err
    ran = cli("merge", left, right, "--out", out, "--on-conflict", "newer")
    assert ran.code == 0 and "1 pictures labelled differently, decided as asked" in ran.out
    assert labels(read_dataset(out)) == labels(new)
    assert not list(tmp_path.glob(".writing-*"))


# ---- Label Studio's own export


def exported(name: str, result: list[dict], *, prediction: list[dict] | None = None, number: int = 1) -> dict:
    """A task as `Export > JSON` of Label Studio 1.13 has it, made from a pre-annotated one."""
    annotation = {
        "id": 40 + number, "completed_by": 1, "result": result, "was_cancelled": False, "ground_truth": False,
        "created_at": "2025-03-01T10:00:00.000000Z", "updated_at": "2025-03-01T10:00:20.000000Z",
        "draft_created_at": None, "lead_time": 17.4, "prediction": {
            "id": 7, "result": prediction or [], "model_version": "sightline", "score": 0.8, "task": number,
            "created_ago": "1 hour", "created_at": "2025-03-01T09:00:00Z", "updated_at": "2025-03-01T09:00:00Z",
        },
        "result_count": 0, "unique_id": "0f4c", "import_id": None, "last_action": None, "task": number, "project": 1,
        "updated_by": 1, "parent_prediction": 7, "parent_annotation": None, "last_created_by": None,
    }  # fmt: skip
    return {
        "id": number, "annotations": [annotation] if result is not None else [], "file_upload": None, "drafts": [],
        "predictions": [7], "data": {"image": f"/data/local-files/?d={name}"}, "meta": {},
        "created_at": "2025-03-01T09:00:00.000000Z", "updated_at": "2025-03-01T10:00:20.000000Z", "inner_id": number,
        "total_annotations": 1, "cancelled_annotations": 0, "total_predictions": 1, "comment_count": 0,
        "unresolved_comment_count": 0, "last_comment_updated_at": None, "project": 1, "updated_by": 1,
        "comment_authors": [],
    }  # fmt: skip


def region(kind: str, label: str, *, x: float, y: float, origin: str, **size: float) -> dict:
    return {
        "original_width": 64, "original_height": 48, "image_rotation": 0, "id": f"r{x}{y}", "from_name": "point",
        "to_name": "image", "type": kind, "origin": origin, "score": 0.8,
        "value": {"x": x, "y": y, "rotation": 0, kind: [label], **size},
    }  # fmt: skip


def test_an_export_of_corrected_predictions_gives_the_corrected_labels(tmp_path: Path) -> None:
    for number in (1, 2, 3):
        picture(tmp_path / f"{number}.png", seed=number)
    guess = region("rectanglelabels", "cat", x=10, y=10, width=50, height=50, origin="prediction")
    mended = region("rectanglelabels", "dog", x=25, y=25, width=50, height=50, origin="prediction-changed")
    tasks = [exported("1.png", [mended], prediction=[guess], number=1), exported("2.png", [], number=2)]
    unseen = exported("3.png", [guess], number=3) | {
        "annotations": [], "total_annotations": 0, "predictions": [{"result": [guess], "score": 0.8}]
    }  # fmt: skip
    (tmp_path / "export.json").write_text(json.dumps([*tasks, unseen]))
    dataset = read_dataset(tmp_path / "export.json")
    assert [record.is_guess for record in dataset.records] == [False, False, True]
    first, second, _ = dataset.records
    assert first.objects is not None and second.objects is not None
    assert first.objects.boxes_xyxy.tolist() == [[16, 12, 48, 36]]
    assert dataset.classes[first.objects.labels[0]] == "dog"
    assert len(second.objects) == 0
    # Merged, the task that nobody has looked at is left out; the picture in which there is nothing is a label.
    old = of_boxes(tmp_path, *box_records(tmp_path / "a", {9: [(1, 1, 9, 9, 0)]}))
    made = merge_datasets(old, dataset)
    assert (made.added, made.unlabelled, len(made.dataset)) == (2, 1, 3)


def test_key_points_of_an_export_are_read_and_guesses_known(tmp_path: Path) -> None:
    picture(tmp_path / "1.png", seed=1)
    drawn = [
        region("keypointlabels", "nose", x=50, y=25, width=0.5, origin="prediction-changed"),
        region("keypointlabels", "tail", x=75, y=75, width=0.5, origin="manual"),
    ]
    (tmp_path / "export.json").write_text(json.dumps([exported("1.png", drawn)]))
    (record,) = read_dataset(tmp_path / "export.json").records
    assert not record.is_guess
    assert record.points_xy[record.visible].tolist() == [[32, 12], [48, 36]]


def test_what_only_a_model_labelled_is_no_label_of_the_old_data_set(tmp_path: Path) -> None:
    guess = replace(with_points(tmp_path / "a", "1.png", 1, {0: (5, 5)}), is_guess=True)
    new = of_points(tmp_path, with_points(tmp_path / "b", "1.png", 1, {0: (9, 9)}))
    made = merge_datasets(of_points(tmp_path, guess), new)
    assert made.conflicts == ()
    assert made.dataset.records[0].points_xy[0].tolist() == [9, 9]
    shutil.rmtree(tmp_path / "a")
