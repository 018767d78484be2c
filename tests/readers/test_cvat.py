from __future__ import annotations

import pytest

from sightline.errors import UserError
from sightline.readers import read_dataset

LABELS = "<meta><task><labels><label><name>dog</name></label><label><name>cat</name></label></labels></task></meta>"


def box(label="cat", edges=(10, 20, 40, 28), more="", inside=""):
    said = " ".join(f'{name}="{value}"' for name, value in zip(("xtl", "ytl", "xbr", "ybr"), edges, strict=True))
    return f'<box label="{label}" source="manual" occluded="0" {said} {more}>{inside}</box>\n'


def image(*shapes, name="a.png", more='width="64" height="48"'):
    return f'<image id="0" name="{name}" {more}>\n{"".join(shapes)}</image>\n'


@pytest.fixture
def export(tmp_path, picture):
    """Writes an XML beside the pictures a.png and b.png, 64 x 48, and reads it."""
    for name in ("a.png", "b.png"):
        picture(tmp_path / name)

    def read(*images, meta=LABELS, head="", **options):
        text = f'<?xml version="1.0" encoding="utf-8"?>\n{head}<annotations>\n<version>1.1</version>\n{meta}\n'
        (tmp_path / "annotations.xml").write_text(text + "".join(images) + "</annotations>\n")
        return read_dataset(tmp_path, **options)

    return read


def found(dataset, severity="error"):
    return [(p.id, p.where) for p in dataset.problems if p.severity == severity]


def test_boxes_are_read_as_they_stand_and_the_labels_give_the_order(export):
    dataset = export(image(box(edges=(10.25, 20.5, 40, 28)), box("dog")), image(name="b.png", more='subset="Train"'))
    assert (dataset.format, dataset.classes) == ("cvat", ("dog", "cat"))
    first, second = dataset.records
    assert first.objects.boxes_xyxy.tolist() == [[10.25, 20.5, 40, 28], [10, 20, 40, 28]]
    assert first.objects.labels.tolist() == [1, 0]
    assert (first.split, second.split, len(second.objects)) == (None, "train", 0)
    assert dataset.problems == ()


@pytest.mark.parametrize("name", ["is_crowd", "iscrowd", "difficult"])
def test_an_attribute_makes_a_crowd(export, name):
    dataset = export(
        image(box(inside=f'<attribute name="{name}">true</attribute>'), box("dog")),
        image(box(inside=f'<attribute name="{name}">false</attribute>'), name="b.png"),
    )
    assert [r.objects.crowd.tolist() for r in dataset.records] == [[True, False], [False]]


def test_a_turned_box_gives_the_upright_one_around_it(export):
    dataset = export(image(box("dog", (20, 20, 40, 24), 'rotation="90"')), image(box(), name="b.png"))
    assert dataset.records[0].objects.boxes_xyxy[0] == pytest.approx((28, 12, 32, 32))
    assert found(dataset, "warning") == [("box-turned", "annotations.xml:5")]


def test_other_shapes_are_left_out_with_a_note(export):
    polygon = '<polygon label="cat" points="1,2;3,4;5,6"></polygon><tag label="dog"></tag>'
    dataset = export(image(box(), box("dog"), polygon), image(name="b.png"))
    assert [p.message for p in dataset.problems] == ["left out: 1 polygon, 1 tag"]


def test_bad_boxes_are_told_at_once_with_their_line_and_the_good_ones_stay(export):
    dataset = export(
        image(
            box("dog"),
            box(edges=(10, 20, 10, 28)),
            box(edges=(40, 20, 10, 28)),
            box(edges=("nan", 20, 10, 28)),
            box(edges=("", 20, 10, 28)),
            box(" "),
            box(edges=(100, 20, 110, 28)),
            box("dog"),
        ),
        image(box(), name="gone.png"),
        image(box(), name="a.png"),
        image(box(), name=""),
        image(box(), name="b.png", more='width="wide" height="48"'),
    )
    errors = ["box-empty", "box-inverted", "box-not-finite", "row-unreadable", "box-class-missing", "box-off-image"]
    expected = [(name, f"annotations.xml:{line}") for line, name in enumerate(errors, start=7)]
    expected += [
        (name, f"annotations.xml:{15 + 3 * i}")
        for i, name in enumerate(("image-missing", "image-duplicated", "row-unreadable"))
    ]
    assert sorted(found(dataset)) == sorted(expected)
    assert sorted(found(dataset, "warning")) == [
        ("box-duplicated", "annotations.xml:13"),
        ("row-unreadable", "annotations.xml:24"),
    ]
    assert [len(r.objects) for r in dataset.records] == [1, 1]


