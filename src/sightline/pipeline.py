"""From a data path and a recipe to a finished run, and from a run back to a model.

The command line and the Python interface both go through here. Next: predict.py, cli.py
"""

from __future__ import annotations

import json
import math
import os
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sightline.backbones import BackboneConfig
from sightline.backbones.timm_net import TimmBackboneConfig
from sightline.backbones.weights import find_weights
from sightline.checkpoint import RunFolder, write_json
from sightline.codecs.protocol import Codec
from sightline.config import DataConfig, Experiment, SkeletonConfig, TrainConfig, override
from sightline.devices import machine
from sightline.errors import UserError, unknown_name
from sightline.evaluate import Evaluation, evaluate
from sightline.evaluate import write as write_evaluation
from sightline.files import write_atomically
from sightline.inspect import count_parameters
from sightline.loader import EpochSampler
from sightline.model import Locator, build, codec_for
from sightline.readers import check_flip_order, read_dataset
from sightline.records import Dataset, Record
from sightline.report.page import write_report
from sightline.scan import require_clean, scan
from sightline.splits import Split, part_of, split_dataset
from sightline.train import Outcome, Watcher, train

VERSION = "0.1.0"
SIZE_STEP = 32  # the deepest stride of the usual backbones
RUN_VAL = "run-val"  # --split: the records that the run itself kept for validation
SCORING = ("data.crop", "data.margin", "data.keep_aspect")  # and all of evaluate.*: what no weight depends on


@dataclass(frozen=True, kw_only=True, eq=False)
class Prepared:
    """A data set that has been read, scanned and divided, and the experiment that fits it."""

    experiment: Experiment
    dataset: Dataset
    split: Split
    decisions: tuple[str, ...]


def load_data(path: Path, *, skip_broken: bool, format: str | None = None) -> Dataset:
    """Read, scan every picture, and stop with all errors at once.

    Raises:
        UserError: no data set, or errors in it and not `skip_broken`.
    """
    dataset = scan(read_dataset(path, format=format))
    swapped = check_flip_order(dataset)
    return require_clean(replace(dataset, problems=(*dataset.problems, *swapped)), skip_broken=skip_broken)


def prepare(experiment: Experiment, dataset: Dataset, *, weight_folders: Sequence[Path] = ()) -> Prepared:
    """Fit an experiment to a data set: its points, crop, split, length; and to the weights that are there.

    Args:
        experiment: a recipe, perhaps changed.
        dataset: what `load_data` gave.
        weight_folders: where pretrained weights are looked for.

    Raises:
        UserError: points that are not there, or too little data to divide.
    """
    decisions: list[str] = []
    dataset = _labelled(_selected(dataset, experiment.data.points), decisions)
    crop = _resolve_crop(experiment.data, dataset)
    if crop != experiment.data.crop:
        decisions.append(f"data.crop=auto became {crop}")
    data = experiment.data.model_copy(update={"crop": crop})
    if crop == "image" and data.match_aspect:
        data = data.model_copy(update={"input_hw": _matching_size(data.input_hw, dataset.records)})
        decisions.append(f"data.input_hw became {data.input_hw}, the pictures' aspect")
    split = split_dataset(dataset, val_fraction=data.val_fraction, seed=data.split_seed, by=data.split_by)
    decisions.append(f"{len(split.train)} records train, {len(split.val)} validate (split by {split.by})")
    if split.straddling_groups:
        shared = ", ".join(split.straddling_groups[:3])
        decisions.append(
            f"warning: {shared} lie in both parts; neighbouring frames make validation easier than new data"
        )
    augment = experiment.augment
    if augment.flip and not dataset.skeleton.flip_pairs and len(dataset.skeleton) > 1 and augment.flip_swaps_twins:
        augment = augment.model_copy(update={"flip": 0.0})
        decisions.append("augment.flip is off: the data name no left/right twins, and a mirror image would be wrong")
    train = _long_enough(experiment.train, len(split.train))
    if train != experiment.train:
        decisions.append(f"train.epochs became {train.epochs}: {train.min_steps} steps on {len(split.train)} records")
    fitted = experiment.model_copy(
        update={
            "data": data,
            "augment": augment,
            "train": train,
            "backbone": _with_fitting_padding(experiment.backbone, weight_folders, decisions),
            "skeleton": SkeletonConfig.of(dataset.skeleton),
        }
    )
    return Prepared(experiment=fitted, dataset=dataset, split=split, decisions=tuple(decisions))


def _matching_size(input_hw: tuple[int, int], records: Sequence[Record]) -> tuple[int, int]:
    """A size of about the same area with the pictures' median aspect, in multiples of SIZE_STEP."""
    aspect = statistics.median(r.size_hw[1] / r.size_hw[0] for r in records if r.size_hw is not None)
    height = math.sqrt(input_hw[0] * input_hw[1] / aspect)
    rounded = (max(SIZE_STEP, round(side / SIZE_STEP) * SIZE_STEP) for side in (height, height * aspect))
    return next(rounded), next(rounded)


