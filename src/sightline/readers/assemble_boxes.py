"""From boxes as a reader understood them to a `Dataset`: the checks that all box formats share.

One record a picture. What is wrong with a picture keeps the record out, as in assemble.py. What is
wrong with one box is an error too, so that nothing is lost in silence, but the record stays with its
other boxes; where none is left it goes, for it would pass for a picture without objects.
In: drafts, the classes, and the reader's own problems. Out: a Dataset. Next: coco.py
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sightline.errors import UserError
from sightline.geometry import Box, box_areas
from sightline.readers.assemble import NO_LABEL, Findings, LabelError, checked_size, report_unlabelled
from sightline.readers.class_names import check_classes
from sightline.readers.pictures import Pictures
from sightline.readers.texts import is_finite
from sightline.records import Dataset, Objects, Record
from sightline.scan import cut_at_edges, describe_cut


@dataclass(frozen=True, kw_only=True, slots=True)
class RawBox:
    """One box as the label file has it, right or wrong.

    Attributes:
        xyxy: continuous pixels, or fractions of width and height; may be inverted or NaN.
        label: the class's name.
        source: "labels.csv:12".
        crowd: COCO's `iscrowd`, VOC's `difficult`.
        area: of the object where the format tells it.
    """

    xyxy: Box
    label: str
    source: str
    crowd: bool = False
    area: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Fault:
    """What kept a reader from understanding one box of a picture; becomes an error of that box."""

    id: str
    source: str
    message: str


@dataclass(frozen=True, kw_only=True, slots=True)
class BoxDraft:
    """A picture, or an entry about one, before the picture is looked at.

    Attributes:
        name: the picture as the label file calls it.
        source: "labels.csv:12".
        listing: drafts of one picture with equal listings are parts of one list of its boxes;
            with different ones, the picture was listed twice.
        boxes: none where there is nothing to find in the picture.
        faults: of boxes that the reader itself could not understand.
        size_hw: what the label file claims.
        path: the picture, where the format tells it by another way than its name.
        is_guess: whether a model made the labels and no person has looked at them.
    """

    name: str
    source: str
    listing: str
    boxes: tuple[RawBox, ...] = ()
    faults: tuple[Fault, ...] = ()
    size_hw: tuple[int, int] | None = None
    group: str | None = None
    split: str | None = None
    path: Path | None = None
    is_guess: bool = False


def assemble_boxes(
    drafts: Iterable[BoxDraft],
    *,
    root: Path,
    format: str,
    classes: Sequence[str],
    findings: Findings,
    pictures: Pictures,
    class_ids: Sequence[int] = (),
    fractions: bool = False,
    labelled_elsewhere: Iterable[Path] = (),
    why_unlabelled: str = NO_LABEL,
) -> Dataset:
    """Find the pictures of drafts, check both, and make the data set.

    Args:
        drafts: all of whose labels are in `classes`.
        root: what picture names are told relative to.
        format: the reader's key in `FORMATS`.
        classes: the names, in order.
        findings: the reader's own problems; more are added.
        pictures: where to look.
        class_ids: the label file's own numbers of the classes.
        fractions: boxes are fractions of the picture's width and height.
        labelled_elsewhere: label files that are not read, but whose pictures are not unlabelled.
        why_unlabelled: what is told of pictures that lie among these and that no draft names.

    Raises:
        UserError: there is not a single picture, and no problem that would say why.
    """
    numbers = {name: index for index, name in enumerate(classes)}
    records: list[Record] = []
    found = _by_picture(drafts, root=root, pictures=pictures, findings=findings)
    for path, parts in found.items():
        first, image_id = parts[0], pictures.name_of(path)
        said_hw = next((part.size_hw for part in parts if part.size_hw), None)
        size_hw = checked_size(path, said_hw=said_hw, where=first.source, image_id=image_id, findings=findings)
        if size_hw is None:
            continue
        raw = [box for part in parts for box in part.boxes]
        checked = _Checked(image_id=image_id, size_hw=size_hw, findings=findings)
        objects = checked.objects(raw, numbers=numbers, fractions=fractions)
        if len(objects) == 0 and (raw or any(part.faults for part in parts)):
            continue
        records.append(
            Record(
                image_id=image_id,
                path=path,
                objects=objects,
                size_hw=size_hw,
                group=_agreed([part.group for part in parts]),
                split=_agreed([part.split for part in parts]),
                is_guess=all(part.is_guess for part in parts),
                source=first.source,
            )
        )
    if not records and not findings.problems:
        raise UserError(f"{root} holds no labels: its {format} files are empty. Give data with at least one picture.")
    check_classes(records, classes=classes, findings=findings, where=root.as_posix())
    report_unlabelled(found, pictures=pictures, findings=findings, elsewhere=labelled_elsewhere, why=why_unlabelled)
    return Dataset(
        root=root,
        format=format,
        records=tuple(records),
        classes=tuple(classes),
        class_ids=tuple(class_ids),
        problems=tuple(findings.problems),
    )


def are_fractions(drafts: Iterable[BoxDraft], *, findings: Findings, where: str) -> bool:
    """Whether no box is in pixels: none reaches beyond 1, and they are not all at corners of the first pixel."""
    edges = [edge for draft in drafts for box in draft.boxes for edge in box.xyxy if is_finite([edge])]
    if not edges or max(edges) > 1 or all(edge == round(edge) for edge in edges):
        return False
    findings.note("fractions-assumed", where, "no number is above 1: boxes are taken for fractions of the pictures")
    return True


def size_said(width: str, height: str) -> tuple[int, int] | None:
    """(height, width) where a label file claims both as whole numbers above 0; None where it claims neither.

    Raises:
        LabelError: it claims something else.
    """
    if not width and not height:
        return None
    try:
        sides = [float(height), float(width)]
    except ValueError:
        sides = [float("nan")]
    if not is_finite(sides) or min(sides) < 0 or any(side != round(side) for side in sides):
        raise LabelError("row-unreadable", f"width and height are '{width}' and '{height}'; expected whole pixels")
    # Several tools write 0 x 0 where they did not look at the picture.
    return (int(sides[0]), int(sides[1])) if min(sides) > 0 else None


def _by_picture(
    drafts: Iterable[BoxDraft], *, root: Path, pictures: Pictures, findings: Findings
) -> dict[Path, list[BoxDraft]]:
    """The drafts of each picture that is there; one that is listed again is an error."""
    found: dict[Path, list[BoxDraft]] = {}
    missing: set[str] = set()
    for draft in drafts:
        path = draft.path or pictures.find(draft.name)
        image_id = draft.name if path is None else pictures.name_of(path)
        for fault in draft.faults:
            findings.error(fault.id, fault.source, fault.message, image_id=image_id)
        if path is None:
            if draft.name not in missing:
                message = f"there is no picture '{draft.name}' in {root} or its image folders"
                findings.error("image-missing", draft.source, message, image_id=draft.name)
            missing.add(draft.name)
            continue
        earlier = found.setdefault(path, [])
        if earlier and earlier[0].listing != draft.listing:
            message = f"'{image_id}' is listed already at {earlier[0].source}; only that one is kept"
            findings.error("image-duplicated", draft.source, message, image_id=image_id)
        elif earlier and None not in (earlier[0].split, draft.split) and earlier[0].split != draft.split:
            message = f"'{image_id}' is in '{earlier[0].split}' at {earlier[0].source} and in '{draft.split}' here; "
            message += "only the first is kept"
            findings.error("image-duplicated", draft.source, message, image_id=image_id)
        else:
            earlier.append(draft)
    return found


def _agreed(values: Sequence[str | None]) -> str | None:
    """The first that is given."""
    return next((value for value in values if value is not None), None)


@dataclass(frozen=True, kw_only=True)
class _Checked:
    """The checks of the boxes of one picture."""

    image_id: str
    size_hw: tuple[int, int]
    findings: Findings

    def objects(self, raw: Sequence[RawBox], *, numbers: dict[str, int], fractions: bool) -> Objects:
        """The boxes that can be used, in the picture's pixels and cut at its edges; each once."""
        height, width = self.size_hw
        scale = np.array([width, height, width, height] if fractions else [1, 1, 1, 1], dtype=np.float64)
        good, boxes = [], np.zeros((0, 4))
        if raw:
            boxes = np.array([box.xyxy for box in raw], dtype=np.float64) * scale
            is_good = [self._has_area(box, xyxy) for box, xyxy in zip(raw, boxes, strict=True)]
            good, boxes = [box for box, keep in zip(raw, is_good, strict=True) if keep], boxes[is_good]
        objects = Objects(
            boxes_xyxy=boxes,
            labels=np.array([numbers[box.label] for box in good], dtype=np.int64),
            crowd=np.array([box.crowd for box in good], dtype=bool),
            areas=self._areas(good, boxes, fractions=fractions),
        )
        cut = cut_at_edges(objects, self.size_hw)
        if message := describe_cut(cut, self.size_hw):
            first = good[int(cut.beyond_px.argmax())]
            self.findings.warning("box-cut", first.source, message, image_id=self.image_id)
        for index in np.flatnonzero(cut.outside):
            message = f"the box {_shown(boxes[index])} lies outside of the {width} x {height} picture"
            self.findings.error("box-off-image", good[index].source, message, image_id=self.image_id)
        inside = [box for box, outside in zip(good, cut.outside, strict=True) if not outside]
        return self._each_once(inside, cut.objects)

    def _has_area(self, box: RawBox, xyxy: np.ndarray) -> bool:
        x0, y0, x1, y1 = xyxy.tolist()
        if not is_finite([x0, y0, x1, y1]):
            id, what = "box-not-finite", "has an edge that is NaN or infinite"
        elif x1 < x0 or y1 < y0:
            id, what = "box-inverted", "has its right or lower edge before its left or upper one"
        elif x1 == x0 or y1 == y0:
            id, what = "box-empty", f"has no area: it is {x1 - x0:g} x {y1 - y0:g} pixels"
        else:
            return True
        message = f"the box {_shown(xyxy)} of '{box.label}' {what}"
        self.findings.error(id, box.source, message, image_id=self.image_id)
        return False

    def _areas(self, boxes: Sequence[RawBox], xyxy: np.ndarray, *, fractions: bool) -> np.ndarray:
        """The areas that the format tells, else the boxes' own."""
        areas = box_areas(xyxy)
        for index, box in enumerate([] if fractions else boxes):  # what is told of fractions is a share of the picture
            if box.area is not None and is_finite([box.area]) and box.area > 0:
                areas[index] = box.area
            elif box.area is not None:
                message = f"the area {box.area:g} is not above 0; the box's own, {areas[index]:g}, is used"
                self.findings.warning("area-invalid", box.source, message, image_id=self.image_id)
        return areas

    def _each_once(self, boxes: Sequence[RawBox], objects: Objects) -> Objects:
        """Without boxes that repeat an earlier one in place, class and kind."""
        first: dict[tuple[object, ...], int] = {}
        keep = np.ones(len(objects), dtype=bool)
        for index, (box, xyxy) in enumerate(zip(boxes, objects.boxes_xyxy.tolist(), strict=True)):
            earlier = first.setdefault((*xyxy, box.label, box.crowd), index)
            if earlier != index:
                keep[index] = False
                message = f"the box {_shown(objects.boxes_xyxy[index])} of '{box.label}' is there already, "
                message += f"at {boxes[earlier].source}; it is used once"
                self.findings.warning("box-duplicated", box.source, message, image_id=self.image_id)
        return objects.select(keep)


def _shown(xyxy: np.ndarray) -> str:
    return "(" + ", ".join(f"{edge:.10g}" for edge in xyxy.tolist()) + ")"
