from __future__ import annotations

import pytest

from sightline.errors import UserError
from sightline.readers import detect_format, read_dataset

STYLE = "<?xml-stylesheet type='text/xsl' href='image_metadata_stylesheet.xsl'?>"
HEAD = f"<?xml version='1.0' encoding='ISO-8859-1'?>\n{STYLE}\n"


def parts(points, names=None):
    names = names or [f"{i:02d}" for i in range(len(points))]
    return "".join(f"      <part name='{n}' x='{x}' y='{y}'/>\n" for n, (x, y) in zip(names, points, strict=True))


def box(inner="", top=5, left=4, width=20, height=10, extra=""):
    return f"    <box top='{top}' left='{left}' width='{width}' height='{height}'{extra}>\n{inner}    </box>\n"


def image(file, *boxes, size=""):
    return f"  <image file='{file}'{size}>\n{''.join(boxes)}  </image>\n"


def write(path, *images, head=HEAD):
    path.write_text(f"{head}<dataset>\n<name>x</name>\n<images>\n{''.join(images)}</images>\n</dataset>\n")


def test_parts_become_continuous_and_boxes_stay_edges(tmp_path, picture):
    picture(tmp_path / "afw" / "a.jpg")
    inner = parts([(1, 2), (3.25, 4)])
    write(tmp_path / "labels.xml", image("afw/a.jpg", box(inner, left=-3), size=" width='64' height='48'"))
    dataset = read_dataset(tmp_path)
    (record,) = dataset.records
    assert record.points_xy.tolist() == [[1.5, 2.5], [3.75, 4.5]]
    assert record.box_xyxy == (-3, 5, 17, 15)
    assert (record.image_id, record.source) == ("afw/a.jpg", "labels.xml:7")
    assert [problem.id for problem in dataset.problems] == ["skeleton-assumed"]


def test_parts_in_any_order_are_sorted_by_number(tmp_path, picture):
    picture(tmp_path / "a.jpg")
    inner = parts(
        [(i, 0) for i in (10, 2, 1, 0, 3, 4, 5, 6, 7, 8, 9)],
        names=["10", "2", "1", "0", "3", "4", "5", "6", "7", "8", "9"],
    )
    write(tmp_path / "labels.xml", image("a.jpg", box(inner)))
    assert read_dataset(tmp_path).records[0].points_xy[:, 0].tolist() == [i + 0.5 for i in range(11)]


def test_several_boxes_are_several_records(tmp_path, picture):
    picture(tmp_path / "a.jpg")
    write(tmp_path / "labels.xml", image("a.jpg", box(parts([(1, 2)])), box(parts([(3, 4)])), box(extra=" ignore='1'")))
    dataset = read_dataset(tmp_path)
    assert [record.image_id for record in dataset.records] == ["a.jpg", "a.jpg#2"]
    assert "box-ignored" in {problem.id for problem in dataset.problems}


def test_a_picture_in_two_image_elements_is_a_double(tmp_path, picture):
    picture(tmp_path / "a.jpg")
    write(tmp_path / "labels.xml", image("a.jpg", box(parts([(1, 2)]))), image("./a.jpg", box(parts([(1, 2)]))))
    dataset = read_dataset(tmp_path)
    assert [(p.id, p.where) for p in dataset.errors] == [("image-duplicated", "labels.xml:12")]
    assert len(dataset) == 1


def test_a_box_without_parts_is_unlabelled_with_the_others_count(tmp_path, picture):
    picture(tmp_path / "a.jpg")
    picture(tmp_path / "b.jpg")
    write(tmp_path / "labels.xml", image("a.jpg", box(parts([(1, 2), (3, 4)]))), image("b.jpg", box()))
    dataset = read_dataset(tmp_path)
    assert dataset.records[1].visible.tolist() == [False, False]
    assert [(p.id, p.image_id) for p in dataset.problems if p.severity == "warning"] == [("label-missing", "b.jpg")]


