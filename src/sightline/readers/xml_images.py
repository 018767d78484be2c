"""The XML of dlib's imglab.

In: a path. Out: images with boxes and parts. Next: dlib_xml.py
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sightline.readers.xml_nodes import walk


@dataclass(kw_only=True)
class XmlElement:
    """An element's attributes and the line it starts on."""

    attributes: Mapping[str, str]
    line: int


@dataclass(kw_only=True)
class XmlBox(XmlElement):
    """A `box` with its `part`s."""

    parts: list[XmlElement] = field(default_factory=list)


@dataclass(kw_only=True)
class XmlImage(XmlElement):
    """An `image` with its boxes."""

    boxes: list[XmlBox] = field(default_factory=list)


def read_images(path: Path) -> list[XmlImage]:
    """The `image` elements of a dlib file, in its order.

    Raises:
        UserError: the file cannot be read, is not XML, or declares a document type.
    """
    images: list[XmlImage] = []

    def start(tag: str, attributes: dict[str, str], line: int) -> None:
        if tag == "image":
            images.append(XmlImage(attributes=attributes, line=line))
        elif tag == "box" and images:
            images[-1].boxes.append(XmlBox(attributes=attributes, line=line))
        elif tag == "part" and images and images[-1].boxes:
            images[-1].boxes[-1].parts.append(XmlElement(attributes=attributes, line=line))

    walk(path, start=start, end=lambda _: None, text=lambda _: None)
    return images
