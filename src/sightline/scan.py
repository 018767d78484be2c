"""Looking at every picture of a data set once, before anything is trained or measured on it.

In: a `Dataset` as a reader gave it. Out: the same with true sizes, without the records
whose pictures cannot be used, and with a `Problem` for each thing found wrong:

    error    image-missing image-empty image-truncated image-unreadable image-too-large box-off-image
             video-missing video-unreadable video-empty label-beyond-clip
    warning  image-size-mismatch point-off-image points-none-visible box-cut past-frame-unreadable

Pictures in shards with an index are not opened: the conversion looked at them, and checksums tell of changes.
Errors of single boxes leave the record where it is, without those boxes. Videos are probed and not decoded; a
picture before a frame that cannot be read becomes None there.

Next: transforms.py
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from sightline.cores import reading_threads
from sightline.errors import UserError
from sightline.geometry import box_areas
from sightline.images import MAX_PIXELS, Header, ImageError, read_header, read_image
from sightline.members import is_vouched_for
from sightline.records import Dataset, FrameAt, Objects, Problem, Record, Severity, Skeleton
from sightline.video.library import VideoError
from sightline.video.probe import probe

_SPLIT_LEAK = "split-clip-leak"  # the data set's own parts put frames of one clip on several sides
_SHOWN = 20
_READERS_NAMES = {"label-missing": "points-none-visible"}
# Labels with few decimals overshoot the edge by this much without being wrong.
_ROUNDING_PX = 0.1


def scan(dataset: Dataset, *, decode: bool = True, workers: int | None = None, max_pixels: int = MAX_PIXELS) -> Dataset:
    """Check every picture and fill in the sizes; broken ones move from records to problems.

    Args:
        dataset: as a reader gave it.
        decode: also decode all pixels, which finds truncated and damaged files; without
            it only headers are read.
        workers: threads; None for `reading_threads`.
        max_pixels: larger pictures are an error.

    Returns:
        The data set with `size_hw` of every record as the file has it (after its EXIF
        rotation). The label file's own size, where it differs, is an `image-size-mismatch`.
    """
    frames = [frame for record in dataset.records for frame in _frames(record)]
    # Whether a path is of a video, each path once.
    paths = {frame.path: frame.index is not None for frame in frames}

    # What the conversion to shards has looked at, and a checksum vouches for since.
    sizes = {record.path: record.size_hw for record in dataset.records if is_vouched_for(record.path)}

    def look(path: Path) -> _Seen:
        if (size_hw := sizes.get(path)) is not None:
            return _Seen(size_hw=size_hw)
        return _look_at_video(path) if paths[path] else _look_at(path, decode=decode, max_pixels=max_pixels)

    pool = ThreadPoolExecutor(max_workers=workers or reading_threads())
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
        looked = seen[record.path]
        size_hw = looked.size_hw
        if size_hw is None:
            assert looked.error is not None, record.path
            problems.append(_problem(record, id=looked.error.fault, severity="error", message=str(looked.error)))
            continue
        if record.video_frame is not None and record.video_frame >= looked.frames:
            message = f"{record.path} has no frame {record.video_frame}: its last one is {looked.frames - 1}"
            problems.append(_problem(record, id="label-beyond-clip", severity="error", message=message))
            continue
        record, found = _with_past_that_is_there(record, seen=seen)
        if looked.header is not None:
            found += _size_problems(record, header=looked.header)
        if record.objects is None:
            found += _point_problems(record, size_hw=size_hw, skeleton=dataset.skeleton)
        else:
            record, of_boxes = _with_boxes_inside(record, size_hw=size_hw)
            found += of_boxes
        problems += [problem for problem in found if (problem.id, problem.image_id) not in told]
        if record is not None:
            records.append(replace(record, size_hw=size_hw))
    return replace(dataset, records=tuple(records), problems=tuple(problems))


def require_clean(dataset: Dataset, *, skip_broken: bool) -> Dataset:
    """Stop at errors, all of them at once, unless the user said to go on without the broken samples.

    Raises:
        UserError: there are error-level problems and `skip_broken` is false, or nothing usable is left.
    """
    # A leaking split concerns no sample: `split_dataset` refuses that split, and others may be made.
    errors = tuple(problem for problem in dataset.errors if problem.id != _SPLIT_LEAK)
    if errors and not skip_broken:
        lines = [f"  {problem.where}: [{problem.id}] {problem.message}" for problem in errors[:_SHOWN]]
        if len(errors) > _SHOWN:
            lines.append(f"  and {len(errors) - _SHOWN:,} more")
        count = "1 error" if len(errors) == 1 else f"{len(errors):,} errors"
        # A picture with a broken box stays in use without it.
        used = {record.image_id for record in dataset.records if record.objects is not None}
        without = "without the boxes named " if any(problem.image_id in used for problem in errors) else ""
        raise UserError(
            f"{dataset.root} has {count}:\n" + "\n".join(lines) + "\nMend or remove what is named, "
            f"or go on {without}with the {len(dataset):,} usable samples by --skip-broken."
        )
    if not dataset.records:
        what = f"all of its samples are broken ({errors[0]})" if errors else "it has no samples"
        raise UserError(f"There is nothing to use in {dataset.root}: {what}. Check the path and the label file.")
    return dataset


@dataclass(frozen=True, kw_only=True, eq=False)
class Cut:
    """Boxes after their picture's edges: what is left, and what became of those that are not whole in it.

    Attributes:
        objects: the boxes with something in the picture, cut at its edges.
        outside: [N] bool, of the boxes given: nothing of it is in the picture.
        beyond_px: [N], how far a box reaches over the edges, where part of it is in the picture; else 0.
    """

    objects: Objects
    outside: np.ndarray
    beyond_px: np.ndarray


def cut_at_edges(objects: Objects, size_hw: tuple[int, int]) -> Cut:
    """Cut boxes at the edges of a picture of `size_hw`; areas that are the box's own follow."""
    height, width = size_hw
    edges = np.array([width, height, width, height], dtype=np.float64)
    boxes = objects.boxes_xyxy
    inside = boxes.clip(0, edges)
    outside = np.any(inside[:, 2:] <= inside[:, :2], axis=1)
    beyond = np.maximum(-boxes, boxes - edges).max(axis=1, initial=0.0)
    beyond = np.where(outside | (beyond <= _ROUNDING_PX), 0.0, beyond)
    is_own = np.isclose(objects.areas, box_areas(boxes), rtol=1e-6)
    cut = replace(
        objects.select(~outside),
        boxes_xyxy=inside[~outside],
        areas=np.where(is_own, box_areas(inside), objects.areas)[~outside],
    )
    return Cut(objects=cut, outside=outside, beyond_px=beyond)


