"""Feature maps -> feature maps, or one vector. Next: heads/."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from sightline.necks.adaptive_pool import AdaptivePoolNeckConfig
from sightline.necks.bifpn import BifpnNeckConfig
from sightline.necks.deconv import DeconvNeckConfig
from sightline.necks.driving_bifpn import DrivingBifpnNeckConfig
from sightline.necks.fpn import FpnNeckConfig
from sightline.necks.fpn_torchvision import FpnTorchvisionNeckConfig
from sightline.necks.gap import GapNeckConfig
from sightline.necks.none import NoNeckConfig
from sightline.necks.pan import PanNeckConfig
from sightline.necks.plain_bifpn import PlainBifpnNeckConfig
from sightline.necks.unet_decoder import UnetDecoderConfig
from sightline.pieces import PieceConfig

NECKS: dict[str, type[PieceConfig]] = {
    "none": NoNeckConfig,
    "gap": GapNeckConfig,
    "fpn": FpnNeckConfig,
    "bifpn": BifpnNeckConfig,
    "unet-decoder": UnetDecoderConfig,
    "deconv": DeconvNeckConfig,
    "adaptive-pool": AdaptivePoolNeckConfig,
    "pan": PanNeckConfig,
    "fpn-torchvision": FpnTorchvisionNeckConfig,
    "driving-bifpn": DrivingBifpnNeckConfig,
    "plain-bifpn": PlainBifpnNeckConfig,
}

NeckConfig = Annotated[
    NoNeckConfig
    | GapNeckConfig
    | FpnNeckConfig
    | BifpnNeckConfig
    | UnetDecoderConfig
    | DeconvNeckConfig
    | AdaptivePoolNeckConfig
    | PanNeckConfig
    | FpnTorchvisionNeckConfig
    | DrivingBifpnNeckConfig
    | PlainBifpnNeckConfig,
    Field(discriminator="kind"),
]
