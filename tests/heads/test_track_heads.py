"""Heads of tracks: shapes, first answers, the weight of the prior, and settings that do not go together."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from sightline.errors import UserError
from sightline.heads.track_map import TrackMapHeadConfig
from sightline.heads.track_mlp import TrackMlpHeadConfig
from sightline.heads.track_split import TrackSplitHeadConfig
from sightline.pieces import HeadShape
from sightline.types import FeatureMaps, FeatureSpec

VECTOR = FeatureSpec(channels=(20,), strides=(64,), sizes_hw=((1, 1),))
MAP = FeatureSpec(channels=(12,), strides=(16,), sizes_hw=((4, 5),))
SHAPE = HeadShape(input_hw=(64, 80), num_points=1)


def vectors(*, batch: int = 3) -> FeatureMaps:
    return FeatureMaps(maps=(torch.randn(batch, 20, 1, 1, generator=torch.Generator().manual_seed(0)),))


def maps(*, batch: int = 3, prior: Tensor | None = None) -> FeatureMaps:
    drawn = torch.randn(batch, 12, 4, 5, generator=torch.Generator().manual_seed(0))
    return FeatureMaps(maps=(drawn,), prior=prior)


def present(values: Tensor | None) -> Tensor:
    assert values is not None
    return values


# --- fully connected ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("guesses", [1, 3])
def test_an_mlp_gives_guesses_and_a_logit(guesses: int) -> None:
    head = TrackMlpHeadConfig(hidden=(16, 8), dropout=(0.3, 0.2), guesses=guesses).build(VECTOR, shape=SHAPE)
    raw = head(vectors())
    assert raw.xy.shape == (3, guesses, 2)
    assert present(raw.visible).shape == (3,)
    (raw.xy.square().mean() + present(raw.visible).mean()).backward()
    assert all(p.grad is not None for p in head.parameters())


def test_dropout_stands_behind_each_hidden_layer() -> None:
    head = TrackMlpHeadConfig(hidden=(16, 8, 4), dropout=(0.3, 0.3, 0.2)).build(VECTOR, shape=SHAPE)
    kinds = [type(part).__name__ for part in head.layers]
    assert kinds == ["Linear", "ReLU", "Dropout"] * 3
    assert [part.p for part in head.layers if hasattr(part, "p")] == [0.3, 0.3, 0.2]


def test_without_visibility_the_last_layer_is_narrower() -> None:
    head = TrackMlpHeadConfig(hidden=(8,), visible="none").build(VECTOR, shape=SHAPE)
    assert head(vectors()).visible is None
    assert head.last.out_features == 2


def test_a_squashed_point_cannot_leave_the_picture() -> None:
    head = TrackMlpHeadConfig(hidden=(8,), squash=True).build(VECTOR, shape=SHAPE)
    with torch.no_grad():
        head.last.weight.mul_(100)
    xy = head(vectors()).xy
    assert ((xy >= 0) & (xy <= 1)).all()


@pytest.mark.parametrize("dropout", [(0.3,), (0.3, 1.0), (0.3, -0.1)])
def test_wrong_rates_of_dropout_are_told(dropout: tuple[float, ...]) -> None:
    with pytest.raises(UserError, match=r"head.dropout = .* for each of the 2 hidden layers \[16, 8\]"):
        TrackMlpHeadConfig(hidden=(16, 8), dropout=dropout).build(VECTOR, shape=SHAPE)


def test_a_split_head_starts_near_the_middle_and_at_the_share_of_visible_frames() -> None:
    head = TrackSplitHeadConfig(trunk=(16,), branch=8).build(VECTOR, shape=SHAPE)
    with torch.no_grad():
        for branch in (head.place, head.visible):
            list(branch.parameters())[-2].zero_()  # the last weights; the last biases are left
    raw = head(vectors())
    torch.testing.assert_close(raw.xy, torch.full((3, 1, 2), 0.5))
    torch.testing.assert_close(present(raw.visible).sigmoid(), torch.full((3,), 0.65))


def test_the_branches_of_a_split_head_learn_by_themselves() -> None:
    head = TrackSplitHeadConfig(trunk=(16,), branch=8).build(VECTOR, shape=SHAPE)
    head(vectors()).xy.sum().backward()
    assert all(p.grad is None for p in head.visible.parameters())
    assert all(p.grad is not None for p in [*head.trunk.parameters(), *head.place.parameters()])


# --- maps --------------------------------------------------------------------------------------------------


def test_a_map_is_of_the_finest_maps_size() -> None:
    head = TrackMapHeadConfig(layers=((8, 1), (8, 3))).build(MAP, shape=SHAPE)
    raw = head(maps())
    assert raw.logits.shape == (3, 4, 5)
    assert present(raw.visible).shape == (3,)
    assert head(maps(batch=1)).logits.shape == (1, 4, 5)


def test_every_frame_is_at_first_visible_with_probability_065() -> None:
    raw = TrackMapHeadConfig().build(MAP, shape=SHAPE)(maps())
    torch.testing.assert_close(present(raw.visible).sigmoid(), torch.full((3,), 0.65))


def test_visibility_is_read_off_the_highest_and_the_mean_logit_of_the_finished_map() -> None:
    head = TrackMapHeadConfig(prior="fixed").build(MAP, shape=SHAPE)
    assert head.visible is not None
    with torch.no_grad():
        head.visible.weight.copy_(torch.tensor([[2.0, -3.0]]))
    raw = head(maps(prior=torch.rand(3, 1, 4, 5)))
    flat = raw.logits.flatten(1)
    torch.testing.assert_close(raw.visible, 2 * flat.amax(1) - 3 * flat.mean(1) + math.log(0.65 / 0.35))


@pytest.mark.parametrize(
    ("settings", "weight"),
    [
        ({"prior": "learned", "prior_gate": 0.0}, math.log(2)),  # 0.693
        ({"prior": "learned", "prior_gate": 1.0}, math.log1p(math.e)),  # 1.313
        ({"prior": "fixed", "prior_weight": 2.0}, 2.0),
    ],
)
def test_the_prior_is_added_with_its_weight(settings: dict[str, object], weight: float) -> None:
    torch.manual_seed(0)
    head = TrackMapHeadConfig(**settings).build(MAP, shape=SHAPE)  # type: ignore[arg-type]
    prior = torch.rand(3, 1, 4, 5)
    nothing, something = head(maps(prior=torch.zeros_like(prior))), head(maps(prior=prior))
    torch.testing.assert_close(something.logits - nothing.logits, weight * prior[:, 0])


def test_a_learned_weight_is_one_parameter_with_a_gradient() -> None:
    learned = TrackMapHeadConfig(prior="learned").build(MAP, shape=SHAPE)
    fixed = TrackMapHeadConfig(prior="fixed").build(MAP, shape=SHAPE)
    assert sum(p.numel() for p in learned.parameters()) == sum(p.numel() for p in fixed.parameters()) + 1
    learned(maps(prior=torch.rand(3, 1, 4, 5))).logits.sum().backward()
    assert learned.gate is not None
    assert learned.gate.grad is not None
    assert learned.gate.grad.item() > 0


def test_a_prior_that_nobody_wants_and_one_that_nobody_gives_are_told() -> None:
    with pytest.raises(UserError, match=r"head\.prior is none, and the context gives a prior"):
        TrackMapHeadConfig().build(MAP, shape=SHAPE)(maps(prior=torch.rand(3, 1, 4, 5)))
    with pytest.raises(UserError, match=r"head\.prior is learned, and the context gives no prior"):
        TrackMapHeadConfig(prior="learned").build(MAP, shape=SHAPE)(maps())
