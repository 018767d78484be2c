from __future__ import annotations

import numpy as np
import pytest

from sightline.errors import UserError
from sightline.readers import read_dataset

HEADER = "file,split,x0,y0,x1,y1"


def write(tmp_path, lines, *, name="labels.csv", encoding="utf-8", newline="\n"):
    (tmp_path / name).write_bytes((newline.join(lines) + newline).encode(encoding))


def one(dataset, id):
    found = [problem for problem in dataset.problems if problem.id == id]
    assert len(found) == 1, dataset.problems
    return found[0]


def test_pixel_index_points_become_continuous_to_the_last_digit(tmp_path, picture):
    picture(tmp_path / "train" / "a.png")
    write(tmp_path, [HEADER, "train/a.png,train,10.123456789,20.25,0,47"])
    (record,) = read_dataset(tmp_path).records
    assert record.points_xy.tolist() == [[10.623456789, 20.75], [0.5, 47.5]]
    assert record.visible.all()
    assert (record.image_id, record.split, record.source) == ("train/a.png", "train", "labels.csv:2")
    assert record.size_hw == (48, 64)


@pytest.mark.parametrize(
    ("encoding", "newline"), [("utf-8-sig", "\r\n"), ("utf-8", "\r\n"), ("utf-16", "\n"), ("utf-8-sig", "\n")]
)
def test_byte_order_marks_and_windows_line_ends_change_nothing(tmp_path, picture, encoding, newline):
    picture(tmp_path / "a.png")
    write(tmp_path, [HEADER, "a.png,val,1,2,3,4"], encoding=encoding, newline=newline)
    dataset = read_dataset(tmp_path)
    assert dataset.records[0].points_xy.tolist() == [[1.5, 2.5], [3.5, 4.5]]
    assert not dataset.errors


@pytest.mark.parametrize(
    "name",
    [
        "pics/a.JPG",
        "./pics/a.JPG",
        "pics\\a.JPG",
        "C:\\data\\set\\pics\\a.JPG",
        "/gone/set/pics/a.JPG",
        "a.JPG",
        "pics/a.jpg",
    ],
)
def test_pictures_are_found_however_their_path_is_written(tmp_path, picture, name):
    picture(tmp_path / "pics" / "a.JPG")
    write(tmp_path, [HEADER, f"{name},,1,2,3,4"])
    (record,) = read_dataset(tmp_path).records
    assert record.image_id == "pics/a.JPG"
    assert record.split is None


def test_an_absolute_path_that_exists_is_taken(tmp_path, picture):
    path = picture(tmp_path / "elsewhere" / "a.png")
    (tmp_path / "labels").mkdir()
    write(tmp_path / "labels", [HEADER, f"{path},,1,2,3,4"])
    assert read_dataset(tmp_path / "labels").records[0].path == path


@pytest.mark.parametrize(
    "header", ["nose_x,nose_y,ear_x,ear_y", "x_nose,y_nose,x_ear,y_ear", "nose.x,nose.y,ear.x,ear.y"]
)
def test_named_columns_name_the_points(tmp_path, picture, header):
    picture(tmp_path / "a.png")
    write(tmp_path, [f"image,{header}", "a.png,1,2,3,4"])
    dataset = read_dataset(tmp_path)
    assert dataset.skeleton.names == ("nose", "ear")
    assert dataset.records[0].points_xy.tolist() == [[1.5, 2.5], [3.5, 4.5]]
    assert not dataset.problems


def test_numbered_points_may_start_at_one_and_columns_may_stand_in_any_order(tmp_path, picture):
    picture(tmp_path / "a.png")
    write(tmp_path, ["y2,y1,x2,x1,filename", "4,2,3,1,a.png"])
    assert read_dataset(tmp_path).records[0].points_xy.tolist() == [[1.5, 2.5], [3.5, 4.5]]


def test_68_unnamed_points_are_taken_for_ibug_with_a_note(tmp_path, picture):
    picture(tmp_path / "a.png")
    columns = ",".join(f"x{i},y{i}" for i in range(68))
    write(tmp_path, [f"file,{columns}", "a.png" + ",5,6" * 68])
    dataset = read_dataset(tmp_path)
    assert dataset.skeleton.names[30] == "nose_tip"
    assert one(dataset, "skeleton-assumed").severity == "note"


def test_58_unnamed_points_of_a_csv_stay_generic(tmp_path, picture):
    picture(tmp_path / "a.png")
    columns = ",".join(f"x{i},y{i}" for i in range(58))
    write(tmp_path, [f"file,{columns}", "a.png" + ",5,6" * 58])
    assert read_dataset(tmp_path).skeleton.names[52] == "point_52"


