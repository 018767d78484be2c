"""Where something moves between two frames: the places that a tracker takes for its object.

In: two frames. Out: a place drawn where they differ. Next: transforms.py
"""

from __future__ import annotations

import cv2
import numpy as np

_CELL_PX = 16


def moving_place(now: np.ndarray, before: np.ndarray, rng: np.random.Generator) -> np.ndarray | None:
    """A place drawn with a probability that grows with the square of the change there.

    What changes everywhere by about as much (noise, light) counts as nothing: the median is taken off first.

    Args:
        now: [H, W, C] uint8.
        before: the same size.
        rng: draws the place.

    Returns:
        (x, y) as shares of width and height in 0..1; None where nothing moves.
    """
    assert now.shape == before.shape, (now.shape, before.shape)
    height, width = now.shape[:2]
    # At most a cell is averaged at once, so that a small object is not lost among what stands still.
    rows, columns = max(1, height // _CELL_PX), max(1, width // _CELL_PX)
    change = cv2.absdiff(now, before).reshape(height, width, -1).max(axis=2)
    cells = cv2.resize(change, (columns, rows), interpolation=cv2.INTER_AREA).astype(np.float64)
    weights = np.maximum(cells - np.median(cells), 0).ravel() ** 2
    if not weights.any():
        return None
    row, column = divmod(int(rng.choice(len(weights), p=weights / weights.sum())), columns)
    return (np.array([column, row]) + rng.random(2)) / (columns, rows)
