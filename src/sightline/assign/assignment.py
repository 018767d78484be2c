"""Which object each place of a detector learns: three rules, one result.

`fixed_iou` is what SSD and RetinaNet do, `atss` adapts the limit to each object (Zhang et al. 2020),
`task_aligned` asks the network itself which places do best (TOOD, Feng et al. 2021). All work on a whole
batch at once; memory grows with the pairs that overlap, not with B x P x N. No gradient flows through them.
Next: anchors/
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from sightline.assign.overlaps import (
    FlatObjects,
    centres_inside,
    centres_of,
    covered,
    find_overlaps,
    flat_objects,
    squared_distances,
    winners,
)  # fmt: skip
from sightline.geometry import box_areas
from sightline.types import Truth

_CROWD_PART = 0.5  # of a place's own area, from which on it says nothing about the background
_SAME_PX2 = 1e-6  # squared distances that differ by less are equal
_TINY = 1e-30  # stands for a probability or IoU of 0, whose logarithm there is not


@dataclass(frozen=True, kw_only=True, eq=False)
class Assignment:
    """What each place of each picture is to learn.

    Attributes:
        object: index into the picture's padded objects, or -1 where there is background.
        ignored: neither: the place takes no part in any loss. Never together with an object.
    """

    object: Int[Tensor, "B P"]
    ignored: Bool[Tensor, "B P"]

    @property
    def positive(self) -> Bool[Tensor, "B P"]:
        """Places that learn an object."""
        return self.object >= 0

    def take(self, per_object: Tensor) -> Tensor:
        """What belongs to each place's object: [B, N, ...] -> [B, P, ...]; 0 where there is none."""
        picture, place = self.positive.nonzero(as_tuple=True)
        taken = per_object.new_zeros(*self.object.shape, *per_object.shape[2:])
        taken[picture, place] = per_object[picture, self.object[picture, place]]
        return taken


@torch.no_grad()
def fixed_iou(
    anchors_xyxy: Float[Tensor, "P 4"],
    truth: Truth,
    *,
    positive: float = 0.5,
    negative: float = 0.5,
    force_best: bool = True,
) -> Assignment:
    """By the overlap of anchors that never change.

    An anchor learns the object that it overlaps most (of equals the first) if their IoU is above
    `positive`; it is background if that is at most `negative`, or where a crowd covers no more than half
    of the anchor; what lies between is ignored, and so are anchors that a crowd covers.

    Args:
        anchors_xyxy: in input pixels.
        truth: valid boxes are objects, crowds are regions to ignore.
        positive: lowest IoU of an anchor that learns.
        negative: highest IoU of background; not above `positive`.
        force_best: every object also gets the anchor that it overlaps most, however little, or the one with
            the nearest centre where it overlaps none. Where two objects want one anchor, the larger IoU has
            it; the other keeps what it has by the limit, which may be nothing.
    """
    assert 0 <= negative <= positive <= 1, (negative, positive)
    anchors = anchors_xyxy.float()
    objects = flat_objects(truth, truth.valid)
    shape = (len(truth), len(anchors))
    found = find_overlaps(anchors, objects.boxes_xyxy, above=negative)
    cell = objects.picture[found.object] * shape[1] + found.place
    slot = objects.slot[found.object]
    wins = winners(cell, found.iou, slot, count=shape[0] * shape[1])
    learns = wins & (found.iou > positive)
    owner, ignored = _nobody(shape, anchors.device)
    ignored.view(-1)[cell[wins & ~learns]] = True
    owner.view(-1)[cell[learns]] = slot[learns]
    if force_best:
        cell = objects.picture * shape[1] + found.best_place
        wins = winners(cell, found.best_iou, objects.slot, count=shape[0] * shape[1])
        owner.view(-1)[cell[wins]] = objects.slot[wins]
    return _with_crowds(anchors, truth, owner=owner, ignored=ignored)


