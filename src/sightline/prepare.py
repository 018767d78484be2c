"""A data set and a recipe made to fit each other: points, crop, split, input size, length, weights.

Every decision taken here is told to the user and stored in the run. Next: train.py, pipeline.py
"""

from __future__ import annotations

import math
import socket
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from sightline.anchors.look import AnchorsReport
from sightline.backbones import BackboneConfig
from sightline.backbones.timm_net import TimmBackboneConfig
from sightline.backbones.weights import find_weights
from sightline.checkpoint import RunFolder
from sightline.config import Experiment, SkeletonConfig, TrainConfig
from sightline.data_fit import anchor_report, fit_to_data
from sightline.donor import Donor, Takeover, doubts, plan_takeover, read_donor, with_padding_of
from sightline.errors import UserError
from sightline.evaluate import scoring_for
from sightline.loader import EpochSampler
from sightline.members import is_there
from sightline.readers import check_flip_order, read_dataset
from sightline.readers.texts import read_table, read_text
from sightline.records import Dataset, Record
from sightline.scan import require_clean, scan
from sightline.shard_order import fitting_window
from sightline.splits import Split, split_dataset
from sightline.task_data import check_parts, resolve_crop, select_classes, select_points, usable
from sightline.video.unpack import frames_needed, unpack

SIZE_STEP = 32  # the deepest stride of the usual backbones


@dataclass(frozen=True, kw_only=True, eq=False)
class Prepared:
    """A data set that has been read, scanned and divided, and the experiment that fits it."""

    experiment: Experiment
    dataset: Dataset
    split: Split
    decisions: tuple[str, ...]
    anchors: AnchorsReport | None = None
    takeover: Takeover | None = None


SEEN = 20  # pictures that are looked for on each machine

FRAMES_FOLDER = ".frames"  # beside the run folders, which share it


def load_data(path: Path, *, skip_broken: bool, format: str | None = None, runs: Path | None = None) -> Dataset:
    """Read, scan every picture, and stop with all errors at once.

    Args:
        path: a label file or the folder that holds labels and pictures.
        skip_broken: leave broken records out.
        format: a key of `readers.FORMATS`; None finds it out.
        runs: where frames of videos are unpacked to, below `.frames`; videos stay as they are without it.

    Raises:
        UserError: no data set, or errors in it and not `skip_broken`.
    """
    dataset = scan(read_dataset(path, format=format))
    swapped = check_flip_order(dataset)
    dataset = require_clean(replace(dataset, problems=(*dataset.problems, *swapped)), skip_broken=skip_broken)
    if runs is None or not frames_needed(dataset):
        return dataset
    return require_clean(unpack(dataset, runs / FRAMES_FOLDER), skip_broken=skip_broken)


def prepare(
    experiment: Experiment, dataset: Dataset, *, weight_folders: Sequence[Path] = (), begun: Experiment | None = None
) -> Prepared:
    """Fit an experiment to a data set: its points, crop, split, length; and to the weights that are there.

    Args:
        experiment: a recipe, perhaps changed.
        dataset: what `load_data` gave.
        weight_folders: where pretrained weights are looked for.
        begun: of the run that goes on. The run that it started from need not be there any more.

    Raises:
        UserError: points that are not there, too little data to divide, or a run to start from that does not fit.
    """
    decisions: list[str] = []
    experiment, donor = _started(experiment, begun, weight_folders, decisions)
    finds = experiment.codec.finds
    dataset = select_classes(select_points(dataset, experiment.data.points), experiment.data.classes)
    dataset = usable(dataset, finds, decisions)
    crop = resolve_crop(experiment.data, dataset, finds)
    if crop != experiment.data.crop:
        decisions.append(f"data.crop=auto became {crop}")
    data = experiment.data.model_copy(update={"crop": crop})
    if crop == "image" and data.match_aspect:
        data = data.model_copy(update={"input_hw": _matching_size(data.input_hw, dataset.records)})
        decisions.append(f"data.input_hw became {data.input_hw}, the pictures' aspect")
    split = split_dataset(dataset, val_fraction=data.val_fraction, seed=data.split_seed, by=data.split_by)
    if data.train_only is not None:
        split = _with_only(split, Path(data.train_only), decisions)
    decisions.append(f"{len(split.train)} records train, {len(split.val)} validate (split by {split.by})")
    if split.straddling_groups:
        shared = ", ".join(split.straddling_groups[:3])
        decisions.append(
            f"warning: {shared} lie in both parts; neighbouring frames make validation easier than new data"
        )
    boxes = finds in ("one-box", "boxes")
    if boxes:
        decisions += check_parts(split.train, split.val, dataset.classes)
    window, told = fitting_window(data.shard_window, dataset.records)
    if told:
        data = data.model_copy(update={"shard_window": window})
        decisions.append(told)
    augment = experiment.augment
    if (
        augment.flip
        and finds == "points"
        and not dataset.skeleton.flip_pairs
        and len(dataset.skeleton) > 1
        and augment.flip_swaps_twins
    ):
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
            "skeleton": SkeletonConfig.of(dataset.skeleton),
            "classes": dataset.classes if boxes else (),
        }
    )
    anchors = None
    if finds == "boxes":
        fitted = fit_to_data(fitted, split.train, decisions)
        anchors = anchor_report(fitted, split.train, decisions)
    scoring_for(fitted)  # tells what cannot be scored before anything is trained
    takeover = None
    if donor is not None:
        takeover = plan_takeover(fitted, donor)
        known, _ = RunFolder(Path(donor.run)).known(dataset.root)
        validating = [record.image_id for record in split.val]
        decisions += [str(takeover), *doubts(fitted, donor, takeover, known=known, validating=validating)]
    return Prepared(
        experiment=fitted,
        dataset=dataset,
        split=split,
        decisions=tuple(decisions),
        anchors=anchors,
        takeover=takeover,
    )


