"""The file of an artefact: the graph, its card and a checksum in one file, read back with every damage told.

ONNX: a model is a protobuf message, and fields may follow each other in any order; so the card and then the checksum
of all bytes before it are appended as two entries of `metadata_props`. Every ONNX tool reads the file, and telling
what is in it takes no library. OpenVINO: a zip of `model.xml`, `model.bin`, `card.json` and `sha256`.
Next: engines.py
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from sightline.errors import UserError
from sightline.files import write_atomically
from sightline.runtime.card import FORMAT, Card, read_card

CARD, CHECKSUM = "sightline", "sightline.sha256"  # keys in metadata_props
METADATA_PROPS = 14  # field of ModelProto, in onnx.proto
ZIPPED = ("model.xml", "model.bin", "card.json", "sha256")
_FIRST_BYTES = (b"\x08", b"PK")  # ModelProto begins with its ir_version; a zip with its maker's initials


@dataclass(frozen=True, kw_only=True, eq=False)
class Stored:
    """What the file holds.

    Attributes:
        card: what the artefact says of itself.
        graph: the ONNX model, or OpenVINO's XML.
        weights: OpenVINO's second file; empty for ONNX.
    """

    card: Card
    graph: bytes
    weights: bytes = b""


def is_artefact(path: Path) -> bool:
    """Whether a path is to be taken as an artefact, not as a run: it is a file."""
    return path.is_file()


def looks_like_artefact(path: Path) -> bool:
    """Whether a file begins as an artefact does; for places where a table may stand too."""
    if not path.is_file():
        return False
    with path.open("rb") as stream:
        return stream.read(2).startswith(_FIRST_BYTES)


def write_artefact(path: Path, stored: Stored) -> None:
    """Write the file, whole or not at all.

    Raises:
        UserError: it cannot be written.
    """
    card = stored.card.to_json().encode()
    if stored.card.engine == "onnx":
        body = stored.graph + _entry(CARD, card)
        write_atomically(path, body + _entry(CHECKSUM, sha256(body).hexdigest().encode()))
        return
    parts = (stored.graph, stored.weights, card)
    parts = (*parts, _checksum(*parts))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in zip(ZIPPED, parts, strict=True):
            archive.writestr(zipfile.ZipInfo(name), content)  # of no date: the same model gives the same bytes
    write_atomically(path, buffer.getvalue())


def read_artefact(path: Path) -> Stored:
    """Read the file back, and check that nothing in it has changed.

    Raises:
        UserError: there is no such file; it is no artefact, truncated, changed since its export, or of another format
            version.
    """
    if path.is_dir():
        raise UserError(f"{path} is a folder. Expected a file that `sightline export` wrote.")
    if not path.is_file():
        raise UserError(f"There is no {path}. Give a file that `sightline export` wrote, or a run folder.")
    data = path.read_bytes()
    if not data.startswith(_FIRST_BYTES):
        raise _foreign(path)
    return _from_zip(data, path=path) if data.startswith(b"PK") else _from_onnx(data, path=path)


def _from_onnx(data: bytes, *, path: Path) -> Stored:
    card = checksum = None
    body = len(data)
    try:
        for field, start, value in _fields(data):
            if field == METADATA_PROPS:
                entry = {number: content for number, _, content in _fields(value)}
                if entry.get(1) == CARD.encode():
                    card = entry.get(2, b"")
                elif entry.get(1) == CHECKSUM.encode():
                    checksum, body = entry.get(2, b""), start
    except _BrokenMessageError as error:
        raise _truncated(path) from error
    if card is None:
        raise _foreign(path)
    check_version(card, path=path)
    if (
        checksum is None
        or checksum != sha256(data[:body]).hexdigest().encode()
        or body + len(_entry(CHECKSUM, checksum)) != len(data)
    ):
        raise _changed(path)
    return Stored(card=_card(card, path=path, engine="onnx"), graph=data)


def _from_zip(data: bytes, *, path: Path) -> Stored:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            names = set(archive.namelist())
            if "tracker.yaml" in names:
                raise UserError(
                    f"{path} is an exported tracker, which follows a point through video: use it by `sightline track "
                    f"{path} VIDEO`. Here a file that `sightline export` made of a run of pictures is needed, or a run."
                )
            if not set(ZIPPED) <= names:
                raise _foreign(path)
            check_version(archive.read("card.json"), path=path)
            graph, weights, card, checksum = (archive.read(name) for name in ZIPPED)
    except zipfile.BadZipFile as error:
        # A zip ends with its table of contents: without it the end is missing, else what it points at has changed.
        raise (_truncated(path) if "not a zip" in str(error) else _changed(path)) from error
    if checksum != _checksum(graph, weights, card):
        raise _changed(path)
    return Stored(card=_card(card, path=path, engine="openvino"), graph=graph, weights=weights)


def _card(text: bytes, *, path: Path, engine: str) -> Card:
    card = read_card(text.decode(), where=str(path))
    if card.engine != engine:
        raise UserError(f"{path}: its card says {card.engine}, but the file is of {engine}. Export the run again.")
    return card


def check_version(card: bytes, *, path: Path) -> None:
    """Before anything else: another version may have another checksum and another card."""
    try:
        values = json.loads(card)
        found = values["format"]
    except (ValueError, TypeError, KeyError) as error:
        raise _changed(path) from error
    if found != FORMAT:
        raise UserError(
            f"{path} has the artefact format {found}, written by sightline {values.get('sightline', '?')}; this "
            f"version reads format {FORMAT}. Export the run again with this version, or use the version that wrote it."
        )


def _checksum(*parts: bytes) -> bytes:
    """Of several parts, each by its own hash, so that no byte can move from one into the next."""
    return sha256(b"".join(sha256(part).digest() for part in parts)).hexdigest().encode()


class _BrokenMessageError(Exception):
    """Bytes that end in the middle of a field, or are none."""


def _fields(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Fields of a protobuf message: number, where it starts, and its bytes (none for numbers)."""
    position = 0
    while position < len(data):
        start = position
        tag, position = _varint(data, position)
        kind = tag & 7
        if kind == 0:
            _, position = _varint(data, position)
            yield tag >> 3, start, b""
            continue
        if kind == 2:
            length, position = _varint(data, position)
        elif kind in (1, 5):
            length = 8 if kind == 1 else 4
        else:
            raise _BrokenMessageError
        if position + length > len(data):
            raise _BrokenMessageError
        yield tag >> 3, start, data[position : position + length]
        position += length


