"""What every piece must do, over the folders' own tables: a new piece is tested by being listed there."""

from __future__ import annotations

import copy
import typing
from typing import Any

import pytest
import torch
from pydantic import TypeAdapter
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from sightline.backbones import BACKBONES, BackboneConfig
from sightline.backbones.timm_net import TimmBackboneConfig
from sightline.codecs import CODECS, CodecConfig
from sightline.codecs.protocol import CodecShape
from sightline.config import PIECES, DataConfig, Experiment, SkeletonConfig, TrainConfig
from sightline.context import CONTEXTS, ContextConfig
from sightline.errors import PieceMismatch
from sightline.heads import HEADS, HeadConfig
from sightline.heads.heatmap import HeatmapHeadConfig
from sightline.heads.mlp import MlpHeadConfig
from sightline.heads.one_box import BranchConfig
from sightline.model import Locator, build
from sightline.necks import NECKS, NeckConfig
from sightline.necks.gap import GapNeckConfig
from sightline.necks.none import NoNeckConfig
from sightline.optim import build_optimizer
from sightline.pieces import HeadShape, PieceConfig, spec_of
from sightline.types import FeatureMaps, RawAxes, RawCoords, RawDense, RawHeatmaps, Truth

UNIONS = {
    "backbone": BackboneConfig,
    "neck": NeckConfig,
    "context": ContextConfig,
    "head": HeadConfig,
    "codec": CodecConfig,
}
EVERY = [(slot, key) for slot, table in PIECES.items() for key in table]
POINTS = SkeletonConfig(names=("a", "b", "c"), flip_pairs=((0, 1),))
ONE_POINT = SkeletonConfig(names=("a",))
SIZE = (64, 48)
PYRAMID = ((24, 16, 12), (32, 8, 6), (96, 4, 3), (160, 2, 2))  # odd at the top: 3 -> 2


def members(union: object) -> set[type]:
    """The classes of a discriminated union."""
    return set(typing.get_args(typing.get_args(union)[0]))


# Behind a neck that keeps every place, a thousand units a place would take gigabytes.
NARROW: dict[tuple[str, str], dict[str, object]] = {
    ("neck", "deconv"): {"channels": (16, 16, 16)},
    ("head", "track-mlp"): {"hidden": (8,)},
    ("head", "track-split"): {"trunk": (8,), "branch": 8},
    ("head", "one-box"): {
        "class_branch": BranchConfig(widths=(8,)),
        "box_branch": BranchConfig(widths=(8,)),
    },
}


def small(slot: str, key: str) -> PieceConfig:
    """A piece that needs no weights, and few of its own."""
    config = PIECES[slot][key]().model_copy(update=NARROW.get((slot, key), {}))
    return config.model_copy(update={"weights": "none"}) if "weights" in type(config).model_fields else config


def pyramid(*, batch: int = 2) -> FeatureMaps:
    generator = torch.Generator().manual_seed(0)
    return FeatureMaps(
        maps=tuple(torch.randn(batch, c, h, w, generator=generator).requires_grad_() for c, h, w in PYRAMID)
    )


def experiment(
    *,
    backbone: PieceConfig | None = None,
    neck: PieceConfig | None = None,
    head: PieceConfig | None = None,
    codec: PieceConfig | None = None,
    channels: int = 3,
    size: tuple[int, int] = SIZE,
) -> Experiment:
    """A small whole experiment around the pieces given."""
    codec = codec or small("codec", "heatmap")
    return Experiment(
        recipe="contract",
        skeleton=ONE_POINT if codec.finds == "track" else POINTS,  # type: ignore[attr-defined]
        classes=("first", "second", "third"),
        data=DataConfig(input_hw=size, channels=channels),  # type: ignore[arg-type]
        backbone=backbone or small("backbone", "convnet"),  # type: ignore[arg-type]
        neck=neck or small("neck", "none"),  # type: ignore[arg-type]
        head=head or small("head", "heatmap"),  # type: ignore[arg-type]
        codec=codec,  # type: ignore[arg-type]
        train=TrainConfig(lr=1e-3),
    )


def images(*, batch: int = 2, channels: int = 3, size: tuple[int, int] = SIZE) -> Tensor:
    return torch.randint(
        0, 256, (batch, channels, *size), generator=torch.Generator().manual_seed(0), dtype=torch.uint8
    )


