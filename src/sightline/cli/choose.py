"""What the user's words mean: a recipe with its changes, folders of weights, the command itself. Next: dataset.py."""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sightline.errors import UserError

if TYPE_CHECKING:
    from sightline.config import Experiment


def chosen(
    recipe: str, use: Sequence[str] | None, sets: Sequence[str] | None, *, start_from: Path | None = None
) -> Experiment:
    """A recipe (or a YAML file of one) with the user's changes.

    Args:
        recipe: a name, or a YAML file.
        use: swaps of pieces.
        sets: changed settings.
        start_from: --from, a run whose weights are taken.

    Raises:
        UserError: no such recipe or file, a file that holds none, or changes that are not legal.
    """
    from sightline.config import from_yaml, override
    from sightline.recipes import recipe as find

    path = Path(recipe)
    if path.suffix in {".yaml", ".yml"}:
        if not path.is_file():
            raise UserError(f"There is no {path}. Give a recipe's name or a YAML file that holds one.")
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(
                f"{path} cannot be read as text ({error}). Give a YAML file that holds a recipe."
            ) from error
        experiment = from_yaml(text, where=str(path))
    else:
        experiment = find(recipe)
    experiment = override(experiment, use=use or (), sets=sets or ())
    if start_from is None:
        return experiment
    name, train = start_from.as_posix(), experiment.train
    checksum = train.start_sha256 if train.start_from == name else None  # a file's is of the run that it names itself
    train = train.model_copy(update={"start_from": name, "start_sha256": checksum})
    return experiment.model_copy(update={"train": train})


def command_line(hidden: Mapping[str, str] | None = None) -> str:
    """The command as it was typed, for run.json; with other words in the place of what nobody should read there."""
    words = sys.argv[1:]
    for secret, shown in (hidden or {}).items():
        words = [word.replace(secret, shown) for word in words]
    return "sightline " + shlex.join(words)


def weight_folders(given: Path | None, data: Path | None) -> list[Path]:
    """Where pretrained weights are looked for: --weights-dir, $SIGHTLINE_WEIGHTS, `weights` here and near the data.

    Raises:
        UserError: --weights-dir is no folder.
    """
    if given is not None and not given.is_dir():
        raise UserError(f"--weights-dir {given} is no folder.")
    folders = [given] if given else []
    folders += [Path(text) for text in [os.environ.get("SIGHTLINE_WEIGHTS")] if text]
    folders.append(Path("weights"))
    if data is not None:
        folders += [parent / "weights" for parent in [data.resolve(), *data.resolve().parents][:3]]
    return folders
