from __future__ import annotations

import json
import math

import pytest

from sightline.errors import UserError
from sightline.readers import read_dataset


def region(label="cat", x=25, y=50, width=50, height=25, **more):
    value = {"x": x, "y": y, "width": width, "height": height, "rotation": more.pop("rotation", 0)}
    return {
        "id": "r1",
        "type": "rectanglelabels",
        "original_width": 64,
        "original_height": 48,
        "image_rotation": 0,
        "value": value | {"rectanglelabels": [label]},
        **more,
    }


def point(label="nose", x=25, y=50):
    value = {"x": x, "y": y, "width": 0.5, "keypointlabels": [label]}
    return {"type": "keypointlabels", "original_width": 64, "original_height": 48, "value": value}


def task(*regions, image="a.png", id=1, **more):
    return {"id": id, "data": {"image": image}, "annotations": [{"id": 5, "result": list(regions)}], **more}


@pytest.fixture
def export(tmp_path, picture):
    """Writes tasks beside the pictures a.png and b.png, 64 x 48, and reads them."""
    for name in ("a.png", "b.png"):
        picture(tmp_path / name)

    def read(*tasks, **options):
        (tmp_path / "export.json").write_text(json.dumps(tasks))
        return read_dataset(tmp_path, **options)

    return read


def found(dataset, severity="error"):
    return [(p.id, p.where) for p in dataset.problems if p.severity == severity]


def test_percents_become_continuous_pixels_and_an_empty_annotation_is_a_picture_without_objects(export):
    dataset = export(task(region(), region("dog", 0, 0, 100, 100)), task(image="b.png", id=2))
    assert (dataset.format, dataset.classes) == ("label_studio", ("cat", "dog"))
    first, second = dataset.records
    assert first.objects.boxes_xyxy.tolist() == [[16, 24, 48, 36], [0, 0, 64, 48]]
    assert len(second.objects) == 0
    assert first.source == "export.json:task 1"
    assert dataset.problems == ()


@pytest.mark.parametrize(
    "image",
    [
        "/data/local-files/?d=some/where/a.png",
        "/data/local-files/?d=some%20where%2Fa.png",
        "/data/upload/3/1a2b3c4d-a.png",
        "1a2b3c4d-a.png",
        "http://localhost:8080/data/upload/a.png?token=1",
        "s3://bucket/folder/a.png",
        "a.png",
    ],
)
def test_the_servers_names_of_pictures_are_understood(export, image):
    (record,) = export(task(region(), image=image)).records
    assert record.image_id == "a.png"


def test_a_picture_whose_own_name_looks_like_an_upload_keeps_it(export, tmp_path, picture):
    picture(tmp_path / "1a2b3c4d-a.png")
    (record,) = export(task(region(), image="/data/upload/1/1a2b3c4d-a.png")).records
    assert record.image_id == "1a2b3c4d-a.png"


def test_another_key_than_image_may_name_the_picture(export):
    (record,) = export(task(region()) | {"data": {"id": 7, "photo": "a.png", "split": "Val", "group": "g"}}).records
    assert (record.image_id, record.split, record.group) == ("a.png", "val", "g")


def test_tasks_that_nobody_labelled_are_warned_of_and_left_out(export):
    dataset = export(
        task(region()),
        {"id": 2, "data": {"image": "b.png"}, "annotations": []},
    )
    assert [r.image_id for r in dataset.records] == ["a.png"]
    assert found(dataset, "warning") == [("label-missing", "export.json:task 2")]


def test_of_several_annotations_the_ground_truth_or_the_first_is_used(export):
    several = [
        {"result": [region("one")], "was_cancelled": True},
        {"result": [region("two")]},
        {"result": [region("three")], "ground_truth": True},
    ]
    dataset = export({"id": 1, "data": {"image": "a.png"}, "annotations": several}, task(region("four"), image="b.png"))
    assert dataset.classes == ("four", "three")
    assert found(dataset, "note") == [("annotations-several", "export.json")]


def test_pre_annotations_are_read_where_there_is_nothing_else_with_a_note(export):
    guess = {"model_version": "m", "score": 0.5, "result": [region(score=0.9)]}
    dataset = export({"id": 1, "data": {"image": "a.png"}, "predictions": [guess]}, task(region(), image="b.png"))
    assert len(dataset.records[0].objects) == 1
    assert found(dataset, "note") == [("predictions-read", "export.json")]


def test_videos_and_other_shapes_are_left_out_with_notes(export):
    video = {"id": 2, "data": {"video": "a.mp4"}, "annotations": [{"result": [{"type": "videorectangle"}]}]}
    choice = {"type": "choices", "value": {"choices": ["good"]}}
    dataset = export(task(region(), choice), task(choice, image="b.png", id=3), video)
    assert found(dataset, "note") == [("video-skipped", "export.json"), ("annotation-skipped", "export.json")]
    assert [len(r.objects) for r in dataset.records] == [1, 0]


