"""CVAT for images 1.1: one XML with `image` and in it `box`, or `points` of one object a picture.

Convention of the format: continuous pixels from edge to edge, so nothing is moved. The order of classes
is that of the labels in `meta`. `subset` is the part of the data. An attribute `is_crowd` or `difficult`
makes a box a crowd; a box that was turned (`rotation`) gives the upright box around it. Where there are
no boxes, `points` of one point each, with different labels, are the points of one object (also inside a
`skeleton`); points with `outside="1"` are not there. Other shapes and tags are left out with a note.
In: an XML or its folder. Out: a Dataset. Next: flip_order.py
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from sightline.errors import UserError
from sightline.geometry import Box, about, rotation
from sightline.readers.assemble import Draft, Findings, LabelError, assemble, place
from sightline.readers.assemble_boxes import BoxDraft, Fault, RawBox, assemble_boxes, size_said
from sightline.readers.class_names import class_order
from sightline.readers.pictures import Pictures
from sightline.readers.texts import choose_label_files, is_finite, number, read_start
from sightline.readers.xml_nodes import Node, read_nodes, xml_files
from sightline.records import Dataset
from sightline.skeletons import skeleton_for

FORMAT = "cvat"
LOOKED_FOR = "an XML with <annotations>, <image name=...> and <box label=...> (CVAT for images 1.1)"

_EDGES = ("xtl", "ytl", "xbr", "ybr")
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
    findings = Findings()
    found: list[tuple[Node, str, str | None]] = []
    listed: list[str] = []
    chosen = choose_label_files(files, what="CVAT")
    for file, split in chosen:
        nodes = read_nodes(file, {"labels", "image", "track"})
        if any(node.tag == "track" for node in nodes):
            raise UserError(
                f"{file} holds the tracks of a video. Expected pictures: export it as 'CVAT for images 1.1'."
            )
        where = place(file, root)
        found += [(node, f"{where}:{node.line}", split) for node in nodes if node.tag == "image"]
        labels = [label for node in nodes if node.tag == "labels" for label in node.all("label")]
        # The points of a skeleton have the skeleton's label as their parent.
        listed += [label.text_of("name") for label in labels]
        _report_others([node for node in nodes if node.tag == "image"], where=where, findings=findings)
    pictures = Pictures(root)
    elsewhere = [file for file in xml_files(root) if file not in files]
    has_boxes = any(node.first("box") for node, _, _ in found)
    if not has_boxes and any(True for node, _, _ in found for _ in _points(node)):
        return _of_points(found, root=root, listed=listed, findings=findings, pictures=pictures, elsewhere=elsewhere)
    drafts = [draft for item in found if (draft := _draft(*item, findings=findings)) is not None]
    return assemble_boxes(
        drafts,
        root=root,
        format=FORMAT,
        classes=class_order([box.label for draft in drafts for box in draft.boxes], listed=[n for n in listed if n]),
        findings=findings,
        pictures=pictures,
        labelled_elsewhere=elsewhere,
    )


def _files(path: Path) -> list[Path]:
    """The XML files of this format: the path itself, or those directly in it."""
    files = xml_files(path) if path.is_dir() else [path] if path.suffix.lower() == ".xml" else []
    return [file for file in files if "<annotations" in read_start(file)]


def _report_others(images: Sequence[Node], *, where: str, findings: Findings) -> None:
    """A note of the shapes that nothing is made of."""
    counts = Counter(child.tag for image in images for child in image.children)
    has_boxes = counts["box"] > 0
    used = ("box",) if has_boxes else ("points", "skeleton")
    if others := [f"{count} {tag}" for tag, count in sorted(counts.items()) if tag not in used]:
        findings.note("annotation-skipped", where, f"left out: {', '.join(others)}")


def _draft(image: Node, where: str, split: str | None, *, findings: Findings) -> BoxDraft | None:
    """One picture with its boxes; None, with an error, where it has no name."""
    name = image.attributes.get("name", "").strip()
    if not name:
        findings.error("row-unreadable", where, "an <image> without a name attribute")
        return None
    file = where.rsplit(":", 1)[0]
    boxes: list[RawBox] = []
    faults: list[Fault] = []
    size_hw = None
    try:
        size_hw = size_said(image.attributes.get("width", ""), image.attributes.get("height", ""))
    except LabelError as bad:
        findings.warning(bad.id, where, str(bad))
    for element in image.all("box"):
        source = f"{file}:{element.line}"
        try:
            boxes.append(_box(element, source=source))
        except LabelError as bad:
            faults.append(Fault(id=bad.id, source=source, message=str(bad)))
    if turned := sum(bool(_degrees(element)) for element in image.all("box")):
        message = f"{turned} boxes were turned; the upright boxes around them are used"
        findings.warning("box-turned", where, message, image_id=name)
    if any(_attribute(element, ("score", "confidence")) for element in image.all("box")):
        message = "boxes have a score: these seem to be detections; all are taken for labels"
        findings.warning("score-ignored", where, message, image_id=name)
    return BoxDraft(
        name=name,
        source=where,
        listing=where,
        boxes=tuple(boxes),
        faults=tuple(faults),
        size_hw=size_hw,
        split=image.attributes.get("subset", "").lower() or split,
    )


def _box(element: Node, *, source: str) -> RawBox:
    label = element.attributes.get("label", "").strip()
    if not label:
        raise LabelError("box-class-missing", "a <box> without a label")
    texts = [element.attributes.get(edge, "") for edge in _EDGES]
    try:
        x0, y0, x1, y1 = (number(text) for text in texts)
    except ValueError:
        raise LabelError("row-unreadable", f"the box of '{label}' is ({', '.join(texts)})") from None
    box: Box = (x0, y0, x1, y1)
    if (degrees := _degrees(element)) and is_finite([degrees, *box]):
        turned = about(((x0 + x1) / 2, (y0 + y1) / 2), rotation(degrees)).boxes(np.array([box]))
        x0, y0, x1, y1 = turned[0].tolist()
        box = (x0, y0, x1, y1)
    return RawBox(xyxy=box, label=label, source=source, crowd=_attribute(element, _CROWD).lower() in _YES)


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


def _points(image: Node) -> Iterator[Node]:
    """The `points` of a picture, also those of skeletons."""
    for child in image.children:
        if child.tag == "points":
            yield child
        elif child.tag == "skeleton":
            yield from child.all("points")


def _of_points(
    found: Sequence[tuple[Node, str, str | None]],
    *,
    root: Path,
    listed: Sequence[str],
    findings: Findings,
    pictures: Pictures,
    elsewhere: Sequence[Path],
) -> Dataset:
    met = [point.attributes.get("label", "") for image, _, _ in found for point in _points(image)]
    names = tuple(dict.fromkeys([*(name for name in listed if name in set(met)), *met]))
    drafts = []
    for image, where, split in found:
        name = image.attributes.get("name", "").strip()
        points_xy, visible = np.zeros((len(names), 2)), np.zeros(len(names), dtype=bool)
        try:
            for point in _points(image):
                index = names.index(point.attributes.get("label", ""))
                if point.attributes.get("outside") == "1":
                    continue
                if visible[index]:
                    raise LabelError("point-count", f"the point '{names[index]}' is there twice; expected one object")
                points_xy[index], visible[index] = _xy(point), True
        except LabelError as bad:
            findings.error(bad.id, where, str(bad), image_id=name or None)
            continue
        subset = image.attributes.get("subset", "").lower() or split
        drafts.append(Draft(name=name, points_xy=points_xy, visible=visible, source=where, listing=where, split=subset))
    return assemble(
        drafts,
        root=root,
        format=FORMAT,
        skeleton=skeleton_for(names),
        findings=findings,
        pictures=pictures,
        labelled_elsewhere=elsewhere,
    )


def _xy(point: Node) -> tuple[float, float]:
    """The one point of a `points` element."""
    text = point.attributes.get("points", "")
    try:
        pairs = [[number(value) for value in pair.split(",")] for pair in text.split(";")]
    except ValueError:
        raise LabelError("row-unreadable", f"points is '{text[:60]}', expected 'x,y'") from None
    if len(pairs) != 1 or len(pairs[0]) != 2:
        raise LabelError("point-count", f"a <points> of {len(pairs)} points; expected one point for each label")
    if not is_finite(pairs[0]):
        raise LabelError("point-not-finite", f"the point is at {text}")
    return pairs[0][0], pairs[0][1]
