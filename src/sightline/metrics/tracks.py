"""How well one point is followed through clips: outcomes of frames, named numbers, curve, tables.

Every labelled frame has one outcome, by TrackNet's definitions (Huang et al. 2019; the names are those of TrackNetV2's
code). A point is found where the prediction gives a place whose visibility score reaches the threshold; t is the
distance allowed, in pixels of the original frames.

    TP   visible, found at most t away          FN   visible, not found
    FP1  visible, found farther than t away     FP2  not visible, but found
    TN   not visible, not found

    f1         2 TP / (2 TP + FP1 + FP2 + FN)
    precision  TP / (TP + FP1 + FP2)
    recall     TP / (TP + FN): a visible point found in a wrong place is missing from it altogether
    hit_rate   TP / (TP + FP1 + FN): the share of visible frames that are right, which recall is not
    accuracy   (TP + TN) / all
    mean_error_px, rmse_px, median_error_px   of the distance on visible frames that were given a place, found or not
    brier      mean squared distance of the visibility score from 0 or 1 (Brier 1950)

A number whose denominator is 0 is not there. Intervals draw clips or blocks of frames, see track_units.py.
In: truth and predictions in pixels of the original frames. Out: `TrackFrames`, `TrackSummary`.
Next: track_runs.py, track_visibility.py
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from sightline.errors import UserError
from sightline.metrics.bootstrap import Interval, Statistic, intervals, quantile_intervals, ratio, root_ratio
from sightline.metrics.picture_table import KINDS, PictureTable, Pooled
from sightline.metrics.track_units import resampled_units

OUTCOMES = ("TP", "FP1", "FP2", "TN", "FN")
TP, FP1, FP2, TN, FN = range(5)

_CURVE_REACH, _CURVE_STEPS = 4, 40  # the curve goes to 4 t
_WIDE_DOUBLINGS = 7


@dataclass(frozen=True, kw_only=True, eq=False)
class TrackFrames:
    """N labelled frames with truth and prediction; rows may come in any order.

    Attributes:
        image_ids: [N] names of the frames, each once.
        clips: [N] the clip of each.
        numbers: [N] int, the frame's number in its clip.
        truth_xy: [N, 2] float64, zeros where not visible.
        visible: [N] bool, as labelled.
        found_xy: [N, 2] float64, zeros where no place was given.
        placed: [N] bool, whether the prediction gives a place at all.
        score: [N] float64, 0..1, how sure it is that the point is visible.
    """

    image_ids: tuple[str, ...]
    clips: tuple[str, ...]
    numbers: np.ndarray
    truth_xy: np.ndarray
    visible: np.ndarray
    found_xy: np.ndarray
    placed: np.ndarray
    score: np.ndarray

    def __post_init__(self) -> None:
        """Check shapes, and that all that counts is finite.

        Raises:
            UserError: no frames, predictions that are not finite, or scores outside of 0..1.
        """
        count = len(self.image_ids)
        if not count:
            raise UserError("There are 0 labelled frames to score; at least 1 is needed. Choose another part or data.")
        assert len(self.clips) == len(self.numbers) == count, (len(self.clips), len(self.numbers), count)
        assert self.truth_xy.shape == self.found_xy.shape == (count, 2), (self.truth_xy.shape, self.found_xy.shape)
        assert self.visible.dtype == self.placed.dtype == bool, (self.visible.dtype, self.placed.dtype)
        assert self.visible.shape == self.placed.shape == self.score.shape == (count,), self.score.shape
        broken = np.flatnonzero(~(np.isfinite(self.found_xy).all(axis=1) & np.isfinite(self.score)))
        if len(broken):
            raise UserError(
                f"{len(broken)} predictions are not finite numbers, the first is that of {self.image_ids[broken[0]]}; "
                "all must be finite. A training has probably diverged: lower the learning rate."
            )
        if self.score.min() < 0 or self.score.max() > 1:
            raise UserError(
                f"Visibility scores reach from {self.score.min():g} to {self.score.max():g}, expected 0 to 1. "
                "Give probabilities."
            )

    def __len__(self) -> int:
        """Number of frames, N."""
        return len(self.image_ids)

    @property
    def measured(self) -> np.ndarray:
        """Frames that have an error: visible, and given a place; [N] bool."""
        return self.visible & self.placed

    @property
    def error_px(self) -> np.ndarray:
        """Distance from truth to prediction, [N]; 0 where it is not `measured`."""
        away = np.where(self.measured[:, None], self.found_xy - self.truth_xy, 0.0)
        return np.hypot(away[:, 0], away[:, 1])

    def outcomes(self, *, threshold_px: float, least_score: float) -> np.ndarray:
        """The outcome of each frame, [N] int8, positions in `OUTCOMES`."""
        found = self.placed & (self.score >= least_score)
        near = self.error_px <= threshold_px
        shown = np.where(found, np.where(near, TP, FP1), FN)
        return np.where(self.visible, shown, np.where(found, FP2, TN)).astype(np.int8)


@dataclass(frozen=True, kw_only=True)
class Counts:
    """How many frames have each outcome; a number without a denominator is None."""

    tp: int = 0
    fp1: int = 0
    fp2: int = 0
    tn: int = 0
    fn: int = 0

    @staticmethod
    def of(outcomes: np.ndarray) -> Counts:
        """Of outcomes [N]."""
        tp, fp1, fp2, tn, fn = np.bincount(outcomes, minlength=len(OUTCOMES)).tolist()
        return Counts(tp=tp, fp1=fp1, fp2=fp2, tn=tn, fn=fn)

    def __add__(self, other: Counts) -> Counts:
        """Both together."""
        return Counts(**{name: value + getattr(other, name) for name, value in vars(self).items()})

    @property
    def frames(self) -> int:
        """All."""
        return self.tp + self.fp1 + self.fp2 + self.tn + self.fn

    @property
    def visible(self) -> int:
        """Frames where the point is labelled as visible."""
        return self.tp + self.fp1 + self.fn

    def values(self) -> dict[str, float]:
        """f1, precision, recall, hit_rate and accuracy; f1 and hit_rate need a visible frame."""
        parts = _parts(*(np.array([value]) for value in (self.tp, self.fp1, self.fp2, self.tn, self.fn)))
        known = {name: (above[0], below[0]) for name, (above, below) in parts.items() if _is_known(name, below, self)}
        return {name: float(above / below) for name, (above, below) in known.items()}

    def to_json(self) -> dict[str, int]:
        """By the outcomes' own names."""
        return dict(zip(OUTCOMES, (self.tp, self.fp1, self.fp2, self.tn, self.fn), strict=True))


