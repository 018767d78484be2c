"""Overlaps of objects with many places, without ever holding [B, P, N].

Objects are few and small, places are many and lie level by level, row by row: 64 places in a row are
neighbours. So an object is held against the hulls of such blocks first, and only against the places
of the blocks that it touches. Exact for places in any order; fast when neighbours stand together.
Next: assignment.py
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from sightline.geometry import box_areas
from sightline.types import Truth

_BLOCK = 64  # places a block
_SLICE = 4096  # pairs of object and block at a time: temporaries of 1 MiB
_DENSE = 1 << 21  # pairs of object and place at a time where all of them are looked at


@dataclass(frozen=True, kw_only=True, eq=False)
class FlatObjects:
    """The objects of all pictures one behind the other, without the padding.

    Attributes:
        picture: which picture, 0..B-1.
        slot: which of its objects, 0..N-1.
        boxes_xyxy: float32.
        labels: classes.
    """

    picture: Int[Tensor, "O"]
    slot: Int[Tensor, "O"]
    boxes_xyxy: Float[Tensor, "O 4"]
    labels: Int[Tensor, "O"]

    def __len__(self) -> int:
        """Number of objects, O."""
        return len(self.picture)

    def __getitem__(self, rows: slice) -> FlatObjects:
        """Some of them."""
        return FlatObjects(
            picture=self.picture[rows], slot=self.slot[rows], boxes_xyxy=self.boxes_xyxy[rows], labels=self.labels[rows]
        )

    def step(self, num_places: int) -> int:
        """How many objects one number for each object and place is no burden for."""
        return max(1, _DENSE // max(1, num_places))

    def slices(self, num_places: int) -> Iterator[slice]:
        """Parts of so many."""
        step = self.step(num_places)
        return (slice(start, start + step) for start in range(0, len(self), step))


@dataclass(frozen=True, kw_only=True, eq=False)
class Overlaps:
    """What fixed-IoU matching needs to know of the objects' overlaps.

    `object`, `place` and `iou` are one entry for each pair above the limit that was asked for.
    """

    object: Int[Tensor, "E"]
    place: Int[Tensor, "E"]
    iou: Float[Tensor, "E"]
    best_place: Int[Tensor, "O"]
    best_iou: Float[Tensor, "O"]


def flat_objects(truth: Truth, which: Bool[Tensor, "B N"]) -> FlatObjects:
    """The objects that `which` marks, in the order of pictures and slots."""
    picture, slot = which.nonzero(as_tuple=True)
    return FlatObjects(
        picture=picture,
        slot=slot,
        boxes_xyxy=truth.boxes_xyxy[picture, slot].float(),
        labels=truth.labels[picture, slot],
    )


def find_overlaps(anchors_xyxy: Float[Tensor, "P 4"], boxes_xyxy: Float[Tensor, "O 4"], *, above: float) -> Overlaps:
    """Every pair with an IoU greater than `above` (which is at least 0), and every object's best place.

    Of equally good places an object's best is the first. An object that no place overlaps has the
    place whose centre is nearest, with an IoU of 0.
    """
    assert above >= 0, above
    blocks = _Blocks(anchors_xyxy)
    areas = box_areas(boxes_xyxy)
    best_iou = boxes_xyxy.new_zeros(len(boxes_xyxy))
    best_place = torch.zeros(len(boxes_xyxy), dtype=torch.long, device=boxes_xyxy.device)
    objects, places, ious = [], [], []
    for pair_object, pair_block in blocks.touched_by(boxes_xyxy):
        shared = blocks.shared(pair_block, boxes_xyxy[pair_object])
        union = blocks.areas[pair_block] + areas[pair_object, None] - shared
        iou = shared / union.clip(min=1e-12)  # [pairs, 64]
        _note_best(iou, pair_object, pair_block, best_iou=best_iou, best_place=best_place)
        row, column = (iou > above).nonzero(as_tuple=True)
        objects.append(pair_object[row])
        places.append(pair_block[row] * _BLOCK + column)
        ious.append(iou[row, column])
    lost = best_iou == 0
    best_place[lost] = nearest_places(centres_of(anchors_xyxy), boxes_xyxy[lost])
    none = torch.zeros(0, dtype=torch.long, device=boxes_xyxy.device)
    return Overlaps(
        object=torch.cat([none, *objects]),
        place=torch.cat([none, *places]),
        iou=torch.cat([boxes_xyxy.new_zeros(0), *ious]),
        best_place=best_place,
        best_iou=best_iou,
    )


def covered(
    anchors_xyxy: Float[Tensor, "P 4"], regions: FlatObjects, *, shape: tuple[int, int], above: float
) -> Bool[Tensor, "B P"]:
    """Places of which a region of their picture holds more than the part `above` of their own area."""
    found = torch.zeros(shape, dtype=torch.bool, device=anchors_xyxy.device)
    blocks = _Blocks(anchors_xyxy)
    for pair_object, pair_block in blocks.touched_by(regions.boxes_xyxy):
        shared = blocks.shared(pair_block, regions.boxes_xyxy[pair_object])
        row, column = (shared > above * blocks.areas[pair_block]).nonzero(as_tuple=True)
        found[regions.picture[pair_object[row]], pair_block[row] * _BLOCK + column] = True
    return found


def winners(
    cell: Int[Tensor, "E"], strength: Float[Tensor, "E"], rank: Int[Tensor, "E"], *, count: int
) -> Bool[Tensor, "E"]:
    """Which entry keeps each cell: the strongest; of equals the one of lowest rank.

    Args:
        cell: what the entries compete for, 0..count-1.
        strength: not below 0.
        rank: different for the entries of one cell.
        count: number of cells.
    """
    if count > len(cell):  # few entries in many cells: number only those that occur
        found, cell = cell.unique(return_inverse=True)
        count = len(found)
    best = strength.new_full((count,), -1.0).scatter_reduce(0, cell, strength, reduce="amax")
    strongest = strength == best[cell]
    never = torch.iinfo(rank.dtype).max
    lowest = rank.new_full((count,), never).scatter_reduce(0, cell, rank.where(strongest, never), reduce="amin")
    return strongest & (rank == lowest[cell])


class _Blocks:
    """Places in blocks of 64, each with the hull of its boxes. The last block is filled up with empty boxes."""

    def __init__(self, anchors_xyxy: Float[Tensor, "P 4"]) -> None:
        missing = -len(anchors_xyxy) % _BLOCK
        filler = anchors_xyxy.new_tensor([torch.inf, torch.inf, -torch.inf, -torch.inf]).expand(missing, 4)
        grouped = torch.cat([anchors_xyxy, filler]).view(-1, _BLOCK, 4)
        self.planes = tuple(plane.contiguous() for plane in grouped.unbind(dim=-1))  # each [blocks, 64]
        self.hulls = torch.cat([grouped[..., :2].amin(dim=1), grouped[..., 2:].amax(dim=1)], dim=1)
        self.areas = box_areas(grouped)

    def touched_by(self, boxes_xyxy: Float[Tensor, "O 4"]) -> Iterator[tuple[Tensor, Tensor]]:
        """Pairs of object and block that share an area, by objects, a slice at a time."""
        x0, y0, x1, y1 = boxes_xyxy[:, :, None].unbind(dim=1)
        left, top, right, bottom = self.hulls.unbind(dim=1)
        touch = (x0 < right) & (x1 > left) & (y0 < bottom) & (y1 > top)  # [O, blocks]
        pair_object, pair_block = touch.nonzero(as_tuple=True)
        yield from zip(pair_object.split(_SLICE), pair_block.split(_SLICE), strict=True)

    def shared(self, block: Int[Tensor, "M"], boxes_xyxy: Float[Tensor, "M 4"]) -> Float[Tensor, "M 64"]:
        """Areas that boxes share with the places of one block each."""
        # One plane a coordinate: four times as fast as boxes of four numbers each.
        x0, y0, x1, y1 = boxes_xyxy[:, :, None].unbind(dim=1)
        left, top, right, bottom = (plane[block] for plane in self.planes)
        width = right.minimum(x1).sub_(left.maximum(x0)).clip_(min=0)
        return bottom.minimum(y1).sub_(top.maximum(y0)).clip_(min=0).mul_(width)


def _note_best(
    iou: Float[Tensor, "M 64"], pair_object: Tensor, pair_block: Tensor, *, best_iou: Tensor, best_place: Tensor
) -> None:
    """Bring every object's best place up to date, in place."""
    strength, column = iou.max(dim=1)
    place = pair_block * _BLOCK + column
    first = winners(pair_object, strength, place, count=len(best_iou))
    rows = pair_object[first]
    better = strength[first] > best_iou[rows]
    best_iou[rows[better]] = strength[first][better]
    best_place[rows[better]] = place[first][better]


