"""Truth -> target, raw + target -> loss, raw -> points. Next: model.py."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from sightline.codecs.anchor_free import AnchorFreeCodecConfig
from sightline.codecs.anchors import AnchorsCodecConfig
from sightline.codecs.coords import CoordsCodecConfig
from sightline.codecs.faster_rcnn import FasterRcnnCodecConfig
from sightline.codecs.heatmap import HeatmapCodecConfig
from sightline.codecs.integral import IntegralCodecConfig
from sightline.codecs.one_box import OneBoxCodecConfig
from sightline.codecs.simcc import SimccCodecConfig
from sightline.codecs.summed_heatmap import SummedHeatmapCodecConfig
from sightline.codecs.track_coords import TrackCoordsCodecConfig
from sightline.codecs.track_map import TrackMapCodecConfig
from sightline.codecs.track_peak import TrackPeakCodecConfig
from sightline.pieces import CodecPieceConfig

CODECS: dict[str, type[CodecPieceConfig]] = {
    "coords": CoordsCodecConfig,
    "heatmap": HeatmapCodecConfig,
    "summed-heatmap": SummedHeatmapCodecConfig,
    "integral": IntegralCodecConfig,
    "simcc": SimccCodecConfig,
    "one-box": OneBoxCodecConfig,
    "anchor-free": AnchorFreeCodecConfig,
    "anchors": AnchorsCodecConfig,
    "faster-rcnn": FasterRcnnCodecConfig,
    "track-coords": TrackCoordsCodecConfig,
    "track-map": TrackMapCodecConfig,
    "track-peak": TrackPeakCodecConfig,
}

CodecConfig = Annotated[
    CoordsCodecConfig
    | HeatmapCodecConfig
    | SummedHeatmapCodecConfig
    | IntegralCodecConfig
    | SimccCodecConfig
    | OneBoxCodecConfig
    | AnchorFreeCodecConfig
    | AnchorsCodecConfig
    | FasterRcnnCodecConfig
    | TrackCoordsCodecConfig
    | TrackMapCodecConfig
    | TrackPeakCodecConfig,
    Field(discriminator="kind"),
]