def touched(module: nn.Module) -> list[str]:
    """Names of trainable parameters that the last backward pass did not reach."""
    return [name for name, p in module.named_parameters() if p.requires_grad and p.grad is None]


# --- configs -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("slot", PIECES)
def test_the_union_of_a_folder_agrees_with_its_table(slot: str) -> None:
    assert members(UNIONS[slot]) == set(PIECES[slot].values())


@pytest.mark.parametrize(("slot", "key"), EVERY)
def test_a_piece_goes_under_its_own_name_and_says_what_it_is(slot: str, key: str) -> None:
    config = PIECES[slot][key]()
    assert config.kind == key  # type: ignore[attr-defined]
    assert type(config).summary


@pytest.mark.parametrize(("slot", "key"), EVERY)
def test_a_config_returns_from_json_as_itself(slot: str, key: str) -> None:
    config = PIECES[slot][key]()
    assert TypeAdapter(UNIONS[slot]).validate_json(config.model_dump_json()) == config


@pytest.mark.parametrize(("slot", "key"), EVERY)
def test_a_config_is_frozen_and_refuses_unknown_keys(slot: str, key: str) -> None:
    config = PIECES[slot][key]()
    with pytest.raises(ValueError, match="frozen"):
        config.kind = "other"  # type: ignore[attr-defined]
    with pytest.raises(ValueError, match="Extra inputs"):
        PIECES[slot][key](no_such_setting=1)  # type: ignore[call-arg]


# --- backbones ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("key", BACKBONES)
def test_a_backbone_gives_maps_from_fine_to_coarse_that_carry_gradients(key: str, channels: int) -> None:
    net = small("backbone", key).build(channels=channels, weight_folders=())  # type: ignore[attr-defined]
    features = net(torch.randn(2, channels, *SIZE))
    assert isinstance(features, FeatureMaps)
    spec = spec_of(features, SIZE)
    assert list(spec.strides) == sorted(set(spec.strides))
    sum(m.square().mean() for m in features.maps).backward()
    assert touched(net) == []


@pytest.mark.parametrize("key", BACKBONES)
def test_a_backbone_takes_a_single_picture_in_evaluation_mode(key: str) -> None:
    net = small("backbone", key).build(channels=3, weight_folders=()).eval()  # type: ignore[attr-defined]
    both, one = net(torch.ones(2, 3, *SIZE)), net(torch.ones(1, 3, *SIZE))
    for first, second in zip(both.maps, one.maps, strict=True):
        torch.testing.assert_close(first[:1], second, atol=1e-3, rtol=1e-3)  # deep nets sum in another order


# --- necks -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", NECKS)
def test_a_neck_passes_gradients_to_every_weight(key: str) -> None:
    features = pyramid()
    neck = small("neck", key).build(spec_of(features, SIZE))  # type: ignore[attr-defined]
    out = neck(features)
    assert isinstance(out, FeatureMaps)
    assert all(torch.isfinite(m).all() for m in out.maps)
    sum(m.square().mean() for m in out.maps).backward()
    assert touched(neck) == []
    assert features.maps[-1].grad is not None


@pytest.mark.parametrize("key", ["fpn", "bifpn"])
@pytest.mark.parametrize("levels", [1, 2])
def test_a_pyramid_that_hands_on_fewer_maps_has_no_idle_weights(key: str, levels: int) -> None:
    features = pyramid()
    neck = PIECES["neck"][key](levels=levels, channels=8).build(spec_of(features, SIZE))  # type: ignore[call-arg, attr-defined]
    out = neck(features)
    assert len(out.maps) == levels
    sum(m.square().mean() for m in out.maps).backward()
    assert touched(neck) == []


@pytest.mark.parametrize("key", NECKS)
def test_a_neck_takes_one_level_and_one_picture(key: str) -> None:
    features = FeatureMaps(maps=pyramid(batch=1).maps[:1])
    neck = small("neck", key).build(spec_of(features, SIZE)).eval()  # type: ignore[attr-defined]
    assert neck(features).maps[0].shape[0] == 1


