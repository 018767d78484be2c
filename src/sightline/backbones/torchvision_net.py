"""Any torchvision classifier that is a chain of stages, as a feature pyramid.

The last output at each resolution is a level; level 0 is the finest that the network keeps
after its first downsampling. Swin's maps are channels-last inside torchvision and are turned
to channels-first here. Next: necks/
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from sightline.backbones.normalisation import MEAN_STD_HELP, MeanStd
from sightline.backbones.weights import find_weights, grey_first_conv, load_weights
from sightline.errors import UserError, unknown_name
from sightline.pieces import PieceConfig
from sightline.types import FeatureMaps


class TorchvisionBackboneConfig(PieceConfig):
    """A torchvision model by name."""

    summary: ClassVar[str] = "any torchvision classifier by name, as feature maps"
    kind: Literal["torchvision"] = "torchvision"
    name: str = Field(default="squeezenet1_1", description="torchvision model name")
    weights: str = Field(default="imagenet", description="'imagenet', 'none', or a safetensors file")
    levels: tuple[int, ...] = Field(default=(-1,), min_length=1, description="levels, 0 = finest, -1 = coarsest")
    frozen: Literal["none", "norm", "all"] = Field(default="none", description="what never changes, buffers included")
    mean_std: MeanStd = Field(default="imagenet", description=MEAN_STD_HELP)

    def build(self, *, channels: int, weight_folders: Sequence[Path]) -> nn.Module:
        """The network; raises UserError for an unknown name, level, or weights that do not fit."""
        return TorchvisionBackbone(self, channels=channels, weight_folders=weight_folders)


class TorchvisionBackbone(nn.Module):
    """images [B, C, H, W], normalised -> FeatureMaps."""

    def __init__(self, config: TorchvisionBackboneConfig, *, channels: int, weight_folders: Sequence[Path]) -> None:
        super().__init__()
        import torchvision  # seconds to import: only where a network is really built

        names = torchvision.models.list_models(module=torchvision.models)
        if config.name not in names:
            raise unknown_name("torchvision model", config.name, names)
        path = None if config.weights == "none" else find_weights(config.name, config.weights, weight_folders)
        use_hub = config.weights != "none" and path is None
        try:
            model = torchvision.models.get_model(config.name, weights="DEFAULT" if use_hub else None)
        except OSError as error:
            raise UserError(
                f"The ImageNet weights of {config.name} are not in {[str(f) for f in weight_folders]} and the hub "
                f"did not answer ({type(error).__name__}). Put {config.name}.safetensors into a folder and name it "
                "with --weights-dir, or train from scratch with --set backbone.weights=none."
            ) from error
        if path is not None:
            load_weights(model, path, ignore=())
        self.stages = nn.ModuleList(_stages(model, config.name))
        self.channels_last_maps = config.name.startswith("swin")
        if channels == 1:
            grey_first_conv(self.stages)
        self.taps = self._find_taps(channels, config)
        # Stages behind the last tap are never run; keeping them would falsify the parameter count.
        self.stages = self.stages[: max(self.taps) + 1]

    def _find_taps(self, channels: int, config: TorchvisionBackboneConfig) -> tuple[int, ...]:
        """Positions in the chain whose outputs are the levels asked for."""
        x = torch.empty(2, channels, 224, 224)
        sizes: list[int] = []
        with torch.device("meta"):
            x = x.to("meta")
            for stage in self.stages:
                x = _meta_copy(stage)(x)
                sizes.append(x.shape[1 if self.channels_last_maps else 2])
        ends = [i for i, size in enumerate(sizes) if i + 1 == len(sizes) or sizes[i + 1] != size]
        try:
            taps = tuple(ends[level] for level in config.levels)
        except IndexError:
            raise UserError(f"{config.name} has levels 0..{len(ends) - 1}, not {config.levels}.") from None
        if list(taps) != sorted(set(taps)):
            raise UserError(f"backbone.levels must go from fine to coarse, each once, not {config.levels}.")
        return taps

    def forward(self, images: Tensor) -> FeatureMaps:
        """Run the chain; each map [B, C, h, w]."""
        maps, x = [], images
        for position, stage in enumerate(self.stages):
            x = stage(x)
            if position in self.taps:
                maps.append(x.permute(0, 3, 1, 2) if self.channels_last_maps else x)
        return FeatureMaps(maps=tuple(maps))


def _stages(model: nn.Module, name: str) -> list[nn.Module]:
    """The feature part of a classifier as a chain, without pooling and classifier."""
    features = getattr(model, "features", None)
    if isinstance(features, nn.Sequential):
        return list(features)
    if hasattr(model, "layer4"):
        return [
            getattr(model, part) for part in ("conv1", "bn1", "relu", "maxpool", "layer1", "layer2", "layer3", "layer4")
        ]
    raise UserError(f"{name} is not a chain of stages; take it from timm instead (--use backbone=timm).")


def _meta_copy(module: nn.Module) -> nn.Module:
    """A copy without memory, so that looking at shapes costs nothing and changes no buffer."""
    from copy import deepcopy

    return deepcopy(module).to("meta")
