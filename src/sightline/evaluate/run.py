"""Running a model over records and scoring it; writing what came out into a run folder.

Errors are measured in pixels of the original files against the labels themselves, also for points that
the crop cut off. Next: ../train.py
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from torch import nn

from sightline.checkpoint import RunFolder, write_json
from sightline.codecs.protocol import Codec
from sightline.config import Experiment
from sightline.evaluate import scoring_for
from sightline.evaluate.scoring import Evaluation, Row, Scoring
from sightline.files import atomic_path, write_atomically
from sightline.infer import Inferred, infer
from sightline.loader import Pictures, PlainSamples, plain_loader
from sightline.model import Locator
from sightline.records import Record
from sightline.transforms import Framing
from sightline.types import Batch


def validate(
    model: nn.Module,
    codec: Codec,
    loader: Iterable[Batch],
    records: Sequence[Record],
    *,
    scoring: Scoring,
    experiment: Experiment,
    device: str,
) -> dict[str, float]:
    """Loss and metrics without intervals, for use after each epoch."""
    inferred = _infer(model, codec, loader, records, experiment=experiment, device=device)
    return {"loss": inferred.loss, **scoring.quick(inferred.found, records)}


def evaluate(
    model: Locator,
    codec: Codec,
    records: Sequence[Record],
    *,
    experiment: Experiment,
    device: str,
    thresholds: Mapping[str, float] | None = None,
) -> Evaluation:
    """Score a model on scanned records.

    Raises:
        UserError: no records, nothing labelled in them, or predictions that are not finite.
    """
    scoring = scoring_for(experiment, thresholds=thresholds)
    framing = Framing.of(experiment)
    samples = PlainSamples(
        Pictures(records, experiment.data, past_frames=framing.past_frames),
        framing=framing,
        evaluate=experiment.evaluate,
    )
    loader = plain_loader(samples, batch=experiment.evaluate.batch, workers=0)
    inferred = _infer(model, codec, loader, records, experiment=experiment, device=device)
    found = scoring.evaluate(model, codec, samples, inferred, device=device)
    # What a comparison judges by, told where it needs no torch to be read.
    metric = scoring.choose({name: interval.value for name, interval in found.metrics.items()})
    return replace(found, details={**found.details, "metric": metric, "less_is_better": scoring.less_is_better})


def _infer(
    model: nn.Module,
    codec: Codec,
    loader: Iterable[Batch],
    records: Sequence[Record],
    *,
    experiment: Experiment,
    device: str,
) -> Inferred:
    twins = experiment.skeleton.skeleton().flip_index if experiment.evaluate.flip_average else None
    sizes = [record.size_hw or (0, 0) for record in records]
    return infer(model, codec, loader, sizes_hw=sizes, device=device, twins=twins)


def write(evaluation: Evaluation, folder: RunFolder, *, context: dict[str, Any], model: nn.Module) -> None:
    """Write metrics, per-image table, predictions and arrays below the run folder."""
    write_json(folder.evaluation / "metrics.json", {**evaluation.to_json(), **context})
    write_atomically(folder.evaluation / "per_image.csv", _table(evaluation.per_image))
    write_json(folder.evaluation / "predictions.json", evaluation.predictions)
    arrays = dict(evaluation.arrays)
    filters = first_filters(model)
    if filters is not None:
        arrays["filters"] = {"filters": filters}
    for name, values in arrays.items():
        with atomic_path(folder.evaluation / f"{name}.npz") as aside:
            np.savez_compressed(aside, **values)  # type: ignore[arg-type]


def _table(rows: Sequence[Row]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def first_filters(model: nn.Module) -> np.ndarray | None:
    """Weights of the first convolution, [out, in, kh, kw] float32; None where there is none."""
    convolution = next((m for m in model.modules() if isinstance(m, nn.Conv2d)), None)
    return None if convolution is None else convolution.weight.detach().float().cpu().numpy()
