"""Losses of detectors with anchors against plain loops over anchors, and against torchvision's."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torchvision.ops import sigmoid_focal_loss

from sightline.codecs.anchor_losses import multibox, sigmoid_focal, softmax_focal

CLASSES = 4  # with background


def case(seed: int, *, batch: int = 3, places: int = 40) -> tuple[Tensor, Tensor, Tensor]:
    """Logits, labels (few objects; none in the last picture) and ignored places."""
    generator = torch.Generator().manual_seed(seed)
    logits = 3 * torch.randn(batch, places, CLASSES, generator=generator)
    labels = torch.randint(1, CLASSES, (batch, places), generator=generator)
    labels *= torch.rand(batch, places, generator=generator) < 0.1
    labels[-1] = 0
    ignored = (torch.rand(batch, places, generator=generator) < 0.2) & (labels == 0)
    return logits, labels, ignored


def looped_multibox(logits: Tensor, labels: Tensor, ignored: Tensor, *, negatives: int) -> float:
    total, num_positive = 0.0, 0
    for picture in range(len(labels)):
        hard, mine = [], 0
        for place in range(labels.shape[1]):
            log_p = logits[picture, place].log_softmax(dim=0)
            if labels[picture, place] > 0:
                total -= log_p[labels[picture, place]].item()
                mine += 1
            elif not ignored[picture, place]:
                hard.append(-log_p[0].item())
        total += sum(sorted(hard, reverse=True)[: negatives * mine])
        num_positive += mine
    return total / max(1, num_positive)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("negatives", [0, 1, 3, 100])
def test_multibox_is_the_loop_over_positives_and_hardest_negatives(seed: int, negatives: int) -> None:
    given = case(seed)
    expected = looped_multibox(*given, negatives=negatives)
    assert multibox(*given, negatives=negatives).item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("places", [40, 7])
def test_three_negatives_for_each_positive_get_a_gradient_and_ignored_places_none(places: int) -> None:
    logits, labels, ignored = case(1, places=places)
    labels[0, :3] = 2
    ignored[0, :3] = False
    logits.requires_grad_()
    multibox(logits, labels, ignored, negatives=3).backward()
    assert logits.grad is not None
    touched = logits.grad.abs().sum(dim=2) > 0
    for picture in range(len(labels)):
        positive = labels[picture] > 0
        free = ~positive & ~ignored[picture]
        assert touched[picture][positive].all()
        assert not touched[picture][ignored[picture]].any()
        assert touched[picture][free].sum() == min(3 * positive.sum(), free.sum())


@pytest.mark.parametrize("seed", range(5))
def test_softmax_focal_is_the_published_formula_anchor_by_anchor(seed: int) -> None:
    logits, labels, ignored = case(seed)
    alpha = torch.tensor([10.0, 1000.0, 1100.0, 900.0])
    terms = []
    for row, label, skip in zip(logits.flatten(0, 1), labels.flatten(), ignored.flatten(), strict=True):
        p = row.softmax(dim=0)[label].item()
        if not skip:
            terms.append(-alpha[label].item() * (1 - p) ** 2 * math.log(p))
    found = softmax_focal(logits, labels, ignored, alpha=alpha, gamma=2.0)
    assert found.item() == pytest.approx(sum(terms) / len(terms), rel=1e-4)


def test_softmax_focal_without_focus_is_weighted_cross_entropy() -> None:
    logits, labels, ignored = case(0)
    alpha = torch.ones(CLASSES)
    found = softmax_focal(logits, labels, torch.zeros_like(ignored), alpha=alpha, gamma=0.0)
    expected = torch.nn.functional.cross_entropy(logits.flatten(0, 1), labels.flatten())
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("gamma", [0.0, 1.5, 2.0])
def test_sigmoid_focal_is_torchvisions(seed: int, gamma: float) -> None:
    logits, labels, ignored = case(seed)
    logits = logits[..., 1:]
    true = torch.nn.functional.one_hot(labels, CLASSES)[..., 1:].float()
    each = sigmoid_focal_loss(logits, true, alpha=0.25, gamma=gamma)
    expected = each[~ignored].sum() / (labels > 0).sum()
    torch.testing.assert_close(sigmoid_focal(logits, labels, ignored, alpha=0.25, gamma=gamma), expected)


def losses(logits: Tensor, labels: Tensor, ignored: Tensor) -> list[Tensor]:
    return [
        multibox(logits, labels, ignored, negatives=3),
        softmax_focal(logits, labels, ignored, alpha=torch.ones(CLASSES), gamma=2.0),
        sigmoid_focal(logits, labels.clamp_max(CLASSES), ignored, alpha=0.25, gamma=2.0),
    ]


def test_pictures_without_objects_give_finite_losses_and_gradients() -> None:
    logits, labels, ignored = case(0)
    logits.requires_grad_()
    for loss in losses(logits, torch.zeros_like(labels), ignored):
        assert loss.isfinite()
        (gradient,) = torch.autograd.grad(loss, logits)
        assert gradient.isfinite().all()


def test_where_everything_is_ignored_every_loss_is_zero() -> None:
    logits, labels, _ = case(0)
    for loss in losses(logits, torch.zeros_like(labels), torch.ones_like(labels, dtype=torch.bool)):
        assert loss == 0


@pytest.mark.parametrize("size", [1e3, -1e3])
def test_huge_logits_give_finite_losses_and_gradients(size: float) -> None:
    logits, labels, ignored = case(0)
    logits = (logits.sign() * size).requires_grad_()
    for loss in losses(logits, labels, ignored):
        assert loss.isfinite()
        (gradient,) = torch.autograd.grad(loss, logits)
        assert gradient.isfinite().all()
