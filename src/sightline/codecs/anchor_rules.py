"""Two more rules for anchors: SSD's that follows picture and pyramid, and anchors that the training boxes give.

Both become one of the plain rules of anchors/generate.py once the levels, or the boxes, are known. Next: anchors.py
"""

from __future__ import annotations

import math
from typing import Annotated, Literal

import numpy as np
from pydantic import Field, PositiveFloat, PositiveInt

from sightline.anchors.generate import (
    AnchorRule,
    LevelsHw,
    RetinaAnchors,
    ShapedAnchors,
    SquareAnchors,
    SsdAnchors,
)  # fmt: skip
from sightline.errors import UserError
from sightline.pieces import PieceConfig

SidesHw = tuple[PositiveFloat, PositiveFloat]


class ScaledSsdAnchors(PieceConfig):
    """SSD's rule with sizes meant for one picture size, for pictures and pyramids of any size.

    Sizes are scaled by the root of the areas of the two pictures. Where there are more or fewer levels than sizes,
    the row of sizes (and of ratios) is read in between. At `for_hw` with one level for each size it is `SsdAnchors`.
    """

    kind: Literal["ssd-scaled"] = "ssd-scaled"
    for_hw: tuple[PositiveInt, PositiveInt] = Field(
        default=(128, 1024), description="height and width of the picture that the sizes are meant for"
    )
    sizes_hw: tuple[SidesHw, ...] = Field(
        default=((16, 16), (32, 32), (48, 48), (64, 64), (86, 86), (128, 128), (128, 400)),
        min_length=2,
        description="height and width of each level's first anchor, and one more",
    )
    ratios: tuple[tuple[PositiveFloat, ...], ...] = Field(
        default=((2, 3), (2, 3), (2, 3), (2, 3), (2,), (2,)), min_length=1, description="of each level; above 1"
    )
    one_sided_levels: int = Field(
        default=0, ge=0, description="the first so many levels have one box for each ratio, height / width"
    )

    def per_cell(self, num_levels: int) -> tuple[int, ...]:
        """Anchors at each cell of each level."""
        return self._at(num_levels, factor=1.0).per_cell(num_levels)

    def rule(self, *, levels_hw: LevelsHw, input_hw: tuple[int, int]) -> SsdAnchors:
        """The plain rule for these levels of this picture."""
        area = (input_hw[0] * input_hw[1]) / (self.for_hw[0] * self.for_hw[1])
        return self._at(len(levels_hw), factor=math.sqrt(area))

    def _at(self, num_levels: int, *, factor: float) -> SsdAnchors:
        log = np.log(np.array(self.sizes_hw))
        # The last size only stretches the last level's second anchor: it stays the last.
        given, wanted = np.linspace(0, 1, len(log) - 1), np.linspace(0, 1, num_levels)
        inner = np.stack([np.interp(wanted, given, log[:-1, side]) for side in (0, 1)], axis=1)
        sizes = np.exp(np.concatenate([inner, log[-1:]])) * factor
        same = num_levels == len(self.sizes_hw) - 1 and factor == 1
        exact = self.sizes_hw if same else tuple((float(h), float(w)) for h, w in sizes)
        rows = np.linspace(0, len(self.ratios) - 1, num_levels).round().astype(int)
        one_sided = round(self.one_sided_levels * num_levels / (len(self.sizes_hw) - 1))
        return SsdAnchors(sizes_hw=exact, ratios=tuple(self.ratios[row] for row in rows), one_sided_levels=one_sided)


class DataAnchors(PieceConfig):
    """Anchors that the training boxes give; `fit_anchors` puts `ShapedAnchors` in this rule's place.

    kmeans: k-means on logarithms of width and height, shared out over the levels by size.
    peaks: the driving write-up's peak finder for one size a level, and k-means on ratios around each; a square of the
    size and one sqrt 2 times as long stand beside the `count` ratios.
    sizes: SSD's rule with two ratios, a level's size and ratios being those of the boxes of its share of sizes.
    per-level: as sizes, without the anchors that are no box's best: a different number for each level.
    """

    kind: Literal["data"] = "data"
    method: Literal["kmeans", "peaks", "sizes", "per-level"] = "kmeans"
    count: int = Field(default=5, ge=1, description="kmeans: anchors of a level; peaks: ratios of a level")
    seed: int = 0

    def per_cell(self, num_levels: int) -> tuple[int, ...]:
        """Anchors at each cell of each level, before any box was seen."""
        count = {"kmeans": self.count, "peaks": self.count + 2, "sizes": 6, "per-level": 6}[self.method]
        return (count,) * num_levels

    def rule(self, *, levels_hw: LevelsHw, input_hw: tuple[int, int]) -> AnchorRule:
        """Raises UserError: the boxes have not been looked at."""
        raise UserError(
            f"codec.anchors (kind data, {self.method}) takes the anchors from the training boxes, which have not been "
            "looked at yet. `sightline train` does so; in Python call sightline.codecs.anchor_fit.fit_anchors."
        )


AnchorsConfig = Annotated[
    SsdAnchors | RetinaAnchors | SquareAnchors | ShapedAnchors | ScaledSsdAnchors | DataAnchors,
    Field(discriminator="kind"),
]


def plain_rule(rule: AnchorsConfig, *, levels_hw: LevelsHw, input_hw: tuple[int, int]) -> AnchorRule:
    """The rule with nothing left open; raises UserError where the training boxes are needed first."""
    if isinstance(rule, ScaledSsdAnchors | DataAnchors):
        return rule.rule(levels_hw=levels_hw, input_hw=input_hw)
    return rule