@torch.no_grad()
def atss(anchors_xyxy: Float[Tensor, "P 4"], truth: Truth, *, counts: Sequence[int], top: int = 9) -> Assignment:
    """By a limit that each object finds for itself (ATSS, Zhang et al. 2020, algorithm 1).

    An object's candidates are the `top` places of every level whose centres are nearest to its own (of equally
    near ones those of larger IoU); it gets those whose IoU reaches the candidates' mean plus their (sample)
    standard deviation and whose centre lies inside of it. Where two objects want one place, the larger IoU
    has it. As in the paper an object with no such place gets none.

    Args:
        anchors_xyxy: in input pixels, level by level; for anchor-free heads squares about the centres.
        truth: valid boxes are objects; places that a crowd covers are ignored.
        counts: places of each level.
        top: candidates of each level; all of them where a level has fewer.
    """
    assert sum(counts) == len(anchors_xyxy) and top >= 1, (tuple(counts), len(anchors_xyxy), top)
    anchors = anchors_xyxy.float()
    objects = flat_objects(truth, truth.valid)
    parts = [_atss_of(anchors, objects[rows], counts=counts, top=top) for rows in objects.slices(len(anchors))]
    shape = (len(truth), len(anchors))
    owner, ignored = _nobody(shape, anchors.device)
    if parts:
        cell, slot, iou = (torch.cat(columns) for columns in zip(*parts, strict=True))
        wins = winners(cell, iou, slot, count=shape[0] * shape[1])
        owner.view(-1)[cell[wins]] = slot[wins]
    return _with_crowds(anchors, truth, owner=owner, ignored=ignored)


@torch.no_grad()
def task_aligned(
    probabilities: Float[Tensor, "B P C"],
    boxes_xyxy: Float[Tensor, "B P 4"],
    centres_xy: Float[Tensor, "P 2"],
    truth: Truth,
    *,
    top: int = 13,
    alpha: float = 1.0,
    beta: float = 6.0,
) -> tuple[Assignment, Float[Tensor, "B P"]]:
    """By what the network does well already (TOOD, Feng et al. 2021, section 3.2).

    A place is aligned with an object by probability^alpha x IoU^beta, of the object's class and of the box
    predicted there (of no overlap at all, by the probability). An object gets the `top` best aligned of the
    places whose centre lies inside of it; where two want one place, the larger IoU has it. Beyond the paper: an
    object left with nothing (smaller than a cell, or outbid everywhere) gets the place with the nearest centre
    that is not another's only one, so that every object is learned somewhere. Places whose centre lies in a
    crowd and that got no object are ignored.

    Args:
        probabilities: of each class, 0..1.
        boxes_xyxy: predicted, in input pixels.
        centres_xy: of the places, in input pixels.
        truth: valid boxes are objects.
        top: places an object.
        alpha: power of the probability.
        beta: power of the IoU.

    Returns:
        The assignment, and the quality that the class's probability is to reach at each place: the alignment,
        scaled so that an object's best place has the largest IoU of its places; 0 where there is no object.
    """
    shape = (len(truth), len(centres_xy))
    centres = centres_xy.float()
    objects = flat_objects(truth, truth.valid)
    owner, ignored = _nobody(shape, centres.device)
    quality = torch.zeros(shape, device=centres.device)

    def measured(row: Tensor, place: Tensor) -> tuple[Tensor, Tensor]:
        """IoU and alignment of pairs; alignments as logarithms: an IoU's sixth power is soon too small."""
        picture = objects.picture[row]
        iou = _paired_iou(objects.boxes_xyxy[row], boxes_xyxy[picture, place].float())
        score = probabilities[picture, place, objects.labels[row]].float()
        return iou, alpha * score.clip(min=_TINY).log() + beta * iou.clip(min=_TINY).log()

    holder = torch.full((shape[0] * shape[1],), -1, device=centres.device)  # row in `objects`, of each place
    parts = []
    for rows in objects.slices(shape[1]):
        row, place = centres_inside(centres, objects[rows].boxes_xyxy).nonzero(as_tuple=True)
        row += rows.start
        iou, alignment = measured(row, place)
        kept = _top_of_each(row, alignment, top=top)
        parts.append((row[kept], place[kept], iou[kept]))
    if parts:
        row, place, iou = (torch.cat(columns) for columns in zip(*parts, strict=True))
        cell = objects.picture[row] * shape[1] + place
        wins = winners(cell, iou, objects.slot[row], count=len(holder))
        holder[cell[wins]] = row[wins]
        _rescue(holder, objects, centres)
        cell = (holder >= 0).nonzero()[:, 0]
        row = holder[cell]
        owner.view(-1)[cell] = objects.slot[row]
        quality.view(-1)[cell] = _quality(row, *measured(row, cell % shape[1]), count=len(objects))
    crowds = flat_objects(truth, truth.crowd)
    for rows in crowds.slices(shape[1]):
        row, place = centres_inside(centres, crowds[rows].boxes_xyxy).nonzero(as_tuple=True)
        ignored[crowds[rows].picture[row], place] = True
    return Assignment(object=owner, ignored=ignored & (owner < 0)), quality


def _nobody(shape: tuple[int, int], device: torch.device) -> tuple[Tensor, Tensor]:
    """Every place background: (object, ignored)."""
    return torch.full(shape, -1, device=device), torch.zeros(shape, dtype=torch.bool, device=device)


