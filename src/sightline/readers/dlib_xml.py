"""dlib's XML (imglab, iBUG 300-W): `image@file`, in it `box@top,left,width,height`, in it `part@name,x,y`.

Convention of the format: parts are pixel-index coordinates of the whole picture (the centre of a
pixel is at integers), turned into continuous ones; a box spans the edges from (left, top) to
(left + width, top + height). Several boxes of a picture are several records, `file#2` the second.

Numbered parts (`00`..`67`) are a list: a box that lacks some, where most have all, is an error.
Parts with names may be missing: dlib means "not visible" by it. A box without parts is unlabelled.
In: an XML file, or a folder with files that name their part of the data (`..._train.xml`). Out: a
Dataset. Next: pts.py
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sightline.errors import UserError
from sightline.geometry import Box, index_to_continuous
from sightline.readers.assemble import Draft, Findings, assemble, numbered_skeleton, place
from sightline.readers.pictures import Pictures
from sightline.readers.texts import choose_label_files, is_finite, number, read_start
from sightline.readers.xml_images import XmlBox, XmlElement, XmlImage, read_images
from sightline.records import Dataset, Skeleton
from sightline.skeletons import skeleton_for

FORMAT = "dlib_xml"
LOOKED_FOR = "an XML file with <dataset>, <images> and <image file=...> (dlib, iBUG)"


@dataclass(frozen=True, kw_only=True)
class _Found:
    """One box (or a picture without any) and where it stands."""

    name: str
    listing: str
    where: str
    box: XmlBox | None
    image: XmlImage
    split: str | None


def detect(path: Path) -> bool:
    """Whether an XML file, or one directly in the folder, is dlib's."""
    return bool(xml_files(path))


def xml_files(path: Path) -> list[Path]:
    """The dlib XML files: the path itself, or those directly in it."""
    candidates = sorted(path.iterdir()) if path.is_dir() else [path]
    files = [file for file in candidates if file.suffix.lower() == ".xml" and not file.name.startswith(".")]
    return [file for file in files if file.is_file() and _is_dlib(read_start(file))]


def read(path: Path) -> Dataset:
    """Read one XML file, or those of a folder whose names tell the parts of the data.

    Raises:
        UserError: no such file, not XML, a document type, or no pictures.
    """
    files = xml_files(path)
    if not files:
        raise UserError(f"{path} is not what '{FORMAT}' reads. Expected {LOOKED_FOR}.")
    root = path if path.is_dir() else path.parent
    chosen = choose_label_files(files, what="dlib XML")
    findings, found = Findings(), []
    for file, split in chosen:
        found += _found(read_images(file), file=place(file, root), split=split, findings=findings)
    names = _part_names(found)
    where = ", ".join(place(file, root) for file, _ in chosen)
    skeleton = _skeleton(names, findings=findings, where=where)
    drafts = []
    for item in found:
        if (draft := _draft(item, names=names, findings=findings)) is not None:
            drafts.append(draft)
    drafts = _without_holes(drafts, names=names, findings=findings)
    read_files = {file for file, _ in chosen}
    return assemble(
        drafts,
        root=root,
        format=FORMAT,
        skeleton=skeleton,
        findings=findings,
        pictures=Pictures(root),
        labelled_elsewhere=[file for file in sorted(root.glob("*.xml")) if file not in read_files],
    )


def box_of(element: XmlElement) -> Box:
    """The edges of a `box` element.

    Raises:
        ValueError: an attribute is missing or no number, or the box has no area.
    """
    left, top, width, height = (number(element.attributes.get(key, "")) for key in ("left", "top", "width", "height"))
    if not is_finite([left, top, width, height]) or width <= 0 or height <= 0:
        raise ValueError(f"a box of {width:g} x {height:g} at ({left:g}, {top:g}) has no area")
    return left, top, left + width, top + height


def size_of(image: XmlImage) -> tuple[int, int] | None:
    """(height, width) where the `image` element claims them as whole numbers."""
    width, height = image.attributes.get("width", ""), image.attributes.get("height", "")
    return (int(height), int(width)) if width.isdecimal() and height.isdecimal() else None


def _is_dlib(start: str) -> bool:
    """Whether a file's first characters are those of a dlib data set (VOC has <annotation>)."""
    return "<dataset" in start or "<images" in start