@dataclass(frozen=True, kw_only=True)
class TrackSummary:
    """The numbers of one evaluation.

    Attributes:
        metrics: by name, see the head of this file.
        counts: of all frames.
        threshold_px: t.
        least_score: the score from which on a point counts as found.
        curve: `threshold_px`, and `f1`, `precision`, `recall` at each, None where there is none.
        resampled: what the intervals come from, in words.
        per_image: one row a frame: image_id, clip, frame, error_px, visible, score, outcome.
        table: what each frame adds to each metric.
    """

    metrics: dict[str, Interval]
    counts: Counts
    threshold_px: float
    least_score: float
    curve: dict[str, list[float | None]]
    resampled: str
    per_image: list[dict[str, Any]]
    table: PictureTable

    def to_json(self) -> dict[str, Any]:
        """Plain values; tables of frames have files of their own."""
        return {
            "metrics": {name: found.to_json() for name, found in self.metrics.items()},
            "outcomes": self.counts.to_json(),
            "threshold_px": self.threshold_px,
            "visible_threshold": self.least_score,
            "f1_curve": self.curve,
            "resampled": self.resampled,
            "images": len(self.per_image),
        }


def quick_tracks(frames: TrackFrames, *, threshold_px: float, least_score: float) -> dict[str, float]:
    """The metrics of `summarise_tracks` without intervals, and `f1_wide`, for use after each epoch.

    `f1_wide` is the mean of F1 at t, 2 t, 4 t, ... 64 t with weights that halve each time. Early in a training no
    point is within t and F1 stays 0; this one tells better from worse there too, and half of it is F1 itself.
    """
    outcomes = frames.outcomes(threshold_px=threshold_px, least_score=least_score)
    sums = _sums(frames, outcomes)
    values = {name: float(statistic(per_frame.sum(axis=0))) for name, (per_frame, statistic) in sums.items()}
    if (error := frames.error_px[frames.measured]).size:
        values["median_error_px"] = float(np.median(error))
    if "f1" in values:
        weights = 0.5 ** np.arange(_WIDE_DOUBLINGS)
        reached = [
            Counts.of(frames.outcomes(threshold_px=threshold_px * 2**k, least_score=least_score)).values()["f1"]
            for k in range(_WIDE_DOUBLINGS)
        ]
        values["f1_wide"] = float(weights @ np.array(reached) / weights.sum())
    return values


