"""Losses of detectors with anchors, each in closed form over whole batches.

In all of them a label is 0 for background and class + 1 for an object, and what is ignored counts nowhere.
Where there are no objects every loss is finite and so is its gradient. Next: anchors.py
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F

from sightline.codecs.place_sums import log_sums, sigmoid_focal_sum, softmax_focal_sum


def classes_first(logits: Float[Tensor, "B P C"]) -> Float[Tensor, "B C P"]:
    """The same numbers with the places last: a softmax over few classes is 15 times as fast that way on a CPU."""
    return logits.transpose(1, 2).contiguous()


def multibox(
    logits: Float[Tensor, "B P C"], labels: Int[Tensor, "B P"], ignored: Bool[Tensor, "B P"], *, negatives: float
) -> Tensor:
    """SSD's class loss (Liu et al. 2016): cross-entropy of the positives and of each picture's hardest negatives.

    Args:
        logits: the background's first.
        labels: 0 is background.
        ignored: places that count nowhere.
        negatives: so many for each positive of the same picture; the hardest are those of the least
            probable background.

    Returns:
        The sum over those places, divided by the number of positives of the whole batch.
    """
    logits = logits.float()
    positive = labels > 0
    with torch.no_grad():  # which ones: decided without a gradient, then taken out
        as_background = log_sums(logits.flatten(0, 1)).view_as(labels) - logits[..., 0]  # [B, P]
        as_background.masked_fill_(positive | ignored, -torch.inf)
        wanted = positive.sum(dim=1) * negatives
        # topk instead of the usual two sorts: only the hardest few are of interest.
        hardest = as_background.topk(min(labels.shape[1], int(wanted.amax())), dim=1)
        rank = torch.arange(hardest.values.shape[1], device=labels.device)
        kept = (rank < wanted[:, None]) & hardest.values.isfinite()
        picture, place = positive.nonzero(as_tuple=True)
        number = max(1, len(picture))
        picture, place = torch.cat([picture, kept.nonzero()[:, 0]]), torch.cat([place, hardest.indices[kept]])
    return F.cross_entropy(logits[picture, place], labels[picture, place], reduction="sum") / number


def softmax_focal(
    logits: Float[Tensor, "B P C"],
    labels: Int[Tensor, "B P"],
    ignored: Bool[Tensor, "B P"],
    *,
    alpha: Float[Tensor, "C"],
    gamma: float,
) -> Tensor:
    """The driving write-up's focal loss (its equation 1): alpha_k (1 - p_k)^gamma (-log p_k) of the true class k.

    The mean over all places of all pictures, not a sum divided by the positives: as published.
    """
    labels, ignored = labels.flatten(), ignored.flatten()
    rows = ((labels > 0) | ignored).nonzero()[:, 0]
    over = int((~ignored).sum().clamp_min(1))
    true, counts = labels[rows], ~ignored[rows]

    def instead(chosen: Tensor) -> Tensor:
        log_p = chosen.log_softmax(dim=1).gather(1, true[:, None])[:, 0]
        return -(alpha[true] * (1 - log_p.exp()).clamp_min(1e-12).pow(gamma) * log_p * counts).sum() / over

    flat = logits.float().flatten(0, 1)
    return softmax_focal_sum(flat, rows, instead=instead, alpha=float(alpha[0]) / over, gamma=gamma)


def sigmoid_focal(
    logits: Float[Tensor, "B P C"],
    labels: Int[Tensor, "B P"],
    ignored: Bool[Tensor, "B P"],
    *,
    alpha: float,
    gamma: float,
) -> Tensor:
    """RetinaNet's focal loss (Lin et al. 2017): every class on its own, no background logit.

    The sum over all places, divided by the number of positives of the whole batch.
    """
    labels, ignored = labels.flatten(), ignored.flatten()
    rows = ((labels > 0) | ignored).nonzero()[:, 0]
    true = F.one_hot(labels[rows], logits.shape[2] + 1)[:, 1:].bool()
    counts, over = ~ignored[rows, None], max(1, int((labels > 0).sum()))

    def instead(chosen: Tensor) -> Tensor:
        towards = torch.where(true, chosen, -chosen)
        weights = torch.where(true, alpha, 1 - alpha) * counts
        return (weights * (-towards).sigmoid().pow(gamma) * F.softplus(-towards)).sum() / over

    flat = logits.float().flatten(0, 1)
    return sigmoid_focal_sum(flat, rows, instead=instead, alpha=(1 - alpha) / over, gamma=gamma)
