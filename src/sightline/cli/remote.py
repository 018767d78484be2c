"""`sightline remote`: a folder that stands for shards at an address."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter, validators

from sightline.cli import console


def remote(
    url: str, folder: Path, /, *, cache_mb: Annotated[int, Parameter(validator=validators.Number(gt=0))] = 8192
) -> int:
    """Let a folder stand for shards that are elsewhere, such as more than the disk holds; it is then a --data as any.

    Index and labels are fetched now, a shard when one of its pictures is asked for, and the shards used least lately
    are dropped. Training shuffles shards, and pictures among the shards of a window (data.shard_window).

    Args:
        url: the folder of shards: http://, https://, s3://, gs:// or file://.
        folder: new or empty, or such a folder that is to be renewed.
        cache_mb: room that shards may take in it.
    """
    from sightline.shards.remote import stand_for

    with console.err.status("fetching labels") as status:
        shards = stand_for(
            url, folder, cache_mb=cache_mb, tell=lambda done, of: status.update(f"labels of shard {done:,} of {of:,}")
        )
    size = sum(shard.bytes for shard in shards)
    records = sum(shard.records for shard in shards)
    console.say(
        f"{folder} stands for {records:,} records in {len(shards):,} shards ({size / 2**20:,.1f} MB) at {url}; "
        f"at most {cache_mb:,} MB of them are here at a time"
    )
    return 0
