"""Losses: closed forms against the naive dense computation, masks, and what they must not depend on."""

from __future__ import annotations

import pytest
import torch
from codec_cases import MAPS, every_codec, label, leaves, random_points, random_raw, shape_for
from torch import Tensor
from torch.nn import functional as F

from sightline.codecs import CodecConfig, gaussian
from sightline.codecs.coords import CoordsCodecConfig
from sightline.codecs.heatmap import LOSSES, HeatmapCodecConfig
from sightline.codecs.summed_heatmap import SummedHeatmapCodecConfig
from sightline.types import Raw, RawCoords, RawHeatmaps, Truth

EVERY = every_codec()


def dense_loss(name: str, logits: Tensor, gy: Tensor, gx: Tensor) -> Tensor:
    """The loss of each map from its dense target, as one would write it down."""
    target = gy[..., :, None] * gx[..., None, :]
    if name == "mse":
        return (logits - target).square().sum(dim=(2, 3))
    if name == "l1":
        return (logits - target).abs().sum(dim=(2, 3))
    if name == "bce":
        return F.binary_cross_entropy_with_logits(logits, target, reduction="none").sum(dim=(2, 3))
    share = target / target.sum(dim=(2, 3), keepdim=True)
    return -(share * logits.flatten(2).log_softmax(dim=2).view_as(logits)).sum(dim=(2, 3))