def _found(images: Sequence[XmlImage], *, file: str, split: str | None, findings: Findings) -> list[_Found]:
    """Every box of every picture, but for those that the file says to ignore."""
    found = []
    for image in images:
        name, where = image.attributes.get("file", ""), f"{file}:{image.line}"
        if not name:
            findings.error("row-unreadable", where, "an <image> without a file attribute names no picture")
            continue
        boxes = [box for box in image.boxes if box.attributes.get("ignore", "0") != "1"]
        if len(boxes) < len(image.boxes):
            count = len(image.boxes) - len(boxes)
            findings.note("box-ignored", where, f"{count} boxes are marked ignore='1' and left out", image_id=name)
        if not image.boxes:
            found.append(_Found(name=name, listing=where, where=where, box=None, image=image, split=split))
        for box in boxes:
            here = f"{file}:{box.line}"
            found.append(_Found(name=name, listing=where, where=here, box=box, image=image, split=split))
    return found


def _part_names(found: Sequence[_Found]) -> tuple[str, ...]:
    """The names of all parts: numbers in their order, names in the order in which they are met.

    A name that is in less than one in a hundred boxes with parts is a slip, not a point, where
    parts are numbered.
    """
    counts: Counter[str] = Counter()
    for item in found:
        counts.update({part.attributes.get("name", "") for part in item.box.parts} if item.box else ())
    if counts and all(name.isdecimal() for name in counts):
        often = [name for name, count in counts.items() if count * 100 >= max(counts.values())]
        return tuple(sorted(often, key=int))
    met = (part.attributes.get("name", "") for item in found if item.box for part in item.box.parts)
    return tuple(dict.fromkeys(met))


def _skeleton(names: tuple[str, ...], *, findings: Findings, where: str) -> Skeleton:
    """The skeleton of the parts' names; numbers name nothing."""
    if not names:
        findings.warning("points-absent", where, "no box has parts: the pictures have no points to learn or check")
        return Skeleton(names=())
    if _are_numbers(names):
        return numbered_skeleton(len(names), findings=findings, where=where)
    return skeleton_for(names)


def _are_numbers(names: Sequence[str]) -> bool:
    return all(name.isdecimal() for name in names)


def _draft(item: _Found, *, names: tuple[str, ...], findings: Findings) -> Draft | None:
    """The draft of one box; None, with an error, where it cannot be used."""
    points_xy, visible = np.zeros((len(names), 2)), np.zeros(len(names), dtype=bool)
    position = {name: index for index, name in enumerate(names)}
    box: Box | None = None
    if item.box is not None:
        try:
            box = box_of(item.box)
        except ValueError as error:
            findings.error("box-invalid", item.where, f"{error}", image_id=item.name)
            return None
        for part in item.box.parts:
            where = f"{item.where.rsplit(':', 1)[0]}:{part.line}"
            name = part.attributes.get("name", "")
            try:
                xy = [number(part.attributes.get(axis, "")) for axis in ("x", "y")]
            except ValueError:
                shown = f"x='{part.attributes.get('x', '')}' y='{part.attributes.get('y', '')}'"
                findings.error("row-unreadable", where, f"part '{name}' has {shown}", image_id=item.name)
                return None
            if not is_finite(xy):
                findings.error("point-not-finite", where, f"part '{name}' is at {tuple(xy)}", image_id=item.name)
                return None
            if name not in position or visible[position[name]]:
                what = "is there twice" if name in position else f"is not one of the {len(names)} parts of the others"
                findings.error("point-count", where, f"part '{name}' {what}", image_id=item.name)
                return None
            points_xy[position[name]], visible[position[name]] = xy, True
    return Draft(
        name=item.name,
        points_xy=index_to_continuous(points_xy),
        visible=visible,
        source=item.where,
        listing=item.listing,
        box_xyxy=box,
        size_hw=size_of(item.image),
        split=item.split,
    )


def _without_holes(drafts: list[Draft], *, names: tuple[str, ...], findings: Findings) -> list[Draft]:
    """Without the drafts that lack some numbered parts, where most have all of them."""
    labelled = [draft for draft in drafts if draft.visible.any()]
    whole = sum(bool(draft.visible.all()) for draft in labelled)
    if not _are_numbers(names) or whole * 2 <= len(labelled):
        return drafts
    kept = []
    for draft in drafts:
        if draft.visible.all() or not draft.visible.any():
            kept.append(draft)
            continue
        count = int(draft.visible.sum())
        missing = ", ".join(name for name, there in zip(names, draft.visible, strict=True) if not there)
        message = f"{count} parts, but {whole} of {len(labelled)} boxes have {len(names)}; expected {len(names)}"
        findings.error("point-count", draft.source, f"{message}; lacking: {missing}", image_id=draft.name)
    return kept
