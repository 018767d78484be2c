"""Finding records whose left and right points were labelled the other way round.

Every labelled shape is laid onto the mean shape (shift, turn, scale; no mirror), as it is and with
all mirror twins swapped. A shape that fits clearly better swapped was labelled inside out.
In: a Dataset. Out: warnings. Next: ../transforms.py
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sightline.records import Dataset, Problem

# Swapped must fit with less than this share of the misfit, and gain at least this much
# (misfit 0 is the mean shape itself, 1 has nothing in common with it).
_RATIO = 0.6
_GAIN = 0.1
_ROUNDS = 4
_MIN_RECORDS = 5
_MIN_POINTS = 3
_REFERENCES = 32


@dataclass(frozen=True, eq=False)
class _Shapes:
    """Points as complex numbers [N, K], x + iy: a similarity is then one complex product."""

    z: np.ndarray
    seen: np.ndarray

    def swapped(self, index: np.ndarray) -> _Shapes:
        """The shapes with mirror twins exchanged."""
        return _Shapes(self.z[:, index], self.seen[:, index])


def check_flip_order(dataset: Dataset) -> list[Problem]:
    """Warnings ("points-swapped") for records that fit the mean shape better with twins swapped.

    The mean shape is that of the majority, so a data set of which most is swapped is reported the
    wrong way round. Nothing is said of data sets with fewer than 5 usable records (a pair and a
    third point visible), or of skeletons without mirror twins.
    """
    pairs = dataset.skeleton.flip_pairs
    usable = []
    for record in dataset.records:
        both = [record.visible[first] and record.visible[second] for first, second in pairs]
        if any(both) and record.visible.sum() >= _MIN_POINTS:
            usable.append(record)
    if len(usable) < _MIN_RECORDS:
        return []
    points = np.stack([record.points_xy for record in usable])
    shapes = _Shapes(points[..., 0] + 1j * points[..., 1], np.stack([record.visible for record in usable]))
    index = np.array(dataset.skeleton.flip_index)
    mean, known = _mean_shape(shapes, index)
    as_is, exchanged = _misfit(shapes, mean, known), _misfit(shapes.swapped(index), mean, known)
    problems = []
    for record, before, after in zip(usable, as_is, exchanged, strict=True):
        if after < _RATIO * before and before - after > _GAIN:
            message = f"left and right points seem swapped: misfit to the mean shape {before:.2f}, swapped {after:.2f}"
            problems.append(
                Problem(
                    id="points-swapped",
                    severity="warning",
                    where=record.source,
                    message=message,
                    image_id=record.image_id,
                )
            )
    return problems


def _mean_shape(shapes: _Shapes, index: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The mean shape [K] and which of its points are known [K]; each record counts as it fits best."""
    swapped = shapes.swapped(index)
    mean, known = _reference(shapes)
    for _ in range(_ROUNDS):
        better = (_misfit(swapped, mean, known) < _misfit(shapes, mean, known))[:, None]
        chosen = _Shapes(np.where(better, swapped.z, shapes.z), np.where(better, swapped.seen, shapes.seen))
        laid = _laid_onto(chosen, mean, known)
        count = chosen.seen.sum(axis=0)
        mean, known = np.where(chosen.seen, laid, 0).sum(axis=0) / np.maximum(count, 1), count > 0
    # Which way round the mean is was decided by one reference; the majority has the last word.
    if (_misfit(swapped, mean, known) < _misfit(shapes, mean, known)).mean() > 0.5:
        return mean[index], known[index]
    return mean, known


def _reference(shapes: _Shapes) -> tuple[np.ndarray, np.ndarray]:
    """Of the most complete records, the one that the others fit best."""
    order = np.argsort(-shapes.seen.sum(axis=1), kind="stable")[:_REFERENCES]
    scores = [np.median(_misfit(shapes, shapes.z[i], shapes.seen[i])) for i in order]
    best = order[int(np.argmin(scores))]
    return shapes.z[best], shapes.seen[best]


def _centred(shapes: _Shapes, mean: np.ndarray, known: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What both have, about its centre: shapes [N, K], the mean for each [N, K], the mean's centres [N, 1]."""
    both = shapes.seen & known
    count = np.maximum(both.sum(axis=1, keepdims=True), 1)
    z_centre = np.where(both, shapes.z, 0).sum(axis=1, keepdims=True) / count
    mean_centre = np.where(both, mean, 0).sum(axis=1, keepdims=True) / count
    return np.where(both, shapes.z - z_centre, 0), np.where(both, mean - mean_centre, 0), mean_centre


def _misfit(shapes: _Shapes, mean: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Of each shape, the part of its spread that no similarity brings onto the mean: [N] in 0..1."""
    z, target, _ = _centred(shapes, mean, known)
    shared = np.abs((z.conj() * target).sum(axis=1)) ** 2
    spread = (np.abs(z) ** 2).sum(axis=1) * (np.abs(target) ** 2).sum(axis=1)
    return np.sqrt(np.clip(1 - shared / np.maximum(spread, 1e-12), 0, 1))


def _laid_onto(shapes: _Shapes, mean: np.ndarray, known: np.ndarray) -> np.ndarray:
    """The shapes after the similarity that brings each one closest to the mean: [N, K]."""
    z, target, mean_centre = _centred(shapes, mean, known)
    factor = (z.conj() * target).sum(axis=1, keepdims=True) / np.maximum(
        (np.abs(z) ** 2).sum(axis=1, keepdims=True), 1e-12
    )
    both = shapes.seen & known
    count = np.maximum(both.sum(axis=1, keepdims=True), 1)
    z_centre = np.where(both, shapes.z, 0).sum(axis=1, keepdims=True) / count
    return (shapes.z - z_centre) * factor + mean_centre
