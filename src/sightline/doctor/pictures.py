"""Checks of picture files one by one: rotation, blank, tiny, odd shapes, mixed kinds. Next: copies.py."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from sightline.doctor.case import Case, Look, listed, robust_scores, suspect
from sightline.records import Problem, Record

TINY = 16
BLANK_STD = 1.5  # grey levels; the noise of a camera with its lid on
FAR = 6.0
ENOUGH = 20  # fewer have no distribution to be far from
_MOST_ALONE, _RARE = 5, 0.02
_ASPECT_FLOOR = 0.07  # ln: 4:3 against 3:2 is nothing
_LEVEL_FLOOR = 12.0  # grey levels
_SUFFIXES = {
    "JPEG": {".jpg", ".jpeg", ".jpe", ".jfif"},
    "MPO": {".jpg", ".jpeg", ".jpe", ".jfif"},
    "PNG": {".png"},
    "GIF": {".gif"},
    "BMP": {".bmp"},
    "TIFF": {".tif", ".tiff"},
    "WEBP": {".webp"},
    "JPEG2000": {".jp2"},
    "PPM": {".ppm", ".pgm", ".pbm", ".pnm"},
}


def check(case: Case) -> Iterable[Problem]:
    """Problems of single files, and of how they differ from the others."""
    first = {record.path: record for record in reversed(case.records)}
    seen = [(first[path], look) for path, look in case.looks.items()]
    yield from _sizes(case)
    for record, look in seen:
        yield from _one(record, look)
    yield from _exposure(seen)
    yield from _kinds(case, seen)


def _one(record: Record, look: Look) -> Iterable[Problem]:
    if look.orientation != 1:
        message = f"the EXIF tag says orientation {look.orientation}; its labels are read in the upright picture"
        yield suspect("image-rotated", record, message)
    if float(look.thumb.std()) < BLANK_STD:
        yield suspect("image-blank", record, f"all of the picture is grey level {look.thumb.mean():.0f}")
    suffix = record.path.suffix.lower()
    if suffix not in _SUFFIXES.get(look.format, {suffix}):
        yield suspect("image-suffix-wrong", record, f"the file is named {suffix} but holds {look.format}")


def _sizes(case: Case) -> Iterable[Problem]:
    """Sides and aspects, from headers alone."""
    first: dict[Path, Record] = {}
    for record in case.records:
        if record.size_hw is not None:
            first.setdefault(record.path, record)
    records = list(first.values())
    sizes = np.array([record.size_hw for record in records], dtype=np.float64).reshape(-1, 2)
    for i in np.flatnonzero(sizes.min(axis=1, initial=np.inf) < TINY):
        yield suspect("image-tiny", records[i], f"{sizes[i, 1]:.0f} x {sizes[i, 0]:.0f} pixels")
    if len(records) < ENOUGH:
        return
    # Upright and lying pictures of one camera are alike.
    aspects = np.abs(np.log(sizes[:, 1] / sizes[:, 0]))
    middle = float(np.exp(np.median(aspects)))
    odd = np.flatnonzero(robust_scores(aspects, least_sigma=_ASPECT_FLOOR) > FAR)
    if len(odd) > max(_MOST_ALONE, _RARE * len(records)):  # so many are another source, not so many slips
        low, high = np.exp(aspects[odd].min()), np.exp(aspects[odd].max())
        message = f"{len(odd)} of {len(records)} pictures have sides of 1 : {low:.1f} to {high:.1f}, usual is 1 : "
        yield suspect("image-shape-odd", case.dataset, f"{message}{middle:.1f}; such as {records[odd[0]].image_id}")
        return
    for i in odd:
        message = f"{sizes[i, 1]:.0f} x {sizes[i, 0]:.0f} pixels, sides 1 : {np.exp(aspects[i]):.1f}; usual is 1 : "
        yield suspect("image-shape-odd", records[i], message + f"{middle:.1f}")


def _exposure(seen: list[tuple[Record, Look]]) -> Iterable[Problem]:
    if len(seen) < ENOUGH:
        return
    levels = np.array([float(look.thumb.mean()) for _, look in seen])
    spread = np.array([float(look.thumb.std()) for _, look in seen])
    for i in np.flatnonzero((np.abs(robust_scores(levels, least_sigma=_LEVEL_FLOOR)) > FAR) & (spread >= BLANK_STD)):
        message = f"mean grey level {levels[i]:.0f}, the others' median is {np.median(levels):.0f}"
        yield suspect("image-dark", seen[i][0], message)


def _kinds(case: Case, seen: list[tuple[Record, Look]]) -> Iterable[Problem]:
    kinds: dict[str, list[str]] = {}
    for record, look in seen:
        kinds.setdefault(_kind(look.mode), []).append(record.image_id)
    if len(kinds) > 1:
        count = Counter({kind: len(names) for kind, names in kinds.items()})
        (usual, _), *rest = count.most_common()
        told = "; ".join(f"{number} {kind} ({listed(kinds[kind][:2])})" for kind, number in rest)
        yield suspect("image-kind-mixed", case.dataset, f"{count[usual]} pictures are {usual}, but {told}")


def _kind(mode: str) -> str:
    if mode.startswith("I"):
        return "16 bits"
    if mode in ("RGBA", "LA", "PA"):
        return "transparent"
    return "grey" if mode in ("L", "1") else "colour"
