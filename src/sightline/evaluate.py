"""Score a model on records: every metric with its interval, per-image table, error budget, pictures to look at.

Errors are measured in pixels of the original files against the labels themselves, also for points that
the crop cut off. Next: train.py
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sightline.checkpoint import RunFolder, write_json
from sightline.codecs.protocol import Codec
from sightline.config import Experiment
from sightline.files import atomic_path, write_atomically
from sightline.geometry import apply_affines
from sightline.infer import Predicted, invert, predict_loader
from sightline.loader import Pictures, PlainSamples, collate, plain_loader
from sightline.metrics.points import PointErrors, Summary, point_errors, quick, summarise
from sightline.model import Locator
from sightline.records import Record
from sightline.transforms import Framing
from sightline.types import Batch, Raw, RawAxes, RawCoords, RawHeatmaps

SHOWN = 3  # pictures from each of worst, median and best whose heatmaps are kept for the report
NOISE = 0.05  # of the raw output's own scale, for the decoder's error under noise


def validate(
    model: Locator,
    codec: Codec,
    loader: Iterable[Batch],
    records: Sequence[Record],
    *,
    framing: Framing,
    experiment: Experiment,
    device: str,
) -> dict[str, float]:
    """Loss and metrics without intervals, for use after each epoch."""
    predicted = predict_loader(model, codec, loader, device=device, twins=_twins(experiment))
    errors = errors_of(predicted.xy, records, framing=framing)
    return {"loss": predicted.loss, **quick(errors, pck_thresholds=experiment.evaluate.pck)}


@dataclass(frozen=True, kw_only=True, eq=False)
class Evaluation:
    """What one evaluation found; `write` puts it into a run folder."""

    records: tuple[Record, ...]
    predicted: Predicted
    summary: Summary
    budget: dict[str, float]
    mean_shape: list[list[float]]
    heatmaps: dict[str, np.ndarray]
    crop: str


def evaluate(
    model: Locator, codec: Codec, records: Sequence[Record], *, experiment: Experiment, device: str
) -> Evaluation:
    """Score a model on scanned records.

    Raises:
        UserError: no records, no visible points, or predictions that are not finite.
    """
    framing = Framing(data=experiment.data, skeleton=experiment.skeleton.skeleton())
    samples = PlainSamples(Pictures(records, experiment.data), framing=framing, evaluate=experiment.evaluate)
    loader = plain_loader(samples, batch=experiment.evaluate.batch, workers=0)
    predicted = predict_loader(model, codec, loader, device=device, twins=_twins(experiment))
    errors = errors_of(predicted.xy, records, framing=framing)
    summary = summarise(errors, pck_thresholds=experiment.evaluate.pck)
    jitter = f", jittered by {experiment.evaluate.jitter:g}" if experiment.data.crop != "image" else ""
    return Evaluation(
        records=tuple(records),
        predicted=predicted,
        summary=summary,
        budget=error_budget(codec, loader, records, mean_error_px=float(summary.metrics["mean_error_px"].value or 0.0)),
        mean_shape=_mean_shape(errors, records),
        heatmaps=_heatmaps(model, samples, _to_show(errors), device=device),
        crop=f"{experiment.data.crop}{jitter}",
    )


def errors_of(predicted_xy: np.ndarray, records: Sequence[Record], *, framing: Framing) -> PointErrors:
    """Compare predictions in original pixels with the labels."""
    groups = [r.group for r in records]
    # Pictures of one clip or person are resampled together; where all are of one, only pictures are left.
    one_group = None not in groups and len(set(groups)) == 1
    return point_errors(
        predicted_xy,
        np.stack([r.points_xy for r in records]),
        np.stack([r.visible for r in records]),
        skeleton=framing.skeleton,
        image_ids=[r.image_id for r in records],
        groups=None if one_group else groups,
        boxes=[r.box_xyxy for r in records],
    )


def error_budget(
    codec: Codec, loader: Iterable[Batch], records: Sequence[Record], *, mean_error_px: float
) -> dict[str, float]:
    """Where the error comes from, in original pixels, over the first batches.

    codec_px: encode the truth, decode the flawless output: what the codec itself costs.
    decoder_noise_px: the same with noise of 5 % of the output's scale added: what the decoder makes of noise.
    decoder_bias_px: length of the mean of those errors: where it leans to.
    network_px: what is left of the mean error for the network.
    """
    generator = torch.Generator().manual_seed(0)
    clean, noisy = [], []
    for batch in loader:
        keep = batch.visible
        if not keep.any():
            continue
        raw = codec.perfect(codec.encode(batch.points_xy, keep))
        back = invert(batch.to_input)
        truth = apply_affines(back, batch.points_xy)
        away = apply_affines(back, codec.decode(raw).xy) - truth
        shaken = apply_affines(back, codec.decode(_with_noise(raw, generator)).xy) - truth
        clean.append(away[keep])
        noisy.append(shaken[keep])
    if not clean:
        return {}
    codec_px = float(torch.cat(clean).norm(dim=-1).mean())
    return {
        "codec_px": codec_px,
        "decoder_noise_px": float(torch.cat(noisy).norm(dim=-1).mean()),
        "decoder_bias_px": float(torch.cat(noisy).mean(dim=0).norm()),
        "network_px": max(0.0, mean_error_px - codec_px),
    }


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


def write(evaluation: Evaluation, folder: RunFolder, *, context: dict[str, Any], model: nn.Module) -> None:
    """Write metrics, per-image table, predictions and heatmaps below the run folder."""
    summary = evaluation.summary
    extra = {"budget": evaluation.budget, "mean_shape": evaluation.mean_shape, "crop": evaluation.crop}
    write_json(folder.evaluation / "metrics.json", {**summary.to_json(), **extra, **context})
    write_atomically(folder.evaluation / "per_image.csv", _table(summary.per_image))
    write_json(folder.evaluation / "predictions.json", predictions_json(evaluation))
    if evaluation.heatmaps:
        with atomic_path(folder.evaluation / "heatmaps.npz") as aside:
            np.savez_compressed(aside, **evaluation.heatmaps)  # type: ignore[arg-type]
    filters = first_filters(model)
    if filters is not None:
        with atomic_path(folder.evaluation / "filters.npz") as aside:
            np.savez_compressed(aside, filters=filters)


def predictions_json(evaluation: Evaluation) -> list[dict[str, Any]]:
    """One entry a picture: truth, prediction, score, error."""
    rows = zip(
        evaluation.records,
        evaluation.predicted.xy,
        evaluation.predicted.score,
        evaluation.summary.per_image,
        strict=True,
    )
    return [
        {
            "image_id": record.image_id,
            "path": str(record.path.resolve()),
            "size_hw": record.size_hw,
            "points_xy": record.points_xy.round(3).tolist(),
            "visible": record.visible.tolist(),
            "predicted_xy": xy.round(3).tolist(),
            "score": score.astype(float).round(4).tolist(),
            "box_xyxy": record.box_xyxy,
            # One unit for all: a picture without the main length has no error here, not one in pixels.
            "error": row["mean_error_px"] if evaluation.summary.normaliser == "none" else row["nme"],
        }
        for record, xy, score, row in rows
    ]


def _table(rows: Sequence[dict[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _twins(experiment: Experiment) -> tuple[int, ...] | None:
    return experiment.skeleton.skeleton().flip_index if experiment.evaluate.flip_average else None


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
    raw = model.eval()(batch.images.to(device))
    if not isinstance(raw, RawHeatmaps):
        return {}
    maps = raw.logits.float().cpu()
    low, high = maps.amin(dim=(2, 3), keepdim=True), maps.amax(dim=(2, 3), keepdim=True)
    shown = ((maps - low) / (high - low).clamp_min(1e-9) * 255).byte().numpy()
    ids = np.array([samples.pictures.records[row].image_id for row in rows])
    return {"image_ids": ids, "maps": shown, "inputs": batch.images.permute(0, 2, 3, 1).contiguous().numpy()}


def first_filters(model: nn.Module) -> np.ndarray | None:
    """Weights of the first convolution, [out, in, kh, kw] float32; None where there is none."""
    convolution = next((m for m in model.modules() if isinstance(m, nn.Conv2d)), None)
    return None if convolution is None else convolution.weight.detach().float().cpu().numpy()


def _mean_shape(errors: PointErrors, records: Sequence[Record]) -> list[list[float]]:
    """Mean of the points in their own boxes, scaled to 0..1 (y down); 0.5 where a point is never visible."""
    total, count = np.zeros((len(errors.skeleton), 2)), np.zeros((len(errors.skeleton), 1))
    for record in records:
        shown = record.points_xy[record.visible]
        if len(shown) < 2:
            continue
        low, side = shown.min(axis=0), max(float(np.ptp(shown, axis=0).max()), 1e-9)
        total += np.where(record.visible[:, None], (record.points_xy - low) / side, 0.0)
        count += record.visible[:, None]
    return np.where(count > 0, total / np.maximum(count, 1), 0.5).round(4).tolist()
