"""Every check of the doctor finds what was planted, and says nothing of data in which all is well."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import doctor_cases as cases
import numpy as np
import pytest

from sightline.doctor import CHECKS, examine
from sightline.doctor.case import extents
from sightline.doctor.copies import near_pairs
from sightline.doctor.shapes import _middle, _middle_of_each, fit_shapes
from sightline.records import Dataset, Skeleton


def ids(dataset: Dataset, *, look: bool = False, by: str = "auto") -> set[str]:
    return {problem.id for problem in examine(dataset, look=look, split_by=by).problems}


def set_points(xy: np.ndarray, **where: tuple[float, float]) -> None:
    for name, place in where.items():
        xy[cases.NAMES.index(name)] = place


def hidden(dataset: Dataset, point: int, count: int) -> Dataset:
    records = list(dataset.records)
    for i in range(count):
        seen = records[i].visible.copy()
        seen[point] = False
        records[i] = replace(records[i], visible=seen)
    return dataset.with_records(records)


def named(*names: str) -> Dataset:
    return replace(cases.points(), skeleton=Skeleton(names=names))


def boxed(dataset: Dataset) -> Dataset:
    return dataset.with_records([replace(record, box_xyxy=(0.0, 0.0, 199.0, 199.0)) for record in dataset.records])


def of_size(dataset: Dataset, index: int, size_hw: tuple[int, int]) -> Dataset:
    return cases.changed(dataset, index, size_hw=size_hw)


def many_boxes(dataset: Dataset) -> Dataset:
    grid = np.stack(np.meshgrid(np.arange(10) * 38.0, np.arange(10) * 28.0), axis=-1).reshape(-1, 2)
    return cases.changed(
        dataset, 3, objects=cases.box_record("x", np.concatenate([grid, grid + 25], axis=1), [1] * 100).objects
    )


def split_of(dataset: Dataset, val: Callable[[int], bool]) -> Dataset:
    parts = ["val" if val(i) else "train" for i in range(len(dataset))]
    return dataset.with_records([replace(r, split=p) for r, p in zip(dataset.records, parts, strict=True)])


def only_class(dataset: Dataset, label: int, where: Callable[[int], bool]) -> Dataset:
    records = [
        record if where(i) else replace(record, objects=record.objects.select(record.objects.labels != label))
        for i, record in enumerate(dataset.records)
        if record.objects is not None
    ]
    return dataset.with_records(records)


def grouped(dataset: Dataset, name: Callable[[int], str]) -> Dataset:
    return dataset.with_records([replace(record, group=name(i)) for i, record in enumerate(dataset.records)])


def enlarged(dataset: Dataset, factor: float, where: Callable[[int], bool]) -> Dataset:
    records = [replace(r, points_xy=r.points_xy * factor) if where(i) else r for i, r in enumerate(dataset.records)]
    return dataset.with_records(records)


P, PLAIN, B, C = cases.points, lambda: cases.points(cases.PLAIN), cases.boxes, cases.clip

PLANTED: dict[str, Callable[[], Dataset]] = {
    "image-tiny": lambda: of_size(P(), 3, (10, 200)),
    "image-shape-odd": lambda: of_size(P(), 3, (100, 900)),
    "image-sizes-mixed": lambda: of_size(P(), 3, (2000, 2000)),
    "shape-odd": lambda: cases.moved(PLAIN(), 5, lambda xy: xy[[3, 5, 0, 2, 1, 4]]),
    "shape-turned": lambda: cases.moved(P(), 5, lambda xy: 200 - xy),
    "shape-mirrored": lambda: cases.moved(PLAIN(), 5, lambda xy: xy[:, ::-1].copy()),
    "point-odd": lambda: cases.moved(P(), 5, lambda xy: set_points(xy, nose=(xy[2, 0] + 45, xy[2, 1]))),
    "points-size-odd": lambda: enlarged(P(), 0.1, lambda i: i == 7),
    "point-at-corner": lambda: cases.moved(P(), 5, lambda xy: set_points(xy, nose=(0.5, 0.5))),
    "points-coincide": lambda: cases.moved(P(), 5, lambda xy: set_points(xy, nose=tuple(xy[0]))),
    "points-copied": lambda: cases.changed(P(), 5, points_xy=P().records[9].points_xy),
    "points-outside-box": lambda: cases.changed(boxed(P()), 5, box_xyxy=(180.0, 180.0, 199.0, 199.0)),
    "points-few": lambda: cases.changed(P(), 5, visible=np.array([True, True, False, False, False, False])),
    "box-near-copy": lambda: cases.with_box(B(), 3, (B().records[3].objects.boxes_xyxy[0] + 1).tolist(), 0),
    "box-contradicts": lambda: cases.with_box(B(), 3, (B().records[3].objects.boxes_xyxy[0] + 0.5).tolist(), 1),
    "box-tiny": lambda: cases.with_box(B(), 3, [5, 5, 6, 40], 0),
    "box-shape-odd": lambda: cases.with_box(B(), 3, [5, 100, 390, 110], 1),
    "box-size-odd": lambda: cases.with_box(B(), 3, [5, 100, 9, 104], 1),
    "box-whole-picture": lambda: cases.with_box(B(), 3, [0, 0, 400, 300], 1),
    "boxes-copied": lambda: cases.changed(B(), 3, objects=B().records[8].objects),
    "box-count-odd": lambda: many_boxes(B()),
    "point-name-similar": lambda: named("eye", "Eye", "nose", "mouth", "ear", "chin"),
    "point-twin-missing": lambda: named("left_eye", "rigth_eye", "nose", "mouth", "ear", "chin"),
    "split-name-unknown": lambda: cases.changed(P(), 3, split="trian"),
    "point-jump": lambda: cases.moved(C(), 20, lambda xy: xy + 90),
    "frames-copied": lambda: cases.changed(C(), 20, points_xy=C().records[19].points_xy),
    "frames-missing": lambda: C().with_records([r for i, r in enumerate(C().records) if i not in (10, 11)]),
    "records-few": lambda: P().with_records(P().records[:30]),
    "class-rare": lambda: only_class(B(), 0, lambda i: i < 4),
    "class-unbalanced": lambda: only_class(B(), 0, lambda i: i < 1),
    "class-one-group": lambda: only_class(grouped(B(), lambda i: f"g{i % 6}"), 0, lambda i: i % 6 == 0),
    "pictures-mostly-empty": lambda: only_class(only_class(B(), 0, lambda i: i < 20), 1, lambda i: i < 20),
    "size-spread": lambda: cases.with_box(B(), 3, [5, 5, 7, 7.2], 1).with_records(
        [cases.with_box(B(), 0, [0, 0, 399, 299], 0).records[0], cases.with_box(B(), 3, [5, 5, 7, 7], 1).records[3]]
    ),
    "point-never-visible": lambda: hidden(P(), 2, cases.COUNT),
    "point-rarely-visible": lambda: hidden(P(), 2, cases.COUNT - 2),
    "split-group-shared": lambda: split_of(grouped(P(), lambda i: f"g{i // 10}"), lambda i: i % 2 == 0),
    "split-class-missing": lambda: only_class(split_of(B(), lambda i: i >= 40), 0, lambda i: i < 40),
    "split-small": lambda: split_of(P(), lambda i: i < 5),
    "split-sizes-differ": lambda: enlarged(split_of(P(), lambda i: i < 25), 1.8, lambda i: i < 25),
    "split-impossible": lambda: split_of(P(), lambda i: True),
}


def brighter(dataset: Dataset) -> Dataset:
    old = cv2.imread(str(dataset.records[3].path))
    cv2.imwrite(str(dataset.records[3].path), (225 + old // 10).astype(np.uint8))
    return dataset


def copied(dataset: Dataset, *, name: str = "twin.jpg", split: str | None = None, move: float = 0.0) -> Dataset:
    shutil.copyfile(dataset.records[3].path, dataset.root / name)
    return cases.added(dataset, name, like=3, split=split, xy=dataset.records[3].points_xy + move)


def nearly(dataset: Dataset, *, split: str) -> Dataset:
    cases.recompressed(dataset.records[3].path, dataset.root / "near.jpg")
    return cases.added(dataset, "near.jpg", like=3, split=split, xy=dataset.records[3].points_xy * 0.8)


def rewritten(dataset: Dataset, pixels: np.ndarray, *, name: str | None = None) -> Dataset:
    path = dataset.records[3].path
    _, data = cv2.imencode(".png" if name else ".jpg", pixels)
    path.write_bytes(data.tobytes())
    return dataset


def marked(dataset: Dataset) -> Dataset:
    cases.turned(dataset.records[3].path)
    return dataset


def film(dataset: Dataset) -> Dataset:
    """Frames of one slow pan, without a group; every fourth validates."""
    rng = np.random.default_rng(1)
    wide = cv2.resize(rng.integers(0, 255, (6, 40, 3), dtype=np.uint8), (640, 64), interpolation=cv2.INTER_CUBIC)
    records = []
    for i in range(40):
        path = dataset.root / f"frame{i:03}.jpg"
        cv2.imwrite(str(path), wide[:, 6 * i : 6 * i + 96])
        old = dataset.records[i % len(dataset)]
        records.append(replace(old, image_id=path.name, path=path, split="val" if i % 4 == 0 else "train"))
    return dataset.with_records(records)


ON_DISK: dict[str, Callable[[Dataset], Dataset]] = {
    "image-rotated": marked,
    "image-blank": lambda d: rewritten(d, np.full((64, 96, 3), 90, dtype=np.uint8)),
    "image-dark": brighter,
    "image-kind-mixed": lambda d: rewritten(d, cv2.imread(str(d.records[3].path), 0)),
    "image-suffix-wrong": lambda d: rewritten(d, cv2.imread(str(d.records[3].path)), name="png"),
    "image-copied": copied,
    "image-copied-labels-differ": lambda d: copied(d, move=3.0),
    "image-near-copy": lambda d: nearly(d, split="train"),
    "split-copied": lambda d: copied(d, split="val"),
    "split-near-copied": lambda d: nearly(d, split="val"),
    "split-frames-adjoin": film,
}
FIT = {id for id, check in CHECKS.items() if check.family == "fit"}
# What the plain data sets below do have: few validating records, and few records in the gallery.
EXPECTED = {"split-small", "records-few", "split-group-shared"}


def test_every_check_of_the_doctor_has_a_planted_case():
    own = {id for id, check in CHECKS.items() if check.family != "reading"}
    assert own == {*PLANTED, *ON_DISK, *FIT}
    assert len(own) >= 40


@pytest.mark.parametrize("make", [cases.points, PLAIN, cases.boxes, cases.clip])
@pytest.mark.parametrize("seed", range(3))
def test_nothing_is_said_of_data_in_which_all_is_well(make: Callable[..., Dataset], seed: int):
    dataset = make(seed=seed) if make is not PLAIN else cases.points(cases.PLAIN, seed=seed)
    assert ids(dataset) <= EXPECTED


def test_nothing_is_said_of_pictures_in_which_all_is_well(tmp_path: Path):
    assert ids(cases.gallery(tmp_path), look=True) <= EXPECTED


@pytest.mark.parametrize("id", PLANTED)
def test_what_is_planted_in_labels_is_found(id: str):
    found = examine(PLANTED[id](), look=False, split_by="given" if id == "split-impossible" else "auto")
    assert id in {problem.id for problem in found.problems}
    assert all(problem.severity == CHECKS[problem.id].severity for problem in found.problems)


@pytest.mark.parametrize("id", ON_DISK)
def test_what_is_planted_in_pictures_is_found(id: str, tmp_path: Path):
    assert id in ids(ON_DISK[id](cases.gallery(tmp_path)), look=True)


def test_the_planted_record_is_the_one_that_is_named():
    for id in ("shape-odd", "point-odd", "shape-turned", "points-few", "points-coincide", "point-at-corner"):
        named = [problem.image_id for problem in examine(PLANTED[id](), look=False).problems if problem.id == id]
        assert named == ["face_5.jpg"], id
    jumps = [problem.image_id for problem in examine(PLANTED["point-jump"](), look=False).problems]
    assert jumps.count("one/020.jpg") == 1


def test_swapped_twins_are_told_once_and_not_as_odd_shapes():
    index = list(cases.FACE.flip_index)
    found = examine(cases.moved(cases.points(), 5, lambda xy: xy[index]), look=False)
    assert [problem.id for problem in found.problems if problem.image_id == "face_5.jpg"] == ["points-swapped"]


def test_a_shape_that_is_only_shifted_turned_and_scaled_fits_without_rest():
    z = (cases.SHAPE[:, 0] + 1j * cases.SHAPE[:, 1])[None]
    factors = np.array([1, 2j, 0.5 - 0.5j, -3])[:, None]
    fitted = fit_shapes(z * factors + 7, np.ones((4, 6), dtype=bool))
    assert fitted.misfit == pytest.approx(np.zeros(4), abs=1e-6)
    assert fitted.size / fitted.size[0] == pytest.approx(np.abs(factors[:, 0]))
    turn = np.angle(np.exp(1j * (fitted.turn - fitted.turn[0])))
    assert turn[:3] == pytest.approx(np.angle(factors[:3, 0]), abs=1e-6)


def test_missing_points_do_not_bend_the_fit():
    rng = np.random.default_rng(3)
    z = np.tile(cases.SHAPE[:, 0] + 1j * cases.SHAPE[:, 1], (30, 1))
    seen = rng.random(z.shape) < 0.7
    seen[:, :3] = True
    fitted = fit_shapes(np.where(seen, z, 0), seen)
    assert fitted.residual.max() < 1e-6


def test_a_small_thing_that_moved_makes_two_pictures_of_a_fixed_camera_different():
    rng = np.random.default_rng(0)
    room = cv2.resize(rng.uniform(0, 255, (6, 6)).astype(np.float32), (32, 32))
    noisy = room + rng.normal(0, 2, room.shape).astype(np.float32)
    one, other = room.copy(), room.copy()
    one[4:7, 4:7] += 120
    other[20:23, 20:23] += 120
    assert near_pairs(np.stack([room, noisy])) == [(0, 1)]
    assert near_pairs(np.stack([one, other])) == []


def test_copies_of_one_clip_are_no_news(tmp_path: Path):
    dataset = nearly(cases.gallery(tmp_path), split="train")
    assert "image-near-copy" in ids(dataset, look=True)
    assert "image-near-copy" not in ids(grouped(dataset, lambda i: "one"), look=True)


def test_a_bounce_is_no_jump():
    dataset = cases.clip()
    records = list(dataset.records)
    for i in range(20, 40):  # another way from here on, as a ball that was hit
        records[i] = replace(records[i], points_xy=records[20].points_xy + np.array([[3.0 * (i - 20), 0.0]]))
    assert "point-jump" not in ids(dataset.with_records(records))


def test_the_extent_of_points_is_that_of_those_seen():
    xy = np.array([[[1.0, 5.0], [4.0, 7.0], [90.0, 90.0]], [[1.0, 5.0], [4.0, 7.0], [90.0, 90.0]]])
    visible = np.array([[True, True, False], [False, False, False]])
    assert extents(xy, visible).tolist() == [3.0, 0.0]
    assert extents(np.zeros((2, 0, 2)), np.zeros((2, 0), dtype=bool)).tolist() == [0.0, 0.0]


@pytest.mark.parametrize("count", [1, 2, 5, 68])
def test_the_middle_of_each_row_is_its_median_without_what_is_not_seen(count: int):
    rng = np.random.default_rng(count)
    rows = np.where(rng.random((200, count)) < 0.4, np.nan, rng.normal(size=(200, count)))
    expected = [np.median(row[~np.isnan(row)]) if not np.isnan(row).all() else 0.0 for row in rows]
    assert _middle_of_each(rows).tolist() == _middle(rows.T).tolist() == expected
