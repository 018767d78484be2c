"""What can be put right in labels of clips without looking, and what only a person can decide.

A label that cannot be one (NaN, out of the frame, in the very corner) becomes "not visible", rows that say nothing new
or speak of frames that are not there are left out. A jump, a label carried over or two places for one frame may be
right or wrong: these stay, and fixes.csv names them. Next: page.py
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import replace
from pathlib import Path

import numpy as np

from sightline.doctor.changes import Change, logging_to
from sightline.doctor.checks import CHECKS
from sightline.doctor.points import at_corner
from sightline.doctor.run import Examination
from sightline.readers.clip_assemble import before_frame
from sightline.records import HISTORY, Dataset, Problem, Record
from sightline.writers import Clip, clips_of

_HIDDEN = "marked as not visible"
# What readers of clips have done already, where it is not what they do with single pictures.
_BY_READING = {
    "point-off-image": _HIDDEN,
    "label-beyond-clip": "left out of the copy",
    "visibility-unused": "the rows with a place are written as visible",
    "occluded-hidden": "written as not visible",
    "instances-skipped": "only the first object of a frame is in the copy",
    "columns-ignored": "not in the copy",
    "past-frame-unreadable": "the picture is left out",
    "point-chosen": "only this point is in the copy",
}
# Fixes of pictures by themselves: a clip without one of its frames would be another clip.
_NOT_OF_CLIPS = ("points-none-visible", "points-swapped")
# What a person has to look at; neighbours in a clip look alike, and which parts it makes is no matter of labels.
_LOOKED_AT = ("reading", "pictures", "points", "tracks")


def corrected_clips(found: Examination) -> tuple[Dataset, list[Change]]:
    """The data set with what can be put right put right, what was changed, and what is left to a person.

    Raises:
        UserError: a clip has frames in several videos.
    """
    case, wanted = found.case, frozenset(found.ran)
    changes: list[Change] = []
    log = logging_to(changes)
    records = []
    for record in case.records:
        if "point-at-corner" in wanted and at_corner(record).any():
            record = _hidden(record)
            log("point-at-corner", record, f"in the corner: {_HIDDEN}")
        if "image-rotated" in wanted and record.path in case.looks and case.looks[record.path].orientation != 1:
            log("image-rotated", record, "the picture is written upright, without its EXIF tag")
        records.append(record)
    done = {change.id for change in changes}
    hidden = {change.image_id for change in changes if change.id == "point-at-corner"}
    hidden |= {problem.image_id or "" for problem in found.problems if problem.id == "point-off-image"}
    fixed = case.dataset.with_records(_without_in_past(records, hidden))
    restored = _restored(fixed, found.problems)
    for problem in found.problems:
        is_told = problem.id in done or (problem.image_id in hidden and CHECKS[problem.id].family != "reading")
        if is_told:
            continue  # where it was done, or with the label that has gone
        if (change := _change(problem, is_restored=problem.image_id in restored)) is not None:
            changes.append(change)
    return fixed.with_records([*fixed.records, *restored.values()]), changes


def in_place_of(clip: Clip, files: Mapping[Path, Path]) -> Clip:
    """The clip with other files in the place of some of its pictures."""
    pictures = {number: files.get(path, path) for number, path in clip.footage.pictures.items()}
    records = tuple(replace(record, path=files.get(record.path, record.path)) for record in clip.records)
    return replace(clip, footage=replace(clip.footage, pictures=pictures), records=records)


def _change(problem: Problem, *, is_restored: bool) -> Change | None:
    """What was done about a problem, or that nothing was; None where there is nothing to do."""
    check = CHECKS[problem.id]
    done = _BY_READING.get(problem.id, "" if problem.id in _NOT_OF_CLIPS or check.family != "reading" else check.fix)
    if is_restored:
        done = _HIDDEN
    if not done and (problem.severity == "note" or check.family not in _LOOKED_AT):
        return None
    change = f"{done}: {problem.message}" if done else f"not changed, look at it: {problem.message}"
    return Change(id=problem.id, image_id=problem.image_id or "", where=problem.where, change=change, is_open=not done)


def _hidden(record: Record) -> Record:
    return replace(record, points_xy=np.zeros_like(record.points_xy), visible=np.zeros_like(record.visible))


def _without_in_past(records: Sequence[Record], hidden: Set[str]) -> list[Record]:
    """The records without the places of hidden frames in what came before them."""
    gone = {(record.group, record.frame) for record in records if record.image_id in hidden}
    made = []
    for record in records:
        assert record.before is not None and record.frame is not None, record.image_id
        earlier = range(record.frame - HISTORY, record.frame)
        seen = record.before.visible & np.array([(record.group, number) not in gone for number in earlier])
        if (seen != record.before.visible).any():
            points = np.where(seen[:, None], record.before.points_xy, 0.0)
            record = replace(record, before=replace(record.before, points_xy=points, visible=seen))
        made.append(record)
    return made


def _restored(dataset: Dataset, problems: Sequence[Problem]) -> dict[str, Record]:
    """By id, the frames whose label is no number: readers leave them out, here they are not visible."""
    broken = {problem.image_id: problem for problem in problems if problem.id == "point-not-finite"}
    known = {record.image_id for record in dataset.records}
    made = {}
    for clip in clips_of(dataset) if broken else ():
        first = clip.records[0]
        for number in range(clip.footage.end):
            image_id = f"{clip.name}/{number:06d}"
            at = clip.footage.at(number)
            if image_id not in broken or image_id in known or at is None:
                continue
            made[image_id] = _hidden(
                replace(
                    first,
                    image_id=image_id,
                    path=at.path,
                    video_frame=at.index,
                    frame=number,
                    before=before_frame(number, footage=clip.footage, points={}),
                    source=broken[image_id].where,
                )
            )
    return made
