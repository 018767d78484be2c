"""What a corrected copy changes, line by line: fixes.csv. Next: fix.py, fix_clips.py."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sightline.records import Record


@dataclass(frozen=True, kw_only=True)
class Change:
    """One line of fixes.csv.

    Attributes:
        id: of the check; empty where the change answers none.
        is_open: nothing was changed: a person has to decide.
    """

    id: str
    image_id: str
    where: str
    change: str
    is_open: bool = False


Log = Callable[[str, Record, str], None]


def logging_to(changes: list[Change]) -> Log:
    """A function that adds the change of a record: id of the check, the record, what was done."""

    def log(id: str, record: Record, change: str) -> None:
        changes.append(Change(id=id, image_id=record.image_id, where=record.source, change=change))

    return log


def table(changes: Sequence[Change]) -> str:
    """fixes.csv: what was changed, and behind it what a person has to decide."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["id", "image_id", "where", "change"])
    for change in sorted(changes, key=lambda change: change.is_open):
        rows.writerow([change.id, change.image_id, change.where, change.change])
    return text.getvalue()
