"""Any timm classifier as a feature pyramid.

Some TensorFlow-born weights need `padding="same"`; timm's own need the default. MobileNet
EdgeTPU weights of the reference implementation need no activation behind the first block's
first normalisation (`linear_stem_block`). Next: necks/
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ClassVar, Literal

from pydantic import Field
from torch import Tensor, nn

from sightline.backbones.weights import find_weights, load_weights
from sightline.errors import UserError, unknown_name
from sightline.pieces import PieceConfig
from sightline.types import FeatureMaps

HEAD_PREFIXES = ("classifier", "conv_head", "bn2", "head", "fc", "norm_head", "global_pool")


class TimmBackboneConfig(PieceConfig):
    """A timm model by name."""

    summary: ClassVar[str] = "any timm classifier by name, as feature maps"
    kind: Literal["timm"] = "timm"
    name: str = Field("mobilenetv2_100", description="timm model name")
    weights: str = Field("imagenet", description="'imagenet', 'none', or a safetensors file")
    levels: tuple[int, ...] = Field((1, 2, 3, 4), description="feature levels, 0 = stride 2")
    padding: Literal["default", "same"] = Field("default", description="'same' for weights born in TensorFlow")
    linear_stem_block: bool = Field(False, description="EdgeTPU reference weights: no activation in the first block")
    norm: Literal["batch", "group", "none"] = Field("batch", description="normalisation layers (resnets only)")
    frozen: Literal["none", "norm", "all"] = Field("none", description="what never changes, buffers included")
    mean_std: Literal["imagenet", "half", "none"] = Field("imagenet", description="pixel normalisation")

    def build(self, *, channels: int, weight_folders: Sequence[Path]) -> nn.Module:
        """The network; raises UserError for an unknown name, level, or weights that do not fit."""
        return TimmBackbone(self, channels=channels, weight_folders=weight_folders)


class TimmBackbone(nn.Module):
    """images [B, C, H, W], normalised -> FeatureMaps."""

    def __init__(self, config: TimmBackboneConfig, *, channels: int, weight_folders: Sequence[Path]) -> None:
        super().__init__()
        import timm  # seconds to import: only where a network is really built

        if config.name not in timm.list_models():
            raise unknown_name("timm model", config.name, timm.list_models())
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
        if config.linear_stem_block:
            self.net.blocks[0][0].bn1.act = nn.Identity()  # type: ignore[index, union-attr]
        if path is not None:
            load_weights(self.net, path, ignore=HEAD_PREFIXES)

    def forward(self, images: Tensor) -> FeatureMaps:
        """Run the network; each map [B, C, h, w]."""
        return FeatureMaps(maps=tuple(self.net(images)))


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