def test_points_are_those_of_one_object_where_there_are_no_boxes(export):
    nose = '<points label="nose" outside="0" points="1.5,2"/>'
    skeleton = f'<skeleton label="fly">{nose}<points label="tail" outside="1" points="0,0"/></skeleton>'
    loose = '<points label="nose" points="5,6"></points><points label="tail" points="7,8"></points>'
    dataset = export(image(skeleton), image(loose, name="b.png"), meta="")
    assert dataset.skeleton.names == ("nose", "tail")
    assert dataset.records[0].points_xy.tolist() == [[1.5, 2], [0, 0]]
    assert dataset.records[0].visible.tolist() == [True, False]
    assert dataset.records[1].points_xy.tolist() == [[5, 6], [7, 8]]


@pytest.mark.parametrize(
    ("points", "id"),
    [
        ('<points label="nose" points="1,2;3,4"/>', "point-count"),
        ('<points label="nose" points="1"/>', "point-count"),
        ('<points label="nose" points="a,b"/>', "row-unreadable"),
        ('<points label="nose" points="nan,2"/>', "point-not-finite"),
        ('<points label="nose" points="1,2"/><points label="nose" points="3,4"/>', "point-count"),
    ],
)
def test_points_that_are_not_one_each_are_errors(export, points, id):
    good = image('<points label="nose" points="1,2"/>', name="b.png")
    assert [name for name, _ in found(export(image(points), good))] == [id]


@pytest.mark.parametrize(
    "head",
    [
        '<!DOCTYPE a [<!ENTITY x "xxxx"><!ENTITY y "&x;&x;&x;&x;">]>\n',
        '<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]>\n',
        '<!DOCTYPE a SYSTEM "http://example.com/a.dtd">\n',
    ],
    ids=["bomb", "external", "dtd"],
)
def test_document_types_are_refused(export, head):
    with pytest.raises(UserError, match=r"annotations\.xml:2 declares a document type"):
        export(image(box()), head=head)


def test_tracks_of_videos_and_cut_files_are_refused(export, tmp_path):
    with pytest.raises(UserError, match="tracks of a video"):
        export('<track id="0" label="cat"><box frame="0" xtl="1" ytl="2" xbr="3" ybr="4"/></track>', format="cvat")
    export(image(box()))
    file = tmp_path / "annotations.xml"
    file.write_text(file.read_text()[:-20])
    with pytest.raises(UserError, match=r"annotations\.xml:\d+ is not XML"):
        read_dataset(tmp_path)


def test_files_of_parts_are_read_together(export, tmp_path):
    export(image(box()))
    (tmp_path / "annotations.xml").rename(tmp_path / "train.xml")
    export(image(box("dog"), name="b.png"))
    (tmp_path / "annotations.xml").rename(tmp_path / "val.xml")
    assert [(r.image_id, r.split) for r in read_dataset(tmp_path).records] == [("a.png", "train"), ("b.png", "val")]


def test_a_project_keeps_pictures_of_equal_names_in_folders_of_their_subsets(tmp_path, picture, export):
    for name in ("images/Train/c.png", "images/Validation/c.png", "images/frame_000000.PNG"):
        picture(tmp_path / name)
    dataset = export(
        image(box("dog"), name="c.png", more='subset="Train" task_id="1"'),
        image(name="c.png", more='subset="Validation" task_id="2"'),
        image(box(), name="frame_000000", more='subset="default"'),
    )
    assert [(r.image_id, r.split, len(r.objects)) for r in dataset.records] == [
        ("images/Train/c.png", "train", 1),
        ("images/Validation/c.png", "validation", 0),
        ("images/frame_000000.PNG", None, 1),
    ]