# --- contexts ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", CONTEXTS)
def test_a_context_takes_the_axis_of_time_away_and_passes_gradients(key: str) -> None:
    config = CONTEXTS[key]()
    single = pyramid()
    context = config.build(spec_of(single, SIZE), input_hw=SIZE)  # type: ignore[attr-defined]
    frames = 1 + config.past_frames
    maps = tuple(torch.stack([m.detach() + t for t in range(frames)], dim=1).requires_grad_() for m in single.maps)
    past_xy, past_visible = torch.rand(2, config.history, 2), torch.ones(2, config.history, dtype=torch.bool)
    out = context(FeatureMaps(maps=maps), past_xy, past_visible)
    assert isinstance(out, FeatureMaps)
    assert all(m.ndim == 4 and len(m) == 2 and torch.isfinite(m).all() for m in out.maps)
    sum(m.square().mean() for m in out.maps).backward()
    assert touched(context) == []
    assert any(m.grad is not None for m in maps)


# --- heads -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", HEADS)
def test_a_head_emits_what_it_says_and_passes_gradients(key: str) -> None:
    config = small("head", key)
    features = pyramid()
    shape = HeadShape(input_hw=SIZE, num_points=3, num_logits=5, per_cell=(2,) * len(features.maps))
    head = config.build(spec_of(features, SIZE), shape=shape)  # type: ignore[attr-defined]
    raw = head(features)
    assert type(raw) is config.emits  # type: ignore[attr-defined]
    tensors = [value for value in vars(raw).values() if isinstance(value, Tensor) and value.requires_grad]
    assert tensors
    assert all(len(value) == 2 for value in tensors)
    if isinstance(raw, RawDense):
        places = sum(2 * h * w for h, w in raw.sizes_hw)
        assert raw.boxes.shape == (2, places, 4)
        assert raw.logits.shape == (2, places, 5)
    elif isinstance(raw, RawCoords | RawHeatmaps | RawAxes):
        assert all(value.shape[:2] == (2, 3) for value in tensors)
    sum(value.square().mean() for value in tensors).backward()
    assert touched(head) == []
    with torch.no_grad():
        assert type(head.eval()(pyramid(batch=1))) is type(raw)


@pytest.mark.parametrize("key", HEADS)
def test_some_codec_takes_what_a_head_emits(key: str) -> None:
    assert any(codec.takes is HEADS[key].emits for codec in CODECS.values())  # type: ignore[attr-defined]


@pytest.mark.parametrize("key", CODECS)
def test_some_head_emits_what_a_codec_takes(key: str) -> None:
    assert any(head.emits is CODECS[key].takes for head in HEADS.values())  # type: ignore[attr-defined]


# --- codecs ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", CODECS)
def test_a_codec_encodes_judges_and_decodes_one_picture(key: str) -> None:
    config = small("codec", key)
    if config.finds != "points":  # type: ignore[attr-defined]
        pytest.skip("boxes and tracks are tested below")
    maps = {RawCoords: None, RawHeatmaps: (16, 12), RawAxes: (128, 96)}[config.takes]  # type: ignore[attr-defined]
    codec = config.build(CodecShape(input_hw=SIZE, map_hw=maps))  # type: ignore[attr-defined]
    truth = torch.tensor([[[20.3, 30.1], [10.2, 11.9], [0.0, 0.0]]])
    shown = torch.tensor([[True, True, False]])
    target = codec.encode(Truth.of_points(truth, shown))
    raw = codec.perfect(target)
    assert type(raw) is config.takes  # type: ignore[attr-defined]
    assert torch.isfinite(codec.loss(raw, target))
    points = codec.decode(raw)
    assert points.xy.shape == (1, 3, 2)
    assert points.score.shape == (1, 3)


@pytest.mark.parametrize("key", [key for key in CODECS if CODECS[key].finds == "track"])
def test_a_codec_of_tracks_gives_back_the_point_and_its_visibility(key: str) -> None:
    config = small("codec", key)
    codec = config.build(CodecShape(input_hw=SIZE, map_hw=(16, 12)))  # type: ignore[attr-defined]
    truth = track_truth()
    target = codec.encode(truth)
    raw = codec.perfect(target)
    assert type(raw) is config.takes  # type: ignore[attr-defined]
    assert torch.isfinite(codec.loss(raw, target))
    found = codec.decode(raw)
    assert found.xy.shape == (2, 1, 2)
    assert found.score.shape == (2, 1)
    torch.testing.assert_close(found.xy[0], truth.points_xy[0], atol=0.05, rtol=0)
    assert found.score[0, 0] > 0.9 > 0.1 > found.score[1, 0]
    assert codec.weight(truth).item() == 2


