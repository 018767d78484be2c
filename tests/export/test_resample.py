"""Resampling by the graph's operations against `view.warp`, which uses OpenCV."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sightline.export.resample import Resample, Shrinks
from sightline.geometry import crop_to
from sightline.view import warp


def resampled(image: np.ndarray, area: tuple[float, ...], input_hw: tuple[int, int]) -> np.ndarray:
    place = torch.tensor(area, dtype=torch.float64)
    with torch.no_grad():
        averages = bool(Shrinks(input_hw=input_hw)(place))
        out = Resample(input_hw=input_hw, averages=averages)(torch.from_numpy(image), place)
    return out[0].permute(1, 2, 0).numpy()


def smooth(seed: int, height: int, width: int, channels: int) -> np.ndarray:
    noise = np.random.default_rng(seed).integers(0, 256, (height, width, channels), dtype=np.uint8)
    return cv2.GaussianBlur(noise, (0, 0), 1.0).reshape(noise.shape)


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, 999),
    sides=st.tuples(st.integers(1, 300), st.integers(1, 300)),
    low=st.tuples(st.floats(-0.6, 0.8), st.floats(-0.6, 0.8)),
    size=st.tuples(st.floats(0.05, 1.6), st.floats(0.05, 1.6)),
    channels=st.sampled_from([1, 3]),
)
def test_every_area_gives_the_grey_levels_of_opencv(
    seed: int, sides: tuple[int, int], low: tuple[float, float], size: tuple[float, float], channels: int
) -> None:
    height, width = sides
    image = smooth(seed, height, width, channels)
    area = (low[0] * width, low[1] * height, (low[0] + size[0]) * width, (low[1] + size[1]) * height)
    wanted = warp(image, crop_to(area, (24, 36)), (24, 36)).astype(float)
    apart = np.abs(resampled(image, area, (24, 36)) - wanted)
    # Sums in another order may round the other way at a tie; nothing is ever further off.
    assert apart.max() <= 1
    assert (apart > 0).mean() < 0.01


@pytest.mark.parametrize("factor", [1, 2, 3, 4, 7])
def test_whole_factors_average_whole_cells(factor: int) -> None:
    image = smooth(0, 12 * factor, 18 * factor, 3)
    area = (0.0, 0.0, 18.0 * factor, 12.0 * factor)
    cells = image.reshape(12, factor, 18, factor, 3).astype(float).mean(axis=(1, 3))
    found = resampled(image, area, (12, 18))
    if factor == 2:  # a scale of just a half is not yet averaged: bilinear between four pixels, which is their mean
        assert np.abs(found - cells).max() <= 0.5
    else:
        assert np.array_equal(found, np.rint(cells)) or np.abs(found - cells).max() <= 0.5


def test_what_lies_outside_is_black() -> None:
    image = np.full((20, 20, 1), 200, dtype=np.uint8)
    found = resampled(image, (-20.0, 0.0, 20.0, 40.0), (40, 40))[..., 0]
    assert (found[:19, 21:] == 200).all()
    assert (found[:, :19] == 0).all() and (found[21:] == 0).all()