def _with_fitting_padding(
    backbone: BackboneConfig, weight_folders: Sequence[Path], decisions: list[str]
) -> BackboneConfig:
    """padding="same" belongs to weight files born in TensorFlow; the hub's own MobileNets pad symmetrically."""
    if not isinstance(backbone, TimmBackboneConfig) or backbone.padding != "same" or backbone.weights != "imagenet":
        return backbone
    if find_weights(backbone.name, "imagenet", weight_folders) is not None:
        return backbone
    decisions.append(f"no {backbone.name}.safetensors in the weight folders: weights and padding are the hub's")
    return backbone.model_copy(update={"padding": "default", "linear_stem_block": False})


def _long_enough(train: TrainConfig, count: int) -> TrainConfig:
    """With few records an epoch is a handful of steps: more epochs, and no more validations than before."""
    steps = EpochSampler(count=count, batch=train.batch, seed=train.seed).steps
    epochs = max(train.epochs, math.ceil(train.min_steps / steps))
    if epochs == train.epochs:
        return train
    every = max(train.validate_every, round(epochs / train.epochs * train.validate_every))
    return train.model_copy(update={"epochs": epochs, "validate_every": every})


def _selected(dataset: Dataset, points: Sequence[str] | None) -> Dataset:
    """The data set with some of its points, by name or number."""
    if points is None:
        return dataset
    names = dataset.skeleton.names
    keep = []
    for point in points:
        if point in names:
            keep.append(names.index(point))
        elif point.isdigit() and int(point) < len(names):
            keep.append(int(point))
        else:
            raise unknown_name("point", point, names)
    if not keep or len(set(keep)) < len(keep):
        raise UserError(
            f"data.points={list(points)} chooses {'a point twice' if keep else 'no point'}. Name each once."
        )
    records = [record.select(keep) for record in dataset.records]
    return replace(dataset, records=tuple(records), skeleton=dataset.skeleton.select(keep))


def _labelled(dataset: Dataset, decisions: list[str]) -> Dataset:
    """Without the records that show no labelled point: nothing can be learnt or scored on them."""
    records = [record for record in dataset.records if record.visible.any()]
    if not records:
        raise UserError(f"{dataset.root}: none of the {len(dataset)} records has a labelled point. Label some first.")
    if len(records) < len(dataset):
        decisions.append(f"{len(dataset) - len(records)} records without a labelled point are left out")
    return dataset.with_records(records)


def _resolve_crop(data: DataConfig, dataset: Dataset) -> str:
    """What `crop="auto"` means for a data set."""
    if data.crop != "auto":
        return data.crop
    if all(record.box_xyxy is not None for record in dataset.records):
        return "box"
    if dataset.format == "deeplabcut" or len(dataset.skeleton) < 3:
        return "image"  # whole frames are what such projects predict on, and one point spans no box
    return "points"


def new_run_folder(out: Path | None, *, recipe: str, resume: bool) -> RunFolder:
    """A folder for a run: the one named, or the next free number below runs/.

    Raises:
        UserError: it holds a run already and this is no resume, or the reverse.
    """
    if out is None:
        if resume:
            raise UserError("--resume needs --out RUN: the folder of the run to go on with.")
        number = 1
        while (out := Path("runs") / f"{recipe}-{number:03d}").exists():
            number += 1
    folder = RunFolder(out)
    if out.is_file():
        raise UserError(f"--out {out} is a file. Name a folder.")
    # A run that stopped before its first step (a setting was refused, weights were missing) left nothing to keep.
    begun = folder.metrics.exists() or folder.last.exists() or folder.best.exists()
    if begun and not resume and _is_leader():  # with several processes the first one may have begun already
        raise UserError(f"{out} already holds a run. Go on with it by --resume, or choose another --out.")
    if resume and not folder.config.exists():
        raise UserError(f"{out} holds no run to resume (no config.yaml). Start one without --resume.")
    return folder


def _is_leader() -> bool:
    """Whether this is the first of torchrun's processes, or the only one."""
    return int(os.environ.get("RANK", "0")) == 0


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
    processes: int = 1,
    nodes: int = 1,
    weight_folders: Sequence[Path] = (),
    watchers: Sequence[Watcher] = (),
    on_ready: Callable[[], None] = lambda: None,
) -> Finished:
    """Train, evaluate on the validation part with the best weights, and write the report."""
    leader = _is_leader()
    if resume:
        _require_same(folder, prepared)
    elif leader:
        parts = {"train": prepared.split.train, "val": prepared.split.val}
        write_json(folder.split, {name: [r.image_id for r in part] for name, part in parts.items()})
        write_json(folder.info, _run_info(prepared, command=command))
        write_atomically(folder.config, prepared.experiment.to_yaml())  # last: what has it, has the others
    on_ready()
    outcome = train(
        prepared.experiment,
        prepared.split,
        folder.path,
        device=device,
        processes=processes,
        nodes=nodes,
        resume=resume,
        weight_folders=weight_folders,
        watchers=watchers,
    )
    if outcome.interrupted or not leader:
        return Finished(folder=folder, outcome=outcome, evaluation=None, report=None)
    model, codec = load_run(folder)
    model.to(device)
    experiment = prepared.experiment
    evaluation = evaluate(model, codec, prepared.split.val, experiment=experiment, device=device)
    validation = prepared.dataset.with_records(prepared.split.val)
    context = {"data": str(prepared.dataset.root), "split": "val", "data_fingerprint": validation.fingerprint()}
    write_evaluation(evaluation, folder, context=context, model=model)
    info = json.loads(folder.info.read_text(encoding="utf-8"))  # with the first command and start, also after --resume
    info |= {"seconds": outcome.progress.seconds, "best": outcome.progress.best, "parameters": count_parameters(model)}
    write_json(folder.info, info)
    return Finished(folder=folder, outcome=outcome, evaluation=evaluation, report=write_report(folder.path))


