"""From maps or rows of probabilities to coordinates: every decoder, in input pixels, without loops.

Decoders in order of their floor at stride 4 on a perfect map: argmax 1.55 px, quarter offset
0.77, 9 x 9 centroid 0.23, DARK 0.00. Soft-argmax is exact only for maps that are zero
elsewhere; it is what an integral loss trains. Maps are taken as log-probabilities where a
decoder needs logarithms, so nothing is clamped at 0.
"""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from sightline.geometry import cell_centres, index_to_continuous

Decoder = Literal["argmax", "quarter", "centroid", "dark", "soft-argmax", "nms"]


def argmax_cells(maps: Float[Tensor, "B K h w"]) -> tuple[Int[Tensor, "B K"], Int[Tensor, "B K"]]:
    """Column and row of the highest cell."""
    best = maps.flatten(2).argmax(dim=2)
    return best % maps.shape[3], best // maps.shape[3]


def decode_maps(
    log_heat: Float[Tensor, "B K h w"], *, decoder: Decoder, stride_xy: tuple[float, float], radius: int = 4
) -> Float[Tensor, "B K 2"]:
    """Points in input pixels from maps of log-heat, by the decoder named.

    Args:
        log_heat: logarithm of the (unnormalised) probability of each cell.
        decoder: how.
        stride_xy: input pixels per cell along x and y.
        radius: half side of the centroid's window, in cells.
    """
    if decoder == "soft-argmax":
        return soft_argmax(log_heat, stride_xy=stride_xy)
    if decoder == "centroid":
        return centroid(log_heat, stride_xy=stride_xy, radius=radius)
    column, row = argmax_cells(suppress(log_heat) if decoder == "nms" else log_heat)
    cells = torch.stack([column, row], dim=-1).to(log_heat.dtype)
    if decoder == "quarter":
        cells = cells + 0.25 * _higher_side(log_heat, column, row)
    elif decoder == "dark" or decoder == "nms":
        cells = cells + _newton_step(log_heat, column, row)
    return index_to_continuous(cells) * cells.new_tensor(stride_xy)


def soft_argmax(log_heat: Float[Tensor, "B K h w"], *, stride_xy: tuple[float, float]) -> Float[Tensor, "B K 2"]:
    """Expectation of the cell centres under the normalised map."""
    height, width = log_heat.shape[2:]
    probability = log_heat.flatten(2).softmax(dim=2).unflatten(2, (height, width))
    x = probability.sum(dim=2) @ _centres(width, stride_xy[0], log_heat)
    y = probability.sum(dim=3) @ _centres(height, stride_xy[1], log_heat)
    return torch.stack([x, y], dim=-1)


def centroid(
    log_heat: Float[Tensor, "B K h w"], *, stride_xy: tuple[float, float], radius: int
) -> Float[Tensor, "B K 2"]:
    """Expectation of the cell centres in a window about the highest cell; the window is cut at the border."""
    height, width = log_heat.shape[2:]
    column, row = argmax_cells(log_heat)
    columns = torch.arange(width, device=log_heat.device)
    rows = torch.arange(height, device=log_heat.device)
    near = ((columns - column[..., None]).abs() <= radius)[:, :, None, :] & ((rows - row[..., None]).abs() <= radius)[
        ..., None
    ]
    return soft_argmax(log_heat.masked_fill(~near, float("-inf")), stride_xy=stride_xy)


def suppress(maps: Float[Tensor, "B K h w"], *, radius: int = 1) -> Float[Tensor, "B K h w"]:
    """Non-maximum suppression: cells that are not the highest within `radius` cells along both axes become -inf."""
    highest = F.max_pool2d(maps, 2 * radius + 1, stride=1, padding=radius)
    return maps.masked_fill(maps < highest, float("-inf"))


