"""The anchor-free codec: round trip, losses against plain loops, the change of assignment, and learning by heart."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from sightline.assign.assignment import atss, task_aligned
from sightline.backbones.convnet import ConvLayer, ConvnetBackboneConfig
from sightline.codecs.anchor_free import AnchorFreeCodec, AnchorFreeCodecConfig
from sightline.codecs.protocol import CodecShape
from sightline.config import DataConfig, Experiment
from sightline.geometry import iou, pairwise_iou
from sightline.heads.decoupled import DecoupledHeadConfig
from sightline.model import build
from sightline.necks.pan import PanNeckConfig
from sightline.types import Boxes, RawDense, Truth

INPUT_HW = (64, 96)
LEVELS = ((8, 12), (4, 6), (2, 3))
PLACES = sum(height * width for height, width in LEVELS)
SHAPE = CodecShape(input_hw=INPUT_HW, levels_hw=LEVELS, num_classes=3)


def codec(**options: Any) -> AnchorFreeCodec:
    return AnchorFreeCodecConfig(**options).build(SHAPE)


def random_raw(seed: int, *, batch: int = 2) -> RawDense:
    generator = torch.Generator().manual_seed(seed)
    boxes = torch.randn(batch, PLACES, 4, generator=generator) * 0.4
    logits = torch.randn(batch, PLACES, 3, generator=generator) * 2 - 1
    return RawDense(boxes=boxes.requires_grad_(), logits=logits.requires_grad_(), sizes_hw=LEVELS)


def some_truth() -> Truth:
    """Three objects in the first picture, two of them of one class; one in the second."""
    boxes = torch.tensor(
        [
            [[4.3, 6.1, 28.7, 30.2], [50.0, 10.5, 90.0, 60.25], [30.0, 40.0, 44.0, 52.0]],
            [[10.0, 8.0, 80.0, 62.0], [0.0, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]],
        ]
    )
    valid = torch.tensor([[True, True, True], [True, False, False]])
    return Truth.of_boxes(boxes, torch.tensor([[2, 0, 2], [1, 0, 0]]), valid)


def no_truth(*, slots: int) -> Truth:
    return Truth.of_boxes(
        torch.zeros(2, slots, 4), torch.zeros(2, slots, dtype=torch.long), torch.zeros(2, slots, dtype=torch.bool)
    )


# --- round trip --------------------------------------------------------------------------------------------


def test_what_a_flawless_network_emits_comes_back_to_a_hundredth_of_a_pixel() -> None:
    truth = some_truth()
    coder = codec()
    found = coder.decode(coder.perfect(coder.encode(truth)))
    assert found.valid.sum(dim=1).tolist() == [3, 1]
    for row, there in enumerate(truth.valid):
        for box, label in zip(truth.boxes_xyxy[row][there], truth.labels[row][there], strict=True):
            away = (found.xyxy[row] - box).abs().amax(dim=1)
            assert away.min() < 0.01
            assert found.label[row, away.argmin()] == label


@pytest.mark.parametrize("seed", range(10))
def test_any_boxes_a_cell_wide_come_back(seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    side = 8.5 + torch.rand(1, 6, 2, generator=generator) * 40
    corner = torch.rand(1, 6, 2, generator=generator) * (torch.tensor([96.0, 64.0]) - side)
    boxes = torch.cat([corner, corner + side], dim=2)
    # All of different classes, so that none suppresses another.
    wide = CodecShape(input_hw=INPUT_HW, levels_hw=LEVELS, num_classes=6)
    coder = AnchorFreeCodecConfig().build(wide)
    truth = Truth.of_boxes(boxes, torch.arange(6)[None], torch.ones(1, 6, dtype=torch.bool))
    found = coder.decode(coder.perfect(truth))
    assert found.valid.sum() == 6
    torch.testing.assert_close(found.xyxy[0, found.label[0].argsort()], boxes[0], atol=0.01, rtol=0)


def test_zeros_are_a_square_of_the_anchors_size_around_the_cell() -> None:
    coder = codec(anchor_cells=4.0)
    raw = RawDense(boxes=torch.zeros(1, PLACES, 4), logits=torch.zeros(1, PLACES, 3), sizes_hw=LEVELS)
    boxes = coder.boxes_xyxy(raw)[0]
    # Second row, third column of the middle level: centre (40, 24), stride 16, half of 4 cells is 32 px.
    assert boxes[96 + 6 + 2].tolist() == pytest.approx([8.0, -8.0, 72.0, 56.0])


def test_strides_that_differ_along_x_and_y_are_kept_apart() -> None:
    shape = CodecShape(input_hw=(40, 60), levels_hw=((5, 6),), num_classes=1)
    coder = AnchorFreeCodecConfig(anchor_cells=2.0).build(shape)
    raw = RawDense(boxes=torch.zeros(1, 30, 4), logits=torch.zeros(1, 30, 1), sizes_hw=((5, 6),))
    assert coder.boxes_xyxy(raw)[0, 7].tolist() == pytest.approx([5.0, 4.0, 25.0, 20.0])


def test_decoded_boxes_are_cut_at_the_edges_of_the_input() -> None:
    found = codec(iou=1.0).decode(random_raw(0))
    assert found.xyxy.min() >= 0
    assert found.xyxy[..., 0::2].max() <= 96
    assert found.xyxy[..., 1::2].max() <= 64


def test_the_score_threshold_and_the_number_of_boxes_are_kept() -> None:
    raw = random_raw(1)
    strict = codec(score_threshold=0.5, iou=1.0).decode(raw)
    assert strict.score[strict.valid].min() >= 0.5
    few = codec(most=5).decode(raw)
    assert few.xyxy.shape == (2, 5, 4)


def test_huge_numbers_of_an_untrained_network_stay_finite() -> None:
    raw = RawDense(
        boxes=torch.full((1, PLACES, 4), 300.0, requires_grad=True),
        logits=torch.full((1, PLACES, 3), 300.0, requires_grad=True),
        sizes_hw=LEVELS,
    )
    for progress in (0.0, 1.0):
        coder = codec()
        coder.set_progress(progress)
        loss = coder.loss(raw, some_truth()[:1])
        loss.backward()
        assert torch.isfinite(loss)
        assert raw.boxes.grad is not None and torch.isfinite(raw.boxes.grad).all()
        assert raw.logits.grad is not None and torch.isfinite(raw.logits.grad).all()


# --- losses against plain loops ----------------------------------------------------------------------------


def giou(first: list[float], second: list[float]) -> float:
    """Of two boxes, from the definition."""
    shared = max(0.0, min(first[2], second[2]) - max(first[0], second[0])) * max(
        0.0, min(first[3], second[3]) - max(first[1], second[1])
    )
    areas = [(b[2] - b[0]) * (b[3] - b[1]) for b in (first, second)]
    union = sum(areas) - shared
    hull = (max(first[2], second[2]) - min(first[0], second[0])) * (max(first[3], second[3]) - min(first[1], second[1]))
    return shared / union - (hull - union) / hull


def class_term(kind: str, logit: float, wanted: float) -> float:
    """One class at one place, from the papers' equations."""
    p = 1 / (1 + math.exp(-logit))
    entropy = -wanted * math.log(p) - (1 - wanted) * math.log(1 - p)
    if kind == "quality-focal":
        return abs(wanted - p) ** 2 * entropy
    return (wanted if wanted > 0 else 0.75 * p**2) * entropy


