"""A folder that stands for shards at an address: index and labels are here, tars come when they are needed.

In: an address and a folder. Out: the folder, which every command takes as --data. Next: ../readers/webdataset.py
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from sightline.errors import UserError
from sightline.files import is_vacant, write_atomically
from sightline.shard_cache import (
    INDEX_FILE,
    REMOTE_FILE,
    Remote,
    ShardFile,
    checked_url,
    fetch_file,
    read_index,
    shards_of,
    write_remote,
)


def stand_for(
    url: str, folder: Path, *, cache_mb: int, tell: Callable[[int, int], None] = lambda done, of: None
) -> tuple[ShardFile, ...]:
    """Fetch index and labels; labels that are here and right already are not fetched again.

    Args:
        url: of the folder with index.json; http, https, s3, gs or file.
        folder: new, empty, or one that stands for the same or a renewed address; its tars are then dropped.
        cache_mb: room for tars in it.
        tell: told how many files of labels are here, and of how many.

    Raises:
        UserError: the address is of no kind known, cannot be fetched, has no finished index, or the folder holds
            something else.
    """
    remote = Remote(url=checked_url(url), cache_mb=cache_mb)
    if not is_vacant(folder) and not (folder / REMOTE_FILE).exists():
        raise UserError(f"{folder} is not empty, and stands for no shards elsewhere. Choose another folder.")
    # Aside first, so that a folder in use is not left with an index that cannot be read.
    with tempfile.TemporaryDirectory() as aside:
        fetch_file(f"{remote.url}/{INDEX_FILE}", Path(aside, INDEX_FILE))
        shards = shards_of(read_index(Path(aside)), folder=Path(aside))
        index = Path(aside, INDEX_FILE).read_bytes()
    largest = max((shard.bytes for shard in shards), default=0)
    if largest > cache_mb * 2**20:
        raise UserError(
            f"The largest shard of {url} has {largest / 2**20:,.0f} MB, more than --cache-mb {cache_mb:,}. "
            "Give more room."
        )
    _check_room(folder, cache_mb=cache_mb)
    write_remote(folder, remote)
    for number, shard in enumerate(shards):
        labels = folder / shard.labels_name
        if not _is_right(labels, shard):
            fetch_file(f"{remote.url}/{shard.labels_name}", labels, sha256=shard.labels_sha256)
        tell(number + 1, len(shards))
    for tar in folder.glob("*.tar"):  # they may be of another state of the address
        tar.unlink()
    write_atomically(folder / INDEX_FILE, index)
    return shards


def _is_right(labels: Path, shard: ShardFile) -> bool:
    from sightline.shards.write import sha256_of

    return labels.is_file() and sha256_of(labels) == shard.labels_sha256


def _check_room(folder: Path, *, cache_mb: int) -> None:
    """Refuse a cache that the disk cannot hold, now and not in the middle of a night."""
    there = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
    free = shutil.disk_usage(there).free
    if free < cache_mb * 2**20:
        raise UserError(
            f"The disk of {folder} has {free / 2**20:,.0f} MB free, less than --cache-mb {cache_mb:,}. Give less, or "
            "another folder."
        )
