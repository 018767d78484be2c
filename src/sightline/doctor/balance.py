"""Checks of how much there is of what: records, classes, sizes, visible points. Next: parts.py."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from sightline.doctor.case import Case, listed, suspect
from sightline.records import Problem

FEW_RECORDS, FEW_OBJECTS = 50, 10
_UNBALANCED = 100
_SPREAD, _PICTURE_SPREAD = 50, 4
_RARELY = 0.05
_MOSTLY = 0.5


def check(case: Case) -> Iterable[Problem]:
    """Notes about the data set as a whole."""
    dataset = case.dataset
    if 0 < len(dataset) < FEW_RECORDS:
        yield suspect("records-few", dataset, f"{len(dataset)} records")
    sizes = {record.path: record.size_hw for record in case.records if record.size_hw is not None}
    if sizes:
        sides = np.sqrt([height * width for height, width in sizes.values()])
        if sides.max() > _PICTURE_SPREAD * sides.min():
            message = f"from {sides.min():.0f} to {sides.max():.0f} pixels (square root of the area)"
            yield suspect("image-sizes-mixed", dataset, message)
    if dataset.classes:
        yield from _classes(case)
    else:
        yield from _points(case)


def class_counts(case: Case) -> np.ndarray:
    """[classes] objects of each class, crowds left out."""
    counts = np.zeros(len(case.dataset.classes), dtype=np.int64)
    for record in case.records:
        if record.objects is not None:
            counts += np.bincount(record.objects.labels[~record.objects.crowd], minlength=len(counts))
    return counts


def _classes(case: Case) -> Iterable[Problem]:
    dataset, counts = case.dataset, class_counts(case)
    named = [(count, name) for count, name in zip(counts.tolist(), dataset.classes, strict=True) if count]
    rare = [f"{name} ({count})" for count, name in sorted(named) if count < FEW_OBJECTS]
    if rare:
        yield suspect("class-rare", dataset, f"{len(rare)} of {len(named)} classes: {listed(rare)}")
    if named and max(named)[0] > _UNBALANCED * min(named)[0]:
        message = f"'{max(named)[1]}' has {max(named)[0]} objects, '{min(named)[1]}' has {min(named)[0]}"
        yield suspect("class-unbalanced", dataset, message)
    groups: dict[int, set[str]] = {}
    for record in case.records:
        if record.group is not None and record.objects is not None:
            for label in set(record.objects.labels.tolist()):
                groups.setdefault(label, set()).add(record.group)
    single = [dataset.classes[label] for label, found in sorted(groups.items()) if len(found) == 1]
    if single and len({record.group for record in case.records}) > 1:
        yield suspect("class-one-group", dataset, f"in one group only: {listed(single)}")
    empty = sum(record.objects is not None and len(record.objects) == 0 for record in case.records)
    if empty > _MOSTLY * len(dataset):
        yield suspect("pictures-mostly-empty", dataset, f"{empty} of {len(dataset)} pictures have no object")
    sides = [np.sqrt(np.prod(r.objects.boxes_xyxy[:, 2:] - r.objects.boxes_xyxy[:, :2], axis=1))
             for r in case.records if r.objects is not None]  # fmt: skip
    joined = np.concatenate([np.zeros(0), *sides])
    if len(joined) and joined.max() > _SPREAD * joined.min():
        message = f"from {joined.min():.1f} to {joined.max():.0f} pixels (square root of the area)"
        yield suspect("size-spread", dataset, message)


def _points(case: Case) -> Iterable[Problem]:
    names = case.dataset.skeleton.names
    if not len(case.dataset) or not names:
        return
    share = np.mean([record.visible for record in case.records], axis=0)
    if never := [names[k] for k in np.flatnonzero(share == 0)]:
        yield suspect("point-never-visible", case.dataset, f"{len(never)} of {len(names)} points: {listed(never)}")
    if rarely := [f"{names[k]} ({100 * share[k]:.1f} %)" for k in np.flatnonzero((share > 0) & (share < _RARELY))]:
        yield suspect("point-rarely-visible", case.dataset, listed(rarely))
