"""The samples of a tar in WebDataset's layout, by their byte ranges: files that share a name up to its first dot.

In: a tar, not compressed. Out: a `Sample` for each picture, in the tar's order. Next: write.py
"""

from __future__ import annotations

import tarfile
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from sightline.errors import UserError
from sightline.images import IMAGE_SUFFIXES


@dataclass(frozen=True, kw_only=True)
class Sample:
    """Files with one key.

    Attributes:
        key: the name up to the first dot, with its folders: "train/000123".
        files: by what follows the dot, in small letters ("jpg", "json"): the offset of the content and its size.
    """

    key: str
    files: dict[str, tuple[int, int]] = field(default_factory=dict)

    @property
    def picture(self) -> str | None:
        """The ending of its one picture; None where there is none, or several."""
        found = [ending for ending in self.files if f".{ending}" in IMAGE_SUFFIXES]
        return found[0] if len(found) == 1 else None


@dataclass(frozen=True, kw_only=True)
class Contents:
    """What is in a tar: the samples up to where it is damaged, and the damage."""

    samples: tuple[Sample, ...]
    damage: str | None


def read_contents(shard: Path, *, most: int | None = None) -> Contents:
    """Walk over the headers of a tar; no content is read.

    Args:
        shard: the tar.
        most: look at so many files and not at the end.

    Raises:
        UserError: the file cannot be opened.
    """
    samples: dict[str, Sample] = {}
    size = shard.stat().st_size if shard.exists() else 0
    damage = None
    try:
        with tarfile.open(shard, mode="r:") as tar:
            for number, member in enumerate(tar):
                if number == most:
                    return Contents(samples=tuple(samples.values()), damage=None)
                if member.isreg() and member.offset_data + member.size > size:
                    damage = f"it ends within {member.name}"
                elif member.isreg():
                    key, ending = _divided(member.name)
                    sample = samples.setdefault(key, Sample(key=key))
                    sample.files[ending] = (member.offset_data, member.size)
            if damage is None and size < tar.offset + tarfile.BLOCKSIZE:
                damage = "its end is missing"
    except tarfile.TarError as error:
        damage = str(error)
    except OSError as error:
        raise UserError(f"{shard} cannot be read: {(error.strerror or str(error)).lower()}.") from error
    return Contents(samples=tuple(samples.values()), damage=damage)


def _divided(name: str) -> tuple[str, str]:
    """Key and ending as WebDataset divides them: at the first dot of the last part."""
    path = PurePosixPath(name)
    stem, _, ending = path.name.partition(".")
    return str(path.parent / stem), ending.lower()
