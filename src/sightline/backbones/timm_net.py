"""Any timm classifier as a feature pyramid.

Some TensorFlow-born weights need `padding="same"`; timm's own need the default. MobileNet
EdgeTPU weights of the reference implementation need no activation behind the first block's
first normalisation (`linear_stem_block`). Next: necks/
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

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
    mean_std: Literal["imagenet", "half", "none"] = Field(default="imagenet", description="pixel normalisation")

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
        options: dict[str, object] = {}
        if config.padding == "same":
            options["pad_type"] = "same"
        if config.norm != "batch":
            options["norm_layer"] = _norm_layer(config)
        try:
            self.net = timm.create_model(
                config.name,
                features_only=True,
                out_indices=config.levels,
                in_chans=channels,
                pretrained=config.weights != "none" and path is None,
                **options,  # type: ignore[arg-type]
            )
        except OSError as error:  # the hub's client raises OSError kinds when it cannot be reached
            raise UserError(
                f"The ImageNet weights of {config.name} are not in {[str(f) for f in weight_folders]} and the hub "
                f"did not answer ({type(error).__name__}). Put {config.name}.safetensors into a folder and name it "
                "with --weights-dir, or train from scratch with --set backbone.weights=none."
            ) from error
        except (IndexError, AssertionError) as error:
            raise UserError(f"{config.name} has no feature levels {config.levels} ({error}).") from error
        except TypeError as error:
            if "pad_type" not in str(error):
                raise
            raise UserError(f"{config.name} takes no backbone.padding=same; leave it at 'default'.") from error
        if config.init == "torch":
            _reset(self.net)
        if config.linear_stem_block:
            self.net.blocks[0][0].bn1.act = nn.Identity()  # type: ignore[index, union-attr]
        if path is not None:
            load_weights(self.net, path, ignore=_unused_keys(config.name))

    def forward(self, images: Tensor) -> FeatureMaps:
        """Run the network; each map [B, C, h, w]."""
        return FeatureMaps(maps=tuple(self.net(images)))


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
