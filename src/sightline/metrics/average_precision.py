"""Average precision and recall from the match table, for pictures that count once or several times.

COCO's figures: precision at 101 recalls, each the highest that is reached at this recall or a
higher one; averaged over recalls, IoU thresholds and the classes that have true boxes. A weight
for each picture gives what a resample of the pictures would have, without making it: a picture
that counts twice moves every count by two. Only boxes that took something can raise precision or
recall, so the work lies there; what took nothing is counted once, for all thresholds together.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sightline.metrics.box_matches import IOU_THRESHOLDS, MAX_DETECTIONS, SIZES, BoxMatches, bit, size_bits
from sightline.metrics.box_pairs import stable_order

RECALLS = np.linspace(0.0, 1.0, 101)
_T, _A = len(IOU_THRESHOLDS), len(SIZES)
_CHUNK_ENTRIES = 500_000


@dataclass(frozen=True, kw_only=True, eq=False)
class ApArrays:
    """Precision and recall of B weightings of the pictures; NaN where a class has no true box that counts.

    Attributes:
        ap: [B, sizes, thresholds, C], area under the precision-recall curve, at most 100 boxes.
        recall: [B, sizes, thresholds, C], at most 100 boxes.
        recall_of_few: [B, 2, thresholds, C], all sizes, at most 1 and at most 10 boxes.
    """

    ap: np.ndarray
    recall: np.ndarray
    recall_of_few: np.ndarray

    def figures(self) -> dict[str, np.ndarray]:
        """COCO's 12 figures by name, [B] each; NaN where there is nothing to find."""
        found = {"ap": _mean(self.ap[:, 0]), "ap50": _mean(self.ap[:, 0, :1]), "ap75": _mean(self.ap[:, 0, 5:6])}
        found |= {f"ap_{size}": _mean(self.ap[:, place]) for place, size in enumerate(SIZES) if place}
        found |= {f"ar_{few}": _mean(self.recall_of_few[:, place]) for place, few in enumerate(MAX_DETECTIONS[:-1])}
        found |= {f"ar_{MAX_DETECTIONS[-1]}": _mean(self.recall[:, 0])}
        return found | {f"ar_{size}": _mean(self.recall[:, place]) for place, size in enumerate(SIZES) if place}


