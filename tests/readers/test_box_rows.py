"""CSVs of boxes as tools and data sets write them, in columns of other names, in one cell, or without a header."""

from __future__ import annotations

import pytest

from sightline.readers import read_dataset

BOX = [[10, 20, 40, 28]]


def found(dataset, severity):
    return [p.id for p in dataset.problems if p.severity == severity]


@pytest.fixture
def read(tmp_path, picture):
    """Writes a CSV beside images/a.png and images/b.png, 64 x 48, and reads the folder."""
    for name in ("a.png", "b.png"):
        picture(tmp_path / "images" / name)

    def of(text: str, encoding: str = "utf-8"):
        (tmp_path / "labels.csv").write_bytes(text.encode(encoding))
        return read_dataset(tmp_path)

    return of


@pytest.mark.parametrize(
    ("header", "row"),
    [
        ("image_name,label_name,x1,y1,w,h", "a.png,cat,10,20,30,8"),
        ("image,label,xmin,ymin,width,height", "a.png,cat,10,20,30,8"),
        ("image,class,x_center,y_center,width,height", "a.png,cat,25,24,30,8"),
        ("ImageID,LabelName,XMin,XMax,YMin,YMax,IsGroupOf", "a,cat,10,40,20,28,-1"),
        ("Width;Height;Roi.X1;Roi.Y1;Roi.X2;Roi.Y2;ClassId;Path", "64;48;10;20;40;28;cat;images/a.png"),
        ("\ufefffilename;class;xmin;ymin;xmax;ymax", "a.png;cat;10,0;20;40,00;28"),
        ("image_id,width,height,bbox,label", 'a,64,48,"[10.0, 20, 30, 8]",cat'),
        ("image_name,label_name,bbox", 'a.png,cat,"10 20 30 8"'),
        ("a.png,10,20,40,28,cat", "b.png,,,,,"),
        ("images/a.png,10,20,40,28,cat,64,48", "images/b.png,,,,,,64,48"),
    ],
)
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_columns_of_other_tools_are_understood(read, header, row, newline):
    dataset = read(header + newline + row + newline)
    assert (dataset.format, dataset.classes) == ("boxes_csv", ("cat",))
    assert dataset.records[0].image_id == "images/a.png"
    assert dataset.records[0].objects.boxes_xyxy.tolist() == BOX
    assert not dataset.errors


def test_four_numbers_in_a_cell_are_corners_where_sizes_would_reach_out_of_the_picture(read):
    dataset = read('image_id,bbox\na,"[10, 20, 40, 28]"\nb,"[40, 30, 60, 44]"\nb,\n')
    assert [r.objects.boxes_xyxy.tolist() for r in dataset.records] == [BOX, [[40, 30, 60, 44]]]
    assert "x0, y0, x1, y1" in next(p.message for p in dataset.problems if p.id == "columns-assumed")
    dataset = read('image_id,bbox\na,"[10, 20, 30, 8]"\nb,"[0, 0, 20, 24]"\n')
    assert [r.objects.boxes_xyxy.tolist() for r in dataset.records] == [BOX, [[0, 0, 20, 24]]]


def test_a_cell_that_is_no_box_is_told_with_its_line(read):
    dataset = read('image_id,bbox\na,"[10, 20, 30, 8]"\nb,"[10, 20, 30]"\nb,"[10, 20, wide, 8]"\n')
    assert [(p.id, p.where) for p in dataset.errors] == [
        ("row-unreadable", "labels.csv:3"),
        ("row-unreadable", "labels.csv:4"),
    ]
    assert "[10, 20, 30]" in dataset.errors[0].message


def test_a_file_without_a_header_loses_no_row(read):
    dataset = read("images/a.png,10,20,40,28,cat\nimages/a.png,0,0,5,6,dog\nimages/b.png,1,2,3,4,cat\n")
    assert [len(r.objects) for r in dataset.records] == [2, 1]
    assert found(dataset, "note") == ["columns-assumed"]
    assert dataset.records[1].source == "labels.csv:3"


def test_a_csv_in_each_folder_of_a_part_means_the_pictures_of_that_folder(tmp_path, picture):
    for part, row in (("train", "a.png,cat,10,20,40,28"), ("valid", "a.png,dog,0,0,5,6")):
        picture(tmp_path / part / "a.png")
        (tmp_path / part / "_annotations.csv").write_text(f"filename,class,xmin,ymin,xmax,ymax\n{row}\n")
    dataset = read_dataset(tmp_path)
    assert [(r.image_id, r.split, r.objects and r.objects.boxes_xyxy.tolist()) for r in dataset.records] == [
        ("train/a.png", "train", BOX),
        ("valid/a.png", "val", [[0, 0, 5, 6]]),
    ]
    assert not dataset.errors
