from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from sightline.codecs import place_sums
from sightline.codecs.place_sums import log_sums, sigmoid_focal_sum, softmax_focal_sum

GAMMAS = [0.0, 0.5, 1.0, 2.0, 3.5]


def plain_softmax(logits, rows, *, instead, alpha, gamma):
    log_p = logits.log_softmax(dim=1)[:, 0]
    each = -alpha * (1 - log_p.exp()).clamp_min(1e-12).pow(gamma) * log_p
    return each[others(logits, rows)].sum() + instead(logits[rows])


def plain_sigmoid(logits, rows, *, instead, alpha, gamma):
    each = alpha * logits.sigmoid().pow(gamma) * F.softplus(logits)
    return each[others(logits, rows)].sum() + instead(logits[rows])


def others(logits, rows):
    kept = torch.ones(len(logits), dtype=torch.bool)
    kept[rows] = False
    return kept


def instead(chosen):
    return chosen[:, 1:].square().sum() * 0.1


@pytest.mark.parametrize(
    ("ours", "plain"),
    [(softmax_focal_sum, plain_softmax), (sigmoid_focal_sum, plain_sigmoid)],
    ids=["softmax", "sigmoid"],
)
@pytest.mark.parametrize("gamma", GAMMAS)
@pytest.mark.parametrize("scale", [1.0, 30.0])  # within and beyond what needs no shift
@pytest.mark.parametrize("count", [1, 8, 9])
def test_value_and_gradient_are_those_of_the_formula(ours, plain, gamma, scale, count, monkeypatch):
    monkeypatch.setattr(place_sums, "_SLICE", 4)
    generator = torch.Generator().manual_seed(count)
    logits = (torch.randn(count, 5, generator=generator) * scale).requires_grad_(True)
    rows = torch.randperm(count, generator=generator)[: count // 3]
    rules = {"instead": instead, "alpha": 0.7, "gamma": gamma}
    before = logits.detach().clone()
    found, wanted = (way(logits, rows, **rules) for way in (ours, plain))
    torch.testing.assert_close(found, wanted, rtol=2e-5, atol=1e-5)
    gradients = [torch.autograd.grad(3 * value, logits)[0] for value in (found, wanted)]
    torch.testing.assert_close(*gradients, rtol=1e-3, atol=2e-5)
    assert torch.equal(logits.detach(), before)
    assert ours(logits.detach(), rows, **rules) == pytest.approx(found.item(), rel=1e-6)


@pytest.mark.parametrize("way", [softmax_focal_sum, sigmoid_focal_sum])
def test_huge_logits_give_finite_values_and_gradients(way):
    logits = torch.tensor([[1e4, -1e4], [-1e4, 1e4], [3e38, 0.0], [-200.0, -200.0]], requires_grad=True)
    value = way(logits, torch.tensor([0]), instead=instead, alpha=1.0, gamma=2.0)
    value.backward()
    assert logits.grad is not None and logits.grad[1:].isfinite().all()


@pytest.mark.parametrize("way", [softmax_focal_sum, sigmoid_focal_sum])
def test_the_gradient_is_given_away_once(way):
    logits = torch.randn(6, 3, requires_grad=True)
    value = way(logits, torch.tensor([1]), instead=instead, alpha=1.0, gamma=2.0)
    value.backward(retain_graph=True)
    with pytest.raises(AssertionError, match="second backward"):
        value.backward()


@pytest.mark.parametrize("scale", [1.0, 1e3])
def test_log_sums_are_torchs(scale, monkeypatch):
    monkeypatch.setattr(place_sums, "_SLICE", 3)
    logits = torch.randn(10, 4, generator=torch.Generator().manual_seed(0)) * scale
    torch.testing.assert_close(log_sums(logits), logits.logsumexp(dim=1))
    assert log_sums(logits[:0]).shape == (0,)
