from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sightline.errors import UserError
from sightline.images import list_images
from sightline.records import Dataset, Objects, Problem, Record, Skeleton
from sightline.scan import cut_at_edges, require_clean, scan

FACES = Path(__file__).resolve().parents[2] / "shared" / "data" / "faces68"
SKELETON = Skeleton(names=("eye", "nose"))


def record(
    path: Path,
    *,
    points: Sequence[Sequence[float]] = ((8, 8), (20, 20)),
    visible: Sequence[bool] = (True, True),
    size_hw: tuple[int, int] | None = None,
    source: str = "labels.csv:2",
) -> Record:
    return Record(
        image_id=path.name,
        path=path,
        points_xy=np.array(points, dtype=np.float64),
        visible=np.array(visible),
        size_hw=size_hw,
        source=source,
    )


def dataset(root: Path, *records: Record, problems: Sequence[Problem] = ()) -> Dataset:
    return Dataset(root=root, format="csv", records=records, skeleton=SKELETON, problems=tuple(problems))


def picture(path: Path, *, size_hw: tuple[int, int] = (32, 48), orientation: int | None = None) -> Path:
    pixels = np.random.default_rng(0).integers(0, 255, (*size_hw, 3), dtype=np.uint8)
    exif = Image.Exif()
    if orientation:
        exif[0x0112] = orientation
    Image.fromarray(pixels).save(path, exif=exif)
    return path


def test_sizes_are_filled_in_after_the_exif_rotation(tmp_path: Path) -> None:
    upright, turned = picture(tmp_path / "a.jpg"), picture(tmp_path / "b.jpg", orientation=6)
    for decode in (True, False):
        done = scan(dataset(tmp_path, record(upright), record(turned)), decode=decode)
        assert [r.size_hw for r in done.records] == [(32, 48), (48, 32)]
        assert done.problems == ()


def test_broken_pictures_move_from_records_to_problems(tmp_path: Path) -> None:
    good, large = picture(tmp_path / "good.png"), picture(tmp_path / "large.png", size_hw=(64, 64))
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "text.jpg").write_text("not a picture, certainly")
    half = picture(tmp_path / "half.jpg")
    half.write_bytes(half.read_bytes()[:-200])
    earlier = Problem(id="row-bad", severity="error", where="labels.csv:9", message="bad row")
    names = ("good.png", "missing.jpg", "empty.jpg", "text.jpg", "half.jpg", "large.png")
    records = [record(tmp_path / name, source=f"labels.csv:{i}") for i, name in enumerate(names, 2)]
    done = scan(dataset(tmp_path, *records, problems=[earlier]), max_pixels=2000)
    assert [r.path for r in done.records] == [good]
    assert done.problems[0] is earlier
    assert [(p.id, p.severity, p.where, p.image_id) for p in done.problems[1:]] == [
        ("image-missing", "error", "labels.csv:3", "missing.jpg"),
        ("image-empty", "error", "labels.csv:4", "empty.jpg"),
        ("image-unreadable", "error", "labels.csv:5", "text.jpg"),
        ("image-truncated", "error", "labels.csv:6", "half.jpg"),
        ("image-too-large", "error", "labels.csv:7", "large.png"),
    ]
    assert str(large) in done.problems[-1].message


def test_without_decoding_headers_alone_are_judged(tmp_path: Path) -> None:
    half = picture(tmp_path / "half.jpg")
    half.write_bytes(half.read_bytes()[:-200])
    large = picture(tmp_path / "large.png", size_hw=(64, 64))
    done = scan(dataset(tmp_path, record(half), record(large)), decode=False, max_pixels=2000)
    assert [r.path for r in done.records] == [half]
    assert [p.id for p in done.problems] == ["image-too-large"]


def test_a_size_that_disagrees_with_the_label_file_is_a_warning(tmp_path: Path) -> None:
    path = picture(tmp_path / "a.png")
    done = scan(dataset(tmp_path, record(path, size_hw=(64, 96))))
    assert [(p.id, p.severity) for p in done.problems] == [("image-size-mismatch", "warning")]
    assert "says 96 x 64" in done.problems[0].message
    assert "resized" in done.problems[0].message
    assert done.records[0].size_hw == (32, 48)


def test_labels_made_without_the_exif_rotation_are_recognised(tmp_path: Path) -> None:
    path = picture(tmp_path / "a.jpg", orientation=8)
    done = scan(dataset(tmp_path, record(path, size_hw=(32, 48))))
    assert [p.id for p in done.problems] == ["image-size-mismatch"]
    assert "EXIF rotation (orientation 8)" in done.problems[0].message


