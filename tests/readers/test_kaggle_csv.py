from __future__ import annotations

import pytest

from sightline.errors import UserError
from sightline.readers import read_dataset, read_submission

XML = "<?xml version='1.0'?>\n<dataset>\n<images>\n{}</images>\n</dataset>\n"
IMAGE = "<image file='{}'><box top='1' left='2' width='30' height='40'></box></image>\n"


def write(tmp_path, values, *, first=0, names=("b.jpg", "a.jpg")):
    (tmp_path / "test_parsed.xml").write_text(XML.format("".join(IMAGE.format(name) for name in names)))
    rows = "".join(f"{first + i},{value}\n" for i, value in enumerate(values))
    (tmp_path / "submission.csv").write_text("Id,Predicted\n" + rows)


def test_rows_go_to_the_boxes_in_the_order_of_the_xml(tmp_path, picture):
    picture(tmp_path / "a.jpg")
    picture(tmp_path / "b.jpg")
    write(tmp_path, [1.25, 2, 3, 4, 5, 6, 7, 8])
    dataset = read_dataset(tmp_path)
    assert dataset.format == "kaggle_csv"
    assert [record.image_id for record in dataset.records] == ["b.jpg", "a.jpg"]
    assert dataset.records[0].points_xy.tolist() == [[1.75, 2.5], [3.5, 4.5]]
    assert dataset.records[1].points_xy.tolist() == [[5.5, 6.5], [7.5, 8.5]]
    assert dataset.records[0].box_xyxy == (2, 1, 32, 41)
    assert dataset.records[1].source == "submission.csv:6"


def test_ids_may_start_at_one(tmp_path, picture):
    picture(tmp_path / "a.jpg")
    picture(tmp_path / "b.jpg")
    write(tmp_path, [1, 2, 3, 4], first=1)
    assert len(read_submission(tmp_path / "submission.csv", tmp_path / "test_parsed.xml")) == 2


def test_rows_that_do_not_share_out_are_refused(tmp_path):
    write(tmp_path, [1, 2, 3, 4, 5])
    with pytest.raises(UserError, match="5 rows for 2 boxes"):
        read_dataset(tmp_path)


def test_ids_out_of_order_are_refused_with_the_line(tmp_path):
    write(tmp_path, [1, 2, 3, 4])
    text = (tmp_path / "submission.csv").read_text().replace("2,3\n3,4\n", "3,4\n2,3\n")
    (tmp_path / "submission.csv").write_text(text)
    with pytest.raises(UserError, match=r"submission\.csv:4 has the Id 3 where 2"):
        read_dataset(tmp_path)


def test_values_that_are_no_points_are_errors_of_their_picture(tmp_path, picture):
    picture(tmp_path / "a.jpg")
    picture(tmp_path / "b.jpg")
    write(tmp_path, [1, "nan", 3, "x"])
    dataset = read_dataset(tmp_path)
    assert [(p.id, p.where, p.image_id) for p in dataset.errors] == [
        ("point-not-finite", "submission.csv:3", "b.jpg"),
        ("row-unreadable", "submission.csv:5", "a.jpg"),
    ]
