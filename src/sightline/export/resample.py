"""A picture's area resampled to the network's input, as operations that an exported graph can hold.

In: a uint8 picture of any size and the area of it to show. Out: the grey levels that `view.warp` gives, as
floating-point numbers. OpenCV has no place in a graph, so its two steps are written out: means over cells of whole
source pixels where more than 2x is shrunk, rounded, then bilinear interpolation, rounded. An area is upright, so rows
and columns are treated one after the other, and only what the result needs is touched. Next: graph.py
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int, UInt8
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


class Shrinks(nn.Module):
    """area_xyxy [4] -> bool: whether cells are averaged first, which is below a scale of a half, as in `view.warp`."""

    def __init__(self, *, input_hw: tuple[int, int]) -> None:
        super().__init__()
        self.input_hw = input_hw

    def forward(self, area_xyxy: Float[Tensor, "4"]) -> Bool[Tensor, ""]:
        """A number without an axis."""
        return _steps(area_xyxy, self.input_hw).prod() > 4.0


class Resample(nn.Module):
    """picture [H, W, C] uint8 and area_xyxy [4] -> [1, C, h, w], whole numbers 0..255; outside is black.

    One of two ways, of which a graph holds both: `Shrinks` says which one an area needs. Averaging over cells of one
    pixel would be right for any area, and several times as slow. Axes are only ever swapped two by two, and only whole
    lines are picked: a runtime is fast at both, and slow at moving pixels one by one.
    """

    def __init__(self, *, input_hw: tuple[int, int], averages: bool) -> None:
        super().__init__()
        self.input_hw = input_hw
        self.averages = averages

    def forward(self, picture: UInt8[Tensor, "H W C"], area_xyxy: Float[Tensor, "4"]) -> Float[Tensor, "1 C h w"]:
        """The area, upright and stretched to the input; float64 areas keep the last digits of large pictures."""
        (height, width), channels = self.input_hw, picture.shape[2]
        shown = self._averaged(picture, area_xyxy) if self.averages else self._interpolated(picture, area_xyxy)
        return shown.round().reshape(1, channels, height, width)

    def _interpolated(self, picture: Tensor, area_xyxy: Tensor) -> Tensor:
        """Between the pixels themselves; [C * h, w]."""
        (height, width), channels = self.input_hw, picture.shape[2]
        step = _steps(area_xyxy, self.input_hw)
        columns = _between(area_xyxy[0], step[0], grid=_pixels(picture.shape[1], like=step), results=width)
        rows = _between(area_xyxy[1], step[1], grid=_pixels(picture.shape[0], like=step), results=height)
        above, below = (picture.flatten(1).index_select(0, rows.index[:, tap]).float() for tap in (0, 1))
        lines = above * rows.weight[:, :1] + below * rows.weight[:, 1:]  # [h, W * C]
        lines = lines.t().reshape(-1, channels * height)  # [W, C * h]: now whole columns can be taken in one piece
        left, right = (lines.index_select(0, columns.index[:, tap]) for tap in (0, 1))
        return (left * columns.weight[:, :1] + right * columns.weight[:, 1:]).t()

    def _averaged(self, picture: Tensor, area_xyxy: Tensor) -> Tensor:
        """Between means over cells of floor(1 / scale) pixels; [C, h, 1, w]."""
        (height, width), channels = self.input_hw, picture.shape[2]
        low, high = area_xyxy[:2], area_xyxy[2:]
        step = _steps(area_xyxy, self.input_hw)
        shrink = step.prod().sqrt().floor().long()
        x = _grid(low[0], high[0], shrink=shrink, side=picture.shape[1])
        y = _grid(low[1], high[1], shrink=shrink, side=picture.shape[0])
        columns = _between(low[0], step[0], grid=x, results=width)
        rows = _between(low[1], step[1], grid=y, results=height)
        lines = _sums(picture.flatten(1), _inside(rows.index.flatten(), grid=y))  # [2h, W * C]
        lines = lines.t().reshape(-1, channels * 2 * height)  # [W, C * 2h]
        cells = _sums(lines, _inside(columns.index.flatten(), grid=x))  # [2w, C * 2h]
        half_up = ((x.size == 2) & (y.size == 2)).to(cells.dtype) * HALF_UP
        cells = (cells + half_up).round().view(width, 2, -1)
        across = (columns.weight[:, None] @ cells).flatten(1)  # [w, C * 2h]
        return rows.weight[:, None] @ across.t().reshape(channels, height, 2, width)


def _steps(area_xyxy: Tensor, input_hw: tuple[int, int]) -> Tensor:
    """Source pixels between two results, along x and y: [2]."""
    return (area_xyxy[2:] - area_xyxy[:2]) / area_xyxy.new_tensor([input_hw[1], input_hw[0]])


def _pixels(side: int, *, like: Tensor) -> Grid:
    """Cells that are the pixels of the whole side."""
    one = torch.ones_like(like[0])
    start = torch.zeros_like(one, dtype=torch.long)
    return Grid(start=start, count=torch.full_like(start, side), size=one)


def _grid(low: Tensor, high: Tensor, *, shrink: Tensor, side: int) -> Grid:
    """The cells over the part of the picture that is needed, in whole steps with two to spare, as in `view.warp`."""
    start = ((low / shrink).floor().long() - 2) * shrink
    start = start.clamp_min(0).clamp_max(side - 1)
    end = ((high / shrink).ceil().long() + 2) * shrink
    end = torch.maximum(end.clamp_max(side), start + 1)
    count = ((end - start) // shrink).clamp_min(1)
    return Grid(start=start, count=count, size=(end - start).to(low.dtype) / count)


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
