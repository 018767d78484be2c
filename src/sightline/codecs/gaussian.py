"""Gaussian targets as row and column factors, and losses that never build the dense map.

A Gaussian map is the outer product of one factor along y and one along x. So
    sum (P - T)^2 = sum P^2 - 2 gy' P gx + |gy|^2 |gx|^2
    sum BCE(P, T) = sum softplus(P) - gy' P gx
    CE(P, T / sum T) = logsumexp P - gy' P gx / (sum gy sum gx)
and neither T nor P - T is ever stored. Each loss is one autograd function: the forward walks
over P in slices that fit the cache, the backward writes the gradient into a single tensor.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from sightline.geometry import cell_centres

# Elements of P handled at a time. On a CPU 128 Ki floats and as much scratch stay in the cache of one core;
# elsewhere a launch costs more than a trip to memory.
SLICE = {"cpu": 1 << 17}
SLICE_ELSEWHERE = 1 << 24
# Factors in 0.5..1 whose product is taken before its logarithm: 2^-32 is far from underflow in float32.
GROUP = 32


def factors(
    points_xy: Float[Tensor, "B K 2"], *, count: int, stride: float, sigma: float, axis: int
) -> Float[Tensor, "B K L"]:
    """exp(-(c - x)^2 / (2 s^2)) at the centres of `count` cells along one axis.

    Args:
        points_xy: in input pixels; nothing is rounded.
        count: number of cells.
        stride: input pixels per cell along this axis.
        sigma: in cells.
        axis: 0 for x, 1 for y.
    """
    centres = torch.as_tensor(cell_centres(count, stride), dtype=points_xy.dtype, device=points_xy.device)
    distance = (centres - points_xy[..., axis, None]) / (sigma * stride)
    return torch.exp(-0.5 * distance.square())


def nearest_cell(points_xy: Float[Tensor, "B K 2"], *, count: int, stride: float, axis: int) -> Float[Tensor, "B K L"]:
    """One-hot factor of the cell that holds the point: the "single pixel" target."""
    cell = (points_xy[..., axis] / stride).floor().long().clamp(0, count - 1)
    return F.one_hot(cell, count).to(points_xy.dtype)


def mse(logits: Tensor, gy: Tensor, gx: Tensor) -> Tensor:
    """Sum over cells of (P - gy gx)^2 for each point: [B, K]."""
    return _SquaredError.apply(logits, gy, gx)


def bce(logits: Tensor, gy: Tensor, gx: Tensor) -> Tensor:
    """Sum over cells of the log loss of sigmoid(P) against gy gx for each point: [B, K]."""
    return _LogLoss.apply(logits, gy, gx)


def cross_entropy(logits: Tensor, gy: Tensor, gx: Tensor) -> Tensor:
    """Cross-entropy of softmax(P) over all cells against gy gx scaled to sum 1, for each point: [B, K]."""
    gy = gy / gy.sum(dim=-1, keepdim=True).clamp_min(1e-12)
    gx = gx / gx.sum(dim=-1, keepdim=True).clamp_min(1e-12)
    return _CrossEntropy.apply(logits, gy, gx)


def l1(logits: Tensor, gy: Tensor, gx: Tensor) -> Tensor:
    """Sum over cells of |P - gy gx| for each point: [B, K]. No closed form: the target lives slice by slice."""
    return _AbsoluteError.apply(logits, gy, gx)


def _slices(p: Tensor) -> list[slice]:
    """Slices of the rows of [n, h, w], of about SLICE elements each."""
    step = max(1, SLICE.get(p.device.type, SLICE_ELSEWHERE) // max(1, p[0].numel()))
    return [slice(start, min(len(p), start + step)) for start in range(0, len(p), step)]


def _scratch(p: Tensor, parts: list[slice], dtype: torch.dtype) -> Tensor:
    """Room for the largest slice, allocated once: a fresh megabyte for every slice costs page faults."""
    return torch.empty((parts[0].stop, *p.shape[1:]), dtype=dtype, device=p.device)


def _inner(p: Tensor, gy: Tensor, gx: Tensor) -> Tensor:
    """Gy' P gx for each row: [n, h, w], [n, h], [n, w] -> [n]."""
    return torch.bmm(torch.bmm(gy[:, None, :], p), gx[:, :, None]).flatten()


