"""Scoring named points: errors in pixels, error budget, mean shape, heatmaps of telling pictures.

Next: one_box.py
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from sightline.codecs.protocol import Codec
from sightline.config import Experiment
from sightline.errors import UserError
from sightline.evaluate.scoring import Evaluation, Row
from sightline.geometry import apply_affines
from sightline.infer import Found, Inferred, invert
from sightline.loader import PlainSamples, collate, plain_loader
from sightline.metrics.points import PointErrors, Summary, main_metric, point_errors, quick, summarise
from sightline.model import Locator
from sightline.records import FoundPoints, Record, Skeleton
from sightline.types import Batch, Points, Raw, RawAxes, RawCoords, RawHeatmaps

SHOWN = 3  # pictures from each of worst, median and best whose heatmaps are kept for the report
NOISE = 0.05  # of the raw output's own scale, for the decoder's error under noise


class PointsScoring:
    """Points against labelled points."""

    less_is_better = True

    def __init__(self, experiment: Experiment, thresholds: Mapping[str, float]) -> None:
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
        """Metrics, budget, shapes and heatmaps."""
        experiment, records = self.experiment, samples.pictures.records
        errors = self._errors(inferred.found, records)
        summary = summarise(errors, pck_thresholds=experiment.evaluate.pck)
        loader = plain_loader(samples, batch=experiment.evaluate.batch, workers=0)
        mean_error_px = float(summary.metrics["mean_error_px"].value or 0.0)
        jitter = f", jittered by {experiment.evaluate.jitter:g}" if experiment.data.crop != "image" else ""
        heatmaps = _heatmaps(model, samples, _to_show(errors), device=device)
        details = summary.to_json()
        del details["metrics"], details["images"]
        return Evaluation(
            task="points",
            crop=f"{experiment.data.crop}{jitter}",
            metrics=summary.metrics,
            details={
                **details,
                "budget": error_budget(codec, loader, mean_error_px=mean_error_px),
                "mean_shape": _mean_shape(self.skeleton, records),
            },
            per_image=summary.per_image,
            predictions=_predictions(records, inferred.found, summary),
            arrays={"heatmaps": heatmaps} if heatmaps else {},
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


def error_budget(codec: Codec, loader: Iterable[Batch], *, mean_error_px: float) -> dict[str, float]:
    """Where the error comes from, in original pixels.

    codec_px: encode the truth, decode the flawless output: what the codec itself costs.
    decoder_noise_px: the same with noise of 5 % of the output's scale added: what the decoder makes of noise.
    decoder_bias_px: length of the mean of those errors: where it leans to.
    network_px: what is left of the mean error for the network.
    """
    generator = torch.Generator().manual_seed(0)
    clean, noisy = [], []
    for batch in loader:
        keep = batch.truth.visible
        if not keep.any():
            continue
        raw = codec.perfect(codec.encode(batch.truth))
        back = invert(batch.to_input)
        truth = apply_affines(back, batch.truth.points_xy)
        clean.append((apply_affines(back, _decoded_xy(codec, raw)) - truth)[keep])
        noisy.append((apply_affines(back, _decoded_xy(codec, _with_noise(raw, generator))) - truth)[keep])
    if not clean:
        return {}
    codec_px = float(torch.cat(clean).norm(dim=-1).mean())
    return {
        "codec_px": codec_px,
        "decoder_noise_px": float(torch.cat(noisy).norm(dim=-1).mean()),
        "decoder_bias_px": float(torch.cat(noisy).mean(dim=0).norm()),
        "network_px": max(0.0, mean_error_px - codec_px),
    }


def _decoded_xy(codec: Codec, raw: Raw) -> Tensor:
    points = codec.decode(raw)
    assert isinstance(points, Points)
    return points.xy


def _with_noise(raw: Raw, generator: torch.Generator) -> Raw:
    """Gaussian noise of NOISE times the spread between the highest and the median value."""

    def shaken(values: Tensor) -> Tensor:
        flat = values.flatten(2)
        spread = (flat.amax(dim=2) - flat.median(dim=2).values).clamp(max=10.0)
        scale = NOISE * spread.view(*values.shape[:2], *([1] * (values.ndim - 2)))
        return values + scale * torch.randn(values.shape, generator=generator)

    if isinstance(raw, RawHeatmaps):
        return RawHeatmaps(logits=shaken(raw.logits))
    if isinstance(raw, RawAxes):
        return RawAxes(x=shaken(raw.x), y=shaken(raw.y))
    assert isinstance(raw, RawCoords)
    return raw  # plain coordinates have no decoder that noise could mislead


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


@torch.no_grad()
def _heatmaps(model: Locator, samples: PlainSamples, rows: Sequence[int], *, device: str) -> dict[str, np.ndarray]:
    """Maps of some pictures as 0..255, with the input that they belong to; empty where the model has no maps."""
    batch = collate([samples[row] for row in rows])
    raw = model.eval()(*batch.to(device).seen)
    if not isinstance(raw, RawHeatmaps):
        return {}
    maps = raw.logits.float().cpu()
    low, high = maps.amin(dim=(2, 3), keepdim=True), maps.amax(dim=(2, 3), keepdim=True)
    shown = ((maps - low) / (high - low).clamp_min(1e-9) * 255).byte().numpy()
    ids = np.array([samples.pictures.records[row].image_id for row in rows])
    return {"image_ids": ids, "maps": shown, "inputs": batch.images.permute(0, 2, 3, 1).contiguous().numpy()}


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
