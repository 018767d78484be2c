from __future__ import annotations

import pytest
import torch
from torchvision.models.detection._utils import Matcher
from torchvision.ops import box_iou

from sightline.assign import overlaps
from sightline.assign.assignment import Assignment, atss, fixed_iou, task_aligned
from sightline.types import Truth

SIZE = 64


def random_boxes(*shape, generator, low=2.0, high=40.0):
    corner = torch.rand(*shape, 2, generator=generator) * SIZE - 4
    return torch.cat([corner, corner + low + torch.rand(*shape, 2, generator=generator) * (high - low)], dim=-1)


def random_truth(seed, *, pictures=4, most=7, classes=3, crowds=True, **sizes):
    generator = torch.Generator().manual_seed(seed)
    kind = torch.randint(0, 6, (pictures, most), generator=generator)
    kind[0] = 0  # one picture without objects
    boxes = random_boxes(pictures, most, generator=generator, **sizes)
    labels = torch.randint(0, classes, (pictures, most), generator=generator)
    return Truth.of_boxes(boxes, labels, kind > 1, (kind == 1) & crowds)


def grid(levels=((8, 8), (16, 4), (32, 2)), *, sides=(1.0, 2.0)):
    """Anchors [P, 4] of squares and their counts, level by level."""
    found = []
    for stride, count in levels:
        for row in range(count):
            for column in range(count):
                for side in sides:
                    x, y, half = (column + 0.5) * stride, (row + 0.5) * stride, stride * side / 2
                    found.append([x - half, y - half, x + half, y + half])
    return torch.tensor(found), tuple(count * count * len(sides) for _, count in levels)


def centre(box):
    return (box[:2] + box[2:]) / 2


def is_inside(point, box):
    return bool((point > box[:2]).all() and (point < box[2:]).all())


def ignored_by_crowds(anchors, truth, picture, owner):
    ignored = set()
    for slot in truth.crowd[picture].nonzero()[:, 0].tolist():
        for place, anchor in enumerate(anchors):
            crowd = truth.boxes_xyxy[picture, slot]
            sides = (torch.minimum(anchor[2:], crowd[2:]) - torch.maximum(anchor[:2], crowd[:2])).clip(min=0)
            if sides.prod() > 0.5 * (anchor[2:] - anchor[:2]).prod() and place not in owner:
                ignored.add(place)
    return ignored


def assert_same(found: Assignment, picture, owner, ignored):
    expected = torch.full_like(found.object[picture], -1)
    for place, slot in owner.items():
        expected[place] = slot
    assert found.object[picture].tolist() == expected.tolist()
    assert set(found.ignored[picture].nonzero()[:, 0].tolist()) == ignored


# ---- fixed IoU


def plain_fixed_iou(anchors, truth, picture, *, positive, negative, force_best):
    """One picture, one number at a time."""
    owner, ignored, strength = {}, set(), {}
    slots = truth.valid[picture].nonzero()[:, 0].tolist()
    ious = box_iou(truth.boxes_xyxy[picture], anchors)
    for place in range(len(anchors)):
        best = max(slots, key=lambda slot: ious[slot, place].item(), default=None)
        if best is not None and ious[best, place] > positive:
            owner[place] = best
        elif best is not None and ious[best, place] > negative:
            ignored.add(place)
    if force_best:
        for slot in slots:
            place = int(ious[slot].argmax())
            if ious[slot, place] == 0:
                distances = [(centre(a) - centre(truth.boxes_xyxy[picture, slot])).square().sum() for a in anchors]
                place = int(torch.stack(distances).argmin())
            if place not in strength or ious[slot, place] > strength[place]:
                strength[place], owner[place] = ious[slot, place], slot
    ignored |= ignored_by_crowds(anchors, truth, picture, owner)
    return owner, ignored - owner.keys()


@pytest.mark.parametrize("limits", [(0.5, 0.5), (0.5, 0.4), (0.7, 0.3), (0.3, 0.0)])
@pytest.mark.parametrize("force_best", [True, False])
def test_fixed_iou_equals_a_loop_over_pictures_and_anchors(limits, force_best):
    anchors, _ = grid()
    rules = {"positive": limits[0], "negative": limits[1], "force_best": force_best}
    for seed in range(8):
        truth = random_truth(seed)
        found = fixed_iou(anchors, truth, **rules)
        for picture in range(len(truth)):
            assert_same(found, picture, *plain_fixed_iou(anchors, truth, picture, **rules))


