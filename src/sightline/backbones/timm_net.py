"""Any timm classifier as a feature pyramid.

Some TensorFlow-born weights need `padding="same"`; timm's own need the default. MobileNet
EdgeTPU weights of the reference implementation need no activation behind the first block's
first normalisation (`linear_stem_block`). Next: necks/
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from difflib import get_close_matches
from pathlib import Path
from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from sightline.backbones.hub import quick_hub
from sightline.backbones.normalisation import MEAN_STD_HELP, MeanStd
from sightline.backbones.weights import find_weights, load_weights
from sightline.errors import UserError
from sightline.pieces import PieceConfig
from sightline.types import FeatureMaps


class TimmBackboneConfig(PieceConfig):
    """A timm model by name."""

    summary: ClassVar[str] = "any timm classifier by name, as feature maps"
    kind: Literal["timm"] = "timm"
    name: str = Field(default="mobilenetv2_100", description="timm model name")
    weights: str = Field(default="imagenet", description="'imagenet', 'none', or a safetensors file")
    init: Literal["library", "torch"] = Field(
        default="library",
        description="first weights without pretrained ones: timm's, or torch's default in every layer",
    )
    levels: tuple[int, ...] = Field(default=(1, 2, 3, 4), min_length=1, description="feature levels, 0 = stride 2")
    padding: Literal["default", "same"] = Field(default="default", description="'same' for weights born in TensorFlow")
    linear_stem_block: bool = Field(
        default=False, description="EdgeTPU reference weights: no activation in the first block"
    )
    norm: Literal["batch", "group", "none"] = Field(default="batch", description="normalisation layers (resnets only)")
    frozen: Literal["none", "norm", "all"] = Field(default="none", description="what never changes, buffers included")
    frozen_to_stride: int = Field(
        default=0,
        ge=0,
        description="what makes the maps up to this stride never changes either: most of a step's time, and in "
        "pretrained networks edges and textures that need no change; 0 = nothing",
    )
    mean_std: MeanStd = Field(default="imagenet", description=MEAN_STD_HELP)

    def build(self, *, channels: int, weight_folders: Sequence[Path]) -> nn.Module:
        """The network; raises UserError for an unknown name, level, or weights that do not fit."""
        return TimmBackbone(self, channels=channels, weight_folders=weight_folders)


class TimmBackbone(nn.Module):
    """images [B, C, H, W], normalised -> FeatureMaps."""

    def __init__(self, config: TimmBackboneConfig, *, channels: int, weight_folders: Sequence[Path]) -> None:
        super().__init__()
        import timm  # seconds to import: only where a network is really built

        if config.name not in timm.list_models():
            raise _unknown(config.name, timm.list_models())
        _check_options(config)
        path = None if config.weights == "none" else find_weights(config.name, config.weights, weight_folders)
        if config.weights == "none" or path is not None:
            self.net = _create(config, channels=channels, pretrained=False)
        else:
            self.net = _from_hub(config, channels=channels, weight_folders=weight_folders)
        _cut_behind_last_level(self.net, channels=channels)
        if config.init == "torch":
            _reset(self.net)
        if config.linear_stem_block:
            self.net.blocks[0][0].bn1.act = nn.Identity()  # type: ignore[index, union-attr]
        if path is not None:
            load_weights(self.net, path, ignore=_unused_keys(config.name))
        self.early = _up_to_stride(self.net, config.frozen_to_stride) if config.frozen_to_stride else []
        for module in self.early:
            module.requires_grad_(False)
        self.train()

    def train(self, mode: bool = True) -> TimmBackbone:
        """Training mode, but what is frozen stays in evaluation mode: its buffers do not move."""
        super().train(mode)
        for module in self.early:
            module.eval()
        return self

    def forward(self, images: Tensor) -> FeatureMaps:
        """Run the network; each map [B, C, h, w]."""
        return FeatureMaps(maps=tuple(self.net(images)))


def _create(config: TimmBackboneConfig, *, channels: int, pretrained: bool) -> nn.Module:
    """The network as timm builds it."""
    import timm

    options: dict[str, object] = {}
    if config.padding == "same":
        options["pad_type"] = "same"
    if config.norm != "batch":
        options["norm_layer"] = _norm_layer(config)
    try:
        return timm.create_model(
            config.name,
            features_only=True,
            out_indices=config.levels,
            in_chans=channels,
            pretrained=pretrained,
            **options,  # type: ignore[arg-type]
        )
    except (IndexError, AssertionError) as error:
        raise UserError(f"{config.name} has no feature levels {config.levels} ({error}).") from error
    except TypeError as error:
        if "pad_type" not in str(error):
            raise
        raise UserError(f"{config.name} takes no backbone.padding=same; leave it at 'default'.") from error


def _from_hub(config: TimmBackboneConfig, *, channels: int, weight_folders: Sequence[Path]) -> nn.Module:
    """The network with the weights that timm's hub has for it."""
    place = (
        f"Put {config.name}.safetensors into a folder that is searched, or name its folder with --weights-dir; or "
        "train from scratch with --set backbone.weights=none."
    )
    folders = ", ".join(str(folder) for folder in weight_folders) or "no folder"
    try:
        with quick_hub():
            return _create(config, channels=channels, pretrained=True)
    except OSError as error:  # the hub's client raises OSError kinds when it cannot be reached
        raise UserError(
            f"The ImageNet weights of {config.name} are not here (searched: {folders}) and the hub did not answer "
            f"({type(error).__name__}). {place}"
        ) from error
    except RuntimeError as error:
        if "No pretrained weights" not in str(error):
            raise
        raise UserError(
            f"timm has no ImageNet weights for {config.name}, and there are none here (searched: {folders}). {place}"
        ) from error


