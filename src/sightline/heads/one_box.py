"""One object in a picture: a branch for its class and a branch for its box, on the same map.

Each branch is fully connected ("mlp": flatten, hidden layers) or convolutional ("conv": blocks of 3 x 3
convolution, batch normalisation and ReLU, then 1 x 1 and the largest value of the map). The `aircraft` write-up
goes from the first to the second kind. A conv branch without any block predicts from the map itself.
Next: codecs/one_box.py
"""

from __future__ import annotations

import math
from typing import ClassVar, Literal

import torch
from pydantic import Field, NonNegativeInt, PositiveInt, model_validator
from torch import nn

from sightline.errors import UserError
from sightline.pieces import HeadPieceConfig, HeadShape, PieceConfig
from sightline.types import FeatureMaps, FeatureSpec, RawOneBox

CENTRE = (0.25, 0.25, 0.75, 0.75)  # x0, y0, x1, y1 as fractions of the input


class BranchConfig(PieceConfig):
    """One branch: its kind, its layers, and what stands between them."""

    kind: Literal["mlp", "conv"] = Field(default="mlp", description="fully connected or convolutional")
    widths: tuple[PositiveInt, ...] = Field(
        default=(256,), description="mlp: of the hidden layers; conv: filters of the 3 x 3 blocks; () predicts at once"
    )
    squeeze: NonNegativeInt = Field(
        default=0, description="mlp: a 1 x 1 convolution to so many channels before flattening; 0: none"
    )
    dropout: float = Field(default=0.0, ge=0, lt=1, description="of the branch's input")
    hidden_dropout: float = Field(default=0.0, ge=0, lt=1, description="behind each hidden layer or block")
    norm: bool = Field(default=True, description="batch normalisation behind each hidden layer or block")
    pool: Literal["max", "mean"] | None = Field(
        default=None, description="conv: over the map at the end; max when not given"
    )

    @model_validator(mode="after")
    def _belongs_to_its_kind(self) -> BranchConfig:
        if self.kind == "mlp" and self.pool is not None:
            raise ValueError("pool is for kind=conv; an mlp flattens the map")
        if self.kind == "conv" and self.squeeze:
            raise ValueError("squeeze is for kind=mlp; give a conv branch fewer filters by widths")
        return self


class OneBoxHeadConfig(HeadPieceConfig):
    """The two branches, and where the box starts."""

    summary: ClassVar[str] = "one object: class and box, fully connected or convolutional"
    kind: Literal["one-box"] = "one-box"
    class_branch: BranchConfig = BranchConfig()
    box_branch: BranchConfig = BranchConfig()
    dropout: float = Field(default=0.0, ge=0, lt=1, description="of the map, one draw for both branches")
    start_at: Literal["default", "centre"] = Field(
        default="centre", description="first box: wherever the library's initialisation puts it, or the middle half"
    )

    emits: ClassVar[type] = RawOneBox

    def build(self, spec: FeatureSpec, *, shape: HeadShape) -> nn.Module:
        """The head for the coarsest map; raises UserError when there are no classes to tell apart."""
        if shape.num_logits < 1:
            raise UserError(
                "Head 'one-box' needs the names of the classes, and the experiment has none. Training takes them from "
                "a data set of boxes; to look at the network alone give them by --set 'classes=[a, b]'."
            )
        return OneBoxHead(self, spec, num_classes=shape.num_logits)


