"""Sums over the classes of very many places, a slice at a time; and focal losses made of them.

Nearly all places are background. For a focal loss every place is taken as background first, and the gradient is
written in closed form while the slice is still in the processor's cache: nothing else of the logits' size is
ever held. The few other places are put right afterwards. Next: anchor_losses.py
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

_SLICE = 8192  # places at a time on a CPU; all of them elsewhere
_SAFE = 60.0  # up to this size of logits no exponential needs a shift, and no sum of them overflows

# Sums the losses of [M, C] as background, and writes their gradient where there is a place for it.
_Walk = Callable[[Tensor, Tensor | None], Tensor]
_Instead = Callable[[Tensor], Tensor]


@torch.no_grad()
def log_sums(logits: Float[Tensor, "M C"]) -> Float[Tensor, "M"]:
    """Log sum exp over the classes of each place, without a gradient (float32 logits)."""
    found = [_log_sum(part, room)[0] for part, room in _parts(logits, None)]
    return torch.cat(found) if found else logits.new_zeros(0)


def softmax_focal_sum(
    logits: Float[Tensor, "M C"], rows: Int[Tensor, "R"], *, instead: _Instead, alpha: float, gamma: float
) -> Tensor:
    """The sum of -alpha (1 - p)^gamma log p over places, p being the softmax's first share.

    Args:
        logits: of all places, float32.
        rows: the places that are not background; each once.
        instead: what these count, summed: from their logits [R, C].
        alpha: weight of the background.
        gamma: how little the easy places count.
    """
    return _sum(logits, rows, partial(_walk_softmax, alpha=alpha, gamma=gamma), instead)


def sigmoid_focal_sum(
    logits: Float[Tensor, "M C"], rows: Int[Tensor, "R"], *, instead: _Instead, alpha: float, gamma: float
) -> Tensor:
    """The sum of -alpha p^gamma log(1 - p) over places and classes, p being the sigmoid; else as above."""
    return _sum(logits, rows, partial(_walk_sigmoid, alpha=alpha, gamma=gamma), instead)


def _sum(logits: Tensor, rows: Tensor, walk: _Walk, instead: _Instead) -> Tensor:
    found = _BackgroundBut.apply(logits, rows, walk, instead)
    assert isinstance(found, Tensor)
    return found


class _BackgroundBut(torch.autograd.Function):
    """The sum; its gradient is made on the way and given away once."""

    @staticmethod
    def forward(ctx, logits: Tensor, rows: Tensor, walk: _Walk, instead: _Instead) -> Tensor:  # type: ignore[override]  # noqa: ANN001
        grad = torch.empty_like(logits) if ctx.needs_input_grad[0] else None
        chosen = logits[rows]
        total = walk(logits, grad) - walk(chosen, None)
        with torch.enable_grad():
            chosen.requires_grad_(grad is not None)
            own = instead(chosen)
            if grad is not None and len(rows):
                grad[rows] = torch.autograd.grad(own, chosen)[0]
        ctx.grad = grad
        return (total + own.detach()).to(logits.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx, above: Tensor) -> tuple[Tensor, None, None, None]:  # type: ignore[override]  # noqa: ANN001
        assert ctx.grad is not None, "a second backward through one focal loss"
        grad, ctx.grad = ctx.grad, None
        is_one = above.device.type == "cpu" and float(above) == 1.0
        return (grad if is_one else grad.mul_(above)), None, None, None


def _walk_softmax(logits: Tensor, grad: Tensor | None, *, alpha: float, gamma: float) -> Tensor:
    total = logits.new_zeros((), dtype=torch.float64)
    for part, share in _parts(logits, grad):
        log_sum, scale = _log_sum(part, share)
        log_p = part[:, 0] - log_sum
        p = log_p.exp()
        rest = (1 - p).clip_(min=1e-12)
        total -= alpha * rest.pow(gamma).mul_(log_p).sum()
        if grad is not None:
            # d loss / d log p; and d log p / d logits is 1 at the first, less the softmax.
            slope = rest.pow(gamma - 1).mul_(rest - gamma * p * log_p).mul_(-alpha)
            share.mul_((-slope * scale)[:, None])
            share[:, 0] += slope
    return total


def _log_sum(part: Tensor, room: Tensor) -> tuple[Tensor, Tensor]:
    """Log sum exp [m] of a slice [m, C]. What `room` then holds is, times the second result [m], the softmax."""
    if _is_safe(part):
        log_sum = torch.exp(part, out=room).mv(part.new_ones(part.shape[1])).log_()
        return log_sum, log_sum.neg().exp_()
    log_sum = part.logsumexp(dim=1)
    torch.sub(part, log_sum[:, None], out=room).exp_()
    return log_sum, torch.ones_like(log_sum)


def _walk_sigmoid(logits: Tensor, grad: Tensor | None, *, alpha: float, gamma: float) -> Tensor:
    total = logits.new_zeros((), dtype=torch.float64)
    for part, p in _parts(logits, grad):
        torch.sigmoid(part, out=p)
        rest = (-part).sigmoid_()
        log_rest = rest.log() if _is_safe(part) else F.logsigmoid(-part)
        weight = p.pow(gamma)
        total -= alpha * torch.dot(weight.view(-1), log_rest.view(-1))
        if grad is not None:
            # d/dx -p^gamma log(1 - p) = p^gamma (p - gamma (1 - p) log(1 - p))
            p.sub_(rest.mul_(log_rest), alpha=gamma).mul_(weight).mul_(alpha)
    return total


def _parts(logits: Tensor, grad: Tensor | None) -> Iterator[tuple[Tensor, Tensor]]:
    """Slices of the logits, each with room of its size: the gradient's, or scratch."""
    step = _SLICE if logits.device.type == "cpu" else max(1, len(logits))
    if grad is not None:
        yield from zip(logits.split(step), grad.split(step), strict=True)
        return
    scratch = torch.empty_like(logits[:step])
    for part in logits.split(step):
        yield part, scratch[: len(part)]


def _is_safe(part: Tensor) -> bool:
    """Whether plain exponentials do. Only asked on a CPU, where the answer is at hand."""
    if part.device.type != "cpu" or not part.numel():
        return False
    low, high = part.aminmax()
    return float(low) > -_SAFE and float(high) < _SAFE
