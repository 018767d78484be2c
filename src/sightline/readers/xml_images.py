"""The XML of dlib's imglab: parsing it with line numbers and without trusting it.

A plain walk with expat, since a tree forgets lines; a DTD, which could make a small file
fill the memory, is refused before it is expanded. In: a path. Out: images with boxes and parts.
Next: dlib_xml.py
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from xml.parsers import expat

from sightline.errors import UserError


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
    parser = expat.ParserCreate()
    parser.SetParamEntityParsing(expat.XML_PARAM_ENTITY_PARSING_NEVER)
    images: list[XmlImage] = []

    def refuse(*_: object) -> None:
        raise UserError(
            f"{path}:{parser.CurrentLineNumber} declares a document type or entities (<!DOCTYPE). "
            "Label files need none and it can harm the reader: remove the declaration."
        )

    def start(tag: str, attributes: dict[str, str]) -> None:
        line = parser.CurrentLineNumber
        if tag == "image":
            images.append(XmlImage(attributes=attributes, line=line))
        elif tag == "box" and images:
            images[-1].boxes.append(XmlBox(attributes=attributes, line=line))
        elif tag == "part" and images and images[-1].boxes:
            images[-1].boxes[-1].parts.append(XmlElement(attributes=attributes, line=line))

    parser.StartDoctypeDeclHandler = refuse
    parser.EntityDeclHandler = refuse
    parser.StartElementHandler = start
    try:
        parser.Parse(path.read_bytes(), True)
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}. Check the path and its permissions.") from error
    except expat.ExpatError as error:
        reason = expat.ErrorString(error.code)
        raise UserError(
            f"{path}:{error.lineno} is not XML: {reason}. The file may be cut off; copy it again."
        ) from error
    return images
