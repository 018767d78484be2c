"""Names on pictures find places of their own."""

from __future__ import annotations

import re

import numpy as np

from sightline.report.box_labels import Label, Places


def label(box: tuple[float, float, float, float], text: str = "word", more: str = "") -> Label:
    return Label(box_xyxy=box, text=text, more=more, kind="k0")


def places(svg: str) -> list[tuple[float, float]]:
    found = re.findall(r'<text class="k0" x="([\d.-]+)" y="([\d.-]+)"', svg)
    return [(float(x), float(y)) for x, y in found]


def test_a_label_stands_above_its_box_and_inside_where_the_picture_ends():
    (above,) = places(Places((100, 100), text=0.05).texts([label((20, 40, 60, 80))]))
    assert above[0] == 20
    assert 36 < above[1] < 40
    (inside,) = places(Places((100, 100), text=0.05).texts([label((20, 1, 60, 80))]))
    assert 4 < inside[1] < 10


def test_labels_of_boxes_on_one_another_do_not_cover_each_other():
    rng = np.random.default_rng(0)
    low = rng.uniform(0, 60, (40, 2))
    boxes = [tuple(row) for row in np.concatenate([low, low + rng.uniform(5, 40, (40, 2))], axis=1).tolist()]
    found = places(Places((100, 100), text=0.04).texts(label(box) for box in boxes))
    assert 5 < len(found) < 40, "some find no place: they show in the enlarged picture only"
    wide, high = 4 * 0.62 * 4, 4
    for index, (x, y) in enumerate(found):
        assert 0 <= x <= 100 - wide
        assert 0 < y <= 100
        for other_x, other_y in found[:index]:
            assert abs(x - other_x) >= wide - 0.11 or abs(y - other_y) >= high - 0.11


def test_what_finds_no_place_is_kept_for_the_enlarged_picture():
    svg = Places((100, 100), text=0.5).texts([label((0, 50, 90, 100), "aa"), label((0, 50, 90, 100), "bb")])
    assert svg.count('class="k0"') == 1
    assert 'class="k0 more"' in svg


def test_a_long_text_at_the_right_edge_grows_to_the_left():
    svg = Places((100, 100), text=0.03).texts(
        [label((80, 50, 99, 90), "a word", more=" and many more words behind it")]
    )
    assert 'text-anchor="end"' in svg


def test_names_are_escaped():
    svg = Places((100, 100)).texts([label((1, 50, 9, 60), "<b>", more="&<i>")])
    assert "&lt;b&gt;" in svg
    assert "&amp;&lt;i&gt;" in svg
