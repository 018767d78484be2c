"""Rows of features on disk: written once and whole, mapped into memory, dropped when there are too many.

FOLDER/KEY/view-000.npy holds the features of one draw of all records, view-000.npz what is to be found there. Files
take their names when they are whole; a killed run goes on with the next view. Next: features.py
"""

from __future__ import annotations

import logging
import math
import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import torch
from torch import Tensor

from sightline.errors import UserError
from sightline.files import atomic_path
from sightline.loader import collate
from sightline.types import Batch, FeatureMaps, Past, Sample, Truth

KEY_BYTES = 16
MB = 2**20
IN_USE_SECONDS = 600  # an entry that another process touched so lately is never dropped: it may be writing it
# Entries as this process left them, by the time of their last change. It uses those of one training at a time, so the
# next rung of a ladder, or the next trial, may drop what the last one needed.
_left: dict[Path, int] = {}
_log = logging.getLogger("sightline")

SampleAt = Callable[[int, int], Sample]  # (view, index of the record)
RowsOf = Callable[[Tensor], Tensor]  # pictures [B, C, H, W] -> rows [B, numbers], on the CPU


@dataclass(frozen=True, kw_only=True)
class Layout:
    """How feature maps lie in a row of numbers: one behind the other, each channels-last."""

    shapes: tuple[tuple[int, int, int], ...]  # channels, height, width

    @property
    def numbers(self) -> int:
        """Length of a row."""
        return sum(math.prod(shape) for shape in self.shapes)

    def pack(self, features: FeatureMaps) -> Tensor:
        """[B, C, h, w] each -> [B, numbers]."""
        return torch.cat([m.permute(0, 2, 3, 1).flatten(1) for m in features.maps], dim=1)

    def unpack(self, rows: Tensor) -> FeatureMaps:
        """[B, numbers] -> [B, C, h, w] each, in the channels-last memory that the loop's networks work in."""
        parts = rows.split([math.prod(shape) for shape in self.shapes], dim=1)
        maps = (p.unflatten(1, (h, w, c)).permute(0, 3, 1, 2) for p, (c, h, w) in zip(parts, self.shapes, strict=True))
        return FeatureMaps(maps=tuple(maps))


@dataclass(frozen=True, kw_only=True)
class Part:
    """Records whose features lie in one entry, how samples of them are made, and how they pass the backbone."""

    entry: Path
    count: int  # of records
    views: int
    batch: int
    is_padded: bool  # every batch is of one size, as the loop's are
    make_samples: Callable[[], SampleAt]  # called only when something is missing


@dataclass(frozen=True, kw_only=True)
class View:
    """One draw of all records: features [N, numbers], memory-mapped, and what is to be found there."""

    rows: np.ndarray
    truth: Truth
    to_input: Tensor

    def batch(self, indices: np.ndarray) -> Batch:
        """Some of the records; `images` are their rows of features."""
        chosen = torch.from_numpy(indices)
        rows = torch.from_numpy(np.asarray(self.rows[indices]))  # a copy, out of the mapped file
        return Batch(
            images=rows,
            past=Past.none(len(rows)),
            truth=self.truth[chosen],
            to_input=self.to_input[chosen],
            index=chosen,
        )


def make_room(folder: Path, *, need: int, limit_mb: int, keep: Sequence[Path]) -> None:
    """Drop the entries that were not used for longest until `need` bytes fit the limit; raise UserError otherwise."""
    if need > limit_mb * MB:
        raise UserError(
            f"The features of this experiment take {need / MB:,.0f} MB, more than train.cache_mb={limit_mb:,}. Raise "
            "it, take fewer augment.views, or a neck that pools (--use neck=adaptive-pool)."
        )
    entries = [e for e in folder.glob("[0-9a-f]" * 2 * KEY_BYTES) if e.is_dir()] if folder.is_dir() else []
    others = {entry: _size(entry) for entry in entries if entry not in keep}
    for entry in sorted(others, key=lambda entry: entry.stat().st_mtime):
        if sum(others.values()) + need <= limit_mb * MB:
            break
        state = entry.stat()
        if state.st_mtime_ns == _left.get(entry) or time.time() - state.st_mtime > IN_USE_SECONDS:
            _drop(entry)
            del others[entry]
    if sum(others.values()) + need > limit_mb * MB:
        raise UserError(
            f"{folder} holds {sum(others.values()) / MB:,.0f} MB of features that others used in the last minutes, and "
            f"this experiment's {need / MB:,.0f} MB with them exceed train.cache_mb={limit_mb:,}. Raise it, wait for "
            "other runs to end, or delete that folder."
        )
    parent = next(p for p in (folder, *folder.absolute().parents) if p.is_dir())
    free = shutil.disk_usage(parent).free + sum(_size(entry) for entry in keep)
    if need > free:
        raise UserError(
            f"The features of this experiment take {need / MB:,.0f} MB, but {parent} has {free / MB:,.0f} MB free. "
            "Free some space, take fewer augment.views, or set train.cache_features=false."
        )


