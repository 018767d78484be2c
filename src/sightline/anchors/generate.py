"""Anchors: a rule gives each level's shapes, and every cell of the level gets all of them.

The rules are SSD's as the driving write-up uses it, RetinaNet's, squares, and shapes that were found
in the data (auto.py). Shapes are (width, height) in input pixels. Next: signals.py
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated, Literal

import numpy as np
import torch
from jaxtyping import Float
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor

from sightline.errors import UserError
from sightline.geometry import cell_centres

Side = Annotated[float, Field(gt=0)]
Shapes = tuple[tuple[tuple[float, float], ...], ...]  # of each level, of each anchor: width, height
LevelsHw = Sequence[tuple[int, int]]


class _Rule(BaseModel):
    """Base of the rules: frozen, and an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class SsdAnchors(_Rule):
    """SSD's rule (Liu et al. 2016) with sizes of two numbers, as the driving write-up has it.

    A level has its size; the geometric mean with the next level's; and for each ratio r the size made tall
    (width / sqrt r, height x sqrt r) and made wide. No side is longer than the input's.
    """

    kind: Literal["ssd"] = "ssd"
    sizes_hw: tuple[tuple[Side, Side], ...] = Field(
        default=((16, 16), (32, 32), (48, 48), (64, 64), (86, 86), (128, 128), (128, 400)),
        description="height and width of each level's first anchor in input pixels, and one more",
    )
    ratios: tuple[tuple[Side, ...], ...] = Field(
        default=((2, 3), (2, 3), (2, 3), (2, 3), (2,), (2,)), description="of each level; above 1"
    )
    one_sided_levels: int = Field(
        default=0,
        ge=0,
        description="the first so many levels have one box for each ratio, height / width, instead of two",
    )

    def per_cell(self, num_levels: int) -> tuple[int, ...]:
        """Anchors at each cell of each level; raises UserError for another number of levels."""
        return tuple(len(shapes) for shapes in self._shapes(num_levels))

    def shapes(self, *, levels_hw: LevelsHw, input_hw: tuple[int, int]) -> Shapes:
        """Shapes of each level; raises UserError for another number of levels."""
        height, width = input_hw
        return tuple(tuple((min(w, width), min(h, height)) for w, h in level) for level in self._shapes(len(levels_hw)))

    def _shapes(self, num_levels: int) -> Shapes:
        _check_levels(self.kind, "lists of ratios", len(self.ratios), num_levels)
        _check_levels(self.kind, "sizes (one more than there are levels)", len(self.sizes_hw) - 1, num_levels, extra=1)
        return tuple(self._level(index) for index in range(num_levels))

    def _level(self, index: int) -> tuple[tuple[float, float], ...]:
        (h, w), (next_h, next_w) = self.sizes_hw[index : index + 2]
        shapes = [(w, h), (math.sqrt(w * next_w), math.sqrt(h * next_h))]
        for ratio in self.ratios[index]:
            root = math.sqrt(ratio)
            shapes.append((w / root, h * root))
            if index >= self.one_sided_levels:
                shapes.append((w * root, h / root))
        return tuple(shapes)


class RetinaAnchors(_Rule):
    """RetinaNet's rule (Lin et al. 2017): every scale within an octave in every ratio; for any number of levels."""

    kind: Literal["retina"] = "retina"
    cells: float = Field(default=4.0, gt=0, description="side of the smallest anchor, in cells")
    scales: int = Field(default=3, ge=1, description="sizes in each octave")
    ratios: tuple[Side, ...] = Field(default=(0.5, 1.0, 2.0), min_length=1, description="height / width")

    def per_cell(self, num_levels: int) -> tuple[int, ...]:
        """Anchors at each cell of each level."""
        return (self.scales * len(self.ratios),) * num_levels

    def shapes(self, *, levels_hw: LevelsHw, input_hw: tuple[int, int]) -> Shapes:
        """Shapes of each level; sizes go with the square root of a cell's area."""
        shapes = []
        for stride_x, stride_y in _strides_xy(levels_hw, input_hw):
            base = self.cells * math.sqrt(stride_x * stride_y)
            sides = [base * 2 ** (scale / self.scales) for scale in range(self.scales)]
            shapes.append(tuple((s / math.sqrt(r), s * math.sqrt(r)) for s in sides for r in self.ratios))
        return tuple(shapes)


