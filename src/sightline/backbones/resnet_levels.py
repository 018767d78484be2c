"""A torchvision ResNet or ResNeXt as levels, with further strided levels behind it.

The driving write-up puts two more levels behind ResNet34's four: two 3 x 3 convolutions each, the second
with stride 2. Two of its mistakes can be rebuilt: stages that are built and counted but never run
(`idle_stages`), and maps resampled to other sizes between the stages (`resample_hw`). Next: necks/
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field, PositiveInt, model_validator
from torch import Tensor, nn
from torch.nn import functional as F

from sightline.backbones.normalisation import MEAN_STD_HELP, MeanStd
from sightline.backbones.torchvision_net import TorchvisionBackbone, TorchvisionBackboneConfig
from sightline.errors import UserError
from sightline.pieces import PieceConfig
from sightline.types import FeatureMaps


class ExtraLevel(PieceConfig):
    """One level more: a 3 x 3 convolution, then one with stride 2."""

    middle: int = Field(ge=1, description="channels between the two convolutions")
    channels: int = Field(ge=1, description="channels of the level")


class ResnetLevelsConfig(PieceConfig):
    """Which residual network, how much of it, and what stands behind it."""

    summary: ClassVar[str] = "torchvision ResNet or ResNeXt, with further strided levels behind it"
    kind: Literal["resnet-levels"] = "resnet-levels"
    name: str = Field(default="resnet34", description="torchvision resnet, resnext or wide_resnet")
    weights: str = Field(default="imagenet", description="'imagenet', 'none', or a safetensors file")
    init: Literal["zero-residual", "library"] = Field(
        default="zero-residual",
        description="first weights without pretrained ones: every block starts as its shortcut (Goyal et al. 2017), "
        "so that features are about as large as pretrained ones; or torchvision's",
    )
    stages: int = Field(default=4, ge=1, le=4, description="residual stages that are run; the first has stride 4")
    extra: tuple[ExtraLevel, ...] = Field(default=(), description="levels behind the last stage")
    extra_norm: bool = Field(default=False, description="batch normalisation behind the convolutions of those")
    idle_stages: int = Field(
        default=0, ge=0, le=3, description="a published mistake: residual stages that are built and never run"
    )
    resample_hw: tuple[tuple[PositiveInt, PositiveInt], ...] = Field(
        default=(),
        description="a published mistake: sizes that every level is resampled to before it feeds the next one",
    )
    frozen: Literal["none", "norm", "all"] = Field(default="none", description="what never changes, buffers included")
    mean_std: MeanStd = Field(default="imagenet", description=MEAN_STD_HELP)

    @model_validator(mode="after")
    def _one_size_for_each_level(self) -> ResnetLevelsConfig:
        levels = self.stages + len(self.extra)
        if self.resample_hw and len(self.resample_hw) != levels:
            raise ValueError(f"resample_hw has {len(self.resample_hw)} sizes for {levels} levels")
        if self.stages + self.idle_stages > 4:
            raise ValueError(f"{self.stages} stages and {self.idle_stages} idle ones: a ResNet has 4")
        return self

    def build(self, *, channels: int, weight_folders: Sequence[Path]) -> nn.Module:
        """The network; raises UserError for an unknown name or weights that do not fit."""
        return ResnetLevels(self, channels=channels, weight_folders=weight_folders)


class ResnetLevels(nn.Module):
    """images [B, C, H, W], normalised -> FeatureMaps, the finest at stride 4."""

    def __init__(self, config: ResnetLevelsConfig, *, channels: int, weight_folders: Sequence[Path]) -> None:
        super().__init__()
        if not config.name.startswith(("resnet", "resnext", "wide_resnet")):
            raise UserError(f"backbone.name must be a torchvision resnet, resnext or wide_resnet, not {config.name!r}.")
        whole = TorchvisionBackbone(
            TorchvisionBackboneConfig(
                name=config.name, weights=config.weights, levels=tuple(range(1, 1 + config.stages + config.idle_stages))
            ),
            channels=channels,
            weight_folders=weight_folders,
        )
        if config.weights == "none" and config.init == "zero-residual":
            _start_as_shortcuts(whole)
        stem, stages = list(whole.stages)[:4], list(whole.stages)[4:]  # convolution, norm, ReLU, pooling; layer1...
        self.stem = nn.Sequential(*stem)
        self.stages = nn.ModuleList(stages[: config.stages])
        # Never run, so never trained: but they are in the file and in the count, as published.
        self.idle = nn.ModuleList(stages[config.stages :]).requires_grad_(False)
        width = _width(self.stages[-1])
        for level in config.extra:
            self.stages.append(_strided(width, level, has_norm=config.extra_norm))
            width = level.channels
        self.resample_hw = config.resample_hw or (None,) * len(self.stages)

    def forward(self, images: Tensor) -> FeatureMaps:
        """Run the stages; each map [B, C, h, w]."""
        maps, x = [], self.stem(images)
        for stage, size in zip(self.stages, self.resample_hw, strict=True):
            x = stage(x)
            x = x if size is None else F.interpolate(x, size=size, mode="nearest")
            maps.append(x)
        return FeatureMaps(maps=tuple(maps))


def _start_as_shortcuts(net: nn.Module) -> None:
    """Every residual block's last normalisation starts at zero."""
    from torchvision.models.resnet import BasicBlock, Bottleneck  # seconds to import: only where a net is really built

    for block in net.modules():
        if isinstance(block, BasicBlock | Bottleneck):
            norms = [module for module in block.children() if isinstance(module, nn.BatchNorm2d)]
            nn.init.zeros_(norms[-1].weight)


def _width(stage: nn.Module) -> int:
    """Channels that a residual stage gives: those of its last normalisation."""
    widths = [module.num_features for module in stage.modules() if isinstance(module, nn.BatchNorm2d)]
    return widths[-1]


def _strided(inputs: int, level: ExtraLevel, *, has_norm: bool) -> nn.Sequential:
    parts: list[nn.Module] = []
    for outputs, stride in ((level.middle, 1), (level.channels, 2)):
        parts.append(nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1))
        parts += [nn.BatchNorm2d(outputs)] if has_norm else []
        parts.append(nn.ReLU())
        inputs = outputs
    return nn.Sequential(*parts)
