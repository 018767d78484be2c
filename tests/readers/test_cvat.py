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