def nearest_places(centres_xy: Float[Tensor, "P 2"], boxes_xyxy: Float[Tensor, "O 4"]) -> Int[Tensor, "O"]:
    """The place whose centre is nearest to each box's centre; of equals the first."""
    nearest = [
        squared_distances(centres_xy, part).argmin(dim=1)
        for part in boxes_xyxy.split(max(1, _DENSE // max(1, len(centres_xy))))
    ]
    return torch.cat(nearest) if nearest else torch.zeros(0, dtype=torch.long, device=centres_xy.device)


def squared_distances(centres_xy: Float[Tensor, "P 2"], boxes_xyxy: Float[Tensor, "O 4"]) -> Float[Tensor, "O P"]:
    """Of every place's centre from the box's centre, in float64 so that equal ones come out equal."""
    (x, y), (to_x, to_y) = centres_xy.double().unbind(dim=-1), centres_of(boxes_xyxy).double()[:, :, None].unbind(dim=1)
    return (x - to_x).square_() + (y - to_y).square_()


def centres_of(boxes_xyxy: Float[Tensor, "P 4"]) -> Float[Tensor, "P 2"]:
    """The middles of boxes."""
    return (boxes_xyxy[..., :2] + boxes_xyxy[..., 2:]) / 2


def centres_inside(centres_xy: Float[Tensor, "P 2"], boxes_xyxy: Float[Tensor, "O 4"]) -> Bool[Tensor, "O P"]:
    """Which places have their centre in which box, its edges left out."""
    x, y = centres_xy.unbind(dim=-1)
    x0, y0, x1, y1 = boxes_xyxy[:, :, None].unbind(dim=1)
    return (x > x0) & (x < x1) & (y > y0) & (y < y1)
