"""From what a reader understood to a `Dataset`: the checks that all formats share.

Readers parse; here pictures are found and measured, fractions become pixels, and what is wrong
is collected: missing and broken pictures, doubles, odd counts of points, points outside, pictures
without labels. In: drafts and the reader's own problems. Out: a Dataset.
Next: landmark_csv.py and the other formats
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from sightline.errors import UserError
from sightline.geometry import Box, inside
from sightline.images import IMAGE_SUFFIXES, ImageError, read_size
from sightline.readers.pictures import Pictures
from sightline.readers.texts import read_start
from sightline.records import Dataset, Problem, Record, Severity, Skeleton
from sightline.skeletons import skeleton

NO_LABEL = "has no label"
# Label files that are only searched for names may be in any encoding, but not without end.
_WHOLE = 2**28
_PICTURE_NAME = re.compile(
    rf"[^\"'<>,;/\\\r\n\t]+(?:{'|'.join(map(re.escape, sorted(IMAGE_SUFFIXES, reverse=True)))})", re.IGNORECASE
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Draft:
    """One labelled object as a reader understood it, before its picture is looked at.

    Attributes:
        name: the picture as the label file calls it.
        points_xy: [K, 2] float64, finite; continuous pixels, or fractions of width and height.
        visible: [K] bool.
        source: "labels.csv:12".
        listing: drafts of one picture with equal listings are several objects in it; with
            different ones, the picture was listed twice.
        box_xyxy: in the same unit as the points.
        size_hw: what the label file claims.
        path: the picture, where the format tells it by another way than its name.
        is_guess: whether a model made the labels and no person has looked at them.
    """

    name: str
    points_xy: np.ndarray
    visible: np.ndarray
    source: str
    listing: str
    box_xyxy: Box | None = None
    size_hw: tuple[int, int] | None = None
    group: str | None = None
    split: str | None = None
    path: Path | None = None
    is_guess: bool = False


class LabelError(Exception):
    """A row, line or entry that cannot be used; its reader turns it into a problem and goes on."""

    def __init__(self, id: str, message: str) -> None:
        """Keep the problem's id; the message says what was found and what was expected."""
        super().__init__(message)
        self.id = id


@dataclass(kw_only=True)
class Findings:
    """The problems of one reading, in the order in which they were met."""

    problems: list[Problem] = field(default_factory=list)

    @property
    def has_errors(self) -> bool:
        """Whether anything was kept out."""
        return any(problem.severity == "error" for problem in self.problems)

    def error(self, id: str, where: str, message: str, *, image_id: str | None = None) -> None:
        """Something that keeps a record out."""
        self._add(id, "error", where, message, image_id)

    def warning(self, id: str, where: str, message: str, *, image_id: str | None = None) -> None:
        """Something that is likely wrong."""
        self._add(id, "warning", where, message, image_id)

    def note(self, id: str, where: str, message: str, *, image_id: str | None = None) -> None:
        """Something that was decided for the user."""
        self._add(id, "note", where, message, image_id)

    def _add(self, id: str, severity: Severity, where: str, message: str, image_id: str | None) -> None:
        self.problems.append(Problem(id=id, severity=severity, where=where, message=message, image_id=image_id))


def place(path: Path, root: Path, *, line: int | None = None) -> str:
    """How messages call a place: the path below the root, and the line."""
    name = path.relative_to(root).as_posix() if path.is_relative_to(root) else path.as_posix()
    return name if line is None else f"{name}:{line}"


def numbered_skeleton(count: int, *, findings: Findings, where: str, known: Sequence[str] = ("ibug68",)) -> Skeleton:
    """The skeleton of points that a format only counts, with a note that says what was assumed."""
    for name in known:
        if count == len(skeleton(name)):
            findings.note("skeleton-assumed", where, f"{count} unnamed points are taken for those of '{name}'")
            return skeleton(name)
    message = f"{count} unnamed points are called point_0 to point_{count - 1}; no mirror twins are known"
    findings.note("skeleton-assumed", where, message)
    return Skeleton(names=tuple(f"point_{index}" for index in range(count)))


def majority_count(drafts: Sequence[Draft], *, findings: Findings) -> tuple[int, list[Draft]]:
    """The number of points that most drafts have, and the drafts that have it.

    The others are errors. Drafts without any points are unlabelled pictures: they get that many
    invisible ones.
    """
    counts = Counter(len(draft.visible) for draft in drafts if len(draft.visible))
    expected = counts.most_common(1)[0][0] if counts else 0
    kept = []
    for draft in drafts:
        count = len(draft.visible)
        if count == expected:
            kept.append(draft)
        elif count == 0:
            kept.append(_unlabelled(draft, expected))
        else:
            message = f"{count} points, but {counts[expected]} of {counts.total()} have {expected}"
            findings.error("point-count", draft.source, f"{message}; expected {expected}", image_id=draft.name)
    return expected, kept