def test_blank_cells_and_v_zero_are_not_visible(tmp_path, picture):
    picture(tmp_path / "a.png")
    write(tmp_path, ["file,x0,y0,v0,x1,y1,v1,x2,y2,v2", "a.png,7,7,0,,,,3,4,1"])
    (record,) = read_dataset(tmp_path).records
    assert record.visible.tolist() == [False, False, True]
    assert record.points_xy.tolist() == [[0, 0], [0, 0], [3.5, 4.5]]


def test_crop_box_group_and_extra_columns_are_no_points(tmp_path, picture):
    picture(tmp_path / "a.png")
    head = "file,source,width,height,crop_x,crop_y,crop_side,xmin,ymin,xmax,ymax,subject,mood,x0,y0"
    write(tmp_path, [head, "a.png,afw,64,48,1,2,3,4,5,30,40,anna,glad,1,2"])
    dataset = read_dataset(tmp_path)
    (record,) = dataset.records
    assert len(dataset.skeleton) == 1
    assert record.box_xyxy == (4, 5, 30, 40)
    assert record.group == "anna"
    assert "mood" in one(dataset, "columns-ignored").message


def test_all_bad_rows_are_told_at_once_with_their_lines(tmp_path, picture):
    for name in "abcdefg":
        picture(tmp_path / f"{name}.png")
    rows = [
        HEADER,
        "a.png,,1,2,3,4",
        "b.png,,1,2,3",
        "c.png,,nan,2,3,4",
        "d.png,,1,2,inf,4",
        "e.png,,1,,3,4",
        "f.png,,one,2,3,4",
        "nowhere.png,,1,2,3,4",
        "a.png,,5,6,7,8",
        ",,1,2,3,4",
    ]
    write(tmp_path, rows)
    dataset = read_dataset(tmp_path)
    assert [record.image_id for record in dataset.records] == ["a.png"]
    assert dataset.records[0].points_xy[0].tolist() == [1.5, 2.5]
    assert sorted((problem.where, problem.id) for problem in dataset.errors) == [
        ("labels.csv:10", "row-unreadable"),
        ("labels.csv:3", "row-length"),
        ("labels.csv:4", "point-not-finite"),
        ("labels.csv:5", "point-not-finite"),
        ("labels.csv:6", "point-incomplete"),
        ("labels.csv:7", "row-unreadable"),
        ("labels.csv:8", "image-missing"),
        ("labels.csv:9", "image-duplicated"),
    ]
    # g has no row; the others have one, however bad it is.
    assert [p.image_id for p in dataset.problems if p.id == "label-missing"] == ["g.png"]


def test_points_outside_the_picture_are_warned_of_and_kept(tmp_path, picture):
    picture(tmp_path / "a.png")
    write(tmp_path, [HEADER, "a.png,,-3,2,70,4"])
    dataset = read_dataset(tmp_path)
    assert one(dataset, "point-off-image").severity == "warning"
    assert "2 of 2" in one(dataset, "point-off-image").message
    assert dataset.records[0].visible.all()


def test_a_claimed_size_that_is_not_the_pictures_is_warned_of(tmp_path, picture):
    picture(tmp_path / "a.png")
    write(tmp_path, ["file,width,height,x0,y0", "a.png,128,96,1,2"])
    dataset = read_dataset(tmp_path)
    assert one(dataset, "image-size-mismatch").severity == "warning"
    assert dataset.records[0].size_hw == (48, 64)


def test_a_broken_picture_is_an_error_of_its_row(tmp_path):
    (tmp_path / "a.png").write_bytes(b"no picture at all")
    write(tmp_path, [HEADER, "a.png,,1,2,3,4"])
    dataset = read_dataset(tmp_path)
    assert not dataset.records
    assert one(dataset, "image-unreadable").where == "labels.csv:2"


def test_rows_with_different_boxes_are_objects_and_equal_rows_are_doubles(tmp_path, picture):
    picture(tmp_path / "a.png")
    write(
        tmp_path,
        ["file,xmin,ymin,xmax,ymax,x0,y0", "a.png,0,0,9,9,1,2", "a.png,10,0,19,9,11,2", "a.png,0,0,9,9,1,2"],
    )
    dataset = read_dataset(tmp_path)
    assert [record.image_id for record in dataset.records] == ["a.png", "a.png#2"]
    assert one(dataset, "image-duplicated").where == "labels.csv:4"


def test_files_called_train_and_val_become_parts(tmp_path, picture):
    picture(tmp_path / "a.png")
    picture(tmp_path / "b.png")
    write(tmp_path, ["file,x0,y0", "a.png,1,2"], name="train.csv")
    write(tmp_path, ["file,x0,y0", "b.png,1,2"], name="val.csv")
    assert [(r.image_id, r.split) for r in read_dataset(tmp_path).records] == [("a.png", "train"), ("b.png", "val")]
    only = read_dataset(tmp_path / "train.csv")
    assert len(only) == 1
    assert "label-missing" not in {problem.id for problem in only.problems}