def describe_cut(cut: Cut, size_hw: tuple[int, int]) -> str:
    """The message for the boxes of one picture that reach over its edges; empty where none does."""
    height, width = size_hw
    count = int((cut.beyond_px > 0).sum())
    boxes = "1 box reaches" if count == 1 else f"{count} boxes reach"
    over = f"by up to {cut.beyond_px.max():.1f} pixels" if count else ""
    return f"{boxes} over the edges of the {width} x {height} picture, {over}; cut there" if count else ""


@dataclass(frozen=True, kw_only=True)
class _Seen:
    """What one look at a picture or video gave: its size, or why it cannot be used; of a video how many frames."""

    header: Header | None = None
    size_hw: tuple[int, int] | None = None
    frames: int = 0
    error: ImageError | VideoError | None = None


def _look_at(path: Path, *, decode: bool, max_pixels: int) -> _Seen:
    try:
        header = read_header(path, max_pixels=max_pixels)
        if decode:
            # Grey at an eighth reads as many bytes as the full picture but computes less.
            read_image(path, channels=1, shrink_to=(1, 1), max_pixels=max_pixels)
    except ImageError as error:
        return _Seen(error=error)
    return _Seen(header=header, size_hw=header.size_hw)


def _look_at_video(path: Path) -> _Seen:
    try:
        info = probe(path)
    except VideoError as error:
        return _Seen(error=error)
    return _Seen(size_hw=info.size_hw, frames=info.frames)


def _frames(record: Record) -> list[FrameAt]:
    """Where the record's pixels are, and those of the frames before it."""
    before = record.before.frames if record.before is not None else ()
    return [FrameAt(path=record.path, index=record.video_frame), *(frame for frame in before if frame is not None)]


def _with_past_that_is_there(record: Record, *, seen: Mapping[Path, _Seen]) -> tuple[Record, list[Problem]]:
    """The record without those frames before it that cannot be read, and a warning for each."""
    if record.before is None:
        return record, []
    kept: list[FrameAt | None] = []
    problems = []
    for frame in record.before.frames:
        if frame is None or seen[frame.path].error is None:
            kept.append(frame)
            continue
        message = f"a frame before it cannot be read: {seen[frame.path].error}"
        problems.append(_problem(record, id="past-frame-unreadable", severity="warning", message=message))
        kept.append(None)
    return replace(record, before=replace(record.before, frames=tuple(kept))), problems


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
    if record.before is None and not record.visible.any():
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


def _with_boxes_inside(record: Record, *, size_hw: tuple[int, int]) -> tuple[Record | None, list[Problem]]:
    """The record with its boxes cut at the picture's edges; None where no box of several is in it."""
    assert record.objects is not None
    cut = cut_at_edges(record.objects, size_hw)
    problems = []
    if message := describe_cut(cut, size_hw):
        problems.append(_problem(record, id="box-cut", severity="warning", message=message))
    for x0, y0, x1, y1 in record.objects.boxes_xyxy[cut.outside].tolist():
        message = f"the box ({x0:g}, {y0:g}, {x1:g}, {y1:g}) lies outside of {record.path} "
        message += f"({size_hw[1]} x {size_hw[0]} pixels)"
        problems.append(_problem(record, id="box-off-image", severity="error", message=message))
    # A picture all of whose boxes are wrong would pass for one without objects.
    gone = len(record.objects) > 0 and len(cut.objects) == 0
    return None if gone else replace(record, objects=cut.objects), problems


def _problem(record: Record, *, id: str, severity: Severity, message: str) -> Problem:
    where = record.source or str(record.path)
    return Problem(id=id, severity=severity, where=where, message=message, image_id=record.image_id)