def plain_loss(coder: AnchorFreeCodec, raw: RawDense, truth: Truth) -> float:
    """The whole loss, place by place."""
    boxes = coder.boxes_xyxy(raw).detach()
    aligned = None
    if coder.progress < coder.config.warmup_share:
        squares = torch.cat([coder.centres_xy - coder.units_xy, coder.centres_xy + coder.units_xy], dim=1)
        assignment = atss(squares, truth, counts=coder.counts, top=coder.config.atss_top)
    else:
        assignment, aligned = task_aligned(raw.logits.detach().sigmoid(), boxes, coder.centres_xy, truth)
    classes = places = total = 0.0
    for b in range(len(truth)):
        for p in range(PLACES):
            slot = int(assignment.object[b, p])
            wanted = [0.0] * coder.num_classes
            if slot >= 0:
                box, true = boxes[b, p].tolist(), truth.boxes_xyxy[b, slot].tolist()
                quality = iou(tuple(box), tuple(true)) if aligned is None else float(aligned[b, p])
                share = 1.0 if aligned is None else quality
                wanted[int(truth.labels[b, slot])] = quality
                places += share * (1 - giou(box, true))
                total += share
            if not assignment.ignored[b, p]:
                logits = raw.logits[b, p].tolist()
                classes += sum(class_term(coder.config.class_loss, x, y) for x, y in zip(logits, wanted, strict=True))
    return (classes + coder.config.box_weight * places) / max(1.0, total)


@pytest.mark.parametrize("progress", [0.0, 0.5])
@pytest.mark.parametrize("kind", ["quality-focal", "varifocal"])
def test_the_loss_is_what_a_plain_loop_finds(kind: str, progress: float) -> None:
    coder = codec(class_loss=kind)
    coder.set_progress(progress)
    raw = random_raw(2)
    assert coder.loss(raw, some_truth()).item() == pytest.approx(plain_loss(coder, raw, some_truth()), rel=1e-4)