def test_outlines_of_labels_without_boxes_give_the_boxes_around_them(export):
    polygon = '<polygon label="dog" points="10,20;40,21.5;30,28"/>'
    ellipse = '<ellipse label="dog" cx="20" cy="20" rx="4" ry="2.5"/>'
    mask = '<mask label="dog" rle="0, 4" left="5" top="6" width="7" height="8"/>'
    bad = '<polygon label="dog" points="10;40,21.5"/>'
    covered = '<polygon label="cat" points="10,20;40,21.5;30,28"/>'
    dataset = export(image(box(), polygon, ellipse, mask, bad, covered), image(name="b.png"))
    assert dataset.records[0].objects.boxes_xyxy.tolist() == [
        [10, 20, 40, 28],
        [10, 20, 40, 28],
        [16, 17.5, 24, 22.5],
        [5, 6, 12, 14],
    ]
    assert dataset.records[0].objects.labels.tolist() == [1, 0, 0, 0]
    assert found(dataset) == [("row-unreadable", "annotations.xml:7")]
    assert found(dataset, "note") == [("annotation-skipped", "annotations.xml"), ("outline-boxed", "annotations.xml")]


def test_each_skeleton_is_an_object_and_its_drawing_gives_the_edges(export):
    def fly(x, tail_outside):
        nose = f'<points label="nose" outside="0" occluded="1" points="{x},2.5"/>'
        tail = f'<points label="tail" outside="{tail_outside}" occluded="0" points="{x},9"/>'
        return f'<skeleton label="fly" occluded="0">\n{nose}\n{tail}</skeleton>\n'

    drawing = (
        '&lt;line x1="1" data-type="edge" data-node-from="2" data-node-to="1"&gt;&lt;/line&gt;'
        '&lt;circle data-node-id="1" data-label-name="nose"&gt;&lt;/circle&gt;'
        '&lt;circle data-node-id="2" data-label-name="tail"&gt;&lt;/circle&gt;'
    )
    meta = (
        "<meta><task><labels>"
        f"<label><name>fly</name><type>skeleton</type><svg>{drawing}</svg></label>"
        "<label><name>tail</name><type>points</type><parent>fly</parent></label>"
        "<label><name>nose</name><type>points</type><parent>fly</parent></label>"
        "</labels></task></meta>"
    )
    dataset = export(image(fly(5, 0), fly(30, 1)), image(fly(7, 0), name="b.png"), meta=meta)
    assert dataset.skeleton.names == ("tail", "nose")
    assert dataset.skeleton.edges == ((0, 1),)
    assert [(r.image_id, r.points_xy.tolist(), r.visible.tolist()) for r in dataset.records] == [
        ("a.png", [[5, 9], [5, 2.5]], [True, True]),
        ("a.png#2", [[0, 0], [30, 2.5]], [False, True]),
        ("b.png", [[7, 9], [7, 2.5]], [True, True]),
    ]
    assert dataset.records[1].source == "annotations.xml:10"


def test_many_points_of_one_label_are_counted_and_each_shape_is_an_object(export):
    two = '<points label="face" points="1,2;3.5,4"/><points label="face" points="11,12;13,14"/>'
    three = '<points label="face" points="1,2;3,4;5,6"/>'
    dataset = export(image(two), image(three, name="b.png"))
    assert dataset.skeleton.names == ("point_0", "point_1")
    assert [r.points_xy.tolist() for r in dataset.records] == [[[1, 2], [3.5, 4]], [[11, 12], [13, 14]]]
    assert found(dataset) == [("point-count", "annotations.xml:8")]


def test_points_of_several_labels_are_parts_of_one_object_or_of_one_for_each_group(export):
    def insect(x, group):
        eye = f'<points label="eye" points="{x},1;{x},2" {group}/>'
        return f'{eye}<points label="sting" points="{x},9" {group}/>'

    dataset = export(image(insect(1, 'group_id="1"'), insect(20, 'group_id="2"')), image(insect(5, ""), name="b.png"))
    assert dataset.skeleton.names == ("eye_0", "eye_1", "sting")
    assert [r.points_xy.tolist() for r in dataset.records] == [[[x, 1], [x, 2], [x, 9]] for x in (1, 20, 5)]
