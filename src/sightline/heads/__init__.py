"""Feature maps -> one Raw type. Next: codecs/."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from sightline.heads.axes import AxesHeadConfig
from sightline.heads.heatmap import HeatmapHeadConfig
from sightline.heads.mlp import MlpHeadConfig
from sightline.pieces import HeadPieceConfig

HEADS: dict[str, type[HeadPieceConfig]] = {
    "mlp": MlpHeadConfig,
    "heatmap": HeatmapHeadConfig,
    "axes": AxesHeadConfig,
}

HeadConfig = Annotated[MlpHeadConfig | HeatmapHeadConfig | AxesHeadConfig, Field(discriminator="kind")]
