"""Image -> feature maps. Next: necks/."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from sightline.backbones.convnet import ConvnetBackboneConfig
from sightline.backbones.light import LightBackboneConfig
from sightline.backbones.resnet_levels import ResnetLevelsConfig
from sightline.backbones.ssd_basic import SsdBasicBackboneConfig
from sightline.backbones.timm_net import TimmBackboneConfig
from sightline.backbones.torchvision_net import TorchvisionBackboneConfig
from sightline.backbones.unet_encoder import UnetEncoderConfig
from sightline.pieces import PieceConfig

BACKBONES: dict[str, type[PieceConfig]] = {
    "timm": TimmBackboneConfig,
    "torchvision": TorchvisionBackboneConfig,
    "convnet": ConvnetBackboneConfig,
    "unet-encoder": UnetEncoderConfig,
    "light": LightBackboneConfig,
    "resnet-levels": ResnetLevelsConfig,
    "ssd-basic": SsdBasicBackboneConfig,
}

BackboneConfig = Annotated[
    TimmBackboneConfig
    | TorchvisionBackboneConfig
    | ConvnetBackboneConfig
    | UnetEncoderConfig
    | LightBackboneConfig
    | ResnetLevelsConfig
    | SsdBasicBackboneConfig,
    Field(discriminator="kind"),
]
