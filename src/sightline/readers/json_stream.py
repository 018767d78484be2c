"""Reading JSON label files of any size: entry by entry, so that a gigabyte needs no gigabytes of memory.

A window slides over the text; the standard library's decoder reads one entry of a list at a time,
and only the members that a reader asks for are kept. Files of several gigabytes are read; a single
entry may have 64 million characters. In: a path. Out: lists of objects. Next: xml_nodes.py
"""

from __future__ import annotations

import json
import mmap
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from sightline.errors import UserError
from sightline.readers.texts import encoding_of, encoding_within

Entry = Mapping[str, object]

CHUNK = 2**20
"""Characters that are read from the disk at a time."""
MOST = 2**26
"""Characters that one entry may have: 64 million."""
_DECODER = json.JSONDecoder()


def mentions(path: Path, *names: str) -> bool:
    """Whether all of these names stand, in quotes, anywhere in a file; for telling formats apart.

    Raises:
        UserError: the file cannot be opened.
    """
    try:
        with path.open("rb") as stream:
            if path.stat().st_size == 0:
                return False
            with mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as data:
                encoding = encoding_within(data[:2])
                return all(data.find(f'"{name}"'.encode(encoding)) >= 0 for name in names)
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}. Check the path and its permissions.") from error


def ends_well(path: Path) -> bool:
    """Whether a file ends as JSON objects and lists do; one that was cut off does not.

    Raises:
        UserError: the file cannot be opened.
    """
    try:
        with path.open("rb") as stream:
            stream.seek(max(0, path.stat().st_size - CHUNK))
            return stream.read().rstrip(b" \t\r\n\0").endswith((b"}", b"]"))
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}. Check the path and its permissions.") from error


def json_files(folder: Path) -> list[Path]:
    """The JSON files directly in a folder, hidden ones left out; none where there is no such folder."""
    return [file for file in sorted(folder.glob("*.json")) if file.is_file() and not file.name.startswith(".")]


def read_lists(
    path: Path, keys: Collection[str], *, drop: Collection[str] = (), dropped_beside: str | None = None
) -> dict[str, list[Entry]]:
    """Some of the lists of objects that a JSON file's top-level object holds; what else is in it is passed over.

    Args:
        path: the file, UTF-8 or UTF-16 with a mark.
        keys: the lists that must be there.
        drop: members of the objects that are not kept ("segmentation").
        dropped_beside: they are kept where this member ("bbox") is lacking or empty.

    Raises:
        UserError: it cannot be read, is not JSON or cut off, or one of the lists is not there.
    """
    found: dict[str, list[Entry]] = {}
    with _open(path) as text:
        if text.peek() != "{":
            raise UserError(f"{path} should hold a JSON object with {_named(keys)}, but starts with '{text.peek()}'.")
        for key in text.members():
            if text.peek() != "[":
                text.value()
                continue
            entries = found.setdefault(key, []) if key in keys else None
            for entry in text.items():
                if entries is None:
                    continue
                if not isinstance(entry, dict):
                    raise UserError(f"{path}:{text.line}: '{key}' holds {str(entry)[:40]}, expected objects {{...}}.")
                if dropped_beside is None or entry.get(dropped_beside):
                    entry = {name: value for name, value in entry.items() if name not in drop}
                entries.append(entry)
        text.expect_end()
    if missing := [key for key in keys if key not in found]:
        raise UserError(f"{path} has no list of objects {_named(missing)}. Expected {_named(keys)}.")
    return found


def read_items(path: Path, *, or_one: bool = False) -> Iterator[Entry]:
    """The objects of a JSON file that is a list, one after the other.

    Args:
        path: the file, UTF-8 or UTF-16 with a mark.
        or_one: the file may be one such object, without a list around it.

    Raises:
        UserError: it cannot be read, is not JSON or cut off, or is not a list of objects.
    """
    with _open(path) as text:
        if or_one and text.peek() == "{":
            entry = text.value()
            assert isinstance(entry, dict), path
            yield entry
            text.expect_end()
            return
        if text.peek() != "[":
            raise UserError(f"{path} should hold a JSON list [...], but starts with '{text.peek()}'.")
        for entry in text.items():
            if not isinstance(entry, dict):
                raise UserError(f"{path}:{text.line}: the list holds {str(entry)[:40]}, expected objects {{...}}.")
            yield entry
        text.expect_end()


