"""The codec with anchors: matching, round trips, decoding as published, shapes of any picture and pyramid."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import Tensor

from sightline.anchors.generate import RetinaAnchors, ShapedAnchors, SquareAnchors, SsdAnchors
from sightline.anchors.offsets import from_offsets, to_offsets
from sightline.codecs.anchor_rules import DataAnchors, ScaledSsdAnchors, plain_rule
from sightline.codecs.anchors import AnchorsCodec, AnchorsCodecConfig
from sightline.codecs.protocol import CodecShape
from sightline.errors import UserError
from sightline.types import RawDense, Truth

INPUT = (64, 128)
LEVELS = ((16, 32), (8, 16), (4, 8), (2, 4), (1, 2))
NATIVE_LEVELS = ((32, 256), (16, 128), (8, 64), (4, 32), (2, 16), (1, 8))


def codec(config: AnchorsCodecConfig | None = None, *, classes: int = 3) -> AnchorsCodec:
    config = config or AnchorsCodecConfig(anchors=ScaledSsdAnchors())
    return config.build(CodecShape(input_hw=INPUT, levels_hw=LEVELS, num_classes=classes))


def truth_of(boxes: list[list[float]], labels: list[int]) -> Truth:
    """One picture with these boxes, another with none."""
    count = len(boxes)
    padded = torch.zeros(2, count, 4)
    padded[0] = torch.tensor(boxes).view(-1, 4)
    classes = torch.zeros(2, count, dtype=torch.long)
    classes[0] = torch.tensor(labels, dtype=torch.long)
    valid = torch.zeros(2, count, dtype=torch.bool)
    valid[0] = True
    return Truth.of_boxes(padded, classes, valid)


THREE = truth_of([[3.2, 4.1, 21.7, 30.3], [60.0, 10.0, 110.5, 60.25], [90.0, 2.0, 97.0, 8.0]], [0, 2, 1])

rectangles = st.tuples(st.floats(-20, 140), st.floats(-20, 140), st.floats(1, 60), st.floats(1, 60))


@given(rectangles, rectangles)
@settings(max_examples=60, deadline=None)
def test_offsets_go_there_and_back(one: tuple[float, ...], other: tuple[float, ...]) -> None:
    box, anchor = (torch.tensor([x, y, x + w, y + h]) for x, y, w, h in (one, other))
    offsets = to_offsets(box, anchor, variances=(0.1, 0.2))
    torch.testing.assert_close(from_offsets(offsets, anchor, variances=(0.1, 0.2)), box, atol=2e-3, rtol=1e-4)


def test_offsets_are_the_published_ones() -> None:
    anchor = torch.tensor([10.0, 10.0, 30.0, 20.0])  # centre (20, 15), 20 x 10
    box = torch.tensor([12.0, 11.0, 32.0, 31.0])  # centre (22, 21), 20 x 20
    expected = [2 / 20 / 0.1, 6 / 10 / 0.1, 0.0, math.log(2) / 0.2]
    torch.testing.assert_close(to_offsets(box, anchor, variances=(0.1, 0.2)), torch.tensor(expected))


@pytest.mark.parametrize("loss_kind", ["multibox", "softmax-focal", "sigmoid-focal"])
@pytest.mark.parametrize("assigner", ["fixed", "atss"])
def test_what_was_encoded_comes_back_to_a_hundredth_of_a_pixel(loss_kind: str, assigner: str) -> None:
    config = AnchorsCodecConfig(anchors=RetinaAnchors(), loss_kind=loss_kind, assigner=assigner)  # type: ignore[arg-type]
    coder = codec(config)
    found = coder.decode(coder.perfect(coder.encode(THREE)))
    assert found.valid.sum(dim=1).tolist() == [3, 0]
    by_class = found.label[0].argsort()
    wanted = THREE.labels[0].argsort()
    assert torch.equal(found.label[0][by_class], THREE.labels[0][wanted])
    torch.testing.assert_close(found.xyxy[0][by_class], THREE.boxes_xyxy[0][wanted], atol=0.01, rtol=0)
    assert (found.score[0] > 0.99).all()


def test_an_anchor_learns_above_half_and_every_object_has_its_best_one() -> None:
    coder = codec()
    target = coder.encode(THREE)
    matched = [(target.picture == 0) & (target.labels[0, target.place] == label + 1) for label in (0, 1, 2)]
    assert all(rows.any() for rows in matched)
    assert (target.labels[1] == 0).all()
    assert torch.equal(target.labels[target.picture, target.place] > 0, torch.ones(len(target.place), dtype=torch.bool))
    assert (target.labels > 0).sum() == len(target.place)


def test_a_crowd_is_neither_object_nor_background() -> None:
    box = torch.tensor([[[8.0, 8.0, 56.0, 56.0]]])
    none, one = torch.tensor([[False]]), torch.tensor([[True]])
    coder = codec()
    target = coder.encode(Truth.of_boxes(box, torch.zeros(1, 1, dtype=torch.long), none, crowd=one))
    assert len(target.place) == 0
    assert target.ignored.any() and not target.ignored.all()


@pytest.mark.parametrize("box_loss", ["smooth-l1", "giou"])
@pytest.mark.parametrize("loss_kind", ["multibox", "softmax-focal", "sigmoid-focal"])
def test_a_picture_without_objects_gives_a_finite_loss_and_gradient(loss_kind: str, box_loss: str) -> None:
    config = AnchorsCodecConfig(anchors=ScaledSsdAnchors(), loss_kind=loss_kind, box_loss=box_loss)  # type: ignore[arg-type]
    coder = codec(config)
    for truth in (truth_of([], []), THREE[1:]):
        count = len(coder.anchors_xyxy)
        logits = torch.randn(len(truth), count, config.num_logits(3), requires_grad=True)
        boxes = torch.randn(len(truth), count, 4, requires_grad=True)
        loss = coder.loss(RawDense(boxes=boxes, logits=logits, sizes_hw=LEVELS), coder.encode(truth))
        loss.backward()
        assert loss.isfinite()
        assert logits.grad is not None and logits.grad.isfinite().all()


@pytest.mark.parametrize("box_loss", ["smooth-l1", "giou"])
def test_the_box_loss_is_nothing_for_a_perfect_network_and_a_mean_over_learning_anchors(box_loss: str) -> None:
    coder = codec(AnchorsCodecConfig(anchors=ScaledSsdAnchors(), box_loss=box_loss))  # type: ignore[arg-type]
    target = coder.encode(THREE)
    perfect = coder.perfect(target)
    assert coder.losses(perfect, target)["box"].item() == pytest.approx(0, abs=1e-4)
    if box_loss == "smooth-l1":
        off = RawDense(boxes=perfect.boxes + 3.0, logits=perfect.logits, sizes_hw=LEVELS)
        assert coder.losses(off, target)["box"].item() == pytest.approx(4 * 2.5, rel=1e-4)  # 3 - 1/2 for each of 4


def raw_of(coder: AnchorsCodec, logits: dict[int, list[float]]) -> RawDense:
    """Anchors as they are; all background but the places given."""
    count = len(coder.anchors_xyxy)
    background = torch.tensor([9.0] + [0.0] * coder.num_classes).repeat(1, count, 1)
    for place, row in logits.items():
        background[0, place] = torch.tensor(row)
    return RawDense(boxes=torch.zeros(1, count, 4), logits=background, sizes_hw=LEVELS)


def test_a_place_gives_its_best_class_only_and_nothing_where_background_is_better() -> None:
    coder = codec()
    first, second = 0, len(coder.anchors_xyxy) // 3
    raw = raw_of(coder, {first: [0.0, 2.0, 2.5, 1.0], second: [3.0, 2.9, 0.0, 0.0]})
    found = coder.decode(raw)
    assert found.valid.sum() == 1
    assert found.label[0, 0] == 1
    probability = torch.tensor([0.0, 2.0, 2.5, 1.0]).softmax(dim=0)[2]
    torch.testing.assert_close(found.score[0, 0], probability)
    limit = torch.tensor([128.0, 64.0, 128.0, 64.0])
    torch.testing.assert_close(found.xyxy[0, 0], coder.anchors_xyxy[first].clamp_min(0).minimum(limit))


def test_at_most_two_hundred_boxes_are_given() -> None:
    coder = codec(AnchorsCodecConfig(anchors=ShapedAnchors(shapes_wh=(((2, 2),),) * 5)))
    raw = raw_of(coder, {place: [0.0, 5.0, 0.0, 0.0] for place in range(300)})
    assert coder.decode(raw).valid.sum() == 200


def test_the_published_anchors_stand_on_the_published_places() -> None:
    shape = CodecShape(input_hw=(128, 1024), levels_hw=NATIVE_LEVELS, num_classes=8)
    coder = AnchorsCodecConfig(anchors=ScaledSsdAnchors()).build(shape)
    assert len(coder.anchors_xyxy) == 65_440
    centres, extents = _centres_and_extents(coder.anchors_xyxy)
    torch.testing.assert_close(centres[:6], torch.tensor([[2.0, 2.0]] * 6))
    # The write-up's table 11, (width, height) of the first map's six boxes and of the last map's first two.
    table = [(16, 16), (22.63, 22.63), (11.31, 22.63), (22.63, 11.31), (9.24, 27.71), (27.71, 9.24)]
    torch.testing.assert_close(extents[:6], torch.tensor(table), atol=0.01, rtol=0)
    last = extents[65_440 - 8 * 4 :]
    torch.testing.assert_close(last[:2], torch.tensor([(128.0, 128.0), (226.27, 128.0)]), atol=0.01, rtol=0)


def _centres_and_extents(boxes: Tensor) -> tuple[Tensor, Tensor]:
    return (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]


def test_scaled_anchors_are_the_plain_rule_at_their_own_picture() -> None:
    rule = ScaledSsdAnchors().rule(levels_hw=NATIVE_LEVELS, input_hw=(128, 1024))
    assert rule == SsdAnchors()


def test_scaled_anchors_follow_the_picture_and_the_levels() -> None:
    rule = ScaledSsdAnchors()
    half = rule.rule(levels_hw=NATIVE_LEVELS, input_hw=(64, 512))
    assert half.sizes_hw[0] == pytest.approx((8, 8))
    fewer = rule.rule(levels_hw=LEVELS, input_hw=(128, 1024))
    assert len(fewer.sizes_hw) == len(LEVELS) + 1
    assert fewer.sizes_hw[0] == pytest.approx((16, 16))
    assert fewer.sizes_hw[-2:] == (pytest.approx((128, 128)), pytest.approx((128, 400)))
    assert [h for h, _ in fewer.sizes_hw[:-1]] == sorted(h for h, _ in fewer.sizes_hw[:-1])
    for count in range(1, 9):
        assert len(rule.per_cell(count)) == count


def test_plain_rules_for_other_levels_say_what_does_not_fit() -> None:
    with pytest.raises(UserError, match=r"'ssd' has 6 lists of ratios, but the model has 5 levels"):
        codec(AnchorsCodecConfig(anchors=SsdAnchors()))
    with pytest.raises(UserError, match=r"'shapes' has 2 lists of shapes, but the model has 5 levels"):
        AnchorsCodecConfig(anchors=ShapedAnchors(shapes_wh=(((2, 2),), ((4, 4),)))).per_cell(5)


def test_anchors_from_boxes_nobody_has_looked_at_are_refused() -> None:
    with pytest.raises(UserError, match="training boxes, which have not been looked at yet"):
        codec(AnchorsCodecConfig(anchors=DataAnchors()))


def test_plain_rules_pass_through() -> None:
    rule = SquareAnchors()
    assert plain_rule(rule, levels_hw=LEVELS, input_hw=INPUT) is rule


def test_weights_of_classes_fit_any_number_of_them() -> None:
    config = AnchorsCodecConfig(loss_kind="softmax-focal")
    assert config.alphas(8) == (10.0, *(1000.0,) * 8)
    assert config.alphas(1) == (10.0, 1000.0)
    assert config.model_copy(update={"alpha_classes": (5.0, 6.0)}).alphas(2) == (10.0, 5.0, 6.0)
    with pytest.raises(UserError, match="alpha_classes has 2 weights, but there are 3 classes"):
        codec(AnchorsCodecConfig(loss_kind="softmax-focal", alpha_classes=(5.0, 6.0)))
    with pytest.raises(UserError, match="most frequent classes of the data"):
        codec(AnchorsCodecConfig(loss_kind="softmax-focal", alpha_frequent=(1.1,)))


def test_a_background_limit_above_the_objects_is_refused() -> None:
    with pytest.raises(ValidationError, match=r"negative_iou 0.6 is above positive_iou 0.5"):
        AnchorsCodecConfig(negative_iou=0.6)


def test_a_background_logit_belongs_to_the_softmax_losses_only() -> None:
    kinds = {"multibox": 4, "softmax-focal": 4, "sigmoid-focal": 3}
    for kind, logits in kinds.items():
        assert AnchorsCodecConfig(loss_kind=kind).num_logits(3) == logits  # type: ignore[arg-type]
