"""A box as four offsets from an anchor, and back (Girshick et al. 2014; SSD's variances).

Offsets are (x, y) of the centre in anchor sides, divided by the first variance, and the logarithms of width and
height in anchor sides, divided by the second. Next: heads/
"""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor

LARGEST = math.log(1000 / 16)  # a box is at most so many times as large as its anchor: exp stays finite


def to_offsets(
    boxes_xyxy: Float[Tensor, "*n 4"], anchors_xyxy: Float[Tensor, "*n 4"], *, variances: tuple[float, float]
) -> Float[Tensor, "*n 4"]:
    """The offsets of boxes from their anchors; sides must be above 0."""
    centre, side = _centres_and_sides(boxes_xyxy)
    anchor_centre, anchor_side = _centres_and_sides(anchors_xyxy)
    moved = (centre - anchor_centre) / anchor_side / variances[0]
    return torch.cat([moved, (side / anchor_side).log() / variances[1]], dim=-1)


def from_offsets(
    offsets: Float[Tensor, "*n 4"], anchors_xyxy: Float[Tensor, "*n 4"], *, variances: tuple[float, float]
) -> Float[Tensor, "*n 4"]:
    """The boxes at given offsets from their anchors, float32."""
    anchor_centre, anchor_side = _centres_and_sides(anchors_xyxy)
    offsets = offsets.float()
    centre = anchor_centre + offsets[..., :2] * variances[0] * anchor_side
    half = (offsets[..., 2:] * variances[1]).clamp_max(LARGEST).exp() * anchor_side / 2
    return torch.cat([centre - half, centre + half], dim=-1)


def _centres_and_sides(boxes_xyxy: Tensor) -> tuple[Tensor, Tensor]:
    low, high = boxes_xyxy[..., :2], boxes_xyxy[..., 2:]
    return (low + high) / 2, high - low