def _named(keys: Collection[str]) -> str:
    return ", ".join(f'"{key}"' for key in keys)


@contextmanager
def _open(path: Path) -> Iterator[_Text]:
    """The text of a file, with errors of the disk and of the encoding made the user's."""
    try:
        with path.open("rb") as stream:
            encoding = encoding_of(stream.read(2))
        with path.open(encoding=encoding, newline="") as stream:
            text = _Text(stream, path=path)
            try:
                yield text
            except UnicodeDecodeError as error:
                raise UserError(
                    f"{path} holds bytes that are not UTF-8 text, after line {text.line}. Label files are read as "
                    "UTF-8: save it again as UTF-8."
                ) from error
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}. Check the path and its permissions.") from error


class _Text:
    """A window on a JSON text that moves forward, value by value."""

    def __init__(self, stream: TextIO, *, path: Path) -> None:
        self._stream, self._path = stream, path
        self._window, self._at, self._lines = "", 0, 1
        self._ended = False

    @property
    def line(self) -> int:
        """The line that the window's reading place is on."""
        return self._lines + self._window.count("\n", 0, self._at)

    def peek(self) -> str:
        """The next character that is no blank; empty at the end."""
        while True:
            while self._at < len(self._window):
                if self._window[self._at] not in " \t\r\n":
                    return self._window[self._at]
                self._at += 1
            if not self._fill():
                return ""

    def members(self) -> Iterator[str]:
        """The keys of an object; the caller takes each one's value before the next."""
        for _ in self._parts("{", "}"):
            key = self.value()
            if not isinstance(key, str):
                raise self._fault("a key in quotes was expected")
            self._take(":")
            yield key

    def items(self) -> Iterator[object]:
        """The values of a list."""
        for _ in self._parts("[", "]"):
            yield self.value()

    def value(self) -> object:
        """The next value, whole."""
        self.peek()
        while True:
            try:
                value, end = _DECODER.raw_decode(self._window, self._at)
                # What ends near the window's end may be the start of a longer number: "1" of "1e+5".
                length = end - self._at
                if end + 2 < len(self._window) or not self._fill():
                    self._at += length
                    return value
            except json.JSONDecodeError as error:
                length = error.pos - self._at
                if len(self._window) - self._at > MOST:
                    raise self._fault(f"an entry of more than {MOST:,} characters, or {error.msg}") from error
                if not self._fill():
                    self._at += length
                    raise self._fault(error.msg) from error
            except (ValueError, RecursionError) as error:
                # Numbers of thousands of digits, lists in lists in lists.
                raise self._fault(str(error)) from error

    def expect_end(self) -> None:
        """Raise where something follows."""
        if self.peek():
            raise self._fault("something follows after the end")

    def _parts(self, opening: str, closing: str) -> Iterator[None]:
        """Stops before each part of a list or object."""
        self._take(opening)
        if self.peek() == closing:
            self._at += 1
            return
        while True:
            yield
            if self.peek() == closing:
                self._at += 1
                return
            self._take(",")

    def _take(self, character: str) -> None:
        if self.peek() != character:
            raise self._fault(f"expected '{character}'")
        self._at += 1

    def _fill(self) -> bool:
        """Move the window's start to the reading place and its end onwards; false at the end of the file."""
        if self._ended:
            return False
        rest = len(self._window) - self._at
        more = self._stream.read(max(CHUNK, rest))
        self._ended = not more
        self._lines = self.line
        self._window, self._at = self._window[self._at :] + more, 0
        return not self._ended

    def _fault(self, why: str) -> UserError:
        return UserError(
            f"{self._path}:{self.line} is not JSON: {why}. The file may be cut off or damaged; copy or export it again."
        )