class OneBoxHead(nn.Module):
    """FeatureMaps -> RawOneBox, from the coarsest map."""

    def __init__(self, config: OneBoxHeadConfig, spec: FeatureSpec, *, num_classes: int) -> None:
        super().__init__()
        # Modules, and not calls, so that the memory table counts what the write-up's counted.
        self.dropout = nn.Sequential(*([nn.Dropout(config.dropout)] if config.dropout else []))
        self.flatten = nn.Flatten()
        self.class_is_flat, self.box_is_flat = _takes_vector(config.class_branch), _takes_vector(config.box_branch)
        self.class_branch = _branch(config.class_branch, spec, outputs=num_classes)
        self.box_branch = _branch(config.box_branch, spec, outputs=4)
        if config.start_at == "centre":
            assert self.last.bias is not None
            with torch.no_grad():
                self.last.bias.copy_(torch.tensor(CENTRE).logit())

    @property
    def last(self) -> nn.Linear | nn.Conv2d:
        """The layer that gives the box; its bias is where the box starts."""
        return [layer for layer in self.box_branch if isinstance(layer, nn.Linear | nn.Conv2d)][-1]

    def named_rows(self) -> dict[str, int]:
        """See `pieces.HeadPieceConfig`: a logit of each class."""
        children = self.class_branch.named_children()
        *_, last = (name for name, layer in children if isinstance(layer, nn.Linear | nn.Conv2d))
        return {f"class_branch.{last}": 1}

    def forward(self, features: FeatureMaps) -> RawOneBox:
        """Box [B, 4] before the sigmoid, and class logits [B, C]."""
        x = self.dropout(features.maps[-1])
        vector = self.flatten(x) if self.class_is_flat or self.box_is_flat else x
        box = self.box_branch(vector if self.box_is_flat else x)
        logits = self.class_branch(vector if self.class_is_flat else x)
        # A conv branch ends as [B, outputs, 1, 1]; unflattened it would pass through a loss by broadcasting.
        return RawOneBox(box=box.flatten(1), logits=logits.flatten(1))


def _takes_vector(config: BranchConfig) -> bool:
    """Whether a branch begins behind the flattening that both share."""
    return config.kind == "mlp" and not config.squeeze


def _branch(config: BranchConfig, spec: FeatureSpec, *, outputs: int) -> nn.Sequential:
    return _conv(config, spec, outputs=outputs) if config.kind == "conv" else _mlp(config, spec, outputs=outputs)


def _mlp(config: BranchConfig, spec: FeatureSpec, *, outputs: int) -> nn.Sequential:
    """[B, C * h * w], or with `squeeze` [B, C, h, w], -> [B, outputs]."""
    channels, cells = spec.channels[-1], math.prod(spec.sizes_hw[-1])
    parts: list[nn.Module] = []
    if config.squeeze:
        parts.append(nn.Conv2d(channels, config.squeeze, 1))
        parts += [*_behind(config, nn.BatchNorm2d(config.squeeze)), nn.Flatten()]
        channels = config.squeeze
    parts += [nn.Dropout(config.dropout)] if config.dropout else []
    width = channels * cells
    for hidden in config.widths:
        parts += [nn.Linear(width, hidden), *_behind(config, nn.BatchNorm1d(hidden))]
        width = hidden
    return nn.Sequential(*parts, nn.Linear(width, outputs))


def _conv(config: BranchConfig, spec: FeatureSpec, *, outputs: int) -> nn.Sequential:
    """[B, C, h, w] -> [B, outputs, 1, 1]."""
    parts: list[nn.Module] = [nn.Dropout(config.dropout)] if config.dropout else []
    channels = spec.channels[-1]
    for filters in config.widths:
        # Biased although normalisation follows: the published counts have these biases.
        parts += [nn.Conv2d(channels, filters, 3, padding=1), *_behind(config, nn.BatchNorm2d(filters))]
        channels = filters
    pool = nn.AdaptiveAvgPool2d(1) if config.pool == "mean" else nn.AdaptiveMaxPool2d(1)
    return nn.Sequential(*parts, nn.Conv2d(channels, outputs, 1), pool)


def _behind(config: BranchConfig, norm: nn.Module) -> list[nn.Module]:
    """What follows a hidden layer."""
    dropout = [nn.Dropout(config.hidden_dropout)] if config.hidden_dropout else []
    return [*([norm] if config.norm else []), nn.ReLU(), *dropout]
