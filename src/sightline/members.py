"""Files inside of tars, read by their byte range: a path says it all, so that a picture in a shard is a path as any.

`shards/part-00000.tar/1536+20480/cell.jpg` is the 20,480 bytes from byte 1,536 on of that tar, and its name is
cell.jpg. Nothing has to be opened or looked up beforehand, it can be handed to other processes, and a shard is read in
any order; a shard that lies elsewhere is fetched. In: a path. Out: bytes. Next: records.py
"""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from sightline.shard_cache import INDEX_FILE, fetch, is_elsewhere, mark_used

_RANGE = re.compile(r"(\d+)\+(\d+)")
_TRIES = 5  # a shard may be dropped by another process between its arrival and our opening it


@dataclass(frozen=True, kw_only=True)
class Member:
    """A file inside of a tar.

    Attributes:
        shard: the tar, not compressed.
        offset: of the first byte of the file's content.
        size: of its content in bytes.
        name: what the file is called in messages and tables.
    """

    shard: Path
    offset: int
    size: int
    name: str

    @property
    def path(self) -> Path:
        """The path that `member_of` understands."""
        return self.shard / f"{self.offset}+{self.size}" / self.name

    def read(self) -> bytes:
        """Its bytes; fewer than `size` where the tar ends too early.

        Raises:
            OSError: there is no such tar.
            UserError: it lies elsewhere and cannot be fetched.
        """
        remote = is_elsewhere(self.shard.parent)
        for _ in range(_TRIES if remote else 0):
            try:
                data = self._read()
            except FileNotFoundError:
                fetch(self.shard)
            else:
                mark_used(self.shard)
                return data
        return self._read()

    def _read(self) -> bytes:
        with self.shard.open("rb") as file:
            file.seek(self.offset)
            return file.read(self.size)


def member_of(path: Path) -> Member | None:
    """What a path names inside of a tar; None where it is a plain file's."""
    parts = path.parts[-3:]
    if len(parts) < 3 or not parts[0].endswith(".tar"):
        return None
    found = _RANGE.fullmatch(parts[1])
    if found is None:
        return None
    return Member(shard=path.parent.parent, offset=int(found[1]), size=int(found[2]), name=parts[2])


def open_file(path: Path) -> IO[bytes]:
    """Open a plain file or a member for reading; raises OSError where it is not there."""
    member = member_of(path)
    return path.open("rb") if member is None else io.BytesIO(member.read())


def read_file(path: Path) -> bytes:
    """The bytes of a plain file or a member; raises OSError where it is not there."""
    with open_file(path) as file:
        return file.read()


def file_size(path: Path) -> int | None:
    """Bytes of a plain file or a member, as far as its path tells; None where there is no file."""
    member = member_of(path)
    if member is not None:
        return member.size
    return path.stat().st_size if path.exists() else None


def is_there(path: Path) -> bool:
    """Whether there is a plain file, or the shard of a member, be it elsewhere."""
    member = member_of(path)
    return path.exists() if member is None else member.shard.exists() or is_elsewhere(member.shard.parent)


def is_vouched_for(path: Path) -> bool:
    """Whether a picture lies in a shard with an index, whose checksum was compared when it was read or fetched."""
    member = member_of(path)
    return member is not None and (member.shard.parent / INDEX_FILE).exists()
