"""An artefact's score on a data set, by the same metrics as a run's, without torch. Next: ../cli/evaluate.py.

What only the network itself can tell (error budget, heatmaps) is not there. Pictures are decoded whole.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from sightline.calibration.answers import answers_of
from sightline.calibration.told import KEY as CALIBRATED
from sightline.calibration.told import told_of_answers
from sightline.errors import UserError, unknown_name
from sightline.evaluate import SCORINGS, Evaluation
from sightline.files import atomic_path, write_atomically
from sightline.images import read_image
from sightline.readers import check_flip_order, read_dataset
from sightline.records import Dataset, Detections, FoundPoints, Record
from sightline.report.page import write_report
from sightline.runtime.artefact import Artefact
from sightline.runtime.card import Card
from sightline.scan import require_clean, scan
from sightline.settings import scalar
from sightline.splits import part
from sightline.task_data import resolve_crop, same_classes, same_points, usable
from sightline.view import base_box, jittered_box

CHANGEABLE = ("data.crop", "data.margin", "data.keep_aspect")  # and all of evaluate.*
RUN_VAL = "run-val"  # as pipeline.RUN_VAL, whose file needs torch


def evaluate_artefact(
    path: Path,
    data: Path,
    *,
    split: str | None,
    out: Path | None,
    sets: Sequence[str],
    format: str | None,
    skip_broken: bool,
) -> tuple[Evaluation, dict[str, Any]]:
    """Score an artefact on a data set; with `out` also write tables, predictions and a report there.

    Args:
        path: the artefact.
        data: a label file or the folder that holds labels and pictures.
        split: only the part that the data set itself calls so.
        out: folder for what is written.
        sets: KEY=VALUE for `evaluate.*` and `CHANGEABLE`.
        format: of the labels, where it cannot be found out.
        skip_broken: leave broken records out.

    Raises:
        UserError: no artefact, no data, other points or classes than the model's, or an unknown split or setting.
    """
    artefact = Artefact.load(path)
    if split == RUN_VAL:
        raise UserError(
            f"--split {RUN_VAL} takes the records that a run folder kept for validation, and {path} is an exported "
            "file, which does not know them. Evaluate the run itself, or a part that the data set names (--split val), "
            "or leave --split out for all records."
        )
    card = changed(artefact.card, sets)
    dataset = scan(read_dataset(data, format=format))
    swapped = check_flip_order(dataset)
    dataset = require_clean(replace(dataset, problems=(*dataset.problems, *swapped)), skip_broken=skip_broken)
    spoken = same_points(card, dataset) if card.task == "points" else same_classes(card, dataset)
    dataset = part(usable(spoken, card.task, []), split)
    card = _with_crop(card, dataset)
    found = [_look(artefact, card, record) for record in dataset.records]
    evaluation = SCORINGS[card.task](card, card.thresholds).score(found, dataset.records)
    context = {"data": str(dataset.root), "split": split or "all", "data_fingerprint": dataset.fingerprint()}
    if (calibration := card.calibration) is not None:
        answers = answers_of(found, dataset.records, measure=calibration.measure, names=calibration.names)
        told = told_of_answers(calibration, answers, fingerprint=context["data_fingerprint"])
        evaluation = replace(evaluation, details=evaluation.details | {CALIBRATED: told})
    if out is not None:
        _write(evaluation, out, card=card, context=context | {"artefact": str(path)})
    return evaluation, context


def changed(card: Card, sets: Sequence[str]) -> Card:
    """The card with other settings of scoring.

    Raises:
        UserError: a setting that is part of the model, unknown, or of a wrong value; all at once.
    """
    values = card.model_dump()
    legal = [*CHANGEABLE, *(f"evaluate.{name}" for name in type(card.evaluate).model_fields)]
    for text in sets:
        key, sign, value = (piece.strip() for piece in text.partition("="))
        if not sign or not key:
            raise UserError(f"--set {text}: expected KEY=VALUE, for example --set evaluate.jitter=0.")
        if key not in legal:
            raise unknown_name("setting of an artefact that can be changed", key, legal)
        section, _, name = key.partition(".")
        values[section][name] = scalar(value)
    try:
        return Card.model_validate(values)
    except ValidationError as error:
        told = "\n  ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
        raise UserError(f"--set has wrong values:\n  {told}") from error


def _with_crop(card: Card, dataset: Dataset) -> Card:
    """What `crop=auto` means for this data set."""
    crop = resolve_crop(card.data, dataset, card.task)
    return card.model_copy(update={"data": card.data.model_copy(update={"crop": crop})})


def _look(artefact: Artefact, card: Card, record: Record) -> FoundPoints | Detections:
    """What it finds for one record, boxes of any score; the same jitter as for a run."""
    image = read_image(record.path, channels=card.data.channels)
    area = base_box(record, (image.shape[0], image.shape[1]), card.data)
    if card.data.crop != "image" and card.evaluate.jitter:
        area = jittered_box(area, amount=card.evaluate.jitter, seed=card.evaluate.seed, image_id=record.image_id)
    return artefact.look(image, area)


def _write(evaluation: Evaluation, out: Path, *, card: Card, context: dict[str, Any]) -> None:
    """The files of a run's evaluation, by the same names, and the card in the place of the run's settings."""
    folder = out / "evaluation"
    rows = io.StringIO()
    table = csv.DictWriter(rows, fieldnames=list(evaluation.per_image[0]), lineterminator="\n")
    table.writeheader()
    table.writerows(evaluation.per_image)
    write_atomically(folder / "per_image.csv", rows.getvalue())
    write_atomically(folder / "metrics.json", _json({**evaluation.to_json(), **context}))
    write_atomically(folder / "predictions.json", _json(evaluation.predictions))
    for name, values in evaluation.arrays.items():
        with atomic_path(folder / f"{name}.npz") as aside:
            np.savez_compressed(aside, **values)  # type: ignore[arg-type]
    write_atomically(out / "card.json", card.model_dump_json(indent=1))
    write_report(out)


def _json(value: object) -> str:
    return json.dumps(value, indent=1, allow_nan=False)
