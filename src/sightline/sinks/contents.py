"""What a sink takes of a run folder: its settings, every logged value, and the final scores.

In: the folder. Out: `Contents` of plain values. Needs no torch. Next: tensorboard.py, mlflow.py, live.py
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import yaml

from sightline.compare.arms import flat
from sightline.errors import UserError
from sightline.files import read_object, read_text
from sightline.report.values import number, section
from sightline.settings import load_yaml

PLACES = ("kind", "step", "epoch", "seconds")  # of a line of metrics.jsonl; the rest are values
RESTORE = "Restore or delete it."


@dataclass(frozen=True, kw_only=True)
class Logged:
    """One value of metrics.jsonl.

    Attributes:
        name: "train/loss", "val/ap".
        value: finite.
        step: optimiser steps done.
        time: seconds since 1970: when the run began, and the training time until then.
    """

    name: str
    value: float
    step: int
    time: float


@dataclass(frozen=True, kw_only=True)
class Contents:
    """What a run folder holds for a sink.

    Attributes:
        path: the folder.
        key: names this run wherever the folder lies.
        began: seconds since 1970.
        settings: config.yaml, one entry a value: "train.lr" -> "0.001".
        config_text: config.yaml as it is.
        about: recipe, data, command, machine, state.
        logged: every value in the order of the file.
        final: scores of the evaluation, "final/ap"; none while it is not there.
    """

    path: Path
    key: str
    began: float
    settings: dict[str, str]
    config_text: str
    about: dict[str, str]
    logged: tuple[Logged, ...]
    final: dict[str, float]

    @property
    def last_step(self) -> int:
        """Of the last logged value."""
        return max((entry.step for entry in self.logged), default=0)

    @property
    def ended(self) -> float:
        """Seconds since 1970: when the last value was logged."""
        return max((entry.time for entry in self.logged), default=self.began)

    @property
    def is_finished(self) -> bool:
        """Whether the training has ended and was evaluated."""
        return bool(self.final)


class Sink(Protocol):
    """Somewhere else that shows runs. Methods may raise anything: whoever calls them tells it and goes on."""

    def replace(self, contents: Contents) -> None:
        """Forget what there is of this run, and write all of it."""
        ...

    def add(self, logged: Sequence[Logged]) -> None:
        """Append values; after `replace`."""
        ...

    def finish(self, contents: Contents) -> None:
        """Write what stands at the end: final scores, the report. After `replace`."""
        ...

    def close(self) -> None:
        """Let go of files and connections."""
        ...

    @property
    def shown_at(self) -> str:
        """Where to look, in the words of a command or an address."""
        ...


def read_contents(run: Path) -> Contents:
    """Read a run folder; what a training has not written yet is empty.

    Raises:
        UserError: it is no run folder, or a file in it cannot be read; names it.
    """
    config = run / "config.yaml"
    if not config.is_file():
        raise UserError(f"{run} is no run folder: it holds no config.yaml. Give the folder that train wrote.")
    config_text = read_text(config, advice=RESTORE)
    try:
        settings = load_yaml(config_text)
    except yaml.YAMLError as error:
        raise UserError(f"{config} is not YAML ({error}). Restore it.") from error
    if not isinstance(settings, dict):
        raise UserError(f"{config} holds no settings by name. Restore it.")
    info = object_of(run / "run.json")
    evaluation = object_of(run / "evaluation" / "metrics.json")
    began = _seconds(info.get("started"), otherwise=config.stat().st_mtime)
    scores = section(evaluation, "metrics")
    values = {f"final/{name}": number(found.get("value")) for name, found in scores.items() if isinstance(found, dict)}
    return Contents(
        path=run,
        key=_key(config_text, info),
        began=began,
        settings={name: text.strip('"') for name, text in flat(settings).items()},
        config_text=config_text,
        about=_about(info, settings, finished=bool(evaluation)),
        logged=_logged(run / "metrics.jsonl", began=began),
        final={name: value for name, value in values.items() if value is not None},
    )


def logged_of(row: Mapping[str, Any], *, began: float) -> tuple[Logged, ...]:
    """The values of one line of metrics.jsonl; those that are not finite numbers are left out."""
    step, seconds = number(row.get("step")), number(row.get("seconds")) or 0.0
    if step is None:
        return ()
    found = {name: number(value) for name, value in row.items() if name not in PLACES}
    at = began + seconds
    return tuple(
        Logged(name=f"{row.get('kind')}/{name}", value=value, step=int(step), time=at)
        for name, value in found.items()
        if value is not None
    )


def _logged(path: Path, *, began: float) -> tuple[Logged, ...]:
    lines = read_text(path, advice=RESTORE).split("\n") if path.exists() else []
    found: list[Logged] = []
    for place, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            if place == len(lines):
                break  # no line end behind it: the writer was killed, or is writing it just now
            raise UserError(f"{path}, line {place}: not JSON ({error.msg}). Delete that line.") from error
        if not isinstance(row, dict):
            raise UserError(f"{path}, line {place}: expected an object, found {line[:40]!r}. Delete that line.")
        found += logged_of(row, began=began)
    return tuple(found)


def _key(config_text: str, info: Mapping[str, Any]) -> str:
    """Two runs with one config differ in their command, machine or second."""
    decides = [config_text, info.get("started"), info.get("command"), info.get("data")]
    return hashlib.blake2b(json.dumps(decides, sort_keys=True).encode(), digest_size=8).hexdigest()


def _about(info: Mapping[str, Any], settings: Mapping[str, Any], *, finished: bool) -> dict[str, str]:
    data, machine = section(dict(info), "data"), section(dict(info), "machine")
    found = {
        "recipe": settings.get("recipe"),
        "data": data.get("root"),
        "data_fingerprint": data.get("fingerprint"),
        "command": info.get("command"),
        "started": info.get("started"),
        "machine": machine.get("gpu") or machine.get("cpu"),
        "sightline": info.get("sightline"),
        "state": "finished" if finished else "not finished",
    }
    return {name: str(value) for name, value in found.items() if value is not None}


def _seconds(text: object, *, otherwise: float) -> float:
    try:
        return time.mktime(time.strptime(str(text), "%Y-%m-%d %H:%M:%S"))
    except (ValueError, OverflowError):
        return otherwise


def object_of(path: Path) -> dict[str, Any]:
    """A JSON object; empty where there is no file.

    Raises:
        UserError: it is something else, or cannot be read.
    """
    return read_object(path, advice=RESTORE) if path.exists() else {}
