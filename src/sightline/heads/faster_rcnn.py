"""Faster R-CNN's two stages as one head (Ren et al. 2015), of torchvision's parts.

The first stage scores anchors on every level; the best of them, thinned out, are the proposals, as many for
every picture as `proposals` says (filled up with empty ones). The second stage looks at each proposal and
gives class logits and a box for each class. Training and evaluation run the same way: no true boxes are
mixed into the proposals, unlike in torchvision. Next: codecs/faster_rcnn.py
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from pydantic import Field
from torch import Tensor, nn

from sightline.anchors.generate import RetinaAnchors, make_anchors
from sightline.anchors.offsets import from_offsets
from sightline.geometry import box_areas
from sightline.heads.ssd import by_place
from sightline.pieces import HeadPieceConfig, HeadShape
from sightline.types import FeatureMaps, FeatureSpec

RPN_VARIANCES = (1.0, 1.0)
POOLED = 7  # cells of a pooled proposal along each side


@dataclass(frozen=True, kw_only=True, eq=False)
class RawTwoStage:
    """What both stages emit.

    Attributes:
        anchors_xyxy: of the first stage, in input pixels.
        objectness: logit of each anchor.
        offsets: of a box from each anchor.
        proposals_xyxy: in input pixels, without gradient; those without area only fill up and are none.
        logits: of each proposal, the background first.
        boxes: offsets of a box from each proposal, for each logit.
    """

    anchors_xyxy: Float[Tensor, "P 4"]
    objectness: Float[Tensor, "B P"]
    offsets: Float[Tensor, "B P 4"]
    proposals_xyxy: Float[Tensor, "B R 4"]
    logits: Float[Tensor, "B R C"]
    boxes: Float[Tensor, "B R C 4"]


class FasterRcnnHeadConfig(HeadPieceConfig):
    """Anchors of the first stage, number of proposals, width of the second stage."""

    summary: ClassVar[str] = "Faster R-CNN: proposals, then a look at each"
    kind: Literal["faster-rcnn"] = "faster-rcnn"
    channels: int | None = Field(default=None, ge=1, description="width of both stages; the finest map's if not given")
    anchor_cells: float = Field(default=8.0, gt=0, description="side of a level's anchors, in cells")
    ratios: tuple[float, ...] = Field(default=(0.5, 1.0, 2.0), min_length=1, description="height / width of anchors")
    candidates: int = Field(default=1000, ge=1, description="best anchors of each level that may become proposals")
    nms_iou: float = Field(default=0.7, ge=0, le=1, description="proposals of one level that overlap more are thinned")
    proposals: int = Field(default=512, ge=1, description="for each picture")
    pooled_levels: int = Field(default=4, ge=1, description="so many of the finest levels feed the second stage")
    hidden: int = Field(default=1024, ge=1, description="width of the second stage's two layers")

    emits: ClassVar[type] = RawTwoStage

    def build(self, spec: FeatureSpec, *, shape: HeadShape) -> nn.Module:
        """The head for all maps."""
        return FasterRcnnHead(self, spec, shape=shape)


class FasterRcnnHead(nn.Module):
    """FeatureMaps -> RawTwoStage."""

    def __init__(self, config: FasterRcnnHeadConfig, spec: FeatureSpec, *, shape: HeadShape) -> None:
        super().__init__()
        from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead  # seconds to import
        from torchvision.models.detection.rpn import RPNHead
        from torchvision.ops import MultiScaleRoIAlign

        self.config, self.input_hw = config, shape.input_hw
        width = config.channels or spec.channels[0]
        self.project = nn.ModuleList(nn.Identity() if c == width else nn.Conv2d(c, width, 1) for c in spec.channels)
        self.rpn = RPNHead(width, len(config.ratios))
        pooled = [str(level) for level in range(min(config.pooled_levels, len(spec.channels)))]
        self.pool = MultiScaleRoIAlign(pooled, output_size=POOLED, sampling_ratio=2)
        self.layers = TwoMLPHead(width * POOLED**2, config.hidden)
        self.predictor = FastRCNNPredictor(config.hidden, shape.num_logits)

    def named_rows(self) -> dict[str, int]:
        """See `pieces.HeadPieceConfig`: of each class a logit, and a box."""
        return {"predictor.cls_score": 1, "predictor.bbox_pred": 4}

    def forward(self, features: FeatureMaps) -> RawTwoStage:
        """Anchors, proposals, and what the second stage says of each."""
        maps = [project(one) for project, one in zip(self.project, features.maps, strict=True)]
        scores, offsets = self.rpn(maps)
        counts = [score.shape[1] * score.shape[2] * score.shape[3] for score in scores]
        objectness = torch.cat([by_place(score, 1) for score in scores], dim=1)[..., 0]
        shifts = torch.cat([by_place(offset, 4) for offset in offsets], dim=1)
        anchors = self._anchors([(one.shape[2], one.shape[3]) for one in maps]).to(shifts.device)
        with torch.no_grad():
            proposals = self._propose(anchors, objectness.detach(), shifts.detach(), counts)
        logits, boxes = self.predictor(self.layers(self._pool(maps, proposals)))  # [B * R, ...]
        return RawTwoStage(
            anchors_xyxy=anchors,
            objectness=objectness,
            offsets=shifts,
            proposals_xyxy=proposals,
            logits=logits.unflatten(0, proposals.shape[:2]),
            boxes=boxes.unflatten(1, (-1, 4)).unflatten(0, proposals.shape[:2]),
        )

    def _anchors(self, levels_hw: list[tuple[int, int]]) -> Tensor:
        """[P, 4] in input pixels: squares of `anchor_cells` cells, and the same area at the other ratios."""
        rule = RetinaAnchors(cells=self.config.anchor_cells, scales=1, ratios=self.config.ratios)
        return make_anchors(rule, levels_hw=levels_hw, input_hw=self.input_hw)

    def _propose(self, anchors: Tensor, objectness: Tensor, shifts: Tensor, counts: list[int]) -> Tensor:
        """The best boxes of each picture, thinned out level by level, and filled up with empty ones: [B, R, 4]."""
        from torchvision.ops import nms

        config = self.config
        rows, start = [], 0
        for count in counts:  # candidates of each level
            rows.append(objectness[:, start : start + count].topk(min(config.candidates, count), dim=1).indices + start)
            start += count
        order = torch.cat(rows, dim=1)  # [B, candidates]
        level = torch.cat([torch.full_like(row, index) for index, row in enumerate(rows)], dim=1)
        boxes = from_offsets(
            shifts.gather(1, order[..., None].expand(-1, -1, 4)), anchors[order], variances=RPN_VARIANCES
        )
        limit = boxes.new_tensor([self.input_hw[1], self.input_hw[0]] * 2)
        boxes = boxes.clamp_min(0).minimum(limit)
        scores = objectness.gather(1, order).float()
        proposals = boxes.new_zeros(len(boxes), config.proposals, 4)
        if boxes.is_meta:  # without values there is nothing to choose by; the shapes are the same
            return proposals
        for picture in range(len(boxes)):
            there = (box_areas(boxes[picture]) > 0).nonzero()[:, 0]
            apart = boxes[picture, there] + level[picture, there, None] * (limit.amax() + 1)
            kept = there[nms(apart, scores[picture, there], config.nms_iou)[: config.proposals]]
            proposals[picture, : len(kept)] = boxes[picture, kept]
        return proposals

    def _pool(self, maps: list[Tensor], proposals: Tensor) -> Tensor:
        """[B, R, 4] -> [B * R, C, 7, 7] from the level that suits each proposal's size."""
        if proposals.is_meta:
            return maps[0].new_empty(proposals.shape[0] * proposals.shape[1], maps[0].shape[1], POOLED, POOLED)
        named = OrderedDict((str(level), one) for level, one in enumerate(maps))
        return self.pool(named, list(proposals.to(maps[0].dtype)), [self.input_hw] * len(proposals))
