"""A data set as tars in WebDataset's layout, with the pictures' own bytes; whole shards are kept when it begins anew.

    part-00000.tar     000000000.jpg 000000000.json 000000001.jpg ...
    part-00000.jsonl   what the tar is (size, checksum), then a line for each picture: where it lies, and its labels
    index.json         points or classes, and every shard with its checksums

Every file is written aside and renamed; `index.json` says until the end that the conversion is not complete. Which
picture goes into which shard depends on the data and the size of shards alone. Next: ../readers/webdataset.py
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from sightline.errors import MissingExtra, UserError
from sightline.files import atomic_path, is_vacant, write_atomically
from sightline.images import IMAGE_SUFFIXES, read_header
from sightline.members import file_size, member_of, read_file
from sightline.records import Dataset, Record
from sightline.shard_cache import FORMAT, INDEX_FILE, VERSION, ShardFile
from sightline.shards.labels import encode
from sightline.shards.tar import read_contents

_SUFFIX_OF = {"JPEG": "jpg", "MPO": "jpg", "JPEG2000": "jp2", "TIFF": "tif"}
_HEADER_BYTES = 2048  # of a picture in a tar: two headers and their padding, about


@dataclass(frozen=True, kw_only=True)
class Conversion:
    """What was written: the shards, and how many of them were there already."""

    shards: tuple[ShardFile, ...]
    kept: int


@dataclass(frozen=True, kw_only=True)
class _Picture:
    """One picture with all its labels.

    Attributes:
        key: its name in the tar, without an ending.
        path: where it is.
        ending: "jpg".
        labels: as `encode` gives them.
    """

    key: str
    path: Path
    ending: str
    labels: list[dict[str, Any]]

    def json(self) -> bytes:
        """What stands beside it: one object, or a list where several things are labelled in it."""
        values = self.labels[0] if len(self.labels) == 1 else self.labels
        return json.dumps(values, ensure_ascii=False, allow_nan=False).encode()


def write_shards(
    dataset: Dataset, out: Path, *, shard_mb: float, tell: Callable[[int, int], None] = lambda done, of: None
) -> Conversion:
    """Write all records, those of one picture together, in the data set's order.

    Args:
        dataset: scanned, of single pictures.
        out: a folder that is empty, or holds the same conversion, perhaps broken off.
        shard_mb: size of a shard; a picture larger than that has one of its own.
        tell: told after each shard how many are whole, and of how many.

    Raises:
        UserError: clips, a folder that holds something else, a picture that cannot be read, or a file that cannot be
            written. What is whole stays, and the same call goes on behind it.
        MissingExtra: webdataset is not installed.
    """
    if any(record.before is not None or record.video_frame is not None for record in dataset.records):
        raise UserError(
            f"{dataset.root} is a data set of clips, whose frames need those before them; shards hold single pictures. "
            "Train on the folder itself."
        )
    if not dataset.records:
        raise UserError(f"{dataset.root} has no records, so there is nothing to write.")
    _check_folder(out, of=_identity(dataset, shard_mb=shard_mb))
    index = {
        "format": FORMAT,
        "version": VERSION,
        "of": _identity(dataset, shard_mb=shard_mb),
        "data_format": dataset.made_from or dataset.format,
        "skeleton": asdict(dataset.skeleton),
        "classes": list(dataset.classes),
        "class_ids": list(dataset.class_ids),
    }
    write_atomically(out / INDEX_FILE, _pretty(index | {"complete": False, "shards": []}))
    shards: list[ShardFile] = []
    kept = 0
    parts = list(_parts(_pictures(dataset), shard_mb=shard_mb))
    for number, pictures in enumerate(parts):
        shard = out / f"part-{number:05d}.tar"
        of = _plan(pictures)
        found = _whole(shard, of=of)
        kept += found is not None
        shards.append(found or _write_shard(shard, pictures, of=of))
        tell(number + 1, len(parts))
    write_atomically(out / INDEX_FILE, _pretty(index | {"complete": True, "shards": [asdict(each) for each in shards]}))
    return Conversion(shards=tuple(shards), kept=kept)


def _identity(dataset: Dataset, *, shard_mb: float) -> str:
    return f"{dataset.fingerprint()} in shards of {shard_mb:g} MB"


def _check_folder(out: Path, *, of: str) -> None:
    """Refuse a folder that holds anything but this very conversion."""
    if is_vacant(out):
        return
    try:
        there = json.loads((out / INDEX_FILE).read_bytes())
    except (OSError, ValueError):
        there = None
    if not isinstance(there, dict) or there.get("format") != FORMAT:
        raise UserError(f"{out} is not empty, and holds no conversion to go on with. Choose another folder.")
    if there.get("of") != of:
        raise UserError(
            f"{out} holds shards of other data, other labels or another --shard-mb. Choose another folder, or remove "
            "this one."
        )


def _pictures(dataset: Dataset) -> list[_Picture]:
    by_path: dict[Path, list[Record]] = {}
    for record in dataset.records:
        by_path.setdefault(record.path, []).append(record)
    return [
        _Picture(
            key=f"{number:09d}",
            path=path,
            ending=_ending(path),
            labels=[encode(each, skeleton=dataset.skeleton, classes=dataset.classes) for each in records],
        )
        for number, (path, records) in enumerate(by_path.items())
    ]


def _ending(path: Path) -> str:
    """By the name, which readers of other programs go by; by the content where it says nothing."""
    suffix = path.suffix.lower()
    if suffix in IMAGE_SUFFIXES:
        return suffix[1:]
    kind = read_header(path).format
    return _SUFFIX_OF.get(kind, kind.lower())


def _parts(pictures: Sequence[_Picture], *, shard_mb: float) -> Iterator[list[_Picture]]:
    """Pictures in a row until a shard is full."""
    part: list[_Picture] = []
    filled = 0
    for picture in pictures:
        size = (file_size(picture.path) or 0) + len(picture.json()) + _HEADER_BYTES
        if part and filled + size > shard_mb * 2**20:
            yield part
            part, filled = [], 0
        part.append(picture)
        filled += size
    if part:
        yield part


def _plan(pictures: Sequence[_Picture]) -> str:
    """A hash of what a shard is to hold: names, labels, and the pictures' sizes and times."""
    digest = hashlib.sha256()
    for picture in pictures:
        member = member_of(picture.path)
        state = (member.shard if member else picture.path).stat()
        said = [picture.key, picture.ending, str(picture.path), file_size(picture.path), state.st_mtime_ns]
        digest.update(json.dumps(said).encode() + picture.json())
    return digest.hexdigest()


