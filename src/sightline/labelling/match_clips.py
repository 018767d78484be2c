"""Which clips of two data sets are the same, though they lie in two places, begin elsewhere or were saved again.

Equal bytes are one video, and one picture of a clip; pictures also tell by how many frames two clips are apart. Clips
of one name, size and length whose frames look alike are one clip too: a tool has saved it again.
In: the clips of two data sets. Out: pairs of clips. Next: merge_clips.py
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from sightline.doctor.copies import Alike
from sightline.doctor.look import thumb_of
from sightline.errors import UserError
from sightline.images import read_image
from sightline.readers.footage import Footage
from sightline.readers.pictures import UPLOAD_PREFIX
from sightline.video.source import open_source
from sightline.writers import Clip

_COMPARED = (0, 30)  # frames of two clips of one name


@dataclass(frozen=True, kw_only=True)
class SameClip:
    """A clip of the old data set that is one of the new: its frame `n + shift` is the new one's frame `n`."""

    name: str
    shift: int


@dataclass(frozen=True, kw_only=True)
class MatchedClips:
    """What belongs together.

    Attributes:
        same: by the name of the new clip.
        by_name: how many of these have other bytes, and were known by name and look.
    """

    same: Mapping[str, SameClip]
    by_name: int


def match_clips(old: Sequence[Clip], new: Sequence[Clip]) -> MatchedClips:
    """Find the old clip of each new one, where there is one.

    Raises:
        UserError: the frames of a new clip are those of several old ones, or a file cannot be read.
    """
    digests = _Digests([path for clip in (*old, *new) for path in _files(clip)])
    videos = {digests.of(clip.footage.video): clip.name for clip in reversed(old) if clip.footage.video is not None}
    places: dict[bytes, list[tuple[str, int]]] = defaultdict(list)
    for clip in old:
        for number, path in clip.footage.pictures.items():
            places[digests.of(path)].append((clip.name, number))
    same: dict[str, SameClip] = {}
    renewed = 0
    for clip in new:
        video = clip.footage.video
        found = SameClip(name=videos[key], shift=0) if video and (key := digests.of(video)) in videos else None
        found = found or _by_pictures(clip, places, digests)
        if found is None:
            namesake = next((one for one in old if _called(one) == _called(clip) and _looks_alike(one, clip)), None)
            found = None if namesake is None else SameClip(name=namesake.name, shift=0)
            renewed += namesake is not None
        if found is not None:
            same[clip.name] = found
    return MatchedClips(same=same, by_name=renewed)


class _Digests:
    """Hashes of files, computed only of those whose size another one has."""

    def __init__(self, paths: Iterable[Path]) -> None:
        self._sizes = {path: path.stat().st_size for path in dict.fromkeys(paths)}
        self._count = Counter(self._sizes.values())
        self._known: dict[Path, bytes] = {}

    def of(self, path: Path) -> bytes:
        """Equal where two files have the same bytes."""
        if path not in self._known:
            if self._count[self._sizes[path]] == 1:
                self._known[path] = str(path).encode()
            else:
                with path.open("rb") as stream:
                    self._known[path] = hashlib.file_digest(stream, "blake2b").digest()
        return self._known[path]


def _files(clip: Clip) -> list[Path]:
    return [clip.footage.video] if clip.footage.video is not None else list(clip.footage.pictures.values())


def _by_pictures(clip: Clip, places: Mapping[bytes, Sequence[tuple[str, int]]], digests: _Digests) -> SameClip | None:
    """The old clip in which most of the frames lie, all by one shift."""
    votes: Counter[tuple[str, int]] = Counter()
    known = 0
    for number, path in clip.footage.pictures.items():
        found = places.get(digests.of(path), ())
        known += bool(found)
        votes.update({(name, there - number) for name, there in found})
    if not votes:
        return None
    (name, shift), count = votes.most_common(1)[0]
    if 2 * count <= known:
        names = ", ".join(dict.fromkeys(f"'{name}'" for (name, _), _ in votes.most_common(5)))
        raise UserError(
            f"The frames of the clip '{clip.name}' are in the old data set, but not one behind the other in one clip "
            f"(in {names}). Cut or number the clips of both in one way."
        )
    return SameClip(name=name, shift=shift)


def _called(clip: Clip) -> str:
    """A clip's own name: of its video or of itself, without what a server puts before it."""
    name = clip.footage.video.stem if clip.footage.video is not None else PurePosixPath(clip.name).name
    return UPLOAD_PREFIX.sub("", name).lower()


def _looks_alike(old: Clip, new: Clip) -> bool:
    """Whether two clips have one length, one size, and frames that show nearly the same."""
    if old.footage.count != new.footage.count or _size(old) != _size(new):
        return False
    first, second = _thumbs(old.footage), _thumbs(new.footage)
    common = sorted(first.keys() & second.keys())
    return bool(common) and all(bool(Alike.of(np.stack([first[number], second[number]])).to(0)[1]) for number in common)


def _size(clip: Clip) -> tuple[int, int] | None:
    return clip.records[0].size_hw if clip.records else None


def _thumbs(footage: Footage) -> dict[int, np.ndarray]:
    """Grey levels [32, 32] of the frames that are compared, by number."""
    if footage.video is None:
        numbers = [number for number in _COMPARED if number in footage.pictures]
        return {number: thumb_of(read_image(footage.pictures[number], channels=1)) for number in numbers}
    thumbs = {}
    with open_source(footage.video) as source:
        for frame in source:
            if frame.number in _COMPARED:
                thumbs[frame.number] = thumb_of(frame.image)
            if frame.number >= max(_COMPARED):
                break
    return thumbs
