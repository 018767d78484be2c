"""Pictures that are there more than once: equal bytes, or nearly equal by a perceptual hash.

The hash is 63 signs of the lowest cosine frequencies of a 32 x 32 thumbnail (Zauner, "Implementation and Benchmarking
of Perceptual Image Hash Functions", 2010). It only proposes pairs: of a fixed camera all frames have nearly one hash,
and what tells them apart is a small part of the picture. A pair counts where the thumbnails, brought to one brightness
and contrast, agree everywhere. Next: shapes.py
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from sightline.doctor.case import Case, Copies, Look, listed, suspect
from sightline.doctor.pictures import BLANK_STD
from sightline.records import Problem, Record

_BITS = 8  # of each axis of the cosine transform
_MOST_BITS_DIFFER = 10
_BLOCK = 2048
# Standard deviations of the picture: of all cells, and of the worst one. Quality 50, three quarters of the size stay
# below half of this; a mouse of 60 pixels that moved in 640 x 480 is far above.
_MEAN_DIFFERENCE, _WORST_DIFFERENCE = 0.06, 0.4
_NOISE_LEVELS = 6.0  # grey levels: pictures that vary less than some times this differ by noise


def find_copies(looks: Mapping[Path, Look]) -> Copies:
    """Clusters of equal files, and of nearly equal pictures (of equal files only the first takes part)."""
    by_digest: dict[bytes, list[Path]] = {}
    for path, look in looks.items():
        by_digest.setdefault(look.digest, []).append(path)
    exact = tuple(tuple(paths) for paths in by_digest.values() if len(paths) > 1)
    singles = [paths[0] for paths in by_digest.values() if float(looks[paths[0]].thumb.std()) > BLANK_STD]
    pairs = near_pairs(np.stack([looks[path].thumb for path in singles])) if len(singles) > 1 else []
    return Copies(exact=exact, near=_clusters([(singles[a], singles[b]) for a, b in pairs], order=singles))


def near_pairs(thumbs: np.ndarray) -> list[tuple[int, int]]:
    """Positions (first, second) of thumbnails [N, 32, 32] that show nearly the same; none of them blank."""
    made = Alike.of(thumbs)
    signs, bits = made.signs, made.signs.shape[1]
    found: list[tuple[int, int]] = []
    for top in range(0, len(signs), _BLOCK):
        for left in range(top, len(signs), _BLOCK):
            same = signs[top : top + _BLOCK] @ signs[left : left + _BLOCK].T  # bits - 2 x differing bits
            first, second = np.nonzero(same >= bits - 2 * _MOST_BITS_DIFFER)
            first, second = first + top, second + left
            keep = first < second
            found += _agreeing(made.levels, first[keep], second[keep])
    return found


@dataclass(frozen=True, kw_only=True, eq=False)
class Alike:
    """Thumbnails made comparable.

    Attributes:
        signs: [N, 63] float32, the perceptual hashes as +1 and -1.
        levels: [N, 32, 32], of one brightness and contrast, smoothed.
    """

    signs: np.ndarray
    levels: np.ndarray

    @staticmethod
    def of(thumbs: np.ndarray) -> Alike:
        """From grey levels [N, 32, 32]."""
        centred = thumbs - thumbs.mean(axis=(1, 2), keepdims=True)
        spread = centred.std(axis=(1, 2), keepdims=True)
        levels = centred / np.maximum(spread, _NOISE_LEVELS)
        signs = np.stack([_signs(thumb) for thumb in levels])
        # A sharp edge between two cells changes both with a pixel's shift: the eye compares smoother pictures.
        return Alike(signs=signs, levels=np.stack([cv2.GaussianBlur(thumb, (3, 3), 0) for thumb in levels]))

    def to(self, place: int) -> np.ndarray:
        """Which thumbnails show nearly the same as one of them, [N] bool; that one too. Blank ones are all alike."""
        bits = self.signs.shape[1]
        near = np.flatnonzero(self.signs @ self.signs[place] >= bits - 2 * _MOST_BITS_DIFFER)
        pairs = _agreeing(self.levels, np.full(len(near), place), near)
        found = np.zeros(len(self.signs), dtype=bool)
        found[[second for _, second in pairs]] = True
        return found


def _signs(thumb: np.ndarray) -> np.ndarray:
    """The perceptual hash as +1 and -1: [63] float32."""
    low = cv2.dct(thumb.astype(np.float32))[:_BITS, :_BITS].ravel()[1:]
    return np.where(low > np.median(low), 1.0, -1.0).astype(np.float32)


def _agreeing(alike: np.ndarray, first: np.ndarray, second: np.ndarray) -> list[tuple[int, int]]:
    pairs: list[tuple[int, int]] = []
    for start in range(0, len(first), _BLOCK):
        a, b = first[start : start + _BLOCK], second[start : start + _BLOCK]
        apart = np.abs(alike[a] - alike[b])
        agree = (apart.mean(axis=(1, 2)) < _MEAN_DIFFERENCE) & (apart.max(axis=(1, 2)) < _WORST_DIFFERENCE)
        pairs += zip(a[agree].tolist(), b[agree].tolist(), strict=True)
    return pairs


def _clusters(pairs: Sequence[tuple[Path, Path]], *, order: Sequence[Path]) -> tuple[tuple[Path, ...], ...]:
    """What pairs join, each cluster in the order given."""
    top: dict[Path, Path] = {}

    def find(path: Path) -> Path:
        while top.setdefault(path, path) != path:
            top[path] = top[top[path]]
            path = top[path]
        return path

    for first, second in pairs:
        top[find(second)] = find(first)
    found: dict[Path, list[Path]] = {}
    for path in order:
        if path in top:
            found.setdefault(find(path), []).append(path)
    return tuple(tuple(paths) for paths in found.values())


def check(case: Case) -> Iterable[Problem]:
    """One problem for each cluster of copies."""
    for cluster in case.copies.exact:
        records = [case.records_of(path) for path in cluster]
        id = "image-copied" if same_labels(records) else "image-copied-labels-differ"
        names = [each[0].image_id for each in records]
        message = f"{len(names)} files have the same bytes as {names[0]}: {listed(names[1:])}"
        yield suspect(id, records[1][0], message if len(names) > 2 else f"the same file as {names[0]}")
    for cluster in case.copies.near:
        firsts = [case.records_of(path)[0] for path in cluster]
        groups = {record.group for record in firsts}
        if None not in groups and len(groups) == 1:
            continue  # frames of one clip, or one face: they never part in a split by group
        names = [record.image_id for record in firsts]
        yield suspect("image-near-copy", firsts[1], f"nearly the same picture as {names[0]}{_others(names)}")


def _others(names: Sequence[str]) -> str:
    return f"; {len(names)} are alike: {listed(names)}" if len(names) > 2 else ""


def same_labels(pictures: Sequence[Sequence[Record]]) -> bool:
    """Whether the labels of all these pictures are equal to a hundredth of a pixel."""
    return all(_labels(one) == _labels(pictures[0]) for one in pictures[1:])


def _labels(records: Sequence[Record]) -> list[bytes]:
    told = []
    for record in records:
        told.append(
            np.where(record.visible[:, None], record.points_xy, 0).round(2).tobytes() + record.visible.tobytes()
        )
        if record.objects is not None:
            told.append(record.objects.boxes_xyxy.round(2).tobytes() + record.objects.labels.tobytes())
    return told