@pytest.mark.parametrize("progress", [0.0, 0.5])
def test_a_crowd_is_neither_object_nor_background(progress: float) -> None:
    truth = some_truth()
    crowded = Truth.of_boxes(
        truth.boxes_xyxy.index_fill(1, torch.tensor(2), 0.0) + torch.tensor([0.0, 0.0, 1e-3, 1e-3]),
        truth.labels,
        torch.tensor([[True, True, False], [True, False, False]]),
        torch.tensor([[False, False, False], [False, True, False]]),
    )
    crowded.boxes_xyxy[1, 1] = torch.tensor([0.0, 0.0, 96.0, 64.0])  # all of the second picture
    coder = codec()
    coder.set_progress(progress)
    raw = random_raw(3)
    assert coder.loss(raw, crowded).item() == pytest.approx(plain_loss(coder, raw, crowded), rel=1e-4)
    only_crowd = Truth.of_boxes(
        crowded.boxes_xyxy[1:], crowded.labels[1:], torch.zeros(1, 3, dtype=torch.bool), crowded.crowd[1:]
    )
    alone = RawDense(boxes=raw.boxes[1:], logits=raw.logits[1:], sizes_hw=LEVELS)
    # Only places whose square reaches far out of the picture are less than half covered by it.
    without = coder.loss(alone, no_truth(slots=0)[:1]).item()
    assert coder.loss(alone, only_crowd).item() < (1e-6 if progress else 0.9 * without)


@pytest.mark.parametrize("progress", [0.0, 0.5])
@pytest.mark.parametrize("slots", [0, 2])
def test_pictures_without_objects_teach_what_is_background(slots: int, progress: float) -> None:
    coder = codec()
    coder.set_progress(progress)
    raw = random_raw(4)
    loss = coder.loss(raw, no_truth(slots=slots))
    loss.backward()
    assert torch.isfinite(loss)
    assert loss > 0
    assert raw.logits.grad is not None and (raw.logits.grad > 0).all()
    assert raw.boxes.grad is not None and (raw.boxes.grad == 0).all()
    assert coder.weight(no_truth(slots=slots)) == 2


@pytest.mark.parametrize("progress", [0.0, 0.5])
def test_gradients_reach_boxes_and_classes_and_are_finite(progress: float) -> None:
    coder = codec()
    coder.set_progress(progress)
    raw = random_raw(5)
    coder.loss(raw, some_truth()).backward()
    for gradient in (raw.boxes.grad, raw.logits.grad):
        assert gradient is not None
        assert torch.isfinite(gradient).all()
        assert gradient.abs().sum() > 0


def test_the_loss_of_a_flawless_network_is_smaller_than_of_any_other() -> None:
    coder = codec()
    coder.set_progress(0.5)
    truth = some_truth()
    best = coder.perfect(truth)
    least = coder.loss(best, truth)
    generator = torch.Generator().manual_seed(0)
    for std in (0.05, 0.3):
        shaken = best.boxes + std * torch.randn(best.boxes.shape, generator=generator)
        assert coder.loss(RawDense(boxes=shaken, logits=best.logits, sizes_hw=LEVELS), truth) > least
    swapped = RawDense(boxes=best.boxes, logits=best.logits.roll(1, dims=2), sizes_hw=LEVELS)
    assert coder.loss(swapped, truth) > least


# --- assignment over the training ---------------------------------------------------------------------------


def who_learns(coder: AnchorFreeCodec, raw: RawDense) -> set[tuple[int, int]]:
    """(picture, place) of every place whose box gets a gradient."""
    (gradient,) = torch.autograd.grad(coder.loss(raw, some_truth()), raw.boxes)
    picture, place = gradient.abs().sum(dim=2).nonzero(as_tuple=True)
    return set(zip(picture.tolist(), place.tolist(), strict=True))


def test_atss_decides_up_to_the_share_of_the_warm_up_and_the_predictions_from_there_on() -> None:
    coder = codec(warmup_share=0.25, beta=2.0)
    first, second = random_raw(6), random_raw(7)
    for progress in (0.0, 0.1, 0.2499):
        coder.set_progress(progress)
        assert who_learns(coder, first) == who_learns(coder, second)  # whatever the network says
    early = who_learns(coder, first)
    for progress in (0.25, 0.9, 1.0):
        coder.set_progress(progress)
        assert who_learns(coder, first) != who_learns(coder, second)
    coder.set_progress(0.1)  # nothing is remembered: a resumed run sees what the unbroken one saw
    assert who_learns(coder, second) == early


