"""Judging and reading Faster R-CNN's two stages (Ren et al. 2015): both sample a few places of each kind.

Next: suppression.py
"""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from pydantic import Field, PositiveFloat, model_validator
from torch import Tensor
from torch.nn import functional as F

from sightline.anchors.offsets import from_offsets, to_offsets
from sightline.assign.assignment import fixed_iou
from sightline.codecs.protocol import CodecShape, PictureCodec
from sightline.codecs.suppression import suppress
from sightline.geometry import box_areas, intersections, pairwise_iou
from sightline.heads.faster_rcnn import RPN_VARIANCES, RawTwoStage
from sightline.pieces import CodecPieceConfig, Finds
from sightline.types import Boxes, Truth

CERTAIN = 12.0  # a logit as good as true
BEND = 1 / 9  # where smooth L1 becomes linear: torchvision's and Detectron's


class FasterRcnnCodecConfig(CodecPieceConfig):
    """Matching and sampling of both stages, and what decoding keeps."""

    summary: ClassVar[str] = "Faster R-CNN: losses of both stages over sampled places"
    kind: Literal["faster-rcnn"] = "faster-rcnn"
    anchor_positive: float = Field(default=0.7, ge=0, le=1, description="first stage: IoU above which an anchor learns")
    anchor_negative: float = Field(default=0.3, ge=0, le=1, description="first stage: IoU up to which it is background")
    anchor_sample: int = Field(default=256, ge=1, description="first stage: anchors of a picture in the loss")
    anchor_share: float = Field(default=0.5, gt=0, le=1, description="first stage: at most this share of them objects")
    proposal_iou: float = Field(default=0.5, ge=0, le=1, description="second stage: IoU from which a proposal learns")
    proposal_sample: int = Field(default=512, ge=1, description="second stage: proposals of a picture in the loss")
    proposal_share: float = Field(default=0.25, gt=0, le=1, description="second stage: at most this share are objects")
    variances: tuple[PositiveFloat, PositiveFloat] = Field(
        default=(0.1, 0.2), description="second stage: offsets' units"
    )
    score_threshold: float = Field(default=0.05, ge=0, le=1, description="boxes scored below are not given")
    iou: float = Field(default=0.5, ge=0, le=1, description="of two boxes of one class above it, the better one stays")
    most: int = Field(default=100, ge=1, description="boxes to give for a picture")
    candidates: int = Field(default=1000, ge=1, description="best boxes of a picture that are looked at for that")

    takes: ClassVar[type] = RawTwoStage
    finds: ClassVar[Finds] = "boxes"

    @model_validator(mode="after")
    def _limits_in_order(self) -> FasterRcnnCodecConfig:
        if self.anchor_negative > self.anchor_positive:
            raise ValueError(f"anchor_negative {self.anchor_negative:g} is above {self.anchor_positive:g}")
        return self

    def num_logits(self, num_classes: int) -> int:
        """The classes, behind a background."""
        return num_classes + 1

    def build(self, shape: CodecShape) -> FasterRcnnCodec:
        """The codec for an input size."""
        return FasterRcnnCodec(self, shape)


