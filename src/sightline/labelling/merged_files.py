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
from sightline.labelling.merged import Merged
from sightline.labelling.names import parse_renames
from sightline.predict_files import (
    convert_clips,
    convert_dataset,
    find_writer_for,
    first_that_holds,
    is_label_file,
    nearest_formats,
)
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
        made, what = self.merged, f"{self.merged.unit}s"
        whole = "clips" if made.unit == "frame" else what  # what has a name and files of its own
        told = [
            f"old      {_counted(self.before, what)}",
            f"new      {_counted(self.brought, what)}",
            f"joined   {_counted(self.after, what)}: {made.added:,} {what} added, {made.filled:,} labelled further, "
            f"{made.same:,} labelled alike by both",
        ]
        if made.conflicts:
            told.append(f"conflict {len(made.conflicts):,} {what} labelled differently, decided as asked:")
            told += [f"           {text}" for text in made.conflicts[:_SHOWN]]
        if made.unlabelled:
            told.append(f"left out {made.unlabelled:,} {what} that no person has labelled")
        if made.matched_by_name:
            told.append(f"note     {made.matched_by_name:,} {whole} were known by name and look, their files differ")
        if made.not_known and made.added:
            names = ", ".join(made.not_known[:_SHOWN]) + (", ..." if len(made.not_known) > _SHOWN else "")
            told.append(f"note     the new labels do not speak of {names}: the pictures added have none of these")
        if made.renamed:
            told.append(f"renamed  {len(made.renamed):,} new {whole} whose names other {whole} have:")
            told += [f"           {name} -> {free}" for name, free in list(made.renamed.items())[:_SHOWN]]
        if self.format != self.old_format:
            told.append(f"written as {self.format}, the old data set is {self.old_format}")
        return [*told, f"written  {self.labels}"]

    def to_json(self) -> dict[str, Any]:
        """For programs."""
        made = self.merged
        counted = (f"{made.unit}s", "labels")
        return {
            "labels": str(self.labels),
            "format": self.format,
            "before": dict(zip(counted, self.before, strict=True)),
            "new": dict(zip(counted, self.brought, strict=True)),
            "after": dict(zip(counted, self.after, strict=True)),
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
        find_writer_for(before, to)
    brought = _read(new, skip_broken=skip_broken, format=new_format)
    merged = join(before, brought, table)
    labels, format = _write_file(merged, out, to) if is_label_file(out) else _write_folder(merged, out, to)
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
    """How many pictures, and how many labelled points or boxes; of clips frames, and those with the point."""
    boxes = sum(len(record.objects) for record in dataset.records if record.objects is not None)
    points = sum(int(record.visible.sum()) for record in dataset.records)
    pictures = len(dataset) if dataset.has_clips else len({record.path for record in dataset.records})
    return pictures, boxes + points


def _counted(count: tuple[int, int], what: str) -> str:
    labels = "with the point in sight" if what == "frames" else "labels"
    return f"{count[0]:,} {what}, {count[1]:,} {labels}"


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


def _write_folder(merged: Merged, out: Path, to: str | None) -> tuple[Path, str]:
    """Written aside, and named when it is whole."""
    formats = nearest_formats(merged.dataset) if to is None else [to]
    with new_folder(out) as aside:
        labels, format = first_that_holds(formats, aside, write=lambda name: _write(merged, aside, name))
    return out / labels.relative_to(aside), format


def _write_file(merged: Merged, out: Path, to: str | None) -> tuple[Path, str]:
    """One label file; pictures that are not where it looks for them are put there."""
    format = to or nearest_formats(merged.dataset)[0]
    return _write(merged, out, format), format


def _write(merged: Merged, out: Path, format: str) -> Path:
    if merged.clips:
        return convert_clips(merged.clips, out, to=format)
    return convert_dataset(merged.dataset, out, to=format)[0]
