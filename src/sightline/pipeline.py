"""From a data path and a recipe to a finished run, and from a run back to a model.

The command line and the Python interface both go through here. Next: predict.py, cli/
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from sightline.calibration.file import write_calibration
from sightline.calibration.fit import fit_calibration
from sightline.calibration.told import KEY as CALIBRATED
from sightline.calibration.told import told_at_the_fit, told_of_answers
from sightline.checkpoint import RunFolder, write_json
from sightline.codecs.protocol import Codec
from sightline.config import Experiment, override
from sightline.devices import machine
from sightline.errors import UserError
from sightline.evaluate import Evaluation
from sightline.evaluate.run import evaluate, measure_of
from sightline.evaluate.run import write as write_evaluation
from sightline.files import remove_halves, require_folder, write_atomically
from sightline.inspect import count_parameters
from sightline.locks import only_writer
from sightline.model import Locator, build, without_pretrained
from sightline.prepare import Prepared, load_data
from sightline.processes import ALONE, Group
from sightline.records import Dataset
from sightline.report.page import write_report
from sightline.splits import part
from sightline.task_data import resolve_crop, speaking_of, usable
from sightline.train import Outcome, Watcher, train

RUN_VAL = "run-val"  # --split: the records that the run itself kept for validation
SCORING = ("data.crop", "data.margin", "data.keep_aspect")  # and all of evaluate.*: what no weight depends on


def folder_for(out: Path | None, *, recipe: str, resume: bool) -> Path:
    """The folder named, or the next free number below runs/.

    Raises:
        UserError: a resume without a folder, or a file in its place.
    """
    if out is None:
        if resume:
            raise UserError("--resume needs --out RUN: the folder of the run to go on with.")
        number = 1
        while (out := Path("runs") / f"{recipe}-{number:03d}").exists():
            number += 1
    if out.is_file():
        raise UserError(f"--out {out} is a file. Name a folder.")
    return out


def new_run_folder(out: Path | None, *, recipe: str, resume: bool, leads: bool = True) -> RunFolder:
    """A folder for a run; of several processes only the one that `leads` looks into it.

    Raises:
        UserError: it holds a run already and this is no resume, or the reverse; see also `folder_for`.
    """
    folder = RunFolder(folder_for(out, recipe=recipe, resume=resume))
    out = folder.path
    if not leads:
        return folder
    if has_begun(folder) and not resume:
        raise UserError(f"{out} already holds a run. Go on with it by --resume, or choose another --out.")
    if resume and not folder.config.exists():
        raise UserError(f"{out} holds no run to resume (no config.yaml). Start one without --resume.")
    return folder


def has_begun(folder: RunFolder) -> bool:
    """Whether there is anything to keep: a run that stopped before its first step (a setting was refused) left none."""
    return folder.metrics.exists() or folder.last.exists() or folder.best.exists()


def is_restart(out: Path | None, group: Group) -> bool:
    """Whether this very torchrun began the run, and has started its processes again: then it goes on by itself."""
    if out is None or group.place.launch is None:
        return False
    folder = RunFolder(out)
    if not folder.config.exists() or not has_begun(folder):
        return False
    info = folder.read_info()
    return info.get("processes", {}).get("launch") == group.place.launch


@dataclass(frozen=True, kw_only=True, eq=False)
class Finished:
    """A training that ended, its folder and (unless interrupted) its evaluation."""

    folder: RunFolder
    outcome: Outcome
    evaluation: Evaluation | None
    report: Path | None


def train_run(
    prepared: Prepared,
    folder: RunFolder,
    *,
    command: str,
    device: str,
    resume: bool = False,
    group: Group = ALONE,
    weight_folders: Sequence[Path] = (),
    watchers: Sequence[Watcher] = (),
    on_ready: Callable[[], None] = lambda: None,
) -> Finished:
    """Train, evaluate on the validation part with the best weights, and write the report.

    Of several processes all call this with the same arguments; only the first reads, writes and evaluates.

    Raises:
        UserError: another process is writing to the folder, or the data or settings are others than those of the run
            that is to be resumed; see also `train`.
    """
    with only_writer(folder.path) if group.leads else nullcontext():
        if group.leads and resume:
            _require_same(folder, prepared)
            remove_halves(folder.path)
        elif group.leads:
            _begin(folder, prepared, command=command, group=group)
        on_ready()
        outcome = train(
            prepared.experiment,
            prepared.split,
            folder.path,
            device=device,
            group=group,
            resume=resume,
            weight_folders=weight_folders,
            watchers=watchers,
        )
        if outcome.interrupted or not group.leads:
            if not outcome.interrupted:
                # A machine whose processes have all ended would leave torchrun's meeting before the first is done.
                group.wait()
            return Finished(folder=folder, outcome=outcome, evaluation=None, report=None)
        evaluation = _evaluated(prepared, folder, outcome, device=device)
        report = write_report(folder.path)
        group.wait()
        return Finished(folder=folder, outcome=outcome, evaluation=evaluation, report=report)


def _begin(folder: RunFolder, prepared: Prepared, *, command: str, group: Group) -> None:
    """Write what a run knows before its first step."""
    parts = {"train": prepared.split.train, "val": prepared.split.val}
    write_json(folder.split, {name: [r.image_id for r in part] for name, part in parts.items()})
    write_json(folder.info, _run_info(prepared, command=command, group=group))
    write_atomically(folder.config, prepared.experiment.to_yaml())  # last: what has it, has the others


def _evaluated(prepared: Prepared, folder: RunFolder, outcome: Outcome, *, device: str) -> Evaluation:
    """Score the best weights on the validation part, and write what a run knows at its end."""
    model, codec = load_run(folder)
    model.to(device)
    experiment = prepared.experiment
    evaluation = evaluate(model, codec, prepared.split.val, experiment=experiment, device=device)
    validation = prepared.dataset.with_records(prepared.split.val)
    context = {"data": str(prepared.dataset.root), "split": "val", "data_fingerprint": validation.fingerprint()}
    if evaluation.answers is not None:
        evaluation = _calibrated(evaluation, folder, experiment=experiment, fingerprint=context["data_fingerprint"])
    write_evaluation(evaluation, folder, context=context, model=model)
    if evaluation.thresholds:
        write_json(folder.thresholds, evaluation.thresholds)
    info = folder.read_info()  # with the first command and start, also after --resume
    info |= {"seconds": outcome.progress.seconds, "best": outcome.progress.best, "parameters": count_parameters(model)}
    write_json(folder.info, info)
    return evaluation


def _calibrated(evaluation: Evaluation, folder: RunFolder, *, experiment: Experiment, fingerprint: str) -> Evaluation:
    """Fit probabilities and bounds to the validation part's answers, and keep them in the run."""
    assert evaluation.answers is not None
    calibration = fit_calibration(
        evaluation.answers,
        measure=measure_of(experiment),
        fingerprint=fingerprint,
        least_scores=evaluation.thresholds,
    )
    write_calibration(folder.calibration, calibration)
    return replace(evaluation, details=evaluation.details | {CALIBRATED: told_at_the_fit(calibration)})