def test_points_outside_are_a_warning_that_names_the_furthest(tmp_path: Path) -> None:
    path = picture(tmp_path / "a.png")
    done = scan(dataset(tmp_path, record(path, points=((-1, 5), (55.5, 33)))))
    assert [(p.id, p.severity) for p in done.problems] == [("point-off-image", "warning")]
    assert "2 of 2 points" in done.problems[0].message
    assert "'nose', by 7.5 pixels" in done.problems[0].message


def test_points_on_the_edge_and_unlabelled_points_are_fine(tmp_path: Path) -> None:
    path = picture(tmp_path / "a.png")
    edge = record(path, points=((0, 0), (48, 32)))
    hidden = record(path, points=((5, 5), (900, 900)), visible=(True, False))
    assert scan(dataset(tmp_path, edge, hidden)).problems == ()


def test_a_record_without_any_point_is_a_warning(tmp_path: Path) -> None:
    path = picture(tmp_path / "a.png")
    done = scan(dataset(tmp_path, record(path, points=((0, 0), (0, 0)), visible=(False, False))))
    assert [(p.id, p.severity) for p in done.problems] == [("points-none-visible", "warning")]
    assert len(done) == 1


def test_what_the_reader_told_is_not_told_again(tmp_path: Path) -> None:
    path = picture(tmp_path / "a.png")
    told = [
        Problem(id=name, severity="warning", where="l.csv:2", message="m", image_id="a.png")
        for name in ("point-off-image", "label-missing")
    ]
    outside = record(path, points=((-1, 5), (5, 5)))
    nothing = record(path, points=((0, 0), (0, 0)), visible=(False, False))
    for one in (outside, nothing):
        assert scan(dataset(tmp_path, one, problems=told)).problems == tuple(told)
        assert len(scan(dataset(tmp_path, one)).problems) == 1


def test_a_picture_of_several_records_is_judged_for_each(tmp_path: Path) -> None:
    missing = tmp_path / "a.png"
    done = scan(dataset(tmp_path, record(missing, source="l.csv:2"), record(missing, source="l.csv:3")))
    assert [p.where for p in done.problems] == ["l.csv:2", "l.csv:3"]


def test_the_answer_does_not_depend_on_the_number_of_workers(tmp_path: Path) -> None:
    records = [record(picture(tmp_path / f"{i}.png", size_hw=(16 + i, 16)), points=((1, 1), (2, 2))) for i in range(20)]
    one, four = (scan(dataset(tmp_path, *records), workers=n) for n in (1, 4))
    assert [r.size_hw for r in one.records] == [r.size_hw for r in four.records] == [(16 + i, 16) for i in range(20)]


def test_an_empty_data_set_scans_to_itself(tmp_path: Path) -> None:
    assert len(scan(dataset(tmp_path))) == 0


def broken(root: Path, count: int, *records: Record) -> Dataset:
    problems = [
        Problem(id="image-missing", severity="error", where=f"labels.csv:{i}", message="gone") for i in range(count)
    ]
    return dataset(root, *records, problems=problems)


def test_all_errors_are_told_at_once_with_their_lines(tmp_path: Path) -> None:
    with pytest.raises(UserError) as caught:
        require_clean(broken(tmp_path, 23, record(tmp_path / "a.png")), skip_broken=False)
    text = str(caught.value)
    assert "23 errors" in text
    assert "labels.csv:0: [image-missing] gone" in text
    assert "labels.csv:19" in text
    assert "labels.csv:20" not in text
    assert "and 3 more" in text
    assert "--skip-broken" in text


def test_broken_samples_are_skipped_when_asked(tmp_path: Path) -> None:
    data = broken(tmp_path, 2, record(tmp_path / "a.png"))
    assert require_clean(data, skip_broken=True) is data


def test_warnings_do_not_stop_anything(tmp_path: Path) -> None:
    warning = Problem(id="image-size-mismatch", severity="warning", where="l.csv:1", message="odd")
    data = dataset(tmp_path, record(tmp_path / "a.png"), problems=[warning])
    assert require_clean(data, skip_broken=False) is data


def test_nothing_left_is_an_error_even_when_skipping(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="all of its samples are broken"):
        require_clean(broken(tmp_path, 1), skip_broken=True)
    with pytest.raises(UserError, match="has no samples"):
        require_clean(dataset(tmp_path), skip_broken=True)