@pytest.mark.parametrize("key", [key for key in CODECS if CODECS[key].finds in ("one-box", "boxes")])
def test_a_codec_of_boxes_gives_back_the_box_that_a_flawless_network_would_emit(key: str) -> None:
    config = small("codec", key)
    codec = config.build(CodecShape(input_hw=SIZE, levels_hw=LEVELS, num_classes=3))  # type: ignore[attr-defined]
    truth = boxes_truth()
    target = codec.encode(truth)
    raw = codec.perfect(target)
    assert type(raw) is config.takes  # type: ignore[attr-defined]
    assert torch.isfinite(codec.loss(raw, target))
    found = codec.decode(raw)
    assert found.valid[0, 0]
    assert found.label[0, 0] == 2
    torch.testing.assert_close(found.xyxy[0, 0], truth.boxes_xyxy[0, 0], atol=0.05, rtol=0)
    assert found.score[0, 0] > 0.9


# --- whole models ------------------------------------------------------------------------------------------


LEVELS = ((8, 6), (4, 3), (2, 2))


def track_truth() -> Truth:
    """One point that is visible, and one that is not."""
    shown = torch.tensor([[True], [False]])
    return Truth.of_points(torch.tensor([[[20.3, 30.1]], [[0.0, 0.0]]]), shown)


def boxes_truth(*, batch: int = 1) -> Truth:
    """One box of class 2 in each picture, and room for another."""
    boxes = torch.tensor([[[8.0, 10.0, 30.0, 40.0], [0.0, 0.0, 0.0, 0.0]]]).repeat(batch, 1, 1)
    valid = torch.tensor([[True, False]]).repeat(batch, 1)
    return Truth.of_boxes(boxes, torch.tensor([[2, 0]]).repeat(batch, 1), valid)


def fitting() -> list[Any]:
    """Every neck, head and codec that fit together on one backbone; those with a large second stage once, else slow."""
    return [
        pytest.param(neck, head, codec, marks=[pytest.mark.slow] if head == "faster-rcnn" and neck != "fpn" else [])
        for neck in NECKS
        for head in HEADS
        for codec in CODECS
        if HEADS[head].emits is CODECS[codec].takes and not (neck == "gap" and head != "mlp")  # type: ignore[attr-defined]
    ]


@pytest.mark.parametrize(("neck", "head", "codec"), fitting())
def test_pieces_that_fit_train_for_two_steps(neck: str, head: str, codec: str) -> None:
    torch.manual_seed(0)
    config = experiment(neck=small("neck", neck), head=small("head", head), codec=small("codec", codec), size=(32, 32))
    model, coder = build(config)
    optimizer = build_optimizer(model, config.train)
    before = {name: p.detach().clone() for name, p in model.head.named_parameters()}
    truth = Truth.of_points(torch.rand(2, 3, 2) * 32, torch.ones(2, 3, dtype=torch.bool))
    if config.codec.finds == "track":
        truth = track_truth()
    elif config.codec.finds != "points":
        truth = boxes_truth(batch=2)
    for _ in range(2):
        loss = coder.loss(model(images(size=(32, 32))), coder.encode(truth))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        assert torch.isfinite(loss)
    assert any(not torch.equal(before[name], p) for name, p in model.head.named_parameters())


@pytest.mark.parametrize("key", BACKBONES)
def test_a_model_returns_from_its_state(key: str) -> None:
    neck = "unet-decoder" if key == "unet-encoder" else "none"
    config = experiment(
        backbone=small("backbone", key), neck=small("neck", neck), head=MlpHeadConfig(), codec=small("codec", "coords")
    )
    torch.manual_seed(0)
    first, _ = build(config)
    torch.manual_seed(1)
    second, _ = build(config)
    second.load_state_dict(copy.deepcopy(first.state_dict()))
    torch.testing.assert_close(first.eval()(images()).xy, second.eval()(images()).xy)


@pytest.mark.parametrize("key", BACKBONES)
def test_the_raw_type_is_the_same_in_training_and_evaluation(key: str) -> None:
    model, _ = build(
        experiment(
            backbone=small("backbone", key), neck=GapNeckConfig(), head=MlpHeadConfig(), codec=small("codec", "coords")
        )
    )
    assert type(model.train()(images())) is type(model.eval()(images(batch=1))) is RawCoords


