from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from sightline.errors import UserError
from sightline.readers import read_dataset
from sightline.readers.box_header import looks_like_boxes

REAL = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "caltech_onebox"


@pytest.fixture
def table(tmp_path, picture):
    """Writes rows beside the pictures a.png and b.png, 64 x 48, and reads them."""
    for name in ("a.png", "b.png"):
        picture(tmp_path / name)

    def read(*rows: str, name: str = "labels.csv", **options):
        (tmp_path / name).write_text("\n".join(rows) + "\n")
        return read_dataset(tmp_path, **options)

    return read


def found(dataset, severity="error"):
    return [(p.id, p.where) for p in dataset.problems if p.severity == severity]


def test_rows_of_a_picture_are_its_boxes_and_a_blank_box_is_none(table):
    dataset = table("file,class,xmin,ymin,xmax,ymax", "a.png,cat,10,20,40,28", "b.png,,,,,", "a.png,dog,1.5,2.25,3,4")
    assert (dataset.format, dataset.classes) == ("boxes_csv", ("cat", "dog"))
    first, second = dataset.records
    assert first.objects.boxes_xyxy.tolist() == [[10, 20, 40, 28], [1.5, 2.25, 3, 4]]
    assert first.objects.labels.tolist() == [0, 1]
    assert len(second.objects) == 0
    assert dataset.problems == ()


@pytest.mark.parametrize(
    "header",
    [
        "filename,xmin,ymin,xmax,ymax,class",
        "image,x_min,y_min,x_max,y_max,label",
        "path,xmin,ymin,xmax,ymax,category",
        "Filename,XMin,YMin,XMax,YMax,Name",
        "img_path,x1,y1,x2,y2,class_name",
        "file,left,top,right,bottom,class id",
        "file,bbox_x1,bbox_y1,bbox_x2,bbox_y2,category_name",
    ],
)
def test_headers_of_edges_are_understood(table, header):
    dataset = table(header, "a.png,10,20,40,28,7")
    assert dataset.records[0].objects.boxes_xyxy.tolist() == [[10, 20, 40, 28]]
    assert dataset.classes == ("7",)


@pytest.mark.parametrize(
    "header",
    [
        "file,x,y,w,h,class",
        "image,x,y,width,height,label",
        "file,bbox_x,bbox_y,bbox_w,bbox_h,class",
        "file,left,top,width,height,class",
    ],
)
def test_headers_of_sizes_are_understood(table, header):
    dataset = table(header, "a.png,10,20,30,8,cat", "b.png,1,2,3,4,cat")
    assert [r.objects.boxes_xyxy.tolist() for r in dataset.records] == [[[10, 20, 40, 28]], [[1, 2, 4, 6]]]
    assert dataset.problems == ()


@pytest.mark.parametrize(
    ("header", "is_boxes"),
    [
        ("file,xmin,ymin,xmax,ymax", True),
        ("file,x1,y1,x2,y2,class", True),
        ("file,x1,y1,x2,y2", False),
        ("file,x1,y1,x2,y2,x3,y3,class", False),
        ("file,x0,y0,x1,y1,v0,v1,class", False),
        ("file,x,y,w,h", False),
        ("file,x,y,w,h,visibility", False),
        ("file,x,y,visibility,w,h,class", False),
        ("file,class,xmin,ymin,xmax,ymax,x0,y0", False),
        ("file,class,xmin,ymin,xmax,ymax,nose_x,nose_y", False),
        ("class,xmin,ymin,xmax,ymax", False),
        ("file,class,xmin,ymin,xmax", False),
        ("file,class,xmin,ymin,xmax,ymax,xmin", False),
    ],
)
def test_headers_of_points_are_left_to_landmarks(header, is_boxes):
    assert looks_like_boxes(header.split(",")) is is_boxes


def test_a_header_that_could_be_points_is_read_as_boxes_when_asked_for(table):
    rows = ("file,x1,y1,x2,y2", "a.png,10,20,40,28")
    assert table(*rows).format == "landmark_csv"
    dataset = table(*rows, format="boxes_csv")
    assert dataset.records[0].objects.boxes_xyxy.tolist() == [[10, 20, 40, 28]]


def test_without_a_class_column_all_boxes_are_objects(table):
    dataset = table("file,xmin,ymin,xmax,ymax", "a.png,10,20,40,28", "b.png,1,2,3,4")
    assert dataset.classes == ("object",)
    assert found(dataset, "note") == [("class-assumed", "labels.csv")]


