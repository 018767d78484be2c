"""The loss of one box and its class against torchvision and closed forms; the box comes back from its codec."""

from __future__ import annotations

import math

import pytest
import torch
import torchvision.ops as ops
from torch import Tensor
from torch.nn import functional as F

from sightline.codecs.one_box import OneBoxCodec, OneBoxCodecConfig, OneBoxTarget, overlap
from sightline.codecs.protocol import CodecShape
from sightline.errors import UserError
from sightline.types import RawOneBox, Truth

HEIGHT, WIDTH = 255, 400
CLASSES = 6
KINDS = ("iou", "giou", "diou", "ciou")


def codec(**settings: object) -> OneBoxCodec:
    config = OneBoxCodecConfig(**settings)  # type: ignore[arg-type]
    return config.build(CodecShape(input_hw=(HEIGHT, WIDTH), num_classes=CLASSES))


def random_boxes(count: int, *, seed: int) -> Tensor:
    """[count, 4] ordered boxes in the input, sides of at least 4 px."""
    generator = torch.Generator().manual_seed(seed)
    low = torch.rand(count, 2, generator=generator) * torch.tensor([WIDTH - 8.0, HEIGHT - 8.0])
    side = 4 + torch.rand(count, 2, generator=generator) * (torch.tensor([WIDTH - 4.0, HEIGHT - 4.0]) - low)
    return torch.cat([low, low + side], dim=1)


def truth_of(boxes: Tensor, labels: Tensor | None = None, valid: Tensor | None = None) -> Truth:
    """One box in each picture."""
    count = len(boxes)
    labels = torch.arange(count) % CLASSES if labels is None else labels
    valid = torch.ones(count, dtype=torch.bool) if valid is None else valid
    return Truth.of_boxes(boxes[:, None], labels[:, None], valid[:, None])


def raw_of(boxes: Tensor, logits: Tensor | None = None) -> RawOneBox:
    """What a network emits for boxes in pixels."""
    logits = torch.zeros(len(boxes), CLASSES) if logits is None else logits
    return RawOneBox(box=(boxes / torch.tensor([WIDTH, HEIGHT, WIDTH, HEIGHT])).logit(), logits=logits)


# --- against other people's code -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "oracle"),
    [
        ("giou", ops.generalized_box_iou_loss),
        ("diou", ops.distance_box_iou_loss),
        ("ciou", ops.complete_box_iou_loss),
    ],
)
def test_each_overlap_and_its_slope_equal_torchvisions(kind: str, oracle: object) -> None:
    found = random_boxes(200, seed=0).double().requires_grad_()
    truth = random_boxes(200, seed=1).double()
    ours = 1 - overlap(found, truth, kind=kind)  # type: ignore[arg-type]
    other = found.detach().clone().requires_grad_()
    theirs = oracle(other, truth, reduction="none")  # type: ignore[operator]
    torch.testing.assert_close(ours, theirs, atol=1e-9, rtol=1e-9)
    ours.sum().backward()
    theirs.sum().backward()
    torch.testing.assert_close(found.grad, other.grad, atol=1e-9, rtol=1e-6)


def test_iou_equals_torchvisions_diagonal() -> None:
    found, truth = random_boxes(200, seed=0).double(), random_boxes(200, seed=1).double()
    torch.testing.assert_close(overlap(found, truth, kind="iou"), ops.box_iou(found, truth).diagonal())


@pytest.mark.parametrize(("kind", "alpha", "smoothing"), [("iou", 0.7, 0.0), ("giou", 0.6, 0.1), ("ciou", 0.0, 0.2)])
def test_the_loss_weighs_place_and_class_by_alpha(kind: str, alpha: float, smoothing: float) -> None:
    boxes, truth = random_boxes(8, seed=0), random_boxes(8, seed=1)
    logits = torch.randn(8, CLASSES, generator=torch.Generator().manual_seed(0))
    coder = codec(alpha=alpha, iou_kind=kind, label_smoothing=smoothing)
    loss = coder.loss(raw_of(boxes, logits), coder.encode(truth_of(truth)))
    place = 1 - overlap(boxes, truth, kind=kind).mean()  # type: ignore[arg-type]
    cross = F.cross_entropy(logits, torch.arange(8) % CLASSES, label_smoothing=smoothing)
    torch.testing.assert_close(loss, alpha * place + (1 - alpha) * cross, atol=1e-5, rtol=1e-5)


def test_the_published_sum_of_an_epoch_comes_out() -> None:
    # "Final Model", epoch 94: reg loss .35777 and cls loss .23836 at alpha .7 give .32194.
    side = math.sqrt(1 - 0.3577658236026764)
    truth = torch.tensor([[0.0, 0.0, WIDTH, HEIGHT]])
    boxes = torch.tensor([[1e-4, 1e-4, WIDTH * side, HEIGHT * side]])
    right = math.exp(-0.2383575215935707)
    logits = torch.tensor([[right, *[(1 - right) / 5] * 5]]).log()
    coder = codec(alpha=0.7)
    loss = coder.loss(raw_of(boxes, logits), coder.encode(truth_of(truth)))
    assert loss.item() == pytest.approx(0.32194332778453827, abs=1e-5)


