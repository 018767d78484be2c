"""`sightline check`: a data set read and every picture looked at, before any time is spent on it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from sightline.cli import console
from sightline.cli.dataset import print_dataset
from sightline.cli.options import Flag

if TYPE_CHECKING:
    from sightline.records import Dataset


def check(data: Path, *, format: str | None = None, json: Flag = False) -> int:
    """Read a data set, look at every picture, and tell what is wrong. Exit code 1 on errors."""
    from dataclasses import asdict, replace

    from sightline.readers import check_flip_order, read_dataset
    from sightline.records import Problem
    from sightline.scan import scan

    dataset = scan(read_dataset(data, format=format))
    dataset = replace(dataset, problems=(*dataset.problems, *check_flip_order(dataset)))
    if not dataset.records and not dataset.errors:
        empty = Problem(id="records-none", severity="error", where=str(data), message="there is no record in it")
        dataset = replace(dataset, problems=(*dataset.problems, empty))
    if json:
        console.print_json(_summary(dataset) | {"problems": [asdict(problem) for problem in dataset.problems]})
    else:
        print_dataset(dataset)
    return 1 if dataset.errors else 0


def _summary(dataset: Dataset) -> dict[str, Any]:
    return {
        "data": str(dataset.root),
        "format": dataset.format,
        "records": len(dataset),
        "points": list(dataset.skeleton.names),
        "classes": list(dataset.classes),
        "boxes": sum(len(record.objects) for record in dataset.records if record.objects is not None),
        "data_fingerprint": dataset.fingerprint(),
        "errors": len(dataset.errors),
    }
