"""Checks of names: of points, of parts. (Names of classes are looked at by readers/class_names.py.) Next: tracks.py."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable

from sightline.doctor.case import Case, suspect
from sightline.records import Problem
from sightline.splits import part_of

_SIDE = re.compile(r"(?i)(?<![a-z])(left|right)(?![a-z])|^(left|right)|(left|right)$")
_OTHER = {"left": "right", "right": "left"}


def check(case: Case) -> Iterable[Problem]:
    """Problems of the data set's names."""
    names = case.dataset.skeleton.names
    alike: dict[str, list[str]] = defaultdict(list)
    for name in names:
        alike[_plain(name)].append(name)
    for same in alike.values():
        if len(same) > 1:
            told = " and ".join(f"'{name}'" for name in same)
            yield suspect("point-name-similar", case.dataset, f"{told} differ only in case or spacing")
    lone = [name for name in names if (other := _twin(name)) is not None and other not in alike]
    if 0 < len(lone) < len(names):
        told = ", ".join(f"'{name}'" for name in lone)
        yield suspect("point-twin-missing", case.dataset, f"no point is the other side of {told}")
    parts = Counter(part_of(record) for record in case.records)
    for part, count in parts.items():
        if part not in ("train", "val", "test", None):
            yield suspect("split-name-unknown", case.dataset, f"{count} records are in the part '{part}'")


def _plain(name: str) -> str:
    return re.sub(r"[\s_.-]+", "", name).casefold() or name


def _twin(name: str) -> str | None:
    """The plain name of the other side; None where the name has no side."""
    if not _SIDE.search(name):
        return None
    return _plain(_SIDE.sub(lambda found: _OTHER[found.group().lower()], name))
