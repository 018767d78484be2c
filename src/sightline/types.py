"""What flows between the pieces once pixels are read. All are frozen; tensors inside.

Letters in shapes, here and everywhere:
    B batch, T time, K points (keypoints), N boxes, C channels, H W input picture,
    h w feature map, L levels (or the bins of an axis, where a piece says so).
Next: images.py
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TypeVar

import numpy as np
import torch
from jaxtyping import Bool, Float, Int, UInt8
from torch import Tensor

T = TypeVar("T", bound="_Moves")


class _Moves:
    """`to(device)` for a frozen dataclass of tensors."""

    def to(self: T, device: torch.device | str) -> T:
        """The same value on another device."""
        moved = {
            f.name: value.to(device, non_blocking=True)
            if isinstance(value := getattr(self, f.name), Tensor)
            else (value.to(device) if isinstance(value, _Moves) else value)
            for f in fields(self)  # type: ignore[arg-type]
        }
        return type(self)(**moved)


@dataclass(frozen=True, kw_only=True, eq=False)
class Sample:
    """One picture, warped to the network's input size, and its points and boxes there.

    Attributes:
        image: [H, W, C] uint8.
        points_xy: [K, 2] float32, in input pixels.
        visible: [K] bool: labelled and inside the input picture.
        boxes_xyxy: [N, 4] float32, in input pixels, cut at its edges.
        labels: [N] int64.
        crowd: [N] bool.
        past_images: [P, H, W, C] uint8, the frames before in a clip, oldest first; black where there was none. P = 0
            for single pictures.
        past_xy: [L, 2] float32, the points before, oldest first, in input pixels; zeros where not visible.
        past_visible: [L] bool: visible then, and inside the part that the input shows.
        to_input: [2, 3] float64, original pixels -> input pixels.
        index: the record's position in its data set.
    """

    image: np.ndarray
    points_xy: np.ndarray
    visible: np.ndarray
    boxes_xyxy: np.ndarray
    labels: np.ndarray
    crowd: np.ndarray
    past_images: np.ndarray
    past_xy: np.ndarray
    past_visible: np.ndarray
    to_input: np.ndarray
    index: int


@dataclass(frozen=True, kw_only=True, eq=False)
class Truth(_Moves):
    """What is to be found in each picture of a batch, in input pixels; what codecs encode.

    K is 0 where the task has no points, N is 0 where it has no boxes. Boxes are padded to the
    batch's largest number; `valid` says which are there and to be found, `crowd` which are
    there but regions that neither count as found nor as missed. No box is both.
    """

    points_xy: Float[Tensor, "B K 2"]
    visible: Bool[Tensor, "B K"]
    boxes_xyxy: Float[Tensor, "B N 4"]
    labels: Int[Tensor, "B N"]
    valid: Bool[Tensor, "B N"]
    crowd: Bool[Tensor, "B N"]

    def __len__(self) -> int:
        """Number of pictures, B."""
        return len(self.visible)

    def __getitem__(self, rows: Tensor | slice) -> Truth:
        """The truth of some of the pictures."""
        return Truth(**{f.name: getattr(self, f.name)[rows] for f in fields(self)})

    def tensors(self) -> tuple[Tensor, ...]:
        """All fields in order; `Truth.of` takes them back."""
        return tuple(getattr(self, f.name) for f in fields(self))

    @staticmethod
    def of(*tensors: Tensor) -> Truth:
        """From the tensors in order."""
        return Truth(**{f.name: tensor for f, tensor in zip(fields(Truth), tensors, strict=True)})

    @staticmethod
    def of_points(points_xy: Tensor, visible: Tensor) -> Truth:
        """Points [B, K, 2] and [B, K] without boxes."""
        count = len(visible)
        none = torch.zeros(count, 0, dtype=torch.bool, device=visible.device)
        return Truth(
            points_xy=points_xy,
            visible=visible,
            boxes_xyxy=points_xy.new_zeros(count, 0, 4),
            labels=none.long(),
            valid=none,
            crowd=none,
        )

    @staticmethod
    def of_boxes(boxes_xyxy: Tensor, labels: Tensor, valid: Tensor, crowd: Tensor | None = None) -> Truth:
        """Boxes [B, N, 4], classes [B, N] and which are there [B, N], without points."""
        count = len(valid)
        return Truth(
            points_xy=boxes_xyxy.new_zeros(count, 0, 2),
            visible=torch.zeros(count, 0, dtype=torch.bool, device=valid.device),
            boxes_xyxy=boxes_xyxy,
            labels=labels,
            valid=valid,
            crowd=torch.zeros_like(valid) if crowd is None else crowd,
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class Past(_Moves):
    """What came before each frame of a batch, oldest first; P = L = 0 for single pictures."""

    images: UInt8[Tensor, "B P C H W"]
    points_xy: Float[Tensor, "B L 2"]
    visible: Bool[Tensor, "B L"]

    def __getitem__(self, rows: Tensor | slice) -> Past:
        """The past of some of the frames."""
        return Past(images=self.images[rows], points_xy=self.points_xy[rows], visible=self.visible[rows])

    @staticmethod
    def none(count: int) -> Past:
        """Of single pictures."""
        images = torch.zeros(count, 0, 0, 0, 0, dtype=torch.uint8)
        return Past(images=images, points_xy=torch.zeros(count, 0, 2), visible=torch.zeros(count, 0, dtype=torch.bool))


@dataclass(frozen=True, kw_only=True, eq=False)
class Batch(_Moves):
    """Samples stacked; what the network and the codec see."""

    images: UInt8[Tensor, "B C H W"]
    past: Past
    truth: Truth
    to_input: Float[Tensor, "B 2 3"]
    index: Int[Tensor, "B"]

    def __len__(self) -> int:
        """Number of pictures, B."""
        return len(self.images)

    @property
    def seen(self) -> tuple[Tensor, ...]:
        """What the network takes: the pictures, and for frames of clips what came before."""
        if not self.past.images.shape[1] and not self.past.visible.shape[1]:
            return (self.images,)
        return self.images, self.past.images, self.past.points_xy, self.past.visible


@dataclass(frozen=True, kw_only=True)
class FeatureSpec:
    """What a backbone or neck gives, known before any picture is seen.

    Attributes:
        channels: of each map, finest first.
        strides: input pixels per cell of each map.
        sizes_hw: (h, w) of each map at the experiment's input size; (1, 1) is a vector.
    """

    channels: tuple[int, ...]
    strides: tuple[float, ...]
    sizes_hw: tuple[tuple[int, int], ...]

    def __post_init__(self) -> None:
        """Check that the three lists are of one length."""
        assert len(self.channels) == len(self.strides) == len(self.sizes_hw), self

    def __str__(self) -> str:
        """For messages: '24 channels at stride 4 (32 x 32), ...'."""
        levels = zip(self.channels, self.strides, self.sizes_hw, strict=True)
        return ", ".join(f"{c} channels at stride {s:g} ({h} x {w})" for c, s, (h, w) in levels)


@dataclass(frozen=True, kw_only=True, eq=False)
class FeatureMaps:
    """Feature maps, finest first: each [B, C, h, w].

    `prior` is where the past lets a point be expected, [B, 1, h, w] at the first map's size, at least 0; or None.
    """

    maps: tuple[Tensor, ...]
    prior: Tensor | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class RawCoords:
    """Coordinates as a regression head emits them: 0 is the left or top edge of the input, 1 the other."""

    xy: Float[Tensor, "B K 2"]


@dataclass(frozen=True, kw_only=True, eq=False)
class RawHeatmaps:
    """One map of logits for each point."""

    logits: Float[Tensor, "B K h w"]


@dataclass(frozen=True, kw_only=True, eq=False)
class RawAxes:
    """SimCC: for each point one row of logits along x and one along y."""

    x: Float[Tensor, "B K Lx"]
    y: Float[Tensor, "B K Ly"]


@dataclass(frozen=True, kw_only=True, eq=False)
class RawOneBox:
    """One box and one class for each picture.

    Attributes:
        box: before the sigmoid that makes it x0, y0, x1, y1 as fractions of the input.
        logits: one for each class.
    """

    box: Float[Tensor, "B 4"]
    logits: Float[Tensor, "B C"]


@dataclass(frozen=True, kw_only=True, eq=False)
class RawDense:
    """A box and class logits at every place, of all levels one behind the other.

    A place is a cell of a feature map, or one of several anchors on it. Order: level, row,
    column, anchor. What the four numbers of `boxes` mean is the codec's matter.

    Attributes:
        boxes: [B, P, 4].
        logits: [B, P, C], with one more than there are classes where the codec has a background.
        sizes_hw: (h, w) of each level.
    """

    boxes: Float[Tensor, "B P 4"]
    logits: Float[Tensor, "B P C"]
    sizes_hw: tuple[tuple[int, int], ...]


@dataclass(frozen=True, kw_only=True, eq=False)
class RawTrackCoords:
    """Guesses of where one point is, 0..1 of the input, and a logit of its being visible (None: no say)."""

    xy: Float[Tensor, "B M 2"]
    visible: Float[Tensor, "B"] | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class RawTrackMap:
    """A map of logits for one point, and a logit of its being visible (None: no say)."""

    logits: Float[Tensor, "B h w"]
    visible: Float[Tensor, "B"] | None = None


Raw = RawCoords | RawHeatmaps | RawAxes | RawOneBox | RawDense | RawTrackCoords | RawTrackMap


@dataclass(frozen=True, kw_only=True, eq=False)
class Points(_Moves):
    """Predicted points. Codecs give them in input pixels; predict.py maps them to the original file.

    `score` is in 0..1 and means what its codec's docstring says.
    """

    xy: Float[Tensor, "B K 2"]
    score: Float[Tensor, "B K"]

    def __len__(self) -> int:
        """Number of pictures, B."""
        return len(self.xy)


@dataclass(frozen=True, kw_only=True, eq=False)
class Boxes(_Moves):
    """Predicted boxes, best first, padded to the longest list of the batch; `valid` says which are there.

    Codecs give them in input pixels; infer.py maps them to the original file. `score` is in 0..1.
    """

    xyxy: Float[Tensor, "B N 4"]
    score: Float[Tensor, "B N"]
    label: Int[Tensor, "B N"]
    valid: Bool[Tensor, "B N"]

    def __len__(self) -> int:
        """Number of pictures, B."""
        return len(self.xyxy)
