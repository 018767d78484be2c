"""`Locator`: pixels in, normalisation, frozen parts, fit; and the codec's sizes."""

from __future__ import annotations

import pytest
import torch

from sightline.backbones.convnet import ConvLayer, ConvnetBackboneConfig
from sightline.backbones.normalisation import MEAN_STD
from sightline.backbones.unet_encoder import UnetEncoderConfig
from sightline.codecs.coords import CoordsCodecConfig
from sightline.codecs.heatmap import HeatmapCodecConfig
from sightline.codecs.simcc import SimccCodecConfig
from sightline.config import DataConfig, Experiment, SkeletonConfig, override
from sightline.errors import PieceMismatch, UserError
from sightline.heads.axes import AxesHeadConfig
from sightline.heads.heatmap import HeatmapHeadConfig
from sightline.heads.mlp import MlpHeadConfig
from sightline.model import Locator, build
from sightline.necks.none import NoNeckConfig
from sightline.necks.unet_decoder import UnetDecoderConfig
from sightline.types import RawAxes, RawCoords, RawHeatmaps


def small() -> Experiment:
    return Experiment(
        recipe="small",
        skeleton=SkeletonConfig(names=("a", "b", "c")),
        data=DataConfig(input_hw=(32, 48)),
        backbone=ConvnetBackboneConfig(),
        neck=NoNeckConfig(),
        head=HeatmapHeadConfig(),
        codec=HeatmapCodecConfig(),
    )


def coords() -> Experiment:
    return small().model_copy(update={"head": MlpHeadConfig(), "codec": CoordsCodecConfig()})


def test_a_model_maps_bytes_to_one_map_for_each_point() -> None:
    model, codec = build(small())
    raw = model(torch.randint(0, 256, (2, 3, 32, 48), dtype=torch.uint8))
    assert isinstance(raw, RawHeatmaps)
    assert raw.logits.shape == (2, 3, 8, 12)
    assert codec.decode(raw).xy.shape == (2, 3, 2)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", MEAN_STD)
def test_pixels_are_normalised_as_the_config_says(name: str, channels: int) -> None:
    config = override(small(), sets=[f"backbone.mean_std={name}", f"data.channels={channels}"])
    model = Locator(config)
    seen = []
    model.backbone.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    model(torch.full((1, channels, 32, 48), 51, dtype=torch.uint8))  # 51 is 0.2
    mean, std = (torch.tensor(values) for values in MEAN_STD[name])
    if channels == 1:
        mean, std = mean.mean(), std.mean()
    torch.testing.assert_close(seen[0][0, :, 5, 7], ((0.2 - mean) / std).expand(channels))


def test_the_constants_of_normalisation_are_not_stored_with_the_weights() -> None:
    assert not {"mean", "std"} & Locator(small()).state_dict().keys()


def test_a_codec_knows_the_networks_own_strides() -> None:
    _, codec = build(small())
    assert codec.stride_xy == (4.0, 4.0)  # type: ignore[attr-defined]
    axes = small().model_copy(update={"head": AxesHeadConfig(bins_per_px=2.0), "codec": SimccCodecConfig()})
    model, codec = build(axes)
    raw = model(torch.zeros(1, 3, 32, 48, dtype=torch.uint8))
    assert isinstance(raw, RawAxes)
    assert (raw.x.shape, raw.y.shape) == ((1, 3, 96), (1, 3, 64))
    assert codec.step_xy == (0.5, 0.5)  # type: ignore[attr-defined]


def test_building_draws_no_numbers_for_looking_at_shapes() -> None:
    torch.manual_seed(0)
    model, _ = build(coords())
    after = torch.rand(1)
    torch.manual_seed(0)
    again, _ = build(coords())
    assert torch.equal(torch.rand(1), after)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), again.parameters(), strict=True))


def test_looking_at_shapes_moves_no_buffer() -> None:
    model, _ = build(small())
    for name, buffer in model.named_buffers():
        if name.endswith("num_batches_tracked"):
            assert buffer == 0


def test_a_picture_too_small_for_the_layers_is_a_user_error() -> None:
    layers = (ConvLayer(channels=4, kernel=7, pool=True), ConvLayer(channels=4, kernel=7, pool=True))
    config = coords().model_copy(
        update={"backbone": ConvnetBackboneConfig(layers=layers), "data": DataConfig(input_hw=(16, 16))}
    )
    with pytest.raises(UserError, match=r"A picture of 16 x 16 does not pass .* Raise data.input_hw"):
        build(config)


def test_too_few_cells_for_a_heatmap_is_a_misfit() -> None:
    with pytest.raises(
        PieceMismatch, match=r"neck 'none' on backbone 'convnet' gives 32 channels at stride 4 \(2 x 2\)"
    ):
        build(override(small(), sets=["data.input_hw=[8, 8]"]))


def test_a_head_that_does_not_fit_its_codec_is_a_misfit() -> None:
    with pytest.raises(PieceMismatch, match=r"head 'heatmap' gives RawHeatmaps, but codec 'coords' needs RawCoords"):
        build(override(small(), use=["codec=coords"]))


def test_dropout_of_the_wrong_length_is_a_user_error() -> None:
    with pytest.raises(UserError, match=r"head\.dropout needs 2 numbers, one before each layer, not 3"):
        build(override(coords(), sets=["head.hidden=[8]", "head.dropout=[0.1, 0.2, 0.3]"]))


@pytest.mark.parametrize("size", [(33, 47), (50, 70)])
def test_sizes_that_are_no_multiple_of_the_stride_pass_through_a_u_net(size: tuple[int, int]) -> None:
    config = small().model_copy(
        update={
            "data": DataConfig(input_hw=size),
            "backbone": UnetEncoderConfig(width=4, levels=3),
            "neck": UnetDecoderConfig(),
        }
    )
    model, _ = build(config)
    assert model(torch.zeros(2, 3, *size, dtype=torch.uint8)).logits.shape == (2, 3, *size)


def test_a_regression_head_starts_where_it_is_told() -> None:
    model, codec = build(override(coords(), sets=["head.start_at=mean-shape"]))
    shape = torch.tensor([[0.25, 0.5], [0.5, 0.75], [0.1, 0.9]])
    model.head.start_from(shape)  # type: ignore[operator]
    torch.nn.init.zeros_(model.head.last.weight)  # type: ignore[union-attr, arg-type]
    raw = model(torch.zeros(2, 3, 32, 48, dtype=torch.uint8))
    assert isinstance(raw, RawCoords)
    torch.testing.assert_close(codec.decode(raw).xy[0], shape * torch.tensor([48.0, 32.0]))


def test_training_mode_leaves_frozen_parts_in_evaluation_mode() -> None:
    layers = (ConvLayer(channels=4, norm=True, stride=2, padding=1),)
    frozen = ConvnetBackboneConfig(layers=layers, frozen="all")
    model, _ = build(small().model_copy(update={"backbone": frozen}))
    model.eval()
    model.train()
    assert model.training
    assert not any(module.training for module in model.backbone.modules())
    assert model.head.training