def test_a_rectangle_drawn_at_an_angle_gives_the_upright_box_around_it(export):
    # 32 x 12 pixels, turned by 90 degrees clockwise about the upper left corner (32, 12).
    dataset = export(task(region(x=50, y=25, width=50, height=25, rotation=90)), task(region(), image="b.png"))
    assert dataset.records[0].objects.boxes_xyxy[0] == pytest.approx((20, 12, 32, 44))
    assert found(dataset, "warning") == [("box-turned", "export.json")]
    tilted = export(task(region(x=50, y=25, width=25, height=25, rotation=30)), task(region(), image="b.png"))
    w, h, c, s = 16, 12, math.cos(math.pi / 6), math.sin(math.pi / 6)
    expected = (32 - h * s, 12, 32 + w * c, 12 + w * s + h * c)
    assert tilted.records[0].objects.boxes_xyxy[0] == pytest.approx(expected)


def test_a_picture_that_was_turned_while_labelling_is_an_error(export):
    dataset = export(task(region() | {"image_rotation": 90}), task(region(), image="b.png", id=2))
    assert found(dataset) == [("image-turned", "export.json:task 1")]
    assert dataset.errors[0].image_id == "a.png"
    assert [r.image_id for r in dataset.records] == ["b.png"]


def test_bad_regions_are_told_at_once_and_the_good_ones_stay(export):
    dataset = export(
        task(
            region(),
            region(width=0),
            region(width=-5),
            region(x=float("nan")),
            region(x="left"),
            region(x=120),
            region() | {"value": None},
            region() | {"value": region()["value"] | {"rectanglelabels": []}},
            region(rotation="north"),
        ),
        task(region(), image="gone.png", id=2),
        task(region(), image="a.png", id=3),
        {"id": 4, "data": {"text": "hello"}, "annotations": []},
    )
    first = "row-unreadable row-unreadable box-class-missing row-unreadable box-empty box-inverted box-not-finite"
    expected = [(name, "export.json:task 1") for name in [*first.split(), "box-off-image"]]
    expected += [
        ("image-missing", "export.json:task 2"),
        ("image-duplicated", "export.json:task 3"),
        ("row-unreadable", "export.json:task 4"),
    ]
    assert sorted(found(dataset)) == sorted(expected)
    assert dataset.records[0].objects.boxes_xyxy.tolist() == [[16, 24, 48, 36]]


def test_a_note_makes_a_crowd_and_the_configuration_gives_the_order(export, tmp_path):
    (tmp_path / "config.xml").write_text(
        "<View><RectangleLabels name='l' toName='i'><Label value='zebra'/><Label value='cat'/></RectangleLabels></View>"
    )
    dataset = export(task(region(meta={"text": ["crowd"]}), region("ant", 1, 1, 2, 2)), task(image="b.png"))
    assert dataset.classes == ("zebra", "cat", "ant")
    assert dataset.records[0].objects.crowd.tolist() == [True, False]


def test_key_points_are_the_points_of_one_object(export):
    dataset = export(task(point(), point("tail", 50, 75)), task(point("tail", 0, 0), image="b.png", id=2))
    assert dataset.skeleton.names == ("nose", "tail")
    assert dataset.records[0].points_xy.tolist() == [[16, 24], [32, 36]]
    assert dataset.records[1].visible.tolist() == [False, True]
    assert dataset.records[0].objects is None
    assert not [p for p in dataset.problems if p.severity != "note"]


def test_bad_points_are_errors_of_their_picture(export):
    dataset = export(
        task(point(), point()),
        task(point(x=float("nan")), image="b.png", id=2),
        task(point(x=None), image="b.png", id=3),
    )
    assert found(dataset) == [
        ("point-count", "export.json:task 1"),
        ("point-not-finite", "export.json:task 2"),
        ("row-unreadable", "export.json:task 3"),
    ]


def test_with_rectangles_beside_points_each_is_an_object_with_its_points(export):
    left, right = region("fly", 0, 0, 40, 100), region("fly", 50, 0, 50, 100)
    first = task(left | {"id": "L"}, point("nose", 75, 50) | {"parentID": "L"}, point("tail", 60, 25), right)
    dataset = export(first, task(region("fly", 10, 10, 20, 20), point("nose", 90, 90), image="b.png", id=2))
    assert [(r.image_id, r.visible.tolist()) for r in dataset.records] == [
        ("a.png", [True, False]),
        ("a.png#2", [False, True]),
        ("b.png", [True, False]),
    ]
    assert [r.box_xyxy for r in dataset.records[:2]] == [pytest.approx((0, 0, 25.6, 48)), (32, 0, 64, 48)]
    assert dataset.records[0].points_xy[0].tolist() == [48, 24]
    assert found(dataset, "note") == [("boxes-of-objects", "export.json")]


def test_a_point_of_no_rectangle_or_of_two_is_an_error(export):
    boxes = [region("fly", 0, 0, 60, 100), region("fly", 40, 0, 60, 100)]
    dataset = export(
        task(*boxes, point("nose", 50, 50)),
        task(region("fly", width=0), point(), image="b.png", id=2),
    )
    assert found(dataset) == [("point-count", "export.json:task 1"), ("box-invalid", "export.json:task 2")]
    assert "lies in 2 of 2 rectangles" in dataset.errors[0].message