def _require_same(folder: RunFolder, prepared: Prepared) -> None:
    """A resumed run must go on with the same settings and records; and what its end needs is to be there."""
    folder.read_info()
    if folder.experiment() != prepared.experiment:
        raise UserError(f"{folder.config} differs from what this command asks for. Resume with the run's own command.")
    stored = folder.read_split()
    now = {"train": [r.image_id for r in prepared.split.train], "val": [r.image_id for r in prepared.split.val]}
    if stored != now:
        raise UserError(f"The data set has changed since {folder.path} began: its records or their split differ.")


def _run_info(prepared: Prepared, *, command: str, group: Group) -> dict[str, Any]:
    dataset, split = prepared.dataset, prepared.split
    skipped = {p.image_id or p.where for p in dataset.errors}
    return {
        "recipe": prepared.experiment.recipe,
        "command": command,
        "started": time.strftime("%Y-%m-%d %H:%M:%S"),
        "machine": machine(),
        "processes": {"count": group.place.world, "machines": group.place.machines, "launch": group.place.launch},
        "sightline": version("sightline"),
        "data": {
            "root": str(dataset.root),
            "format": dataset.format,
            "fingerprint": dataset.fingerprint(),
            "train": len(split.train),
            "val": len(split.val),
            "skipped": len(skipped),
            "problems": [str(problem) for problem in dataset.problems[:200]],
            "decisions": list(prepared.decisions),
        },
        "skeleton": prepared.experiment.skeleton.model_dump(mode="json"),
        "classes": list(prepared.experiment.classes),
        "anchors": prepared.anchors.to_json() if prepared.anchors is not None else None,
        "started_from": prepared.takeover.to_json() if prepared.takeover is not None else None,
    }