def summarise_tracks(
    frames: TrackFrames, *, threshold_px: float, least_score: float, level: float = 0.95, seed: int = 0
) -> TrackSummary:
    """All numbers with their intervals, and the tables behind them.

    Args:
        frames: truth and predictions.
        threshold_px: t, the distance allowed.
        least_score: the visibility score from which on a point counts as found.
        level: the share of repetitions that each interval should cover.
        seed: equal seeds give equal intervals.
    """
    assert threshold_px > 0, threshold_px
    outcomes = frames.outcomes(threshold_px=threshold_px, least_score=least_score)
    sums = _sums(frames, outcomes)
    units, resampled = resampled_units(frames.clips, frames.numbers)
    metrics = intervals(sums, level=level, seed=seed, groups=units)
    measured = frames.measured
    pooled = None
    if measured.any():
        errors, rows = frames.error_px[measured], np.flatnonzero(measured)
        pooled = Pooled(values=errors, picture=rows, shares={"median_error_px": 0.5})
        (median,) = quantile_intervals(errors, units=units[measured], quantiles=(0.5,), level=level, seed=seed)
        brier = metrics.pop("brier")
        metrics |= {"median_error_px": median, "brier": brier}
    kinds = {statistic: name for name, statistic in KINDS.items()}
    kept = {name: (per_frame, kinds[statistic]) for name, (per_frame, statistic) in sums.items()}
    return TrackSummary(
        metrics=metrics,
        counts=Counts.of(outcomes),
        threshold_px=threshold_px,
        least_score=least_score,
        curve=_curve(frames, threshold_px=threshold_px, least_score=least_score),
        resampled=resampled,
        per_image=_per_image(frames, outcomes),
        table=PictureTable(image_ids=frames.image_ids, units=units, sums=kept, pooled=pooled),
    )


def _parts(
    tp: np.ndarray, fp1: np.ndarray, fp2: np.ndarray, tn: np.ndarray, fn: np.ndarray
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Numerator and denominator of each number that comes from outcomes; the one place that defines them."""
    return {
        "f1": (2 * tp, 2 * tp + fp1 + fp2 + fn),
        "precision": (tp, tp + fp1 + fp2),
        "recall": (tp, tp + fn),
        "hit_rate": (tp, tp + fp1 + fn),
        "accuracy": (tp + tn, tp + fp1 + fp2 + tn + fn),
    }


def _is_known(name: str, below: np.ndarray, counts: Counts) -> bool:
    """Where nothing is visible false alarms alone would make an F1 of 0; there is none."""
    return below.sum() > 0 and (name != "f1" or counts.visible > 0)


def _sums(frames: TrackFrames, outcomes: np.ndarray) -> Mapping[str, tuple[np.ndarray, Statistic]]:
    """For each metric what a frame adds to its sums, [N, 2], and how the sums become the metric."""
    counts = Counts.of(outcomes)
    parts = _parts(*((outcomes == outcome).astype(np.float64) for outcome in range(len(OUTCOMES))))
    sums: dict[str, tuple[np.ndarray, Statistic]] = {
        name: (np.column_stack([above, below]), ratio)
        for name, (above, below) in parts.items()
        if _is_known(name, below, counts)
    }
    error, measured = frames.error_px, frames.measured
    if measured.any():
        sums["mean_error_px"] = (np.column_stack([error, measured]), ratio)
        sums["rmse_px"] = (np.column_stack([error**2, measured]), root_ratio)
    sums["brier"] = (np.column_stack([(frames.score - frames.visible) ** 2, np.ones(len(frames))]), ratio)
    return sums


def _curve(frames: TrackFrames, *, threshold_px: float, least_score: float) -> dict[str, list[float | None]]:
    steps = np.linspace(0.0, _CURVE_REACH * threshold_px, _CURVE_STEPS + 1)[1:]
    reached = [Counts.of(frames.outcomes(threshold_px=t, least_score=least_score)).values() for t in steps]
    curve: dict[str, list[float | None]] = {"threshold_px": [round(float(t), 6) for t in steps]}
    for name in ("f1", "precision", "recall"):
        curve[name] = [None if (value := row.get(name)) is None else round(value, 6) for row in reached]
    return curve


def _per_image(frames: TrackFrames, outcomes: np.ndarray) -> list[dict[str, Any]]:
    error, measured = frames.error_px, frames.measured
    return [
        {
            "image_id": frames.image_ids[row],
            "clip": frames.clips[row],
            "frame": int(frames.numbers[row]),
            "error_px": round(float(error[row]), 4) if measured[row] else None,
            "visible": bool(frames.visible[row]),
            "score": round(float(frames.score[row]), 6),
            "outcome": OUTCOMES[outcomes[row]],
        }
        for row in range(len(frames))
    ]
