"""Scoring named points: errors in pixels and in units of the object, mean shape.

Next: point_details.py
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from sightline.errors import UserError
from sightline.evaluate.scoring import Evaluation, Row, Scored
from sightline.metrics.points import PointErrors, Summary, main_metric, point_errors, quick, summarise
from sightline.records import FoundPoints, Record, Skeleton

if TYPE_CHECKING:
    from sightline.codecs.protocol import Codec
    from sightline.infer import Found, Inferred
    from sightline.loader import PlainSamples
    from sightline.model import Locator

SHOWN = 3  # pictures from each of worst, median and best whose heatmaps are kept for the report


class PointsScoring:
    """Points against labelled points."""

    less_is_better = True

    def __init__(self, experiment: Scored, thresholds: Mapping[str, float]) -> None:
        """Score by the experiment's skeleton; points have no thresholds.

        Raises:
            UserError: `evaluate.flip_average` without mirror twins to average.
        """
        assert not thresholds, thresholds
        self.experiment = experiment
        self.skeleton = experiment.skeleton.skeleton()
        if experiment.evaluate.flip_average and len(self.skeleton) > 1 and not self.skeleton.flip_pairs:
            raise UserError(
                "evaluate.flip_average=true needs to know which points are mirror twins, and this skeleton of "
                f"{len(self.skeleton)} points names none. Set it to false, or train on data that name left and right."
            )
        self.metric = main_metric(self.skeleton)

    def choose(self, values: Mapping[str, float]) -> str:
        """Where no validation picture shows both eye corners there is no inter-ocular error to choose by."""
        return self.metric if self.metric in values else "mean_error_px"

    def quick(self, found: Sequence[Found], records: Sequence[Record]) -> dict[str, float]:
        """See `metrics.points.quick`."""
        return quick(self._errors(found, records), pck_thresholds=self.experiment.evaluate.pck)

    def evaluate(
        self, model: Locator, codec: Codec, samples: PlainSamples, inferred: Inferred, *, device: str
    ) -> Evaluation:
        """As `score`, and where the error comes from, and heatmaps of telling pictures."""
        from sightline.evaluate.point_details import error_budget, heatmaps
        from sightline.loader import plain_loader

        records = samples.pictures.records
        scored = self.score(inferred.found, records)
        rows = _to_show(self._errors(inferred.found, records))
        loader = plain_loader(samples, batch=samples.evaluate.batch, workers=0)
        mean_error_px = float(scored.metrics["mean_error_px"].value or 0.0)
        budget = error_budget(codec, loader, mean_error_px=mean_error_px)
        maps = heatmaps(model, samples, rows, device=device)
        arrays = scored.arrays | ({"heatmaps": maps} if maps else {})
        return replace(scored, details=scored.details | {"budget": budget}, arrays=arrays)

    def score(self, found: Sequence[Found], records: Sequence[Record]) -> Evaluation:
        """Metrics and shapes."""
        experiment = self.experiment
        summary = summarise(self._errors(found, records), pck_thresholds=experiment.evaluate.pck)
        jitter = f", jittered by {experiment.evaluate.jitter:g}" if experiment.data.crop != "image" else ""
        details = summary.to_json()
        del details["metrics"], details["images"]
        return Evaluation(
            task="points",
            crop=f"{experiment.data.crop}{jitter}",
            metrics=summary.metrics,
            details={**details, "mean_shape": _mean_shape(self.skeleton, records)},
            per_image=summary.per_image,
            predictions=_predictions(records, found, summary),
            arrays={"pictures": summary.table.to_arrays()},
        )

    def _errors(self, found: Sequence[Found], records: Sequence[Record]) -> PointErrors:
        """Compare predictions in original pixels with the labels."""
        groups = [r.group for r in records]
        # Pictures of one clip or person are resampled together; where all are of one, only pictures are left.
        one_group = None not in groups and len(set(groups)) == 1
        return point_errors(
            np.stack([each.points_xy for each in found if isinstance(each, FoundPoints)]),
            np.stack([r.points_xy for r in records]),
            np.stack([r.visible for r in records]),
            skeleton=self.skeleton,
            image_ids=[r.image_id for r in records],
            groups=None if one_group else groups,
            boxes=[r.box_xyxy for r in records],
        )


def _predictions(records: Sequence[Record], found: Sequence[Found], summary: Summary) -> list[Row]:
    """One entry a picture: truth, prediction, score, error."""
    rows: list[dict[str, Any]] = []
    for record, points, row in zip(records, found, summary.per_image, strict=True):
        assert isinstance(points, FoundPoints)
        rows.append(
            {
                "image_id": record.image_id,
                "path": str(record.path.resolve()),
                "size_hw": record.size_hw,
                "points_xy": record.points_xy.round(3).tolist(),
                "visible": record.visible.tolist(),
                "predicted_xy": points.points_xy.round(3).tolist(),
                "score": points.scores.round(4).tolist(),
                "box_xyxy": record.box_xyxy,
                # One unit for all: a picture without the main length has no error here, not one in pixels.
                "error": row["mean_error_px"] if summary.normaliser == "none" else row["nme"],
            }
        )
    return rows


def _to_show(errors: PointErrors) -> list[int]:
    """Rows of the worst, middle and best pictures among those with visible points."""
    rows = np.flatnonzero(errors.count > 0)
    order = rows[np.argsort(-errors.mean_px[rows])].tolist()
    middle = max(0, len(order) // 2 - SHOWN // 2)
    return list(dict.fromkeys([*order[:SHOWN], *order[middle : middle + SHOWN], *order[-SHOWN:]]))


def _mean_shape(skeleton: Skeleton, records: Sequence[Record]) -> list[list[float]]:
    """Mean of the points in their own boxes, scaled to 0..1 (y down); 0.5 where a point is never visible."""
    total, count = np.zeros((len(skeleton), 2)), np.zeros((len(skeleton), 1))
    for record in records:
        shown = record.points_xy[record.visible]
        if len(shown) < 2:
            continue
        low, side = shown.min(axis=0), max(float(np.ptp(shown, axis=0).max()), 1e-9)
        total += np.where(record.visible[:, None], (record.points_xy - low) / side, 0.0)
        count += record.visible[:, None]
    return np.where(count > 0, total / np.maximum(count, 1), 0.5).round(4).tolist()
