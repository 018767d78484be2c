from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import torch
from torchvision.ops import box_iou

from sightline.anchors import coverage
from sightline.anchors.coverage import best_ious, measure_coverage
from sightline.anchors.generate import RetinaAnchors, ShapedAnchors, SquareAnchors, make_anchors
from sightline.anchors.look import look
from sightline.anchors.picture import anchor_picture
from sightline.errors import UserError

LEVELS, INPUT = ((16, 16), (8, 8), (4, 4)), (64, 64)
BCCD = Path(__file__).resolve().parents[2] / ".." / "shared" / "data" / "bccd" / "Annotations"


def pictures(count=12, *, seed=0, low=4.0, high=40.0, each=6):
    """Boxes [n, 4] of some pictures, as wide as high or narrower, one picture without any."""
    rng = np.random.default_rng(seed)
    found = [np.zeros((0, 4))]
    for _ in range(count - 1):
        corner = rng.random((each, 2)) * 40
        sides = low + rng.random((each, 2)) * (high - low) * [0.4, 1]
        found.append(np.concatenate([corner, corner + sides], axis=1))
    return found


def test_recall_is_the_part_of_objects_that_some_anchor_overlaps_by_more_than_half():
    boxes, rule = pictures(), RetinaAnchors()
    anchors = make_anchors(rule, levels_hw=LEVELS, input_hw=INPUT)
    ious = box_iou(torch.from_numpy(np.concatenate(boxes)).float(), anchors).amax(dim=1).numpy()
    found = measure_coverage(boxes, rule=rule, levels_hw=LEVELS, input_hw=INPUT)
    np.testing.assert_allclose(best_ious(boxes, rule=rule, levels_hw=LEVELS, input_hw=INPUT), ious, rtol=1e-5)
    assert found.recall == pytest.approx((ious > 0.5).mean())
    assert found.mean_iou == pytest.approx(ious.mean(), rel=1e-5)
    assert 0.2 < found.recall < 1 and found.places == len(anchors)
    assert found.pictures == found.assigned_pictures == 11


def test_a_hand_made_case_is_counted_right():
    """Cells of 8 px with one 8 px square each. One object is a square itself, one far too large, one far too small."""
    rule = ShapedAnchors(shapes_wh=(((8.0, 8.0), (1.0, 60.0)),))
    boxes = [np.array([[8.0, 8, 16, 16], [0, 0, 64, 64]]), np.array([[0.5, 0.5, 2, 2]])]
    found = measure_coverage(boxes, rule=rule, levels_hw=((8, 8),), input_hw=INPUT)
    assert found.recall == pytest.approx(1 / 3)
    fixed, aligned = found.assignments["fixed IoU"], found.assignments["task-aligned"]
    assert (fixed.objects, fixed.orphans, fixed.forced, fixed.per_object) == (3, 0, 2, 1.0)
    assert (aligned.orphans, aligned.forced) == (0, 1)
    assert aligned.per_object == pytest.approx((1 + 13 + 1) / 3, abs=0.8)
    assert found.idle == ((0, 1),)


def test_levels_add_up_to_the_whole():
    found = measure_coverage(pictures(), rule=RetinaAnchors(), levels_hw=LEVELS, input_hw=INPUT)
    for way in found.assignments.values():
        assert sum(level.objects for level in way.levels) == way.objects == 66
        assert sum(level.orphans for level in way.levels) == way.orphans
        assert sum(level.forced for level in way.levels) == way.forced
        assert sum(level.share for level in way.levels) == pytest.approx(1)
        places = sum(level.objects * (level.per_object or 0) for level in way.levels)
        assert places / way.objects == pytest.approx(way.per_object)


def test_of_many_pictures_some_are_drawn_but_recall_is_that_of_all(monkeypatch):
    boxes = pictures(30)
    whole = measure_coverage(boxes, rule=RetinaAnchors(), levels_hw=LEVELS, input_hw=INPUT)
    monkeypatch.setattr(coverage, "_MOST", 10)
    part = measure_coverage(boxes, rule=RetinaAnchors(), levels_hw=LEVELS, input_hw=INPUT)
    assert (part.recall, part.mean_iou) == (whole.recall, whole.mean_iou)
    assert part.assigned_pictures == 10 and part.assignments["ATSS"].objects == 60


def test_automatic_anchors_are_advised_where_they_help():
    small = pictures(40, low=3.0, high=9.0)
    report = look(small, rule=RetinaAnchors(), levels_hw=LEVELS, input_hw=INPUT)
    kmeans = report.automatic[0]
    assert kmeans.way == "k-means" and kmeans.per_cell == 9
    assert kmeans.recall > report.coverage.recall + 0.4
    assert report.better is not None and report.better.rule is not None
    assert any("They would help" in line for line in report.lines())