def require_pictures(prepared: Prepared) -> None:
    """Refuse a machine that does not have the pictures that another one has read.

    Raises:
        UserError: one of some twenty is not there.
    """
    records = (*prepared.split.train, *prepared.split.val)
    for record in records[:: max(1, len(records) // SEEN)]:
        if not is_there(record.path):
            raise UserError(
                f"{record.path} is not on this machine ({socket.gethostname()}), but on the one of process 0. All "
                "machines must see the data under the same path: share a disk, or copy the data to each."
            )


def _matching_size(input_hw: tuple[int, int], records: Sequence[Record]) -> tuple[int, int]:
    """A size of about the same area with the pictures' median aspect, in multiples of SIZE_STEP."""
    aspect = statistics.median(r.size_hw[1] / r.size_hw[0] for r in records if r.size_hw is not None)
    height = math.sqrt(input_hw[0] * input_hw[1] / aspect)
    rounded = (max(SIZE_STEP, round(side / SIZE_STEP) * SIZE_STEP) for side in (height, height * aspect))
    return next(rounded), next(rounded)


def _with_only(split: Split, path: Path, decisions: list[str]) -> Split:
    """A split whose training part is cut down to the records that a file names.

    Raises:
        UserError: the file cannot be read, names what is not there, or nothing that trains.
    """
    names = _names_in(path)
    known = {record.image_id for record in (*split.train, *split.val)}
    strange = [name for name in names if name not in known]
    if strange:
        raise UserError(
            f"data.train_only: {path} names {len(strange):,} records that the data set does not have, first "
            f"{strange[0]}. Expected names as in the column image_id of an evaluation's per_image.csv."
        )
    kept = tuple(record for record in split.train if record.image_id in names)
    if not kept:
        raise UserError(
            f"data.train_only: none of the {len(names):,} records that {path} names is in the training part."
        )
    told = f"{path} leaves {len(kept):,} of {len(split.train):,} records to train on"
    in_val = len(names) - len({record.image_id for record in kept})
    decisions.append(told + (f"; {in_val:,} of those it names validate" if in_val else ""))
    return replace(split, train=kept)


def _names_in(path: Path) -> dict[str, None]:
    """The records that a file names, each once, in its order: of a CSV the column image_id, else a name a line."""
    if path.suffix.lower() != ".csv":
        return dict.fromkeys(line.strip() for line in read_text(path).splitlines() if line.strip())
    rows = read_table(path)
    columns = list(rows[0].cells) if rows else []
    if "image_id" not in columns:
        raise UserError(f"data.train_only: {path} has no column image_id. Give one, or a .txt with a name a line.")
    place = columns.index("image_id")
    return dict.fromkeys(row.cells[place] for row in rows[1:] if len(row.cells) > place)


def _started(
    experiment: Experiment, begun: Experiment | None, weight_folders: Sequence[Path], decisions: list[str]
) -> tuple[Experiment, Donor | None]:
    """Padding of the weights that the backbone starts from; and the run that these are of, read unless one goes on."""
    train, donor = experiment.train, None
    if train.start_from is None:
        backbone = _with_fitting_padding(experiment.backbone, weight_folders, decisions)
    elif begun is not None and begun.train.start_from == train.start_from:
        train = train.model_copy(update={"start_sha256": begun.train.start_sha256})
        backbone = with_padding_of(experiment.backbone, begun.backbone)
    else:
        donor = read_donor(train)
        train = train.model_copy(update={"start_sha256": donor.sha256})
        backbone = with_padding_of(experiment.backbone, donor.experiment.backbone)
        if backbone != experiment.backbone:
            decisions.append(f"the backbone is padded as that of {donor.run}")
    return experiment.model_copy(update={"train": train, "backbone": backbone}), donor


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
