"""One object in a picture: its box as four fractions of the input, and its class.

loss = alpha * (1 - IoU) + (1 - alpha) * cross-entropy, the `aircraft` write-up's; `iou_kind` replaces IoU by
GIoU (Rezatofighi et al. 2019), DIoU or CIoU (Zheng et al. 2020), which pull at a box that does not yet touch the
true one, where IoU has no slope. The four numbers are two corners in any order: loss and decoding sort them.
The score is the probability of the class.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from jaxtyping import Bool, Float, Int
from pydantic import Field
from torch import Tensor
from torch.nn import functional as F

from sightline.codecs.protocol import CodecShape, PictureCodec, masked_mean
from sightline.errors import UserError
from sightline.geometry import box_areas
from sightline.pieces import CodecPieceConfig, Finds
from sightline.types import Boxes, Raw, RawOneBox, Truth

IouKind = Literal["iou", "giou", "diou", "ciou"]
TINY = 1e-7  # areas and squared distances in pixels, as torchvision adds it
CERTAIN = 30.0  # a logit whose class has a probability of 1 in single precision


class OneBoxCodecConfig(CodecPieceConfig):
    """How place and class are weighed against each other."""

    summary: ClassVar[str] = "one box and its class: 1 - IoU and cross-entropy"
    kind: Literal["one-box"] = "one-box"
    alpha: float = Field(default=0.7, ge=0, le=1, description="weight of the box; the class has the rest")
    iou_kind: IouKind = Field(default="iou", description="which overlap is maximised")
    label_smoothing: float = Field(default=0.0, ge=0, lt=1, description="of the cross-entropy")

    takes: ClassVar[type] = RawOneBox
    finds: ClassVar[Finds] = "one-box"

    def build(self, shape: CodecShape) -> OneBoxCodec:
        """The codec for an input size."""
        return OneBoxCodec(self, shape)


@dataclass(frozen=True, kw_only=True, eq=False)
class OneBoxTarget:
    """Boxes as fractions of the input, classes, and which pictures have an object."""

    box: Float[Tensor, "B 4"]
    label: Int[Tensor, "B"]
    counts: Bool[Tensor, "B"]


class OneBoxCodec(PictureCodec):
    """encode -> fractions; loss; decode -> input pixels."""

    def __init__(self, config: OneBoxCodecConfig, shape: CodecShape) -> None:
        self.config, self.num_classes = config, shape.num_classes
        height, width = shape.input_hw
        self.size_xyxy = (float(width), float(height), float(width), float(height))

    def encode(self, truth: Truth) -> OneBoxTarget:
        """Pixels to fractions; crowds do not count.

        Raises:
            UserError: a picture has more than one object.
        """
        counts = truth.valid.any(dim=1)
        if truth.valid.shape[1] == 0:
            whole = truth.boxes_xyxy.new_tensor([0.0, 0.0, 1.0, 1.0]).expand(len(truth), 4)
            return OneBoxTarget(box=whole, label=torch.zeros_like(counts, dtype=torch.long), counts=counts)
        if truth.valid.shape[1] > 1 and bool((most := truth.valid.sum(dim=1).max()) > 1):
            raise UserError(
                f"A picture has {int(most)} objects, but codec 'one-box' finds exactly one. Take a recipe for many "
                "objects, or cut the pictures so that each shows one."
            )
        row = truth.valid.to(torch.uint8).argmax(dim=1)[:, None]  # [B, 1]
        box = truth.boxes_xyxy.gather(1, row[..., None].expand(-1, 1, 4))[:, 0] / self._size(truth.boxes_xyxy)
        return OneBoxTarget(
            # Where there is none any box with an area will do: it only must not divide by zero.
            box=torch.where(counts[:, None], box, box.new_tensor([0.0, 0.0, 1.0, 1.0])),
            label=torch.where(counts, truth.labels.gather(1, row)[:, 0], 0),
            counts=counts,
        )

    def weight(self, truth: Truth) -> Tensor:
        """The pictures that have an object: the loss is a mean over them."""
        return truth.valid.any(dim=1).sum()

    def loss(self, raw: Raw, target: OneBoxTarget) -> Tensor:
        """Mean over the pictures that have an object; 0, with a gradient of 0, where none has."""
        assert isinstance(raw, RawOneBox)
        place = 1 - overlap(self._pixels(raw), target.box * self._size(target.box), kind=self.config.iou_kind)
        kind = F.cross_entropy(
            raw.logits.float(), target.label, reduction="none", label_smoothing=self.config.label_smoothing
        )
        return masked_mean(self.config.alpha * place + (1 - self.config.alpha) * kind, target.counts)

    def decode(self, raw: Raw) -> Boxes:
        """One box for each picture, in input pixels; the sigmoid keeps it inside."""
        assert isinstance(raw, RawOneBox)
        score, label = raw.logits.float().softmax(dim=1).max(dim=1)
        valid = torch.ones_like(label, dtype=torch.bool)
        return Boxes(xyxy=self._pixels(raw)[:, None], score=score[:, None], label=label[:, None], valid=valid[:, None])

    def perfect(self, target: OneBoxTarget) -> RawOneBox:
        """What a flawless network would emit."""
        logits = F.one_hot(target.label, self.num_classes).to(target.box.dtype) * CERTAIN
        return RawOneBox(box=target.box.clamp(TINY, 1 - TINY).logit(), logits=logits)

    def _pixels(self, raw: RawOneBox) -> Tensor:
        """Corners in input pixels, sorted: [B, 4]. In single precision, whatever the network computed in."""
        first, second = raw.box.float().sigmoid().chunk(2, dim=1)
        return torch.cat([first.minimum(second), first.maximum(second)], dim=1) * self._size(raw.box.float())

    def _size(self, like: Tensor) -> Tensor:
        return like.new_tensor(self.size_xyxy)


def overlap(found: Tensor, truth: Tensor, *, kind: IouKind) -> Tensor:
    """IoU, or the kind of it asked for, of boxes xyxy in pixels row by row: [B, 4] and [B, 4] -> [B].

    1 for equal boxes. Finite, with finite slopes, also for boxes without area as long as the true ones have some.
    """
    low, high = found[:, :2].maximum(truth[:, :2]), found[:, 2:].minimum(truth[:, 2:])
    shared = box_areas(torch.cat([low, high], dim=1))
    union = box_areas(found) + box_areas(truth) - shared
    iou = shared / (union + TINY)
    if kind == "iou":
        return iou
    around = torch.cat([found[:, :2].minimum(truth[:, :2]), found[:, 2:].maximum(truth[:, 2:])], dim=1)
    if kind == "giou":
        hull = box_areas(around)
        return iou - (hull - union) / (hull + TINY)
    diagonal = (around[:, 2:] - around[:, :2]).square().sum(dim=1)
    apart = (found[:, :2] + found[:, 2:] - truth[:, :2] - truth[:, 2:]).square().sum(dim=1) / 4
    diou = iou - apart / (diagonal + TINY)
    return diou if kind == "diou" else diou - _aspect_penalty(found, truth, iou=iou)


def _aspect_penalty(found: Tensor, truth: Tensor, *, iou: Tensor) -> Tensor:
    """CIoU's term for a wrong aspect; its weight is a constant to the gradient, as in the paper."""
    apart = 4 / math.pi**2 * (_aspect(truth) - _aspect(found)).square()
    with torch.no_grad():
        weight = apart / (1 - iou + apart + TINY)
    return weight * apart


def _aspect(boxes: Tensor) -> Tensor:
    """atan(width / height); a side below a thousandth of a pixel counts as one, so that the slope stays finite."""
    width, height = (boxes[:, 2:] - boxes[:, :2]).clamp_min(1e-3).unbind(dim=1)
    return torch.atan(width / height)
