"""COCO boxes: one JSON of `images`, `annotations` with a `bbox`, and `categories`.

Convention of the format: `bbox` is [x, y, width, height] from edge to edge, so it becomes continuous
pixels by addition; where none reaches beyond 1 (as in Azure's exports) they are fractions of the picture.
An annotation with polygons and no bbox gives the box around them. `iscrowd` and `area` are kept; category
ids may have gaps and are kept too. A picture without annotations has nothing to find in it. `split` and
`group` of an image, which the format does not know, are what our writer puts there. JSONs of any size are
read entry by entry.
In: a JSON, or a folder with some in it, in `annotations/`, or in one folder for each part
(`train/_annotations.coco.json`). Out: a Dataset. Next: voc.py
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from sightline.errors import UserError
from sightline.readers.assemble import Findings, LabelError, place
from sightline.readers.assemble_boxes import BoxDraft, Fault, RawBox, are_fractions, assemble_boxes
from sightline.readers.coco_layout import LISTS, coco_files, key_of, report_cut_off, root_of_labels, whole
from sightline.readers.json_stream import Entry, json_files, read_lists
from sightline.readers.pictures import Pictures, finder_of
from sightline.readers.texts import files_with_parts, is_finite
from sightline.records import Dataset

FORMAT = "coco"
LOOKED_FOR = 'a JSON with "images", "annotations" and "categories" but no "keypoints" (COCO), there or in annotations/'

# Outlines and captions are most of a file, and nothing is made of them where there is a box.
_DROPPED = ("segmentation", "caption", "keypoints", "segments_info")


@dataclass(kw_only=True)
class _Categories:
    """The classes of all files: name by id, and the ids in order."""

    names: dict[int, str] = field(default_factory=dict)

    def add(self, entries: Sequence[Entry], *, file: Path) -> None:
        """Take a file's categories; raises UserError where they contradict those before."""
        for index, entry in enumerate(entries):
            number, name = whole(entry.get("id")), entry.get("name")
            if number is None or not isinstance(name, str) or not name.strip():
                raise UserError(f"{file}: categories[{index}] is {dict(entry)}. Expected a number 'id' and a 'name'.")
            if self.names.setdefault(number, name.strip()) != name.strip():
                raise UserError(
                    f"{file}: the category id {number} is '{name.strip()}' and also '{self.names[number]}'. The files "
                    "of one data set need one name for each id."
                )

    def classes(self, used: set[int], *, findings: Findings, where: str) -> tuple[tuple[str, ...], tuple[int, ...]]:
        """The names in the file's order, and for each an id: of several with one name, one that is used."""
        ids: dict[str, list[int]] = {}
        for number, name in self.names.items():
            ids.setdefault(name, []).append(number)
        for name, numbers in ids.items():
            if len(numbers) > 1:
                message = f"the categories {', '.join(map(str, numbers))} are all called '{name}': taken for one class"
                findings.warning("class-name-twice", where, message)
        best = (next((n for n in numbers if n in used), numbers[0]) for numbers in ids.values())
        return tuple(ids), tuple(best)


def detect(path: Path) -> bool:
    """Whether the path is a COCO JSON without keypoints, or a folder with one."""
    return bool(coco_files(path, has_keypoints=False))


def read(path: Path) -> Dataset:
    """Read one JSON, or those of a folder whose names, or whose folders' names, tell the parts of the data.

    Raises:
        UserError: no such JSON, it cannot be parsed, or its categories contradict each other.
    """
    # Beside the boxes of the official set lie the same pictures with keypoints.
    files = coco_files(path, has_keypoints=False) or coco_files(path, has_keypoints=True)
    if not files:
        raise UserError(f"{path} is not what '{FORMAT}' reads. Expected {LOOKED_FOR}.")
    folder, root = path if path.is_dir() else path.parent, root_of_labels(path)
    findings, categories = Findings(), _Categories()
    drafts: list[BoxDraft] = []
    used: set[int] = set()
    for file, split in files_with_parts(files, folder=folder, what="COCO"):
        data = read_lists(file, LISTS, drop=_DROPPED, dropped_beside="bbox")
        where = place(file, root)
        categories.add(data["categories"], file=file)
        finder = finder_of(file, root=root)
        reading = _File(names=categories.names, split=split, where=where, finder=finder, findings=findings, used=used)
        drafts += reading.drafts(data)
    report_cut_off(path, root=root, findings=findings)
    where = ", ".join(place(file, root) for file in files)
    classes, class_ids = categories.classes(used, findings=findings, where=where)
    return assemble_boxes(
        drafts,
        root=root,
        format=FORMAT,
        classes=classes,
        class_ids=class_ids,
        findings=findings,
        pictures=Pictures(root),
        fractions=are_fractions(drafts, findings=findings, where=where),
        labelled_elsewhere=[file for file in json_files(folder) if file not in files],
    )


