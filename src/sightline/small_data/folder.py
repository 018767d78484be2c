"""A folder of several runs: the plan that it was begun with, and the refusal to mix two plans in one folder.

Next: folds.py
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from sightline.compare.arms import flat
from sightline.config import from_yaml
from sightline.errors import UserError
from sightline.files import write_atomically
from sightline.settings import load_yaml

_MOST_KEYS = 5


def begin(out: Path, plan: Mapping[str, Any], *, file: str, may_grow: str) -> None:
    """Write a plan into a new folder, or check that the folder's own plan is this one.

    Args:
        out: the folder of all runs.
        plan: plain values, with the recipe as `experiment`.
        file: the plan's name there.
        may_grow: a key whose number may be larger than it was; the plan is then written anew.

    Raises:
        UserError: the folder holds something else, another plan, or one that cannot be read; or it is a file.
    """
    require_own(out, file=file)
    path = out / file
    if not path.is_file():
        write_atomically(path, _text(plan))
        return
    stored = _read(path)
    now = yaml.safe_load(_text(plan))  # as the file would give it back: tuples become lists
    before, after = flat(stored), flat(now)
    differ = [key for key in {**before, **after} if before.get(key) != after.get(key)]
    grows = differ == [may_grow] and _is_number(stored[may_grow]) and stored[may_grow] < now[may_grow]
    if differ and not grows:
        shown = ", ".join(f"{key} ({before.get(key)} there, {after.get(key)} asked for)" for key in differ[:_MOST_KEYS])
        more = f" and {len(differ) - _MOST_KEYS} more" if len(differ) > _MOST_KEYS else ""
        raise UserError(
            f"{out} was begun with other settings or data: {shown}{more}. Choose another --out, or repeat the command "
            "that began it."
        )
    if grows:
        write_atomically(path, _text(plan))


def require_own(out: Path, *, file: str) -> None:
    """Refuse a folder that something else is in; what begins with a dot (unpacked frames) is not looked at.

    Raises:
        UserError: it is a file, or holds files but not the plan.
    """
    if out.is_file():
        raise UserError(f"--out {out} is a file. Name a folder.")
    if out.is_dir() and not (out / file).is_file() and any(one.name[0] != "." for one in out.iterdir()):
        raise UserError(
            f"{out} holds something else (no {file} is in it). Name a folder that is new, empty, or was begun by this "
            "command."
        )


def _text(plan: Mapping[str, Any]) -> str:
    return yaml.safe_dump(dict(plan), sort_keys=False, width=110)


def _read(path: Path) -> dict[str, Any]:
    """The stored plan; settings that the program has learnt since then have their defaults in it."""
    try:
        stored = load_yaml(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UserError(f"{path} cannot be read ({error}). Restore it, or choose another --out.") from error
    if not isinstance(stored, dict):
        raise UserError(f"{path} holds no settings. Restore it, or choose another --out.")
    experiment = from_yaml(yaml.safe_dump(stored.get("experiment")), where=f"{path}, experiment")
    return {**stored, "experiment": experiment.model_dump(mode="json")}


def _is_number(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
