"""(b) Error of every decoder in input pixels at stride 4: perfect maps, maps with noise, rounded targets.

Next: loader.py
"""

from __future__ import annotations

import statistics
import time
from dataclasses import dataclass
from typing import Any, get_args

import torch
from torch import Tensor

from sightline.bench.clock import interleaved
from sightline.bench.result import BenchResult, row
from sightline.codecs.coords import CoordsCodecConfig
from sightline.codecs.heatmap import HeatmapCodecConfig
from sightline.codecs.integral import IntegralCodecConfig
from sightline.codecs.peaks import Decoder
from sightline.codecs.protocol import Codec, CodecShape
from sightline.codecs.simcc import SimccCodecConfig
from sightline.geometry import cell_centres
from sightline.types import Points, Raw, RawAxes, RawHeatmaps, Truth

STRIDE, MARGIN = 4, 16  # input pixels; points keep MARGIN from the edge, so that maps are whole
BAR_PX = 0.02
LOGIT_NOISE = (0.1, 0.3, 1.0)
HEAT_NOISE = (0.02, 0.05, 0.1)
DEFAULTS = ("dark (default)", "integral (landmarks)")


@dataclass(frozen=True, kw_only=True, eq=False)
class _Way:
    """A codec, and which noise suits what its network emits."""

    codec: Codec
    noise: tuple[float, ...]
    noise_of: str


def run_decode(*, quick: bool) -> BenchResult:
    """256 px inputs, 64 x 64 maps."""
    return measure(batch=4 if quick else 32)


def measure(*, batch: int, num_points: int = 68, side: int = 256, repeats: int = 5) -> BenchResult:
    """Errors over batch x num_points random points, and the time to decode `num_points` maps a picture."""
    generator = torch.Generator().manual_seed(0)
    points = MARGIN + torch.rand(batch, num_points, 2, generator=generator) * (side - 2 * MARGIN)
    visible = torch.ones(batch, num_points, dtype=torch.bool)
    rows: list[dict[str, Any]] = []
    for name, way in _ways(side).items():
        raw = way.codec.perfect(way.codec.encode(Truth.of_points(points, visible)))
        error = _errors(way.codec, raw, points)
        rows += _perfect_rows(name, way, raw, error, batch=batch, repeats=repeats)
        for std in way.noise:
            shaken = _errors(way.codec, _shaken(raw, std, generator), points)
            rows.append(_row(f"{name}: noise {std:g} on {way.noise_of}", shaken))
    rows += _rounded_rows(_ways(side), points, visible)
    notes = (
        f"{batch * num_points} points anywhere at least {MARGIN} px inside of {side} x {side} pictures, "
        f"stride {STRIDE}, Gaussians of the codecs' default width; ours = mean error.",
        "noise on logits: normal, added to log-heat; noise on heat: added to maps whose peak is 1, of which the "
        "logarithm is then taken (networks trained with mse). Times are for one picture's maps, within a batch.",
        "rounded targets: the Gaussian sits on the centre of the point's cell, as many implementations place it; no "
        "decoder can win back what that loses (mean 1.53 px for uniform points).",
    )
    return BenchResult(name="decode", rows=rows, notes=notes)


def _ways(side: int) -> dict[str, _Way]:
    maps = CodecShape(input_hw=(side, side), map_hw=(side // STRIDE, side // STRIDE))
    axes = CodecShape(input_hw=(side, side), map_hw=(2 * side, 2 * side))  # SimCC: two bins a pixel
    default = HeatmapCodecConfig().decoder
    ways: dict[str, _Way] = {}
    for decoder in get_args(Decoder):
        name = f"{decoder} (default)" if decoder == default else decoder
        ways[name] = _Way(codec=HeatmapCodecConfig(decoder=decoder).build(maps), noise=LOGIT_NOISE, noise_of="logits")
        heat = HeatmapCodecConfig(decoder=decoder, loss_kind="mse").build(maps)
        ways[f"{decoder}, mse maps"] = _Way(codec=heat, noise=HEAT_NOISE, noise_of="heat")
    ways["integral (landmarks)"] = _Way(codec=IntegralCodecConfig().build(maps), noise=LOGIT_NOISE, noise_of="logits")
    for decoder in ("argmax", "refined", "expectation"):
        codec = SimccCodecConfig(decoder=decoder).build(axes)
        ways[f"simcc {decoder}"] = _Way(codec=codec, noise=LOGIT_NOISE, noise_of="logits")
    coords = CoordsCodecConfig().build(CodecShape(input_hw=(side, side)))
    ways["coords"] = _Way(codec=coords, noise=(), noise_of="")
    return ways


def _perfect_rows(name: str, way: _Way, raw: Raw, error: Tensor, *, batch: int, repeats: int) -> list[dict[str, Any]]:
    times = interleaved({"decode": lambda: way.codec.decode(raw)}, repeats=repeats, clock=time.thread_time)["decode"]
    extra = {"ms": 1e3 * statistics.median(times) / batch}
    return [_row(f"{name}: perfect", error, barred=name in DEFAULTS, extra=extra)]


def _rounded_rows(ways: dict[str, _Way], points: Tensor, visible: Tensor) -> list[dict[str, Any]]:
    """Targets on cell centres, decoded by the default and by argmax, against the true points."""
    count = round(float(points.max()) // STRIDE) + 1
    centres = torch.as_tensor(cell_centres(count, STRIDE), dtype=points.dtype)
    rounded = centres[(points / STRIDE).floor().long()]
    rows = []
    for name in ("dark (default)", "argmax"):
        codec = ways[name].codec
        rows.append(
            _row(
                f"{name}: rounded targets",
                _errors(codec, codec.perfect(codec.encode(Truth.of_points(rounded, visible))), points),
            )
        )
    return rows


def _errors(codec: Codec, raw: Raw, points: Tensor) -> Tensor:
    found = codec.decode(raw)
    assert isinstance(found, Points)
    return (found.xy - points).norm(dim=-1)


def _shaken(raw: Raw, std: float, generator: torch.Generator) -> Raw:
    def noisy(values: Tensor) -> Tensor:
        return values + std * torch.randn(values.shape, generator=generator)

    if isinstance(raw, RawHeatmaps):
        return RawHeatmaps(logits=noisy(raw.logits))
    assert isinstance(raw, RawAxes), type(raw)
    return RawAxes(x=noisy(raw.x), y=noisy(raw.y))


def _row(what: str, error: Tensor, *, barred: bool = False, extra: dict[str, float] | None = None) -> dict[str, Any]:
    mean = error.mean().item()
    return row(
        what,
        ours=mean,
        unit="px",
        bar=f"<= {BAR_PX:g} px" if barred else "",
        met=mean <= BAR_PX if barred else None,
        extra={"max": error.max().item(), **(extra or {})},
    )
