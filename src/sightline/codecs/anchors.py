"""Many objects by anchors: boxes of fixed shapes at every cell, each with class logits and offsets to its object.

The published driving detector is this codec: `loss_kind` is `multibox` (SSD) or `softmax-focal` (its own focal
loss), both with a background logit in front; `sigmoid-focal` is RetinaNet's, without one. Which anchor learns
which object: `fixed` IoU or ATSS. Next: suppression.py
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from jaxtyping import Bool, Float, Int
from pydantic import Field, PositiveFloat, model_validator
from torch import Tensor
from torch.nn import functional as F

from sightline.anchors.generate import RetinaAnchors, make_anchors, places_of_levels
from sightline.anchors.offsets import from_offsets, to_offsets
from sightline.assign.assignment import atss, fixed_iou
from sightline.codecs.anchor_losses import classes_first, multibox, sigmoid_focal, softmax_focal
from sightline.codecs.anchor_rules import AnchorsConfig, plain_rule
from sightline.codecs.one_box import overlap
from sightline.codecs.protocol import CodecShape, PictureCodec
from sightline.codecs.suppression import suppress
from sightline.errors import UserError
from sightline.pieces import CodecPieceConfig, Finds
from sightline.types import Boxes, Raw, RawDense, Truth

CERTAIN = 12.0  # a logit as good as true


class AnchorsCodecConfig(CodecPieceConfig):
    """Shapes of the anchors, matching, losses, decoding."""

    summary: ClassVar[str] = "boxes as offsets from anchors: multibox with hard negatives, or focal loss"
    kind: Literal["anchors"] = "anchors"
    anchors: AnchorsConfig = Field(
        default=RetinaAnchors(), description="which anchors stand on the cells of each level"
    )
    variances: tuple[PositiveFloat, PositiveFloat] = Field(
        default=(0.1, 0.2), description="offsets of centre and of size are divided by these"
    )
    assigner: Literal["fixed", "atss"] = Field(default="fixed", description="which anchors learn which object")
    positive_iou: float = Field(default=0.5, ge=0, le=1, description="fixed: an anchor above it learns the object")
    negative_iou: float = Field(default=0.5, ge=0, le=1, description="fixed: an anchor not above it is background")
    atss_top: int = Field(default=9, ge=1, description="atss: nearest anchors looked at on each level")
    loss_kind: Literal["multibox", "softmax-focal", "sigmoid-focal"] = Field(
        default="multibox", description="class loss; the last has no background logit"
    )
    negatives: float = Field(default=3.0, ge=0, description="multibox: hard negatives for each positive")
    alpha_background: float = Field(default=10.0, ge=0, description="softmax-focal: weight of the background")
    alpha_foreground: float = Field(default=1000.0, ge=0, description="softmax-focal: weight of every class")
    alpha_frequent: tuple[PositiveFloat, ...] = Field(
        default=(), description="softmax-focal: the most frequent class's weight times the first of these, and so on"
    )
    alpha_classes: tuple[PositiveFloat, ...] = Field(
        default=(), description="softmax-focal: a weight for each class in the order of the data, instead of the above"
    )
    alpha: float = Field(default=0.25, ge=0, le=1, description="sigmoid-focal: weight of objects; 1 - it of the rest")
    gamma: float = Field(default=2.0, ge=0, description="focal: how little the easy places count")
    box_loss: Literal["smooth-l1", "giou"] = Field(
        default="smooth-l1", description="on the offsets, or one minus the generalised IoU of the boxes"
    )
    box_weight: float = Field(default=1.0, ge=0, description="of the box loss; that of the class loss is 1")
    score_threshold: float = Field(default=0.05, ge=0, le=1, description="boxes scored below are not given")
    iou: float = Field(default=0.5, ge=0, le=1, description="of two boxes of one class above it, the better one stays")
    most: int = Field(default=200, ge=1, description="boxes to give for a picture")
    candidates: int = Field(default=1000, ge=1, description="best boxes of a picture that are looked at for that")

    takes: ClassVar[type] = RawDense
    finds: ClassVar[Finds] = "boxes"

    @model_validator(mode="after")
    def _limits_in_order(self) -> AnchorsCodecConfig:
        if self.negative_iou > self.positive_iou:
            raise ValueError(f"negative_iou {self.negative_iou:g} is above positive_iou {self.positive_iou:g}")
        return self

    @property
    def has_background(self) -> bool:
        """Whether the first logit is the background's."""
        return self.loss_kind != "sigmoid-focal"

    def num_logits(self, num_classes: int) -> int:
        """The classes, behind a background for the softmax losses."""
        return num_classes + self.has_background

    def per_cell(self, num_levels: int) -> tuple[int, ...]:
        """Anchors at each cell of each level; raises UserError where the rule is for another number of levels."""
        return self.anchors.per_cell(num_levels)

    def alphas(self, num_classes: int) -> tuple[float, ...]:
        """Weights of the softmax focal loss, the background's first.

        Raises:
            UserError: there are weights for another number of classes, or the data's frequencies are needed first.
        """
        if self.alpha_frequent and not self.alpha_classes:
            raise UserError(
                "codec.alpha_frequent weighs the most frequent classes of the data, which this codec has not seen: "
                "train it, or call sightline.codecs.anchor_fit.fit_alpha with the labels."
            )
        if self.alpha_classes and len(self.alpha_classes) != num_classes:
            raise UserError(
                f"codec.alpha_classes has {len(self.alpha_classes)} weights, but there are {num_classes} classes. "
                "Give one for each class in the data's order, or none and codec.alpha_foreground for all."
            )
        return (self.alpha_background, *(self.alpha_classes or (self.alpha_foreground,) * num_classes))

    def build(self, shape: CodecShape) -> AnchorsCodec:
        """The codec for an input size and its levels; raises UserError where shapes are still to be fitted."""
        return AnchorsCodec(self, shape)


