"""Suppression against torchvision class by class, and against a plain loop."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from torch import Tensor
from torchvision.ops import nms

from sightline.codecs.suppression import suppress, suppress_one
from sightline.geometry import pairwise_iou


def random_case(seed: int, *, batch: int = 3, places: int = 60, classes: int = 4) -> tuple[Tensor, Tensor]:
    """Crowded boxes, some of them outside of the picture, and scores without ties."""
    generator = torch.Generator().manual_seed(seed)
    corner = torch.rand(batch, places, 2, generator=generator) * 80 - 10
    side = 5 + torch.rand(batch, places, 2, generator=generator) * 40
    return torch.cat([corner, corner + side], dim=2), torch.rand(batch, places, classes, generator=generator)


def class_by_class(boxes: Tensor, scores: Tensor, *, threshold: float, iou: float, most: int) -> list[tuple]:
    """One picture: torchvision's nms for each class alone, then all sorted by score."""
    found = []
    for label in range(scores.shape[1]):
        places = (scores[:, label] >= threshold).nonzero()[:, 0]
        kept = places[nms(boxes[places], scores[places, label], iou)]
        found += [(scores[place, label].item(), label, *boxes[place].tolist()) for place in kept]
    return sorted(found, reverse=True)[:most]


def as_lists(boxes: Tensor, scores: Tensor, **options: float | int | bool) -> list[list[tuple]]:
    found = suppress(boxes, scores, **options)  # type: ignore[arg-type]
    return [
        [
            (score.item(), int(label), *xyxy.tolist())
            for score, label, xyxy in zip(
                found.score[row][there], found.label[row][there], found.xyxy[row][there], strict=True
            )
        ]
        for row, there in enumerate(found.valid)
    ]


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize(("iou", "threshold"), [(0.6, 0.05), (0.3, 0.5), (0.0, 0.2), (1.0, 0.9)])
def test_every_picture_has_what_torchvision_keeps_class_by_class(seed: int, iou: float, threshold: float) -> None:
    boxes, scores = random_case(seed)
    found = as_lists(boxes, scores, score_threshold=threshold, iou=iou, most=40)
    for row, of_picture in enumerate(found):
        assert of_picture == class_by_class(boxes[row], scores[row], threshold=threshold, iou=iou, most=40)


@pytest.mark.parametrize("seed", range(5))
def test_a_plain_loop_agrees(seed: int) -> None:
    boxes, scores = random_case(seed, batch=1, classes=2)
    left = sorted(
        ((scores[0, place, label].item(), place, label) for place in range(60) for label in range(2)), reverse=True
    )
    kept: list[tuple[float, int, int]] = []
    for score, place, label in left:
        of_class = [other for _, other, kind in kept if kind == label]
        if all(pairwise_iou(boxes[0, place][None], boxes[0, other][None]).item() <= 0.5 for other in of_class):
            kept.append((score, place, label))
    wanted = [(score, label, *boxes[0, place].tolist()) for score, place, label in kept]
    assert as_lists(boxes, scores, score_threshold=0.0, iou=0.5, most=999) == [wanted]


def test_eighty_classes_do_not_touch_each_other() -> None:
    boxes, _ = random_case(0, batch=1, places=1)
    boxes = boxes.expand(1, 80, 4) * 1000  # one place for each of the classes, all with the same far-away box
    found = suppress(boxes, torch.eye(80)[None], score_threshold=0.5, iou=0.01, most=100)
    assert sorted(found.label[0].tolist()) == list(range(80))


def test_the_lists_are_padded_to_the_longest_and_best_first() -> None:
    boxes = torch.tensor([[[0.0, 0, 10, 10], [20, 20, 30, 30], [0, 0, 10, 11]]]).repeat(3, 1, 1)
    scores = torch.tensor([[0.3, 0.6, 0.4], [0.0, 0.2, 0.0], [0.0, 0.0, 0.0]])[:, :, None]
    found = suppress(boxes, scores, score_threshold=0.1, iou=0.5, most=10)
    assert found.valid.tolist() == [[True, True], [True, False], [False, False]]
    assert found.score[0].tolist() == pytest.approx([0.6, 0.4])
    assert found.xyxy[0].tolist() == [[20, 20, 30, 30], [0, 0, 10, 11]]
    assert found.score[1].tolist() == pytest.approx([0.2, 0.0])


def test_where_nothing_is_found_and_where_there_are_no_places_the_lists_are_empty() -> None:
    for places in (5, 0):
        boxes, scores = torch.ones(2, places, 4), torch.zeros(2, places, 3)
        found = suppress(boxes, scores, score_threshold=0.1, iou=0.5, most=10)
        assert found.xyxy.shape == (2, 0, 4)
        assert found.valid.shape == (2, 0)


def test_no_more_than_most_boxes_are_given_and_no_more_than_the_candidates_are_looked_at() -> None:
    boxes, scores = random_case(3)
    keep_all = partial(suppress, boxes, scores, score_threshold=0.0, iou=1.0)
    assert keep_all(most=7).valid.sum(dim=1).tolist() == [7, 7, 7]
    assert keep_all(most=99, candidates=12).valid.sum(dim=1).tolist() == [12, 12, 12]
    best = scores[0].flatten().sort(descending=True).values[:12]
    torch.testing.assert_close(keep_all(most=99, candidates=12).score[0], best)


def test_a_place_may_give_only_its_best_class() -> None:
    boxes, scores = random_case(4, batch=1)
    found = suppress(boxes, scores, score_threshold=0.0, iou=1.0, most=999, one_class_per_place=True)
    assert found.valid.sum() == 60
    best, label = scores[0].max(dim=1)
    order = best.argsort(descending=True)
    assert torch.equal(found.label[0], label[order])
    assert torch.equal(found.xyxy[0], boxes[0, order])


def test_equal_scores_keep_the_order_of_places_and_classes() -> None:
    boxes = torch.arange(4.0)[:, None] * 20 + torch.tensor([0.0, 0, 10, 10])
    found = suppress(boxes[None], torch.full((1, 4, 2), 0.5), score_threshold=0.1, iou=0.5, most=8)
    assert found.label[0].tolist() == [0, 1] * 4
    assert found.xyxy[0, :, 0].tolist() == [0, 0, 20, 20, 40, 40, 60, 60]


class OnePicture(torch.nn.Module):
    def forward(self, boxes: Tensor, scores: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return suppress_one(boxes, scores, score_threshold=0.3, iou=0.5, most=20)


def test_one_picture_can_be_exported_and_the_graph_holds_for_other_pictures() -> None:
    boxes, scores = random_case(5)
    graph = torch.export.export(OnePicture(), (boxes[0], scores[0])).module()
    for row in (1, 2):
        for ours, exported in zip(OnePicture()(boxes[row], scores[row]), graph(boxes[row], scores[row]), strict=True):
            assert torch.equal(ours, exported)
