from __future__ import annotations

from pathlib import Path

import pytest

from sightline.errors import UserError
from sightline.readers import FORMATS, read_dataset
from sightline.scan import require_clean, scan
from sightline.splits import k_folds, split_dataset

REAL = Path(__file__).resolve().parents[2].parent / "shared" / "data"
HEADER = "clip,source,frame,file,visibility,x,y,w,h,instance,roboflow_split"


@pytest.fixture
def ball(tmp_path, picture):
    """Writes a CSV and its pictures, and reads it."""

    def read(*rows, header=HEADER):
        for row in rows:
            picture(tmp_path / row.split(",")[3])
        (tmp_path / "ball.csv").write_text("\n".join((header, *rows)) + "\n")
        return read_dataset(tmp_path)

    return read


def row(clip, frame, *, source="synframe", visible=1, x=10.0, instance=0, last="train"):
    return f"{clip},{source},{frame},frames/{source}{frame:03d}.jpg,{visible},{x},20.5,3,3,{instance},{last}"


def test_pictures_whose_numbers_follow_each_other_are_before_one_another(ball):
    dataset = ball(row(55, 7), row(55, 8, x=11), row(55, 9, visible=0), row(55, 11, x=12), row(56, 20))
    assert (dataset.format, [r.group for r in dataset.records]) == ("ball_csv", ["55"] * 4 + ["56"])
    last = dataset.records[3]
    assert (last.image_id, last.frame, last.points_xy.tolist()) == ("55/000004", 4, [[12, 20.5]])
    assert last.before is not None
    assert [at and at.path.name for at in last.before.frames] == ["synframe008.jpg", "synframe009.jpg", None]
    assert last.before.visible[-4:].tolist() == [True, True, False, False]
    assert last.before.points_xy[-3].tolist() == [11, 20.5]
    other = dataset.records[4].before
    assert other is not None
    assert other.frames == (None, None, None)
    assert [record.split for record in dataset.records] == [None] * 5
    assert [problem.id for problem in dataset.problems] == ["columns-ignored", "clip-short"]
    assert not scan(dataset).errors


def test_synthetic_pictures_are_clips_by_themselves(ball):
    dataset = ball(row(60, 7, source="synthetic"), row(60, 8, source="synthetic"))
    assert [(r.group, r.before.frames) for r in dataset.records if r.before] == [
        ("60-7", (None, None, None)),
        ("60-8", (None, None, None)),
    ]


def test_of_several_objects_in_a_frame_the_first_is_used(ball):
    dataset = ball(row(55, 7, x=10), row(55, 7, x=30, instance=1), row(55, 8))
    assert [record.points_xy[0, 0] for record in dataset.records] == [10, 10]
    assert "instances-skipped" in [problem.id for problem in dataset.problems]


def test_a_split_that_divides_a_clip_is_an_error_and_other_ways_of_splitting_take_whole_clips(ball):
    header = HEADER.replace("roboflow_split", "split")
    rows = [
        row(clip, 10 * clip + frame, last="val" if frame == 2 else "train") for clip in (1, 2, 3) for frame in range(3)
    ]
    dataset = ball(*rows, header=header)
    assert [problem.id for problem in dataset.errors] == ["split-clip-leak"]
    require_clean(dataset, skip_broken=False)
    for by in ("auto", "given"):
        with pytest.raises(UserError, match=r"3 clips into both.*split-clip-leak"):
            split_dataset(dataset, val_fraction=0.3, seed=0, by=by)
    for by in ("group", "random", "order"):
        split = split_dataset(dataset, val_fraction=0.3, seed=0, by=by)
        assert not split.straddling_groups
        assert (len(split.train), len(split.val)) == (6, 3)
    assert all(not fold.straddling_groups for fold in k_folds(dataset, k=3, seed=0))


