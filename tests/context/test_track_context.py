"""What time adds: the trajectory's numbers, attention, stacked frames, FiLM; and the order of frames."""

from __future__ import annotations

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor
from torch.nn import functional as F

from sightline.context.attention import AttentionContextConfig
from sightline.context.film_pyramid import Film, FilmPyramidContextConfig
from sightline.context.prior import PriorConfig
from sightline.context.stack import StackContextConfig
from sightline.context.trajectory import ConvTrajectory, DeltaTrajectory, steps, triplets
from sightline.errors import UserError
from sightline.pieces import ContextPieceConfig
from sightline.types import FeatureMaps, FeatureSpec

SPEC = FeatureSpec(channels=(4, 6, 10), strides=(8, 16, 32), sizes_hw=((8, 6), (4, 3), (2, 2)))
INPUT_HW = (64, 48)
FILM = FilmPyramidContextConfig(
    coarse_widths=(12, 12, 8), fine_widths=(6, 6, 6), width=8, prior=PriorConfig(form="quadratic")
)
CONTEXTS: dict[str, ContextPieceConfig] = {
    "attention": AttentionContextConfig(),
    "attention-deltas": AttentionContextConfig(history=6, trajectory="deltas"),
    "stack": StackContextConfig(),
    "stack-two": StackContextConfig(levels=(1, 2), history=1, prior=PriorConfig(form="last-point")),
    "film": FILM,
    "no-film": FilmPyramidContextConfig(
        film=False, history=0, coarse_widths=(12, 12, 8), fine_widths=(6, 6, 6), width=8
    ),
}


def frames(*, count: int = 4, batch: int = 2, seed: int = 0) -> FeatureMaps:
    generator = torch.Generator().manual_seed(seed)
    levels = zip(SPEC.channels, SPEC.sizes_hw, strict=True)
    return FeatureMaps(
        maps=tuple(torch.randn(batch, count, c, *hw, generator=generator).requires_grad_() for c, hw in levels)
    )


def history(length: int, *, batch: int = 2, seed: int = 1) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(batch, length, 2, generator=generator), torch.rand(batch, length, generator=generator) > 0.3


def reordered(maps: FeatureMaps, order: list[int]) -> FeatureMaps:
    return FeatureMaps(maps=tuple(m[:, order] for m in maps.maps))


# --- all ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CONTEXTS)
def test_a_context_takes_time_away_and_reaches_every_weight_and_frame(name: str) -> None:
    config = CONTEXTS[name]
    torch.manual_seed(0)
    context = config.build(SPEC, input_hw=INPUT_HW)  # type: ignore[attr-defined]
    maps = frames()
    out = context(maps, *history(config.history))
    assert all(m.ndim == 4 and len(m) == 2 and torch.isfinite(m).all() for m in out.maps)
    if out.prior is not None:
        assert out.prior.shape == (2, 1, *out.maps[0].shape[2:])
        assert (out.prior >= 0).all()
    torch.stack([m.square().mean() for m in out.maps]).sum().backward()
    assert [key for key, p in context.named_parameters() if p.grad is None] == []
    used = [m for m in maps.maps if m.grad is not None]
    assert used
    assert all((m.grad.flatten(2).abs().sum(dim=2) > 0).all() for m in used if m.grad is not None)


@pytest.mark.parametrize("name", CONTEXTS)
def test_which_frame_is_the_current_one_matters(name: str) -> None:
    config = CONTEXTS[name]
    torch.manual_seed(0)
    context = config.build(SPEC, input_hw=INPUT_HW).eval()  # type: ignore[attr-defined]
    known = history(config.history)
    plain, swapped = context(frames(), *known), context(reordered(frames(), [1, 0, 2, 3]), *known)
    assert not torch.allclose(plain.maps[0], swapped.maps[0])


