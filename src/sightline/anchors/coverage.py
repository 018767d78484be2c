"""How well anchors cover a data set's boxes, and what each way of assigning makes of them, before anyone trains.

Boxes are in input pixels, one array for each picture; they must have an area. Next: picture.py
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sightline.anchors.auto import nearest_levels
from sightline.anchors.generate import AnchorRule, LevelsHw, make_anchors, places_of_levels
from sightline.assign.assignment import Assignment, atss, fixed_iou, task_aligned
from sightline.assign.overlaps import centres_inside, centres_of, find_overlaps
from sightline.types import Truth

ENOUGH_IOU = 0.5  # an object that no anchor overlaps so much counts as not covered
_MOST = 512  # pictures whose objects are assigned; recall is that of all
_TOGETHER = 8  # pictures at a time


@dataclass(frozen=True, kw_only=True)
class LevelCoverage:
    """What one level does under one way of assigning.

    Attributes:
        objects: those whose size is nearest to this level's anchors (their median size, in the logarithm).
        orphans: of these, how many no place of any level learns.
        forced: of these, how many are learned only because every object must get one place.
        per_object: mean number of places, of any level, that learn one of these; None without objects.
        share: of all places that learn something, the part on this level; None where none learns.
    """

    objects: int
    orphans: int
    forced: int
    per_object: float | None
    share: float | None


@dataclass(frozen=True, kw_only=True)
class AssignmentCoverage:
    """What one way of assigning makes of a data set: sums over the levels, and each level."""

    objects: int
    orphans: int
    forced: int
    per_object: float
    levels: tuple[LevelCoverage, ...]


@dataclass(frozen=True, kw_only=True)
class Coverage:
    """What anchors can do for a data set.

    Attributes:
        pictures: those with objects.
        assigned_pictures: how many of them `assignments` and `idle` are about; evenly drawn where not all.
        places: number of anchors.
        recall: part of the objects that some anchor overlaps by more than 0.5: the best possible recall.
        mean_iou: mean over the objects of the IoU with their best anchor.
        assignments: fixed IoU at 0.5 with forcing, ATSS, task-aligned.
        idle: (level, shape) that no object overlaps best or by more than 0.5.
    """

    pictures: int
    assigned_pictures: int
    places: int
    recall: float
    mean_iou: float
    assignments: dict[str, AssignmentCoverage]
    idle: tuple[tuple[int, int], ...]

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "pictures": self.pictures,
            "assigned_pictures": self.assigned_pictures,
            "places": self.places,
            "recall": self.recall,
            "mean_iou": self.mean_iou,
            "idle": [list(pair) for pair in self.idle],
            "assignments": {
                name: {**vars(found), "levels": [vars(level) for level in found.levels]}
                for name, found in self.assignments.items()
            },
        }


def best_ious(
    boxes: Sequence[np.ndarray], *, rule: AnchorRule, levels_hw: LevelsHw, input_hw: tuple[int, int]
) -> np.ndarray:
    """IoU of each object with its best anchor, in order: [objects]."""
    anchors = make_anchors(rule, levels_hw=levels_hw, input_hw=input_hw)
    objects = torch.from_numpy(np.concatenate([np.zeros((0, 4)), *boxes])).float()
    return find_overlaps(anchors, objects, above=1.0).best_iou.numpy()


def measure_coverage(
    boxes: Sequence[np.ndarray], *, rule: AnchorRule, levels_hw: LevelsHw, input_hw: tuple[int, int]
) -> Coverage:
    """Recall, positives and orphans; there must be at least one box.

    Task-aligned assignment depends on what a network predicts. Here every place predicts its own anchor, all
    alike sure: what a network that knows nothing but its anchors would get.
    """
    anchors = make_anchors(rule, levels_hw=levels_hw, input_hw=input_hw)
    counts = places_of_levels(rule, levels_hw=levels_hw)
    per_cell = rule.per_cell(len(levels_hw))
    level_of_place = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))
    shapes = rule.shapes(levels_hw=levels_hw, input_hw=input_hw)
    sizes = np.array([np.median(np.sqrt(np.prod(level, axis=1))) for level in shapes])
    ways = _ways(anchors, counts)
    tallies = {name: _Tally(sizes=sizes, level_of_place=level_of_place) for name in ways}
    learned = torch.zeros(len(anchors), dtype=torch.bool)
    best = best_ious(boxes, rule=rule, levels_hw=levels_hw, input_hw=input_hw)
    filled = [one for one in boxes if len(one)]
    drawn = [filled[i] for i in np.linspace(0, len(filled) - 1, min(len(filled), _MOST)).astype(int)]
    for truth in _batches(drawn):
        for name, way in ways.items():
            assignment, forced = way(truth)
            tallies[name].add(truth, assignment, forced)
            if name == "fixed IoU":
                learned |= assignment.positive.any(dim=0)
    parts = zip(learned.split(list(counts)), per_cell, strict=True)
    by_shape = [used.view(-1, count).any(dim=0).tolist() for used, count in parts]
    return Coverage(
        pictures=len(filled),
        assigned_pictures=len(drawn),
        places=len(anchors),
        recall=float((best > ENOUGH_IOU).mean()),
        mean_iou=float(best.mean()),
        assignments={name: tally.result() for name, tally in tallies.items()},
        idle=tuple(
            (lv, shape) for lv, used in enumerate(by_shape) for shape, is_used in enumerate(used) if not is_used
        ),
    )


_Way = Callable[[Truth], tuple[Assignment, Tensor]]


def _ways(anchors: Tensor, counts: tuple[int, ...]) -> dict[str, _Way]:
    """Each way of assigning, and which objects [B, N] have a place only because they are forced to."""
    centres = centres_of(anchors)

    def fixed(truth: Truth) -> tuple[Assignment, Tensor]:
        by_limit = fixed_iou(anchors, truth, positive=ENOUGH_IOU, negative=ENOUGH_IOU, force_best=False)
        return fixed_iou(anchors, truth, positive=ENOUGH_IOU, negative=ENOUGH_IOU), _places(by_limit, truth) == 0

    def adaptive(truth: Truth) -> tuple[Assignment, Tensor]:
        return atss(anchors, truth, counts=counts), torch.zeros_like(truth.valid)

    def aligned(truth: Truth) -> tuple[Assignment, Tensor]:
        shape = (len(truth), len(anchors))
        classless = Truth.of_boxes(truth.boxes_xyxy, torch.zeros_like(truth.labels), truth.valid)
        sure = anchors.new_ones(1, 1, 1).expand(*shape, 1)
        assignment, _ = task_aligned(sure, anchors.expand(*shape, 4), centres, classless)
        has_centre = [centres_inside(centres, one).any(dim=1) for one in truth.boxes_xyxy]
        return assignment, ~torch.stack(has_centre)

    return {"fixed IoU": fixed, "ATSS": adaptive, "task-aligned": aligned}


class _Tally:
    """Sums over batches."""

    def __init__(self, *, sizes: np.ndarray, level_of_place: Tensor) -> None:
        self.sizes, self.level_of_place = sizes, level_of_place
        self.sums = np.zeros((4, len(sizes)), dtype=np.int64)  # objects, orphans, forced, places of these
        self.on_level = np.zeros(len(sizes), dtype=np.int64)

    def add(self, truth: Truth, assignment: Assignment, forced: Tensor) -> None:
        """Count a batch."""
        valid, count = truth.valid, len(self.sizes)
        places = _places(assignment, truth)[valid].numpy()
        wh = (truth.boxes_xyxy[..., 2:] - truth.boxes_xyxy[..., :2])[valid].double().numpy()
        level = nearest_levels(wh, sizes=self.sizes)
        rows = (np.ones_like(places), places == 0, (places > 0) & forced[valid].numpy(), places)
        self.sums += np.stack([np.bincount(level, weights=row, minlength=count) for row in rows]).astype(np.int64)
        _, place = assignment.positive.nonzero(as_tuple=True)
        self.on_level += np.bincount(self.level_of_place[place].numpy(), minlength=count)

    def result(self) -> AssignmentCoverage:
        """What was counted."""
        learning = max(1, int(self.on_level.sum()))
        levels = tuple(
            LevelCoverage(
                objects=objects,
                orphans=orphans,
                forced=forced,
                per_object=places / objects if objects else None,
                share=on_level / learning if self.on_level.any() else None,
            )
            for (objects, orphans, forced, places), on_level in zip(
                self.sums.T.tolist(), self.on_level.tolist(), strict=True
            )
        )
        objects, orphans, forced, places = self.sums.sum(axis=1).tolist()
        return AssignmentCoverage(
            objects=objects, orphans=orphans, forced=forced, per_object=places / max(1, objects), levels=levels
        )


def _places(assignment: Assignment, truth: Truth) -> Tensor:
    """How many places learn each object: [B, N]."""
    picture, place = assignment.positive.nonzero(as_tuple=True)
    found = torch.zeros(truth.valid.shape, dtype=torch.long)
    return found.index_put_((picture, assignment.object[picture, place]), torch.ones(()).long(), accumulate=True)


def _batches(boxes: Sequence[np.ndarray]) -> Iterator[Truth]:
    """Some pictures at a time, padded."""
    for start in range(0, len(boxes), _TOGETHER):
        some = [torch.from_numpy(np.asarray(one)).float() for one in boxes[start : start + _TOGETHER]]
        padded = torch.nn.utils.rnn.pad_sequence(some, batch_first=True)
        number = torch.tensor([len(one) for one in some])
        valid = torch.arange(padded.shape[1]) < number[:, None]
        yield Truth.of_boxes(padded, torch.zeros_like(valid).long(), valid)