def assemble(
    drafts: Iterable[Draft],
    *,
    root: Path,
    format: str,
    skeleton: Skeleton,
    findings: Findings,
    pictures: Pictures,
    fractions: bool = False,
    labelled_elsewhere: Iterable[Path] = (),
) -> Dataset:
    """Find the pictures of drafts, check both, and make the data set.

    Args:
        drafts: all with as many points as the skeleton.
        root: what picture names are told relative to.
        format: the reader's key in `FORMATS`.
        skeleton: the names of the points.
        findings: the reader's own problems; more are added.
        pictures: where to look.
        fractions: points and boxes are fractions of the picture's width and height.
        labelled_elsewhere: label files that are not read, but whose pictures are not unlabelled.

    Raises:
        UserError: there is not a single label, and no problem that would say why.
    """
    records: list[Record] = []
    seen: dict[Path, list[Draft]] = {}
    for draft in drafts:
        path = draft.path or pictures.find(draft.name)
        if path is None:
            message = f"there is no picture '{draft.name}' in {root} or its image folders"
            findings.error("image-missing", draft.source, message, image_id=draft.name)
            continue
        image_id = pictures.name_of(path)
        earlier = seen.setdefault(path, [])
        if earlier and earlier[0].listing != draft.listing:
            message = f"'{image_id}' is listed already at {earlier[0].source}; only that one is kept"
            findings.error("image-duplicated", draft.source, message, image_id=image_id)
            continue
        earlier.append(draft)
        object_id = image_id if len(earlier) == 1 else f"{image_id}#{len(earlier)}"
        size_hw = checked_size(path, said_hw=draft.size_hw, where=draft.source, image_id=image_id, findings=findings)
        if size_hw is not None:
            records.append(_record(draft, path=path, image_id=object_id, size_hw=size_hw, fractions=fractions))
    if not records and not findings.problems:
        raise UserError(f"{root} holds no labels: its {format} files are empty. Give data with at least one picture.")
    for record in records:
        _check_points(record, findings=findings)
    report_unlabelled(seen, pictures=pictures, findings=findings, elsewhere=labelled_elsewhere)
    return Dataset(
        root=root, format=format, records=tuple(records), skeleton=skeleton, problems=tuple(findings.problems)
    )


def _unlabelled(draft: Draft, count: int) -> Draft:
    """The draft with `count` invisible points."""
    return Draft(
        name=draft.name,
        points_xy=np.zeros((count, 2)),
        visible=np.zeros(count, dtype=bool),
        source=draft.source,
        listing=draft.listing,
        box_xyxy=draft.box_xyxy,
        size_hw=draft.size_hw,
        group=draft.group,
        split=draft.split,
        path=draft.path,
    )


def checked_size(
    path: Path, *, said_hw: tuple[int, int] | None, where: str, image_id: str, findings: Findings
) -> tuple[int, int] | None:
    """A picture's size from its header; None, with an error, where there is no header.

    Args:
        path: the picture.
        said_hw: what the label file claims; a warning where it is not so.
        where: the place in the label file.
        image_id: how tables call the picture.
        findings: takes the error or the warning.
    """
    try:
        size_hw = read_size(path)
    except ImageError as error:
        findings.error(error.fault, where, str(error), image_id=image_id)
        return None
    if said_hw is not None and said_hw != size_hw:
        (said_h, said_w), (height, width) = said_hw, size_hw
        turned = " (the label file ignores the EXIF rotation)" if (said_h, said_w) == (width, height) else ""
        message = f"the label file says {said_w} x {said_h} pixels, the picture has {width} x {height}{turned}"
        findings.warning("image-size-mismatch", where, message, image_id=image_id)
    return size_hw


def _record(draft: Draft, *, path: Path, image_id: str, size_hw: tuple[int, int], fractions: bool) -> Record:
    """The record of a draft whose picture is known."""
    height, width = size_hw
    points_xy, box = draft.points_xy, draft.box_xyxy
    if fractions:
        points_xy = points_xy * np.array([width, height], dtype=np.float64)
        box = None if box is None else (box[0] * width, box[1] * height, box[2] * width, box[3] * height)
    return Record(
        image_id=image_id,
        path=path,
        points_xy=np.where(draft.visible[:, None], points_xy, 0.0),
        visible=draft.visible,
        box_xyxy=box,
        size_hw=size_hw,
        group=draft.group,
        split=draft.split,
        is_guess=draft.is_guess,
        source=draft.source,
    )


def _check_points(record: Record, *, findings: Findings) -> None:
    """Warn of records without any label and of points outside their picture."""
    if len(record.visible) == 0:
        return
    if not record.visible.any():
        message = f"'{record.image_id}' has no labelled point"
        findings.warning("label-missing", record.source, message, image_id=record.image_id)
        return
    assert record.size_hw is not None
    outside = record.visible & ~inside(record.points_xy, record.size_hw)
    if outside.any():
        which = np.flatnonzero(outside)
        x, y = record.points_xy[which[0]]
        height, width = record.size_hw
        message = f"{len(which)} of {len(record.visible)} points lie outside the {width} x {height} picture; "
        message += f"the first is point {which[0]} at ({x:g}, {y:g})"
        findings.warning("point-off-image", record.source, message, image_id=record.image_id)


def report_unlabelled(
    seen: Collection[Path], *, pictures: Pictures, findings: Findings, elsewhere: Iterable[Path], why: str = NO_LABEL
) -> None:
    """Warn of pictures that lie among labelled ones but that no label names; `why` ends the sentence."""
    folders = dict.fromkeys(path.parent for path in seen)
    unlabelled = [path for folder in folders for path in pictures.in_folder(folder) if path not in seen]
    # A problem that names a picture already says more than that its label is missing.
    names = {problem.image_id for problem in findings.problems if problem.image_id is not None}
    named = {pictures.find(name) for name in names} if unlabelled else set()
    named_elsewhere: set[str] = set()
    if unlabelled:
        for other in elsewhere:
            text = read_start(other, characters=_WHOLE)
            named_elsewhere.update(match.group().strip() for match in _PICTURE_NAME.finditer(text))
    for path in unlabelled:
        image_id = pictures.name_of(path)
        if path.name not in named_elsewhere and path not in named:
            findings.warning("label-missing", image_id, f"'{image_id}' {why}", image_id=image_id)
