"""Checks of the parts: what trains must not validate, and what trains must be validated.

The split is the data set's own where it gives one, else the one that a recipe would make. Next: fit.py
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

import numpy as np

from sightline.doctor.case import Case, extents, listed, suspect
from sightline.doctor.tracks import frame_number
from sightline.records import Problem, Record
from sightline.splits import Split

SMALL = 20
_SIZES_DIFFER = 1.5
_ADJOIN = 0.25  # of the validating frames
_ALIKE = 0.5  # neighbours differ by less than this share of what frames far apart differ by


def check(case: Case) -> Iterable[Problem]:
    """Leaks between the parts, classes missing from one, parts unlike each other."""
    split = case.split
    if split is None:
        if case.no_split:
            yield suspect("split-impossible", case.dataset, case.no_split)
        return
    yield from _copies(case, split)
    how = f"split by {split.by}"
    if shared := split.straddling_groups:
        count = "1 group trains and validates" if len(shared) == 1 else f"{len(shared)} groups train and validate"
        message = f"{count} ({how}): {listed(shared)}"
        yield suspect("split-group-shared", case.dataset, message)
    yield from _adjoining(case, split)
    if len(split.val) < SMALL:
        yield suspect("split-small", case.dataset, f"{len(split.val)} records validate ({how})")
    yield from _classes(case, split)
    sizes = [_sizes(part) for part in (split.train, split.val)]
    if min(len(each) for each in sizes) >= SMALL:
        train, val = (float(np.median(each)) for each in sizes)
        if max(train, val) > _SIZES_DIFFER * min(train, val):
            message = f"the median object trains with {train:.0f} and validates with {val:.0f} pixels ({how})"
            yield suspect("split-sizes-differ", case.dataset, message)


def _copies(case: Case, split: Split) -> Iterable[Problem]:
    train = {record.path: record for record in reversed(split.train)}
    val = {record.path: record for record in reversed(split.val)}
    same = {path: cluster for cluster in case.copies.exact for path in cluster}
    for id, clusters, how in (
        ("split-copied", case.copies.exact, "the same file"),
        ("split-near-copied", case.copies.near, "nearly the same picture"),
    ):
        for cluster in clusters:
            # Of equal files only the first was compared with other pictures.
            members = list(dict.fromkeys(twin for path in cluster for twin in same.get(path, (path,))))
            learned = [train[path].image_id for path in members if path in train]
            scored = [val[path] for path in members if path in val]
            if learned and scored:
                message = f"it validates, and {how} trains: {listed(learned)} (split by {split.by})"
                yield suspect(id, scored[0], message)


def _adjoining(case: Case, split: Split) -> Iterable[Problem]:
    """Sequences whose neighbours look alike but lie in both parts, where no group says that they belong together."""
    placed: dict[tuple[str, int], tuple[Record, bool]] = {}
    for part, validates in ((split.train, False), (split.val, True)):
        for record in part:
            if record.group is not None or record.path not in case.looks:
                continue
            if (number := frame_number(record)) is not None:
                stem = re.sub(r"\d+(\.\w+)?(#\d+)?$", "", record.image_id)
                placed[stem, number] = record, validates
    scored = [key for key, (_, validates) in placed.items() if validates]
    beside = [
        key for key in scored
        if any((other := placed.get((key[0], key[1] + step))) and not other[1] for step in (-1, 1))
    ]  # fmt: skip
    if len(beside) < max(3, _ADJOIN * len(scored)):
        return
    near, far = _differences(case, placed)
    if near < _ALIKE * far:
        message = f"{len(beside)} of {len(split.val)} validating pictures have a neighbour that trains and looks alike"
        yield suspect("split-frames-adjoin", case.dataset, f"{message} (split by {split.by})")


def _differences(case: Case, placed: dict[tuple[str, int], tuple[Record, bool]]) -> tuple[float, float]:
    """Median difference of thumbnails of neighbours, and of frames half the data set apart."""
    keys = sorted(placed)
    thumbs = [case.looks[placed[key][0].path].thumb for key in keys]
    pairs = [i for i in range(len(keys) - 1) if keys[i + 1] == (keys[i][0], keys[i][1] + 1)]
    near = [float(np.abs(thumbs[i] - thumbs[i + 1]).mean()) for i in pairs]
    half = len(keys) // 2
    far = [float(np.abs(thumbs[i] - thumbs[(i + half) % len(keys)]).mean()) for i in pairs]
    return float(np.median(near)), float(np.median(far))


def _classes(case: Case, split: Split) -> Iterable[Problem]:
    names = case.dataset.classes
    if not names or any(problem.id == "box-class-one-part" for problem in case.dataset.problems):
        return
    train, val = (_found(part) for part in (split.train, split.val))
    for lacking, where, then in (
        (train - val, "validation", "no figure tells how well they are found"),
        (val - train, "training", "they cannot be learned"),
    ):
        if lacking:
            told = listed([names[label] for label in sorted(lacking)])
            message = f"{len(lacking)} classes are not in the {where} part (split by {split.by}), so {then}: {told}"
            yield suspect("split-class-missing", case.dataset, message)


def _found(records: Sequence[Record]) -> set[int]:
    return {label for r in records if r.objects is not None for label in r.objects.labels[~r.objects.crowd].tolist()}


def _sizes(records: Sequence[Record]) -> list[float]:
    """Of each object: the root of its box's area, or the extent of its points where there are two and more."""
    boxed = [record.objects.boxes_xyxy for record in records if record.objects is not None]
    sizes = [np.sqrt((boxes[:, 2:] - boxes[:, :2]).prod(axis=1)) for boxes in boxed]
    pointed = [record for record in records if record.objects is None]
    if pointed:
        visible = np.stack([record.visible for record in pointed])
        xy = np.stack([record.points_xy for record in pointed])
        sizes.append(extents(xy, visible)[visible.sum(axis=1) > 1])
    return np.concatenate([np.zeros(0), *sizes]).tolist()