def test_several_csvs_without_such_names_are_refused_by_name(tmp_path):
    write(tmp_path, [HEADER], name="first.csv")
    write(tmp_path, [HEADER], name="second.csv")
    with pytest.raises(UserError, match=r"first\.csv, second\.csv"):
        read_dataset(tmp_path)


def test_a_csv_without_rows_is_refused(tmp_path):
    write(tmp_path, ["file,nose_x,nose_y"])
    with pytest.raises(UserError, match="no labels"):
        read_dataset(tmp_path)


@pytest.mark.parametrize(
    ("header", "match"), [("file,x0,y0,x1", "y1"), ("file,x0,y0,x0", "twice"), ("file,x0,y0,x2,y2", "x1")]
)
def test_headers_that_cannot_be_right_are_refused(tmp_path, header, match):
    write(tmp_path, [header, "a.png,1,2,3,4"])
    with pytest.raises(UserError, match=match):
        read_dataset(tmp_path)


def test_a_file_that_is_not_utf8_says_so_with_its_line(tmp_path):
    (tmp_path / "labels.csv").write_bytes(b"file,x0,y0\na.png,1,2\n\xe9t\xe9.png,1,2\n")
    with pytest.raises(UserError, match=r"labels\.csv:3 .*UTF-8"):
        read_dataset(tmp_path)


def test_semicolons_separate_as_well(tmp_path, picture):
    picture(tmp_path / "a.png")
    write(tmp_path, ["file;x0;y0", "a.png;1.5;2"])
    assert np.allclose(read_dataset(tmp_path).records[0].points_xy, [[2.0, 2.5]])


def test_a_picture_named_by_a_relative_and_an_absolute_path_is_a_double(tmp_path, picture, monkeypatch):
    path = picture(tmp_path / "data" / "a.png")
    write(tmp_path / "data", ["file,x0,y0", "a.png,1,2", f"{path},1,2"])
    monkeypatch.chdir(tmp_path)
    for root in (tmp_path / "data", "data"):
        dataset = read_dataset(root)
        assert one(dataset, "image-duplicated").where == "labels.csv:3"
        assert dataset.records[0].image_id == "a.png"


def test_a_label_file_beside_it_in_another_encoding_does_no_harm(tmp_path, picture):
    picture(tmp_path / "a.png")
    picture(tmp_path / "b.png")
    write(tmp_path, ["file,x0,y0", "a.png,1,2"])
    (tmp_path / "notes.csv").write_bytes(b"\xe9t\xe9;b.png\n")
    dataset = read_dataset(tmp_path / "labels.csv")
    assert "label-missing" not in {problem.id for problem in dataset.problems}


@pytest.mark.parametrize("place", ["{part}.csv", "{part}/labels.csv"])
def test_parts_may_have_pictures_of_equal_names_in_folders_of_their_own(tmp_path, picture, place):
    for part, x in (("train", 3), ("test", 5)):
        picture(tmp_path / part / "a.png")
        (tmp_path / place.format(part=part)).write_text(f"image,x1,y1,x2,y2\na.png,{x},2,3,4\n")
    dataset = read_dataset(tmp_path)
    assert [(r.image_id, r.split, r.points_xy[0, 0]) for r in dataset.records] == [
        ("test/a.png", "test", 5.5),
        ("train/a.png", "train", 3.5),
    ]
    assert not dataset.errors


def test_columns_that_are_only_counted_are_x_and_y_in_turn(tmp_path, picture):
    picture(tmp_path / "training" / "a.png")
    (tmp_path / "points.csv").write_text(",0,1,2,3\na.png,1.0,2,3,4.5\n")
    dataset = read_dataset(tmp_path)
    assert dataset.skeleton.names == ("point_0", "point_1")
    assert dataset.records[0].points_xy.tolist() == [[1.5, 2.5], [3.5, 5]]


def test_left_and_top_make_width_and_height_those_of_the_box(tmp_path, picture):
    picture(tmp_path / "a.png")
    (tmp_path / "l.csv").write_text("image_name,left,top,width,height,x0,y0,x1,y1\na.png,5,6,20,10,7,8,9,10\n")
    dataset = read_dataset(tmp_path)
    assert (dataset.format, dataset.records[0].box_xyxy) == ("landmark_csv", (5, 6, 25, 16))
    assert [p.id for p in dataset.problems] == ["skeleton-assumed"]


def test_blanks_and_capitals_in_the_names_of_columns_do_not_matter(tmp_path, picture):
    picture(tmp_path / "a.png")
    (tmp_path / "l.csv").write_text("Image Name;Nose X;Nose Y;Subject-ID\na;1,5;2;mia\n")
    (record,) = read_dataset(tmp_path).records
    assert (record.image_id, record.points_xy.tolist(), record.group) == ("a.png", [[2, 2.5]], "mia")
