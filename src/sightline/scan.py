"""Looking at every picture of a data set once, before anything is trained or measured on it.

In: a `Dataset` as a reader gave it. Out: the same with true sizes, without the records
whose pictures cannot be used, and with a `Problem` for each thing found wrong:

    error    image-missing image-empty image-truncated image-unreadable image-too-large
    warning  image-size-mismatch point-off-image points-none-visible

Next: transforms.py
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from sightline.errors import UserError
from sightline.images import MAX_PIXELS, Header, ImageError, read_header, read_image
from sightline.records import Dataset, Problem, Record, Severity, Skeleton

_SHOWN = 20
_READERS_NAMES = {"label-missing": "points-none-visible"}


def scan(dataset: Dataset, *, decode: bool = True, workers: int = 2, max_pixels: int = MAX_PIXELS) -> Dataset:
    """Check every picture and fill in the sizes; broken ones move from records to problems.

    Args:
        dataset: as a reader gave it.
        decode: also decode all pixels, which finds truncated and damaged files; without
            it only headers are read.
        workers: threads. Decoding happens outside of Python's lock.
        max_pixels: larger pictures are an error.

    Returns:
        The data set with `size_hw` of every record as the file has it (after its EXIF
        rotation). The label file's own size, where it differs, is an `image-size-mismatch`.
    """
    paths = list(dict.fromkeys(record.path for record in dataset.records))

    def look(path: Path) -> _Seen:
        return _look_at(path, decode=decode, max_pixels=max_pixels)

    pool = ThreadPoolExecutor(max_workers=max(1, workers))
    try:
        seen = dict(zip(paths, pool.map(look, paths), strict=True))
    finally:
        # After Ctrl-C do not work through all that is still queued.
        pool.shutdown(wait=True, cancel_futures=True)

    records: list[Record] = []
    problems = list(dataset.problems)
    # Readers tell some of the same, partly by other names; nothing is told twice.
    told = {(_READERS_NAMES.get(problem.id, problem.id), problem.image_id) for problem in dataset.problems}
    for record in dataset.records:
        header, error = seen[record.path].header, seen[record.path].error
        if header is None:
            assert error is not None, record.path
            problems.append(_problem(record, id=error.fault, severity="error", message=str(error)))
            continue
        warnings = _size_problems(record, header=header)
        warnings += _point_problems(record, size_hw=header.size_hw, skeleton=dataset.skeleton)
        problems += [warning for warning in warnings if (warning.id, warning.image_id) not in told]
        records.append(replace(record, size_hw=header.size_hw))
    return replace(dataset, records=tuple(records), problems=tuple(problems))


def require_clean(dataset: Dataset, *, skip_broken: bool) -> Dataset:
    """Stop at errors, all of them at once, unless the user said to go on without the broken samples.

    Raises:
        UserError: there are error-level problems and `skip_broken` is false, or nothing usable is left.
    """
    errors = dataset.errors
    if errors and not skip_broken:
        lines = [f"  {problem.where}: [{problem.id}] {problem.message}" for problem in errors[:_SHOWN]]
        if len(errors) > _SHOWN:
            lines.append(f"  and {len(errors) - _SHOWN:,} more")
        count = "1 error" if len(errors) == 1 else f"{len(errors):,} errors"
        raise UserError(
            f"{dataset.root} has {count}:\n" + "\n".join(lines) + "\nMend or remove what is named, "
            f"or go on with the {len(dataset):,} usable samples by --skip-broken."
        )
    if not dataset.records:
        what = f"all of its samples are broken ({errors[0]})" if errors else "it has no samples"
        raise UserError(f"There is nothing to use in {dataset.root}: {what}. Check the path and the label file.")
    return dataset


@dataclass(frozen=True, kw_only=True)
class _Seen:
    """What one look at a picture gave: its header, or why it cannot be used."""

    header: Header | None = None
    error: ImageError | None = None


def _look_at(path: Path, *, decode: bool, max_pixels: int) -> _Seen:
    try:
        header = read_header(path, max_pixels=max_pixels)
        if decode:
            # Grey at an eighth reads as many bytes as the full picture but computes less.
            read_image(path, channels=1, shrink_to=(1, 1), max_pixels=max_pixels)
    except ImageError as error:
        return _Seen(error=error)
    return _Seen(header=header)


def _size_problems(record: Record, *, header: Header) -> list[Problem]:
    """A warning where the label file's size is not the picture's."""
    if record.size_hw is None or tuple(record.size_hw) == header.size_hw:
        return []
    (label_height, label_width), (height, width) = record.size_hw, header.size_hw
    message = f"the label file says {label_width} x {label_height} but {record.path} has {width} x {height} pixels"
    if tuple(record.size_hw) == header.stored_hw:
        message += (
            f" after its EXIF rotation (orientation {header.orientation}); it was probably labelled without the "
            "rotation, so the points lie elsewhere in the upright picture. Label it upright or remove the EXIF tag."
        )
    else:
        message += ". Was the picture resized or exchanged after it was labelled?"
    return [_problem(record, id="image-size-mismatch", severity="warning", message=message)]


def _point_problems(record: Record, *, size_hw: tuple[int, int], skeleton: Skeleton) -> list[Problem]:
    """Warnings about points outside of the picture, or about none at all."""
    if not record.visible.any():
        message = f"none of the {len(record.visible)} points of {record.image_id} is labelled."
        return [_problem(record, id="points-none-visible", severity="warning", message=message)]
    height, width = size_hw
    # Pixels beyond the nearest edge; on the edge itself still counts as in the picture.
    beyond = np.maximum(-record.points_xy, record.points_xy - (width, height)).max(axis=1)
    beyond = np.where(record.visible, beyond, 0.0)
    count = int((beyond > 0).sum())
    if count == 0:
        return []
    furthest = int(beyond.argmax())
    name = skeleton.names[furthest] if furthest < len(skeleton) else str(furthest)
    message = (
        f"{count} of {int(record.visible.sum())} points lie outside of {record.path} ({width} x {height} pixels); "
        f"the furthest, '{name}', by {beyond[furthest]:.1f} pixels."
    )
    return [_problem(record, id="point-off-image", severity="warning", message=message)]


def _problem(record: Record, *, id: str, severity: Severity, message: str) -> Problem:
    where = record.source or str(record.path)
    return Problem(id=id, severity=severity, where=where, message=message, image_id=record.image_id)
