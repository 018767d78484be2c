"""dlib's XML of boxes with parts, as the iBUG 300-W set for dlib is stored.

Convention of the format: integers, because dlib parses no fractions; parts are pixel indices, so that
writing loses up to half a pixel; boxes are left, top, width, height. A part that is not there has no
entry. Unnamed points and the 68 of iBUG are called by their numbers ("00"), as dlib's tools do, where
no point is missing (numbers with gaps would be read as a mistake). Without a box the tight one of the
points is written. Scores have no place in this format.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from xml.etree import ElementTree

from sightline.files import write_atomically
from sightline.geometry import continuous_to_index
from sightline.records import Skeleton
from sightline.skeletons import skeleton as known_skeleton
from sightline.writers.prediction import Prediction, box_or_stand_in, by_picture, in_default_order, one_file

FORMAT = "dlib_xml"
FILE = "landmarks.xml"


def write(predictions: Sequence[Prediction], out: Path, *, skeleton: Skeleton) -> tuple[Path, ...]:
    """Write one XML: `out` itself where it ends in .xml, else `landmarks.xml` in the folder `out`.

    Raises:
        UserError: the file cannot be written.
    """
    names = _part_names(skeleton, is_complete=all(p.visible.all() for p in predictions))
    root = ElementTree.Element("dataset")
    ElementTree.SubElement(root, "name").text = "written by sightline"
    ElementTree.SubElement(root, "comment").text = "parts are pixel indices"
    images = ElementTree.SubElement(root, "images")
    for file_name, objects in by_picture(predictions).items():
        height, width = objects[0].size_hw
        image = ElementTree.SubElement(images, "image", file=file_name, width=str(width), height=str(height))
        for prediction in objects:
            _add_box(image, prediction, names=names)
    ElementTree.indent(root)
    path = one_file(out, name=FILE)
    write_atomically(path, ElementTree.tostring(root, encoding="utf-8", xml_declaration=True))
    return (path,)


def picture_name(prediction: Prediction) -> str:
    """Where the picture belongs, relative to the XML."""
    return prediction.file_name


def _part_names(skeleton: Skeleton, *, is_complete: bool) -> list[str]:
    """Names of parts; numbers are padded because dlib sorts names as text."""
    if is_complete and (in_default_order(skeleton) or skeleton.names == known_skeleton("ibug68").names):
        digits = max(2, len(str(len(skeleton) - 1)))
        return [f"{index:0{digits}d}" for index in range(len(skeleton))]
    return list(skeleton.names)


def _add_box(image: ElementTree.Element, prediction: Prediction, *, names: Sequence[str]) -> None:
    left, top, right, bottom = (round(edge) for edge in box_or_stand_in(prediction))
    sides = {"top": top, "left": left, "width": max(1, right - left), "height": max(1, bottom - top)}
    box = ElementTree.SubElement(image, "box", {name: str(value) for name, value in sides.items()})
    points = continuous_to_index(prediction.points_xy)
    for name, (x, y), visible in zip(names, points, prediction.visible, strict=True):
        if visible:
            ElementTree.SubElement(box, "part", name=name, x=str(round(float(x))), y=str(round(float(y))))
