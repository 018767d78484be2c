"""Pascal VOC: Annotations/NAME.xml for each picture, JPEGImages/ and ImageSets/Main/PART.txt.

Convention: edges as continuous pixels, with fractions where there are any, as readers/voc.py takes them.
A crowd is `difficult`. What a model found has a `confidence`. The order of the classes, which the format
does not hold, is in classes.txt. Numbers of classes, areas and groups have no place in this format.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from xml.etree import ElementTree

from sightline.errors import UserError
from sightline.files import write_atomically
from sightline.writers.box_prediction import (
    PARTS,
    BoxPrediction,
    WrittenBox,
    class_lines,
    part_of,
    require_each_once,
    without_folder,
)
from sightline.writers.prediction import rounded, text

FORMAT = "voc"
FILE = "Annotations"
_PICTURES = "JPEGImages"


def write(
    predictions: Sequence[BoxPrediction],
    out: Path,
    *,
    classes: Sequence[str],
    class_ids: Sequence[int] = (),
    as_truth: bool,
) -> tuple[Path, ...]:
    """Write the folders into `out`.

    Raises:
        UserError: a picture is there twice, two would share an XML, a part is not train, val or test, or a file
            cannot be written.
    """
    del class_ids  # names alone tell the classes
    require_each_once(predictions)
    names: dict[str, str] = {}
    parts: dict[str, list[str]] = {part: [] for part in PARTS}
    for prediction in predictions:
        name = str(PurePosixPath(_below(prediction)).with_suffix(""))
        if names.setdefault(name, prediction.file_name) != prediction.file_name:
            raise UserError(
                f"{names[name]} and {prediction.file_name} would share {name}.xml, because '{FORMAT}' looks at names "
                "without their endings. Rename one of the two."
            )
        if (part := part_of(prediction, format=FORMAT)) is not None:
            parts[part].append(name)
    class_text = class_lines(classes, path=out / "classes.txt")
    written = []
    for name, prediction in zip(names, predictions, strict=True):
        path = out / FILE / f"{name}.xml"
        write_atomically(path, _xml(prediction, classes=classes, as_truth=as_truth))
        written.append(path)
    for part, listed in parts.items():
        if listed:
            path = out / "ImageSets" / "Main" / f"{part}.txt"
            write_atomically(path, "".join(f"{name}\n" for name in listed))
            written.append(path)
    write_atomically(out / "classes.txt", class_text)
    return (*written, out / "classes.txt")


def picture_name(prediction: BoxPrediction) -> str:
    """Where the picture belongs, relative to the folder that Annotations is in."""
    return f"{_PICTURES}/{_below(prediction)}"


def _below(prediction: BoxPrediction) -> str:
    return without_folder(prediction.file_name, (_PICTURES, "images"))


def _xml(prediction: BoxPrediction, *, classes: Sequence[str], as_truth: bool) -> bytes:
    place = PurePosixPath(picture_name(prediction))
    height, width = prediction.size_hw
    root = ElementTree.Element("annotation")
    ElementTree.SubElement(root, "folder").text = place.parent.as_posix()
    ElementTree.SubElement(root, "filename").text = place.name
    size = ElementTree.SubElement(root, "size")
    for name, value in (("width", width), ("height", height), ("depth", 3)):
        ElementTree.SubElement(size, name).text = str(value)
    ElementTree.SubElement(root, "segmented").text = "0"
    for box in prediction.boxes():
        _add(root, box, name=classes[box.label], as_truth=as_truth)
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)


def _add(root: ElementTree.Element, box: WrittenBox, *, name: str, as_truth: bool) -> None:
    thing = ElementTree.SubElement(root, "object")
    ElementTree.SubElement(thing, "name").text = name
    ElementTree.SubElement(thing, "pose").text = "Unspecified"
    ElementTree.SubElement(thing, "truncated").text = "0"
    ElementTree.SubElement(thing, "difficult").text = str(int(box.is_crowd))
    if not as_truth:
        ElementTree.SubElement(thing, "confidence").text = str(rounded(box.score))
    bounds = ElementTree.SubElement(thing, "bndbox")
    for edge, value in zip(("xmin", "ymin", "xmax", "ymax"), box.xyxy, strict=True):
        ElementTree.SubElement(bounds, edge).text = text(value)