def test_fixed_iou_is_the_same_for_anchors_in_any_order_and_in_many_slices(monkeypatch):
    generator = torch.Generator().manual_seed(5)
    anchors, truth = random_boxes(1000, generator=generator), random_truth(3)
    whole = fixed_iou(anchors, truth)
    monkeypatch.setattr(overlaps, "_SLICE", 3)
    order = torch.randperm(1000, generator=generator)
    shuffled = fixed_iou(anchors[order], truth)
    assert torch.equal(shuffled.object, whole.object[:, order])
    assert torch.equal(shuffled.ignored, whole.ignored[:, order])


def test_fixed_iou_without_forcing_equals_the_matcher_of_torchvision():
    generator = torch.Generator().manual_seed(0)
    anchors, truth = random_boxes(3000, generator=generator), random_truth(1, crowds=False)
    found = fixed_iou(anchors, truth, positive=0.5, negative=0.4, force_best=False)
    matcher = Matcher(0.5, 0.4)
    for picture in range(1, len(truth)):
        slots = truth.valid[picture].nonzero()[:, 0]
        match = matcher(box_iou(truth.boxes_xyxy[picture, slots], anchors))
        learns = match >= 0
        assert learns.any() and (match == Matcher.BETWEEN_THRESHOLDS).any()
        assert torch.equal(found.positive[picture], learns)
        assert torch.equal(found.object[picture][learns], slots[match[learns]])
        assert torch.equal(found.ignored[picture], match == Matcher.BETWEEN_THRESHOLDS)


def one_picture(boxes, *, valid=None, crowd=None):
    boxes = torch.tensor([boxes]).view(1, -1, 4)
    count = boxes.shape[1]
    return Truth.of_boxes(
        boxes,
        torch.zeros(1, count, dtype=torch.long),
        torch.tensor([valid or [not crowd] * count]).view(1, count),
        torch.tensor([[bool(crowd)] * count]).view(1, count),
    )


def test_an_anchor_exactly_at_the_limit_is_background_as_in_ssd():
    anchors = torch.tensor([[0.0, 0.0, 10.0, 10.0], [0.0, 0.0, 10.0, 11.0]])
    truth = one_picture([[0.0, 0.0, 10.0, 20.0]])
    found = fixed_iou(anchors, truth, force_best=False)
    assert found.object.tolist() == [[-1, 0]]
    assert not found.ignored.any()


def test_an_object_that_fits_no_anchor_still_gets_its_best_one():
    anchors, _ = grid()
    found = fixed_iou(anchors, one_picture([[30.0, 9.0, 33.0, 60.0]]))
    assert found.positive.sum() == 1
    assert not fixed_iou(anchors, one_picture([[30.0, 9.0, 33.0, 60.0]]), force_best=False).positive.any()


def test_an_object_off_every_anchor_gets_the_nearest_one():
    anchors = torch.tensor([[0.0, 0.0, 8.0, 8.0], [8.0, 0.0, 16.0, 8.0]])
    assert fixed_iou(anchors, one_picture([[30.0, 0.0, 34.0, 4.0]])).object.tolist() == [[-1, 0]]


def test_two_objects_that_want_one_anchor_leave_it_to_the_better_fit():
    anchors = torch.tensor([[0.0, 0.0, 10.0, 10.0]])
    truth = one_picture([[0.0, 0.0, 10.0, 4.0], [0.0, 0.0, 10.0, 5.0]])
    assert fixed_iou(anchors, truth).object.tolist() == [[1]]


def test_of_two_equal_objects_the_first_is_learned():
    anchors, _ = grid()
    box = [8.0, 8.0, 24.0, 24.0]
    assert fixed_iou(anchors, one_picture([box, box])).object.max() == 0


def test_anchors_under_a_crowd_are_ignored_and_the_rest_is_background():
    anchors, _ = grid(levels=((8, 8),), sides=(1.0,))
    found = fixed_iou(anchors, one_picture([[0.0, 0.0, 36.1, 16.0]], crowd=True))
    assert found.ignored.view(8, 8).nonzero().tolist() == [[r, c] for r in range(2) for c in range(5)]
    assert not found.positive.any()