class SquareAnchors(_Rule):
    """One square of cells at every cell: what ATSS takes for an anchor-free head; for any number of levels."""

    kind: Literal["square"] = "square"
    cells: float = Field(default=5.0, gt=0, description="side, in cells")

    def per_cell(self, num_levels: int) -> tuple[int, ...]:
        """One."""
        return (1,) * num_levels

    def shapes(self, *, levels_hw: LevelsHw, input_hw: tuple[int, int]) -> Shapes:
        """Shapes of each level."""
        return tuple(((x * self.cells, y * self.cells),) for x, y in _strides_xy(levels_hw, input_hw))


class ShapedAnchors(_Rule):
    """Widths and heights that were found in the data, written out."""

    kind: Literal["shapes"] = "shapes"
    shapes_wh: tuple[Annotated[tuple[tuple[Side, Side], ...], Field(min_length=1)], ...] = Field(
        description="of each level, of each anchor: width and height in input pixels"
    )

    def per_cell(self, num_levels: int) -> tuple[int, ...]:
        """Anchors at each cell of each level; raises UserError for another number of levels."""
        _check_levels(self.kind, "lists of shapes", len(self.shapes_wh), num_levels)
        return tuple(len(level) for level in self.shapes_wh)

    def shapes(self, *, levels_hw: LevelsHw, input_hw: tuple[int, int]) -> Shapes:
        """The shapes; raises UserError for another number of levels."""
        self.per_cell(len(levels_hw))
        return self.shapes_wh


AnchorRule = Annotated[SsdAnchors | RetinaAnchors | SquareAnchors | ShapedAnchors, Field(discriminator="kind")]


def make_anchors(rule: AnchorRule, *, levels_hw: LevelsHw, input_hw: tuple[int, int]) -> Float[Tensor, "P 4"]:
    """Every anchor, xyxy in input pixels, float32; order: level, row, column, anchor.

    They may reach out of the picture. A cell is input / level, along each axis for itself.

    Raises:
        UserError: the rule is for another number of levels.
    """
    shapes = rule.shapes(levels_hw=levels_hw, input_hw=input_hw)
    levels = []
    for level, size_hw, stride_xy in zip(shapes, levels_hw, _strides_xy(levels_hw, input_hw), strict=True):
        x, y = np.meshgrid(cell_centres(size_hw[1], stride_xy[0]), cell_centres(size_hw[0], stride_xy[1]))
        centres = np.stack([x, y], axis=-1)[:, :, None]  # [h, w, 1, 2]
        reach = np.asarray(level) / 2  # [A, 2]
        levels.append(np.concatenate([centres - reach, centres + reach], axis=-1).reshape(-1, 4))
    return torch.from_numpy(np.concatenate(levels)).float()


def places_of_levels(rule: AnchorRule, *, levels_hw: LevelsHw) -> tuple[int, ...]:
    """How many anchors each level has in all."""
    per_cell = rule.per_cell(len(levels_hw))
    return tuple(h * w * count for (h, w), count in zip(levels_hw, per_cell, strict=True))


def _strides_xy(levels_hw: LevelsHw, input_hw: tuple[int, int]) -> list[tuple[float, float]]:
    """Input pixels per cell of each level, along x and y."""
    return [(input_hw[1] / width, input_hw[0] / height) for height, width in levels_hw]


def _check_levels(kind: str, what: str, given: int, num_levels: int, *, extra: int = 0) -> None:
    if given != num_levels:
        raise UserError(
            f"The anchor rule '{kind}' has {given + extra} {what}, but the model has {num_levels} levels. Give "
            f"{num_levels + extra}, take another neck, or use the rule 'retina', which fits any number of levels."
        )
