"""What is drawn together in a resample of labelled frames of clips.

Neighbouring frames show nearly the same picture and are right or wrong together, so that frames drawn one by one would
give intervals far too narrow. Whole clips are drawn where there are at least `LEAST_CLIPS`; of fewer, blocks of
consecutive frames. Next: tracks.py
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

LEAST_CLIPS = 5
BLOCK_FRAMES = 30  # half a second at 60 frames a second: longer than most things that hide a ball

_LEAST_BLOCKS = 20


def resampled_units(clips: Sequence[str], numbers: np.ndarray) -> tuple[np.ndarray, str]:
    """What is drawn together in a resample: a number for each frame [N], and the kind of unit in words.

    Clips, or where there are fewer than `LEAST_CLIPS` of them, blocks of consecutive frames that do not overlap: of
    `BLOCK_FRAMES`, or fewer where that would leave less than 20 blocks, but at least the cube root of the number of
    frames (Hall, Horowitz and Jing 1995). Errors that last longer than a block still make intervals too narrow.
    """
    names, clip = np.unique(np.asarray(clips), return_inverse=True)
    if len(names) >= LEAST_CLIPS:
        return clip.astype(np.int64), f"{len(names)} clips"
    length = min(BLOCK_FRAMES, max(int(np.ceil(len(clip) ** (1 / 3))), len(clip) // _LEAST_BLOCKS))
    first = np.array([numbers[clip == index].min() for index in range(len(names))])
    blocks = np.column_stack([clip, (numbers - first[clip]) // length])
    _, units = np.unique(blocks, axis=0, return_inverse=True)
    units = units.ravel().astype(np.int64)
    return units, f"{units.max() + 1} blocks of {length} consecutive frames"
