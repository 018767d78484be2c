"""What a comparison needs of a run folder, and the refusal to compare runs that cannot be compared.

In: folders that a training or `sightline evaluate --out` wrote. Out: a `Run` each. No torch.
Next: arms.py
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from sightline.errors import UserError
from sightline.metrics.picture_table import PictureTable
from sightline.report.values import number, section
from sightline.settings import load_yaml

_AGAIN = "Evaluate it again: sightline evaluate {run} --data DATA --split run-val --out {run}"
FOLDS = "folds.yaml"  # in a folder of cross-validation, whose repeats are runs
REPEAT = "repeat-{number}"


@dataclass(frozen=True, kw_only=True, eq=False)
class Run:
    """One evaluated run.

    Attributes:
        path: its folder.
        task: what it finds.
        metric: the task's main metric, and whether less of it is better.
        less_is_better: likewise.
        config: config.yaml as plain values.
        info: run.json.
        evaluation: evaluation/metrics.json.
        table: what each picture adds to each metric.
        fingerprint: of the pictures and labels that it was evaluated on.
    """

    path: Path
    task: str
    metric: str
    less_is_better: bool
    config: dict[str, Any]
    info: dict[str, Any]
    evaluation: dict[str, Any]
    table: PictureTable
    fingerprint: str

    @property
    def recipe(self) -> str:
        """The name of its recipe; the folder's where the config has none."""
        return str(self.config.get("recipe") or self.path.name)

    @property
    def weights(self) -> Path:
        """The folder of its weights: its own; for a repeat of a cross-validation, that of its first fold."""
        return self.path / str(self.info.get("weights", "."))

    @property
    def seed(self) -> int:
        """Of its training."""
        return int(section(self.config, "train").get("seed", 0))


def read_runs(paths: Sequence[Path], *, skip_broken: bool) -> tuple[list[Run], list[str]]:
    """Read runs, in the order given; with `skip_broken` what cannot be read is left out, and told.

    Returns:
        The runs, and a line about each that was left out.

    Raises:
        UserError: a folder is named twice; one holds no whole run and not `skip_broken`; or none is left.
    """
    resolved = [path.resolve() for path in paths]
    twice = next((path for place, path in enumerate(paths) if resolved[place] in resolved[:place]), None)
    if twice is not None:
        raise UserError(f"{twice} is named twice. Name each run once; a run cannot be compared with itself.")
    runs, complaints = [], []
    for path in paths:
        try:
            runs.append(read_run(path))
        except UserError as error:
            complaints.append(str(error))
    if complaints and not skip_broken:
        more = " --skip-broken compares the others." if runs else ""
        raise UserError(" ".join(complaints) + more)
    if not runs:
        raise UserError(" ".join([*complaints, "There is no run left to compare."]))
    return runs, complaints


def with_repeats(paths: Sequence[Path]) -> list[Path]:
    """Run folders; in place of a cross-validation its repeats, which are runs on all pictures with a seed each.

    Raises:
        UserError: a cross-validation has not come to the end of a repeat.
    """
    found: list[Path] = []
    for path in paths:
        if not (path / FOLDS).is_file():
            found.append(path)
            continue
        repeats = _yaml(path / FOLDS).get("repeats")
        if not isinstance(repeats, int) or repeats < 1:
            raise UserError(f"{path / FOLDS} does not say how many repeats there are. Restore it.")
        each = [path / REPEAT.format(number=number) for number in range(repeats)]
        missing = next((one for one in each if not (one / "evaluation" / "metrics.json").is_file()), None)
        if missing is not None:
            raise UserError(
                f"{missing} is missing: the folds of {path} have not all been trained. Go on with the command that "
                f"began it, and --out {path}."
            )
        found += each
    return found


