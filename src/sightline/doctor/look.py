"""One look at every picture's file: its bytes' digest, its header, a thumbnail. Next: pictures.py, copies.py."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np

from sightline.cores import reading_threads
from sightline.doctor.case import Look
from sightline.images import ImageError, read_header, read_image
from sightline.members import read_file
from sightline.records import Record

THUMB = 32


def look_at_pictures(records: Sequence[Record], *, workers: int | None = None) -> dict[Path, Look]:
    """Look at the picture of every record; frames of videos are left out.

    Pictures that cannot be read are left out too: the scan has told of them. `workers` as of `scan`.
    """
    paths = list(dict.fromkeys(record.path for record in records if record.video_frame is None))
    pool = ThreadPoolExecutor(max_workers=workers or reading_threads())
    try:
        seen = dict(zip(paths, pool.map(_look, paths), strict=True))
    finally:
        pool.shutdown(wait=True, cancel_futures=True)  # after Ctrl-C do not work through the queue
    return {path: look for path, look in seen.items() if look is not None}


def thumb_of(pixels: np.ndarray) -> np.ndarray:
    """[32, 32] float32 grey levels of a picture: RGB [H, W, 3], or grey [H, W, 1]."""
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY) if pixels.shape[2] == 3 else pixels
    return cv2.resize(grey, (THUMB, THUMB), interpolation=cv2.INTER_AREA).astype(np.float32)


def _look(path: Path) -> Look | None:
    try:
        header = read_header(path)
        # A reduced JPEG hangs over its edge by up to a pixel: of so many that is no shift that two thumbnails show.
        pixels = read_image(path, channels=1, shrink_to=(4 * THUMB, 4 * THUMB))
    except ImageError:
        return None
    digest = hashlib.blake2b(read_file(path)).digest()
    return Look(
        format=header.format,
        mode=header.mode,
        orientation=header.orientation,
        digest=digest,
        thumb=thumb_of(pixels),
    )
