"""How far predicted points are from the truth: errors, named numbers, tables, curve.

Only visible points count; what is predicted for the others is never looked at.

    mean_error_px      mean Euclidean distance over all visible points of all pictures, pooled
                       (what DeepLabCut prints under the name RMSE)
    median_error_px    the median of those distances
    p95_error_px       their 95th percentile
    rmse_px            square root of the mean SQUARED Euclidean distance over all visible points.
                       The root mean square over single coordinates (Kaggle's facial keypoints
                       RMSE) is this divided by the square root of 2
    mean_abs_error_px  mean |dx| and |dy| over all coordinates of all visible points
    nme_NAME           mean over pictures of the mean distance of a picture's visible points
                       divided by the picture's length NAME (normalisers.py); a fraction
    pck_T              share of visible points whose distance is at most T x the main length
    auc_T              area under the share of pictures with a main NME up to t, for t from 0 to
                       T, divided by T: exact, not sampled
    failure_rate_T     share of pictures whose main NME is above T

The main length is the first that the pictures have of: interocular, box, diagonal, label_box,
image; `normaliser` names it. Pictures where it cannot be measured are left out of everything
that is divided by it, and counted.
In: predictions and truth in pixels of the original files. Out: `PointErrors`, `Summary`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from sightline.errors import UserError
from sightline.geometry import Box
from sightline.metrics.bootstrap import Interval, Statistic, intervals, quantile_intervals, ratio, root_ratio
from sightline.metrics.normalisers import Normaliser, normalisers, outer_eye_corners
from sightline.metrics.picture_table import KINDS, PictureTable, Pooled
from sightline.records import Skeleton

PCK_THRESHOLDS = (0.05, 0.1, 0.2)
CURVE_LIMIT = 0.08

_MAIN_NORMALISERS = ("interocular", "box", "diagonal", "label_box", "image")
_QUANTILES = {"median_error_px": 0.5, "p95_error_px": 0.95}
_CURVE_STEPS = 80


@dataclass(frozen=True, kw_only=True, eq=False)
class PointErrors:
    """The error of each point of each picture, and the lengths to divide it by.

    Attributes:
        skeleton: of K points.
        image_ids: of N pictures.
        units: [N] int, pictures with equal entries are resampled together.
        visible: [N, K] bool.
        error_px: [N, K] Euclidean distance, 0 where not visible.
        abs_error_px: [N, K] mean of |dx| and |dy|, 0 where not visible.
        lengths: by name; only those that at least one picture with a visible point has.
    """

    skeleton: Skeleton
    image_ids: tuple[str, ...]
    units: np.ndarray
    visible: np.ndarray
    error_px: np.ndarray
    abs_error_px: np.ndarray
    lengths: Mapping[str, Normaliser]

    def __len__(self) -> int:
        """Number of pictures, N."""
        return len(self.image_ids)

    @property
    def count(self) -> np.ndarray:
        """Visible points of each picture, [N]."""
        return self.visible.sum(axis=1)

    @property
    def mean_px(self) -> np.ndarray:
        """Mean error of each picture's visible points, [N]; 0 where none is visible."""
        return self.error_px.sum(axis=1) / np.maximum(self.count, 1)

    @property
    def normaliser(self) -> str | None:
        """The name of the main length, or None where the pictures have none."""
        return next((name for name in _MAIN_NORMALISERS if name in self.lengths), None)

    def nme(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """The normalised error of each picture [N], 0 where it has none, and which have one [N] bool."""
        length = self.lengths[name]
        return np.where(length.valid, self.mean_px / length.length_px, 0.0), length.valid


@dataclass(frozen=True, kw_only=True)
class Summary:
    """The numbers of one evaluation.

    Attributes:
        metrics: by name, see the head of this file.
        per_point: for each point: name, mean_error_px, nme, count; None where it is never visible.
        per_image: for each picture: image_id, nme (by the main length), mean_error_px,
            max_error_px, visible (how many points), worst_point; None where nothing is visible.
        error_curve: thresholds, fraction (of pictures with an error up to it), unit (the name of
            the main length, or "px" where there is none).
        normaliser: the name of the main length, or "none".
        images: how many pictures there are.
        excluded: how many of them are not in what is divided by the main length.
        excluded_by: the same for each length.
        table: what each picture adds to each metric.
    """

    metrics: dict[str, Interval]
    per_point: list[dict[str, Any]]
    per_image: list[dict[str, Any]]
    error_curve: dict[str, Any]
    normaliser: str
    images: int
    excluded: int
    excluded_by: dict[str, int]
    table: PictureTable

    def to_json(self) -> dict[str, Any]:
        """Plain values for `evaluate --json`; the table of pictures is left to its own file."""
        return {
            "metrics": {name: found.to_json() for name, found in self.metrics.items()},
            "per_point": self.per_point,
            "error_curve": self.error_curve,
            "normaliser": self.normaliser,
            "images": self.images,
            "excluded": self.excluded,
            "excluded_by": self.excluded_by,
        }


def main_metric(skeleton: Skeleton) -> str:
    """The metric that picks the best checkpoint; smaller is better.

    `nme_interocular` where the skeleton has outer eye corners. No picture need have both visible,
    and then `quick` has no such number: whoever picks by it must check.
    """
    return "mean_error_px" if outer_eye_corners(skeleton) is None else "nme_interocular"


def point_errors(
    predicted_xy: np.ndarray,
    truth_xy: np.ndarray,
    visible: np.ndarray,
    *,
    skeleton: Skeleton,
    image_ids: Sequence[str],
    groups: Sequence[str | None] | None = None,
    boxes: Sequence[Box | None] | None = None,
    sizes_hw: Sequence[tuple[int, int] | None] | None = None,
) -> PointErrors:
    """Compare predictions with the truth, both in pixels of the original files.

    Args:
        predicted_xy: [N, K, 2].
        truth_xy: [N, K, 2].
        visible: [N, K] bool; nothing is asked of either where it is False.
        skeleton: of K points.
        image_ids: [N]. Rows with equal ids are objects of one picture and resampled together.
        groups: [N], identities or clips, to resample together; None for a picture on its own.
        boxes: the label file's boxes, which give `nme_label_box`.
        sizes_hw: (height, width) of the pictures, which give `nme_image`.

    Raises:
        UserError: there are no pictures or no visible points, the model and the data differ in
            the number of points, or a prediction that counts is not a finite number.
    """
    if len(truth_xy) == 0:
        raise UserError("There are 0 pictures to evaluate; at least 1 is needed. Choose another split or data folder.")
    if predicted_xy.shape[1:] != truth_xy.shape[1:]:
        raise UserError(
            f"The predictions have {predicted_xy.shape[1]} points, the labels have {truth_xy.shape[1]}; both must "
            "have the same. Evaluate on data with the points that the model was trained on."
        )
    shape = (len(image_ids), len(skeleton))
    assert predicted_xy.shape == truth_xy.shape == (*shape, 2), (predicted_xy.shape, truth_xy.shape, shape)
    assert visible.shape == shape, (visible.shape, shape)
    assert visible.dtype == bool, visible.dtype
    assert groups is None or len(groups) == len(image_ids), (len(groups), len(image_ids))
    if not visible.any():
        raise UserError(
            f"None of the {len(truth_xy)} pictures has a visible point; errors need at least one. "
            "Check the visibility column of the labels."
        )
    # In float64, and with zeros for what is not visible, so that garbage there cannot leak.
    truth = np.where(visible[..., None], truth_xy, 0.0).astype(np.float64)
    away = np.where(visible[..., None], predicted_xy, 0.0).astype(np.float64) - truth
    _refuse_what_is_not_finite(away, skeleton=skeleton, image_ids=image_ids)
    found = normalisers(truth, visible, skeleton=skeleton, boxes=boxes, sizes_hw=sizes_hw)
    seen = visible.any(axis=1)
    lengths = {
        name: Normaliser(length_px=length.length_px, valid=length.valid & seen)
        for name, length in found.items()
        if (length.valid & seen).any()
    }
    return PointErrors(
        skeleton=skeleton,
        image_ids=tuple(image_ids),
        units=_number_units(image_ids, groups=groups),
        visible=visible,
        error_px=np.hypot(away[..., 0], away[..., 1]),
        abs_error_px=np.abs(away).mean(axis=-1),
        lengths=lengths,
    )


def quick(
    errors: PointErrors,
    *,
    pck_thresholds: Sequence[float] = PCK_THRESHOLDS,
    curve_limit: float = CURVE_LIMIT,
) -> dict[str, float]:
    """The metrics of `summarise` without intervals or tables, for use after each epoch.

    A metric that no picture can give (its length is measurable in none) is not there.
    """
    sums = _sums(errors, pck_thresholds=pck_thresholds, curve_limit=curve_limit)
    pooled = errors.error_px[errors.visible]
    values = {name: float(statistic(per_image.sum(axis=0))) for name, (per_image, statistic) in sums.items()}
    return values | {name: float(np.quantile(pooled, q)) for name, q in _QUANTILES.items()}


def summarise(
    errors: PointErrors,
    *,
    pck_thresholds: Sequence[float] = PCK_THRESHOLDS,
    curve_limit: float = CURVE_LIMIT,
    level: float = 0.95,
    seed: int = 0,
) -> Summary:
    """All numbers with their intervals, and the tables behind them.

    Args:
        errors: what `point_errors` gives.
        pck_thresholds: the T of each `pck_T`, in main lengths.
        curve_limit: the T of `auc_T` and `failure_rate_T`, in main lengths.
        level: the share of repetitions that each interval should cover.
        seed: equal seeds give equal intervals.
    """
    sums = _sums(errors, pck_thresholds=pck_thresholds, curve_limit=curve_limit)
    metrics = intervals(sums, level=level, seed=seed, groups=errors.units)
    rows, _ = np.nonzero(errors.visible)
    pooled = Pooled(values=errors.error_px[errors.visible], picture=rows, shares=_QUANTILES)
    quantiles = quantile_intervals(
        pooled.values,
        units=errors.units[rows],
        quantiles=tuple(_QUANTILES.values()),
        level=level,
        seed=seed,
    )
    excluded_by = {name: int((~length.valid).sum()) for name, length in errors.lengths.items()}
    main = errors.normaliser
    return Summary(
        metrics=metrics | dict(zip(_QUANTILES, quantiles, strict=True)),
        per_point=_per_point(errors),
        per_image=_per_image(errors),
        error_curve=_error_curve(errors, curve_limit=curve_limit),
        normaliser=main or "none",
        images=len(errors),
        excluded=excluded_by[main] if main else len(errors),
        excluded_by=excluded_by,
        table=PictureTable(image_ids=errors.image_ids, units=errors.units, sums=_kept(sums), pooled=pooled),
    )


def _number_units(image_ids: Sequence[str], *, groups: Sequence[str | None] | None) -> np.ndarray:
    """A number for each picture, [N]: that of its group, or of its own name where it has none."""
    named = groups if groups is not None else [None] * len(image_ids)
    # Pairs, since a group may be called as a picture is; sorted, so that the order of pictures is of no matter.
    keys = [
        (group is None, image_id if group is None else group) for group, image_id in zip(named, image_ids, strict=True)
    ]
    number = {key: index for index, key in enumerate(sorted(set(keys)))}
    return np.array([number[key] for key in keys])


def _refuse_what_is_not_finite(away: np.ndarray, *, skeleton: Skeleton, image_ids: Sequence[str]) -> None:
    broken = np.argwhere(~np.isfinite(away).all(axis=-1))
    if len(broken):
        row, point = broken[0]
        raise UserError(
            f"{len(broken)} predicted points are not finite numbers, the first is '{skeleton.names[point]}' of "
            f"{image_ids[row]}; all must be finite. The training has probably diverged: lower the learning rate."
        )


def _sums(
    errors: PointErrors, *, pck_thresholds: Sequence[float], curve_limit: float
) -> dict[str, tuple[np.ndarray, Statistic]]:
    """For each metric what a picture adds to its sums, [N, 2], and how the sums become the metric."""
    assert min((curve_limit, *pck_thresholds)) > 0, (curve_limit, pck_thresholds)
    count, error = errors.count, errors.error_px
    sums: dict[str, tuple[np.ndarray, Statistic]] = {}
    for name in errors.lengths:
        sums[f"nme_{name}"] = (np.column_stack(errors.nme(name)), ratio)
    sums["mean_error_px"] = (np.column_stack([error.sum(axis=1), count]), ratio)
    sums["rmse_px"] = (np.column_stack([(error**2).sum(axis=1), count]), root_ratio)
    sums["mean_abs_error_px"] = (np.column_stack([errors.abs_error_px.sum(axis=1), count]), ratio)
    if (main := errors.normaliser) is not None:
        nme, valid = errors.nme(main)
        counted = errors.visible & valid[:, None]
        for threshold in pck_thresholds:
            hit = counted & (error <= threshold * errors.lengths[main].length_px[:, None])
            sums[f"pck_{threshold:g}"] = (np.column_stack([hit.sum(axis=1), counted.sum(axis=1)]), ratio)
        # The area under the step from 0 to 1 at x, up to T, is T - x where x is below T.
        area = np.where(valid, np.maximum(0.0, 1 - nme / curve_limit), 0.0)
        sums[f"auc_{curve_limit:g}"] = (np.column_stack([area, valid]), ratio)
        sums[f"failure_rate_{curve_limit:g}"] = (np.column_stack([valid & (nme > curve_limit), valid]), ratio)
    return sums


def _kept(sums: Mapping[str, tuple[np.ndarray, Statistic]]) -> dict[str, tuple[np.ndarray, str]]:
    """The same with the statistics by their names."""
    names = {statistic: name for name, statistic in KINDS.items()}
    return {metric: (per_image, names[statistic]) for metric, (per_image, statistic) in sums.items()}


def _per_point(errors: PointErrors) -> list[dict[str, Any]]:
    main = errors.normaliser
    count = errors.visible.sum(axis=0)
    mean_px = errors.error_px.sum(axis=0) / np.maximum(count, 1)
    counted, nme = np.zeros_like(count), np.zeros(len(count))
    if main is not None:
        length = errors.lengths[main]
        counted = (errors.visible & length.valid[:, None]).sum(axis=0)
        scaled = np.where(length.valid[:, None], errors.error_px / length.length_px[:, None], 0.0)
        nme = scaled.sum(axis=0) / np.maximum(counted, 1)
    return [
        {
            "name": name,
            "mean_error_px": float(mean_px[point]) if count[point] else None,
            "nme": float(nme[point]) if counted[point] else None,
            "count": int(count[point]),
        }
        for point, name in enumerate(errors.skeleton.names)
    ]


def _per_image(errors: PointErrors) -> list[dict[str, Any]]:
    main = errors.normaliser
    nme, has_nme = errors.nme(main) if main is not None else (np.zeros(len(errors)), np.zeros(len(errors), dtype=bool))
    mean_px, count = errors.mean_px, errors.count
    worst = np.where(errors.visible, errors.error_px, -1.0).argmax(axis=1)
    return [
        {
            "image_id": image_id,
            "nme": float(nme[row]) if has_nme[row] else None,
            "mean_error_px": float(mean_px[row]) if count[row] else None,
            "max_error_px": float(errors.error_px[row, worst[row]]) if count[row] else None,
            "visible": int(count[row]),
            "worst_point": errors.skeleton.names[worst[row]] if count[row] else None,
        }
        for row, image_id in enumerate(errors.image_ids)
    ]


def _error_curve(errors: PointErrors, *, curve_limit: float) -> dict[str, Any]:
    """Cumulative share of pictures over their error."""
    main = errors.normaliser
    if main is not None:
        nme, valid = errors.nme(main)
        values, limit = np.sort(nme[valid]), curve_limit
    else:
        values = np.sort(errors.mean_px[errors.count > 0])
        limit = float(max(1, math.ceil(np.quantile(values, 0.95))))
    thresholds = np.linspace(0.0, limit, _CURVE_STEPS + 1)
    fraction = np.searchsorted(values, thresholds, side="right") / len(values)
    return {"thresholds": thresholds.tolist(), "fraction": fraction.tolist(), "unit": main or "px"}
