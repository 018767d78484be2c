"""CVAT for images 1.1: one XML with `image` and in it `box`, or `points` and `skeleton`.

Convention of the format: continuous pixels from edge to edge, so nothing is moved. The order of classes
is that of the labels in `meta`. `subset` is the part of the data, and the folder of its pictures. An
attribute `is_crowd` or `difficult` makes a box a crowd; a box that was turned (`rotation`) gives the
upright box around it. So do polygons, ellipses and masks of labels that have no boxes. A file without
boxes that has points is one of points. Other shapes and tags are left out with a note.
In: an XML or its folder. Out: a Dataset. Next: cvat_points.py
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from sightline.errors import UserError
from sightline.geometry import Box, about, rotation
from sightline.readers.assemble import Findings, LabelError, place
from sightline.readers.assemble_boxes import BoxDraft, Fault, RawBox, assemble_boxes
from sightline.readers.class_names import class_order
from sightline.readers.cvat_points import CvatImage, assemble_points, has_points, number_pairs
from sightline.readers.pictures import Pictures
from sightline.readers.texts import choose_label_files, is_finite, number, read_start
from sightline.readers.xml_nodes import Node, read_nodes, xml_files
from sightline.records import Dataset

FORMAT = "cvat"
LOOKED_FOR = "an XML with <annotations>, <image name=...> and <box> or <points> (CVAT for images 1.1)"

_OUTLINES = ("polygon", "ellipse", "mask")
_KEYS = {
    "box": ("xtl", "ytl", "xbr", "ybr"),
    "polygon": ("points",),
    "ellipse": ("cx", "cy", "rx", "ry"),
    "mask": ("left", "top", "width", "height"),
}
_CROWD = ("is_crowd", "iscrowd", "crowd", "difficult")
_YES = ("1", "true", "yes")


def detect(path: Path) -> bool:
    """Whether the path is a CVAT XML, or a folder with one."""
    return bool(_files(path))


def read(path: Path) -> Dataset:
    """Read one XML, or those of a folder whose names tell the parts of the data.

    Raises:
        UserError: no such XML, not XML, a document type, tracks of a video, or no pictures.
    """
    files = _files(path)
    if not files:
        raise UserError(f"{path} is not what '{FORMAT}' reads. Expected {LOOKED_FOR}.")
    root = path if path.is_dir() else path.parent
    findings, pictures = Findings(), Pictures(root)
    images: list[CvatImage] = []
    labels: list[Node] = []
    chosen = choose_label_files(files, what="CVAT")
    for file, split in chosen:
        nodes = read_nodes(file, {"labels", "image", "track"})
        if any(node.tag == "track" for node in nodes):
            raise UserError(
                f"{file} holds the tracks of a video. Expected pictures: export it as 'CVAT for images 1.1'."
            )
        where = place(file, root)
        images += [_image(node, where=where, split=split, pictures=pictures) for node in nodes if node.tag == "image"]
        labels += [label for node in nodes if node.tag == "labels" for label in node.all("label")]
    elsewhere = [file for file in xml_files(root) if file not in files]
    boxed = {box.attributes.get("label", "") for image in images for box in image.node.all("box")}
    of_points = not boxed and any(has_points(image.node) for image in images)
    used = ("points", "skeleton") if of_points else ("box", *_OUTLINES)
    _report_others(images, used=used, boxed=boxed, findings=findings)
    if of_points:
        return assemble_points(
            images, root=root, format=FORMAT, labels=labels, findings=findings, pictures=pictures, elsewhere=elsewhere
        )
    drafts = [draft for image in images if (draft := _draft(image, boxed=boxed, findings=findings)) is not None]
    # The points of a skeleton have the skeleton's label as their parent, and are no classes.
    listed = [name for label in labels if (name := label.text_of("name")) and not label.text_of("parent")]
    return assemble_boxes(
        drafts,
        root=root,
        format=FORMAT,
        classes=class_order([box.label for draft in drafts for box in draft.boxes], listed=listed),
        findings=findings,
        pictures=pictures,
        labelled_elsewhere=elsewhere,
    )


def _files(path: Path) -> list[Path]:
    """The XML files of this format: the path itself, or those directly in it."""
    files = xml_files(path) if path.is_dir() else [path] if path.suffix.lower() == ".xml" else []
    return [file for file in files if "<annotations" in read_start(file)]


def _image(node: Node, *, where: str, split: str | None, pictures: Pictures) -> CvatImage:
    """An `image` with its picture: projects keep those of each subset in a folder of its name."""
    name, subset = node.attributes.get("name", "").strip(), node.attributes.get("subset", "").strip()
    path = pictures.find(f"{subset}/{name}" if subset else name) if name else None
    part = subset.lower() if subset.lower() != "default" else ""  # CVAT's name of what was given no subset
    return CvatImage(node=node, where=f"{where}:{node.line}", split=part or split, path=path)


def _report_others(images: Sequence[CvatImage], *, used: Sequence[str], boxed: set[str], findings: Findings) -> None:
    """Notes, for each file, of the shapes that nothing is made of, and of outlines that become boxes."""
    left: dict[str, Counter[str]] = {}
    outlines: Counter[str] = Counter()
    for image in images:
        where = image.where.rsplit(":", 1)[0]
        for shape in image.node.children:
            if shape.tag in used and _gives_box(shape, boxed=boxed):
                outlines[where] += 1
            elif shape.tag in _OUTLINES or shape.tag not in used:
                left.setdefault(where, Counter())[shape.tag] += 1
    for where, counts in left.items():
        others = ", ".join(f"{count} {tag}" for tag, count in sorted(counts.items()))
        findings.note("annotation-skipped", where, f"left out: {others}")
    for where, count in outlines.items():
        message = f"{count} polygons, ellipses or masks of labels that have no boxes; the boxes around them are used"
        findings.note("outline-boxed", where, message)


def _gives_box(shape: Node, *, boxed: set[str]) -> bool:
    """Whether a shape is an outline of a label that has no boxes, so that the box around it is used."""
    return shape.tag in _OUTLINES and shape.attributes.get("label", "") not in boxed


def _draft(image: CvatImage, *, boxed: set[str], findings: Findings) -> BoxDraft | None:
    """One picture with its boxes; None, with an error, where it has no name."""
    node, where, name = image.node, image.where, image.name
    if not name:
        findings.error("row-unreadable", where, "an <image> without a name attribute")
        return None
    file = where.rsplit(":", 1)[0]
    boxes: list[RawBox] = []
    faults: list[Fault] = []
    size_hw = image.size_hw(findings)
    for element in node.children:
        if element.tag != "box" and not _gives_box(element, boxed=boxed):
            continue
        source = f"{file}:{element.line}"
        try:
            boxes.append(_box(element, source=source))
        except LabelError as bad:
            faults.append(Fault(id=bad.id, source=source, message=str(bad)))
    if turned := sum(bool(_degrees(element)) for element in node.all("box")):
        message = f"{turned} boxes were turned; the upright boxes around them are used"
        findings.warning("box-turned", where, message, image_id=name)
    if any(_attribute(element, ("score", "confidence")) for element in node.all("box")):
        message = "boxes have a score: these seem to be detections; all are taken for labels"
        findings.warning("score-ignored", where, message, image_id=name)
    return BoxDraft(
        name=name,
        source=where,
        listing=where,
        boxes=tuple(boxes),
        faults=tuple(faults),
        size_hw=size_hw,
        split=image.split,
        path=image.path,
    )


def _box(element: Node, *, source: str) -> RawBox:
    label = element.attributes.get("label", "").strip()
    if not label:
        raise LabelError("box-class-missing", f"a <{element.tag}> without a label")
    x0, y0, x1, y1 = box = _edges(element, label=label)
    if (degrees := _degrees(element)) and is_finite([degrees, *box]):
        turned = about(((x0 + x1) / 2, (y0 + y1) / 2), rotation(degrees)).boxes(np.array([box]))
        x0, y0, x1, y1 = turned[0].tolist()
        box = (x0, y0, x1, y1)
    return RawBox(xyxy=box, label=label, source=source, crowd=_attribute(element, _CROWD).lower() in _YES)


def _edges(element: Node, *, label: str) -> Box:
    """The box of a shape, before it is turned."""
    keys = _KEYS[element.tag]
    texts = [element.attributes.get(key, "") for key in keys]
    try:
        if element.tag == "polygon":
            x, y = zip(*number_pairs(texts[0]), strict=True)
            if not is_finite([*x, *y]):
                raise ValueError("a corner is NaN or infinite")
            return min(x), min(y), max(x), max(y)
        a, b, c, d = (number(text) for text in texts)
    except ValueError:
        said = ", ".join(texts)[:60]
        raise LabelError("row-unreadable", f"the {element.tag} of '{label}' is ({said}), expected numbers") from None
    if element.tag == "ellipse":
        return a - c, b - d, a + c, b + d
    return (a, b, a + c, b + d) if element.tag == "mask" else (a, b, c, d)


def _degrees(element: Node) -> float:
    """How far a box was turned about its centre, clockwise; what is no number turns nothing."""
    try:
        return number(element.attributes.get("rotation", "0"))
    except ValueError:
        return 0.0


def _attribute(element: Node, names: Sequence[str]) -> str:
    """The text of the first attribute with one of these names; empty where there is none."""
    found = (one.text.strip() for one in element.all("attribute") if one.attributes.get("name", "").lower() in names)
    return next(found, "")
