"""Named sets of points: which names they have, which are mirror twins, which are joined.

The data lie beside this file as JSON (`names`, `flip_pairs`, `edges`, and `notes` for people).
In: a name, or the names of points that a label file gives. Out: a `Skeleton`.
Next: readers/
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from functools import cache
from importlib.resources import files

from sightline.errors import unknown_name
from sightline.records import Skeleton

KNOWN_NAMES = ("ibug68", "imm58")

_SWAPPED = {"left": "right", "right": "left", "l": "r", "r": "l"}
# Each pattern finds a mark of side; what it finds is changed to the other side.
_SIDE_MARKS = tuple(
    re.compile(pattern)
    for pattern in (
        r"(?i:left|right)",  # left_eye, EyeLeft, leftear
        r"(?<![A-Za-z])[lLrR](?![A-Za-z])",  # eye_l, L.eye, r1
        r"(?<![A-Za-z])[lr](?=[A-Z])",  # lEye
        r"(?<![A-Za-z])[LR](?=[A-Z][a-z])",  # LEye
        r"(?<=[a-z0-9])[LR](?![A-Za-z])",  # eyeL
    )
)
# Left or right, then Fore, Front, Hind, Back or Middle: the paws of animals. The number before
# it counts all paws through (paw1LH, paw4RH), so it is left out when twins are looked for.
_PAW_MARK = re.compile(r"\d*(?<![A-Z])([LR])([FHBM])(?![A-Za-z])")


def known_names() -> tuple[str, ...]:
    """The names that `skeleton` takes."""
    return KNOWN_NAMES


@cache
def skeleton(name: str) -> Skeleton:
    """The skeleton of that name.

    Raises:
        UserError: there is none; the message lists those there are.
    """
    if name not in KNOWN_NAMES:
        raise unknown_name("skeleton", name, KNOWN_NAMES)
    data = json.loads(files(__name__).joinpath(f"{name}.json").read_text(encoding="utf-8"))
    return Skeleton(
        names=tuple(data["names"]),
        flip_pairs=tuple((first, second) for first, second in data["flip_pairs"]),
        edges=tuple((first, second) for first, second in data["edges"]),
    )


def skeleton_from_names(names: Sequence[str]) -> Skeleton:
    """A skeleton without edges whose mirror twins are read from the names.

    Twins differ only in a mark of side: left/right anywhere (`leftear`, `EyeLeft`), l/r on their
    own (`eye_l`, `L.eye`) or set off by capitals (`lEye`, `LEye`, `eyeL`), or paws (`paw1LH`,
    `paw4RH`). A point with no twin, or with more than one possible twin, is left single.
    """
    candidates = {name: _twins(name, names=names) for name in names}
    pairs = []
    for index, name in enumerate(names):
        if len(candidates[name]) != 1:
            continue
        (twin,) = candidates[name]
        other = names.index(twin)
        if index < other and candidates[twin] == {name}:
            pairs.append((index, other))
    return Skeleton(names=tuple(names), flip_pairs=tuple(pairs))


def skeleton_for(names: Sequence[str]) -> Skeleton:
    """The skeleton that the names of points belong to.

    Where all names belong to one known skeleton, in any order or number, its pairs and edges
    are taken, since `jaw_0` and `jaw_16` are twins that their names do not tell. Otherwise, and
    where two known skeletons have all the names, `skeleton_from_names`.
    """
    fitting = []
    for known in map(skeleton, KNOWN_NAMES):
        if len(names) > 1 and set(names) <= set(known.names):
            fitting.append(known.select(known.names.index(name) for name in names))
    return fitting[0] if len(fitting) == 1 else skeleton_from_names(names)


def _twins(name: str, *, names: Sequence[str]) -> set[str]:
    """The other names that are this one with its side changed."""
    existing = set(names)
    twins = {other for other in _mirrored(name) if other in existing and other != name}
    if not twins and (key := _paw_key(name)) is not None:
        twins = {other for other in names if _paw_key(other) == (key[0], _SWAPPED[key[1].lower()].upper())}
        alike = [other for other in names if _paw_key(other) == key]
        twins = twins if len(alike) == 1 else set()
    return twins


def _mirrored(name: str) -> Iterator[str]:
    """The name with one kind of side mark changed, for each kind, and one mark at a time too."""
    for pattern in _SIDE_MARKS:
        marks = list(pattern.finditer(name))
        if marks:
            yield pattern.sub(lambda mark: _other_side(mark.group()), name)
        if len(marks) > 1:
            for mark in marks:
                yield name[: mark.start()] + _other_side(mark.group()) + name[mark.end() :]


def _other_side(word: str) -> str:
    """Turn left into right, in the same letter case."""
    other = _SWAPPED[word.lower()]
    if word.isupper():
        return other.upper()
    return other.capitalize() if word[0].isupper() else other


def _paw_key(name: str) -> tuple[str, str] | None:
    """What a paw's name is apart from its side and number, and its side; None for other names."""
    marks = list(_PAW_MARK.finditer(name))
    if len(marks) != 1:
        return None
    (mark,) = marks
    return f"{name[: mark.start()]}\0{mark.group(2)}{name[mark.end() :]}", mark.group(1)
