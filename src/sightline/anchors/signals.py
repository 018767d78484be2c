"""The two tools of signal processing that the peak finder of auto.py needs, for short histograms.

Both agree with SciPy's (`butter` with `sosfilt`, `find_peaks`), which the tests hold them against; SciPy
itself is no dependency for so little. Next: auto.py
"""

from __future__ import annotations

import math

import numpy as np


def highpass(values: np.ndarray, *, cutoff: float) -> np.ndarray:
    """Butterworth high-pass of order 3 over [M], forwards, from rest.

    Args:
        values: the signal.
        cutoff: where half of the power passes, as a part of the highest frequency (half a cycle a sample), 0..1.
    """
    # The analogue prototype 1 / ((s + 1)(s^2 + s + 1)) with s -> w / s, then s = (1 - z) / (1 + z), z the delay.
    w = math.tan(math.pi * cutoff / 2)
    first = _filtered(values, ahead=(1.0, -1.0), back=(1 + w, w - 1))
    return _filtered(first, ahead=(1.0, -2.0, 1.0), back=(1 + w + w * w, 2 * (w * w - 1), 1 - w + w * w))


def find_peaks(values: np.ndarray, *, distance: int) -> np.ndarray:
    """Indices of local maxima, ascending, of which no two are less than `distance` apart: the higher one stays.

    A flat top counts as one peak in its middle (rounded down); the ends are no peaks; of equal ones the later stays.
    """
    changes = np.flatnonzero(np.diff(values))  # the last sample of each run of equal ones but the last run
    starts = np.concatenate([[0], changes + 1])
    ends = np.concatenate([changes, [len(values) - 1]])
    level = values[starts]
    is_top = np.zeros(len(level), dtype=bool)
    is_top[1:-1] = (level[1:-1] > level[:-2]) & (level[1:-1] > level[2:])
    tops = (starts[is_top] + ends[is_top]) // 2
    kept = np.ones(len(tops), dtype=bool)
    for index in np.argsort(values[tops], kind="stable")[::-1]:
        if kept[index]:
            near = np.abs(tops - tops[index]) < distance
            near[index] = False
            kept &= ~near
    return tops[kept]


def _filtered(values: np.ndarray, *, ahead: tuple[float, ...], back: tuple[float, ...]) -> np.ndarray:
    """The recursive filter sum(ahead[i] x[n - i]) = sum(back[i] y[n - i])."""
    found = np.zeros(len(values))
    for n in range(len(values)):
        total = sum(a * values[n - i] for i, a in enumerate(ahead) if n >= i)
        total -= sum(b * found[n - i] for i, b in enumerate(back) if i and n >= i)
        found[n] = total / back[0]
    return found
