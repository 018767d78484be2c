"""Merging on the disk: two data sets are read, joined, and written somewhere new; both stay as they are.

In: paths. Out: `Done`. Next: ../cli/merge.py
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from sightline.errors import UserError
from sightline.files import is_vacant, new_folder
from sightline.labelling.merge import Merged
from sightline.labelling.names import parse_renames
from sightline.predict_files import convert_dataset, convert_to_nearest, find_box_writer, find_writer, is_label_file
from sightline.readers import check_flip_order, read_dataset
from sightline.records import Dataset
from sightline.scan import require_clean, scan

_SHOWN = 5
Join = Callable[[Dataset, Dataset, Mapping[str, str]], Merged]


@dataclass(frozen=True, kw_only=True, eq=False)
class Done:
    """What was read and written.

    Attributes:
        before: pictures and labels of the old data set.
        brought: of the new one.
        after: of the union.
    """

    labels: Path
    format: str
    old_format: str
    merged: Merged
    before: tuple[int, int]
    brought: tuple[int, int]
    after: tuple[int, int]

    def lines(self) -> list[str]:
        """For a terminal."""
        made = self.merged
        told = [
            f"old      {_counted(self.before)}",
            f"new      {_counted(self.brought)}",
            f"joined   {_counted(self.after)}: {made.added:,} pictures added, {made.filled:,} labelled further, "
            f"{made.same:,} labelled alike by both",
        ]
        if made.conflicts:
            told.append(f"conflict {len(made.conflicts):,} pictures labelled differently, decided as asked:")
            told += [f"           {text}" for text in made.conflicts[:_SHOWN]]
        if made.unlabelled:
            told.append(f"left out {made.unlabelled:,} pictures that no person has labelled")
        if made.matched_by_name:
            told.append(f"note     {made.matched_by_name:,} pictures were known by name and look, their files differ")
        if made.not_known and made.added:
            names = ", ".join(made.not_known[:_SHOWN]) + (", ..." if len(made.not_known) > _SHOWN else "")
            told.append(f"note     the new labels do not speak of {names}: the pictures added have none of these")
        if made.renamed:
            told.append(f"renamed  {len(made.renamed):,} new pictures whose names other pictures have:")
            told += [f"           {name} -> {free}" for name, free in list(made.renamed.items())[:_SHOWN]]
        if self.format != self.old_format:
            told.append(f"written as {self.format}, the old data set is {self.old_format}")
        return [*told, f"written  {self.labels}"]

    def to_json(self) -> dict[str, Any]:
        """For programs."""
        made = self.merged
        return {
            "labels": str(self.labels),
            "format": self.format,
            "before": dict(zip(("pictures", "labels"), self.before, strict=True)),
            "new": dict(zip(("pictures", "labels"), self.brought, strict=True)),
            "after": dict(zip(("pictures", "labels"), self.after, strict=True)),
            "added": made.added,
            "filled": made.filled,
            "same": made.same,
            "conflicts": list(made.conflicts),
            "unlabelled": made.unlabelled,
            "matched_by_name": made.matched_by_name,
            "renamed": dict(made.renamed),
            "not_known": list(made.not_known),
        }


def merged_from_files(
    old: Path,
    new: Path,
    out: Path,
    *,
    join: Join,
    to: str | None,
    renames: Sequence[str],
    old_format: str | None,
    new_format: str | None,
    skip_broken: bool,
) -> Done:
    """Read, join and write.

    Args:
        old: a label file or folder.
        new: likewise.
        out: a new folder, or a new label file.
        join: `merge_datasets` with what the user decided.
        to: the format to write; the old one's or the nearest without it.
        renames: NEW=OLD.
        old_format: where it cannot be found out.
        new_format: likewise.
        skip_broken: leave broken samples out.

    Raises:
        UserError: something would be overwritten, cannot be read, does not fit together, or contradicts itself.
    """
    _require_new(out, (old, new))
    table = parse_renames(renames)
    before = _read(old, skip_broken=skip_broken, format=old_format)
    if to is not None:  # a wrong name is told before the work is done
        find_box_writer(to) if before.classes else find_writer(to)
    brought = _read(new, skip_broken=skip_broken, format=new_format)
    merged = join(before, brought, table)
    labels, format = (
        _write_file(merged.dataset, out, to) if is_label_file(out) else _write_folder(merged.dataset, out, to)
    )
    return Done(
        labels=labels,
        format=format,
        old_format=before.format,
        merged=merged,
        before=count_labels(before),
        brought=count_labels(brought),
        after=count_labels(merged.dataset),
    )


def _read(path: Path, *, skip_broken: bool, format: str | None) -> Dataset:
    """A data set whose pictures are all there and whole."""
    dataset = scan(read_dataset(path, format=format))
    swapped = check_flip_order(dataset)
    return require_clean(replace(dataset, problems=(*dataset.problems, *swapped)), skip_broken=skip_broken)


def count_labels(dataset: Dataset) -> tuple[int, int]:
    """How many pictures, and how many labelled points or boxes."""
    boxes = sum(len(record.objects) for record in dataset.records if record.objects is not None)
    points = sum(int(record.visible.sum()) for record in dataset.records)
    return len({record.path for record in dataset.records}), boxes + points


def _counted(count: tuple[int, int]) -> str:
    return f"{count[0]:,} pictures, {count[1]:,} labels"


def _require_new(out: Path, given: Sequence[Path]) -> None:
    """Refuse to write over something, or a folder into one of the data sets."""
    if is_label_file(out):
        if out.exists():
            raise UserError(f"{out} exists already. Nothing is overwritten: give another file or a new folder.")
        return
    if not is_vacant(out):
        raise UserError(f"{out} exists already and is not empty. Nothing is overwritten: give a new folder.")
    for path in given:
        root = path.resolve() if path.is_dir() else path.resolve().parent
        if out.resolve() == root or (path.is_dir() and root in out.resolve().parents):
            raise UserError(f"{out} lies in the data set {root}, which stays as it is. Give a folder elsewhere.")


def _write_folder(dataset: Dataset, out: Path, to: str | None) -> tuple[Path, str]:
    """Written aside, and named when it is whole."""
    with new_folder(out) as aside:
        labels, format = _converted(dataset, aside, to)
    return out / labels.relative_to(aside), format


def _write_file(dataset: Dataset, out: Path, to: str | None) -> tuple[Path, str]:
    """One label file; pictures that are not where it looks for them are put there."""
    format = to or dataset.format
    return convert_dataset(dataset, out, to=format)[0], format


def _converted(dataset: Dataset, folder: Path, to: str | None) -> tuple[Path, str]:
    if to is None:
        return convert_to_nearest(dataset, folder)
    return convert_dataset(dataset, folder, to=to)[0], to