@pytest.mark.parametrize("name", ["attention", "attention-deltas"])
def test_attention_does_not_know_the_order_of_past_frames(name: str) -> None:
    config = CONTEXTS[name]
    context = config.build(SPEC, input_hw=INPUT_HW).eval()  # type: ignore[attr-defined]
    known = history(config.history)
    plain, swapped = context(frames(), *known), context(reordered(frames(), [0, 3, 1, 2]), *known)
    torch.testing.assert_close(plain.maps[0], swapped.maps[0])


@pytest.mark.parametrize("name", ["stack", "stack-two", "film", "no-film"])
def test_stacked_frames_know_the_order_of_past_frames(name: str) -> None:
    config = CONTEXTS[name]
    torch.manual_seed(0)
    context = config.build(SPEC, input_hw=INPUT_HW).eval()  # type: ignore[attr-defined]
    known = history(config.history)
    plain, swapped = context(frames(), *known), context(reordered(frames(), [0, 3, 1, 2]), *known)
    assert not torch.allclose(plain.maps[0], swapped.maps[0])


# --- trajectory --------------------------------------------------------------------------------------------


def test_triplets_of_points_that_were_not_visible_are_zeros_whatever_stands_there() -> None:
    xy = torch.tensor([[[0.2, 0.3], [0.9, 0.9], [0.4, 0.1]]])
    shown = torch.tensor([[True, False, True]])
    torch.testing.assert_close(triplets(xy, shown), torch.tensor([[[0.2, 0.3, 1.0], [0, 0, 0], [0.4, 0.1, 1.0]]]))
    other = torch.where(shown[..., None], xy, torch.full_like(xy, 0.5))
    for encoder in (ConvTrajectory(), DeltaTrajectory(history=3)):
        torch.testing.assert_close(encoder(xy, shown), encoder(other, shown))


def test_a_step_needs_both_of_its_ends() -> None:
    xy = torch.tensor([[[0.2, 0.3], [0.25, 0.5], [0.9, 0.9], [0.4, 0.1], [0.5, 0.3]]])
    shown = torch.tensor([[True, True, False, True, True]])
    torch.testing.assert_close(steps(xy, shown), torch.tensor([[[0.05, 0.2], [0, 0], [0, 0], [0.1, 0.2]]]))


def test_six_points_are_28_numbers_triplets_first_and_oldest_first() -> None:
    encoder = DeltaTrajectory(history=6)
    assert encoder.layer.in_features == 28
    xy, shown = history(6)
    by_hand = [*torch.cat([xy * shown[..., None], shown[..., None].float()], dim=-1)[0].flatten()]
    for now, after in zip(range(5), range(1, 6), strict=True):
        by_hand += [*((xy[0, after] - xy[0, now]) * (shown[0, now] & shown[0, after]))]
    torch.testing.assert_close(encoder(xy, shown)[0], encoder.layer(torch.stack(by_hand)).relu())


# --- attention ---------------------------------------------------------------------------------------------


def test_attention_gives_past_then_current_then_trajectory() -> None:
    torch.manual_seed(0)
    context = AttentionContextConfig().build(SPEC, input_hw=INPUT_HW).eval()
    maps, known = frames(), history(30)
    out = context(maps, *known).maps[0]
    assert out.shape == (2, 10 + 10 + 64, 1, 1)
    pooled = maps.maps[-1].mean(dim=(3, 4))
    torch.testing.assert_close(out[:, 10:20, 0, 0], pooled[:, 0])
    shares = torch.softmax(context.score(pooled[:, 1:]).squeeze(-1), dim=1)
    torch.testing.assert_close(out[:, :10, 0, 0], torch.einsum("bt,btc->bc", shares, pooled[:, 1:]))
    torch.testing.assert_close(out[:, 20:, 0, 0], context.trajectory(*known))


