"""Decoders on maps made by hand: several peaks, borders, flat maps, closed forms."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from sightline.codecs.peaks import Decoder, decode_maps, peaks, refine_row, soft_argmax, suppress

DECODERS = Decoder.__args__  # type: ignore[attr-defined]


def bump(x: float, y: float, *, height: float = 1.0, sigma: float = 1.5, h: int = 16, w: int = 20) -> Tensor:
    """A Gaussian at cell coordinates (x, y), centres at integers: [1, 1, h, w]."""
    rows, columns = torch.arange(h, dtype=torch.float64), torch.arange(w, dtype=torch.float64)
    squared = (rows[:, None] - y) ** 2 + (columns - x) ** 2
    return (height * torch.exp(-squared / (2 * sigma**2)))[None, None]


def log(heat: Tensor) -> Tensor:
    return heat.clamp_min(1e-30).log()


def test_suppression_keeps_exactly_the_local_peaks() -> None:
    kept = torch.isfinite(suppress(bump(4, 5) + bump(14, 10, height=0.7)))[0, 0].nonzero().tolist()
    assert kept == [[5, 4], [10, 14]]


def test_peaks_come_highest_first_and_missing_ones_are_marked() -> None:
    xy, heat = peaks(log(bump(4, 5, height=0.7) + bump(14, 10)), count=3, stride_xy=(4.0, 4.0))
    assert xy[0, 0, :2].tolist() == [[14.5 * 4, 10.5 * 4], [4.5 * 4, 5.5 * 4]]
    assert heat[0, 0, 0] > heat[0, 0, 1] > heat[0, 0, 2] == float("-inf")


def test_the_nms_decoder_follows_the_higher_of_two_peaks() -> None:
    found = decode_maps(log(bump(4.3, 5.2, height=0.5) + bump(14.2, 10.4)), decoder="nms", stride_xy=(4.0, 4.0))
    torch.testing.assert_close(found[0, 0], torch.tensor([14.7 * 4, 10.9 * 4]).double(), atol=0.05, rtol=0)


def test_soft_argmax_is_the_expectation() -> None:
    heat = torch.zeros(1, 1, 3, 4, dtype=torch.float64)
    heat[0, 0, 0, 1], heat[0, 0, 2, 3] = 0.25, 0.75
    x, y = soft_argmax(log(heat), stride_xy=(2.0, 10.0))[0, 0].tolist()
    assert x == pytest.approx((0.25 * 1.5 + 0.75 * 3.5) * 2)
    assert y == pytest.approx((0.25 * 0.5 + 0.75 * 2.5) * 10)


def test_dark_is_exact_for_a_tilted_gaussian() -> None:
    rows, columns = torch.arange(16.0).double()[:, None] - 7.3, torch.arange(20.0).double() - 9.6
    heat = torch.exp(-(0.3 * columns**2 + 0.2 * rows**2 + 0.15 * rows * columns))[None, None]
    found = decode_maps(log(heat), decoder="dark", stride_xy=(1.0, 1.0))
    torch.testing.assert_close(found[0, 0], torch.tensor([10.1, 7.8]).double(), atol=1e-6, rtol=0)


@pytest.mark.parametrize("decoder", DECODERS)
def test_a_flat_map_gives_a_finite_point_of_the_picture(decoder: Decoder) -> None:
    found = decode_maps(torch.zeros(1, 1, 8, 8), decoder=decoder, stride_xy=(4.0, 4.0))
    assert torch.isfinite(found).all()
    assert ((found >= 0) & (found <= 32)).all()


@pytest.mark.parametrize("decoder", [name for name in DECODERS if name != "soft-argmax"])
@pytest.mark.parametrize(("row", "column"), [(0, 0), (0, 5), (7, 0), (7, 7), (3, 7)])
def test_a_lone_cell_at_the_border_is_found_there(decoder: Decoder, row: int, column: int) -> None:
    maps = torch.full((1, 1, 8, 8), -50.0)
    maps[0, 0, row, column] = 0.0
    found = decode_maps(maps, decoder=decoder, stride_xy=(4.0, 4.0))[0, 0]
    torch.testing.assert_close(found, torch.tensor([column * 4 + 2.0, row * 4 + 2.0]), atol=0.01, rtol=0)


def test_a_lone_bin_at_the_end_of_a_row_is_found_there() -> None:
    rows = torch.full((1, 2, 9), -50.0)
    rows[0, 0, 0] = rows[0, 1, 8] = 0.0
    assert refine_row(rows, step_px=2.0)[0].tolist() == [1.0, 17.0]


@pytest.mark.parametrize("decoder", DECODERS)
def test_decoding_does_not_depend_on_the_maps_offset(decoder: Decoder) -> None:
    maps = log(bump(9.3, 6.8))
    one, two = (decode_maps(m, decoder=decoder, stride_xy=(4.0, 4.0)) for m in (maps, maps + 7.0))
    torch.testing.assert_close(one, two)


def test_every_decoder_moves_with_the_map() -> None:
    for decoder in DECODERS:
        one, two = (decode_maps(log(bump(x, 8)), decoder=decoder, stride_xy=(4.0, 4.0), radius=3) for x in (8.3, 11.3))
        torch.testing.assert_close(two - one, torch.tensor([[[12.0, 0.0]]]).double(), atol=0.01, rtol=0)