@pytest.mark.parametrize(("share", "progress", "is_atss"), [(0.0, 0.0, False), (1.0, 0.999, True)])
def test_either_assignment_can_have_the_whole_training(share: float, progress: float, is_atss: bool) -> None:
    coder = codec(warmup_share=share, beta=2.0)
    coder.set_progress(progress)
    assert (who_learns(coder, random_raw(6)) == who_learns(coder, random_raw(7))) == is_atss


def test_a_small_object_that_atss_leaves_out_has_a_place_all_the_same() -> None:
    shape = CodecShape(input_hw=(64, 64), levels_hw=((8, 8), (4, 4)), num_classes=1)
    coder = AnchorFreeCodecConfig().build(shape)
    # Of 7 px, so that it has one centre of the first level inside, (28, 52); and one between all centres.
    boxes = torch.tensor([[[25.0, 48.0, 32.0, 55.0], [13.0, 13.0, 15.0, 15.0], [2.0, 2.0, 40.0, 30.0]]])
    truth = Truth.of_boxes(boxes, torch.zeros(1, 3, dtype=torch.long), torch.ones(1, 3, dtype=torch.bool))
    squares = torch.cat([coder.centres_xy - coder.units_xy, coder.centres_xy + coder.units_xy], dim=1)
    by_atss = atss(squares, truth, counts=coder.counts).object
    assert set(by_atss.flatten().tolist()) == {-1, 2}
    raw = RawDense(
        boxes=torch.zeros(1, 80, 4, requires_grad=True), logits=torch.zeros(1, 80, 1), sizes_hw=((8, 8), (4, 4))
    )
    coder.loss(raw, truth).backward()
    assert raw.boxes.grad is not None
    learns = raw.boxes.grad[0].abs().sum(dim=1) > 0
    assert learns[6 * 8 + 3]  # the one inside
    assert learns[1 * 8 + 1]  # (12, 12), the nearest
    assert learns.sum() == (by_atss >= 0).sum() + 2


# --- learning by heart --------------------------------------------------------------------------------------

COLOURS = torch.tensor([[255, 40, 40], [40, 255, 40], [40, 40, 255]], dtype=torch.uint8)


def coloured_rectangles() -> tuple[Tensor, Truth]:
    """Four pictures of 64 px with one to three rectangles on noise; the class is the colour."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 60, (4, 3, 64, 64), generator=generator, dtype=torch.uint8)
    boxes, labels = torch.zeros(4, 3, 4), torch.zeros(4, 3, dtype=torch.long)
    valid = torch.zeros(4, 3, dtype=torch.bool)
    for picture in range(4):
        for slot in range(1 + picture % 3):
            width, height = torch.randint(10, 19, (2,), generator=generator).tolist()
            left, top = 2 + 20 * slot, int(torch.randint(0, 64 - height, (1,), generator=generator))
            label = int(torch.randint(0, 3, (1,), generator=generator))
            images[picture, :, top : top + height, left : left + width] = COLOURS[label][:, None, None]
            boxes[picture, slot] = torch.tensor([left, top, left + width, top + height])
            labels[picture, slot], valid[picture, slot] = label, True
    return images, Truth.of_boxes(boxes, labels, valid)


@pytest.mark.slow
def test_four_pictures_are_learnt_by_heart() -> None:
    images, truth = coloured_rectangles()
    layers = tuple(ConvLayer(channels=c, stride=2, padding=1, norm=True) for c in (16, 32, 48))
    experiment = Experiment(
        recipe="overfit",
        classes=("red", "green", "blue"),
        data=DataConfig(input_hw=(64, 64)),
        backbone=ConvnetBackboneConfig(layers=layers),
        neck=PanNeckConfig(channels=32, levels=2),
        head=DecoupledHeadConfig(depth=1),
        codec=AnchorFreeCodecConfig(warmup_share=0.2),
    )
    torch.manual_seed(0)
    model, coder = build(experiment)
    assert isinstance(coder, AnchorFreeCodec)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    steps = 200
    for step in range(steps):
        coder.set_progress(step / steps)
        optimizer.param_groups[0]["lr"] = 3e-3 * min(1.0, (step + 1) / 20) * (1 - step / steps)
        loss = coder.loss(model(images), coder.encode(truth))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        found = coder.decode(model.eval()(images))
    assert isinstance(found, Boxes)
    for row, there in enumerate(truth.valid):
        sure = found.score[row] > 0.5
        assert sure.sum() == there.sum()  # every object once, and nothing else
        overlaps = pairwise_iou(truth.boxes_xyxy[row][there], found.xyxy[row][sure])
        same = truth.labels[row][there][:, None] == found.label[row][sure]
        assert ((overlaps > 0.5) & same).any(dim=1).all()