def _whole(shard: Path, *, of: str) -> ShardFile | None:
    """The shard that an earlier call wrote, where it and its labels are what they should be."""
    labels = shard.with_suffix(".jsonl")
    try:
        with labels.open("rb") as file:
            head = json.loads(file.readline())
        if head.pop("of") != of or head["bytes"] != shard.stat().st_size or head["sha256"] != sha256_of(shard):
            return None
        return ShardFile(**head, labels_sha256=sha256_of(labels))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _write_shard(shard: Path, pictures: Sequence[_Picture], *, of: str) -> ShardFile:
    try:
        from webdataset.writer import TarWriter
    except ImportError as error:
        raise MissingExtra(feature="Writing shards", extra="scale") from error
    with atomic_path(shard) as aside:
        with aside.open("wb") as file, TarWriter(file, encoder=False, mtime=0) as tar:
            for picture in pictures:
                tar.write({"__key__": picture.key, picture.ending: _bytes(picture.path), "json": picture.json()})
        contents = read_contents(aside)
        assert contents.damage is None and len(contents.samples) == len(pictures), contents.damage
        known = {
            "name": shard.name,
            "bytes": aside.stat().st_size,
            "sha256": sha256_of(aside),
            "pictures": len(pictures),
            "records": sum(len(picture.labels) for picture in pictures),
        }
    lines = [json.dumps(known | {"of": of})]
    for picture, sample in zip(pictures, contents.samples, strict=True):
        at = sample.files[picture.ending]
        line = {"key": picture.key, "name": _name(picture.path), "at": at, "records": picture.labels}
        lines.append(json.dumps(line, ensure_ascii=False, allow_nan=False))
    text = ("\n".join(lines) + "\n").encode()
    write_atomically(shard.with_suffix(".jsonl"), text)
    return ShardFile(**known, labels_sha256=hashlib.sha256(text).hexdigest())


def _bytes(path: Path) -> bytes:
    try:
        return read_file(path)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise UserError(f"{path} cannot be read: {reason}. Mend it and run the same command again.") from error


def _name(path: Path) -> str:
    member = member_of(path)
    return path.name if member is None else member.name


def sha256_of(path: Path) -> str:
    """Of a whole file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _pretty(values: dict[str, Any]) -> str:
    return json.dumps(values, indent=1, ensure_ascii=False) + "\n"
