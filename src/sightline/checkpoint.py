"""A run's folder, and what lies in it: config, weights, resumable state. Never a pickle.

    config.yaml        the resolved Experiment; with the weights it rebuilds the model
    run.json           what was trained on what, by which command, on which machine
    split.json         which records train and which validate
    metrics.jsonl      one line a logged step
    best.safetensors   weights of the best validation
    thresholds.json    boxes: the score from which on a detection of a class counts
    calibration.json   points and boxes: from scores to probabilities, and radii or margins
    last.safetensors   everything a resume needs: weights, averages, optimiser, position
    evaluation/        tables, predictions, pictures' heatmaps
    report.html

Every file is written aside and renamed: a kill or a full disk leaves the previous one whole.
Next: devices.py
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load, save
from torch import Tensor, nn
from torch.optim import Optimizer

from sightline.calibration.file import CALIBRATION_FILE, Calibration, read_calibration
from sightline.config import Experiment, from_yaml
from sightline.errors import UserError
from sightline.files import read_object, read_text, write_atomically

RESTORE = "Restore it, or train again into another folder."  # advice where a file of a run is gone or damaged


@dataclass(frozen=True)
class RunFolder:
    """Names of the files of one run."""

    path: Path

    @property
    def config(self) -> Path:
        """The resolved experiment."""
        return self.path / "config.yaml"

    @property
    def info(self) -> Path:
        """What was trained on what."""
        return self.path / "run.json"

    @property
    def split(self) -> Path:
        """Which records train and which validate."""
        return self.path / "split.json"

    @property
    def metrics(self) -> Path:
        """One JSON object a line."""
        return self.path / "metrics.jsonl"

    @property
    def best(self) -> Path:
        """Weights of the best validation."""
        return self.path / "best.safetensors"

    @property
    def last(self) -> Path:
        """State to resume from."""
        return self.path / "last.safetensors"

    @property
    def thresholds(self) -> Path:
        """Score thresholds by class, chosen on the validation part."""
        return self.path / "thresholds.json"

    @property
    def calibration(self) -> Path:
        """Probabilities and radii or margins, fitted on the validation part."""
        return self.path / CALIBRATION_FILE

    def load_calibration(self, experiment: Experiment) -> Calibration | None:
        """The run's calibration; None where the task has none, or the run is from before there were any.

        Raises:
            UserError: the file is damaged, or of another run.
        """
        names = experiment.classes if experiment.codec.finds != "points" else experiment.skeleton.names
        return read_calibration(self.calibration, names=names)

    def validation_ids(self) -> set[str]:
        """The names of the records that the run kept for validation; none where it has not divided its data yet."""
        return set(self.read_split()["val"]) if self.split.is_file() else set()

    def read_info(self) -> dict[str, Any]:
        """What was trained on what.

        Raises:
            UserError: the file is missing or damaged.
        """
        info = read_object(self.info, advice=RESTORE)
        wrong = next((name for name in ("data", "processes") if not isinstance(info.get(name, {}), dict)), None)
        if wrong is not None:
            raise UserError(f"{self.info} is damaged ('{wrong}' is no object). {RESTORE}")
        return info

    def read_split(self) -> dict[str, list[str]]:
        """The names of the records by part, "train" and "val".

        Raises:
            UserError: the file is missing or damaged.
        """
        parts = read_object(self.split, advice=RESTORE)
        lists = [parts.get(name) for name in ("train", "val")]
        if not all(isinstance(ids, list) and all(isinstance(each, str) for each in ids) for ids in lists):
            raise UserError(f"{self.split} is damaged (it has no lists of names 'train' and 'val'). {RESTORE}")
        return parts

    def known(self, root: str | Path) -> tuple[set[str], set[str]]:
        """The names of the records that the run trained and validated on, if its data set lies at `root`; else none."""
        if not self.info.is_file() or not self.split.is_file():
            return set(), set()
        own = self.read_info().get("data", {}).get("root", "")
        if Path(own).resolve() != Path(root).resolve():
            return set(), set()
        parts = self.read_split()
        return set(parts["train"]), set(parts["val"])

    def load_thresholds(self) -> dict[str, float]:
        """The run's score thresholds by class; none where the task has none or the training has not ended.

        Raises:
            UserError: the file is damaged.
        """
        if not self.thresholds.is_file():
            return {}
        try:
            values = json.loads(self.thresholds.read_text(encoding="utf-8"))
            thresholds = {str(name): float(value) for name, value in values.items()}
            if wrong := [f"'{name}' is {value:g}" for name, value in thresholds.items() if not 0 <= value <= 1]:
                raise ValueError(f"{wrong[0]}, and a threshold is between 0 and 1")
            return thresholds
        except (json.JSONDecodeError, AttributeError, TypeError, ValueError) as error:
            raise UserError(
                f"{self.thresholds} is damaged ({error}). Delete it, and evaluate with thresholds chosen anew."
            ) from error

    @property
    def evaluation(self) -> Path:
        """Tables and predictions."""
        return self.path / "evaluation"

    def experiment(self) -> Experiment:
        """The experiment of a run that exists.

        Raises:
            UserError: no run lies here, or its config does not read.
        """
        if (self.path / "tracker.yaml").is_file():
            raise UserError(
                f"{self.path} is a tracker, whose stages are runs. Name one of them "
                f"({', '.join(sorted(str(config.parent) for config in self.path.glob('*/config.yaml')))}), "
                "or follow a point by `sightline track`."
            )
        if not self.config.is_file():
            raise UserError(f"{self.path} is no run folder: it holds no config.yaml. Give the folder that train wrote.")
        text = read_text(self.config, advice=RESTORE)
        return from_yaml(text, where=str(self.config))

    def load_best(self, model: nn.Module) -> None:
        """Load the best weights into a model built from this run's experiment.

        Raises:
            UserError: there are none yet, or they are damaged or of another model.
        """
        try:
            model.load_state_dict(self.read_best()[0])
        except RuntimeError as error:
            raise UserError(f"{self.best} does not fit {self.config}: {error}") from error

    def read_best(self) -> tuple[dict[str, Tensor], str]:
        """The best weights by name, and the SHA-256 of their file.

        Raises:
            UserError: there are none yet, or they are damaged.
        """
        if not self.best.is_file():
            raise UserError(f"{self.path} holds no best.safetensors: its training has not finished a validation yet.")
        held = self.best.read_bytes()
        try:
            return load(held), sha256(held).hexdigest()
        except SafetensorError as error:
            raise UserError(f"{self.best} is damaged ({error}). {RESTORE}") from error


def write_json(path: Path, value: object) -> None:
    """JSON, written aside and renamed."""
    write_atomically(path, json.dumps(value, indent=1, allow_nan=False))


def save_weights(path: Path, state: Mapping[str, Tensor], *, metadata: Mapping[str, str] | None = None) -> None:
    """Tensors to a safetensors file, written aside and renamed."""
    # safetensors refuses tensors that share memory or are strided; copies are neither. The bytes are made in
    # memory first, so that a full disk is met by write_atomically, which knows how to tell it.
    tensors = {key: value.detach().contiguous().clone() for key, value in state.items()}
    write_atomically(path, save(tensors, metadata=dict(metadata or {})))


@dataclass(kw_only=True)
class Progress:
    """Where a training stands; small enough for a safetensors header."""

    epoch: int = 0
    step: int = 0
    global_step: int = 0
    seconds: float = 0.0
    best: dict[str, Any] | None = None
    validations_since_best: int = 0
    done: bool = False


def save_state(
    path: Path, *, model: nn.Module, averaged: Mapping[str, Tensor] | None, optimizer: Optimizer, progress: Progress
) -> None:
    """Everything a bit-exact resume needs. Randomness is keyed by step, so no generator state is in it."""
    tensors = {f"model.{key}": value for key, value in model.state_dict().items()}
    tensors |= {f"averaged.{key}": value for key, value in (averaged or {}).items()}
    for index, values in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{name}": torch.as_tensor(value) for name, value in values.items()}
    save_weights(path, tensors, metadata={"progress": json.dumps(vars(progress))})


def load_state(
    path: Path, *, model: nn.Module, averaged: Mapping[str, Tensor] | None, optimizer: Optimizer
) -> Progress:
    """Put a saved state back; as `read_state` and `restore`."""
    return restore(read_state(path), model=model, averaged=averaged, optimizer=optimizer)


@dataclass(frozen=True, kw_only=True, eq=False)
class State:
    """What a state file holds; `path` is for messages."""

    path: Path
    tensors: dict[str, Tensor]
    progress: Progress


def read_state(path: Path) -> State:
    """Read what `save_state` wrote.

    Raises:
        UserError: there is no state, or it is damaged.
    """
    if not path.is_file():
        raise UserError(f"There is nothing to resume: {path} does not exist.")
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (not a dict)
            progress = Progress(**json.loads(file.metadata()["progress"]))
    except (SafetensorError, KeyError, TypeError, json.JSONDecodeError) as error:
        raise UserError(f"{path} is damaged ({error}); it cannot be resumed. Start the run again.") from error
    return State(path=path, tensors=tensors, progress=progress)


def restore(state: State, *, model: nn.Module, averaged: Mapping[str, Tensor] | None, optimizer: Optimizer) -> Progress:
    """Copy a state's tensors into the ones that exist.

    Raises:
        UserError: it belongs to another experiment.
    """
    parts: dict[str, dict[str, Tensor]] = {"model": {}, "averaged": {}, "optimizer": {}}
    for key, value in state.tensors.items():
        part, _, name = key.partition(".")
        parts[part][name] = value
    try:
        model.load_state_dict(parts["model"])
    except RuntimeError as error:
        raise UserError(f"{state.path} belongs to another experiment: {error}") from error
    with torch.no_grad():
        for name, value in (averaged or {}).items():
            value.copy_(parts["averaged"][name])
    saved = optimizer.state_dict()
    slots: dict[int, dict[str, Tensor]] = {}
    for key, value in parts["optimizer"].items():
        index, _, name = key.partition(".")
        slots.setdefault(int(index), {})[name] = value
    optimizer.load_state_dict({"state": slots, "param_groups": saved["param_groups"]})
    return state.progress