def read_run(path: Path) -> Run:
    """Read what a comparison needs of one run.

    Raises:
        UserError: it is no run folder, its training has not ended, or a file is missing or damaged; names the file.
    """
    if not path.is_dir():
        raise UserError(f"{path} is not a folder. Give the folder of a run, as `sightline train` wrote it.")
    if not (path / "config.yaml").is_file():
        raise UserError(f"{path} is no run folder: it holds no config.yaml. Give the folder that train wrote.")
    config = _yaml(path / "config.yaml")
    evaluation = path / "evaluation"
    if not (evaluation / "metrics.json").is_file():
        raise UserError(
            f"{evaluation / 'metrics.json'} is missing: the training of {path} was stopped before its end. Resume it "
            f"with its own command and --resume --out {path}."
        )
    measured, info = _json(evaluation / "metrics.json", run=path), _json(path / "run.json", run=path)
    known = {key: measured.get(key) for key in ("task", "metric", "data_fingerprint", "less_is_better")}
    if not all(isinstance(value, str) for value in list(known.values())[:3]) or known["less_is_better"] not in (0, 1):
        lacking = ", ".join(key for key, value in known.items() if value is None) or "values of the right kind"
        raise UserError(f"{evaluation / 'metrics.json'} lacks {lacking}. {_AGAIN.format(run=path)}")
    return Run(
        path=path,
        task=str(known["task"]),
        metric=str(known["metric"]),
        less_is_better=bool(known["less_is_better"]),
        config=config,
        info=info,
        evaluation=measured,
        table=_table(evaluation / "pictures.npz", run=path),
        fingerprint=str(known["data_fingerprint"]),
    )


def require_alike(runs: Sequence[Run]) -> None:
    """Refuse runs whose scores do not speak of the same thing.

    Raises:
        UserError: tasks, evaluated pictures or labels, groups of pictures, or what the metrics are divided by differ;
            it names both runs and the difference.
    """
    first = runs[0]
    for run in runs[1:]:
        both = f"{first.path} and {run.path} cannot be compared: "
        if run.task != first.task:
            raise UserError(f"{both}the task of one is {first.task}, of the other {run.task}. Name runs of one task.")
        if set(run.table.image_ids) != set(first.table.image_ids):
            raise UserError(both + _other_pictures(first, run))
        if run.fingerprint != first.fingerprint:
            raise UserError(
                f"{both}both were evaluated on {len(run.table)} pictures of the same names, but files or labels differ "
                f"(data_fingerprint {first.fingerprint} and {run.fingerprint}). Evaluate both on one data set: "
                "sightline evaluate RUN --data DATA --out FOLDER"
            )
        if not np.array_equal(run.table.units[run.table.in_order_of(first.table.image_ids)], first.table.units):
            raise UserError(f"{both}their pictures are grouped into clips or persons differently. Evaluate both again.")
        for key in ("normaliser", "size_limits", "crop"):
            if run.evaluation.get(key) != first.evaluation.get(key) and key != "crop":
                raise UserError(
                    f"{both}{key} is {first.evaluation.get(key)} in one and {run.evaluation.get(key)} in the other. "
                    "Evaluate both with the same evaluate.* settings."
                )


def _other_pictures(first: Run, run: Run) -> str:
    one, other = set(first.table.image_ids), set(run.table.image_ids)
    only = sorted(one ^ other)
    example = f"{only[0]} is only in {'the first' if only[0] in one else 'the second'}"
    return (
        f"they were evaluated on {len(one)} and {len(other)} pictures, {len(one & other)} of them the same; {example} "
        f"(data_fingerprint {first.fingerprint} and {run.fingerprint}). Evaluate both on the same pictures: "
        "sightline evaluate RUN --data DATA --out FOLDER"
    )


def _yaml(path: Path) -> dict[str, Any]:
    try:
        value = load_yaml(path.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
        raise UserError(f"{path} cannot be read as YAML ({_short(error)}). Restore it.") from error
    if not isinstance(value, dict):
        raise UserError(f"{path} holds a {type(value).__name__}, expected settings by name. Restore it.")
    return value


def _json(path: Path, *, run: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path} is missing. Restore it, or train the run again.") from None
    except (json.JSONDecodeError, UnicodeDecodeError, OSError) as error:
        raise UserError(f"{path} is damaged ({_short(error)}). {_AGAIN.format(run=run)}") from error
    if not isinstance(value, dict):
        raise UserError(f"{path} holds a {type(value).__name__}, expected an object. {_AGAIN.format(run=run)}")
    return value


def _table(path: Path, *, run: Path) -> PictureTable:
    if not path.is_file():
        raise UserError(
            f"{path} is missing: {run} was evaluated by an older version, or the file was lost. "
            f"{_AGAIN.format(run=run)}"
        )
    try:
        with np.load(path, allow_pickle=False) as archive:
            return PictureTable.from_arrays(dict(archive))
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zipfile.LargeZipFile) as error:
        raise UserError(f"{path} is damaged ({_short(error)}). {_AGAIN.format(run=run)}") from error


def _short(error: Exception) -> str:
    return str(error).splitlines()[0][:120] if str(error) else type(error).__name__


def measured_value(run: Run, name: str) -> float | None:
    """A metric as the run's own evaluation gave it."""
    return number(section(section(run.evaluation, "metrics"), name).get("value"))
