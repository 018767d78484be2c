"""Faster R-CNN's codec: sampling, both losses by hand, decoding with a box for each class."""

from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from sightline.anchors.offsets import to_offsets
from sightline.codecs.faster_rcnn import FasterRcnnCodec, FasterRcnnCodecConfig, sample
from sightline.codecs.protocol import CodecShape
from sightline.heads.faster_rcnn import RawTwoStage
from sightline.types import Truth

INPUT = (64, 96)


def codec(**settings: object) -> FasterRcnnCodec:
    return FasterRcnnCodecConfig(**settings).build(CodecShape(input_hw=INPUT, num_classes=2))  # type: ignore[arg-type]


def truth(boxes: list[list[float]], labels: list[int], crowd: list[bool] | None = None) -> Truth:
    is_crowd = torch.tensor([crowd or [False] * len(labels)], dtype=torch.bool).view(1, -1)
    return Truth.of_boxes(
        torch.tensor(boxes).view(1, -1, 4), torch.tensor([labels], dtype=torch.long), ~is_crowd, crowd=is_crowd
    )


def raw(proposals: list[list[float]], *, seed: int = 0) -> RawTwoStage:
    torch.manual_seed(seed)
    anchors = torch.tensor([[0.0, 0, 30, 30], [30, 0, 60, 30], [50, 20, 90, 60], [0, 40, 20, 60]])
    count = len(proposals)
    return RawTwoStage(
        anchors_xyxy=anchors,
        objectness=torch.randn(1, 4, requires_grad=True),
        offsets=torch.randn(1, 4, 4, requires_grad=True),
        proposals_xyxy=torch.tensor(proposals).view(1, -1, 4),
        logits=torch.randn(1, count, 3, requires_grad=True),
        boxes=torch.randn(1, count, 3, 4, requires_grad=True),
    )


def test_a_sample_holds_its_share_of_positives_and_is_filled_up_with_negatives() -> None:
    positive = torch.zeros(2, 100, dtype=torch.bool)
    positive[0, :30] = True
    positive[1, :3] = True
    chosen, rest = sample(positive, ~positive, count=40, share=0.25)
    assert chosen.sum(dim=1).tolist() == [10, 3]
    assert rest.sum(dim=1).tolist() == [30, 37]
    assert not (chosen & ~positive).any() and not (rest & positive).any()


def test_a_sample_is_drawn_anew() -> None:
    positive = torch.ones(1, 100, dtype=torch.bool)
    torch.manual_seed(0)
    first, _ = sample(positive, ~positive, count=20, share=0.5)
    second, _ = sample(positive, ~positive, count=20, share=0.5)
    assert not torch.equal(first, second)


def test_the_loss_is_that_of_all_places_where_all_are_sampled() -> None:
    wanted = truth([[0.0, 0, 28, 30], [52, 22, 88, 60]], [1, 0])
    given = raw([[1.0, 0, 29, 30], [60, 0, 90, 10], [51, 21, 90, 60], [0, 0, 0, 0]])
    coder = codec(anchor_share=1.0, proposal_share=1.0)
    # Anchors 0 and 2 learn objects 0 and 1, the others are background.
    is_object = torch.tensor([1.0, 0.0, 1.0, 0.0])
    first = F.binary_cross_entropy_with_logits(given.objectness[0], is_object, reduction="sum")
    shifts = to_offsets(wanted.boxes_xyxy[0], given.anchors_xyxy[[0, 2]], variances=(1.0, 1.0))
    first = first + F.smooth_l1_loss(given.offsets[0, [0, 2]], shifts, beta=1 / 9, reduction="sum")
    # Proposals 0 and 2 learn, 1 is background, 3 is none.
    second = F.cross_entropy(given.logits[0, :3], torch.tensor([2, 0, 1]), reduction="sum")
    shifts = to_offsets(wanted.boxes_xyxy[0], given.proposals_xyxy[0, [0, 2]], variances=(0.1, 0.2))
    found = torch.stack([given.boxes[0, 0, 2], given.boxes[0, 2, 1]])
    second = second + F.smooth_l1_loss(found, shifts, beta=1 / 9, reduction="sum")
    torch.testing.assert_close(coder.loss(given, coder.encode(wanted)), first / 4 + second / 3)


@pytest.mark.parametrize("proposals", [[[0.0, 0, 10, 10], [20, 20, 40, 40]], [[0.0, 0, 0, 0]]])
def test_pictures_without_objects_give_a_finite_loss_and_gradient(proposals: list[list[float]]) -> None:
    given = raw(proposals)
    for wanted in (truth([], []), truth([[1.0, 1, 5, 5]], [0])):
        loss = codec().loss(given, wanted)
        assert loss.isfinite()
        loss.backward()
        assert given.logits.grad is not None and given.logits.grad.isfinite().all()


def test_what_lies_in_a_crowd_is_not_taught_as_background() -> None:
    given = raw([[2.0, 2, 30, 30], [60, 30, 80, 50]])
    codec().loss(given, truth([[0.0, 0, 40, 40]], [0], crowd=[True])).backward()
    assert given.logits.grad is not None
    assert given.logits.grad[0, 0].abs().sum() == 0
    assert given.logits.grad[0, 1].abs().sum() > 0
    assert given.objectness.grad is not None
    assert given.objectness.grad[0, 0] == 0


def test_what_was_encoded_comes_back_exactly() -> None:
    wanted = truth([[3.5, 4.25, 30, 31.5], [50, 20, 90, 60]], [1, 0])
    coder = codec()
    found = coder.decode(coder.perfect(coder.encode(wanted)))
    order = found.label[0].argsort(descending=True)
    assert found.label[0][order].tolist() == [1, 0]
    torch.testing.assert_close(found.xyxy[0][order], wanted.boxes_xyxy[0], atol=1e-3, rtol=0)


def test_every_class_moves_the_proposal_by_its_own_offsets() -> None:
    given = raw([[20.0, 20, 40, 40], [0, 0, 0, 0]])
    boxes = torch.zeros(1, 2, 3, 4)
    boxes[0, 0, 1, 0] = 10.0  # class 0: by 10 x 0.1 widths to the right
    logits = torch.tensor([[[0.0, 2.0, 2.0], [0.0, 9.0, 0.0]]])
    given = RawTwoStage(**{**vars(given), "boxes": boxes, "logits": logits})
    found = codec().decode(given)
    assert found.valid.sum() == 2  # the filled-up proposal is none
    by_class = found.xyxy[0][found.label[0].argsort()]
    torch.testing.assert_close(by_class, torch.tensor([[40.0, 20, 60, 40], [20, 20, 40, 40]]))
