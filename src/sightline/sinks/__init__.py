"""Where else a run is shown: TensorBoard, MLflow. Metrics go to `metrics.jsonl` always; the run folder is the truth.

A sink is filled from a run folder and nothing else, by the same code during a training and afterwards, so it can be
rebuilt at any time. It is no part of an experiment. Next: contents.py
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from sightline.errors import MissingExtra, UserError, unknown_name

if TYPE_CHECKING:  # every command that trains imports this file to say what it can
    from sightline.sinks.contents import Sink


@dataclass(frozen=True, kw_only=True)
class Target:
    """A sink as the user names it: `kind`, and `where` if it is not the usual place."""

    kind: str
    where: str | None = None

    def __str__(self) -> str:
        """As on the command line."""
        return self.kind if self.where is None else f"{self.kind}={self.where}"


def _tensorboard(run: Path, where: str | None) -> Sink:
    from sightline.sinks.tensorboard import TensorBoardSink

    return TensorBoardSink(run, where)


def _mlflow(run: Path, where: str | None) -> Sink:
    from sightline.sinks.mlflow import MlflowSink

    return MlflowSink(run, where)


SINKS: dict[str, Callable[[Path, str | None], Sink]] = {"mlflow": _mlflow, "tensorboard": _tensorboard}


def read_targets(texts: Sequence[str]) -> tuple[Target, ...]:
    """The sinks that the user names, each `NAME` or `NAME=PLACE`.

    Raises:
        UserError: an unknown name, no place behind `=`, or one named twice.
        MissingExtra: what it needs is not installed.
    """
    targets: list[Target] = []
    for text in texts:
        kind, sign, where = text.partition("=")
        if kind not in SINKS:
            raise unknown_name("sink", kind, SINKS)
        if sign and not where:
            raise UserError(f"--sink {text}: there is no place behind '='. Expected {kind}, or {kind}=PLACE.")
        target = Target(kind=kind, where=where or None)
        if target in targets:
            raise UserError(f"The sink {target} is named twice. Name each once.")
        _require_installed(target)
        targets.append(target)
    return tuple(targets)


def _require_installed(target: Target) -> None:
    from sightline.sinks.mlflow import needs_database

    modules = [target.kind]
    if target.kind == "mlflow" and needs_database(target.where):
        modules += ["sqlalchemy", "alembic"]
    if any(find_spec(module) is None for module in modules):
        raise MissingExtra(feature=f"The sink {target}", extra=target.kind)


def open_sink(run: Path, target: Target) -> Sink:
    """A sink for one run folder; nothing is written yet."""
    return SINKS[target.kind](run, target.where)