def _drop(entry: Path) -> None:
    try:
        shutil.rmtree(entry)
    except OSError as error:
        raise UserError(
            f"Cannot delete old features in {entry}: {error.strerror}. Delete them, or raise train.cache_mb."
        ) from error


def _size(entry: Path) -> int:
    return sum(file.stat().st_size for file in entry.iterdir()) if entry.is_dir() else 0


def compute_missing(wanted: Sequence[tuple[Part, int]], *, layout: Layout, rows_of: RowsOf) -> None:
    """Compute what is not on disk yet of some views, each of a part.

    Raises:
        UserError: they cannot be written.
    """
    samples: dict[Path, SampleAt] = {}
    for part, number in wanted:
        if part.entry.is_dir():
            _tidy(part.entry)
        if _read(part, number, layout) is None:
            if part.entry not in samples:
                samples = {part.entry: part.make_samples()}  # the pictures of one part are in memory at a time
            _log.info("computing features: view %d of %d of %d records", number + 1, part.views, part.count)
            _write(part, number, layout=layout, rows_of=rows_of, sample_at=samples[part.entry])


def load(part: Part, *, layout: Layout) -> list[View]:
    """All views of a part, which are on disk."""
    found = [_read(part, number, layout) for number in range(part.views)]
    missing = [number for number, view in enumerate(found) if view is None]
    assert not missing, f"{part.entry}: views {missing} were written a moment ago"
    _left[part.entry] = part.entry.stat().st_mtime_ns
    return [view for view in found if view is not None]


def _tidy(entry: Path) -> None:
    """Mark as used now, and remove what killed runs left; in a folder of somebody else's neither can be done."""
    with suppress(PermissionError):
        entry.touch()
        for file in entry.glob(".writing-*"):
            if time.time() - file.stat().st_mtime > IN_USE_SECONDS:
                file.unlink(missing_ok=True)


def _write(part: Part, view: int, *, layout: Layout, rows_of: RowsOf, sample_at: SampleAt) -> None:
    """Compute one view. The file of what is to be found comes last: where it is, the view is whole."""
    rows_file, truth_file = _files(part.entry, view)
    count = part.count
    found: list[Batch] = []
    with atomic_path(rows_file) as aside:
        rows = np.lib.format.open_memmap(aside, mode="w+", dtype=np.float32, shape=(count, layout.numbers))
        for start in range(0, count, part.batch):
            indices = range(start, min(start + part.batch, count))
            batch = collate([sample_at(view, index) for index in indices])
            images = _padded(batch.images, to=part.batch) if part.is_padded else batch.images
            rows[start : indices.stop] = rows_of(images)[: len(indices)].numpy()
            found.append(batch)
        rows.flush()
        del rows
    with atomic_path(truth_file) as aside, aside.open("wb") as file:
        np.savez(file, allow_pickle=False, **_found_arrays(found))


def _padded(images: Tensor, *, to: int) -> Tensor:
    """A batch of the loop's size: kernels differ with the size of a batch, and with them the last bits."""
    if len(images) == to:
        return images
    return images[torch.arange(to) % len(images)].contiguous(memory_format=torch.channels_last)


def _found_arrays(batches: Sequence[Batch]) -> dict[str, np.ndarray]:
    """Truth of all records, its boxes padded to the longest list of all."""
    most = max(batch.truth.valid.shape[1] for batch in batches)
    arrays: dict[str, list[Tensor]] = {"to_input": [batch.to_input for batch in batches]}
    for batch in batches:
        for field, value in vars(batch.truth).items():
            is_padded = field in ("boxes_xyxy", "labels", "valid", "crowd")
            missing = most - value.shape[1] if is_padded else 0
            more = value.new_zeros(value.shape[0], missing, *value.shape[2:])
            arrays.setdefault(field, []).append(torch.cat([value, more], dim=1) if missing else value)
    return {field: torch.cat(values).numpy() for field, values in arrays.items()}


def _read(part: Part, view: int, layout: Layout) -> View | None:
    """One view from disk, or None where it is not there or not whole."""
    rows_file, truth_file = _files(part.entry, view)
    if not (rows_file.exists() and truth_file.exists()):
        return None
    try:
        rows = np.load(rows_file, mmap_mode="r")
        with np.load(truth_file) as file:
            tensors = {field: torch.from_numpy(file[field]) for field in file.files}
        if rows.shape != (part.count, layout.numbers) or rows.dtype != np.float32:
            raise ValueError(f"{rows.dtype} of shape {rows.shape}")
        to_input = tensors.pop("to_input")
        return View(rows=rows, truth=Truth(**tensors), to_input=to_input)
    except (ValueError, EOFError, KeyError, BadZipFile) as error:
        _log.warning("%s is damaged (%s); it is computed anew.", rows_file, error)
        return None


def _files(entry: Path, view: int) -> tuple[Path, Path]:
    """Features, and what is to be found."""
    return entry / f"view-{view:03d}.npy", entry / f"view-{view:03d}.npz"
