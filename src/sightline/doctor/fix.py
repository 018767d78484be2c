"""A corrected copy of a data set, and a log of every change; the original is only read.

Only what can be put right without looking is changed: see `fix` in checks.py. Labels go through the writer of the data
set's own format, or of the nearest that can hold them. Everything is written aside and takes its name when it is whole.
Next: fix_clips.py
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from sightline.doctor.boxes import near_copies
from sightline.doctor.case import Case
from sightline.doctor.changes import Change, Log, logging_to, table
from sightline.doctor.checks import CHECKS
from sightline.doctor.classes import clear_slips
from sightline.doctor.copies import same_labels
from sightline.doctor.fix_clips import corrected_clips, in_place_of
from sightline.doctor.points import at_corner
from sightline.doctor.run import Examination
from sightline.errors import UserError
from sightline.files import is_vacant, new_folder, write_atomically
from sightline.images import read_image
from sightline.predict_files import convert_clips, convert_to_nearest, first_that_holds, nearest_formats
from sightline.records import Dataset, Record
from sightline.writers import clips_of

_QUALITY = 97
_ASIDE = ".upright"  # turned pictures, until they are copied


@dataclass(frozen=True, kw_only=True)
class Fixed:
    """What was written.

    Attributes:
        labels: the first label file.
        format: of the labels.
        records: how many.
        changes: how many.
        to_decide: how many lines of fixes.csv name what is left to a person.
    """

    labels: Path
    format: str
    records: int
    changes: int
    to_decide: int = 0


def require_new(out: Path, data: Path) -> None:
    """Refuse a folder that would overwrite something, or that lies in the data.

    Raises:
        UserError: `out` exists and is not an empty folder, or is the data set or within it.
    """
    if not is_vacant(out):
        raise UserError(f"{out} exists already and is not empty. --fix overwrites nothing: give a new folder.")
    root = data.resolve() if data.is_dir() else data.resolve().parent
    if out.resolve() == root or root in out.resolve().parents:
        raise UserError(f"{out} lies in the data set {root}, which --fix leaves as it is. Give a folder elsewhere.")


def write_fixed(found: Examination, out: Path) -> Fixed:
    """Write the corrected copy and `fixes.csv` to a new folder. What was not looked for is not changed.

    Raises:
        UserError: the folder is not empty, nothing is left, or no format can hold the labels.
    """
    dataset = found.case.dataset
    require_new(out, dataset.root)
    fixed, changes = corrected_clips(found) if dataset.has_clips else corrected(found)
    if not fixed.records:
        raise UserError(f"There is nothing to write: no record of {dataset.root} is usable. Mend the errors first.")
    with new_folder(out) as aside:
        upright = {change.image_id for change in changes if change.id == "image-rotated"}
        turned = _turned({record.path for record in fixed.records if record.image_id in upright}, aside / _ASIDE)
        write = _write_clips if dataset.has_clips else _write_pictures
        labels, format = write(fixed, aside, turned)
        shutil.rmtree(aside / _ASIDE, ignore_errors=True)
        if format != dataset.format:
            text = f"written as {format}: there is no writer of {dataset.format} that can hold these labels"
            changes.append(Change(id="", image_id="", where=str(dataset.root), change=text))
        if dataset.has_clips:
            text = f"labels were written anew: columns and notes that {format} does not need are not in the copy"
            changes.append(Change(id="", image_id="", where=str(dataset.root), change=text))
        write_atomically(aside / "fixes.csv", table(changes))
    placed = out / labels.relative_to(aside)
    to_decide = sum(change.is_open for change in changes)
    return Fixed(
        labels=placed, format=format, records=len(fixed), changes=len(changes) - to_decide, to_decide=to_decide
    )


def _write_pictures(dataset: Dataset, out: Path, turned: Mapping[Path, Path]) -> tuple[Path, str]:
    """The first label file and its format; pictures that were turned are taken in place of their originals."""
    records = [replace(record, path=turned.get(record.path, record.path)) for record in dataset.records]
    return convert_to_nearest(dataset.with_records(records), out)


def _write_clips(dataset: Dataset, out: Path, turned: Mapping[Path, Path]) -> tuple[Path, str]:
    """As `_write_pictures`, for clips."""
    clips = [in_place_of(clip, turned) for clip in clips_of(dataset)]
    return first_that_holds(nearest_formats(dataset), out, write=lambda name: convert_clips(clips, out, to=name))


def corrected(found: Examination) -> tuple[Dataset, list[Change]]:
    """The data set with what can be put right put right, and what was changed."""
    case, wanted = found.case, frozenset(found.ran)
    changes = list(_by_reading(found))
    dropped = dict(_exact_copies(case)) if "image-copied" in wanted else {}
    slips = clear_slips(case.dataset) if "box-class-similar" in wanted else {}
    flip = np.array(case.dataset.skeleton.flip_index, dtype=np.int64)
    swapped = {problem.image_id for problem in found.problems if problem.id == "points-swapped"}
    records = []
    log = logging_to(changes)
    for record in case.records:
        if record.path in dropped:
            log("image-copied", record, f"left out: the same file as {dropped[record.path]}")
            continue
        if record.image_id in swapped:
            record = replace(record, points_xy=record.points_xy[flip], visible=record.visible[flip])
            log("points-swapped", record, "left and right points exchanged")
        if "point-at-corner" in wanted and (corner := at_corner(record)).any():
            points = np.where(corner[:, None], 0.0, record.points_xy)
            record = replace(record, points_xy=points, visible=record.visible & ~corner)
            log("point-at-corner", record, f"{int(corner.sum())} points in the corner marked as missing")
        if len(record.visible) and not record.visible.any():
            log("points-none-visible", record, "left out: no labelled point")
            continue
        if record.objects is not None:
            record = _with_better_boxes(case, record, wanted, slips, log)
        if "image-rotated" in wanted and record.path in case.looks and case.looks[record.path].orientation != 1:
            log("image-rotated", record, "the picture is written upright, without its EXIF tag")
        records.append(record)
    fixed = case.dataset.with_records(records)
    return (_without_classes(fixed, slips) if slips else fixed), changes


def _by_reading(found: Examination) -> Iterable[Change]:
    """What readers have left out or cut already."""
    for problem in found.problems:
        check = CHECKS[problem.id]
        if check.family == "reading" and check.fix and problem.id not in ("points-swapped", "box-class-similar"):
            if problem.id == "points-none-visible":
                continue  # told where it is done
            change = f"{check.fix}: {problem.message}"
            yield Change(id=problem.id, image_id=problem.image_id or "", where=problem.where, change=change)


def _exact_copies(case: Case) -> Iterable[tuple[Path, str]]:
    """The copies to leave out, and what each is a copy of; those labelled differently stay."""
    for cluster in case.copies.exact:
        records = [case.records_of(path) for path in cluster]
        if same_labels(records):
            yield from ((path, records[0][0].image_id) for path in cluster[1:])


def _with_better_boxes(case: Case, record: Record, wanted: frozenset[str], slips: dict[int, int], log: Log) -> Record:
    objects, names = record.objects, case.dataset.classes
    assert objects is not None
    labels = np.array([slips.get(label, label) for label in objects.labels.tolist()], dtype=np.int64)
    for old in sorted(set(objects.labels[labels != objects.labels].tolist())):
        log("box-class-similar", record, f"class '{names[old]}' became '{names[slips[old]]}'")
    objects = replace(objects, labels=labels)
    if "box-near-copy" in wanted and (pairs := near_copies(objects)):
        later = sorted({b for _, b in pairs})
        for b in later:
            place = ", ".join(f"{edge:.1f}" for edge in objects.boxes_xyxy[b].tolist())
            log("box-near-copy", record, f"a second box of '{names[labels[b]]}' dropped at ({place})")
        objects = objects.select(~np.isin(np.arange(len(objects)), later))
    return replace(record, objects=objects)


def _without_classes(dataset: Dataset, slips: dict[int, int]) -> Dataset:
    """The data set without the class names that were merged into others."""
    keep = [label for label in range(len(dataset.classes)) if label not in slips]
    moved = np.full(len(dataset.classes), -1)
    moved[keep] = np.arange(len(keep))
    records = [
        record if record.objects is None
        else replace(record, objects=replace(record.objects, labels=moved[record.objects.labels]))
        for record in dataset.records
    ]  # fmt: skip
    ids = tuple(dataset.class_ids[label] for label in keep) if dataset.class_ids else ()
    return replace(
        dataset, records=tuple(records), classes=tuple(dataset.classes[label] for label in keep), class_ids=ids
    )


def _turned(pictures: Iterable[Path], folder: Path) -> dict[Path, Path]:
    """Turned pictures decoded, turned and encoded again, in their own kind of file, with their folders' names."""
    made = {}
    for number, path in enumerate(sorted(pictures)):
        made[path] = folder / f"{number}" / path.parent.name / path.name
        write_atomically(made[path], _encoded(path))
    return made


def _encoded(path: Path) -> bytes:
    pixels = read_image(path, channels=3)
    suffix = path.suffix.lower() if path.suffix.lower() in (".png", ".bmp", ".tif", ".tiff", ".webp") else ".jpg"
    ok, data = cv2.imencode(
        suffix, pixels[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, _QUALITY] if suffix == ".jpg" else []
    )
    assert ok, path
    return data.tobytes()