def test_they_are_not_advised_where_the_anchors_fit_already():
    rule = ShapedAnchors(shapes_wh=(((8.0, 8.0),), ((16.0, 16.0),), ((32.0, 32.0),)))
    rng = np.random.default_rng(0)
    boxes = []
    for _ in range(20):
        corner = rng.integers(0, 4, (4, 2)) * 8.0
        side = rng.choice([8.0, 16.0], (4, 1))
        corner -= corner % side
        boxes.append(np.concatenate([corner, corner + side], axis=1))
    report = look(boxes, rule=rule, levels_hw=((8, 8), (4, 4), (2, 2)), input_hw=INPUT)
    assert report.coverage.mean_iou == pytest.approx(1)
    assert report.better is None
    assert any("They would not help." in line for line in report.lines())


def test_what_cannot_be_found_says_why():
    report = look(pictures(2), rule=RetinaAnchors(), levels_hw=LEVELS, input_hw=INPUT)
    assert all(one.rule is None and "one picture" in one.why_not for one in report.automatic)
    equal = [np.array([[4.0, 4, 20, 20]])] * 6
    report = look(equal, rule=RetinaAnchors(), levels_hw=LEVELS, input_hw=INPUT)
    kmeans, peaks = report.automatic
    assert kmeans.recall is not None and "peaks" in peaks.why_not and peaks.rule is None
    assert peaks.why_not in " ".join(" ".join(report.lines()).split())


def test_boxes_without_an_area_are_counted_and_left_out():
    boxes = [*pictures(), np.array([[5.0, 5, 5, 9], [9, 9, 4, 12]])]
    report = look(boxes, rule=SquareAnchors(), levels_hw=LEVELS, input_hw=INPUT)
    assert (report.pictures, report.objects, report.without_area) == (13, 66, 2)
    assert "2 without an area" in report.lines()[0]
    assert any("no anchors" in line for line in report.lines())


@pytest.mark.parametrize("boxes", [[], [np.zeros((0, 4))], [np.array([[3.0, 3, 3, 3]])]])
def test_nothing_to_look_at_is_a_user_error(boxes):
    with pytest.raises(UserError, match="none with an area"):
        look(boxes, rule=SquareAnchors(), levels_hw=LEVELS, input_hw=INPUT)


def test_the_report_is_plain_json_with_stable_keys_and_short_lines():
    levels, size = ((32, 256), (16, 128), (8, 64), (4, 32), (2, 16), (1, 8)), (128, 1024)
    report = look(pictures(), rule=SquareAnchors(), levels_hw=levels, input_hw=size)
    found = json.loads(json.dumps(report.to_json(), allow_nan=False))
    assert {"pictures", "objects", "without_area", "rule", "coverage", "automatic", "better"} <= found.keys()
    assert found["coverage"]["assignments"].keys() == {"fixed IoU", "ATSS", "task-aligned"}
    assert len(found["coverage"]["assignments"]["ATSS"]["levels"]) == 6
    assert max(map(len, report.lines())) <= 120


def test_the_picture_is_whole_svg_with_every_anchor_and_no_outside_file():
    report = look(pictures(), rule=RetinaAnchors(), levels_hw=LEVELS, input_hw=INPUT)
    text = report.picture(title="a < b & c")
    root = ElementTree.fromstring(text)
    circles = [e for e in root.iter("{http://www.w3.org/2000/svg}circle") if e.get("class") == "anchor"]
    assert len(circles) == 27 + 1  # and one in the legend
    assert text.count("http") == 1 and "a &lt; b &amp; c" in text
    left, top, width, height = map(float, root.attrib["viewBox"].split())
    for circle in root.iter("{http://www.w3.org/2000/svg}circle"):
        assert left <= float(circle.get("cx")) <= width and top <= float(circle.get("cy")) <= height


def test_the_picture_of_one_box_and_one_anchor_of_its_shape_is_drawn():
    text = anchor_picture(np.array([[10.0, 10.0]]), shapes=(((10.0, 10.0),),), title="one")
    assert ElementTree.fromstring(text).tag.endswith("svg")


@pytest.mark.real
@pytest.mark.skipif(not BCCD.is_dir(), reason="the real data set is not here")
def test_blood_cells_need_smaller_anchors_than_the_usual_ones():
    boxes = []
    for path in sorted(BCCD.glob("*.xml"))[::6]:
        objects = ElementTree.parse(path).getroot().iter("object")
        corners = [
            [float(o.findtext(f"bndbox/{k}", "")) / 2 for k in ("xmin", "ymin", "xmax", "ymax")] for o in objects
        ]
        boxes.append(np.array(corners).reshape(-1, 4))
    report = look(boxes, rule=RetinaAnchors(), levels_hw=((40, 40), (20, 20), (10, 10)), input_hw=(320, 320))
    assert report.coverage.recall < 0.96
    assert report.better is not None and report.better.way == "k-means" and report.better.recall > 0.98