@dataclass(frozen=True, kw_only=True, eq=False)
class AnchorTarget:
    """What every anchor is to say, and what the M of them that learn an object are to give.

    Attributes:
        labels: 0 for background, class + 1 for an object.
        ignored: anchors that count nowhere.
        picture: of each learning anchor.
        place: of each learning anchor.
        boxes_xyxy: its object, in input pixels.
    """

    labels: Int[Tensor, "B P"]
    ignored: Bool[Tensor, "B P"]
    picture: Int[Tensor, "M"]
    place: Int[Tensor, "M"]
    boxes_xyxy: Float[Tensor, "M 4"]


class AnchorsCodec(PictureCodec):
    """encode matches anchors with objects; loss; decode -> input pixels."""

    def __init__(self, config: AnchorsCodecConfig, shape: CodecShape) -> None:
        self.config, self.num_classes = config, shape.num_classes
        self.input_hw, self.levels_hw = shape.input_hw, shape.levels_hw
        rule = plain_rule(config.anchors, levels_hw=shape.levels_hw, input_hw=shape.input_hw)
        self.anchors_xyxy = make_anchors(rule, levels_hw=shape.levels_hw, input_hw=shape.input_hw)
        self.counts = places_of_levels(rule, levels_hw=shape.levels_hw)
        self.alphas = torch.tensor(
            config.alphas(shape.num_classes) if config.loss_kind == "softmax-focal" else (), dtype=torch.float32
        )

    def encode(self, truth: Truth) -> AnchorTarget:
        """Who learns what. Sparse: only the few anchors that learn an object carry a box."""
        config, anchors = self.config, self._on(truth.boxes_xyxy.device)
        if config.assigner == "atss":
            assignment = atss(anchors, truth, counts=self.counts, top=config.atss_top)
        else:
            assignment = fixed_iou(anchors, truth, positive=config.positive_iou, negative=config.negative_iou)
        picture, place = assignment.positive.nonzero(as_tuple=True)
        slot = assignment.object[picture, place]
        labels = torch.zeros_like(assignment.object)
        labels[picture, place] = truth.labels[picture, slot] + 1
        return AnchorTarget(
            labels=labels,
            ignored=assignment.ignored,
            picture=picture,
            place=place,
            boxes_xyxy=truth.boxes_xyxy[picture, slot].float(),
        )

    def loss(self, raw: Raw, target: AnchorTarget) -> Tensor:
        """Class loss plus box loss; the latter is a sum over the learning anchors divided by their number."""
        return sum(self.losses(raw, target).values(), start=torch.zeros((), device=target.labels.device))

    def losses(self, raw: Raw, target: AnchorTarget) -> dict[str, Tensor]:
        """Both parts: "class" and "box"."""
        assert isinstance(raw, RawDense)
        return {"class": self._class_loss(raw, target), "box": self.config.box_weight * self._box_loss(raw, target)}

    def _class_loss(self, raw: RawDense, target: AnchorTarget) -> Tensor:
        config = self.config
        if config.loss_kind == "multibox":
            return multibox(raw.logits, target.labels, target.ignored, negatives=config.negatives)
        if config.loss_kind == "softmax-focal":
            alphas = self.alphas.to(raw.logits.device)
            return softmax_focal(raw.logits, target.labels, target.ignored, alpha=alphas, gamma=config.gamma)
        return sigmoid_focal(raw.logits, target.labels, target.ignored, alpha=config.alpha, gamma=config.gamma)

    def _box_loss(self, raw: RawDense, target: AnchorTarget) -> Tensor:
        config = self.config
        anchors = self._on(raw.boxes.device)[target.place]
        offsets = raw.boxes[target.picture, target.place].float()  # [M, 4]
        if config.box_loss == "smooth-l1":
            wanted = to_offsets(target.boxes_xyxy, anchors, variances=config.variances)
            total = F.smooth_l1_loss(offsets, wanted, reduction="sum")
        else:
            found = from_offsets(offsets, anchors, variances=config.variances)
            total = (1 - overlap(found, target.boxes_xyxy, kind="giou")).sum()
        return total / max(1, len(target.place))

    def decode(self, raw: Raw) -> Boxes:
        """Boxes in input pixels, cut at its edges.

        With a background: each place gives its best class, and nothing where the background is better, as
        published; the score is that class's probability. Without: every class above the threshold.
        """
        assert isinstance(raw, RawDense)
        config, (height, width) = self.config, self.input_hw
        boxes = from_offsets(raw.boxes, self._on(raw.boxes.device), variances=config.variances)
        logits = raw.logits.float()
        if config.has_background:
            everything = classes_first(logits).softmax(dim=1)  # [B, C, P]
            scores = everything[:, 1:]
            scores = (scores * (scores > everything[:, :1])).transpose(1, 2)
        else:
            scores = logits.sigmoid()
        return suppress(
            boxes.clamp_min(0).minimum(boxes.new_tensor([width, height, width, height])),
            scores,
            score_threshold=config.score_threshold,
            iou=config.iou,
            most=config.most,
            candidates=config.candidates,
            one_class_per_place=config.has_background,
        )

    def perfect(self, target: AnchorTarget) -> RawDense:
        """What a flawless network would emit."""
        anchors = self._on(target.labels.device)
        boxes = anchors.new_zeros(*target.labels.shape, 4)
        boxes[target.picture, target.place] = to_offsets(
            target.boxes_xyxy, anchors[target.place], variances=self.config.variances
        )
        true = F.one_hot(target.labels, self.num_classes + 1).to(boxes.dtype)
        true = true if self.config.has_background else true[..., 1:]
        return RawDense(boxes=boxes, logits=(2 * true - 1) * CERTAIN, sizes_hw=self.levels_hw)

    def _on(self, device: torch.device) -> Tensor:
        """The anchors [P, 4] on a device; they stay there."""
        if self.anchors_xyxy.device != device:
            self.anchors_xyxy = self.anchors_xyxy.to(device)
        return self.anchors_xyxy
