"""Class-wise non-maximum suppression: of boxes of one class that overlap too much, the best scored stays.

`suppress` works through a batch; `suppress_one` does one picture and is what an exported graph
holds: one path of filter, sort, slice and `torchvision.ops.nms`, no branch on values, so that
`torch.export` and `torch.onnx.export` take it with however many boxes come out. Next: anchor_free.py
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from sightline.types import Boxes


def suppress(
    boxes_xyxy: Tensor,
    scores: Tensor,
    *,
    score_threshold: float,
    iou: float,
    most: int,
    candidates: int = 1000,
    one_class_per_place: bool = False,
) -> Boxes:
    """The boxes that stay in each picture, best first, padded to the longest list.

    Args:
        boxes_xyxy: [B, P, 4], the same box for every class of a place.
        scores: [B, P, C] in 0..1, without a background.
        score_threshold: boxes scored below it are left out.
        iou: of two boxes of one class that overlap by more than this, the lower scored one is left out.
        most: boxes to keep in a picture.
        candidates: so many of a picture's best boxes, over all classes, are looked at.
        one_class_per_place: a place gives only its best class, instead of every class above the threshold.

    Returns:
        Boxes. Of equal scores the earlier place, and of one place the earlier class, comes first.
    """
    lists = [
        suppress_one(
            places,
            of_place,
            score_threshold=score_threshold,
            iou=iou,
            most=most,
            candidates=candidates,
            one_class_per_place=one_class_per_place,
        )
        for places, of_place in zip(boxes_xyxy, scores, strict=True)
    ]
    if len(lists) == 1:  # nothing to pad: also the way of an exported graph, which cannot branch on lengths
        xyxy, score, label = (part[None] for part in lists[0])
        return Boxes(xyxy=xyxy, score=score, label=label, valid=torch.ones_like(label, dtype=torch.bool))
    count = max((len(score) for _, score, _ in lists), default=0)
    batch = len(lists)
    padded = Boxes(
        xyxy=boxes_xyxy.new_zeros(batch, count, 4),
        score=scores.new_zeros(batch, count),
        label=torch.zeros(batch, count, dtype=torch.long, device=scores.device),
        valid=torch.zeros(batch, count, dtype=torch.bool, device=scores.device),
    )
    for row, (xyxy, score, label) in enumerate(lists):
        padded.xyxy[row, : len(score)] = xyxy
        padded.score[row, : len(score)] = score
        padded.label[row, : len(score)] = label
        padded.valid[row, : len(score)] = True
    return padded


def suppress_one(
    boxes_xyxy: Tensor,
    scores: Tensor,
    *,
    score_threshold: float,
    iou: float,
    most: int,
    candidates: int = 1000,
    one_class_per_place: bool = False,
) -> tuple[Tensor, Tensor, Tensor]:
    """As `suppress`, for one picture: boxes [P, 4] and scores [P, C] to xyxy [n, 4], score [n], label [n]."""
    from torchvision.ops import nms  # seconds to import: only where boxes are really decoded

    if one_class_per_place:
        best, labels = scores.max(dim=1)
        places = (best >= score_threshold).nonzero().squeeze(1)  # [P] -> [n]
        labels, found = labels[places], best[places]
    else:
        places, labels = (scores >= score_threshold).nonzero().unbind(dim=1)
        found = scores[places, labels]
    # a stable sort and a slice, not topk: its k would have to be at most a number known only at run time
    found, order = found.sort(descending=True, stable=True)
    found, order = found[:candidates], order[:candidates]
    xyxy, labels = boxes_xyxy[places[order]], labels[order]
    kept = nms(_apart(xyxy, labels, num_classes=scores.shape[1]), found, iou)[:most]
    return xyxy[kept], found[kept], labels[kept]


def _apart(xyxy: Tensor, labels: Tensor, *, num_classes: int) -> Tensor:
    """Shift the classes so far apart that boxes of different ones never meet.

    On a square grid, not in one row: the coordinates stay small, so that single precision does not round them (80
    classes of 320 px pictures end at 2,900 px, where it still has 0.0002 px), and by whole pixels for the same reason.
    """
    columns = math.ceil(math.sqrt(num_classes))
    low, high = F.pad(xyxy, (0, 0, 0, 1)).aminmax()  # one more box of zeros, for where there is none
    span = (high - low).ceil() + 1
    across, down = labels % columns * span, labels // columns * span
    return xyxy + torch.stack([across, down, across, down], dim=1)
