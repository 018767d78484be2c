from __future__ import annotations

import math

import pytest
import torch
from pydantic import TypeAdapter, ValidationError
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.image_list import ImageList

from sightline.anchors.generate import (
    AnchorRule,
    RetinaAnchors,
    ShapedAnchors,
    SquareAnchors,
    SsdAnchors,
    make_anchors,
    places_of_levels,
)
from sightline.errors import UserError

DRIVING_HW = (128, 1024)
DRIVING_LEVELS = ((32, 256), (16, 128), (8, 64), (4, 32), (2, 16), (1, 8))
RULES = {
    "ssd": SsdAnchors(),
    "retina": RetinaAnchors(),
    "square": SquareAnchors(),
    "shapes": ShapedAnchors(shapes_wh=tuple(((4.0, 5.0),) * n for n in (1, 2, 3, 1, 2, 3))),
}


def test_the_driving_rule_gives_the_published_number_of_anchors():
    """65,440 with the published ratios, 65,520 with two ratios on every level (parameter counts, facts page)."""
    assert len(make_anchors(SsdAnchors(), levels_hw=DRIVING_LEVELS, input_hw=DRIVING_HW)) == 65_440
    six = SsdAnchors(ratios=((2, 3),) * 6)
    assert len(make_anchors(six, levels_hw=DRIVING_LEVELS, input_hw=DRIVING_HW)) == 65_520
    assert six.per_cell(6) == (6,) * 6
    assert SsdAnchors().per_cell(6) == (6, 6, 6, 6, 4, 4)


def test_the_driving_rule_gives_the_shapes_of_the_published_table():
    """Table 11 of the write-up; its last level is printed before sides are cut at the picture's (128 px high)."""
    shapes = SsdAnchors(ratios=((2, 3),) * 6).shapes(levels_hw=DRIVING_LEVELS, input_hw=DRIVING_HW)
    first = [(16.0, 16.0), (22.63, 22.63), (11.31, 22.63), (22.63, 11.31), (9.24, 27.71), (27.71, 9.24)]
    last = [(128.0, 128.0), (226.27, 128.0), (90.51, 128.0), (181.02, 90.51), (73.9, 128.0), (221.7, 73.9)]
    torch.testing.assert_close(torch.tensor(shapes[0]), torch.tensor(first), atol=0.005, rtol=0)
    torch.testing.assert_close(torch.tensor(shapes[5]), torch.tensor(last), atol=0.005, rtol=0)


def test_anchors_stand_in_order_of_level_row_column_and_shape_about_the_centres_of_cells():
    rule = ShapedAnchors(shapes_wh=(((4.0, 2.0), (6.0, 8.0)), ((10.0, 10.0),)))
    anchors = make_anchors(rule, levels_hw=((2, 3), (1, 2)), input_hw=(16, 24))
    wanted = [
        [cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2]
        for cy in (4, 12)
        for cx in (4, 12, 20)
        for w, h in ((4, 2), (6, 8))
    ]
    wanted += [[cx - 5, 8 - 5, cx + 5, 8 + 5] for cx in (6, 18)]
    assert anchors.tolist() == wanted
    assert anchors.dtype == torch.float32


def test_one_sided_levels_have_one_box_for_each_ratio():
    """The write-up's second head: 11 and 6 anchors a cell with the printed ratios."""
    wide = (0.5, 0.75, 1.3, 1.5, 2, 3, 4, 5, 6)
    rule = SsdAnchors(ratios=(wide, wide, (2, 3), (1.5, 2), (1.5, 2), (1.2, 1.5)), one_sided_levels=2)
    assert rule.per_cell(6) == (11, 11, 6, 6, 6, 6)
    shapes = rule.shapes(levels_hw=DRIVING_LEVELS, input_hw=DRIVING_HW)
    assert [h / w for w, h in shapes[0][2:]] == pytest.approx(wide)
    assert [h / w for w, h in shapes[2][2:]] == pytest.approx([2, 1 / 2, 3, 1 / 3])
    assert all(w * h == pytest.approx(256) for w, h in shapes[0][2:])


