"""Reads what a run folder holds; each part may be missing, none may be wrong.

In: the folder. Out: a `RunFolder` of plain values, with a note for each part that is not there.
No torch: the page can be made where nothing but the folder has been copied to.
Next: words.py
"""

from __future__ import annotations

import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np
import yaml

from sightline.errors import UserError
from sightline.report.prediction_rows import check_rows, has_boxes
from sightline.report.values import Row, Task, number
from sightline.settings import load_yaml


@dataclass(frozen=True, kw_only=True)
class Heatmaps:
    """Score maps of a few pictures.

    Attributes:
        image_ids: [n] str.
        maps: [n, K, h, w] uint8.
        inputs: [n, H, W, 1 or 3] uint8, what the network saw.
    """

    image_ids: tuple[str, ...]
    maps: np.ndarray
    inputs: np.ndarray


@dataclass(frozen=True, kw_only=True)
class RunFolder:
    """A run, as far as it got; an empty dict or list is a part that is not there."""

    path: Path
    task: Task
    config: dict[str, Any]
    config_text: str
    run: dict[str, Any]
    train_rows: list[Row]
    val_rows: list[Row]
    evaluation: dict[str, Any]
    predictions: list[Row]
    heatmaps: Heatmaps | None
    filters: np.ndarray | None
    notes: tuple[str, ...]


def read_run_folder(path: Path) -> RunFolder:
    """Read a run folder.

    Raises:
        UserError: there is no such folder, it holds nothing of a run, or a file in it cannot be understood.
    """
    if not path.is_dir():
        raise UserError(f"Expected a run folder, but {path} is not a folder. Give the folder that a training wrote.")
    config_text = _text(path / "config.yaml")
    run = _json_dict(path / "run.json")
    notes: list[str] = []
    train_rows, val_rows = _metric_rows(path / "metrics.jsonl", notes=notes)
    evaluation = _json_dict(path / "evaluation" / "metrics.json")
    predictions = _predictions(path / "evaluation" / "predictions.json")
    if not (config_text or run or train_rows or val_rows or evaluation):
        raise UserError(
            f"{path} is not a run folder: none of config.yaml, run.json, metrics.jsonl and evaluation/metrics.json "
            "is in it. Give the folder that a training wrote."
        )
    return RunFolder(
        path=path,
        task=_task(evaluation, predictions, val_rows, path=path / "evaluation" / "metrics.json"),
        config=_config(path / "config.yaml", config_text),
        config_text=config_text,
        run=run,
        train_rows=train_rows,
        val_rows=val_rows,
        evaluation=evaluation,
        predictions=predictions,
        heatmaps=_heatmaps(path / "evaluation" / "heatmaps.npz"),
        filters=_filters(path / "evaluation" / "filters.npz"),
        notes=tuple(notes),
    )


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""
    except UnicodeDecodeError as error:
        raise UserError(f"{path} is not text (UTF-8). Restore it, or delete it to report without it.") from error
    except OSError as error:
        raise UserError(f"Cannot read {path}: {error.strerror}. Check the permissions.") from error


def _json(path: Path) -> Any:  # noqa: ANN401
    """The value of a JSON file, None where there is no file."""
    text = _text(path)
    if not text and not path.exists():
        return None
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise UserError(
            f"{path}, line {error.lineno}: not JSON ({error.msg}). Restore the file, or delete it to report without it."
        ) from error


def _json_dict(path: Path) -> dict[str, Any]:
    value = _json(path)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise UserError(f"{path} holds a {type(value).__name__}, expected an object. Delete it to report without it.")
    return value


def _config(path: Path, text: str) -> dict[str, Any]:
    try:
        value = load_yaml(text)
    except yaml.YAMLError as error:
        raise UserError(f"{path} is not YAML: {error}. Restore it, or delete it to report without it.") from error
    if value is not None and not isinstance(value, dict):
        raise UserError(f"{path} holds a {type(value).__name__}, expected settings by name. Restore or delete it.")
    return value or {}


def _metric_rows(path: Path, *, notes: list[str]) -> tuple[list[Row], list[Row]]:
    """Training and validation rows by step; of rows with one step the later wins (a resumed run repeats some)."""
    by_step: dict[str, dict[float, Row]] = {"train": {}, "val": {}}
    lines = _text(path).split("\n")
    for number_of_line, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            if number_of_line == len(lines):  # no line end behind it: the writer was stopped
                notes.append("The last line of metrics.jsonl is half written and was left out.")
                continue
            raise UserError(
                f"{path}, line {number_of_line}: not JSON ({error.msg}). Delete that line to report without it."
            ) from error
        if not isinstance(row, dict):
            raise UserError(
                f"{path}, line {number_of_line}: expected an object, found {line[:40]!r}. Delete that line."
            )
        step = number(row.get("step"))
        if row.get("kind") in by_step and step is not None:
            by_step[row["kind"]][step] = row
    train, val = ([kind[step] for step in sorted(kind)] for kind in by_step.values())
    return train, val


def _predictions(path: Path) -> list[Row]:
    value = _json(path)
    return [] if value is None else check_rows(value, path=path)


def _task(evaluation: dict[str, Any], predictions: list[Row], val_rows: list[Row], *, path: Path) -> Task:
    """What the run finds: the evaluation says it; else it shows in what was measured on the way."""
    said = evaluation.get("task")
    if said is not None:
        if said not in get_args(Task):
            raise UserError(
                f"{path}: task is {said!r}, expected one of {', '.join(get_args(Task))}. Evaluate the run again with "
                "this version of sightline, or delete the file to report without it."
            )
        if predictions and has_boxes(predictions[0]) != (said not in ("points", "track")):
            raise UserError(
                f"{path} is about {said}, but predictions.json beside it is not. Evaluate the run again, or delete "
                "one of the two files."
            )
        return said
    if any("ap" in row for row in val_rows):
        return "boxes"
    if any("mean_iou" in row for row in val_rows):
        return "one-box"
    if any("f1_wide" in row for row in val_rows):
        return "track"
    return "boxes" if predictions and has_boxes(predictions[0]) else "points"


def _heatmaps(path: Path) -> Heatmaps | None:
    arrays = _arrays(path, names=("image_ids", "maps", "inputs"))
    if arrays is None:
        return None
    ids, maps, inputs = arrays
    if maps.ndim != 4 or inputs.ndim != 4 or not len(ids) == len(maps) == len(inputs) or maps.dtype != np.uint8:
        raise UserError(f"{path}: shapes {ids.shape}, {maps.shape}, {inputs.shape} do not fit. Evaluate the run again.")
    return Heatmaps(image_ids=tuple(str(name) for name in ids), maps=maps, inputs=inputs) if len(ids) else None


def _filters(path: Path) -> np.ndarray | None:
    arrays = _arrays(path, names=("filters",))
    if arrays is None:
        return None
    if arrays[0].ndim != 4 or not arrays[0].size:
        raise UserError(
            f"{path}: filters have the shape {arrays[0].shape}, expected four axes. Evaluate the run again."
        )
    return arrays[0]


def _arrays(path: Path, *, names: tuple[str, ...]) -> list[np.ndarray] | None:
    if not path.exists():
        return None
    try:
        with np.load(path, allow_pickle=False) as archive:
            return [archive[name] for name in names]
    except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
        raise UserError(
            f"{path} cannot be read ({error}). Evaluate the run again, or delete the file to report without it."
        ) from error