# --- closed forms --------------------------------------------------------------------------------------------


def test_overlaps_of_boxes_done_by_hand() -> None:
    a, b = torch.tensor([[0.0, 0.0, 2.0, 2.0]]), torch.tensor([[1.0, 1.0, 3.0, 3.0]])
    # Shared 1, union 7, hull 9, centres sqrt 2 apart, diagonal squared 18, equal aspect.
    assert overlap(a, b, kind="iou").item() == pytest.approx(1 / 7)
    assert overlap(a, b, kind="giou").item() == pytest.approx(1 / 7 - 2 / 9)
    assert overlap(a, b, kind="diou").item() == pytest.approx(1 / 7 - 2 / 18)
    assert overlap(a, b, kind="ciou").item() == pytest.approx(1 / 7 - 2 / 18)


def test_ciou_adds_the_aspect_by_hand() -> None:
    a, b = torch.tensor([[0.0, 0.0, 2.0, 1.0]]), torch.tensor([[0.0, 0.0, 1.0, 2.0]])
    iou, apart = 1 / 3, 0.5  # centres (1, .5) and (.5, 1); diagonal squared 8
    v = 4 / math.pi**2 * (math.atan(0.5) - math.atan(2.0)) ** 2
    expected = iou - apart / 8 - v / (1 - iou + v) * v
    assert overlap(a, b, kind="ciou").item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("kind", KINDS)
def test_equal_boxes_overlap_wholly_wherever_they_lie(kind: str) -> None:
    boxes = random_boxes(20, seed=3)
    torch.testing.assert_close(overlap(boxes, boxes, kind=kind), torch.ones(20), atol=1e-5, rtol=0)  # type: ignore[arg-type]


def test_far_apart_only_plain_iou_has_no_slope() -> None:
    truth = torch.tensor([[300.0, 200.0, 380.0, 250.0]])
    for kind in KINDS:
        found = torch.tensor([[10.0, 10.0, 60.0, 40.0]], requires_grad=True)
        overlap(found, truth, kind=kind).sum().backward()  # type: ignore[arg-type]
        assert found.grad is not None
        assert (found.grad.abs().sum() > 0).item() == (kind != "iou")


# --- slopes --------------------------------------------------------------------------------------------------

