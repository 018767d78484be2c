"""SSD's, RetinaNet's and Faster R-CNN's heads: order of places, counts, first weights."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from sightline.anchors.generate import RetinaAnchors, make_anchors
from sightline.heads.faster_rcnn import FasterRcnnHeadConfig
from sightline.heads.retina import RetinaHeadConfig, background_bias
from sightline.heads.ssd import SsdHeadConfig, by_place
from sightline.pieces import HeadShape
from sightline.types import FeatureMaps, FeatureSpec

SPEC = FeatureSpec(channels=(16, 16, 16), strides=(4.0, 8.0, 16.0), sizes_hw=((8, 6), (4, 3), (2, 2)))
WIDE = FeatureSpec(channels=(256,) * 6, strides=(4.0,) * 6, sizes_hw=((1, 1),) * 6)


def maps(*, batch: int = 2) -> FeatureMaps:
    torch.manual_seed(0)
    return FeatureMaps(maps=tuple(torch.rand(batch, 16, h, w) for h, w in SPEC.sizes_hw))


def shape(per_cell: tuple[int, ...], *, logits: int = 5) -> HeadShape:
    return HeadShape(input_hw=(32, 24), num_logits=logits, per_cell=per_cell)


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def test_places_go_by_row_column_and_anchor() -> None:
    anchors, numbers, height, width = 3, 4, 2, 5
    values = torch.arange(anchors * numbers * height * width).view(1, anchors, numbers, height, width)
    rows = by_place(values.flatten(1, 2), numbers)
    place = (1 * width + 2) * anchors + 1  # row 1, column 2, anchor 1
    assert torch.equal(rows[0, place], values[0, 1, :, 1, 2])


def test_an_ssd_head_takes_another_number_of_anchors_on_every_level() -> None:
    raw = SsdHeadConfig().build(SPEC, shape=shape((6, 4, 2)))(maps())
    assert raw.boxes.shape == (2, 48 * 6 + 12 * 4 + 4 * 2, 4)
    assert raw.logits.shape[2] == 5
    assert raw.sizes_hw == SPEC.sizes_hw


def test_ssd_heads_have_the_published_counts() -> None:
    counts = (6, 6, 6, 6, 4, 4)
    basic = FeatureSpec(channels=(128, 256, 128, 128, 64, 64), strides=(4.0,) * 6, sizes_hw=((1, 1),) * 6)
    assert count(SsdHeadConfig().build(basic, shape=shape(counts, logits=9))) == 509_600
    assert count(SsdHeadConfig().build(WIDE, shape=shape(counts, logits=9))) == 958_880


def test_a_retina_head_has_the_published_count_and_shares_its_weights() -> None:
    head = RetinaHeadConfig(start="xavier", prior=None).build(WIDE, shape=shape((6,) * 6, logits=9))
    assert count(head) == 4_900_430
    assert count(RetinaHeadConfig().build(WIDE, shape=shape((11, 11, 6, 6, 6, 6), logits=9))) == 4_900_430 + 11 * (
        2305 * 13
    )


def test_equal_maps_of_two_levels_give_equal_outputs() -> None:
    same = torch.rand(1, 16, 4, 3)
    spec = FeatureSpec(channels=(16, 16), strides=(4.0, 8.0), sizes_hw=((4, 3), (4, 3)))
    raw = RetinaHeadConfig(start="kaiming", norm="group").build(spec, shape=shape((2, 2)))(
        FeatureMaps(maps=(same, same))
    )
    torch.testing.assert_close(raw.logits[:, :24], raw.logits[:, 24:])


@pytest.mark.parametrize(("num_logits", "expected"), [(9, math.log(792)), (2, math.log(99))])
def test_the_first_bias_of_the_background_is_the_published_one(num_logits: int, expected: float) -> None:
    assert background_bias(0.99, num_logits=num_logits) == pytest.approx(expected)
    config = RetinaHeadConfig(start="kaiming", prior=0.01, prior_form="background")
    head = config.build(SPEC, shape=shape((6, 6, 6), logits=num_logits))
    nothing = FeatureMaps(maps=tuple(torch.zeros_like(one) for one in maps().maps))
    probabilities = head(nothing).logits.softmax(dim=2)
    torch.testing.assert_close(probabilities[..., 0], torch.full_like(probabilities[..., 0], 0.99))


def test_the_first_scores_of_a_sigmoid_head_are_its_prior() -> None:
    head = RetinaHeadConfig(prior=0.02).build(SPEC, shape=shape((1, 1, 1)))
    nothing = FeatureMaps(maps=tuple(torch.zeros_like(one) for one in maps().maps))
    scores = head(nothing).logits.sigmoid()
    torch.testing.assert_close(scores, torch.full_like(scores, 0.02))


def test_idle_towers_are_counted_and_never_run() -> None:
    config = RetinaHeadConfig(start="kaiming")
    normal = config.build(SPEC, shape=shape((2, 2, 2)))
    idle = config.model_copy(update={"idle_towers": True}).build(SPEC, shape=shape((2, 2, 2)))
    assert count(normal) == count(idle)
    before = idle(maps()).logits
    for parameter in [*idle.box_tower.parameters(), *idle.class_tower.parameters()]:
        assert not parameter.requires_grad
        nn.init.constant_(parameter, torch.nan)
    torch.testing.assert_close(idle(maps()).logits, before)
    assert normal(maps()).logits.isfinite().all()


def test_proposals_are_the_best_anchors_while_the_first_stage_moves_nothing() -> None:
    config = FasterRcnnHeadConfig(proposals=5, nms_iou=1.0, hidden=8, anchor_cells=2.0)
    head = config.build(SPEC, shape=shape((), logits=3)).eval()
    nn.init.zeros_(head.rpn.bbox_pred.weight)
    raw = head(maps())
    assert raw.proposals_xyxy.shape == (2, 5, 4)
    assert raw.logits.shape == (2, 5, 3)
    assert raw.boxes.shape == (2, 5, 3, 4)
    anchors = make_anchors(
        RetinaAnchors(cells=2.0, scales=1, ratios=config.ratios), levels_hw=SPEC.sizes_hw, input_hw=(32, 24)
    )
    torch.testing.assert_close(raw.anchors_xyxy, anchors)
    cut = anchors.clamp_min(0).minimum(torch.tensor([24.0, 32.0, 24.0, 32.0]))
    best = raw.objectness[1].argsort(descending=True)[:5]
    torch.testing.assert_close(raw.proposals_xyxy[1], cut[best])


def test_a_picture_with_too_few_proposals_is_filled_up_with_empty_ones() -> None:
    head = FasterRcnnHeadConfig(proposals=400, nms_iou=0.0, hidden=8).build(SPEC, shape=shape((), logits=3)).eval()
    raw = head(maps(batch=1))
    sides = raw.proposals_xyxy[0, :, 2:] - raw.proposals_xyxy[0, :, :2]
    there = (sides > 0).all(dim=1)
    assert 0 < there.sum() < 400
    assert torch.equal(there, there.sort(descending=True).values)
    assert raw.logits.isfinite().all()


def test_a_two_stage_head_gives_the_same_shapes_without_memory() -> None:
    head = FasterRcnnHeadConfig(proposals=7, hidden=8).build(SPEC, shape=shape((), logits=3)).eval()
    real = {name: value.shape for name, value in vars(head(maps())).items()}
    empty = FeatureMaps(maps=tuple(one.to("meta") for one in maps().maps))
    assert {name: value.shape for name, value in vars(head.to("meta")(empty)).items()} == real


def test_training_and_evaluation_give_the_same_two_stage_output() -> None:
    head = FasterRcnnHeadConfig(proposals=7, hidden=8).build(SPEC, shape=shape((), logits=3))
    for first, second in zip(vars(head.train()(maps())).values(), vars(head.eval()(maps())).values(), strict=True):
        torch.testing.assert_close(first, second)