@pytest.mark.parametrize(
    ("head", "codec"),
    [(h, c) for h in HEADS for c in CODECS if HEADS[h].emits is not CODECS[c].takes],  # type: ignore[attr-defined]
)
def test_a_misfit_of_head_and_codec_names_both_and_what_would_fit(head: str, codec: str) -> None:
    with pytest.raises(PieceMismatch) as caught:
        build(experiment(head=small("head", head), codec=small("codec", codec)))
    message = str(caught.value)
    assert f"head '{head}'" in message
    assert f"codec '{codec}'" in message
    assert f"Pieces that fit codec '{codec}'" in message
    fitting_heads = [key for key, kind in HEADS.items() if kind.emits is CODECS[codec].takes]
    assert all(f"head '{key}'" in message for key in fitting_heads)


def test_a_map_too_small_for_a_heatmap_names_neck_and_head() -> None:
    with pytest.raises(PieceMismatch, match=r"neck 'gap' on backbone 'convnet' gives .* but head 'heatmap' needs"):
        build(experiment(neck=GapNeckConfig(), head=HeatmapHeadConfig()))


# --- frozen parts ------------------------------------------------------------------------------------------


def train_two_steps(config: Experiment) -> tuple[dict[str, Tensor], dict[str, Tensor], Locator]:
    """State before and after, and the model."""
    torch.manual_seed(0)
    model, coder = build(config)
    optimizer = build_optimizer(model, config.train)
    before = copy.deepcopy(model.state_dict())
    truth, shown = torch.rand(2, 3, 2) * 48, torch.ones(2, 3, dtype=torch.bool)
    for _ in range(2):
        model.train()
        coder.loss(model(images()), coder.encode(Truth.of_points(truth, shown))).backward()
        optimizer.step()
        optimizer.zero_grad()
    return before, model.state_dict(), model


FREEZABLE = [key for key in BACKBONES if "frozen" in BACKBONES[key].model_fields]


@pytest.mark.parametrize("key", FREEZABLE)
def test_a_frozen_backbone_is_bit_identical_after_training_buffers_included(key: str) -> None:
    frozen = small("backbone", key).model_copy(update={"frozen": "all"})
    before, after, model = train_two_steps(
        experiment(
            backbone=frozen,
            neck=GapNeckConfig(),
            head=MlpHeadConfig(norm=True, hidden=(8,)),
            codec=small("codec", "coords"),
        )
    )
    for name, value in before.items():
        if name.startswith("backbone."):
            assert torch.equal(value, after[name]), name
    assert any(not torch.equal(value, after[name]) for name, value in before.items())
    assert not any(p.requires_grad for p in model.backbone.parameters())


@pytest.mark.parametrize("key", FREEZABLE)
def test_frozen_normalisation_is_bit_identical_while_convolutions_learn(key: str) -> None:
    frozen = small("backbone", key).model_copy(update={"frozen": "norm"})
    before, after, model = train_two_steps(
        experiment(backbone=frozen, neck=GapNeckConfig(), head=MlpHeadConfig(), codec=small("codec", "coords"))
    )
    norms = [name for name, module in model.named_modules() if isinstance(module, _BatchNorm)]
    for name in norms:
        for key_, value in before.items():
            if key_.startswith(f"{name}."):
                assert torch.equal(value, after[key_]), key_
    assert any(not torch.equal(value, after[key_]) for key_, value in before.items() if key_.startswith("backbone."))


@pytest.mark.parametrize("norm", ["none", "group"])
def test_a_resnet_without_batch_statistics_has_no_buffers_that_move(norm: str) -> None:
    backbone = TimmBackboneConfig(name="resnet18", weights="none", levels=(1,), norm=norm)  # type: ignore[arg-type]
    model, _ = build(experiment(backbone=backbone, neck=NoNeckConfig(), head=HeatmapHeadConfig()))
    assert not any(isinstance(module, _BatchNorm) for module in model.backbone.modules())
    assert not list(model.backbone.buffers())
    assert any(isinstance(module, nn.GroupNorm) for module in model.backbone.modules()) == (norm == "group")
    # A picture's result does not depend on the others in the batch.
    torch.testing.assert_close(model.train()(images()).logits[:1], model(images()[:1]).logits)
