"""A data set in words: what it is, and what is wrong with it. Next: check.py, train.py."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sightline.cli import console

if TYPE_CHECKING:
    from sightline.records import Dataset

SHOWN_CLASSES = 8


def print_dataset(dataset: Dataset, *, most: int = 20) -> None:
    """A line about a data set and its problems, the worst first."""
    console.say(f"{dataset.root}: {dataset.format}, {len(dataset):,} records, {what_is_labelled(dataset)}")
    order = {"error": 0, "warning": 1, "note": 2}
    styles = {"error": "red", "warning": "yellow", "note": "dim"}
    problems = sorted(dataset.problems, key=lambda problem: order[problem.severity])
    for problem in problems[:most]:
        style = styles[problem.severity]
        console.out.print(f"  {problem}", style=style, highlight=False, markup=False, soft_wrap=True)
    if len(problems) > most:
        console.say(f"  and {len(problems) - most:,} more (--json lists all)")


def what_is_labelled(dataset: Dataset) -> str:
    """Points, or boxes and classes, in a few words."""
    if not dataset.classes:
        return f"{len(dataset.skeleton)} points"
    boxes = sum(len(record.objects) for record in dataset.records if record.objects is not None)
    names = ", ".join(dataset.classes[:SHOWN_CLASSES]) + (", ..." if len(dataset.classes) > SHOWN_CLASSES else "")
    return f"{boxes:,} boxes of {len(dataset.classes)} classes ({names})"
