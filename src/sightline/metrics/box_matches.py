"""The one match table of boxes: which found box took which true one, at every IoU and every size range.

COCO's rules (pycocotools is the test's oracle): within a picture and a class, found boxes in the
order of their scores each take the free true box that they overlap most, if IoU reaches the
threshold. A true box that is a crowd, or whose area is outside of the size range, is ignored: a
found box that can take nothing else takes it and is neither right nor wrong, a crowd any number
of them (its overlap is intersection over the found box's area). A found box that took nothing is
wrong, unless its own area is outside of the range. At most 100 found boxes of a class in a
picture count. Since a box with a lower score never disturbs one with a higher, the table also
holds for every score threshold and every smaller number of boxes.

Everything else about boxes follows from this table: average_precision.py, box_errors.py,
operating_point.py.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sightline.errors import UserError
from sightline.geometry import box_areas
from sightline.metrics.box_inputs import FoundRows, TruthRows, rows_of
from sightline.metrics.box_pairs import Overlaps, overlapping, place_in_run, stable_order, take_greedily
from sightline.records import Detections, Objects

IOU_THRESHOLDS = np.linspace(0.5, 0.95, 10)
SIZES = ("all", "small", "medium", "large")
SIZE_LIMITS = (32.0, 96.0)  # sides in pixels; COCO's
MAX_DETECTIONS = (1, 10, 100)
_T = len(IOU_THRESHOLDS)


@dataclass(frozen=True, kw_only=True, eq=False)
class BoxMatches:
    """Found boxes [D] by class, best first, each with what became of it; and the true boxes [G].

    Attributes:
        classes: names.
        num_images: how many pictures there are.
        size_limits: sides, in pixels, that part small from medium and medium from large.
        found: the rows that count: at most 100 for a class in a picture.
        rank: [D], place among the rows of its class in its picture.
        truth: in the order of pictures.
        hit: [D] uint64; bit `case(iou, size)` says that it took a true box that counts.
        ignored: [D] uint64, bits that say that it is neither right nor wrong.
        partner: [D] int64, row of the true box that was taken at IoU 0.5, all sizes; only where hit there.
        iou: [D] float64, the overlap with it.
        found_in_size: [4, D] bool, the found box's own area is in the range.
        truth_counts: [4, G] bool, not a crowd and the area is in the range.
    """

    classes: tuple[str, ...]
    num_images: int
    size_limits: tuple[float, float]
    found: FoundRows
    rank: np.ndarray
    truth: TruthRows
    hit: np.ndarray
    ignored: np.ndarray
    partner: np.ndarray
    iou: np.ndarray
    found_in_size: np.ndarray
    truth_counts: np.ndarray

    @staticmethod
    def case(iou: int, size: int) -> int:
        """The bit of a threshold (position in IOU_THRESHOLDS) and a size range (position in SIZES)."""
        return size * _T + iou

    @property
    def is_right(self) -> np.ndarray:
        """[D] bool: took a true box at IoU 0.5, all sizes."""
        return (self.hit & np.uint64(1)) != 0

    @property
    def is_judged(self) -> np.ndarray:
        """[D] bool: right or wrong at IoU 0.5, all sizes; false where it lies on a crowd."""
        return (self.ignored & np.uint64(1)) == 0


def match_boxes(
    found: Sequence[Detections],
    truth: Sequence[Objects],
    *,
    classes: Sequence[str],
    size_limits: tuple[float, float] = SIZE_LIMITS,
    image_ids: Sequence[str] | None = None,
) -> BoxMatches:
    """Match what was found with what is there, one of each for every picture, in pixels of the original files.

    Args:
        found: any number of boxes a picture, in any order.
        truth: of the same pictures.
        classes: names; labels of both are positions in it.
        size_limits: sides s < m in pixels. small: area up to s^2; medium: s^2 to m^2; large: from m^2.
        image_ids: names of the pictures, for messages.

    Raises:
        UserError: there are no pictures, the lengths differ, boxes or scores are not numbers, labels are not
            positions in `classes`, or the limits do not rise.
    """
    areas = _area_ranges(size_limits)
    found_rows, truth_rows = rows_of(found, truth, num_classes=len(classes), image_ids=image_ids)
    bound = len(truth) * max(1, len(classes))
    # By group and, within it, by falling score; ties in the order they came.
    by_score = np.argsort(-found_rows.score, kind="stable")
    group = found_rows.image * len(classes) + found_rows.label
    order = by_score[stable_order(group[by_score], bound=bound)]
    rank = place_in_run(group[order])
    if len(rank) and rank.max() >= MAX_DETECTIONS[-1]:
        few = rank < MAX_DETECTIONS[-1]
        order, rank = order[few], rank[few]
    rows, group = found_rows.take(order), group[order]

    overlaps = Overlaps(rows.boxes_xyxy, truth_rows.boxes_xyxy, crowd=truth_rows.crowd)
    truth_group = truth_rows.image * len(classes) + truth_rows.label
    pairs = overlapping(overlaps, group, truth_group, bound=bound, at_least=float(IOU_THRESHOLDS[0]))
    found_in_size = _within(box_areas(rows.boxes_xyxy), areas)
    truth_counts = _within(truth_rows.area, areas) & ~truth_rows.crowd
    taken = take_greedily(
        pairs,
        group,
        allowed=_threshold_bits(pairs.overlap),
        ignore=size_bits(~truth_counts),
        endless=truth_rows.crowd,
    )
    iou = np.zeros(len(rows))
    right = np.flatnonzero(taken.counted & np.uint64(1))
    iou[right] = overlaps(right, taken.partner[right])
    ignored = taken.ignored | (size_bits(~found_in_size) & ~taken.counted)
    final = _by_class(rows, by_score_of=order, num_classes=len(classes), by_score=by_score)
    return BoxMatches(
        classes=tuple(classes),
        num_images=len(truth),
        size_limits=(float(size_limits[0]), float(size_limits[1])),
        found=rows.take(final),
        rank=rank[final],
        truth=truth_rows,
        hit=taken.counted[final],
        ignored=ignored[final],
        partner=taken.partner[final],
        iou=iou[final],
        found_in_size=found_in_size[:, final],
        truth_counts=truth_counts,
    )


def bit(words: np.ndarray, case: int) -> np.ndarray:
    """Whether bit `case` is set, [N] uint64 -> [N] bool."""
    return (words >> np.uint64(case)) & np.uint64(1) != 0


def _by_class(rows: FoundRows, *, by_score_of: np.ndarray, num_classes: int, by_score: np.ndarray) -> np.ndarray:
    """Positions that bring rows into the order of class, then falling score, then picture.

    The sort by score was paid for before: rows are spread by their place in it and gathered again.
    """
    place = np.empty(len(by_score), dtype=np.int64)
    place[by_score] = np.arange(len(by_score))
    slot = np.full(len(by_score), -1, dtype=np.int64)
    slot[place[by_score_of]] = np.arange(len(rows))
    in_score_order = slot[slot >= 0]
    return in_score_order[stable_order(rows.label[in_score_order], bound=max(1, num_classes))]


def _area_ranges(size_limits: tuple[float, float]) -> list[tuple[float, float]]:
    small, large = size_limits
    if not 0 < small < large < np.inf:
        raise UserError(
            f"The size limits are {small:g} and {large:g} px; they are two sides above 0, the smaller one first, such "
            "as 32 and 96."
        )
    return [(0.0, np.inf), (0.0, small**2), (small**2, large**2), (large**2, np.inf)]


def _within(area: np.ndarray, ranges: list[tuple[float, float]]) -> np.ndarray:
    """[N] -> [4, N]; an area on a limit is in both ranges, as in COCO."""
    return np.stack([(area >= low) & (area <= high) for low, high in ranges])


def _threshold_bits(overlap: np.ndarray) -> np.ndarray:
    """[P] -> [P] uint64: for every size range the bits of the thresholds that an overlap reaches."""
    reached = np.searchsorted(IOU_THRESHOLDS, overlap, side="right").astype(np.uint64)
    one = (np.uint64(1) << reached) - np.uint64(1)
    bits = np.zeros_like(one)
    for size in range(len(SIZES)):
        bits |= one << np.uint64(size * _T)
    return bits


def size_bits(flags: np.ndarray) -> np.ndarray:
    """[4, N] bool -> [N] uint64: for every threshold the bits of the size ranges with a flag."""
    bits = np.zeros(flags.shape[1], dtype=np.uint64)
    for size, flag in enumerate(flags):
        bits |= flag * np.uint64(((1 << _T) - 1) << (size * _T))
    return bits