def drawn_maps(*, batch: int = 2, points: int = 3, h: int = 7, w: int = 5) -> tuple[Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(batch, points, h, w, generator=generator, dtype=torch.float64)
    gy = torch.rand(batch, points, h, generator=generator, dtype=torch.float64)
    gx = torch.rand(batch, points, w, generator=generator, dtype=torch.float64)
    return logits, gy, gx


@pytest.mark.parametrize("name", LOSSES)
def test_a_closed_form_equals_the_dense_computation_in_value_and_gradient(name: str) -> None:
    logits, gy, gx = drawn_maps()
    weights = torch.arange(1.0, 7.0, dtype=torch.float64).view(2, 3)  # every map's gradient has its own scale
    one, two = logits.clone().requires_grad_(), logits.clone().requires_grad_()
    found, wanted = LOSSES[name](one, gy, gx), dense_loss(name, two, gy, gx)
    torch.testing.assert_close(found, wanted)
    (found * weights).sum().backward()
    (wanted * weights).sum().backward()
    torch.testing.assert_close(one.grad, two.grad)


@pytest.mark.parametrize("name", LOSSES)
def test_a_closed_form_passes_the_check_of_its_gradient(name: str) -> None:
    logits, gy, gx = drawn_maps(batch=1, points=2, h=4, w=3)
    assert torch.autograd.gradcheck(lambda p: LOSSES[name](p, gy, gx), logits.requires_grad_())


@pytest.mark.parametrize("name", LOSSES)
def test_slices_of_any_size_give_the_same_loss_and_gradient(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    logits, gy, gx = drawn_maps()
    results = []
    for step in (1, 4, 6):  # one map at a time, four with a rest of two, all at once

        def slices(p: Tensor, step: int = step) -> list[slice]:
            return [slice(start, min(len(p), start + step)) for start in range(0, len(p), step)]

        monkeypatch.setattr(gaussian, "_slices", slices)
        leaf = logits.clone().requires_grad_()
        loss = LOSSES[name](leaf, gy, gx)
        loss.sum().backward()
        results.append((loss.detach(), leaf.grad))
    for result in results[1:]:
        torch.testing.assert_close(result, results[0])


@pytest.mark.parametrize("name", LOSSES)
def test_maps_in_channels_last_memory_give_the_same_loss_and_gradient(name: str) -> None:
    logits, gy, gx = drawn_maps()
    plain, turned = (
        logits.clone().requires_grad_(),
        logits.clone().to(memory_format=torch.channels_last).requires_grad_(),
    )
    for leaf in (plain, turned):
        LOSSES[name](leaf, gy, gx).sum().backward()
    torch.testing.assert_close(plain.grad, turned.grad)


def test_the_heatmap_codec_divides_by_cells_but_for_cross_entropy() -> None:
    raw = random_raw(HeatmapCodecConfig())
    assert isinstance(raw, RawHeatmaps)
    truth, shown = random_points(count=6, border=5).view(2, 3, 2), torch.ones(2, 3, dtype=torch.bool)
    for name in LOSSES:
        codec = HeatmapCodecConfig(loss_kind=name).build(MAPS)
        target = codec.encode(Truth.of_points(truth, shown))
        wanted = dense_loss(name, raw.logits, target.y, target.x).mean()
        torch.testing.assert_close(codec.loss(raw, target), wanted if name == "ce" else wanted / (24 * 32))


def test_the_summed_loss_equals_the_dense_computation() -> None:
    codec = SummedHeatmapCodecConfig(sigma=2.0).build(MAPS)
    raw = random_raw(SummedHeatmapCodecConfig())
    assert isinstance(raw, RawHeatmaps)
    shown = torch.tensor([[True, False, True], [True, True, True]])
    target = codec.encode(Truth.of_points(random_points(count=6, border=5).view(2, 3, 2), shown))
    dense = (target.y[..., :, None] * target.x[..., None, :] * shown[..., None, None]).sum(dim=1)
    share = dense / dense.sum(dim=(1, 2), keepdim=True)
    logs = raw.logits.sum(dim=1).flatten(1).log_softmax(dim=1).view_as(dense)
    torch.testing.assert_close(codec.loss(raw, target), -(share * logs).sum(dim=(1, 2)).mean())


def gradients(config: CodecConfig, raw: Raw, truth: Tensor, shown: Tensor) -> tuple[Tensor, list[Tensor]]:
    made = type(raw)(**{key: value.clone().requires_grad_() for key, value in vars(raw).items()})
    codec = config.build(shape_for(config))
    loss = codec.loss(made, codec.encode(Truth.of_points(truth, shown)))
    loss.backward()
    return loss.detach(), [leaf.grad for leaf in leaves(made) if leaf.grad is not None]


@pytest.mark.parametrize("config", EVERY, ids=label)
def test_every_loss_is_finite_and_reaches_every_output(config: CodecConfig) -> None:
    raw = random_raw(config)
    loss, grads = gradients(
        config, raw, random_points(count=6, border=9).view(2, 3, 2), torch.ones(2, 3, dtype=torch.bool)
    )
    assert loss.ndim == 0
    assert torch.isfinite(loss)
    assert len(grads) == len(leaves(raw))
    assert all(torch.isfinite(grad).all() and grad.abs().sum() > 0 for grad in grads)


@pytest.mark.parametrize("config", EVERY, ids=label)
def test_points_that_are_not_visible_have_no_effect(config: CodecConfig) -> None:
    raw = random_raw(config)
    truth = random_points(count=6, border=9).view(2, 3, 2)
    shown = torch.tensor([[True, False, True], [True, True, False]])
    elsewhere = torch.where(shown[..., None], truth, torch.zeros_like(truth))
    loss, grads = gradients(config, raw, truth, shown)
    moved_loss, moved_grads = gradients(config, raw, elsewhere, shown)
    torch.testing.assert_close(moved_loss, loss)
    torch.testing.assert_close(moved_grads, grads)
    if config.kind != "summed-heatmap":  # the sum of all maps has no map of its own for a point
        assert all((grad[~shown] == 0).all() for grad in grads)


@pytest.mark.parametrize("config", EVERY, ids=label)
def test_without_any_visible_point_loss_and_gradient_are_zero(config: CodecConfig) -> None:
    loss, grads = gradients(config, random_raw(config), torch.zeros(2, 3, 2), torch.zeros(2, 3, dtype=torch.bool))
    assert loss == 0
    assert all((grad == 0).all() for grad in grads)


@pytest.mark.parametrize("config", EVERY, ids=label)
def test_the_mean_goes_over_visible_points_not_over_pictures(config: CodecConfig) -> None:
    if config.kind == "summed-heatmap":
        pytest.skip("one map a picture: the mean goes over pictures")
    raw = random_raw(config)
    truth = random_points(count=6, border=9).view(2, 3, 2)
    codec = config.build(shape_for(config))
    one_by_one = []
    for b, k in ((0, 0), (1, 1), (1, 2)):
        only = torch.zeros(2, 3, dtype=torch.bool)
        only[b, k] = True
        one_by_one.append(codec.loss(raw, codec.encode(Truth.of_points(truth, only))))
    together = torch.tensor([[True, False, False], [False, True, True]])
    torch.testing.assert_close(
        codec.loss(raw, codec.encode(Truth.of_points(truth, together))), torch.stack(one_by_one).mean()
    )


@pytest.mark.parametrize("config", EVERY, ids=label)
def test_decoding_an_untrained_network_stays_in_reach_of_the_picture(config: CodecConfig) -> None:
    points = config.build(shape_for(config)).decode(random_raw(config))
    assert points.xy.shape == (2, 3, 2)
    assert points.score.shape == (2, 3)
    assert torch.isfinite(points.xy).all()
    assert ((points.score >= 0) & (points.score <= 1 + 1e-6)).all()
    if config.kind != "coords":
        assert (points.xy >= -4).all()
        assert (points.xy <= torch.tensor([128.0, 96.0]) + 4).all()


def coords_loss(kind: str, dx: float, dy: float, **settings: object) -> float:
    """Loss of one point predicted (dx, dy) fractions away from the truth at (0.5, 0.5)."""
    codec = CoordsCodecConfig(loss_kind=kind, **settings).build(shape_for(CoordsCodecConfig()))  # type: ignore[arg-type]
    target = codec.encode(
        Truth.of_points(torch.tensor([[[64.0, 48.0]]], dtype=torch.float64), torch.ones(1, 1, dtype=torch.bool))
    )
    raw = RawCoords(xy=torch.tensor([[[0.5 + dx, 0.5 + dy]]], dtype=torch.float64))
    return codec.loss(raw, target).item()


def test_coordinate_losses_equal_hand_computed_ones() -> None:
    assert coords_loss("mse", 0.3, 0.4) == pytest.approx((0.09 + 0.16) / 2)
    assert coords_loss("l1", 0.3, -0.4) == pytest.approx(0.35)
    assert coords_loss("smooth-l1", 0.3, 0.004) == pytest.approx((0.3 - 0.005 + 0.5 * 0.004**2 / 0.01) / 2)
    assert coords_loss("relaxed-l2", 0.3, 0.4) == pytest.approx(0.5)
    assert coords_loss("relaxed-l2", 0.3, 0.4, margin=0.1) == pytest.approx(0.4)
    assert coords_loss("relaxed-l2", 0.3, 0.4, margin=0.1, squared=True) == pytest.approx(0.16)
    assert coords_loss("relaxed-l2", 0.03, 0.04, margin=0.1) == 0.0


def test_the_wing_loss_is_continuous_where_its_two_pieces_meet() -> None:
    # 10 px of 128 is the joint.
    below, above = coords_loss("wing", 9.9999 / 128, 0.0), coords_loss("wing", 10.0001 / 128, 0.0)
    assert below == pytest.approx(above, abs=1e-3)


def test_relaxed_l2_has_a_finite_gradient_at_the_truth_itself() -> None:
    config = CoordsCodecConfig(loss_kind="relaxed-l2")
    _, grads = gradients(
        config, RawCoords(xy=torch.full((1, 1, 2), 0.5)), torch.tensor([[[64.0, 48.0]]]), torch.ones(1, 1).bool()
    )
    assert torch.isfinite(grads[0]).all()
