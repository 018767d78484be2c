"""A picture's area resampled to the network's input, as operations that an exported graph can hold.

In: a uint8 picture of any size and the area of it to show. Out: the grey levels that `view.warp` gives, as
floating-point numbers. OpenCV has no place in a graph, so its two steps are written out: means over cells of whole
source pixels where more than 2x is shrunk, rounded, then bilinear interpolation, rounded. An area is upright, so rows
and columns are treated one after the other, and only what the result needs is touched. Next: graph.py
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor, nn

from sightline.geometry import cell_centres, continuous_to_index

MOST_TAPS = 4096  # source pixels in a cell along one side; only an upper bound that the tracer can rely on
HALF_UP = 1e-3  # OpenCV rounds means of 2 x 2 pixels half up, all others half to even; such means end in .25


@dataclass(frozen=True, kw_only=True, eq=False)
class Grid:
    """Cells that source pixels are averaged over, along one side; all are numbers without an axis.

    Attributes:
        start: the source pixel that the first cell begins at.
        count: how many cells.
        size: source pixels in a cell; 1 where nothing is averaged.
    """

    start: Tensor
    count: Tensor
    size: Tensor


@dataclass(frozen=True, kw_only=True, eq=False)
class Taps:
    """For each of R results along one side: which K things, and how much of each."""

    index: Int[Tensor, "R K"]
    weight: Float[Tensor, "R K"]


class Resample(nn.Module):
    """picture [H, W, C] uint8 and area_xyxy [4] -> [1, C, h, w], whole numbers 0..255; outside is black."""

    def __init__(self, *, input_hw: tuple[int, int]) -> None:
        super().__init__()
        self.input_hw = input_hw

    def forward(self, picture: UInt8[Tensor, "H W C"], area_xyxy: Float[Tensor, "4"]) -> Float[Tensor, "1 C h w"]:
        """The area, upright and stretched to the input; float64 areas keep the last digits of large pictures."""
        (height, width), channels = self.input_hw, picture.shape[2]
        low, high = area_xyxy[:2], area_xyxy[2:]
        step = (high - low) / low.new_tensor([width, height])  # source pixels between two results
        area = step.prod()
        # As warp(): below a scale of a half whole cells of floor(1 / scale) pixels are averaged first.
        shrink = torch.where(area > 4.0, area.sqrt().floor(), torch.ones_like(area)).long()
        x = _grid(low[0], high[0], shrink=shrink, side=picture.shape[1])
        y = _grid(low[1], high[1], shrink=shrink, side=picture.shape[0])
        columns = _between(low[0], step[0], grid=x, results=width)
        rows = _between(low[1], step[1], grid=y, results=height)
        lines = _sums(picture.flatten(1), _inside(rows.index.flatten(), grid=y))  # [2h, W * C]
        lines = lines.view(2 * height, -1, channels).transpose(0, 1).flatten(1)  # [W, 2h * C]
        cells = _sums(lines, _inside(columns.index.flatten(), grid=x))  # [2w, 2h * C]
        half_up = ((x.size == 2) & (y.size == 2)).to(cells.dtype) * HALF_UP
        cells = (cells + half_up).round().view(width, 2, -1)
        across = columns.weight[:, None] @ cells  # [w, 1, 2h * C]
        across = across.view(width, 2 * height, channels).transpose(0, 1).reshape(height, 2, -1)  # [h, 2, w * C]
        shown = (rows.weight[:, None] @ across).round()  # [h, 1, w * C]
        return shown.view(1, height, width, channels).permute(0, 3, 1, 2)


def _grid(low: Tensor, high: Tensor, *, shrink: Tensor, side: int) -> Grid:
    """The cells over the part of the picture that is needed, in whole steps with two to spare, as in `view.warp`."""
    start = ((low / shrink).floor().long() - 2) * shrink
    start = start.clamp_min(0).clamp_max(side - 1)
    end = ((high / shrink).ceil().long() + 2) * shrink
    end = torch.maximum(end.clamp_max(side), start + 1)
    averaged = shrink > 1
    start = torch.where(averaged, start, torch.zeros_like(start))
    pixels = torch.where(averaged, end - start, torch.full_like(start, side))
    count = (pixels // shrink).clamp_min(1)
    return Grid(start=start, count=count, size=pixels.to(low.dtype) / count)


def _between(low: Tensor, step: Tensor, *, grid: Grid, results: int) -> Taps:
    """Bilinear interpolation between the two nearest cells; what lies outside of the picture has no weight."""
    centres = low + torch.from_numpy(cell_centres(results, 1.0)).to(low) * step
    places = continuous_to_index((centres - grid.start) / grid.size)
    first = places.floor()
    share = (places - first).float()
    index = torch.stack([first, first + 1], dim=1).long()  # [R, 2]
    there = (index >= 0) & (index < grid.count)
    weight = torch.stack([1 - share, share], dim=1) * there
    return Taps(index=torch.minimum(index.clamp_min(0), grid.count - 1), weight=weight)


def _inside(cells: Tensor, *, grid: Grid) -> Taps:
    """The source pixels of some cells, by the share of each that lies in the cell."""
    begin = cells.to(grid.size.dtype) * grid.size
    first = begin.floor()
    fractional = grid.size != grid.size.floor()
    most = (grid.size.floor() + 2 * fractional).long().item()
    torch._check(most >= 1)
    torch._check(most <= MOST_TAPS)
    pixel = first[:, None] + torch.arange(most, device=cells.device)
    covered = torch.minimum(pixel + 1, (begin + grid.size)[:, None]) - torch.maximum(pixel, begin[:, None])
    last = (grid.count * grid.size).round().long() - 1
    index = torch.minimum(pixel.long(), last) + grid.start
    return Taps(index=index, weight=(covered.clamp_min(0) / grid.size).float())


def _sums(values: Tensor, taps: Taps) -> Tensor:
    """Weighted sums of rows: [N, F] -> [R, F] float32. Whole rows are taken, which a runtime copies in one piece."""
    taken = values.index_select(0, taps.index.flatten()).float().view(*taps.index.shape, -1)  # [R, K, F]
    return (taps.weight[:, None] @ taken).flatten(1)