def test_json_min_is_read_and_of_several_annotations_the_first(export):
    def entry(id, *boxes, image, **more):
        label = {"label": list(boxes)} if boxes else {}
        return {"image": image, "id": id, **label, "annotator": 1, "annotation_id": id + 5, "lead_time": 2.5, **more}

    box = {"x": 25, "y": 50, "width": 50, "height": 25, "rotation": 0, "rectanglelabels": ["cat"]}
    box |= {"original_width": 64, "original_height": 48}
    dataset = export(
        entry(1, box, image="/data/upload/1/1a2b3c4d-a.png", split="val"),
        entry(1, box | {"x": 0}, image="/data/upload/1/1a2b3c4d-a.png"),
        entry(2, image="b.png"),
    )
    assert [r.objects.boxes_xyxy.tolist() for r in dataset.records] == [[[16, 24, 48, 36]], []]
    assert dataset.records[0].split == "val"


def test_files_of_one_task_or_annotation_each_are_read_together(tmp_path, picture):
    for name in ("a.png", "b.png"):
        picture(tmp_path / name)
    (tmp_path / "1.json").write_text(json.dumps(task(region())))
    stored = {"id": 7, "result": [region("dog")], "task": {"id": 2, "data": {"image": "s3://bucket/b.png"}}}
    (tmp_path / "2.json").write_text(json.dumps(stored))
    dataset = read_dataset(tmp_path)
    assert [(r.image_id, len(r.objects)) for r in dataset.records] == [("a.png", 1), ("b.png", 1)]
    assert dataset.classes == ("cat", "dog")


def outline(kind, **value):
    return {"id": kind, "type": kind, "original_width": 64, "original_height": 48, "value": value | {kind: ["dog"]}}


def test_outlines_become_boxes_unless_their_label_has_rectangles(export):
    polygon = outline("polygonlabels", points=[[25, 50], [75, 50], [50, 100]], closed=True)
    ellipse = outline("ellipselabels", x=50, y=50, radiusX=25, radiusY=12.5)
    dataset = export(task(region(), polygon, ellipse), task(region(), image="b.png", id=2))
    assert dataset.records[0].objects.boxes_xyxy.tolist() == [[16, 24, 48, 36], [16, 24, 48, 48], [16, 18, 48, 30]]
    assert found(dataset, "note") == [("outline-boxed", "export.json")]
    bad = [outline("polygonlabels", points=points) for points in (None, [], [[1]], [[1, "2"]], [[10**400, 1]], [1, 2])]
    dataset = export(task(region(), *bad), task(region(), image="b.png", id=2))
    assert found(dataset) == [("row-unreadable", "export.json:task 1")] * len(bad)
    dataset = export(task(region("dog"), polygon), task(region(), image="b.png", id=2))
    assert len(dataset.records[0].objects) == 1
    assert found(dataset, "note") == [("annotation-skipped", "export.json")]


def test_shapes_whose_labels_are_a_tag_of_their_own_are_read_once(export):
    value = {"x": 25, "y": 50, "width": 50, "height": 25, "rotation": 0}
    shape = {"id": "r", "type": "rectangle", "original_width": 64, "original_height": 48, "value": value}
    dataset = export(task(shape, shape | {"type": "labels", "value": value | {"labels": ["cat"]}}))
    assert dataset.records[0].objects.boxes_xyxy.tolist() == [[16, 24, 48, 36]]
    assert found(dataset, "note") == []


def test_neither_is_refused_unless_the_configuration_tells_what_is_meant(export, tmp_path):
    with pytest.raises(UserError, match="is not what 'label_studio' reads"):
        export(task(), format="label_studio")
    with pytest.raises(UserError, match="neither rectangles nor key points"):
        read_dataset(tmp_path / "export.json", format="label_studio")
    config = "<View><RectangleLabels><Label value='cat'/></RectangleLabels></View>"
    (tmp_path / "export_config.xml").write_text(config)
    dataset = export(task())
    assert [len(r.objects) for r in dataset.records] == [0]
    assert dataset.classes == ("cat",)


def test_other_exports_are_refused_by_name(export, tmp_path):
    with pytest.raises(UserError, match=r"task 1 has no 'data'.*not its CSV"):
        export({"id": 1, "image": "a.png", "label": ["rectanglelabels", "data"]}, format="label_studio")
    (tmp_path / "export.json").write_text(json.dumps([task(region())])[:-20])
    with pytest.raises(UserError, match="cut off"):
        read_dataset(tmp_path)
    (tmp_path / "export.json").write_text(json.dumps({"data": 1, "x": ["rectanglelabels"]}))
    with pytest.raises(UserError, match="task 1 has no 'data'"):
        read_dataset(tmp_path)


def test_a_region_of_two_labels_is_told_even_where_nothing_else_is_drawn(export):
    two = region() | {"value": region()["value"] | {"rectanglelabels": ["cat", "small"]}}
    dataset = export(task(two))
    assert found(dataset) == [("box-class-missing", "export.json:task 1")]
