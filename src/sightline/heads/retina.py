"""RetinaNet's head (Lin et al. 2017): one deep tower for boxes and one for classes, shared by all levels.

Levels with equally many anchors a cell share the last convolutions too; the driving write-up's second head
has two pairs of them. Maps of another width than the towers' are first brought to it by a 1 x 1 convolution;
behind a pyramid of one width there is none. Next: codecs/anchors.py
"""

from __future__ import annotations

import math
from typing import ClassVar, Literal

import torch
from pydantic import Field
from torch import nn

from sightline.heads.ssd import by_place
from sightline.pieces import HeadPieceConfig, HeadShape
from sightline.types import FeatureMaps, FeatureSpec, RawDense


class RetinaHeadConfig(HeadPieceConfig):
    """Depth, normalisation, and where the weights start."""

    summary: ClassVar[str] = "RetinaNet: deep towers shared by all levels"
    kind: Literal["retina"] = "retina"
    channels: int | None = Field(default=None, ge=1, description="width of the towers; the finest map's when not given")
    depth: int = Field(default=4, ge=0, description="3 x 3 convolutions in each tower")
    norm: Literal["none", "group"] = Field(default="none", description="normalisation in the towers")
    start: Literal["xavier", "kaiming", "normal"] = Field(
        default="normal",
        description="first weights: xavier (biases the library's), kaiming uniform, or normal with std 0.01",
    )
    prior: float | None = Field(
        default=0.01,
        gt=0,
        lt=1,
        description="first probability that a place is an object, through the last biases; none: biases as `start`",
    )
    prior_form: Literal["sigmoid", "background"] = Field(
        default="sigmoid",
        description="sigmoid: every class's bias is low; background: the first logit's is high, for softmax codecs",
    )
    idle_towers: bool = Field(
        default=False, description="a published mistake: the towers are built and counted, but never run"
    )

    emits: ClassVar[type] = RawDense

    def build(self, spec: FeatureSpec, *, shape: HeadShape) -> nn.Module:
        """The head for all maps."""
        return RetinaHead(self, spec, shape=shape)


class RetinaHead(nn.Module):
    """FeatureMaps -> RawDense."""

    def __init__(self, config: RetinaHeadConfig, spec: FeatureSpec, *, shape: HeadShape) -> None:
        super().__init__()
        self.num_logits = shape.num_logits
        width = config.channels or spec.channels[0]
        self.project = nn.ModuleList(nn.Identity() if c == width else nn.Conv2d(c, width, 1) for c in spec.channels)
        self.counts = shape.per_cell
        self.box_tower, self.class_tower = _tower(config, width), _tower(config, width)
        self.idle_towers = config.idle_towers
        if config.idle_towers:
            self.box_tower.requires_grad_(False)
            self.class_tower.requires_grad_(False)
        # One last convolution for each number of anchors a cell that occurs; keys of a ModuleDict are text.
        counts = sorted(set(shape.per_cell))
        self.boxes = nn.ModuleDict({str(n): nn.Conv2d(width, n * 4, 3, padding=1) for n in counts})
        self.classes = nn.ModuleDict({str(n): nn.Conv2d(width, n * shape.num_logits, 3, padding=1) for n in counts})
        self._start(config)

    def _start(self, config: RetinaHeadConfig) -> None:
        """First weights, and the last biases of the classes."""
        for conv in self.modules():
            if isinstance(conv, nn.Conv2d):
                _start_conv(conv, config.start)
        if config.prior is None:
            return
        for last in self.classes.values():
            assert isinstance(last, nn.Conv2d) and last.bias is not None
            bias = last.bias.data.view(-1, self.num_logits)  # [A, C]
            if config.prior_form == "sigmoid":
                bias.fill_(-math.log((1 - config.prior) / config.prior))
            else:
                bias[:, 0] = background_bias(1 - config.prior, num_logits=self.num_logits)

    def named_rows(self) -> dict[str, int]:
        """See `pieces.HeadPieceConfig`: logits, of each anchor in turn."""
        return {f"classes.{count}": 1 for count in self.classes}

    def forward(self, features: FeatureMaps) -> RawDense:
        """All levels one behind the other: boxes [B, P, 4], logits [B, P, C]."""
        boxes, logits = [], []
        for project, one, count in zip(self.project, features.maps, self.counts, strict=True):
            x = project(one)
            for_boxes, for_classes = (x, x) if self.idle_towers else (self.box_tower(x), self.class_tower(x))
            boxes.append(by_place(self.boxes[str(count)](for_boxes), 4))
            logits.append(by_place(self.classes[str(count)](for_classes), self.num_logits))
        sizes = tuple((one.shape[2], one.shape[3]) for one in features.maps)
        return RawDense(boxes=torch.cat(boxes, dim=1), logits=torch.cat(logits, dim=1), sizes_hw=sizes)


def background_bias(probability: float, *, num_logits: int) -> float:
    """The background's logit at which a softmax over otherwise equal logits gives it this probability.

    Equation 2 of the driving write-up: log(p (K - 1) / (1 - p)); ln 792 for p = 0.99 and K = 9.
    """
    return math.log(probability * (num_logits - 1) / (1 - probability))


def _start_conv(conv: nn.Conv2d, start: str) -> None:
    if start == "xavier":
        nn.init.xavier_uniform_(conv.weight)
        return
    if start == "kaiming":
        nn.init.kaiming_uniform_(conv.weight, nonlinearity="relu")
    else:
        nn.init.normal_(conv.weight, std=0.01)
    if conv.bias is not None:
        nn.init.zeros_(conv.bias)


def _tower(config: RetinaHeadConfig, width: int) -> nn.Sequential:
    groups = max(count for count in range(1, 33) if width % count == 0 and (count == 1 or width // count >= 4))
    parts: list[nn.Module] = []
    for _ in range(config.depth):
        parts.append(nn.Conv2d(width, width, 3, padding=1, bias=config.norm == "none"))
        parts += [nn.GroupNorm(groups, width)] if config.norm == "group" else []
        parts.append(nn.ReLU())
    return nn.Sequential(*parts)
