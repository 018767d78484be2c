"""What kind of mistakes a detector makes at its operating point.

Every wrong box is of one kind (Bolya et al. 2020, "TIDE", asked in this order; "best" is the
highest IoU with a true box of the picture):

    place       best IoU with its own class is in [0.1, 0.5): right class, box too far off
    class       best IoU with another class is 0.5 or more: right box, wrong class
    duplicate   IoU with its own class is 0.5 or more, but a better box took that object
    background  best IoU with any class is 0.1 or less: there is nothing
    both        what is left: near an object of another class, and badly placed
    missed      a true box that nothing found, and that no wrong box of kind place or class is best at

So `missed` counts those that would stay missed if places and classes were mended; `recall` has
all that were not found. The confusion matrix pairs what is left of found and true boxes across
classes, best score first, at IoU 0.5.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from sightline.geometry import box_areas
from sightline.metrics.box_matches import SIZES
from sightline.metrics.box_pairs import Overlaps, overlapping, pairs_in_groups, take_greedily
from sightline.metrics.operating_point import OperatingPoint

ErrorKind = Literal["class", "place", "both", "duplicate", "background", "missed"]
ERROR_KINDS: tuple[ErrorKind, ...] = get_args(ErrorKind)
NEAR, ON = 0.1, 0.5  # IoU from which a box is near an object, and on it


@dataclass(frozen=True, kw_only=True, eq=False)
class BoxErrors:
    """The kind of every mistake.

    Attributes:
        wrong: [W], rows of found boxes that are kept and wrong.
        kind: [W], position in ERROR_KINDS.
        missed: [G] bool, true boxes of kind "missed".
        size: [W], position in SIZES of the found box's own area.
        missed_size: [G], of the true box's area.
    """

    wrong: np.ndarray
    kind: np.ndarray
    missed: np.ndarray
    size: np.ndarray
    missed_size: np.ndarray

    def counts(self) -> dict[str, int]:
        """How many mistakes there are of each kind."""
        of_kind = np.bincount(self.kind, minlength=len(ERROR_KINDS))
        return dict(zip(ERROR_KINDS, of_kind.tolist(), strict=True)) | {"missed": int(self.missed.sum())}

    def counts_by_size(self) -> dict[str, dict[str, int]]:
        """The same for small, medium and large: of the found box, or of the true one where it is missed."""
        found = {}
        for place, name in enumerate(SIZES[1:], start=1):
            of_kind = np.bincount(self.kind[self.size == place], minlength=len(ERROR_KINDS))
            missed = int((self.missed & (self.missed_size == place)).sum())
            found[name] = dict(zip(ERROR_KINDS, of_kind.tolist(), strict=True)) | {"missed": missed}
        return found


def box_errors(point: OperatingPoint) -> BoxErrors:
    """Sort every mistake at an operating point into its kind."""
    matches = point.matches
    wrong = np.flatnonzero(point.wrong)
    own, other = _best_overlaps(point, wrong)
    conditions = [
        (own.overlap >= NEAR) & (own.overlap < ON),
        other.overlap >= ON,
        own.overlap >= ON,
        np.maximum(own.overlap, other.overlap) <= NEAR,
    ]
    kinds = [ERROR_KINDS.index(name) for name in ("place", "class", "duplicate", "background")]
    kind = np.select(conditions, kinds, default=ERROR_KINDS.index("both")).astype(np.int64)
    covered = point.taken.copy()
    covered[own.truth[kind == ERROR_KINDS.index("place")]] = True
    covered[other.truth[kind == ERROR_KINDS.index("class")]] = True
    limits = np.square(matches.size_limits)
    areas = box_areas(matches.found.boxes_xyxy[wrong])
    return BoxErrors(
        wrong=wrong,
        kind=kind,
        missed=point.counts & ~covered,
        size=1 + np.digitize(areas, limits),
        missed_size=1 + np.digitize(matches.truth.area, limits),
    )


def confusion(point: OperatingPoint) -> dict[str, Any]:
    """Counts by true class (rows) and found class (columns), at an operating point.

    The last row holds found boxes where there is nothing (and duplicates), the last column true boxes that
    nothing took. Rows sum up to the true boxes of a class, columns to the kept boxes. "names" has the classes
    and "background".
    """
    matches = point.matches
    found, truth = matches.found, matches.truth
    background = len(matches.classes)
    counts = np.zeros((background + 1, background + 1), dtype=np.int64)
    right = np.flatnonzero(point.right)
    np.add.at(counts, (truth.label[matches.partner[right]], found.label[right]), 1)
    wrong = np.flatnonzero(point.wrong)
    wrong = wrong[np.lexsort((-found.score[wrong], found.image[wrong]))]
    left = np.flatnonzero(point.counts & ~point.taken)
    no_crowd = np.zeros(len(left), dtype=bool)
    overlaps = Overlaps(found.boxes_xyxy[wrong], truth.boxes_xyxy[left], crowd=no_crowd)
    image = found.image[wrong]
    pairs = overlapping(overlaps, image, truth.image[left], bound=matches.num_images, at_least=ON)
    one = np.ones(len(pairs), dtype=np.uint64)
    taken = take_greedily(pairs, image, allowed=one, ignore=np.zeros(len(left), dtype=np.uint64), endless=no_crowd)
    took = taken.counted != 0
    rows, columns = truth.label[left], found.label[wrong]
    np.add.at(counts, (rows[taken.partner[took]], columns[took]), 1)
    np.add.at(counts[background], columns[~took], 1)
    lost = np.ones(len(left), dtype=bool)
    lost[taken.partner[took]] = False
    np.add.at(counts[:, background], rows[lost], 1)
    return {"names": [*matches.classes, "background"], "counts": counts.tolist()}


@dataclass(frozen=True, kw_only=True, eq=False)
class _Best:
    """The highest IoU of each wrong box with some of the true boxes, and with which (any where it is 0): [W] each."""

    overlap: np.ndarray
    truth: np.ndarray


def _best_overlaps(point: OperatingPoint, wrong: np.ndarray) -> tuple[_Best, _Best]:
    """With true boxes of its own class, and of the others."""
    matches = point.matches
    there = np.flatnonzero(point.counts)
    label, true_label = matches.found.label[wrong], matches.truth.label[there]
    boxes, true_boxes = matches.found.boxes_xyxy[wrong], matches.truth.boxes_xyxy[there]
    overlaps = Overlaps(boxes, true_boxes, crowd=np.zeros(len(there), dtype=bool))
    own, other = (
        _Best(overlap=np.zeros(len(wrong)), truth=np.zeros(len(wrong), dtype=np.int64)) for _ in ("own", "other")
    )
    groups = matches.found.image[wrong], matches.truth.image[there]
    for first, second in pairs_in_groups(*groups, bound=matches.num_images):
        overlap = overlaps(first, second)
        same = label[first] == true_label[second]
        starts = np.flatnonzero(np.diff(first, prepend=-1))
        sizes = np.diff(starts, append=len(first))
        for best, chosen in ((own, same), (other, ~same)):
            masked = np.where(chosen, overlap, 0.0)
            highest = np.maximum.reduceat(masked, starts)
            is_best = chosen & (masked == np.repeat(highest, sizes))
            earliest = np.minimum.reduceat(np.where(is_best, second, len(there)), starts)
            best.overlap[first[starts]] = highest
            best.truth[first[starts]] = there[np.minimum(earliest, len(there) - 1)]
    return own, other