@dataclass(frozen=True, kw_only=True)
class _File:
    """What is needed to understand the images and annotations of one file."""

    names: Mapping[int, str]
    split: str | None
    where: str
    finder: Pictures
    findings: Findings
    used: set[int]

    def drafts(self, data: Mapping[str, Sequence[Entry]]) -> list[BoxDraft]:
        """A draft for each image, with its boxes."""
        boxes: dict[str, list[RawBox | Fault]] = {}
        without = outlined = 0
        for index, entry in enumerate(data["annotations"]):
            source = f"{self.where}:annotations[{index}]"
            bbox = entry.get("bbox")
            if not bbox and not (bbox := _around(entry.get("segmentation"))):
                without += 1
                continue
            outlined += bbox is not entry.get("bbox")
            try:
                box = self._box(entry, bbox=bbox, source=source)
            except LabelError as bad:
                box = Fault(id=bad.id, source=source, message=str(bad))
            boxes.setdefault(key_of(entry.get("image_id")), []).append(box)
        if without:
            message = f"{without} annotations with neither a bbox nor an outline are left out"
            self.findings.note("annotation-skipped", self.where, message)
        if outlined:
            message = f"{outlined} annotations have an outline but no bbox; the boxes around the outlines are used"
            self.findings.note("outline-boxed", self.where, message)
        if any("score" in entry for entry in data["annotations"]):
            message = "annotations have scores: these seem to be detections; all are taken for labels"
            self.findings.warning("score-ignored", self.where, message)
        drafts = []
        for index, image in enumerate(data["images"]):
            listing = f"{self.where}:images[{index}]"
            try:
                drafts.append(self._draft(image, listing=listing, boxes=boxes.pop(key_of(image.get("id")), [])))
            except LabelError as bad:
                self.findings.error(bad.id, listing, str(bad))
        for orphan in (box for some in boxes.values() for box in some):
            message = "its image_id is not among the images, or an image before had the same id"
            self.findings.error("annotation-orphan", orphan.source, message)
        return drafts

    def _draft(self, image: Entry, *, listing: str, boxes: Sequence[RawBox | Fault]) -> BoxDraft:
        name = image.get("file_name")
        if not isinstance(name, str) or not name.strip():
            raise LabelError("row-unreadable", "an image without file_name")
        width, height = whole(image.get("width")), whole(image.get("height"))
        split, group = image.get("split"), image.get("group")
        return BoxDraft(
            name=name,
            source=listing,
            listing=listing,
            boxes=tuple(box for box in boxes if isinstance(box, RawBox)),
            faults=tuple(box for box in boxes if isinstance(box, Fault)),
            size_hw=(height, width) if width and height else None,
            split=split if isinstance(split, str) and split else self.split,
            group=str(group) if group not in (None, "") else None,
            path=self.finder.find(name),
        )

    def _box(self, entry: Entry, *, bbox: object, source: str) -> RawBox:
        x, y, width, height = _numbers(bbox)
        number, area = whole(entry.get("category_id")), entry.get("area")
        if number is None or number not in self.names:
            said = entry.get("category_id")
            raise LabelError("class-unknown", f"the category_id {said} is not one of the {len(self.names)} categories")
        self.used.add(number)
        return RawBox(
            xyxy=(x, y, x + width, y + height),
            label=self.names[number],
            source=source,
            crowd=bool(entry.get("iscrowd")),
            area=None if area is None else _numbers([area], what="area")[0],
        )


def _around(outline: object) -> list[float] | None:
    """The bbox of polygons [[x, y, x, y, ...], ...]; None where there are none (a mask has no list of them)."""
    listed = [polygon for polygon in outline if isinstance(polygon, list)] if isinstance(outline, list) else []
    try:
        polygons = [_numbers(polygon[: len(polygon) // 2 * 2], what="segmentation") for polygon in listed]
    except LabelError:
        return None
    x, y = ([value for polygon in polygons for value in polygon[start::2]] for start in (0, 1))
    return [min(x), min(y), max(x) - min(x), max(y) - min(y)] if x and is_finite([*x, *y]) else None


def _numbers(values: object, *, what: str = "bbox") -> list[float]:
    """The numbers of a bbox, of an area, or of a polygon."""
    count = {"bbox": 4, "area": 1}.get(what)
    if isinstance(values, list) and count in (len(values), None):
        with suppress(OverflowError):  # an integer of hundreds of digits
            if all(isinstance(v, int | float) and not isinstance(v, bool) for v in values):
                return [float(value) for value in values]
    raise LabelError("row-unreadable", f"{what} is {str(values)[:60]}, expected numbers (x, y, width, height)")
