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

from sightline.calibration.answers import Answers, answers_of
from sightline.calibration.measure import Measure
from sightline.checkpoint import RunFolder, write_json
from sightline.codecs.protocol import Codec
from sightline.config import Experiment
from sightline.evaluate import scoring_for
from sightline.evaluate.scoring import Evaluation, Row, Scoring
from sightline.files import atomic_path, write_atomically
from sightline.infer import Found, Inferred, infer
from sightline.loader import Pictures, PlainSamples, plain_loader, shared_batches
from sightline.model import Locator
from sightline.processes import ALONE, Group
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
    group: Group = ALONE,
) -> dict[str, float]:
    """Loss and metrics without intervals, for use after each epoch; of several processes each has looked at a share.

    Args:
        model: what the loop runs.
        codec: belongs to it.
        loader: this process's part of the records, as `loader.shared_batches` divides them.
        records: all of them.
        scoring: of the task.
        experiment: resolved.
        device: where the model lies.
        group: all processes; each gets the same values.
    """
    own = _infer(model, codec, loader, records, experiment=experiment, device=device)

    def score(parts: Sequence[Inferred]) -> dict[str, float]:
        whole = _put_together(parts, records, batch=experiment.evaluate.batch)
        return {"loss": whole.loss, **scoring.quick(whole.found, records)}

    parts = group.to_leader(own)
    return group.from_leader(lambda: score(parts))


def _put_together(parts: Sequence[Inferred], records: Sequence[Record], *, batch: int) -> Inferred:
    """What all processes found, in the order of the records."""
    if len(parts) == 1:
        return parts[0]
    found: dict[int, Found] = {}
    for rank, part in enumerate(parts):
        shares = shared_batches(len(records), batch=batch, rank=rank, world=len(parts))
        found |= zip((index for share in shares for index in share), part.found, strict=True)
    weight = sum(part.weight for part in parts)
    loss = sum(part.loss * part.weight for part in parts) / weight if weight else 0.0
    return Inferred(found=[found[index] for index in range(len(records))], loss=loss, weight=weight)


def evaluate(
    model: Locator,
    codec: Codec,
    records: Sequence[Record],
    *,
    experiment: Experiment,
    device: str,
    thresholds: Mapping[str, float] | None = None,
    measure: Measure | None = None,
) -> Evaluation:
    """Score a model on scanned records.

    Args:
        model: in any mode.
        codec: belongs to it.
        records: labelled.
        experiment: the run's.
        device: where the model lies.
        thresholds: score thresholds by class that the run chose earlier.
        measure: of the run's calibration, to measure each answer by; else that of a new one.

    Raises:
        UserError: no records, nothing labelled in them, or predictions that are not finite.
    """
    scoring = scoring_for(experiment, thresholds=thresholds)
    samples, inferred = look(model, codec, records, experiment=experiment, device=device)
    found = judged(scoring.evaluate(model, codec, samples, inferred, device=device), scoring)
    if experiment.codec.finds == "track":  # a tracker has its own radius, of all of its stages together
        return found
    if experiment.evaluate.flip_average:  # which `predict` does not do, and its answers are what is calibrated
        scored = experiment.evaluate.model_copy(update={"flip_average": False})
        plain = experiment.model_copy(update={"evaluate": scored})
        _, inferred = look(model, codec, records, experiment=plain, device=device)
    return replace(found, answers=measured(inferred.found, records, experiment=experiment, measure=measure))


def measured(
    found: Sequence[Found], records: Sequence[Record], *, experiment: Experiment, measure: Measure | None = None
) -> Answers:
    """Each answer with its score and error, by the measure of a calibration or of a new one."""
    measure = measure or measure_of(experiment)
    names = experiment.skeleton.names if measure.task == "points" else experiment.classes
    return answers_of(found, records, measure=measure, names=names)


def look(
    model: Locator, codec: Codec, records: Sequence[Record], *, experiment: Experiment, device: str
) -> tuple[PlainSamples, Inferred]:
    """What a model finds in scanned records, in their order, and the samples that it saw."""
    framing = Framing.of(experiment)
    samples = PlainSamples(
        Pictures(records, experiment.data, past_frames=framing.past_frames),
        framing=framing,
        evaluate=experiment.evaluate,
    )
    loader = plain_loader(samples, batch=experiment.evaluate.batch, workers=0)
    return samples, _infer(model, codec, loader, records, experiment=experiment, device=device)


def judged(found: Evaluation, scoring: Scoring) -> Evaluation:
    """The same with what a comparison judges by, told where it needs no torch to be read."""
    metric = scoring.choose({name: interval.value for name, interval in found.metrics.items()})
    return replace(found, details={**found.details, "metric": metric, "less_is_better": scoring.less_is_better})


def measure_of(experiment: Experiment) -> Measure:
    """By what the answers of a new run are measured."""
    finds, data = experiment.codec.finds, experiment.data
    assert finds != "track"
    return Measure.of(finds, crop=data.crop, input_hw=data.input_hw, points=len(experiment.skeleton.names))


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


def write(evaluation: Evaluation, folder: RunFolder, *, context: dict[str, Any], model: nn.Module | None) -> None:
    """Write metrics, per-image table, predictions and arrays below the run folder; of no single model without one."""
    write_json(folder.evaluation / "metrics.json", {**evaluation.to_json(), **context})
    write_atomically(folder.evaluation / "per_image.csv", _table(evaluation.per_image))
    write_json(folder.evaluation / "predictions.json", evaluation.predictions)
    arrays = dict(evaluation.arrays)
    filters = None if model is None else first_filters(model)
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