def test_a_split_by_clip_is_taken_and_a_single_clip_cannot_be_divided(ball):
    header = HEADER.replace("roboflow_split", "split")
    rows = [
        row(clip, 10 * clip + frame, last="train" if clip == 1 else "valid") for clip in (1, 2) for frame in range(3)
    ]
    split = split_dataset(ball(*rows, header=header), val_fraction=0.3, seed=0)
    assert (split.by, {r.group for r in split.train}, {r.group for r in split.val}) == ("given", {"1"}, {"2"})
    with pytest.raises(UserError, match="1 clips"):
        split_dataset(ball(*[row(1, frame) for frame in range(9)]), val_fraction=0.3, seed=0, by="order")


def test_mistakes_are_told_with_their_line(ball, tmp_path):
    dataset = ball(
        row(1, 0), row(1, 0, x=30), row(1, 1, x="nan"), row(1, 2, x=900), row(1, 3, visible="maybe"), row(1, 4)
    )  # fmt: skip
    assert [(p.id, p.where) for p in dataset.problems if p.severity == "error"] == [
        ("row-unreadable", "ball.csv:6"),
        ("frame-duplicated", "ball.csv:3"),
        ("point-not-finite", "ball.csv:4"),
    ]
    assert [(p.id, p.where) for p in dataset.problems if p.severity == "warning"] == [("point-off-image", "ball.csv:5")]
    (tmp_path / "frames" / "synframe004.jpg").unlink()
    assert ("image-missing", "ball.csv:7") in [(p.id, p.where) for p in read_dataset(tmp_path).errors]


def test_a_past_picture_that_cannot_be_read_is_left_out_with_a_warning(ball, tmp_path):
    dataset = ball(row(1, 0), row(1, 1), row(1, 2))
    (tmp_path / "frames" / "synframe001.jpg").write_bytes(b"\xff\xd8\xff")
    scanned = scan(dataset)
    (last,) = [record for record in scanned.records if record.frame == 2]
    assert last.before is not None
    assert [at is None for at in last.before.frames] == [True, False, True]
    assert "past-frame-unreadable" in [problem.id for problem in scanned.problems if problem.image_id == "1/000002"]


def test_it_is_told_from_a_csv_of_landmarks(ball, tmp_path):
    ball(row(1, 0))
    assert {name for name, (detect, _) in FORMATS.items() if detect(tmp_path)} == {"ball_csv", "landmark_csv"}
    assert read_dataset(tmp_path).format == "ball_csv"
    (tmp_path / "ball.csv").write_text("file,clip,x,y\nframes/synframe000.jpg,1,2,3\n")
    assert read_dataset(tmp_path).format == "landmark_csv"


@pytest.mark.real
@pytest.mark.skipif(not REAL.is_dir(), reason="the real data sets are not beside the checkout")
def test_the_tennis_balls_read_whole():
    dataset = read_dataset(REAL / "tennis_ball")
    assert (dataset.format, len(dataset), dataset.has_clips) == ("ball_csv", 403, True)
    assert not [problem for problem in dataset.problems if problem.severity != "note"]
    assert sum(bool(record.visible[0]) for record in dataset.records) == 401
    runs = [record for record in dataset.records if "synthetic" not in record.path.name]
    assert (len(runs), len({record.group for record in runs})) == (343, 17)
    assert sum(record.before.frames[-1] is not None for record in runs if record.before) == 343 - 17
    singles = [record for record in dataset.records if "synthetic" in record.path.name]
    assert len({record.group for record in singles}) == len(singles) == 60


def test_other_spellings_blank_columns_and_floats_are_the_same_labels(ball):
    dataset = ball(
        "55,s,7.0,frames/a7.jpg,1.0,10,20.5,,",
        "55,s,8.0,frames/a8.jpg,0.0,,,,",
        header="Clip,Source,Frame,filename,Visible,X,Y,,",
    )
    assert dataset.format == "ball_csv"
    assert [(r.frame, r.visible.tolist(), r.points_xy.tolist()) for r in dataset.records] == [
        (0, [True], [[10, 20.5]]),
        (1, [False], [[0, 0]]),
    ]