class FasterRcnnCodec(PictureCodec):
    """encode keeps the truth: who learns what depends on the proposals; loss; decode -> input pixels."""

    def __init__(self, config: FasterRcnnCodecConfig, shape: CodecShape) -> None:
        self.config, self.input_hw, self.num_classes = config, shape.input_hw, shape.num_classes

    def encode(self, truth: Truth) -> Truth:
        """The truth itself."""
        return truth

    def loss(self, raw: RawTwoStage, target: Truth) -> Tensor:
        """Class and box loss of both stages, all of weight 1. Which places are sampled is random."""
        return self._of_anchors(raw, target) + self._of_proposals(raw, target)

    def _of_anchors(self, raw: RawTwoStage, truth: Truth) -> Tensor:
        """Is there an object, and where: over the sampled anchors."""
        config = self.config
        assigned = fixed_iou(raw.anchors_xyxy, truth, positive=config.anchor_positive, negative=config.anchor_negative)
        positive, negative = sample(
            assigned.positive,
            ~assigned.positive & ~assigned.ignored,
            count=config.anchor_sample,
            share=config.anchor_share,
        )
        total = (positive.sum() + negative.sum()).clamp_min(1)
        per_anchor = F.binary_cross_entropy_with_logits(raw.objectness.float(), positive.float(), reduction="none")
        picture, place = positive.nonzero(as_tuple=True)
        wanted = to_offsets(
            truth.boxes_xyxy[picture, assigned.object[picture, place]].float(),
            raw.anchors_xyxy[place],
            variances=RPN_VARIANCES,
        )
        found = raw.offsets[picture, place].float()
        boxes = F.smooth_l1_loss(found, wanted, beta=BEND, reduction="sum")
        return ((per_anchor * (positive | negative)).sum() + boxes) / total

    def _of_proposals(self, raw: RawTwoStage, truth: Truth) -> Tensor:
        """Which class, and where exactly: over the sampled proposals."""
        config = self.config
        best, slot = _best_objects(raw.proposals_xyxy, truth)
        is_there = box_areas(raw.proposals_xyxy) > 0
        positive = is_there & (best >= config.proposal_iou) & (best > 0)
        negative = is_there & ~positive & ~_in_crowds(raw.proposals_xyxy, truth)
        positive, negative = sample(positive, negative, count=config.proposal_sample, share=config.proposal_share)
        total = (positive.sum() + negative.sum()).clamp_min(1)
        picture, place = positive.nonzero(as_tuple=True)
        of_object = slot[picture, place]
        labels = torch.zeros_like(slot)
        labels[picture, place] = truth.labels[picture, of_object] + 1
        per_proposal = F.cross_entropy(raw.logits.float().flatten(0, 1), labels.flatten(), reduction="none")
        wanted = to_offsets(
            truth.boxes_xyxy[picture, of_object].float(), raw.proposals_xyxy[picture, place], variances=config.variances
        )
        found = raw.boxes[picture, place, labels[picture, place]].float()
        boxes = F.smooth_l1_loss(found, wanted, beta=BEND, reduction="sum")
        return ((per_proposal * (positive | negative).flatten()).sum() + boxes) / total

    def decode(self, raw: RawTwoStage) -> Boxes:
        """Boxes in input pixels, cut at its edges; the score is the class's probability."""
        config, (height, width) = self.config, self.input_hw
        boxes = from_offsets(raw.boxes[:, :, 1:], raw.proposals_xyxy[:, :, None], variances=config.variances)
        scores = raw.logits.float().softmax(dim=2)[..., 1:]  # [B, R, C]
        scores = scores * (box_areas(raw.proposals_xyxy) > 0)[..., None]
        # Every class has a box of its own, so each becomes a place that knows one class only.
        return suppress(
            boxes.flatten(1, 2).clamp_min(0).minimum(boxes.new_tensor([width, height, width, height])),
            scores.diag_embed().flatten(1, 2),
            score_threshold=config.score_threshold,
            iou=config.iou,
            most=config.most,
            candidates=config.candidates,
        )

    def perfect(self, target: Truth) -> RawTwoStage:
        """What a flawless network would emit: the objects themselves as proposals, and one anchor, no object."""
        batch, count = target.valid.shape
        height, width = self.input_hw
        boxes = target.boxes_xyxy * target.valid[..., None]
        labels = F.one_hot(torch.where(target.valid, target.labels + 1, 0), self.num_classes + 1).to(boxes.dtype)
        return RawTwoStage(
            anchors_xyxy=boxes.new_tensor([[0.0, 0.0, width, height]]),
            objectness=boxes.new_full((batch, 1), -CERTAIN),
            offsets=boxes.new_zeros(batch, 1, 4),
            proposals_xyxy=boxes,
            logits=(2 * labels - 1) * CERTAIN,
            boxes=boxes.new_zeros(batch, count, self.num_classes + 1, 4),
        )


def sample(positive: Tensor, negative: Tensor, *, count: int, share: float) -> tuple[Tensor, Tensor]:
    """Draw at most `count` places of each picture, at most a `share` of them positive: masks [B, P]."""
    positive = _draw(positive, torch.full_like(positive[:, 0], int(count * share), dtype=torch.long))
    return positive, _draw(negative, count - positive.sum(dim=1))


def _draw(mask: Tensor, counts: Tensor) -> Tensor:
    """So many of each row's places, at random; all of them where there are fewer."""
    order = torch.rand(mask.shape, device=mask.device).masked_fill(~mask, 2.0).argsort(dim=1)
    rank = torch.empty_like(order).scatter_(
        1, order, torch.arange(mask.shape[1], device=mask.device).expand_as(order).contiguous()
    )
    return mask & (rank < counts[:, None])


def _best_objects(proposals_xyxy: Tensor, truth: Truth) -> tuple[Tensor, Tensor]:
    """The largest IoU of each proposal with an object, and which object: [B, R] and [B, R]; 0 and 0 without objects."""
    if truth.valid.shape[1] == 0:
        none = torch.zeros(proposals_xyxy.shape[:2], device=proposals_xyxy.device)
        return none, none.long()
    overlaps = pairwise_iou(proposals_xyxy, truth.boxes_xyxy.float()) * truth.valid[:, None]
    best, slot = overlaps.max(dim=2)
    return best, slot


def _in_crowds(proposals_xyxy: Tensor, truth: Truth) -> Tensor:
    """Proposals that lie by more than half in one crowd: neither object nor background, [B, R]."""
    shared = intersections(proposals_xyxy, truth.boxes_xyxy.float()) * truth.crowd[:, None]
    return (shared > box_areas(proposals_xyxy)[..., None] / 2).any(dim=2)