def peaks(
    log_heat: Float[Tensor, "B K h w"], *, count: int, stride_xy: tuple[float, float], radius: int = 1
) -> tuple[Float[Tensor, "B K P 2"], Float[Tensor, "B K P"]]:
    """The `count` highest peaks of each map after non-maximum suppression, and their log-heat.

    Maps with fewer peaks fill up with a log-heat of -inf. `radius`: as of `suppress`.
    """
    heat, best = suppress(log_heat, radius=radius).flatten(2).topk(count, dim=2)
    width = log_heat.shape[3]
    cells = torch.stack([best % width, best // width], dim=-1).to(log_heat.dtype)
    return index_to_continuous(cells) * cells.new_tensor(stride_xy), heat


def refine_row(log_heat: Float[Tensor, "B K L"], *, step_px: float) -> Float[Tensor, "B K"]:
    """The peak of a row, moved by one Newton step on the log (exact for a Gaussian), in input pixels."""
    best = log_heat.argmax(dim=-1)
    inner = best.clamp(1, log_heat.shape[-1] - 2)
    left, middle, right = (log_heat.gather(-1, (inner + d)[..., None])[..., 0] for d in (-1, 0, 1))
    shift = _from_highest(_parabola_top(left, middle, right), start=inner - best)
    return index_to_continuous(best.to(log_heat.dtype) + shift) * step_px


def _centres(count: int, stride: float, like: Tensor) -> Tensor:
    return torch.as_tensor(cell_centres(count, stride), dtype=like.dtype, device=like.device)


def _at(maps: Tensor, column: Tensor, row: Tensor) -> Tensor:
    """Values at one cell of each map: [B, K]."""
    return maps.flatten(2).gather(2, (row * maps.shape[3] + column)[..., None])[..., 0]


def _higher_side(maps: Tensor, column: Tensor, row: Tensor) -> Tensor:
    """-1, 0 or 1 along x and y, towards the higher neighbour; 0 at the border."""
    height, width = maps.shape[2:]
    inner_x, inner_y = column.clamp(1, width - 2), row.clamp(1, height - 2)
    dx = (_at(maps, inner_x + 1, row) - _at(maps, inner_x - 1, row)).sign() * (inner_x == column)
    dy = (_at(maps, column, inner_y + 1) - _at(maps, column, inner_y - 1)).sign() * (inner_y == row)
    return torch.stack([dx, dy], dim=-1)


def _newton_step(log_heat: Tensor, column: Tensor, row: Tensor) -> Tensor:
    """DARK (Zhang et al. 2020): one Newton step on the log map, exact for any axis-parallel or tilted Gaussian.

    The step starts at the highest cell that has all its neighbours, and is bounded to 1.5 cells so
    that a flat map cannot throw the point out of the picture. Returned relative to the highest cell.
    """
    height, width = log_heat.shape[2:]
    cx, cy = column.clamp(1, width - 2), row.clamp(1, height - 2)
    v = {(dx, dy): _at(log_heat, cx + dx, cy + dy) for dx in (-1, 0, 1) for dy in (-1, 0, 1)}
    gx, gy = (v[1, 0] - v[-1, 0]) / 2, (v[0, 1] - v[0, -1]) / 2
    hxx, hyy = v[1, 0] - 2 * v[0, 0] + v[-1, 0], v[0, 1] - 2 * v[0, 0] + v[0, -1]
    hxy = (v[1, 1] - v[1, -1] - v[-1, 1] + v[-1, -1]) / 4
    determinant = hxx * hyy - hxy * hxy
    # A true peak has a negative definite Hessian. Elsewhere the step is taken along each axis alone.
    is_peak = (determinant > 1e-12) & (hxx < 0)
    safe = torch.where(is_peak, determinant, torch.ones_like(determinant))
    dx = torch.where(is_peak, (hxy * gy - hyy * gx) / safe, _parabola_top(v[-1, 0], v[0, 0], v[1, 0]))
    dy = torch.where(is_peak, (hxy * gx - hxx * gy) / safe, _parabola_top(v[0, -1], v[0, 0], v[0, 1]))
    step = torch.stack([dx, dy], dim=-1).clamp(-1.5, 1.5)
    return _from_highest(step, start=torch.stack([cx - column, cy - row], dim=-1))


def _from_highest(step: Tensor, *, start: Tensor) -> Tensor:
    """A step as seen from the highest cell; `start` is -1 or 1 where that is a border cell and its neighbour is fitted.

    There the step must lead back towards the highest cell, and the point cannot lie further than half a cell
    from it; a fit that leads away (a lone high cell at the border) says nothing, and the highest cell stays.
    """
    leads_back = step * start < 0
    at_border = torch.where(leads_back, (step + start).clamp(-0.5, 0.5), torch.zeros_like(step))
    return torch.where(start == 0, step, at_border)


def _parabola_top(left: Tensor, middle: Tensor, right: Tensor) -> Tensor:
    """Where a parabola through three neighbours is highest, in cells from the middle; 0 where it has no top."""
    curve = left - 2 * middle + right
    has_top = curve < -1e-9
    top = (left - right) / (2 * torch.where(has_top, curve, -torch.ones_like(curve)))
    return torch.where(has_top, top, torch.zeros_like(top)).clamp(-1.5, 1.5)
