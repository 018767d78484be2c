from __future__ import annotations

import math

import pytest
import torch

from sightline.codecs.protocol import CodecShape
from sightline.codecs.track_peak import TrackPeakCodecConfig
from sightline.types import RawTrackMap, Truth

SHAPE = CodecShape(input_hw=(64, 96), map_hw=(16, 24))


def truth(x: float, y: float, *, visible: bool = True) -> Truth:
    return Truth.of_points(torch.tensor([[[x, y]]]), torch.tensor([[visible]]))


@pytest.mark.parametrize("place", [(48.0, 32.0), (50.3, 29.9), (6.1, 57.7)])
def test_a_perfect_map_gives_the_point_back_below_a_hundredth_of_a_pixel(place: tuple[float, float]) -> None:
    codec = TrackPeakCodecConfig().build(SHAPE)
    points = codec.decode(codec.perfect(codec.encode(truth(*place))))
    assert points.xy[0, 0].tolist() == pytest.approx(place, abs=0.01)
    assert points.score[0, 0].item() == pytest.approx(1.0, abs=1e-6)


def test_a_perfect_map_of_an_invisible_point_scores_zero() -> None:
    codec = TrackPeakCodecConfig().build(SHAPE)
    points = codec.decode(codec.perfect(codec.encode(truth(10.0, 10.0, visible=False))))
    assert points.score[0, 0].item() == pytest.approx(0.0, abs=1e-6)


def test_the_loss_of_flat_logits_is_the_logarithm_of_the_cells_and_of_two() -> None:
    codec = TrackPeakCodecConfig(visible_weight=0.5).build(SHAPE)
    raw = RawTrackMap(logits=torch.zeros(1, 16, 24), visible=torch.zeros(1))
    there = codec.loss(raw, codec.encode(truth(48.0, 32.0)))
    gone = codec.loss(raw, codec.encode(truth(0.0, 0.0, visible=False)))
    assert there.item() == pytest.approx(math.log(16 * 24) + 0.5 * math.log(2), rel=1e-5)
    assert gone.item() == pytest.approx(0.5 * math.log(2), rel=1e-5)


def test_where_the_point_is_not_visible_the_map_is_left_alone() -> None:
    codec = TrackPeakCodecConfig().build(SHAPE)
    logits = torch.randn(1, 16, 24, requires_grad=True)
    codec.loss(
        RawTrackMap(logits=logits, visible=torch.zeros(1, requires_grad=True)), codec.encode(truth(5, 5, visible=False))
    ).backward()
    assert logits.grad is not None and not logits.grad.any()


def test_every_frame_counts_with_or_without_a_visible_point() -> None:
    codec = TrackPeakCodecConfig().build(SHAPE)
    assert codec.weight(truth(1, 1, visible=False)).item() == codec.weight(truth(1, 1)).item() == 1


def test_places_are_the_peaks_by_height_and_the_first_is_the_answer() -> None:
    codec = TrackPeakCodecConfig().build(SHAPE)
    heat = [codec.perfect(codec.encode(truth(*place))).logits.exp() for place in ((20.3, 12.1), (70.0, 50.0), (46, 30))]
    raw = RawTrackMap(logits=(0.5 * heat[0] + 0.3 * heat[1] + 0.2 * heat[2]).clamp_min(1e-30).log(), visible=None)
    places = codec.places(raw, count=3)
    assert places.shape == (1, 3, 2)
    assert places[0, 0].tolist() == pytest.approx((20.3, 12.1), abs=0.01)
    # The others are as good as a cell of 4 x 4 pixels.
    assert (places[0, 1:] - torch.tensor([[70.0, 50.0], [46.0, 30.0]])).abs().max() <= 2
    assert codec.places(raw, count=1).tolist() == places[:, :1].tolist()


def test_a_map_with_one_peak_has_one_place() -> None:
    codec = TrackPeakCodecConfig().build(SHAPE)
    rows, columns = torch.meshgrid(torch.arange(16.0), torch.arange(24.0), indexing="ij")
    hill = -((rows - 5) ** 2 + (columns - 7) ** 2)  # falls everywhere: no second peak, at the border neither
    places = codec.places(RawTrackMap(logits=hill[None], visible=None), count=3)
    assert places[0].tolist() == [pytest.approx((30.0, 22.0), abs=0.01)] * 3