class Accumulator:
    """Turns weights of pictures into `ApArrays`; what does not depend on weights is made once."""

    def __init__(self, matches: BoxMatches) -> None:
        self._matches = matches
        self._classes = len(matches.classes)
        # A box in the range that is ignored took something: what took nothing is ignored for its size only.
        self._ignored = matches.ignored & size_bits(matches.found_in_size)
        self._touched = np.flatnonzero(matches.hit | self._ignored)
        self._cases = [self._case(iou, size) for size in range(_A) for iou in range(_T)]
        self._truth = [self._true_rows(counts) for counts in matches.truth_counts]

    @property
    def work(self) -> int:
        """How many numbers one weighting goes through, roughly."""
        return sum(len(case.rows) for case in self._cases) + _A * len(self._matches.found)

    def once(self) -> ApArrays:
        """Every picture counts once."""
        return self(np.ones((1, self._matches.num_images)))

    def __call__(self, weights: np.ndarray) -> ApArrays:
        """Weights [B, pictures], whole numbers from 0."""
        rows = max(1, _CHUNK_ENTRIES // max(1, len(self._matches.found), len(self._matches.truth)))
        parts = [self._chunk(weights[start : start + rows]) for start in range(0, len(weights), rows)]
        ap, recall, few = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
        return ApArrays(ap=ap, recall=recall, recall_of_few=few)

    def curves(self) -> tuple[np.ndarray, np.ndarray]:
        """Precision and lowest score at each of RECALLS at IoU 0.5, all sizes: [C, 101] each, 0 where not reached."""
        matches, case = self._matches, self._cases[0]
        precision = np.zeros((self._classes, len(RECALLS)))
        score = np.zeros_like(precision)
        if len(case.hits) == 0:
            return precision, score
        truth = self._true_boxes(np.ones((1, self._matches.num_images)))[0, 0, case.present]
        one = np.ones((1, len(matches.found)))
        envelope, steps, _ = _envelope(case, one, before=np.arange(len(matches.found))[None], truth=truth[None])
        steps = steps[0].astype(np.int64)
        rows = np.repeat(case.present[case.segment], steps)
        reached = np.add.reduceat(steps, case.starts)
        columns = np.concatenate([np.arange(count) for count in reached.tolist()])
        precision[rows, columns] = np.repeat(envelope[0], steps)
        score[rows, columns] = np.repeat(matches.found.score[case.rows[case.hits]], steps)
        return precision, score

    def _chunk(self, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        matches = self._matches
        ap = np.zeros((len(weights), _A, _T, self._classes))
        recall = np.zeros_like(ap)
        few = np.zeros((len(weights), len(MAX_DETECTIONS) - 1, _T, self._classes))
        truth = self._true_boxes(weights)
        of_found = weights.take(matches.found.image, axis=1)
        for size in range(_A):
            marks = of_found * matches.found_in_size[size]
            before = np.cumsum(marks, axis=1) - marks
            for iou in range(_T):
                case = self._cases[BoxMatches.case(iou, size)]
                if len(case.hits) == 0:
                    continue
                here = truth[:, size, case.present]
                envelope, steps, hits = _envelope(case, of_found, before=before, truth=here)
                ap[:, size, iou, case.present] = np.add.reduceat(envelope * steps, case.starts, axis=1) / len(RECALLS)
                recall[:, size, iou, case.present] = hits / np.maximum(here, 1.0)
                if size == 0:
                    few[:, :, iou, case.present] = self._hits_of_few(case, of_found) / np.maximum(here, 1.0)[:, None]
        none = truth == 0
        ap[np.broadcast_to(none[:, :, None], ap.shape)] = np.nan
        recall[np.broadcast_to(none[:, :, None], recall.shape)] = np.nan
        few[np.broadcast_to(none[:, :1, None], few.shape)] = np.nan
        return ap, recall, few

    def _true_rows(self, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Of the true boxes that count, by class: their pictures [G], the classes [S] and where each begins [S]."""
        truth = self._matches.truth
        rows = np.flatnonzero(counts)
        rows = rows[stable_order(truth.label[rows], bound=max(1, self._classes))]
        present, starts = np.unique(truth.label[rows], return_index=True)
        return truth.image[rows], present, starts

    def _true_boxes(self, weights: np.ndarray) -> np.ndarray:
        """How many true boxes count, [B, sizes, C]."""
        sums = np.zeros((len(weights), _A, self._classes))
        for size, (image, present, starts) in enumerate(self._truth):
            if len(present):
                sums[:, size, present] = np.add.reduceat(weights.take(image, axis=1), starts, axis=1)
        return sums

    def _hits_of_few(self, case: _Case, of_found: np.ndarray) -> np.ndarray:
        """Hits among the best 1 and the best 10 of each picture, [B, 2, S]."""
        rows = case.rows[case.hits]
        rank, weight = self._matches.rank[rows], of_found.take(rows, axis=1)
        sums = [np.add.reduceat(weight * (rank < few), case.starts, axis=1) for few in MAX_DETECTIONS[:-1]]
        return np.stack(sums, axis=1)

    def _case(self, iou: int, size: int) -> _Case:
        matches, case, touched = self._matches, BoxMatches.case(iou, size), self._touched
        hit = bit(matches.hit[touched], case)
        took = hit | bit(self._ignored[touched], case)
        rows = touched[took]
        return _make_case(rows, hit[took], segments=matches.found.label, in_size=matches.found_in_size[size])


def per_picture_ap50(matches: BoxMatches) -> tuple[np.ndarray, np.ndarray]:
    """AP at IoU 0.5 of each picture alone, [pictures], and which have one [pictures] bool (a true box that counts)."""
    found, classes = matches.found, len(matches.classes)
    bound = matches.num_images * max(1, classes)
    key = found.image * classes + found.label
    order = stable_order(key, bound=bound)
    key, hit = key[order], matches.is_right[order]
    truth_key = (matches.truth.image * classes + matches.truth.label)[matches.truth_counts[0]]
    present, count = np.unique(truth_key, return_counts=True)
    parts = np.bincount(present // classes, minlength=matches.num_images)
    rows = np.flatnonzero(hit | ~matches.is_judged[order])
    case = _make_case(rows, hit[rows], segments=key, in_size=np.ones(len(key), dtype=bool))
    total = np.zeros(matches.num_images)
    if len(case.hits):
        truth = count[np.searchsorted(present, case.present)]
        ones, before = np.ones((1, len(key))), np.arange(len(key))[None]
        envelope, steps, _ = _envelope(case, ones, before=before, truth=truth[None])
        ap = np.add.reduceat(envelope[0] * steps[0], case.starts) / len(RECALLS)
        total = np.bincount(case.present // classes, weights=ap, minlength=matches.num_images)
    return total / np.maximum(parts, 1), parts > 0


@dataclass(frozen=True, kw_only=True, eq=False)
class _Case:
    """The rows that took something at one threshold and size range, by segment: a class, or one in one picture.

    Attributes:
        rows: [M], their places among all rows.
        in_size: [M] float64, 1 where the found box's own area is in the range.
        hits: [P], places in `rows` of those that took a true box that counts.
        segment: [P], position in `present`.
        present: [S], the segments that have hits.
        starts: [S], where they begin in `hits`.
        starts_in_rows: [S], where they begin in `rows`.
        starts_in_all: [S], where they begin among all rows.
    """

    rows: np.ndarray
    in_size: np.ndarray
    hits: np.ndarray
    segment: np.ndarray
    present: np.ndarray
    starts: np.ndarray
    starts_in_rows: np.ndarray
    starts_in_all: np.ndarray


def _make_case(rows: np.ndarray, hit: np.ndarray, *, segments: np.ndarray, in_size: np.ndarray) -> _Case:
    hits = np.flatnonzero(hit)
    of_hits = segments[rows[hits]]
    starts = np.flatnonzero(np.diff(of_hits, prepend=-1))
    present = of_hits[starts]
    first = np.searchsorted(segments, present)
    return _Case(
        rows=rows,
        in_size=in_size[rows].astype(np.float64),
        hits=hits,
        segment=np.repeat(np.arange(len(starts)), np.diff(starts, append=len(hits))),
        present=present,
        starts=starts,
        starts_in_rows=np.searchsorted(rows, first),
        starts_in_all=first,
    )


def _envelope(
    case: _Case, weights: np.ndarray, *, before: np.ndarray, truth: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """At each hit the best precision from there on and how many of RECALLS it is the first to reach; hits in all.

    Args:
        case: of M rows, P hits and S segments.
        weights: [B, all rows], how often each counts.
        before: [B, all rows], how many boxes in the size range come before each.
        truth: [B, S], how many there are to find.

    Returns:
        [B, P], [B, P] and [B, S].
    """
    weight = weights.take(case.rows, axis=1)
    took = weight * case.in_size
    took_before = np.cumsum(took, axis=1) - took
    wrong = (before.take(case.rows, axis=1) - took_before).take(case.hits, axis=1)  # counted over all segments
    wrong_at_start = before.take(case.starts_in_all, axis=1) - took_before.take(case.starts_in_rows, axis=1)
    wrong -= wrong_at_start.take(case.segment, axis=1)

    weight = weight.take(case.hits, axis=1)
    right = np.cumsum(weight, axis=1)
    right -= (right - weight).take(case.starts, axis=1).take(case.segment, axis=1)
    precision = right / np.maximum(right + wrong, 1.0)  # 0 before anything counts
    # Two less in each later segment: running from the end, the maximum forgets the segment after.
    offset = 2.0 * case.segment
    envelope = np.maximum.accumulate((precision - offset)[:, ::-1], axis=1)[:, ::-1] + offset

    reached = right / np.maximum(truth, 1.0).take(case.segment, axis=1)
    steps = np.searchsorted(RECALLS, reached.ravel(), side="right").reshape(reached.shape).astype(np.float64)
    first = steps.take(case.starts, axis=1)
    steps[:, 1:] -= steps[:, :-1].copy()
    steps[:, case.starts] = first
    ends = np.append(case.starts[1:], len(case.hits)) - 1
    return envelope, steps, right.take(ends, axis=1)


def _mean(values: np.ndarray) -> np.ndarray:
    """Mean over all axes but the first, of what is not NaN; NaN where nothing is left."""
    flat = values.reshape(len(values), -1)
    known = ~np.isnan(flat)
    count = known.sum(axis=1)
    total = np.where(known, flat, 0.0).sum(axis=1)
    return np.divide(total, count, out=np.full(len(flat), np.nan), where=count > 0)