def test_an_object_within_a_crowd_is_still_learned():
    anchors, _ = grid(levels=((8, 8),), sides=(1.0,))
    boxes = torch.tensor([[[0.0, 0.0, 64.0, 64.0], [8.0, 8.0, 16.0, 16.0]]])
    crowd = torch.tensor([[True, False]])
    found = fixed_iou(anchors, Truth.of_boxes(boxes, torch.zeros(1, 2).long(), ~crowd, crowd))
    assert found.positive.sum() == 1 and found.object.max() == 1
    assert found.ignored.sum() == 63


# ---- ATSS


def plain_atss(anchors, truth, picture, *, counts, top):
    owner, strength = {}, {}
    for slot in truth.valid[picture].nonzero()[:, 0].tolist():
        box = truth.boxes_xyxy[picture, slot]
        ious = box_iou(box[None], anchors)[0]
        chosen, start = [], 0
        for count in counts:
            level = range(start, start + count)
            far = {p: (centre(anchors[p]).double() - centre(box).double()).square().sum().item() for p in level}
            chosen += sorted(level, key=lambda p: (round(far[p], 5), -ious[p].item()))[:top]
            start += count
        limit = ious[chosen].mean() + ious[chosen].std()
        for place in chosen:
            is_good = ious[place] >= limit and is_inside(centre(anchors[place]), box)
            if is_good and (place not in strength or ious[place] > strength[place]):
                strength[place], owner[place] = ious[place], slot
    return owner, ignored_by_crowds(anchors, truth, picture, owner)


@pytest.mark.parametrize("sides", [(1.0,), (5.0,), (1.0, 2.0)])
@pytest.mark.parametrize("top", [3, 9, 100])
def test_atss_equals_a_loop_over_pictures_and_objects(sides, top):
    anchors, counts = grid(sides=sides)
    for seed in range(4):
        truth = random_truth(seed, low=8.0)
        found = atss(anchors, truth, counts=counts, top=top)
        for picture in range(len(truth)):
            assert_same(found, picture, *plain_atss(anchors, truth, picture, counts=counts, top=top))


def test_atss_takes_the_level_that_fits_the_object():
    anchors, counts = grid(sides=(1.0,))
    large = atss(anchors, one_picture([[1.0, 1.0, 31.0, 31.0]]), counts=counts)
    small = atss(anchors, one_picture([[1.0, 1.0, 8.0, 8.0]]), counts=counts)
    assert large.positive.nonzero()[:, 1].tolist() == [64 + 16]
    assert small.positive.nonzero()[:, 1].tolist() == [0]


def test_atss_is_the_same_in_many_slices(monkeypatch):
    anchors, counts = grid()
    whole = atss(anchors, random_truth(2), counts=counts)
    monkeypatch.setattr(overlaps, "_DENSE", 1)
    assert torch.equal(atss(anchors, random_truth(2), counts=counts).object, whole.object)


# ---- task-aligned


def plain_task_aligned(probabilities, boxes, centres, truth, picture, *, top, alpha, beta):
    ious = box_iou(truth.boxes_xyxy[picture], boxes[picture])
    aligned = probabilities[picture][:, truth.labels[picture]].T ** alpha * ious**beta
    slots = truth.valid[picture].nonzero()[:, 0].tolist()
    wanted = {}
    for slot in slots:
        scores = probabilities[picture, :, truth.labels[picture, slot]]  # decide where no predicted box overlaps
        places = [p for p in range(len(centres)) if is_inside(centres[p], truth.boxes_xyxy[picture, slot])]
        for place in sorted(places, key=lambda p: (-aligned[slot, p].item(), -scores[p].item()))[:top]:
            wanted.setdefault(place, []).append(slot)
    owner = {place: max(wanting, key=lambda s: (ious[s, place].item(), -s)) for place, wanting in wanted.items()}
    rescue_plainly(owner, slots, centres, truth.boxes_xyxy[picture])
    quality = {}
    for place, slot in owner.items():
        mine = [p for p, other in owner.items() if other == slot]
        highest = max(aligned[slot, p].item() for p in mine)
        if highest > 0:
            quality[place] = aligned[slot, place].item() / highest * max(ious[slot, p].item() for p in mine)
    crowds = truth.boxes_xyxy[picture][truth.crowd[picture]]
    ignored = {p for p in range(len(centres)) if p not in owner and any(is_inside(centres[p], c) for c in crowds)}
    return owner, ignored, quality