def _with_crowds(anchors: Tensor, truth: Truth, *, owner: Tensor, ignored: Tensor) -> Assignment:
    """The result, with the places that a crowd covers ignored unless they learn an object."""
    crowds = flat_objects(truth, truth.crowd)
    if len(crowds):
        ignored = ignored | covered(anchors, crowds, shape=(len(owner), len(anchors)), above=_CROWD_PART)
    return Assignment(object=owner, ignored=ignored & (owner < 0))


def _atss_of(
    anchors: Tensor, objects: FlatObjects, *, counts: Sequence[int], top: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Some objects' positive places: (cell in B x P, slot, IoU), one entry for each."""
    centres = centres_of(anchors)
    chosen, start = [], 0
    for count in counts:
        nearest = min(top, count)
        distance = squared_distances(centres[start : start + count], objects.boxes_xyxy)
        furthest = distance.topk(nearest, dim=1, largest=False).values.amax(dim=1, keepdim=True)
        row, place = (distance <= furthest + _SAME_PX2).nonzero(as_tuple=True)
        nearness = -distance[row, place]
        place += start
        nearness += _SAME_PX2 * _paired_iou(objects.boxes_xyxy[row], anchors[place])
        chosen.append(place[_top_of_each(row, nearness, top=nearest)].view(-1, nearest))
        start += count
    place = torch.cat(chosen, dim=1)  # [O, candidates]
    iou = _paired_iou(objects.boxes_xyxy[:, None], anchors[place])
    limit = iou.mean(dim=1, keepdim=True)
    if iou.shape[1] > 1:
        limit = limit + iou.std(dim=1, keepdim=True)
    x, y = centres[place].unbind(dim=-1)
    x0, y0, x1, y1 = objects.boxes_xyxy[:, :, None].unbind(dim=1)
    inside = (x > x0) & (x < x1) & (y > y0) & (y < y1)
    row, column = (inside & (iou >= limit)).nonzero(as_tuple=True)
    return objects.picture[row] * len(anchors) + place[row, column], objects.slot[row], iou[row, column]


def _rescue(holder: Tensor, objects: FlatObjects, centres: Tensor) -> None:
    """Give every object that holds no place the nearest one that is not another's only one, in place.

    In rounds: of those that want one place the nearest has it. Who is robbed of two places at once may have to
    be rescued in turn, but there are fewer left after every round.
    """
    while True:
        held = torch.bincount(holder[holder >= 0], minlength=len(objects))
        lost = (held == 0).nonzero()[: objects.step(len(centres)), 0]
        distance = squared_distances(centres, objects.boxes_xyxy[lost])
        holders = holder.view(-1, len(centres))[objects.picture[lost]]
        distance.masked_fill_((holders >= 0) & (held[holders.clip(min=0)] == 1), torch.inf)
        nearest, place = distance.min(dim=1)
        cell = objects.picture[lost] * len(centres) + place
        wins = winners(cell, 1 / (1 + nearest), objects.slot[lost], count=len(holder)) & nearest.isfinite()
        if not wins.any():  # none is lost, or a picture has more objects than places
            return
        holder[cell[wins]] = lost[wins]


def _top_of_each(row: Tensor, strength: Tensor, *, top: int) -> Tensor:
    """Which entries are among the `top` strongest of their row (of equals the first), row by row."""
    order = strength.argsort(descending=True, stable=True)
    order = order[row[order].argsort(stable=True)]  # by row, strongest first
    sizes = torch.bincount(row)
    first = sizes.cumsum(0) - sizes
    nth = torch.arange(len(row), device=row.device) - first[row[order]]
    return order[nth < top]


def _quality(row: Tensor, iou: Tensor, alignment: Tensor, *, count: int) -> Tensor:
    """Alignments (their logarithms) scaled so that the largest of each row equals its largest IoU."""
    best_iou = iou.new_zeros(count).scatter_reduce(0, row, iou, reduce="amax")
    best = iou.new_full((count,), -torch.inf).scatter_reduce(0, row, alignment, reduce="amax")
    return (alignment - best[row]).exp() * best_iou[row]


def _paired_iou(first: Tensor, second: Tensor) -> Tensor:
    """IoU of boxes one by one: [..., 4] and [..., 4] -> [...]."""
    sides = (first[..., 2:].minimum(second[..., 2:]) - first[..., :2].maximum(second[..., :2])).clip(min=0)
    shared = sides[..., 0] * sides[..., 1]
    return shared / (box_areas(first) + box_areas(second) - shared).clip(min=1e-12)
