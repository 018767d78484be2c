"""The folds of one repeat put together: each picture's prediction by the network that has not seen it, scored at once.

Metrics of all pictures are no means of the folds' metrics (an average precision least of all), so the predictions
are scored together as one evaluation. The folder that comes of it is read by `sightline compare` and the report as
that of a run is; its weights are its folds'.
Next: folds_summary.py
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from sightline.checkpoint import RunFolder, write_json
from sightline.compare.runs import REPEAT, Run, read_run
from sightline.config import Experiment
from sightline.evaluate import scoring_for
from sightline.evaluate.run import judged, look, write
from sightline.files import write_atomically
from sightline.infer import Found
from sightline.pipeline import load_run
from sightline.records import Dataset, Record
from sightline.report.page import write_report
from sightline.report.values import rows, section
from sightline.small_data.parts import Planned


def pool(
    experiment: Experiment, dataset: Dataset, runs: Sequence[Planned], out: Path, *, number: int, device: str,
    command: str,
) -> Path:  # fmt: skip
    """Score all pictures of a repeat whose folds have been trained; nothing is done where that has been done.

    Args:
        experiment: that stands for all folds (`of_all`).
        dataset: the records that were folded.
        runs: the folds, whose runs lie below `out`.
        out: the folder of the cross-validation.
        number: of the repeat.
        device: "cpu" or "cuda".
        command: that is told in run.json.

    Returns:
        The repeat's folder.
    """
    folder = RunFolder(out / REPEAT.format(number=number))
    folds = [read_run(out / run.name) for run in runs]
    told = [_about(fold) for fold in folds]
    page = folder.path / "report.html"
    if _known(folder) == told and page.is_file():  # both are written after the scores
        return folder.path
    found: dict[str, Found] = {}
    seen_by: dict[str, str] = {}
    # The folds' own records: their points and classes are those that the networks speak of.
    own: dict[str, Record] = {}
    for run in runs:
        model, codec = load_run(RunFolder(out / run.name))
        model.to(device)
        records = run.prepared.split.val
        _, inferred = look(model, codec, records, experiment=run.prepared.experiment, device=device)
        for record, each in zip(records, inferred.found, strict=True):
            found[record.image_id], seen_by[record.image_id], own[record.image_id] = each, run.name, record
    scored = runs[0].prepared.dataset.with_records(own[record.image_id] for record in dataset.records)
    scoring = scoring_for(experiment)
    evaluation = judged(scoring.score([found[record.image_id] for record in scored.records], scored.records), scoring)
    evaluation = replace(
        evaluation,
        per_image=[{**row, "fold": seen_by[row["image_id"]]} for row in evaluation.per_image],
        predictions=[{**row, "fold": seen_by[row["image_id"]]} for row in evaluation.predictions],
    )
    context = {
        "data": str(dataset.root),
        "split": "out of fold",
        "data_fingerprint": scored.fingerprint(),
    }
    write(evaluation, folder, context=context, model=None)
    write_atomically(folder.config, experiment.to_yaml())
    write_json(folder.info, _info(RunFolder(out / runs[0].name), told, command=command, count=len(scored)))
    write_report(folder.path)
    return folder.path


def of_all(first: Experiment, recipe: Experiment, *, repeat: int) -> Experiment:
    """What a repeat's config.yaml says: the same for all repeats but for the seed, so that they are seeds of one arm.

    Args:
        first: the experiment of the first fold of the first repeat. What its training part decided (anchors, epochs)
            stands for all; each fold has its own in its config.
        recipe: before it was fitted; a repeat is no run on the given parts that a fold is.
        repeat: its number.
    """
    data = first.data.model_copy(update={"split_by": recipe.data.split_by})
    train = first.train.model_copy(update={"seed": recipe.train.seed + repeat})
    return first.model_copy(update={"data": data, "train": train})


def _about(fold: Run) -> dict[str, Any]:
    """What says which training of a fold was scored."""
    measured = section(section(fold.evaluation, "metrics"), fold.metric)
    return {
        "run": fold.path.name,
        "started": fold.info.get("started"),
        "seconds": fold.info.get("seconds"),
        "metric": fold.metric,
        "value": measured.get("value"),
    }


def _known(folder: RunFolder) -> list[Any]:
    """The folds that the repeat's scores were made of; none where that is not known."""
    try:
        return rows(json.loads(folder.info.read_text(encoding="utf-8")), "folds")
    except (OSError, ValueError, AttributeError):
        return []


def _info(first: RunFolder, folds: Sequence[dict[str, Any]], *, command: str, count: int) -> dict[str, Any]:
    """run.json: as of the first fold, with what is true of all."""
    info = json.loads(first.info.read_text(encoding="utf-8"))
    train = count - count // len(folds)  # of a fold, about: what tells 5 folds from 10 in a comparison
    data = {**section(info, "data"), "train": train, "val": count, "decisions": []}
    seconds = [fold["seconds"] for fold in folds if isinstance(fold["seconds"], int | float)]
    return {
        **info,
        "command": command,
        "data": data,
        "seconds": sum(seconds),
        "best": {"metric": folds[0]["metric"]},
        "weights": f"../{first.path.name}",
        "folds": list(folds),
    }