def _require_same(folder: RunFolder, prepared: Prepared) -> None:
    """A resumed run must go on with the same settings and records."""
    if folder.experiment() != prepared.experiment:
        raise UserError(f"{folder.config} differs from what this command asks for. Resume with the run's own command.")
    stored = json.loads(folder.split.read_text(encoding="utf-8"))
    now = {"train": [r.image_id for r in prepared.split.train], "val": [r.image_id for r in prepared.split.val]}
    if stored != now:
        raise UserError(f"The data set has changed since {folder.path} began: its records or their split differ.")


def _run_info(prepared: Prepared, *, command: str) -> dict[str, Any]:
    dataset, split = prepared.dataset, prepared.split
    skipped = {p.image_id or p.where for p in dataset.errors}
    return {
        "recipe": prepared.experiment.recipe,
        "command": command,
        "started": time.strftime("%Y-%m-%d %H:%M:%S"),
        "machine": machine(),
        "sightline": VERSION,
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
    }


def load_run(folder: RunFolder) -> tuple[Locator, Codec]:
    """The trained model of a run, in evaluation mode, and its codec.

    Raises:
        UserError: no run, or a damaged one.
    """
    experiment = folder.experiment()
    # The weights come from the run itself; pretrained ones are not looked for again.
    backbone = experiment.backbone
    if hasattr(backbone, "weights"):
        experiment = experiment.model_copy(update={"backbone": backbone.model_copy(update={"weights": "none"})})
    model, _ = build(experiment)
    folder.load_best(model)
    return model.eval(), codec_for(experiment, model)


def require_same_points(experiment: Experiment, dataset: Dataset) -> Dataset:
    """The data set with the model's points, chosen by the recipe's own selection.

    Raises:
        UserError: the names of the points differ.
    """
    chosen = _selected(dataset, experiment.data.points)
    expected, found = experiment.skeleton.names, chosen.skeleton.names
    if expected != found:
        lacking = [name for name in expected if name not in found]
        extra = [name for name in found if name not in expected]
        raise UserError(
            f"{dataset.root} has {len(found)} points, the model {len(expected)}; their names differ: "
            f"missing {lacking[:6]}, unknown {extra[:6]}{'' if lacking or extra else ', or in another order'}. "
            "Evaluate on data with the model's points."
        )
    return chosen


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
    experiment = _scored_otherwise(folder.experiment(), sets)
    model, codec = load_run(folder)
    model.to(device)
    dataset = require_same_points(experiment, load_data(data, skip_broken=skip_broken, format=format))
    dataset = _validation_part(dataset, folder) if split == RUN_VAL else part(dataset, split)
    dataset = _labelled(dataset, [])
    data_config = experiment.data.model_copy(update={"crop": _resolve_crop(experiment.data, dataset)})
    experiment = experiment.model_copy(update={"data": data_config})
    evaluation = evaluate(model, codec, dataset.records, experiment=experiment, device=device)
    context = {"data": str(dataset.root), "split": split or "all", "data_fingerprint": dataset.fingerprint()}
    if out is not None:
        target = RunFolder(out)
        write_evaluation(evaluation, target, context=context, model=model)
        if out.resolve() != run.resolve():
            for name in ("config.yaml", "run.json"):
                write_atomically(out / name, (run / name).read_text(encoding="utf-8"))
        write_report(out)
    return evaluation, context


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


def _validation_part(dataset: Dataset, folder: RunFolder) -> Dataset:
    """The records that the run itself kept for validation, as far as this data set has them."""
    kept = set(json.loads(folder.split.read_text(encoding="utf-8"))["val"])
    records = [record for record in dataset.records if record.image_id in kept]
    if not records:
        raise UserError(f"{dataset.root} holds none of the {len(kept)} validation records of {folder.path}.")
    return dataset.with_records(records)


def part(dataset: Dataset, name: str | None) -> Dataset:
    """The records of one part that the data set itself defines, or all of them.

    Raises:
        UserError: the data set defines no such part.
    """
    if name is None:
        return dataset
    records: list[Record] = [record for record in dataset.records if part_of(record) == name or record.split == name]
    if not records:
        parts = {record.split for record in dataset.records if record.split}
        raise unknown_name("split", name, parts)
    return dataset.with_records(records)