@pytest.mark.skipif(not FACES.is_dir(), reason="the shared data are not here")
def test_twelve_hundred_real_faces_scan_cleanly_and_fast() -> None:
    records = [record(path, points=((1, 1), (2, 2))) for path in list_images(FACES)]
    start = time.perf_counter()
    done = scan(dataset(FACES, *records))
    assert len(done) == len(records) == 1207
    assert done.problems == ()
    assert time.perf_counter() - start < 20  # about 0.5 s on two free cores; this guards against a blunder only


# ---- boxes


def boxes(path: Path, *edges: Sequence[float], areas: Sequence[float] | None = None) -> Record:
    objects = Objects.of(np.array(edges, dtype=np.float64).reshape(-1, 4), np.arange(len(edges)))
    if areas is not None:
        objects = replace(objects, areas=np.array(areas, dtype=np.float64))
    return Record(image_id=path.name, path=path, objects=objects, source="labels.csv:2")


def box_set(root: Path, *records: Record, problems: Sequence[Problem] = ()) -> Dataset:
    classes = tuple("abcdef")
    return Dataset(root=root, format="coco", records=records, classes=classes, problems=tuple(problems))


def test_boxes_need_no_points_and_pictures_without_objects_are_fine(tmp_path: Path) -> None:
    first, second = picture(tmp_path / "a.png"), picture(tmp_path / "b.png")
    done = scan(box_set(tmp_path, boxes(first, (0, 0, 48, 32), (1, 1, 2, 2)), boxes(second)))
    assert done.problems == ()
    assert [len(r.objects or ()) for r in done.records] == [2, 0]
    assert [r.size_hw for r in done.records] == [(32, 48)] * 2


def test_boxes_over_the_edge_are_cut_with_one_warning_and_those_outside_are_errors(tmp_path: Path) -> None:
    path = picture(tmp_path / "a.png")
    given = boxes(path, (-3, 5, 10, 50), (40, 10, 48.05, 20), (50, 5, 60, 9), (5, 5, 9, 9), areas=(13 * 45, 80, 40, 3))
    done = scan(box_set(tmp_path, given))
    assert [(p.severity, p.id, p.where) for p in done.problems] == [
        ("warning", "box-cut", "labels.csv:2"),
        ("error", "box-off-image", "labels.csv:2"),
    ]
    assert "1 box reaches over the edges of the 48 x 32 picture, by up to 18.0 pixels" in done.problems[0].message
    (record,) = done.records
    assert record.objects is not None
    assert record.objects.boxes_xyxy.tolist() == [[0, 5, 10, 32], [40, 10, 48, 20], [5, 5, 9, 9]]
    # Areas that were the boxes' own follow the cut, others stay.
    assert record.objects.areas.tolist() == [270, 80, 3]
    assert record.objects.labels.tolist() == [0, 1, 3]


def test_a_picture_with_all_boxes_outside_does_not_become_one_without_objects(tmp_path: Path) -> None:
    path = picture(tmp_path / "a.png")
    done = scan(box_set(tmp_path, boxes(path, (50, 5, 60, 9), (5, -9, 9, 0))))
    assert done.records == ()
    assert [p.id for p in done.problems] == ["box-off-image"] * 2


def test_sizes_of_pictures_of_boxes_are_compared_too(tmp_path: Path) -> None:
    path = picture(tmp_path / "a.png")
    given = replace(boxes(path, (0, 0, 4, 4)), size_hw=(48, 32))
    assert [p.id for p in scan(box_set(tmp_path, given)).problems] == ["image-size-mismatch"]


def test_going_on_without_broken_boxes_is_told_apart_from_going_on_without_pictures(tmp_path: Path) -> None:
    def error(image_id: str) -> Problem:
        return Problem(id="box-empty", severity="error", where="l.csv:3", message="no area", image_id=image_id)

    kept = boxes(picture(tmp_path / "a.png"), (0, 0, 4, 4))
    with pytest.raises(UserError, match="go on without the boxes named with the 1 usable samples by --skip-broken"):
        require_clean(box_set(tmp_path, kept, problems=[error("a.png")]), skip_broken=False)
    with pytest.raises(UserError, match="go on with the 1 usable samples by --skip-broken"):
        require_clean(box_set(tmp_path, kept, problems=[error("b.png")]), skip_broken=False)
    assert len(require_clean(box_set(tmp_path, kept, problems=[error("a.png")]), skip_broken=True)) == 1


def test_cutting_no_boxes_gives_none() -> None:
    cut = cut_at_edges(Objects.of(np.zeros((0, 4)), np.zeros(0)), (32, 48))
    assert (len(cut.objects), cut.outside.shape, cut.beyond_px.shape) == (0, (0,), (0,))
