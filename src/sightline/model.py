"""`Locator`: backbone + neck + head, checked once for fit; and the codec that belongs to it.

uint8 pictures go in, one Raw type comes out, the same in training and evaluation.
Next: metrics/
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from sightline.backbones.normalisation import pixel_statistics
from sightline.codecs.protocol import Codec, CodecShape
from sightline.config import Experiment
from sightline.errors import PieceMismatch, UserError
from sightline.heads import HEADS
from sightline.pieces import HeadShape, fake_images, spec_of
from sightline.types import FeatureSpec, Raw, RawAxes, RawDense, RawHeatmaps


class Locator(nn.Module):
    """images [B, C, H, W] uint8 -> Raw."""

    mean: Tensor
    std: Tensor

    def __init__(self, experiment: Experiment, *, weight_folders: Sequence[Path] = ()) -> None:
        """Build every piece and check that they fit.

        Raises:
            PieceMismatch: two pieces do not fit together.
            UserError: a piece cannot be built as configured.
        """
        super().__init__()
        data = experiment.data
        self.backbone = experiment.backbone.build(channels=data.channels, weight_folders=weight_folders)
        self.spec = self._look(self.backbone, data.channels, data.input_hw)
        self.neck = experiment.neck.build(self.spec)
        neck_spec = self._look(nn.Sequential(self.backbone, self.neck), data.channels, data.input_hw)
        _check_fit(experiment, neck_spec)
        self.head = experiment.head.build(neck_spec, shape=_head_shape(experiment, neck_spec))
        self.frozen = experiment.backbone.frozen
        mean, std = pixel_statistics(experiment.backbone.mean_std, channels=data.channels)
        # Scale and offset of 0..255 values; rebuilt from the config, so not stored with the weights.
        self.register_buffer("mean", mean.view(1, -1, 1, 1) * 255, persistent=False)
        self.register_buffer("std", std.view(1, -1, 1, 1) * 255, persistent=False)
        self.train()

    @staticmethod
    def _look(module: nn.Module, channels: int, input_hw: tuple[int, int]) -> FeatureSpec:
        """The shapes a module gives, found without computing."""
        try:
            with torch.no_grad():
                return spec_of(copy.deepcopy(module).to("meta").eval()(fake_images(channels, input_hw)), input_hw)
        except RuntimeError as error:  # a kernel or a pooling window larger than what is left of the picture
            height, width = input_hw
            raise UserError(
                f"A picture of {height} x {width} does not pass through the backbone and neck ({error}). "
                "Raise data.input_hw, or take fewer or smaller layers."
            ) from error

    def forward(self, images: Tensor) -> Raw:
        """Normalise and run; no loss and no decoding here."""
        pixels = (images.to(self.mean.dtype) - self.mean) / self.std
        return self.head(self.neck(self.backbone(pixels)))

    def train(self, mode: bool = True) -> Locator:
        """Training mode, but what is frozen stays in evaluation mode: its buffers do not move."""
        super().train(mode)
        if self.frozen == "all":
            self.backbone.eval().requires_grad_(False)
        elif self.frozen == "norm":
            for module in self.backbone.modules():
                if isinstance(module, _BatchNorm):
                    module.eval().requires_grad_(False)
        return self


def build(experiment: Experiment, *, weight_folders: Sequence[Path] = ()) -> tuple[Locator, Codec]:
    """The network and its codec."""
    model = Locator(experiment, weight_folders=weight_folders)
    return model, codec_for(experiment, model)


def without_pretrained(experiment: Experiment) -> Experiment:
    """The same experiment whose backbone starts from random numbers, for who needs only its form or brings weights."""
    if not hasattr(experiment.backbone, "weights"):
        return experiment
    backbone = experiment.backbone.model_copy(update={"weights": "none"})
    return experiment.model_copy(update={"backbone": backbone})


def codec_for(experiment: Experiment, model: Locator) -> Codec:
    """The codec at the sizes of the network's own output."""
    data = experiment.data
    with torch.no_grad():
        raw = copy.deepcopy(model).to("meta").eval()(fake_images(data.channels, data.input_hw))
    map_hw, levels_hw = None, ()
    if isinstance(raw, RawHeatmaps):
        map_hw = (raw.logits.shape[2], raw.logits.shape[3])
    elif isinstance(raw, RawAxes):
        map_hw = (raw.y.shape[2], raw.x.shape[2])
    elif isinstance(raw, RawDense):
        levels_hw = raw.sizes_hw
    shape = CodecShape(input_hw=data.input_hw, map_hw=map_hw, levels_hw=levels_hw, num_classes=len(experiment.classes))
    return experiment.codec.build(shape)


def _head_shape(experiment: Experiment, neck_spec: FeatureSpec) -> HeadShape:
    """How much the head must give, as skeleton, classes and codec want it."""
    codec = experiment.codec
    return HeadShape(
        input_hw=experiment.data.input_hw,
        num_points=len(experiment.skeleton.names),
        num_logits=codec.num_logits(len(experiment.classes)),
        per_cell=codec.per_cell(len(neck_spec.channels)),
    )


def _check_fit(experiment: Experiment, neck_spec: FeatureSpec) -> None:
    """Head against codec, and head against what the neck gives."""
    head, codec = experiment.head, experiment.codec
    if head.emits is not codec.takes:
        raise PieceMismatch(
            giver=f"head '{head.kind}'",
            gives=head.emits.__name__,
            taker=f"codec '{codec.kind}'",
            needs=codec.takes.__name__,
            fitting=(f"head '{key}'" for key, piece in HEADS.items() if piece.emits is codec.takes),
        )
    if head.min_cells > min(neck_spec.sizes_hw[0]):
        raise PieceMismatch(
            giver=f"neck '{experiment.neck.kind}' on backbone '{experiment.backbone.kind}'",
            gives=str(neck_spec),
            taker=f"head '{head.kind}'",
            needs=f"a finest map of at least {head.min_cells} x {head.min_cells} cells",
            fitting=("neck 'fpn'", "neck 'deconv'", "neck 'unet-decoder'", "neck 'bifpn'"),
        )
