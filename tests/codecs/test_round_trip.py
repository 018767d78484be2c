"""decode(perfect(encode(x))) comes back to x: the error that a codec itself adds, bounded for every decoder."""

from __future__ import annotations

import math

import pytest
import torch
from codec_cases import INPUT_HW, MAPS, every_codec, label, random_points, shape_for
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from sightline.codecs import CodecConfig
from sightline.codecs.heatmap import HeatmapCodecConfig
from sightline.codecs.integral import IntegralCodecConfig
from sightline.codecs.simcc import SimccCodecConfig
from sightline.types import Truth

CODECS_WITH_CHOICES = every_codec()
CELL_PX = 4 * math.sqrt(2) / 2  # from a cell's centre to its corner at stride 4
BIN_PX = 0.5 * math.sqrt(2) / 2
# Bounds in input px, for points far from the border. Argmax cannot be better than half a cell.
BOUNDS = {
    "argmax": CELL_PX + 1e-3,
    "quarter": CELL_PX / 2 + 1e-3,
    "centroid": 0.25,
    "dark": 0.02,
    "nms": 0.02,
    "soft-argmax": 0.02,
}
# Decoders that take an expectation lean inwards where the border cuts the Gaussian off.
# Quarter offset has no second neighbour there and stays at the highest cell.
NEAR_BORDER = {**BOUNDS, "quarter": CELL_PX + 1e-3, "centroid": 8.0, "soft-argmax": 8.0}


def error_px(config: CodecConfig, points_xy: Tensor) -> Tensor:
    codec = config.build(shape_for(config))
    visible = torch.ones(points_xy.shape[:2], dtype=torch.bool)
    found = codec.decode(codec.perfect(codec.encode(Truth.of_points(points_xy, visible))))
    assert found.xy.shape == points_xy.shape
    assert ((found.score >= 0) & (found.score <= 1 + 1e-6)).all()
    return torch.linalg.vector_norm(found.xy - points_xy, dim=-1)


def bound_px(config: CodecConfig, bounds: dict[str, float]) -> float:
    if config.kind == "coords":
        return 1e-4
    if config.kind == "summed-heatmap":
        return bounds["argmax"]
    if config.kind == "integral":
        return bounds["soft-argmax"]
    if config.kind == "simcc":
        return {"argmax": BIN_PX + 1e-3, "refined": 0.02, "expectation": 0.02 if bounds is BOUNDS else 4.0}[
            config.decoder
        ]
    if config.target == "single-pixel":
        return CELL_PX + 1e-3
    return bounds[config.decoder]


@pytest.mark.parametrize("config", CODECS_WITH_CHOICES, ids=label)
def test_inner_points_come_back_within_the_decoders_bound(config: CodecConfig) -> None:
    border = 40.0 if config.kind == "summed-heatmap" else 28.0
    errors = error_px(config, random_points(count=200, border=border))
    assert errors.max() <= bound_px(config, BOUNDS)


@pytest.mark.parametrize("config", CODECS_WITH_CHOICES, ids=label)
def test_points_near_the_border_come_back_within_the_decoders_bound(config: CodecConfig) -> None:
    height, width = INPUT_HW
    edge = [(x, y) for x in (0.05, 1.0, 2.0, 3.9, width - 3.0, width - 0.05) for y in (0.05, 2.0, 50.0, height - 0.05)]
    errors = error_px(config, torch.tensor(edge)[:, None, :])
    assert errors.max() <= bound_px(config, NEAR_BORDER)


@given(x=st.floats(0, 127.9), y=st.floats(0, 95.9), loss=st.sampled_from(["ce", "bce", "mse", "l1"]))
@settings(max_examples=60, deadline=None)
def test_the_default_decoder_finds_any_point_of_the_picture_within_two_hundredths_of_a_pixel(
    x: float, y: float, loss: str
) -> None:
    config = HeatmapCodecConfig(loss_kind=loss)  # type: ignore[arg-type]
    assert error_px(config, torch.tensor([[[x, y]]])).item() <= 0.02


@given(x=st.floats(0, 127.9), y=st.floats(0, 95.9))
@settings(max_examples=40, deadline=None)
def test_refined_simcc_finds_any_point_of_the_picture_within_two_hundredths_of_a_pixel(x: float, y: float) -> None:
    assert error_px(SimccCodecConfig(decoder="refined"), torch.tensor([[[x, y]]])).item() <= 0.02


@pytest.mark.parametrize("sigma", [0.8, 1.0, 1.5, 3.0])
def test_the_default_decoder_is_exact_for_narrow_and_wide_gaussians(sigma: float) -> None:
    assert error_px(HeatmapCodecConfig(sigma=sigma), random_points(count=100, border=2)).max() <= 0.02


def test_argmax_errs_as_the_theory_says() -> None:
    # Uniform in a cell of 4 px: the mean distance to the centre is 0.3826 * 4 = 1.53 px.
    errors = error_px(HeatmapCodecConfig(decoder="argmax"), random_points(count=5000, border=4))
    assert errors.mean().item() == pytest.approx(1.53, abs=0.04)


def test_quarter_offset_halves_the_error_of_argmax() -> None:
    points = random_points(count=5000, border=6)
    quarter = error_px(HeatmapCodecConfig(decoder="quarter"), points).mean().item()
    argmax = error_px(HeatmapCodecConfig(decoder="argmax"), points).mean().item()
    assert quarter == pytest.approx(argmax / 2, rel=0.03)


def test_maps_with_different_strides_along_x_and_y_decode_exactly() -> None:
    from sightline.codecs.protocol import CodecShape

    codec = HeatmapCodecConfig(sigma=1.5).build(CodecShape(input_hw=(96, 128), map_hw=(24, 16)))
    points = random_points(count=50, border=10)
    found = codec.decode(codec.perfect(codec.encode(Truth.of_points(points, torch.ones(50, 1, dtype=torch.bool)))))
    assert (found.xy - points).abs().max() <= 0.02


def test_a_target_moves_smoothly_with_its_point() -> None:
    codec = HeatmapCodecConfig(loss_kind="mse").build(MAPS)
    shown = torch.ones(1, 1, dtype=torch.bool)
    raw = codec.perfect(codec.encode(Truth.of_points(torch.tensor([[[50.0, 40.0]]]), shown)))
    steps = torch.arange(0, 4.01, 0.25)
    losses = torch.stack(
        [
            codec.loss(raw, codec.encode(Truth.of_points(torch.tensor([[[50.0 + s, 40.0]]]), shown)))
            for s in steps.tolist()
        ]
    )
    # A rounded target would give flat pieces with a jump at a cell's edge; this one rises with every quarter pixel.
    assert (losses.diff() > 0).all()
    assert losses.diff().max() < 3 * losses.diff().median()


@pytest.mark.parametrize("config", [IntegralCodecConfig(), HeatmapCodecConfig(), SimccCodecConfig()], ids=label)
def test_the_loss_is_least_at_the_truth(config: CodecConfig) -> None:
    codec = config.build(shape_for(config))
    shown = torch.ones(1, 1, dtype=torch.bool)
    truth = torch.tensor([[[61.3, 47.9]]])
    raw = codec.perfect(codec.encode(Truth.of_points(truth, shown)))
    at_truth = codec.loss(raw, codec.encode(Truth.of_points(truth, shown)))
    for dx, dy in ((0.2, 0.0), (-0.2, 0.0), (0.0, 0.2), (0.0, -0.2), (7.0, 3.0)):
        assert codec.loss(raw, codec.encode(Truth.of_points(truth + torch.tensor([dx, dy]), shown))) > at_truth
