"""From what comes back to what a sensor writes: lost echoes, noise, rows of different gain, equalised 8-bit channels.

In: an `Echo`. Out: uint8 [H, W, 3]: depth, ambience, intensity.
Next: panoramas.py
"""

from __future__ import annotations

import numpy as np

from sightline.drawn.panorama_scenery import Echo

_REACH_M = 22.0  # at this range half of the laser's light is left
# The `driving` data's channels have about the means and deviations of equalised values to these powers.
_POWERS = (1.0, 1.09, 3.35)
_LEVELS = 4096


def to_channels(echo: Echo, *, rng: np.random.Generator) -> np.ndarray:
    """The picture: uint8 [H, W, 3]. A pixel without an echo is 0 in depth and intensity, not in ambience."""
    shape = echo.range_m.shape
    lost = rng.random(shape, dtype=np.float32) < echo.loss
    lost[rng.random(shape[0]) < 0.004] = True  # now and then a whole row drops out
    seen = ~lost
    noise = rng.standard_normal((2, *shape), dtype=np.float32)
    range_m = np.where(seen, echo.range_m, 1.0) * (1 + 0.004 * noise[0])
    rows = np.exp(rng.normal(0, 0.1, (2, shape[0], 1))).astype(np.float32)  # each row is a diode of its own
    laser = echo.laser * rows[0] / (1 + (range_m / _REACH_M) ** 2)
    laser = laser * np.exp(0.22 * noise[1])
    # Daylight is read by the same diodes between the pulses: few photons, and rows that differ more.
    light = echo.daylight * rows[1] + rng.uniform(0.01, 0.03) * (noise[0] - noise[1])
    picture = np.empty((*shape, 3), dtype=np.uint8)
    picture[..., 0] = _equalised(np.log(range_m), seen, power=_POWERS[0])
    picture[..., 1] = _equalised(light, np.ones_like(seen), power=_POWERS[1])
    picture[..., 2] = _equalised(np.sqrt(laser), seen, power=_POWERS[2])
    return picture


def _equalised(values: np.ndarray, there: np.ndarray, *, power: float) -> np.ndarray:
    """Ranks of the values, 0..255 after `power`; 0 where there is nothing. Values must be finite everywhere."""
    low, high = float(values.min()), float(values.max())
    bins = ((values - low) * ((_LEVELS - 1) / max(high - low, 1e-9))).astype(np.uint16) + 1
    bins[~there] = 0
    counts = np.bincount(bins.ravel(), minlength=_LEVELS + 1)
    ranks = (np.cumsum(counts) - counts / 2) / values.size
    ranks[0] = 0.0
    return np.rint(255 * ranks**power).astype(np.uint8)[bins]
