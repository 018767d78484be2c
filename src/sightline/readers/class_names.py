"""Names of classes: their order, and what is suspicious about them.

In: names as label files spell them, or finished records. Out: the data set's classes; warnings.
Next: assemble_boxes.py
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from itertools import combinations
from pathlib import Path

from sightline.readers.assemble import Findings
from sightline.readers.texts import natural_key, part_of_name, read_text
from sightline.records import Record

# Two names that differ by one letter are taken for a slip from this length on, by two from the other.
_ONE_SLIP, _TWO_SLIPS = 5, 9
# ... and where one of them is this much rarer, or they never meet in one part of the data.
_RARER = 10
# All pairs of names are compared; beyond this many (OpenImages has 600) only case and spacing are.
_MOST_COMPARED = 200
_SHOWN = 12


def class_order(found: Iterable[str], *, listed: Sequence[str] = ()) -> tuple[str, ...]:
    """The classes of a format that only names them: those of a list in its order, then the others sorted."""
    others = set(found) - set(listed)
    return (*dict.fromkeys(listed), *sorted(others, key=lambda name: (natural_key(Path(name)), name)))


def read_class_list(candidates: Iterable[Path]) -> tuple[str, ...]:
    """The names in the first of these text files that is there, one a line; () where none is.

    Raises:
        UserError: the file cannot be read as UTF-8.
    """
    for path in candidates:
        if path.is_file():
            lines = (line.strip() for line in read_text(path).splitlines())
            return tuple(dict.fromkeys(line for line in lines if line))
    return ()


def check_classes(records: Sequence[Record], *, classes: Sequence[str], findings: Findings, where: str) -> None:
    """Warn of names that look like one class, of classes without objects, and of classes in one part only."""
    parts: dict[str, Counter[int]] = defaultdict(Counter)
    for record in records:
        if record.objects is not None:
            parts[part_of_name(record.split or "")].update(record.objects.labels.tolist())
    counts = [sum(part[index] for part in parts.values()) for index in range(len(classes))]
    _check_names(classes, counts=counts, parts=list(parts.values()), findings=findings, where=where)
    if unused := [name for name, count in zip(classes, counts, strict=True) if count == 0]:
        message = f"{len(unused)} of {len(classes)} classes have no object: {_list(unused)}"
        findings.warning("box-class-unused", where, message)
    _check_parts(classes, parts=parts, findings=findings, where=where)


def _check_names(
    classes: Sequence[str], *, counts: Sequence[int], parts: Sequence[Counter[int]], findings: Findings, where: str
) -> None:
    used = [index for index, count in enumerate(counts) if count]
    alike: dict[str, list[int]] = defaultdict(list)
    for index in used:
        alike[letters_of(classes[index])].append(index)
    pairs = [(pair, "differ only in case or spacing") for same in alike.values() for pair in combinations(same, 2)]
    if len(used) <= _MOST_COMPARED:
        for first, second in combinations(used, 2):
            rare, often = sorted((first, second), key=lambda index: counts[index])
            meet = any(part[first] and part[second] for part in parts)
            if (counts[rare] * _RARER <= counts[often] or not meet) and is_slip(classes[first], classes[second]):
                pairs.append(((first, second), "differ by a slip of the pen"))
    for (first, second), how in pairs:
        names = " and ".join(f"'{classes[index]}' ({counts[index]} objects)" for index in (first, second))
        message = f"{names} {how}; they are two classes unless one is renamed"
        findings.warning("box-class-similar", where, message)


def _check_parts(classes: Sequence[str], *, parts: dict[str, Counter[int]], findings: Findings, where: str) -> None:
    """Warn of classes that training sees and validation does not, or the other way round."""
    for one, other, meaning in (
        ("train", "val", "no figure will tell how well they are found"),
        ("val", "train", "they cannot be learned"),
    ):
        if one in parts and other in parts:
            names = [name for index, name in enumerate(classes) if parts[one][index] and not parts[other][index]]
            if names:
                message = f"{len(names)} of {len(classes)} classes are in {one} but not in {other}, so {meaning}: "
                findings.warning("box-class-one-part", where, message + _list(names))


def letters_of(name: str) -> str:
    """A name without case and separators; what is nothing but separators stays."""
    return re.sub(r"[\s_.-]+", "", name).casefold() or name


def is_slip(first: str, second: str) -> bool:
    """Whether two different names may be one, spelled wrongly; numbers in names are no slips."""
    a, b = letters_of(first), letters_of(second)
    if a == b or any(c.isdecimal() for c in a + b):
        return False
    longer = max(len(a), len(b))
    allowed = 0 if longer < _ONE_SLIP else 1 if longer < _TWO_SLIPS else 2
    if not allowed or abs(len(a) - len(b)) > allowed or len(set(a) ^ set(b)) > 2 * allowed:
        return False
    return _distance(a, b) <= allowed


def _distance(a: str, b: str) -> int:
    """Letters to put in, leave out, change, or exchange with their neighbour (optimal string alignment)."""
    before: list[int] = []
    last = list(range(len(b) + 1))
    for i, x in enumerate(a, start=1):
        row = [i]
        for j, y in enumerate(b, start=1):
            best = min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (x != y))
            if i > 1 and j > 1 and x == b[j - 2] and a[i - 2] == y:
                best = min(best, before[j - 2] + 1)
            row.append(best)
        before, last = last, row
    return last[-1]


def _list(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