def _cut_behind_last_level(net: nn.Module, *, channels: int) -> None:
    """Drop what no level depends on, where timm has not: it would be run and counted, and never learn."""
    from timm.models import FeatureHookNet
    from timm.models.efficientnet import EfficientNetFeatures
    from timm.models.hrnet import HighResolutionNetFeatures
    from timm.models.mobilenetv3 import MobileNetV3Features

    if isinstance(net, EfficientNetFeatures | MobileNetV3Features):
        # A level's stage is the number of blocks that it needs.
        last = max(int(level["stage"]) for level in net.feature_info.get_dicts())  # type: ignore[arg-type]
        net.blocks = net.blocks[:last]
    elif isinstance(net, FeatureHookNet | HighResolutionNetFeatures):
        # Here it is woven into what is needed: it cannot be taken out, only kept from being trained and waited for.
        for parameter in _unreached(net, channels=channels):
            parameter.requires_grad_(False)


def _up_to_stride(net: nn.Module, stride: int) -> list[nn.Module]:
    """The modules that come before the first map of a coarser stride, the last that makes a finer one included.

    Raises:
        UserError: no map is so fine, or the network does not say which modules make its maps.
    """
    levels = [level for level in net.feature_info.info if level["reduction"] <= stride]  # type: ignore[union-attr]
    if not levels:
        finest = net.feature_info.info[0]["reduction"]  # type: ignore[union-attr, index]
        raise UserError(
            f"backbone.frozen_to_stride={stride}: the finest map has stride {finest}. Give 0 to freeze none."
        )
    path = str(levels[-1]["module"])
    found, is_there = _modules_through(net, path.split("."))
    if not is_there:
        raise UserError(f"backbone.frozen_to_stride is not wired for this network (no module {path}). Use 0.")
    return found


def _modules_through(net: nn.Module, path: Sequence[str]) -> tuple[list[nn.Module], bool]:
    """The children up to and including the one at a dotted path, in the order in which they are run."""
    found: list[nn.Module] = []
    for name, child in net.named_children():
        if name != path[0]:
            found.append(child)
            continue
        if len(path) == 1:
            return [*found, child], True
        inner, is_there = _modules_through(child, path[1:])
        return [*found, *inner], is_there
    return found, False


def _unreached(net: nn.Module, *, channels: int) -> list[nn.Parameter]:
    """Parameters that no output depends on, found without computing."""
    copy = deepcopy(net).to("meta").train()
    with torch.enable_grad():
        maps = copy(torch.empty(2, channels, 224, 224, device="meta"))
        torch.stack([each.sum() for each in maps]).sum().backward()
    pairs = zip(net.parameters(), copy.parameters(), strict=True)
    return [parameter for parameter, twin in pairs if twin.grad is None]


def _unknown(name: str, known: Sequence[str]) -> UserError:
    """Timm has more than a thousand names: only the nearest are worth printing."""
    close = get_close_matches(name, known, n=5, cutoff=0.5)
    hint = f" Did you mean {', '.join(close)}?" if close else ""
    return UserError(f"timm has no model '{name}'.{hint} timm.list_models() lists all {len(known)}.")


def _check_options(config: TimmBackboneConfig) -> None:
    if list(config.levels) != sorted(set(config.levels)):
        raise UserError(f"backbone.levels must go from fine to coarse, each once, not {config.levels}.")
    if config.linear_stem_block and not config.name.startswith("mobilenet_edgetpu"):
        raise UserError(f"backbone.linear_stem_block is wired for mobilenet_edgetpu models, not for {config.name}.")
    if config.init == "torch" and config.weights != "none":
        raise UserError(f"backbone.init=torch needs backbone.weights=none, not {config.weights!r}, which replace it.")


def _reset(net: nn.Module) -> None:
    """Give every layer the first weights that torch itself gives it."""
    for module in net.modules():
        if isinstance(module, nn.Conv2d | nn.Linear | nn.BatchNorm2d | nn.GroupNorm):
            module.reset_parameters()


def _unused_keys(name: str) -> tuple[str, ...]:
    """Tensors of the whole classifier: its file may hold them although the feature levels do not use them."""
    import timm

    with torch.device("meta"):
        return tuple(timm.create_model(name).state_dict())


class _NoNorm(nn.Identity):
    """Stands where a normalisation layer would, and does nothing."""

    def __init__(self, channels: int, **_: object) -> None:
        super().__init__()


def _norm_layer(config: TimmBackboneConfig) -> Callable[..., nn.Module]:
    if not config.name.startswith(("resnet", "resnext", "wide_resnet")):
        raise UserError(f"backbone.norm={config.norm} is wired for resnets, not for {config.name}; use norm=batch.")
    return _NoNorm if config.norm == "none" else _group_norm


def _group_norm(channels: int, **_: object) -> nn.Module:
    return nn.GroupNorm(32, channels)