def _varint(data: bytes, position: int) -> tuple[int, int]:
    """A number of seven bits a byte, and the position behind it."""
    value = shift = 0
    while position < len(data) and shift < 64:
        byte = data[position]
        value |= (byte & 0x7F) << shift
        position, shift = position + 1, shift + 7
        if byte < 0x80:
            return value, position
    raise _BrokenMessageError


def _entry(key: str, value: bytes) -> bytes:
    """One `metadata_props` entry of a ModelProto."""
    inner = b"\x0a" + _length(key.encode()) + b"\x12" + _length(value)
    return bytes([METADATA_PROPS << 3 | 2]) + _length(inner)


def _length(content: bytes) -> bytes:
    """Content behind its length as a varint."""
    rest, coded = len(content), bytearray()
    while rest >= 0x80:
        coded.append(rest & 0x7F | 0x80)
        rest >>= 7
    return bytes([*coded, rest]) + content


def _foreign(path: Path) -> UserError:
    return UserError(
        f"{path} is not an artefact: it is no ONNX model or zip with a card of sightline. Give a file that "
        "`sightline export` wrote, or a run folder."
    )


def _truncated(path: Path) -> UserError:
    return UserError(f"{path} is truncated: its end is missing. Copy it again, or export the run again.")


def _changed(path: Path) -> UserError:
    return UserError(
        f"{path} is damaged or was changed after its export: its checksum is wrong. Copy it again, or export the run "
        "again."
    )
