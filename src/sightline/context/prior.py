"""Where the points before a frame let its point be expected, as a map: a bump at the last one, or a continued motion.

Published rules of the continued motion (the interpolation "physics model"): of the last three points, the k newest
that are visible one behind the other count. k = 2 continues a straight line, k = 3 a parabola; fewer say nothing.
A prediction is dropped outside the input, and where the last step and the predicted one together are no longer than
0.02 of the input: a thing at rest is seen well enough.
"""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Bool, Float
from pydantic import Field
from torch import Tensor

from sightline.geometry import cell_centres
from sightline.pieces import PieceConfig

Expected = tuple[Float[Tensor, "B 2"], Bool[Tensor, "B"]]
NEEDED = {"none": 0, "last-point": 1, "linear": 3, "quadratic": 3}


class PriorConfig(PieceConfig):
    """What is expected, and how wide the hump over it is."""

    form: Literal["none", "last-point", "linear", "quadratic"] = Field(
        default="none",
        description="none; a bump at the last point; the motion continued in a straight line, or along a parabola "
        "where three points are known",
    )
    bump_sigma: float = Field(default=0.05, gt=0, description="last-point: std of the bump, in shares of the input")
    cell_sigma: float = Field(default=0.5, gt=0, description="linear, quadratic: std of the hump, in cells")
    least_motion: float = Field(
        default=0.02, ge=0, description="linear, quadratic: none where last and next step add up to no more than this"
    )

    @property
    def needs(self) -> int:
        """How many past points it looks at."""
        return NEEDED[self.form]

    def expected(self, past_xy: Float[Tensor, "B L 2"], past_visible: Bool[Tensor, "B L"]) -> Expected:
        """Where the point is expected, and for which frames anything is said; for every form but none."""
        if self.form == "last-point":
            return past_xy[:, -1], past_visible[:, -1]
        return continued(past_xy, past_visible, parabola=self.form == "quadratic", least_motion=self.least_motion)

    def map(
        self, past_xy: Float[Tensor, "B L 2"], past_visible: Bool[Tensor, "B L"], *, size_hw: tuple[int, int]
    ) -> Float[Tensor, "B 1 h w"] | None:
        """The hump, at most 1 and 0 where nothing is expected; None for the form none."""
        if self.form == "none":
            return None
        xy, is_known = self.expected(past_xy, past_visible)
        height, width = size_hw
        own = self.form == "last-point"
        sigma_x = self.bump_sigma if own else self.cell_sigma / width
        sigma_y = self.bump_sigma if own else self.cell_sigma / height
        hump = _hump(xy[:, 1], sigma_y, height)[:, :, None] * _hump(xy[:, 0], sigma_x, width)[:, None, :]
        return (hump * is_known[:, None, None].to(hump.dtype)).unsqueeze(1)


def continued(
    past_xy: Float[Tensor, "B L 2"], past_visible: Bool[Tensor, "B L"], *, parabola: bool, least_motion: float
) -> Expected:
    """The motion of the last three points continued by one frame, by the published rules."""
    first, second, third = past_xy[:, -3:].unbind(dim=1)  # oldest to newest
    line = 2 * third - second
    has_two = past_visible[:, -1] & past_visible[:, -2]
    has_three = has_two & past_visible[:, -3]
    curve = first - 3 * second + 3 * third
    predicted = torch.where(has_three[:, None], curve, line) if parabola else line
    is_inside = ((predicted >= 0) & (predicted <= 1)).all(dim=1)
    last, following = (torch.linalg.vector_norm(d, dim=1) for d in (third - second, predicted - third))
    return predicted, has_two & is_inside & (last + following > least_motion)


def _hump(centre: Tensor, sigma: float, count: int) -> Tensor:
    """A Gaussian along one axis at the cells' centres: [B] -> [B, count]."""
    cells = torch.as_tensor(cell_centres(count, 1 / count), dtype=centre.dtype, device=centre.device)
    return torch.exp(-((cells - centre[:, None]) ** 2) / (2 * sigma**2))