def rescue_plainly(owner, slots, centres, boxes):
    while lost := [slot for slot in slots if slot not in owner.values()]:
        held = list(owner.values())
        bids = {}
        for slot in lost:
            away = (centres.double() - centre(boxes[slot]).double()).square().sum(dim=1)
            free = [p for p in range(len(centres)) if p not in owner or held.count(owner[p]) > 1]
            if free:
                place = min(free, key=lambda p: away[p].item())
                bids.setdefault(place, []).append((away[place].item(), slot))
        if not bids:
            return
        owner.update({place: min(bidding)[1] for place, bidding in bids.items()})


def predictions(seed, *, pictures=4, classes=3):
    """Probabilities, boxes near their centres, and centres of 84 places."""
    generator = torch.Generator().manual_seed(100 + seed)
    anchors, _ = grid(sides=(1.0,))
    boxes = anchors + torch.randn(pictures, len(anchors), 4, generator=generator) * 4
    return (
        torch.rand(pictures, len(anchors), classes, generator=generator),
        boxes,
        (anchors[:, :2] + anchors[:, 2:]) / 2,
    )


@pytest.mark.parametrize(("top", "alpha", "beta"), [(13, 1.0, 6.0), (4, 0.5, 2.0), (1, 1.0, 1.0)])
def test_task_aligned_equals_a_loop_over_pictures_and_objects(top, alpha, beta):
    rules = {"top": top, "alpha": alpha, "beta": beta}
    for seed in range(8):
        truth, (probabilities, boxes, centres) = random_truth(seed), predictions(seed)
        found, quality = task_aligned(probabilities, boxes, centres, truth, **rules)
        for picture in range(len(truth)):
            owner, ignored, wanted = plain_task_aligned(probabilities, boxes, centres, truth, picture, **rules)
            assert_same(found, picture, owner, ignored)
            values = torch.tensor([wanted.get(p, 0.0) for p in range(len(centres))])
            torch.testing.assert_close(quality[picture], values, rtol=1e-4, atol=1e-6)


def test_the_best_place_of_each_object_is_to_reach_its_largest_iou():
    truth, (probabilities, boxes, centres) = random_truth(1), predictions(1)
    found, quality = task_aligned(probabilities, boxes, centres, truth)
    seen = 0
    for picture in range(len(truth)):
        for slot in truth.valid[picture].nonzero()[:, 0].tolist():
            mine = found.object[picture] == slot
            if mine.any():
                ious = box_iou(truth.boxes_xyxy[picture, slot][None], boxes[picture, mine])
                assert quality[picture, mine].max() == pytest.approx(ious.max().item(), abs=1e-6)
                seen += 1
    assert seen > 5


def test_an_object_smaller_than_a_cell_gets_the_nearest_place_even_within_a_large_object():
    probabilities, boxes, centres = predictions(0, pictures=1)
    truth = one_picture([[0.0, 0.0, 64.0, 64.0], [9.0, 9.0, 11.0, 11.0]])
    found, _ = task_aligned(probabilities, boxes, centres, truth, top=84)
    assert found.object[0, 9] == 1
    assert (found.object == 1).sum() == 1


def test_every_object_is_learned_somewhere_even_where_many_want_one_place():
    probabilities, boxes, centres = predictions(0, pictures=1)
    tiny = [[9.0 + i / 10, 9.0, 11.0 + i / 10, 11.0] for i in range(30)]
    found, _ = task_aligned(probabilities, boxes, centres, one_picture([[0.0, 0.0, 64.0, 64.0], *tiny]), top=84)
    assert set(found.object[0].tolist()) == set(range(31))
    equal = [[8.0, 8.0, 40.0, 40.0]] * 5
    found, _ = task_aligned(probabilities, boxes, centres, one_picture(equal))
    assert set(found.object[0].tolist()) == {-1, 0, 1, 2, 3, 4}


def test_more_objects_than_places_take_all_places():
    probabilities, boxes, centres = predictions(0, pictures=1)
    truth = one_picture([[1.0, 1.0, 3.0, 3.0]] * 100)
    found, _ = task_aligned(probabilities, boxes, centres, truth)
    assert sorted(found.object[0].tolist()) == list(range(84))


