"""The head of one box and one class: layers counted by hand, kinds of branches, where the box starts."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from sightline.errors import UserError
from sightline.heads.one_box import BranchConfig, OneBoxHead, OneBoxHeadConfig
from sightline.pieces import HeadShape
from sightline.types import FeatureMaps, FeatureSpec

SPEC = FeatureSpec(channels=(24, 512), strides=(8.0, 36.0), sizes_hw=((20, 30), (7, 7)))
SHAPE = HeadShape(input_hw=(255, 400), num_logits=6)


def head(**settings: object) -> OneBoxHead:
    built = OneBoxHeadConfig(**settings).build(SPEC, shape=SHAPE)  # type: ignore[arg-type]
    assert isinstance(built, OneBoxHead)
    return built


def maps(batch: int = 3) -> FeatureMaps:
    generator = torch.Generator().manual_seed(0)
    return FeatureMaps(maps=(torch.randn(batch, 24, 20, 30), torch.randn(batch, 512, 7, 7, generator=generator)))


def count(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


def test_a_fully_connected_branch_has_the_count_of_its_layers() -> None:
    built = head(class_branch=BranchConfig(widths=(256,)), box_branch=BranchConfig(widths=(768, 128)))
    assert count(built.class_branch) == 25088 * 256 + 256 + 2 * 256 + 256 * 6 + 6
    assert count(built.box_branch) == 25088 * 768 + 768 + 2 * 768 + 768 * 128 + 128 + 2 * 128 + 128 * 4 + 4


@pytest.mark.parametrize("blocks", [0, 1, 4])
def test_a_convolutional_branch_has_the_count_of_its_blocks(blocks: int) -> None:
    built = head(box_branch=BranchConfig(kind="conv", widths=(256,) * blocks))
    first, later = 512 * 256 * 9 + 256 + 512, 256 * 256 * 9 + 256 + 512
    by_hand = (first + (blocks - 1) * later if blocks else 0) + (256 if blocks else 512) * 4 + 4
    assert count(built.box_branch) == by_hand


def test_squeezing_puts_a_narrow_map_before_the_flattening() -> None:
    built = head(box_branch=BranchConfig(squeeze=16, widths=(32,)))
    assert count(built.box_branch) == 512 * 16 + 16 + 32 + 16 * 49 * 32 + 32 + 64 + 32 * 4 + 4
    assert built(maps()).box.shape == (3, 4)


@pytest.mark.parametrize("class_kind", ["mlp", "conv"])
@pytest.mark.parametrize("box_kind", ["mlp", "conv"])
@pytest.mark.parametrize("widths", [(), (8,), (8, 16)])
def test_every_pair_of_kinds_gives_flat_outputs_and_slopes_everywhere(
    class_kind: str, box_kind: str, widths: tuple[int, ...]
) -> None:
    built = head(
        class_branch={"kind": class_kind, "widths": widths, "dropout": 0.1},
        box_branch={"kind": box_kind, "widths": widths, "hidden_dropout": 0.1},
        dropout=0.1,
    )
    raw = built(maps())
    # Not [B, C, 1, 1]: a cross-entropy would take the last two for places.
    assert raw.box.shape == (3, 4)
    assert raw.logits.shape == (3, 6)
    (raw.box.square().sum() + raw.logits.square().sum()).backward()
    assert all(p.grad is not None for p in built.parameters())


def test_a_convolutional_branch_takes_the_largest_value_of_each_map() -> None:
    built = head(class_branch=BranchConfig(kind="conv", widths=())).eval()
    convolution = built.class_branch[-2]
    assert isinstance(convolution, nn.Conv2d)
    features = maps()
    torch.testing.assert_close(built(features).logits, convolution(features.maps[-1]).amax(dim=(2, 3)))
    mean = head(class_branch=BranchConfig(kind="conv", widths=(), pool="mean")).eval()
    mean.load_state_dict(built.state_dict())
    torch.testing.assert_close(mean(features).logits, convolution(features.maps[-1]).mean(dim=(2, 3)))


@pytest.mark.parametrize("kind", ["mlp", "conv"])
def test_the_first_box_is_about_the_middle_half_where_asked(kind: str) -> None:
    torch.manual_seed(0)
    built = head(box_branch=BranchConfig(kind=kind, widths=()), start_at="centre")  # type: ignore[arg-type]
    blank = FeatureMaps(maps=(torch.zeros(2, 24, 20, 30), torch.zeros(2, 512, 7, 7)))
    torch.testing.assert_close(built(blank).box.sigmoid(), torch.tensor([[0.25, 0.25, 0.75, 0.75]] * 2))
    untouched = head(box_branch=BranchConfig(kind=kind, widths=()), start_at="default")  # type: ignore[arg-type]
    assert (untouched(blank).box.sigmoid() - 0.5).abs().max() < 0.1


def test_the_shared_dropout_falls_on_both_branches_alike() -> None:
    torch.manual_seed(0)
    same = BranchConfig(widths=(), norm=False)
    built = head(class_branch=same, box_branch=same, dropout=0.5, start_at="default")
    first, last = built.box_branch[-1], built.class_branch[-1]
    assert isinstance(first, nn.Linear)
    assert isinstance(last, nn.Linear)
    with torch.no_grad():
        last.weight[:4], last.bias[:4] = first.weight, first.bias
    raw = built(maps())
    torch.testing.assert_close(raw.box, raw.logits[:, :4])
    assert not torch.equal(built(maps()).box, raw.box)


def test_weights_are_stored_once() -> None:
    state = head().state_dict()
    assert len({value.data_ptr() for value in state.values()}) == len(state)


def test_only_the_coarsest_map_is_looked_at() -> None:
    built = head().eval()
    features = maps()
    other = FeatureMaps(maps=(torch.zeros_like(features.maps[0]), features.maps[1]))
    assert built(features).box.equal(built(other).box)


def test_no_classes_are_refused_in_words() -> None:
    with pytest.raises(UserError, match=r"needs the names of the classes.*--set 'classes=\[a, b\]'"):
        OneBoxHeadConfig().build(SPEC, shape=HeadShape(input_hw=(255, 400)))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"kind": "mlp", "pool": "max"}, "pool is for kind=conv"),
        ({"kind": "conv", "squeeze": 8}, "squeeze is for kind=mlp"),
        ({"widths": (0,)}, "greater than 0"),
        ({"kind": "cnn"}, "Input should be 'mlp' or 'conv'"),
        ({"dropout": 1.0}, "less than 1"),
    ],
)
def test_settings_that_a_branch_would_ignore_or_cannot_have_are_refused(
    settings: dict[str, object], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        BranchConfig(**settings)  # type: ignore[arg-type]


def test_one_class_is_a_legal_number_of_classes() -> None:
    built = OneBoxHeadConfig().build(SPEC, shape=HeadShape(input_hw=(255, 400), num_logits=1))
    logits: Tensor = built(maps()).logits
    assert logits.shape == (3, 1)