def test_retina_anchors_are_those_of_torchvision_about_the_centres_of_cells():
    strides, side = (8, 16, 32), 64
    sizes = tuple(tuple(4 * s * 2 ** (i / 3) for i in range(3)) for s in strides)
    library = AnchorGenerator(sizes, ((0.5, 1.0, 2.0),) * 3)
    library.cell_anchors = [
        library.generate_anchors(level, (0.5, 1.0, 2.0)) for level in sizes
    ]  # as they are before the library rounds them
    maps = [torch.zeros(1, 1, side // s, side // s) for s in strides]
    theirs = library(ImageList(torch.zeros(1, 3, side, side), [(side, side)]), maps)[0]
    levels = tuple((side // s, side // s) for s in strides)
    ours = make_anchors(RetinaAnchors(), levels_hw=levels, input_hw=(side, side))
    assert ours.shape == theirs.shape == (sum(h * w for h, w in levels) * 9, 4)
    sides = torch.cat([(one[:, 2:] - one[:, :2]) for one in (ours, theirs)], dim=1)
    for row in ((ours[:, 2:] - ours[:, :2]), (theirs[:, 2:] - theirs[:, :2])):
        assert row.prod(dim=1).sqrt().min() > 31
    # Theirs are rounded to whole pixels, stand on the cells' corners and go through ratios first.
    order = torch.arange(len(ours)).view(-1, 3, 3).transpose(1, 2).reshape(-1)
    torch.testing.assert_close(sides[:, :2], sides[order, 2:], atol=1.01, rtol=0)


def test_cells_need_not_be_square():
    levels = ((2, 4),)
    anchors = make_anchors(SquareAnchors(cells=1.0), levels_hw=levels, input_hw=(20, 20))
    assert anchors[0].tolist() == [0, 0, 5, 10]
    side = RetinaAnchors(scales=1, ratios=(1.0,)).shapes(levels_hw=levels, input_hw=(20, 20))[0][0]
    assert side == pytest.approx((4 * math.sqrt(50),) * 2)


@pytest.mark.parametrize("name", RULES)
def test_counts_agree_with_the_anchors(name):
    rule = RULES[name]
    counts = places_of_levels(rule, levels_hw=DRIVING_LEVELS)
    assert sum(counts) == len(make_anchors(rule, levels_hw=DRIVING_LEVELS, input_hw=DRIVING_HW))
    per_cell = [len(level) for level in rule.shapes(levels_hw=DRIVING_LEVELS, input_hw=DRIVING_HW)]
    assert list(rule.per_cell(6)) == per_cell


@pytest.mark.parametrize("name", RULES)
def test_rules_come_back_from_json(name):
    adapter = TypeAdapter(AnchorRule)
    assert adapter.validate_json(RULES[name].model_dump_json()) == RULES[name]


@pytest.mark.parametrize("name", ["ssd", "shapes"])
def test_another_number_of_levels_is_a_user_error_that_says_what_to_give(name):
    with pytest.raises(UserError, match=r"6 .* 3 levels.*retina"):
        make_anchors(RULES[name], levels_hw=DRIVING_LEVELS[:3], input_hw=DRIVING_HW)


def test_sizes_for_another_number_of_levels_than_ratios_are_a_user_error():
    rule = SsdAnchors(sizes_hw=((8, 8), (16, 16)), ratios=((2,), (2,)))
    with pytest.raises(UserError, match=r"has 2 sizes .*Give 3"):
        rule.per_cell(2)


@pytest.mark.parametrize(
    "values",
    [
        {"kind": "ssd", "sizes_hw": [[0, 4], [8, 8]], "ratios": [[2]]},
        {"kind": "retina", "ratios": []},
        {"kind": "retina", "cells": float("nan")},
        {"kind": "shapes", "shapes_wh": [[]]},
        {"kind": "shapes", "shapes_wh": [[[4, -1]]]},
        {"kind": "square", "scales": 3},
        {"kind": "kmeans"},
    ],
)
def test_impossible_rules_are_refused(values):
    with pytest.raises(ValidationError):
        TypeAdapter(AnchorRule).validate_python(values)
