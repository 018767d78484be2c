"""Feature maps of a frame and of those before it, and the points before it -> feature maps. Next: heads/."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from sightline.context.frame_mix import FrameMixConfig
from sightline.context.none import NoContextConfig
from sightline.pieces import ContextPieceConfig

CONTEXTS: dict[str, type[ContextPieceConfig]] = {
    "none": NoContextConfig,
    "frame-mix": FrameMixConfig,
}

ContextConfig = Annotated[
    NoContextConfig | FrameMixConfig,
    Field(discriminator="kind"),
]
