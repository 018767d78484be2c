"""Feature maps of a frame and of those before it, and the points before it -> feature maps. Next: heads/."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from sightline.context.attention import AttentionContextConfig
from sightline.context.film_pyramid import FilmPyramidContextConfig
from sightline.context.frame_mix import FrameMixConfig
from sightline.context.none import NoContextConfig
from sightline.context.stack import StackContextConfig
from sightline.pieces import ContextPieceConfig

CONTEXTS: dict[str, type[ContextPieceConfig]] = {
    "none": NoContextConfig,
    "attention": AttentionContextConfig,
    "stack": StackContextConfig,
    "film-pyramid": FilmPyramidContextConfig,
    "frame-mix": FrameMixConfig,
}

ContextConfig = Annotated[
    NoContextConfig | AttentionContextConfig | StackContextConfig | FilmPyramidContextConfig | FrameMixConfig,
    Field(discriminator="kind"),
]
