"""Many objects without anchors: at every cell the distances to a box's four sides, and how well they fit, as a score.

The four numbers of a place are logarithms of the distances from the cell's centre to the left, top,
right and bottom side, in units of half an anchor (`anchor_cells` / 2 cells): zeros are a square of
`anchor_cells` cells around the centre. Which places learn which object: ATSS at first (Zhang et al.
2020), which needs nothing from the network; then task-aligned (Feng et al. 2021), which takes the
places that already do best. A class's score is trained towards the IoU that its box has, or the
alignment, so that the score says which box to keep (quality focal loss, Li et al. 2020; varifocal,
Zhang et al. 2021). Next: suppression.py
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from sightline.assign.assignment import Assignment, atss, task_aligned
from sightline.codecs.one_box import CERTAIN, IouKind, overlap
from sightline.codecs.protocol import CodecShape, PictureCodec
from sightline.codecs.suppression import suppress
from sightline.geometry import cell_centres
from sightline.pieces import CodecPieceConfig, Finds
from sightline.types import Boxes, Raw, RawDense, Truth

LARGEST = math.log(1000 / 16)  # of the four numbers: beyond it a side is further away than any picture is wide


class AnchorFreeCodecConfig(CodecPieceConfig):
    """Assignment, losses, and what decoding keeps."""

    summary: ClassVar[str] = "boxes as distances from cell centres: ATSS, then task-aligned; quality as score; GIoU"
    kind: Literal["anchor-free"] = "anchor-free"
    warmup_share: float = Field(
        default=0.1, ge=0, le=1, description="first share of the training with ATSS; task-aligned from there on"
    )
    anchor_cells: float = Field(default=5.0, gt=0, description="side of ATSS's squares and first boxes, in cells")
    atss_top: int = Field(default=9, ge=1, description="ATSS: nearest places looked at on each level")
    aligned_top: int = Field(default=13, ge=1, description="task-aligned: places for each object")
    alpha: float = Field(default=1.0, ge=0, description="task-aligned: power of the class score")
    beta: float = Field(default=6.0, ge=0, description="task-aligned: power of the IoU")
    class_loss: Literal["quality-focal", "varifocal"] = Field(
        default="quality-focal", description="how the class scores are trained towards the quality of their boxes"
    )
    iou_kind: IouKind = Field(default="giou", description="which overlap is maximised")
    box_weight: float = Field(default=2.0, ge=0, description="of the box loss; that of the class loss is 1")
    score_threshold: float = Field(
        default=0.01, ge=0, le=1, description="boxes scored below are not given; low, for precision-recall curves"
    )
    iou: float = Field(default=0.6, ge=0, le=1, description="of two boxes of one class above it, the better one stays")
    most: int = Field(default=100, ge=1, description="boxes to give for a picture")
    candidates: int = Field(default=1000, ge=1, description="best boxes of a picture that are looked at for that")

    takes: ClassVar[type] = RawDense
    finds: ClassVar[Finds] = "boxes"

    def build(self, shape: CodecShape) -> AnchorFreeCodec:
        """The codec for an input size and its levels."""
        return AnchorFreeCodec(self, shape)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Positives:
    """The places that learn an object, one row each, and the places that learn nothing at all."""

    picture: Int[Tensor, "M"]
    place: Int[Tensor, "M"]
    boxes_xyxy: Float[Tensor, "M 4"]
    labels: Int[Tensor, "M"]
    aligned: Float[Tensor, "M"] | None
    ignored: Bool[Tensor, "B P"]


class AnchorFreeCodec(PictureCodec):
    """encode keeps the truth: who learns what depends on the predictions; loss; decode -> input pixels."""

    def __init__(self, config: AnchorFreeCodecConfig, shape: CodecShape) -> None:
        self.config, self.num_classes = config, shape.num_classes
        self.input_hw, self.levels_hw = shape.input_hw, shape.levels_hw
        self.counts = tuple(height * width for height, width in shape.levels_hw)
        self.centres_xy, self.units_xy = _places(shape, anchor_cells=config.anchor_cells)
        self.progress = 0.0

    def set_progress(self, share: float) -> None:
        """Tell how much of the training is done, 0..1: it decides the assignment, and nothing else is remembered."""
        self.progress = share

    def encode(self, truth: Truth) -> Truth:
        """The truth itself."""
        return truth

    def loss(self, raw: Raw, target: Truth) -> Tensor:
        """Class loss over all places plus box loss over those that learn an object, both by their total quality."""
        assert isinstance(raw, RawDense)
        logits, boxes_xyxy = raw.logits.float(), self.boxes_xyxy(raw)
        chosen = self._assign(logits.detach(), boxes_xyxy.detach(), target)
        found = boxes_xyxy[chosen.picture, chosen.place]
        if chosen.aligned is None:  # ATSS: the score is to be the IoU; each place teaches its box alike
            quality = overlap(found.detach(), chosen.boxes_xyxy, kind="iou").clamp(0, 1)
            share = torch.ones_like(quality)
        else:
            quality = share = chosen.aligned
        wanted = torch.zeros_like(logits)
        wanted[chosen.picture, chosen.place, chosen.labels] = quality
        per_place = self._class_loss(logits, wanted).sum(dim=2)
        total = share.sum().clamp_min(1.0)
        boxes = (1 - overlap(found, chosen.boxes_xyxy, kind=self.config.iou_kind)) * share
        return (per_place * ~chosen.ignored).sum() / total + self.config.box_weight * boxes.sum() / total

    def decode(self, raw: Raw) -> Boxes:
        """Boxes in input pixels, cut at its edges; the score is the class's, trained to be the IoU."""
        assert isinstance(raw, RawDense)
        config, (height, width) = self.config, self.input_hw
        boxes_xyxy = self.boxes_xyxy(raw)
        return suppress(
            boxes_xyxy.clamp_min(0).minimum(boxes_xyxy.new_tensor([width, height, width, height])),
            raw.logits.float().sigmoid(),
            score_threshold=config.score_threshold,
            iou=config.iou,
            most=config.most,
            candidates=config.candidates,
        )

    def perfect(self, target: Truth) -> RawDense:
        """What a flawless network would emit: each object at the free place nearest to its middle."""
        shape = (len(target), len(self.centres_xy))
        boxes = target.boxes_xyxy.new_zeros(*shape, 4)
        logits = target.boxes_xyxy.new_full((*shape, self.num_classes), -CERTAIN)
        centres_xy, units_xy = self._on(target.boxes_xyxy.device)
        for picture, slot in target.valid.nonzero().tolist():
            box = target.boxes_xyxy[picture, slot]
            sides = torch.cat([centres_xy - box[:2], box[2:] - centres_xy], dim=1)  # [P, 4]
            away = (centres_xy - (box[:2] + box[2:]) / 2).norm(dim=1)
            away += 1e6 * (sides.amin(dim=1) <= 0) + 1e9 * (logits[picture].amax(dim=1) > 0)
            place = away.argmin()
            boxes[picture, place] = (sides[place].clamp_min(1e-3) / units_xy[place].repeat(2)).log()
            logits[picture, place, target.labels[picture, slot]] = CERTAIN
        return RawDense(boxes=boxes, logits=logits, sizes_hw=self.levels_hw)

    def boxes_xyxy(self, raw: RawDense) -> Tensor:
        """The boxes of all places in input pixels, [B, P, 4], float32; they may reach out of the picture."""
        centres_xy, units_xy = self._on(raw.boxes.device)
        distances = raw.boxes.float().clamp_max(LARGEST).exp() * units_xy.repeat(1, 2)
        return torch.cat([centres_xy - distances[..., :2], centres_xy + distances[..., 2:]], dim=2)

    def _assign(self, logits: Tensor, boxes_xyxy: Tensor, truth: Truth) -> _Positives:
        """Who learns what, at this point of the training."""
        config = self.config
        centres_xy, units_xy = self._on(logits.device)
        aligned = None
        if self.progress < config.warmup_share:
            assignment = self._by_place(truth, centres_xy=centres_xy, units_xy=units_xy)
        else:
            assignment, aligned = task_aligned(
                logits.sigmoid(),
                boxes_xyxy,
                centres_xy,
                truth,
                top=config.aligned_top,
                alpha=config.alpha,
                beta=config.beta,
            )
        picture, place = (assignment.object >= 0).nonzero(as_tuple=True)
        slot = assignment.object[picture, place]
        return _Positives(
            picture=picture,
            place=place,
            boxes_xyxy=truth.boxes_xyxy[picture, slot].float(),
            labels=truth.labels[picture, slot],
            aligned=None if aligned is None else aligned[picture, place].float(),
            ignored=assignment.ignored,
        )

    def _by_place(self, truth: Truth, *, centres_xy: Tensor, units_xy: Tensor) -> Assignment:
        """ATSS, in which every object has a place.

        In the paper a small object may have none: all squares around it overlap it equally little, so that none is
        better than the others by a standard deviation. A network that starts so never learns to see such objects.
        They get the free places inside of them (or the nearest one) whose squares fit best.
        """
        squares = torch.cat([centres_xy - units_xy, centres_xy + units_xy], dim=1)
        found = atss(squares, truth, counts=self.counts, top=self.config.atss_top)
        orphan = truth.valid.clone()
        picture, place = found.positive.nonzero(as_tuple=True)
        orphan[picture, found.object[picture, place]] = False
        if not orphan.any():
            return found
        alike = squares.new_ones(len(truth), len(squares), self.num_classes)
        fitting, _ = task_aligned(
            alike, squares.expand(len(truth), -1, -1), centres_xy, truth, top=self.config.atss_top, alpha=0.0, beta=1.0
        )
        adopted = fitting.take(orphan) & ~found.positive
        return Assignment(object=torch.where(adopted, fitting.object, found.object), ignored=found.ignored & ~adopted)

    def _class_loss(self, logits: Tensor, wanted: Tensor) -> Tensor:
        """[B, P, C], each class on its own against a quality in 0..1; 0 where there is no such object."""
        plain = F.binary_cross_entropy_with_logits(logits, wanted, reduction="none")
        scores = logits.sigmoid()
        if self.config.class_loss == "quality-focal":
            return plain * (scores - wanted).square()
        return plain * torch.where(wanted > 0, wanted, 0.75 * scores.detach().square())

    def _on(self, device: torch.device) -> tuple[Tensor, Tensor]:
        """Centres and units on a device; they stay there."""
        if self.centres_xy.device != device:
            self.centres_xy, self.units_xy = self.centres_xy.to(device), self.units_xy.to(device)
        return self.centres_xy, self.units_xy


def _places(shape: CodecShape, *, anchor_cells: float) -> tuple[Tensor, Tensor]:
    """Centres [P, 2] in input pixels, and half an anchor along x and y [P, 2], in the order of RawDense."""
    centres, units = [], []
    for height, width in shape.levels_hw:
        stride_y, stride_x = shape.input_hw[0] / height, shape.input_hw[1] / width
        x, y = np.meshgrid(cell_centres(width, stride_x), cell_centres(height, stride_y))
        centres.append(np.stack([x, y], axis=-1).reshape(-1, 2))
        units.append(np.tile([stride_x * anchor_cells / 2, stride_y * anchor_cells / 2], (height * width, 1)))
    both = (torch.from_numpy(np.concatenate(parts)).float() for parts in (centres, units))
    centres_xy, units_xy = both
    return centres_xy, units_xy