def test_attention_on_like_frames_gives_that_frame() -> None:
    context = AttentionContextConfig().build(SPEC, input_hw=INPUT_HW).eval()
    maps = frames(count=1)
    like = FeatureMaps(maps=tuple(m.expand(-1, 4, -1, -1, -1) for m in maps.maps))
    out = context(like, *history(30)).maps[0]
    torch.testing.assert_close(out[:, :10], out[:, 10:20])


# --- stack -------------------------------------------------------------------------------------------------


def test_a_stack_has_levels_side_by_side_in_each_frame_the_current_one_first() -> None:
    context = StackContextConfig(levels=(1, 2)).build(SPEC, input_hw=INPUT_HW)
    maps = frames()
    out = context(maps, *history(0)).maps[0]
    assert out.shape == (2, 4 * (6 + 10), 4, 3)
    for frame in range(4):
        part = out[:, 16 * frame : 16 * (frame + 1)]
        torch.testing.assert_close(part[:, :6], maps.maps[1][:, frame])
        coarse = F.interpolate(maps.maps[2][:, frame], size=(4, 3), mode="bilinear", align_corners=False)
        torch.testing.assert_close(part[:, 6:], coarse)


def test_a_level_that_is_not_there_is_named_with_those_that_are() -> None:
    with pytest.raises(UserError, match=r"context.levels = \[1, 3\], and the neck gives 3 maps"):
        StackContextConfig(levels=(1, 3)).build(SPEC, input_hw=INPUT_HW)


def test_a_prior_without_enough_history_is_refused() -> None:
    with pytest.raises(ValidationError, match="prior quadratic needs a history of 3, not 2"):
        StackContextConfig(history=2, prior=PriorConfig(form="quadratic"))
    with pytest.raises(ValidationError, match="film needs a history of at least 2, not 1"):
        FilmPyramidContextConfig(history=1)
    with pytest.raises(ValidationError, match="prior linear needs a history of 3, not 2"):
        FilmPyramidContextConfig(history=2, prior=PriorConfig(form="linear"))


# --- FiLM --------------------------------------------------------------------------------------------------


def test_film_is_the_identity_at_first_and_learns() -> None:
    film = Film(history=6, channels=8)
    maps, known = torch.randn(2, 8, 4, 3), history(6)
    assert torch.equal(film(maps, *known), maps)
    (film(maps, *known) - 1).square().mean().backward()
    assert film.scale.weight.grad is not None
    assert film.scale.weight.grad.abs().sum() > 0
    assert film.shift.weight.grad is not None
    assert film.shift.weight.grad.abs().sum() > 0


def test_the_pyramid_with_a_fresh_film_is_the_pyramid_without() -> None:
    torch.manual_seed(0)
    context = FILM.build(SPEC, input_hw=INPUT_HW).eval()
    modulated = context(frames(), *history(6)).maps[0]
    context.film = None
    torch.testing.assert_close(context(frames(), *history(6)).maps[0], modulated)


def test_the_pyramid_enlarges_the_coarse_branch_behind_the_frames_joint() -> None:
    context = FILM.build(SPEC, input_hw=INPUT_HW).eval()
    maps = frames()
    out = context(maps, *history(6)).maps[0]
    assert out.shape == (2, 8, 4, 3)
    coarse = torch.cat([context.coarse(maps.maps[2][:, t]) for t in range(4)], dim=1)
    fine = torch.cat([context.fine(maps.maps[1][:, t]) for t in range(4)], dim=1)
    enlarged = F.interpolate(coarse, size=(4, 3), mode="bilinear", align_corners=False)
    joined = torch.cat([context.fine_frames(fine), context.coarse_frames(enlarged)], dim=1)
    torch.testing.assert_close(out, context.join(joined))


def test_the_pyramid_needs_two_maps() -> None:
    one = FeatureSpec(channels=(8,), strides=(32,), sizes_hw=((2, 2),))
    with pytest.raises(UserError, match="there is only one"):
        FilmPyramidContextConfig().build(one, input_hw=INPUT_HW)
