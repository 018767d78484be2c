"""What the user's words mean: a recipe with its changes, the folders of pretrained weights. Next: dataset.py."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sightline.errors import UserError

if TYPE_CHECKING:
    from sightline.config import Experiment


def chosen(recipe: str, use: Sequence[str] | None, sets: Sequence[str] | None) -> Experiment:
    """A recipe (or a YAML file of one) with the user's changes.

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
    return override(experiment, use=use or (), sets=sets or ())


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
