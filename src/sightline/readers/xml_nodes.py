"""XML label files: parsed with line numbers and without trusting them.

A plain walk with expat, since the standard tree forgets lines; a DTD, which could make a small file
fill the memory or read other files, is refused before it is expanded. In: a path. Out: nodes.
Next: xml_images.py
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from xml.parsers import expat

from sightline.errors import UserError

Start = Callable[[str, dict[str, str], int], None]


@dataclass(kw_only=True)
class Node:
    """An element: its attributes, the text directly in it, what it holds, and the line it starts on."""

    tag: str
    attributes: Mapping[str, str]
    line: int
    text: str = ""
    children: list[Node] = field(default_factory=list)

    def all(self, tag: str) -> Iterator[Node]:
        """Its direct children of that name."""
        return (child for child in self.children if child.tag == tag)

    def first(self, tag: str) -> Node | None:
        """The first of its direct children of that name."""
        return next(self.all(tag), None)

    def text_of(self, tag: str) -> str:
        """The text of the first child of that name, without blanks around it; empty where there is none."""
        child = self.first(tag)
        return "" if child is None else child.text.strip()


def walk(path: Path, *, start: Start, end: Callable[[str], None], text: Callable[[str], None]) -> None:
    """Call the functions for what a file holds, in its order.

    Args:
        path: the XML file.
        start: takes an element's name, attributes and line.
        end: takes its name.
        text: takes a piece of text.

    Raises:
        UserError: the file cannot be read, is not XML, or declares a document type.
    """
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.SetParamEntityParsing(expat.XML_PARAM_ENTITY_PARSING_NEVER)

    def refuse(*_: object) -> None:
        raise UserError(
            f"{path}:{parser.CurrentLineNumber} declares a document type or entities (<!DOCTYPE). "
            "Label files need none and it can harm the reader: remove the declaration."
        )

    parser.StartDoctypeDeclHandler = refuse
    parser.EntityDeclHandler = refuse
    parser.StartElementHandler = lambda tag, attributes: start(tag, attributes, parser.CurrentLineNumber)
    parser.EndElementHandler = end
    parser.CharacterDataHandler = text
    try:
        parser.Parse(path.read_bytes(), True)
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}. Check the path and its permissions.") from error
    except expat.ExpatError as error:
        reason = expat.ErrorString(error.code)
        raise UserError(
            f"{path}:{error.lineno} is not XML: {reason}. The file may be cut off; copy it again."
        ) from error
    except (LookupError, ValueError) as error:
        if isinstance(error, UserError):
            raise
        # An encoding that the parser does not know, or one of several bytes for a character.
        raise UserError(f"{path} is in an encoding that cannot be read ({error}). Save it again as UTF-8.") from error


def read_nodes(path: Path, tags: Collection[str]) -> list[Node]:
    """The outermost elements of these names, whole; everything around them is passed over.

    Raises:
        UserError: the file cannot be read, is not XML, or declares a document type.
    """
    found: list[Node] = []
    stack: list[Node] = []

    def start(tag: str, attributes: dict[str, str], line: int) -> None:
        if stack or tag in tags:
            node = Node(tag=tag, attributes=attributes, line=line)
            (stack[-1].children if stack else found).append(node)
            stack.append(node)

    def end(_: str) -> None:
        if stack:
            stack.pop()

    def text(piece: str) -> None:
        if stack:
            stack[-1].text += piece

    walk(path, start=start, end=end, text=text)
    return found


def xml_files(folder: Path) -> list[Path]:
    """The XML files directly in a folder, hidden ones left out; none where there is no such folder."""
    if not folder.is_dir():
        return []
    with os.scandir(folder) as entries:  # which knows files from folders without asking the disk for each
        named = (entry for entry in entries if entry.name.lower().endswith(".xml") and not entry.name.startswith("."))
        names = sorted(entry.name for entry in named if entry.is_file())
    return [folder / name for name in names]