AWKWARD = {
    "equal": [100.0, 50.0, 200.0, 150.0],
    "apart": [300.0, 200.0, 380.0, 250.0],
    "touching": [200.0, 150.0, 300.0, 250.0],
    "a point": [150.0, 100.0, 150.0, 100.0],
    "a line": [100.0, 100.0, 200.0, 100.0],
    "a point outside": [10.0, 10.0, 10.0, 10.0],
    "swapped corners": [200.0, 150.0, 100.0, 50.0],
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("case", AWKWARD)
def test_loss_and_slopes_are_finite_for_awkward_boxes(kind: str, case: str) -> None:
    raw = raw_of(torch.tensor([AWKWARD[case]]))
    raw = RawOneBox(box=raw.box.requires_grad_(), logits=raw.logits.requires_grad_())
    coder = codec(iou_kind=kind)
    loss = coder.loss(raw, coder.encode(truth_of(torch.tensor([[100.0, 50.0, 200.0, 150.0]]))))
    loss.backward()
    assert torch.isfinite(loss)
    assert raw.box.grad is not None
    assert torch.isfinite(raw.box.grad).all()


@pytest.mark.parametrize("extreme", [-1e4, -60.0, 60.0, 1e4])
def test_saturated_outputs_give_finite_losses_and_slopes(extreme: float) -> None:
    box = torch.full((1, 4), extreme, requires_grad=True)
    logits = torch.tensor([[extreme, 0.0, 0.0, 0.0, 0.0, 0.0]], requires_grad=True)
    for kind in KINDS:
        coder = codec(iou_kind=kind)
        target = coder.encode(truth_of(torch.tensor([[100.0, 50.0, 200.0, 150.0]])))
        loss = coder.loss(RawOneBox(box=box, logits=logits), target)
        (slope,) = torch.autograd.grad(loss, box)
        assert torch.isfinite(loss)
        assert torch.isfinite(slope).all()


def test_the_order_of_the_corners_does_not_matter() -> None:
    box = torch.tensor([[50.0, 20.0, 300.0, 200.0]])
    coder = codec()
    target = coder.encode(truth_of(box + 7))
    straight, swapped = raw_of(box), raw_of(box[:, [2, 1, 0, 3]])
    torch.testing.assert_close(coder.loss(straight, target), coder.loss(swapped, target))
    torch.testing.assert_close(coder.decode(straight).xyxy, coder.decode(swapped).xyxy)


def test_half_precision_is_raised_before_the_sigmoid() -> None:
    boxes = random_boxes(4, seed=0)
    raw = raw_of(boxes, torch.randn(4, CLASSES))
    half = RawOneBox(box=raw.box.half(), logits=raw.logits.half())
    coder = codec()
    target = coder.encode(truth_of(boxes))
    assert coder.loss(half, target).dtype == torch.float32
    assert coder.decode(half).xyxy.dtype == torch.float32
    torch.testing.assert_close(coder.loss(half, target), coder.loss(raw, target), atol=5e-3, rtol=0)


# --- pictures without an object ------------------------------------------------------------------------------


def test_pictures_without_an_object_do_not_count() -> None:
    boxes, logits = random_boxes(3, seed=0), torch.randn(3, CLASSES, generator=torch.Generator().manual_seed(1))
    truth = truth_of(random_boxes(3, seed=1), valid=torch.tensor([True, False, True]))
    coder = codec()
    both = coder.loss(raw_of(boxes, logits), coder.encode(truth))
    kept = torch.tensor([0, 2])
    only = coder.loss(raw_of(boxes[kept], logits[kept]), coder.encode(truth[kept]))
    torch.testing.assert_close(both, only)
    assert coder.weight(truth).item() == 2


@pytest.mark.parametrize("rows", [0, 1, 2])
def test_a_batch_without_any_object_has_a_loss_and_a_slope_of_zero(rows: int) -> None:
    empty = Truth.of_boxes(
        torch.zeros(2, rows, 4), torch.zeros(2, rows, dtype=torch.long), torch.zeros(2, rows, dtype=torch.bool)
    )
    for kind in KINDS:
        coder = codec(iou_kind=kind)
        box, logits = torch.randn(2, 4, requires_grad=True), torch.randn(2, CLASSES, requires_grad=True)
        loss = coder.loss(RawOneBox(box=box, logits=logits), coder.encode(empty))
        loss.backward()
        assert loss.item() == 0
        assert box.grad is not None
        assert logits.grad is not None
        assert not box.grad.any()
        assert not logits.grad.any()
        assert coder.weight(empty).item() == 0


def test_a_crowd_is_no_object_and_the_object_is_found_behind_it() -> None:
    boxes = torch.tensor([[[0.0, 0.0, 400.0, 255.0], [10.0, 20.0, 110.0, 220.0]]])
    valid = torch.tensor([[False, True]])
    truth = Truth.of_boxes(boxes, torch.tensor([[1, 4]]), valid, crowd=~valid)
    target = codec().encode(truth)
    assert target.label.tolist() == [4]
    torch.testing.assert_close(target.box[0] * torch.tensor([400.0, 255.0, 400.0, 255.0]), boxes[0, 1])


def test_two_objects_in_a_picture_are_refused_in_words() -> None:
    boxes = random_boxes(2, seed=0)[None]
    truth = Truth.of_boxes(boxes, torch.tensor([[0, 1]]), torch.ones(1, 2, dtype=torch.bool))
    with pytest.raises(UserError, match="A picture has 2 objects, but codec 'one-box' finds exactly one"):
        codec().encode(truth)


# --- there and back ------------------------------------------------------------------------------------------


def test_boxes_come_back_within_a_thousandth_of_a_pixel_with_their_class() -> None:
    edges = torch.tensor([[0.0, 0.0, WIDTH, HEIGHT], [0.0, 0.0, 2.0, 2.0], [WIDTH - 2.0, HEIGHT - 2.0, WIDTH, HEIGHT]])
    boxes = torch.cat([random_boxes(200, seed=5), edges])
    labels = torch.arange(len(boxes)) % CLASSES
    coder = codec()
    target = coder.encode(truth_of(boxes, labels))
    raw = coder.perfect(target)
    assert torch.isfinite(raw.box).all()
    assert torch.isfinite(raw.logits).all()
    found = coder.decode(raw)
    assert found.xyxy.shape == (len(boxes), 1, 4)
    assert (found.xyxy[:, 0] - boxes).abs().max() <= 1e-3
    assert found.label[:, 0].equal(labels)
    assert (found.score > 0.999).all()
    assert found.valid.all()
    assert coder.loss(raw, target).item() == pytest.approx(0, abs=1e-4)


def test_what_is_decoded_is_an_ordered_box_inside_the_input_with_the_probability_of_its_class() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(50, CLASSES, generator=generator)
    found = codec().decode(RawOneBox(box=torch.randn(50, 4, generator=generator) * 20, logits=logits))
    assert (found.xyxy[..., 2:] >= found.xyxy[..., :2]).all()
    assert (found.xyxy >= 0).all()
    assert (found.xyxy <= torch.tensor([WIDTH, HEIGHT, WIDTH, HEIGHT])).all()
    torch.testing.assert_close(found.score[:, 0], logits.softmax(1).max(1).values)


def test_a_target_says_which_pictures_count() -> None:
    target = codec().encode(truth_of(random_boxes(2, seed=0), valid=torch.tensor([True, False])))
    assert isinstance(target, OneBoxTarget)
    assert target.counts.tolist() == [True, False]
    assert torch.isfinite(target.box).all()


@pytest.mark.parametrize("settings", [{"alpha": 1.2}, {"iou_kind": "eiou"}, {"label_smoothing": 1.0}])
def test_settings_out_of_range_are_refused(settings: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="validation error"):
        OneBoxCodecConfig(**settings)  # type: ignore[arg-type]