def test_all_other_columns_are_used(table):
    dataset = table(
        "file;width;height;class;xmin;ymin;xmax;ymax;split;group;crowd;area;weather",
        "a.png;64;48;cat;1;2;3;5;train;clip1;1;2.5;rain",
        "a.png;64;48;cat;11;12;13;15;train;clip1;false;;rain",
        "b.png;60;48;cat;1;2;3;5;Val;;;;",
    )
    first, second = dataset.records
    assert (first.split, first.group, second.split, second.group) == ("train", "clip1", "val", None)
    assert first.objects.crowd.tolist() == [True, False]
    assert first.objects.areas.tolist() == [2.5, 6]
    assert found(dataset, "note") == [("columns-ignored", "labels.csv")]
    assert found(dataset, "warning") == [("image-size-mismatch", "labels.csv:4")]


def test_files_of_parts_are_read_together(table):
    table("file,class,xmin,ymin,xmax,ymax", "a.png,cat,1,2,3,4", name="train.csv")
    dataset = table("file,class,xmin,ymin,xmax,ymax", "b.png,cat,1,2,3,4", "a.png,cat,1,2,3,4", name="val.csv")
    assert [(r.image_id, r.split) for r in dataset.records] == [("a.png", "train"), ("b.png", "val")]
    assert found(dataset) == [("image-duplicated", "val.csv:3")]


def test_a_class_list_gives_the_order(table, tmp_path):
    (tmp_path / "labels_classes.txt").write_text("zebra\ncat\n")
    rows = ("file,class,xmin,ymin,xmax,ymax", "a.png,cat,1,2,3,4", "a.png,zebra,1,2,3,4", "b.png,ant,1,2,3,4")
    assert table(*rows).classes == ("zebra", "cat", "ant")


def test_fractions_are_recognised(table):
    dataset = table("file,class,xmin,ymin,xmax,ymax", "a.png,cat,0.25,0.5,0.5,1", "b.png,cat,0,0,1,1")
    assert dataset.records[0].objects.boxes_xyxy.tolist() == [[16, 24, 32, 48]]
    assert found(dataset, "note") == [("fractions-assumed", "labels.csv")]


def test_bad_rows_are_told_at_once_with_their_line_and_the_good_ones_stay(table):
    dataset = table(
        "file,class,xmin,ymin,xmax,ymax,crowd,width,height",
        "a.png,cat,10,20,40,28,,,",
        "a.png,cat,10,20,10,28,,,",
        "a.png,cat,40,20,10,28,,,",
        "a.png,cat,nan,20,40,28,,,",
        "a.png,cat,ten,20,40,28,,,",
        "a.png,,10,20,40,28,,,",
        "a.png,cat,10,,40,28,,,",
        "a.png,cat,10,20,40,28,maybe,,",
        "a.png,cat,100,20,140,28,,,",
        "a.png,cat,10,20,40",
        ",cat,10,20,40,28,,,",
        "gone.png,cat,10,20,40,28,,,",
        "gone.png,cat,1,2,4,8,,,",
        "a.png,cat,10,20,40,29,,6.5,3",
        "b.png,cat,10,20,10,28,,,",
    )
    assert sorted(found(dataset)) == sorted(
        (name, f"labels.csv:{line}")
        for line, name in {
            3: "box-empty", 4: "box-inverted", 5: "box-not-finite", 6: "row-unreadable", 7: "box-class-missing",
            8: "row-unreadable", 9: "row-unreadable", 10: "box-off-image", 11: "row-length", 12: "row-unreadable",
            13: "image-missing", 15: "row-unreadable", 16: "box-empty",
        }.items()
    )  # fmt: skip
    (record,) = dataset.records
    assert record.objects.boxes_xyxy.tolist() == [[10, 20, 40, 28]]


def test_a_quote_that_is_never_closed_and_another_encoding_are_refused(table, tmp_path):
    with pytest.raises(UserError, match="not a CSV row"):
        table("file,class,xmin,ymin,xmax,ymax", 'a.png,"cat,1,2,3,4')
    (tmp_path / "labels.csv").write_bytes(b"file,class,xmin,ymin,xmax,ymax\na.png,caf\xe9,1,2,3,4\n")
    with pytest.raises(UserError, match=r"labels\.csv:2 holds bytes that are not UTF-8"):
        read_dataset(tmp_path)


def test_a_header_without_rows_is_refused(table):
    with pytest.raises(UserError, match="empty"):
        table("file,class,xmin,ymin,xmax,ymax")


@pytest.mark.real
@pytest.mark.skipif(not REAL.is_dir(), reason="the real data sets are not beside the checkout")
def test_caltech_reads_whole_and_without_complaint():
    dataset = read_dataset(REAL)
    assert (dataset.format, len(dataset), dataset.classes) == ("boxes_csv", 720, ("airplane", "face", "motorcycle"))
    assert all(len(record.objects) == 1 for record in dataset.records)
    assert Counter(record.split for record in dataset.records) == {"train": 720}
    assert dataset.problems == ()