class _Separable(torch.autograd.Function):
    """Flattens B and K, walks in slices, and scales the gradient of every row by what comes from above.

    The arithmetic is that of the factors (float32), also where mixed precision gives shorter logits.
    """

    @staticmethod
    def row_losses(p: Tensor, gy: Tensor, gx: Tensor, scratch: Tensor) -> Tensor:
        """The loss of each row: [n, h, w] -> [n]; `scratch` [n, h, w] may be overwritten."""
        raise NotImplementedError

    @staticmethod
    def write_gradient(p: Tensor, gy: Tensor, gx: Tensor, scale: Tensor, out: Tensor) -> None:
        """The gradient of each row times its scale [n], written into out [n, h, w]."""
        raise NotImplementedError

    @classmethod
    def forward(cls, ctx, logits: Tensor, gy: Tensor, gx: Tensor) -> Tensor:  # type: ignore[override]  # noqa: ANN001
        """Losses [B, K]."""
        ctx.save_for_backward(logits, gy, gx)
        p, y, x = logits.flatten(0, 1), gy.flatten(0, 1), gx.flatten(0, 1)  # [B, K, h, w] -> [B*K, h, w]
        parts = _slices(p)
        scratch = _scratch(p, parts, y.dtype)
        losses = torch.empty(len(p), dtype=y.dtype, device=p.device)
        with torch.autocast(p.device.type, enabled=False):
            for part in parts:
                rows = p[part].to(y.dtype)
                losses[part] = cls.row_losses(rows, y[part], x[part], scratch[: len(rows)])
        return losses.unflatten(0, logits.shape[:2])

    @classmethod
    def backward(cls, ctx, above: Tensor) -> tuple[Tensor, None, None]:  # type: ignore[override]  # noqa: ANN001
        """Gradient for the logits only: targets are constants."""
        logits, gy, gx = ctx.saved_tensors
        p, y, x, scale = logits.flatten(0, 1), gy.flatten(0, 1), gx.flatten(0, 1), above.flatten()
        parts = _slices(p)
        out = torch.empty(p.shape, dtype=p.dtype, device=p.device)
        scratch = None if p.dtype == y.dtype else _scratch(p, parts, y.dtype)
        with torch.autocast(p.device.type, enabled=False):
            for part in parts:
                rows = out[part] if scratch is None else scratch[: part.stop - part.start]
                cls.write_gradient(p[part].to(y.dtype), y[part], x[part], scale[part], rows)
                if scratch is not None:
                    out[part] = rows
        return out.unflatten(0, logits.shape[:2]), None, None


class _SquaredError(_Separable):
    @staticmethod
    def row_losses(p: Tensor, gy: Tensor, gx: Tensor, scratch: Tensor) -> Tensor:
        squared = torch.linalg.vector_norm(p, dim=(1, 2)).square()
        constant = torch.linalg.vector_norm(gy, dim=1).square() * torch.linalg.vector_norm(gx, dim=1).square()
        return squared - 2 * _inner(p, gy, gx) + constant

    @staticmethod
    def write_gradient(p: Tensor, gy: Tensor, gx: Tensor, scale: Tensor, out: Tensor) -> None:
        scaled = 2 * scale[:, None, None]
        torch.mul(p, scaled, out=out)
        out.baddbmm_(gy[:, :, None] * -scaled, gx[:, None, :])


class _LogLoss(_Separable):
    """softplus(P) = max(P, 0) - log sigmoid(|P|); logarithms of products of GROUP sigmoids are three times as fast.

    What 1 - sigmoid loses below 6e-8 is lost from the reported loss of a cell, never from its gradient.
    """

    @staticmethod
    def row_losses(p: Tensor, gy: Tensor, gx: Tensor, scratch: Tensor) -> Tensor:
        cells = p[0].numel()
        grouped = cells - cells % GROUP
        share = torch.sigmoid(torch.abs(p, out=scratch), out=scratch).flatten(1)
        products = share[:, :grouped].unflatten(1, (GROUP, grouped // GROUP)).prod(dim=1)
        logs = products.log_().sum(dim=1) + share[:, grouped:].log().sum(dim=1)
        positive = torch.clamp_min(p, 0, out=scratch).sum(dim=(1, 2))
        return positive - logs - _inner(p, gy, gx)

    @staticmethod
    def write_gradient(p: Tensor, gy: Tensor, gx: Tensor, scale: Tensor, out: Tensor) -> None:
        torch.sigmoid(p, out=out)
        out.mul_(scale[:, None, None])
        out.baddbmm_(gy[:, :, None] * -scale[:, None, None], gx[:, None, :])


class _CrossEntropy(_Separable):
    @staticmethod
    def row_losses(p: Tensor, gy: Tensor, gx: Tensor, scratch: Tensor) -> Tensor:
        # The share of the highest cell is 1 / sum exp(P - max P): the fused softmax gives the log-sum for less.
        highest_share = torch.softmax(p.flatten(1), dim=1, out=scratch.flatten(1)).amax(dim=1)
        return p.amax(dim=(1, 2)) - highest_share.log() - _inner(p, gy, gx)

    @staticmethod
    def write_gradient(p: Tensor, gy: Tensor, gx: Tensor, scale: Tensor, out: Tensor) -> None:
        torch.softmax(p.flatten(1), dim=1, out=out.flatten(1))
        out.mul_(scale[:, None, None])
        out.baddbmm_(gy[:, :, None] * -scale[:, None, None], gx[:, None, :])


class _AbsoluteError(_Separable):
    @staticmethod
    def row_losses(p: Tensor, gy: Tensor, gx: Tensor, scratch: Tensor) -> Tensor:
        torch.mul(gy[:, :, None], gx[:, None, :], out=scratch)
        return scratch.sub_(p).abs_().sum(dim=(1, 2))

    @staticmethod
    def write_gradient(p: Tensor, gy: Tensor, gx: Tensor, scale: Tensor, out: Tensor) -> None:
        torch.mul(gy[:, :, None], -gx[:, None, :], out=out)
        out.add_(p).sign_().mul_(scale[:, None, None])
