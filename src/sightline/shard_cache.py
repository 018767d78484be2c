"""Shards that lie elsewhere: fetched whole when one of their pictures is asked for, the least used ones dropped.

A folder of shards with `remote.json` stands for the same folder at an address. Labels and index are in it from the
start; tars come and go, and never take more room than `cache_mb`. A shard that does not have the size and SHA-256 of
the index is not used. In: the path of a shard. Out: the file is there. Next: members.py
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast
from urllib.parse import quote

from sightline.errors import MissingExtra, UserError
from sightline.files import atomic_path, write_atomically

INDEX_FILE = "index.json"
REMOTE_FILE = "remote.json"
FORMAT = "sightline-shards"
VERSION = 1
SCHEMES = ("http", "https", "s3", "gs", "file")

_LOCK_FILE = ".fetching"
_BLOCK = 2**20
# Names come from a file that may come from anywhere: no folders, nothing hidden.
_SHARD_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*\.tar")


@dataclass(frozen=True, kw_only=True)
class ShardFile:
    """One shard as the index tells it.

    Attributes:
        name: of the tar, in the folder of the index.
        bytes: its size.
        sha256: of the tar.
        pictures: how many it holds.
        records: how many labels these have.
        labels_sha256: of the file of labels beside it.
    """

    name: str
    bytes: int
    sha256: str
    pictures: int
    records: int
    labels_sha256: str

    @property
    def labels_name(self) -> str:
        """The file of labels beside it: part-00000.jsonl."""
        return Path(self.name).with_suffix(".jsonl").name


@dataclass(frozen=True, kw_only=True)
class Remote:
    """Where the shards of a folder are, and how much room they may take here."""

    url: str
    cache_mb: int


def read_index(folder: Path) -> dict[str, Any]:
    """The values of a folder's index, of a conversion that has ended.

    Raises:
        UserError: there is none, it is damaged, of another version, or of a conversion that was broken off.
    """
    path = folder / INDEX_FILE
    try:
        values = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read as the index of shards ({error}). Copy it again.") from error
    if not isinstance(values, dict) or values.get("format") != FORMAT:
        raise UserError(
            f"{path} is no index of shards. Expected a file that `sightline convert --to webdataset` wrote."
        )
    if values.get("version") != VERSION:
        raise UserError(
            f"{path} is of version {values.get('version')}, and this program reads version {VERSION}. Convert again."
        )
    if not values.get("complete"):
        raise UserError(
            f"{folder} holds a conversion that was broken off. Run the same `sightline convert` again: it goes on "
            "behind the shards that are whole."
        )
    return values


def shards_of(values: dict[str, Any], *, folder: Path) -> tuple[ShardFile, ...]:
    """The shards of an index.

    Raises:
        UserError: an entry lacks something, or has a name that is no name of a shard.
    """
    try:
        shards = tuple(ShardFile(**entry) for entry in values["shards"])
    except (KeyError, TypeError) as error:
        raise UserError(f"{folder / INDEX_FILE} is damaged ({error}). Copy it again.") from error
    for shard in shards:
        if not (isinstance(shard.name, str) and _SHARD_NAME.fullmatch(shard.name)):
            raise UserError(
                f"{folder / INDEX_FILE} names a shard '{shard.name}'. Expected a name such as part-00000.tar."
            )
    return shards


def read_remote(folder: Path) -> Remote | None:
    """What a folder stands for; None where its shards are its own.

    Raises:
        UserError: the file is damaged, or has an address of a kind that is not fetched.
    """
    path = folder / REMOTE_FILE
    try:
        values = json.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise UserError(f"{path} cannot be read ({error}). Run `sightline remote` again.") from error
    if (
        not isinstance(values, dict)
        or not isinstance(values.get("url"), str)
        or not isinstance(values.get("cache_mb"), int)
    ):
        raise UserError(f"{path} is damaged: expected url and cache_mb. Run `sightline remote` again.")
    return Remote(url=checked_url(values["url"]), cache_mb=values["cache_mb"])


def checked_url(url: str) -> str:
    """The address without a slash at its end.

    Raises:
        UserError: of a kind that is not fetched. Not `pipe:` either, for the file with the address may come along with
            the data, and nobody expects data to run commands.
    """
    scheme, sign, rest = url.partition("://")
    if not sign or scheme not in SCHEMES or not rest or re.search(r"\s|[\x00-\x1f]", url):
        known = ", ".join(f"{name}://" for name in SCHEMES)
        raise UserError(f"Shards cannot be fetched from '{url}'. Expected an address that begins with {known}.")
    return url.rstrip("/")


def is_elsewhere(folder: Path) -> bool:
    """Whether the shards of a folder are fetched."""
    return (folder / REMOTE_FILE).exists()


def fetch(shard: Path) -> bool:
    """Bring a shard here; False where its folder stands for no other.

    One shard at a time for a folder, whoever asks; others wait and find it.

    Raises:
        UserError: it cannot be fetched, is not the one that the index means, or does not fit.
    """
    remote = read_remote(shard.parent)
    if remote is None:
        return False
    known = {each.name: each for each in shards_of(read_index(shard.parent), folder=shard.parent)}
    if shard.name not in known:
        raise UserError(f"{shard.parent / INDEX_FILE} knows no shard {shard.name}. Run `sightline remote` again.")
    with _alone(shard.parent):
        if not shard.exists():
            _make_room(shard.parent, remote=remote, coming=known[shard.name])
            _download(remote, shard, known[shard.name])
    return True


def fetch_file(url: str, path: Path, *, sha256: str | None = None) -> None:
    """Fetch one file.

    Raises:
        UserError: it cannot be fetched or written, or has another checksum.
    """
    digest = hashlib.sha256()
    with atomic_path(path) as aside:
        with aside.open("wb") as file:
            for block in _blocks(url):
                digest.update(block)
                file.write(block)
        if sha256 is not None and digest.hexdigest() != sha256:
            raise UserError(
                f"{url} is not the file that the index means: its SHA-256 is {digest.hexdigest()[:12]}..., expected "
                f"{sha256[:12]}... Was it changed or cut? Upload it again; where index and shards were both renewed, "
                "run `sightline remote` again."
            )


def write_remote(folder: Path, remote: Remote) -> None:
    """Make the folder stand for an address."""
    write_atomically(folder / REMOTE_FILE, json.dumps({"url": remote.url, "cache_mb": remote.cache_mb}) + "\n")


def mark_used(shard: Path) -> None:
    """Remember that a shard was used now."""
    with suppress(OSError):  # gone just now: it will be fetched again
        os.utime(shard)


def _download(remote: Remote, shard: Path, known: ShardFile) -> None:
    fetch_file(f"{remote.url}/{quote(known.name)}", shard, sha256=known.sha256)


def _make_room(folder: Path, *, remote: Remote, coming: ShardFile) -> None:
    """Drop the shards used least lately, until the coming one fits."""
    limit = remote.cache_mb * 2**20
    if coming.bytes > limit:
        raise UserError(
            f"{coming.name} has {coming.bytes / 2**20:,.0f} MB, and {folder} may hold {remote.cache_mb:,} MB. Run "
            "`sightline remote` again with a larger --cache-mb, or convert to smaller shards."
        )
    states = sorted((path.stat().st_mtime_ns, path.stat().st_size, path) for path in folder.glob("*.tar"))
    room = limit - sum(size for _, size, _ in states)
    for _, size, path in states:
        if room >= coming.bytes:
            break
        path.unlink(missing_ok=True)
        room += size


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One process at a time; the lock ends with the process that holds it, also by SIGKILL."""
    import fcntl  # Windows has none, and needs it only here

    with (folder / _LOCK_FILE).open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        for left in folder.glob(".writing-*.tar"):  # of a process that was killed while it held the lock
            left.unlink(missing_ok=True)
        yield


def _blocks(url: str) -> Iterator[bytes]:
    try:
        with _open(url) as stream:
            while block := stream.read(_BLOCK):
                yield block
    except OSError as error:
        raise UserError(f"{url} cannot be fetched: {error}. Check the address, the network and your rights.") from error


def _open(url: str) -> IO[bytes]:
    if url.startswith("file://"):
        return Path(url.removeprefix("file://")).open("rb")
    try:
        from webdataset.gopen import Pipe, gopen
    except ImportError as error:
        raise MissingExtra(feature="Fetching shards from an address", extra="scale") from error
    if url.startswith("s3://"):  # the one kind that its openers do not know
        return cast(IO[bytes], Pipe(["aws", "s3", "cp", "--only-show-errors", url, "-"], mode="rb"))
    return cast(IO[bytes], gopen(url, "rb"))
