"""`Locator`: backbone + neck + context + head, checked once for fit; and the codec that belongs to it.

uint8 pictures go in, for frames of clips with what came before them; one Raw type comes out, the same in training
and evaluation.
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
from sightline.types import FeatureMaps, FeatureSpec, Raw, RawAxes, RawDense, RawHeatmaps, RawTrackMap

PARTS = ("backbone", "neck", "context", "head")  # of a Locator, in the order in which a picture meets them


class Locator(nn.Module):
    """images [B, C, H, W] uint8, and the past of frames of clips -> Raw."""

    mean: Tensor
    std: Tensor
    input_wh: Tensor

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
        self.context = experiment.context.build(neck_spec, input_hw=data.input_hw)
        context_spec = _after_context(experiment, self.context, neck_spec)
        _check_fit(experiment, context_spec)
        self.head = experiment.head.build(context_spec, shape=_head_shape(experiment, context_spec))
        self.past_frames, self.history = experiment.context.past_frames, experiment.context.history
        height, width = data.input_hw
        self.register_buffer("input_wh", torch.tensor([width, height], dtype=torch.float32), persistent=False)
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

    def forward(
        self,
        images: Tensor,
        past_images: Tensor | None = None,
        past_xy: Tensor | None = None,
        past_visible: Tensor | None = None,
    ) -> Raw:
        """Normalise and run; no loss and no decoding here.

        Args:
            images: [B, C, H, W] uint8.
            past_images: [B, P, C, H, W] uint8, oldest first; clips only, as are the next two.
            past_xy: [B, L, 2], in input pixels, oldest first.
            past_visible: [B, L] bool.
        """
        if past_images is None or not self.past_frames:
            maps = FeatureMaps(maps=tuple(m.unsqueeze(1) for m in self.look(images).maps))  # [B, 1, C, h, w]
        else:
            frames = torch.cat([images.unsqueeze(1), past_images], dim=1)  # [B, T, C, H, W], the current one first
            maps = in_time(self.look(frames.flatten(0, 1)), frames=1 + self.past_frames)
        if past_xy is None or past_visible is None:
            past_xy, past_visible = self.mean.new_zeros(len(images), 0, 2), images.new_zeros(len(images), 0).bool()
        return self.conclude(maps, past_xy, past_visible)

    def look(self, images: Tensor) -> FeatureMaps:
        """Frames [N, C, H, W] uint8 -> what backbone and neck see in each by itself; a stream keeps it."""
        pixels = (images.to(self.mean.dtype) - self.mean) / self.std
        return self.neck(self.backbone(pixels))

    def conclude(self, maps: FeatureMaps, past_xy: Tensor, past_visible: Tensor) -> Raw:
        """Maps [B, T, C, h, w], the current frame first, and the points before in input pixels -> Raw."""
        return self.head(self.context(maps, past_xy / self.input_wh, past_visible))

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


def in_time(maps: FeatureMaps, *, frames: int) -> FeatureMaps:
    """Maps [B * T, C, h, w] as [B, T, C, h, w]."""
    return FeatureMaps(maps=tuple(m.unflatten(0, (-1, frames)) for m in maps.maps))


def example_inputs(experiment: Experiment, *, count: int, device: torch.device | str) -> tuple[Tensor, ...]:
    """Black pictures with an empty past: what a network of this experiment takes, `count` of each."""
    data, context = experiment.data, experiment.context
    images = torch.zeros(count, data.channels, *data.input_hw, dtype=torch.uint8, device=device)
    if not context.past_frames and not context.history:
        return (images,)
    past = images.unsqueeze(1).expand(-1, context.past_frames, -1, -1, -1)
    points = torch.zeros(count, context.history, 2, device=device)
    return images, past, points, torch.zeros(count, context.history, dtype=torch.bool, device=device)


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
        raw = copy.deepcopy(model).to("meta").eval()(*example_inputs(experiment, count=2, device="meta"))
    map_hw, levels_hw = None, ()
    if isinstance(raw, RawHeatmaps):
        map_hw = (raw.logits.shape[2], raw.logits.shape[3])
    elif isinstance(raw, RawAxes):
        map_hw = (raw.y.shape[2], raw.x.shape[2])
    elif isinstance(raw, RawTrackMap):
        map_hw = (raw.logits.shape[1], raw.logits.shape[2])
    elif isinstance(raw, RawDense):
        levels_hw = raw.sizes_hw
    shape = CodecShape(input_hw=data.input_hw, map_hw=map_hw, levels_hw=levels_hw, num_classes=len(experiment.classes))
    return experiment.codec.build(shape)


def _after_context(experiment: Experiment, context: nn.Module, neck_spec: FeatureSpec) -> FeatureSpec:
    """The shapes that the context gives; those of the neck for single pictures."""
    settings, input_hw = experiment.context, experiment.data.input_hw
    if not settings.past_frames and not settings.history:
        return neck_spec
    frames = 1 + settings.past_frames
    levels = zip(neck_spec.channels, neck_spec.sizes_hw, strict=True)
    maps = FeatureMaps(maps=tuple(torch.empty(2, frames, c, h, w, device="meta") for c, (h, w) in levels))
    past_xy = torch.zeros(2, settings.history, 2, device="meta")
    with torch.no_grad():
        seen = copy.deepcopy(context).to("meta").eval()(maps, past_xy, past_xy[..., 0] > 0)
    return spec_of(seen, input_hw)


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
