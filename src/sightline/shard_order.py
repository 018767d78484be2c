"""The order of an epoch over shards that are fetched: each is needed for a short while, once an epoch.

Shards are shuffled, then the records of a window of so many shards; shards that lie here need no such order, for any
picture of them is as near as any other. Everything depends on the config and the records, never on what has been
fetched, so a resumed run goes on with the very same batches. Next: loader.py
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sightline.errors import UserError
from sightline.members import member_of
from sightline.records import Record
from sightline.shard_cache import read_index, read_remote, shards_of

AUTO_WINDOW = 8


@dataclass(frozen=True, kw_only=True, eq=False)
class ShardWindows:
    """Which shard each record lies in.

    Attributes:
        shard: [N], the shards' numbers from 0.
        window: shards whose records are shuffled together.
    """

    shard: np.ndarray
    window: int

    @staticmethod
    def of(records: Sequence[Record], window: int | None) -> ShardWindows | None:
        """None where no window is asked for.

        Raises:
            UserError: a record lies in no shard.
        """
        if window is None:
            return None
        members = [member_of(record.path) for record in records]
        outside = next((r.path for r, member in zip(records, members, strict=True) if member is None), None)
        if outside is not None:
            raise UserError(
                f"data.shard_window={window} is for shards, and {outside} is a file of its own. Leave it out."
            )
        numbers = {shard: number for number, shard in enumerate(dict.fromkeys(m.shard for m in members if m))}
        return ShardWindows(shard=np.array([numbers[m.shard] for m in members if m], dtype=np.int64), window=window)

    def order(self, rng: np.random.Generator) -> np.ndarray:
        """All positions [N], window by window."""
        of_shard = self._positions()
        shards = rng.permutation(len(of_shard))
        windows = [
            rng.permutation(np.concatenate([of_shard[shard] for shard in shards[start : start + self.window]]))
            for start in range(0, len(shards), self.window)
        ]
        return np.concatenate(windows)

    def near(self, index: int) -> np.ndarray:
        """Positions of the records in the same shard, which is here when this one is."""
        return np.flatnonzero(self.shard == self.shard[index])

    def _positions(self) -> list[np.ndarray]:
        return [np.flatnonzero(self.shard == number) for number in range(int(self.shard.max()) + 1)]


def fitting_window(window: int | None, records: Sequence[Record]) -> tuple[int | None, str]:
    """The window for a data set, and what is to be told of it.

    Args:
        window: as set; None chooses one where shards are fetched.
        records: all that a run reads.

    Raises:
        UserError: the shards of two windows, the one that ends and the one that begins, do not fit the cache.
    """
    folders = {member.shard.parent for record in records if (member := member_of(record.path))}
    remotes = {folder: remote for folder in folders if (remote := read_remote(folder)) is not None}
    if not remotes:
        ShardWindows.of(records, window)
        return window, ""
    chosen = window or AUTO_WINDOW
    for folder, remote in remotes.items():
        _check_cache(folder, window=chosen, cache_mb=remote.cache_mb)
    return chosen, "" if window else f"data.shard_window became {chosen}: the shards are fetched, each once an epoch"


def _check_cache(folder: Path, *, window: int, cache_mb: int) -> None:
    sizes = sorted(shard.bytes for shard in shards_of(read_index(folder), folder=folder))
    needed = sum(sizes[-2 * window :])
    if needed > cache_mb * 2**20:
        raise UserError(
            f"{folder} may hold {cache_mb:,} MB of shards, and two windows of {window} shards need up to "
            f"{needed / 2**20:,.0f} MB. Set a smaller data.shard_window (it shuffles less), or run `sightline remote` "
            "again with a larger --cache-mb."
        )
