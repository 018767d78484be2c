"""Checks of boxes: twice, contradicting, tiny, unlike all others of their class, carried over. Next: names.py."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from sightline.doctor.case import Case, listed, robust_scores, suspect
from sightline.geometry import pairwise_iou
from sightline.records import Objects, Problem, Record

ENOUGH = 20
FAR = 6.0
SAME_IOU = 0.85
_CONTRADICTION_IOU = 0.9
_TINY_PX = 2.0
_ASPECT_FLOOR, _SIZE_FLOOR = 0.15, 0.2  # ln
_EDGE_PX = 1.5
_WHOLE = 0.995
_HARDLY_EVER = 0.05
_COUNT_FLOOR = 0.7  # of the square root: of few boxes, one more is nothing


@dataclass(frozen=True, kw_only=True, eq=False)
class _Flat:
    """All boxes of a data set in one table, crowds left out."""

    record: np.ndarray
    boxes: np.ndarray
    labels: np.ndarray
    picture_hw: np.ndarray


def check(case: Case) -> Iterable[Problem]:
    """Problems of boxes, within a picture and against all others of a class."""
    records = [record for record in case.records if record.objects is not None]
    if not records:
        return
    for record in records:
        yield from _pairs(case, record)
    flat = _flatten(records)
    yield from _tiny(case, records, flat)
    yield from _unlike_class(case, records, flat)
    yield from _copied(case, records)
    counts = np.array([len(record.objects or ()) for record in records])
    if len(records) >= ENOUGH:
        for i in np.flatnonzero(robust_scores(np.sqrt(counts), least_sigma=_COUNT_FLOOR) > FAR):
            message = f"{counts[i]} boxes; the median picture has {np.median(counts):.0f}"
            yield suspect("box-count-odd", records[i], message)


def near_copies(objects: Objects) -> list[tuple[int, int]]:
    """Pairs (earlier, later) of boxes of one class in nearly the same place."""
    return [(a, b) for a, b, iou in _overlaps(objects, above=SAME_IOU) if objects.labels[a] == objects.labels[b]]


def _overlaps(objects: Objects, *, above: float) -> list[tuple[int, int, float]]:
    if len(objects) < 2:
        return []
    iou = np.triu(pairwise_iou(objects.boxes_xyxy, objects.boxes_xyxy), k=1)
    iou[objects.crowd] = iou[:, objects.crowd] = 0
    return [(a, b, float(iou[a, b])) for a, b in np.argwhere(iou > above).tolist()]


def _pairs(case: Case, record: Record) -> Iterable[Problem]:
    objects, names = record.objects, case.dataset.classes
    assert objects is not None
    for a, b, iou in _overlaps(objects, above=SAME_IOU):
        first, second = names[objects.labels[a]], names[objects.labels[b]]
        place = _shown(objects.boxes_xyxy[b])
        if first == second:
            yield suspect("box-near-copy", record, f"two boxes of '{first}' at {place}, IoU {iou:.2f}")
        elif iou > _CONTRADICTION_IOU:
            yield suspect("box-contradicts", record, f"'{first}' and '{second}' at {place}, IoU {iou:.2f}")


def _flatten(records: list[Record]) -> _Flat:
    parts = [record.objects.select(~record.objects.crowd) for record in records if record.objects is not None]
    counts = [len(part) for part in parts]
    sizes = np.array([record.size_hw or (1, 1) for record in records], dtype=np.float64).reshape(-1, 2)
    index = np.repeat(np.arange(len(records)), counts)
    return _Flat(
        record=index,
        boxes=np.concatenate([np.zeros((0, 4)), *(part.boxes_xyxy for part in parts)]),
        labels=np.concatenate([np.zeros(0, dtype=np.int64), *(part.labels for part in parts)]),
        picture_hw=sizes[index],
    )


def _tiny(case: Case, records: list[Record], flat: _Flat) -> Iterable[Problem]:
    sides = flat.boxes[:, 2:] - flat.boxes[:, :2]
    for i in np.flatnonzero(sides.min(axis=1, initial=np.inf) < _TINY_PX):
        name = case.dataset.classes[flat.labels[i]]
        message = f"a box of '{name}' is {sides[i, 0]:.1f} x {sides[i, 1]:.1f} pixels, at {_shown(flat.boxes[i])}"
        yield suspect("box-tiny", records[flat.record[i]], message)


def _unlike_class(case: Case, records: list[Record], flat: _Flat) -> Iterable[Problem]:
    sides = flat.boxes[:, 2:] - flat.boxes[:, :2]
    aspects = np.log(sides[:, 0] / sides[:, 1])
    shares = np.log(np.sqrt(sides.prod(axis=1) / flat.picture_hw.prod(axis=1)))
    edges = np.concatenate([flat.boxes[:, :2], flat.picture_hw[:, ::-1] - flat.boxes[:, 2:]], axis=1)
    whole = (edges < _EDGE_PX).any(axis=1)  # cut by the frame: its shape and size say nothing
    covers = sides.prod(axis=1) >= _WHOLE * flat.picture_hw.prod(axis=1)
    for label, name in enumerate(case.dataset.classes):
        of_class = flat.labels == label
        inner = np.flatnonzero(of_class & ~whole & (sides.min(axis=1) >= _TINY_PX))
        if of_class.sum() >= ENOUGH and covers[of_class].mean() < _HARDLY_EVER:
            for i in np.flatnonzero(of_class & covers):
                yield suspect("box-whole-picture", records[flat.record[i]], f"a box of '{name}' covers all of it")
        if len(inner) < ENOUGH:
            continue
        for i in inner[np.abs(robust_scores(aspects[inner], least_sigma=_ASPECT_FLOOR)) > FAR]:
            usual = np.exp(np.median(aspects[inner]))
            message = f"a box of '{name}', width / height {np.exp(aspects[i]):.2f} where {usual:.2f} is usual, at "
            yield suspect("box-shape-odd", records[flat.record[i]], message + _shown(flat.boxes[i]))
        for i in inner[np.abs(robust_scores(shares[inner], least_sigma=_SIZE_FLOOR)) > FAR]:
            times = np.exp(shares[i] - np.median(shares[inner]))
            message = f"a box of '{name}' with {times:.2g} times the usual side, at {_shown(flat.boxes[i])}"
            yield suspect("box-size-odd", records[flat.record[i]], message)


def _copied(case: Case, records: list[Record]) -> Iterable[Problem]:
    digests = {path: look.digest for path, look in case.looks.items()}
    same: dict[bytes, list[Record]] = defaultdict(list)
    for record in records:
        objects = record.objects
        if objects is not None and len(objects) >= 2:
            same[objects.boxes_xyxy.round(3).tobytes() + objects.labels.tobytes()].append(record)
    for group in same.values():
        if len({digests.get(record.path, str(record.path).encode()) for record in group}) > 1:
            names = [record.image_id for record in group]
            yield suspect("boxes-copied", group[1], f"the very boxes of {names[0]}; the same in {listed(names)}")


def _shown(box: np.ndarray) -> str:
    return "(" + ", ".join(f"{edge:.0f}" for edge in box.tolist()) + ")"
