"""Answers drawn by code, exchangeable between fit and check."""

from __future__ import annotations

import numpy as np

from sightline.calibration.answers import Answers
from sightline.calibration.measure import Measure


def point_measure(count: int) -> Measure:
    """Of points in crops of 128 px."""
    return Measure.of("points", crop="points", input_hw=(128, 128), points=count)


def drawn_points(
    rng: np.random.Generator, *, pictures: int, points: int, per_unit: int = 1, together: float = 0.0
) -> Answers:
    """Errors that shrink with the score, grow with the object and with the point's number.

    `together` is the share of an error that all points of a picture have in common.
    """
    shape = (pictures, points)
    scores = rng.beta(4, 2, size=shape)
    scale = rng.uniform(40, 400, size=(pictures, 1)) * np.ones(shape)
    noise = np.abs(rng.normal(size=shape)) * (1 - together) + np.abs(rng.normal(size=(pictures, 1))) * together
    away = noise * (0.01 + 0.06 * (1 - scores)) * (1 + np.arange(points)) * scale
    return Answers(
        names=tuple(f"p{number}" for number in range(points)),
        pictures=pictures,
        group=np.tile(np.arange(points), pictures),
        unit=np.repeat(np.arange(pictures) // per_unit, points),
        score=scores.ravel(),
        scale_px=scale.ravel(),
        away_px=away.ravel(),
        measured=np.ones(away.size, dtype=bool),
        right=(away <= 0.05 * scale).ravel(),
    )
