"""CVAT for images 1.1 with points: an `image` with a `points` of one point for each label, for each picture.

Convention of the format: continuous pixels. `subset` is the part of the data. A point that is not there has no entry.
Of a picture with several objects the points of each share a `group_id`; an object without any point has no place there.
What a model found has the attribute `score`; the labels declare it, so that CVAT keeps it. Boxes and groups of pictures
have no place in this format.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

from sightline.files import write_atomically
from sightline.records import Skeleton
from sightline.writers.cvat import FILE as FILE
from sightline.writers.cvat import FORMAT as FORMAT
from sightline.writers.cvat import declare, meta
from sightline.writers.prediction import Prediction, by_picture, one_file, text


def write(predictions: Sequence[Prediction], out: Path, *, skeleton: Skeleton) -> tuple[Path, ...]:
    """Write one XML: `out` itself where it ends in .xml, else `annotations.xml` in the folder `out`.

    Raises:
        UserError: the file cannot be written.
    """
    pictures = by_picture(predictions)
    has_score = not all(prediction.is_truth for prediction in predictions)
    root = ElementTree.Element("annotations")
    labels = meta(root, pictures=len(pictures))
    for name in skeleton.names:
        declare(labels, name, kind="points", has_crowd=False, has_score=has_score)
    for number, (name, objects) in enumerate(pictures.items()):
        height, width = objects[0].size_hw
        attributes = {"id": str(number), "name": name}
        if objects[0].split is not None:
            attributes["subset"] = objects[0].split
        attributes |= {"width": str(width), "height": str(height)}
        image = ElementTree.SubElement(root, "image", attributes)
        for group, each in enumerate(objects, start=1):
            _add(image, each, skeleton=skeleton, group=str(group) if len(objects) > 1 else "")
    ElementTree.indent(root)
    path = one_file(out, name=FILE)
    write_atomically(path, ElementTree.tostring(root, encoding="utf-8", xml_declaration=True))
    return (path,)


def picture_name(prediction: Prediction) -> str:
    """Where the picture belongs, relative to the XML."""
    return prediction.file_name


def _add(image: ElementTree.Element, prediction: Prediction, *, skeleton: Skeleton, group: str) -> None:
    """The points of one object; `group` is what they share, or empty."""
    for index in prediction.visible.nonzero()[0]:
        x, y = prediction.points_xy[index]
        place = f"{text(x)},{text(y)}"
        source = "manual" if prediction.is_truth else "auto"
        given = {"label": skeleton.names[index], "source": source, "occluded": "0", "points": place, "z_order": "0"}
        if group:
            given["group_id"] = group
        element = ElementTree.SubElement(image, "points", given)
        if not prediction.is_truth:
            ElementTree.SubElement(element, "attribute", name="score").text = text(prediction.confidence[index])
