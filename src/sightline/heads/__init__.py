"""Feature maps -> one Raw type. Next: codecs/."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from sightline.heads.axes import AxesHeadConfig
from sightline.heads.decoupled import DecoupledHeadConfig
from sightline.heads.faster_rcnn import FasterRcnnHeadConfig
from sightline.heads.heatmap import HeatmapHeadConfig
from sightline.heads.mlp import MlpHeadConfig
from sightline.heads.one_box import OneBoxHeadConfig
from sightline.heads.retina import RetinaHeadConfig
from sightline.heads.ssd import SsdHeadConfig
from sightline.heads.track_map import TrackMapHeadConfig
from sightline.heads.track_mlp import TrackMlpHeadConfig
from sightline.heads.track_peak import TrackPeakHeadConfig
from sightline.heads.track_split import TrackSplitHeadConfig
from sightline.pieces import HeadPieceConfig

HEADS: dict[str, type[HeadPieceConfig]] = {
    "mlp": MlpHeadConfig,
    "heatmap": HeatmapHeadConfig,
    "axes": AxesHeadConfig,
    "one-box": OneBoxHeadConfig,
    "decoupled": DecoupledHeadConfig,
    "ssd": SsdHeadConfig,
    "retina": RetinaHeadConfig,
    "faster-rcnn": FasterRcnnHeadConfig,
    "track-mlp": TrackMlpHeadConfig,
    "track-split": TrackSplitHeadConfig,
    "track-map": TrackMapHeadConfig,
    "track-peak": TrackPeakHeadConfig,
}

HeadConfig = Annotated[
    MlpHeadConfig
    | HeatmapHeadConfig
    | AxesHeadConfig
    | OneBoxHeadConfig
    | DecoupledHeadConfig
    | SsdHeadConfig
    | RetinaHeadConfig
    | FasterRcnnHeadConfig
    | TrackMlpHeadConfig
    | TrackSplitHeadConfig
    | TrackMapHeadConfig
    | TrackPeakHeadConfig,
    Field(discriminator="kind"),
]
