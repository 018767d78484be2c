"""Codecs of tracks: losses by hand, the fault of the three guesses next to its repair, round trips."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from sightline.codecs.protocol import CodecShape
from sightline.codecs.track_coords import TrackCoordsCodec, TrackCoordsCodecConfig, crowding
from sightline.codecs.track_losses import TrackTarget
from sightline.codecs.track_map import TrackMapCodec, TrackMapCodecConfig
from sightline.errors import UserError
from sightline.types import RawTrackCoords, RawTrackMap, Truth

INPUT_HW = (96, 128)
MAP_HW = (12, 16)


def coords(**settings: object) -> TrackCoordsCodec:
    config = TrackCoordsCodecConfig(**{"visible_loss": "none", **settings})  # type: ignore[arg-type]
    return config.build(CodecShape(input_hw=INPUT_HW))


def maps(**settings: object) -> TrackMapCodec:
    config = TrackMapCodecConfig(**{"visible_loss": "none", **settings})  # type: ignore[arg-type]
    return config.build(CodecShape(input_hw=INPUT_HW, map_hw=MAP_HW))


def target(*points: tuple[float, float] | None) -> TrackTarget:
    """None is not visible."""
    xy = torch.tensor([point or (0.0, 0.0) for point in points])
    return TrackTarget(xy=xy, visible=torch.tensor([point is not None for point in points]))


def guesses(*rows: list[tuple[float, float]], visible: list[float] | None = None) -> RawTrackCoords:
    logits = None if visible is None else torch.tensor(visible, requires_grad=True)
    return RawTrackCoords(xy=torch.tensor(rows, requires_grad=True), visible=logits)


def truth(*points: tuple[float, float] | None) -> Truth:
    xy = torch.tensor([[point or (0.0, 0.0)] for point in points])
    return Truth.of_points(xy, torch.tensor([[point is not None] for point in points]))


# --- the relaxed distance ----------------------------------------------------------------------------------

# Off by (0.3, 0.4): distance 0.5, 0.47 beyond a margin of 0.03. Second picture within the margin, third not visible.
THREE = [(0.5, 0.6)], [(0.51, 0.5)], [(0.9, 0.9)]
ASKED = target((0.2, 0.2), (0.5, 0.5), None)


def test_the_relaxed_distance_is_a_mean_over_pictures_and_counts_where_visible() -> None:
    assert coords(margin=0.03).loss(guesses(*THREE), ASKED).item() == pytest.approx(0.47 / 3)
    assert coords(margin=0.03, squared=True).loss(guesses(*THREE), ASKED).item() == pytest.approx(0.47**2 / 3)
    assert coords().loss(guesses(*THREE), ASKED).item() == pytest.approx((0.5 + 0.01) / 3)


def test_within_the_margin_and_where_not_visible_nothing_pulls() -> None:
    raw = guesses(*THREE)
    coords(margin=0.03).loss(raw, ASKED).backward()
    assert raw.xy.grad is not None
    torch.testing.assert_close(raw.xy.grad[0], torch.tensor([[0.6, 0.8]]) / 3)
    assert not raw.xy.grad[1:].any()


def test_a_believed_distance_is_weighed_with_the_probability_and_leaves_it_alone() -> None:
    codec = coords(margin=0.03, squared=True, believed=True, visible_loss="bce", visible_weight=0.0)
    raw = guesses(*THREE, visible=[math.log(4), 0.0, 5.0])  # 0.8 of the first
    loss = codec.loss(raw, ASKED)
    assert loss.item() == pytest.approx(0.8 * 0.47**2 / 3)
    loss.backward()
    assert raw.visible is not None
    assert raw.visible.grad is not None
    assert not raw.visible.grad.any()


# --- visibility --------------------------------------------------------------------------------------------


def visibility_loss(**settings: object) -> float:
    """Of one visible picture believed with 0.8 and one that is not visible, believed with 0.5."""
    raw = guesses([(0.5, 0.5)], [(0.5, 0.5)], visible=[math.log(4), 0.0])
    return coords(**settings).loss(raw, target((0.5, 0.5), None)).item()


def test_each_visibility_loss_by_hand() -> None:
    assert visibility_loss(visible_loss="bce") == pytest.approx(-(math.log(0.8) + math.log(0.5)) / 2)
    assert visibility_loss(visible_loss="mse") == pytest.approx((0.2**2 + 0.5**2) / 2)
    # Smoothed: 0.9 and 0.1 are asked for.
    smoothed = visibility_loss(visible_loss="mse", visible_smoothing=0.1)
    assert smoothed == pytest.approx((0.1**2 + 0.4**2) / 2)
    assert visibility_loss(visible_loss="mse", visible_weight=0.5) == pytest.approx(0.145 / 2)


def test_the_weight_of_visibility_rises_in_fifths() -> None:
    # Ten epochs of 7 steps; the published weight is (epoch + 1) / 5 of 0.5, so 0.5 from the fifth on.
    codec = coords(visible_loss="mse", visible_weight=0.5, visible_warmup=0.5)
    raw, asked = guesses([(0.5, 0.5)], [(0.5, 0.5)], visible=[math.log(4), 0.0]), target((0.5, 0.5), None)
    for step in range(70):
        codec.set_progress(step / 70)
        epoch = step // 7
        expected = 0.145 * 0.5 * min(1.0, (epoch + 1) / 5)
        assert codec.loss(raw, asked).item() == pytest.approx(expected), (step, epoch)


def test_without_a_warm_up_the_weight_is_whole_at_once() -> None:
    codec = coords(visible_loss="mse")
    for share in (0.0, 0.5, 1.0):
        codec.set_progress(share)
        assert codec.warm == 1.0


@pytest.mark.parametrize("loss", ["bce", "mse"])
def test_a_head_without_visibility_and_a_loss_of_it_are_told(loss: str) -> None:
    with pytest.raises(UserError, match=f"codec.visible_loss is {loss}, and the head gives no visibility"):
        coords(visible_loss=loss).loss(guesses([(0.5, 0.5)]), target((0.5, 0.5)))


def test_a_visibility_that_nothing_would_train_is_told() -> None:
    with pytest.raises(UserError, match=r"codec\.visible_loss is none, and the head gives a visibility"):
        coords().loss(guesses([(0.5, 0.5)], visible=[0.0]), target((0.5, 0.5)))


def test_a_batch_of_invisible_points_has_a_finite_loss_that_teaches_visibility_only() -> None:
    raw = guesses([(0.5, 0.5)], [(0.1, 0.5)], visible=[1.0, 0.0])
    loss = coords(visible_loss="bce").loss(raw, target(None, None))
    loss.backward()
    assert torch.isfinite(loss)
    assert raw.visible is not None
    assert raw.visible.grad is not None
    assert (raw.visible.grad > 0).all()
    assert raw.xy.grad is not None
    assert not raw.xy.grad.any()


def test_the_weight_of_pictures_counts_those_without_a_visible_point_too() -> None:
    assert coords().weight(truth((5.0, 5.0), None, (7.0, 1.0))).item() == 3
    assert maps().weight(truth(None, None)).item() == 2


# --- three guesses -----------------------------------------------------------------------------------------

AT = (0.5, 0.5)
FAR = [AT, (0.8, 0.9), (0.2, 0.1)]  # one on the point, two half the picture away


def test_guesses_share_the_cube_root_of_their_product() -> None:
    # Distances 0.05, 0.1 and 0.5, margin 0.03: 0.02 * 0.07 * 0.47; nothing closer than 0.05 to another.
    raw = guesses([(0.55, 0.5), (0.5, 0.6), (0.2, 0.1)])
    assert coords(margin=0.03).loss(raw, target(AT)).item() == pytest.approx((0.02 * 0.07 * 0.47) ** (1 / 3), abs=2e-4)


def test_guesses_that_are_too_close_cost() -> None:
    xy = torch.tensor([[(0.5, 0.5), (0.53, 0.5), (0.9, 0.5)], [(0.1, 0.1), (0.2, 0.2), (0.9, 0.5)]])
    torch.testing.assert_close(crowding(xy, apart=0.05), torch.tensor([0.02**2, 0.0]))


def test_as_meant_one_good_guess_is_enough_and_the_others_are_left_alone() -> None:
    raw = guesses(FAR)
    loss = coords(margin=0.03).loss(raw, target(AT))
    assert loss.item() == pytest.approx(0.0, abs=1e-6)
    loss.backward()
    assert raw.xy.grad is not None
    assert not raw.xy.grad.any()


def test_as_published_all_guesses_are_drawn_to_the_point_whatever_the_others_do() -> None:
    raw = guesses(FAR)
    loss = coords(margin=0.03, guesses_as_axes=True).loss(raw, target(AT))
    assert loss.item() > 0.1  # no guess is judged by itself, so a perfect one changes nothing
    loss.backward()
    assert raw.xy.grad is not None
    assert not raw.xy.grad[0, 0].any()
    # Downhill is towards the point for both far guesses, along both axes.
    towards = (torch.tensor(AT) - raw.xy.detach()) * -raw.xy.grad
    assert (towards[0, 1:] > 0).all()


def test_as_published_the_loss_is_that_of_two_distances_one_an_axis() -> None:
    # x: off by 0.1, 0.2, 0.2 -> 0.3; y: 0, 0.3, 0.4 -> 0.5; their product's cube root.
    raw = guesses([(0.6, 0.5), (0.7, 0.8), (0.3, 0.9)])
    loss = coords(guesses_as_axes=True).loss(raw, target(AT))
    assert loss.item() == pytest.approx((0.3 * 0.5) ** (1 / 3), abs=2e-4)


@pytest.mark.parametrize(("as_axes", "gathers"), [(True, True), (False, False)])
def test_descent_gathers_all_guesses_as_published_and_only_the_nearest_as_meant(as_axes: bool, gathers: bool) -> None:
    """The published "dense clusters": half the frames show the point at the left, half at the right."""
    xy = torch.tensor([[(0.15, 0.45), (0.5, 0.1), (0.85, 0.55)]], requires_grad=True)
    codec = coords(margin=0.03, guesses_as_axes=as_axes)
    asked = target((0.2, 0.5), (0.8, 0.5))
    optimizer = torch.optim.Adam([xy], lr=3e-3)
    for _ in range(600):
        optimizer.zero_grad()
        codec.loss(RawTrackCoords(xy=xy.expand(2, -1, -1)), asked).backward()
        assert xy.grad is not None
        assert torch.isfinite(xy.grad).all()
        optimizer.step()
    found = xy.detach()[0]
    off = torch.cdist(asked.xy, found).amin(dim=1)  # each point's nearest guess
    if gathers:
        assert torch.pdist(found).max() < 0.25  # from 0.7 at first
        assert off.max() > 0.2
    else:
        assert torch.pdist(found).max() > 0.4
        assert off.max() < 0.06


def test_the_slope_stays_finite_where_a_guess_meets_the_point() -> None:
    raw = guesses([AT, (0.56, 0.5), (0.5, 0.56)])
    coords().loss(raw, target(AT)).backward()
    assert raw.xy.grad is not None
    assert torch.isfinite(raw.xy.grad).all()


def test_guesses_decode_to_their_mean() -> None:
    points = coords().decode(guesses([(0.25, 0.5), (0.5, 0.25), (0.75, 0.75)]))
    torch.testing.assert_close(points.xy.detach(), torch.tensor([[[64.0, 48.0]]]))
    assert points.score.tolist() == [[1.0]]


# --- maps --------------------------------------------------------------------------------------------------


def test_a_map_decodes_to_the_expectation_of_cells_centres() -> None:
    logits = torch.full((1, *MAP_HW), -1e4)
    logits[0, 3, 2] = logits[0, 3, 4] = 0.0  # centres (2.5, 3.5) and (4.5, 3.5), in cells of 8 px
    points = maps().decode(RawTrackMap(logits=logits))
    torch.testing.assert_close(points.xy, torch.tensor([[[3.5 * 8, 3.5 * 8]]]))


def test_the_temperature_sharpens() -> None:
    logits = torch.full((1, *MAP_HW), -1e4)
    logits[0, 3, 2], logits[0, 3, 4] = 0.7, 0.0
    share = math.exp(0.7 / 0.7) / (1 + math.exp(0.7 / 0.7))
    points = maps(temperature=0.7).decode(RawTrackMap(logits=logits))
    assert points.xy[0, 0, 0].item() == pytest.approx(8 * (2.5 * share + 4.5 * (1 - share)), abs=1e-3)


def test_the_loss_of_a_map_is_the_relaxed_distance_of_its_expectation() -> None:
    logits = torch.zeros(2, *MAP_HW, requires_grad=True)  # flat: the middle
    loss = maps(margin=0.1).loss(RawTrackMap(logits=logits), target((0.2, 0.1), None))
    assert loss.item() == pytest.approx((0.5 - 0.1) / 2)
    loss.backward()
    assert logits.grad is not None
    assert not logits.grad[1].any()
    # The cell at the point must rise, the one opposite must fall.
    assert logits.grad[0, 1, 3] < 0 < logits.grad[0, 10, 12]


def test_a_map_in_half_precision_gives_the_point_of_single_precision() -> None:
    logits = torch.randn(4, *MAP_HW, generator=torch.Generator().manual_seed(0)).half()
    half, single = maps().decode(RawTrackMap(logits=logits)), maps().decode(RawTrackMap(logits=logits.float()))
    assert torch.equal(half.xy, single.xy)


# --- round trips -------------------------------------------------------------------------------------------


def shown(values: Tensor) -> Truth:
    return Truth.of_points(values.unsqueeze(1), torch.ones(len(values), 1, dtype=torch.bool))


@given(x=st.floats(0, 127.9), y=st.floats(0, 95.9))
@settings(max_examples=40, deadline=None)
def test_coordinates_come_back(x: float, y: float) -> None:
    codec = coords()
    found = codec.decode(codec.perfect(codec.encode(shown(torch.tensor([[x, y]])))))
    assert found.xy[0, 0].tolist() == pytest.approx([x, y], abs=1e-4)


@given(x=st.floats(0, 127.9), y=st.floats(0, 95.9), temperature=st.sampled_from([0.5, 0.7, 1.0, 2.0]))
@settings(max_examples=60, deadline=None)
def test_points_of_a_map_come_back_up_to_half_a_cell_at_the_border(x: float, y: float, temperature: float) -> None:
    codec = maps(temperature=temperature)
    found = codec.decode(codec.perfect(codec.encode(shown(torch.tensor([[x, y]])))))
    # Outermost centres lie half a cell, 4 px, inside.
    within = [min(max(x, 4.0), 124.0), min(max(y, 4.0), 92.0)]
    assert found.xy[0, 0].tolist() == pytest.approx(within, abs=2e-3)


@pytest.mark.parametrize(("loss", "smoothing"), [("bce", 0.0), ("mse", 0.0), ("mse", 0.1)])
def test_visibility_comes_back_as_the_score_that_was_asked_for(loss: str, smoothing: float) -> None:
    for codec in (
        coords(visible_loss=loss, visible_smoothing=smoothing),
        maps(visible_loss=loss, visible_smoothing=smoothing),
    ):
        encoded = codec.encode(truth((64.0, 48.0), None))
        raw = codec.perfect(encoded)
        found = codec.decode(raw)  # type: ignore[arg-type]
        assert found.xy.shape == (2, 1, 2)
        torch.testing.assert_close(found.score, torch.tensor([[1 - smoothing], [smoothing]]), atol=1e-4, rtol=0)
        assert codec.loss(raw, encoded).item() == pytest.approx(0.0, abs=1e-4)  # type: ignore[arg-type]


def test_what_stands_where_a_point_is_not_visible_does_not_matter() -> None:
    hidden = torch.zeros(1, 1, dtype=torch.bool)
    one = maps().encode(Truth.of_points(torch.tensor([[[50.0, 40.0]]]), hidden))
    two = maps().encode(Truth.of_points(torch.tensor([[[0.0, 0.0]]]), hidden))
    assert torch.equal(one.xy, two.xy)
