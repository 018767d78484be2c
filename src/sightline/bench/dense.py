"""The naive way to a heatmap loss: a dense Gaussian target for every point, then a loss of torch's own.

What this program is measured against, and what its losses are tested against. Next: peak_memory.py
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from sightline.codecs.gaussian import factors
from sightline.geometry import cell_centres

LossKind = Literal["mse", "bce", "ce", "l1"]
LOSS_KINDS: tuple[LossKind, ...] = ("mse", "bce", "ce", "l1")


def dense_target(points_xy: Tensor, *, map_hw: tuple[int, int], stride: float, sigma: float) -> Tensor:
    """exp(-(dx^2 + dy^2) / (2 s^2)) over all cells, vectorised: [B, K, 2] -> [B, K, h, w]."""
    height, width = map_hw
    x = torch.as_tensor(cell_centres(width, stride), dtype=points_xy.dtype)
    y = torch.as_tensor(cell_centres(height, stride), dtype=points_xy.dtype)
    dx = x[None, None, None, :] - points_xy[..., 0, None, None]
    dy = y[None, None, :, None] - points_xy[..., 1, None, None]
    return torch.exp(-(dx**2 + dy**2) / (2 * (sigma * stride) ** 2))


def outer_target(points_xy: Tensor, *, map_hw: tuple[int, int], stride: float, sigma: float) -> Tensor:
    """The same target as an outer product: dense, but without an exponential for every cell."""
    height, width = map_hw
    x = factors(points_xy, count=width, stride=stride, sigma=sigma, axis=0)
    y = factors(points_xy, count=height, stride=stride, sigma=sigma, axis=1)
    return y[..., :, None] * x[..., None, :]


def dense_loss(logits: Tensor, target: Tensor, *, kind: LossKind) -> Tensor:
    """Torch's loss of maps against dense targets, mean over points (and over cells but for ce)."""
    if kind == "mse":
        return F.mse_loss(logits, target)
    if kind == "l1":
        return F.l1_loss(logits, target)
    if kind == "bce":
        return F.binary_cross_entropy_with_logits(logits, target)
    share = target.flatten(2)
    share = share / share.sum(dim=2, keepdim=True)
    return F.cross_entropy(logits.flatten(0, 1).flatten(1), share.flatten(0, 1))