def load_run(folder: RunFolder) -> tuple[Locator, Codec]:
    """The trained model of a run, in evaluation mode, and its codec.

    Raises:
        UserError: no run, or a damaged one.
    """
    # The weights come from the run itself; pretrained ones are not looked for again.
    model, codec = build(without_pretrained(folder.experiment()))
    folder.load_best(model)
    return model.eval(), codec


def evaluate_run(
    run: Path,
    data: Path,
    *,
    split: str | None,
    out: Path | None,
    sets: Sequence[str],
    format: str | None,
    skip_broken: bool,
    device: str,
) -> tuple[Evaluation, dict[str, Any]]:
    """Score a run on a data set; with `out` also write tables, predictions and a report there.

    Raises:
        UserError: no run, no data, other points than the model's, or an unknown split.
    """
    folder = RunFolder(run)
    if out is not None:
        require_folder(out)
    experiment = _scored_otherwise(folder.experiment(), sets)
    model, codec = load_run(folder)
    model.to(device)
    dataset = load_data(data, skip_broken=skip_broken, format=format, runs=run.parent)
    dataset = usable(speaking_of(experiment, dataset), experiment.codec.finds, [])
    dataset = validation_part(dataset, folder) if split == RUN_VAL else part(dataset, split)
    crop = resolve_crop(experiment.data, dataset, experiment.codec.finds)
    experiment = experiment.model_copy(update={"data": experiment.data.model_copy(update={"crop": crop})})
    calibration = folder.load_calibration(experiment)
    evaluation = evaluate(
        model,
        codec,
        dataset.records,
        experiment=experiment,
        device=device,
        thresholds=folder.load_thresholds(),
        measure=None if calibration is None else calibration.measure,
    )
    context = {"data": str(dataset.root), "split": split or "all", "data_fingerprint": dataset.fingerprint()}
    if calibration is not None and evaluation.answers is not None:
        trained_on, validated_on = _known_to(folder, dataset)
        told = told_of_answers(
            calibration,
            evaluation.answers,
            fingerprint=context["data_fingerprint"],
            trained_on=trained_on,
            validated_on=validated_on,
        )
        evaluation = replace(evaluation, details=evaluation.details | {CALIBRATED: told})
    if out is not None:
        target = RunFolder(out)
        write_evaluation(evaluation, target, context=context, model=model)
        if out.resolve() != run.resolve():
            for name in ("config.yaml", "run.json"):
                write_atomically(out / name, (run / name).read_text(encoding="utf-8"))
        write_report(out)
    return evaluation, context


def _known_to(folder: RunFolder, dataset: Dataset) -> tuple[int, int]:
    """How many of these records the run was trained on and how many it validated on, if they are its own data."""
    trained_on, validated_on = folder.known(dataset.root)
    ids = {record.image_id for record in dataset.records}
    return len(ids & trained_on), len(ids & validated_on)


def _scored_otherwise(experiment: Experiment, sets: Sequence[str]) -> Experiment:
    """The experiment with other settings of scoring; what the weights were trained with stays."""
    for text in sets:
        key = text.partition("=")[0].strip()
        if key not in SCORING and not key.startswith("evaluate."):
            raise UserError(
                f"--set {text}: this is part of the trained model and cannot be changed now. Expected evaluate.*, "
                f"{', '.join(SCORING)}."
            )
    return override(experiment, sets=sets)


def validation_part(dataset: Dataset, folder: RunFolder) -> Dataset:
    """The records that the run itself kept for validation, as far as this data set has them.

    Raises:
        UserError: it has none of them.
    """
    kept = folder.validation_ids()
    records = [record for record in dataset.records if record.image_id in kept]
    if not records:
        raise UserError(f"{dataset.root} holds none of the {len(kept)} validation records of {folder.path}.")
    return dataset.with_records(records)
