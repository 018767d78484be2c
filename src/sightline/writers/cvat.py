"""CVAT for images 1.1: one XML with the labels in `meta` and an `image` with its `box`es for each picture.

Convention of the format: continuous pixels. `subset` is the part of the data. A crowd has the attribute
`is_crowd`, what a model found the attribute `score`; the labels declare them, so that CVAT keeps them.
Numbers of classes, areas and groups have no place in this format.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

from sightline.files import write_atomically
from sightline.writers.box_prediction import BoxPrediction, WrittenBox, require_each_once
from sightline.writers.prediction import one_file, text

FORMAT = "cvat"
FILE = "annotations.xml"


def write(
    predictions: Sequence[BoxPrediction],
    out: Path,
    *,
    classes: Sequence[str],
    class_ids: Sequence[int] = (),
    as_truth: bool,
) -> tuple[Path, ...]:
    """Write one XML: `out` itself where it ends in .xml, else `annotations.xml` in the folder `out`.

    Raises:
        UserError: a picture is there twice, or the file cannot be written.
    """
    del class_ids  # names alone tell the classes
    require_each_once(predictions)
    has_crowd = any(prediction.crowd.any() for prediction in predictions)
    root = ElementTree.Element("annotations")
    labels = meta(root, pictures=len(predictions))
    for name in classes:
        declare(labels, name, kind="rectangle", has_crowd=has_crowd, has_score=not as_truth)
    for number, prediction in enumerate(predictions):
        height, width = prediction.size_hw
        attributes = {"id": str(number), "name": prediction.file_name}
        if prediction.split is not None:
            attributes["subset"] = prediction.split
        attributes |= {"width": str(width), "height": str(height)}
        image = ElementTree.SubElement(root, "image", attributes)
        for box in prediction.boxes():
            _add(image, box, name=classes[box.label], has_crowd=has_crowd, as_truth=as_truth)
    ElementTree.indent(root)
    path = one_file(out, name=FILE)
    write_atomically(path, ElementTree.tostring(root, encoding="utf-8", xml_declaration=True))
    return (path,)


def picture_name(prediction: BoxPrediction) -> str:
    """Where the picture belongs, relative to the XML."""
    return prediction.file_name


def meta(root: ElementTree.Element, *, pictures: int) -> ElementTree.Element:
    """The head of the XML; gives the element that takes the labels."""
    ElementTree.SubElement(root, "version").text = "1.1"
    task = ElementTree.SubElement(ElementTree.SubElement(root, "meta"), "task")
    ElementTree.SubElement(task, "size").text = str(pictures)
    return ElementTree.SubElement(task, "labels")


def declare(labels: ElementTree.Element, name: str, *, kind: str, has_crowd: bool, has_score: bool) -> None:
    """A label, of which kind of shape it is, and the attributes that its shapes have."""
    label = ElementTree.SubElement(labels, "label")
    ElementTree.SubElement(label, "name").text = name
    ElementTree.SubElement(label, "type").text = kind
    attributes = ElementTree.SubElement(label, "attributes")
    for wanted, attribute, kind, default, values in (
        (has_crowd, "is_crowd", "checkbox", "false", "false"),
        (has_score, "score", "text", "", ""),
    ):
        if wanted:
            one = ElementTree.SubElement(attributes, "attribute")
            for tag, content in (
                ("name", attribute),
                ("mutable", "False"),
                ("input_type", kind),
                ("default_value", default),
                ("values", values),
            ):
                ElementTree.SubElement(one, tag).text = content


def _add(image: ElementTree.Element, box: WrittenBox, *, name: str, has_crowd: bool, as_truth: bool) -> None:
    edges = {edge: text(value) for edge, value in zip(("xtl", "ytl", "xbr", "ybr"), box.xyxy, strict=True)}
    source = "manual" if as_truth else "auto"
    element = ElementTree.SubElement(image, "box", {"label": name, "source": source, "occluded": "0", **edges})
    element.set("z_order", "0")
    if has_crowd:
        ElementTree.SubElement(element, "attribute", name="is_crowd").text = str(box.is_crowd).lower()
    if not as_truth:
        ElementTree.SubElement(element, "attribute", name="score").text = text(box.confidence)