def test_tiny_alignments_do_not_vanish():
    probabilities, _, centres = predictions(0, pictures=1)
    boxes = torch.cat([centres - 1e-2, centres + 1e-2], dim=1)[None]
    truth = one_picture([[0.0, 0.0, 64.0, 64.0]])
    _, quality = task_aligned(probabilities * 1e-6, boxes, centres, truth)
    assert quality.max() == pytest.approx(0.02**2 / 64**2, rel=1e-3)


def test_task_aligned_gives_no_gradient_and_takes_half_precision():
    truth, (probabilities, boxes, centres) = random_truth(1), predictions(1)
    found, quality = task_aligned(
        probabilities.bfloat16().requires_grad_(True), boxes.half().requires_grad_(True), centres, truth
    )
    assert found.positive.any() and quality.dtype == torch.float32 and not quality.requires_grad


def test_task_aligned_is_the_same_in_many_slices(monkeypatch):
    whole, expected = task_aligned(*predictions(2), random_truth(2))
    monkeypatch.setattr(overlaps, "_DENSE", 1)
    found, quality = task_aligned(*predictions(2), random_truth(2))
    assert torch.equal(found.object, whole.object)
    torch.testing.assert_close(quality, expected)


# ---- all three


def every_way(truth):
    anchors, counts = grid(sides=(1.0,))
    probabilities, boxes, centres = predictions(0, pictures=len(truth))
    return {
        "fixed": fixed_iou(anchors, truth),
        "atss": atss(anchors, truth, counts=counts),
        "aligned": task_aligned(probabilities, boxes, centres, truth)[0],
    }


@pytest.mark.parametrize("padded", [0, 3])
def test_pictures_without_objects_are_all_background(padded):
    truth = Truth.of_boxes(torch.zeros(2, padded, 4), torch.zeros(2, padded).long(), torch.zeros(2, padded).bool())
    for found in every_way(truth).values():
        assert found.object.shape == (2, 84) and found.object.dtype == torch.int64
        assert not found.positive.any() and not found.ignored.any()
        assert found.take(torch.ones(2, padded, 4)).shape == (2, 84, 4)


def test_padding_is_never_assigned_whatever_lies_there():
    truth = random_truth(4, crowds=False)
    without = Truth.of_boxes(truth.boxes_xyxy.where(truth.valid[..., None], 0), truth.labels, truth.valid)
    for (name, found), clean in zip(every_way(truth).items(), every_way(without).values(), strict=True):
        assert torch.equal(found.object, clean.object), name
        picture, place = found.positive.nonzero(as_tuple=True)
        assert len(picture) and truth.valid[picture, found.object[picture, place]].all()


def test_no_place_is_both_ignored_and_positive():
    for seed in range(5):
        for found in every_way(random_truth(seed)).values():
            assert not (found.ignored & found.positive).any()


def test_take_brings_what_belongs_to_the_objects_to_their_places():
    truth = random_truth(2)
    found = every_way(truth)["fixed"]
    boxes, labels = found.take(truth.boxes_xyxy), found.take(truth.labels)
    assert boxes.shape == (4, 84, 4) and labels.shape == (4, 84)
    for picture, place in found.positive.nonzero().tolist():
        slot = found.object[picture, place]
        assert torch.equal(boxes[picture, place], truth.boxes_xyxy[picture, slot])
        assert labels[picture, place] == truth.labels[picture, slot]
    assert not boxes[~found.positive].any()


def test_a_large_batch_never_needs_all_pairs_at_once():
    """65,520 anchors x 32 pictures x 40 objects would be 336 MB for one number a pair."""
    anchors, _ = grid(levels=((4, 90), (8, 45), (16, 22)), sides=(1.0, 1.4, 2.0, 2.8, 4.0, 5.6))
    boxes = torch.rand(32, 40, 2, generator=torch.Generator().manual_seed(0)) * 340
    truth = Truth.of_boxes(torch.cat([boxes, boxes + 20], dim=-1), torch.zeros(32, 40).long(), torch.ones(32, 40) > 0)
    largest = 0

    class Watch(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            nonlocal largest
            result = function(*args, **(kwargs or {}))
            if isinstance(result, torch.Tensor):
                largest = max(largest, result.untyped_storage().nbytes())
            return result

    with Watch():
        assert fixed_iou(anchors, truth).positive.any()
    assert largest < 40e6  # the result itself is 8 bytes x 32 x 63,408 = 16 MB