def test_a_numbered_part_that_is_missing_is_an_error_naming_the_count(tmp_path, picture):
    for name in "abc":
        picture(tmp_path / f"{name}.jpg")
    whole = box(parts([(1, 2), (3, 4), (5, 6)]))
    write(
        tmp_path / "labels.xml",
        image("a.jpg", whole),
        image("b.jpg", box(parts([(1, 2), (5, 6)], names=["00", "02"]))),
        image("c.jpg", whole),
    )
    dataset = read_dataset(tmp_path)
    (problem,) = dataset.errors
    assert (problem.id, problem.image_id) == ("point-count", "b.jpg")
    assert "2 parts" in problem.message
    assert "expected 3" in problem.message
    assert len(dataset) == 2


def test_a_named_part_that_is_missing_is_not_visible(tmp_path, picture):
    picture(tmp_path / "a.jpg")
    picture(tmp_path / "b.jpg")
    write(
        tmp_path / "labels.xml",
        image("a.jpg", box(parts([(1, 2), (3, 4)], names=["left_eye", "right_eye"]))),
        image("b.jpg", box(parts([(3, 4)], names=["right_eye"]))),
    )
    dataset = read_dataset(tmp_path)
    assert not dataset.errors
    assert dataset.records[1].visible.tolist() == [False, True]
    assert dataset.skeleton.flip_pairs == ((0, 1),)


def test_bad_parts_and_boxes_are_told_with_their_lines(tmp_path, picture):
    for name in "abcd":
        picture(tmp_path / f"{name}.jpg")
    write(
        tmp_path / "labels.xml",
        image("a.jpg", box(parts([(1, 2)]))),
        image("b.jpg", box(parts([("nan", 2)]))),
        image("c.jpg", box(parts([("x", 2)]))),
        image("d.jpg", box(parts([(1, 2)]), width=0)),
    )
    dataset = read_dataset(tmp_path)
    assert [(p.id, p.where) for p in dataset.errors] == [
        ("point-not-finite", "labels.xml:13"),
        ("row-unreadable", "labels.xml:18"),
        ("box-invalid", "labels.xml:22"),
    ]


@pytest.mark.parametrize(
    "head",
    [
        "<?xml version='1.0'?>\n<!DOCTYPE dataset [<!ENTITY a 'aaaa'><!ENTITY b '&a;&a;'>]>\n",
        "<?xml version='1.0'?>\n<!DOCTYPE dataset SYSTEM 'file:///etc/passwd'>\n",
    ],
)
def test_document_types_and_entities_are_refused(tmp_path, head):
    write(tmp_path / "labels.xml", image("a.jpg", box()), head=head)
    with pytest.raises(UserError, match=r"labels\.xml:2 .*DOCTYPE"):
        read_dataset(tmp_path)


def test_xml_that_is_cut_off_says_where(tmp_path):
    (tmp_path / "labels.xml").write_text(f"{HEAD}<dataset>\n<images>\n  <image file='a.jpg'>\n    <box top='1'")
    with pytest.raises(UserError, match=r"labels\.xml:6"):
        read_dataset(tmp_path)


def test_train_and_test_files_are_parts_and_their_union_is_left_out(tmp_path, picture):
    for name in "ab":
        picture(tmp_path / f"{name}.jpg")
    first, second = (image(f"{name}.jpg", box(parts([(1, 2)]))) for name in "ab")
    write(tmp_path / "labels_ibug_300W.xml", first, second)
    write(tmp_path / "labels_ibug_300W_train.xml", first)
    write(tmp_path / "labels_ibug_300W_test.xml", second)
    dataset = read_dataset(tmp_path)
    assert {record.image_id: record.split for record in dataset.records} == {"a.jpg": "train", "b.jpg": "test"}
    assert not dataset.errors


def test_voc_xml_is_not_taken_for_dlibs(tmp_path):
    (tmp_path / "a.xml").write_text("<annotation><filename>a.jpg</filename></annotation>")
    assert detect_format(tmp_path) == "voc"
    with pytest.raises(UserError, match="'dlib_xml' reads"):
        read_dataset(tmp_path, format="dlib_xml")
